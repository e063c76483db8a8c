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
    fds = {FDATASYNC: fd}
    try:
        size = 2 * WRITES * ALIGN_SYNC
        if os.write(fd, bytes(size)) != size:
            raise OSError(errno.EIO, "short write", str(path))
        os.fsync(fd)
        try:
            fds[DIRECT] = open_file(path, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
        except OSError as error:
            if error.errno != errno.EINVAL:  # The file system has no O_DIRECT.
                raise
        return _measure(fds)
    finally:
        for opened in fds.values():
            os.close(opened)
        path.unlink()


def _measure(fds: dict[int, int]) -> int:
    image = mmap.mmap(-1, ALIGN_SYNC)  # Page-aligned, as direct writes demand.
    image.write(b"\xa5" * ALIGN_SYNC)
    taken_ns: dict[int, list[int]] = {mode: [] for mode in fds}
    begun_ns = monotonic_ns()
    for turn in range(WRITES):
        for mode, fd in fds.items():
            start_ns = monotonic_ns()
            try:
                os.pwrite(fd, image, (2 * turn + (mode == DIRECT)) * ALIGN_SYNC)
                if mode == FDATASYNC:
                    os.fdatasync(fd)
            except OSError as error:
                if mode == DIRECT and error.errno == errno.EINVAL:
                    return FDATASYNC
                raise
            taken_ns[mode].append(monotonic_ns() - start_ns)
        if monotonic_ns() - begun_ns > BUDGET_NS:
            break
    return min(taken_ns, key=lambda mode: statistics.median(taken_ns[mode]))
