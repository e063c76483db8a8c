"""Checks of an order against its instrument that plain orders and all others have in common."""

from typing import Final

from core.constants import MONEY_MAX
from core.jit import inlined
from core.memory import Record, product_exceeds
from core.reasons import Reason
from core.sequencer.admit import because

NOTIONAL_TOO_LARGE: Final = Reason.NOTIONAL_TOO_LARGE.value
NOTIONAL_TOO_SMALL: Final = Reason.NOTIONAL_TOO_SMALL.value
PRICE_MISSING: Final = Reason.PRICE_MISSING.value
PRICE_OUT_OF_BAND: Final = Reason.PRICE_OUT_OF_BAND.value
QTY_TOO_LARGE: Final = Reason.QTY_TOO_LARGE.value
QTY_TOO_SMALL: Final = Reason.QTY_TOO_SMALL.value


@inlined
def check_terms(state: Record, terms: Record, price: int, qty: int) -> int:
    """Price, quantity and notional of a LIMIT order against the instrument."""
    if price == 0:
        return PRICE_MISSING
    if price > terms.price_limit:
        return because(state, PRICE_OUT_OF_BAND, terms.price_limit, price)
    reason = check_qty(state, terms, qty)
    return reason if reason != 0 else check_notional(state, terms, price, qty)


@inlined
def check_notional(state: Record, terms: Record, price: int, qty: int) -> int:
    unit = price * terms.multiplier
    if product_exceeds(unit, qty, MONEY_MAX):
        return because(state, NOTIONAL_TOO_LARGE, MONEY_MAX, 0)
    notional = unit * qty
    if notional < terms.notional_min:
        return because(state, NOTIONAL_TOO_SMALL, terms.notional_min, notional)
    if terms.notional_max != 0 and notional > terms.notional_max:
        return because(state, NOTIONAL_TOO_LARGE, terms.notional_max, notional)
    return 0


@inlined
def check_qty(state: Record, terms: Record, qty: int) -> int:
    if qty < terms.qty_low:
        return because(state, QTY_TOO_SMALL, terms.qty_low, qty)
    if qty > terms.qty_high:
        return because(state, QTY_TOO_LARGE, terms.qty_high, qty)
    return 0
