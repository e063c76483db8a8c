"""What the exchange is compared with: servers that decode an order, answer it, and do nothing else.

``aiohttp``: a handler on the stack that serves the exchange, with its settings, without middleware.
``protocol``: an asyncio protocol that looks for nothing but the body: what this event loop and this
JSON can do without any HTTP framework.  ``trivial``: compiled, without Python and without JSON; it
shows what the load generator can do.

``python -m bench.http_bare STACK`` listens on a free port of 127.0.0.1, prints it, and serves until
it is killed.
"""

import asyncio
import socket
import sys
from typing import Any, Final

import msgspec
import numpy as np
import uvloop
from aiohttp import web

from adapters.http.bodies import PlaceOrder
from bench.http_load import Lines, respond

STACKS: Final = ("aiohttp", "protocol", "trivial")
ANSWER: Final[dict[str, Any]] = {
    "order": {
        "order_id": "4194304000001",
        "client_order_id": None,
        "instrument": "BTC-USD",
        "side": "buy",
        "type": "limit",
        "tif": "gtc",
        "price": "10.00",
        "qty": "0.0001",
        "filled_qty": "0.0000",
        "remaining_qty": "0.0001",
        "avg_price": None,
        "last_price": None,
        "status": "open",
        "reject_reason": None,
        "expiry_reason": None,
        "cancel_reason": None,
        "reserved": {"asset": "USD", "amount": "0.001001"},
        "fees": {"asset": "USD", "amount": "0.000000"},
        "created_ts": 1_790_000_000_000_000,
        "updated_ts": 1_790_000_000_000_000,
        "seq": 1_000_000,
    },
    "fills": [],
    "seq": 1_000_000,
    "durability": "relaxed",
}
KEEPALIVE_S: Final = 75.0

_decoder: Final = msgspec.json.Decoder(PlaceOrder)
_encoder: Final = msgspec.json.Encoder()


def answered(body: bytes) -> bytes:
    """The answer to the order in ``body``."""
    order = _decoder.decode(body)
    found = {**ANSWER["order"], "client_order_id": order.client_order_id, "price": order.price}
    return _encoder.encode({**ANSWER, "order": found})


async def place_order(request: web.Request) -> web.Response:
    """POST /v1/orders."""
    body = answered(await request.read())
    return web.Response(status=201, body=body, content_type="application/json")


class _Protocol(asyncio.Protocol):
    """Takes every portion of bytes for one request: enough for a client that waits."""

    _transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        body = answered(data[data.index(b"\r\n\r\n") + 4 :])
        self._transport.write(canned(body))


def canned(body: bytes) -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


async def _serve(stack: str, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    if stack == "aiohttp":
        app = web.Application()
        app.router.add_post("/v1/orders", place_order)
        runner = web.AppRunner(
            app, handle_signals=False, access_log=None, keepalive_timeout=KEEPALIVE_S
        )
        await runner.setup()
        await web.SockSite(runner, listener).start()
    else:
        await loop.create_server(_Protocol, sock=listener)
    await loop.create_future()


def _respond(listener: socket.socket) -> None:
    """A run for every line of standard input: how many connections, how many bytes a request."""
    answer = np.frombuffer(canned(_encoder.encode(ANSWER)), np.uint8).copy()
    ours, theirs = socket.socketpair()
    theirs.close()
    warm = Lines([ours], b" ")
    respond(warm.address, 0, 0)  # Compiled now; it ends because nobody is there.
    warm.close()
    print(listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        connections, request_bytes = map(int, line.split())
        lines = Lines([listener.accept()[0] for _ in range(connections)], bytes(request_bytes))
        respond(lines.address, int(answer.ctypes.data), len(answer))
        lines.close()


def main(stack: str) -> None:
    """Serve until the process is killed."""
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listener:
        if stack == "trivial":
            _respond(listener)
            return
        print(listener.getsockname()[1], flush=True)
        listener.settimeout(0.0)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(stack, listener))


if __name__ == "__main__":
    main(sys.argv[1])
