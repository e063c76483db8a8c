"""One fill in an instrument whose money is not plain SPOT; ``fill.match_pair`` is the same for
all others."""

from core.book import deadlines
from core.jit import kernel, seldom
from core.memory import Record
from core.messages import BUY, MAKER
from core.records import DUE_CLEARING, INSTRUMENT_BINARY, INSTRUMENT_CLEARED
from core.risk import binary, clearing, limits, settle, short
from core.rows import balance_row, cold_row, order_row
from core.sequencer.fill import count_pair, take_lots, write_fill


@kernel
def match_money(state: Record, terms: Record, slot: int, maker_slot: int, fill: int) -> None:
    """One fill: book, fees, both events, money.  Not with risk off."""
    seldom()
    cold = cold_row(state, slot)
    maker_cold = cold_row(state, maker_slot)
    price = order_row(state, maker_slot).price
    notional = take_lots(state, terms, slot, maker_slot, fill)
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
    if terms.special & INSTRUMENT_CLEARED != 0 and terms.clearing == 0:
        set_clearing(state, terms, cold.instrument)
    count_pair(state, terms, maker_slot, price, fill, notional)


@kernel
def fees_of(state: Record, terms: Record, slot: int, maker_slot: int, fill: int) -> tuple[int, int]:
    """Fees of taker and maker, negative for a rebate, moved at the fees account."""
    price = order_row(state, maker_slot).price
    notional = price * fill * terms.multiplier
    taker_fee = charge(state, terms, slot, terms.taker_ppm, price, fill)
    maker_fee = charge(state, terms, maker_slot, terms.maker_ppm, price, fill)
    fees = balance_row(state, terms.fees_balance)
    if terms.special & INSTRUMENT_CLEARED != 0:
        return due_fees(state, terms, taker_fee, maker_fee, notional)
    fees.available += taker_fee + maker_fee
    taker_fee -= settle.rebate(fees, terms.taker_ppm, notional)
    maker_fee -= settle.rebate(fees, terms.maker_ppm, notional)
    return taker_fee, maker_fee


@kernel
def due_fees(
    state: Record, terms: Record, taker_fee: int, maker_fee: int, notional: int
) -> tuple[int, int]:
    """Fees wait for the clearing; what rebates will need is held until then."""
    fees = balance_row(state, terms.fees_balance)
    terms.due_fees += taker_fee + maker_fee
    taker_rebate = settle.rebate(fees, terms.taker_ppm, notional)
    maker_rebate = settle.rebate(fees, terms.maker_ppm, notional)
    fees.held += taker_rebate + maker_rebate
    terms.due_rebates += taker_rebate + maker_rebate
    return taker_fee - taker_rebate, maker_fee - maker_rebate


@kernel
def set_clearing(state: Record, terms: Record, instrument: int) -> None:
    """The first trade after a clearing sets the time of the next one."""
    period = terms.clearing_ns
    due_ns = (state.timestamp_ns // period + 1) * period
    deadlines.add(state, due_ns, DUE_CLEARING, instrument)


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
    is_buyer = cold_row(state, slot).side == BUY
    if terms.special & INSTRUMENT_BINARY != 0:
        binary.settle(state, terms, slot, fill, price, fee)
    elif terms.special & INSTRUMENT_CLEARED != 0:
        if is_buyer:
            clearing.buyer_owes(state, terms, slot, fill, price, fee)
        else:
            clearing.seller_owes(state, terms, slot, fill, price, fee)
    elif is_buyer:
        short.receive(state, terms, slot, fill, price, fee)
    else:
        short.deliver(state, terms, slot, fill, price, fee)
