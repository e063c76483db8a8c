"""The bytes of one segment in memory: mapped when sealed, read past the page cache when not."""

import ctypes
import errno
import mmap
import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.journal.blocks import is_zero
from core.journal.segments import open_file
from core.memory import address_of_buffer

CHUNK_BYTES: Final = 4 << 20
PAGE_BYTES: Final = 4096
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Content:
    """Bytes of a segment at ``address``; keep the object as long as the address is used.

    ``direct``: a private copy of what the disk holds (O_DIRECT where possible), which ``reload``
    refreshes.  Otherwise a read-only mapping of the file where the page cache has it, else such a
    copy too: read in large parts it comes almost twice as fast as by page faults.  ``room`` is the
    memory of an older Content that nobody uses any more.
    """

    def __init__(self, path: Path, *, direct: bool, room: mmap.mmap | None = None) -> None:
        self.path = path
        fd = open_file(path, os.O_RDONLY)
        try:
            self.size = os.fstat(fd).st_size
            mapped = None if direct or self.size == 0 else _mapping(fd, self.size)
            self._direct = mapped is None
            if mapped is not None:
                self._owner = mapped
            elif room is not None and len(room) == self.size:
                self._owner = room
            else:
                self._owner = mmap.mmap(-1, max(self.size, PAGE_BYTES))
        finally:
            os.close(fd)
        self.address = address_of_buffer(self._owner)
        if self._direct:
            self.reload(0)

    @property
    def room(self) -> mmap.mmap | None:
        """Memory that the next Content may use when this one is done with; None: a mapping."""
        return self._owner if self._direct else None

    @property
    def array(self) -> "np.ndarray[Any, np.dtype[np.uint8]]":
        """All bytes."""
        return np.frombuffer(self._owner, np.uint8, self.size)

    def reload(self, offset: int) -> None:
        """Read again from the page of ``offset`` to the end; a mapping is always fresh."""
        if not self._direct:
            return
        start = offset // PAGE_BYTES * PAGE_BYTES
        try:
            self._read(start, os.O_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:  # The file system has no O_DIRECT.
                raise
            self._read(start, 0)

    def _read(self, offset: int, flags: int) -> None:
        fd = open_file(self.path, os.O_RDONLY | flags)
        try:
            if not flags:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            with memoryview(self._owner) as whole:
                while offset < self.size:
                    end = min(offset + CHUNK_BYTES, self.size)
                    done = os.preadv(fd, [whole[offset:end]], offset)
                    if done == 0:
                        raise OSError(errno.EIO, "the file became shorter", str(self.path))
                    offset += done
        finally:
            os.close(fd)

    def is_zero(self, offset: int) -> bool:
        """Whether everything from ``offset`` (a multiple of 8) on is zero."""
        return bool(is_zero(self.address + offset, self.size - offset))


def _mapping(fd: int, size: int) -> mmap.mmap | None:
    """The file mapped, if most of it is in the page cache."""
    try:
        mapped = mmap.mmap(fd, size, prot=mmap.PROT_READ)
    except ValueError as error:
        raise OSError(errno.EIO, f"the file became shorter: {error}") from None
    pages = np.zeros(-(-size // PAGE_BYTES), np.uint8)
    address = address_of_buffer(mapped)
    length, vector = ctypes.c_size_t(size), ctypes.c_void_p(pages.ctypes.data)
    told = _LIBC.mincore(ctypes.c_void_p(address), length, vector) == 0
    if told and np.count_nonzero(pages & 1) * 8 < len(pages) * 7:
        return None
    mapped.madvise(mmap.MADV_SEQUENTIAL)
    return mapped


def is_all_zero(path: Path) -> bool:
    """Whether a file holds nothing but zeros; room that was never written is not read."""
    fd = open_file(path, os.O_RDONLY)
    try:
        os.lseek(fd, 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # No data at all.
            return True
    finally:
        os.close(fd)
    return Content(path, direct=True).is_zero(0)
