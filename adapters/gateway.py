"""The adapter's end of the rings: commands and queries out, answers and public events in.

One asyncio object per process.  ``Channel`` moves the bytes and follows the core through its lives;
this is what handlers see.  (architecture.md, decisions 11-18)
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from adapters import stamps
from adapters.channel import Channel
from adapters.correlation import (
    Answer,
    CoreAway,
    GatewayError,
    Outcome,
    OutcomeUnknown,
    RingFull,
    Rows,
)
from adapters.stream import EventsCallback
from core.archive.layout import Key
from core.archive.reader import Recent
from core.constants import SLOT_BYTES
from core.stages import table

__all__ = [
    "Answer",
    "CoreAway",
    "Gateway",
    "GatewayError",
    "Outcome",
    "OutcomeUnknown",
    "RingFull",
]

ALL_KINDS: Final = frozenset(range(126))


class Gateway:
    """See ``attach``.  Not thread-safe: it belongs to one event loop."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def attach(cls, data: Path, name: str, timeout_s: float) -> "Gateway":
        """Wait for a core that serves gateway ``name`` on ``data`` and attach to it.

        CoreAway when there is none after ``timeout_s``; the message says what was found last.
        """
        (data / "run").mkdir(parents=True, exist_ok=True)
        channel = Channel(data, name)
        try:
            await channel.until_there(asyncio.get_running_loop().time() + timeout_s)
        except BaseException:
            await channel.close()
            raise
        return cls(channel)

    async def command(self, slots: bytes, timeout_s: float) -> Answer:
        """Send one command (1-4 slots) and wait for its events.

        Request id, session, gateway, schema and slot count are set here.  RingFull: not sent.
        CoreAway: never executed.  OutcomeUnknown: it may be in the journal (``sequenced``: it is).
        """
        deadline = self._loop.time() + timeout_s
        await self._channel.until_there(deadline)
        stamp = stamps.current() if self._channel.is_stamping else None
        in_ns = stamp.in_ns if stamp is not None else 0
        future: asyncio.Future[Answer] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if future.done():
                return
            if isinstance(outcome, GatewayError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        request_id = self._channel.submit(slots, deadline, done, in_ns)
        try:
            answer = await future
            if stamp is not None:
                stamp.sequence = answer.sequence
            return answer
        finally:
            self._channel.waiting.commands.pop(request_id, None)

    def submit(
        self, slots: bytes, timeout_s: float, done: Callable[[Outcome], None], in_ns: int = 0
    ) -> None:
        """As ``command``, without waiting: ``done`` is called once, with what came of it.

        RingFull, CoreAway: not sent, and ``done`` is not called.
        """
        in_ns = in_ns if self._channel.is_stamping else 0
        self._channel.submit(slots, self._loop.time() + timeout_s, done, in_ns)

    async def query(self, query: bytes, timeout_s: float) -> Rows:
        """Send one query, of a slot or of two, and wait for all its replies (rows of REPLY).

        CoreAway, RingFull, OutcomeUnknown: no effect in any case.
        """
        deadline = self._loop.time() + timeout_s
        if len(query) not in (SLOT_BYTES, 2 * SLOT_BYTES):
            raise ValueError(f"query: expected 1 or 2 slots of 128 bytes, got {len(query)} bytes")
        await self._channel.until_there(deadline)
        return await self._channel.ask(query, deadline)

    def on_events(
        self,
        callback: EventsCallback,
        kinds: Iterable[int] = ALL_KINDS,
        *,
        history: bool = False,
        after: Key | None = None,
    ) -> None:
        """Call with batches (copies) of all events of these kinds, each once, in order.

        ``history``: first, now, with those that the ring still holds.  ``after``: with those behind
        this key, from the ring or the event archive.  A core's restart repeats nothing: events are
        told apart by (sequence, index).  After a lap or a restart what was missed comes from the
        archive, and newer events wait for it.
        """
        self._channel.subscribe(callback, frozenset(kinds), history=history, after=after)

    def deliver_events(self) -> None:
        """Hand on at once what was read of public events; otherwise that takes a millisecond."""
        self._channel.deliver_events()

    def on_lapped(self, callback: Callable[[], None]) -> None:
        """Call when public events were lost for good: read again by query."""
        self._channel.lapped_callbacks.append(callback)

    def on_gap(self, callback: Callable[[], None]) -> None:
        """Call when public events come late, because they are read in the archive first."""
        self._channel.gap_callbacks.append(callback)

    async def recent(self, bytes_max: int) -> Recent | None:
        """The last trades out of about the last ``bytes_max`` of the archive; None without one."""
        return await self._channel.history.recent(bytes_max)

    async def order_events(self, order_id: int, bytes_max: int) -> Rows | None:
        """What the archive has about an order; None when its first event is not at hand."""
        return await self._channel.history.order_events(order_id, bytes_max)

    async def command_events(self, sequence: int, count: int) -> Rows | None:
        """The first events of a command out of the archive; None when they are not at hand."""
        return await self._channel.history.command_events(sequence, count)

    @property
    def gateway_id(self) -> int:
        """The top byte of the session."""
        return self._channel.link.gateway_id if self._channel.link is not None else 0

    @property
    def session(self) -> int:
        """The one session of this gateway."""
        return self._channel.session

    @property
    def epoch(self) -> int:
        """The life of the core that was attached to last."""
        return self._channel.link.core.epoch if self._channel.link is not None else 0

    @property
    def durability(self) -> str:
        """``sync`` or ``relaxed``."""
        return self._channel.link.core.durability if self._channel.link is not None else ""

    @property
    def lapped_count(self) -> int:
        """How often this reader was overtaken by the core."""
        return self._channel.lapped_count

    @property
    def ready(self) -> bool:
        """Can orders be placed now?"""
        link = self._channel.link
        return link is not None and self._channel.is_there and link.counter("ready") == 1

    @property
    def sequence(self) -> int:
        """The newest sequence that the core has applied, as far as is known here."""
        link = self._channel.link
        return link.counter("sequence") if link is not None else 0

    def written(self, stamp: stamps.Stamp) -> None:
        """The answer to this request is written."""
        link = self._channel.link
        if stamp.sequence and link is not None and link.stages is not None:
            link.stages.answered(stamp.sequence)

    def stages(self, commands_max: int) -> list[dict[str, Any]] | None:
        """Stage x percentile of the newest commands; None when the core does not stamp them."""
        link = self._channel.link
        if link is None or link.stages is None:
            return None
        return table(link.stages.read(link.stages.newest - commands_max + 1))

    def counters(self) -> dict[str, int]:
        """Counters of the core and of this gateway, by label."""
        link, waiting = self._channel.link, self._channel.waiting
        return {
            **(link.counters() if link is not None else {}),
            "gateway_lapped": self.lapped_count,
            "gateway_commands_waiting": len(waiting.commands),
            "gateway_queries_waiting": len(waiting.queries),
        }

    async def close(self) -> None:
        """Let go of the rings.  Who still waits gets OutcomeUnknown."""
        await self._channel.close()
