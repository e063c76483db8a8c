"""The event archive as an adapter sees it: what is no longer in the ring or in the core.

Files are read in threads, so that the event loop never waits for a disk; one search at a time.
Without an archive (nothing writes one, or it was just deleted) everything answers None.
"""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from core.archive.errors import ArchiveDamaged, ArchiveGap
from core.archive.reader import ArchiveReader, Recent
from core.archive.segments import segment_numbers
from core.messages import EVENT

Rows = np.ndarray[Any, Any]
Found = TypeVar("Found")

EVENTS_NAME: Final = "events"
READ_EVENTS: Final = 4_096  # At a time.


class History:
    """The archive of one data directory; ``uuid`` says of which journal it must be."""

    def __init__(self, data: Path, uuid: Callable[[], str]) -> None:
        self._directory = data / EVENTS_NAME
        self._uuid = uuid
        self._one = asyncio.Semaphore(1)

    def reader(self) -> ArchiveReader | None:
        """A reader of its own for the caller, who closes it; None when there is no archive."""
        try:
            uuid = bytes.fromhex(self._uuid().replace("-", ""))
        except ValueError:
            return None
        if len(uuid) != 16 or not segment_numbers(self._directory):
            return None
        return ArchiveReader(self._directory, uuid)

    async def recent(self, bytes_max: int) -> Recent | None:
        """The last trades, out of about the last ``bytes_max`` of the archive."""
        return await self._search(lambda reader: reader.recent(bytes_max))

    async def order_events(self, order_id: int, bytes_max: int) -> Rows | None:
        """The events of an order from its command on, out of at most ``bytes_max``.

        None when its first ones are not at hand.
        """
        return await self._search(lambda reader: reader.order_events(order_id, bytes_max=bytes_max))

    async def command_events(self, sequence: int, count: int) -> Rows | None:
        """The first ``count`` events of a command, or as many as it has; None: not at hand."""
        return await self._search(lambda reader: _events_of(reader, sequence, count))

    async def _search(self, search: Callable[[ArchiveReader], Found]) -> Found | None:
        async with self._one:
            return await asyncio.to_thread(self._searched, search)

    def _searched(self, search: Callable[[ArchiveReader], Found]) -> Found | None:
        reader = self.reader()
        if reader is None:
            return None
        with closing(reader):
            try:
                return search(reader)
            except (ArchiveGap, ArchiveDamaged, OSError):
                return None


def _events_of(reader: ArchiveReader, sequence: int, count: int) -> Rows:
    reader.seek(sequence, -1)
    found = [np.empty(0, EVENT)]
    missing = count
    while missing:
        rows = reader.read(min(missing, READ_EVENTS))
        own: Rows = rows[rows["sequence"] == sequence]
        found.append(own)
        missing -= len(own)
        if not len(own) or len(own) < len(rows):
            break
    return np.concatenate(found)
