"""What a replaced order is to hold, whatever its instrument: is it there, and from the old hold to
the new one."""

from typing import Final

from core.jit import kernel
from core.memory import Record
from core.messages import BUY, SELL
from core.reasons import Reason
from core.records import INSTRUMENT_BINARY, INSTRUMENT_OUTSIDE, INSTRUMENT_SHORT
from core.risk import binary, holds, routed, short
from core.risk.accounts import available
from core.rows import balance_row, cold_row, draft_of, instrument_row, order_row, position_row
from core.sequencer.admit import because
from core.sequencer.replacing import move_hold, new_hold

INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
INSUFFICIENT_POSITION: Final = Reason.INSUFFICIENT_POSITION.value
PRICE_MISSING: Final = Reason.PRICE_MISSING.value
SHORT_LIMIT: Final = Reason.SHORT_LIMIT.value


@kernel
def closing_lots(state: Record, slot: int, leaves: int) -> int:
    """BINARY: how many lots an order of ``leaves`` lots closes with, if it may choose anew."""
    cold = cold_row(state, slot)
    position = position_row(state, cold.position)
    return min(leaves, cold.hold_lots + binary.closable(position, cold.side))  # type: ignore[no-any-return]


@kernel
def binary_hold(state: Record, slot: int, price: int, leaves: int) -> int:
    """``new_hold`` of a BINARY."""
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    opening = leaves - closing_lots(state, slot, leaves)
    cash = binary.cash_of(terms, cold.side, price, opening)
    return cash + binary.fee_part(terms, cold.side, price, leaves)  # type: ignore[no-any-return]


@kernel
def move_binary(state: Record, slot: int, price: int, leaves: int) -> None:
    """``move_hold`` of a BINARY."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    before = binary.hold_of(terms, order, cold)
    after = binary_hold(state, slot, price, leaves)
    binary.move_cash(state, position_row(state, cold.position), after - before)
    binary.set_lots(state, terms, slot, closing_lots(state, slot, leaves))
    cold.hold_fee = binary.fee_part(terms, cold.side, price, leaves)


@kernel
def short_lots(state: Record, slot: int, leaves: int) -> int:
    """How many of ``leaves`` lots of a SELL are short, if it may take all base there is."""
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    position = position_row(state, cold.position)
    free = balance_row(state, position.base_balance).available
    free += short.hold_of(terms, order_row(state, slot), cold)
    return leaves - min(leaves, free // terms.base_per_lot)  # type: ignore[no-any-return]


@kernel
def short_cash(state: Record, slot: int, price: int, lots: int) -> int:
    """Cash for short lots of an order; one without a price goes by the last trade."""
    if lots == 0:
        return 0
    terms = instrument_row(state, cold_row(state, slot).instrument)
    return short.cash_for(terms, price if price != 0 else terms.last_price, lots)  # type: ignore[no-any-return]


@kernel
def move_short(state: Record, slot: int, price: int, leaves: int) -> None:
    """``move_hold`` of a SELL that may be short."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    position = position_row(state, cold.position)
    lots = short_lots(state, slot, leaves)
    cash = short_cash(state, slot, price, lots)
    base_units = (leaves - lots) * terms.base_per_lot - short.hold_of(terms, order, cold)
    short.take(state, position, base_units, lots - cold.hold_lots, cash - cold.short_cash)
    position.held += leaves - order.leaves
    cold.hold_lots = lots
    cold.short_cash = cash


@kernel
def check_new_hold(state: Record, terms: Record, slot: int, leaves: int) -> int:
    """What the new terms hold beyond what is held; a budget stays what it is."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if order.price == 0 and cold.side == BUY:
        return 0
    if terms.special & INSTRUMENT_OUTSIDE != 0:
        return check_wider(state, terms, slot, leaves)
    if terms.special & INSTRUMENT_BINARY != 0:
        more = binary_hold(state, slot, draft_of(state).price, leaves)
        more -= holds.hold_of(terms, order, cold)
        free = available(state, cold.account, terms.quote_asset)
        return because(state, INSUFFICIENT_FUNDS, free, more) if more > max(free, 0) else 0
    if terms.special & INSTRUMENT_SHORT != 0 and cold.side == SELL:
        return check_new_short(state, terms, slot, leaves)
    need = new_hold(terms, cold.side, draft_of(state).price, leaves)
    more = need - holds.hold_of(terms, order, cold)
    free = holds.available_for(state, cold.account, cold.instrument, cold.side)
    if more <= 0 or more <= free:
        return 0
    reason = INSUFFICIENT_FUNDS if cold.side == BUY else INSUFFICIENT_POSITION
    return because(state, reason, free, more)


@kernel
def check_wider(state: Record, terms: Record, slot: int, leaves: int) -> int:
    """``check_new_hold`` where it is matched outside: old and new terms are held for together."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    more = routed.wider(state, slot, draft_of(state).price, leaves + order.cum)
    in_base = cold.side == SELL and terms.special & INSTRUMENT_BINARY == 0
    asset = terms.base_asset if in_base else terms.quote_asset
    free = available(state, cold.account, asset)
    reason = INSUFFICIENT_POSITION if in_base else INSUFFICIENT_FUNDS
    return because(state, reason, free, more) if more > max(free, 0) else 0


@kernel
def check_new_short(state: Record, terms: Record, slot: int, leaves: int) -> int:
    """``check_new_hold`` of a SELL that may be short."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    lots = short_lots(state, slot, leaves)
    if lots == 0:
        return 0
    most = short.most_short(state, cold.account, cold.instrument)
    if most == 0:
        more = leaves * terms.base_per_lot - holds.hold_of(terms, order, cold)
        free = available(state, cold.account, terms.base_asset)
        return because(state, INSUFFICIENT_POSITION, free, more)
    position = position_row(state, cold.position)
    total = lots + position.short + position.shorting - cold.hold_lots
    if total > most:
        return because(state, SHORT_LIMIT, most, total)
    price = draft_of(state).price
    if price == 0 and terms.last_price == 0:
        return PRICE_MISSING
    more = short_cash(state, slot, price, lots) - cold.short_cash
    free = available(state, cold.account, terms.quote_asset)
    return because(state, INSUFFICIENT_FUNDS, free, more) if more > max(free, 0) else 0


@kernel
def move_any_hold(state: Record, slot: int, price: int, leaves: int) -> None:
    """From the old hold to the new one; a budget stays what it is."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    is_budget = order.price == 0 and cold.side == BUY
    if terms.special & INSTRUMENT_BINARY != 0:
        if not is_budget:
            move_binary(state, slot, price, leaves)
        elif cold.hold_lots > leaves:
            binary.set_lots(state, terms, slot, leaves)
    elif terms.special & INSTRUMENT_SHORT != 0 and cold.side == SELL:
        move_short(state, slot, price, leaves)
    elif not is_budget:
        move_hold(state, slot, price, leaves)
