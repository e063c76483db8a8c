"""BINARY: lots of YES and NO that pay ``payout`` together, against a pot of quote units.

An order closes with free lots of the other direction first (``COLD.hold_lots``), which it reserves,
and opens the rest against cash.  Free lots of both directions never stand side by side: a pair of
them is cash at once, so the pot is ``payout`` times the YES lots, always (docs/engine-money.md).
"""

from core.jit import VERIFY, kernel, seldom, stay_apart
from core.memory import Record
from core.messages import BUY, SELL
from core.risk.limits import count_cost
from core.risk.money import notional_affordable, ppm_up
from core.risk.settle import buy_position, sell_position
from core.rows import balance_row, cold_row, order_row, position_row


@kernel
def closable(position: Record, side: int) -> int:
    """Free lots of the other direction: what an order of this side can close with."""
    free = position.net - position.reserved_yes + position.reserved_no
    return max(free if side == SELL else -free, 0)


@kernel
def cash_of(terms: Record, side: int, price: int, lots: int) -> int:
    """Quote units that opening ``lots`` at ``price`` takes.  Without a price a SELL may have to
    pay all of the payout; a BUY has a budget, not a price."""
    if side == BUY:
        return price * lots * terms.multiplier  # type: ignore[no-any-return]
    return (terms.payout - price * terms.multiplier) * lots  # type: ignore[no-any-return]


@kernel
def fee_part(terms: Record, side: int, price: int, lots: int) -> int:
    """Fee part of the hold of ``lots`` open lots."""
    unit = price * terms.multiplier if side == BUY else terms.payout
    return ppm_up(unit * lots, terms.hold_ppm)  # type: ignore[no-any-return]


@kernel
def hold_of(terms: Record, order: Record, cold: Record) -> int:
    """Quote units that an open order holds."""
    opening = order.leaves - cold.hold_lots
    return cash_of(terms, cold.side, order.price, opening) + cold.hold_fee  # type: ignore[no-any-return]


@kernel
def move_cash(state: Record, position: Record, amount: int) -> None:
    """Available to held; a negative amount goes back."""
    quote = balance_row(state, position.quote_balance)
    quote.available -= amount
    quote.held += amount
    if VERIFY:
        assert quote.available >= 0 and quote.held >= 0


@kernel
def take_lots(position: Record, side: int, lots: int) -> None:
    """Reserve free lots of the other direction for an order of this side."""
    if side == BUY:
        position.reserved_no += lots
    else:
        position.reserved_yes += lots
    position.held += lots
    if VERIFY:
        assert position.reserved_no >= 0 and position.reserved_yes >= 0


@kernel
def give_lots(state: Record, terms: Record, position: Record, side: int, lots: int) -> None:
    """Lots that an order of this side had reserved are free again; where free lots of its own
    direction are, pairs of both become cash, which ``state.paired`` keeps to be told."""
    pairs = min(lots, closable(position, BUY + SELL - side))
    take_lots(position, side, -lots)
    cash = pairs * terms.payout
    terms.pot -= cash
    balance_row(state, position.quote_balance).available += cash
    state.paired += cash


@kernel
def set_lots(state: Record, terms: Record, slot: int, lots: int) -> None:
    """An order closes with ``lots`` from now on; more than it had must be free."""
    cold = cold_row(state, slot)
    position = position_row(state, cold.position)
    more = lots - cold.hold_lots
    if more > 0:
        take_lots(position, cold.side, more)
    elif more < 0:
        give_lots(state, terms, position, cold.side, -more)
    cold.hold_lots = lots


@kernel
def release(state: Record, terms: Record, order: Record, cold: Record) -> None:
    """Give back all that an order which ends still holds."""
    seldom()
    position = position_row(state, cold.position)
    move_cash(state, position, -hold_of(terms, order, cold))
    if cold.hold_lots != 0:
        give_lots(state, terms, position, cold.side, cold.hold_lots)
    cold.hold_lots = 0
    cold.hold_fee = 0


@kernel
def shrink(state: Record, terms: Record, order: Record, cold: Record, leaves: int) -> None:
    """The open quantity falls to ``leaves``: lots that would open are given back first."""
    seldom()
    position = position_row(state, cold.position)
    opening = order.leaves - cold.hold_lots
    less = min(order.leaves - leaves, opening)
    if cold.side != BUY or order.price != 0:  # Without a price its hold is a budget.
        fee = min(cold.hold_fee, fee_part(terms, cold.side, order.price, leaves))
        back = cash_of(terms, cold.side, order.price, less) + cold.hold_fee - fee
        move_cash(state, position, -back)
        cold.hold_fee = fee
    if leaves < cold.hold_lots:
        give_lots(state, terms, position, cold.side, cold.hold_lots - leaves)
        cold.hold_lots = leaves


@kernel
def affordable(terms: Record, price: int, cold: Record) -> int:
    """The most lots that a BUY with a budget can take at ``price``."""
    stay_apart()
    unit = price * terms.multiplier
    ppm = terms.taker_ppm if terms.taker_ppm > 0 else 0
    lots = notional_affordable(cold.hold_fee + cold.hold_lots * unit, ppm) // unit
    return max(lots, cold.hold_lots)  # type: ignore[no-any-return]


@kernel
def charge(terms: Record, order: Record, cold: Record, ppm: int, price: int, fill: int) -> int:
    """Fee of one side before rebates, no more than is there for it."""
    if ppm <= 0:
        return 0
    unit = price * terms.multiplier
    fee = ppm_up(unit * fill, ppm)
    if cold.side == BUY and order.price == 0:
        closing = min(fill, cold.hold_lots)
        left = cold.hold_fee - (fill - closing) * unit
        return min(fee, left + closing * (terms.payout - unit))  # type: ignore[no-any-return]
    return min(fee, cold.hold_fee)  # type: ignore[no-any-return]


@kernel
def settle(state: Record, terms: Record, slot: int, fill: int, price: int, fee: int) -> None:
    """Cash, lots and position of one side of a fill; ``order.leaves`` is after it.  ``fee``:
    negative is a rebate."""
    seldom()
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    position = position_row(state, cold.position)
    quote = balance_row(state, position.quote_balance)
    unit = price * terms.multiplier
    closing = min(fill, cold.hold_lots)
    opening = fill - closing
    pairs = min(opening, closable(position, cold.side))
    cost = opening * (unit if cold.side == BUY else terms.payout - unit)
    gain = closing * (terms.payout - unit if cold.side == BUY else unit) + pairs * terms.payout
    paid = fee if fee > 0 else 0
    if cold.side == BUY and order.price == 0:
        from_budget = cost + min(paid, cold.hold_fee - cost)
        cold.hold_fee -= from_budget
        quote.held -= from_budget
        quote.available += gain + from_budget - cost - fee
    else:
        left = min(cold.hold_fee - paid, fee_part(terms, cold.side, order.price, order.leaves))
        released = cash_of(terms, cold.side, order.price, opening) + cold.hold_fee - left
        cold.hold_fee = left
        quote.held -= released
        quote.available += released + gain - cost - fee
    terms.pot += cost - gain
    take_lots(position, cold.side, -closing)
    cold.hold_lots -= closing
    if VERIFY:
        assert quote.held >= 0 and quote.available >= 0 and cold.hold_fee >= 0
    before = position.cost
    if cold.side == BUY:
        buy_position(position, fill, unit * fill)
    else:
        sell_position(position, fill, unit * fill)
    if state.limits_used != 0:
        count_cost(state, position, before)
