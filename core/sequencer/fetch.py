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
from core.memory import Record, address_of, load_i64, prefetch, prefetch_write, store_i64
from core.messages import BUY, CLIENT_ORDER_ID_AT
from core.records import UNIT_SHIFT
from core.risk.accounts import PAIR_SHIFT
from core.risk.ids import bucket_of
from core.risk.text import text_hash
from core.rows import (
    COLD_SHIFT,
    PAGE_SHIFT,
    account_at,
    bookside_at,
    cold_at,
    id_record_row,
    level_at,
    order_at,
    position_at,
)
from core.sequencer.admit import place_at, replace_at

FETCH_SLOTS: Final = 32
FETCH_ABOVE: Final = 2_048  # Open orders.  Fewer, and all of it is in the second-level cache.
IDS_ABOVE: Final = 4_096  # Ids; each is in a line of its own.
POSITIONS_ABOVE: Final = 1_024
LIMITS_ABOVE: Final = 1_024
LINE_BYTES: Final = 64
ID_RECORD_SHIFT: Final = 6
LEAVING_BYTES: Final = FETCH_SLOTS << ID_RECORD_SHIFT  # To the records of the next group.
NEXT_BYTES: Final = 64 * SLOT_BYTES  # Commands are asked for this far ahead.


@kernel
def fetch(state: Record, start: int, end: int) -> None:
    """Ask for what the commands in the slots from ``start`` to ``end`` will touch."""
    stay_apart()
    if state.open_orders > FETCH_ABOVE:
        fetch_book(state, start, end)
    if state.ids_count > IDS_ABOVE:
        fetch_ids(state, start, end)
    if state.ids_count == state.ids_max:
        fetch_leaving(state, end - start)
    if state.risk != 0 and state.positions_used > POSITIONS_ABOVE:
        fetch_money(state, start, end)
    if state.limits_used > LIMITS_ABOVE:
        fetch_limits(state, start, end)


@inlined
def fetch_ids(state: Record, start: int, end: int) -> None:
    """The buckets of their client order ids; of the empty one too, which nobody will look at."""
    for command in range(start, end, SLOT_BYTES):
        digest = text_hash(state, place_at(command).account, command + CLIENT_ORDER_ID_AT)
        prefetch(bucket_of(state, digest))


@inlined
def fetch_leaving(state: Record, length: int) -> None:
    """What the ids that leave a full table, one for each new one, are looked up in: their buckets,
    and the orders that they might be the current ids of.

    They leave in the order in which they came, so but for a few their records lie side by side.
    """
    row = state.ids_first
    for _ in range(0, length, SLOT_BYTES):
        if row == 0:  # There may be fewer than that; row 0 stands before the first record.
            break
        record = id_record_row(state, row)
        prefetch_write(bucket_of(state, text_hash(state, record.account, address_of(record))))
        slot = record.order_id & ORDER_SLOT_MASK
        prefetch(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))
        prefetch_write(address_of(record) + LEAVING_BYTES)
        row = record.next


@inlined
def fetch_money(state: Record, start: int, end: int) -> None:
    """Positions and balances: of an account in the instrument of its new order, and of the order
    that is named."""
    for command in range(start, end, SLOT_BYTES):
        prefetch(position_entry(state, command))
    for command in range(start, end, SLOT_BYTES):
        prefetch(state.positions + load_i64(position_entry(state, command) + 8) * 192)
        prefetch(state.positions + target_position(state, command) * 192)
    for command in range(start, end, SLOT_BYTES):
        prefetch_balances(state, load_i64(position_entry(state, command) + 8))
        prefetch_balances(state, target_position(state, command))


@inlined
def prefetch_balances(state: Record, row: int) -> None:
    """Those of a position."""
    position = position_at(state.positions + row * 192)
    prefetch(state.balances + position.base_balance * 32)
    prefetch(state.balances + position.quote_balance * 32)


@inlined
def target_position(state: Record, command: int) -> int:
    """Row of the position that belongs to the order that is named."""
    return cold_at(state.cold + (target_of(state, command) << COLD_SHIFT)).position  # type: ignore[no-any-return]


@inlined
def fetch_limits(state: Record, start: int, end: int) -> None:
    """Limits of their accounts, as a whole and in the instrument, which a position's second line
    knows."""
    for command in range(start, end, SLOT_BYTES):
        account = account_at(state.accounts + account_of(state, command) * 128)
        prefetch_limits(state, account.limits)
        row = load_i64(position_entry(state, command) + 8)
        prefetch(state.positions + row * 192 + LINE_BYTES)
        prefetch(state.positions + target_position(state, command) * 192 + LINE_BYTES)
    for command in range(start, end, SLOT_BYTES):
        row = load_i64(position_entry(state, command) + 8)
        prefetch_limits(state, position_at(state.positions + row * 192).limits)
        row = target_position(state, command)
        prefetch_limits(state, position_at(state.positions + row * 192).limits)


@inlined
def prefetch_limits(state: Record, row: int) -> None:
    """All of a row of limits."""
    address = state.limit_rows + row * 192
    prefetch_write(address)
    prefetch_write(address + LINE_BYTES)
    prefetch_write(address + 2 * LINE_BYTES)


@inlined
def position_entry(state: Record, command: int) -> int:
    """Address of the entry where the probe for a position begins."""
    place = place_at(command)
    key = (place.account << PAIR_SHIFT) | place.instrument
    return table.home(state.position_table, state.position_mask, key)


@inlined
def fetch_book(state: Record, start: int, end: int) -> None:
    """Accounts, targets and their neighbours, levels."""
    note = state.scratch
    for command in range(start, end, SLOT_BYTES):
        store_i64(note, fetch_rows(state, command))
        note += 8
    note = state.scratch
    for command in range(start, end, SLOT_BYTES):
        store_i64(note, fetch_neighbours(state, command, load_i64(note)))
        note += 8
    for place in range(state.scratch, note, 8):
        level = level_at(state.arena + (load_i64(place) << UNIT_SHIFT))
        prefetch(state.arena + (level.prev << UNIT_SHIFT))


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
def bookside_of(state: Record, command: int) -> int:
    """Side of a new order's price; that of a replace is not known from the command."""
    place = place_at(command)
    known = 0 < place.instrument <= state.instruments_used
    return 2 * place.instrument + ((place.side - BUY) & 1) if known else 0


@inlined
def bucket(state: Record, command: int) -> int:
    """Address of the entry where the probe for a price's page begins."""
    bookside = bookside_of(state, command)
    key = place_at(command).price ^ bookside_at(state.booksides + bookside * 64).flip
    page_key = (bookside << PAGE_INDEX_BITS) | (key >> PAGE_BITS)
    return table.home(state.page_table, state.page_mask, page_key)


@inlined
def fetch_rows(state: Record, command: int) -> int:
    """What follows from the command alone: account, target, the entry of its price's page, whose
    address is returned."""
    entry = bucket(state, command)
    slot = target_of(state, command)
    prefetch(state.accounts + account_of(state, command) * 128)
    prefetch(entry)
    prefetch(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))
    prefetch(state.cold + (slot << COLD_SHIFT))
    prefetch(state.cold + (slot << COLD_SHIFT) + LINE_BYTES)
    return entry


@inlined
def fetch_neighbours(state: Record, command: int, entry: int) -> int:
    """The level where a new order may come to rest, whose unit is returned, and its account's
    newest open order; the neighbours of the target, at its level and among its account's orders.

    Where two pages share the entry it may be the level of another price.
    """
    unit = (load_i64(entry + 8) << PAGE_BITS) | (level_bits(state, command))
    prefetch(state.arena + (unit << UNIT_SHIFT))
    prefetch(state.pages + ((unit >> PAGE_BITS) << PAGE_SHIFT))
    account = account_at(state.accounts + account_of(state, command) * 128)
    prefetch(state.cold + (account.open_tail << COLD_SHIFT))
    slot = target_of(state, command)
    order = order_at(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))
    cold = cold_at(state.cold + (slot << COLD_SHIFT))
    prefetch(state.arena + (order.level << UNIT_SHIFT))
    prefetch(state.arena + (order.next << UNIT_SHIFT))
    prefetch(state.arena + (order.prev << UNIT_SHIFT))
    prefetch(state.cold + (cold.account_next << COLD_SHIFT))
    prefetch(state.cold + (cold.account_prev << COLD_SHIFT))
    prefetch(state.id_records + (cold.id_record << ID_RECORD_SHIFT))
    return unit


@inlined
def level_bits(state: Record, command: int) -> int:
    """Place of a price's level in its page; the flip of an ask turns every bit of it."""
    place = place_at(command)
    return (place.price ^ -((place.side - BUY) & 1)) & (PAGE_LEVELS - 1)
