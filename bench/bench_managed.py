"""Millions of orders through one engine and one journal, in one process: does anything grow?

Rounds of one and the same flow: orders rest, are changed, canceled and filled, and at the end of a
round all that is left is canceled.  So the first and the last round do the same work on the same
book, and what differs is what the process has kept: closed orders, client order ids, and leaks.
Latency is that of one command by itself: stamp, checksum, journal (written, in ``relaxed``), apply.
Segments that are done with are removed, so that the disk holds only the newest ones.
"""

import gc
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bench import flow as flows
from bench.flow_spread import Spread, spread_flow
from bench.kernel_run import RING_EVENTS
from bench.market import limits_for, setup_commands
from core.constants import BATCH_SLOTS_MAX, ORDER_SLOT_MASK, SLOT_BYTES
from core.crc32c import record_crc32c
from core.jit import call_entry, entry, kernel
from core.journal.appender import NO_ROOM, append
from core.journal.config import JournalConfig
from core.journal.layout import RELAXED
from core.journal.segments import inventory, segment_path
from core.journal.writer import Writer
from core.libc import clock_monotonic_ns
from core.limits import DEFAULT, Limits
from core.memory import load_i64, store_i32, store_i64
from core.messages import CRC_AT, MASS, MASS_CANCEL, ORDER_ACCEPTED, PLACE_ORDER, SCHEMA
from core.rows import cold_row, state_at
from core.sequencer.engine import ENGINE_VERSION, apply_batch
from core.sequencer.start import Start
from core.sequencer.state import PrivateRing

Array = np.ndarray[Any, Any]

ORDERS: Final = 300_000
SPREAD: Final = Spread(16, 20_000, 200_000, "managed", users=2_000)
SAMPLES: Final = 50_000  # Commands of a measured round that are timed one by one.
WINDOWS_MAX: Final = 4  # Rounds measured at the start, and at the end.
ID_DIGITS: Final = 16  # Of the flow's id; the round's follow.
START_NS: Final = 1_700_000_000_000_000_000
SHARES: Final = {"p50_ns": 50.0, "p99_ns": 99.0, "p99_9_ns": 99.9, "max_ns": 100.0}
MEMORY: Final = ("Private_Clean", "Private_Dirty", "Shared_Clean", "Shared_Dirty")


class Round(NamedTuple):
    """What one round took."""

    ns_per_command: float
    samples: Array  # ns of single commands; empty when it was not sampled.
    private_bytes: int
    shared_bytes: int
    ids: int  # Remembered at its end.


def memory_bytes() -> tuple[int, int]:
    """Private and shared bytes of this process that are in memory."""
    found = dict.fromkeys(MEMORY, 0)
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        if name[:-1] in found:
            found[name[:-1]] = int(value) << 10
    return sum(found[name] for name in MEMORY[:2]), sum(found[name] for name in MEMORY[2:])


class Managed:
    """One engine, one journal, one flow that is run again and again."""

    def __init__(self, data: Path, spread: Spread, floor: Limits = DEFAULT) -> None:
        self.flow, expected = spread_flow(spread)
        self.expected = expected[str(len(self.flow.records))]
        self.orders = int(self.flow.max_order_id)
        self._users = spread.users
        limits = limits_for(self.flow, spread.users, floor)
        self._start = Start(data, JournalConfig(RELAXED, limits, ENGINE_VERSION))
        self._start.output.segment.unlink()
        self.state = self._start.state
        self._ring = PrivateRing(RING_EVENTS, populate=True)
        self._ring.attach(self.state)
        self.writer = Writer(self._start.recovery)
        self.sequence = 0
        self._engine = entry(apply_batch)
        self._own = np.ascontiguousarray(self.flow.records["order_id"].astype(np.int64))
        self._engine_ids = np.zeros(self.orders + 1, np.int64)
        self._slots = flows.to_commands(self.flow, ids=True)  # Built once.
        self._is_new = self._slots["kind"] == PLACE_ORDER
        self._rounds = 0
        for slots in setup_commands(self.flow, spread.users):
            self._block(int(slots.ctypes.data), 1, slots.nbytes // SLOT_BYTES)

    def round(self, samples: int = 0) -> Round:
        """Run the flow once; its first ``samples`` commands behind the prefill one by one."""
        self._engine_ids[:] = 0
        suffix = np.frombuffer(b"%08x" % self._rounds, np.uint8)  # No id comes twice.
        self._slots["client_order_id"][self._is_new, ID_DIGITS : ID_DIGITS + 8] = suffix
        before = self._counters()
        taken, place, count = [], 0, len(self._slots)
        first_sample = self.flow.prefill
        total_ns = 0
        while place < count:
            is_sample = first_sample <= place < first_sample + samples
            most = 1 if is_sample else BATCH_SLOTS_MAX
            if samples and place < first_sample:
                most = min(most, first_sample - place)
            done, ns = self._bound(place, min(most, count - place))
            if is_sample:
                taken.append(ns)
            else:
                total_ns += ns
            place += done
        self._expect(before)
        self._cancel_all()
        self._forget_segments()
        self._rounds += 1
        gc.collect()
        return Round(
            total_ns / (count - len(taken)),
            np.array(taken),
            *memory_bytes(),
            self.state["ids_count"],
        )

    def close(self) -> None:
        """Close the journal."""
        self.writer.close()

    def _bound(self, place: int, most: int) -> tuple[int, int]:
        """Journal and apply at most that many commands; how many it were, and the ns they took."""
        address = self._slots.ctypes.data + place * SLOT_BYTES
        own = self._own.ctypes.data + 8 * place
        ids = self._engine_ids.ctypes.data
        state = self.state.address
        count = int(bind(state, address, most, ids, own))
        cursor, first = self.state["cursor"], self.sequence + 1
        ns = self._block(address, count, count)
        learn(state, cursor, first, ids, own)
        return count, ns

    def _block(self, address: int, count: int, slots: int) -> int:
        """One block: journaled, applied; ns."""
        words = np.array(
            [
                *(self.writer.address, self._engine, self.state.address, address),
                *(count, slots, self.sequence + 1, START_NS + self.sequence * 1_000),
            ],
            np.int64,
        )
        taken_ns = int(timed_block(words.ctypes.data))
        if taken_ns == -NO_ROOM:
            self.writer.rotate()
            taken_ns = int(timed_block(words.ctypes.data))
        if taken_ns < 0:
            self.writer.fail(taken_ns)
        self.sequence += count
        return taken_ns

    def _cancel_all(self) -> None:
        slots = np.zeros(self._users, MASS)
        slots["kind"], slots["schema"], slots["slots"] = MASS_CANCEL, SCHEMA, 1
        slots["account"] = np.arange(self._users) + flows.FIRST_TRADER
        for start in range(0, len(slots), BATCH_SLOTS_MAX):
            part = slots[start : start + BATCH_SLOTS_MAX]
            self._block(int(part.ctypes.data), len(part), len(part))
        if self.state["open_orders"]:
            raise AssertionError(f"{self.state['open_orders']} orders are open after a mass cancel")

    def _counters(self) -> dict[str, int]:
        return {name: self.state[name] for name in ("trades", "traded_qty", "rejects")}

    def _expect(self, before: dict[str, int]) -> None:
        found = {name: value - before[name] for name, value in self._counters().items()}
        found["resting_orders"] = self.state["open_orders"]
        expected = {name: self.expected[name] for name in found}
        if found != expected:
            raise AssertionError(f"round {self._rounds}: expected {expected}, got {found}")

    def _forget_segments(self) -> None:
        newest = int(self.writer.row.segment_no)
        for number in inventory(self.writer.directory):
            if number < newest:
                segment_path(self.writer.directory, number).unlink()


@kernel
def bind(state_address: int, commands: int, count: int, ids: int, own: int) -> int:
    """Put the engine's order ids into cancels, replaces and reduces; how many commands are ready:
    up to the first whose order is placed by one of them."""
    state = state_at(state_address)
    for place in range(count):
        command = flows.replace_at(commands + place * SLOT_BYTES)
        if command.kind != PLACE_ORDER:
            target = load_i64(ids + 8 * load_i64(own + 8 * place))
            if target == 0:
                return place
            command.order_id = target
            command.account = cold_row(state, target & ORDER_SLOT_MASK).account
    return count


@kernel
def learn(state_address: int, cursor: int, first_sequence: int, ids: int, own: int) -> None:
    """Remember the order ids that the events from ``cursor`` on gave to new orders."""
    state = state_at(state_address)
    while cursor < state.cursor:
        event = flows.event_at(state.ring + ((cursor & state.ring_mask) << 7))
        if event.kind == ORDER_ACCEPTED:
            place = load_i64(own + 8 * (event.sequence - first_sequence))
            store_i64(ids + 8 * place, event.order_id)
        cursor += 1


@kernel
def timed_block(words: int) -> int:
    """Stamp, checksum, journal and apply the commands at words[3]; ns, or minus what ``append``
    gave.  ``words``: journal, engine, state, commands, their count, slots, first sequence, time."""
    journal, engine, state = load_i64(words), load_i64(words + 8), load_i64(words + 16)
    commands, count, slots = load_i64(words + 24), load_i64(words + 32), load_i64(words + 40)
    first, now_ns = load_i64(words + 48), load_i64(words + 56)
    begun_ns = clock_monotonic_ns()
    size = slots // count
    for index in range(count):
        place = commands + index * size * SLOT_BYTES
        store_i64(place, first + index)
        store_i64(place + 8, now_ns + index)
        store_i32(place + CRC_AT, record_crc32c(place, size))
    last = first + count - 1
    done = append(journal, commands, slots, count, first, last, now_ns + count - 1)
    if done != 0:
        return min(done, -done)
    call_entry(engine, state, commands, slots)
    return clock_monotonic_ns() - begun_ns


def run(
    orders: int = ORDERS,
    directory: Path | None = None,
    spread: Spread = SPREAD,
    samples: int = SAMPLES,
    floor: Limits = DEFAULT,
) -> dict[str, Any]:
    """At least ``orders`` orders; flat fields.  ``directory`` decides which disk.

    AssertionError when a round does not give the counts of its flow.
    """
    with tempfile.TemporaryDirectory(prefix="outcry-bench-", dir=directory or Path.cwd()) as place:
        managed = Managed(Path(place) / "data", spread, floor)
        rounds = max(-(-orders // managed.orders), 3)
        window = min(max((rounds - 1) // 8, 1), WINDOWS_MAX)
        done = [managed.round()]  # Warm: not counted for memory or latency.
        for number in range(1, rounds):
            is_measured = number <= window or number >= rounds - window
            done.append(managed.round(samples if is_measured else 0))
        managed.close()
    return {
        "orders": rounds * managed.orders,
        "commands": managed.sequence,
        "rounds": rounds,
        "durability": "relaxed",
        **_latency("start", done[1 : 1 + window]),
        **_latency("end", done[-window:]),
        **_growth(done[1:], managed.orders),
        "runs": [
            {
                "ns_per_command": round(one.ns_per_command, 1),
                "private_bytes": one.private_bytes,
                "ids_remembered": one.ids,
            }
            for one in done
        ],
    }


def _latency(when: str, rounds: list[Round]) -> dict[str, Any]:
    samples = np.concatenate([one.samples for one in rounds])
    found: dict[str, Any] = {
        f"{when}_{name}": int(np.percentile(samples, share)) for name, share in SHARES.items()
    }
    mean = sum(one.ns_per_command for one in rounds) / len(rounds)
    found[f"{when}_ns_per_command"] = round(mean, 1)
    return found | {
        f"{when}_private_bytes": rounds[0 if when == "start" else -1].private_bytes,
        f"{when}_shared_bytes": rounds[0 if when == "start" else -1].shared_bytes,
        f"{when}_ids_remembered": rounds[0 if when == "start" else -1].ids,
    }


def _growth(rounds: list[Round], orders: int) -> dict[str, Any]:
    first, last = rounds[0], rounds[-1]
    millions = max(orders * (len(rounds) - 1) / 1e6, 1e-9)
    samples = [one.samples for one in (first, last)]
    return {
        "private_bytes_per_million_orders": round(
            (last.private_bytes - first.private_bytes) / millions
        ),
        "p50_growth": round(float(np.median(samples[1]) / np.median(samples[0])), 3),
        "ns_per_command_growth": round(last.ns_per_command / first.ns_per_command, 3),
    }
