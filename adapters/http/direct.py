"""New orders on the shortest way: no task, no router, no request object of aiohttp.

A connection sees its bytes before aiohttp does.  A whole POST /v1/orders, plain in head and body,
on a connection where nothing else is under way, is sent to the core at once; when the core accepts
the order, the answer is written from here.  Everything else goes to aiohttp, with the same bytes:
what is not plain, so that the long way finds and says each fault; and an order with any other
outcome, together with that outcome, so that the long way says what came of it.  So this way decides
nothing and words no refusal.

Bytes are cut into requests here only while each head is of the plain form (``heads``).  The first
one that is not makes the connection aiohttp's for the rest of its life: chunked bodies,
100-continue, upgrades, HTTP/1.0, whatever is no HTTP.
"""

import asyncio
import contextlib
import time
from typing import Any, Final

import msgspec
from aiohttp import web

from adapters.gateway import Answer, Outcome
from adapters.http import place, terms
from adapters.http.auth import Trader
from adapters.http.bodies import PlainOrder
from adapters.http.exchange import Exchange, is_loopback
from adapters.http.heads import HEAD_BYTES_MAX, Head, Heads
from adapters.http.place import Begun
from adapters.http.replies import created, encoded
from adapters.http.terms import PlaceTerms
from adapters.stamps import Stamp

HELD_BYTES_MAX: Final = 256 << 10  # Of requests behind the one that is under way.
ROUTE: Final = "/v1/orders"

_decoder: Final = msgspec.json.Decoder(PlainOrder)


def plain_order(head: Head, body: bytes, exchange: Exchange) -> PlaceTerms | None:
    """The order, if there is nothing to say about it; None: the long way may have something."""
    if exchange.reference.stale or b"\\" in body:
        return None
    try:
        order = _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    members = msgspec.structs.astuple(order)
    given = len(members) - members.count(None)
    if body.count(b",") != given - 1:  # A key came twice, or is null; or a text has a comma.
        return None
    client_order_id = members[0] if head.key is None else head.key
    if head.key is not None and members[0] not in (None, head.key):
        return None
    return terms.plain_terms(client_order_id, members[1:], exchange.reference)


def _content(exchange: Exchange, placed: PlaceTerms, outcome: Answer) -> tuple[str, int] | None:
    """Content and sequence of the answer to an order that was accepted."""
    content = place.resting(exchange, placed, outcome)
    if content is None:
        accepted = place.accepted(exchange, placed, outcome)
        content = None if accepted is None else (encoded(accepted), int(accepted["seq"]))
    return content


class DirectOrder:
    """An order that was sent from here; called with its outcome."""

    __slots__ = ("_connection", "_key", "placed", "stamp", "start", "trader")

    def __init__(self, connection: "Connection", trader: Trader, placed: PlaceTerms) -> None:
        self._connection = connection
        self._key = (trader.account, placed.client_order_id)
        self.trader = trader
        self.placed = placed
        self.start = time.perf_counter()
        self.stamp = Stamp(connection.read_ns)

    def send(self, exchange: Exchange) -> bool:
        """Send it; False when it was not sent, and the long way says why."""
        slot = place.place_slot(self.trader.account, self.placed)
        if not exchange.submit(slot, self._key, self, self.stamp.in_ns):
            return False
        place.received(exchange, self.placed)
        return True

    def __call__(self, outcome: Outcome) -> None:
        connection = self._connection
        connection.exchange.arrived(self._key)
        try:
            connection.answer(self, outcome)
        except Exception as error:
            connection.fail(error)


class Connection(web.RequestHandler):
    """One connection: aiohttp's, with the direct way in front of it."""

    __slots__ = (
        *("begun", "exchange", "_frame", "_heads", "_held", "_held_paused", "_is_theirs", "_local"),
        *("_missing", "_order", "_settled", "read_ns"),
    )

    def __init__(self, manager: web.Server, exchange: Exchange, heads: Heads, **more: Any) -> None:
        super().__init__(manager, **more)
        self.exchange = exchange
        self.begun: Begun | None = None  # For the next POST /v1/orders that aiohttp handles.
        self.read_ns = 0  # When the newest bytes came, CLOCK_MONOTONIC.
        self._heads = heads
        self._is_theirs = False  # aiohttp's for good.
        self._local: bool | None = None
        self._order: DirectOrder | None = None  # Under way.
        self._frame = b""  # Its request.
        self._held = bytearray()  # What came behind it, or a request that is not whole yet:
        self._missing = 0  # that needs so many bytes more.
        self._held_paused = False
        self._settled: asyncio.Future[None] | None = None  # While the server stops.

    def data_received(self, data: bytes) -> None:
        """Bytes of the client; none when aiohttp looks again at what it has."""
        self.read_ns = time.monotonic_ns()
        if self._is_theirs or not data:
            super().data_received(data)
        elif self._order is not None or (self.writing_paused and self._is_idle()):
            self._hold(data)
        elif self._held:
            self._held += data
            self._missing -= len(data)
            if self._missing <= 0:
                self._take_held()
        else:
            self._take(data)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._order is None and self._missing <= 0:
            self._take_held()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The order under way stays so: its outcome is counted, and nobody is told."""
        self._held.clear()
        super().connection_lost(exc)

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Answer the order under way first."""
        if self._order is not None:
            self._settled = self._loop.create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._settled
        await super().shutdown(timeout)

    def answer(self, order: DirectOrder, outcome: Outcome) -> None:
        """Write the answer, or let aiohttp's handler find the words."""
        self._order = None
        exchange, transport = self.exchange, self.transport
        content = _content(exchange, order.placed, outcome) if type(outcome) is Answer else None
        if content is None:
            trader, placed, start = order.trader, order.placed, order.start
            self.begun = Begun(trader, placed, outcome, start)
            super().data_received(self._frame)
        else:
            seconds = time.perf_counter() - order.start
            exchange.metrics.order(terms.TYPE_NAMES[order.placed.order_type], seconds)
            exchange.metrics.request(ROUTE, "POST", 201, seconds)
            if transport is not None:
                transport.write(created(*content))
                order.stamp.sequence = content[1]
                if exchange.link is not None:
                    exchange.link.written(order.stamp)
                # aiohttp closes a connection that is idle for so long.
                self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        if self._held and not self.writing_paused:
            self._take_held()

    def fail(self, error: Exception) -> None:
        """Answering failed: a fault of ours."""
        self.logger.error("connection failed", exc_info=error)
        self.force_close()

    def _hold(self, data: bytes) -> None:
        self._held += data
        self._missing = 0
        if len(self._held) > HELD_BYTES_MAX and not self._held_paused:
            self._held_paused = True
            self._pause_transport_reading()

    def _take_held(self) -> None:
        data = bytes(self._held)
        self._held.clear()
        if self._held_paused:
            self._held_paused = False
            self._resume_transport_reading()
        if data:
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Cut off one request after another, until one has to wait."""
        while data:
            end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX) + 4
            head = self._heads.of(data[:end]) if end > 3 else None
            if head is None:
                self._is_theirs = True
                super().data_received(data)
                return
            size = end + head.body_bytes
            if len(data) < size:
                self._held += data
                self._missing = size - len(data)
                return
            frame, data = data[:size], data[size:]
            if head.is_order and self._is_idle() and self._place(head, frame, end):
                if data:
                    self._hold(data)
                return
            super().data_received(frame)

    def _is_idle(self) -> bool:
        """Is aiohttp done with all that it was given, and answered it?"""
        waiter = self._waiter
        return (
            waiter is not None
            and not waiter.done()
            and not self._messages
            and not self._buffer_paused
            and not self._reading_paused
        )

    def _place(self, head: Head, frame: bytes, end: int) -> bool:
        exchange = self.exchange
        if self._local is None:
            peer = self.peername
            self._local = is_loopback(peer[0] if isinstance(peer, tuple) else None)
        if not exchange.dev or not self._local:
            return False
        account = exchange.accounts.get(head.user)
        if account is None:
            return False
        placed = plain_order(head, frame[end:], exchange)
        if placed is None:
            return False
        order = DirectOrder(self, Trader(account, head.user), placed)
        if not order.send(exchange):
            return False
        self._order, self._frame = order, frame
        return True
