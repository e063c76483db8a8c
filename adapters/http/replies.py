"""JSON answers, and what every handler needs to make one."""

import itertools
import secrets
import time
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

from adapters.http.exchange import EXCHANGE, Exchange
from adapters.http.problems import SEQ, Fault, Problem

_ENCODER: Final = msgspec.json.Encoder()
_PREFIX: Final = secrets.token_hex(4)
_numbers: Final = itertools.count(1)


def new_request_id() -> str:
    """An id for X-Request-Id: no other request of this process or another has it."""
    return f"{_PREFIX}-{next(_numbers):x}"


def encoded(body: dict[str, Any]) -> str:
    """``body`` as JSON text."""
    return _ENCODER.encode(body).decode()


def created(content: str, seq: int) -> bytes:
    """The whole answer 201 of JSON text, byte for byte as aiohttp writes that of ``answer``."""
    size = len(content) if content.isascii() else len(content.encode())
    return (
        "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {new_request_id()}\r\nServer-Time: {time.time_ns() // 1_000}\r\n"
        f"X-Seq: {seq}\r\nContent-Length: {size}\r\n"
        f"Date: {rfc822_formatted_time()}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n{content}"
    ).encode()


def answer(
    request: web.Request,
    body: dict[str, Any],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """``body`` as JSON; its ``seq`` goes into X-Seq."""
    request[SEQ] = body["seq"]
    return web.Response(
        status=status,
        body=_ENCODER.encode(body),
        content_type="application/json",
        headers=headers,
    )


def exchange_of(request: web.Request) -> Exchange:
    """The exchange that the process serves."""
    return request.app[EXCHANGE]


def listing(
    items: list[dict[str, Any]], seq: int, next_cursor: str | None = None
) -> dict[str, Any]:
    """The shape of every list (C10)."""
    more = next_cursor is not None
    return {"items": items, "next_cursor": next_cursor, "has_more": more, "seq": seq}


def parameters(request: web.Request, known: tuple[str, ...]) -> dict[str, str]:
    """Query parameters; Problem when one is not known or comes twice."""
    faults = []
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            names = ", ".join(known) or "none"
            detail = f"unknown parameter; this path takes: {names}"
            faults.append(Fault(f"?{name}", "unknown_field", detail))
        elif name in found:
            faults.append(Fault(f"?{name}", "duplicate_key", "the parameter came more than once"))
        found[name] = value
    if faults:
        raise Problem("validation", f"{len(faults)} parameters are not valid", errors=faults)
    return found


def whole(parameters: dict[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number out of the query parameters, ``low`` to ``high``."""
    text = parameters.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high:
        return int(text)
    fault = Fault(f"?{name}", "invalid_value", f"expected {low}-{high}, got {text[:64]!a}")
    raise Problem("validation", "1 parameter is not valid", errors=[fault])
