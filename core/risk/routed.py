"""Money of orders that are matched outside: what they hold, and what is booked for an execution.

What a limit order holds follows from its terms alone; while a replace is asked for, from the wider
of both.  A booking is against the account `outside`: its lots, its money, and what the trader has
not, which becomes his debt (docs/engine-outside.md).
"""

from core.constants import WORD_MOST
from core.jit import VERIFY, kernel, seldom, stay_apart
from core.memory import Record, address_of, product_exceeds
from core.messages import BINARY, BUY, ROUTE_REPLACE, SELL
from core.risk import binary
from core.risk.limits import count_cost
from core.risk.money import ppm_up
from core.risk.settle import buy_position, sell_position
from core.rows import (
    asset_row,
    balance_row,
    cold_row,
    instrument_row,
    order_row,
    position_row,
    routed_at,
)

# What they hold.


@kernel
def hold_for(terms: Record, side: int, price: int, leaves: int, lots: int) -> int:
    """Quote units (SPOT SELL: base units) that an order of these terms holds; BINARY: it closes
    with ``lots``.  WORD_MOST where that fits no word."""
    if terms.instrument_type == BINARY:
        fee = binary.fee_part(terms, side, price, leaves)
        return binary.cash_of(terms, side, price, leaves - lots) + fee  # type: ignore[no-any-return]
    if side == SELL:
        return leaves * terms.base_per_lot  # type: ignore[no-any-return]
    unit = price * terms.multiplier
    if product_exceeds(unit, leaves, WORD_MOST):
        return WORD_MOST
    notional = unit * leaves
    return notional + min(ppm_up(notional, terms.hold_ppm), WORD_MOST - notional)  # type: ignore[no-any-return]


@kernel
def held_terms(order: Record, cold: Record, is_binary: bool) -> tuple[int, int]:  # noqa: FBT001
    """Price and open quantity by which an order holds."""
    asked = routed_at(address_of(order))
    price, leaves = order.price, order.leaves
    if asked.asked == ROUTE_REPLACE:
        leaves = max(leaves, cold.short_cash - order.cum)
        if is_binary and cold.side == SELL:
            price = min(price, asked.asked_price)
        else:
            price = max(price, asked.asked_price)
    return price, leaves


@kernel
def is_budget(order: Record, cold: Record) -> bool:
    """A BUY without a price holds cash, whatever its quantity is."""
    return cold.side == BUY and order.price == 0  # type: ignore[no-any-return]


@kernel
def hold_of(terms: Record, order: Record, cold: Record) -> int:
    """What an open order holds: quote units, of a SPOT SELL base units."""
    if is_budget(order, cold):
        return cold.hold_fee  # type: ignore[no-any-return]
    price, leaves = held_terms(order, cold, terms.instrument_type == BINARY)
    return hold_for(terms, cold.side, price, leaves, cold.hold_lots)


@kernel
def wider(state: Record, slot: int, price: int, qty: int) -> int:
    """How much more the order would hold while a replace to this price and order quantity is
    asked for; a budget stays what it is."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if is_budget(order, cold):
        return 0
    terms = instrument_row(state, cold.instrument)
    before = hold_of(terms, order, cold)
    leaves = max(order.leaves, qty - order.cum)
    if terms.instrument_type != BINARY:
        need = hold_for(terms, cold.side, max(price, order.price), leaves, 0)
        return WORD_MOST if need == WORD_MOST else need - before
    price = min(price, order.price) if cold.side == SELL else max(price, order.price)
    position = position_row(state, cold.position)
    lots = min(leaves, cold.hold_lots + binary.closable(position, cold.side))
    return hold_for(terms, cold.side, price, leaves, lots) - before


@kernel
def move(state: Record, terms: Record, cold: Record, amount: int) -> None:
    """Available to held; a negative amount goes back."""
    position = position_row(state, cold.position)
    of_base = cold.side == SELL and terms.instrument_type != BINARY
    balance = balance_row(state, position.base_balance if of_base else position.quote_balance)
    balance.available -= amount
    balance.held += amount
    if VERIFY:
        assert balance.available >= 0 and balance.held >= 0


@kernel
def refit(state: Record, slot: int, price: int, held: int, leaves: int) -> None:
    """The terms of an order, or what is asked for, have changed: it held for ``held`` lots at
    ``price`` and had ``leaves``.  It holds what follows from its terms now, BINARY own lots
    first."""
    seldom()
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    if is_budget(order, cold):
        if cold.hold_lots > order.leaves:
            binary.set_lots(state, terms, slot, order.leaves)
        return
    is_binary = terms.instrument_type == BINARY
    if cold.side == SELL and not is_binary:
        position_row(state, cold.position).held += order.leaves - leaves
    new_price, now = held_terms(order, cold, is_binary)
    before = hold_for(terms, cold.side, price, held, cold.hold_lots)
    if is_binary:
        position = position_row(state, cold.position)
        lots = min(now, cold.hold_lots + binary.closable(position, cold.side))
        binary.set_lots(state, terms, slot, lots)
    cold.hold_fee = fee_part(terms, cold.side, new_price, now)
    move(state, terms, cold, hold_for(terms, cold.side, new_price, now, cold.hold_lots) - before)


@kernel
def fee_part(terms: Record, side: int, price: int, leaves: int) -> int:
    """``hold_fee`` of an order with a price."""
    if terms.instrument_type == BINARY:
        return binary.fee_part(terms, side, price, leaves)  # type: ignore[no-any-return]
    if side == SELL:
        return 0
    return ppm_up(price * leaves * terms.multiplier, terms.hold_ppm)  # type: ignore[no-any-return]


@kernel
def release(state: Record, terms: Record, order: Record, cold: Record) -> None:
    """Give back all that an order which ends still holds."""
    seldom()
    move(state, terms, cold, -hold_of(terms, order, cold))
    position = position_row(state, cold.position)
    if terms.instrument_type == BINARY:
        if cold.hold_lots != 0:
            binary.give_lots(state, terms, position, cold.side, cold.hold_lots)
    elif cold.side == SELL:
        position.held -= order.leaves
    cold.hold_lots = 0
    cold.hold_fee = 0


@kernel
def take_fill(state: Record, slot: int, fill: int, price: int, fee: int) -> int:
    """``fill`` lots of an order are done: it holds what its new open quantity needs; how many own
    lots it closed with, which are reserved until they are booked."""
    stay_apart()
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    position = position_row(state, cold.position)
    before = hold_of(terms, order, cold)
    order.leaves -= fill
    order.cum += fill
    closing = 0
    if terms.instrument_type == BINARY:
        closing = min(fill, cold.hold_lots)
        cold.hold_lots -= closing
    elif cold.side == SELL:
        position.held -= fill
    if is_budget(order, cold):
        cost = price * (fill - closing) * terms.multiplier
        cold.hold_fee -= min(cold.hold_fee, cost + max(fee, 0))
    else:
        held_price, held = held_terms(order, cold, terms.instrument_type == BINARY)
        cold.hold_fee = fee_part(terms, cold.side, held_price, held)
    move(state, terms, cold, hold_of(terms, order, cold) - before)
    return closing  # type: ignore[no-any-return]


# What is booked.


@kernel
def cash_flow(terms: Record, position: Record, lots: int, price: int, closing: int) -> int:
    """BINARY: cash that ``lots`` bought (negative: sold) bring to an account, and the pot gives;
    ``closing`` of them meet lots that an order has reserved, and are not any more."""
    side = BUY if lots > 0 else SELL
    size = lots if lots > 0 else -lots
    pairs = closing + min(size - closing, binary.closable(position, side))
    binary.take_lots(position, side, -closing)
    cash = pairs * terms.payout - binary.cash_of(terms, side, price, size)
    terms.pot -= cash
    return cash  # type: ignore[no-any-return]


@kernel
def trade(state: Record, position: Record, lots: int, notional: int) -> None:
    """The position after ``lots`` were bought (negative: sold)."""
    before = position.cost
    if lots > 0:
        buy_position(position, lots, notional)
    else:
        sell_position(position, -lots, notional)
    if state.limits_used != 0:
        count_cost(state, position, before)


@kernel
def from_outside(state: Record, asset: int, amount: int) -> None:
    """`outside` gives (negative: gets) this much."""
    row = asset_row(state, asset)
    balance_row(state, row.outside_balance).available -= amount
    row.issued += amount


@kernel
def lacking(state: Record, asset: int, balance: Record) -> int:
    """What an account owes beyond what it has is borne by `outside`; how much that is."""
    missing = -balance.available
    if missing <= 0:
        return 0
    balance.available = 0
    from_outside(state, asset, missing)
    return missing  # type: ignore[no-any-return]


@kernel
def book(state: Record, row: int, lots: int, price: int, fee: int, closing: int) -> tuple[int, int]:
    """An execution of the account of position ``row``: ``lots`` bought (negative: sold) from the
    outside, and its fee.  What the account lacked of quote and of base; that is its debt now."""
    stay_apart()
    position = position_row(state, row)
    terms = instrument_row(state, position.instrument)
    quote = balance_row(state, position.quote_balance)
    other = position_row(state, terms.outside_position)
    notional = price * (lots if lots > 0 else -lots) * terms.multiplier
    short_of_base = 0
    if terms.instrument_type == BINARY:
        quote.available += cash_flow(terms, position, lots, price, closing) - fee
        from_outside(state, terms.quote_asset, -cash_flow(terms, other, -lots, price, 0))
    else:
        cash = -notional if lots > 0 else notional
        quote.available += cash - fee
        from_outside(state, terms.quote_asset, cash)
        base = balance_row(state, position.base_balance)
        base.available += lots * terms.base_per_lot
        from_outside(state, terms.base_asset, lots * terms.base_per_lot)
        short_of_base = lacking(state, terms.base_asset, base)
    pay_fee(state, terms, fee)
    short_of_quote = lacking(state, terms.quote_asset, quote)
    position.debt += min(short_of_quote, WORD_MOST - position.debt)
    position.debt_base += min(short_of_base, WORD_MOST - position.debt_base)
    trade(state, position, lots, notional)
    trade(state, other, -lots, notional)
    return short_of_quote, short_of_base


@kernel
def pay_fee(state: Record, terms: Record, fee: int) -> None:
    """A fee goes to the fees account; a negative one comes from there as far as it has, the rest
    from outside."""
    fees = balance_row(state, terms.fees_balance)
    if fee >= 0:
        fees.available += fee
        return
    paid = min(-fee, fees.available)
    fees.available -= paid
    from_outside(state, terms.quote_asset, -fee - paid)


@kernel
def settle_account(state: Record, row: int, price: int) -> int:
    """BINARY: the net lots of an account are paid by the pot at ``price``, and `outside` has as
    many less of the other side; what was paid."""
    stay_apart()
    position = position_row(state, row)
    terms = instrument_row(state, position.instrument)
    other = position_row(state, terms.outside_position)
    net = position.net
    notional = price * (net if net > 0 else -net) * terms.multiplier
    cash = cash_flow(terms, position, -net, price, 0)
    balance_row(state, position.quote_balance).available += cash
    from_outside(state, terms.quote_asset, -cash_flow(terms, other, net, price, 0))
    take_lots(state, position, -net, notional)
    take_lots(state, other, net, notional)
    return cash


@kernel
def take_lots(state: Record, position: Record, lots: int, notional: int) -> None:
    """``trade`` by a settlement, which counts as no trade."""
    trade(state, position, lots, notional)
    position.bought -= max(lots, 0)
    position.sold -= max(-lots, 0)
    position.settled -= lots
