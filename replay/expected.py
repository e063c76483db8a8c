"""What orders, balances and positions should be by the events alone.

After a command its events move what is expected, and every row that they touch must be as expected
(reliability.md section 6, tier E).  ``apply_checked`` does that; ``replay.check`` leads it.
"""

from typing import Final

from core.constants import ORDER_SLOT_MASK, SLOT_BYTES
from core.jit import call_entry, kernel
from core.layout import record
from core.memory import Record, pointer
from core.messages import (
    BUY,
    COMMAND,
    EVENT,
    FILL,
    LAST,
    LEDGER,
    MAKER,
    MARKET,
    ORDER_ACCEPTED,
    ORDER_CANCELED,
    ORDER_EXPIRED,
    ORDER_REDUCED,
    ORDER_REPLACED,
    PRIORITY_KEPT,
    SELL,
    SELL_SIDE,
    STATUS_OPEN,
)
from core.risk.accounts import OUTSIDE_ACCOUNT, find_balance
from core.risk.holds import hold_of
from core.risk.money import ppm_up
from core.rows import (
    balance_row,
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
    BALANCE_HELD,
    BALANCE_NEGATIVE,
    BALANCE_TOTAL,
    BEST_EMPTY,
    CROSSED,
    CUM,
    ENDED,
    EVENT_INDEX,
    EVENT_LAST,
    EVENT_SEQUENCE,
    EVENTS,
    FILL_LIMIT,
    FILL_OPEN,
    FILL_PRICE,
    FILL_PRIORITY,
    FILL_QUEUE,
    FILL_SIDES,
    HOLD_FEE,
    LEAVES,
    LEDGER_SUM,
    OPEN_ORDERS,
    POSITION_HELD,
    POSITION_NET,
    POSITION_SUM,
    ROW_CUM,
    ROW_LEAVES,
    ROW_PLACE,
    ROW_TAKEN,
    SEQUENCE,
    TIME,
    TRADES,
)

EVENT_SHIFT: Final = 7

SEEN_ORDER: Final = record(
    "an order by its events",
    64,
    [
        ("order_id", "<i8"),
        ("leaves", "<i8"),
        ("cum", "<i8"),
        ("hold", "<i8"),  # Cash or base units, as last found and checked.
        ("lots", "<i8"),  # Lots held: SELL.
        ("position", "<i8"),
        ("is_open", "<i8"),
        ("arrival", "<i8"),  # Rises: who rests at a price with a lower one trades first.
    ],
)
SEEN_BALANCE: Final = record(
    "a balance by events and orders",
    32,
    [("total", "<i8"), ("need", "<i8"), ("owed", "<i8"), ("reserved", "<i8")],
)
SEEN_POSITION: Final = record("a position by events", 16, [("net", "<i8"), ("held", "<i8")])
CHECK: Final = record(
    "what the checker works with",
    256,
    [
        ("state", "<i8"),
        ("apply_entry", "<i8"),
        ("orders", "<i8"),  # Addresses of what is expected.
        ("balances", "<i8"),
        ("positions", "<i8"),
        ("before", "<i8"),  # Events of the epoch before the command at hand.
        ("place", "<i8"),  # Slots before it.
        ("commands", "<i8"),  # Applied in this call.
        ("until", "<i8"),  # Stop after this many.
        ("sequence", "<i8"),  # Of the command before.
        ("timestamp_ns", "<i8"),
        ("open_orders", "<i8"),
        ("trades", "<i8"),
        ("events", "<i8"),
        ("fill_key", "<i8"),  # Of the last fill of this command; -1: none yet.
        ("ledger", "<i8"),  # Sum of the LEDGER amounts of this command.
        ("rule", "<i8"),  # What is broken first; 0: nothing.
        ("row", "<i8"),
        ("expected", "<i8"),
        ("found", "<i8"),
        ("reserved", "<i8", (12,)),
    ],
)
_check_at = pointer(CHECK)
_order_at = pointer(SEEN_ORDER)
_balance_at = pointer(SEEN_BALANCE)
_position_at = pointer(SEEN_POSITION)
_event_at = pointer(EVENT)
_command_at = pointer(COMMAND)


@kernel
def wrong(check: Record, rule: int, row: int, expected: int, found: int) -> None:
    """Remember the first thing that is wrong."""
    if check.rule == 0 and expected != found:
        check.rule = rule
        check.row = row
        check.expected = expected
        check.found = found


@kernel
def apply_checked(check_address: int, commands: int, slots: int) -> int:
    """Apply commands one by one and check each; stops behind the first that breaks something, or
    after ``until`` of them.  How many slots."""
    check = _check_at(check_address)
    state = state_at(check.state)
    check.commands = 0
    place = 0
    while place < slots and check.rule == 0 and check.commands < check.until:
        command = commands + place * SLOT_BYTES
        size = max(_command_at(command).slots, 1)
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
def event_of(state: Record, number: int) -> Record:
    """Event ``number`` of the epoch."""
    return _event_at(state.ring + ((number & state.ring_mask) << EVENT_SHIFT))


@kernel
def seen_order(check: Record, order_id: int) -> Record:
    return _order_at(check.orders + (order_id & ORDER_SLOT_MASK) * 64)


@kernel
def owe(check: Record, balance: int, amount: int) -> None:
    """By an event, the total of a balance has to change by this."""
    _balance_at(check.balances + balance * 32).owed += amount


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
    for index in range(count):
        event = event_of(state, check.before + index)
        wrong(check, EVENT_SEQUENCE, index, state.sequence, event.sequence)
        wrong(check, EVENT_INDEX, index, index, event.index)
        wrong(check, EVENT_LAST, index, 1 if index == count - 1 else 0, event.flags & LAST)
        if event.kind == FILL:
            follow_fill(check, state, event, index, count)
        elif event.kind == LEDGER:
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
    net = _position_at(check.positions + seen.position * 16)
    notional = event.price * event.qty * terms.multiplier
    sign = -1 if event.flags & SELL_SIDE != 0 else 1
    net.net += sign * event.qty
    owe(check, position.base_balance, sign * event.qty * terms.base_per_lot)
    owe(check, position.quote_balance, -sign * notional - event.fee)
    owe(check, terms.fees_balance, event.fee)
    if event.flags & MAKER == 0:
        pair(check, state, event, index, count)
        cold = cold_row(state, slot)
        if cold.order_type != MARKET:
            beyond = sign * (event.price - order_row(state, slot).price)
            wrong(check, FILL_LIMIT, event.order_id, 0, 1 if beyond > 0 else 0)
    else:
        wrong(check, FILL_PRICE, event.order_id, order_row(state, slot).price, event.price)
        look_at_queue(check, state, event, seen.arrival)
    if seen.leaves == 0:
        end(check, seen)


@kernel
def look_at_queue(check: Record, state: Record, maker: Record, arrival: int) -> None:
    """Whoever is first at the price of a fill now came after the maker, or is the maker."""
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
    wrong(check, FILL_PRIORITY, taker.order_id, 1, 1 if in_turn else 0)
    check.fill_key = key


@kernel
def look(check: Record, state: Record) -> None:
    """Is every row that the events touched as expected?"""
    if check.rule != 0:
        return
    for number in range(check.before, state.cursor):
        event = event_of(state, number)
        if event.kind == LEDGER:
            row = find_balance(state, event.account, event.instrument)
            look_at_balance(check, state, row)
        elif event.kind == FILL or is_about_open(event.kind):
            look_at_order(check, state, event.order_id)
    for number in range(check.before, state.cursor):  # After the needs of all its orders.
        event = event_of(state, number)
        if event.kind == FILL or is_about_open(event.kind):
            look_at_owner(check, state, seen_order(check, event.order_id).position)
            look_at_book(check, state, event.instrument)
    wrong(check, OPEN_ORDERS, 0, check.open_orders, state.open_orders)
    wrong(check, TRADES, 0, check.trades, state.trades)
    wrong(check, EVENTS, 0, check.events, state.events)


@kernel
def is_about_open(kind: int) -> bool:
    """Events after which an order is another than before."""
    return kind in (
        ORDER_ACCEPTED,
        ORDER_CANCELED,
        ORDER_EXPIRED,
        ORDER_REDUCED,
        ORDER_REPLACED,
    )


@kernel
def look_at_order(check: Record, state: Record, order_id: int) -> None:
    """Row, place and hold of an order; what it needs is added to its balance."""
    seen = seen_order(check, order_id)
    slot = order_id & ORDER_SLOT_MASK
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    hold = 0
    lots = 0
    if seen.is_open != 0:
        terms = instrument_row(state, cold.instrument)
        wrong(check, ROW_LEAVES, order_id, seen.leaves, order.leaves)
        wrong(check, ROW_CUM, order_id, seen.cum, order.cum)
        rests = order.level != 0 and cold.status == STATUS_OPEN and order.shown == order.leaves
        rests = rests and order.leaves > 0 and order.order_id == order_id
        wrong(check, ROW_PLACE, order_id, 1, 1 if rests else 0)
        hold = hold_of(terms, order, cold)
        lots = order.leaves if cold.side == SELL else 0
        most = ppm_up(order.price * order.leaves * terms.multiplier, terms.hold_ppm)
        fits = cold.side == SELL or (cold.hold_fee >= 0 and cold.hold_fee <= most)
        wrong(check, HOLD_FEE, order_id, 1, 1 if fits else 0)
    elif order.order_id == order_id:
        gone = order.level == 0 and cold.status != STATUS_OPEN and order.leaves == 0
        wrong(check, ROW_PLACE, order_id, 1, 1 if gone else 0)
    position = position_row(state, seen.position)
    row = position.quote_balance if cold.side == BUY else position.base_balance
    _balance_at(check.balances + row * 32).need += hold - seen.hold
    _position_at(check.positions + seen.position * 16).held += lots - seen.lots
    seen.hold = hold
    seen.lots = lots


@kernel
def look_at_owner(check: Record, state: Record, row: int) -> None:
    """Balances and position of whoever an order is of, and the fees of its instrument."""
    position = position_row(state, row)
    seen = _position_at(check.positions + row * 16)
    look_at_balance(check, state, position.base_balance)
    look_at_balance(check, state, position.quote_balance)
    look_at_balance(check, state, instrument_row(state, position.instrument).fees_balance)
    wrong(check, POSITION_NET, row, seen.net, position.net)
    wrong(check, POSITION_HELD, row, seen.held, position.held)
    wrong(check, POSITION_SUM, row, position.bought - position.sold, position.net)


@kernel
def look_at_balance(check: Record, state: Record, row: int) -> None:
    """A balance is what events and open orders say, and not negative."""
    balance = balance_row(state, row)
    seen = _balance_at(check.balances + row * 32)
    seen.total += seen.owed
    seen.owed = 0
    wrong(check, BALANCE_TOTAL, row, seen.total, balance.available + balance.held)
    wrong(check, BALANCE_HELD, row, seen.need, balance.held)
    negative = balance.available < 0 and balance.account != OUTSIDE_ACCOUNT
    wrong(check, BALANCE_NEGATIVE, row, 0, balance.available if negative else 0)


@kernel
def look_at_book(check: Record, state: Record, instrument: int) -> None:
    """Best bid below best ask, and both levels have orders."""
    bids = bookside_row(state, 2 * instrument)
    asks = bookside_row(state, 2 * instrument + 1)
    crossed = (
        bids.best_key >= 0 and asks.best_key >= 0 and bids.best_key >= asks.best_key ^ asks.flip
    )
    wrong(check, CROSSED, instrument, 0, 1 if crossed else 0)
    if bids.best_key >= 0:
        filled = level_row(state, bids.best_level).orders > 0
        wrong(check, BEST_EMPTY, instrument, 1, 1 if filled else 0)
    if asks.best_key >= 0:
        filled = level_row(state, asks.best_level).orders > 0
        wrong(check, BEST_EMPTY, instrument, 1, 1 if filled else 0)
