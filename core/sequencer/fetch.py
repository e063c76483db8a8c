"""Asking early for the cache lines that a group of commands will touch.

Hints only: nothing here changes the state, and whatever is read here is read again by the command.
A line from memory costs more than a whole command; asked for together, a group's lines arrive side
by side.  Worth its few ns only when the open orders do not fit the cache (docs/performance.md).
"""

from typing import Final

from core import table
from core.book.levels import page_key
from core.constants import ORDER_SLOT_MASK, PAGE_BITS, PAGE_LEVELS, PRICE_MAX, SLOT_BYTES
from core.jit import inlined, kernel
from core.memory import Record, load_i64, prefetch
from core.messages import PLACE_ORDER, REPLACE_ORDER, SELL
from core.rows import (
    COLD_SHIFT,
    PAGE_SHIFT,
    UNIT_SHIFT,
    account_row,
    cold_row,
    level_at,
    order_row,
)
from core.sequencer.admit import place_at, replace_at

FETCH_SLOTS: Final = 64
FETCH_ABOVE: Final = 2_048  # Open orders.  Fewer, and all of it is in the second-level cache.
LINE_BYTES: Final = 64
NEXT_BYTES: Final = FETCH_SLOTS * SLOT_BYTES  # Commands are asked for this far ahead.


@kernel
def fetch(state: Record, start: int, end: int) -> None:
    """Ask for what the commands in the slots from ``start`` to ``end`` will touch."""
    for command in range(start, end, SLOT_BYTES):
        fetch_rows(state, command)
    for command in range(start, end, SLOT_BYTES):
        if place_at(command).kind == PLACE_ORDER:
            fetch_level(state, command)
        else:
            fetch_neighbours(state, command)
    for command in range(start, end, SLOT_BYTES):
        if place_at(command).kind == PLACE_ORDER:
            fetch_newest(state, command)


@inlined
def fetch_rows(state: Record, command: int) -> None:
    """What follows from the command alone: account, target, the bucket of its price's page."""
    place = place_at(command)
    prefetch(state.accounts + place.account * 128)
    if place.kind == PLACE_ORDER:
        prefetch(bucket(state, place.instrument, place.side, place.price))
        return
    slot = replace_at(command).order_id & ORDER_SLOT_MASK
    prefetch(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))
    prefetch(state.cold + (slot << COLD_SHIFT))
    prefetch(state.cold + (slot << COLD_SHIFT) + LINE_BYTES)


@inlined
def key_of(side: int, price: int) -> int:
    return price ^ (PRICE_MAX if side == SELL else 0)


@inlined
def bookside_of(instrument: int, side: int) -> int:
    return 2 * instrument + (1 if side == SELL else 0)


@inlined
def bucket(state: Record, instrument: int, side: int, price: int) -> int:
    """Address of the entry where the probe for a price's page begins."""
    key = page_key(bookside_of(instrument, side), key_of(side, price))
    return table.home(state.page_table, state.page_mask, key)


@inlined
def unit_of(state: Record, place: Record) -> int:
    """Unit of the level where a new order may come to rest; any other one where two prices share
    the entry of the page table."""
    page = load_i64(bucket(state, place.instrument, place.side, place.price) + 8)
    return (page << PAGE_BITS) | (key_of(place.side, place.price) & (PAGE_LEVELS - 1))


@inlined
def fetch_newest(state: Record, command: int) -> None:
    """The newest order of the level where a new one may come to rest."""
    level = level_at(state.arena + (unit_of(state, place_at(command)) << UNIT_SHIFT))
    prefetch(state.arena + (level.prev << UNIT_SHIFT))


@inlined
def fetch_level(state: Record, command: int) -> None:
    """The level where a new order may come to rest, and its account's newest open order."""
    place = place_at(command)
    unit = unit_of(state, place)
    prefetch(state.arena + (unit << UNIT_SHIFT))
    prefetch(state.pages + ((unit >> PAGE_BITS) << PAGE_SHIFT))
    if 0 < place.account <= state.accounts_used:
        prefetch(state.cold + (account_row(state, place.account).open_tail << COLD_SHIFT))


@inlined
def fetch_neighbours(state: Record, command: int) -> None:
    """What hangs on the target: its level, its neighbours there and among its account's orders."""
    slot = replace_at(command).order_id & ORDER_SLOT_MASK
    if not 0 < slot <= state.slots_used:
        return
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    prefetch(state.arena + (order.level << UNIT_SHIFT))
    prefetch(state.arena + (order.next << UNIT_SHIFT))
    prefetch(state.arena + (order.prev << UNIT_SHIFT))
    prefetch(state.pages + ((order.level >> PAGE_BITS) << PAGE_SHIFT))
    prefetch(state.cold + (cold.account_next << COLD_SHIFT))
    prefetch(state.cold + (cold.account_prev << COLD_SHIFT))
    if place_at(command).kind == REPLACE_ORDER:
        prefetch(bucket(state, cold.instrument, cold.side, place_at(command).price))
