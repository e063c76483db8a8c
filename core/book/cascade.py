"""Orders that wait for their turn within one command: a binary heap, the lowest order id first.

Those that were triggered and are not matched yet; those of an instrument that are about to end.
The ids themselves lie in it: the row of an order that ends meanwhile may be gone by its turn.
"""

from core.book.pool import slot_of
from core.jit import VERIFY, inlined, kernel
from core.memory import Record, load_i64, store_i64
from core.rows import order_row


@inlined
def id_at(state: Record, place: int) -> int:
    return load_i64(state.cascade + (place << 3))


@inlined
def put(state: Record, place: int, order_id: int) -> None:
    store_i64(state.cascade + (place << 3), order_id)


@kernel
def push(state: Record, slot: int) -> None:
    """Put an open order in, once; there is room for all of them."""
    state.cascade_count += 1
    place = state.cascade_count
    if VERIFY:
        assert place <= state.orders_max
    order_id = order_row(state, slot).order_id
    while place > 1 and id_at(state, place >> 1) > order_id:
        put(state, place, id_at(state, place >> 1))
        place >>= 1
    put(state, place, order_id)


@kernel
def pop(state: Record) -> int:
    """Take out the slot of the lowest order id; there is one."""
    first = id_at(state, 1)
    last = id_at(state, state.cascade_count)
    state.cascade_count -= 1
    count = state.cascade_count
    place = 1
    while 2 * place <= count:
        child = 2 * place
        if child < count and id_at(state, child + 1) < id_at(state, child):
            child += 1
        if id_at(state, child) > last:
            break
        put(state, place, id_at(state, child))
        place = child
    put(state, place, last)
    return slot_of(first)
