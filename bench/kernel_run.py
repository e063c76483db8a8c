"""A flow as stamped commands, and judged or timed runs of it through the engine alone.

The commands are built, bound to the engine's order ids and stamped outside the clock; the prefill
is applied; then only the engine calls are timed, in batches as the sequencer would give them.
"""

import time
from typing import Any, Final, NamedTuple

import numpy as np

from bench import flow as flows
from bench import latency
from bench.market import limits_for, remembered, setup_commands, stamp
from bench.paper_journal import PaperJournal
from core.constants import BATCH_SLOTS_MAX, SLOT_BYTES
from core.jit import call_entry, entry, kernel
from core.limits import DEFAULT, Limits
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State

Array = np.ndarray[Any, Any]
ID_KEY: Final = (0x5851F42D4C957F2D, 0x14057B7EF767814F, 0x2127599BF4325C37, 0x0B4711D41D1C8E11)
RING_EVENTS: Final = 1 << 18
CHECKPOINT: Final = 20_000  # Of a sidecar, after the prefill.
BATCH: Final = 256


class Setting(NamedTuple):
    """What of the engine takes part."""

    risk: bool = True
    ids: bool = False  # New orders carry client order ids.
    remembered: int = 0  # Ids that the table holds before the flow begins; no more fit into it.
    batch: int = BATCH
    floor: Limits = DEFAULT  # Tables are at least so large: the default profile, as in production.


@kernel
def run(engine: int, state_address: int, commands: int, end: int, batch: int) -> None:
    """Apply the commands at ``commands`` up to address ``end`` in batches, each one engine call;
    ``engine``: entry of ``apply_batch``."""
    while commands < end:
        count = min(batch, (end - commands) // SLOT_BYTES)
        call_entry(engine, state_address, commands, count)
        commands += count * SLOT_BYTES


class Prepared:
    """A flow as stamped commands, with everything that must stand before it."""

    def __init__(self, flow: flows.Flow, setting: Setting) -> None:
        self.flow, self.setting = flow, setting
        self.event_hash: int | None = None
        users = max(int(flow.records["user"].max()) + 1, 1)
        self.limits = limits_for(flow, users, setting.floor)
        self.setup = setup_commands(flow, users)
        self.base = len(self.setup) + 1
        self._remembered: Array | None = None
        if setting.remembered:
            self.limits = self.limits._replace(ids_max=setting.remembered)
            self._remembered = remembered(setting.remembered, self.base, users)
            self.base += setting.remembered
        self.commands = flows.to_commands(flow, ids=setting.ids)
        self.flow_ids = flow.records["order_id"].astype(np.int64)
        stamp(self.commands, self.base)
        engine_ids = np.zeros(int(flow.max_order_id) + 1, np.int64)
        state, _ring = self.fresh()
        flows.bind_order_ids(
            entry(apply_batch),
            state.address,
            self.commands.ctypes.data,
            len(self.commands),
            engine_ids.ctypes.data,
            self.flow_ids.ctypes.data,
        )

    @property
    def counted(self) -> int:
        """Commands behind the prefill."""
        return len(self.commands) - self.flow.prefill

    def fresh(self) -> tuple[State, PrivateRing]:
        """A state with instruments and funded accounts, ready for the first command."""
        state = State(self.limits, ID_KEY, risk=self.setting.risk, populate=True)
        ring = PrivateRing(RING_EVENTS, populate=True)
        ring.attach(state)
        for start in range(0, len(self.setup), BATCH_SLOTS_MAX):
            slots = np.concatenate(self.setup[start : start + BATCH_SLOTS_MAX])
            apply_batch(state.address, slots.ctypes.data, len(slots))
        if self._remembered is not None:
            first = self._remembered.ctypes.data
            end = first + self._remembered.nbytes
            run(entry(apply_batch), state.address, first, end, BATCH_SLOTS_MAX)
        state.populated()
        return state, ring

    def judge(self) -> dict[str, dict[str, int | str]]:
        """Results after each checkpoint of the sidecar's kind, hashes as 16 hexadecimal digits."""
        state, ring = self.fresh()
        sums = np.zeros(1, flows.SUMS)
        done = 0
        found: dict[str, dict[str, int | str]] = {}
        prefill = self.flow.prefill
        seen = ring.published()
        for point in sorted({prefill, prefill + CHECKPOINT, len(self.commands)}):
            if point > len(self.commands):
                continue
            while done < point:
                count = min(4_096, point - done)
                address = self.commands.ctypes.data + done * SLOT_BYTES
                apply_batch(state.address, address, count)
                done += count
                end = ring.published()
                events = np.ascontiguousarray(ring.between(seen, end))
                flow_ids = self.flow_ids.ctypes.data
                flows.fold_events(
                    events.ctypes.data, len(events), flow_ids, self.base, sums.ctypes.data
                )
                seen = end
            found[str(point)] = self._book(state, sums.copy())
        self.event_hash = state["event_hash"]
        return found

    def _book(self, state: State, sums: Array) -> dict[str, int | str]:
        flows.fold_book(state.address, self.flow_ids.ctypes.data, self.base, sums.ctypes.data)
        row = sums[0]
        return {
            name: f"{int(row[name]) & (2**64 - 1):016x}" if name in flows.HASHES else int(row[name])
            for name in flows.SUMS.names or ()
        }

    def timed(self) -> float:
        """One timed run from a fresh state: ns per command after the prefill."""
        state, _ring, prefilled, end = self._prefilled()
        engine = entry(apply_batch)
        start = time.perf_counter_ns()
        run(engine, state.address, prefilled, end, self.setting.batch)
        elapsed = time.perf_counter_ns() - start
        self.expect_same(state)
        return elapsed / self.counted

    def timed_with_journal(self, paper: PaperJournal) -> float:
        """As ``timed``; each batch goes through the journal's kernels first, into memory."""
        state, _ring, prefilled, end = self._prefilled()
        engine = entry(apply_batch)
        start = time.perf_counter_ns()
        paper.run(engine, state.address, prefilled, end, self.setting.batch)
        elapsed = time.perf_counter_ns() - start
        self.expect_same(state)
        return elapsed / self.counted

    def timed_parts(self, parts: list[tuple[str, int, int]]) -> dict[str, list[float]]:
        """One run from a fresh state, the commands of each part (name, first, end) timed by
        themselves: ns per command by name, in order.  Parts follow each other without a gap."""
        state, _ring, _prefilled, _end = self._prefilled()
        engine, first = entry(apply_batch), self.commands.ctypes.data
        found: dict[str, list[float]] = {}
        for name, part, part_end in parts:
            start = time.perf_counter_ns()
            run(
                engine,
                state.address,
                first + part * SLOT_BYTES,
                first + part_end * SLOT_BYTES,
                self.setting.batch,
            )
            elapsed = time.perf_counter_ns() - start
            found.setdefault(name, []).append(elapsed / (part_end - part))
        self.expect_same(state)
        return found

    def percentiles(self) -> dict[str, Any]:
        """A second pass, one command a call: percentiles of the time of one (bench.latency)."""
        state, _ring, prefilled, end = self._prefilled()
        found = latency.percentiles(entry(apply_batch), state.address, prefilled, end)
        self.expect_same(state)
        return found

    def _prefilled(self) -> tuple[State, PrivateRing, int, int]:
        """A fresh state with the prefill applied, and where the commands after it lie."""
        state, ring = self.fresh()
        first = self.commands.ctypes.data
        prefilled = first + self.flow.prefill * SLOT_BYTES
        run(entry(apply_batch), state.address, first, prefilled, self.setting.batch)
        return state, ring, prefilled, first + len(self.commands) * SLOT_BYTES

    def expect_same(self, state: State) -> None:
        """AssertionError when a run gave other events than the one that was judged."""
        if state["event_hash"] != self.event_hash:
            raise AssertionError("a timed run gave other events than the run that was judged")
