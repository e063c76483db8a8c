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
import signal
import statistics
import time
from typing import Any, Final

import numpy as np

from bench import machine
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
    """The other process: attaches to what the first made and answers until it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The first process ends us.
    machine.pin(1)
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
        if kind == WORDS:
            pong = words_answer(words, pong, TRIPS)
        else:
            rings_answer(inbound.end, output.end, TRIPS, address)


class HopPair:
    """Two processes and the rings between them: this one asks, the other answers, both pinned."""

    def __init__(self) -> None:
        self._uuid8, epoch = secrets.token_hex(4), 1
        prefix = shm.prefix(self._uuid8, epoch)
        line_0 = {"epoch": epoch, "kind": shm.COUNTERS}
        self._segment = shm.create(f"{prefix}-words", WORDS_BYTES, line_0)
        self._segment.publish()
        self._words = self._segment.address
        self._rings: list[Ring | OutputRing] = []
        self._ping = self._cursor = self._phase = 0
        context = multiprocessing.get_context("spawn")
        arguments = (self._segment.name, epoch, prefix)
        self._other = context.Process(target=_serve, args=arguments, daemon=True)
        self._other.start()
        try:
            _wait(self._words + ALIVE, self._other)
            inbound = attach_inbound(prefix, "bench", 1, epoch)
            output = attach_output(prefix, epoch)
            self._rings += [inbound, output]
        except BaseException:
            self.close()
            raise
        self._ends = (inbound.end, output.end)
        self._buffer = np.zeros(1_024, np.uint8)
        command = self._buffer[:128].view(COMMAND)
        command["kind"], command["slots"] = PLACE_ORDER, 1
        machine.pin(0)
        self._ask_rings(0)  # Compiled before it is measured.
        words_ask(self._words, 0, 0)

    def batch(self, kind: int) -> float:
        """One batch of round trips; nanoseconds per hop."""
        self._phase += 4
        store_word(self._words + PHASE, self._phase | kind)
        if kind == WORDS:
            self._ping = words_ask(self._words, self._ping, 1)  # The other one is there now.
            began = time.perf_counter_ns()
            self._ping = words_ask(self._words, self._ping, TRIPS - 1)
        else:
            self._ask_rings(1)
            began = time.perf_counter_ns()
            self._ask_rings(TRIPS - 1)
        took = time.perf_counter_ns() - began
        if self._ping < 0 or self._cursor < 0:
            raise RuntimeError("bench ring: the other process does not answer")
        return took / (TRIPS - 1) / 2

    def _ask_rings(self, trips: int) -> None:
        buffer = int(self._buffer.ctypes.data)
        self._cursor = rings_ask(*self._ends, self._cursor, trips, buffer)

    def halt(self) -> None:
        """Let the other process stand still (SIGSTOP), so that it takes no processor."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let the other process run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._other.pid is not None and self._other.is_alive():
            os.kill(self._other.pid, number)

    def close(self) -> None:
        """End the other process and remove what is shared; may be called twice."""
        machine.unpin()
        if self._other.is_alive():
            self._other.kill()
        self._other.join()
        for ring in self._rings:
            ring.close()
        self._rings.clear()
        self._segment.close()
        shm.unlink_stale(self._uuid8)


def run(seconds: float) -> dict[str, Any]:
    """Measure for about ``seconds``; medians over batches that take turns."""
    pair = HopPair()
    hops: dict[int, list[float]] = {WORDS: [], RINGS: []}
    try:
        end = time.monotonic() + seconds
        while not hops[RINGS] or time.monotonic() < end:
            for kind, found in hops.items():
                found.append(pair.batch(kind))
    finally:
        pair.close()
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


def _wait(address: int, other: Any) -> None:
    while load_word(address) == 0:
        if not other.is_alive():
            raise RuntimeError(f"bench ring: the other process ended with {other.exitcode}")
        time.sleep(0.001)


if __name__ == "__main__":
    print(run(5.0))
