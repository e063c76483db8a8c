"""One hop between two processes that spin, through the rings, against two bare words.

Ring: a command of one slot goes through the inbound ring, the other process polls it and
publishes one event of 128 bytes in the output ring; the first reads it.  Half of the round trip
is a hop.  Words: one word there, one word back, each in a cache line of its own, acquire and
release: the least that two processors can do.  Both run in turn, in batches, in the same two
processes, pinned to CPUs 0 and 1.
"""

import multiprocessing
import os
import secrets
import statistics
import time
from typing import Any, Final

import numpy as np

from core import shm
from core.atomics import load_acquire, load_word, spin_hint, store_release, store_word
from core.jit import kernel
from core.memory import copy128, load_i64, store_i64
from core.messages import COMMAND, PLACE_ORDER
from core.output import OutputRing, attach_output, claim, create_output, position, publish, read
from core.ring import Ring, attach_inbound, create_inbound, has_work, offer, poll

TRIPS: Final = 256  # A batch: short, so that few are hit when another process takes a CPU.
SPINS_MAX: Final = 1 << 31  # Then the other process is taken for dead.
WORDS_BYTES: Final = 16_384
PING: Final = 4_096  # Places of the shared words.
PONG: Final = 4_096 + 512
PHASE: Final = 4_096 + 1_024
ALIVE: Final = 4_096 + 1_536
WORDS: Final = 1
RINGS: Final = 2
STOP: Final = 3


@kernel
def words_ask(words: int, first: int, trips: int) -> int:
    """Count the ping up and wait for the pong to follow, ``trips`` times; the last value."""
    for number in range(first + 1, first + trips + 1):
        store_release(words + PING, number)
        spins = 0
        while load_acquire(words + PONG) != number:
            spins += 1
            if spins > SPINS_MAX:
                return -1
    return first + trips


@kernel
def words_answer(words: int, first: int, trips: int) -> int:
    """Let the pong follow the ping."""
    for number in range(first + 1, first + trips + 1):
        spins = 0
        while load_acquire(words + PING) != number:
            spins += 1
            if spins > SPINS_MAX:
                return -1
        store_release(words + PONG, number)
    return first + trips


@kernel
def rings_ask(inbound: int, output: int, cursor: int, trips: int, buffer: int) -> int:
    """Offer a command and wait for its event, ``trips`` times; the cursor after them."""
    for number in range(trips):
        store_i64(buffer + 16, cursor + number)  # The request id.
        if offer(inbound, buffer, 1, 0) == 0:
            return -1
        spins = 0
        while position(output) == cursor + number:
            spin_hint()
            spins += 1
            if spins > SPINS_MAX:
                return -1
        if read(output, cursor + number, buffer + 512, 64) != 1:
            return -1
        if load_i64(buffer + 512) != cursor + number:
            return -1
    return cursor + trips


@kernel
def rings_answer(inbound: int, output: int, trips: int, buffer: int) -> int:
    """Poll a command and publish an event with its request id, ``trips`` times."""
    for _ in range(trips):
        spins = 0
        while has_work(inbound) == 0:
            spin_hint()
            spins += 1
            if spins > SPINS_MAX:
                return -1
        if poll(inbound, buffer, 64) == 0:
            return -1
        target = claim(output, 1)
        copy128(target, buffer)
        store_i64(target, load_i64(buffer + 16))
        publish(output, 1)
    return trips


def _serve(name: str, epoch: int, shm_prefix: str) -> None:
    """The other process: attaches to what the first made and answers until it is told to stop."""
    _pin(1)
    segment = shm.attach(name, shm.COUNTERS, epoch, writable=True)
    inbound = create_inbound(shm_prefix, "bench", 1, epoch)
    output = create_output(shm_prefix, epoch)
    inbound.segment.publish()
    output.segment.publish()
    buffer = np.zeros(64, COMMAND)
    address, words = int(buffer.ctypes.data), segment.address
    rings_answer(inbound.end, output.end, 0, address)  # Compiled before it is measured.
    words_answer(words, 0, 0)
    pong, phase = 0, 0
    store_word(words + ALIVE, 1)
    while True:
        while load_word(words + PHASE) == phase:
            pass
        phase = load_word(words + PHASE)
        kind = phase & 3
        if kind == STOP:
            break
        if kind == WORDS:
            pong = words_answer(words, pong, TRIPS)
        else:
            rings_answer(inbound.end, output.end, TRIPS, address)
    for ring in (inbound, output):
        ring.close()
    segment.close()


class _Client:
    """The process that asks and measures."""

    def __init__(self, words: int, inbound: Ring, output: OutputRing) -> None:
        self.words, self.inbound, self.output = words, inbound, output
        self.buffer = np.zeros(1_024, np.uint8)
        command = self.buffer[:128].view(COMMAND)
        command["kind"], command["slots"] = PLACE_ORDER, 1
        self.address = int(self.buffer.ctypes.data)
        self.ping = self.cursor = self.phase = 0

    def batch(self, kind: int) -> float:
        """One batch of round trips; nanoseconds per hop."""
        self.phase += 4
        store_word(self.words + PHASE, self.phase | kind)
        if kind == WORDS:
            self.ping = words_ask(self.words, self.ping, 1)  # The other one is there now.
            began = time.perf_counter_ns()
            self.ping = words_ask(self.words, self.ping, TRIPS - 1)
        else:
            self.cursor = self._rings(1)
            began = time.perf_counter_ns()
            self.cursor = self._rings(TRIPS - 1)
        took = time.perf_counter_ns() - began
        if self.ping < 0 or self.cursor < 0:
            raise RuntimeError("bench ring: the other process does not answer")
        return took / (TRIPS - 1) / 2

    def _rings(self, trips: int) -> int:
        ends = (self.inbound.end, self.output.end)
        return rings_ask(*ends, self.cursor, trips, self.address)


def run(seconds: float) -> dict[str, Any]:
    """Measure for about ``seconds``; medians over batches that take turns."""
    uuid8, epoch = secrets.token_hex(4), 1
    prefix = shm.prefix(uuid8, epoch)
    allowed = os.sched_getaffinity(0)
    segment = shm.create(f"{prefix}-words", WORDS_BYTES, {"epoch": epoch, "kind": shm.COUNTERS})
    segment.publish()
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_serve, args=(segment.name, epoch, prefix), daemon=True)
    other.start()
    try:
        _wait(segment.address + ALIVE, other)
        client = _Client(
            segment.address,
            attach_inbound(prefix, "bench", 1, epoch),
            attach_output(prefix, epoch),
        )
        _pin(0)
        rings_ask(client.inbound.end, client.output.end, 0, 0, client.address)
        words_ask(segment.address, 0, 0)
        hops: dict[int, list[float]] = {WORDS: [], RINGS: []}
        end = time.monotonic() + seconds
        while not hops[RINGS] or time.monotonic() < end:
            for kind, found in hops.items():
                found.append(client.batch(kind))
        store_word(segment.address + PHASE, client.phase + 4 | STOP)
        other.join(10)
        client.inbound.close()
        client.output.close()
    finally:
        os.sched_setaffinity(0, allowed)
        if other.is_alive():
            other.kill()
            other.join()
        segment.close()
        shm.unlink_stale(uuid8)
    return _result(hops[RINGS], hops[WORDS])


def _result(rings: list[float], words: list[float]) -> dict[str, Any]:
    ring_ns, word_ns = statistics.median(rings), statistics.median(words)
    return {
        "bench": "ring",
        "hop_ns": round(ring_ns, 1),
        "baseline_hop_ns": round(word_ns, 1),
        "ratio": round(ring_ns / word_ns, 3),
        "ratio_max": 2.0,
        "hop_min_ns": round(min(rings), 1),
        "baseline_hop_min_ns": round(min(words), 1),
        "batches": len(rings),
        "round_trips": len(rings) * TRIPS,
        "pinned": len(os.sched_getaffinity(0)) > 1,
    }


def _pin(cpu: int) -> None:
    """To the ``cpu``-th of the processors this process may use; shared if there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[cpu % len(allowed)]})


def _wait(address: int, other: Any) -> None:
    while load_word(address) == 0:
        if not other.is_alive():
            raise RuntimeError(f"bench ring: the other process ended with {other.exitcode}")
        time.sleep(0.001)


if __name__ == "__main__":
    print(run(5.0))
