"""CANCEL_ORDER, REDUCE_ORDER and MASS_CANCEL: taking back what is open."""

from typing import Final

from core.book import orders, pool
from core.constants import ORDER_SLOT_MASK, SLOT_BYTES
from core.jit import inlined, kernel, seldom
from core.layout import offset_of
from core.memory import Record, address_of, pointer
from core.messages import (
    CANCEL,
    CLIENT_ORDER_ID_AT,
    MASS,
    MASS_CANCELED,
    ORDER_CANCELED,
    ORDER_REDUCED,
    ORIGINAL_ID_AT,
    PLACE_SLOT_2,
    RESTRICT_ONLY_NEW,
    RESTRICT_ONLY_PARTIALLY_FILLED,
    SELL,
    SELL_SIDE,
    STATUS_CANCELED,
    STATUS_OPEN,
)
from core.reasons import Reason
from core.records import EXTRA, INSTRUMENT_MONEY
from core.risk import holds, ids, limits, text
from core.rows import account_row, cold_row, extra_row, id_record_row, instrument_row, order_row
from core.sequencer.admit import (
    REPEATED,
    admit,
    admit_free,
    because,
    place_at,
    reject,
    replace_at,
)
from core.sequencer.events import bare_event, resting_event
from core.sequencer.finish import cancel_open, is_open
from core.sequencer.life import end_open
from core.sequencer.match import reduce_open
from core.sequencer.pairs import tell_pairs
from core.sequencer.route import accept_request, ask_reduce, is_asked, is_outside

SESSION_MASK: Final = (1 << 32) - 1
TAG_AT: Final = offset_of(PLACE_SLOT_2, "tag")
EXTRA_TAG_AT: Final = offset_of(EXTRA, "tag")

cancel_at = pointer(CANCEL)
mass_at = pointer(MASS)

CANCEL_RESTRICTED: Final = Reason.CANCEL_RESTRICTED.value
CANCELED_BY_MASS_CANCEL: Final = Reason.CANCELED_BY_MASS_CANCEL.value
CANCELED_BY_USER: Final = Reason.CANCELED_BY_USER.value
MALFORMED: Final = Reason.MALFORMED.value
PAIR: Final = Reason.PAIR.value
QTY_TOO_SMALL: Final = Reason.QTY_TOO_SMALL.value
REDUCED_TO_ZERO: Final = Reason.REDUCED_TO_ZERO.value
TOO_LATE: Final = Reason.TOO_LATE.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value
UNKNOWN_ORDER: Final = Reason.UNKNOWN_ORDER.value


@inlined
def target_form(command: int, order_id: int) -> int:
    """One slot and an order id, or two slots and a client order id."""
    slots = place_at(command).slots
    if slots == 1:
        return 0 if order_id > 0 else MALFORMED
    if slots == 2 and order_id == 0:
        return MALFORMED if text.is_empty(command + SLOT_BYTES + ORIGINAL_ID_AT) else 0
    return MALFORMED


@inlined
def find_target(state: Record, command: int, order_id: int) -> int:
    """Slot of the order that a command means, of this account and with a row; or 0."""
    account = place_at(command).account
    if order_id == 0:
        record = ids.find_id(state, account, command + SLOT_BYTES + ORIGINAL_ID_AT)
        if record == 0:
            return 0
        order_id = id_record_row(state, record).order_id
        if order_id & ORDER_SLOT_MASK == 0:
            return 0
    return pool.find_order(state, order_id, account)


@inlined
def remember_target(state: Record, slot: int) -> None:
    """The id of this command belongs to the order that it means."""
    if state.record != 0:
        id_record_row(state, state.record).order_id = order_row(state, slot).order_id


@kernel
def cancel_order(state: Record, command: int) -> None:
    cancel = cancel_at(command)
    reason = target_form(command, cancel.order_id)
    if reason == 0 and cancel.restriction > RESTRICT_ONLY_PARTIALLY_FILLED:
        reason = MALFORMED
    if reason == 0:
        reason = admit_free(state, command)
    if reason == REPEATED:
        return
    slot = 0
    if reason == 0:
        slot = find_target(state, command, cancel.order_id)
        if slot == 0:
            reason = UNKNOWN_ORDER
        elif cold_row(state, slot).status != STATUS_OPEN and not is_open(state, slot):
            reason = TOO_LATE
        elif cancel.restriction != 0:
            reason = restricted(state, cancel.restriction, slot)
    if reason != 0:
        reject(state, command, reason, slot)
        return
    terms = instrument_row(state, cold_row(state, slot).instrument)
    if order_row(state, slot).extra | (terms.special & INSTRUMENT_MONEY) != 0:
        cancel_any(state, command, slot)
        return
    remember_target(state, slot)
    if state.limits_used != 0:
        limits.count_message(state, cancel.account)
    acknowledge(state, command, slot)
    take_back(state, slot, CANCELED_BY_USER)


@kernel
def cancel_any(state: Record, command: int, slot: int) -> None:
    """``cancel_order`` of an order that it may be done for, and that is no plain one."""
    seldom()
    if is_asked(state, slot):
        reject(state, command, TOO_LATE, slot)
        return
    remember_target(state, slot)
    if state.limits_used != 0:
        limits.count_message(state, place_at(command).account)
    if is_outside(state, slot):
        accept_request(state, command, slot)
    else:
        acknowledge(state, command, slot)
    cancel_open(state, slot, CANCELED_BY_USER)


@kernel
def restricted(state: Record, restriction: int, slot: int) -> int:
    """CANCEL_RESTRICTED where the order is not as the cancel demands."""
    seldom()
    if is_asked(state, slot):
        return TOO_LATE
    cum = order_row(state, slot).cum
    fits = cum == 0 if restriction == RESTRICT_ONLY_NEW else cum != 0
    return 0 if fits else because(state, CANCEL_RESTRICTED, restriction, cum)


@inlined
def acknowledge(state: Record, command: int, slot: int) -> None:
    """CANCEL_ACCEPTED, if the asker would not know his answer by the order's own event."""
    is_named = not text.is_empty(command + CLIENT_ORDER_ID_AT)
    if is_named or place_at(command).session != cold_row(state, slot).session:
        accept_request(state, command, slot)


@inlined
def take_back(state: Record, slot: int, reason: int) -> None:
    """Take an open order out of the book, release its hold, and say so: ``finish.cancel_open`` of
    a plain order."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    event = resting_event(state, ORDER_CANCELED, 0, order, cold)
    event.qty = order.leaves
    event.leaves = order.shown
    event.reason = reason
    if state.risk != 0:
        holds.release(state, instrument_row(state, cold.instrument), order, cold, 0)
    orders.take_out(state, slot)
    end_open(state, slot, STATUS_CANCELED, reason)


@inlined
def reduce_order(state: Record, command: int) -> None:
    reduction = replace_at(command)
    reason = target_form(command, reduction.order_id)
    if (reduction.price | reduction.display_qty) != 0 or reduction.qty_basis != 0:
        reason = MALFORMED
    if reason == 0:
        reason = admit(state, command)
    if reason == REPEATED:
        return
    slot = 0
    if reason == 0:
        slot = find_target(state, command, reduction.order_id)
        if slot == 0:
            reason = UNKNOWN_ORDER
        elif not is_open(state, slot) or is_asked(state, slot):
            reason = TOO_LATE
        elif reduction.qty < 1:
            reason = because(state, QTY_TOO_SMALL, 1, reduction.qty)
        elif has_partner(state, slot):
            reason = PAIR
    if reason != 0:
        reject(state, command, reason, slot)
        return
    remember_target(state, slot)
    if state.limits_used != 0:
        limits.count_message(state, reduction.account)
    if is_outside(state, slot):
        accept_request(state, command, slot)
        ask_reduce(state, slot, reduction.qty)
        return
    acknowledge(state, command, slot)
    reduce_or_cancel(state, slot, reduction.qty)


@kernel
def reduce_or_cancel(state: Record, slot: int, qty: int) -> None:
    """Less of an open order by ``qty``, or its end."""
    if qty >= order_row(state, slot).leaves:
        cancel_open(state, slot, REDUCED_TO_ZERO)
        return
    reduce_open(state, slot, qty)
    event = resting_event(state, ORDER_REDUCED, 0, order_row(state, slot), cold_row(state, slot))
    event.qty = qty
    if state.paired != 0:
        tell_pairs(state, slot)


@kernel
def has_partner(state: Record, slot: int) -> bool:
    """Is it one of a pair?"""
    extra = order_row(state, slot).extra
    return extra != 0 and extra_row(state, extra).partner != 0


@kernel
def mass_cancel(state: Record, command: int) -> None:
    mass = mass_at(command)
    reason = MALFORMED if not 1 <= mass.slots <= 2 or mass.side > SELL else 0
    if reason == 0:
        reason = admit(state, command)
    if reason == REPEATED:
        return
    if reason == 0 and not 0 <= mass.instrument <= state.instruments_used:
        reason = UNKNOWN_INSTRUMENT
    if reason != 0:
        reject(state, command, reason, 0)
        return
    if state.limits_used != 0:
        limits.count_message(state, mass.account)
    count = 0
    slot = account_row(state, mass.account).open_head
    while slot != 0:
        if fits(state, command, slot):
            count += 1
        slot = cold_row(state, slot).account_next
    event = bare_event(state, MASS_CANCELED, place_at(command), command + CLIENT_ORDER_ID_AT)
    event.qty = count
    event.flags = SELL_SIDE if mass.side == SELL else 0
    slot = account_row(state, mass.account).open_head
    while slot != 0:
        following = cold_row(state, slot).account_next
        if fits(state, command, slot):
            cancel_open(state, slot, CANCELED_BY_MASS_CANCEL)
            following = still_open(state, following)
        slot = following


@kernel
def still_open(state: Record, slot: int) -> int:
    """A slot of an account's list, or the one that followed it if it has just ended too."""
    while slot != 0 and not is_open(state, slot):
        slot = cold_row(state, slot).account_next
    return slot


@kernel
def fits(state: Record, command: int, slot: int) -> bool:
    """Does an open order pass the filters of a mass cancel?  One that is asked to end or to change
    outside does not."""
    mass = mass_at(command)
    cold = cold_row(state, slot)
    if is_asked(state, slot):
        return False
    if mass.instrument != 0 and cold.instrument != mass.instrument:
        return False
    if mass.side != 0 and cold.side != mass.side:
        return False
    if mass.filter_session != 0 and cold.session != mass.filter_session & SESSION_MASK:
        return False
    if mass.slots == 1 or text.is_empty(command + SLOT_BYTES + TAG_AT):
        return True
    extra = order_row(state, slot).extra
    if extra == 0:
        return False
    own = address_of(extra_row(state, extra)) + EXTRA_TAG_AT
    return text.same_text(own, command + SLOT_BYTES + TAG_AT)


@kernel
def cancel_all(state: Record, account: int, reason: int) -> None:
    """Cancel every open order of an account, oldest first."""
    slot = account_row(state, account).open_head
    while slot != 0:
        following = cold_row(state, slot).account_next
        cancel_open(state, slot, reason)
        slot = still_open(state, following)
