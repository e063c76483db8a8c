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
async def open_line() -> AsyncIterator[Open]:
    servers: list[Server] = []
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
    "compressed": order(LINES + "Content-Encoding: gzip\r\n"),
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
        *[b"201"] * (len(DIRECT) - 5),
        *(b"200", b"200", b"200", b"422", b"422"),
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
