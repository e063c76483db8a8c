"""The segments of a journal one after the other, each read ahead of its turn."""

import mmap
import threading
from pathlib import Path

from core.journal.content import Content
from core.journal.segments import is_activated, segment_path


class Contents:
    """``take`` gives a segment's bytes; those of the one before are void from then on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._rooms: list[mmap.mmap] = []
        self._held: Content | None = None
        self._thread: threading.Thread | None = None
        self._ahead: list[Content] = []  # What the thread has read.

    def take(self, segment_no: int) -> Content:
        """The bytes of a segment, and begin to read the next one; raises OSError."""
        if self._held is not None and self._held.room is not None:
            self._rooms.append(self._held.room)
        found = self._read_ahead(segment_no)
        if found is None or not self._is_sealed(segment_no):
            found = self._read(segment_no)  # The newest is read when its turn has come.
        self._held = found
        if self._is_sealed(segment_no) and self._is_sealed(segment_no + 1):
            self._thread = threading.Thread(
                target=self._begin, args=(segment_no + 1,), name="segments", daemon=True
            )
            self._thread.start()
        return found

    def close(self) -> None:
        """Let go of what was read ahead."""
        if self._thread is not None:
            self._thread.join()
        self._thread, self._held = None, None
        self._ahead.clear()
        self._rooms.clear()

    def _is_sealed(self, segment_no: int) -> bool:
        return is_activated(segment_path(self._directory, segment_no + 1))

    def _read(self, segment_no: int) -> Content:
        room = self._rooms.pop() if self._rooms else None
        path = segment_path(self._directory, segment_no)
        return Content(path, direct=not self._is_sealed(segment_no), room=room)

    def _begin(self, segment_no: int) -> None:
        try:
            self._ahead.append(self._read(segment_no))
        except OSError:  # ``take`` reads it again, and raises where somebody hears it.
            self._ahead.clear()

    def _read_ahead(self, segment_no: int) -> Content | None:
        if self._thread is None:
            return None
        self._thread.join()
        self._thread = None
        found = self._ahead.pop() if self._ahead else None
        return (
            found
            if found is not None and found.path == segment_path(self._directory, segment_no)
            else None
        )
