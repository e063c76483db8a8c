"""Asking early for the cache lines that a group of commands will touch.

Hints only: nothing here changes the state, and whatever is read here is read again by the command.
A line from memory costs more than a whole command; asked for together, a group's lines arrive side
by side.  Worth its few ns only when the open orders do not fit the cache (docs/performance.md).

The kind of the next command is what no branch predictor knows, so nothing here asks for it: every
command is taken for one that names an order *and* a price.  Where it names none, row 0 is asked
for.
"""

from typing import Final

from core import table
from core.constants import ORDER_SLOT_MASK, PAGE_BITS, PAGE_INDEX_BITS, PAGE_LEVELS, SLOT_BYTES
from core.jit import inlined, kernel, stay_apart
from core.memory import Record, load_i64, prefetch
from core.messages import BUY, CLIENT_ORDER_ID_AT
from core.risk.accounts import PAIR_SHIFT
from core.risk.ids import bucket_of
from core.risk.text import text_hash
from core.rows import (
    COLD_SHIFT,
    PAGE_SHIFT,
    UNIT_SHIFT,
    bookside_at,
    cold_at,
    order_at,
    position_at,
)
from core.sequencer.admit import place_at, replace_at

FETCH_SLOTS: Final = 32
FETCH_ABOVE: Final = 256  # Open orders.  Fewer, and all of it is in the second-level cache.
IDS_ABOVE: Final = 4_096  # Ids; each is in a line of its own.
POSITIONS_ABOVE: Final = 1_024
LINE_BYTES: Final = 64
NEXT_BYTES: Final = 64 * SLOT_BYTES  # Commands are asked for this far ahead.


@kernel
def fetch(state: Record, start: int, end: int) -> None:
    """Ask for what the commands in the slots from ``start`` to ``end`` will touch."""
    stay_apart()
    if state.open_orders > FETCH_ABOVE:
        fetch_book(state, start, end)
    if state.ids_count > IDS_ABOVE:
        fetch_ids(state, start, end)
    if state.risk != 0 and state.positions_used > POSITIONS_ABOVE:
        fetch_money(state, start, end)


@inlined
def fetch_ids(state: Record, start: int, end: int) -> None:
    """The buckets of their client order ids; of the empty one too, which nobody will look at."""
    for command in range(start, end, SLOT_BYTES):
        digest = text_hash(state, place_at(command).account, command + CLIENT_ORDER_ID_AT)
        prefetch(bucket_of(state, digest))


@inlined
def fetch_money(state: Record, start: int, end: int) -> None:
    """Position and balances of their accounts."""
    for command in range(start, end, SLOT_BYTES):
        prefetch(position_entry(state, command))
    for command in range(start, end, SLOT_BYTES):
        prefetch(state.positions + load_i64(position_entry(state, command) + 8) * 128)
    for command in range(start, end, SLOT_BYTES):
        row = load_i64(position_entry(state, command) + 8)
        position = position_at(state.positions + row * 128)
        prefetch(state.balances + position.base_balance * 32)
        prefetch(state.balances + position.quote_balance * 32)


@inlined
def position_entry(state: Record, command: int) -> int:
    """Address of the entry where the probe for a position begins."""
    place = place_at(command)
    key = (place.account << PAIR_SHIFT) | place.instrument
    return table.home(state.position_table, state.position_mask, key)


@inlined
def fetch_book(state: Record, start: int, end: int) -> None:
    """Rows of accounts and targets; then the levels that the targets leave and those that prices
    lead to.

    Only what is loaded: a store that finds its line missing keeps nobody waiting, so neighbours in
    a list, which are only written to, are not asked for.
    """
    for command in range(start, end, SLOT_BYTES):
        slot = target_of(state, command)
        cold = state.cold + (slot << COLD_SHIFT)
        prefetch(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))
        prefetch(cold)
        prefetch(cold + LINE_BYTES)
        prefetch(state.accounts + account_of(state, command) * 128)
    for command in range(start, end, SLOT_BYTES):
        fetch_levels(state, command)


@inlined
def target_of(state: Record, command: int) -> int:
    """Slot of the order that is named, 0 when none is or the slot was never used."""
    slot = replace_at(command).order_id & ORDER_SLOT_MASK
    return slot if slot <= state.slots_used else 0


@inlined
def account_of(state: Record, command: int) -> int:
    account = place_at(command).account
    return account if 0 <= account <= state.accounts_used else 0


@inlined
def fetch_levels(state: Record, command: int) -> None:
    """The level of the target, and that of the command's price on the target's side, or on its own
    where it names no order.  Where two pages share a hash entry it may be another level."""
    place = place_at(command)
    slot = target_of(state, command)
    order = order_at(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))
    cold = cold_at(state.cold + (slot << COLD_SHIFT))
    prefetch(state.arena + (order.level << UNIT_SHIFT))
    instrument = cold.instrument if slot != 0 else place.instrument
    instrument = instrument if 0 < instrument <= state.instruments_used else 0
    ask = ((cold.side if slot != 0 else place.side) - BUY) & 1
    bookside = 2 * instrument + ask
    key = place.price ^ bookside_at(state.booksides + bookside * 64).flip
    page_key = (bookside << PAGE_INDEX_BITS) | (key >> PAGE_BITS)
    entry = table.home(state.page_table, state.page_mask, page_key)
    unit = (load_i64(entry + 8) << PAGE_BITS) | (key & (PAGE_LEVELS - 1))
    prefetch(state.arena + (unit << UNIT_SHIFT))
    prefetch(state.pages + ((unit >> PAGE_BITS) << PAGE_SHIFT))
