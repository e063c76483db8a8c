"""Sleeping and waking: a byte only for who sleeps, and never asleep with work to do."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core import ring, shm
from core.atomics import load_word, store_word
from core.messages import COMMAND
from core.wake import (
    BLOCK,
    HYBRID,
    SPIN,
    Waiter,
    default_strategy,
    drain_fifo,
    end_sleep,
    fifo_path,
    idle,
    open_fifo,
    prepare_sleep,
    sleep,
    wake,
)

UUID8 = f"{os.getpid():08x}"[-8:]


class Sleeper:
    """One ring and a process that waits for it."""

    def __init__(self, run: Path, strategy: int) -> None:
        shm.unlink_stale(UUID8)
        prefix = shm.prefix(UUID8, 1)
        self.core = ring.create_inbound(prefix, "test", 1, 1, 64)
        self.core.segment.publish()
        self.adapter = ring.attach_inbound(prefix, "test", 1, 1)
        self.fd = open_fifo(run, "core")
        self.word = np.zeros(1, np.int64)
        self.sleeping_at = int(self.word.ctypes.data)
        self.waiter = Waiter(self.fd, self.sleeping_at, strategy)
        self.ends = np.array([self.core.end], np.int64)

    def idle(self, idle_ns: int = 1 << 40, timeout_ms: int = 20) -> tuple[int, float]:
        """What ``idle`` returned, and how many milliseconds it took."""
        began = time.monotonic()
        ends = int(self.ends.ctypes.data)
        return idle(self.waiter.address, ends, 1, idle_ns, timeout_ms), (
            time.monotonic() - began
        ) * 1_000

    def offer(self) -> None:
        rows = np.zeros(1, COMMAND)
        rows["slots"] = 1
        ring.offer(self.adapter.end, int(rows.ctypes.data), 1, 0)

    def close(self) -> None:
        os.close(self.fd)
        self.adapter.close()
        self.core.close()
        shm.unlink_stale(UUID8)


@pytest.fixture
def hybrid(tmp_path: Path) -> Iterator[Sleeper]:
    made = Sleeper(tmp_path, HYBRID)
    made.idle(0)  # Compiled.
    yield made
    made.close()


def test_who_does_not_sleep_is_not_sent_a_byte(hybrid: Sleeper) -> None:
    assert wake(hybrid.sleeping_at, hybrid.fd) == 0
    with pytest.raises(BlockingIOError):
        os.read(hybrid.fd, 1)


def test_who_sleeps_is_woken_by_one_byte(hybrid: Sleeper) -> None:
    prepare_sleep(hybrid.sleeping_at)
    assert load_word(hybrid.sleeping_at) == 1

    assert wake(hybrid.sleeping_at, hybrid.fd) == 1
    assert sleep(hybrid.waiter.address, 5_000) == 1
    end_sleep(hybrid.sleeping_at)

    assert load_word(hybrid.sleeping_at) == 0
    assert sleep(hybrid.waiter.address, 0) == 0


def test_a_full_fifo_is_as_good_as_a_byte(hybrid: Sleeper) -> None:
    store_word(hybrid.sleeping_at, 1)
    while wake(hybrid.sleeping_at, hybrid.fd) == 1:
        pass

    assert sleep(hybrid.waiter.address, 0) == 1
    drain_fifo(hybrid.fd)
    assert sleep(hybrid.waiter.address, 0) == 0


def test_hybrid_spins_first_and_sleeps_then(hybrid: Sleeper) -> None:
    assert hybrid.idle(idle_ns=19_999)[0] == 0
    woken, took_ms = hybrid.idle(idle_ns=20_000)

    assert woken == 1
    assert took_ms >= 19
    assert hybrid.waiter.sleeps == 1
    assert load_word(hybrid.sleeping_at) == 0


def test_nobody_sleeps_while_there_is_work(hybrid: Sleeper) -> None:
    hybrid.offer()

    assert hybrid.idle(timeout_ms=5_000)[0] == 0
    assert hybrid.waiter.sleeps == 0
    assert load_word(hybrid.sleeping_at) == 0


def test_a_timeout_of_zero_never_sleeps(hybrid: Sleeper) -> None:
    assert hybrid.idle(timeout_ms=0)[0] == 0
    assert hybrid.waiter.sleeps == 0


def test_spin_never_sleeps(tmp_path: Path) -> None:
    sleeper = Sleeper(tmp_path, SPIN)

    assert sleeper.idle(timeout_ms=5_000)[0] == 0
    assert sleeper.waiter.sleeps == 0
    sleeper.close()


def test_block_sleeps_at_once(tmp_path: Path) -> None:
    sleeper = Sleeper(tmp_path, BLOCK)

    assert sleeper.idle(idle_ns=0)[0] == 1
    assert sleeper.waiter.sleeps == 1
    sleeper.close()


def test_the_default_is_hybrid_below_six_processors() -> None:
    assert [default_strategy(cpus) for cpus in (1, 2, 5, 6, 64)] == [1, 1, 1, 0, 0]


def test_a_file_that_is_no_fifo_is_refused(tmp_path: Path) -> None:
    fifo_path(tmp_path, "core").write_text("")

    with pytest.raises(FileExistsError, match="expected a FIFO"):
        open_fifo(tmp_path, "core")


def test_a_fifo_is_private_and_does_not_hang_up(tmp_path: Path) -> None:
    reader, writer = open_fifo(tmp_path, "core"), open_fifo(tmp_path, "core")
    assert fifo_path(tmp_path, "core").stat().st_mode & 0o777 == 0o600
    os.write(writer, b"x")
    os.close(writer)

    drain_fifo(reader)

    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    os.close(reader)
