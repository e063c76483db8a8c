"""The checks of an order with more than the usual terms, and what they find out for its entry.

``draft_of`` is memory between the check and the entry of one command; it is not state.
"""

from typing import Final

from core.book import extras, levels, orders, pool, stops
from core.constants import DAY_NS, SLOT_BYTES, TRAILING_MAX, WORD_MOST
from core.jit import inlined, kernel, stay_apart
from core.layout import offset_of
from core.memory import Record, address_of, fill
from core.messages import (
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    PHASE_HALTED,
    PHASE_OPEN,
    PHASE_POST_ONLY,
    PLACE_SLOT_2,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    SLIDE,
    STATUS_OPEN,
    STATUS_PENDING,
    TRAILING_STOP,
)
from core.reasons import Reason
from core.records import (
    DRAFT_BYTES,
    INSTRUMENT_BAND,
    INSTRUMENT_OUTSIDE,
    INSTRUMENT_TICKS,
    SPECIAL_LIMITS,
)
from core.risk import limits, prices, text
from core.risk.accounts import find_position, room_for_position
from core.rows import (
    account_row,
    bookside_row,
    cold_row,
    draft_of,
    extra_row,
    instrument_row,
    order_row,
    position_row,
)
from core.sequencer.admit import because, place_at
from core.sequencer.checks import check_notional, check_qty
from core.sequencer.form import is_stop, place_2_at, rests, suits_outside
from core.sequencer.funds import check_money

TAG_AT: Final = offset_of(PLACE_SLOT_2, "tag")

CAPACITY: Final = Reason.CAPACITY.value
EXPIRED_REQUEST: Final = Reason.EXPIRED_REQUEST.value
HALTED: Final = Reason.HALTED.value
INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
INSUFFICIENT_POSITION: Final = Reason.INSUFFICIENT_POSITION.value
NOT_SUPPORTED: Final = Reason.NOT_SUPPORTED.value
PHASE: Final = Reason.PHASE.value
POST_ONLY_WOULD_TAKE: Final = Reason.POST_ONLY_WOULD_TAKE.value
PRICE_MISSING: Final = Reason.PRICE_MISSING.value
PRICE_NOT_ALLOWED: Final = Reason.PRICE_NOT_ALLOWED.value
PRICE_OFF_TICK: Final = Reason.PRICE_OFF_TICK.value
PRICE_OUT_OF_BAND: Final = Reason.PRICE_OUT_OF_BAND.value
REDUCE_ONLY_REASON: Final = Reason.REDUCE_ONLY.value
SHORT_LIMIT: Final = Reason.SHORT_LIMIT.value
STOP_PRICE: Final = Reason.STOP_PRICE.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value
UNKNOWN_ORDER: Final = Reason.UNKNOWN_ORDER.value


@kernel
def draft(state: Record, command: int) -> int:
    """Check everything about a new order after the common steps, in the order of the reasons; 0:
    the draft says what it is to hold."""
    stay_apart()
    place = place_at(command)
    mine = draft_of(state)
    fill(address_of(mine), 0, DRAFT_BYTES)
    if place.time_in_force == GTD and place.expire_ns <= state.timestamp_ns:
        return because(state, EXPIRED_REQUEST, place.expire_ns, state.timestamp_ns)
    if not 0 < place.instrument <= state.instruments_used:
        return UNKNOWN_INSTRUMENT
    terms = instrument_row(state, place.instrument)
    if terms.special & INSTRUMENT_OUTSIDE != 0 and not suits_outside(command):
        return NOT_SUPPORTED
    reason = check_phase(terms, command)
    if reason == 0:
        reason = check_prices(state, terms, command)
    if reason == 0:
        reason = check_size(state, terms, command)
    if reason == 0 and is_stop(place.order_type):
        reason = check_stop(state, terms, command)
    if reason == 0 and place.slots == 2:
        reason = check_partner(state, command)
    if reason == 0:
        reason = check_position(state, command)
    set_terms(state, terms, command)
    if reason == 0 and state.risk != 0:
        reason = check_money(state, terms, command)
    if reason == 0:
        reason = check_space(state, terms, command)
    if reason == 0 and mine.crosses != 0 and makes_only(terms, command):
        best = best_opposite(state, place.instrument, place.side)
        reason = because(state, POST_ONLY_WOULD_TAKE, best, mine.price)
    return reason


@inlined
def makes_only(terms: Record, command: int) -> bool:
    return place_at(command).flags & POST_ONLY != 0 or terms.phase == PHASE_POST_ONLY


@kernel
def check_phase(terms: Record, command: int) -> int:
    if terms.phase == PHASE_OPEN:
        return 0
    if terms.phase == PHASE_POST_ONLY:
        return 0 if rests(command) else PHASE
    return HALTED if terms.phase == PHASE_HALTED else PHASE


@kernel
def off_tick(state: Record, terms: Record, price: int) -> int:
    """PRICE_OFF_TICK where a price is no multiple of its step."""
    step = prices.step_at(terms, price)
    return 0 if price % step == 0 else because(state, PRICE_OFF_TICK, step, price)


@kernel
def check_limit_price(state: Record, terms: Record, price: int) -> int:
    """Step and bounds of a limit price."""
    if terms.special & INSTRUMENT_TICKS != 0:
        reason = off_tick(state, terms, price)
        if reason != 0:
            return reason
    return check_band(state, terms, price)


@kernel
def check_band(state: Record, terms: Record, price: int) -> int:
    if terms.special & INSTRUMENT_BAND != 0:
        bound = prices.broken_bound(terms, price)
        return because(state, PRICE_OUT_OF_BAND, bound, price) if bound >= 0 else 0
    if price > terms.price_limit:
        return because(state, PRICE_OUT_OF_BAND, terms.price_limit, price)
    return 0


@kernel
def check_prices(state: Record, terms: Record, command: int) -> int:
    """Price, stop and protection price; the price as it slides goes into the draft."""
    place = place_at(command)
    mine = draft_of(state)
    mine.price = place.price
    if orders.is_market_like(place.order_type):
        if place.price != 0:
            return PRICE_NOT_ALLOWED
    else:
        if place.price == 0:
            return PRICE_MISSING
    reason = check_ticks(state, terms, command)
    if reason == 0:
        reason = check_bounds(state, terms, command)
    if reason != 0:
        return reason
    if is_stop(place.order_type):
        return 0
    bookside = orders.other_bookside(place.instrument, place.side)
    worst = orders.worst_key(state, bookside, place.order_type, place.price)
    mine.crosses = int(orders.crosses(state, bookside, worst))
    if mine.crosses != 0 and place.flags & SLIDE != 0:
        slide(state, terms, command)
    return 0


@kernel
def check_ticks(state: Record, terms: Record, command: int) -> int:
    """Price, stop and protection price on their steps."""
    place = place_at(command)
    if terms.special & INSTRUMENT_TICKS == 0:
        return 0
    reason = off_tick(state, terms, place.price)
    if reason == 0 and place.slots == 2:
        more = place_2_at(command + SLOT_BYTES)
        reason = off_tick(state, terms, more.stop_price)
        if reason == 0:
            reason = off_tick(state, terms, more.protection_price)
    return reason


@kernel
def check_bounds(state: Record, terms: Record, command: int) -> int:
    """The price within its band; stop and protection price within what prices can be."""
    place = place_at(command)
    reason = check_band(state, terms, place.price) if place.price != 0 else 0
    if reason == 0 and place.slots == 2:
        more = place_2_at(command + SLOT_BYTES)
        highest = max(more.stop_price, more.protection_price)
        if highest > terms.price_limit:
            first = more.stop_price if more.stop_price > terms.price_limit else highest
            return because(state, PRICE_OUT_OF_BAND, terms.price_limit, first)
    return reason


@kernel
def slide(state: Record, terms: Record, command: int) -> None:
    """One step behind the best opposite price, where that is a price."""
    place = place_at(command)
    mine = draft_of(state)
    best = best_opposite(state, place.instrument, place.side)
    behind = prices.next_below(terms, best) if place.side == BUY else prices.next_above(terms, best)
    inside = 0 < behind <= terms.price_limit
    if inside and terms.special & INSTRUMENT_BAND != 0:
        inside = prices.broken_bound(terms, behind) < 0
    if inside:
        mine.price = behind
        mine.crosses = 0


@kernel
def best_opposite(state: Record, instrument: int, side: int) -> int:
    """Best price of the side that an order takes from; 0 where it is empty."""
    row = bookside_row(state, orders.other_bookside(instrument, side))
    return row.best_key ^ row.flip if row.best_key >= 0 else 0


@kernel
def check_size(state: Record, terms: Record, command: int) -> int:
    place = place_at(command)
    reason = check_qty(state, terms, place.qty)
    if reason != 0 or orders.is_market_like(place.order_type):
        return reason
    return check_notional(state, terms, draft_of(state).price, place.qty)


@kernel
def check_stop(state: Record, terms: Record, command: int) -> int:
    """The stop price; of a trailing stop, where it begins."""
    place = place_at(command)
    more = place_2_at(command + SLOT_BYTES)
    mine = draft_of(state)
    last = terms.last_price
    mine.stop_price = more.stop_price
    if place.order_type == TRAILING_STOP and more.stop_price == 0:
        if last == 0:
            return STOP_PRICE
        offset = stops.offset_at(place.flags, more.trail, last)
        mine.stop_price = last + offset if place.side == BUY else last - offset
        if mine.stop_price < 1 or mine.stop_price > terms.price_limit:
            return because(state, STOP_PRICE, last, offset)
    return check_stop_price(state, place.side, mine.stop_price, last)


@kernel
def check_stop_price(state: Record, side: int, stop: int, last: int) -> int:
    """A stop that the last trade would trigger at once is refused."""
    reached = last >= stop if side == BUY else last <= stop
    return because(state, STOP_PRICE, last, stop) if last != 0 and reached else 0


@kernel
def check_partner(state: Record, command: int) -> int:
    place = place_at(command)
    partner = place_2_at(command + SLOT_BYTES).oco
    if partner == 0:
        return 0
    slot = pool.find_order(state, partner, place.account)
    if slot == 0:
        return UNKNOWN_ORDER
    cold = cold_row(state, slot)
    if cold.instrument != place.instrument or not is_live(cold) or cold.flags & REDUCE_ONLY != 0:
        return UNKNOWN_ORDER
    extra = order_row(state, slot).extra
    if extra != 0 and extra_row(state, extra).partner != 0:
        return UNKNOWN_ORDER
    draft_of(state).partner = slot
    return 0


@inlined
def is_live(cold: Record) -> bool:
    """In the book, or a stop that waits."""
    return cold.status == STATUS_OPEN or cold.status == STATUS_PENDING


@kernel
def reducible(state: Record, account: int, instrument: int, side: int) -> int:
    """Lots by which an order of this side can reduce the position; not above 0: none."""
    row = find_position(state, account, instrument)
    if row == 0:
        return 0
    net = position_row(state, row).net
    return net if side == SELL else -net


@kernel
def check_position(state: Record, command: int) -> int:
    """Limits of the account, and an order that may only reduce."""
    place = place_at(command)
    is_limited = account_row(state, place.account).special & SPECIAL_LIMITS != 0
    reason = 0
    if is_limited:
        draft_limits(state, command)
        reason = limits.check_first(state, place.account, place.instrument, place.side)
    if reason == 0 and place.flags & REDUCE_ONLY != 0:
        room = reducible(state, place.account, place.instrument, place.side)
        if room <= 0:
            net = room if place.side == SELL else -room
            reason = because(state, REDUCE_ONLY_REASON, net, place.qty)
    if reason == 0 and is_limited:
        reason = limits.check_last(state, place.account, place.instrument, place.side)
    return reason


@kernel
def draft_limits(state: Record, command: int) -> None:
    """What limits ask of a new order."""
    place = place_at(command)
    mine = draft_of(state)
    mine.qty = place.qty
    mine.leaves = place.qty
    mine.multiplier = instrument_row(state, place.instrument).multiplier
    mine.stays = int(place.time_in_force not in (IOC, FOK))
    if not rests(command):
        return
    bookside = orders.own_bookside(place.instrument, place.side)
    key = mine.price ^ bookside_row(state, bookside).flip
    mine.opens = int(levels.is_vacant(state, bookside, key))


@kernel
def set_terms(state: Record, terms: Record, command: int) -> None:
    """Deadline, self-trade prevention in force, and whether it needs an extra row."""
    place = place_at(command)
    mine = draft_of(state)
    mine.expire_ns = deadline_for(state, terms, place.time_in_force, place.expire_ns)
    account = account_row(state, place.account)
    mine.self_trade = place.self_trade if place.self_trade != 0 else account.self_trade
    shown = place.display_qty if place.display_qty < place.qty else 0
    more = mine.expire_ns | shown | (place.flags & REDUCE_ONLY) | mine.partner
    if place.slots == 2:
        extra = place_2_at(command + SLOT_BYTES)
        more = more | extra.protection_price | extra.max_cost
        if not text.is_empty(command + SLOT_BYTES + TAG_AT):
            more = 1
    mine.needs_extra = int(more != 0 or is_stop(place.order_type))


@kernel
def deadline_for(state: Record, terms: Record, time_in_force: int, expire_ns: int) -> int:
    """When an order ends by itself; 0: never."""
    now = state.timestamp_ns
    if time_in_force == GTD:
        return expire_ns
    if time_in_force == DAY:
        return ((now - terms.day_end_ns) // DAY_NS + 1) * DAY_NS + terms.day_end_ns  # type: ignore[no-any-return]
    if time_in_force == GTC and terms.max_age_ns != 0:
        return now + min(terms.max_age_ns, WORD_MOST - now)  # type: ignore[no-any-return]
    return 0


@kernel
def check_space(state: Record, terms: Record, command: int) -> int:
    """Is there a row for everything that the order may need?"""
    place = place_at(command)
    mine = draft_of(state)
    if state.open_orders == state.orders_max:
        return because(state, CAPACITY, state.orders_max, state.open_orders)
    if state.risk != 0 and not room_for_position(state, place.account, place.instrument):
        return CAPACITY
    if place.order_type == TRAILING_STOP and terms.trailing == TRAILING_MAX:
        return because(state, CAPACITY, TRAILING_MAX, terms.trailing)
    if not has_page(state, command):
        return because(state, CAPACITY, state.pages_max, state.pages_max)
    rows = mine.needs_extra
    if mine.partner != 0 and order_row(state, mine.partner).extra == 0:
        rows += 1
    if not extras.has_room(state, rows):
        return because(state, CAPACITY, state.extras_max, state.extras_count)
    return 0


@kernel
def has_page(state: Record, command: int) -> bool:
    place = place_at(command)
    mine = draft_of(state)
    if instrument_row(state, place.instrument).special & INSTRUMENT_OUTSIDE != 0:
        return True
    if is_stop(place.order_type):
        bookside = stops.stop_side(place.instrument, place.side)
        price = mine.stop_price
    elif rests(command):
        bookside = orders.own_bookside(place.instrument, place.side)
        price = mine.price
    else:
        return True
    key = price ^ bookside_row(state, bookside).flip
    if state.dry != 0:
        return levels.find_page(state, bookside, key) != 0 or not levels.is_full(state)
    return levels.has_room(state, bookside, key)
