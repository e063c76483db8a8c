"""The direct way answers what the long way answers, byte for byte, however the bytes come."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from adapters.gateway import CoreAway, OutcomeUnknown, RingFull
from adapters.http import development, direct
from adapters.http.app import make_app
from adapters.http.exchange import Exchange
from adapters.http.heads import HEAD_BYTES_MAX, KEPT_MAX, Head, Heads, read_head
from adapters.http.server import Server
from adapters.process import listening_socket
from core import messages
from core.reasons import Reason
from tests.adapters.http.conftest import ORDER
from tests.adapters.http.engine_gateway import EngineGateway
from tests.adapters.http.fake_gateway import FakeGateway, answered, event, order_reply

LINES = "Host: x\r\nX-Dev-User: alice\r\nContent-Type: application/json\r\n"
# What differs between two answers to the same request.
OWN = re.compile(
    rb"(?<=X-Request-Id: )[0-9a-f-]+|(?<=Content-Length: )\d+"
    rb"|(?<=Server-Time: )\d+|(?<=Date: )[^\r]+"
    rb'|(?<="request_id":")[^"]+'
)
PING = b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n"
BALANCES = f"GET /v1/balances HTTP/1.1\r\n{LINES}\r\n".encode()


def post(content: bytes, lines: str = LINES) -> bytes:
    """POST /v1/orders with this body."""
    head = f"POST /v1/orders HTTP/1.1\r\n{lines}Content-Length: {len(content)}\r\n\r\n"
    return head.encode("latin-1") + content


def order(lines: str = LINES, **changes: Any) -> bytes:
    """POST /v1/orders of the usual order; a change to ``...`` leaves the member out."""
    body = {name: value for name, value in (ORDER | changes).items() if value is not ...}
    return post(json.dumps(body).encode(), lines)


class NoHeads(Heads):
    """With it everything goes the long way."""

    def of(self, raw: bytes) -> Head | None:
        return None


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)

    async def answer(self) -> bytes:
        """One answer, without what is its own; what came before the end of the connection."""
        async with asyncio.timeout(10):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"Content-Length: (\d+)", head)
                content = await self.reader.readexactly(int(size[1]) if size else 0)
            except asyncio.IncompleteReadError as cut:
                return b"(end)" + cut.partial
        return OWN.sub(b"*", head + content)

    async def answers(self, *requests: bytes) -> list[bytes]:
        """Send one request after another, each when the one before is answered."""
        found = []
        for raw in requests:
            self.send(raw)
            found.append(await self.answer())
        return found

    async def status(self) -> int:
        return int((await self.answer())[9:12])


Open = Callable[..., Awaitable[Line]]


@pytest.fixture
def servers() -> list[Server]:
    return []


@pytest.fixture
async def open_line(servers: list[Server]) -> AsyncIterator[Open]:
    lines: list[Line] = []

    async def made(exchange: Exchange, *, long: bool = False) -> Line:
        """A connection to a server over this exchange, which knows alice."""
        listener = listening_socket("127.0.0.1", 0)
        server = Server(make_app(exchange), exchange)
        if long:
            server._heads = NoHeads()
        await server.start(listener)
        servers.append(server)
        line = Line(*await asyncio.open_connection(*listener.getsockname()))
        lines.append(line)
        line.send(BALANCES)
        assert await line.status() == 200
        return line

    yield made
    for line in lines:
        line.writer.close()
    for server in servers:
        await server.stop()


async def engine_exchange() -> tuple[Exchange, EngineGateway]:
    exchange, engine = Exchange("http.0", dev=True), EngineGateway()
    exchange.bind(engine)
    await development.prepare(exchange)
    exchange.prepared = True
    return exchange, engine


DIRECT = {  # Requests that take the direct way.
    "limit": order(),
    "sell": order(side="sell", client_order_id="s"),
    "market": order(type="market", price=..., client_order_id="m"),
    "ioc": order(tif="ioc", client_order_id="i", price="1"),
    "gtc": order(tif="gtc", client_order_id="/{}:~'", price="70150.5"),
    "other instrument": order(instrument="ETH-USD", client_order_id="e", qty="1.000"),
    "id in a header": order(LINES + "Idempotency-Key: k\r\n", client_order_id=...),
    "id twice": order(LINES + "idempotency-key:  a-7  \r\n", client_order_id="a-7"),
    "more headers": order(LINES + "Accept: */*\r\nConnection: Keep-Alive\r\nCookie: a=b\r\n"),
    "spaces": post(json.dumps(ORDER, indent=2).encode()),
    "the id again": order(),
    "the id with another payload": order(qty="0.3"),
    "no funds": order(client_order_id="f", qty="9000"),
    "resting sell": order(client_order_id="r", side="sell", price="99999.99", tif="gtc"),
    "resting, other instrument": order(
        client_order_id="t", instrument="ETH-USD", price="3", qty="1.5"
    ),
}
LONG = {  # Requests with which it does not begin.
    "backslash": post(json.dumps(ORDER).replace("a-1", r"\u0061-2").encode()),
    "comma in the id": order(client_order_id="a,1"),
    "null": order(client_order_id="n", tag=None),
    "default said": order(client_order_id="d", post_only=False, stp="none", resp="full"),
    "expiry": order(client_order_id="x", recv_window_ms=60_000),
    "expired": order(client_order_id="y", expire_after_ts=1),
    "not built": order(client_order_id="b", tag="t"),
    "unknown member": order(colour="red"),
    "member twice": post(b'{"qty":"1","qty":"2"}'),
    "member twice, all there": post(json.dumps(ORDER).replace("{", '{"qty":"1",').encode()),
    "number": order(qty=1),
    "no json": post(b"{"),
    "no object": post(b"[]"),
    "no utf-8": post(b'{"client_order_id":"\xff"}'),
    "empty": post(b""),
    "missing": order(client_order_id=..., qty=...),
    "long id": order(client_order_id="a" * 37),
    "ids differ": order(LINES + "Idempotency-Key: k\r\n"),
    "off tick": order(price="1.005"),
    "off lot": order(qty="0.00001"),
    "zero": order(qty="0"),
    "price of market": order(type="market"),
    "no price": order(price=...),
    "market gtc": order(type="market", price=..., tif="gtc"),
    "overflow": order(price="90000000000000", qty="900000000000"),
    "words": order(side="up", type="stop", tif="day", instrument="X"),
    "other user": order("Host: x\r\nContent-Type: application/json\r\nX-Dev-User: carol\r\n"),
    "no user": order("Host: x\r\nContent-Type: application/json\r\n"),
    "bad user": order("Host: x\r\nContent-Type: application/json\r\nX-Dev-User: a b\r\n"),
    "reserved user": order("Host: x\r\nContent-Type: application/json\r\nX-Dev-User: fees\r\n"),
    "no type": order("Host: x\r\nX-Dev-User: alice\r\n"),
    "other type": order("Host: x\r\nX-Dev-User: alice\r\nContent-Type: text/plain\r\n"),
    "charset": order(
        "Host: x\r\nX-Dev-User: alice\r\nContent-Type: application/json;charset=latin-1\r\n"
    ),
    "other order": b"GET /v1/orders/1 HTTP/1.1\r\nHost: x\r\nX-Dev-User: alice\r\n\r\n",
    "ping": PING,
    "no such path": b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
}
THEIRS = {  # Requests that make the connection aiohttp's.
    "chunked": f"POST /v1/orders HTTP/1.1\r\n{LINES}Transfer-Encoding: chunked\r\n\r\n"
    "2\r\n{}\r\n0\r\n\r\n".encode(),
    "http 1.0": b"GET /v1/ping HTTP/1.0\r\nHost: x\r\n\r\n",
    "close": order(LINES + "Connection: close\r\n"),
    "prefer": order(LINES + "Prefer: respond-async\r\n"),
    "twice": order(LINES + "X-Dev-User: bob\r\n"),
    "large": post(b" " * 70_000),
    "query": b"GET /v1/ping?x=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "no blank before colon": b"GET /v1/ping HTTP/1.1\r\nHost : x\r\n\r\n",
    "folded": b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
    "bare lf": b"GET /v1/ping HTTP/1.1\nHost: x\n\n",
    "no host": order("X-Dev-User: alice\r\nContent-Type: application/json\r\n"),
    "bad host": order(LINES.replace("x", "[")),
    "garbage": b"GARBAGE\r\n\r\n",
    "bad length": f"POST /v1/orders HTTP/1.1\r\n{LINES}Content-Length: +2\r\n\r\n{{}}".encode(),
}


async def test_all_answers_are_those_of_the_long_way(open_line: Open) -> None:
    requests = [*DIRECT.values(), *LONG.values(), *DIRECT.values()]
    found = []
    for long in (False, True):
        exchange, engine = await engine_exchange()
        line = await open_line(exchange, long=long)
        found.append(await line.answers(*requests))
        assert engine.submitted == (0 if long else 2 * len(DIRECT))
    names = [*DIRECT, *LONG, *DIRECT]
    for name, ours, theirs in zip(names, *found, strict=True):
        assert ours == theirs, name
    assert [answer[9:12] for answer in found[0][: len(DIRECT)]] == [
        *[b"201"] * 8,
        *(b"200", b"200", b"200", b"422", b"422"),
        *(b"201", b"201"),
    ]


@pytest.mark.parametrize("name", sorted(THEIRS))
async def test_what_is_not_plain_is_aiohttps(open_line: Open, name: str) -> None:
    found = []
    for long in (False, True):
        exchange, engine = await engine_exchange()
        line = await open_line(exchange, long=long)
        found.append(await line.answers(THEIRS[name], order()))
        assert engine.submitted == 0
    assert found[0] == found[1]


@pytest.mark.parametrize("pieces", [1, 7, 60])
async def test_a_request_in_pieces_is_the_same_request(open_line: Open, pieces: int) -> None:
    """Cut behind its head, so that the direct way waits for the rest, in pieces of any size."""
    exchange, engine = await engine_exchange()
    line = await open_line(exchange)
    raw = order()
    end = raw.index(b"\r\n\r\n") + 4
    line.send(raw[:end])
    for first in range(end, len(raw), pieces):
        await asyncio.sleep(0.001)
        line.send(raw[first : first + pieces])
    assert await line.status() == 201
    assert engine.submitted == 1


async def test_requests_in_one_piece_are_answered_in_order(open_line: Open) -> None:
    found = []
    for long in (False, True):
        exchange, engine = await engine_exchange()
        line = await open_line(exchange, long=long)
        many = [order(client_order_id=f"p-{number}", qty="0.01") for number in range(20)]
        requests = [*many[:5], BALANCES, *many[5:10], LONG["off tick"], PING, *many[10:]]
        line.send(b"".join(requests))
        found.append([await line.answer() for _ in requests])
        assert engine.sequence == 10 + len(many)
    ours, theirs = ([re.sub(rb"X-Seq: \d+|\"seq\":\d+", b"", one) for one in way] for way in found)
    for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert one == other, place


async def test_more_than_may_wait_stops_the_reading_until_there_is_room(
    open_line: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "HELD_BYTES_MAX", 1_000)
    paused: list[int] = []
    pause = direct.Connection._pause_transport_reading

    def counted(connection: direct.Connection) -> None:
        paused.append(len(connection._held))
        pause(connection)

    monkeypatch.setattr(direct.Connection, "_pause_transport_reading", counted)
    exchange, engine = await engine_exchange()
    line = await open_line(exchange)
    count = 40
    line.send(b"".join(order(client_order_id=f"h-{number}", qty="0.01") for number in range(count)))
    assert [await line.status() for _ in range(count)] == [201] * count
    assert engine.submitted == count
    assert paused
    assert min(paused) > 1_000


async def test_while_a_client_does_not_read_its_next_order_waits(
    open_line: Open, servers: list[Server]
) -> None:
    exchange, engine = await engine_exchange()
    line = await open_line(exchange)
    manager = servers[0]._runner.server
    assert manager is not None
    (connection,) = manager.connections
    connection.pause_writing()
    line.send(order())
    await asyncio.sleep(0.02)
    assert engine.submitted == 0
    connection.resume_writing()
    assert await line.status() == 201
    assert engine.submitted == 1


def lost(error: Exception) -> Any:
    async def step(_slots: Any) -> None:
        raise error

    return step


OUTCOMES = {
    "the core died before it read it": CoreAway("away"),
    "the ring was full": RingFull("full"),
    "no answer": OutcomeUnknown("late"),
    "sequenced, answer lost": OutcomeUnknown("lapped", sequenced=True),
}


@pytest.mark.parametrize("name", OUTCOMES)
async def test_what_came_of_it_is_said_as_on_the_long_way(open_line: Open, name: str) -> None:
    found = []
    for long in (False, True):
        gateway, exchange = FakeGateway(), Exchange("http.0", dev=True)
        exchange.bind(gateway)
        exchange.prepared = True
        row = order_reply(order_id=7, account=3, instrument=1, client_order_id="a-1", status=1)
        gateway.by_client[3, "a-1"] = row
        gateway.script.append(lost(OUTCOMES[name]))
        line = await open_line(exchange, long=long)
        found.append(await line.answers(order()))
        assert gateway.submitted == (0 if long else 1)
        assert len(gateway.sent) == 1  # Never a second time.
    assert found[0] == found[1]


def slow_exchange() -> tuple[Exchange, FakeGateway, asyncio.Event]:
    """The core answers the first order when the event is set."""
    gateway, exchange, go = FakeGateway(), Exchange("http.0", dev=True), asyncio.Event()
    exchange.bind(gateway)
    exchange.prepared = True

    async def step(_slots: Any) -> Any:
        await go.wait()
        return answered(event(messages.ORDER_ACCEPTED, order_id=7, sequence=5, leaves=2_500))

    gateway.script.append(step)
    return exchange, gateway, go


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_the_same_id_meanwhile_is_in_progress(open_line: Open) -> None:
    exchange, gateway, go = slow_exchange()
    first, second = await open_line(exchange), await open_line(exchange)
    first.send(order())
    await until(lambda: len(gateway.sent) == 1)
    second.send(order())
    assert await second.status() == 409
    go.set()
    assert await first.status() == 201


async def test_a_client_that_has_gone_frees_its_id(open_line: Open) -> None:
    exchange, gateway, go = slow_exchange()
    first, second = await open_line(exchange), await open_line(exchange)
    first.send(order())
    await until(lambda: len(gateway.sent) == 1)
    first.writer.close()
    await asyncio.sleep(0.01)
    go.set()
    gateway.script.append(
        answered(event(messages.ORDER_REJECTED, reason=Reason.INSUFFICIENT_FUNDS, sequence=6))
    )
    await until(lambda: not exchange._in_flight)
    second.send(order())
    assert await second.status() == 422


async def test_a_stop_waits_for_the_answer() -> None:
    exchange, gateway, go = slow_exchange()
    listener = listening_socket("127.0.0.1", 0)
    server = Server(make_app(exchange), exchange)
    await server.start(listener)
    line = Line(*await asyncio.open_connection(*listener.getsockname()))
    line.send(BALANCES)
    assert await line.status() == 200
    line.send(order())
    await until(lambda: gateway.submitted == 1)
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0.02)
    assert not stopping.done()
    go.set()
    assert await line.status() == 201
    await asyncio.wait_for(stopping, 5)
    assert (await line.answer()) == b"(end)"
    line.writer.close()


def test_a_head_that_is_not_plain_is_not_read() -> None:
    good = PING
    assert read_head(good) is not None
    for bad in (
        good.replace(b"GET", b"HEAD"),
        good.replace(b"/v1", b"v1"),
        good.replace(b"1.1", b"1.0"),
        good.replace(b" HTTP", b"  HTTP"),
        good.replace(b"x\r", b"x\0\r"),
        good.replace(b"x\r", b"x\t\r"),
        good.replace(b"\r\n", b"\n"),
        good.replace(b"\r\n\r", b"\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r"),
        good.replace(b"\r\n\r", b"\r\nContent-Length: 99999\r\n\r"),
        good.replace(b"\r\n\r", b"\r\nExpect: 100-continue\r\n\r"),
        good.replace(b"\r\n\r", b"\r\nUpgrade: websocket\r\n\r"),
        good.replace(b"\r\n\r", b"\r\nContent-Encoding: gzip\r\n\r"),
        good.replace(b"\r\n\r", b"\r\nA: " + b"y" * HEAD_BYTES_MAX + b"\r\n\r"),
        good.replace(b"\r\n\r", b"\r\n" + b"".join(b"H%d: 1\r\n" % n for n in range(99)) + b"\r"),
    ):
        assert read_head(bad) is None, bad


def test_heads_are_kept_but_not_without_bound() -> None:
    heads = Heads()
    first = heads.of(PING)
    assert heads.of(bytes(bytearray(PING))) is first
    for number in range(KEPT_MAX + 10):
        heads.of(PING.replace(b"ping", b"%d" % number))
    assert len(heads._kept) <= KEPT_MAX
    with_key = PING.replace(b"\r\n\r", b"\r\nIdempotency-Key: k\r\n\r")
    assert heads.of(with_key) is not None
    assert with_key not in heads._kept
