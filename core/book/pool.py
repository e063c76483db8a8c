"""Slots of orders: where a new order's row comes from, and how long an ended one stays readable."""

from typing import Final

from core.constants import ORDER_SLOT_BITS, ORDER_SLOT_MASK
from core.jit import VERIFY, inlined
from core.memory import Record, load_i32, prefetch_write, store_i32
from core.messages import STATUS_FREE
from core.records import UNIT_SHIFT
from core.rows import COLD_SHIFT, cold_row, order_row

AHEAD_SLOTS: Final = 8
COLD_BYTES: Final = 1 << COLD_SHIFT


@inlined
def take_slot(state: Record) -> int:
    """A free slot: the one freed last, else one never used.  There always is one, because
    open orders and kept ones together never exceed the pool."""
    freed = state.free_slot
    state.slots_used += 1 if freed == 0 else 0
    slot = freed if freed != 0 else state.slots_used
    if VERIFY:
        assert slot < state.orders_max + state.closed_keep + 1
    prefetch_rows(state, state.slots_used + AHEAD_SLOTS)
    state.free_slot = order_row(state, slot).next  # 0 in a row that was never used.
    return slot  # type: ignore[no-any-return]


@inlined
def prefetch_rows(state: Record, slot: int) -> None:
    """Ask for the rows of a slot that is used soon, and was not for long."""
    prefetch_write(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))
    prefetch_write(state.cold + (slot << COLD_SHIFT))
    prefetch_write(state.cold + (slot << COLD_SHIFT) + COLD_BYTES // 2)


@inlined
def keep_closed(state: Record, slot: int) -> None:
    """An order has ended: keep its row, and free the row of the one that ended first if there
    are more than ``closed_keep``."""
    if state.closed_count == state.closed_keep:
        ahead = state.closed_first + AHEAD_SLOTS
        if ahead < state.closed_keep:
            prefetch_rows(state, load_i32(state.closed + (ahead << 2)))
        oldest = load_i32(state.closed + (state.closed_first << 2))
        free_slot(state, oldest)
        state.closed_first += 1
        if state.closed_first == state.closed_keep:
            state.closed_first = 0
        state.closed_count -= 1
    place = state.closed_first + state.closed_count
    if place >= state.closed_keep:
        place -= state.closed_keep
    store_i32(state.closed + (place << 2), slot)
    state.closed_count += 1


@inlined
def free_slot(state: Record, slot: int) -> None:
    order = order_row(state, slot)
    order.order_id = 0
    order.next = state.free_slot
    cold_row(state, slot).status = STATUS_FREE
    state.free_slot = slot


@inlined
def find_order(state: Record, order_id: int, account: int) -> int:
    """Slot of the row with exactly this order id and account, or 0."""
    slot = order_id & ORDER_SLOT_MASK
    if order_id <= 0 or slot == 0 or slot > state.slots_used:
        return 0
    order = order_row(state, slot)
    if order.order_id != order_id or cold_row(state, slot).account != account:
        return 0
    return slot


@inlined
def slot_of(order_id: int) -> int:
    return order_id & ORDER_SLOT_MASK


@inlined
def new_order_id(sequence: int, slot: int) -> int:
    return (sequence << ORDER_SLOT_BITS) | slot
