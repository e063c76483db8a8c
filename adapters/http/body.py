"""Reading a JSON body: typed and fast when it is right, an exact diagnosis when it is not.

msgspec alone stops at the first fault and takes repeated keys.  So every body is also searched for
repeated keys with a few ``bytes`` operations, and whatever does not pass is read a second time by
``json``, member by member, to name every fault at once.
"""

import difflib
import json
import re
from collections import Counter
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from adapters.http.problems import Faults, Problem
from adapters.units import shown

BODY_BYTES_MAX: Final = 64 << 10
DEPTH_MAX: Final = 32

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

T = TypeVar("T", bound=msgspec.Struct)
_decoders: dict[type, Any] = {}


class _Members(dict[str, Any]):
    """A JSON object that remembers which keys came more than once."""

    repeated: tuple[str, ...] = ()


class _Constant:
    """NaN or an infinity: not JSON, but ``json`` reads it."""

    def __init__(self, name: str) -> None:
        self.name = name


async def read(request: web.Request, kind: type[T], *, optional: bool = False) -> tuple[T, Faults]:
    """The body as a ``kind`` and what is wrong with its form.

    A member at fault is left at its default.  Raises Problem when there is no JSON object at all:
    ``too_large``, ``unsupported_media_type``, ``malformed``.
    """
    raw = await _bytes(request)
    if not raw and optional:
        return kind(), Faults()
    _check_media_type(request)
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        decoded: T = decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _diagnose(raw, kind)
    if may_repeat_keys(raw):
        return _diagnose(raw, kind)
    return decoded, Faults()


def may_repeat_keys(raw: bytes) -> bool:
    """Whether valid JSON may hold a key twice; a yes can be wrong, a no never is.

    Without a backslash every quote begins or ends a string, and a key is a string before a colon.
    """
    if b"\\" in raw:
        return True
    parts = raw.split(b'"')
    keys = [
        parts[place]
        for place in range(1, len(parts) - 1, 2)
        if parts[place + 1].lstrip().startswith(b":")
    ]
    return len(keys) != len(set(keys))


async def _bytes(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise _too_large(f"{request.content_length} bytes")
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large("more") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Problem("malformed", f"the body could not be read: {shown(str(error))}") from None


def _too_large(size: str) -> Problem:
    detail = f"expected at most {BODY_BYTES_MAX} bytes, got {size}"
    return Problem("too_large", detail, headers={"Connection": "close"})


def _check_media_type(request: web.Request) -> None:
    content_type = request.headers.get("Content-Type", "")
    charset = (request.charset or "utf-8").lower()
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
        detail = f"expected Content-Type: application/json, got {shown(content_type)}"
        raise Problem("unsupported_media_type", detail)
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem("unsupported_media_type", "a compressed body is not taken")


def _diagnose(raw: bytes, kind: type[T]) -> tuple[T, Faults]:
    members = _members(raw)
    faults = Faults()
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    known: dict[str, Any] = {}
    for key in members.repeated:
        faults.add(pointer(key), "duplicate_key", "the key came more than once")
    for key, value in members.items():
        where = pointer(key)
        if key not in fields:
            faults.add(where, "unknown_field", _unknown(key, list(fields)))
        elif not faults.at(where):
            try:
                known[key] = _converted(value, fields[key].type)
            except msgspec.ValidationError as error:
                faults.add(where, "wrong_type", str(error))
    return kind(**known), faults


def _converted(value: Any, wanted: Any) -> Any:
    if isinstance(value, _Constant):
        raise msgspec.ValidationError(f"{value.name} is not JSON")
    try:
        return msgspec.convert(value, wanted, strict=True)
    except msgspec.ValidationError as error:
        text = str(error)
        if isinstance(value, int | float) and not isinstance(value, bool) and "`str" in text:
            text += "; decimals are sent as text, in quotes: no float ever touches them"
        raise msgspec.ValidationError(text) from None


def _unknown(key: str, names: list[str]) -> str:
    aliases = {"quantity": "qty", "amount": "qty", "symbol": "instrument", "time_in_force": "tif"}
    near = difflib.get_close_matches(key, names, 1, 0.6)
    guess = near[0] if near else aliases.get(key.lower(), "")
    return f"unknown field; did you mean '{guess}'?" if guess in names else "unknown field"


def _members(raw: bytes) -> _Members:
    if not raw.strip():
        raise Problem("malformed", "expected a JSON object, got an empty body")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"expected UTF-8, got byte 0x{raw[error.start]:02x} at offset {error.start}"
        raise Problem("malformed", detail) from None
    if _depth(text) > DEPTH_MAX:
        raise Problem("malformed", f"expected at most {DEPTH_MAX} levels of nesting, got more")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_Constant)
    except json.JSONDecodeError as error:
        detail = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise Problem("malformed", detail) from None
    except (ValueError, RecursionError) as error:  # A number of thousands of digits.
        raise Problem("malformed", f"not readable: {shown(str(error))}") from None
    if not isinstance(value, _Members):
        names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
        got = names.get(type(value), "a number")
        raise Problem("malformed", f"expected a JSON object, got {got}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> _Members:
    members = _Members(pairs)
    if len(members) != len(pairs):
        times = Counter(key for key, _ in pairs)
        members.repeated = tuple(key for key, count in times.items() if count > 1)
    return members


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def pointer(key: str) -> str:
    """JSON pointer (RFC 6901) of a member of the body; a long key is cut."""
    key = key if len(key) <= 64 else key[:64] + "..."
    return "/" + key.replace("~", "~0").replace("/", "~1")
