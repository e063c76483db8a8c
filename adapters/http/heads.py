"""Heads of requests in their plain form, read without an HTTP parser.

The form is narrower than HTTP allows: no byte outside of printable ASCII, no folded line, no header
twice, no header that changes how the message is read.  A head of this form means one thing only, so
reading it here and again in aiohttp cannot differ.  Whatever is not of it is aiohttp's.

Clients send the same head again and again, so what was read is kept by its bytes.
"""

import re
from typing import Final, NamedTuple

from adapters.http.body import BODY_BYTES_MAX

HEAD_BYTES_MAX: Final = 4_096  # Below aiohttp's limits of a line and of a field.
LINES_MAX: Final = 64
KEPT_MAX: Final = 4_096

_HEAD: Final = re.compile(
    rb"(GET|POST|PATCH|DELETE) (/[!-~]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[ -~]*\r\n)+)\r\n"
)
_LENGTH: Final = re.compile(rb"[0-9]{1,6}")
_HOST: Final = re.compile(rb"[0-9A-Za-z.-]+(:[0-9]{1,5})?")
_FORMS: Final = (b"application/json", b"application/json; charset=utf-8")
# They change how the body is read, ask for something, or belong to this connection alone.
_NOT_PLAIN: Final = frozenset(
    {
        *(b"content-encoding", b"expect", b"http2-settings", b"prefer", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade"),
    }
)


class Head(NamedTuple):
    """What is needed of a head."""

    body_bytes: int
    is_order: bool  # POST /v1/orders by a named user, with a JSON body.
    user: str  # X-Dev-User.
    key: str | None  # Idempotency-Key.


class Heads:
    """Heads that were read."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Head] = {}

    def of(self, raw: bytes) -> Head | None:
        """The head in ``raw``, blank line included; None when it is not of the plain form."""
        head = self._kept.get(raw)
        if head is None:
            head = read_head(raw)
            if head is not None and head.key is None:  # A key is new every time.
                if len(self._kept) >= KEPT_MAX:
                    self._kept.clear()
                self._kept[raw] = head
        return head


def read_head(raw: bytes) -> Head | None:
    """See ``Heads.of``."""
    match = _HEAD.fullmatch(raw) if len(raw) <= HEAD_BYTES_MAX else None
    if match is None:
        return None
    method, path, lines = match.groups()
    fields: dict[bytes, bytes] = {}
    for line in lines[:-2].split(b"\r\n"):
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip(b" ")
    length = fields.get(b"content-length", b"0")
    if (
        len(fields) != lines.count(b"\r\n")
        or len(fields) > LINES_MAX
        or not _NOT_PLAIN.isdisjoint(fields)
        or fields.get(b"connection", b"keep-alive").lower() != b"keep-alive"
        or not _HOST.fullmatch(fields.get(b"host", b""))
        or not _LENGTH.fullmatch(length)
        or int(length) > BODY_BYTES_MAX
    ):
        return None
    user, key = fields.get(b"x-dev-user", b""), fields.get(b"idempotency-key")
    is_order = (
        method == b"POST"
        and path == b"/v1/orders"
        and user != b""
        and fields.get(b"content-type", b"").lower() in _FORMS
    )
    return Head(int(length), is_order, user.decode(), None if key is None else key.decode())
