"""Journals for benchmarks: order flows, written by the journal's own writer in blocks of any size.

A flow is run through the engine as often as it takes, and everything is canceled between two
rounds, so that round 100 works on the same book as round 1.  CHECKPOINTs stand where the live core
would write them.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bench import flow as flows
from bench.market import limits_for, setup_commands, stamp
from core.constants import CHECKPOINT_COMMANDS, SLOT_BYTES
from core.crc32c import record_crc32c
from core.jit import entry, kernel
from core.journal.appender import NO_ROOM, append
from core.journal.config import JournalConfig
from core.journal.layout import SYNC
from core.journal.writer import Writer
from core.limits import Limits
from core.memory import load_u8, store_i32
from core.messages import CRC_AT, MASS, MASS_CANCEL, SCHEMA, SLOTS_AT
from core.sequencer import checkpoint
from core.sequencer.engine import ENGINE_VERSION, apply_batch
from core.sequencer.start import Start
from core.sequencer.state import PrivateRing

Array = np.ndarray[Any, Any]
RING_EVENTS: Final = 1 << 18
START_NS: Final = 1_700_000_000_000_000_000


class Made(NamedTuple):
    """What was written."""

    limits: Limits
    commands: int
    state_hash: str


@kernel
def complete(commands: int, slots: int) -> None:
    """Give complete commands their checksums."""
    place = 0
    while place < slots:
        address = commands + place * SLOT_BYTES
        size = load_u8(address + SLOTS_AT)
        store_i32(address + CRC_AT, record_crc32c(address, size))
        place += size


class JournalMaker:
    """A journal of ``flow`` in ``data`` with ``block`` commands a block."""

    def __init__(self, data: Path, flow: flows.Flow, block: int) -> None:
        """Begin a journal, or go on with one that was made of the same flow."""
        self._flow, self._block = flow, block
        self._users = int(flow.records["user"].max()) + 1
        self.limits = limits_for(flow, self._users)
        start = Start(data, JournalConfig(SYNC, self.limits, ENGINE_VERSION, allow_volatile=True))
        start.output.segment.unlink()
        self._start = start
        self.state = start.state
        self._ring = PrivateRing(RING_EVENTS)
        self._ring.attach(self.state)
        self._writer = Writer(start.recovery)
        self.commands = self.state["sequence"]
        self._unchecked = 0
        if not self.commands:
            for slots in setup_commands(flow, self._users):
                self._apply(slots)
                self._write(slots, 1)

    def write(self, commands: int) -> Made:
        """Write at least ``commands`` more; closes the journal."""
        end = self.commands + commands
        while self.commands < end:
            self._round(end - self.commands)
        self._writer.close()
        return Made(self.limits, self.commands, self.state.hash().hex())

    def _round(self, most: int) -> None:
        slots = flows.to_commands(self._flow)[:most]
        self._stamp(slots)
        own = np.ascontiguousarray(self._flow.records["order_id"].astype(np.int64))
        ids = np.zeros(int(self._flow.max_order_id) + 1, np.int64)
        engine = entry(apply_batch)
        for start in range(0, len(slots), self._block):
            part = slots[start : start + self._block]
            flows.bind_order_ids(
                engine,
                self.state.address,
                part.ctypes.data,
                len(part),
                ids.ctypes.data,
                own[start:].ctypes.data,
            )
            self._write(part, len(part))
        if len(slots) == len(self._flow.records):
            self._cancel_all()

    def _cancel_all(self) -> None:
        slots = np.zeros(self._users, MASS)
        slots["kind"], slots["schema"], slots["slots"] = MASS_CANCEL, SCHEMA, 1
        slots["account"] = np.arange(self._users) + flows.FIRST_TRADER
        self._stamp(slots)
        for start in range(0, len(slots), self._block):
            part = slots[start : start + self._block]
            self._apply(part)
            self._write(part, len(part))

    def _stamp(self, slots: Array) -> None:
        stamp(slots, self.commands + 1)
        slots["timestamp_ns"] += START_NS

    def _apply(self, slots: Array) -> None:
        apply_batch(self.state.address, slots.ctypes.data, slots.nbytes // SLOT_BYTES)

    def _write(self, slots: Array, count: int) -> None:
        first, n_slots = self.commands + 1, slots.nbytes // SLOT_BYTES
        address = int(slots.ctypes.data)
        complete(address, n_slots)
        last = first + count - 1
        given = (address, n_slots, count, first, last, START_NS + last * 1_000)
        done = append(self._writer.address, *given)
        if done == NO_ROOM:
            self._writer.rotate()
            done = append(self._writer.address, *given)
        if done != 0:
            self._writer.fail(int(done))
        self.commands = last
        self._unchecked += count
        if self._unchecked >= CHECKPOINT_COMMANDS:
            self._unchecked = 0
            self._writer.checkpoint(checkpoint.payload_of(self.state))
