"""Resting, filling and taking out orders: the book's entry kernels, one side at a time."""

from core.book import queue
from core.book.levels import level_for
from core.jit import inlined
from core.memory import Record
from core.messages import BUY, LIMIT, MARKET, SELL, STOP_LIMIT
from core.rows import bookside_row, cold_row, level_row, order_row, slot_of_unit


@inlined
def own_bookside(instrument: int, side: int) -> int:
    """The side where an order of this side rests."""
    return 2 * instrument + (side - BUY)


@inlined
def other_bookside(instrument: int, side: int) -> int:
    """The side that an order of this side takes from."""
    return 2 * instrument + (SELL - side)


@inlined
def worst_key(state: Record, bookside: int, order_type: int, price: int) -> int:
    """The lowest best key of ``bookside`` that a taker at ``price`` still trades with."""
    key = price ^ bookside_row(state, bookside).flip
    return 0 if order_type == MARKET else key


@inlined
def is_market_like(order_type: int) -> bool:
    """Has it no price of its own once it trades: MARKET, STOP, TRAILING_STOP."""
    return order_type != LIMIT and order_type != STOP_LIMIT


@inlined
def crosses(state: Record, bookside: int, worst: int) -> bool:
    return bookside_row(state, bookside).best_key >= worst  # type: ignore[no-any-return]


@inlined
def best_maker(state: Record, bookside: int) -> int:
    """Slot of the order that trades next on a side that is not empty: the best price, then the
    longest there."""
    level = level_row(state, bookside_row(state, bookside).best_level)
    return slot_of_unit(state, level.next)


@inlined
def fill_maker(state: Record, bookside: int, slot: int, fill: int) -> None:
    """Take ``fill`` lots from a resting order, and the order out of the book when none is left."""
    maker = order_row(state, slot)
    maker.leaves -= fill
    maker.cum += fill
    maker.shown -= fill
    level_row(state, maker.level).shown -= fill
    if maker.leaves == 0:
        queue.remove(state, bookside, slot)


@inlined
def level_of(state: Record, instrument: int, side: int, price: int) -> int:
    """Unit of the level where an order will rest, its page taken if need be; the caller has asked
    ``has_room``."""
    bookside = own_bookside(instrument, side)
    return level_for(state, bookside, price ^ bookside_row(state, bookside).flip)


@inlined
def rest_at(state: Record, slot: int, level: int) -> None:
    """Put what is left of an order at the end of the level of its price."""
    cold = cold_row(state, slot)
    queue.append(state, own_bookside(cold.instrument, cold.side), slot, level)


@inlined
def rest(state: Record, slot: int) -> None:
    """Put what is left of an order at the end of the level of its price."""
    cold = cold_row(state, slot)
    rest_at(state, slot, level_of(state, cold.instrument, cold.side, order_row(state, slot).price))


@inlined
def take_out(state: Record, slot: int) -> None:
    """Take a resting order out of the book; its fields stay as they are."""
    cold = cold_row(state, slot)
    queue.remove(state, own_bookside(cold.instrument, cold.side), slot)
