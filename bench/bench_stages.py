"""Stage x percentile of a running core, and what stamping costs.

Two cores run, one that stamps and one that does not, on one processor; whichever has nothing to do
sleeps.  A producer on the other processor drives them in turn.  ``round_trip``: one command in
flight, whose answer is waited for; the table is of these.  ``ns_per_command``: a stopped core goes
on and finds full blocks in its ring; its time on the processor, which other processes do
not change.  Orders come in pairs, one that rests and one that takes it.  ``relaxed``, so that no
disk is measured.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from adapters.link import CoreFile, read_core_file
from bench.bench_kernel import setup_commands
from bench.bench_readers import LIMITS, pairs
from bench.flow import RECORD, Flow
from bench.stages import Collected
from core.atomics import load_word, spin_hint
from core.clock import monotonic_ns
from core.constants import SLOT_BYTES
from core.counters import attach_counters
from core.jit import kernel
from core.memory import store_i64
from core.output import attach_output, position
from core.ring import attach_inbound, offer
from core.shm import SegmentError
from core.stages import Stages, attach_stages, mark, stamp_out
from core.wake import open_fifo, wake

Array = np.ndarray[Any, Any]

GATEWAY: Final = "bench.0"
DURABILITY: Final = "relaxed"
PAIRS: Final = 256  # Slots of the batch that is sent again and again.
TRIPS: Final = 2_000
TRIPS_NS: Final = 100_000_000  # On a busy machine fewer trips.
QUEUE: Final = 12_800  # Commands that a core finds: full blocks of 256.
SPINS_MAX: Final = 1 << 31
START_S: Final = 60.0
APPLIED_S: Final = 60.0
PROCESS_CLOCK: Final = 2  # Of a clock id: processor time of all threads of a process.
CORE_CPU: Final = 1
PRODUCER_CPU: Final = 0


@kernel
def trips(ends: int, slots: int, count: int, sequence: int, taken: int) -> int:
    """At most ``count`` commands, one in flight, the first with ``sequence``; how long each took
    goes to ``taken``.  ``ends``: see ``Driven``.  Returns how many fitted TRIPS_NS; -1: stuck."""
    started_ns = monotonic_ns()
    inbound, output, stages = load_word(ends), load_word(ends + 8), load_word(ends + 16)
    sleeping_at, fd = load_word(ends + 24), load_word(ends + 32)
    for number in range(count):
        slot = slots + (number & (PAIRS - 1)) * SLOT_BYTES
        before = position(output)
        begun_ns = monotonic_ns()
        if stages != 0:
            mark(slot, begun_ns, begun_ns)  # It reads no request: "in" is "ring".
        if offer(inbound, slot, 1, 0) == 0:
            return -1
        wake(sleeping_at, fd)
        spins = 0
        while position(output) == before:
            spin_hint()
            spins += 1
            if spins > SPINS_MAX:
                return -1
        done_ns = monotonic_ns()
        if stages != 0:
            stamp_out(stages, sequence + number, done_ns)
        store_i64(taken + number * 8, done_ns - begun_ns)
        if done_ns - started_ns > TRIPS_NS and number & 1 == 1:
            return number + 1
    return count


@kernel
def fill(ends: int, slots: int, count: int) -> int:
    """Offer ``count`` commands to a core that does not read; how many found room."""
    inbound, stages = load_word(ends), load_word(ends + 16)
    for number in range(count):
        slot = slots + (number & (PAIRS - 1)) * SLOT_BYTES
        if stages != 0:
            now_ns = monotonic_ns()
            mark(slot, now_ns, now_ns)
        if offer(inbound, slot, 1, 0) == 0:
            return number
    return count


class Driven:
    """One core in a process of its own, and the producer's end of its ring."""

    def __init__(self, data: Path, *, stages: bool) -> None:
        argv = [sys.executable, "-m", "core.sequencer", "--data", str(data), "--gateways", GATEWAY]
        argv += ["--durability", DURABILITY, "--idle", "hybrid", "--allow-volatile"]
        argv += ["--limits", json.dumps(LIMITS._asdict()), *(["--stages"] if stages else [])]
        self.process = subprocess.Popen(argv)
        self._data = data
        core = self._core()
        _pin(self.process.pid, CORE_CPU)
        self._inbound = attach_inbound(core.shm, GATEWAY, 1, core.epoch)
        self._output = attach_output(core.shm, core.epoch)
        self.counters = attach_counters(core.shm, core.epoch)
        self.stages: Stages | None = None
        if stages:
            self.stages = attach_stages(core.shm, core.epoch, writable=True)
        self._fd = open_fifo(data / "run", "core")
        self._clock = ~self.process.pid << 3 | PROCESS_CLOCK
        self._ends = np.array(
            [
                self._inbound.end,
                self._output.end,
                self.stages.end if self.stages is not None else 0,
                self._output.sleeping_at,
                self._fd,
            ],
            np.int64,
        )
        self._taken = np.zeros(TRIPS, np.int64)
        self._slots = pairs()
        self.sequence = 0
        self._set_up()

    def _core(self) -> CoreFile:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            core = read_core_file(self._data / "run")
            if core is not None:
                return core
            time.sleep(0.01)
        raise RuntimeError(f"bench stages: the core did not start ({self.process.poll()})")

    def _set_up(self) -> None:
        made = setup_commands(Flow("stages", 0, 1, 0, 2, np.zeros(0, RECORD)), 2)
        for slots in made:
            if not offer(self._inbound.end, int(slots.ctypes.data), len(slots), 0):
                raise RuntimeError("bench stages: no room for the setup")
        wake(self._output.sleeping_at, self._fd)
        self.sequence = len(made)
        deadline = time.monotonic() + START_S
        while self.counters["sequence"] < self.sequence and time.monotonic() < deadline:
            time.sleep(0.001)

    def trips(self, count: int) -> Array:
        """Nanoseconds of each of at most ``count`` round trips, an even number of them."""
        ends, slots = int(self._ends.ctypes.data), int(self._slots.ctypes.data)
        done = int(trips(ends, slots, count, self.sequence + 1, int(self._taken.ctypes.data)))
        self.sequence += done
        self._check(done > 0 and done % 2 == 0)
        return self._taken[:done].copy()

    def drained(self, count: int) -> float:
        """Nanoseconds of processor time per command, for a core that finds ``count`` of them."""
        ends, slots = int(self._ends.ctypes.data), int(self._slots.ctypes.data)
        os.kill(self.process.pid, signal.SIGSTOP)
        while _state(self.process.pid) != "T":
            time.sleep(0.000_1)
        offered = int(fill(ends, slots, count))
        before_ns = time.clock_gettime_ns(self._clock)
        os.kill(self.process.pid, signal.SIGCONT)
        wake(self._output.sleeping_at, self._fd)
        self.sequence += offered
        self._check(offered == count)
        return (time.clock_gettime_ns(self._clock) - before_ns) / count

    def _check(self, is_good: bool) -> None:  # noqa: FBT001
        deadline = time.monotonic() + APPLIED_S
        while self.counters["sequence"] < self.sequence and time.monotonic() < deadline:
            time.sleep(0.000_1)
        if not is_good or self.counters["sequence"] != self.sequence or self.counters["rejects"]:
            raise AssertionError(
                f"bench stages: expected sequence {self.sequence} without a reject, got "
                f"{self.counters['sequence']} with {self.counters['rejects']}"
            )

    def close(self) -> None:
        """Stop the core."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(30)
        os.close(self._fd)
        for part in (self._inbound, self._output, self.counters, self.stages):
            if part is not None:
                part.close()


def run(seconds: float) -> dict[str, Any]:
    """Measure for about ``seconds``."""
    allowed = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as directory:
        started: list[Driven] = []
        try:
            for is_on in (True, False):
                started.append(Driven(Path(directory) / f"{is_on:d}", stages=is_on))
            _pin(0, PRODUCER_CPU)
            return _measure(started[0], started[1], seconds)
        except SegmentError as error:
            raise RuntimeError(f"bench stages: {error}") from None
        finally:
            os.sched_setaffinity(0, allowed)
            for driven in started:
                driven.close()


def _measure(on: Driven, off: Driven, seconds: float) -> dict[str, Any]:
    assert on.stages is not None
    both = {"on": on, "off": off}
    for driven in both.values():  # Compiled, and everything touched once.
        driven.trips(PAIRS)
        driven.drained(QUEUE)
    collected = Collected(on.stages, on.sequence)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in both}
    end = time.monotonic() + seconds
    while not found["on"] or time.monotonic() < end:
        order = list(both) if len(found["on"]) % 2 else list(reversed(both))
        for name in order:
            trip_ns = both[name].trips(TRIPS)
            if name == "on":
                collected.look()
            found[name].append(
                {
                    "round_trip_p50_ns": float(np.percentile(trip_ns, 50)),
                    "round_trip_p99_ns": float(np.percentile(trip_ns, 99)),
                    "ns_per_command": both[name].drained(QUEUE),
                }
            )
            if name == "on":  # The table is of the commands that were alone.
                collected.skip(on.sequence)
    return _result(found, DURABILITY, collected.table())


def _result(
    found: dict[str, list[dict[str, float]]], durability: str, table: list[dict[str, Any]]
) -> dict[str, Any]:
    on, off = found["on"], found["off"]
    fields: dict[str, Any] = {"bench": "stages", "durability": durability}
    for name in on[0]:
        ours, baseline = ([row[name] for row in rows] for rows in (on, off))
        ratio = statistics.median(a / b for a, b in zip(ours, baseline, strict=True))
        fields[name] = round(statistics.median(ours), 1)
        fields[f"baseline_{name}"] = round(statistics.median(baseline), 1)
        fields["ratio" if name == "ns_per_command" else f"ratio_{name[:-3]}"] = round(ratio, 3)
    return {
        **fields,
        "ratio_max": 1.05,
        "rounds": len(on),
        "commands": len(on) * QUEUE,
        "pinned": len(os.sched_getaffinity(0)) == 1,
        "stages": table,
    }


def _state(pid: int) -> str:
    """The state of a process: R, S, T, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _pin(pid: int, cpu: int) -> None:
    """All threads of a process to the ``cpu``-th processor that this one may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if cpu >= len(allowed):
        return
    for thread in Path(f"/proc/{pid or os.getpid()}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {allowed[cpu]})
