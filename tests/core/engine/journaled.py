"""An engine whose commands are journaled by the journal's own writer, and that can start again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.crc32c import record_crc32c
from core.journal.appender import NO_ROOM, append
from core.journal.config import JournalConfig
from core.journal.layout import RELAXED
from core.journal.writer import Writer
from core.messages import CRC_AT, SLOTS_AT
from core.sequencer import checkpoint
from core.sequencer.engine import ENGINE_VERSION
from core.sequencer.runner import Runner
from core.sequencer.start import Start
from core.sequencer.state import PrivateRing, State
from replay import snapshots
from tests.driver import EngineDriver, limits_of
from tests.model.commands import Command
from tests.model.events import Event
from tests.model.state import Sizes
from tests.model.translate import batch_of, events_of

RING_EVENTS: Final = 1 << 14
SEGMENT_BYTES: Final = 1 << 20


class Over(Runner):
    """A runner over a state that is there already."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.ring = PrivateRing(RING_EVENTS)
        self.ring.attach(state)
        self._seen = self.ring.published()


class Journaled(EngineDriver):
    """Each batch is a block of the journal in ``data``."""

    def __init__(self, data: Path, sizes: Sizes) -> None:
        self._data = data
        self._config = JournalConfig(
            RELAXED,
            limits_of(sizes),
            ENGINE_VERSION,
            segment_bytes=SEGMENT_BYTES,
            allow_volatile=True,
        )
        self.recovered = 0  # Commands that the newest start read behind its snapshot.
        super().__init__(sizes, runner=self._start())

    def _start(self) -> Over:
        start = Start(self._data, self._config, populate=False)
        self._recovery = start.recovery
        self._writer = Writer(start.recovery)
        self.recovered = start.commands
        over = Over(start.state)  # Its ring instead of that of the start.
        start.output.segment.unlink()
        start.output.segment.close()
        return over

    def apply(self, commands: Sequence[Command]) -> list[Event]:
        """As the driver's, journaled first."""
        slots = batch_of(commands)
        self._journal(slots, commands)
        self.runner.apply(slots)
        return events_of(self.runner.events())

    def _journal(self, slots: "np.ndarray[Any, Any]", commands: Sequence[Command]) -> None:
        place = 0
        while place < len(slots):
            row = slots[place]
            count = int(row[SLOTS_AT])
            crc = int(record_crc32c(row.ctypes.data, count))
            row[CRC_AT : CRC_AT + 4] = np.frombuffer((crc & 0xFFFFFFFF).to_bytes(4, "little"), "u1")
            place += count
        first, last = commands[0], commands[-1]
        given = (slots.ctypes.data, len(slots), len(commands), first.sequence, last.sequence)
        done = append(self._writer.address, *given, last.timestamp_ns)
        if done == NO_ROOM:
            self._writer.rotate()
            done = append(self._writer.address, *given, last.timestamp_ns)
        assert done == 0, done

    def checkpoint(self) -> None:
        """Journal where the state is."""
        self._writer.checkpoint(checkpoint.payload_of(self.runner.state))

    def snapshot(self) -> int:
        """Make a snapshot out of the journal, as the replayer does; its sequence."""
        self.checkpoint()
        made = snapshots.make(self._data)
        assert made.state_hash == self.runner.state_hash().hex()
        return made.sequence

    def restart(self) -> None:
        """Stop, and start again from the newest snapshot and what the journal has behind it."""
        state_hash, event_hash = self.runner.state_hash(), self.runner.event_hash()
        self.checkpoint()
        self._writer.close()
        self.runner = self._start()
        assert self.runner.state_hash() == state_hash
        assert self.runner.event_hash() == event_hash

    def close(self) -> None:
        self._writer.close()
