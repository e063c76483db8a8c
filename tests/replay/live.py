"""A live core in this process, with one gateway, over a journal in a temporary directory."""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.journal.config import JournalConfig
from core.journal.layout import RELAXED
from core.limits import SMALL
from core.ring import attach_inbound, offer
from core.sequencer.core import Core, CoreConfig
from core.sequencer.engine import ENGINE_VERSION
from core.sequencer.sequencer import CHECKPOINT_DUE, turn
from core.wake import BLOCK
from tests.model import flows
from tests.model.commands import Command
from tests.model.translate import batch_of

GATEWAY: Final = "test.0"
AT_ONCE: Final = 10  # Commands of a block; behind each comes a MARKER, but only 5 ms later.
JOURNAL: Final = JournalConfig(
    RELAXED, SMALL, engine_version=ENGINE_VERSION, segment_bytes=1 << 20, allow_volatile=True
)


class Live:
    """The core, and the end of its ring that an adapter would have."""

    def __init__(
        self, data: Path, journal: JournalConfig = JOURNAL, *, stages: bool = False
    ) -> None:
        config = CoreConfig(data, journal, (GATEWAY,), BLOCK, populate=False, stages=stages)
        self.core = Core(config)
        self.core.publish()
        self._ring = attach_inbound(self.core.shm, GATEWAY, 1, self.core.epoch)

    @property
    def sequence(self) -> int:
        return int(self.core.state["sequence"])

    @property
    def state_hash(self) -> str:
        return self.core.state.hash().hex()

    @property
    def end(self) -> int:
        """The adapter's end of the inbound ring, for ``offer``."""
        return self._ring.end

    def send(self, commands: Iterable[Command], at_once: int = AT_ONCE) -> None:
        """Offer ``at_once`` commands and let the core work until it has applied them; and on."""
        waiting = iter(commands)
        while some := list(itertools.islice(waiting, at_once)):
            expected = self.sequence + len(some)
            for command in some:
                slots = batch_of([command])
                assert offer(self._ring.end, int(slots.ctypes.data), len(slots), 0) == 1
            while self.sequence < expected:
                self.core.step(int(turn(self.core.loop)))

    def checkpoint(self) -> None:
        """Journal where the state is."""
        self.core.step(CHECKPOINT_DUE)

    def crash(self) -> None:
        """Let go without a word, as a killed process does, but for what lies in /dev/shm."""
        writer = self.core.writer
        writer.row.stop = 1
        if writer._syncer is not None:
            writer._syncer.join()
        os.close(writer.row.fd)
        writer.row.fd = -1
        self.core.recovery.lock.close()
        self._ring.close()
        for segment in self.core.segments():
            segment.unlink()

    def close(self) -> None:
        self._ring.close()
        self.core.request_stop()
        self.core.serve()
        self.core.close()


def some_commands(count: int, seed: int = 1) -> list[Command]:
    """What makes a market, and orders for it; deterministic by seed."""
    flow = flows.made(seed, count, symbols=1)
    first = flows.set_up(flow.symbols)
    start = len(first) + 1
    return [*first, *(flows.command_of(op, start + n) for n, op in enumerate(flow.ops))]
