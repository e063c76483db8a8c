"""The engine beside readers that run, readers that stand still, and none at all.

One engine publishes into three shared output rings in turn, a pass of some milliseconds each: one
without a reader, one whose reader keeps up on the other processor, and one whose reader is stopped
(SIGSTOP) for the whole of a round.  The three take turns within every round, so that whatever else
the machine does hits all of them.  The commands are pairs of a resting order and the one that takes
it.  The time is that of the thread on its processor (CLOCK_THREAD_CPUTIME_ID): what other processes
take from it is not the readers' doing, and the readers are pinned elsewhere.
"""

import multiprocessing
import os
import secrets
import signal
import statistics
import time
from typing import Any, Final

import numpy as np

from bench.bench_kernel import ID_KEY, setup_commands
from bench.flow import FIRST_TRADER, RECORD, Flow
from core import shm
from core.constants import SLOT_BYTES
from core.jit import call_entry, entry, kernel
from core.limits import Limits
from core.memory import pointer
from core.messages import BUY, GTC, LIMIT, PLACE, PLACE_ORDER, SCHEMA, SELL
from core.output import LAPPED, OutputRing, attach_output, create_output, oldest, position, read
from core.sequencer.engine import apply_batch
from core.sequencer.state import State

ROUNDS: Final = 5
BATCH: Final = 256
BATCHES: Final = 40  # A pass, some milliseconds: few are hit when another process takes the CPU.
EVENTS_A_READ: Final = 64
FOLLOWED: Final = ("cursor", "claimed", "hashed")
NONE: Final = "none"
RUNNING: Final = "running"
STOPPED: Final = "stopped"
WAYS: Final = (NONE, STOPPED, RUNNING)
LIMITS: Final = Limits(
    orders_max=4_096,
    closed_keep=4_096,
    pages_max=256,
    ids_max=8_192,
    accounts_max=64,
    balances_max=256,
    positions_max=256,
    sessions_max=64,
)

_place_at = pointer(PLACE)


@kernel
def run_pass(engine: int, state: int, commands: int, first: int, batches: int) -> int:
    """Stamp and apply the batch at ``commands`` again and again; the sequence after it."""
    sequence = first
    for _ in range(batches):
        for number in range(BATCH):
            command = _place_at(commands + number * SLOT_BYTES)
            command.sequence = sequence
            command.timestamp_ns = sequence * 1_000
            sequence += 1
        call_entry(engine, state, commands, BATCH)
    return sequence


@kernel
def follow(end: int, cursor: int, out: int, rounds: int) -> int:
    """Read what comes, ``rounds`` times; the cursor after it."""
    for _ in range(rounds):
        count = read(end, cursor, out, EVENTS_A_READ)
        if count == LAPPED:
            cursor = min(oldest(end), position(end))
        else:
            cursor += count
    return cursor


def _reader(prefix: str, ready: Any) -> None:
    """Process: reads the ring until it is killed; on the second processor."""
    _pin(1)
    ring = attach_output(prefix, 1)
    out, cursor = np.zeros(EVENTS_A_READ * 128, np.uint8), 0
    while True:
        cursor = int(follow(ring.end, cursor, int(out.ctypes.data), 1_000))
        ready.value = cursor + 1


class _Rings:
    """The rings by what their readers do, and the one engine that writes into them in turn."""

    def __init__(self, prefixes: dict[str, str]) -> None:
        self.state = State(LIMITS, ID_KEY, risk=True, populate=True)
        self.rings: dict[str, OutputRing] = {}
        self._places = {way: dict.fromkeys(FOLLOWED, 0) for way in WAYS}
        for way, prefix in prefixes.items():
            self.rings[way] = create_output(prefix, 1)
            self.rings[way].segment.publish()
        self._use(NONE)
        setup = setup_commands(Flow("readers", 0, 1, 0, 2, np.zeros(0, RECORD)), 2)
        slots = np.concatenate(setup)
        apply_batch(self.state.address, slots.ctypes.data, len(slots))
        self._leave(NONE)
        self.first = self.sequence = len(setup) + 2  # The instrument has two slots.
        self.commands = pairs()
        self.engine = entry(apply_batch)

    def timed(self, way: str) -> float:
        """One pass; nanoseconds per command."""
        self._use(way)
        began = time.thread_time_ns()
        self.sequence = int(
            run_pass(
                self.engine,
                self.state.address,
                int(self.commands.ctypes.data),
                self.sequence,
                BATCHES,
            )
        )
        took = time.thread_time_ns() - began
        self._leave(way)
        return took / (BATCH * BATCHES)

    def _use(self, way: str) -> None:
        ring = self.rings[way]
        place = (ring.slots, ring.capacity - 1, ring.position_at, ring.claimed_at)
        self.state.use_ring(*place)
        for name, value in self._places[way].items():
            self.state.header[name] = value

    def _leave(self, way: str) -> None:
        self._places[way] = {name: self.state[name] for name in FOLLOWED}

    def check(self) -> None:
        """Every pair must have traded: else something else was measured."""
        pairs = (self.sequence - self.first) // 2
        if self.state["trades"] != pairs:
            raise AssertionError(f"{pairs} pairs of orders, {self.state['trades']} trades")

    def close(self) -> None:
        for ring in self.rings.values():
            ring.close()


def pairs() -> "np.ndarray[Any, Any]":
    """A batch of orders that rest and orders that take them; the two traders change sides."""
    slots = np.zeros(BATCH, PLACE)
    slots["kind"], slots["schema"], slots["slots"] = PLACE_ORDER, SCHEMA, 1
    slots["instrument"], slots["price"], slots["qty"] = 1, 100, 1
    slots["order_type"], slots["time_in_force"] = LIMIT, GTC
    number = np.arange(BATCH)
    slots["side"] = np.where(number % 2 == 0, SELL, BUY)
    slots["account"] = FIRST_TRADER + (number // 2 + number) % 2
    return slots


def run(seconds: float) -> dict[str, Any]:
    """Five rounds; in each one reader stands still for ``seconds`` / 5 (60 s: --seconds 300)."""
    uuids = {way: secrets.token_hex(4) for way in WAYS}
    allowed = os.sched_getaffinity(0)
    context = multiprocessing.get_context("spawn")
    prefixes = {way: shm.prefix(uuid8, 1) for way, uuid8 in uuids.items()}
    rings = _Rings(prefixes)
    readers: dict[str, Any] = {}
    ready: dict[str, Any] = {}
    try:
        for way in (RUNNING, STOPPED):
            ready[way] = context.Value("q", 0, lock=False)
            arguments = (prefixes[way], ready[way])
            readers[way] = context.Process(target=_reader, args=arguments, daemon=True)
            readers[way].start()
        _pin(0)
        for way in WAYS:
            rings.timed(way)  # Compiled, and every page touched.
        _wait_for(readers, ready)
        found = _measure(rings, readers, seconds / ROUNDS)
        rings.check()
        read_events = {way: int(word.value) - 1 for way, word in ready.items()}
    finally:
        os.sched_setaffinity(0, allowed)
        for reader in readers.values():
            reader.kill()
            reader.join()
        rings.close()
        for uuid8 in uuids.values():
            shm.unlink_stale(uuid8)
    return _result(found, seconds / ROUNDS, read_events)


def _measure(rings: _Rings, readers: dict[str, Any], stop_s: float) -> list[dict[str, list[float]]]:
    """ns per command of each pass, by round and by what the readers do."""
    found = []
    for number in range(ROUNDS):
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        _signal(readers, signal.SIGSTOP, *readers)
        end = time.monotonic() + stop_s
        turn = number
        while time.monotonic() < end or not times[RUNNING]:
            for step in range(len(WAYS)):
                way = WAYS[(turn + step) % len(WAYS)]
                if way == RUNNING:
                    _signal(readers, signal.SIGCONT, RUNNING)
                times[way].append(rings.timed(way))
                if way == RUNNING:
                    _signal(readers, signal.SIGSTOP, RUNNING)
            turn += 1
        _signal(readers, signal.SIGCONT, *readers)
        found.append(times)
    return found


def _result(
    found: list[dict[str, list[float]]], stop_s: float, read_events: dict[str, int]
) -> dict[str, Any]:
    medians = [{way: statistics.median(times[way]) for way in WAYS} for times in found]
    by_way = {way: statistics.median(one[way] for one in medians) for way in WAYS}
    ratios = [one[STOPPED] / one[NONE] for one in medians]
    return {
        "bench": "readers",
        "ns_per_command": round(by_way[STOPPED], 1),
        "baseline_ns_per_command": round(by_way[NONE], 1),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_max": 1.05,
        "ratio_by_round": " ".join(f"{ratio:.4f}" for ratio in ratios),
        "running_ns_per_command": round(by_way[RUNNING], 1),
        "running_ratio": round(statistics.median(one[RUNNING] / one[NONE] for one in medians), 4),
        "rounds": ROUNDS,
        "stopped_s": round(stop_s, 2),
        "passes": sum(len(times[NONE]) for times in found),
        "commands": sum(len(t) for times in found for t in times.values()) * BATCH * BATCHES,
        "events_read_running": read_events[RUNNING],
        "events_read_stopped": read_events[STOPPED],
        "pinned": len(os.sched_getaffinity(0)) > 1,
    }


def _signal(readers: dict[str, Any], number: int, *ways: str) -> None:
    for way in ways:
        os.kill(readers[way].pid, number)


def _pin(cpu: int) -> None:
    """To the ``cpu``-th of the processors this process may use; shared if there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[cpu % len(allowed)]})


def _wait_for(readers: dict[str, Any], ready: dict[str, Any]) -> None:
    for way, reader in readers.items():
        while ready[way].value == 0:
            if not reader.is_alive():
                raise RuntimeError(f"bench readers: a reader ended with {reader.exitcode}")
            time.sleep(0.001)


if __name__ == "__main__":
    print(run(5.0))
