"""Connections that do not speak HTTP, and the end of the server."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from adapters.http.app import make_app
from adapters.http.exchange import Exchange
from adapters.http.server import Server
from adapters.process import listening_socket

NO_HTTP = [
    b"GARBAGE\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: " + b"y" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET http://[bad/ HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.fixture
async def address(exchange: Exchange) -> AsyncIterator[tuple[str, int]]:
    listener = listening_socket("127.0.0.1", 0)
    server = Server(make_app(exchange), exchange)
    await server.start(listener)
    yield listener.getsockname()
    await server.stop()


@pytest.mark.parametrize("raw", NO_HTTP, ids=range(len(NO_HTTP)))
async def test_what_is_no_http_is_a_problem_too(address: tuple[str, int], raw: bytes) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(raw)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    body = json.loads(await reader.read())
    writer.close()

    assert b" 400 " in head.partition(b"\r\n")[0]
    assert b"application/problem+json" in head
    assert b"X-Request-Id: " in head
    assert (body["code"], body["status"]) == ("malformed", 400)
    assert "Traceback" not in body["detail"]


async def test_a_good_request_is_served_and_a_stop_ends_it(exchange: Exchange) -> None:
    listener = listening_socket("127.0.0.1", 0)
    host, port = listener.getsockname()
    server = Server(make_app(exchange), exchange)
    await server.start(listener)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    await asyncio.wait_for(server.stop(), 5)

    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)
