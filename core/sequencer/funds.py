"""What a new order with more than the usual terms is to hold, and whether it is there."""

from typing import Final

from core.book import orders
from core.constants import MONEY_MAX, SLOT_BYTES, WORD_MOST
from core.jit import kernel
from core.memory import Record, product_exceeds
from core.messages import BINARY, BUY, SELL
from core.reasons import Reason
from core.records import INSTRUMENT_BINARY
from core.risk import binary, holds, short
from core.risk.accounts import available, find_position
from core.risk.money import ppm_up
from core.rows import cold_row, draft_of, instrument_row, order_row, position_row
from core.sequencer.admit import because, place_at
from core.sequencer.form import is_stop, place_2_at

INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
INSUFFICIENT_POSITION: Final = Reason.INSUFFICIENT_POSITION.value
PRICE_MISSING: Final = Reason.PRICE_MISSING.value
SHORT_LIMIT: Final = Reason.SHORT_LIMIT.value


@kernel
def check_money(state: Record, terms: Record, command: int) -> int:
    """What the order is to hold, and whether it is there."""
    place = place_at(command)
    mine = draft_of(state)
    if terms.special & INSTRUMENT_BINARY != 0:
        return check_binary(state, terms, command)
    free = holds.available_for(state, place.account, place.instrument, place.side)
    if place.side == SELL:
        need = place.qty * terms.base_per_lot
        if terms.short_ppm != 0 and need > free:
            most = short.most_short(state, place.account, place.instrument)
            if most != 0:
                return check_short(state, terms, command, most)
        mine.shared = shared_with(state, mine.partner, SELL, need)
        need -= mine.shared
        return because(state, INSUFFICIENT_POSITION, free, need) if need > free else 0
    reason = budget(state, terms, command, free)
    if reason != 0:
        return reason
    mine.shared = shared_with(state, mine.partner, BUY, mine.cash)
    need = mine.cash - mine.shared
    return because(state, INSUFFICIENT_FUNDS, free, need) if need > free else 0


@kernel
def check_short(state: Record, terms: Record, command: int, most: int) -> int:
    """A SELL of more than there is: its limit, and cash for what is short."""
    place = place_at(command)
    mine = draft_of(state)
    free = holds.available_for(state, place.account, place.instrument, SELL)
    lots = place.qty - free // terms.base_per_lot
    row = find_position(state, place.account, place.instrument)
    others = 0
    if row != 0:
        position = position_row(state, row)
        others = position.short + position.shorting
    if lots + others > most:
        return because(state, SHORT_LIMIT, most, lots + others)
    price = mine.price if mine.price != 0 else terms.last_price
    if price == 0:
        return PRICE_MISSING
    cash = short.cash_for(terms, price, lots)
    quote = available(state, place.account, terms.quote_asset)
    if cash > quote:
        return because(state, INSUFFICIENT_FUNDS, quote, cash)
    mine.lots = lots
    mine.short_cash = cash
    return 0


@kernel
def check_binary(state: Record, terms: Record, command: int) -> int:
    """Lots to close with, and cash for the rest."""
    place = place_at(command)
    mine = draft_of(state)
    free = available(state, place.account, terms.quote_asset)
    row = find_position(state, place.account, place.instrument)
    can_close = binary.closable(position_row(state, row), place.side) if row != 0 else 0
    mine.lots = min(place.qty, can_close)
    opening = place.qty - mine.lots
    if place.side == SELL or not orders.is_market_like(place.order_type):
        mine.fee = binary.fee_part(terms, place.side, mine.price, place.qty)
        mine.cash = binary.cash_of(terms, place.side, mine.price, opening) + mine.fee
    else:
        reason = binary_budget(state, terms, command, free)
        if reason != 0:
            return reason
        mine.fee = mine.cash
    if mine.cash > free:
        return because(state, INSUFFICIENT_FUNDS, free, mine.cash)
    return 0


@kernel
def binary_budget(state: Record, terms: Record, command: int, free: int) -> int:
    """``budget`` of a BUY without a price."""
    place = place_at(command)
    mine = draft_of(state)
    max_cost = place_2_at(command + SLOT_BYTES).max_cost if place.slots == 2 else 0
    protection = place_2_at(command + SLOT_BYTES).protection_price if place.slots == 2 else 0
    if max_cost != 0:
        mine.cash = max_cost
    elif not is_stop(place.order_type):
        mine.cash = free
        if free == 0 and mine.lots == 0:
            return because(state, INSUFFICIENT_FUNDS, 0, 1)
    elif protection != 0:
        fee = binary.fee_part(terms, BUY, protection, place.qty)
        mine.cash = binary.cash_of(terms, BUY, protection, place.qty - mine.lots) + fee
    else:
        mine.lots = 0  # It takes what there is when it is triggered.
    return 0


@kernel
def budget(state: Record, terms: Record, command: int, free: int) -> int:
    """Cash of a BUY: by its price, by what it may cost, or all there is."""
    place = place_at(command)
    mine = draft_of(state)
    if not orders.is_market_like(place.order_type):
        mine.cash = holds.buy_hold(terms, mine.price, place.qty)
        mine.fee = mine.cash - mine.price * place.qty * terms.multiplier
        return 0
    max_cost = place_2_at(command + SLOT_BYTES).max_cost if place.slots == 2 else 0
    protection = place_2_at(command + SLOT_BYTES).protection_price if place.slots == 2 else 0
    if max_cost != 0:
        mine.cash = max_cost
    elif not is_stop(place.order_type):
        if free == 0:
            return because(state, INSUFFICIENT_FUNDS, 0, 1)
        mine.cash = free
    elif protection != 0:
        unit = protection * terms.multiplier
        if product_exceeds(unit, place.qty, MONEY_MAX):  # Nobody has as much.
            told = WORD_MOST if product_exceeds(unit, place.qty, WORD_MOST) else 0
            notional = 0 if told != 0 else unit * place.qty
            fee = ppm_up(notional, terms.hold_ppm)
            told = told if told != 0 else notional + min(fee, WORD_MOST - notional)
            return because(state, INSUFFICIENT_FUNDS, free, told)
        mine.cash = holds.buy_hold(terms, protection, place.qty)
    mine.fee = mine.cash
    return 0


@kernel
def shared_with(state: Record, partner: int, side: int, need: int) -> int:
    """How much of ``need`` the partner holds already, of the same asset."""
    if partner == 0 or cold_row(state, partner).side != side:
        return 0
    order = order_row(state, partner)
    cold = cold_row(state, partner)
    terms = instrument_row(state, cold.instrument)
    if terms.instrument_type == BINARY or terms.short_ppm != 0:
        return 0
    return min(need, holds.hold_of(terms, order, cold))
