"""Single-producer rings in shared memory: inbound (adapter to core) and reply (core to adapter).

Cursors count slots since the ring was made and never wrap; slot k lies at ``k & mask``.  Each
process works through its own *end*: a private record with the addresses, the mask and its own
cursor.  Nothing that decides where the core reads or writes is ever taken from shared memory, so an
adapter that scribbles over its ring is refused, and harms nobody.

A command of 1-4 slots becomes visible by one store of the producer's cursor.  The last eighth of an
inbound ring is for commands that cancel.  (architecture.md, decisions 11, 15, 19)
"""

from typing import Final

import numpy as np

from core.atomics import load_acquire, load_word, store_release, store_word
from core.constants import (
    CANCEL_LANE_DIVISOR,
    COMMAND_SLOTS_MAX,
    GATEWAY_SHIFT,
    INBOUND_SLOTS,
    REPLY_BYTES,
    REPLY_SLOTS,
    SLOT_BYTES,
)
from core.jit import VERIFY, kernel
from core.layout import offset_of, record
from core.memory import copy, copy128, pointer
from core.messages import COMMAND, SCHEMA
from core.shm import (
    HEADER_BYTES,
    INBOUND,
    LINE_0,
    LINE_BYTES,
    REPLIES,
    Segment,
    SegmentError,
    check_capacity,
)
from core.shm import attach as attach_segment
from core.shm import create as create_segment

RING: Final = record(
    "ring header; each line has one writer",
    4 * LINE_BYTES,
    [
        *LINE_0,  # The core.
        ("produced", "<i8"),  # The producer's cursor.
        ("line_1_reserved", "<i8", (15,)),
        ("consumed", "<i8"),  # The consumer's cursor.
        ("line_2_reserved", "<i8", (15,)),
        ("sleeping", "<i8"),  # The adapter: 1 while it waits on its FIFO.
        ("incarnation", "<i8"),  # The adapter: how often this ring was attached to.
        ("events_read", "<i8"),  # The adapter: its cursor in the output ring; no one relies on it.
        ("line_3_reserved", "<i8", (13,)),
    ],
)
PRODUCED_AT: Final = offset_of(RING, "produced")
CONSUMED_AT: Final = offset_of(RING, "consumed")
SLEEPING_AT: Final = offset_of(RING, "sleeping")
INCARNATION_AT: Final = offset_of(RING, "incarnation")
EVENTS_READ_AT: Final = offset_of(RING, "events_read")

RING_END: Final = record(
    "one process's end of a ring; private memory",
    128,
    [
        ("slots", "<i8"),  # Addresses.
        ("produced_at", "<i8"),
        ("consumed_at", "<i8"),
        ("sleeping_at", "<i8"),
        ("capacity", "<i8"),
        ("mask", "<i8"),
        ("slot_bytes", "<i8"),
        ("lane", "<i8"),  # Slots that commands other than cancels may fill.
        ("gateway", "<i8"),
        ("produced", "<i8"),  # Own cursor, or the newest sound value of the other's.
        ("consumed", "<i8"),
        ("faults", "<i8"),  # Words of the other side that made no sense.
        ("reserved", "<i8", (4,)),
    ],
)

CAPACITY_MIN: Final = 8  # Two commands of the largest size.

at_end = pointer(RING_END)
_at_command = pointer(COMMAND)
_SESSION_MASK: Final = (1 << GATEWAY_SHIFT) - 1


@kernel
def offer(end: int, slots: int, slot_count: int, canceling: int) -> int:
    """Put one command of ``slot_count`` slots from address ``slots``; 1, or 0: no room."""
    ring = at_end(end)
    if slot_count < 1 or slot_count > COMMAND_SLOTS_MAX:
        return 0
    limit = ring.capacity if canceling != 0 else ring.lane
    if ring.produced + slot_count - ring.consumed > limit:
        refresh_consumed(end)
        if ring.produced + slot_count - ring.consumed > limit:
            return 0
    produced = ring.produced
    for number in range(slot_count):
        target = ring.slots + ((produced + number) & ring.mask) * SLOT_BYTES
        copy128(target, slots + number * SLOT_BYTES)
    produced += slot_count
    ring.produced = produced
    store_release(ring.produced_at, produced)
    return 1


@kernel
def poll(end: int, out: int, slots_max: int) -> int:
    """Copy whole commands to ``out``, at most ``slots_max`` (>= 4) slots; how many slots.

    The kind is the only promise: a command whose slot count makes no sense comes as one slot of
    kind 0, to be rejected.  The ring says whose command it is: gateway and the top byte of the
    session are set from it.  A producer's cursor that makes no sense gives 0 and counts as a
    fault.
    """
    ring = at_end(end)
    if VERIFY:
        assert slots_max >= COMMAND_SLOTS_MAX
    available = load_acquire(ring.produced_at) - ring.consumed
    if available == 0:
        return 0
    if available < 0 or available > ring.capacity:
        ring.faults += 1
        return 0
    taken = 0
    while taken < available and taken < slots_max:
        target = out + taken * SLOT_BYTES
        copy128(target, ring.slots + ((ring.consumed + taken) & ring.mask) * SLOT_BYTES)
        command = _at_command(target)  # From here on only the copy is looked at.
        slot_count = command.slots
        if slot_count < 1 or slot_count > COMMAND_SLOTS_MAX or slot_count > available - taken:
            ring.faults += 1
            command.kind = 0
            command.slots = 1
            slot_count = 1
        if taken + slot_count > slots_max:
            break
        command.gateway = ring.gateway
        command.session = (command.session & _SESSION_MASK) | (ring.gateway << GATEWAY_SHIFT)
        for number in range(1, slot_count):
            source = ring.slots + ((ring.consumed + taken + number) & ring.mask) * SLOT_BYTES
            copy128(target + number * SLOT_BYTES, source)
        taken += slot_count
    ring.consumed += taken
    store_release(ring.consumed_at, ring.consumed)
    return taken


@kernel
def has_work(end: int) -> int:
    """1 when the producer's cursor has moved, to a value that makes sense."""
    ring = at_end(end)
    available = load_acquire(ring.produced_at) - ring.consumed
    return 1 if available > 0 and available <= ring.capacity else 0


@kernel
def refresh_consumed(end: int) -> None:
    """Read the consumer's cursor again; one that makes no sense is not believed."""
    ring = at_end(end)
    consumed = load_acquire(ring.consumed_at)
    if consumed < ring.consumed or consumed > ring.produced:
        ring.faults += 1
    else:
        ring.consumed = consumed


@kernel
def room(end: int) -> int:
    """Free slots, seen by the producer."""
    ring = at_end(end)
    refresh_consumed(end)
    return ring.capacity - (ring.produced - ring.consumed)


@kernel
def reply_slot(end: int, ahead: int) -> int:
    """Address of the slot ``ahead`` (0 to ``room`` - 1) places after the last published reply."""
    ring = at_end(end)
    return ring.slots + ((ring.produced + ahead) & ring.mask) * REPLY_BYTES


@kernel
def reply_publish(end: int, count: int) -> None:
    """Make the ``count`` replies written at ``reply_slot`` 0 to count - 1 visible."""
    ring = at_end(end)
    ring.produced += count
    store_release(ring.produced_at, ring.produced)


@kernel
def reply_push(end: int, replies: int, count: int) -> int:
    """Copy ``count`` replies that lie together at ``replies`` and make them visible at once.

    1, or 0 when there is no room for all of them: nothing is written then.
    """
    if count < 1 or count > room(end):
        return 0
    for ahead in range(count):
        copy(reply_slot(end, ahead), replies + ahead * REPLY_BYTES, REPLY_BYTES)
    reply_publish(end, count)
    return 1


@kernel
def take(end: int, out: int, count_max: int) -> int:
    """Copy at most ``count_max`` replies to ``out``; how many."""
    ring = at_end(end)
    available = load_acquire(ring.produced_at) - ring.consumed
    if available < 0 or available > ring.capacity:
        ring.faults += 1
        return 0
    taken = min(available, count_max)
    for number in range(taken):
        source = ring.slots + ((ring.consumed + number) & ring.mask) * ring.slot_bytes
        copy(out + number * ring.slot_bytes, source, ring.slot_bytes)
    ring.consumed += taken
    store_release(ring.consumed_at, ring.consumed)
    return taken


class Ring:
    """One end of a ring: the mapped segment and the private record that the kernels take."""

    def __init__(self, segment: Segment, kind: int, gateway: int, capacity: int) -> None:
        slot_bytes = SLOT_BYTES if kind == INBOUND else REPLY_BYTES
        check_capacity(segment.name, capacity, CAPACITY_MIN)
        expected = HEADER_BYTES + capacity * slot_bytes
        if segment.size != expected:
            raise SegmentError(
                f"ring {segment.name!r}: {capacity} slots of {slot_bytes} bytes need {expected} "
                f"bytes, the segment has {segment.size}"
            )
        self.segment = segment
        self._record = np.zeros(1, RING_END)
        self.end = int(self._record.ctypes.data)
        self.row = self._record[0]
        self.row["slots"] = segment.address + HEADER_BYTES
        self.row["produced_at"] = segment.address + PRODUCED_AT
        self.row["consumed_at"] = segment.address + CONSUMED_AT
        self.row["sleeping_at"] = segment.address + SLEEPING_AT
        self.row["capacity"] = capacity
        self.row["mask"] = capacity - 1
        self.row["slot_bytes"] = slot_bytes
        self.row["lane"] = capacity - capacity // CANCEL_LANE_DIVISOR
        self.row["gateway"] = gateway

    @property
    def sleeping_at(self) -> int:
        """Address of the adapter's ``sleeping`` word (the inbound ring's is the one in use)."""
        return int(self.row["sleeping_at"])

    @property
    def faults(self) -> int:
        """How many words of the other side made no sense."""
        return int(self.row["faults"])

    @property
    def incarnation(self) -> int:
        """How often an adapter has attached to this ring."""
        return load_word(self.segment.address + INCARNATION_AT)

    def show_events_read(self, cursor: int) -> None:
        """Let others see how far this adapter has read the output ring."""
        store_word(self.segment.address + EVENTS_READ_AT, cursor)

    def fill(self) -> int:
        """Slots that are offered and not yet polled."""
        produced = load_word(int(self.row["produced_at"]))
        return produced - load_word(int(self.row["consumed_at"]))

    def close(self) -> None:
        """Unmap; the end must not be used any more."""
        self.segment.close()


def create_inbound(
    shm: str, name: str, gateway: int, epoch: int, capacity: int = INBOUND_SLOTS
) -> Ring:
    """The core's end of a new inbound ring of gateway ``name``; not visible before ``publish``."""
    return _create(f"{shm}-in-{name}", INBOUND, gateway, epoch, capacity)


def create_replies(
    shm: str, name: str, gateway: int, epoch: int, capacity: int = REPLY_SLOTS
) -> Ring:
    """The core's end of a new reply ring of gateway ``name``; not visible before ``publish``."""
    return _create(f"{shm}-reply-{name}", REPLIES, gateway, epoch, capacity)


def attach_inbound(shm: str, name: str, gateway: int, epoch: int) -> Ring:
    """The adapter's end of its inbound ring; what an earlier incarnation offered stays offered.

    SegmentError when the ring is not there, not this gateway's, in use by a live process, or its
    cursors make no sense.
    """
    ring = _attach(f"{shm}-in-{name}", INBOUND, gateway, epoch)
    produced = load_word(int(ring.row["produced_at"]))
    consumed = load_word(int(ring.row["consumed_at"]))
    if not 0 <= produced - consumed <= int(ring.row["capacity"]) or consumed < 0:
        ring.close()
        raise SegmentError(
            f"inbound ring {shm}-in-{name}: cursors make no sense (produced {produced}, consumed "
            f"{consumed}); restart the core to get a new one"
        )
    ring.row["produced"], ring.row["consumed"] = produced, consumed
    store_word(ring.segment.address + INCARNATION_AT, ring.incarnation + 1)
    store_word(ring.sleeping_at, 0)
    return ring


def attach_replies(shm: str, name: str, gateway: int, epoch: int) -> Ring:
    """The adapter's end of its reply ring; replies to an earlier incarnation are skipped."""
    ring = _attach(f"{shm}-reply-{name}", REPLIES, gateway, epoch)
    ring.row["consumed"] = load_word(int(ring.row["produced_at"]))
    store_word(int(ring.row["consumed_at"]), int(ring.row["consumed"]))
    return ring


def _create(name: str, kind: int, gateway: int, epoch: int, capacity: int) -> Ring:
    check_capacity(name, capacity, CAPACITY_MIN)
    slot_bytes = SLOT_BYTES if kind == INBOUND else REPLY_BYTES
    line_0 = {
        "epoch": epoch,
        "kind": kind,
        "schema": SCHEMA,
        "capacity": capacity,
        "slot_bytes": slot_bytes,
        "gateway": gateway,
    }
    segment = create_segment(name, HEADER_BYTES + capacity * slot_bytes, line_0)
    return Ring(segment, kind, gateway, capacity)


def _attach(name: str, kind: int, gateway: int, epoch: int) -> Ring:
    segment = attach_segment(name, kind, epoch, writable=True)
    try:
        if segment.word("gateway") != gateway or segment.word("schema") != SCHEMA:
            raise SegmentError(
                f"ring {name!r}: gateway {gateway}, schema {SCHEMA} expected, "
                f"{segment.word('gateway')}, {segment.word('schema')} found"
            )
        if not segment.lock():
            raise SegmentError(f"ring {name!r}: in use by another live process of this name")
        return Ring(segment, kind, gateway, segment.capacity)
    except SegmentError:
        segment.close()
        raise
