"""The life of an order's row: accepted, resting, ended.  No transition leaves an end."""

from typing import Final

from core.book import extras, pool
from core.jit import VERIFY, inlined
from core.layout import offset_of
from core.memory import (
    Record,
    address_of,
    clear64_of_cold,
    copy4_to_cold,
    copy12_to_cold,
    copy36,
)
from core.messages import CLIENT_ORDER_ID_AT, PLACE, STATUS_OPEN, STATUS_PENDING, STATUS_ROUTED
from core.records import COLD, COLD_CLIENT_ORDER_ID_AT, COLD_SESSION_AT
from core.risk import limits
from core.risk.accounts import link_open, unlink_open
from core.risk.ids import no_longer_current
from core.rows import cold_row, order_row
from core.sequencer.admit import place_at

SESSION_AT: Final = offset_of(PLACE, "session")
SIDE_AT: Final = offset_of(PLACE, "side")
COLD_SIDE_AT: Final = offset_of(COLD, "side")
COLD_LINE_2_AT: Final = offset_of(COLD, "status")


@inlined
def accept(state: Record, command: int, position: int, hold_fee: int) -> int:
    """Make the row of a new order; its slot.  It is not in the book yet."""
    place = place_at(command)
    slot = pool.take_slot(state)
    order = order_row(state, slot)
    order.next = 0
    order.prev = 0
    order.level = 0
    order.extra = 0
    order.shown = 0
    order.order_id = pool.new_order_id(state.sequence, slot)
    order.price = place.price
    order.leaves = place.qty
    order.cum = 0
    order.cum_notional = 0
    cold = cold_row(state, slot)
    own = address_of(cold)
    cold.account_next = 0
    cold.account_prev = 0
    cold.id_record = state.record
    copy12_to_cold(own + COLD_SESSION_AT, command + SESSION_AT)
    copy4_to_cold(own + COLD_SIDE_AT, command + SIDE_AT)
    copy36(own + COLD_CLIENT_ORDER_ID_AT, command + CLIENT_ORDER_ID_AT)
    clear64_of_cold(own + COLD_LINE_2_AT)
    cold.status = STATUS_OPEN
    cold.flags = place.flags
    cold.position = position
    cold.hold_fee = hold_fee
    cold.created_ns = state.timestamp_ns
    cold.updated_ns = state.timestamp_ns
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
    unlink_open(state, cold.account, slot)
    state.open_orders -= 1
    end(state, slot, status, reason)
    no_longer_current(state, cold.id_record)


@inlined
def end(state: Record, slot: int, status: int, reason: int) -> None:
    """Keep the row of an ended order for readers; ``shown`` becomes its order quantity."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if VERIFY:
        assert order.leaves >= 0 and order.level == 0
        assert cold.status in (STATUS_OPEN, STATUS_PENDING, STATUS_ROUTED)
    if state.limits_used != 0:
        limits.count_order(state, slot, -1)
    order.shown = order.leaves + order.cum
    order.leaves = 0
    cold.status = status
    cold.end_reason = reason
    cold.updated_ns = state.timestamp_ns
    if order.extra != 0:
        extras.give_back(state, slot)
    pool.keep_closed(state, slot)
