"""What an open order reserves: made at entry, moved at a replace, given back at the end.

A BUY holds its notional at its limit price and a fee part; a SELL holds base units.  The notional
and the lots follow from the order (price x leaves); only the fee part is stored.
"""

from core.jit import VERIFY, inlined, kernel, seldom
from core.memory import Record
from core.messages import BUY
from core.records import INSTRUMENT_BINARY, INSTRUMENT_MONEY, INSTRUMENT_OUTSIDE
from core.risk import binary, routed, short
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
    """What an open order holds now: quote units for a BUY, base units for a SELL.  BINARY: quote
    units; a SELL that is partly short: base units."""
    if terms.special & INSTRUMENT_MONEY != 0:
        return hold_of_money(terms, order, cold)
    return plain_hold_of(terms, order, cold)


@kernel
def hold_of_money(terms: Record, order: Record, cold: Record) -> int:
    seldom()
    if terms.special & INSTRUMENT_OUTSIDE != 0:
        return routed.hold_of(terms, order, cold)  # type: ignore[no-any-return]
    if terms.special & INSTRUMENT_BINARY != 0:
        return binary.hold_of(terms, order, cold)  # type: ignore[no-any-return]
    if cold.side != BUY:
        return short.hold_of(terms, order, cold)  # type: ignore[no-any-return]
    return plain_hold_of(terms, order, cold)


@inlined
def plain_hold_of(terms: Record, order: Record, cold: Record) -> int:
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
    if terms.special & INSTRUMENT_MONEY != 0:
        release_money(state, terms, order, cold, shared)
    else:
        plain_release(state, terms, order, cold, shared)


@kernel
def release_money(state: Record, terms: Record, order: Record, cold: Record, shared: int) -> None:
    seldom()
    if terms.special & INSTRUMENT_OUTSIDE != 0:
        routed.release(state, terms, order, cold)
    elif terms.special & INSTRUMENT_BINARY != 0:
        binary.release(state, terms, order, cold)
    elif cold.side != BUY:
        short.release(state, terms, order, cold, shared)
    else:
        plain_release(state, terms, order, cold, shared)


@inlined
def plain_release(state: Record, terms: Record, order: Record, cold: Record, shared: int) -> None:
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
    if terms.special & INSTRUMENT_MONEY != 0:
        shrink_money(state, terms, order, cold, leaves)
    else:
        plain_shrink(state, terms, order, cold, leaves)


@kernel
def shrink_money(state: Record, terms: Record, order: Record, cold: Record, leaves: int) -> None:
    seldom()
    if terms.special & INSTRUMENT_BINARY != 0:
        binary.shrink(state, terms, order, cold, leaves)
    elif cold.side != BUY:
        short.shrink(state, terms, order, cold, leaves)
    else:
        plain_shrink(state, terms, order, cold, leaves)


@inlined
def plain_shrink(state: Record, terms: Record, order: Record, cold: Record, leaves: int) -> None:
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
