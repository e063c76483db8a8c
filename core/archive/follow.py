"""A follower of all events: reads the output ring, and the archive where the ring has gone on.

Each event comes once and in order, whatever happens to the follower, the core or the replayer.
What nobody has any more is said as a ``Gap``, never left out.  (architecture.md, decision 12)
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from core.archive.errors import ArchiveDamaged, ArchiveGap
from core.archive.layout import INDEX_MAX, NOTHING, Key
from core.archive.reader import ArchiveReader, before
from core.clock import monotonic_ns
from core.memory import view
from core.messages import EVENT, LAST
from core.output import LAPPED, OutputRing, find_behind, oldest, read

Rows = np.ndarray[Any, Any]

ARCHIVE: Final = "archive"
RING: Final = "ring"
WAIT_NS: Final = 30_000_000_000


class Gap(NamedTuple):
    """The events behind ``after`` and before ``to``, which is the next one given, are lost."""

    after: Key
    to: Key


class Follower:
    """See the module.  ``use`` gives it the ring of an epoch; ``read`` the next events."""

    def __init__(
        self,
        archive: ArchiveReader | None,
        key: Key = NOTHING,
        *,
        ended: bool = False,
        wait_ns: int = WAIT_NS,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        """Begin behind ``key``; ``ended`` says that it is known to be the last of its command.

        ``wait_ns``: how long it waits for an archive that is behind, before the events that only
        it could give are a Gap.
        """
        self.mode = ARCHIVE
        self.key = key
        self.ended = ended or key[1] in (-1, INDEX_MAX)
        self.joins = 0  # How often it came to a ring, from the archive or from a key.
        self.gaps = 0
        self._archive = archive
        self._is_placed = False  # The archive reader stands at ``key``.
        self._output: OutputRing | None = None
        self._cursor = 0
        self._wait_ns = wait_ns
        self._now_ns = now_ns
        self._waits_since = -1

    def use(self, output: OutputRing | None) -> None:
        """The ring of another epoch, or None: there is no core.  The one before must be empty."""
        self._output = output
        self._leave()

    def read(self, events_max: int) -> "Rows | Gap":
        """The next events, at most ``events_max``, none when there is nothing now; or a Gap."""
        rows = np.empty(events_max, EVENT)
        found = self.read_into(int(rows.ctypes.data), events_max)
        return found if isinstance(found, Gap) else rows[:found]

    def read_into(self, address: int, events_max: int) -> "int | Gap":
        """As ``read``, to memory at ``address``; how many."""
        if self.mode == RING:
            count = self._read_ring(address, events_max)
            if count != LAPPED:
                return count
            self._leave()
        if self._join():
            count = self._read_ring(address, events_max)
            if count != LAPPED:
                return count
            self._leave()
        return self._read_archive(address, events_max)

    def _leave(self) -> None:
        self.mode = ARCHIVE
        self._is_placed = False
        self._waits_since = -1

    def _join(self) -> bool:
        """Go on in the ring, if it holds everything behind ``key``."""
        if self._output is None:
            return False
        self._cursor = int(find_behind(self._output.end, *self.key, int(self.ended)))
        if self._cursor == LAPPED:
            return False
        self.mode = RING
        self.joins += 1
        if self._archive is not None:
            self._archive.close()  # A trimmed segment takes room as long as it is open.
        return True

    def _read_ring(self, address: int, events_max: int) -> int:
        """Events of the ring behind ``key``; LAPPED."""
        assert self._output is not None
        while True:
            count = int(read(self._output.end, self._cursor, address, events_max))
            if count <= 0:
                return count
            self._cursor += count
            rows = view(address, EVENT, count)
            old = _up_to(rows, self.key)
            if old == count:  # The core is on its way to where this follower is.
                continue
            if old:
                rows[: count - old] = rows[old:].copy()
            self._note(rows[count - old - 1])
            return count - old

    def _read_archive(self, address: int, events_max: int) -> "int | Gap":
        archive = self._archive
        if archive is None:
            return self._wait()
        try:
            if not self._is_placed:
                archive.seek(*self.key)
                self._is_placed = True
            count = archive.read_into(address, events_max)
        except (ArchiveGap, ArchiveDamaged) as missing:
            return self._wait() if missing.oldest is None else self._skip_to(missing.oldest)
        if count == 0:
            self.ended = self.ended or archive.ended
            return self._wait()
        self._waits_since = -1
        self._note(view(address, EVENT, count)[-1])
        return count

    def _wait(self) -> "int | Gap":
        """Neither ring nor archive has what comes next: wait for it, or give it up."""
        to = self._oldest_of_ring()
        if to is None:
            return 0
        now_ns = self._now_ns()
        if self._waits_since < 0:
            self._waits_since = now_ns
        if self._archive is not None and now_ns - self._waits_since < self._wait_ns:
            return 0
        return self._skip_to(to)

    def _oldest_of_ring(self) -> Key | None:
        """An event of the ring behind ``key`` that will stay for a while; None: there is none."""
        if self._output is None:
            return None
        row = np.empty(1, EVENT)
        first = int(oldest(self._output.end))
        cursor = first + (self._output.position - first) // 4 if first else 0
        if read(self._output.end, cursor, int(row.ctypes.data), 1) != 1:
            return None
        to = int(row[0]["sequence"]), int(row[0]["index"])
        return to if to > self.key else None

    def _skip_to(self, to: Key) -> Gap:
        """Give up what lies before ``to``, or before what the ring has, if that is less."""
        in_ring = self._oldest_of_ring()
        gap = Gap(self.key, to if in_ring is None else min(to, in_ring))
        self.gaps += 1
        self.key, self.ended = before(gap.to), gap.to[1] == 0
        self._is_placed = False
        self._waits_since = -1
        return gap

    def _note(self, row: Any) -> None:
        self.key = int(row["sequence"]), int(row["index"])
        self.ended = bool(row["flags"] & LAST)


def _up_to(rows: Rows, key: Key) -> int:
    """How many of the rows, which are in order, are at or before ``key``."""
    first = rows[0]
    if (int(first["sequence"]), int(first["index"])) > key:
        return 0
    sequences = rows["sequence"]
    is_old = (sequences < key[0]) | ((sequences == key[0]) & (rows["index"] <= key[1]))
    return int(np.count_nonzero(is_old))
