"""The life of an order's row: accepted, resting, ended.  No transition leaves an end."""

from core.book import pool
from core.jit import VERIFY, inlined
from core.memory import Record, address_of, copy36
from core.messages import CLIENT_ORDER_ID_AT, STATUS_OPEN
from core.risk.accounts import link_open, unlink_open
from core.risk.ids import no_longer_current
from core.rows import COLD_CLIENT_ORDER_ID_AT, cold_row, order_row
from core.sequencer.admit import place_at


@inlined
def accept(state: Record, command: int, position: int, hold_fee: int) -> int:
    """Make the row of a new order; its slot.  It is not in the book yet."""
    place = place_at(command)
    slot = pool.take_slot(state)
    order = order_row(state, slot)
    order.next = 0
    order.prev = 0
    order.shown = 0
    order.level = 0
    order.account = place.account
    order.order_id = pool.new_order_id(state.sequence, slot)
    order.price = place.price
    order.leaves = place.qty
    order.cum = 0
    order.cum_notional = 0
    cold = cold_row(state, slot)
    copy36(address_of(cold) + COLD_CLIENT_ORDER_ID_AT, command + CLIENT_ORDER_ID_AT)
    cold.session = place.session
    cold.instrument = place.instrument
    cold.position = position
    cold.side = place.side
    cold.order_type = place.order_type
    cold.time_in_force = place.time_in_force
    cold.self_trade = place.self_trade
    cold.status = STATUS_OPEN
    cold.flags = place.flags
    cold.end_reason = 0
    cold.hold_fee = hold_fee
    cold.hold_lots = 0
    cold.last_price = 0
    cold.created_ns = state.timestamp_ns
    cold.updated_ns = state.timestamp_ns
    cold.fees = 0
    cold.account_next = 0
    cold.account_prev = 0
    cold.session_next = 0
    cold.session_prev = 0
    cold.id_record = state.record
    cold.extra = 0
    return slot


@inlined
def open_order(state: Record, account: int, slot: int) -> None:
    """A new order came to rest: it is one of the open orders of its account now."""
    link_open(state, account, slot)
    state.open_orders += 1


@inlined
def end_open(state: Record, slot: int, status: int, reason: int) -> None:
    """An order that was open has ended; it is out of the book and holds nothing any more."""
    cold = cold_row(state, slot)
    unlink_open(state, order_row(state, slot).account, slot)
    state.open_orders -= 1
    end(state, slot, status, reason)
    no_longer_current(state, cold.id_record)


@inlined
def end(state: Record, slot: int, status: int, reason: int) -> None:
    """Keep the row of an ended order for readers; ``shown`` becomes its order quantity."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if VERIFY:
        assert cold.status == STATUS_OPEN and order.level == 0
    order.shown = order.leaves + order.cum
    order.leaves = 0
    cold.status = status
    cold.end_reason = reason
    cold.updated_ns = state.timestamp_ns
    pool.keep_closed(state, slot)
