"""Following a journal while it is written, up to what is durable, across rotations and restarts.

The replayer's way through the journal.  It reads past the page cache where the writer does, so that
the writer never finds pages of its own file in its way, and only as much as there is.  A block that
is not whole yet is nothing yet; one that should be whole, because its sequence is known to be
durable, and is not, refuses.
"""

import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from core.journal import header as headers
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import BLOCK_BYTES_MAX, SEGMENT_HEADER_BYTES, SYNC
from core.journal.place import Place
from core.journal.scan import FAULT_TEXT, LIMITED
from core.journal.scanner import Commands, Scanner, Special
from core.journal.segments import is_activated, open_file, segment_path
from core.memory import address_of_buffer

EVERYTHING: Final = -1
PAGE_BYTES: Final = 4096
FIRST_BYTES: Final = 68 << 10  # A block of the largest size, wherever it begins.
READ_BYTES_MAX: Final = 4 << 20


class Follower(Scanner):
    """``poll`` gives what has come.  Begins behind ``start``, None: with GENESIS."""

    def __init__(self, directory: Path, uuid: bytes, start: Place | None) -> None:
        super().__init__(directory, uuid, start=start)
        self._fd = -1
        self._room: mmap.mmap | None = None
        self._loaded_to = 0  # End of the newest part that was read.
        self._next_bytes = FIRST_BYTES

    @property
    def segment_no(self) -> int:
        """The segment that is being read; 0 before the first."""
        return self.header.segment_no if self.header is not None else 0

    def poll(self, durable_sequence: int) -> Iterator[Commands | Special]:
        """What is there and was not given yet; no command above ``durable_sequence``.

        EVERYTHING: nobody writes, and all that is there was synced.  Raises JournalRefused where
        something durable cannot be read.
        """
        if self.header is None and not self._open(self.first_segment()):
            return
        self.state.limit = 0 if durable_sequence == EVERYTHING else durable_sequence or -1
        tried = -1
        while True:
            yield from self.blocks(self._path)
            if self.sealed:
                if not self._open(self.segment_no + 1):
                    return
                tried = -1
            elif self.state.fault == LIMITED:
                return
            elif self.state.offset == tried:
                self._refuse_missing(durable_sequence)
                return
            else:
                tried = int(self.state.offset)
                self._read_on()

    @property
    def _path(self) -> Path:
        return segment_path(self.directory, self.segment_no)

    def _open(self, segment_no: int) -> bool:
        """Go to a segment; False when it is not in use yet."""
        path = segment_path(self.directory, segment_no)
        if not is_activated(path):
            return False
        with open(open_file(path, os.O_RDONLY), "rb", buffering=0) as file:
            image = np.frombuffer(file.read(SEGMENT_HEADER_BYTES), np.uint8)
            size = os.fstat(file.fileno()).st_size
        if headers.is_unused(image, segment_no):  # Its header is being written.
            return False
        header = headers.parse(image, path, segment_no)
        self.close()
        self._fd = _open_past_cache(path, direct=header.durability == SYNC)
        if self._room is None or len(self._room) != size:
            self._room = mmap.mmap(-1, size)
        if self.header is None and self.start is not None:
            self._load(0, self.start.offset + FIRST_BYTES)
        self._next_bytes = FIRST_BYTES
        self.enter(address_of_buffer(self._room), size, path, header)
        return True

    def _read_on(self) -> None:
        """Read from the next block on: more at once while all that was read is used up."""
        begin = int(self.state.offset)
        used_up = self._loaded_to - begin < BLOCK_BYTES_MAX
        self._next_bytes = min(2 * self._next_bytes, READ_BYTES_MAX) if used_up else FIRST_BYTES
        self._load(begin // PAGE_BYTES * PAGE_BYTES, self._next_bytes)

    def _load(self, start: int, size: int) -> None:
        assert self._room is not None
        end = min(start + size, len(self._room))
        with memoryview(self._room) as whole:
            while start < end:
                done = os.preadv(self._fd, [whole[start:end]], start)
                if done == 0:
                    raise OSError(errno.EIO, "the file became shorter", str(self._path))
                start += done
        self._loaded_to = end

    def _refuse_missing(self, durable_sequence: int) -> None:
        """What is durable can be read: a block that cannot is damage, not a block to come."""
        state = self.state
        if state.last_sequence >= durable_sequence:
            return
        detail = f"sequence {durable_sequence} is durable, but {FAULT_TEXT[int(state.fault)]}"
        raise JournalRefused(Fault.CORRUPT_TAIL, self._path, int(state.offset), detail)

    def close(self) -> None:
        """Let go of the file; ``poll`` opens the next."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open_past_cache(path: Path, *, direct: bool) -> int:
    """A descriptor for reading: ``direct`` past the page cache where the file system can."""
    try:
        return open_file(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return open_file(path, os.O_RDONLY)


assert FIRST_BYTES >= BLOCK_BYTES_MAX + PAGE_BYTES and READ_BYTES_MAX % PAGE_BYTES == 0
