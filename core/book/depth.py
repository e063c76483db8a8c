"""Levels as readers see them: price, quantity, number of orders."""

from core.book.levels import level_at_key, next_level
from core.jit import kernel
from core.memory import Record, pointer
from core.messages import DEPTH_ITEM
from core.rows import bookside_row

item_at = pointer(DEPTH_ITEM)


@kernel
def write_level(state: Record, bookside: int, key: int, address: int) -> int:
    """Write the level of ``key`` at ``address``; the next worse key, or -1."""
    level = level_at_key(state, bookside, key)
    item = item_at(address)
    item.price = key ^ bookside_row(state, bookside).flip
    item.qty = level.shown
    item.orders = level.orders
    return next_level(state, bookside, key)
