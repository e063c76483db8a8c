"""System calls from kernels: what they do, and minus errno when they fail."""

import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest

from core.clock import monotonic_ns, realtime_ns, sleep_ns
from core.jit import kernel
from core.libc import (
    exit_now,
    fdatasync,
    getpid,
    poll_readable,
    pwrite,
    read,
    sched_yield,
    write,
)


@kernel
def call_pwrite(fd: int, address: int, count: int, offset: int) -> int:
    return pwrite(fd, address, count, offset)


@kernel
def call_write(fd: int, address: int, count: int) -> int:
    return write(fd, address, count)


@kernel
def call_read(fd: int, address: int, count: int) -> int:
    return read(fd, address, count)


@kernel
def call_fdatasync(fd: int) -> int:
    return fdatasync(fd)


@kernel
def call_poll(fd: int, timeout_ms: int) -> int:
    return poll_readable(fd, timeout_ms)


@kernel
def call_pid_and_yield() -> int:
    return getpid() + sched_yield()


@kernel
def call_exit(code: int) -> int:
    return exit_now(code)


def test_pwrite_writes_at_the_offset(tmp_path: Path) -> None:
    raw = np.arange(64, dtype=np.uint8)
    with (tmp_path / "file").open("w+b") as file:
        assert call_pwrite(file.fileno(), raw.ctypes.data, 64, 100) == 64
        assert call_fdatasync(file.fileno()) == 0
        assert file.read() == bytes(100) + raw.tobytes()


def test_a_pipe_is_written_polled_and_read() -> None:
    reader, writer = os.pipe()
    sent, got = np.arange(8, dtype=np.uint8), np.zeros(8, np.uint8)
    assert call_poll(reader, 0) == 0
    assert call_write(writer, sent.ctypes.data, 8) == 8
    assert call_poll(reader, 1_000) == 1
    assert call_read(reader, got.ctypes.data, 8) == 8
    assert got.tolist() == sent.tolist()
    os.close(reader)
    os.close(writer)


def test_a_failed_call_gives_minus_errno() -> None:
    room = np.zeros(8, np.uint8)
    address = room.ctypes.data
    assert call_pwrite(-1, address, 8, 0) == -errno.EBADF
    assert call_write(-1, address, 8) == -errno.EBADF
    assert call_read(-1, address, 8) == -errno.EBADF
    assert call_fdatasync(-1) == -errno.EBADF
    with Path("/dev/full").open("wb", buffering=0) as full:
        assert call_write(full.fileno(), address, 8) == -errno.ENOSPC


def test_poll_waits_as_long_as_it_was_told() -> None:
    reader, writer = os.pipe()
    begun = time.monotonic()
    assert call_poll(reader, 30) == 0
    assert time.monotonic() - begun >= 0.029
    os.close(reader)
    os.close(writer)


def test_clocks_are_those_of_the_machine() -> None:
    assert abs(realtime_ns() - time.time_ns()) < 50_000_000
    assert abs(monotonic_ns() - time.monotonic_ns()) < 50_000_000
    assert sleep_ns(1_000) == 0


def test_getpid_and_yield() -> None:
    assert call_pid_and_yield() == os.getpid()


@pytest.mark.parametrize("code", [0, 70])
def test_exit_now_ends_the_process_at_once(code: int) -> None:
    call_pid_and_yield()
    child = os.fork()
    if child == 0:
        call_exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
