"""What keeps a gateway running: turns, deliveries, sleep and wake-up, and the change of cores.

A turn takes what is there in bounded portions and gives the loop back.  The FIFO is watched by
the event loop; the core writes a byte when it has something and this process's ``sleeping`` word
is set. When the core dies, the link stays until another core is there; what was on its way is
then resolved by what the new core knows.  (architecture.md, decisions 14, 16-18)
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from adapters.correlation import (
    Answer,
    CoreAway,
    Correlation,
    GatewayError,
    Outcome,
    OutcomeUnknown,
    PendingCommand,
    PendingQuery,
    RingFull,
    Rows,
)
from adapters.history import History
from adapters.link import NOT_STAMPED, CoreFile, DeathWatch, Link, is_alive, read_core_file
from adapters.stream import EventsCallback, Stream
from core.archive.layout import INDEX_MAX, NOTHING, Key
from core.constants import GATEWAY_SHIFT
from core.drain import PUBLIC_EVENTS
from core.messages import CANCELING, KIND_AT, NAME_REPLY, QUERY, QUERY_SESSION
from core.output import LAPPED
from core.shm import SegmentError
from core.stages import AFTER_MAX
from core.wake import drain_fifo, open_fifo

TURN_CHUNKS: Final = 8  # Of 1,024 events, before other tasks get their turn.
CALM_S: Final = 0.001  # Public events may wait so long,
PUBLIC_EVENTS_MANY: Final = PUBLIC_EVENTS // 2  # unless there are so many.
WATCH_S: Final = 0.25  # How often core.json is read while the core lives,
AWAY_S: Final = 0.01  # and while there is none.
SESSION_TIMEOUT_S: Final = 5.0
_CANCELING: Final = frozenset(bytes([kind]) for kind in CANCELING)
REQUEST_ID_GAP: Final = 1_000_000  # Commands of a dead incarnation may still be in the ring.


class Channel:
    """The moving parts behind a ``Gateway``; belongs to one event loop."""

    def __init__(self, data: Path, name: str) -> None:
        self.name = name
        self.session = 0
        self.link: Link | None = None
        self.lapped_count = 0
        self.trouble = "no core.json: the core has not started, or was stopped"
        self.next_request_id = 0
        self.lapped_callbacks: list[Callable[[], None]] = []
        self.gap_callbacks: list[Callable[[], None]] = []
        self.history = History(data, self._journal_uuid)
        self._streams: list[Stream] = []
        self._run = data / "run"
        self._loop = asyncio.get_running_loop()
        self.waiting = Correlation(self._loop)
        self._there = asyncio.Event()
        self._changed = asyncio.Event()  # Look at core.json now.
        self._settled_epoch = 0  # The core whose knowledge was asked for.
        self._asking: set[int] = set()  # Queries of our own.
        self._next_query_id = time.time_ns()  # Unlike that of any earlier incarnation.
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn_handle: asyncio.Handle | None = None
        self._events_handle: asyncio.Handle | None = None
        self._death = DeathWatch(self._loop, self._core_died)
        self._fd = open_fifo(self._run, name)
        self._loop.add_reader(self._fd, self._woken)
        self._start(self._watch())

    # Sending.

    async def until_there(self, deadline: float) -> Link:
        """The link to a core that serves; CoreAway when there is none before ``deadline``."""
        while not self._there.is_set() or self.link is None:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._there.wait()
            except TimeoutError:
                raise CoreAway(f"the core is away, nothing was sent: {self.trouble}") from None
        return self.link

    def offer(self, slots: bytes, request_id: int, *, canceling: bool, in_ns: int = 0) -> None:
        """Complete the prefix and offer; RingFull when there is no room.

        ``in_ns``: when the request was read, for ``core.stages``; 0: not known.
        """
        assert self.link is not None
        stamp = (in_ns, min(time.monotonic_ns() - in_ns, AFTER_MAX)) if in_ns else NOT_STAMPED
        if not self.link.send(slots, request_id, self.session, canceling=canceling, stamp=stamp):
            raise RingFull(f"inbound ring {self.name!r}: no room; nothing was sent, try again")
        if self._turn_handle is None:  # By then a core that spins has answered.
            self._turn_handle = self._loop.call_soon(self._turn)

    def submit(
        self, slots: bytes, deadline: float, done: Callable[[Outcome], None], in_ns: int = 0
    ) -> int:
        """Send a command; ``done`` gets what came of it.  Its request id; RingFull, CoreAway."""
        if not self._there.is_set():
            raise CoreAway(f"the core is away, nothing was sent: {self.trouble}")
        request_id = self.next_request_id
        self.next_request_id += 1
        self.offer(slots, request_id, canceling=slots[KIND_AT:][:1] in _CANCELING, in_ns=in_ns)
        self.waiting.expect(request_id, PendingCommand(deadline, done))
        return request_id

    async def ask(self, query: bytes, deadline: float) -> Rows:
        """Send a query and wait for all its replies; RingFull, OutcomeUnknown."""
        return await self._ask(query, self._query_id(), deadline, canceling=False)

    def _query_id(self) -> int:
        self._next_query_id += 1
        return self._next_query_id

    async def _ask(
        self, query: bytes, request_id: int, deadline: float, *, canceling: bool
    ) -> Rows:
        self.offer(query, request_id, canceling=canceling)
        pending = PendingQuery(query, self._loop.create_future())
        self.waiting.queries[request_id] = pending
        late = OutcomeUnknown("no answer to the query in time")
        timer = self._loop.call_at(deadline, self.waiting.fail_query, request_id, late)
        try:
            return await pending.future
        finally:
            timer.cancel()
            self.waiting.queries.pop(request_id, None)

    def subscribe(
        self,
        callback: EventsCallback,
        kinds: frozenset[int],
        *,
        history: bool,
        after: Key | None = None,
    ) -> None:
        """Call ``callback`` with the events of these kinds; see ``Gateway.on_events``."""
        begin = after or NOTHING
        self.deliver_events()
        lost = partial(self._tell, self.lapped_callbacks)
        stream = Stream(kinds, partial(self._call, callback), self.history, lost, begin)
        self._streams.append(stream)
        link = self.link
        if link is None:
            return
        self._want(link)
        batches = link.history() if history else []
        if after is not None:
            found = link.behind(after)
            if found is None:
                stream.miss(after, link.reader.seen)
            batches = found or []
        for batch in batches:
            stream.offer(batch)

    def _want(self, link: Link) -> None:
        link.reader.want(frozenset().union(*(stream.kinds for stream in self._streams)))

    def _journal_uuid(self) -> str:
        return self.link.core.journal_uuid if self.link is not None else ""

    def _call(self, callback: Callable[..., None], *arguments: Any) -> None:
        """A callback that fails is reported and harms neither the others nor the answers."""
        try:
            callback(*arguments)
        except Exception as error:
            self._loop.call_exception_handler(
                {"message": f"gateway {self.name!r}: a callback failed", "exception": error}
            )

    def _woken(self) -> None:
        drain_fifo(self._fd)
        if not self._there.is_set():
            self._changed.set()
        self._turn()

    def _turn(self) -> None:
        """Deliver what is there, then sleep or come back."""
        if self._turn_handle is not None:
            self._turn_handle.cancel()
            self._turn_handle = None
        link = self.link
        if link is None:
            return
        link.awake()
        for _ in range(TURN_CHUNKS):
            if not (link.has_events() or link.has_replies()):
                break
            self.deliver(link)
        else:
            self._turn_handle = self._loop.call_soon(self._turn)
            return
        link.sleep()
        if link.has_replies() or (link.has_events() and self.waiting.commands):
            self._turn_handle = self._loop.call_soon(self._turn)
        elif link.has_events() and self._events_handle is None:
            self._events_handle = self._loop.call_later(CALM_S, self._calm)

    def _calm(self) -> None:
        """Events have waited long enough."""
        self._turn()
        self.deliver_events()

    def deliver(self, link: Link) -> bool:
        """Deliver one portion of replies and events; was there any?"""
        replies = link.take_replies()
        if len(replies):
            self.waiting.replied(replies)
        passed = link.reader.drain()
        if passed == LAPPED:
            after = link.reader.seen
            link.skip_to_end()
            self._lapped(after, link.reader.seen)
            return True
        if passed:
            link.show_read()
        for group, events in link.reader.groups():
            self.waiting.answered(group.request_id, Answer.of(group, events))
        public = link.reader.public_count
        if public >= PUBLIC_EVENTS_MANY:
            self._deliver_events(link)
        elif public and self._events_handle is None:
            self._events_handle = self._loop.call_later(CALM_S, self._calm)
        return passed > 0 or len(replies) > 0

    def _deliver_all(self, link: Link) -> None:
        end = link.position
        while link.reader.cursor < end:
            self.deliver(link)

    def deliver_events(self) -> None:
        """Hand on what was read of public events."""
        if self._events_handle is not None:
            self._events_handle.cancel()
            self._events_handle = None
        if self.link is not None:
            self._deliver_events(self.link)

    def _deliver_events(self, link: Link) -> None:
        batch = link.reader.public()
        for stream in self._streams if len(batch) else ():
            stream.offer(batch)

    def _lapped(self, after: Key, to: Key) -> None:
        self.lapped_count += 1
        self._missed(after, to)
        if self.waiting.commands and self._there.is_set():
            self._start(self._resolve_after_lap())

    def _missed(self, after: Key, to: Key) -> None:
        """The events behind ``after`` up to ``to`` were not seen: read them in the archive."""
        self.deliver_events()  # They lie before these.
        if self.history.reader() is None:
            self._tell(self.lapped_callbacks)
            return
        for stream in self._streams:
            stream.miss(after, to)
        self._tell(self.gap_callbacks)

    def _tell(self, callbacks: list[Callable[[], None]]) -> None:
        for callback in callbacks:
            self._call(callback)

    async def _resolve_after_lap(self) -> None:
        """Tell those whose answer was overwritten; the others' answers are still to come."""
        link = self.link
        suspects = list(self.waiting.commands)
        try:
            last, _ = await self._ask_session()
        except GatewayError:
            return  # They time out, or the next epoch resolves them.
        if link is not None and link is self.link:
            self._deliver_all(link)
            self.waiting.fail_sequenced(suspects, last)

    async def _ask_session(self) -> tuple[int, int]:
        """(newest request id of this session that was sequenced, sequence as of)."""
        query = np.zeros(1, QUERY)
        query["kind"], query["order_id"] = QUERY_SESSION, self.session
        request_id, deadline = self._query_id(), self._loop.time() + SESSION_TIMEOUT_S
        self._asking.add(request_id)
        try:  # In the lane for cancels: this must get through.
            replies = await self._ask(query.tobytes(), request_id, deadline, canceling=True)
        finally:
            self._asking.discard(request_id)
        reply = replies.view(NAME_REPLY)[0]
        known = reply["reason"] == 0
        return int(reply["last_request_id"]) if known else 0, int(reply["as_of"])

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self) -> None:
        """Follow core.json: another epoch is another core."""
        while True:
            self._changed.clear()
            try:
                core = read_core_file(self._run)
                if core is None:
                    self._leave("no core.json: the core has not started, or was stopped")
                elif core.epoch != self._settled_epoch:
                    self._leave(f"attaching to epoch {core.epoch}")
                    await self._settle(self._switch(core))
            except (SegmentError, GatewayError, OSError, ValueError) as error:
                self._leave(str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S if self._there.is_set() else AWAY_S):
                    await self._changed.wait()

    def _leave(self, why: str) -> None:
        self.trouble = why
        self._there.clear()

    def _switch(self, core: CoreFile) -> Link:
        """The link to this core; a new one takes over from that to the core before it."""
        old = self.link
        if old is not None and old.core.epoch == core.epoch:
            return old
        link = Link(core, self.name, self._run, 0 if old is not None else None)
        if old is not None:
            while self.deliver(old):  # All that the old core published is true.
                pass
            self._deliver_events(old)
            link.reader.skip_seen(*old.reader.seen)
        self.link = link
        if old is not None:
            base = link.output.base_sequence, INDEX_MAX
            if (0, INDEX_MAX) < old.reader.seen < base:
                self._missed(old.reader.seen, base)
            old.close()
        self.session = link.gateway_id << GATEWAY_SHIFT | 1
        self._want(link)
        self._death.watch(core.pid)
        self._turn()
        for request_id, pending in list(self.waiting.queries.items()):
            self._ask_again(request_id, pending)
        return link

    async def _settle(self, link: Link) -> None:
        """Resolve what was on its way to the core before this one, then let requests in."""
        last, as_of = await self._ask_session()
        self._deliver_all(link)
        before = list(self.waiting.commands)
        self.waiting.fail_sequenced(before, last)
        never = CoreAway("the core died before it read the command: never executed")
        for request_id in before:
            self.waiting.fail(request_id, never)
        self.next_request_id = max(self.next_request_id, last + REQUEST_ID_GAP)
        seen = link.reader.seen
        if link.reader.row["seen_sequence"] > 0 and seen[0] < as_of:
            self._missed(seen, (as_of, INDEX_MAX))  # Neither the old ring nor the new one had them.
        link.reader.see(as_of)
        self._settled_epoch = link.core.epoch
        if is_alive(link.core.pid):
            self._there.set()

    def _ask_again(self, request_id: int, pending: PendingQuery) -> None:
        pending.parts.clear()
        try:
            self.offer(pending.slot, request_id, canceling=False)
        except RingFull as error:
            self.waiting.fail_query(request_id, error)

    def _core_died(self) -> None:
        self._leave("the core has died")
        for request_id in list(self._asking):
            self.waiting.fail_query(request_id, CoreAway("the core has died"))
        self._turn()  # What it published before is true.
        self._changed.set()

    async def close(self) -> None:
        """Let go of everything.  Who still waits gets OutcomeUnknown."""
        self._there.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream in self._streams:
            await stream.close()
        self.waiting.fail_all("the gateway was closed")
        self._death.forget()
        for handle in (self._turn_handle, self._events_handle):
            if handle is not None:
                handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        if self.link is not None:
            self.link.close()
            self.link = None

    @property
    def is_stamping(self) -> bool:
        """Does the core stamp commands at each stage?"""
        return self.link is not None and self.link.stages is not None

    @property
    def is_there(self) -> bool:
        """Is there a core that takes requests?"""
        return self._there.is_set()
