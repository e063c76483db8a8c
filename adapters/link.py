"""The adapter's attachment to one life of the core: its rings, the events, the counters.

The core writes DATA/run/core.json (atomically) when its segments exist and it is about to serve,
and removes it at a clean stop.  Another epoch in it means another core: a new link.
"""

import asyncio
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from core.archive.layout import NOTHING, Key
from core.atomics import full_fence, store_word
from core.constants import COMMAND_SLOTS_MAX, RECORD_BYTES_MAX, SLOT_BYTES
from core.counters import Counters, attach_counters
from core.drain import EventReader
from core.layout import offset_of
from core.messages import COMMAND, CRC_AT, EVENT, REPLY, SCHEMA
from core.output import LAPPED, OutputRing, attach_output, find_behind, oldest, read
from core.ring import Ring, attach_inbound, attach_replies, has_work, offer, take
from core.shm import SegmentError
from core.stages import Stages, attach_stages
from core.wake import open_fifo, wake

TAKE_REPLIES: Final = 256
HISTORY_EVENTS: Final = 4_096
SKIP_TRIES: Final = 1_000  # The core laps a reader anew between two instructions hardly ever.
# What a gateway writes of a command's prefix: the rest is the caller's.
NOT_STAMPED: Final = (0, 0)
_STAMPS: Final = struct.Struct("<qqqI")  # sequence, timestamp_ns, request_id, session.
_AFTER: Final = struct.Struct("<I")  # crc32c, which the core overwrites.
_SENDER: Final = struct.Struct("<H")  # gateway.
_FORM: Final = struct.Struct("<BB")  # schema, slots.
_SENDER_AT: Final = offset_of(COMMAND, "gateway")
_FORM_AT: Final = offset_of(COMMAND, "schema")
assert COMMAND.names is not None
assert COMMAND.names[:4] == ("sequence", "timestamp_ns", "request_id", "session")
assert offset_of(COMMAND, "slots") == _FORM_AT + 1


class CoreFile(msgspec.Struct, frozen=True):
    """What DATA/run/core.json says."""

    epoch: int
    pid: int
    shm: str
    durability: str
    gateways: dict[str, int]
    journal_uuid: str
    stages: bool = False


def read_core_file(run: Path) -> CoreFile | None:
    """The core that serves now; None when there is none.

    ValueError when the file holds something else.
    """
    path = run / "core.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=CoreFile)
    except FileNotFoundError:
        return None
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ValueError(f"{path}: expected the description of a running core: {error}") from None


def is_alive(pid: int) -> bool:
    """Is there a process of this id?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class DeathWatch:
    """Tells at once when a process dies; it is then forgotten."""

    def __init__(self, loop: asyncio.AbstractEventLoop, died: Callable[[], None]) -> None:
        self._loop = loop
        self._died = died
        self._fd = -1

    def watch(self, pid: int) -> None:
        """Watch this one instead of the one before."""
        self.forget()
        try:
            self._fd = os.pidfd_open(pid)
        except OSError:  # It is dead already, or this system cannot: core.json is read anyway.
            return
        self._loop.add_reader(self._fd, self._tell)

    def forget(self) -> None:
        """Watch no more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _tell(self) -> None:
        self.forget()
        self._died()


class Link:
    """Rings, counters and wake-up of one epoch; ``close`` unmaps all of it."""

    def __init__(self, core: CoreFile, name: str, run: Path, cursor: int | None) -> None:
        """Attach; events are read from ``cursor`` on, None: from now on.

        SegmentError when a segment is not there (the core is starting, or gone) or does not fit.
        """
        if name not in core.gateways:
            known = ", ".join(sorted(core.gateways)) or "none"
            raise SegmentError(f"gateway {name!r}: not known to the core, which serves {known}")
        self.core = core
        self.gateway_id = core.gateways[name]
        self._open: list[Ring | OutputRing | Counters | Stages] = []
        self._fd = -1
        try:
            self.output: OutputRing = self._opened(attach_output(core.shm, core.epoch))
            self._counters: Counters = self._opened(attach_counters(core.shm, core.epoch))
            inbound = attach_inbound(core.shm, name, self.gateway_id, core.epoch)
            self.inbound: Ring = self._opened(inbound)
            replies = attach_replies(core.shm, name, self.gateway_id, core.epoch)
            self._replies: Ring = self._opened(replies)
            self.stages: Stages | None = None
            if core.stages:
                self.stages = self._opened(attach_stages(core.shm, core.epoch, writable=True))
            self._fd = open_fifo(run, "core")
        except BaseException:
            self.close()
            raise
        start = self.output.position if cursor is None else cursor
        self.reader = EventReader(self.output, self.gateway_id, start)
        if cursor is None and start:
            self._see_newest()
        self._staging = np.zeros(RECORD_BYTES_MAX, np.uint8)
        self._staging_at = int(self._staging.ctypes.data)
        self._staged = self._staging.data
        self._reply_rows = np.zeros(TAKE_REPLIES, REPLY)
        self._no_replies = self._reply_rows[:0]
        self.show_read()

    def _opened(self, part: Any) -> Any:
        self._open.append(part)
        return part

    @property
    def position(self) -> int:
        """Events that the core has published in this epoch."""
        return self.output.position

    def send(
        self,
        slots: bytes,
        request_id: int,
        session: int,
        *,
        canceling: bool,
        stamp: tuple[int, int] = NOT_STAMPED,
    ) -> bool:
        """Complete the prefix of one command or query, offer it, wake the core if it sleeps.

        ``stamp``: when the request was read, and how many ns ago that is, for ``core.stages``.
        False: no room.  ValueError: not 1 to 4 slots.
        """
        slot_count, rest = divmod(len(slots), SLOT_BYTES)
        if rest or not 1 <= slot_count <= COMMAND_SLOTS_MAX:
            raise ValueError(f"command: expected 1 to 4 slots of 128 bytes, got {len(slots)} bytes")
        staged = self._staged
        staged[: len(slots)] = slots
        _STAMPS.pack_into(staged, 0, 0, stamp[0], request_id, session)
        _AFTER.pack_into(staged, CRC_AT, stamp[1])
        _SENDER.pack_into(staged, _SENDER_AT, self.gateway_id)
        _FORM.pack_into(staged, _FORM_AT, SCHEMA, slot_count)
        return self.offer(self._staging_at, slot_count, canceling=canceling)

    def offer(self, address: int, slot_count: int, *, canceling: bool) -> bool:
        """Offer one command or query and wake the core if it sleeps; False: no room."""
        if not offer(self.inbound.end, address, slot_count, int(canceling)):
            return False
        wake(self.output.sleeping_at, self._fd)
        return True

    def take_replies(self) -> "np.ndarray[Any, Any]":
        """Replies that have come, a copy; at most TAKE_REPLIES of them."""
        if has_work(self._replies.end) == 0:
            return self._no_replies
        count = take(self._replies.end, int(self._reply_rows.ctypes.data), len(self._reply_rows))
        return self._reply_rows[:count].copy()

    def sleep(self) -> None:
        """From here on the core writes a byte when there is something; look again after this."""
        store_word(self.inbound.sleeping_at, 1)
        full_fence()

    def awake(self) -> None:
        """From here on the core writes no byte."""
        store_word(self.inbound.sleeping_at, 0)

    def show_read(self) -> None:
        """Let ``outcry top`` see how far events were read."""
        self.inbound.show_events_read(int(self.reader.cursor))

    def has_replies(self) -> bool:
        """Is there a reply that was not taken?"""
        return has_work(self._replies.end) == 1

    def has_events(self) -> bool:
        """Is there an event that was not read?"""
        return self.output.position != self.reader.cursor

    def skip_to_end(self) -> None:
        """After a lap: go on behind the newest event, which ``reader.seen`` then is."""
        for _ in range(SKIP_TRIES):
            self.reader.skip_to_end()
            if self._see_newest():
                return

    def _see_newest(self) -> bool:
        """Take the event before the reader's cursor for seen; False when it was overwritten."""
        newest = self._read(self.reader.cursor - 1, 1)
        if len(newest):
            self.reader.row["sequence"] = newest[0]["sequence"]
            self.reader.row["index"] = newest[0]["index"]
        return len(newest) > 0

    def behind(self, key: Key) -> "list[np.ndarray[Any, Any]] | None":
        """The events in the ring behind ``key`` that lie before the reader's cursor.

        None when it cannot be known that these are all.
        """
        ended = int(key == NOTHING)
        begin = int(find_behind(self.output.end, *key, ended))
        if begin == LAPPED:
            return None
        begin = min(begin, self.reader.cursor)
        batches = self.history(begin)
        is_whole = sum(map(len, batches)) == self.reader.cursor - begin
        return batches if is_whole else None

    def history(self, begin: int = 0) -> "list[np.ndarray[Any, Any]]":
        """The events still in the ring from ``begin`` up to the reader's cursor, oldest first."""
        batches: list[np.ndarray[Any, Any]] = []
        cursor = min(max(begin, oldest(self.output.end)), self.reader.cursor)
        while cursor < self.reader.cursor:
            events = self._read(cursor, min(HISTORY_EVENTS, self.reader.cursor - cursor))
            if not len(events):  # Lapped: what was read is older than what is left.
                batches.clear()
                cursor = min(oldest(self.output.end), self.reader.cursor)
                continue
            batches.append(events)
            cursor += len(events)
        return batches

    def _read(self, cursor: int, count: int) -> "np.ndarray[Any, Any]":
        rows = np.zeros(count, EVENT)
        done = read(self.output.end, cursor, int(rows.ctypes.data), count)
        return rows[: 0 if done == LAPPED else done]

    def counters(self) -> dict[str, int]:
        """Counters of the core by label, and how full this gateway's ring is."""
        return {**self._counters.values(), "inbound_fill": self.inbound.fill()}

    def counter(self, label: str) -> int:
        """One counter of the core."""
        return self._counters[label]

    def close(self) -> None:
        """Unmap everything; nothing of this link may be used any more."""
        for part in self._open:
            part.close()
        self._open.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
