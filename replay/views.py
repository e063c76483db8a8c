"""The state as people ask for it: a book, an account, the terms that make numbers readable.

Everything here is integers of the engine; whoever shows them knows ticks, lots and scales.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from core import memory
from core.book.levels import level_at_key, next_level
from core.jit import kernel
from core.layout import record
from core.memory import Record, address_of, pointer
from core.messages import (
    ACCOUNT_ACTIVE,
    BUY,
    LIMIT_FIELDS,
    STATUS_OPEN,
    STATUS_PENDING,
    STATUS_ROUTED,
    text,
)
from core.records import (
    ACCOUNT,
    ASSET,
    BALANCE,
    BOOKSIDE,
    COLD,
    EXTRA,
    INSTRUMENT,
    LEVEL,
    LIMIT_ROW,
    ORDER,
    POSITION,
    SPECIAL_KILLED,
)
from core.rows import bookside_row, cold_row, level_row, order_of_unit, order_row, state_at
from core.sequencer.general import hold_now
from core.sequencer.state import State

Row = dict[str, Any]
Array = np.ndarray[Any, Any]

EXIT_USAGE: Final = 64
EXTRA_FIELDS: Final = (
    *("display_qty", "stop_price", "trail", "protection_price", "expire_ns", "partner"),
)
POSITION_FIELDS: Final = (
    *("instrument", "net", "cost", "realized", "bought", "sold", "held", "short", "shorting"),
    *("collateral", "due_base", "due_quote", "settled", "reserved_yes", "reserved_no"),
    # Executions outside that an account could not pay for.
    *(name for name in ("debt", "debt_base") if name in (POSITION.names or ())),
)
LIVES: Final = (STATUS_OPEN, STATUS_PENDING, STATUS_ROUTED)


class Unknown(Exception):
    """A name that the exchange does not have."""

    exit_code = EXIT_USAGE


class Shown(NamedTuple):
    """One price level."""

    price: int
    qty: int
    orders: int
    queue: list[Row]  # Oldest first; empty unless it was asked for.


LEVEL_KEY: Final = record("a level and where it lies", 16, [("key", "<i8"), ("unit", "<i8")])
_key_at = pointer(LEVEL_KEY)


@kernel
def level_keys(state_address: int, bookside: int, out: int, most: int) -> int:
    """The keys of the best ``most`` levels of a side and their units, into ``out``; how many."""
    state = state_at(state_address)
    key = bookside_row(state, bookside).best_key
    count = 0
    while key >= 0 and count < most:
        row = _key_at(out + count * 16)
        row.key = key
        row.unit = (address_of(level_at_key(state, bookside, key)) - state.arena) >> 5
        key = next_level(state, bookside, key)
        count += 1
    return count


QUEUE: Final = record(
    "where a resting order stands",
    64,
    [
        ("orders_ahead", "<i8"),  # At its level.
        ("qty_ahead", "<i8"),
        ("level_orders", "<i8"),
        ("level_qty", "<i8"),
        ("levels_better", "<i8"),  # On its own side.
        ("best_own", "<i8"),  # Prices; -1: the side is empty.
        ("best_other", "<i8"),
        ("reserved", "<i8"),
    ],
)
_queue_at = pointer(QUEUE)


@kernel
def queue_of(state_address: int, slot: int, out: int) -> int:
    """Where the order in ``slot`` stands, into the QUEUE record at ``out``; 1 if it rests."""
    state = state_at(state_address)
    queue = _queue_at(out)
    cold = cold_row(state, slot)
    own = 2 * cold.instrument + (cold.side - BUY)
    queue.best_own = best_price(state, own)
    queue.best_other = best_price(state, own ^ 1)
    order = order_row(state, slot)
    queue.orders_ahead = 0
    queue.qty_ahead = 0
    queue.levels_better = 0
    if order.level == 0 or cold.status != STATUS_OPEN:
        return 0
    unit = order.prev
    while unit != order.level:
        before = order_of_unit(state, unit)
        queue.orders_ahead += 1
        queue.qty_ahead += before.shown
        unit = before.prev
    level = level_row(state, order.level)
    queue.level_orders = level.orders
    queue.level_qty = level.shown
    side = bookside_row(state, own)
    key = side.best_key
    while key > order.price ^ side.flip:
        queue.levels_better += 1
        key = next_level(state, own, key)
    return 1


@kernel
def best_price(state: Record, bookside: int) -> int:
    """The best price of a side, or -1."""
    side = bookside_row(state, bookside)
    return side.best_key ^ side.flip if side.best_key >= 0 else -1


def standing(state: State, slot: int) -> Row:
    """``queue_of`` as plain values; ``best_*`` None where there is none."""
    out = np.zeros(1, QUEUE)
    rests = queue_of(state.address, slot, out.ctypes.data)
    found: Row = {name: int(out[0][name]) for name in (QUEUE.names or ()) if name != "reserved"}
    for side in ("best_own", "best_other"):
        found[side] = None if found[side] < 0 else found[side]
    if not rests:
        return {name: found[name] for name in ("best_own", "best_other")}
    return found


# Rows.


def orders(state: State) -> Array:
    """Every order row, by slot."""
    base = state["arena"] + state["order_base"] * LEVEL.itemsize
    return memory.view(base, ORDER, state["slots_used"] + 1)


def cold(state: State) -> Array:
    """The cold halves, by slot."""
    return state.rows("cold", COLD, state["slots_used"] + 1)


def accounts(state: State) -> Array:
    return state.rows("accounts", ACCOUNT, state["accounts_used"] + 1)


def assets(state: State) -> Array:
    return state.rows("assets", ASSET, state["assets_used"] + 1)


def instruments(state: State) -> Array:
    return state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)


def account_names(state: State) -> dict[int, str]:
    """Names of all accounts by number."""
    return {number: text(row["name"]) for number, row in enumerate(accounts(state)) if number}


def find_account(state: State, name: str) -> int:
    """Number of the account ``name``; Unknown when there is none."""
    return _find(account_names(state), "account", name, state["sequence"])


def find_instrument(state: State, symbol: str) -> int:
    """Number of the instrument ``symbol``; Unknown when there is none."""
    rows = instruments(state)
    names = {number: text(row["symbol"]) for number, row in enumerate(rows) if number}
    return _find(names, "instrument", symbol, state["sequence"])


def _find(names: dict[int, str], what: str, wanted: str, sequence: int) -> int:
    for number, name in names.items():
        if name == wanted:
            return number
    known = ", ".join(list(names.values())[:10]) or "none"
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    raise Unknown(f"{what} {wanted!r}: not known at sequence {sequence}; there are {known}{more}")


# What is asked for.


def book(state: State, instrument: int, depth: int, *, with_orders: bool) -> dict[str, list[Shown]]:
    """The best ``depth`` levels of both sides, best first, with their orders if asked for."""
    found = {}
    for name, bookside in (("bids", 2 * instrument), ("asks", 2 * instrument + 1)):
        flip = int(state.rows("booksides", BOOKSIDE, bookside + 1)[bookside]["flip"])
        keys = np.zeros(depth, LEVEL_KEY)
        count = int(level_keys(state.address, bookside, keys.ctypes.data, depth))
        levels = memory.view(state["arena"], LEVEL, state["order_base"])
        found[name] = [
            Shown(
                key ^ flip,
                int(levels[unit]["shown"]),
                int(levels[unit]["orders"]),
                list(_queue(state, int(levels[unit]["next"]))) if with_orders else [],
            )
            for key, unit in keys[:count].tolist()
        ]
    return found


def _queue(state: State, unit: int) -> Any:
    rows = orders(state)
    while unit >= state["order_base"]:
        slot = (unit - state["order_base"]) // 2
        yield order(state, slot)
        unit = int(rows[slot]["next"])


def order(state: State, slot: int) -> Row:
    """An order as its rows have it."""
    hot, row = orders(state)[slot], cold(state)[slot]
    return {
        "order_id": int(hot["order_id"]),
        "client_order_id": text(row["client_order_id"]),
        "account": int(row["account"]),
        "instrument": int(row["instrument"]),
        "side": int(row["side"]),
        "order_type": int(row["order_type"]),
        "time_in_force": int(row["time_in_force"]),
        "status": int(row["status"]),
        "price": int(hot["price"]),
        "leaves": int(hot["leaves"]),
        "cum": int(hot["cum"]),
        "cum_notional": int(hot["cum_notional"]),
        "fees": int(row["fees"]),
        "hold": hold(state, slot),
        "created_ns": int(row["created_ns"]),
        "end_reason": int(row["end_reason"]),
        "shown": int(hot["shown"]) if int(row["status"]) == STATUS_OPEN else 0,
        "self_trade": int(row["self_trade"]),
        "flags": int(row["flags"]),
        **_extra(state, int(hot["extra"])),
    }


def _extra(state: State, number: int) -> Row:
    """What only some orders have; 0 and '' where it has none of it."""
    rows = state.rows("extras", EXTRA, number + 1)
    found = {name: int(rows[number][name]) for name in EXTRA_FIELDS}
    return {**found, "tag": text(rows[number]["tag"])}


@kernel
def held_by(state_address: int, slot: int) -> int:
    """What an open order holds, without what its partner holds for it."""
    return hold_now(state_at(state_address), slot)


def hold(state: State, slot: int) -> int:
    """What an order holds now: quote units for a BUY and of a BINARY, base units for a SELL; 0 once
    it ended."""
    if int(cold(state)[slot]["status"]) not in LIVES or not state["risk"]:
        return 0
    return int(held_by(state.address, slot))


def account(state: State, number: int) -> dict[str, Any]:
    """Balances, positions and open orders of an account."""
    balances = state.rows("balances", BALANCE, state["balances_used"] + 1)
    positions = state.rows("positions", POSITION, state["positions_used"] + 1)
    own = balances[balances["account"] == number]
    held = positions[positions["account"] == number]
    slots, slot = [], int(accounts(state)[number]["open_head"])
    while slot:
        slots.append(slot)
        slot = int(cold(state)[slot]["account_next"])
    return {
        "balances": [_plain(row, ("asset", "available", "held")) for row in own],
        "positions": [_plain(row, POSITION_FIELDS) for row in held],
        "open_orders": [order(state, slot) for slot in slots],
        "account": _account(state, number),
    }


def _account(state: State, number: int) -> Row:
    """Status, self-trade prevention, kill switch and limits of an account."""
    row = accounts(state)[number]
    limits = state.rows("limit_rows", LIMIT_ROW, state["limits_used"] + 1)
    own = limits[limits["account"] == number]
    return {
        "status": int(row["status"]) or ACCOUNT_ACTIVE,
        "self_trade": int(row["self_trade"]),
        "killed": bool(int(row["special"]) & SPECIAL_KILLED),
        "limits": [_plain(one, ("instrument", *LIMIT_FIELDS)) for one in own],
    }


def _plain(row: Any, names: tuple[str, ...]) -> Row:
    return {name: int(row[name]) for name in names}
