"""REPLACE_ORDER: new price, quantity or client order id under the same order id."""

from typing import Final

from core.book import levels, orders, queue
from core.constants import WORD_MOST
from core.jit import inlined, kernel
from core.memory import Record
from core.messages import (
    BUY,
    LIMIT,
    PHASE_OPEN,
    PRIORITY_KEPT,
    RESTS,
    STATUS_FILLED,
    STATUS_OPEN,
)
from core.reasons import Reason
from core.risk import holds
from core.rows import account_row, bookside_row, cold_row, instrument_row, order_row
from core.sequencer.admit import REPEATED, admit, because, reject, replace_at
from core.sequencer.amend import check_any, replace_any
from core.sequencer.change import find_target, remember_target
from core.sequencer.checks import check_terms
from core.sequencer.life import end_open
from core.sequencer.place import rested
from core.sequencer.replacing import (
    move_hold,
    new_hold,
    new_leaves,
    new_price,
    replace_form,
    replaced,
    replaced_from,
    take_id,
)
from core.sequencer.sweep import sweep

CAPACITY: Final = Reason.CAPACITY.value
INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
INSUFFICIENT_POSITION: Final = Reason.INSUFFICIENT_POSITION.value
MALFORMED: Final = Reason.MALFORMED.value
PHASE: Final = Reason.PHASE.value
TOO_LATE: Final = Reason.TOO_LATE.value
UNKNOWN_ORDER: Final = Reason.UNKNOWN_ORDER.value


@kernel
def replace_order(state: Record, command: int) -> None:
    replace = replace_at(command)
    reason = replace_form(command)
    if reason == 0:
        reason = admit(state, command)
    if reason == REPEATED:
        return
    slot = 0
    if reason == 0:
        slot = find_target(state, command, replace.order_id)
        if slot == 0:
            reason = UNKNOWN_ORDER
    general = slot != 0 and is_special(state, command, slot)
    if reason == 0:
        reason = check_replace(state, replace, slot) if not general else 0
    if reason == 0 and general:
        reason = check_any(state, command, slot)
    if reason != 0:
        reject(state, command, reason, slot)
        return
    remember_target(state, slot)
    if general:
        replace_any(state, command, slot)
        return
    price = new_price(state, replace, slot)
    leaves = new_leaves(state, replace, slot)
    if keeps_priority(state, slot, price, leaves):
        keep_place(state, command, slot, leaves)
    else:
        change_place(state, command, slot, price, leaves)


@inlined
def is_special(state: Record, command: int, slot: int) -> bool:
    """More than a plain order with usual terms: for ``amend``."""
    replace = replace_at(command)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    special = state.killed | account_row(state, cold.account).special | order_row(state, slot).extra
    special = special | terms.special | terms.pending | cold.flags | cold.self_trade
    special = special | replace.display_qty
    return special != 0 or replace.slots == 2  # type: ignore[no-any-return]


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
    total = order.cum + min(leaves, WORD_MOST - order.cum)  # Never wraps.
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
    sweep(state, slot)
    if order.leaves == 0:
        end_open(state, slot, STATUS_FILLED, 0)
        return
    rested(state, slot)
    orders.rest(state, slot)
