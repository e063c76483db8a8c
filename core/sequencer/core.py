"""One life of the core: recover, replay, fence, make the rings, serve, stop.

``Core`` is the process without its command line, so that tests and the warm-up run it too.
"""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core import memory
from core.clock import monotonic_ns, realtime_ns
from core.constants import BATCH_SLOTS_MAX, REPLY_BYTES, RING_POLL_SLOTS, SLOT_BYTES
from core.counters import READY, RECOVERED_COMMANDS, STARTED_NS, STATE, create_counters, gauge
from core.jit import entry
from core.journal.config import JournalConfig
from core.journal.errors import fail_stop
from core.journal.writer import Writer
from core.messages import NAME_REPLY, QUERY, packed
from core.ring import create_inbound, create_replies
from core.sequencer import checkpoint
from core.sequencer.engine import apply_batch
from core.sequencer.queries import REPLIES_MAX, answer
from core.sequencer.sequencer import (
    CHECKPOINT_DUE,
    ENGINE_FAILED,
    LOOK,
    LOOP,
    MARKER_DUE,
    QUERIES_MAX,
    ROTATE,
    STATE_ASKED,
    push_answer,
    show_state,
    turn,
)
from core.sequencer.start import Start
from core.shm import Segment
from core.stages import create_stages
from core.wake import Waiter, open_fifo

RECOVERING: Final = 0
SERVING: Final = 1
STOPPING: Final = 2
CORE_FILE: Final = "core.json"


def _nothing() -> None:
    """What is looked at between two turns, where nobody asks."""


class CoreConfig(NamedTuple):
    """What one core is started with."""

    data: Path
    journal: JournalConfig
    gateways: tuple[str, ...]
    idle: int
    populate: bool = True
    stages: bool = False  # Stamp every command at each stage.


class Core:
    """See the module.  ``request_stop`` may be called from a signal handler."""

    def __init__(
        self, config: CoreConfig, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Recover and replay; raises the errors of ``recover``."""
        self.config = config
        start = Start(config.data, config.journal, populate=config.populate, progress=progress)
        self.recovery, self.state, self.output = start.recovery, start.state, start.output
        self.epoch, self.shm = start.epoch, start.shm
        self.recovered = start.commands
        self.bad_snapshots = start.bad_snapshots
        self.writer = Writer(self.recovery)
        self.counters = create_counters(self.shm, self.epoch)
        self.stages = create_stages(self.shm, self.epoch) if config.stages else None
        self.looked: Callable[[], None] = _nothing  # Called between two turns, at least each 50 ms.
        run = config.data / "run"
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.run = run
        self._make_gateways(run)
        self._make_loop()

    def _make_gateways(self, run: Path) -> None:
        names = self.config.gateways
        self.inbound = [
            create_inbound(self.shm, name, number, self.epoch)
            for number, name in enumerate(names, 1)
        ]
        self.replies = [
            create_replies(self.shm, name, number, self.epoch)
            for number, name in enumerate(names, 1)
        ]
        self.fifos = [open_fifo(run, name) for name in names]
        self.fifo = open_fifo(run, "core")
        self.waiter = Waiter(self.fifo, self.output.sleeping_at, self.config.idle)

    def _make_loop(self) -> None:
        self._row = np.zeros(1, LOOP)
        self.loop = int(self._row.ctypes.data)
        row = self.row = self._row[0]
        self._buffers: list[Any] = []

        def words(values: list[int]) -> int:
            array = np.array(values or [0], np.int64)
            self._buffers.append(array)
            return int(array.ctypes.data)

        def room(size: int) -> int:
            owner, address = memory.region(size, touch=True)
            self._buffers.append(owner)
            return address

        row["apply_entry"], row["answer_entry"] = entry(apply_batch), entry(answer)
        row["state"], row["journal"] = self.state.address, self.writer.address
        row["ends"] = words([ring.end for ring in self.inbound])
        row["replies"] = words([ring.end for ring in self.replies])
        row["sleeping"] = words([ring.sleeping_at for ring in self.inbound])
        row["fifos"] = words(self.fifos)
        row["asked"] = words([0] * len(self.inbound))
        row["waiter"], row["counters"] = self.waiter.address, self.counters.words
        row["batch"] = room(BATCH_SLOTS_MAX * SLOT_BYTES)
        row["staging"] = room(RING_POLL_SLOTS * SLOT_BYTES)
        row["queries"] = room(QUERIES_MAX * SLOT_BYTES)
        row["answers"] = room(REPLIES_MAX * REPLY_BYTES)
        row["stages"] = self.stages.end if self.stages is not None else 0
        row["gateway_count"] = len(self.inbound)
        row["sequence"] = self.writer.row.next_sequence - 1
        row["timestamp_ns"] = max(self.recovery.timestamp_ns, self.state["timestamp_ns"])
        row["checkpoint_ns"] = monotonic_ns()

    def segments(self) -> list[Segment]:
        """Everything that is shared, in the order in which it is published and unlinked."""
        found = [ring.segment for ring in self.inbound]
        found += [ring.segment for ring in self.replies]
        if self.stages is not None:
            found.append(self.stages.segment)
        return [*found, self.output.segment, self.counters.segment]

    def publish(self) -> None:
        """Let adapters attach: every segment, then DATA/run/core.json."""
        words = self.counters.words
        gauge(words, STATE, SERVING)
        gauge(words, STARTED_NS, realtime_ns())
        gauge(words, RECOVERED_COMMANDS, self.recovered)
        show_state(self.loop)
        for segment in self.segments():
            segment.publish()
        gauge(words, READY, 1)
        description = {
            "epoch": self.epoch,
            "pid": os.getpid(),
            "shm": self.shm,
            "durability": self.config.journal.durability_name,
            "gateways": {name: n for n, name in enumerate(self.config.gateways, 1)},
            "journal_uuid": self.recovery.directory.name,
            "stages": self.stages is not None,
        }
        temporary = self.run / f"{CORE_FILE}.new"
        temporary.write_text(json.dumps(description))
        temporary.replace(self.run / CORE_FILE)

    def request_stop(self) -> None:
        """End ``serve`` after what is at hand."""
        self.row["stop"] = 1

    def serve(self) -> None:
        """Run duty cycles until ``request_stop``; a failed write ends the process (exit 70)."""
        while not (self.row["stop"] and self.row["commands"] == 0):
            self.step(int(turn(self.loop)))
            self.looked()

    def step(self, due: int) -> None:
        """What ``turn`` wants from Python."""
        if due == LOOK:
            return
        if due == ENGINE_FAILED:
            fail_stop("an invariant of the engine is broken")
        elif due < 0:
            self.writer.fail(due)
        elif due == ROTATE:
            self.writer.rotate()
        elif due == CHECKPOINT_DUE:
            self.writer.checkpoint(checkpoint.payload_of(self.state))
            self.row["checkpoint_commands"] = 0
            self.row["checkpoint_ns"] = monotonic_ns()
        elif due == MARKER_DUE:
            self.writer.marker()
            self.row["marker_owed"] = 0
        elif due == STATE_ASKED:
            self._answer_state()

    def _answer_state(self) -> None:
        place = int(self.row["queries"]) + int(self.row["query_next"]) * SLOT_BYTES
        query = memory.view(place, QUERY, 1)[0]
        answer = memory.view(int(self.row["answers"]), NAME_REPLY, 1)
        answer[0] = np.zeros((), NAME_REPLY)
        for name in ("request_id", "session", "kind"):
            answer[name] = query[name]
        answer["as_of"] = answer["id"] = self.state["sequence"]
        answer["flags"], answer["count"] = 1, 1
        answer["name"] = packed(self.state.hash().hex(), 36)
        push_answer(self.loop, 1)

    def close(self) -> None:
        """A clean stop: everything durable, the lock given up, nothing left in /dev/shm."""
        gauge(self.counters.words, READY, 0)
        gauge(self.counters.words, STATE, STOPPING)
        with contextlib.suppress(FileNotFoundError):
            (self.run / CORE_FILE).unlink()
        self.writer.close()
        for segment in self.segments():
            segment.unlink()
        for descriptor in (*self.fifos, self.fifo):
            os.close(descriptor)
