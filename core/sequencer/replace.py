"""REPLACE_ORDER: new price, quantity or client order id under the same order id."""

from typing import Final

from core.book import levels, orders, queue
from core.jit import inlined, kernel
from core.memory import Record, address_of, copy36
from core.messages import (
    BUY,
    CLIENT_ORDER_ID_AT,
    EVENT_CLIENT_ORDER_ID_AT,
    LIMIT,
    ORDER_REPLACED,
    PHASE_OPEN,
    PRIORITY_KEPT,
    QTY_LEAVES,
    REPLACED_FROM,
    RESTS,
    SELL,
    STATUS_FILLED,
    STATUS_OPEN,
)
from core.reasons import Reason
from core.records import COLD_CLIENT_ORDER_ID_AT
from core.risk import holds, text
from core.risk.ids import no_longer_current
from core.rows import bookside_row, cold_row, instrument_row, order_row, position_row
from core.sequencer.admit import REPEATED, admit, because, place_at, reject, replace_at
from core.sequencer.change import find_target, remember_target, target_form
from core.sequencer.checks import check_terms
from core.sequencer.events import order_event, resting_event
from core.sequencer.life import end_open
from core.sequencer.place import rested
from core.sequencer.sweep import sweep

CAPACITY: Final = Reason.CAPACITY.value
INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
INSUFFICIENT_POSITION: Final = Reason.INSUFFICIENT_POSITION.value
MALFORMED: Final = Reason.MALFORMED.value
NOT_SUPPORTED: Final = Reason.NOT_SUPPORTED.value
PHASE: Final = Reason.PHASE.value
TOO_LATE: Final = Reason.TOO_LATE.value
UNKNOWN_ORDER: Final = Reason.UNKNOWN_ORDER.value
QTY_MOST: Final = (1 << 63) - 1


@kernel
def replace_order(state: Record, command: int) -> None:
    replace = replace_at(command)
    reason = target_form(command, replace.order_id)
    if replace.qty_basis > QTY_LEAVES or replace.price < 0 or replace.qty < 0:
        reason = MALFORMED
    if reason == 0 and replace.display_qty != 0:
        reason = NOT_SUPPORTED
    if reason == 0:
        reason = admit(state, command)
    if reason == REPEATED:
        return
    slot = 0
    if reason == 0:
        slot = find_target(state, command, replace.order_id)
        if slot == 0:
            reason = UNKNOWN_ORDER
    if reason == 0:
        reason = check_replace(state, replace, slot)
    if reason != 0:
        reject(state, command, reason, slot)
        return
    remember_target(state, slot)
    price = new_price(state, replace, slot)
    leaves = new_leaves(state, replace, slot)
    if keeps_priority(state, slot, price, leaves):
        keep_place(state, command, slot, leaves)
    else:
        change_place(state, command, slot, price, leaves)


@inlined
def new_price(state: Record, replace: Record, slot: int) -> int:
    return replace.price if replace.price != 0 else order_row(state, slot).price  # type: ignore[no-any-return]


@inlined
def new_leaves(state: Record, replace: Record, slot: int) -> int:
    """The open quantity that the replace asks for; below 1 when that is filled already."""
    order = order_row(state, slot)
    if replace.qty == 0:
        return order.leaves  # type: ignore[no-any-return]
    if replace.qty_basis == QTY_LEAVES:
        return replace.qty  # type: ignore[no-any-return]
    return replace.qty - order.cum  # type: ignore[no-any-return]


@inlined
def keeps_priority(state: Record, slot: int, price: int, leaves: int) -> bool:
    """Same price and not more: it stays where it is in the queue."""
    order = order_row(state, slot)
    return price == order.price and leaves <= order.leaves  # type: ignore[no-any-return]


@inlined
def check_replace(state: Record, replace: Record, slot: int) -> int:
    """The first reason, or 0: is it open, are the new terms allowed, are they paid for."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    if cold.status != STATUS_OPEN:
        return TOO_LATE
    if terms.phase != PHASE_OPEN:
        return PHASE
    price = new_price(state, replace, slot)
    leaves = new_leaves(state, replace, slot)
    if leaves < 1:
        return because(state, TOO_LATE, order.cum, replace.qty)
    total = order.cum + min(leaves, QTY_MOST - order.cum)  # Never wraps.
    reason = check_terms(state, terms, price, total)
    if reason != 0 or keeps_priority(state, slot, price, leaves):
        return reason
    if state.risk != 0:
        free = holds.available_for(state, cold.account, cold.instrument, cold.side)
        more = new_hold(terms, cold.side, price, leaves) - holds.hold_of(terms, order, cold)
        if more > free:
            buying = cold.side == BUY
            return because(
                state, INSUFFICIENT_FUNDS if buying else INSUFFICIENT_POSITION, free, more
            )
    bookside = orders.own_bookside(cold.instrument, cold.side)
    if not levels.has_room(state, bookside, price ^ bookside_row(state, bookside).flip):
        return because(state, CAPACITY, state.pages_max, state.pages_max)
    return 0


@inlined
def new_hold(terms: Record, side: int, price: int, leaves: int) -> int:
    """What an order of these terms holds when it enters."""
    if side == SELL:
        return leaves * terms.base_per_lot  # type: ignore[no-any-return]
    return holds.buy_hold(terms, price, leaves)


@inlined
def keep_place(state: Record, command: int, slot: int, leaves: int) -> None:
    """Less of it, or only a new client order id."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    old_leaves = order.leaves
    old_shown = order.shown
    held = 0
    if state.risk != 0:
        terms = instrument_row(state, cold.instrument)
        holds.shrink(state, terms, order, cold, leaves)
    if leaves < old_leaves:
        queue.reduce(state, slot, old_leaves - leaves)
        order.leaves = leaves
    if state.risk != 0:
        held = holds.hold_of(instrument_row(state, cold.instrument), order, cold)
    replaced(state, command, slot, PRIORITY_KEPT)
    event = replaced_from(state, slot, old_shown, held)
    event.qty = old_leaves + order.cum
    take_id(state, command, slot)


@inlined
def change_place(state: Record, command: int, slot: int, price: int, leaves: int) -> None:
    """Out of the book, and in again like a new order under the same id."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    held = 0
    if state.risk != 0:
        held = move_hold(state, slot, price, leaves)
    bookside = orders.other_bookside(cold.instrument, cold.side)
    crossing = orders.crosses(state, bookside, orders.worst_key(state, bookside, LIMIT, price))
    event = replaced(state, command, slot, 0 if crossing else RESTS)
    event.price = price
    event.qty = leaves + order.cum
    event.leaves = leaves
    event = replaced_from(state, slot, order.shown, held)
    event.qty = order.leaves + order.cum
    take_id(state, command, slot)
    orders.take_out(state, slot)
    order.price = price
    order.leaves = leaves
    if not crossing:
        orders.rest(state, slot)
        return
    filled_before = order.cum
    sweep(state, slot)
    if order.leaves == 0:
        end_open(state, slot, STATUS_FILLED, 0)
        return
    if order.cum > filled_before:
        rested(state, slot)
    orders.rest(state, slot)


@inlined
def move_hold(state: Record, slot: int, price: int, leaves: int) -> int:
    """From the old hold to the new one; how much that is."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    position = position_row(state, cold.position)
    before = holds.hold_of(terms, order, cold)
    after = new_hold(terms, cold.side, price, leaves)
    holds.move(state, position, cold.side, after - before)
    if cold.side == SELL:
        position.held += leaves - order.leaves
    else:
        cold.hold_fee = after - price * leaves * terms.multiplier
    return after


@inlined
def replaced(state: Record, command: int, slot: int, flags: int) -> Record:
    """ORDER_REPLACED: the new values, to the session that asked."""
    order = order_row(state, slot)
    place = place_at(command)
    event = order_event(state, ORDER_REPLACED, flags, order, cold_row(state, slot))
    event.session = place.session
    event.qty = order.leaves + order.cum
    own_id = command + CLIENT_ORDER_ID_AT
    if not text.is_empty(own_id):
        copy36(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, own_id)
    return event


@inlined
def replaced_from(state: Record, slot: int, shown: int, held: int) -> Record:
    """REPLACED_FROM: what left the book, to the session of the order; the caller sets the old
    quantity, and the old price where it changed."""
    order = order_row(state, slot)
    event = resting_event(state, REPLACED_FROM, 0, order, cold_row(state, slot))
    event.leaves = shown
    event.fee = held
    return event


@inlined
def take_id(state: Record, command: int, slot: int) -> None:
    """The order goes by the client order id of the replace, if that has one."""
    cold = cold_row(state, slot)
    cold.updated_ns = state.timestamp_ns
    own_id = command + CLIENT_ORDER_ID_AT
    if text.is_empty(own_id):
        return
    copy36(address_of(cold) + COLD_CLIENT_ORDER_ID_AT, own_id)
    before = cold.id_record
    cold.id_record = state.record
    no_longer_current(state, before)
