"""Slots, events and replies as Python values: packed and unpacked with ``struct``, by field name.

numpy would do, but one row of a structured array costs ten times as much as one ``struct`` call.
The formats are made from the layouts of ``core.messages``, so they cannot differ from them.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from core import messages
from core.layout import offset_of
from core.messages import COMMAND, EVENT, KIND_AT, ORDER_REPLY, PLACE_SLOT_2, SCHEMA

_CODES: Final = {"i8": "q", "i4": "i", "u4": "I", "u2": "H", "u1": "B"}


def _struct_of(dtype: "np.dtype[Any]") -> struct.Struct:
    assert dtype.fields is not None
    assert dtype.names is not None
    parts = ["<"]
    for name in dtype.names:
        field = dtype.fields[name][0]
        code = _CODES[field.base.str[1:]]
        if not field.shape:
            parts.append(code)
        elif code == "B":
            parts.append(f"{field.shape[0]}s")
        else:
            parts.append(f"{field.shape[0] * field.base.itemsize}s")
    layout = struct.Struct("".join(parts))
    assert layout.size == dtype.itemsize
    return layout


class Packer:
    """Packs one record from named values; fields that are not named are zero."""

    def __init__(self, dtype: "np.dtype[Any]") -> None:
        assert dtype.fields is not None
        assert dtype.names is not None
        self._struct = _struct_of(dtype)
        self._at = {name: place for place, name in enumerate(dtype.names)}
        self._zeros: list[int | bytes] = [
            b"" if dtype.fields[name][0].shape else 0 for name in dtype.names
        ]

    def pack(self, **values: int | bytes) -> bytes:
        """The record; struct.error when a value does not fit its field."""
        row = self._zeros.copy()
        for name, value in values.items():
            row[self._at[name]] = value
        return self._struct.pack(*row)


class Event(NamedTuple):
    """One event; the fields of ``core.messages.EVENT``, text still padded."""

    sequence: int
    timestamp_ns: int
    order_id: int
    price: int
    qty: int
    leaves: int
    cum: int
    cum_notional: int
    fee: int
    place: int  # ``index``, a name that tuples have.
    session: int
    account: int
    instrument: int
    reason: int
    kind: int
    flags: int
    client_order_id: bytes


class OrderRow(NamedTuple):
    """One order out of a reply; the fields of ``core.messages.ORDER_REPLY``."""

    request_id: int
    as_of: int
    session: int
    place: int
    reason: int
    kind: int
    flags: int
    items: int  # ``count``, likewise.
    order_id: int
    price: int
    order_qty: int
    leaves: int
    cum: int
    cum_notional: int
    last_price: int
    fees: int
    hold: int
    created_ns: int
    updated_ns: int
    expire_ns: int
    display_qty: int
    stop_price: int
    trail: int
    protection_price: int
    partner: int
    tag: bytes
    client_order_id: bytes
    account: int
    instrument: int
    end_reason: int
    side: int
    order_type: int
    time_in_force: int
    self_trade: int
    status: int
    order_flags: int


_RENAMED: Final = {"index": "place", "count": "items"}
for _row, _dtype in ((Event, EVENT), (OrderRow, ORDER_REPLY)):
    assert _row._fields == tuple(_RENAMED.get(name, name) for name in _dtype.names or ())

_EVENT: Final = _struct_of(EVENT)
_ORDER: Final = _struct_of(ORDER_REPLY)
_SLOT_2: Final = Packer(PLACE_SLOT_2)
_PACKERS: Final = {
    messages.PLACE_ORDER: Packer(messages.PLACE),
    messages.CANCEL_ORDER: Packer(messages.CANCEL),
    messages.REPLACE_ORDER: Packer(messages.REPLACE),
    messages.MASS_CANCEL: Packer(messages.MASS),
    messages.CREATE_ASSET: Packer(messages.NEW_ASSET),
    messages.CREATE_INSTRUMENT: Packer(messages.NEW_INSTRUMENT),
    messages.CREATE_ACCOUNT: Packer(messages.NEW_ACCOUNT),
    messages.UPDATE_INSTRUMENT: Packer(messages.CHANGED_INSTRUMENT),
    messages.SET_LIMITS: Packer(messages.NEW_LIMITS),
    **dict.fromkeys(
        (messages.DEPOSIT, messages.WITHDRAW, messages.TRANSFER), Packer(messages.MONEY)
    ),
    **dict.fromkeys(
        (
            messages.SETTLE_INSTRUMENT,
            messages.UPDATE_ACCOUNT,
            messages.KILL_SWITCH,
            messages.DEAD_MAN,
        ),
        Packer(messages.ADMIN),
    ),
    **dict.fromkeys((messages.BUST_TRADE, messages.CORRECT_TRADE), Packer(messages.TRADE)),
    **dict.fromkeys(
        range(messages.OUTSIDE_ACKNOWLEDGED, messages.OUTSIDE_SETTLED + 1),
        Packer(messages.OUTSIDE),
    ),
}
_QUERY: Final = Packer(messages.QUERY)
# The slots behind the first one.
MORE_TERMS: Final = _SLOT_2
REFERENCE: Final = Packer(messages.REFERENCE)
INSTRUMENT_2: Final = Packer(messages.NEW_INSTRUMENT_SLOT_2)
LIMITS_2: Final = Packer(messages.NEW_LIMITS_SLOT_2)
TRADE_2: Final = Packer(messages.TRADE_SLOT_2)
OUTSIDE_3: Final = Packer(messages.OUTSIDE_CORRECTION)
TICK_TABLE: Final = struct.Struct(f"<{2 * messages.TICK_BANDS}q64x")  # ``start``, then ``step``.

# Fields that ``place`` gives; the rest is zero.
_PLACE: Final = struct.Struct("<28xII6xBBB3x36sBBBxqqq16x")
_PLACED: Final = {
    "account": 28,
    "instrument": 32,
    "kind": 42,
    "schema": 43,
    "slots": 44,
    "client_order_id": 48,
    "side": 84,
    "order_type": 85,
    "time_in_force": 86,
    "price": 88,
    "qty": 96,
    "expire_after_ns": 104,
}

assert COMMAND.itemsize == _PLACE.size == 128
assert {name: offset_of(messages.PLACE, name) for name in _PLACED} == _PLACED
assert TICK_TABLE.size == messages.TICK_TABLE.itemsize
assert offset_of(messages.TICK_TABLE, "step") == 8 * messages.TICK_BANDS


def command(kind: int, *others: bytes, **fields: int | bytes) -> bytes:
    """A command; session, request id and gateway are the gateway's to fill.

    ``others``: the slots behind the first one, packed.
    """
    first = _PACKERS[kind].pack(kind=kind, schema=SCHEMA, slots=1 + len(others), **fields)
    return b"".join((first, *others))


def as_test(slots: bytes) -> bytes:
    """QUERY_TEST_ORDER of a PLACE_ORDER."""
    return slots[:KIND_AT] + bytes([messages.QUERY_TEST_ORDER]) + slots[KIND_AT + 1 :]


def place(account: int, instrument: int, client_order_id: str, terms: Sequence[int]) -> bytes:
    """PLACE_ORDER of one slot, faster than ``command``.

    ``terms``: side, order type, time in force, price, qty, expire_after_ns.
    """
    side, order_type, time_in_force, price, qty, expire_after_ns = terms
    return _PLACE.pack(
        *(account, instrument, messages.PLACE_ORDER, SCHEMA, 1),
        *(client_order_id.encode("ascii"), side, order_type, time_in_force),
        *(price, qty, expire_after_ns),
    )


def place_more(first: dict[str, int | bytes], second: dict[str, int | bytes] | None) -> bytes:
    """PLACE_ORDER with any terms, in one slot or two."""
    others = () if second is None else (_SLOT_2.pack(**second),)
    return command(messages.PLACE_ORDER, *others, **first)


def targeted(kind: int, target: int | str, stop_price: int = 0, **fields: int | bytes) -> bytes:
    """A cancel or replace: of an order id in one slot, or of a client order id in two; with a new
    stop price always in two."""
    more: dict[str, int | bytes] = {"stop_price": stop_price} if stop_price else {}
    if isinstance(target, int):
        others = (_SLOT_2.pack(**more),) if more else ()
        return command(kind, *others, order_id=target, **fields)
    original = target.encode("ascii")
    return command(kind, _SLOT_2.pack(original_client_order_id=original, **more), **fields)


def money(kind: int, reference: bytes, **fields: int | bytes) -> bytes:
    """DEPOSIT, WITHDRAW or TRANSFER, with a payment reference unless it is empty."""
    others = (REFERENCE.pack(reference=reference),) if reference else ()
    return command(kind, *others, **fields)


def create_instrument(first: dict[str, int | bytes], second: dict[str, int | bytes]) -> bytes:
    """CREATE_INSTRUMENT that is open, from the fields of its two slots."""
    phase = {"phase": messages.PHASE_OPEN}
    return command(messages.CREATE_INSTRUMENT, INSTRUMENT_2.pack(**{**phase, **second}), **first)


def query(kind: int, **fields: int | bytes) -> bytes:
    """A query of one slot."""
    return _QUERY.pack(kind=kind, schema=SCHEMA, slots=1, **fields)


def events_of(rows: "np.ndarray[Any, Any]") -> list[Event]:
    """The events of an answer."""
    return [Event._make(fields) for fields in _EVENT.iter_unpack(rows.tobytes())]


def first_of(rows: "np.ndarray[Any, Any]") -> Event:
    """The first event of an answer."""
    return Event._make(_EVENT.unpack_from(rows.tobytes()))


def orders_of(rows: "np.ndarray[Any, Any]") -> list[OrderRow]:
    """The replies of an order query, also those that say that there is none."""
    return [OrderRow._make(fields) for fields in _ORDER.iter_unpack(rows.tobytes())]


def padded(raw: bytes) -> str:
    """Text of a zero-padded field."""
    return raw.rstrip(b"\0").decode("ascii", "backslashreplace")
