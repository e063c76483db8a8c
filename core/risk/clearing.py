"""SPOT that is cleared at times: a fill moves nothing to available.  What each side gives stays
held, and the position counts what is due (docs/engine-money.md)."""

from core.jit import VERIFY, kernel, seldom
from core.memory import Record
from core.risk.limits import count_cost
from core.risk.money import ppm_up
from core.risk.settle import buy_position, sell_position
from core.rows import balance_row, cold_row, instrument_row, order_row, position_row


@kernel
def buyer_owes(state: Record, terms: Record, slot: int, fill: int, price: int, fee: int) -> None:
    """``settle.buyer_pays``: notional and fee stay held; what the order needs no more is free."""
    seldom()
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    position = position_row(state, cold.position)
    quote = balance_row(state, position.quote_balance)
    notional = price * fill * terms.multiplier
    due = notional + max(fee, 0)
    if order.price == 0:
        cold.hold_fee -= due
    else:
        need = ppm_up(order.price * order.leaves * terms.multiplier, terms.hold_ppm)
        left = min(cold.hold_fee - max(fee, 0), need)
        freed = order.price * fill * terms.multiplier + cold.hold_fee - left - due
        cold.hold_fee = left
        quote.held -= freed
        quote.available += freed
    if VERIFY:
        assert quote.held >= 0 and quote.available >= 0 and cold.hold_fee >= 0
    position.due_held_quote += due
    position.due_quote -= notional + fee
    position.due_base += fill
    position.due_bought += notional
    before = position.cost
    buy_position(position, fill, notional)
    if state.limits_used != 0:
        count_cost(state, position, before)


@kernel
def seller_owes(state: Record, terms: Record, slot: int, fill: int, price: int, fee: int) -> None:
    """``settle.seller_delivers``: the base stays held."""
    seldom()
    position = position_row(state, cold_row(state, slot).position)
    notional = price * fill * terms.multiplier
    position.held -= fill
    position.due_held_base += fill * terms.base_per_lot
    position.due_quote += notional - fee
    position.due_base -= fill
    position.due_sold += notional
    before = position.cost
    sell_position(position, fill, notional)
    if state.limits_used != 0:
        count_cost(state, position, before)


@kernel
def settle_due(state: Record, row: int) -> None:
    """What is due of a position moves, and nothing of it is held any more."""
    position = position_row(state, row)
    terms = instrument_row(state, position.instrument)
    base = balance_row(state, position.base_balance)
    quote = balance_row(state, position.quote_balance)
    base.held -= position.due_held_base
    base.available += position.due_held_base + position.due_base * terms.base_per_lot
    quote.held -= position.due_held_quote
    quote.available += position.due_held_quote + position.due_quote
    if VERIFY:
        assert base.held >= 0 and base.available >= 0
        assert quote.held >= 0 and quote.available >= 0
    position.due_held_base = 0
    position.due_held_quote = 0
    position.due_base = 0
    position.due_quote = 0
    position.due_bought = 0
    position.due_sold = 0


@kernel
def settle_fees(state: Record, terms: Record) -> None:
    """The fees account gets its due, and has paid its rebates."""
    fees = balance_row(state, terms.fees_balance)
    fees.available += terms.due_fees
    fees.held -= terms.due_rebates
    terms.due_fees = 0
    terms.due_rebates = 0
