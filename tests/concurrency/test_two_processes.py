"""Two real processes on the rings: nothing torn, nothing lost, nobody left asleep.

OUTCRY_RING_EVENTS=10000000 runs ten times as many.
"""

import multiprocessing
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import shm
from core.jit import PURE
from core.messages import COMMAND
from core.output import claim, create_output, publish
from core.ring import create_inbound, poll
from core.wake import BLOCK, Waiter, idle, open_fifo, wake
from tests.concurrency import peers
from tests.fakes.core import wait_until

pytestmark = pytest.mark.concurrency
SPAWN = multiprocessing.get_context("spawn")
TIMEOUT_S = 120
LOST_S = 30


@pytest.fixture
def prefix() -> Iterator[str]:
    uuid8 = secrets.token_hex(4)
    yield shm.prefix(uuid8, 1)
    shm.unlink_stale(uuid8)


@pytest.fixture
def start() -> Iterator[Callable[..., Any]]:
    """Start a process; it is killed when the test ends without it."""
    started: list[Any] = []

    def begin(target: Callable[..., None], *arguments: Any) -> Any:
        started.append(SPAWN.Process(target=target, args=arguments, daemon=True))
        started[-1].start()
        return started[-1]

    yield begin
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


def test_no_command_is_lost_doubled_or_torn(prefix: str, start: Callable[..., Any]) -> None:
    ring = create_inbound(prefix, "test", 1, 1, 64)
    ring.segment.publish()
    out = np.zeros(64, COMMAND)
    producer = start(peers.offering, prefix, peers.TOTAL)

    wrong = peers.poll_commands(ring.end, peers.TOTAL, int(out.ctypes.data))

    producer.join(TIMEOUT_S)
    assert (wrong, ring.faults, producer.exitcode) == (0, 0, 0)
    assert ring.fill() == 0
    ring.close()


@pytest.mark.parametrize("capacity", [64, 4_096])
def test_no_event_is_torn_however_often_the_reader_is_lapped(
    prefix: str, start: Callable[..., Any], capacity: int
) -> None:
    ring = create_output(prefix, 1, capacity)
    ring.segment.publish()
    found = SPAWN.Array("q", 4)
    reader = start(peers.reading, prefix, peers.TOTAL, found)
    wait_until(lambda: found[3] == 1, TIMEOUT_S)

    peers.write_events(ring.end, peers.TOTAL)

    reader.join(TIMEOUT_S)
    seen, laps, torn, _ = found[:]
    assert (torn, reader.exitcode) == (0, 0)
    assert 0 < seen <= peers.TOTAL
    assert laps > 0 or seen == peers.TOTAL
    ring.close()


def test_no_wake_up_is_lost(prefix: str, start: Callable[..., Any], tmp_path: Path) -> None:
    """Each side sleeps before every answer; a lost wake-up would cost 30 s."""
    trips = 300 if PURE else 5_000
    inbound = create_inbound(prefix, "test", 1, 1, 64)
    output = create_output(prefix, 1, 64)
    for segment in (inbound.segment, output.segment):
        segment.publish()
    own, other = open_fifo(tmp_path, "core"), open_fifo(tmp_path, "test")
    waiter = Waiter(own, output.sleeping_at, BLOCK)
    ends, out = np.array([inbound.end], np.int64), np.zeros(64, COMMAND)
    peer = start(peers.answering, prefix, str(tmp_path), "there", trips)
    wait_until((tmp_path / "there").exists, TIMEOUT_S)
    began = time.monotonic()

    for _ in range(trips):
        claim(output.end, 1)
        publish(output.end, 1)
        wake(inbound.sleeping_at, other)
        while poll(inbound.end, int(out.ctypes.data), 64) == 0:
            assert idle(waiter.address, int(ends.ctypes.data), 1, 0, LOST_S * 1_000) >= 0
            assert time.monotonic() - began < LOST_S, "nobody woke this process"

    peer.join(TIMEOUT_S)
    assert peer.exitcode == 0
    assert 0 < waiter.sleeps < 2 * trips
    for fifo in (own, other):
        os.close(fifo)
    inbound.close()
    output.close()
