"""REPLACE_ORDER of an order, account or instrument with more than the usual terms."""

from typing import Final

from core.book import extras, levels, orders, stops
from core.constants import SLOT_BYTES, WORD_MOST
from core.jit import inlined, kernel, seldom
from core.memory import Record, address_of, fill
from core.messages import (
    BUY,
    PHASE_HALTED,
    PHASE_OPEN,
    PHASE_POST_ONLY,
    POST_ONLY,
    PRIORITY_KEPT,
    REDUCE_ONLY,
    RESTS,
    SELL,
    SLIDE,
    STATUS_PENDING,
)
from core.reasons import Reason
from core.records import (
    DRAFT_BYTES,
    INSTRUMENT_BAND,
    SPECIAL_LIMITS,
)
from core.risk import limits, prices
from core.rows import (
    account_row,
    bookside_row,
    cold_row,
    draft_of,
    extra_row,
    instrument_row,
    level_row,
    order_row,
)
from core.sequencer.admit import because, replace_at
from core.sequencer.change import has_partner
from core.sequencer.checks import check_notional, check_qty
from core.sequencer.draft import best_opposite, check_band, check_stop_price, off_tick, reducible
from core.sequencer.finish import is_open, take_away
from core.sequencer.form import place_2_at
from core.sequencer.general import hold_now, rest_any, run_cascade, settle_rest
from core.sequencer.match import reduce_open, sweep_any
from core.sequencer.pairs import tell_pairs
from core.sequencer.rehold import check_new_hold, move_any_hold
from core.sequencer.replacing import (
    new_leaves,
    new_price,
    replaced,
    replaced_from,
    take_id,
)
from core.sequencer.route import accept_request, ask_replace, is_asked, is_outside

CAPACITY: Final = Reason.CAPACITY.value
DISPLAY_QTY: Final = Reason.DISPLAY_QTY.value
HALTED: Final = Reason.HALTED.value
PAIR: Final = Reason.PAIR.value
REDUCE_ONLY_REASON: Final = Reason.REDUCE_ONLY.value
PHASE: Final = Reason.PHASE.value
POST_ONLY_WOULD_TAKE: Final = Reason.POST_ONLY_WOULD_TAKE.value
PRICE_NOT_ALLOWED: Final = Reason.PRICE_NOT_ALLOWED.value
PRICE_OUT_OF_BAND: Final = Reason.PRICE_OUT_OF_BAND.value
TERMS: Final = Reason.TERMS.value
TOO_LATE: Final = Reason.TOO_LATE.value


@kernel
def check_any(state: Record, command: int, slot: int) -> int:
    """The first reason against a replace, or 0; the draft has its new price and stop."""
    seldom()
    replace = replace_at(command)
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    mine = draft_of(state)
    fill(address_of(mine), 0, DRAFT_BYTES)
    if not is_open(state, slot) or is_asked(state, slot):
        return TOO_LATE
    reason = check_phase(terms, cold)
    if reason != 0:
        return reason
    leaves = new_leaves(state, replace, slot)
    if leaves < 1:
        return because(state, TOO_LATE, order.cum, replace.qty)
    total = order.cum + min(leaves, WORD_MOST - order.cum)
    reason = check_new_price(state, terms, command, slot)
    if reason == 0:
        reason = check_qty(state, terms, total)
    if reason == 0 and order.price != 0:
        reason = check_notional(state, terms, mine.price, total)
    if reason == 0:
        reason = check_new_stop(state, terms, command, slot)
    if reason == 0:
        reason = check_rest(state, command, slot)
    makes_only = cold.flags & POST_ONLY != 0 or terms.phase == PHASE_POST_ONLY
    if reason == 0 and mine.crosses != 0 and makes_only:
        best = best_opposite(state, cold.instrument, cold.side)
        reason = because(state, POST_ONLY_WOULD_TAKE, best, mine.price)
    return reason


@kernel
def check_rest(state: Record, command: int, slot: int) -> int:
    """Display quantity, pair, hold, room."""
    replace = replace_at(command)
    cold = cold_row(state, slot)
    leaves = new_leaves(state, replace, slot)
    display = replace.display_qty
    waits = cold.status == STATUS_PENDING
    no_book = waits or is_outside(state, slot)
    if display != 0 and (no_book or display > leaves):
        return because(state, DISPLAY_QTY, leaves, display)
    if new_stop(command) != 0 and not waits:
        return TERMS
    if has_partner(state, slot):
        return PAIR
    reason = check_limits(state, slot, leaves)
    if reason == 0 and state.risk != 0 and not keeps_place(state, command, slot):
        terms = instrument_row(state, cold.instrument)
        reason = check_new_hold(state, terms, slot, leaves)
    return reason if reason != 0 else check_space(state, command, slot)


@kernel
def check_limits(state: Record, slot: int, leaves: int) -> int:
    """Limits of the account, and an order that may only reduce."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    total = order.cum + min(leaves, WORD_MOST - order.cum)
    is_limited = account_row(state, cold.account).special & SPECIAL_LIMITS != 0
    reason = 0
    if is_limited:
        draft_limits(state, slot, total, leaves)
        reason = limits.check_first(state, cold.account, cold.instrument, cold.side)
    if reason == 0 and cold.flags & REDUCE_ONLY != 0:
        room = reducible(state, cold.account, cold.instrument, cold.side)
        if room <= 0:
            net = room if cold.side == SELL else -room
            reason = because(state, REDUCE_ONLY_REASON, net, total)
    if reason == 0 and is_limited:
        reason = limits.check_last(state, cold.account, cold.instrument, cold.side)
    return reason


@kernel
def draft_limits(state: Record, slot: int, total: int, leaves: int) -> None:
    """What limits ask of the order as it would be."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    mine = draft_of(state)
    mine.qty = total
    mine.leaves = leaves
    mine.multiplier = instrument_row(state, cold.instrument).multiplier
    mine.own_leaves = order.leaves
    mine.own_notional = order.price * order.leaves * mine.multiplier
    if is_outside(state, slot):  # It rests nowhere, so nobody is where it would.
        mine.opens = int(mine.price != order.price)
        return
    if cold.status == STATUS_PENDING or order.level == 0 or mine.price == order.price:
        return
    bookside = orders.own_bookside(cold.instrument, cold.side)
    key = mine.price ^ bookside_row(state, bookside).flip
    mine.opens = int(levels.is_vacant(state, bookside, key))
    level = level_row(state, order.level)
    mine.closes = int(level.orders == 1 and level.opener == cold.account)


@kernel
def check_phase(terms: Record, cold: Record) -> int:
    if terms.phase == PHASE_OPEN:
        return 0
    if terms.phase == PHASE_POST_ONLY:
        return PHASE if cold.status == STATUS_PENDING else 0
    return HALTED if terms.phase == PHASE_HALTED else PHASE


@kernel
def check_new_price(state: Record, terms: Record, command: int, slot: int) -> int:
    """A price that changes must fit; where it would cross, and may slide, it slides."""
    replace = replace_at(command)
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    mine = draft_of(state)
    mine.price = new_price(state, replace, slot)
    reason = PRICE_NOT_ALLOWED if order.price == 0 and replace.price != 0 else 0
    if reason == 0:
        reason = check_numbers(state, terms, mine.price, new_stop(command))
    if reason != 0 or cold.status == STATUS_PENDING:
        return reason
    bookside = orders.other_bookside(cold.instrument, cold.side)
    key = mine.price ^ bookside_row(state, bookside).flip
    mine.crosses = int(orders.crosses(state, bookside, key))
    if mine.crosses != 0 and cold.flags & SLIDE != 0:
        best = best_opposite(state, cold.instrument, cold.side)
        if cold.side == BUY:
            behind = prices.next_below(terms, best)
        else:
            behind = prices.next_above(terms, best)
        if behind > 0 and fits_band(state, terms, behind):
            mine.price = behind
            mine.crosses = 0
    return 0


@inlined
def new_stop(command: int) -> int:
    """The stop price that is asked for; 0: none."""
    if replace_at(command).slots == 1:
        return 0
    return place_2_at(command + SLOT_BYTES).stop_price  # type: ignore[no-any-return]


@kernel
def check_numbers(state: Record, terms: Record, price: int, stop: int) -> int:
    """Limit and stop price, 0 where there is none: on their steps, then within bounds."""
    reason = off_tick(state, terms, price)
    if reason == 0:
        reason = off_tick(state, terms, stop)
    if reason == 0 and price != 0:
        reason = check_band(state, terms, price)
    if reason == 0 and stop > terms.price_limit:
        reason = because(state, PRICE_OUT_OF_BAND, terms.price_limit, stop)
    return reason


@kernel
def fits_band(state: Record, terms: Record, price: int) -> bool:
    if price > terms.price_limit:
        return False
    return terms.special & INSTRUMENT_BAND == 0 or prices.broken_bound(terms, price) < 0


@kernel
def check_new_stop(state: Record, terms: Record, command: int, slot: int) -> int:
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    mine = draft_of(state)
    mine.stop_price = extra_row(state, order.extra).stop_price if order.extra != 0 else 0
    stop = new_stop(command)
    if stop == 0 or cold.status != STATUS_PENDING:
        return 0
    mine.stop_price = stop
    return check_stop_price(state, cold.side, stop, terms.last_price)


@kernel
def check_space(state: Record, command: int, slot: int) -> int:
    """A page for the new price or stop; a row for a display quantity that it did not have."""
    if is_outside(state, slot):
        return 0
    cold = cold_row(state, slot)
    mine = draft_of(state)
    if cold.status == STATUS_PENDING:
        fits = stops.has_page(state, cold.instrument, cold.side, mine.stop_price)
    else:
        bookside = orders.own_bookside(cold.instrument, cold.side)
        key = mine.price ^ bookside_row(state, bookside).flip
        fits = keeps_place(state, command, slot) or levels.has_room(state, bookside, key)
    if not fits:
        return because(state, CAPACITY, state.pages_max, state.pages_max)
    new_row = new_display(state, command, slot) != 0 and order_row(state, slot).extra == 0
    if new_row and not extras.has_room(state, 1):
        return because(state, CAPACITY, state.extras_max, state.extras_count)
    return 0


@kernel
def keeps_place(state: Record, command: int, slot: int) -> bool:
    """Same price, stop and display quantity, and not more of it."""
    replace = replace_at(command)
    order = order_row(state, slot)
    extra = order.extra
    display = extra_row(state, extra).display_qty if extra != 0 else 0
    if new_display(state, command, slot) != display:
        return False
    if replace.slots != 1 and extra != 0:
        stop = place_2_at(command + SLOT_BYTES).stop_price
        if stop != 0 and stop != extra_row(state, extra).stop_price:
            return False
    same = draft_of(state).price == order.price
    return same and new_leaves(state, replace, slot) <= order.leaves  # type: ignore[no-any-return]


@kernel
def replace_any(state: Record, command: int, slot: int) -> None:
    """Do what ``check_any`` allowed."""
    seldom()
    order = order_row(state, slot)
    leaves = new_leaves(state, replace_at(command), slot)
    if is_outside(state, slot):
        accept_request(state, command, slot)
        ask_replace(state, slot, draft_of(state).price, leaves + order.cum)
    elif keeps_place(state, command, slot):
        keep_any(state, command, slot, leaves)
    else:
        change_any(state, command, slot, leaves)


@kernel
def change_any(state: Record, command: int, slot: int, leaves: int) -> None:
    """Out of where it stands, and in again under the same id."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    old_leaves = order.leaves
    old_price = order.price
    shown = order.shown
    price = draft_of(state).price
    if state.risk != 0:
        move_any_hold(state, slot, price, leaves)
    if state.limits_used != 0:
        limits.weigh(state, slot, -old_leaves)
    display = new_display(state, command, slot)
    whole = display == 0 or display >= leaves
    waits = cold.status == STATUS_PENDING
    rests = not waits and whole and draft_of(state).crosses == 0
    order.price = price
    order.leaves = leaves
    event = replaced(state, command, slot, RESTS if rests else 0)
    event.qty = leaves + order.cum
    held = hold_now(state, slot)
    order.leaves = old_leaves
    event = replaced_from(state, slot, shown, held)
    event.price = old_price
    event.qty = old_leaves + order.cum
    if state.paired != 0:
        tell_pairs(state, slot)
    take_id(state, command, slot)
    order.price = old_price
    take_away(state, slot)
    order.price = price
    order.leaves = leaves
    if state.limits_used != 0:
        limits.weigh(state, slot, leaves)
    if display != 0 or order.extra != 0:
        set_display(state, slot, display)
    if waits:
        extra_row(state, order.extra).stop_price = draft_of(state).stop_price
        stops.wait(state, slot)
    elif draft_of(state).crosses == 0:
        rest_any(state, slot, rests)
    else:
        reason = sweep_any(state, slot)
        settle_rest(state, slot, reason, False, 1)  # noqa: FBT003
        run_cascade(state)


@kernel
def new_display(state: Record, command: int, slot: int) -> int:
    """The display quantity from now on; 0: all is shown."""
    asked = replace_at(command).display_qty
    extra = order_row(state, slot).extra
    known = extra_row(state, extra).display_qty if extra != 0 else 0
    if asked == 0 or asked == known:
        return known
    return asked if asked != new_leaves(state, replace_at(command), slot) else 0  # type: ignore[no-any-return]


@kernel
def set_display(state: Record, slot: int, display: int) -> None:
    order = order_row(state, slot)
    row = order.extra if order.extra != 0 else extras.take(state, slot)
    extra_row(state, row).display_qty = display


@kernel
def keep_any(state: Record, command: int, slot: int, leaves: int) -> None:
    """Less of it, or only a new client order id; its place is kept."""
    order = order_row(state, slot)
    old_leaves = order.leaves
    shown = order.shown
    if leaves < old_leaves:
        reduce_open(state, slot, old_leaves - leaves)
    event = replaced(state, command, slot, PRIORITY_KEPT)
    event = replaced_from(state, slot, shown, hold_now(state, slot))
    event.qty = old_leaves + order.cum
    if state.paired != 0:
        tell_pairs(state, slot)
    take_id(state, command, slot)
