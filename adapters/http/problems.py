"""Errors as RFC 9457 problem+json: one exception, one registry of codes (api.md C8, §C.3)."""

from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

CONTENT_TYPE: Final = "application/problem+json"
REQUEST_ID: Final = web.RequestKey("request_id", str)
SEQ: Final = web.RequestKey("seq", int)
TYPE_BASE: Final = "https://outcry.invalid/problems/"


class Kind(NamedTuple):
    """An entry of the registry: what a code means and whether trying again can help."""

    status: int
    title: str
    retryable: bool = False


REGISTRY: Final[dict[str, Kind]] = {
    "malformed": Kind(400, "Request is malformed"),
    "unauthenticated": Kind(401, "Authentication is required"),
    "forbidden": Kind(403, "Not allowed"),
    "not_found": Kind(404, "Not found"),
    "not_seen": Kind(404, "No order with this client order id was seen"),
    "method_not_allowed": Kind(405, "Method is not allowed here"),
    "in_progress": Kind(409, "The first request with this id is still in flight", retryable=True),
    "cannot_cancel": Kind(409, "The order cannot be canceled or replaced"),
    "conflict": Kind(409, "In conflict with what exists"),
    "too_old": Kind(410, "Older than what is remembered here"),
    "too_large": Kind(413, "Body is too large"),
    "unsupported_media_type": Kind(415, "Body must be application/json"),
    "validation": Kind(422, "Request is not valid"),
    "not_supported": Kind(422, "Feature is not supported yet"),
    "order_rejected": Kind(422, "Order was rejected"),
    "command_rejected": Kind(422, "Command was rejected"),
    "idempotency_mismatch": Kind(422, "The id was used with another payload"),
    "internal": Kind(500, "Internal error; the outcome is unknown"),
    "overloaded": Kind(
        503, "Too many requests are waiting; this one was not executed", retryable=True
    ),
    "starting": Kind(503, "Starting; the request was not executed", retryable=True),
    "not_accepting": Kind(503, "Not accepting; the request was not executed", retryable=True),
    "execution_unknown": Kind(504, "No answer in time; the outcome is unknown"),
}


class Fault(NamedTuple):
    """One thing that is wrong with a request; ``pointer`` is a JSON pointer into the body.

    A query parameter is '?name', a header 'header:Name', a part of the path 'path:name'.
    """

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """Ends the handling of a request with a problem answer."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: list[Fault] | None = None,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors or []
        self.extra = extra or {}
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return REGISTRY[self.code].status


class Faults:
    """What is wrong with a request, collected, so that all of it is answered at once."""

    def __init__(self) -> None:
        self.items: list[Fault] = []
        self._pointers: set[str] = set()

    def add(self, pointer: str, code: str, detail: str) -> None:
        """Note a fault."""
        self.items.append(Fault(pointer, code, detail))
        self._pointers.add(pointer)

    def at(self, pointer: str) -> bool:
        """Whether a fault is known there: later checks then pass by."""
        return pointer in self._pointers

    def check(self) -> None:
        """Raise the problem when there is any fault."""
        if not self.items:
            return
        unsupported = all(fault.code == "not_supported" for fault in self.items)
        count = len(self.items)
        noun = "field is" if count == 1 else "fields are"
        word = "not supported" if unsupported else "not valid"
        code = "not_supported" if unsupported else "validation"
        raise Problem(code, f"{count} {noun} {word}", errors=self.items)


def response(problem: Problem, request: web.Request, seq: int) -> web.Response:
    """The problem as an answer; never shows a traceback."""
    headers = dict(problem.headers)
    if problem.status == 503:
        headers.setdefault("Retry-After", "1")
    content = body_of(problem, request.rel_url.raw_path, request[REQUEST_ID], seq)
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(content),
        content_type=CONTENT_TYPE,
        headers=headers,
    )


def body_of(problem: Problem, path: str, request_id: str, seq: int) -> dict[str, Any]:
    """The members of the problem's body."""
    kind = REGISTRY[problem.code]
    body: dict[str, Any] = {
        "type": TYPE_BASE + problem.code,
        "title": kind.title,
        "status": kind.status,
        "code": problem.code,
        "detail": _clean(problem.detail),
        "instance": _clean(path),
        "request_id": request_id,
        "seq": seq,
        "retryable": kind.retryable,
        **problem.extra,
    }
    if problem.errors:
        body["errors"] = [
            {"pointer": _clean(fault.pointer), "code": fault.code, "detail": _clean(fault.detail)}
            for fault in problem.errors
        ]
    return body


def _clean(text: str) -> str:
    """Lone surrogates, which JSON escapes can bring in, are no UTF-8: shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
