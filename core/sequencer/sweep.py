"""A taker against the book: fills at the makers' prices, best price first, then oldest first."""

from core.book import orders, pool
from core.jit import kernel, stay_apart
from core.memory import Record
from core.messages import BUY, MARKET
from core.risk import settle
from core.rows import bookside_row, cold_row, instrument_row, order_row, slot_of_unit
from core.sequencer.events import reserve
from core.sequencer.fill import match_pair
from core.sequencer.match import GO_ON, meet


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
        if maker.extra != 0:
            if meet(state, slot) != GO_ON:
                return
            reserve(state)
            continue
        pool.prefetch_rows(state, slot_of_unit(state, maker.next))
        fill = min(taker.leaves, maker.leaves)
        if funded:
            fill = min(fill, settle.affordable(terms, maker.price, cold.hold_fee))
            if fill == 0:
                return
        reserve(state)
        match_pair(state, terms, slot, maker_slot, fill)
