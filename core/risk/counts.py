"""What counts against the limits of accounts, counted again from the orders and positions."""

from typing import Any

import numpy as np

from core import memory
from core.constants import PAGE_INDEX_BITS, PAGE_LEVELS, STOP_SIDES
from core.messages import ACCOUNT_SUSPENDED, BUY
from core.records import (
    ACCOUNT,
    INSTRUMENT,
    LEVEL,
    LIMIT_ROW,
    PAGE,
    POSITION,
    SPECIAL_LIMITS,
    SPECIAL_SELF_TRADE,
    SPECIAL_SUSPENDED,
)

Array = np.ndarray[Any, Any]
LOW_BITS = 62


def check(state: Any, orders: Array, cold: Array, open_slots: Array) -> None:
    """Flags of accounts, and every row of limits; AssertionError with the first that is wrong."""
    rows = state.rows("limit_rows", LIMIT_ROW, state["limits_used"] + 1)
    limited = {int(row["account"]) for row in rows[1:]}
    accounts = state.rows("accounts", ACCOUNT, state["accounts_used"] + 1)
    for account in range(1, len(accounts)):
        row = accounts[account]
        special = int(row["special"])
        assert bool(special & SPECIAL_SUSPENDED) == (int(row["status"]) == ACCOUNT_SUSPENDED)
        assert bool(special & SPECIAL_SELF_TRADE) == bool(row["self_trade"])
        wanted = account in limited and bool(state["risk"])
        assert bool(special & SPECIAL_LIMITS) == wanted, f"account {account}: limits are forgotten"
    if not state["risk"]:
        return
    own: dict[int, list[int]] = {account: [] for account in limited}
    for slot in open_slots:
        own.get(int(cold[slot]["account"]), []).append(int(slot))
    check_links(state, rows, accounts)
    openers = open_levels(state) if limited else {}
    for row in rows[1:]:
        slots = own[int(row["account"])]
        if int(row["instrument"]) == 0:
            check_whole(state, row, orders[slots], cold[slots])
            levels = openers.get(int(row["account"]), 0)
            assert int(row["levels"]) == levels, f"{row['account']} opened {levels} levels"
        else:
            check_instrument(row, orders[slots], cold[slots])


def check_links(state: Any, rows: Array, accounts: Array) -> None:
    """Accounts and positions know their rows."""
    numbers = {
        (int(row["account"]), int(row["instrument"])): number
        for number, row in enumerate(rows)
        if number
    }
    assert len(numbers) == len(rows) - 1, "two rows of limits are of the same"
    for account in range(1, len(accounts)):
        assert int(accounts[account]["limits"]) == numbers.get((account, 0), 0)
    for position in state.rows("positions", POSITION, state["positions_used"] + 1)[1:]:
        key = (int(position["account"]), int(position["instrument"]))
        assert int(position["limits"]) == numbers.get(key, 0), f"limits of position {key}"


def open_levels(state: Any) -> dict[int, int]:
    """By account, the levels of the books that it opened and that have orders."""
    pages = state.rows("pages", PAGE, state["pages_used"] + 1)
    levels = memory.view(state["arena"], LEVEL, len(pages) * PAGE_LEVELS)
    count: dict[int, int] = {}
    for page in range(1, len(pages)):
        if int(pages[page]["key"]) >> PAGE_INDEX_BITS >= STOP_SIDES:
            continue
        for unit in range(page * PAGE_LEVELS, (page + 1) * PAGE_LEVELS):
            if levels[unit]["orders"]:
                opener = int(levels[unit]["opener"])
                count[opener] = count.get(opener, 0) + 1
    return count


def check_whole(state: Any, row: Any, orders: Array, cold: Array) -> None:
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    positions = state.rows("positions", POSITION, state["positions_used"] + 1)
    own = positions[positions["account"] == row["account"]]
    exposure = sum(abs(int(cost)) for cost in own["cost"])
    for order, rest in zip(orders, cold, strict=True):
        unit = int(instruments[int(rest["instrument"])]["multiplier"])
        exposure += int(order["price"]) * int(order["leaves"]) * unit
    assert summed(row, "exposure") == exposure, f"account {row['account']}: exposure {exposure}"


def check_instrument(row: Any, orders: Array, cold: Array) -> None:
    here = cold["instrument"] == row["instrument"]
    buys = orders["leaves"][here & (cold["side"] == BUY)]
    sells = orders["leaves"][here & (cold["side"] != BUY)]
    assert int(row["open_orders"]) == int(here.sum())
    assert summed(row, "buying") == sum(int(lots) for lots in buys)
    assert summed(row, "selling") == sum(int(lots) for lots in sells)


def summed(row: Any, name: str) -> int:
    assert 0 <= int(row[name]) < 1 << LOW_BITS
    return (int(row[f"{name}_high"]) << LOW_BITS) + int(row[name])
