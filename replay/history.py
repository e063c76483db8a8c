"""A private engine led through the journal of a directory: the state as it was, command by command.

``begin`` is the one place that says where it starts.  Works beside a live exchange: the journal is
read, nothing is written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.constants import SEQUENCE_MAX
from core.jit import entry
from core.journal.ahead import read_ahead
from core.journal.scanner import Commands
from core.journal.segments import segment_path
from core.journal.snapshots import directories
from core.journal.verify import judge_end
from core.messages import COMMAND, SLOTS_AT
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State
from replay.replay import NoSuchSequence, Source, compare, source, up_to

RING_EVENTS_MIN: Final = 1 << 14

Slots = np.ndarray[Any, np.dtype[np.uint8]]


def begin(data: Path, before: int | None = None) -> Source:
    """The newest snapshot that is not behind ``before``; without one, as early as can be.

    Raises JournalRefused, and NoSuchSequence when the journal is shortened and no snapshot usable.
    """
    if before is not None and directories(data):
        try:
            return source(data, to=before, from_snapshot=True)
        except NoSuchSequence:  # All are behind it.
            pass
    try:
        return source(data)
    except NoSuchSequence as error:
        for directory in reversed(directories(data)):  # The journal was shortened: the oldest.
            try:
                return source(data, to=int(directory.name), from_snapshot=True)
            except NoSuchSequence:
                continue
        raise error


class History:
    """The journal of ``data`` and the state after what of it was applied so far."""

    def __init__(self, data: Path, before: int | None = None) -> None:
        """Begins at ``before`` or earlier; None: as early as can be."""
        self._data = data
        self.replay, self._walk, _ = begin(data, before)
        self.state: State = self.replay.state
        self.apply_entry = entry(apply_batch)
        events = 2 * self.state["orders_max"] + RING_EVENTS_MIN  # One command's, at the most.
        self._ring = PrivateRing(1 << (events - 1).bit_length())
        self._ring.attach(self.state)
        self.first_sequence = self.sequence  # The state before which nothing can be seen.

    @property
    def sequence(self) -> int:
        """The newest command that was applied."""
        return self.state["sequence"]

    def batches(self) -> Iterator[Commands]:
        """Commands side by side, whole blocks, in order.  The caller applies them, all of them.

        Raises JournalRefused where the journal is damaged, or another engine or another state was
        at work.
        """
        for item in read_ahead(self._walk):
            if isinstance(item, Commands):
                yield item
            else:
                compare(self.replay, item, segment_path(self._walk.directory, item.segment_no))
        judge_end(self._data, self._walk)

    def apply(self, slots: Slots) -> None:
        """Apply whole commands."""
        if len(slots):
            self.replay.apply(slots)

    def to(self, sequence: int | None) -> State:
        """The state after ``sequence``, None: the newest; NoSuchSequence when there is none."""
        self.up_to(SEQUENCE_MAX if sequence is None else sequence)
        if sequence is not None and self.sequence != sequence:
            end = f"it ends with {self.sequence}"
            if self.first_sequence > sequence:
                end = f"the oldest state that can be had is that of {self.first_sequence}"
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
