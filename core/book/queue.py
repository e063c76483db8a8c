"""The queue of one price level: orders oldest first, in a circular list through the level."""

from core.book.levels import close_level, mark_filled, mark_taken
from core.jit import VERIFY, inlined
from core.memory import Record
from core.rows import bookside_row, cold_row, level_row, link_row, order_row


@inlined
def append(state: Record, bookside: int, slot: int, unit: int) -> None:
    """Rest an order at the end of the level of its price, which is ``unit`` (``level_for``)."""
    order = order_row(state, slot)
    key = order.price ^ bookside_row(state, bookside).flip
    append_at(state, bookside, slot, unit, key, order.leaves)


@inlined
def append_at(state: Record, bookside: int, slot: int, unit: int, key: int, shown: int) -> None:
    """``append`` at a key that is not that of the order's price, or of less than all of it."""
    order = order_row(state, slot)
    own = state.order_base + 2 * slot
    level = level_row(state, unit)
    last = level.prev
    level.opener = cold_row(state, slot).account if last == unit else level.opener
    link_row(state, last).next = own
    order.prev = last
    order.next = unit
    order.shown = shown
    order.level = unit
    level.prev = own
    level.shown += shown
    level.orders += 1
    mark_filled(state, bookside, key, unit, int(last == unit))


@inlined
def remove(state: Record, bookside: int, slot: int) -> None:
    """Take a resting order out of its level."""
    key = order_row(state, slot).price ^ bookside_row(state, bookside).flip
    remove_at(state, bookside, slot, key)


@inlined
def remove_at(state: Record, bookside: int, slot: int, key: int) -> None:
    """``remove`` from a key that is not that of the order's price."""
    order = order_row(state, slot)
    unit = order.level
    level = level_row(state, unit)
    before = order.prev
    after = order.next
    link_row(state, before).next = after
    link_row(state, after).prev = before
    level.shown -= order.shown
    level.orders -= 1
    order.level = 0
    # Only the level itself can be on both sides.
    mark_taken(state, bookside, key, unit, int(before == after))
    if state.limits_used != 0 and before == after:
        close_level(state, bookside, level.opener)
    if VERIFY:
        assert level.shown >= 0
        assert (level.orders == 0) == (level.next == unit)


@inlined
def reduce(state: Record, slot: int, qty: int) -> None:
    """Show ``qty`` lots less of a resting order; its place in the queue is kept."""
    order = order_row(state, slot)
    order.shown -= qty
    level = level_row(state, order.level)
    level.shown -= qty
    if VERIFY:
        assert order.shown > 0 and level.shown >= order.shown
