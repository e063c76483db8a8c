"""What happens at a time: a binary heap of deadlines, the earliest first, then by sequence.

The row that a deadline is about knows its place, so that it can be taken out.
"""

from core.jit import VERIFY, inlined, kernel
from core.memory import Record
from core.records import DUE_DEAD_MAN, DUE_ORDER
from core.rows import account_row, deadline_row, extra_row, instrument_row


@inlined
def next_deadline(state: Record) -> int:
    """When the earliest one is; 0 where there is none."""
    return deadline_row(state, 1).when_ns if state.deadlines_count > 0 else 0


@inlined
def note_place(state: Record, place: int) -> None:
    """Tell the row that it is about where a deadline lies."""
    entry = deadline_row(state, place)
    set_place(state, entry.kind, entry.row, place)


@kernel
def set_place(state: Record, kind: int, row: int, place: int) -> None:
    if kind == DUE_ORDER:
        extra_row(state, row).deadline = place
    elif kind == DUE_DEAD_MAN:
        account_row(state, row).dead_man = place
    else:
        instrument_row(state, row).clearing = place


@inlined
def is_before(state: Record, left: int, right: int) -> bool:
    one, two = deadline_row(state, left), deadline_row(state, right)
    if one.when_ns != two.when_ns:
        return one.when_ns < two.when_ns  # type: ignore[no-any-return]
    if one.sequence != two.sequence:
        return one.sequence < two.sequence  # type: ignore[no-any-return]
    return one.row < two.row  # type: ignore[no-any-return]


@kernel
def exchange(state: Record, left: int, right: int) -> None:
    one, two = deadline_row(state, left), deadline_row(state, right)
    when_ns, sequence, kind, row = one.when_ns, one.sequence, one.kind, one.row
    one.when_ns, one.sequence, one.kind, one.row = two.when_ns, two.sequence, two.kind, two.row
    two.when_ns, two.sequence, two.kind, two.row = when_ns, sequence, kind, row
    note_place(state, left)
    note_place(state, right)


@kernel
def add(state: Record, when_ns: int, kind: int, row: int) -> None:
    """Set a deadline for a row that has none; there always is a place."""
    state.deadlines_count += 1
    place = state.deadlines_count
    if VERIFY:
        assert place <= state.deadlines_max
    entry = deadline_row(state, place)
    entry.when_ns = when_ns
    entry.sequence = state.sequence
    entry.kind = kind
    entry.row = row
    note_place(state, place)
    rise(state, place)


@kernel
def rise(state: Record, place: int) -> int:
    while place > 1 and is_before(state, place, place >> 1):
        exchange(state, place, place >> 1)
        place >>= 1
    return place


@kernel
def sink(state: Record, place: int) -> None:
    count = state.deadlines_count
    while 2 * place <= count:
        child = 2 * place
        if child < count and is_before(state, child + 1, child):
            child += 1
        if not is_before(state, child, place):
            return
        exchange(state, place, child)
        place = child


@kernel
def remove(state: Record, place: int) -> None:
    """Take out the deadline at a place; the row that it is about has none any more."""
    last = state.deadlines_count
    if place != last:
        exchange(state, place, last)
    gone = deadline_row(state, last)
    set_place(state, gone.kind, gone.row, 0)
    gone.when_ns = 0
    gone.sequence = 0
    gone.kind = 0
    gone.row = 0
    state.deadlines_count -= 1
    if place != last:
        sink(state, rise(state, place))
