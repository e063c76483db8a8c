"""Where stops wait: for each instrument two more sides, by stop price, that nobody trades with.

A BUY stop waits by ascending, a SELL stop by descending price, so the best of a side is the next
one to be triggered, and a price triggers a side from its best on, as a taker would sweep it.
"""

from typing import Final

from core.book import cascade, queue
from core.book.levels import find_page, has_room, level_for
from core.constants import PAGE_BITS, PAGE_LEVELS, STOP_SIDES
from core.jit import VERIFY, inlined, kernel, stay_apart
from core.memory import Record
from core.messages import BUY, SELL, TRAIL_BPS, TRAILING_STOP, TRIGGERED
from core.rows import (
    bookside_row,
    cold_row,
    extra_row,
    instrument_row,
    level_row,
    order_row,
    reach_row,
    slot_of_unit,
)

BPS: Final = 10_000
# What becomes of a trailing stop.
STAYS: Final = 0
MOVED: Final = 1
NO_PAGE: Final = 2


@inlined
def stop_side(instrument: int, side: int) -> int:
    """The side where a stop of ``side`` waits: odd, as asks are, where the lowest comes first."""
    return STOP_SIDES + 2 * instrument + (SELL - side)


@inlined
def key_of(state: Record, bookside: int, price: int) -> int:
    return price ^ bookside_row(state, bookside).flip  # type: ignore[no-any-return]


@kernel
def has_page(state: Record, instrument: int, side: int, price: int) -> bool:
    """Is there room for a stop at this price?"""
    bookside = stop_side(instrument, side)
    return has_room(state, bookside, key_of(state, bookside, price))


@kernel
def wait(state: Record, slot: int) -> None:
    """Put a stop where it waits; the caller has asked ``has_page``."""
    cold = cold_row(state, slot)
    extra = extra_row(state, order_row(state, slot).extra)
    terms = instrument_row(state, cold.instrument)
    bookside = stop_side(cold.instrument, cold.side)
    key = key_of(state, bookside, extra.stop_price)
    queue.append_at(state, bookside, slot, level_for(state, bookside, key), key, 0)
    terms.pending += 1
    if cold.order_type == TRAILING_STOP:
        link_trailing(state, terms, order_row(state, slot).extra)


@kernel
def leave(state: Record, slot: int) -> None:
    """Take a stop out of where it waits."""
    cold = cold_row(state, slot)
    extra = extra_row(state, order_row(state, slot).extra)
    terms = instrument_row(state, cold.instrument)
    bookside = stop_side(cold.instrument, cold.side)
    queue.remove_at(state, bookside, slot, key_of(state, bookside, extra.stop_price))
    terms.pending -= 1
    if cold.order_type == TRAILING_STOP:
        unlink_trailing(state, terms, order_row(state, slot).extra)


@kernel
def link_trailing(state: Record, terms: Record, row: int) -> None:
    extra = extra_row(state, row)
    extra.prev = terms.trailing_last
    extra.next = 0
    if terms.trailing_last != 0:
        extra_row(state, terms.trailing_last).next = row
    else:
        terms.trailing_first = row
    terms.trailing_last = row
    terms.trailing += 1
    narrow(state, extra)


@kernel
def unlink_trailing(state: Record, terms: Record, row: int) -> None:
    extra = extra_row(state, row)
    if extra.prev != 0:
        extra_row(state, extra.prev).next = extra.next
    else:
        terms.trailing_first = extra.next
    if extra.next != 0:
        extra_row(state, extra.next).prev = extra.prev
    else:
        terms.trailing_last = extra.prev
    extra.next = 0
    extra.prev = 0
    terms.trailing -= 1


@inlined
def offset_at(flags: int, trail: int, price: int) -> int:
    """How far behind ``price`` a trailing stop lies, in ticks."""
    if flags & TRAIL_BPS == 0:
        return trail
    return max(1, price // BPS * trail + price % BPS * trail // BPS)


@kernel
def mark(state: Record, instrument: int, price: int) -> None:
    """A trade at ``price``: what it triggers joins the cascade, what trails behind it is moved."""
    stay_apart()
    for side in range(BUY, SELL + 1):
        bookside = stop_side(instrument, side)
        row = bookside_row(state, bookside)
        key = price ^ row.flip
        while row.best_key >= key:
            slot = slot_of_unit(state, level_row(state, row.best_level).next)
            leave(state, slot)
            cold = cold_row(state, slot)
            cold.flags = cold.flags | TRIGGERED
            cascade.push(state, slot)
    if instrument_row(state, instrument).trailing != 0:
        follow_all(state, instrument, price)


@kernel
def follow_all(state: Record, instrument: int, price: int) -> None:
    """Move what trails behind a trade at ``price``; the order that waits longest comes first.

    A stop that is up with one price is so with every price that is worse for it, so most trades
    move none, and REACH says which: else each trade would look at every trailing stop.
    """
    reach = reach_row(state, instrument)
    is_within = reach.low <= price <= reach.high
    if is_within and not VERIFY:
        return
    is_known = True
    row_number = instrument_row(state, instrument).trailing_first
    while row_number != 0:
        extra = extra_row(state, row_number)
        following = extra.next
        outcome = follow(state, extra, price)
        if VERIFY:
            assert outcome == STAYS or not is_within
        is_known = is_known and outcome != NO_PAGE
        row_number = following
    if is_known:
        reach.low = price if reach.high == 0 else min(reach.low, price)
        reach.high = max(reach.high, price)
    else:
        reach.low = 0
        reach.high = 0


@kernel
def narrow(state: Record, extra: Record) -> None:
    """A trailing stop begins to wait: some of the trades that moved none would move this one."""
    cold = cold_row(state, extra.slot)
    reach = reach_row(state, cold.instrument)
    if reach.high == 0:
        return
    if cold.side == SELL:
        last = extra.stop_price + offset_at(cold.flags, extra.trail, extra.stop_price)
        reach.high = min(reach.high, last)
    else:
        behind = extra.trail if cold.flags & TRAIL_BPS == 0 else 1  # Of a share: at least that.
        reach.low = max(reach.low, extra.stop_price - behind)


@kernel
def follow(state: Record, extra: Record, price: int) -> int:
    """Move a trailing stop after a trade at ``price``, in its own direction only: STAYS, MOVED, or
    NO_PAGE, where a page for the new price cannot be had, which leaves it where it is.

    Its place among the trailing orders stays.
    """
    slot = extra.slot
    cold = cold_row(state, slot)
    distance = offset_at(cold.flags, extra.trail, price)
    limit = instrument_row(state, cold.instrument).price_limit
    stop = min(price + distance, limit) if cold.side == BUY else price - distance
    closer = stop < extra.stop_price if cold.side == BUY else stop > extra.stop_price
    if not closer:
        return STAYS
    if not has_page(state, cold.instrument, cold.side, stop):
        return NO_PAGE
    bookside = stop_side(cold.instrument, cold.side)
    queue.remove_at(state, bookside, slot, key_of(state, bookside, extra.stop_price))
    extra.stop_price = stop
    key = key_of(state, bookside, stop)
    queue.append_at(state, bookside, slot, level_for(state, bookside, key), key, 0)
    if VERIFY:
        page = find_page(state, bookside, key)
        assert order_row(state, slot).level == (page << PAGE_BITS) | (key & (PAGE_LEVELS - 1))
    return MOVED
