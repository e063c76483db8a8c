"""Orders that are matched outside: asking for what is to happen there.

An ORDER_ROUTE_REQUESTED is an event and nothing else: who talks to the outside reads it, so a
replay routes nothing.  A cancel or a replace that is asked for stands in the row of its order
(``records.ROUTED``) until the outside answers (docs/engine-outside.md).
"""

from core.jit import inlined, kernel, seldom
from core.memory import Record
from core.messages import (
    CANCEL_ACCEPTED,
    CLIENT_ORDER_ID_AT,
    ORDER_ROUTE_REQUESTED,
    REPLACE_ORDER,
    ROUTE_CANCEL,
    ROUTE_PLACE,
    ROUTE_REPLACE,
    SELL_SIDE,
)
from core.records import INSTRUMENT_OUTSIDE
from core.risk import routed
from core.rows import account_row, cold_row, instrument_row, order_row, routed_row
from core.sequencer.admit import place_at
from core.sequencer.events import bare_event, order_event, reserve
from core.sequencer.life import open_order


@inlined
def is_outside(state: Record, slot: int) -> bool:
    """Is the order matched outside?"""
    special = instrument_row(state, cold_row(state, slot).instrument).special
    return special & INSTRUMENT_OUTSIDE != 0  # type: ignore[no-any-return]


@kernel
def is_asked(state: Record, slot: int) -> bool:
    """Is a cancel or a replace of the order under way?"""
    return is_outside(state, slot) and routed_row(state, slot).asked != 0


@kernel
def count_open(state: Record, account: int) -> int:
    """Open orders of an account that no request is under way for."""
    count = account_row(state, account).open_orders
    slot = account_row(state, account).open_head
    while slot != 0:
        if is_asked(state, slot):
            count -= 1
        slot = cold_row(state, slot).account_next
    return count  # type: ignore[no-any-return]


@kernel
def ask(state: Record, slot: int, kind: int, price: int, qty: int) -> None:
    """ORDER_ROUTE_REQUESTED, and what it asks for is under way."""
    seldom()
    reserve(state)
    order = order_row(state, slot)
    asked = routed_row(state, slot)
    asked.route += 1
    cold_row(state, slot).updated_ns = state.timestamp_ns
    event = order_event(state, ORDER_ROUTE_REQUESTED, 0, order, cold_row(state, slot))
    event.price = price
    event.qty = qty
    event.leaves = kind
    event.cum = asked.route
    event.cum_notional = 0
    if kind != ROUTE_PLACE:
        asked.asked = kind


@kernel
def ask_place(state: Record, slot: int) -> None:
    """A new order, accepted and held for."""
    cold = cold_row(state, slot)
    open_order(state, cold.account, slot)
    instrument_row(state, cold.instrument).open_orders += 1
    order = order_row(state, slot)
    ask(state, slot, ROUTE_PLACE, order.price, order.leaves)


@kernel
def ask_cancel(state: Record, slot: int) -> None:
    """The end of an open order, unless a request is under way."""
    if not is_asked(state, slot):
        order = order_row(state, slot)
        ask(state, slot, ROUTE_CANCEL, order.price, order.leaves)


@kernel
def ask_replace(state: Record, slot: int, price: int, qty: int) -> None:
    """Another price and order quantity; the order holds for the wider terms from now on."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    asked = routed_row(state, slot)
    asked.asked_price = price
    cold.short_cash = qty
    asked.asked = ROUTE_REPLACE
    if state.risk != 0 and state.kind == REPLACE_ORDER:  # A REDUCE needs no more than there is.
        routed.refit(state, slot, order.price, order.leaves, order.leaves)
    ask(state, slot, ROUTE_REPLACE, price, qty)


@kernel
def ask_reduce(state: Record, slot: int, qty: int) -> None:
    """Less of an open order by ``qty``, or its end."""
    order = order_row(state, slot)
    if qty >= order.leaves:
        ask_cancel(state, slot)
    else:
        ask_replace(state, slot, order.price, order.leaves + order.cum - qty)


@kernel
def drop_request(state: Record, slot: int) -> None:
    """What was under way is not any more; the hold is the caller's business."""
    asked = routed_row(state, slot)
    asked.asked = 0
    asked.asked_price = 0
    cold_row(state, slot).short_cash = 0


@kernel
def forget_route(state: Record, slot: int) -> None:
    """An order ends: its row is as that of any other that has ended."""
    drop_request(state, slot)
    routed_row(state, slot).route = 0
    instrument_row(state, cold_row(state, slot).instrument).open_orders -= 1


@inlined
def accept_request(state: Record, command: int, slot: int) -> None:
    """CANCEL_ACCEPTED: what is asked of an order will be seen by its own events."""
    place = place_at(command)
    cold = cold_row(state, slot)
    event = bare_event(state, CANCEL_ACCEPTED, place, command + CLIENT_ORDER_ID_AT)
    event.order_id = order_row(state, slot).order_id
    event.instrument = cold.instrument
    event.price = order_row(state, slot).price
    event.flags = cold.side & SELL_SIDE
