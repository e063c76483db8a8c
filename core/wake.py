"""Sleeping and waking: a FIFO per process under DATA/run, one byte only when its reader sleeps.

Who goes to sleep stores 1 into its ``sleeping`` word, then a full fence, then looks at its rings
once more, and only then waits on its FIFO.  Who has offered or published something does a full
fence, then reads that word.  Whatever the order, one of the two sees the other: no wake-up is
lost.

A FIFO is opened for reading and writing by everybody: it then never reports a hang-up when a
process dies, and a byte may be written before a reader is there.  (architecture.md, decision 14)
"""

import os
import stat
from pathlib import Path
from typing import Final

import numpy as np

from core.atomics import fence, load_acquire, spin_hint, store_release
from core.jit import kernel
from core.layout import offset_of, record
from core.libc import poll_readable, read, write
from core.memory import load_i64, pointer
from core.ring import has_work

SPIN: Final = 0  # Never sleep.
HYBRID: Final = 1  # Spin for ``spin_ns``, then sleep.
BLOCK: Final = 2  # Sleep at once.
STRATEGIES: Final = {"spin": SPIN, "hybrid": HYBRID, "block": BLOCK}
SPIN_NS: Final = 20_000
SPIN_CPUS_MIN: Final = 6  # With fewer the default is ``hybrid``.
_BYTES_READ: Final = 64

WAITER: Final = record(
    "how one process waits; private memory",
    128,
    [
        ("fd", "<i8"),  # Of its FIFO.
        ("sleeping_at", "<i8"),  # Address of its ``sleeping`` word.
        ("strategy", "<i8"),
        ("spin_ns", "<i8"),
        ("sleeps", "<i8"),
        ("reserved", "<i8", (3,)),
        ("bytes", "u1", (_BYTES_READ,)),
    ],
)
_BYTES_AT: Final = offset_of(WAITER, "bytes")

_at_waiter = pointer(WAITER)


@kernel
def wake(sleeping_at: int, fd: int) -> int:
    """Wake the process that owns the word and the FIFO if it sleeps; 1 when a byte was written.

    Call it after the store that the other process is to see.  A full FIFO is as good as a byte.
    """
    fence()
    if load_acquire(sleeping_at) == 0:
        return 0
    return 1 if write(fd, sleeping_at, 1) == 1 else 0  # Any byte will do.


@kernel
def prepare_sleep(sleeping_at: int) -> None:
    """From here on others write a byte.  Look at everything once more, then ``sleep``."""
    store_release(sleeping_at, 1)
    fence()


@kernel
def end_sleep(sleeping_at: int) -> None:
    """From here on nobody writes a byte."""
    store_release(sleeping_at, 0)


@kernel
def sleep(waiter: int, timeout_ms: int) -> int:
    """Wait for a byte in the FIFO and take it: 1, after ``timeout_ms`` 0, or minus errno."""
    row = _at_waiter(waiter)
    row.sleeps += 1
    woken = poll_readable(row.fd, timeout_ms)
    if woken == 1:
        read(row.fd, waiter + _BYTES_AT, _BYTES_READ)
    return woken


@kernel
def any_work(ends: int, end_count: int) -> int:
    """1 when one of the ``end_count`` rings whose ends' addresses lie at ``ends`` has something."""
    for number in range(end_count):
        if has_work(load_i64(ends + number * 8)) != 0:
            return 1
    return 0


@kernel
def idle(waiter: int, ends: int, end_count: int, idle_ns: int, timeout_ms: int) -> int:
    """What a duty cycle without work does after ``idle_ns`` without any; 1 when it slept.

    ``timeout_ms`` 0 means: never sleep now.  Returns minus errno when poll(2) failed.
    """
    row = _at_waiter(waiter)
    if row.strategy == SPIN or timeout_ms == 0:
        spin_hint()
        return 0
    if row.strategy == HYBRID and idle_ns < row.spin_ns:
        spin_hint()
        return 0
    prepare_sleep(row.sleeping_at)
    if any_work(ends, end_count) != 0:
        end_sleep(row.sleeping_at)
        return 0
    woken = sleep(waiter, timeout_ms)
    end_sleep(row.sleeping_at)
    return woken if woken < 0 else 1


class Waiter:
    """The private record that ``sleep`` and ``idle`` take."""

    def __init__(self, fd: int, sleeping_at: int, strategy: int, spin_ns: int = SPIN_NS) -> None:
        self._record = np.zeros(1, WAITER)
        self.address = int(self._record.ctypes.data)
        self.row = self._record[0]
        self.row["fd"] = fd
        self.row["sleeping_at"] = sleeping_at
        self.row["strategy"] = strategy
        self.row["spin_ns"] = spin_ns

    @property
    def sleeps(self) -> int:
        """How often it slept."""
        return int(self.row["sleeps"])


def default_strategy(cpus: int) -> int:
    """``hybrid`` where processors are few."""
    return SPIN if cpus >= SPIN_CPUS_MIN else HYBRID


def fifo_path(run: Path, name: str) -> Path:
    """Where the FIFO of process ``name`` (core, http.0, ...) lies; ``run`` is DATA/run."""
    return run / f"wake-{name}"


def open_fifo(run: Path, name: str) -> int:
    """Create the FIFO if it is not there and open it for both directions, without blocking.

    FileExistsError when something else than a FIFO has the name.
    """
    path = fifo_path(run, name)
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        if not stat.S_ISFIFO(path.stat().st_mode):
            raise FileExistsError(f"{path}: expected a FIFO, found another file") from None
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def drain_fifo(fd: int) -> None:
    """Take every byte that is in the FIFO."""
    while True:
        try:
            if len(os.read(fd, 4_096)) < 4_096:
                return
        except BlockingIOError:
            return
