"""Answers about money: balances and positions of an account."""

from typing import Final

from core.jit import kernel
from core.memory import Record
from core.messages import (
    AMOUNT_ITEM,
    AMOUNTS_PER_REPLY,
    POSITION_ITEM,
    POSITIONS_PER_REPLY,
    QUERY_FEES,
)
from core.reasons import Reason
from core.risk.accounts import FEES_ACCOUNT, find_balance, find_position
from core.rows import balance_row, position_row
from core.sequencer.reply import amount_at, name_reply_at, next_item, position_item_at

AMOUNT: Final = (AMOUNTS_PER_REPLY, AMOUNT_ITEM.itemsize)
POSITION: Final = (POSITIONS_PER_REPLY, POSITION_ITEM.itemsize)
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value


@kernel
def answer_balances(state: Record, query: Record, replies: int) -> int:
    """Balances of an account (QUERY_FEES: of the fees account), assets above ``cursor``."""
    account = FEES_ACCOUNT if query.kind == QUERY_FEES else query.account
    if not 0 < account <= state.accounts_used:
        name_reply_at(replies).reason = UNKNOWN_ACCOUNT
        return 1
    items = 0
    for asset in range(max(query.cursor, 0) + 1, state.assets_used + 1):
        row = find_balance(state, account, asset)
        if row == 0:
            continue
        item_address = next_item(state, query, replies, items, AMOUNT)
        if item_address == 0:
            break
        balance = balance_row(state, row)
        item = amount_at(item_address)
        item.id = asset
        item.total = balance.available + balance.held
        item.available = balance.available
        item.held = balance.held
        items += 1
    return max((items + AMOUNTS_PER_REPLY - 1) // AMOUNTS_PER_REPLY, 1)


@kernel
def answer_positions(state: Record, query: Record, replies: int) -> int:
    """Positions of an account, instruments above ``cursor``."""
    if not 0 < query.account <= state.accounts_used:
        name_reply_at(replies).reason = UNKNOWN_ACCOUNT
        return 1
    items = 0
    for instrument in range(max(query.cursor, 0) + 1, state.instruments_used + 1):
        row = find_position(state, query.account, instrument)
        if row == 0:
            continue
        item_address = next_item(state, query, replies, items, POSITION)
        if item_address == 0:
            break
        position = position_row(state, row)
        item = position_item_at(item_address)
        item.id = instrument
        item.net = position.net
        item.cost = position.cost
        item.held = position.held
        item.realized = position.realized
        item.bought = position.bought
        item.sold = position.sold
        item.short = position.short
        item.shorting = position.shorting
        item.collateral = position.collateral
        item.due_base = position.due_base
        item.due_quote = position.due_quote
        item.debt = position.debt
        item.debt_base = position.debt_base
        items += 1
    return max((items + POSITIONS_PER_REPLY - 1) // POSITIONS_PER_REPLY, 1)
