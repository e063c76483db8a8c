"""A taker against the book where either side has more than the usual terms: self-trade
prevention, reduce-only orders, pairs, icebergs, stops that its trades trigger.

``sweep.sweep`` is the same for orders with nothing of that.
"""

from typing import Final

from core.book import levels, orders, queue, stops
from core.constants import PAGE_BITS, PAGE_LEVELS
from core.jit import kernel, seldom, stay_apart
from core.memory import Record
from core.messages import (
    BUY,
    ORDER_REDUCED,
    ORDER_REFILLED,
    REDUCE_ONLY,
    STP_CANCEL_BOTH,
    STP_CANCEL_MAKER,
    STP_CANCEL_TAKER,
)
from core.reasons import Reason
from core.records import INSTRUMENT_BINARY, INSTRUMENT_MONEY
from core.risk import binary, holds, limits, settle
from core.rows import (
    bookside_row,
    cold_row,
    extra_row,
    instrument_row,
    level_row,
    order_row,
    slot_of_unit,
)
from core.sequencer.draft import reducible
from core.sequencer.events import order_event, reserve
from core.sequencer.fill import match_pair
from core.sequencer.fill_money import match_money
from core.sequencer.finish import close_orphan, drop_partner, expire_open
from core.sequencer.pairs import tell_pairs

GO_ON: Final = 0
STOP_HERE: Final = -1  # What it may spend is spent.
SPENT: Final = -2  # All of it was taken off by self-trade prevention.
POSITION_CLOSED: Final = Reason.POSITION_CLOSED.value
STP: Final = Reason.STP.value


@kernel
def worst_for(state: Record, slot: int) -> int:
    """The lowest best key of the other side that an order still trades with."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    bookside = orders.other_bookside(cold.instrument, cold.side)
    price = order.price
    if price == 0 and order.extra != 0:
        price = extra_row(state, order.extra).protection_price
    if price == 0:
        return 0
    return price ^ bookside_row(state, bookside).flip  # type: ignore[no-any-return]


@kernel
def sweep_any(state: Record, slot: int) -> int:
    """Fill the order in ``slot``, which is not in the book, as far as it goes; what its trades
    trigger joins the cascade.  0, or why what is left of it ends at once."""
    seldom()
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    side = bookside_row(state, orders.other_bookside(cold.instrument, cold.side))
    worst = worst_for(state, slot)
    state.first_trade = 0
    state.last_trade = 0
    outcome = GO_ON
    while outcome == GO_ON and order.leaves > 0 and side.best_key >= worst:
        reserve(state)
        if order.extra != 0 and extra_row(state, order.extra).partner != 0:
            drop_partner(state, slot)
        else:
            outcome = meet(state, slot)
    mark_trades(state, cold.instrument)
    return 0 if outcome == STOP_HERE else outcome


@kernel
def mark_trades(state: Record, instrument: int) -> None:
    """What the sweep that is over triggers: by its first trade, then by its last."""
    if state.first_trade == 0 or instrument_row(state, instrument).pending == 0:
        return
    stops.mark(state, instrument, state.first_trade)
    if state.last_trade != state.first_trade:
        stops.mark(state, instrument, state.last_trade)


@kernel
def meet(state: Record, slot: int) -> int:
    """One step against the best maker: what stands in the way of a fill, or the fill."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    fill = order.leaves
    if cold.flags & REDUCE_ONLY != 0:
        fill = min(fill, reducible(state, cold.account, cold.instrument, cold.side))
        if fill <= 0:
            return POSITION_CLOSED
    maker_slot = orders.best_maker(state, orders.other_bookside(cold.instrument, cold.side))
    maker = order_row(state, maker_slot)
    maker_cold = cold_row(state, maker_slot)
    if maker_cold.flags & REDUCE_ONLY != 0:
        room = reducible(state, maker_cold.account, maker_cold.instrument, maker_cold.side)
        if room <= 0:
            expire_open(state, maker_slot, POSITION_CLOSED)
            return GO_ON
        fill = min(fill, room)
    if cold.self_trade != 0 and cold.account == maker_cold.account:
        return prevent(state, slot, maker_slot)
    terms = instrument_row(state, cold.instrument)
    fill = min(fill, maker.shown)
    if state.risk != 0 and order.price == 0 and cold.side == BUY:
        if terms.special & INSTRUMENT_BINARY != 0:
            fill = min(fill, binary.affordable(terms, maker.price, cold))
        else:
            fill = min(fill, settle.affordable(terms, maker.price, cold.hold_fee))
        if fill == 0:
            return STOP_HERE
    if maker.extra != 0 and extra_row(state, maker.extra).partner != 0:
        drop_partner(state, maker_slot)
        return GO_ON
    trade(state, terms, slot, maker_slot, fill)
    return GO_ON


@kernel
def trade(state: Record, terms: Record, slot: int, maker_slot: int, fill: int) -> None:
    """One fill, and the maker's next part where it shows only some of itself."""
    maker = order_row(state, maker_slot)
    price = maker.price
    state.first_trade = price if state.first_trade == 0 else state.first_trade
    state.last_trade = price
    if state.risk != 0 and terms.special & INSTRUMENT_MONEY != 0:
        match_money(state, terms, slot, maker_slot, fill)
    else:
        match_pair(state, terms, slot, maker_slot, fill)
    close_orphan(state)
    if maker.level != 0 and maker.shown == 0:
        refill(state, maker_slot)


@kernel
def refill(state: Record, slot: int) -> None:
    """The next part of an iceberg, at the end of its level."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    unit = order.level
    bookside = orders.own_bookside(cold.instrument, cold.side)
    key = order.price ^ bookside_row(state, bookside).flip
    shown = min(extra_row(state, order.extra).display_qty, order.leaves)
    level = level_row(state, unit)
    if level.orders == 1:  # Where it is alone its place is the last one already.
        order.shown = shown
        level.shown += shown
    else:
        queue.remove_at(state, bookside, slot, key)
        queue.append_at(state, bookside, slot, unit, key, shown)
    level.hidden -= shown
    event = order_event(state, ORDER_REFILLED, 0, order, cold)
    event.qty = shown


@kernel
def prevent(state: Record, slot: int, maker_slot: int) -> int:
    """Taker and maker are of one account: what the taker's mode says becomes of them."""
    mode = cold_row(state, slot).self_trade
    if mode == STP_CANCEL_TAKER:
        return STP
    if mode == STP_CANCEL_MAKER:
        expire_open(state, maker_slot, STP)
        return GO_ON
    if mode == STP_CANCEL_BOTH:
        expire_open(state, maker_slot, STP)
        return STP
    if order_row(state, maker_slot).extra != 0:
        drop_partner(state, maker_slot)
        reserve(state)
    qty = min(order_row(state, slot).leaves, order_row(state, maker_slot).leaves)
    decrement(state, maker_slot, qty)
    reserve(state)
    return decrement_taker(state, slot, qty)


@kernel
def decrement(state: Record, slot: int, qty: int) -> None:
    """Take lots from a maker that would have traded with its own account."""
    order = order_row(state, slot)
    if qty == order.leaves:
        expire_open(state, slot, STP)
        order.shown = order.cum  # What was taken off is no part of its quantity any more.
        return
    reduce_open(state, slot, qty)
    event = order_event(state, ORDER_REDUCED, 0, order, cold_row(state, slot))
    event.qty = qty
    event.reason = STP
    if state.paired != 0:
        tell_pairs(state, slot)


@kernel
def reduce_open(state: Record, slot: int, qty: int) -> None:
    """Less of an order that is in the book or waits; its place is kept."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    leaves = order.leaves - qty
    if state.limits_used != 0:
        limits.weigh(state, slot, -qty)
    if state.risk != 0:
        holds.shrink(state, instrument_row(state, cold.instrument), order, cold, leaves)
    if order.level != 0 and order.shown != 0:
        level = level_row(state, order.level)
        level.hidden -= order.leaves - order.shown
        shown = min(order.shown, leaves)
        level.shown -= order.shown - shown
        order.shown = shown
        level.hidden += leaves - shown
    order.leaves = leaves
    cold.updated_ns = state.timestamp_ns


@kernel
def decrement_taker(state: Record, slot: int, qty: int) -> int:
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if qty == order.leaves:
        return SPENT
    if state.limits_used != 0:
        limits.weigh(state, slot, -qty)
    if state.risk != 0:
        terms = instrument_row(state, cold.instrument)
        holds.shrink(state, terms, order, cold, order.leaves - qty)
    order.leaves -= qty
    event = order_event(state, ORDER_REDUCED, 0, order, cold)
    event.qty = qty
    event.reason = STP
    if state.paired != 0:
        tell_pairs(state, slot)
    return GO_ON


@kernel
def fillable(state: Record, slot: int, wanted: int) -> int:
    """How much of an order would fill at once, counted up to ``wanted``: every maker that it
    would trade with, but for those of which it is not known how much they will fill."""
    stay_apart()
    cold = cold_row(state, slot)
    bookside = orders.other_bookside(cold.instrument, cold.side)
    worst = worst_for(state, slot)
    key = bookside_row(state, bookside).best_key
    found = 0
    while key >= worst and key >= 0 and found < wanted:
        unit = (levels.find_page(state, bookside, key) << PAGE_BITS) | (key & (PAGE_LEVELS - 1))
        more = fillable_at(state, cold, unit, wanted - found)
        if more < 0:
            return found - more - 1
        found += more
        key = levels.next_level(state, bookside, key)
    return found


@kernel
def fillable_at(state: Record, cold: Record, unit: int, wanted: int) -> int:
    """The same of one level; -1 - it where an own order ends the count: of those in front of it
    only what they show counts, because what comes after stands behind it."""
    whole = 0
    shown = 0
    at = level_row(state, unit).next
    while at != unit:
        slot = slot_of_unit(state, at)
        maker = order_row(state, slot)
        maker_cold = cold_row(state, slot)
        own = cold.self_trade != 0 and maker_cold.account == cold.account
        if own and cold.self_trade != STP_CANCEL_MAKER:
            return -1 - shown
        if not own and is_counted(state, maker, maker_cold):
            whole += min(maker.leaves, wanted - whole)
            shown += min(maker.shown, wanted - shown)
        at = maker.next
    return whole


@kernel
def is_counted(state: Record, maker: Record, cold: Record) -> bool:
    if cold.flags & REDUCE_ONLY != 0:
        return False
    return maker.extra == 0 or extra_row(state, maker.extra).partner == 0
