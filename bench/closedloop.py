"""Closed loops: the next command waits for an answer.  Only where a result says so.

``one_by_one`` is a round trip with nothing else in flight; ``full`` keeps a window of commands in
flight and asks how many a second there can be at the most.
"""

from typing import Any, Final

import numpy as np

from bench.openloop import drive
from bench.producer import Producer, producer_at, rouse, send, take
from bench.samples import Samples, add
from bench.stream import stream_at
from core.jit import kernel
from core.layout import record
from core.libc import clock_monotonic_ns
from core.memory import pointer

Array = np.ndarray[Any, Any]
WINDOW: Final = 4_096

LOOP: Final = record(
    "a closed-loop run",
    128,
    [
        ("producer", "<i8"),  # Addresses.
        ("samples", "<i8"),
        ("end", "<i8"),  # Behind the last command of the stream.
        ("window", "<i8"),  # Commands in flight at the most.
        ("begun_ns", "<i8"),
        ("ended_ns", "<i8"),
        ("reserved", "<i8", (10,)),
    ],
)
_loop_at = pointer(LOOP)


@kernel
def one_by_one(loop: int, until_ns: int) -> int:
    """Commands one after another; each stores its round trip.  How many were answered."""
    row = _loop_at(loop)
    producer = producer_at(row.producer)
    stream = stream_at(producer.stream)
    seen = 0
    begun_ns = row.begun_ns
    while producer.answered < row.end and producer.fault == 0:
        if stream.number == producer.answered:
            begun_ns = clock_monotonic_ns()
            row.begun_ns = begun_ns
            if begun_ns >= until_ns:
                break
            send(row.producer)
            rouse(row.producer)
        spins = 0
        while take(row.producer) == 0 and producer.fault == 0 and spins < 1_000_000:
            spins += 1
        if stream.number == producer.answered:
            add(row.samples, clock_monotonic_ns() - begun_ns)
            seen += 1
        elif clock_monotonic_ns() >= until_ns:
            break
    return seen


@kernel
def full(loop: int, until_ns: int) -> int:
    """As many commands in flight as ``window`` allows; how many were answered."""
    row = _loop_at(loop)
    producer = producer_at(row.producer)
    stream = stream_at(producer.stream)
    seen = 0
    if row.begun_ns == 0:
        row.begun_ns = clock_monotonic_ns()
    while producer.answered < row.end and producer.fault == 0:
        if clock_monotonic_ns() >= until_ns:
            break
        end = min(row.end, producer.answered + row.window)
        while stream.number < end:
            if send(row.producer) == 0:
                break
        rouse(row.producer)
        seen += take(row.producer)
    row.ended_ns = clock_monotonic_ns()
    return seen


def round_trips(producer: Producer, count: int) -> Array:
    """Nanoseconds of each of the next ``count`` commands, one in flight."""
    samples = Samples(count)
    row = _row(producer, count, 1)
    row["samples"] = samples.address
    drive(producer, int(row["end"][0]), one_by_one, int(row.ctypes.data))
    return samples.values


def rate_per_s(producer: Producer, count: int, window: int = WINDOW) -> float:
    """Commands a second over the next ``count``, with ``window`` of them in flight."""
    row = _row(producer, count, window)
    drive(producer, int(row["end"][0]), full, int(row.ctypes.data))
    return count * 1e9 / (int(row["ended_ns"][0]) - int(row["begun_ns"][0]))


def _row(producer: Producer, count: int, window: int) -> Array:
    row = np.zeros(1, LOOP)
    row["producer"], row["window"] = producer.address, window
    row["end"] = producer.answered + count
    return row
