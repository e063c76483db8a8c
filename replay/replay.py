"""Replay: journal to engine, the same code, no adapters, without disturbing a live exchange.

Each CHECKPOINT of the journal says where the live core was; the replayed state must be there too.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.clock import monotonic_ns
from core.jit import entry
from core.journal.ahead import AHEAD_ITEMS, read_ahead
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import (
    CHECKPOINT,
    EPOCH_PAYLOAD,
    EPOCH_START,
    GENESIS,
)
from core.journal.reader import Walk
from core.journal.recovery import Known
from core.journal.scanner import Commands, Special
from core.journal.segments import inventory, segment_path
from core.journal.snapshots import SnapshotBad, directories
from core.journal.verify import judge_end, locate, open_walk
from core.limits import base_of, from_genesis
from core.messages import COMMAND
from core.sequencer import checkpoint, snapshot
from core.sequencer.engine import ENGINE_VERSION, apply_batch
from core.sequencer.state import PrivateRing, State
from replay.check import Broken, BrokenBefore, Checker

RING_EVENTS: Final = 1 << 14
EXIT_USAGE: Final = 64

Slots = np.ndarray[Any, np.dtype[np.uint8]]


class NoSuchSequence(Exception):
    """The journal does not hold the sequence that was asked for."""

    exit_code = EXIT_USAGE


class Replay:
    """A state at genesis, and the commands that are applied to it."""

    def __init__(
        self,
        genesis: bytes,
        *,
        check_every: int = 0,
        state: State | None = None,
        ring_events: int = RING_EVENTS,
    ) -> None:
        """``state``: that of a snapshot, else the one of genesis.

        ``check_every`` not 0: check each command, and the whole state after one in so many.
        """
        limits, id_key = from_genesis(genesis)
        self.state = state if state is not None else State(limits, id_key)
        self.ring = PrivateRing(ring_events)
        self.ring.attach(self.state)
        entry(apply_batch)  # Loaded now, so that it is not measured.
        self._checker = Checker(self.state, check_every) if check_every else None
        self.commands = 0
        self.checkpoints = 0
        self.elapsed_ns = 0

    def apply(self, slots: Slots) -> None:
        """Apply whole commands; Broken when checks were asked for and one fails."""
        if self._checker is not None:
            self.commands += self._checker.apply(slots)
        else:
            address = slots.ctypes.data
            self.commands += int(apply_batch(self.state.address, address, len(slots)))

    def check(self) -> None:
        """Every invariant of the whole state, if checks were asked for."""
        if self._checker is not None:
            self._checker.check()

    def difference(self, payload: bytes) -> str:
        """What of the state is not as the CHECKPOINT says; empty when all is."""
        self.checkpoints += 1
        return checkpoint.difference(self.state, payload)

    def result(self) -> dict[str, Any]:
        """What was found, flat."""
        state = self.state
        return {
            "sequence": state["sequence"],
            "commands": self.commands,
            "events": state["events"],
            "trades": state["trades"],
            "open_orders": state["open_orders"],
            "checkpoints": self.checkpoints,
            "state_hash": state.hash().hex(),
            "event_hash": f"{state['event_hash'] & (2**64 - 1):016x}",
            "seconds": round(self.elapsed_ns / 1e9, 6),
            "commands_per_s": round(self.commands * 1e9 / max(self.elapsed_ns, 1)),
        }


class Source(NamedTuple):
    """What is replayed: a state, the walk that goes on from there, and what is known before it."""

    replay: Replay
    walk: Walk
    known: Known


def source(
    data: Path,
    *,
    to: int | None = None,
    from_snapshot: bool = False,
    check_every: int = 0,
    ring_events: int = RING_EVENTS,
) -> Source:
    """The journal of ``data`` from genesis, or from its newest usable snapshot that is not behind
    ``to``.  Works beside a live exchange.

    Raises JournalRefused, and NoSuchSequence where the journal no longer begins with genesis.
    """
    directory, _uuid = locate(data)
    numbers = inventory(directory)
    if not numbers:
        raise JournalRefused(Fault.MISSING, directory, 0, "there is no segment")
    genesis = genesis_of(directory) if numbers[0] == 1 else b""
    base = from_base(genesis)
    loaded = _snapshot(data, to, newest=from_snapshot) if from_snapshot or base else None
    if loaded is None:
        if not genesis:
            raise NoSuchSequence(
                f"the journal begins with segment {numbers[0]}, what came before is in snapshots "
                f"only: use --from-snapshot"
            )
        replay = Replay(genesis, check_every=check_every, ring_events=ring_events)
        return Source(replay, open_walk(data, buffers=AHEAD_ITEMS + 2), Known())
    found = bytes.fromhex(loaded.manifest.genesis)
    replay = Replay(found, check_every=check_every, state=loaded.state, ring_events=ring_events)
    walk = open_walk(data, start=loaded.manifest.place, buffers=AHEAD_ITEMS + 2)
    return Source(replay, walk, loaded.known)


def newest_source(data: Path, ring_events: int = RING_EVENTS) -> Source:
    """``source`` from the newest snapshot that can be used, from genesis when there is none."""
    try:
        return source(data, from_snapshot=True, ring_events=ring_events)
    except NoSuchSequence:
        return source(data, ring_events=ring_events)


def _snapshot(data: Path, to: int | None, *, newest: bool) -> snapshot.Loaded:
    """The newest (or the oldest) snapshot that can be used, not behind ``to``."""
    bad: list[str] = []
    places = directories(data)
    for directory in places if newest else reversed(places):
        if to is not None and int(directory.name) > to:
            continue
        try:
            return snapshot.load(directory)
        except SnapshotBad as error:
            bad.append(str(error))
    said = "; ".join(bad) or "there is none"
    behind = f" of sequence {to} or before" if to is not None else ""
    raise NoSuchSequence(f"--from-snapshot: no snapshot{behind} can be used: {said}")


def genesis_of(directory: Path) -> bytes:
    """The payload of the GENESIS block of a journal that still has its first segment."""
    walk = Walk(directory, bytes.fromhex(directory.name.replace("-", "")))
    first = next(iter(walk), None)
    if not isinstance(first, Special) or first.kind != GENESIS:
        raise JournalRefused(Fault.MISSING, directory, 0, "the journal does not begin with GENESIS")
    return first.payload


def from_base(genesis: bytes) -> int:
    """The sequence of the snapshot that a journal goes on from; 0: it begins with nothing."""
    return base_of(genesis).sequence if genesis else 0


def run(
    data: Path, *, to: int | None = None, check_every: int = 0, from_snapshot: bool = False
) -> dict[str, Any]:
    """Apply the journal of ``data`` up to sequence ``to`` (None: all of it).

    ``check_every`` not 0: after each command what it touched is checked, after one in so many (and
    each of the first, and the last) the whole state.  Raises JournalRefused, NoSuchSequence and
    Broken, which names the first command that broke something.
    """
    found = source(data, to=to, from_snapshot=from_snapshot, check_every=check_every)
    try:
        return _run(data, found, to)
    except BrokenBefore as broken:
        from replay.locate import first_broken

        raise Broken(first_broken(data, broken)) from broken


def _run(data: Path, found: Source, to: int | None) -> dict[str, Any]:
    replay, walk, _ = found
    begun_ns = monotonic_ns()
    for item in read_ahead(walk):
        if isinstance(item, Commands):
            replay.apply(item.slots if to is None else up_to(item, to))
            if to is not None and item.last_sequence >= to:
                break
        else:
            compare(replay, item, segment_path(walk.directory, item.segment_no))
    replay.elapsed_ns = monotonic_ns() - begun_ns
    judge_end(data, walk)
    last = replay.state["sequence"]
    if to is not None and last != to:
        raise NoSuchSequence(f"--to: the journal has no sequence {to}; it ends with {last}")
    replay.check()
    return replay.result()


def compare(replay: Replay, item: Special, path: Path) -> None:
    """JournalRefused when a CHECKPOINT differs from the replay, or an epoch is another engine's."""
    if item.kind == EPOCH_START:
        refuse_engine(item, path)
    elif item.kind == CHECKPOINT:
        differs = replay.difference(item.payload)
        if differs:
            raise JournalRefused(Fault.NONDETERMINISM, path, item.offset, differs)


def refuse_engine(epoch: Special, path: Path) -> None:
    """JournalRefused when an epoch was written by another engine: its events would be others."""
    found = int(np.frombuffer(epoch.payload, EPOCH_PAYLOAD, 1)["engine_version"][0])
    if found != ENGINE_VERSION:
        detail = f"written by engine version {found}, this is version {ENGINE_VERSION}"
        hint = "replay it with the version that wrote it"
        raise JournalRefused(Fault.ENGINE_VERSION, path, epoch.offset, detail, hint)


def up_to(item: Commands, to: int) -> Slots:
    """The slots of the commands with a sequence of at most ``to``."""
    if item.last_sequence <= to:
        return item.slots
    place = 0
    while place < len(item.slots):
        command = item.slots[place].view(COMMAND)[0]
        if int(command["sequence"]) > to:
            break
        place += int(command["slots"])
    return item.slots[:place]
