"""How an open order ends before it is filled, whatever it is: in the book, an iceberg, a stop that
waits, one of a pair.  ``change.take_back`` is the same for an order with nothing of that."""

from typing import Final

from core.book import orders, stops
from core.constants import ORDER_SLOT_MASK
from core.jit import kernel, seldom, stay_apart
from core.memory import Record
from core.messages import (
    ORDER_CANCELED,
    ORDER_EXPIRED,
    STATUS_CANCELED,
    STATUS_EXPIRED,
    STATUS_OPEN,
    STATUS_PENDING,
    STATUS_ROUTED,
)
from core.reasons import Reason
from core.risk import holds
from core.rows import (
    cold_row,
    extra_row,
    instrument_row,
    level_row,
    order_row,
    position_row,
)
from core.sequencer.events import order_event, reserve
from core.sequencer.life import end_open
from core.sequencer.pairs import tell_pairs
from core.sequencer.route import ask_cancel, forget_route, is_outside

CANCELED_BY_PARTNER: Final = Reason.CANCELED_BY_PARTNER.value


@kernel
def is_open(state: Record, slot: int) -> bool:
    """In the book, a stop that waits, or one that is matched outside."""
    status = cold_row(state, slot).status
    return status in (STATUS_OPEN, STATUS_PENDING, STATUS_ROUTED)


@kernel
def cancel_open(state: Record, slot: int, reason: int) -> None:
    """ORDER_CANCELED, and its partner's after it; matched outside: ask for it there."""
    if is_outside(state, slot):
        ask_cancel(state, slot)
        return
    close(state, slot, ORDER_CANCELED, STATUS_CANCELED, reason)
    close_orphan(state)


@kernel
def expire_open(state: Record, slot: int, reason: int) -> None:
    """ORDER_EXPIRED, and the ORDER_CANCELED of its partner after it."""
    close(state, slot, ORDER_EXPIRED, STATUS_EXPIRED, reason)
    close_orphan(state)


@kernel
def close_orphan(state: Record) -> None:
    """An order of a pair has ended: so does the other one."""
    slot = state.orphan
    if slot != 0:
        state.orphan = 0
        close(state, slot, ORDER_CANCELED, STATUS_CANCELED, CANCELED_BY_PARTNER)


@kernel
def close(state: Record, slot: int, kind: int, status: int, reason: int) -> None:
    """The event, what it held given back, out of where it stands, and its end."""
    seldom()
    reserve(state)
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    routed = is_outside(state, slot)
    event = order_event(state, kind, 0, order, cold)
    event.qty = order.leaves
    event.leaves = 0 if routed else order.shown
    event.reason = reason
    if state.risk != 0:
        shared = extra_row(state, order.extra).shared if order.extra != 0 else 0
        holds.release(state, instrument_row(state, cold.instrument), order, cold, shared)
        if state.paired != 0:
            tell_pairs(state, slot)
    if routed:
        forget_route(state, slot)
    take_away(state, slot)
    end_open(state, slot, status, reason)


@kernel
def take_away(state: Record, slot: int) -> None:
    """Out of the book, or of where it waits; one that was triggered stands nowhere."""
    order = order_row(state, slot)
    if order.level == 0:
        return
    if cold_row(state, slot).status == STATUS_PENDING:
        stops.leave(state, slot)
        return
    level_row(state, order.level).hidden -= order.leaves - order.shown
    orders.take_out(state, slot)


@kernel
def drop_partner(state: Record, slot: int) -> None:
    """An order is about to trade, or was triggered: its partner ends, and what that held for both
    this order holds by itself from now on."""
    stay_apart()
    order = order_row(state, slot)
    extra = extra_row(state, order.extra)
    if extra.partner == 0:
        return
    other = extra.partner & ORDER_SLOT_MASK
    extra.partner = 0
    extra_row(state, order_row(state, other).extra).partner = 0
    close(state, other, ORDER_CANCELED, STATUS_CANCELED, CANCELED_BY_PARTNER)
    if extra.shared != 0:
        cold = cold_row(state, slot)
        holds.move(state, position_row(state, cold.position), cold.side, extra.shared)
        extra.shared = 0
