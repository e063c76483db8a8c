"""PLACE_ORDER of a plain order: check everything, hold, accept, match, rest or expire."""

from typing import Final

from core.book import levels, orders
from core.jit import inlined, kernel, stay_apart
from core.layout import offset_of
from core.memory import Record, load_i32, load_i64
from core.messages import (
    BUY,
    CLIENT_ORDER_ID_AT,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    ORDER_ACCEPTED,
    ORDER_EXPIRED,
    ORDER_RESTED,
    PLACE,
    RESTS,
    SELL,
    SELL_SIDE,
    STATUS_EXPIRED,
    STATUS_FILLED,
)
from core.reasons import Reason
from core.records import ACCOUNT_BYTES, INSTRUMENT_BYTES
from core.risk import holds
from core.risk.accounts import need_position, room_for_position
from core.rows import (
    account_at,
    bookside_row,
    cold_row,
    id_record_row,
    instrument_row,
    order_row,
    position_row,
)
from core.sequencer.admit import REPEATED, admit_free, because, place_at, reject
from core.sequencer.checks import check_qty, check_terms
from core.sequencer.events import bare_event, order_event
from core.sequencer.general import place_any
from core.sequencer.life import accept, end, open_order
from core.sequencer.sweep import sweep

CAPACITY: Final = Reason.CAPACITY.value
INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
INSUFFICIENT_POSITION: Final = Reason.INSUFFICIENT_POSITION.value
IOC_REMAINDER: Final = Reason.IOC_REMAINDER.value
MARKET_REMAINDER: Final = Reason.MARKET_REMAINDER.value
PRICE_NOT_ALLOWED: Final = Reason.PRICE_NOT_ALLOWED.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value

# Side, order type, time in force and self-trade prevention, one byte each, as one word.
TERMS_AT: Final = offset_of(PLACE, "side")
USUAL_TERMS: Final = BUY | LIMIT << 8 | GTC << 16
MARKET_TERMS: Final = BUY | MARKET << 8 | IOC << 16
LIMIT_VARIES: Final = (SELL - BUY) | (IOC - GTC) << 16
MARKET_VARIES: Final = SELL - BUY
assert (BUY, SELL, LIMIT, MARKET, GTC, IOC) == (1, 2, 1, 2, 1, 2)


@inlined
def is_plain(state: Record, command: int) -> bool:
    """Usual terms, from an account and in an instrument with nothing special: for ``place_order``;
    all else is for ``general.place_any``."""
    place = place_at(command)
    if not is_usual(command):
        return False
    account = place.account if 0 < place.account <= state.accounts_used else 0
    instrument = place.instrument if 0 < place.instrument <= state.instruments_used else 0
    special = account_at(state.accounts + account * ACCOUNT_BYTES).special | state.killed
    # ``special`` and ``pending`` as one word.
    return (special | load_i64(state.instruments + instrument * INSTRUMENT_BYTES)) == 0


@kernel
def place_order(state: Record, command: int) -> None:
    """Plain orders here, all others by ``place_any``."""
    if not is_plain(state, command):
        place_any(state, command)
        return
    reason = admit_free(state, command)
    if reason == REPEATED:
        return
    if reason == 0:
        reason = check(state, command)
    if reason != 0:
        reject(state, command, reason, 0)
        return
    place = place_at(command)
    bookside = orders.other_bookside(place.instrument, place.side)
    worst = orders.worst_key(state, bookside, place.order_type, place.price)
    crossing = orders.crosses(state, bookside, worst)
    if crossing or place.time_in_force != GTC:
        slot = enter(state, command, 0)
        if crossing:
            sweep(state, slot)
        rest_or_end(state, slot)
        return
    level = orders.level_of(state, place.instrument, place.side, place.price)
    slot = enter(state, command, RESTS)
    orders.rest_at(state, slot, level)
    open_order(state, place.account, slot)


@inlined
def is_usual(command: int) -> bool:
    """LIMIT GTC, LIMIT IOC or MARKET IOC in one slot, with nothing else set."""
    place = place_at(command)
    terms = load_i32(command + TERMS_AT) - USUAL_TERMS
    return (
        ((terms & ~LIMIT_VARIES) == 0 or (terms & ~MARKET_VARIES) == MARKET_TERMS - USUAL_TERMS)
        and (place.price | place.qty) >= 0
        and place.slots == 1
        and (place.flags | place.expire_ns | place.display_qty) == 0
    )


@inlined
def check(state: Record, command: int) -> int:
    """Instrument, terms, funds, room: the first reason in the order of their numbers, or 0.  The
    phase is open: the instrument has nothing special."""
    place = place_at(command)
    if not 0 < place.instrument <= state.instruments_used:
        return UNKNOWN_INSTRUMENT
    terms = instrument_row(state, place.instrument)
    if place.order_type == LIMIT:
        reason = check_terms(state, terms, place.price, place.qty)
    elif place.price != 0:
        reason = PRICE_NOT_ALLOWED
    else:
        reason = check_qty(state, terms, place.qty)
    if reason == 0 and state.risk != 0:
        reason = check_funds(state, terms, place)
    if reason == 0:
        reason = check_room(state, place)
    return reason


@inlined
def check_funds(state: Record, terms: Record, place: Record) -> int:
    """Is what the order would hold available?"""
    free = holds.available_for(state, place.account, place.instrument, place.side)
    if place.side == SELL:
        need = place.qty * terms.base_per_lot
        if need > free:
            return because(state, INSUFFICIENT_POSITION, free, need)
        return 0
    need = holds.buy_hold(terms, place.price, place.qty) if place.order_type == LIMIT else 1
    if need > free:
        return because(state, INSUFFICIENT_FUNDS, free, need)
    return 0


@inlined
def check_room(state: Record, place: Record) -> int:
    """Is there a row for everything that the order may need?"""
    if state.open_orders == state.orders_max:
        return because(state, CAPACITY, state.orders_max, state.open_orders)
    if state.risk != 0 and not room_for_position(state, place.account, place.instrument):
        return CAPACITY
    if place.order_type == LIMIT and place.time_in_force == GTC:
        bookside = orders.own_bookside(place.instrument, place.side)
        key = place.price ^ bookside_row(state, bookside).flip
        if not levels.has_room(state, bookside, key):
            return because(state, CAPACITY, state.pages_max, state.pages_max)
    return 0


@inlined
def enter(state: Record, command: int, flags: int) -> int:
    """Row, hold and ORDER_ACCEPTED of an order that passed every check; its slot."""
    place = place_at(command)
    held = 0
    fee = 0
    row = 0
    if state.risk != 0:
        terms = instrument_row(state, place.instrument)
        row = need_position(state, place.account, place.instrument)
        held, fee = to_hold(state, terms, place)
        position = position_row(state, row)
        position.held += place.qty if place.side == SELL else 0
        holds.move(state, position, place.side, held)
    slot = accept(state, command, row, fee)
    order = order_row(state, slot)
    if state.record != 0:
        id_record_row(state, state.record).order_id = order.order_id
    event = bare_event(state, ORDER_ACCEPTED, place, command + CLIENT_ORDER_ID_AT)
    event.flags = flags | (place.side & SELL_SIDE)
    event.order_id = order.order_id
    event.price = place.price
    event.qty = place.qty
    event.leaves = place.qty
    event.cum = held
    event.cum_notional = place.order_type | (place.time_in_force << 8)
    return slot


@inlined
def to_hold(state: Record, terms: Record, place: Record) -> tuple[int, int]:
    """What a new order reserves, and ``hold_fee`` of its row."""
    if place.side == SELL:
        return place.qty * terms.base_per_lot, 0
    if place.order_type == LIMIT:
        amount = holds.buy_hold(terms, place.price, place.qty)
        return amount, amount - place.price * place.qty * terms.multiplier
    amount = holds.available_for(state, place.account, place.instrument, BUY)
    return amount, amount


@inlined
def rest_or_end(state: Record, slot: int) -> None:
    """After the sweep of a new order: into the book, or to its end."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if order.leaves > 0 and cold.time_in_force == GTC:
        rested(state, slot)  # It crossed, so nothing told that yet, whether it traded or not.
        orders.rest(state, slot)
        open_order(state, cold.account, slot)
        return
    if state.risk != 0:
        holds.release(state, instrument_row(state, cold.instrument), order, cold, 0)
    if order.leaves == 0:
        end(state, slot, STATUS_FILLED, 0)
        return
    event = order_event(state, ORDER_EXPIRED, 0, order, cold)
    event.qty = order.leaves
    event.leaves = 0
    event.reason = MARKET_REMAINDER if cold.order_type == MARKET else IOC_REMAINDER
    end(state, slot, STATUS_EXPIRED, event.reason)


@kernel
def rested(state: Record, slot: int) -> None:
    """ORDER_RESTED: what is left is in the book, and no flag RESTS said so."""
    stay_apart()
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    event = order_event(state, ORDER_RESTED, 0, order, cold)
    event.qty = order.leaves
    if state.risk != 0:
        event.fee = holds.hold_of(instrument_row(state, cold.instrument), order, cold)
