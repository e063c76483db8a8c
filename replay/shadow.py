"""The shadow: the same engine beside the live one, following the journal, command by command.

It compares itself with every CHECKPOINT and hands every event to the archive.  What it has is the
source of snapshots and of the witness, and never more than what is durable.
"""

from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from core.journal.follow import Follower
from core.journal.layout import GENESIS, SEAL
from core.journal.place import Place
from core.journal.recovery import Known
from core.journal.scanner import Commands, Special
from core.journal.segments import segment_path
from core.messages import EVENT
from core.sequencer.snapshot import Loaded
from core.sequencer.state import PrivateRing
from replay.replay import Replay, compare

RING_EVENTS: Final = 1 << 22  # More than any batch can make; only what is used takes memory.
Events = np.ndarray[Any, Any]


class Sink(Protocol):
    """What takes the events: core.archive's writer."""

    @property
    def last(self) -> tuple[int, int]:
        """(sequence, index) of the newest event it has."""

    def append(self, address: int, count: int, event_hash: int) -> None:
        """Take events that lie together."""

    def gap(self, sequence: int) -> None:
        """Events behind ``last`` up to those of ``sequence`` are not at hand."""


class Shadow:
    """``step`` applies what has come; ``sealed`` are segments that were left since it was emptied.

    Raises JournalRefused as ``Follower`` does, and (NONDETERMINISM) at the first difference.
    """

    def __init__(
        self, directory: Path, uuid: bytes, loaded: Loaded | None, sink: Sink | None
    ) -> None:
        self._directory = directory
        self._sink = sink
        start = loaded.manifest.place if loaded else None
        self.follower = Follower(directory, uuid, start)
        self.known = loaded.known if loaded else Known()
        self.replay: Replay | None = None
        self.sealed: list[int] = []
        if loaded is not None:
            genesis = bytes.fromhex(loaded.manifest.genesis)
            self.replay = Replay(genesis, state=loaded.state, ring_events=RING_EVENTS)

    @property
    def place(self) -> Place:
        """Behind the newest command that was applied."""
        return self.follower.place

    @property
    def sequence(self) -> int:
        """Of the newest command that was applied."""
        return self.replay.state["sequence"] if self.replay is not None else 0

    def step(self, durable_sequence: int, commands_max: int) -> int:
        """Apply about ``commands_max`` commands of what is there; how many that were."""
        done = 0
        for item in self.follower.poll(durable_sequence):
            done += self.take(item)
            if done >= commands_max:
                break
        return done

    def take(self, item: Commands | Special) -> int:
        """One item of the journal; how many commands were applied."""
        self.known.take(item)
        if isinstance(item, Commands):
            return self._apply(item)
        self._look_at(item)
        return 0

    def _look_at(self, item: Special) -> None:
        if item.kind == GENESIS and self.replay is None:
            self.replay = Replay(item.payload, ring_events=RING_EVENTS)
        elif item.kind == SEAL:
            self.sealed.append(item.segment_no)
        if self.replay is not None:
            compare(self.replay, item, segment_path(self._directory, item.segment_no))

    def _apply(self, item: Commands) -> int:
        replay = self.replay
        assert replay is not None
        before = replay.commands
        ring: PrivateRing = replay.ring
        ring.attach(replay.state)
        replay.apply(item.slots)
        if self._sink is not None:
            count = ring.published()
            if count > ring.capacity:
                self._sink.gap(item.last_sequence)
            else:
                self._keep(self._sink, ring, count)
        return replay.commands - before

    def _keep(self, sink: Sink, ring: PrivateRing, count: int) -> None:
        """The events of a batch to the archive, but for those that it has already."""
        assert self.replay is not None
        first = seen(ring.events[:count], sink.last)
        if first < count:
            address = ring.base + first * EVENT.itemsize
            sink.append(address, count - first, self.replay.state["event_hash"])

    def close(self) -> None:
        """Let go of the journal's file."""
        self.follower.close()


def seen(events: Events, last: tuple[int, int]) -> int:
    """How many of these events, in order, are not behind ``last``."""
    sequence, index = last
    if not len(events) or int(events[0]["sequence"]) > sequence:
        return 0
    before = int(np.searchsorted(events["sequence"], sequence, "left"))
    same = int(np.searchsorted(events["sequence"], sequence, "right"))
    return before + int(np.searchsorted(events["index"][before:same], index, "right"))
