"""What a new order with more than the usual terms is to hold, and whether it is there."""

from typing import Final

from core.book import orders
from core.constants import MONEY_MAX, SLOT_BYTES
from core.jit import kernel
from core.memory import Record, product_exceeds
from core.messages import BUY, SELL
from core.reasons import Reason
from core.records import INSTRUMENT_BINARY, INSTRUMENT_SHORT
from core.risk import holds
from core.risk.money import ppm_up
from core.rows import cold_row, draft_of, instrument_row, order_row
from core.sequencer.admit import because, place_at
from core.sequencer.form import is_stop, place_2_at

WORD_MOST: Final = (1 << 63) - 1

INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
INSUFFICIENT_POSITION: Final = Reason.INSUFFICIENT_POSITION.value


@kernel
def check_money(state: Record, terms: Record, command: int) -> int:
    """What the order is to hold, and whether it is there."""
    place = place_at(command)
    mine = draft_of(state)
    free = holds.available_for(state, place.account, place.instrument, place.side)
    if place.side == SELL:
        mine.lots = place.qty
        need = place.qty * terms.base_per_lot
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
    if terms.special & (INSTRUMENT_BINARY | INSTRUMENT_SHORT) != 0:
        return 0
    return min(need, holds.hold_of(terms, order, cold))
