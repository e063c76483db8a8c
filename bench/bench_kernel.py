"""The engine alone over order flows: ns per command, exact results in every timed run, and the
naive kernel beside it in the same run.

The commands are built, bound to the engine's order ids and stamped outside the clock; the prefill
is applied; then only the engine calls are timed, in batches as the sequencer would give them.
"""

import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from bench import flow as flows
from bench import latency
from bench.naive import NaiveRun
from core.constants import BATCH_SLOTS_MAX, MONEY_MAX, SLOT_BYTES
from core.jit import call_entry, entry, kernel
from core.limits import Limits
from core.messages import (
    CREATE_ACCOUNT,
    CREATE_ASSET,
    CREATE_INSTRUMENT,
    DEPOSIT,
    MATCHED_HERE,
    MONEY,
    NEW_ACCOUNT,
    NEW_ASSET,
    NEW_INSTRUMENT,
    NEW_INSTRUMENT_SLOT_2,
    PHASE_OPEN,
    SCHEMA,
    SPOT,
    packed,
)
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State

Array = np.ndarray[Any, Any]
ID_KEY: Final = (0x5851F42D4C957F2D, 0x14057B7EF767814F, 0x2127599BF4325C37, 0x0B4711D41D1C8E11)
RING_EVENTS: Final = 1 << 18
RUN_SECONDS_MAX: Final = 20.0


class Prepared:
    """A flow as stamped commands, with everything that must stand before it."""

    def __init__(self, flow: flows.Flow, *, risk: bool, ids: bool, batch: int) -> None:
        self.flow, self.risk, self.batch = flow, risk, batch
        users = int(flow.records["user"].max()) + 1
        self.limits = limits_for(flow, users)
        self.setup = setup_commands(flow, users)
        self.commands = flows.to_commands(flow, ids=ids)
        self.base = len(self.setup) + 1
        self.flow_ids = flow.records["order_id"].astype(np.int64)
        stamp(self.commands, self.base)
        engine_ids = np.zeros(int(flow.max_order_id) + 1, np.int64)
        self.state, self.ring = self.fresh()
        flows.bind_order_ids(
            entry(apply_batch),
            self.state.address,
            self.commands.ctypes.data,
            len(self.commands),
            engine_ids.ctypes.data,
            self.flow_ids.ctypes.data,
        )

    def fresh(self) -> tuple[State, PrivateRing]:
        """A state with instruments and funded accounts, ready for the first command."""
        state = State(self.limits, ID_KEY, risk=self.risk, populate=True)
        ring = PrivateRing(RING_EVENTS, populate=True)
        ring.attach(state)
        for start in range(0, len(self.setup), BATCH_SLOTS_MAX):
            slots = np.concatenate(self.setup[start : start + BATCH_SLOTS_MAX])
            apply_batch(state.address, slots.ctypes.data, len(slots))
        return state, ring

    def judge(self) -> dict[str, dict[str, int | str]]:
        """Results after each checkpoint of the sidecar's kind, hashes as 16 hexadecimal digits."""
        state, ring = self.fresh()
        sums = np.zeros(1, flows.SUMS)
        done = 0
        found: dict[str, dict[str, int | str]] = {}
        points = sorted({self.flow.prefill, self.flow.prefill + 20_000, len(self.commands)})
        seen = ring.published()
        for point in points:
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
        run(engine, state.address, prefilled, end, self.batch)
        elapsed = time.perf_counter_ns() - start
        self._expect_same(state)
        return elapsed / (len(self.commands) - self.flow.prefill)

    def percentiles(self) -> dict[str, Any]:
        """A second pass, one command a call: percentiles of the time of one (bench.latency)."""
        state, _ring, prefilled, end = self._prefilled()
        found = latency.percentiles(entry(apply_batch), state.address, prefilled, end)
        self._expect_same(state)
        return found

    def _prefilled(self) -> tuple[State, PrivateRing, int, int]:
        """A fresh state with the prefill applied, and where the commands after it lie."""
        state, ring = self.fresh()
        first = self.commands.ctypes.data
        prefilled = first + self.flow.prefill * SLOT_BYTES
        run(entry(apply_batch), state.address, first, prefilled, self.batch)
        return state, ring, prefilled, first + len(self.commands) * SLOT_BYTES

    def _expect_same(self, state: State) -> None:
        if state["event_hash"] != self.event_hash:
            raise AssertionError("a timed run gave other events than the run that was judged")


def limits_for(flow: flows.Flow, users: int) -> Limits:
    """Room for every order and account of a flow, at least the default profile."""
    return Limits(
        orders_max=max(int(flow.max_order_id) + 2, 1_000_000)
        if flow.max_order_id < 3_000_000
        else 3_000_000,
        accounts_max=max(users + 8, 65_536),
        positions_max=max(2 * users + 64, 65_536),
        balances_max=max(4 * users + 64, 131_072),
        ids_max=max(
            int(flow.max_order_id) + 2,
            3_000_000 if flow.max_order_id > 2_000_000 else 2_000_000,
        ),
        instruments_max=max(flow.symbols + 1, 1_024),
    )


def stamp(commands: Array, first: int) -> None:
    """Give the commands their sequences from ``first`` on, and rising times."""
    commands["sequence"] = np.arange(first, first + len(commands))
    commands["timestamp_ns"] = commands["sequence"] * 1_000


def setup_commands(flow: flows.Flow, users: int) -> list[Array]:
    """Two assets, the flow's instruments, its accounts, each with its share of all there can be."""
    made: list[Array] = []

    def add(dtype: Any, kind: int, **fields: Any) -> Array:
        slots = np.zeros(fields.pop("slots", 1), dtype)
        slots[0]["kind"], slots[0]["schema"], slots[0]["slots"] = kind, SCHEMA, len(slots)
        for name, value in fields.items():
            slots[0][name] = value
        stamp(slots[:1], len(made) + 1)
        made.append(slots.view(np.uint8).reshape(-1, SLOT_BYTES))
        return slots

    for name, scale in (("CASH", 0), ("COIN", 0)):
        add(NEW_ASSET, CREATE_ASSET, name=packed(name, 36), scale=scale)
    for symbol in range(flow.symbols):
        slots = add(
            NEW_INSTRUMENT,
            CREATE_INSTRUMENT,
            slots=2,
            symbol=packed(f"S{symbol}", 36),
            instrument_type=SPOT,
            matching=MATCHED_HERE,
            tick=1,
            lot=1,
            base_asset=2,
            quote_asset=1,
            maker_ppm=100,
            taker_ppm=300,
        )
        slots[1:].view(NEW_INSTRUMENT_SLOT_2)["phase"] = PHASE_OPEN
    share = MONEY_MAX // (users + 1)
    for user in range(users):
        add(NEW_ACCOUNT, CREATE_ACCOUNT, name=packed(f"user-{user}", 36))
    for user in range(users):
        for asset in (1, 2):
            add(MONEY, DEPOSIT, account=user + flows.FIRST_TRADER, asset=asset, amount=share)
    return made


@kernel
def run(engine: int, state_address: int, commands: int, end: int, batch: int) -> None:
    """Apply the commands at ``commands`` up to address ``end`` in batches, each one engine call;
    ``engine``: entry of ``apply_batch``."""
    while commands < end:
        count = min(batch, (end - commands) // SLOT_BYTES)
        call_entry(engine, state_address, commands, count)
        commands += count * SLOT_BYTES


def bench(path: Path, *, risk: bool, ids: bool, repeats: int, batch: int) -> dict[str, Any]:
    """Everything about one flow.  Raises AssertionError where a result is not the sidecar's."""
    flow = flows.read_flow(path)
    prepared = Prepared(flow, risk=risk, ids=ids, batch=batch)
    found = prepared.judge()
    for point, expected in flows.sidecar(path).items():
        if point in found and found[point] != expected:
            raise AssertionError(f"{path.name} at {point}: expected {expected}, got {found[point]}")
    naive = NaiveRun(flow)
    ours, theirs = [], []
    for _ in range(repeats):
        theirs.append(naive.timed())
        ours.append(prepared.timed())
    ns, baseline = median(ours), median(theirs)
    return {
        "flow": path.name,
        "risk": risk,
        "ids": ids,
        "commands": len(flow.records) - flow.prefill,
        "ns_per_command": round(ns, 2),
        "ns_per_command_min": round(min(ours), 2),
        "commands_per_s": round(1e9 / ns),
        "baseline_ns_per_command": round(baseline, 2),
        "ratio": round(median(a / b for a, b in zip(ours, theirs, strict=True)), 3),
        **prepared.percentiles(),
        **found[str(len(flow.records))],
    }
