"""What must hold after every command, checked over what the command touched; all of it at times.

A shadow of the state is kept beside it: what each order has open, filled and held, what each
balance and position should be by the events alone.  After a command its events move the shadow,
and every row that they touch must be where the shadow is (reliability.md section 6, tier E).  What
changed without an event shows at the next full check, which is over the whole state.
"""

from typing import Any, Final

import numpy as np

from core.constants import ORDER_SLOT_MASK, SLOT_BYTES
from core.jit import call_entry, entry, kernel
from core.journal.dump import command_row
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
    BALANCE,
    POSITION,
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
from core.sequencer import invariants
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State
from replay import views

CHECKED_FIRST: Final = 1_000  # A full check after every one of these, then after one in ``every``.
CHECKED_EVERY: Final = 1_000
EXIT_FAILED: Final = 70
EVENT_SHIFT: Final = 7

Slots = np.ndarray[Any, np.dtype[np.uint8]]

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
        ("orders", "<i8"),  # Addresses of the shadow.
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

RULES: Final = (
    "",
    "the sequence does not rise",
    "the time runs backwards",
    "an event has another sequence than its command",
    "the events of a command are not numbered from 0",
    "the flag LAST is not on the last event, and on that alone",
    "a fill has not two sides of one quantity and price",
    "a fill is not at the maker's price",
    "a fill is beyond the taker's limit",
    "a fill is at a better price than the one before, or a better one was skipped",
    "an order is filled that is not open",
    "leaves after the event",
    "filled quantity after the event",
    "an order that ended is touched",
    "order row: leaves",
    "order row: filled quantity",
    "order row: its place in the book or its status",
    "the fee part of a hold",
    "balance: available + held",
    "balance: held is not what its open orders need",
    "balance: available is negative",
    "position: net",
    "position: lots held",
    "position: net is not bought less sold",
    "the book is crossed",
    "the best level is empty",
    "open orders are miscounted",
    "trades are miscounted",
    "events are miscounted",
    "ledger entries do not sum to zero",
    "the engine's own assertion",
    "an order row was given out while its order is open",
    "an older order at the same price was skipped",
)
(
    _,
    SEQUENCE,
    TIME,
    EVENT_SEQUENCE,
    EVENT_INDEX,
    EVENT_LAST,
    FILL_SIDES,
    FILL_PRICE,
    FILL_LIMIT,
    FILL_PRIORITY,
    FILL_OPEN,
    LEAVES,
    CUM,
    ENDED,
    ROW_LEAVES,
    ROW_CUM,
    ROW_PLACE,
    HOLD_FEE,
    BALANCE_TOTAL,
    BALANCE_HELD,
    BALANCE_NEGATIVE,
    POSITION_NET,
    POSITION_HELD,
    POSITION_SUM,
    CROSSED,
    BEST_EMPTY,
    OPEN_ORDERS,
    TRADES,
    EVENTS,
    LEDGER_SUM,
    ASSERTION,
    ROW_TAKEN,
    FILL_QUEUE,
) = range(len(RULES))


class Broken(Exception):
    """A truth about the state does not hold."""

    exit_code = EXIT_FAILED


class BrokenBefore(Broken):
    """A full check failed; which command broke it lies between two sequences."""

    def __init__(self, good: int, bad: int, what: str) -> None:
        super().__init__(f"after sequence {bad}: {what}; it still held after sequence {good}")
        self.good = good
        self.bad = bad
        self.what = what


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
    """Move the shadow by the events of the command."""
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
    """Is every row that the events touched where the shadow is?"""
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


class Checker:
    """Applies commands to ``state`` and checks each; the shadow begins as the state is."""

    def __init__(self, state: State, every: int = CHECKED_EVERY) -> None:
        self._state = state
        self._every = every
        self._done = 0
        self._good = state["sequence"]  # The last full check that held.
        events = 2 * state["orders_max"] + (1 << 14)  # One command's, at the most.
        self._ring = PrivateRing(1 << (events - 1).bit_length())
        self._ring.attach(state)
        slots = state["orders_max"] + state["closed_keep"] + 1
        self._orders = np.zeros(slots, SEEN_ORDER)
        self._balances = np.zeros(state["balances_max"] + 1, SEEN_BALANCE)
        self._positions = np.zeros(state["positions_max"] + 1, SEEN_POSITION)
        self._row = np.zeros(1, CHECK)
        self._row["state"], self._row["apply_entry"] = state.address, entry(apply_batch)
        self._row["orders"] = self._orders.ctypes.data
        self._row["balances"] = self._balances.ctypes.data
        self._row["positions"] = self._positions.ctypes.data
        for name in ("sequence", "timestamp_ns", "open_orders", "trades", "events"):
            self._row[name] = state[name]
        self._take_rows(state)

    def _take_rows(self, state: State) -> None:
        orders, cold = views.orders(state), views.cold(state)
        for slot in np.flatnonzero(cold["status"] == STATUS_OPEN).tolist():
            seen = self._orders[slot]
            for name in ("order_id", "leaves", "cum"):
                seen[name] = orders[slot][name]
            seen["position"], seen["is_open"] = cold[slot]["position"], 1
            seen["hold"] = views.hold(state, slot)
            seen["lots"] = orders[slot]["leaves"] if cold[slot]["side"] == SELL else 0
            if orders[slot]["prev"] < state["order_base"]:  # First of its level.
                self._take_queue(state, slot)
        balances = state.rows("balances", BALANCE, state["balances_used"] + 1)
        self._balances["total"][: len(balances)] = balances["available"] + balances["held"]
        self._balances["need"][: len(balances)] = balances["held"]
        positions = state.rows("positions", POSITION, state["positions_used"] + 1)
        for name in ("net", "held"):
            self._positions[name][: len(positions)] = positions[name]

    def _take_queue(self, state: State, slot: int) -> None:
        orders, base, rank = views.orders(state), state["order_base"], -len(self._orders)
        while slot > 0:
            self._orders[slot]["arrival"] = rank
            rank, slot = rank + 1, (int(orders[slot]["next"]) - base) // 2

    def apply(self, slots: Slots) -> int:
        """Apply whole commands, how many; Broken at the first one that breaks something."""
        place, before = 0, self._done
        while place < len(slots):
            first = CHECKED_FIRST - self._done
            self._row["until"] = 1 if first > 0 else self._every - self._done % self._every
            rest = slots[place:]
            try:
                done = int(apply_checked(self._row.ctypes.data, rest.ctypes.data, len(rest)))
            except AssertionError as broken:  # Plain Python: the engine's own assertions.
                raise Broken(f"{self._command(rest)}: {broken}") from broken
            if self._row[0]["rule"]:
                raise Broken(f"{self._command(rest)}: {self._said()}")
            self._done += int(self._row[0]["commands"])
            place += done
            if self._done <= CHECKED_FIRST or self._done % self._every == 0:
                self.check()
        return self._done - before

    def check(self) -> None:
        """Every invariant of the whole state; BrokenBefore when one does not hold."""
        sequence = self._state["sequence"]
        try:
            invariants.check(self._state)
        except AssertionError as broken:
            raise BrokenBefore(self._good, sequence, str(broken)) from broken
        self._good = sequence

    def _command(self, slots: Slots) -> str:
        return told(slots, int(self._row[0]["place"]))

    def _said(self) -> str:
        row = self._row[0]
        rule, number = int(row["rule"]), int(row["row"])
        what = self._named(rule, number)
        expected, found = int(row["expected"]), int(row["found"])
        is_yes_or_no = {expected, found} == {0, 1} and rule not in COUNTED
        amounts = "" if is_yes_or_no else f": expected {expected}, found {found}"
        return f"{RULES[rule]}{what}{amounts}"

    def _named(self, rule: int, number: int) -> str:
        if rule in (BALANCE_TOTAL, BALANCE_HELD, BALANCE_NEGATIVE):
            row = self._state.rows("balances", BALANCE, number + 1)[number]
            return f" (balance {number}: account {row['account']}, asset {row['asset']})"
        if rule in (POSITION_NET, POSITION_HELD, POSITION_SUM):
            row = self._state.rows("positions", POSITION, number + 1)[number]
            where = f"account {row['account']}, instrument {row['instrument']}"
            return f" (position {number}: {where})"
        if rule in (CROSSED, BEST_EMPTY):
            return f" (instrument {number})"
        if rule in (EVENT_SEQUENCE, EVENT_INDEX, EVENT_LAST):
            return f" (event {number})"
        return f" (order {number})" if number else ""


COUNTED: Final = frozenset(
    {*range(LEAVES, ENDED), *range(ROW_LEAVES, ROW_PLACE), *range(BALANCE_TOTAL, CROSSED)}
    | {OPEN_ORDERS, TRADES, EVENTS, LEDGER_SUM, FILL_PRICE, EVENT_SEQUENCE, EVENT_INDEX}
)


def told(slots: Slots, place: int) -> str:
    """The command at ``place``: its sequence, kind, and the fields that say something."""
    prefix = slots[place].view(COMMAND)[0]
    row = command_row(slots[place : place + int(prefix["slots"])], int(prefix["kind"]))
    hidden = {"record", "sequence", "kind", "timestamp_ns", "crc32c", "schema", "slots"}
    said = [f"{name}={value}" for name, value in row.items() if name not in hidden and value]
    return f"command {row['sequence']} {row['kind']} {' '.join(said)}"


assert len(set(RULES)) == len(RULES)
