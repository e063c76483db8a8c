"""Public events for one callback: each once and in order, across laps and lives of the core.

Batches of the ring are handed on at once.  After a gap they are held back, while what is missing
is read from the event archive in portions, in a thread; then they follow.  More than HELD_EVENTS
of them are let go, and the gap is that much wider: the archive will have them too.  What the
archive cannot give either is told as lost.  (architecture.md, decisions 12, 17)
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from adapters.history import History
from core.archive.errors import ArchiveDamaged, ArchiveGap
from core.archive.layout import INDEX_MAX, NOTHING, Key
from core.archive.reader import ArchiveReader, before
from core.messages import LAST

Rows = np.ndarray[Any, Any]
EventsCallback = Callable[[Rows], None]

PORTION_EVENTS: Final = 4_096  # A millisecond: answers wait no longer for the loop.
HELD_EVENTS: Final = 65_536
POLL_S: Final = 0.01  # While the archive is behind.
WAIT_S: Final = 10.0  # Without any progress; then the rest is lost.


class Stream:
    """See the module; belongs to one event loop."""

    def __init__(
        self,
        kinds: frozenset[int],
        callback: EventsCallback,
        history: History,
        lost: Callable[[], None],
        begin: Key = NOTHING,
    ) -> None:
        """Give events behind ``begin``.

        ``lost`` is called, before the next events, when some cannot be given.
        """
        self.kinds = kinds
        self._begin = begin
        self._table = np.zeros(256, bool)
        self._table[list(kinds)] = True
        self._callback = callback
        self._history = history
        self._lost = lost
        self._to: Key | None = None  # Where the gap ends, that is its last event.
        self._held: list[Rows] = []
        self._held_events = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_late(self) -> bool:
        """Is a gap being filled?"""
        return self._to is not None

    def offer(self, batch: Rows) -> None:
        """Events of the ring, in order, behind all that came before."""
        if self._begin != NOTHING:
            batch = self._behind_begin(batch)
        chosen = batch[self._table[batch["kind"]]]
        if not len(chosen):
            return
        if self._to is None:
            self._callback(chosen)
            return
        self._held.append(chosen)
        self._held_events += len(chosen)
        if self._held_events > HELD_EVENTS:
            self._let_go(_key(chosen[-1]))

    def miss(self, after: Key, to: Key) -> None:
        """The events behind ``after`` up to ``to`` will not be offered: read them elsewhere."""
        if self._to is not None:
            self._let_go(max(to, self._to))
        elif to > after:
            self._to = to
            self._task = asyncio.get_running_loop().create_task(self._fill(after))

    async def close(self) -> None:
        """Stop reading; nothing is handed on any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _behind_begin(self, batch: Rows) -> Rows:
        if len(batch) and _key(batch[0]) > self._begin:
            self._begin = NOTHING
            return batch
        return batch[~_up_to(batch, self._begin)]

    def _let_go(self, to: Key) -> None:
        """The gap reaches to ``to``; what is held lies inside of it."""
        self._to = to
        self._held.clear()
        self._held_events = 0

    async def _fill(self, after: Key) -> None:
        reader = self._history.reader()
        try:
            if reader is None or not await self._copy(reader, after):
                self._lost()
        finally:
            if reader is not None:
                reader.close()
            held, self._held, self._held_events = self._held, [], 0
            self._to = None
        for batch in held:
            self._callback(batch)

    async def _copy(self, reader: ArchiveReader, key: Key) -> bool:
        """Hand on what the archive has up to the end of the gap; False when its end is lost."""
        loop = asyncio.get_running_loop()
        moved = loop.time()
        is_placed = False
        while self._to is not None and key < self._to:
            try:
                if not is_placed:
                    await asyncio.to_thread(reader.seek, *key)
                    is_placed = True
                rows = await asyncio.to_thread(reader.read, PORTION_EVENTS)
            except OSError:
                return False
            except (ArchiveGap, ArchiveDamaged) as missing:
                if missing.oldest is None or missing.oldest > self._to:
                    return False
                self._lost()
                key, is_placed = before(missing.oldest), False
                continue
            if len(rows):
                moved = loop.time()
                key = self._hand_on(rows)
            elif reader.ended and key == reader.key:
                key = key[0], INDEX_MAX
            elif loop.time() - moved > WAIT_S:
                return False
            else:
                await asyncio.sleep(POLL_S)
        return True

    def _hand_on(self, rows: Rows) -> Key:
        """Give the events up to the end of the gap; the key up to which all was given."""
        assert self._to is not None
        chosen = rows[_up_to(rows, self._to) & self._table[rows["kind"]]]
        if len(chosen):
            self._callback(chosen)
        last = rows[-1]
        return (int(last["sequence"]), INDEX_MAX) if last["flags"] & LAST else _key(last)


def _up_to(rows: Rows, key: Key) -> Rows:
    sequences = rows["sequence"]
    is_old: Rows = (sequences < key[0]) | ((sequences == key[0]) & (rows["index"] <= key[1]))
    return is_old


def _key(row: Any) -> Key:
    return int(row["sequence"]), int(row["index"])
