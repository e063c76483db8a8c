"""Who is there: sessions that open and close, gateways that are lost, dead-man timers."""

from typing import Final

from core import table
from core.book import deadlines
from core.constants import DAY_NS, GATEWAY_SHIFT, GATEWAYS_MAX
from core.jit import kernel, stay_apart
from core.memory import Record, load_i64, pointer
from core.messages import (
    ADMIN,
    CANCEL_ON_DISCONNECT,
    CLIENT_ORDER_ID_AT,
    DEAD_MAN_SET,
    SESSION_EVENT,
)
from core.reasons import Reason
from core.records import DUE_DEAD_MAN
from core.risk.accounts import is_trader
from core.rows import account_row, session_row
from core.sequencer.admit import (
    REPEATED,
    admit,
    because,
    nameless_event,
    place_at,
    reject,
    reject_admin,
)
from core.sequencer.events import bare_event, reserve
from core.sequencer.mass import cancel_session, count_session

admin_at = pointer(ADMIN)

TIMEOUT_LEAST_NS: Final = 100_000_000
OPENED: Final = 1
LOST: Final = 2

CAPACITY: Final = Reason.CAPACITY.value
DISCONNECTED: Final = Reason.DISCONNECTED.value
MALFORMED: Final = Reason.MALFORMED.value
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value
UNKNOWN_SESSION: Final = Reason.UNKNOWN_SESSION.value


@kernel
def find_session(state: Record, session: int) -> int:
    """Row of a session, or 0."""
    entry = table.find(state.session_table, state.session_mask, session) if session != 0 else 0
    return load_i64(entry + 8) if entry != 0 else 0


@kernel
def open_session(state: Record, command: int) -> None:
    stay_apart()
    admin = admin_at(command)
    reason = 0
    if (
        admin.slots != 1
        or admin.session == 0
        or admin.flags & ~CANCEL_ON_DISCONNECT != 0
        or (admin.flags != 0 and admin.account == 0)
    ):
        reason = MALFORMED
    elif admin.account != 0 and not is_trader(state, admin.account):
        reason = UNKNOWN_ACCOUNT
    row = find_session(state, admin.session)  # ``begin`` made it, where there was room.
    if reason == 0 and row == 0:
        reason = because(state, CAPACITY, state.sessions_max, state.sessions_used)
    if reason != 0:
        reject_admin(state, command, reason)
        return
    session = session_row(state, row)
    session.account = admin.account
    session.flags = admin.flags
    session.is_open = 1
    event = nameless_event(state, SESSION_EVENT, command)
    event.instrument = 0
    event.qty = OPENED
    event.leaves = admin.flags


@kernel
def close_session(state: Record, command: int) -> None:
    stay_apart()
    admin = admin_at(command)
    reason = MALFORMED if admin.slots != 1 or admin.session == 0 else 0
    row = find_session(state, admin.session)
    if reason == 0 and (row == 0 or session_row(state, row).is_open == 0):
        reason = UNKNOWN_SESSION
    if reason != 0:
        reject_admin(state, command, reason)
        return
    session_row(state, row).counted = count_ending(state, row)
    end_session(state, command, row)


@kernel
def count_ending(state: Record, row: int) -> int:
    """How many orders end with a session."""
    session = session_row(state, row)
    if session.flags & CANCEL_ON_DISCONNECT == 0:
        return 0
    return count_session(state, session.account, session.session)


@kernel
def end_session(state: Record, command: int, row: int) -> None:
    """SESSION_EVENT of a session that ends, and the end of its orders."""
    session = session_row(state, row)
    reserve(state)
    event = nameless_event(state, SESSION_EVENT, command)
    event.session = session.session
    event.account = session.account
    event.instrument = 0
    event.leaves = session.counted
    session.is_open = 0
    session.counted = 0
    if session.flags & CANCEL_ON_DISCONNECT != 0:
        cancel_session(state, session.account, session.session, DISCONNECTED)


@kernel
def lose_gateway(state: Record, command: int) -> None:
    """All open sessions of a gateway end; their orders are counted before the first one ends."""
    stay_apart()
    admin = admin_at(command)
    gateway = admin.gateway
    if admin.slots != 1 or not 1 <= gateway <= GATEWAYS_MAX:
        reject_admin(state, command, MALFORMED)
        return
    count = 0
    for row in range(1, state.sessions_used + 1):
        session = session_row(state, row)
        if session.is_open != 0 and session.session >> GATEWAY_SHIFT == gateway:
            session.counted = count_ending(state, row)
            count += session.counted
    event = nameless_event(state, SESSION_EVENT, command)
    event.session = gateway << GATEWAY_SHIFT
    event.account = 0
    event.instrument = 0
    event.qty = LOST
    event.leaves = count
    for row in range(1, state.sessions_used + 1):
        session = session_row(state, row)
        if session.is_open != 0 and session.session >> GATEWAY_SHIFT == gateway:
            end_session(state, command, row)


@kernel
def set_dead_man(state: Record, command: int) -> None:
    """DEAD_MAN: cancel the account's orders at a time, unless it says so again before."""
    stay_apart()
    admin = admin_at(command)
    timeout = admin.timeout_ns
    reason = 0
    if admin.slots != 1 or (timeout != 0 and not TIMEOUT_LEAST_NS <= timeout <= DAY_NS):
        reason = MALFORMED
    if reason == 0:
        reason = admit(state, command)
    if reason == REPEATED:
        return
    if reason != 0:
        reject(state, command, reason, 0)
        return
    account = account_row(state, admin.account)
    if account.dead_man != 0:
        deadlines.remove(state, account.dead_man)
    when = state.timestamp_ns + timeout if timeout != 0 else 0
    if when != 0:
        deadlines.add(state, when, DUE_DEAD_MAN, admin.account)
    event = bare_event(state, DEAD_MAN_SET, place_at(command), command + CLIENT_ORDER_ID_AT)
    event.instrument = 0
    event.price = when
