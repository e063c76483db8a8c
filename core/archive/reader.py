"""The reader of the event archive: events in order, every byte checked, nothing left out silently.

Works while a writer appends, trims, and after it was killed: a block that is not whole at the end
of the newest segment is nothing yet.  A reader keeps the file that it reads open, so a trimmed
segment is read to its end.
"""

import os
from collections import deque
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.archive.cursor import Cursor
from core.archive.errors import ArchiveDamaged, ArchiveGap
from core.archive.layout import NOTHING, SEGMENT_HEADER_BYTES, Key
from core.archive.scan import pick_order, pick_takers
from core.archive.segments import (
    Header,
    is_newest,
    open_segment,
    read_header,
    segment_numbers,
    segment_path,
)
from core.constants import EVENT_BYTES, ORDER_SLOT_BITS
from core.memory import view
from core.messages import EVENT

Rows = np.ndarray[Any, Any]

SCAN_EVENTS: Final = 8_192
SCAN_BYTES: Final = 256 << 20
FILLS_BYTES: Final = 64 << 20
FILLS_MAX: Final = 100_000


class Recent(NamedTuple):
    """Events from the end of the archive; complete for all keys above ``after`` up to ``last``."""

    events: Rows
    after: Key
    last: Key


class ArchiveReader:
    """See the module.  Not thread-safe; ``close`` gives its descriptors back."""

    def __init__(self, directory: Path, uuid: bytes) -> None:
        self.directory = directory
        self._uuid = uuid
        self._cursor: Cursor | None = None
        self._tail: Cursor | None = None
        self._is_left = False  # The writer has begun a segment behind that of the cursor.
        self._one = np.empty(1, EVENT)
        self._key = NOTHING

    @property
    def first(self) -> Key:
        """Key of the oldest event at hand; (0, -1) when there is none."""
        for header in self._headers():
            cursor = Cursor.open(self.directory, header.segment_no, self._uuid)
            if isinstance(cursor, Cursor):
                with closing(cursor):
                    if cursor.take(_address(self._one), 1):
                        return header.first
        return NOTHING

    @property
    def last(self) -> Key:
        """Key of the newest event at hand; (0, -1) when there is none."""
        for number in reversed(segment_numbers(self.directory)):
            cursor = self._tail_of(number)
            if cursor is not None and cursor.offset > SEGMENT_HEADER_BYTES:
                return cursor.checked
        return NOTHING

    @property
    def key(self) -> Key:
        """The next event is the first one behind this key."""
        return self._key

    @property
    def ended(self) -> bool:
        """Is the event at ``key`` known to be the last one of its command?"""
        cursor = self._cursor
        return cursor is not None and cursor.checked == self._key and bool(cursor.row["ended"])

    def seek(self, sequence: int, index: int) -> None:
        """Go where the next event is the first one behind (sequence, index).

        There need not be one yet.  ArchiveGap, ArchiveDamaged: that event is not at hand, but later
        ones are; the reader then stays before the gap, and says so at each ``read``.
        """
        self._leave()
        self._key = sequence, index
        if self.read_into(_address(self._one), 1):
            assert self._cursor is not None
            self._cursor.unread()
            self._key = sequence, index

    def read(self, events_max: int) -> Rows:
        """The next events, at most ``events_max``; none when nothing more is there now.

        ArchiveGap, ArchiveDamaged: the next event is not at hand, but later ones are.
        """
        rows = np.empty(events_max, EVENT)
        return rows[: self.read_into(_address(rows), events_max)]

    def read_into(self, address: int, events_max: int) -> int:
        """As ``read``, to memory at ``address``; how many events."""
        if events_max <= 0:
            return 0
        while True:
            if self._cursor is None and not self._locate():
                return 0
            assert self._cursor is not None
            done = self._cursor.take(address, events_max)
            if done:
                last = view(address + (done - 1) * EVENT_BYTES, EVENT, 1)[0]
                self._key = int(last["sequence"]), int(last["index"])
                return done
            if not self._step(self._cursor):
                return 0

    def order_events(self, order_id: int, *, bytes_max: int = SCAN_BYTES) -> Rows:
        """The events of an order, from its command to its end, in order; moves the reader.

        They end before that when the order has not ended, or after ``bytes_max`` of events.
        ArchiveGap, ArchiveDamaged: not all of them are at hand.
        """
        self.seek(order_id >> ORDER_SLOT_BITS, -1)
        rows, out = np.empty(SCAN_EVENTS, EVENT), np.empty(SCAN_EVENTS, EVENT)
        found: list[Rows] = []
        passed = 0
        while passed * EVENT_BYTES < bytes_max:
            count = self.read_into(_address(rows), SCAN_EVENTS)
            picked = int(pick_order(_address(rows), count, order_id, _address(out)))
            number = -1 - picked if picked < 0 else picked
            if number:
                found.append(out[:number].copy())
            if picked < 0 or count == 0:
                break
            passed += count
        return np.concatenate(found) if found else np.empty(0, EVENT)

    def recent_fills(self, bytes_max: int = FILLS_BYTES) -> Rows:
        """The takers' FILL events of the last ``bytes_max``, oldest first; moves the reader."""
        return self.recent(bytes_max).events

    def recent(self, bytes_max: int = FILLS_BYTES, events_max: int = FILLS_MAX) -> Recent:
        """As ``recent_fills``, with the keys between which they are all there are.

        Reads whole segments, so up to one segment more than ``bytes_max``; the newest
        ``events_max`` fills at the most.
        """
        after = self._before(bytes_max)
        rows, out = np.empty(SCAN_EVENTS, EVENT), np.empty(SCAN_EVENTS, EVENT)
        kept: deque[Rows] = deque()
        total = 0
        self._leave()
        self._key = after
        while True:
            try:
                count = self.read_into(_address(rows), SCAN_EVENTS)
            except (ArchiveGap, ArchiveDamaged) as missing:
                if missing.oldest is None:
                    break
                after, total = before(missing.oldest), 0
                kept.clear()
                self._leave()
                self._key = after
                continue
            if count == 0:
                break
            number = int(pick_takers(_address(rows), count, _address(out)))
            kept.append(out[:number].copy())
            total += number
            while total - len(kept[0]) >= events_max:
                dropped = kept.popleft()
                total -= len(dropped)
                if len(dropped):
                    after = int(dropped[-1]["sequence"]), int(dropped[-1]["index"])
        events = np.concatenate(list(kept)) if kept else np.empty(0, EVENT)
        return Recent(events, after, self._key)

    def close(self) -> None:
        """Give the descriptors back; the reader may be used again."""
        self._leave()
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _leave(self) -> None:
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None
        self._is_left = False

    def _enter(self, cursor: Cursor) -> None:
        self._leave()
        cursor.skip(self._key)
        self._cursor = cursor

    def _locate(self) -> bool:
        """Enter the segment that holds what follows ``key``; False when there is none."""
        while True:
            headers = self._headers()
            covering = [header for header in headers if header.after <= self._key]
            if not covering:
                if headers:
                    raise ArchiveGap(self._key, headers[0].first)
                return False
            number = covering[-1].segment_no
            cursor = Cursor.open(self.directory, number, self._uuid)
            if isinstance(cursor, Cursor):
                self._enter(cursor)
                return True

    def _step(self, cursor: Cursor) -> bool:
        """Nothing more was at hand in the segment: is there something to try now?"""
        if not cursor.is_current():
            self._leave()
            return self._locate()
        own = cursor.header.segment_no
        later = [number for number in segment_numbers(self.directory) if number > own]
        if not later:
            if cursor.fault and cursor.has_blocks_behind():
                return self._look_again(cursor)
            return False
        if not self._is_left:  # What the writer did before it left the segment is there now.
            self._is_left = True
            return True
        if cursor.is_torn:
            raise self._damaged(cursor.path, cursor.offset, cursor.fault or "ends inside a block")
        return self._cross(cursor, later[0])

    def _look_again(self, cursor: Cursor) -> bool:
        """A bad block with others behind it: unless a writer was just there, it is damage."""
        if cursor.take(_address(self._one), 1):
            cursor.unread()
            return True
        if cursor.fault and cursor.has_blocks_behind():
            raise self._damaged(cursor.path, cursor.offset, cursor.fault)
        return False

    def _cross(self, cursor: Cursor, number: int) -> bool:
        """Go on to the segment ``number`` from the end of the one before it."""
        following = Cursor.open(self.directory, number, self._uuid)
        if following is None:
            return True  # Trimmed meanwhile: look again.
        if isinstance(following, str):
            if is_newest(self.directory, number):
                return False  # Perhaps it is being made.
            raise self._damaged(segment_path(self.directory, number), 0, following)
        header = following.header
        if header.after > max(self._key, cursor.checked):
            following.close()
            raise ArchiveGap(self._key, header.first)
        if number == cursor.header.segment_no + 1 and header.prev_crc32c != cursor.link:
            following.close()
            raise self._damaged(following.path, 0, "does not follow from the segment before it")
        self._enter(following)
        return True

    def _damaged(self, path: Path, offset: int, reason: str) -> ArchiveDamaged:
        behind = [header.first for header in self._headers() if header.after > self._key]
        return ArchiveDamaged(path, offset, reason, self._key, min(behind, default=None))

    def _headers(self) -> list[Header]:
        """The headers that are good, in order."""
        found = []
        for number in segment_numbers(self.directory):
            fd = open_segment(segment_path(self.directory, number))
            if fd is not None:
                try:
                    header = read_header(fd, self._uuid, number)
                finally:
                    os.close(fd)
                if isinstance(header, Header):
                    found.append(header)
        return found

    def _tail_of(self, number: int) -> Cursor | None:
        """A cursor at the end of a segment; None when the segment cannot be read."""
        tail = self._tail
        if tail is None or tail.header.segment_no != number or not tail.is_current():
            if tail is not None:
                tail.close()
            opened = Cursor.open(self.directory, number, self._uuid)
            tail = self._tail = opened if isinstance(opened, Cursor) else None
        if tail is not None:
            room = np.empty(SCAN_EVENTS, EVENT)
            while tail.take(_address(room), SCAN_EVENTS):
                pass
        return tail

    def _before(self, bytes_max: int) -> Key:
        """The key before about the last ``bytes_max`` of the archive."""
        total, after = 0, NOTHING
        for header in reversed(self._headers()):
            after = header.after
            with suppress(FileNotFoundError):
                total += segment_path(self.directory, header.segment_no).stat().st_size
            if total >= bytes_max or header.is_gap:
                break
        return after


def before(key: Key) -> Key:
    """A key right before ``key``: whoever seeks it reads ``key`` next."""
    return key[0], key[1] - 1


def _address(rows: Rows) -> int:
    return int(rows.ctypes.data)
