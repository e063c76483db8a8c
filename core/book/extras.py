"""Rows for what only some orders have: taken at entry, given back at the end."""

from core.book import deadlines
from core.constants import ORDER_SLOT_MASK
from core.jit import inlined, kernel, seldom
from core.memory import Record, address_of, fill
from core.records import EXTRA_BYTES
from core.rows import extra_row, order_row


@inlined
def has_room(state: Record, rows: int) -> bool:
    return state.extras_count + rows <= state.extras_max  # type: ignore[no-any-return]


@kernel
def take(state: Record, slot: int) -> int:
    """A row for an order that has none; the caller has asked ``has_room``."""
    row = state.extras_free
    if row != 0:
        state.extras_free = extra_row(state, row).next
    else:
        state.extras_used += 1
        row = state.extras_used
    state.extras_count += 1
    extra = extra_row(state, row)
    fill(address_of(extra), 0, EXTRA_BYTES)
    extra.slot = slot
    order_row(state, slot).extra = row
    return row  # type: ignore[no-any-return]


@kernel
def give_back(state: Record, slot: int) -> None:
    """An order has ended: its deadline goes, its partner is left alone (``state.orphan``)."""
    seldom()
    order = order_row(state, slot)
    row = order.extra
    extra = extra_row(state, row)
    if extra.deadline != 0:
        deadlines.remove(state, extra.deadline)
    if extra.partner != 0:
        other = extra.partner & ORDER_SLOT_MASK
        extra_row(state, order_row(state, other).extra).partner = 0
        state.orphan = other
    fill(address_of(extra), 0, EXTRA_BYTES)
    extra.next = state.extras_free
    state.extras_free = row
    state.extras_count -= 1
    order.extra = 0
