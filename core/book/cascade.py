"""Orders that were triggered and wait for their turn: a binary heap, the lowest order id first."""

from core.jit import VERIFY, inlined, kernel
from core.memory import Record, load_i32, store_i32
from core.rows import order_row


@inlined
def slot_at(state: Record, place: int) -> int:
    return load_i32(state.cascade + (place << 2))


@inlined
def id_at(state: Record, place: int) -> int:
    return order_row(state, slot_at(state, place)).order_id  # type: ignore[no-any-return]


@kernel
def push(state: Record, slot: int) -> None:
    """Put an order in; every order has an extra row, so there is room."""
    state.cascade_count += 1
    place = state.cascade_count
    if VERIFY:
        assert place <= state.extras_max
    order_id = order_row(state, slot).order_id
    while place > 1 and id_at(state, place >> 1) > order_id:
        store_i32(state.cascade + (place << 2), slot_at(state, place >> 1))
        place >>= 1
    store_i32(state.cascade + (place << 2), slot)


@kernel
def pop(state: Record) -> int:
    """Take out the slot of the lowest order id; there is one."""
    first = slot_at(state, 1)
    last = slot_at(state, state.cascade_count)
    state.cascade_count -= 1
    count = state.cascade_count
    if count == 0:
        return first
    order_id = order_row(state, last).order_id
    place = 1
    while 2 * place <= count:
        child = 2 * place
        if child < count and id_at(state, child + 1) < id_at(state, child):
            child += 1
        if id_at(state, child) > order_id:
            break
        store_i32(state.cascade + (place << 2), slot_at(state, child))
        place = child
    store_i32(state.cascade + (place << 2), last)
    return first
