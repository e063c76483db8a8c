"""Run every compiled entry once on a tiny exchange, so that the cache holds all of them.

Called by ``outcry compile`` and before the first start; a warm cache makes it a matter of seconds.
"""

import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from core import messages as m
from core.archive.warm import warm as warm_archive
from core.clock import monotonic_ns
from core.constants import SLOT_BYTES
from core.drain import EventReader
from core.journal.config import JournalConfig
from core.journal.layout import RELAXED
from core.journal.verify import verify
from core.limits import SMALL
from core.output import attach_output
from core.ring import attach_inbound, attach_replies, has_work, offer, take
from core.sequencer import invariants
from core.sequencer.core import Core, CoreConfig
from core.sequencer.runner import Runner
from core.sequencer.sequencer import turn
from core.stages import attach_stages, mark
from core.wake import BLOCK, wake

SEGMENT_BYTES: Final = 1 << 20
GATEWAY: Final = "warm.0"


def warm() -> None:
    """Compile what is not compiled yet, by running it."""
    runner = Runner(SMALL, (1, 3, 5, 7), ring_events=1 << 12)
    for sequence, slots in enumerate(commands(), 1):
        slots.view(m.COMMAND)["sequence"] = sequence
        slots.view(m.COMMAND)["timestamp_ns"] = sequence
        runner.apply(slots)
    for kind in range(m.QUERY_FIRST, m.QUERY_LAST + 1):
        query = np.zeros(1, m.QUERY)
        query["kind"] = kind
        runner.query(query.tobytes())
    invariants.check(runner.state)
    with tempfile.TemporaryDirectory() as directory:
        live(Path(directory))


def commands() -> list["np.ndarray[Any, Any]"]:
    """One command of each kind; their outcome does not matter."""
    made = []
    for kind in sorted(m.COMMAND_NAMES):
        slots = np.zeros((2 if kind == m.CREATE_INSTRUMENT else 1, SLOT_BYTES), np.uint8)
        prefix = slots.view(m.COMMAND)
        prefix["kind"][0], prefix["schema"][0], prefix["slots"][0] = kind, m.SCHEMA, len(slots)
        made.append(slots)
    return made


def live(data: Path) -> None:
    """A core and an adapter's end of its rings in this process, for one command."""
    journal = JournalConfig(RELAXED, SMALL, segment_bytes=SEGMENT_BYTES, allow_volatile=True)
    core = Core(CoreConfig(data, journal, (GATEWAY,), BLOCK, populate=False, stages=True))
    core.publish()
    inbound = attach_inbound(core.shm, GATEWAY, 1, core.epoch)
    replies = attach_replies(core.shm, GATEWAY, 1, core.epoch)
    output = attach_output(core.shm, core.epoch)
    stages = attach_stages(core.shm, core.epoch, writable=True)
    reader = EventReader(output, 1, 0)
    slot = commands()[0]
    address = int(slot.ctypes.data)
    mark(address, monotonic_ns(), monotonic_ns())
    offer(inbound.end, address, 1, 0)
    slot.view(m.QUERY)["kind"] = m.QUERY_SESSION
    offer(inbound.end, address, 1, 1)
    wake(output.sleeping_at, core.fifo)
    core.step(int(turn(core.loop)))
    reader.drain()
    stages.answered(1)
    stages.read()
    warm_archive(data / "events", output)
    rows = np.zeros(4, m.REPLY)
    has_work(replies.end)
    take(replies.end, int(rows.ctypes.data), 4)
    core.request_stop()
    core.serve()
    for part in (inbound, replies, output, stages):
        part.close()
    core.close()
    verify(data)
