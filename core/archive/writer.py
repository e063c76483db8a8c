"""The writer of the event archive: events in, blocks and segments out.

One writer at a time, the replayer; it holds a lock on the directory.  At open it finds the last
valid block, cuts everything behind it off and goes on there.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from core.archive.cursor import Cursor
from core.archive.layout import (
    BLOCK_BYTES_MAX,
    BLOCK_EVENTS_MAX,
    INDEX_MAX,
    NOTHING,
    SEGMENT_BYTES,
    SEGMENT_BYTES_MIN,
    SEGMENT_HEADER_BYTES,
    WRITER,
    Key,
)
from core.archive.scan import append, in_order
from core.archive.segments import Header, encode, salt_of, segment_numbers, segment_path
from core.constants import EVENT_BYTES
from core.memory import view
from core.messages import EVENT, LAST

_DROPPED_EVENTS: Final = 4_096


class ArchiveWriter:
    """See the module.  A write that fails is an OSError; what was archived before it stays."""

    def __init__(
        self, directory: Path, uuid: bytes, *, segment_bytes: int = SEGMENT_BYTES, fd: int = -1
    ) -> None:
        """Open the archive in ``directory``, which is made if need be, and mend its end.

        ``fd`` >= 0: write to this descriptor instead (a null device), and touch no directory.
        BlockingIOError when another process writes there.
        """
        if segment_bytes < SEGMENT_BYTES_MIN:
            raise ValueError(
                f"segment_bytes: expected at least {SEGMENT_BYTES_MIN}, got {segment_bytes}"
            )
        self.directory = directory
        self._uuid = uuid
        self._given_fd = fd
        self._lock = -1
        self._staging = np.zeros(BLOCK_BYTES_MAX // 8, np.int64)
        self._state = np.zeros(1, WRITER)
        self._address = int(self._state.ctypes.data)
        row = self.row = self._state[0]
        row["staging"] = self._staging.ctypes.data
        row["segment_bytes"], row["salt"] = segment_bytes, salt_of(uuid)
        row["fd"], row["offset"] = -1, segment_bytes  # Full: the next event begins a segment.
        row["block_no"], row["ended"] = 1, 1
        row["sequence"], row["index"] = NOTHING
        self._newest = NOTHING  # The last event before the segment, whatever lies between.
        if fd < 0:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._mend()
            except BaseException:
                self.close()
                raise

    @property
    def last(self) -> Key:
        """(sequence, index) of the newest event, (0, -1) when there is none.

        After ``gap(s)`` it is (s, 2^31 - 1): events up to this key are not taken any more.
        """
        return int(self.row["sequence"]), int(self.row["index"])

    @property
    def event_hash(self) -> int:
        """The engine's rolling hash after ``last``; 0 when it is not known."""
        return int(self.row["event_hash"])

    def append(self, address: int, count: int, event_hash: int) -> None:
        """Write the ``count`` events that lie together at ``address``, behind ``last``.

        ``event_hash`` is the engine's rolling hash after the last of them; 0: not known.
        ValueError, and nothing is written, when they do not follow ``last`` one by one.
        """
        if count <= 0:
            return
        row = self.row
        good = int(in_order(address, count, row["sequence"], row["index"], row["ended"]))
        if good != count:
            raise ValueError(self._disorder(address, good))
        while count > 0:
            done = int(append(self._address, address, count, event_hash))
            if done < 0:
                self._fail(-done)
            address += done * EVENT_BYTES
            count -= done
            if count > 0:
                self._begin_segment(view(address, EVENT, 1)[0])

    def _disorder(self, address: int, place: int) -> str:
        found = view(address + place * EVENT_BYTES, EVENT, 1)[0]
        before, ended = self.last, bool(self.row["ended"])
        if place > 0:
            previous = view(address + (place - 1) * EVENT_BYTES, EVENT, 1)[0]
            before = int(previous["sequence"]), int(previous["index"])
            ended = bool(previous["flags"] & LAST)
        expected = (
            f"index 0 of a sequence above {before[0]}" if ended else f"{before[0]}.{before[1] + 1}"
        )
        return (
            f"event archive: behind {before[0]}.{before[1]} expected {expected}, got "
            f"{int(found['sequence'])}.{int(found['index'])} (event {place} of those given)"
        )

    def sync(self) -> None:
        """Make what was appended durable."""
        if self._given_fd < 0 and self.row["fd"] >= 0:
            os.fdatasync(int(self.row["fd"]))

    def gap(self, sequence: int) -> None:
        """The events behind ``last`` up to and with those of ``sequence`` are not at hand.

        The next event must be of a later sequence and begins a new segment, which says so: a
        reader that comes from before it is told of the gap.  Nothing happens when the archive has
        all events up to those of ``sequence``.
        """
        row = self.row
        if sequence < row["sequence"] or (sequence == row["sequence"] and row["ended"]):
            return
        if self._newest == NOTHING or row["index"] != INDEX_MAX:
            self._newest = self.last
        row["sequence"], row["index"], row["ended"] = sequence, INDEX_MAX, 1
        row["event_hash"] = 0
        row["offset"] = row["segment_bytes"]

    def trim(self, keep_bytes: int) -> list[Path]:
        """Remove the oldest whole segments beyond ``keep_bytes``, never the newest one.

        What was removed, oldest first.
        """
        removed: list[Path] = []
        if self._given_fd >= 0:
            return removed
        paths = [segment_path(self.directory, n) for n in segment_numbers(self.directory)]
        sizes = [path.stat().st_size for path in paths]
        total = sum(sizes)
        for path, size in zip(paths[:-1], sizes[:-1], strict=True):
            if total <= keep_bytes:
                break
            path.unlink()
            removed.append(path)
            total -= size
        return removed

    def close(self) -> None:
        """Give the descriptors and the lock back.  Syncs nothing."""
        if self._given_fd < 0 and self.row["fd"] >= 0:
            os.close(int(self.row["fd"]))
        self.row["fd"] = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _begin_segment(self, event: "np.void") -> None:
        """Leave the segment, and make the next one, whose first event is given."""
        row = self.row
        self.sync()
        first = int(event["sequence"]), int(event["index"])
        is_gap = int(row["index"]) == INDEX_MAX
        header = Header(
            segment_no=int(row["segment_no"]) + 1,
            first=first,
            after=self.last,
            newest=self._newest if is_gap else self.last,
            first_block_no=int(row["block_no"]),
            prev_crc32c=int(row["prev_crc32c"]),
            is_gap=is_gap,
        )
        image = encode(self._uuid, header)
        fd = self._given_fd
        if fd < 0:
            path = segment_path(self.directory, header.segment_no)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                if os.pwrite(fd, image, 0) != len(image):
                    raise OSError(f"short write of {path}")
                os.fsync(self._lock)
            except BaseException:
                os.close(fd)
                path.unlink()
                raise
            if row["fd"] >= 0:
                os.close(int(row["fd"]))
        else:
            os.write(fd, image)
        row["fd"], row["offset"] = fd, SEGMENT_HEADER_BYTES
        row["segment_no"] = header.segment_no

    def _fail(self, errno: int) -> None:
        """A write failed: leave no half block behind, as far as that can be done."""
        if self._given_fd < 0:
            with suppress(OSError):
                os.ftruncate(int(self.row["fd"]), int(self.row["offset"]))
        where = segment_path(self.directory, int(self.row["segment_no"]))
        raise OSError(errno, os.strerror(errno), str(where))

    def _mend(self) -> None:
        """Find the last valid block; cut off what is behind it, go on there."""
        for number in reversed(segment_numbers(self.directory)):
            path = segment_path(self.directory, number)
            cursor = Cursor.open(self.directory, number, self._uuid)
            if isinstance(cursor, Cursor):
                try:
                    if self._adopt(cursor):
                        return
                finally:
                    cursor.close()
            path.unlink(missing_ok=True)

    def _adopt(self, cursor: Cursor) -> bool:
        """Go on behind the last valid block of this segment; False when there is none."""
        room = np.empty(_DROPPED_EVENTS, EVENT)
        while cursor.take(int(room.ctypes.data), BLOCK_EVENTS_MAX) > 0:
            pass
        if cursor.offset == SEGMENT_HEADER_BYTES:
            return False
        fd = os.open(cursor.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.fstat(fd).st_size != cursor.offset:
                os.ftruncate(fd, cursor.offset)
                os.fdatasync(fd)
        except BaseException:
            os.close(fd)
            raise
        row, found = self.row, cursor.row
        for name in ("segment_no", "block_no", "prev_crc32c", "sequence", "index", "ended"):
            row[name] = found[name]
        row["event_hash"], row["offset"], row["fd"] = found["event_hash"], found["offset"], fd
        return True
