"""Events by the hundred million between two processes: kernels, and what the processes do."""

import os
import time
from typing import Any, Final

import numpy as np

from core.constants import EVENT_BYTES
from core.jit import kernel
from core.memory import address_of, store_i64
from core.messages import FILL
from core.output import LAPPED, attach_output, create_output, oldest, position, read
from core.records import STATE
from core.rows import state_at
from core.sequencer.events import mark_last, new_event, publish, reserve
from tests.concurrency import peers

BATCH_EVENTS: Final = 1_024
EVENTS_PER_COMMAND: Final = 3


@kernel
def write_engine_events(state_address: int, first: int, total: int) -> None:
    """Events ``first`` to ``total`` through the engine's own functions, commands of 1-3 events,
    published together as a batch is; every word is then written over with the pattern."""
    state = state_at(state_address)
    number = first
    while number < total:
        last = min(number + BATCH_EVENTS, total)
        while number < last:
            reserve(state)
            state.sequence += 1
            state.index = 0
            for _ in range(min(1 + number % EVENTS_PER_COMMAND, last - number)):
                peers.write_pattern(address_of(new_event(state, FILL, 0)), number)
                number += 1
            mark_last(state)
            peers.write_pattern(address_of_last(state), number - 1)
        publish(state)


@kernel
def address_of_last(state: Any) -> int:
    """Where the newest event lies."""
    return state.ring + ((state.cursor - 1) & state.ring_mask) * EVENT_BYTES


@kernel
def read_until(end: int, total: int, out: int, found: int) -> None:
    """Read to event ``total``; words at ``found``: events read, laps, torn events.

    After a lap it goes on at the oldest event that is left, right before the writer, or at half, a
    quarter or an eighth of that distance, where it has the time to read something.
    """
    cursor = 0
    seen = 0
    laps = 0
    torn = 0
    while cursor < total:
        count = read(end, cursor, out, peers.READ_EVENTS)
        if count == LAPPED:
            laps += 1
            behind = position(end) - oldest(end)
            cursor = position(end) - (behind >> (laps & 3))
            continue
        for place in range(count):
            torn += peers.is_torn(out + place * EVENT_BYTES, cursor + place)
        cursor += count
        seen += count
    store_i64(found, seen)
    store_i64(found + 8, laps)
    store_i64(found + 16, torn)


def pin(cpu: int) -> None:
    """To the ``cpu``-th of the processors this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[cpu % len(allowed)]})


def reading(prefix: str, cpu: int, total: int, found: Any) -> None:
    """Process: the reader; ``found``: events read, laps, torn, attached, nanoseconds."""
    pin(cpu)
    ring = attach_output(prefix, 1)
    out, words = np.zeros(peers.READ_EVENTS * EVENT_BYTES, np.uint8), np.zeros(3, np.int64)
    addresses = (int(out.ctypes.data), int(words.ctypes.data))
    read_until(ring.end, 0, *addresses)  # Compiled.
    found[3] = 1
    began = time.perf_counter_ns()
    read_until(ring.end, total, *addresses)
    found[4] = time.perf_counter_ns() - began
    for place in range(3):
        found[place] = int(words[place])
    ring.close()


def writing(prefix: str, way: str, capacity: int, total: int, found: Any) -> None:
    """Process: the writer, on the first processor; waits for the reader."""
    pin(0)
    ring = create_output(prefix, 1, capacity)
    state = np.zeros(1, STATE)
    for name, value in (
        ("ring", ring.slots),
        ("ring_mask", capacity - 1),
        ("ring_position", ring.position_at),
        ("ring_claimed", ring.claimed_at),
    ):
        state[name] = value
    address = int(state.ctypes.data)
    write_engine_events(address, 0, 0)
    peers.write_events(ring.end, 0)
    ring.segment.publish()
    while found[3] == 0:
        time.sleep(0.001)
    if way == "engine":
        write_engine_events(address, 0, total)
    else:
        peers.write_events(ring.end, total)
    ring.close()
