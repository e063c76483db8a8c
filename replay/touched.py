"""Every row that the events of a command touched, against what is expected of it."""

from core.constants import ORDER_SLOT_MASK
from core.jit import kernel
from core.memory import Record
from core.messages import (
    BUY,
    CLEARED,
    DEPOSIT,
    EXEC_RECORDED,
    FILL,
    LEDGER,
    ORDER_ACCEPTED,
    ORDER_CANCELED,
    ORDER_EXPIRED,
    ORDER_REDUCED,
    ORDER_REFILLED,
    ORDER_REPLACED,
    ORDER_ROUTE_REQUESTED,
    ORDER_TRIGGERED,
    SELL,
    SETTLEMENT,
    STATUS_PENDING,
    TRADE_BUSTED,
    TRADE_CORRECTED,
    TRANSFER,
    WITHDRAW,
)
from core.records import INSTRUMENT_MONEY, INSTRUMENT_OUTSIDE
from core.risk.accounts import FEES_ACCOUNT, OUTSIDE_ACCOUNT, find_balance, find_position
from core.risk.money import ppm_up
from core.rows import (
    balance_row,
    bookside_row,
    cold_row,
    extra_row,
    instrument_row,
    level_row,
    order_row,
    position_row,
)
from core.sequencer.finish import is_open
from core.sequencer.general import hold_now
from replay.rules import (
    BALANCE_HELD,
    BALANCE_NEGATIVE,
    BALANCE_TOTAL,
    BEST_EMPTY,
    CROSSED,
    EVENTS,
    HOLD_FEE,
    OPEN_ORDERS,
    POSITION_HELD,
    POSITION_NET,
    POSITION_SUM,
    ROW_CUM,
    ROW_LEAVES,
    ROW_PLACE,
    TRADES,
)
from replay.seen import balance_at, event_of, position_at, seen_order, wrong


@kernel
def look(check: Record, state: Record) -> None:
    """Is every row that the events touched as expected?"""
    if check.rule != 0:
        return
    for number in range(check.before, state.cursor):
        event = event_of(state, number)
        if event.kind == FILL or is_about_open(event.kind):
            look_at_order(check, state, event.order_id)
    for number in range(check.before, state.cursor):
        take_what_no_event_says(check, state, event_of(state, number))
    for number in range(check.before, state.cursor):  # After the needs of all its orders.
        event = event_of(state, number)
        if event.kind == LEDGER:
            row = find_balance(state, event.account, event.instrument)
            look_at_balance(check, state, row)
        elif event.kind == FILL or is_about_open(event.kind):
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
        ORDER_TRIGGERED,
        ORDER_REFILLED,
    )


@kernel
def take_what_no_event_says(check: Record, state: Record, event: Record) -> None:
    """Rows of which the events do not tell all are taken as they are: what a BINARY, a short sale,
    a clearing or an execution outside moves, and what a bust gives back.  That nothing of it was
    made or lost is looked at over the whole state (``core.sequencer.invariants``)."""
    kind = event.kind
    if kind == LEDGER:
        if event.price not in (DEPOSIT, WITHDRAW, TRANSFER):
            take_balance(check, state, event.account, event.instrument)
        return
    undone = kind in (TRADE_BUSTED, TRADE_CORRECTED, SETTLEMENT, CLEARED, EXEC_RECORDED)
    about_order = kind in (FILL, ORDER_ROUTE_REQUESTED) or is_about_open(kind)
    if not undone and not about_order:
        return
    if not 0 < event.instrument <= state.instruments_used:
        return
    terms = instrument_row(state, event.instrument)
    if not undone and terms.special & (INSTRUMENT_MONEY | INSTRUMENT_OUTSIDE) == 0:
        return
    take_account(check, state, event.account, event.instrument)
    take_account(check, state, OUTSIDE_ACCOUNT, event.instrument)
    take_account(check, state, FEES_ACCOUNT, event.instrument)


@kernel
def take_account(check: Record, state: Record, account: int, instrument: int) -> None:
    """Balances and position of an account in an instrument, as they are."""
    terms = instrument_row(state, instrument)
    take_balance(check, state, account, terms.quote_asset)
    if terms.base_asset != 0:
        take_balance(check, state, account, terms.base_asset)
    row = find_position(state, account, instrument)
    if row != 0:
        seen = position_at(check.positions + row * 16)
        seen.net = position_row(state, row).net
        seen.held = position_row(state, row).held


@kernel
def take_balance(check: Record, state: Record, account: int, asset: int) -> None:
    """A balance as it is."""
    row = find_balance(state, account, asset)
    if row == 0:
        return
    balance = balance_row(state, row)
    seen = balance_at(check.balances + row * 32)
    seen.total = balance.available + balance.held
    seen.need = balance.held
    seen.owed = 0


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
        wrong(check, ROW_LEAVES, order_id, seen.leaves, order.leaves)
        wrong(check, ROW_CUM, order_id, seen.cum, order.cum)
        lives = order.leaves > 0 and order.order_id == order_id and is_open(state, slot)
        lives = lives and stands(state, slot)
        wrong(check, ROW_PLACE, order_id, 1, 1 if lives else 0)
        lots = order.leaves if cold.side == SELL else 0
        if state.risk != 0:
            hold = hold_now(state, slot)
            look_at_fee(check, state, slot)
    elif order.order_id == order_id:
        gone = order.level == 0 and not is_open(state, slot) and order.leaves == 0
        wrong(check, ROW_PLACE, order_id, 1, 1 if gone else 0)
    position = position_row(state, seen.position)
    row = position.quote_balance if cold.side == BUY else position.base_balance
    balance_at(check.balances + row * 32).need += hold - seen.hold
    position_at(check.positions + seen.position * 16).held += lots - seen.lots
    seen.hold = hold
    seen.lots = lots


@kernel
def stands(state: Record, slot: int) -> bool:
    """Is an open order where it belongs: in the book, in a stop side showing nothing, or, matched
    outside, in none?"""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if instrument_row(state, cold.instrument).special & INSTRUMENT_OUTSIDE != 0:
        return order.level == 0  # type: ignore[no-any-return]
    if cold.status == STATUS_PENDING:
        return order.level != 0 and order.shown == 0  # type: ignore[no-any-return]
    whole = order.shown == order.leaves
    if order.extra != 0 and extra_row(state, order.extra).display_qty != 0:
        whole = 0 < order.shown <= order.leaves
    return order.level != 0 and whole  # type: ignore[no-any-return]


@kernel
def look_at_fee(check: Record, state: Record, slot: int) -> None:
    """The fee part of a plain BUY is not more than its price makes it."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    odd = terms.special & (INSTRUMENT_MONEY | INSTRUMENT_OUTSIDE) != 0
    if cold.side == SELL or order.price == 0 or odd:
        return
    most = ppm_up(order.price * order.leaves * terms.multiplier, terms.hold_ppm)
    fits = cold.hold_fee >= 0 and cold.hold_fee <= most
    wrong(check, HOLD_FEE, order.order_id, 1, 1 if fits else 0)


@kernel
def look_at_owner(check: Record, state: Record, row: int) -> None:
    """Balances and position of whoever an order is of, and the fees of its instrument."""
    position = position_row(state, row)
    seen = position_at(check.positions + row * 16)
    if position.base_balance != 0:  # A BINARY has none.
        look_at_balance(check, state, position.base_balance)
    look_at_balance(check, state, position.quote_balance)
    look_at_balance(check, state, instrument_row(state, position.instrument).fees_balance)
    settled = position.bought - position.sold - position.settled
    wrong(check, POSITION_NET, row, seen.net, position.net)
    wrong(check, POSITION_HELD, row, seen.held, position.held)
    wrong(check, POSITION_SUM, row, settled, position.net)


@kernel
def look_at_balance(check: Record, state: Record, row: int) -> None:
    """A balance is what events and open orders say, and not negative."""
    balance = balance_row(state, row)
    seen = balance_at(check.balances + row * 32)
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
