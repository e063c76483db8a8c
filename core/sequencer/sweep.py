"""A taker against the book: fills at the makers' prices, best price first, then oldest first."""

from core.book import orders, pool
from core.jit import inlined, kernel, stay_apart
from core.memory import Record
from core.messages import BUY, FILL, MAKER, MARKET, STATUS_FILLED
from core.risk import settle
from core.rows import balance_row, bookside_row, cold_row, instrument_row, order_row, slot_of_unit
from core.sequencer.events import order_event, reserve, resting_event
from core.sequencer.life import end_open


@kernel
def sweep(state: Record, slot: int) -> None:
    """Fill the order in ``slot`` as far as the other side goes; what is left stays in ``leaves``.

    The order is not in the book.  Holds and rows were checked before: nothing here can fail.
    """
    stay_apart()
    taker = order_row(state, slot)
    cold = cold_row(state, slot)
    bookside = orders.other_bookside(cold.instrument, cold.side)
    side = bookside_row(state, bookside)
    terms = instrument_row(state, cold.instrument)
    worst = orders.worst_key(state, bookside, cold.order_type, taker.price)
    funded = state.risk != 0 and cold.order_type == MARKET and cold.side == BUY
    while taker.leaves > 0 and side.best_key >= worst:
        maker_slot = orders.best_maker(state, bookside)
        maker = order_row(state, maker_slot)
        pool.prefetch_rows(state, slot_of_unit(state, maker.next))
        fill = min(taker.leaves, maker.leaves)
        if funded:
            fill = min(fill, settle.affordable(terms, maker.price, cold.hold_fee))
            if fill == 0:
                return
        reserve(state)
        match_pair(state, terms, slot, maker_slot, fill)


@inlined
def match_pair(state: Record, terms: Record, slot: int, maker_slot: int, fill: int) -> None:
    """One fill: book, fees, both events, money."""
    taker = order_row(state, slot)
    maker = order_row(state, maker_slot)
    cold = cold_row(state, slot)
    maker_cold = cold_row(state, maker_slot)
    price = maker.price
    notional = price * fill * terms.multiplier
    orders.fill_maker(state, orders.other_bookside(cold.instrument, cold.side), maker_slot, fill)
    taker.leaves -= fill
    taker.cum += fill
    taker.cum_notional += notional
    maker.cum_notional += notional
    cold.last_price = price
    maker_cold.last_price = price
    maker_cold.updated_ns = state.timestamp_ns
    taker_fee = 0
    maker_fee = 0
    if state.risk != 0:
        fees = balance_row(state, terms.fees_balance)
        taker_fee = settle.charge(terms, cold, terms.taker_ppm, notional)
        maker_fee = settle.charge(terms, maker_cold, terms.maker_ppm, notional)
        fees.available += taker_fee + maker_fee
        taker_fee -= settle.rebate(fees, terms.taker_ppm, notional)
        maker_fee -= settle.rebate(fees, terms.maker_ppm, notional)
        cold.fees += taker_fee
        maker_cold.fees += maker_fee
    write_fill(state, slot, 0, fill, price, taker_fee)
    write_fill(state, maker_slot, MAKER, fill, price, maker_fee)
    if state.risk != 0:
        if cold.side == BUY:
            settle.buyer_pays(state, terms, slot, fill, notional, taker_fee)
            settle.seller_delivers(state, terms, maker_slot, fill, notional, maker_fee)
        else:
            settle.buyer_pays(state, terms, maker_slot, fill, notional, maker_fee)
            settle.seller_delivers(state, terms, slot, fill, notional, taker_fee)
    terms.last_price = price
    terms.trades += 1
    terms.volume += fill
    state.trades += 1
    state.traded_qty += fill
    if maker.leaves == 0:
        end_open(state, maker_slot, STATUS_FILLED, 0)


@inlined
def write_fill(state: Record, slot: int, flags: int, fill: int, price: int, fee: int) -> None:
    """The FILL event of one side."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if flags == MAKER:
        event = resting_event(state, FILL, flags, order, cold)
    else:
        event = order_event(state, FILL, flags, order, cold)
    event.price = price
    event.qty = fill
    event.fee = fee
