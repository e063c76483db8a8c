"""What an open order reserves: made at entry, moved at a replace, given back at the end.

A BUY holds its notional at its limit price and a fee part; a SELL holds base units.  The notional
and the lots follow from the order (price x leaves); only the fee part is stored.
"""

from core.jit import VERIFY, inlined
from core.memory import Record
from core.messages import BUY
from core.risk.accounts import available, find_position
from core.risk.money import ppm_up
from core.rows import balance_row, instrument_row, position_row


@inlined
def buy_hold(terms: Record, price: int, qty: int) -> int:
    """Quote units that a LIMIT BUY of ``qty`` lots at ``price`` reserves."""
    notional = price * qty * terms.multiplier
    return notional + ppm_up(notional, terms.hold_ppm)  # type: ignore[no-any-return]


@inlined
def hold_of(terms: Record, order: Record, cold: Record) -> int:
    """What an open order holds now: quote units for a BUY, base units for a SELL."""
    if cold.side == BUY:
        principal = order.price * order.leaves * terms.multiplier  # A stop without a price: 0.
        return principal + cold.hold_fee  # type: ignore[no-any-return]
    return order.leaves * terms.base_per_lot  # type: ignore[no-any-return]


@inlined
def available_for(state: Record, account: int, instrument: int, side: int) -> int:
    """What is there to be held by an order of this side."""
    row = find_position(state, account, instrument)
    if row != 0:
        position = position_row(state, row)
        row = position.quote_balance if side == BUY else position.base_balance
        return balance_row(state, row).available  # type: ignore[no-any-return]
    terms = instrument_row(state, instrument)
    return available(state, account, terms.quote_asset if side == BUY else terms.base_asset)


@inlined
def move(state: Record, position: Record, side: int, amount: int) -> None:
    """Available to held; a negative amount goes back."""
    row = position.quote_balance if side == BUY else position.base_balance
    balance = balance_row(state, row)
    balance.available -= amount
    balance.held += amount
    if VERIFY:
        assert balance.available >= 0 and balance.held >= 0


@inlined
def release(state: Record, terms: Record, order: Record, cold: Record, shared: int) -> None:
    """Give back all that an order which ends with ``leaves`` open still holds; ``shared`` of it
    is held by its partner."""
    position = position_row(state, cold.position)
    if cold.side != BUY:
        position.held -= order.leaves
        move(state, position, cold.side, shared - order.leaves * terms.base_per_lot)
        return
    principal = order.price * order.leaves * terms.multiplier
    move(state, position, BUY, shared - (principal + cold.hold_fee))
    cold.hold_fee = 0


@inlined
def shrink(state: Record, terms: Record, order: Record, cold: Record, leaves: int) -> None:
    """The open quantity falls to ``leaves`` at the same price: release the difference."""
    position = position_row(state, cold.position)
    less = order.leaves - leaves
    if cold.side != BUY:
        position.held -= less
        move(state, position, cold.side, -less * terms.base_per_lot)
        return
    if order.price == 0:
        return  # Its hold is a budget, not a price times a quantity.
    fee = min(cold.hold_fee, ppm_up(order.price * leaves * terms.multiplier, terms.hold_ppm))
    move(state, position, BUY, -(order.price * less * terms.multiplier + cold.hold_fee - fee))
    cold.hold_fee = fee
