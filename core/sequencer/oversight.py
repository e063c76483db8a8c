"""What an operator decides about accounts: status, self-trade prevention, kill switch, limits."""

from typing import Final

from core.book.levels import count_opened
from core.constants import PPM, SLOT_BYTES
from core.jit import kernel, stay_apart
from core.memory import Record, address_of, load_i64, pointer
from core.messages import (
    ACCOUNT_ACTIVE,
    ACCOUNT_SUSPENDED,
    ACCOUNT_UPDATED,
    ADMIN,
    CANCEL_OPEN,
    CHANGE_SELF_TRADE,
    CHANGE_STATUS,
    KILL_SWITCH_SET,
    LIMIT_FIELDS,
    LIMITS_SET,
    NEW_LIMITS_SLOT_2,
    STP_DECREMENT,
)
from core.reasons import Reason
from core.records import SPECIAL_KILLED, SPECIAL_SELF_TRADE, SPECIAL_SUSPENDED
from core.risk import limits
from core.risk.accounts import SYSTEM_ACCOUNTS, is_trader
from core.rows import account_row, limit_row
from core.sequencer.admit import because, nameless_event, place_at, reject_admin
from core.sequencer.change import cancel_all
from core.sequencer.events import bare_event
from core.sequencer.route import count_open

admin_at = pointer(ADMIN)
new_limits_at = pointer(NEW_LIMITS_SLOT_2)

CHANGES: Final = CHANGE_STATUS | CHANGE_SELF_TRADE
FIELDS: Final = len(LIMIT_FIELDS)

ADMIN_CANCEL: Final = Reason.ADMIN_CANCEL.value
CAPACITY: Final = Reason.CAPACITY.value
KILLED: Final = Reason.KILLED.value
MALFORMED: Final = Reason.MALFORMED.value
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value


@kernel
def update_account(state: Record, command: int) -> None:
    stay_apart()
    admin = admin_at(command)
    reason = account_form(command)
    if reason == 0 and not is_trader(state, admin.account):
        reason = UNKNOWN_ACCOUNT
    if reason != 0:
        reject_admin(state, command, reason)
        return
    account = account_row(state, admin.account)
    if admin.changes & CHANGE_STATUS != 0:
        account.status = admin.status
        set_special(account, SPECIAL_SUSPENDED, admin.status == ACCOUNT_SUSPENDED)
    if admin.changes & CHANGE_SELF_TRADE != 0:
        account.self_trade = admin.self_trade
        set_special(account, SPECIAL_SELF_TRADE, admin.self_trade != 0)
    ends = admin.flags & CANCEL_OPEN != 0
    event = bare_event(state, ACCOUNT_UPDATED, place_at(command), address_of(account))
    event.order_id = admin.account
    event.instrument = 0
    event.price = admin.changes
    event.qty = max(account.status, ACCOUNT_ACTIVE)
    event.leaves = account.self_trade
    event.cum = count_open(state, admin.account) if ends else 0
    if ends:
        cancel_all(state, admin.account, ADMIN_CANCEL)


@kernel
def account_form(command: int) -> int:
    admin = admin_at(command)
    if admin.slots != 1 or admin.changes & ~CHANGES != 0 or admin.flags & ~CANCEL_OPEN != 0:
        return MALFORMED
    if admin.changes == 0 and admin.flags == 0:
        return MALFORMED
    known = ACCOUNT_ACTIVE <= admin.status <= ACCOUNT_SUSPENDED
    if admin.changes & CHANGE_STATUS != 0 and not known:
        return MALFORMED
    too_much = admin.self_trade > STP_DECREMENT
    return MALFORMED if admin.changes & CHANGE_SELF_TRADE != 0 and too_much else 0


@kernel
def set_special(account: Record, bit: int, on: bool) -> None:  # noqa: FBT001
    """Whether the orders of an account have more to be asked for."""
    special = account.special & ~bit
    account.special = special | bit if on else special


@kernel
def switch(state: Record, command: int) -> None:
    """KILL_SWITCH: of one account, or of all."""
    stay_apart()
    admin = admin_at(command)
    account = admin.account
    reason = MALFORMED if admin.slots != 1 or admin.is_on > 1 else 0
    if reason == 0 and account != 0 and not is_trader(state, account):
        reason = UNKNOWN_ACCOUNT
    if reason != 0:
        reject_admin(state, command, reason)
        return
    before = state.killed if account == 0 else account_row(state, account).special & SPECIAL_KILLED
    ends = admin.is_on != 0 and before == 0
    if account == 0:
        state.killed = SPECIAL_KILLED if admin.is_on != 0 else 0
    else:
        set_special(account_row(state, account), SPECIAL_KILLED, admin.is_on != 0)
    event = nameless_event(state, KILL_SWITCH_SET, command)
    event.instrument = 0
    event.leaves = admin.is_on
    if not ends:
        return
    if account != 0:
        event.qty = count_open(state, account)
        cancel_all(state, account, KILLED)
        return
    for each in range(SYSTEM_ACCOUNTS + 1, state.accounts_used + 1):
        event.qty += count_open(state, each)
    for each in range(SYSTEM_ACCOUNTS + 1, state.accounts_used + 1):
        cancel_all(state, each, KILLED)


@kernel
def set_limits(state: Record, command: int) -> None:
    stay_apart()
    place = place_at(command)
    reason = MALFORMED if place.slots != 2 or not are_limits(command + SLOT_BYTES) else 0
    if reason == 0 and not is_trader(state, place.account):
        reason = UNKNOWN_ACCOUNT
    if reason == 0 and not 0 <= place.instrument <= state.instruments_used:
        reason = UNKNOWN_INSTRUMENT
    row = 0
    if reason == 0:
        row = limits.need_row(state, place.account, place.instrument)
        if row == 0:
            reason = because(state, CAPACITY, state.limits_max, state.limits_used)
        elif place.instrument == 0 and state.risk != 0:
            limit_row(state, row).levels = count_opened(state, place.account)
    if reason != 0:
        reject_admin(state, command, reason)
        return
    limits.take_fields(state, row, command + SLOT_BYTES)
    event = nameless_event(state, LIMITS_SET, command)
    event.qty = 1


@kernel
def are_limits(slot_2: int) -> bool:
    """None is negative, and those that are parts of something are not above all of it."""
    for field in range(FIELDS):
        if load_i64(slot_2 + 8 * field) < 0:
            return False
    asked = new_limits_at(slot_2)
    return asked.messages_per_fill <= PPM and asked.deviation_ppm <= PPM  # type: ignore[no-any-return]
