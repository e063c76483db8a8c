"""Open loop: commands go out when they were planned to, however late the answers are.

The latency of a command counts from its planned time, so that what waits behind a stall is counted
as what a client would have seen (coordinated omission).  A command that could not go out within
LATE_NS of its time is counted as late; when many are, the rate was not held, and says so.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from bench.producer import Producer, producer_at, rouse, send, take
from bench.samples import Samples, add, percentiles
from bench.stream import stream_at
from core.clock import monotonic_ns
from core.jit import kernel
from core.layout import record
from core.libc import clock_monotonic_ns
from core.memory import load_i64, pointer

Array = np.ndarray[Any, Any]
LATE_NS: Final = 10_000
BURST: Final = 64  # Sent before answers are looked for.
TURN_NS: Final = 100_000_000  # Between looks at signals and the core.
STUCK_NS: Final = 10_000_000_000
LEAD_NS: Final = 1_000_000

PLAN: Final = record(
    "an open-loop run",
    128,
    [
        ("producer", "<i8"),  # Addresses.
        ("planned", "<i8"),  # i8 per command of the run: its time on the monotonic clock.
        ("samples", "<i8"),
        ("first", "<i8"),  # Number of the run's first command in the stream.
        ("end", "<i8"),  # Behind its last.
        ("late", "<i8"),
        ("late_max_ns", "<i8"),
        ("ended_ns", "<i8"),  # When the newest answer was seen.
        ("reserved", "<i8", (8,)),
    ],
)
_plan_at = pointer(PLAN)


def planned(count: int, rate_per_s: float, start_ns: int) -> Array:
    """Times of ``count`` commands, evenly spaced from ``start_ns`` on."""
    return start_ns + (np.arange(count) * (1e9 / rate_per_s)).astype(np.int64)


@kernel
def run_plan(plan: int, until_ns: int) -> int:
    """Send what is due and take what is answered; answers seen, up to ``until_ns`` or the end."""
    row = _plan_at(plan)
    producer = producer_at(row.producer)
    stream = stream_at(producer.stream)
    seen = 0
    while producer.answered < row.end and producer.fault == 0:
        now_ns = clock_monotonic_ns()
        if now_ns >= until_ns:
            break
        sent = 0
        while stream.number < row.end and sent < BURST:
            late_ns = now_ns - load_i64(row.planned + 8 * (stream.number - row.first))
            if late_ns < 0 or send(row.producer) == 0:
                break
            sent += 1
            row.late += late_ns > LATE_NS
            row.late_max_ns = max(row.late_max_ns, late_ns)
        if sent > 0:
            rouse(row.producer)
        before = producer.answered
        if take(row.producer) > 0:
            row.ended_ns = clock_monotonic_ns()
            for number in range(before - row.first, producer.answered - row.first):
                add(row.samples, row.ended_ns - load_i64(row.planned + 8 * number))
            seen += producer.answered - before
    return seen


class Outcome(NamedTuple):
    """What one open-loop run gave."""

    rate_per_s: int
    achieved_per_s: int
    late: int
    latencies_ns: Array

    def rung(self) -> dict[str, int]:
        """One entry of a result's ladder."""
        return {
            "rate_per_s": self.rate_per_s,
            "achieved_per_s": self.achieved_per_s,
            "late": self.late,
            **percentiles(self.latencies_ns),
        }


def run(producer: Producer, count: int, rate_per_s: float) -> Outcome:
    """Send the next ``count`` commands, which are bound, at that rate; RuntimeError: no answer."""
    samples = Samples(count)
    plan, first = np.zeros(1, PLAN), producer.answered
    plan["producer"], plan["samples"] = producer.address, samples.address
    run_plan(int(plan.ctypes.data), 0)  # Compiled before the first command is planned.
    times = planned(count, rate_per_s, monotonic_ns() + LEAD_NS)
    plan["planned"], plan["first"], plan["end"] = times.ctypes.data, first, first + count
    drive(producer, first + count, run_plan, int(plan.ctypes.data))
    taken_ns = int(plan["ended_ns"][0]) - int(times[0])
    late = int(plan["late"][0])
    return Outcome(round(rate_per_s), count * 10**9 // taken_ns, late, samples.values)


def drive(producer: Producer, end: int, loop: Any, address: int) -> None:
    """Call ``loop(address, until_ns)`` until ``end`` commands are answered.

    Comes back to Python ten times a second, so that a Ctrl-C is seen.  RuntimeError: nothing was
    answered for STUCK_NS, or an answer is wrong.
    """
    heard_ns = monotonic_ns()
    while producer.answered < end:
        now_ns = monotonic_ns()
        if loop(address, now_ns + TURN_NS) > 0:
            heard_ns = now_ns
        producer.check()
        if monotonic_ns() - heard_ns > STUCK_NS:
            raise RuntimeError(f"the core answers no more: {producer.answered} of {end} answered")
