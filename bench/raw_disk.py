"""What the disk can do without a journal: one write and its sync, and bytes a second."""

import os
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.jit import kernel
from core.journal.layout import SEGMENT_HEADER_BYTES
from core.journal.segments import make_segment, open_file, segment_path
from core.libc import clock_monotonic_ns, fdatasync, pwrite
from core.memory import region, view

SYNC_BYTES: Final = 16 << 20  # Of the stream of ``bytes_per_s``: what one fdatasync has to do.
CHUNK_BYTES: Final = 1 << 20


@kernel
def timed_raw(fd: int, image: int, count: int, offset: int, direct: int) -> int:
    """One raw write, with its sync; nanoseconds, or minus errno."""
    begun_ns = clock_monotonic_ns()
    done = pwrite(fd, image, count, offset)
    if done >= 0 and direct == 0:
        done = fdatasync(fd)
    return clock_monotonic_ns() - begun_ns if done >= 0 else done


class RawDisk:
    """A segment of its own in ``directory``, prepared as the journal's are, written in turn.

    ``direct``: O_DIRECT and O_DSYNC, one call does both; else a write, then fdatasync.
    """

    def __init__(self, directory: Path, size: int, *, direct: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        make_segment(directory, 1, size, prewritten=True)
        self.path = segment_path(directory, 1)
        self._size, self._direct = size, direct
        self._fd = open_file(self.path, os.O_RDWR | (os.O_DIRECT | os.O_DSYNC if direct else 0))
        self._owner, self._image = region(CHUNK_BYTES)
        self._words: Any = view(self._image, np.dtype(np.int64), CHUNK_BYTES // 8)
        self._words[:] = np.arange(CHUNK_BYTES // 8)
        self._offset = SEGMENT_HEADER_BYTES

    def write(self, count: int) -> int:
        """Write ``count`` bytes behind the last ones, durable; nanoseconds.  Raises OSError."""
        if self._offset + count > self._size:
            self._offset = SEGMENT_HEADER_BYTES
        self._words[0] = self._offset
        taken = int(timed_raw(self._fd, self._image, count, self._offset, int(self._direct)))
        if taken < 0:
            raise OSError(-taken, os.strerror(-taken), str(self.path))
        self._offset += count
        return taken

    def close(self) -> None:
        """Close and remove the file."""
        os.close(self._fd)
        self.path.unlink()


def bytes_per_s(directory: Path, seconds: float, size: int) -> float:
    """Bytes a second that a buffered stream gets durable, in a file that only has room reserved."""
    make_segment(directory, 1, size, prewritten=False)
    path = segment_path(directory, 1)
    fd = open_file(path, os.O_RDWR)
    chunk, written, offset = os.urandom(CHUNK_BYTES), 0, 0
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < seconds:
            for _ in range(SYNC_BYTES // CHUNK_BYTES):
                offset = offset if offset + CHUNK_BYTES <= size else 0
                written += os.pwrite(fd, chunk, offset)
                offset += CHUNK_BYTES
            os.fdatasync(fd)
        return written / (time.monotonic() - begun)
    finally:
        os.close(fd)
        path.unlink()
