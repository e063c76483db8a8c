"""Which way of making one block durable is faster here: O_DIRECT with O_DSYNC, or fdatasync."""

import errno
import mmap
import os
import statistics
from pathlib import Path
from typing import Final

from core.clock import monotonic_ns
from core.journal.appender import DIRECT, FDATASYNC
from core.journal.layout import ALIGN_SYNC
from core.journal.segments import open_file

WRITES: Final = 16
BUDGET_NS: Final = 300_000_000  # A slow disk is not asked 32 times.


def faster_mode(directory: Path) -> int:
    """DIRECT or FDATASYNC, by the median of a few writes to a file made for it in ``directory``."""
    path = directory / f"probe.{os.getpid()}.tmp"
    fd = open_file(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        taken_ns = measure(fd, path, WRITES, BUDGET_NS)
        return min(taken_ns, key=lambda mode: statistics.median(taken_ns[mode]))
    finally:
        os.close(fd)
        path.unlink()


def measure(fd: int, path: Path, writes: int, budget_ns: int) -> dict[int, list[int]]:
    """Nanoseconds of writes of one block, each made durable, in each of the modes there are.

    ``fd`` is an empty file, ``path`` a way to open it once more.  At most ``writes`` in each mode,
    and fewer once ``budget_ns`` are over.  Raises OSError.
    """
    size = 2 * writes * ALIGN_SYNC
    if os.write(fd, bytes(size)) != size:
        raise OSError(errno.EIO, "short write", str(path))
    os.fsync(fd)
    fds = {FDATASYNC: fd}
    try:
        fds[DIRECT] = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_DSYNC | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # The file system has no O_DIRECT.
            raise
    try:
        return _alternate(fds, writes, budget_ns)
    finally:
        if DIRECT in fds:
            os.close(fds[DIRECT])


def _alternate(fds: dict[int, int], writes: int, budget_ns: int) -> dict[int, list[int]]:
    """``measure`` of open files, turn by turn."""
    image = mmap.mmap(-1, ALIGN_SYNC)  # Page-aligned, as direct writes demand.
    image.write(b"\xa5" * ALIGN_SYNC)
    taken_ns: dict[int, list[int]] = {mode: [] for mode in fds}
    begun_ns = monotonic_ns()
    for turn in range(writes):
        for mode, fd in fds.items():
            start_ns = monotonic_ns()
            try:
                os.pwrite(fd, image, (2 * turn + (mode == DIRECT)) * ALIGN_SYNC)
                if mode == FDATASYNC:
                    os.fdatasync(fd)
            except OSError as error:
                if mode == DIRECT and error.errno == errno.EINVAL:
                    del taken_ns[DIRECT]
                    return taken_ns
                raise
            taken_ns[mode].append(monotonic_ns() - start_ns)
        if monotonic_ns() - begun_ns > budget_ns:
            break
    return taken_ns
