"""One fill: book, fees, both events, money."""

from core.book import orders
from core.jit import inlined
from core.memory import Record
from core.messages import BUY, FILL, MAKER, STATUS_FILLED
from core.risk import settle
from core.rows import balance_row, cold_row, order_row
from core.sequencer.events import order_event, resting_event
from core.sequencer.life import end_open


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
        taker_fee = settle.charge(terms, taker, cold, terms.taker_ppm, notional)
        maker_fee = settle.charge(terms, maker, maker_cold, terms.maker_ppm, notional)
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
