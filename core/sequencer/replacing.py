"""What every replace has in common: new terms, new hold, its two events, its client order id."""

from typing import Final

from core.constants import SLOT_BYTES
from core.jit import inlined, kernel
from core.memory import Record, address_of, copy36
from core.messages import (
    CLIENT_ORDER_ID_AT,
    EVENT_CLIENT_ORDER_ID_AT,
    ORDER_REPLACED,
    QTY_LEAVES,
    REPLACED_FROM,
    SELL,
)
from core.reasons import Reason
from core.records import COLD_CLIENT_ORDER_ID_AT
from core.risk import holds, text
from core.risk.ids import no_longer_current
from core.rows import cold_row, instrument_row, order_row, position_row
from core.sequencer.admit import place_at, replace_at
from core.sequencer.change import target_form
from core.sequencer.events import order_event, resting_event
from core.sequencer.form import place_2_at

MALFORMED: Final = Reason.MALFORMED.value
NUMBERS_OF_TWO_SLOTS: Final = 2


@inlined
def replace_form(command: int) -> int:
    """0 or MALFORMED: the target, the basis, and nothing negative."""
    replace = replace_at(command)
    reason = 0
    if replace.slots == 1 or replace.order_id == 0:
        reason = target_form(command, replace.order_id)
    if replace.slots == NUMBERS_OF_TWO_SLOTS and reason == 0:
        reason = form_of_more(command)
    if replace.slots > NUMBERS_OF_TWO_SLOTS or replace.qty_basis > QTY_LEAVES:
        reason = MALFORMED
    if (replace.price | replace.qty | replace.display_qty | replace.order_id) < 0:
        reason = MALFORMED
    return reason


@kernel
def form_of_more(command: int) -> int:
    """Slot 2 may name the order and give a new stop price, and nothing else."""
    more = place_2_at(command + SLOT_BYTES)
    others = more.trail | more.min_qty | more.max_cost | more.protection_price
    if (others | more.group | more.oco) != 0 or more.stop_price < 0:
        return MALFORMED
    return 0


@inlined
def new_price(state: Record, replace: Record, slot: int) -> int:
    return replace.price if replace.price != 0 else order_row(state, slot).price  # type: ignore[no-any-return]


@inlined
def new_leaves(state: Record, replace: Record, slot: int) -> int:
    """The open quantity that the replace asks for; below 1 when that is filled already."""
    order = order_row(state, slot)
    if replace.qty == 0:
        return order.leaves  # type: ignore[no-any-return]
    if replace.qty_basis == QTY_LEAVES:
        return replace.qty  # type: ignore[no-any-return]
    return replace.qty - order.cum  # type: ignore[no-any-return]


@inlined
def new_hold(terms: Record, side: int, price: int, leaves: int) -> int:
    """What an order of these terms holds when it enters."""
    if side == SELL:
        return leaves * terms.base_per_lot  # type: ignore[no-any-return]
    return holds.buy_hold(terms, price, leaves)


@inlined
def move_hold(state: Record, slot: int, price: int, leaves: int) -> int:
    """From the old hold to the new one; how much that is."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    position = position_row(state, cold.position)
    before = holds.hold_of(terms, order, cold)
    after = new_hold(terms, cold.side, price, leaves)
    holds.move(state, position, cold.side, after - before)
    if cold.side == SELL:
        position.held += leaves - order.leaves
    else:
        cold.hold_fee = after - price * leaves * terms.multiplier
    return after


@inlined
def replaced(state: Record, command: int, slot: int, flags: int) -> Record:
    """ORDER_REPLACED: the new values, to the session that asked."""
    order = order_row(state, slot)
    place = place_at(command)
    event = order_event(state, ORDER_REPLACED, flags, order, cold_row(state, slot))
    event.session = place.session
    event.qty = order.leaves + order.cum
    own_id = command + CLIENT_ORDER_ID_AT
    if not text.is_empty(own_id):
        copy36(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, own_id)
    return event


@inlined
def replaced_from(state: Record, slot: int, shown: int, held: int) -> Record:
    """REPLACED_FROM: what left the book, to the session of the order; the caller sets the old
    quantity, and the old price where it changed."""
    order = order_row(state, slot)
    event = resting_event(state, REPLACED_FROM, 0, order, cold_row(state, slot))
    event.leaves = shown
    event.fee = held
    return event


@inlined
def take_id(state: Record, command: int, slot: int) -> None:
    """The order goes by the client order id of the replace, if that has one."""
    cold = cold_row(state, slot)
    cold.updated_ns = state.timestamp_ns
    own_id = command + CLIENT_ORDER_ID_AT
    if text.is_empty(own_id):
        return
    copy36(address_of(cold) + COLD_CLIENT_ORDER_ID_AT, own_id)
    before = cold.id_record
    cold.id_record = state.record
    no_longer_current(state, before)
