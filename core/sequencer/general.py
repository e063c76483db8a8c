"""Orders with more than the usual terms: from their entry to the book, their end, or the place
where they wait.  ``place.place_order`` is the same for plain ones."""

from typing import Final

from core.book import cascade, deadlines, extras, levels, orders, queue, stops
from core.constants import SLOT_BYTES
from core.jit import kernel, seldom
from core.layout import offset_of
from core.memory import Record, address_of, copy36
from core.messages import (
    BUY,
    CLIENT_ORDER_ID_AT,
    DAY,
    FOK,
    GTC,
    GTD,
    LIMIT,
    ORDER_ACCEPTED,
    ORDER_EXPIRED,
    ORDER_RESTED,
    ORDER_TRIGGERED,
    REDUCE_ONLY,
    RESTS,
    SELL,
    SELL_SIDE,
    STATUS_EXPIRED,
    STATUS_FILLED,
    STATUS_OPEN,
    STATUS_PENDING,
    STATUS_ROUTED,
)
from core.reasons import Reason
from core.records import DUE_ORDER, EXTRA, INSTRUMENT_BINARY, INSTRUMENT_OUTSIDE
from core.risk import binary, holds, limits, short
from core.risk.accounts import available, need_position
from core.rows import (
    bookside_row,
    cold_row,
    draft_of,
    extra_row,
    id_record_row,
    instrument_row,
    level_row,
    order_row,
    position_row,
)
from core.sequencer.admit import REPEATED, admit, place_at, reject
from core.sequencer.draft import TAG_AT, draft, reducible
from core.sequencer.events import bare_event, order_event, reserve
from core.sequencer.finish import close_orphan, drop_partner
from core.sequencer.form import form_any, is_stop, place_2_at
from core.sequencer.life import accept, end, end_open, open_order
from core.sequencer.match import SPENT, fillable, sweep_any
from core.sequencer.pairs import tell_pairs
from core.sequencer.route import ask_place, is_outside

EXTRA_TAG_AT: Final = offset_of(EXTRA, "tag")

CAPACITY: Final = Reason.CAPACITY.value
FOK_UNFILLED: Final = Reason.FOK_UNFILLED.value
IOC_REMAINDER: Final = Reason.IOC_REMAINDER.value
MARKET_REMAINDER: Final = Reason.MARKET_REMAINDER.value
STP: Final = Reason.STP.value
MIN_QTY_UNFILLED: Final = Reason.MIN_QTY_UNFILLED.value


@kernel
def place_any(state: Record, command: int) -> None:
    """PLACE_ORDER of any terms, in any instrument."""
    seldom()
    reason = form_any(state, command)
    if reason == 0:
        reason = admit(state, command)
    if reason == REPEATED:
        return
    if reason == 0:
        reason = draft(state, command)
    if reason != 0:
        reject(state, command, reason, 0)
        return
    slot = enter_any(state, command)
    if is_outside(state, slot):
        cold_row(state, slot).status = STATUS_ROUTED
        ask_place(state, slot)
        return
    begin_order(state, command, slot)
    run_cascade(state)


@kernel
def enter_any(state: Record, command: int) -> int:
    """Rows, hold and ORDER_ACCEPTED of an order that passed every check; its slot."""
    place = place_at(command)
    mine = draft_of(state)
    row = 0
    held = 0
    if state.risk != 0:
        row = need_position(state, place.account, place.instrument)
        held = hold_drafted(state, place, row)
    slot = accept(state, command, row, mine.fee)
    cold_row(state, slot).hold_lots = mine.lots
    cold_row(state, slot).short_cash = mine.short_cash
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    order.price = mine.price
    cold.self_trade = mine.self_trade
    if is_stop(place.order_type):
        cold.status = STATUS_PENDING
    if mine.needs_extra != 0:
        fill_extra(state, command, slot)
    if state.record != 0:
        id_record_row(state, state.record).order_id = order.order_id
    if state.limits_used != 0:
        limits.count_order(state, slot, 1)
    event = bare_event(state, ORDER_ACCEPTED, place, command + CLIENT_ORDER_ID_AT)
    event.flags = accepted_flags(state, command)
    event.order_id = order.order_id
    event.price = mine.price
    event.qty = place.qty
    event.leaves = place.qty
    event.cum = held
    event.cum_notional = (
        place.order_type
        | (place.time_in_force << 8)
        | (mine.self_trade << 16)
        | (place.flags << 24)
    )
    return slot


@kernel
def accepted_flags(state: Record, command: int) -> int:
    """SELL_SIDE, and RESTS where all of it rests at once."""
    place = place_at(command)
    flags = place.side & SELL_SIDE
    whole = place.display_qty == 0 or place.display_qty == place.qty
    if instrument_row(state, place.instrument).special & INSTRUMENT_OUTSIDE != 0:
        return flags  # type: ignore[no-any-return]
    if draft_of(state).crosses == 0 and stays(place.order_type, place.time_in_force) and whole:
        flags |= RESTS
    return flags  # type: ignore[no-any-return]


@kernel
def stays(order_type: int, time_in_force: int) -> bool:
    """Does a LIMIT rest with what is left of it?"""
    return order_type == LIMIT and time_in_force in (GTC, DAY, GTD)


@kernel
def hold_drafted(state: Record, place: Record, row: int) -> int:
    """Available to held, as drafted; how much that is."""
    mine = draft_of(state)
    amount = drafted_hold(state, place)
    position = position_row(state, row)
    if instrument_row(state, place.instrument).special & INSTRUMENT_BINARY != 0:
        binary.move_cash(state, position, amount)
        binary.take_lots(position, place.side, mine.lots)
        return amount
    if place.side == SELL:
        position.held += place.qty
        if mine.lots != 0:
            short.take(state, position, 0, mine.lots, mine.short_cash)
    holds.move(state, position, place.side, amount)
    return amount


@kernel
def drafted_hold(state: Record, place: Record) -> int:
    """What a drafted order is to hold."""
    mine = draft_of(state)
    if instrument_row(state, place.instrument).special & INSTRUMENT_BINARY != 0:
        return mine.cash  # type: ignore[no-any-return]
    if place.side == SELL:
        own = place.qty - mine.lots
        amount = own * instrument_row(state, place.instrument).base_per_lot
        return amount - mine.shared  # type: ignore[no-any-return]
    return mine.cash - mine.shared  # type: ignore[no-any-return]


@kernel
def fill_extra(state: Record, command: int, slot: int) -> None:
    """The row of what most orders do not have."""
    place = place_at(command)
    mine = draft_of(state)
    row = extras.take(state, slot)
    extra = extra_row(state, row)
    extra.display_qty = place.display_qty if place.display_qty < place.qty else 0
    extra.stop_price = mine.stop_price
    extra.shared = mine.shared
    extra.expire_ns = mine.expire_ns
    if place.slots == 2:
        more = place_2_at(command + SLOT_BYTES)
        extra.trail = more.trail
        extra.protection_price = more.protection_price
        copy36(address_of(extra) + EXTRA_TAG_AT, command + SLOT_BYTES + TAG_AT)
    if mine.expire_ns != 0 and not is_outside(state, slot):
        deadlines.add(state, mine.expire_ns, DUE_ORDER, row)
    if mine.partner != 0:
        other = order_row(state, mine.partner)
        theirs = other.extra if other.extra != 0 else extras.take(state, mine.partner)
        extra.partner = other.order_id
        extra_row(state, theirs).partner = order_row(state, slot).order_id


@kernel
def begin_order(state: Record, command: int, slot: int) -> None:
    """What a new order does first: wait, or match, and then rest or end."""
    place = place_at(command)
    cold = cold_row(state, slot)
    if cold.status == STATUS_PENDING:
        open_order(state, cold.account, slot)
        stops.wait(state, slot)
        return
    reason = 0
    min_qty = place_2_at(command + SLOT_BYTES).min_qty if place.slots == 2 else 0
    wanted = place.qty if place.time_in_force == FOK else min_qty
    if wanted != 0 and would_fill(state, slot, wanted) < wanted:
        reason = FOK_UNFILLED if place.time_in_force == FOK else MIN_QTY_UNFILLED
    rests_at_once = accepted_flags(state, command) & RESTS != 0
    if reason == 0 and not rests_at_once:
        reason = sweep_any(state, slot)
    settle_rest(state, slot, reason, rests_at_once, 0)


@kernel
def would_fill(state: Record, slot: int, wanted: int) -> int:
    """``fillable``, for one that may only reduce no more than there is to be reduced."""
    cold = cold_row(state, slot)
    found = fillable(state, slot, wanted)
    if cold.flags & REDUCE_ONLY == 0:
        return found
    return min(found, reducible(state, cold.account, cold.instrument, cold.side))


@kernel
def settle_rest(state: Record, slot: int, reason: int, told: bool, linked: int) -> None:  # noqa: FBT001
    """After its match: into the book with what is left, or to its end.  ``reason``: why it ends.
    ``told``: an event said already that it rests.  ``linked``: 1 if it was open before."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    is_spent = reason == SPENT
    if is_spent:
        reason = STP
    stays_open = order.leaves > 0 and reason == 0 and order.price != 0
    stays_open = stays_open and cold.time_in_force in (GTC, DAY, GTD)
    if stays_open and not told and not has_own_page(state, slot):
        stays_open = False
        reason = CAPACITY
    if stays_open:
        rest_any(state, slot, told)
        if linked == 0:
            open_order(state, cold.account, slot)
        return
    reserve(state)
    status = STATUS_FILLED
    if order.leaves > 0:
        status = STATUS_EXPIRED
        if reason == 0:
            reason = MARKET_REMAINDER if order.price == 0 else IOC_REMAINDER
        event = order_event(state, ORDER_EXPIRED, 0, order, cold)
        event.qty = order.leaves
        event.leaves = 0
        event.reason = reason
    if state.risk != 0:
        shared = extra_row(state, order.extra).shared if order.extra != 0 else 0
        holds.release(state, instrument_row(state, cold.instrument), order, cold, shared)
        if state.paired != 0:
            tell_pairs(state, slot)
    if linked != 0:
        end_open(state, slot, status, reason)
    else:
        end(state, slot, status, reason)
    if is_spent:
        order.shown = order.cum  # What was taken off is no part of its quantity any more.
    close_orphan(state)


@kernel
def has_own_page(state: Record, slot: int) -> bool:
    cold = cold_row(state, slot)
    bookside = orders.own_bookside(cold.instrument, cold.side)
    key = order_row(state, slot).price ^ bookside_row(state, bookside).flip
    return levels.has_room(state, bookside, key)


@kernel
def rest_any(state: Record, slot: int, told: bool) -> None:  # noqa: FBT001
    """Into the book, with the part of it that it shows."""
    reserve(state)
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    display = extra_row(state, order.extra).display_qty if order.extra != 0 else 0
    shown = min(display, order.leaves) if display != 0 else order.leaves
    bookside = orders.own_bookside(cold.instrument, cold.side)
    key = order.price ^ bookside_row(state, bookside).flip
    unit = orders.level_of(state, cold.instrument, cold.side, order.price)
    queue.append_at(state, bookside, slot, unit, key, shown)
    level = level_row(state, unit)
    level.hidden += order.leaves - shown
    if level.orders == 1 and state.limits_used != 0:
        limits.count_level(state, cold.account, 1)
    if told:
        return
    event = order_event(state, ORDER_RESTED, 0, order, cold)
    event.qty = shown
    event.fee = hold_now(state, slot)


@kernel
def hold_now(state: Record, slot: int) -> int:
    """What an open order holds, without what its partner holds for it."""
    if state.risk == 0:
        return 0
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    shared = extra_row(state, order.extra).shared if order.extra != 0 else 0
    return holds.hold_of(instrument_row(state, cold.instrument), order, cold) - shared  # type: ignore[no-any-return]


@kernel
def run_cascade(state: Record) -> None:
    """Match what trades have triggered, the lowest order id first, until nothing is left."""
    seldom()
    while state.cascade_count > 0:
        slot = cascade.pop(state)
        if cold_row(state, slot).status == STATUS_PENDING:
            trigger(state, slot)


@kernel
def take_budget(state: Record, slot: int) -> None:
    """A BUY without a price that held nothing while it waited takes all there is."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    position = position_row(state, cold.position)
    if terms.special & INSTRUMENT_BINARY != 0:
        if extra_row(state, order.extra).protection_price != 0:
            return  # It holds what it needs, which is no cash.
        binary.set_lots(state, terms, slot, min(order.leaves, binary.closable(position, BUY)))
    free = available(state, cold.account, terms.quote_asset)
    holds.move(state, position, cold.side, free)
    cold.hold_fee = free


@kernel
def trigger(state: Record, slot: int) -> None:
    """One triggered order: it becomes what it was to become."""
    reserve(state)
    drop_partner(state, slot)
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    reserve(state)
    event = order_event(state, ORDER_TRIGGERED, 0, order, cold)
    event.qty = order.leaves
    event.fee = 0
    cold.status = STATUS_OPEN
    cold.updated_ns = state.timestamp_ns
    if state.risk != 0 and cold.side != SELL and order.price == 0 and cold.hold_fee == 0:
        take_budget(state, slot)
    reason = sweep_any(state, slot)
    settle_rest(state, slot, reason, False, 1)  # noqa: FBT003
