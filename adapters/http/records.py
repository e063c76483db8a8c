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
from core.messages import COMMAND, EVENT, ORDER_REPLY, PLACE_SLOT_2, SCHEMA

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
    sequence: int
    account: int
    instrument: int
    order_session: int
    end_reason: int
    side: int
    order_type: int
    time_in_force: int
    self_trade: int
    status: int
    order_flags: int
    client_order_id: bytes
    reserved: bytes


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
    messages.DEPOSIT: Packer(messages.MONEY),
    messages.WITHDRAW: Packer(messages.MONEY),
}
_QUERY: Final = Packer(messages.QUERY)
_REFERENCE: Final = Packer(messages.REFERENCE)
_INSTRUMENT_2: Final = Packer(messages.NEW_INSTRUMENT_SLOT_2)

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


def command(kind: int, **fields: int | bytes) -> bytes:
    """A command of one slot; session, request id and gateway are the gateway's to fill."""
    return _PACKERS[kind].pack(kind=kind, schema=SCHEMA, slots=1, **fields)


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


def targeted(kind: int, target: int | str, **fields: int | bytes) -> bytes:
    """A cancel or replace: of an order id in one slot, or of a client order id in two."""
    packer = _PACKERS[kind]
    if isinstance(target, int):
        return packer.pack(kind=kind, schema=SCHEMA, slots=1, order_id=target, **fields)
    first = packer.pack(kind=kind, schema=SCHEMA, slots=2, **fields)
    return first + _SLOT_2.pack(original_client_order_id=target.encode("ascii"))


def create_instrument(first: dict[str, int | bytes], second: dict[str, int | bytes]) -> bytes:
    """CREATE_INSTRUMENT from the fields of its two slots."""
    kind = messages.CREATE_INSTRUMENT
    slot_1 = _PACKERS[kind].pack(kind=kind, schema=SCHEMA, slots=2, **first)
    return slot_1 + _INSTRUMENT_2.pack(phase=messages.PHASE_OPEN, **second)


def money(kind: int, reference: bytes, **fields: int | bytes) -> bytes:
    """DEPOSIT or WITHDRAW, with a payment reference unless it is empty."""
    packer = _PACKERS[kind]
    if not reference:
        return packer.pack(kind=kind, schema=SCHEMA, slots=1, **fields)
    first = packer.pack(kind=kind, schema=SCHEMA, slots=2, **fields)
    return first + _REFERENCE.pack(reference=reference)


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
