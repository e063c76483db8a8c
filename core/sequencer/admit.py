"""What every command passes before its own rules: who asks, has he asked before, is it in time.

Also the two ways of saying no.  Order of the checks and fields of the events: docs/engine.md.
"""

from typing import Final

from core.book import pool
from core.constants import CLIENT_ORDER_ID_BYTES, ORDER_SLOT_BITS, ORDER_SLOT_MASK
from core.jit import inlined, kernel, seldom
from core.memory import Record, address_of, fill, pointer
from core.messages import (
    CANCEL_ORDER,
    CLIENT_ORDER_ID_AT,
    COMMAND_REJECTED,
    COMMAND_REPEATED,
    DEAD_MAN,
    EVENT_CLIENT_ORDER_ID_AT,
    GONE,
    MASS_CANCEL,
    MONEY,
    ORDER_REJECTED,
    ORDER_REPEATED,
    PLACE,
    PLACE_ORDER,
    REDUCE_ORDER,
    REPLACE,
    REPLACE_ORDER,
    SELL,
    SELL_SIDE,
    TRANSFER,
    WITHDRAW,
)
from core.reasons import Reason
from core.records import SPECIAL_KILLED, SPECIAL_SUSPENDED
from core.risk import ids, text
from core.risk.accounts import is_trader
from core.rows import account_row, cold_row, id_record_row, order_row
from core.sequencer.events import bare_event

place_at = pointer(PLACE)
replace_at = pointer(REPLACE)
money_at = pointer(MONEY)

REPEATED: Final = -1  # The command was answered; nothing is left to do.

BARRED: Final = SPECIAL_SUSPENDED | SPECIAL_KILLED

ACCOUNT_SUSPENDED: Final = Reason.ACCOUNT_SUSPENDED.value
CAPACITY: Final = Reason.CAPACITY.value
DUPLICATE_CLIENT_ID: Final = Reason.DUPLICATE_CLIENT_ID.value
EXPIRED_REQUEST: Final = Reason.EXPIRED_REQUEST.value
KILL_SWITCH: Final = Reason.KILL_SWITCH.value
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value


@inlined
def because(state: Record, reason: int, limit: int, value: int) -> int:
    """``reason``, with the limit and the value that broke it for the reject."""
    state.limit = limit
    state.value = value
    return reason


@inlined
def admit(state: Record, command: int) -> int:
    """0: go on.  REPEATED: it was answered.  Else the reason to reject it.

    An id not seen before is put in, and ``state.record`` is its record.
    """
    place = place_at(command)
    reason = admit_id(state, command)
    if reason == 0 and (account_row(state, place.account).special | state.killed) & BARRED != 0:
        reason = barred(state, place.kind, place.account)
    return reason if reason != 0 else in_time(state, command)


@inlined
def admit_free(state: Record, command: int) -> int:
    """``admit`` where it is known that nothing bars the account from this."""
    reason = admit_id(state, command)
    return reason if reason != 0 else in_time(state, command)


@inlined
def admit_id(state: Record, command: int) -> int:
    """Who asks, and whether he did before."""
    place = place_at(command)
    if not is_trader(state, place.account):
        return UNKNOWN_ACCOUNT
    own_id = command + CLIENT_ORDER_ID_AT
    if text.is_empty(own_id):
        return 0
    digest = text.text_hash(state, place.account, own_id)
    record = ids.find_hashed(state, digest, place.account, own_id)
    if record != 0:
        if id_record_row(state, record).payload != ids.payload_hash(state, command):
            return DUPLICATE_CLIENT_ID
        repeat(state, command, record)
        return REPEATED
    state.record = ids.remember(state, digest, command, place.account, place.kind)
    if state.record == 0:
        return because(state, CAPACITY, state.ids_max, state.ids_count)
    return 0


@inlined
def in_time(state: Record, command: int) -> int:
    """The time up to which its sender wants it, if he said one."""
    place = place_at(command)
    if place.expire_after_ns != 0 and state.timestamp_ns > place.expire_after_ns:
        return because(state, EXPIRED_REQUEST, place.expire_after_ns, state.timestamp_ns)
    return 0


@kernel
def barred(state: Record, kind: int, account: int) -> int:
    """Why a suspended account, or one whose kill switch is on, may not do this; or 0."""
    seldom()
    special = account_row(state, account).special | state.killed
    trades = kind in (PLACE_ORDER, REPLACE_ORDER)
    if special & SPECIAL_SUSPENDED != 0 and (trades or kind in (TRANSFER, WITHDRAW)):
        return ACCOUNT_SUSPENDED
    return KILL_SWITCH if special & SPECIAL_KILLED != 0 and trades else 0


@kernel
def repeat(state: Record, command: int, record: int) -> None:
    """Answer a command that was answered before: the order as it is now, or the reject again."""
    seldom()
    place = place_at(command)
    kind = place.kind
    known = id_record_row(state, record)
    about_order = kind in (CANCEL_ORDER, REPLACE_ORDER, REDUCE_ORDER)
    if kind == PLACE_ORDER or (about_order and known.reason == 0):
        repeat_order(state, command, record)
        return
    rejected = known.reason != 0
    kind_of_event = COMMAND_REJECTED if rejected else COMMAND_REPEATED
    event = bare_event(state, kind_of_event, place, command + CLIENT_ORDER_ID_AT)
    if rejected:
        event.reason = known.reason
        event.order_id = known.order_id
        event.leaves = kind
        as_asked(command, event)
    elif kind not in (MASS_CANCEL, DEAD_MAN):
        event.instrument = money_at(command).asset


@kernel
def repeat_order(state: Record, command: int, record: int) -> None:
    known = id_record_row(state, record)
    own_id = command + CLIENT_ORDER_ID_AT
    event = bare_event(state, ORDER_REPEATED, place_at(command), own_id)
    event.order_id = known.order_id
    slot = known.order_id & ORDER_SLOT_MASK
    if slot == 0 or order_row(state, slot).order_id != known.order_id:
        event.flags = GONE
        event.reason = known.reason
        return
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    event.instrument = cold.instrument
    event.price = order.price
    has_ended = cold.end_reason != 0 or order.leaves == 0
    event.qty = order.shown if has_ended else order.leaves + order.cum
    event.leaves = order.leaves
    event.cum = order.cum
    event.cum_notional = order.cum_notional
    event.flags = SELL_SIDE if cold.side == SELL else 0
    event.reason = cold.end_reason


@kernel
def as_asked(command: int, event: Record) -> None:
    """Price and quantity of a reject, as they came."""
    place = place_at(command)
    kind = place.kind
    if kind == PLACE_ORDER:
        event.price = place.price
        event.qty = place.qty
        if place.side == SELL:
            event.flags = SELL_SIDE
    elif kind in (REPLACE_ORDER, REDUCE_ORDER):
        event.price = place.price
        event.qty = place.qty
    elif kind not in (CANCEL_ORDER, MASS_CANCEL, DEAD_MAN):
        money = money_at(command)
        event.qty = money.amount
        event.instrument = money.asset


@inlined
def forget_reason(state: Record) -> None:
    """A reject was written: its limit and value are not those of the next one."""
    state.limit = 0
    state.value = 0
    state.rejects += 1


@kernel
def reject(state: Record, command: int, reason: int, target: int) -> None:
    """Say no to a trading or money command.  ``target``: slot of the order that was meant, or 0."""
    seldom()
    place = place_at(command)
    is_order = place.kind == PLACE_ORDER
    kind = ORDER_REJECTED if is_order else COMMAND_REJECTED
    event = bare_event(state, kind, place, command + CLIENT_ORDER_ID_AT)
    event.reason = reason
    event.leaves = place.kind
    event.cum = state.limit
    event.cum_notional = state.value
    as_asked(command, event)
    if is_order:
        event.order_id = pool.new_order_id(state.sequence, 0)
    elif target != 0:
        event.order_id = order_row(state, target).order_id
    elif place.kind == CANCEL_ORDER or place.kind in (REPLACE_ORDER, REDUCE_ORDER):
        event.order_id = replace_at(command).order_id
    forget_reason(state)
    if state.record != 0:
        record = id_record_row(state, state.record)
        record.reason = reason
        if is_order:
            record.order_id = state.sequence << ORDER_SLOT_BITS
        elif target != 0:
            record.order_id = order_row(state, target).order_id


@kernel
def reject_new(state: Record, command: int, reason: int) -> None:
    """Say no to a CREATE command; its name stands where others have their client order id."""
    reject_admin(state, command, reason).instrument = 0


@kernel
def reject_admin(state: Record, command: int, reason: int) -> Record:
    """Say no to a command that no account sends for itself."""
    seldom()
    event = bare_event(state, COMMAND_REJECTED, place_at(command), command + CLIENT_ORDER_ID_AT)
    event.reason = reason
    event.leaves = place_at(command).kind
    event.cum = state.limit
    event.cum_notional = state.value
    forget_reason(state)
    return event


@kernel
def nameless_event(state: Record, kind: int, command: int) -> Record:
    """An event about a command, with no text: session, account and instrument of the command."""
    event = bare_event(state, kind, place_at(command), command + CLIENT_ORDER_ID_AT)
    fill(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, 0, CLIENT_ORDER_ID_BYTES)
    return event
