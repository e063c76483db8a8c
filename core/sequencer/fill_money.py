"""One fill in an instrument whose money is not plain SPOT; ``fill.match_pair`` is the same for
all others."""

from core.book import orders
from core.jit import kernel, stay_apart
from core.memory import Record
from core.messages import BUY, MAKER, STATUS_FILLED
from core.records import INSTRUMENT_BINARY
from core.risk import binary, limits, settle
from core.rows import balance_row, cold_row, order_row
from core.sequencer.fill import count_trade, write_fill
from core.sequencer.life import end_open


@kernel
def match_money(state: Record, terms: Record, slot: int, maker_slot: int, fill: int) -> None:
    """One fill: book, fees, both events, money.  Not with risk off."""
    stay_apart()
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
    taker_fee, maker_fee = fees_of(state, terms, slot, maker_slot, fill)
    cold.fees += taker_fee
    maker_cold.fees += maker_fee
    write_fill(state, slot, 0, fill, price, taker_fee)
    write_fill(state, maker_slot, MAKER, fill, price, maker_fee)
    if cold.side == BUY:
        settle_side(state, terms, slot, fill, price, taker_fee)
        settle_side(state, terms, maker_slot, fill, price, maker_fee)
    else:
        settle_side(state, terms, maker_slot, fill, price, maker_fee)
        settle_side(state, terms, slot, fill, price, taker_fee)
    if state.limits_used != 0:
        limits.count_fill(state, slot, fill)
        limits.count_fill(state, maker_slot, fill)
    count_trade(state, terms, price, fill, notional)
    state.trades += 1
    state.traded_qty += fill
    if maker.leaves == 0:
        end_open(state, maker_slot, STATUS_FILLED, 0)


@kernel
def fees_of(
    state: Record, terms: Record, slot: int, maker_slot: int, fill: int
) -> tuple[int, int]:
    """Fees of taker and maker, negative for a rebate, moved at the fees account."""
    price = order_row(state, maker_slot).price
    notional = price * fill * terms.multiplier
    taker_fee = charge(state, terms, slot, terms.taker_ppm, price, fill)
    maker_fee = charge(state, terms, maker_slot, terms.maker_ppm, price, fill)
    fees = balance_row(state, terms.fees_balance)
    fees.available += taker_fee + maker_fee
    taker_fee -= settle.rebate(fees, terms.taker_ppm, notional)
    maker_fee -= settle.rebate(fees, terms.maker_ppm, notional)
    return taker_fee, maker_fee


@kernel
def charge(state: Record, terms: Record, slot: int, ppm: int, price: int, fill: int) -> int:
    """Fee of one side before rebates: 0 where ppm is negative."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if terms.special & INSTRUMENT_BINARY != 0:
        return binary.charge(terms, order, cold, ppm, price, fill)  # type: ignore[no-any-return]
    return settle.charge(terms, order, cold, ppm, price * fill * terms.multiplier)  # type: ignore[no-any-return]


@kernel
def settle_side(state: Record, terms: Record, slot: int, fill: int, price: int, fee: int) -> None:
    """Money and position of one side."""
    binary.settle(state, terms, slot, fill, price, fee)
