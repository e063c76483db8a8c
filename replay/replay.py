"""Replay: journal to engine, the same code, no adapters, without disturbing a live exchange.

Each CHECKPOINT of the journal says where the live core was; the replayed state must be there too.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from core.clock import monotonic_ns
from core.constants import SLOT_BYTES
from core.jit import entry
from core.journal import witness
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import (
    CHECKPOINT,
    EPOCH_PAYLOAD,
    EPOCH_START,
    GENESIS,
)
from core.journal.reader import Commands, Special
from core.journal.recovery import refuse_lost
from core.journal.segments import segment_path
from core.journal.verify import locate, open_walk
from core.limits import from_genesis
from core.messages import COMMAND
from core.sequencer import checkpoint, invariants
from core.sequencer.engine import ENGINE_VERSION, apply_batch
from core.sequencer.state import PrivateRing, State

RING_EVENTS: Final = 1 << 14
CHECKED_FIRST: Final = 1_000  # With ``check``: every one of the first, then one in CHECKED_EVERY.
CHECKED_EVERY: Final = 1_000
EXIT_USAGE: Final = 64
EXIT_FAILED: Final = 70

Slots = np.ndarray[Any, np.dtype[np.uint8]]


class NoSuchSequence(Exception):
    """The journal does not hold the sequence that was asked for."""

    exit_code = EXIT_USAGE


class Broken(Exception):
    """An invariant of the state does not hold."""

    exit_code = EXIT_FAILED


class Replay:
    """A state at genesis, and the commands that are applied to it."""

    def __init__(self, genesis: bytes, *, check: bool = False) -> None:
        limits, id_key = from_genesis(genesis)
        self.state = State(limits, id_key)
        self._ring = PrivateRing(RING_EVENTS)  # Nobody reads it.
        self._ring.attach(self.state)
        entry(apply_batch)  # Loaded now, so that it is not measured.
        self._check = check
        self.commands = 0
        self.checkpoints = 0
        self.elapsed_ns = 0

    def apply(self, slots: Slots) -> None:
        """Apply whole commands; Broken when ``check`` was asked for and an invariant breaks."""
        begun_ns = monotonic_ns()
        if self._check:
            self._apply_checked(slots)
        else:
            address = slots.ctypes.data
            self.commands += int(apply_batch(self.state.address, address, len(slots)))
        self.elapsed_ns += monotonic_ns() - begun_ns

    def _apply_checked(self, slots: Slots) -> None:
        place = 0
        while place < len(slots):
            command = slots[place].view(COMMAND)[0]
            address = slots.ctypes.data + place * SLOT_BYTES
            apply_batch(self.state.address, address, int(command["slots"]))
            place += int(command["slots"])
            self.commands += 1
            if self.commands <= CHECKED_FIRST or self.commands % CHECKED_EVERY == 0:
                self.check()

    def check(self) -> None:
        """Every invariant of the whole state; Broken with the first that is broken."""
        try:
            invariants.check(self.state)
        except AssertionError as broken:
            raise Broken(f"after sequence {self.state['sequence']}: {broken}") from broken

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


def run(data: Path, *, to: int | None = None, check: bool = False) -> dict[str, Any]:
    """Apply the journal of ``data`` from genesis up to sequence ``to`` (None: all of it).

    ``check``: all invariants after each of the first commands, then after one in CHECKED_EVERY,
    and at the end.  Raises JournalRefused, NoSuchSequence and Broken.
    """
    directory, uuid = locate(data)
    witnessed = witness.read(directory, uuid)
    walk = open_walk(data, watch=witnessed.sequence)
    items = iter(walk)
    first = next(items, None)
    if not isinstance(first, Special) or first.kind != GENESIS:
        raise JournalRefused(Fault.MISSING, data, 0, "the journal does not begin with GENESIS")
    replay = Replay(first.payload, check=check)
    for item in items:
        if isinstance(item, Special) and item.kind == EPOCH_START:
            refuse_engine(item, segment_path(directory, item.segment_no))
        if isinstance(item, Commands):
            replay.apply(item.slots if to is None else up_to(item, to))
            if to is not None and item.last_sequence >= to:
                break
        elif item.kind == CHECKPOINT:
            differs = replay.difference(item.payload)
            if differs:
                path = segment_path(directory, item.segment_no)
                raise JournalRefused(Fault.NONDETERMINISM, path, item.offset, differs)
    if walk.tail is not None:  # The end was seen, so it can be judged.
        refuse_lost(walk.tail, directory, witnessed, walk.state)
    last = replay.state["sequence"]
    if to is not None and last != to:
        raise NoSuchSequence(f"--to: the journal has no sequence {to}; it ends with {last}")
    if check:
        replay.check()
    return replay.result()


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
