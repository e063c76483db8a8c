"""Slots of rings as plain values: commands, events and replies by the names of their fields."""

import json
from typing import Any, Final

import numpy as np

from core import messages
from core.constants import COMMAND_SLOTS_MAX
from core.journal.dump import command_row, fields_of
from core.messages import (
    AMOUNT_ITEM,
    AMOUNTS_PER_REPLY,
    COMMAND,
    COMMAND_NAMES,
    DEPTH_ITEM,
    DEPTH_PER_REPLY,
    EVENT,
    EVENT_NAMES,
    INSTRUMENT_REPLY,
    KIND_AT,
    NAME_REPLY,
    ORDER_REPLY,
    POSITION_ITEM,
    POSITIONS_PER_REPLY,
    QUERY,
    QUERY_FIRST,
    REPLY,
    REPLY_BODY,
    SCHEMA,
    SLOTS_AT,
    TICKS,
    TICKS_REPLY,
)
from core.reasons import Reason

Row = dict[str, Any]
Array = np.ndarray[Any, Any]
U1: Final = np.dtype(np.uint8)

QUERY_NAMES: Final = {
    value: name
    for name, value in vars(messages).items()
    if name.startswith("QUERY_") and name != "QUERY_FIRST"
}
_ONE: Final = {
    **dict.fromkeys((messages.QUERY_ORDER, messages.QUERY_CLIENT_ORDER), ORDER_REPLY),
    messages.QUERY_OPEN_ORDERS: ORDER_REPLY,
    messages.QUERY_INSTRUMENTS: INSTRUMENT_REPLY,
    messages.QUERY_ASSETS: NAME_REPLY,
    messages.QUERY_ACCOUNT: NAME_REPLY,
    messages.QUERY_SESSION: NAME_REPLY,
    messages.QUERY_STATE: NAME_REPLY,
}
_MANY: Final = {
    messages.QUERY_BALANCES: (AMOUNT_ITEM, AMOUNTS_PER_REPLY),
    messages.QUERY_POSITIONS: (POSITION_ITEM, POSITIONS_PER_REPLY),
    messages.QUERY_FEES: (AMOUNT_ITEM, AMOUNTS_PER_REPLY),
    messages.QUERY_DEPTH: (DEPTH_ITEM, DEPTH_PER_REPLY),
}


def places(first: int, end: int, mask: int) -> Array:
    """Where slots ``first`` to ``end`` lie."""
    return np.arange(first, end) & mask


def json_line(row: Row) -> str:
    """One JSON object."""
    return json.dumps(row)


def event(record: Any, place: int) -> Row:
    """An event; ``place``: in the output ring, since the epoch began."""
    row: Row = {"record": "event", "place": place, **fields_of(record, EVENT)}
    row["kind"] = EVENT_NAMES.get(row["kind"], str(row["kind"]))
    row["reason"] = _reason(row["reason"])
    return row


def reply(record: Any, place: int) -> Row:
    """A reply, its body by the kind of the query."""
    kind = int(record["kind"])
    view = _ONE.get(kind, REPLY)
    if view is INSTRUMENT_REPLY and int(record["flags"]) & TICKS:
        view = TICKS_REPLY
    raw = np.frombuffer(record.tobytes(), np.uint8)
    row: Row = {"record": "reply", "place": place, **fields_of(raw.view(view)[0], view)}
    if kind in _MANY:
        item, most = _MANY[kind]
        count = min(max(int(record["count"]), 0), most)
        items = raw[REPLY_BODY : REPLY_BODY + count * item.itemsize].view(item)
        row.pop("body")
        row["items"] = [fields_of(one, item) for one in items]
    row["kind"] = QUERY_NAMES.get(kind, str(kind))
    row["reason"] = _reason(row["reason"])
    return row


def commands(image: Array, first: int, consumed: int) -> list[Row]:
    """The commands and queries in slots ``first`` on; ``consumed``: the core has polled these.

    A slot does not say whether a command begins there.  ``consumed`` and the end do, so the first
    beginning is tried that leads to both.
    """
    end = first + len(image)
    for start in range(first, min(first + COMMAND_SLOTS_MAX, end)):
        begins = _walk(image, first, start)
        if begins and (consumed in (*begins, end) or consumed <= start):
            return [_command(image, first, at, consumed) for at in begins]
    begins = _walk(image, first, consumed) if first <= consumed < end else []
    return [_command(image, first, at, consumed) for at in begins]


def _walk(image: Array, first: int, start: int) -> list[int]:
    """Where commands begin from ``start`` to exactly the end; empty when that cannot be."""
    found, at, end = [], start, first + len(image)
    while at < end:
        slot = image[at - first]
        size = int(slot[SLOTS_AT])
        known = int(slot[KIND_AT]) in COMMAND_NAMES or int(slot[KIND_AT]) >= QUERY_FIRST
        if not (1 <= size <= COMMAND_SLOTS_MAX and known and int(slot[KIND_AT + 1]) == SCHEMA):
            return []
        found.append(at)
        at += size
    return found if at == end else []


def _command(image: Array, first: int, at: int, consumed: int) -> Row:
    slot = image[at - first]
    kind, size = int(slot[KIND_AT]), int(slot[SLOTS_AT])
    row: Row = {"record": "command", "place": at, "polled": at < consumed}
    if kind >= QUERY_FIRST:
        row.update(fields_of(slot.view(QUERY)[0], QUERY))
        row["kind"] = QUERY_NAMES.get(kind, str(kind))
        return row
    return row | command_row(image[at - first : at - first + size], kind) | {"record": "command"}


def _reason(number: int) -> str:
    known = number in Reason._value2member_map_
    return "" if number == 0 else Reason(number).word if known else str(number)


assert COMMAND.itemsize == QUERY.itemsize
