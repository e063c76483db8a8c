"""One fill: book, fees, both events, money."""

from core.book import orders
from core.constants import DAY_NS, WORD_MOST
from core.jit import inlined, kernel, seldom
from core.memory import Record
from core.messages import BUY, FILL, MAKER, STATUS_FILLED
from core.risk import limits, settle
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
    notional = take_lots(state, terms, slot, maker_slot, fill)
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
    if state.limits_used != 0:
        limits.count_fill(state, slot, fill)
        limits.count_fill(state, maker_slot, fill)
    count_pair(state, terms, maker_slot, price, fill, notional)


@inlined
def take_lots(state: Record, terms: Record, slot: int, maker_slot: int, fill: int) -> int:
    """The fill in the book and in the rows of both orders; its notional."""
    taker = order_row(state, slot)
    maker = order_row(state, maker_slot)
    cold = cold_row(state, slot)
    maker_cold = cold_row(state, maker_slot)
    price = maker.price
    notional = price * fill * terms.multiplier
    orders.fill_maker(state, orders.other_bookside(cold.instrument, cold.side), maker_slot, fill)
    taker.leaves -= fill
    taker.cum += fill
    taker.cum_notional += min(notional, WORD_MOST - taker.cum_notional)
    maker.cum_notional += min(notional, WORD_MOST - maker.cum_notional)
    cold.last_price = price
    maker_cold.last_price = price
    maker_cold.updated_ns = state.timestamp_ns
    return notional  # type: ignore[no-any-return]


@inlined
def count_pair(
    state: Record, terms: Record, maker_slot: int, price: int, fill: int, notional: int
) -> None:
    """After the money of a fill: statistics, and the end of a maker with nothing left."""
    count_trade(state, terms, price, fill, notional)
    state.trades += 1
    state.traded_qty += min(fill, WORD_MOST - state.traded_qty)
    if order_row(state, maker_slot).leaves == 0:
        end_open(state, maker_slot, STATUS_FILLED, 0)


@inlined
def count_trade(state: Record, terms: Record, price: int, fill: int, notional: int) -> None:
    """Statistics of the instrument: of all time, and of its day.  Sums stop at WORD_MOST."""
    terms.last_price = price
    if state.timestamp_ns >= terms.day_ends_ns:
        begin_day(state, terms, price)
    terms.trades += 1
    terms.volume += min(fill, WORD_MOST - terms.volume)
    terms.notional += min(notional, WORD_MOST - terms.notional)
    terms.day_trades += 1
    terms.day_volume += min(fill, WORD_MOST - terms.day_volume)
    terms.day_notional += min(notional, WORD_MOST - terms.day_notional)
    terms.day_high = max(terms.day_high, price)
    terms.day_low = min(terms.day_low, price)


@kernel
def begin_day(state: Record, terms: Record, price: int) -> None:
    """The first trade of a day."""
    seldom()
    terms.day = (state.timestamp_ns - terms.day_end_ns) // DAY_NS
    terms.day_ends_ns = (terms.day + 1) * DAY_NS + terms.day_end_ns
    terms.day_open = price
    terms.day_high = price
    terms.day_low = price
    terms.day_volume = 0
    terms.day_notional = 0
    terms.day_trades = 0


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
