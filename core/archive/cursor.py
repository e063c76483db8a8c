"""A place in one segment: reads it block by block, and checks every byte that it gives."""

import mmap
import os
from pathlib import Path
from typing import Final

import numpy as np

from core.archive.layout import (
    BLOCK_BYTES_MAX,
    BLOCK_HEADER_BYTES,
    CURSOR,
    FAULTS,
    NOTHING,
    SEGMENT_HEADER_BYTES,
    Key,
)
from core.archive.scan import header_behind, take
from core.archive.segments import (
    Header,
    open_segment,
    read_header,
    salt_of,
    segment_path,
)
from core.constants import EVENT_BYTES
from core.memory import address_of_buffer

WINDOW_BYTES: Final = 2 << 20
assert WINDOW_BYTES >= 2 * BLOCK_BYTES_MAX


class Cursor:
    """Reads one segment on from its beginning; a descriptor that ``close`` gives back."""

    def __init__(self, directory: Path, header: Header, fd: int, uuid: bytes) -> None:
        self.header = header
        self.path = segment_path(directory, header.segment_no)
        self.fd = fd
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._window = mmap.mmap(-1, WINDOW_BYTES, flags=flags)  # Only what is read is touched.
        self._state = np.zeros(1, CURSOR)
        self._address = int(self._state.ctypes.data)
        self.row = self._state[0]
        self.row["window"] = address_of_buffer(self._window)
        self.row["offset"] = SEGMENT_HEADER_BYTES
        self.row["segment_no"], self.row["salt"] = header.segment_no, salt_of(uuid)
        self.row["block_no"] = header.first_block_no
        self.row["prev_crc32c"] = header.prev_crc32c
        self.row["sequence"], self.row["index"] = header.after
        # Behind a cut command its next event follows; behind everything else index 0.
        self.row["ended"] = int(header.first[1] == 0)
        self.skip(NOTHING)

    @classmethod
    def open(cls, directory: Path, segment_no: int, uuid: bytes) -> "Cursor | str | None":
        """The segment from its beginning, what is wrong with it, or None when it is not there."""
        fd = open_segment(segment_path(directory, segment_no))
        if fd is None:
            return None
        header = read_header(fd, uuid, segment_no)
        if isinstance(header, str):
            os.close(fd)
            return header
        return cls(directory, header, fd, uuid)

    def skip(self, key: Key) -> None:
        """Give only events behind ``key``."""
        self.row["skip_sequence"], self.row["skip_index"] = key

    @property
    def checked(self) -> Key:
        """The last event of the newest block that was checked; before any: ``header.after``."""
        return int(self.row["sequence"]), int(self.row["index"])

    @property
    def link(self) -> int:
        """What the header of the block behind ``checked`` names as the block before it."""
        return int(self.row["prev_crc32c"])

    @property
    def offset(self) -> int:
        """Where in the file the next block to be checked begins."""
        return int(self.row["offset"])

    def take(self, out: int, events_max: int) -> int:
        """Copy the next events to ``out``, fewer only at the end of what is there now.

        ``fault`` then says whether what follows is a bad block.
        """
        row, done, is_fresh = self.row, 0, False
        if row["status"] < 0:  # A writer may have been there since.
            row["filled"] = row["place"] = 0
        while True:
            done += int(take(self._address, out + done * EVENT_BYTES, events_max - done))
            if done == events_max or row["status"] < 0:
                return done
            before = int(row["filled"]) - int(row["place"])  # The beginning of a block.
            filled = os.preadv(self.fd, [self._window], self.offset)
            row["filled"], row["place"] = filled, 0
            if filled == 0 or (is_fresh and filled <= before):
                return done
            is_fresh = True

    def unread(self) -> None:
        """Give the event that was taken last once more; only right after a ``take`` of one."""
        self.row["place"] -= EVENT_BYTES
        self.row["left"] += 1

    @property
    def fault(self) -> str:
        """What is wrong with the bytes at ``offset``; empty when there is nothing (yet)."""
        return FAULTS.get(int(self.row["status"]), "")

    @property
    def is_torn(self) -> bool:
        """Are there bytes at ``offset`` that are no block (yet)?"""
        return os.fstat(self.fd).st_size > self.offset

    def has_blocks_behind(self) -> bool:
        """Is there a block header behind the bad block at ``offset``?"""
        at = self.offset + BLOCK_HEADER_BYTES
        salt, number = int(self.row["salt"]), int(self.row["segment_no"])
        self.row["filled"] = self.row["place"] = 0  # The window is used for this.
        while (filled := os.preadv(self.fd, [self._window], at)) >= BLOCK_HEADER_BYTES:
            if header_behind(int(self.row["window"]), filled, at, salt, number) >= 0:
                return True
            at += filled // BLOCK_HEADER_BYTES * BLOCK_HEADER_BYTES
        return False

    def is_current(self) -> bool:
        """Is the file still there under its name, and was nothing cut off that was read?"""
        own = os.fstat(self.fd)
        if own.st_size < self.offset:
            return False
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
            self._window.close()
            self.fd = -1
