"""Short selling in SPOT: an order may sell lots that its account has not (``COLD.hold_lots``),
against cash (``short_cash``); what it sells so is lent by the account `outside`, and proceeds and
cash become the collateral of the position, until it buys back (docs/engine-money.md).
"""

from core.constants import PPM, WORD_MOST
from core.jit import VERIFY, kernel, seldom
from core.memory import Record, product_exceeds
from core.risk.limits import count_cost, row_in
from core.risk.money import ppm_up, share
from core.risk.settle import buyer_pays, sell_position
from core.rows import (
    asset_row,
    balance_row,
    cold_row,
    instrument_row,
    limit_row,
    order_row,
    position_row,
)


@kernel
def most_short(state: Record, account: int, instrument: int) -> int:
    """``short_max`` of an account in an instrument; 0: it must not."""
    row = row_in(state, account, instrument)
    if row == 0 or instrument_row(state, instrument).short_ppm == 0:
        return 0
    return limit_row(state, row).short_max  # type: ignore[no-any-return]


@kernel
def cash_for(terms: Record, price: int, lots: int) -> int:
    """Cash held for ``lots`` to be sold short at ``price``; WORD_MOST where it fits no amount."""
    unit = price * terms.multiplier
    if product_exceeds(unit, lots, WORD_MOST):
        return WORD_MOST
    notional = unit * lots
    if product_exceeds(notional // PPM + 1, terms.short_ppm, WORD_MOST):
        return WORD_MOST
    return ppm_up(notional, terms.short_ppm)


@kernel
def hold_of(terms: Record, order: Record, cold: Record) -> int:
    """Base units that a SELL holds."""
    return (order.leaves - cold.hold_lots) * terms.base_per_lot  # type: ignore[no-any-return]


@kernel
def take(state: Record, position: Record, base_units: int, lots: int, cash: int) -> None:
    """Available to held: base, and cash for ``lots`` that are short; negative goes back."""
    base = balance_row(state, position.base_balance)
    quote = balance_row(state, position.quote_balance)
    base.available -= base_units
    base.held += base_units
    quote.available -= cash
    quote.held += cash
    position.shorting += lots
    if VERIFY:
        assert base.available >= 0 and base.held >= 0 and position.shorting >= 0
        assert quote.available >= 0 and quote.held >= 0


@kernel
def release(state: Record, terms: Record, order: Record, cold: Record, shared: int) -> None:
    """Give back all that a SELL which ends still holds; ``shared`` of it its partner holds."""
    seldom()
    position = position_row(state, cold.position)
    own = hold_of(terms, order, cold) - shared
    take(state, position, -own, -cold.hold_lots, -cold.short_cash)
    position.held -= order.leaves
    cold.hold_lots = 0
    cold.short_cash = 0


@kernel
def shrink(state: Record, terms: Record, order: Record, cold: Record, leaves: int) -> None:
    """The open quantity of a SELL falls to ``leaves``: short lots go first."""
    seldom()
    position = position_row(state, cold.position)
    less = order.leaves - leaves
    short = min(less, cold.hold_lots)
    cash = share(cold.short_cash, short, cold.hold_lots) if short > 0 else 0
    take(state, position, -(less - short) * terms.base_per_lot, -short, -cash)
    position.held -= less
    cold.hold_lots -= short
    cold.short_cash -= cash


@kernel
def lend(state: Record, terms: Record, lots: int) -> None:
    """`outside` gives (negative: gets back) the base of ``lots``."""
    asset = asset_row(state, terms.base_asset)
    balance_row(state, asset.outside_balance).available -= lots * terms.base_per_lot
    asset.issued += lots * terms.base_per_lot


@kernel
def deliver(state: Record, terms: Record, slot: int, fill: int, price: int, fee: int) -> None:
    """``settle.seller_delivers``, with lots that are lent; ``order.leaves`` is after the fill."""
    seldom()
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    position = position_row(state, cold.position)
    notional = price * fill * terms.multiplier
    quote = balance_row(state, position.quote_balance)
    base = balance_row(state, position.base_balance)
    own = min(fill, order.leaves + fill - cold.hold_lots)
    short = fill - own
    base.held -= own * terms.base_per_lot
    kept = 0
    if short > 0:
        cash = share(cold.short_cash, short, cold.hold_lots)
        kept = share(notional - fee, short, fill)
        cold.short_cash -= cash
        cold.hold_lots -= short
        position.collateral += cash + kept
        position.short += short
        position.shorting -= short
        lend(state, terms, short)
    quote.held += kept
    quote.available += notional - fee - kept
    position.held -= fill
    if VERIFY:
        assert base.held >= 0 and quote.available >= 0 and position.held >= 0
    before = position.cost
    sell_position(position, fill, notional)
    if state.limits_used != 0:
        count_cost(state, position, before)


@kernel
def receive(state: Record, terms: Record, slot: int, fill: int, price: int, fee: int) -> None:
    """``settle.buyer_pays``, and what is short is bought back first."""
    seldom()
    position = position_row(state, cold_row(state, slot).position)
    buyer_pays(state, terms, slot, fill, price * fill * terms.multiplier, fee)
    cover = min(fill, position.short)
    if cover == 0:
        return
    balance_row(state, position.base_balance).available -= cover * terms.base_per_lot
    lend(state, terms, -cover)
    quote = balance_row(state, position.quote_balance)
    cash = share(position.collateral, cover, position.short)
    quote.held -= cash
    quote.available += cash
    position.collateral -= cash
    position.short -= cover
    if VERIFY:
        assert quote.held >= 0 and position.collateral >= 0
