"""An adapter's reader of the output ring: its own commands' events, and the public ones it wants.

``drain`` copies a chunk of events, checks that it was not lapped, and sorts the copy: complete
groups of events whose command this gateway sent, with totals, and all events of the kinds asked
for.  No Python runs per event.  A group that is cut by the end of a chunk is put together in
private memory; one whose beginning was not seen (the reader started or was lapped inside it) is
skipped. (architecture.md, decisions 12, 17, 18)
"""

import struct
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np

from core.constants import EVENT_BYTES, FILLS_ANSWERED_MAX, GATEWAY_SHIFT
from core.jit import kernel
from core.layout import offset_of, record
from core.memory import copy, copy128, fill, pointer
from core.messages import EVENT, FILL, LAST, LEDGER, MAKER, TRADE_BUSTED, TRADE_CORRECTED
from core.output import LAPPED, OutputRing, position, read

INDEX_MAX: Final = (1 << 31) - 1
CHUNK_EVENTS: Final = 1_024
PUBLIC_EVENTS: Final = 4 * CHUNK_EVENTS
GROUP_EVENTS_MAX: Final = 2 * FILLS_ANSWERED_MAX + 46  # Kept of one command, + last fill and LAST.
OWN_EVENTS: Final = 4_096
GROUPS: Final = 1_024
assert GROUP_EVENTS_MAX + 2 <= OWN_EVENTS

GROUP: Final = record(
    "the events of one own command",
    128,
    [
        ("sequence", "<i8"),
        ("request_id", "<i8"),
        ("session", "<i8"),
        ("first", "<i8"),  # Place of its first event among the own events.
        ("count", "<i8"),  # Of events kept.
        ("fill_count", "<i8"),  # Fills of the taker, all of them.
        ("filled_qty", "<i8"),  # Lots of these fills.
        ("fees", "<i8"),  # Paid by the taker in these fills, quote units; negative: received.
        ("truncated", "<i8"),  # 1: events of this gateway were left out.
        ("account", "<i8"),  # Of the command.
        ("reserved", "<i8", (6,)),
    ],
)

DRAIN: Final = record(
    "state of one reader; private memory",
    256,
    [
        ("output", "<i8"),  # Address of its OUTPUT_END.
        ("cursor", "<i8"),
        ("gateway", "<i8"),
        ("chunk", "<i8"),  # Addresses of buffers.
        ("partial", "<i8"),
        ("last_fill", "<i8"),
        ("own", "<i8"),
        ("groups", "<i8"),
        ("group", "<i8"),  # The GROUP that is being put together.
        ("public", "<i8"),
        ("group_count", "<i8"),
        ("own_count", "<i8"),
        ("public_count", "<i8"),
        ("kinds_low", "<i8"),  # Bit k: events of kind k are public; kinds 0-62.
        ("kinds_high", "<i8"),  # Kinds 63-125.
        ("seen_sequence", "<i8"),  # Public events up to this one were delivered before.
        ("seen_index", "<i8"),
        ("sequence", "<i8"),  # Of the event that was sorted last.
        ("index", "<i8"),
        ("state", "<i8"),  # Of the group at the cursor: SKIPPED, FOREIGN, OURS.
        ("kept", "<i8"),  # Events in ``partial``.
        ("fill_dropped", "<i8"),  # 1: the last fill of the taker is only in ``last_fill``.
        ("reserved", "<i8", (10,)),
    ],
)
GROUP_BYTES: Final = GROUP.itemsize
SKIPPED: Final = 0  # Its first event was not seen.
FOREIGN: Final = 1
OURS: Final = 2

_at_drain = pointer(DRAIN)
_at_event = pointer(EVENT)
_at_group = pointer(GROUP)


@kernel
def drain(state: int) -> int:
    """Sort the next events; how many were passed, or LAPPED.  The caller empties the buffers first.

    One group always fits, so 0 means that there is no event.
    """
    reader = _at_drain(state)
    count = read(reader.output, reader.cursor, reader.chunk, CHUNK_EVENTS)
    if count == LAPPED:
        return LAPPED
    passed = 0
    while passed < count:
        if _sort(state, reader.chunk + passed * EVENT_BYTES) == 0:
            break
        passed += 1
    reader.cursor += passed
    return passed


@kernel
def _sort(state: int, address: int) -> int:
    """Put one event where it belongs; 0 when there is no room for the group that it ends."""
    reader = _at_drain(state)
    event = _at_event(address)
    is_last = event.flags & LAST
    if event.index == 0:
        _begin(state, address)
    elif event.sequence != reader.sequence or event.index != reader.index + 1:
        reader.state = SKIPPED
    if reader.state == OURS:
        if is_last != 0:
            if reader.own_count + reader.kept + 2 > OWN_EVENTS or reader.group_count >= GROUPS:
                return 0
            _finish(state, address)
        else:
            _keep(state, address)
    reader.sequence = event.sequence
    reader.index = event.index
    if is_last != 0:
        reader.state = SKIPPED
    _make_public(state, address)
    return 1


@kernel
def _begin(state: int, address: int) -> None:
    """The first event of a command: whose is it?"""
    reader = _at_drain(state)
    event = _at_event(address)
    if event.session >> GATEWAY_SHIFT != reader.gateway:
        reader.state = FOREIGN
        return
    reader.state = OURS
    reader.kept = 0
    reader.fill_dropped = 0
    fill(reader.group, 0, GROUP_BYTES)
    group = _at_group(reader.group)
    group.sequence = event.sequence
    group.request_id = event.fee
    group.session = event.session
    group.account = event.account


@kernel
def _keep(state: int, address: int) -> None:
    """Keep an event of our command's account or of our sessions while there is room; and of a trade
    that is taken back or told from outside, both sides and what `outside` bears."""
    reader = _at_drain(state)
    event = _at_event(address)
    group = _at_group(reader.group)
    is_fill = event.kind == FILL
    is_taker_fill = is_fill and event.flags & MAKER == 0
    if is_taker_fill:
        group.fill_count += 1
        group.filled_qty += event.qty
        group.fees += event.fee
    if event.session >> GATEWAY_SHIFT != reader.gateway and event.account != group.account:
        told = event.kind == LEDGER or event.kind == TRADE_BUSTED or event.kind == TRADE_CORRECTED
        if event.session != 0 or not told:
            return
    if reader.kept < GROUP_EVENTS_MAX and not (is_fill and group.fill_count > FILLS_ANSWERED_MAX):
        copy128(reader.partial + reader.kept * EVENT_BYTES, address)
        reader.kept += 1
        return
    group.truncated = 1
    if is_taker_fill:
        copy128(reader.last_fill, address)
        reader.fill_dropped = 1


@kernel
def _finish(state: int, address: int) -> None:
    """``address`` is the last event of our command: hand the group over, the last event in it."""
    reader = _at_drain(state)
    group = _at_group(reader.group)
    kept = reader.kept
    if reader.fill_dropped != 0:
        copy128(reader.partial + kept * EVENT_BYTES, reader.last_fill)
        kept += 1
    copy128(reader.partial + kept * EVENT_BYTES, address)
    kept += 1
    group.first = reader.own_count
    group.count = kept
    copy(reader.own + reader.own_count * EVENT_BYTES, reader.partial, kept * EVENT_BYTES)
    copy128(reader.groups + reader.group_count * GROUP_BYTES, reader.group)
    reader.own_count += kept
    reader.group_count += 1


@kernel
def _make_public(state: int, address: int) -> None:
    reader = _at_drain(state)
    event = _at_event(address)
    kind = event.kind
    if kind < 63:
        wanted = reader.kinds_low >> kind & 1
    elif kind < 126:
        wanted = reader.kinds_high >> (kind - 63) & 1
    else:
        wanted = 0
    is_new = event.sequence > reader.seen_sequence or (
        event.sequence == reader.seen_sequence and event.index > reader.seen_index
    )
    if wanted != 0 and is_new:
        copy128(reader.public + reader.public_count * EVENT_BYTES, address)
        reader.public_count += 1


class Group(NamedTuple):
    """The head of GROUP."""

    sequence: int
    request_id: int
    session: int
    first: int
    event_count: int  # ``count``, a name that tuples have.
    fill_count: int
    filled_qty: int
    fees: int
    truncated: int
    account: int


_GROUP: Final = struct.Struct("<10q48x")
assert _GROUP.size == GROUP_BYTES
assert [name.removeprefix("event_") for name in Group._fields] == list(GROUP.names or ())[:-1]
_GROUP_COUNT: Final = offset_of(DRAIN, "group_count") // 8
_OWN_COUNT: Final = offset_of(DRAIN, "own_count") // 8
_PUBLIC_COUNT: Final = offset_of(DRAIN, "public_count") // 8
_CURSOR: Final = offset_of(DRAIN, "cursor") // 8


class EventReader:
    """One reader of the output ring: state and buffers of ``drain``."""

    def __init__(self, output: OutputRing, gateway: int, cursor: int) -> None:
        self._output = output
        self._state = np.zeros(1, DRAIN)
        self._address = int(self._state.ctypes.data)
        self.row = self._state[0]
        # A word read through a memoryview costs a fifth of a field of a numpy row.
        self._words = self._state.view(np.int64).data
        self._own = np.zeros(OWN_EVENTS, EVENT)
        self._own_bytes = self._own.view(np.uint8).data
        self._groups = np.zeros(GROUPS, GROUP)
        self._group_bytes = self._groups.view(np.uint8).data
        self._public = np.zeros(PUBLIC_EVENTS, EVENT)
        self._buffers = {
            "chunk": np.zeros(CHUNK_EVENTS, EVENT),
            "partial": np.zeros(GROUP_EVENTS_MAX + 2, EVENT),
            "last_fill": np.zeros(1, EVENT),
            "own": self._own,
            "groups": self._groups,
            "group": np.zeros(1, GROUP),
            "public": self._public,
        }
        for name, buffer in self._buffers.items():
            self.row[name] = buffer.ctypes.data
        self.row["output"], self.row["gateway"], self.row["cursor"] = output.end, gateway, cursor

    @property
    def cursor(self) -> int:
        """Place in the ring of the next event."""
        return int(self._words[_CURSOR])

    @property
    def seen(self) -> tuple[int, int]:
        """(sequence, index) of the newest event that this reader need not see any more."""
        here = int(self.row["sequence"]), int(self.row["index"])
        return max(here, (int(self.row["seen_sequence"]), int(self.row["seen_index"])))

    def see(self, sequence: int) -> None:
        """All events up to those of ``sequence`` are behind this reader."""
        if sequence > self.seen[0]:
            self.row["sequence"], self.row["index"] = sequence, INDEX_MAX

    def want(self, kinds: Iterable[int]) -> None:
        """Make the events of these kinds public; none are at first."""
        mask = 0
        for kind in kinds:
            if not 0 <= kind < 126:
                raise ValueError(f"event kind: expected 0 to 125, got {kind}")
            mask |= 1 << kind
        self.row["kinds_low"], self.row["kinds_high"] = mask & ((1 << 63) - 1), mask >> 63

    def skip_seen(self, sequence: int, index: int) -> None:
        """Public events up to this one were delivered by another reader, in another epoch."""
        self.row["seen_sequence"], self.row["seen_index"] = sequence, index

    def skip_to_end(self) -> None:
        """After a lap: go on behind the newest event.  The group there is skipped if it is cut."""
        self.row["cursor"] = position(self._output.end)
        self.row["state"] = SKIPPED

    def drain(self) -> int:
        """Sort the next events; how many were passed, or LAPPED.

        Overwrites the groups; public events pile up until ``public`` takes them, and while there is
        no room for a chunk of them nothing is read.
        """
        words = self._words
        words[_GROUP_COUNT] = words[_OWN_COUNT] = 0
        if words[_PUBLIC_COUNT] > PUBLIC_EVENTS - CHUNK_EVENTS:
            return 0
        return drain(self._address)

    def groups(self) -> "list[tuple[Group, np.ndarray[Any, Any]]]":
        """Complete own commands: (group, its events), copies."""
        found = []
        for place in range(self._words[_GROUP_COUNT]):
            group = Group._make(_GROUP.unpack_from(self._group_bytes, place * GROUP_BYTES))
            first = group.first * EVENT_BYTES
            content = bytes(self._own_bytes[first : first + group.event_count * EVENT_BYTES])
            found.append((group, np.frombuffer(content, EVENT)))
        return found

    @property
    def public_count(self) -> int:
        """Public events that nobody has taken."""
        return int(self._words[_PUBLIC_COUNT])

    def public(self) -> "np.ndarray[Any, Any]":
        """Take the public events, a copy."""
        count = self._words[_PUBLIC_COUNT]
        self._words[_PUBLIC_COUNT] = 0
        return self._public[:count].copy()
