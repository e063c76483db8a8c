"""A private engine led through the journal of a directory: the state as it was, command by command.

``begin`` is the one place that says where it starts.  Works beside a live exchange: the journal is
read, nothing is written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.constants import SEQUENCE_MAX
from core.jit import entry
from core.journal import witness
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import CHECKPOINT, EPOCH_START, GENESIS
from core.journal.reader import Commands, Special, Walk
from core.journal.recovery import refuse_lost
from core.journal.segments import segment_path
from core.journal.verify import locate, open_walk
from core.messages import COMMAND, SLOTS_AT
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State
from replay.replay import NoSuchSequence, Replay, refuse_engine, up_to

RING_EVENTS_MIN: Final = 1 << 14

Slots = np.ndarray[Any, np.dtype[np.uint8]]
Items = Iterator[Commands | Special]


class Beginning(NamedTuple):
    """A state, and what of the journal comes after it."""

    replay: Replay
    items: Items
    walk: Walk
    directory: Path
    witnessed: Any


def begin(data: Path) -> Beginning:
    """The state at genesis and all that follows.

    Raises JournalRefused when there is no journal or it does not begin with GENESIS.
    """
    directory, uuid = locate(data)
    witnessed = witness.read(directory, uuid)
    walk = open_walk(data, watch=witnessed.sequence)
    items = iter(walk)
    first = next(items, None)
    if not isinstance(first, Special) or first.kind != GENESIS:
        raise JournalRefused(Fault.MISSING, data, 0, "the journal does not begin with GENESIS")
    return Beginning(Replay(first.payload), items, walk, directory, witnessed)


class History:
    """The journal of ``data`` and the state after what of it was applied so far."""

    def __init__(self, data: Path) -> None:
        self._from = begin(data)
        self.replay = self._from.replay
        self.state: State = self.replay.state
        self.apply_entry = entry(apply_batch)
        events = 2 * self.state["orders_max"] + RING_EVENTS_MIN  # One command's, at the most.
        self._ring = PrivateRing(1 << (events - 1).bit_length())
        self._ring.attach(self.state)

    @property
    def sequence(self) -> int:
        """The newest command that was applied."""
        return self.state["sequence"]

    def batches(self) -> Iterator[Commands]:
        """Commands side by side, whole blocks, in order.  The caller applies them, all of them.

        Raises JournalRefused where the journal is damaged, or another engine or another state was
        at work.
        """
        for item in self._from.items:
            if isinstance(item, Commands):
                yield item
            elif item.kind == EPOCH_START:
                refuse_engine(item, segment_path(self._from.directory, item.segment_no))
            elif item.kind == CHECKPOINT:
                self._compare(item)
        walk = self._from.walk
        if walk.tail is not None:
            refuse_lost(walk.tail, self._from.directory, self._from.witnessed, walk.state)

    def _compare(self, item: Special) -> None:
        differs = self.replay.difference(item.payload)
        if differs:
            path = segment_path(self._from.directory, item.segment_no)
            raise JournalRefused(Fault.NONDETERMINISM, path, item.offset, differs)

    def apply(self, slots: Slots) -> None:
        """Apply whole commands."""
        if len(slots):
            self.replay.apply(slots)

    def to(self, sequence: int | None) -> State:
        """The state after ``sequence``, None: the newest; NoSuchSequence when there is none."""
        self.up_to(SEQUENCE_MAX if sequence is None else sequence)
        if sequence is not None and self.sequence != sequence:
            end = f"it ends with {self.sequence}" if self.sequence < sequence else "it was skipped"
            raise NoSuchSequence(f"--at: the journal has no sequence {sequence}; {end}")
        return self.state

    def up_to(self, sequence: int) -> State:
        """The state after the newest command with at most this sequence."""
        for batch in self.batches():
            self.apply(up_to(batch, sequence))
            if batch.last_sequence >= sequence:
                break
        return self.state

    def events(self, start: int = 0) -> "np.ndarray[Any, Any]":
        """The events since the last call, without the first ``start``, a copy.

        They must fit the ring: those of one command do.
        """
        found = self._ring.between(start, self._ring.published())
        self._ring.attach(self.state)
        return found

    def forget_events(self) -> None:
        """Nobody wants the events so far."""
        self._ring.attach(self.state)


def command_at(slots: Slots, place: int) -> Any:
    """The prefix of the command that begins at ``place``."""
    return slots[place].view(COMMAND)[0]


def starts(slots: Slots) -> list[int]:
    """Where each command begins."""
    found, place = [], 0
    while place < len(slots):
        found.append(place)
        place += int(slots[place, SLOTS_AT])
    return found
