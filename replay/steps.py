"""One command as a step in the life of an order: the command, its events, the order after it."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np

from core.constants import CLIENT_ORDER_ID_BYTES, SLOT_BYTES
from core.journal.dump import command_row
from core.layout import offset_of
from core.messages import (
    BUST_TRADE,
    CANCEL,
    CANCEL_ORDER,
    CLIENT_ORDER_ID_AT,
    COMMAND_REJECTED,
    CORRECT_TRADE,
    DEAD_MAN,
    DEPOSIT,
    EVENT_NAMES,
    EXEC_RECORDED,
    FILL,
    MAKER,
    MASS_CANCEL,
    ORDER_ACCEPTED,
    ORDER_REJECTED,
    ORDER_ROUTE_REQUESTED,
    ORIGINAL_ID_AT,
    PLACE_ORDER,
    PRIORITY_KEPT,
    REDUCE_ORDER,
    REPLACE_ORDER,
    RESTS,
    TRADE_BUSTED,
    TRADE_CORRECTED,
    TRADE_SLOT_2,
    TRANSFER,
    WITHDRAW,
    text,
)
from replay.history import Slots, command_at, starts

Row = dict[str, Any]

WITH_CLIENT_ID: Final = frozenset(
    {
        *(PLACE_ORDER, CANCEL_ORDER, REPLACE_ORDER, REDUCE_ORDER, MASS_CANCEL, DEPOSIT, WITHDRAW),
        *(TRANSFER, DEAD_MAN, BUST_TRADE, CORRECT_TRADE),
    }
)
TARGETED: Final = frozenset({CANCEL_ORDER, REPLACE_ORDER, REDUCE_ORDER})
FLAGS: Final = {MAKER: "maker", RESTS: "rests", PRIORITY_KEPT: "priority_kept"}
ORDER_IDS: Final = {
    "order_id": offset_of(CANCEL, "order_id"),  # OUTSIDE_* have it there too.
    "buyer_order": offset_of(TRADE_SLOT_2, "buyer_order"),
    "seller_order": offset_of(TRADE_SLOT_2, "seller_order"),
}
# Where any slot would have what can name an order; whether it does, its command's kind says.
NAMES: Final = np.dtype(
    {
        "names": ["client_order_id", "original", *ORDER_IDS],
        "formats": [f"S{CLIENT_ORDER_ID_BYTES}"] * 2 + ["<i8"] * len(ORDER_IDS),
        "offsets": [CLIENT_ORDER_ID_AT, ORIGINAL_ID_AT, *ORDER_IDS.values()],
        "itemsize": SLOT_BYTES,
    }
)


class Step(NamedTuple):
    """One command, what it did to the order, and what the order was then."""

    sequence: int
    timestamp_ns: int
    relation: str  # names it, fills it, cancels it, moves the queue
    command: Row
    events: list[Row]  # Those about the order.
    after: Row  # status, price, leaves, cum, fees, hold, where it stands; {} without an order.


def named_in(slots: Slots, order_id: int, ids: Iterable[bytes]) -> list[int]:
    """Where commands begin that may name the order: by its id, or by a client order id."""
    rows = slots.reshape(-1).view(NAMES)
    found = np.zeros(len(rows), bool)
    for name in ORDER_IDS if order_id else ():
        found |= rows[name] == order_id
    for client_id in ids:
        found |= (rows["client_order_id"] == client_id) | (rows["original"] == client_id)
    if not found.any():
        return []
    begins = starts(slots)
    at = np.searchsorted(begins, np.flatnonzero(found), "right") - 1
    return [begins[place] for place in sorted(set(at.tolist()))]


def names_of(slots: Slots, place: int) -> tuple[int, set[bytes]]:
    """The order id and the client order ids that the command at ``place`` says; 0: none."""
    command = command_at(slots, place)
    kind, size = int(command["kind"]), int(command["slots"])
    rows = slots[place : place + size].reshape(-1).view(NAMES)
    ids = {bytes(rows[0]["client_order_id"])} if kind in WITH_CLIENT_ID else set()
    if kind not in TARGETED:
        return 0, ids - {b""}
    if size > 1:
        ids.add(bytes(rows[1]["original"]))
    return int(rows[0]["order_id"]), ids - {b""}


def step_of(slots: Slots, place: int, relation: str, events: list[Row], after: Row) -> Step:
    """A step by the command at ``place``."""
    command = command_at(slots, place)
    row = command_row(slots[place : place + int(command["slots"])], int(command["kind"]))
    return Step(
        int(command["sequence"]), int(command["timestamp_ns"]), relation, row, events, after
    )


def event_row(events: "np.ndarray[Any, Any]", at: int) -> Row:
    """An event by the names that its kind gives its fields; a FILL with who is on the other side.

    ``events`` are whole commands.
    """
    event = events[at]
    kind = int(event["kind"])
    row: Row = {
        "sequence": int(event["sequence"]),
        "index": int(event["index"]),
        "kind": EVENT_NAMES.get(kind, str(kind)),
        "order_id": int(event["order_id"]),
        "account": int(event["account"]),
        "instrument": int(event["instrument"]),
        "client_order_id": text(event["client_order_id"]),
        "reason": int(event["reason"]),
        "flags": [name for bit, name in FLAGS.items() if int(event["flags"]) & bit],
    }
    row.update(_amounts(event, kind))
    if kind == FILL:
        there = at - 1 if int(event["flags"]) & MAKER else at + 1
        other = events[there] if 0 <= there < len(events) else event
        is_pair = int(other["kind"]) == FILL and int(other["sequence"]) == row["sequence"]
        # Outside there is nobody on the other side.
        row["other_order_id"] = int(other["order_id"]) if is_pair and there != at else 0
        row["other_account"] = int(other["account"]) if is_pair else 0
    return row


def _amounts(event: Any, kind: int) -> Row:
    row = {name: int(event[name]) for name in ("price", "qty")}
    if kind in (ORDER_REJECTED, COMMAND_REJECTED):
        names = {"command": "leaves", "limit": "cum", "value": "cum_notional"}
    elif kind == ORDER_ACCEPTED:
        names = {"leaves": "leaves", "hold": "cum"}
    elif kind == ORDER_ROUTE_REQUESTED:
        names = {"request": "leaves", "route": "cum"}
    elif kind == EXEC_RECORDED:
        names = {"command": "leaves", "outcome": "cum", "fee": "cum_notional"}
    elif kind in (TRADE_BUSTED, TRADE_CORRECTED):
        names = {"fee": "cum_notional"}
    else:
        names = {name: name for name in ("leaves", "cum", "cum_notional")}
        if kind == FILL:
            names["fee"] = "fee"
    return row | {name: int(event[field]) for name, field in names.items()}
