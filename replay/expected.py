"""What orders, balances and positions should be by the events alone.

After a command its events move what is expected, and every row that they touch must be as expected
(reliability.md section 6, tier E).  ``apply_checked`` does that; ``replay.check`` leads it.
"""

from core.constants import ORDER_SLOT_MASK, SLOT_BYTES
from core.jit import call_entry, kernel
from core.memory import Record, pointer
from core.messages import (
    COMMAND,
    DEPOSIT,
    FILL,
    LAST,
    LEDGER,
    MAKER,
    ORDER_ACCEPTED,
    ORDER_CANCELED,
    ORDER_EXPIRED,
    ORDER_REDUCED,
    ORDER_REFILLED,
    ORDER_REPLACED,
    ORDER_RESTED,
    ORDER_TRIGGERED,
    PRIORITY_KEPT,
    SELL_SIDE,
    TRANSFER,
    WITHDRAW,
)
from core.records import INSTRUMENT_OUTSIDE
from core.risk.accounts import find_balance
from core.rows import (
    bookside_row,
    cold_row,
    instrument_row,
    level_row,
    order_of_unit,
    order_row,
    position_row,
    state_at,
)
from replay.rules import (
    ASSERTION,
    CUM,
    ENDED,
    EVENT_INDEX,
    EVENT_LAST,
    EVENT_SEQUENCE,
    FILL_LIMIT,
    FILL_OPEN,
    FILL_PRICE,
    FILL_PRIORITY,
    FILL_QUEUE,
    FILL_SIDES,
    LEAVES,
    LEDGER_SUM,
    ROW_TAKEN,
    SEQUENCE,
    TIME,
)
from replay.seen import check_at, event_of, owe, position_at, seen_order, wrong
from replay.touched import look

command_at = pointer(COMMAND)


@kernel
def apply_checked(check_address: int, commands: int, slots: int) -> int:
    """Apply commands one by one and check each; stops behind the first that breaks something, or
    after ``until`` of them.  How many slots."""
    check = check_at(check_address)
    state = state_at(check.state)
    check.commands = 0
    place = 0
    while place < slots and check.rule == 0 and check.commands < check.until:
        command = commands + place * SLOT_BYTES
        size = max(command_at(command).slots, 1)
        check.place = place
        check.before = state.cursor
        if call_entry(check.apply_entry, check.state, command, size) < 0:
            wrong(check, ASSERTION, 0, 0, 1)
            return place
        place += size
        check.commands += 1
        follow(check, state)
        look(check, state)
    return place


@kernel
def follow(check: Record, state: Record) -> None:
    """Move what is expected by the events of the command."""
    wrong(check, SEQUENCE, 0, 1, 1 if state.sequence > check.sequence else 0)
    wrong(check, TIME, 0, 1, 1 if state.timestamp_ns >= check.timestamp_ns else 0)
    check.sequence = state.sequence
    check.timestamp_ns = state.timestamp_ns
    check.fill_key = -1
    check.ledger = 0
    count = state.cursor - check.before
    check.cascades = 0
    for index in range(count):
        if event_of(state, check.before + index).kind == ORDER_TRIGGERED:
            check.cascades = 1
    for index in range(count):
        event = event_of(state, check.before + index)
        wrong(check, EVENT_SEQUENCE, index, state.sequence, event.sequence)
        wrong(check, EVENT_INDEX, index, index, event.index)
        wrong(check, EVENT_LAST, index, 1 if index == count - 1 else 0, event.flags & LAST)
        if event.kind == FILL:
            follow_fill(check, state, event, index, count)
        elif event.kind == LEDGER:
            if event.price in (DEPOSIT, WITHDRAW, TRANSFER):  # Others end in no account.
                check.ledger += event.qty
            owe(check, find_balance(state, event.account, event.instrument), event.qty)
        else:
            follow_order(check, state, event, index)
    check.events += count
    wrong(check, LEDGER_SUM, 0, 0, check.ledger)


@kernel
def follow_order(check: Record, state: Record, event: Record, index: int) -> None:
    """An order came, went or changed."""
    kind = event.kind
    seen = seen_order(check, event.order_id)
    if kind == ORDER_ACCEPTED:
        wrong(check, ROW_TAKEN, event.order_id, 0, seen.is_open)
        seen.order_id = event.order_id
        seen.leaves = event.qty
        seen.cum = 0
        seen.hold = 0
        seen.lots = 0
        seen.position = cold_row(state, event.order_id & ORDER_SLOT_MASK).position
        seen.is_open = 1
        seen.arrival = check.events + index
        check.open_orders += 1
    elif kind in (ORDER_CANCELED, ORDER_EXPIRED):
        wrong(check, ENDED, event.order_id, 1, seen.is_open)
        wrong(check, LEAVES, event.order_id, seen.leaves, event.qty)
        end(check, seen)
    elif kind == ORDER_REDUCED:
        seen.leaves -= event.qty
        wrong(check, LEAVES, event.order_id, seen.leaves, event.leaves)
    elif kind == ORDER_REPLACED:
        wrong(check, ENDED, event.order_id, 1, seen.is_open)
        wrong(check, CUM, event.order_id, seen.cum, event.cum)
        wrong(check, LEAVES, event.order_id, event.qty - event.cum, event.leaves)
        seen.leaves = event.leaves
        if event.flags & PRIORITY_KEPT == 0:
            seen.arrival = check.events + index
    elif kind in (ORDER_RESTED, ORDER_REFILLED):
        seen.arrival = check.events + index


@kernel
def end(check: Record, seen: Record) -> None:
    seen.leaves = 0
    seen.is_open = 0
    check.open_orders -= 1


@kernel
def follow_fill(check: Record, state: Record, event: Record, index: int, count: int) -> None:
    """One side of a fill: quantity, money, position; with the taker's, what both have in common."""
    seen = seen_order(check, event.order_id)
    slot = event.order_id & ORDER_SLOT_MASK
    wrong(check, FILL_OPEN, event.order_id, 1, seen.is_open)
    if check.rule != 0:
        return
    seen.leaves -= event.qty
    seen.cum += event.qty
    wrong(check, LEAVES, event.order_id, seen.leaves, event.leaves)
    wrong(check, CUM, event.order_id, seen.cum, event.cum)
    terms = instrument_row(state, event.instrument)
    position = position_row(state, seen.position)
    net = position_at(check.positions + seen.position * 16)
    notional = event.price * event.qty * terms.multiplier
    sign = -1 if event.flags & SELL_SIDE != 0 else 1
    net.net += sign * event.qty
    owe(check, position.base_balance, sign * event.qty * terms.base_per_lot)
    owe(check, position.quote_balance, -sign * notional - event.fee)
    owe(check, terms.fees_balance, event.fee)
    if terms.special & INSTRUMENT_OUTSIDE != 0:
        if seen.leaves == 0:
            end(check, seen)
        return
    if event.flags & MAKER == 0:
        pair(check, state, event, index, count)
        if order_row(state, slot).price != 0:
            beyond = sign * (event.price - order_row(state, slot).price)
            wrong(check, FILL_LIMIT, event.order_id, 0, 1 if beyond > 0 else 0)
    else:
        wrong(check, FILL_PRICE, event.order_id, order_row(state, slot).price, event.price)
        look_at_queue(check, state, event, seen.arrival)
    if seen.leaves == 0:
        end(check, seen)


@kernel
def look_at_queue(check: Record, state: Record, maker: Record, arrival: int) -> None:
    """Whoever is first at the price of a fill now came after the maker, or is the maker.

    Not asked of a cascade: who came to rest later in it is known only after this."""
    if check.cascades != 0:
        return
    side = bookside_row(state, 2 * maker.instrument + (1 if maker.flags & SELL_SIDE != 0 else 0))
    if side.best_key < 0 or side.best_key ^ side.flip != maker.price:
        return
    head = order_of_unit(state, level_row(state, side.best_level).next)
    first = seen_order(check, head.order_id)
    wrong(check, FILL_QUEUE, maker.order_id, 1, 1 if first.arrival >= arrival else 0)


@kernel
def pair(check: Record, state: Record, taker: Record, index: int, count: int) -> None:
    """The maker's side comes next, of the same quantity and price; the price is in its turn."""
    check.trades += 1
    if index + 1 >= count:
        wrong(check, FILL_SIDES, taker.order_id, 1, 0)
        return
    maker = event_of(state, check.before + index + 1)
    same = maker.kind == FILL and maker.flags & MAKER != 0
    same = same and maker.qty == taker.qty and maker.price == taker.price
    same = same and maker.instrument == taker.instrument and taker.qty > 0
    same = same and (maker.flags ^ taker.flags) & SELL_SIDE != 0
    wrong(check, FILL_SIDES, taker.order_id, 1, 1 if same else 0)
    other = 2 * taker.instrument + (0 if taker.flags & SELL_SIDE != 0 else 1)
    side = bookside_row(state, other)
    key = taker.price ^ side.flip
    in_turn = key <= check.fill_key or check.fill_key < 0
    in_turn = in_turn and side.best_key <= key
    in_turn = in_turn or check.cascades != 0  # Many takers, and some that rest in between.
    wrong(check, FILL_PRIORITY, taker.order_id, 1, 1 if in_turn else 0)
    check.fill_key = key
