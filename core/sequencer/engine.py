"""The engine: one compiled call applies a batch of commands to the state and writes its events.

No I/O, no clock, no allocation, no exception: everything that happens follows from the state and
the commands, so replaying the journal gives the same events and the same state, bit for bit.
"""

from typing import Final

from core import table
from core.constants import SLOT_BYTES
from core.jit import VERIFY, inlined, kernel, seldom, stay_apart
from core.memory import Record, load_i64, prefetch
from core.messages import (
    BUST_TRADE,
    CANCEL_ORDER,
    CLIENT_ORDER_ID_AT,
    COMMAND_REJECTED,
    CORRECT_TRADE,
    CREATE_ACCOUNT,
    CREATE_ASSET,
    CREATE_INSTRUMENT,
    DEAD_MAN,
    DEPOSIT,
    GATEWAY_LOST,
    KILL_SWITCH,
    MASS_CANCEL,
    OUTSIDE_ACKNOWLEDGED,
    OUTSIDE_SETTLED,
    PLACE_ORDER,
    REDUCE_ORDER,
    REPLACE_ORDER,
    SCHEMA,
    SESSION_CLOSED,
    SESSION_OPENED,
    SET_LIMITS,
    SETTLE_INSTRUMENT,
    TIME,
    TRANSFER,
    UPDATE_ACCOUNT,
    UPDATE_INSTRUMENT,
    WITHDRAW,
    WORKFLOW_OUTCOME,
)
from core.reasons import Reason
from core.rows import session_row, state_at
from core.sequencer.admit import place_at
from core.sequencer.change import cancel_order, mass_cancel, reduce_order
from core.sequencer.due import pass_time
from core.sequencer.events import bare_event, mark_last, publish, reserve
from core.sequencer.fetch import FETCH_SLOTS, LINE_BYTES, NEXT_BYTES, fetch
from core.sequencer.instrument import create_instrument
from core.sequencer.listing import update_instrument
from core.sequencer.outside import record_execution
from core.sequencer.oversight import set_limits, switch, update_account
from core.sequencer.place import place_order
from core.sequencer.presence import close_session, lose_gateway, open_session, set_dead_man
from core.sequencer.reference import create_account, create_asset, move_money
from core.sequencer.replace import replace_order
from core.sequencer.settlement import settle_instrument
from core.sequencer.trades import undo_trade
from core.sequencer.transfer import transfer

ENGINE_VERSION: Final = 2

MALFORMED: Final = Reason.MALFORMED.value
NOT_SUPPORTED: Final = Reason.NOT_SUPPORTED.value
UNKNOWN_KIND: Final = Reason.UNKNOWN_KIND.value


@kernel
def apply_batch(state_address: int, commands: int, slots: int) -> int:
    """Apply the commands in ``slots`` slots at ``commands``, stamped with their sequence and time
    and in order; publish their events.  Returns how many commands that were."""
    state = state_at(state_address)
    count = 0
    place = 0
    fetched = 0
    while place < slots:
        if place >= fetched:
            fetched = min(place + FETCH_SLOTS, slots)
            fetch(state, commands + place * SLOT_BYTES, commands + fetched * SLOT_BYTES)
        command = commands + place * SLOT_BYTES
        prefetch(command + NEXT_BYTES)
        prefetch(command + NEXT_BYTES + LINE_BYTES)
        prefix = place_at(command)
        place += max(prefix.slots, 1)
        count += 1
        begin(state, prefix)
        if prefix.schema != SCHEMA:
            refuse(state, command)
        elif prefix.kind == PLACE_ORDER:
            place_order(state, command)
        elif prefix.kind == CANCEL_ORDER:
            cancel_order(state, command)
        elif prefix.kind == REPLACE_ORDER:
            replace_order(state, command)
        else:
            apply_other(state, command)
        mark_last(state)
    publish(state)
    return count


@inlined
def begin(state: Record, prefix: Record) -> None:
    """What a command changes whatever becomes of it."""
    if VERIFY:
        assert prefix.sequence > state.sequence and prefix.timestamp_ns >= state.timestamp_ns
    state.sequence = prefix.sequence
    state.timestamp_ns = prefix.timestamp_ns
    reserve(state)
    state.index = 0
    state.request_id = prefix.request_id
    state.record = 0
    state.kind = prefix.kind
    if prefix.session != 0:
        touch_session(state, prefix.session, prefix.request_id)


@kernel
def apply_other(state: Record, command: int) -> None:
    """A command of one of the kinds that are rare."""
    seldom()
    kind = place_at(command).kind
    if kind == REDUCE_ORDER:
        reduce_order(state, command)
    elif kind == MASS_CANCEL:
        mass_cancel(state, command)
    elif kind == TIME:
        pass_time(state, command)
    elif kind in (DEPOSIT, WITHDRAW):
        move_money(state, command)
    elif kind == CREATE_ACCOUNT:
        create_account(state, command)
    elif kind == CREATE_ASSET:
        create_asset(state, command)
    elif kind == CREATE_INSTRUMENT:
        create_instrument(state, command)
    elif kind == UPDATE_INSTRUMENT:
        update_instrument(state, command)
    elif kind == TRANSFER:
        transfer(state, command)
    elif kind in (BUST_TRADE, CORRECT_TRADE):
        undo_trade(state, command)
    elif kind == SETTLE_INSTRUMENT:
        settle_instrument(state, command)
    else:
        oversee(state, command)


@kernel
def oversee(state: Record, command: int) -> None:
    """A command about accounts and sessions, or from outside."""
    kind = place_at(command).kind
    if kind == UPDATE_ACCOUNT:
        update_account(state, command)
    elif kind == KILL_SWITCH:
        switch(state, command)
    elif kind == SET_LIMITS:
        set_limits(state, command)
    elif kind == SESSION_OPENED:
        open_session(state, command)
    elif kind == SESSION_CLOSED:
        close_session(state, command)
    elif kind == GATEWAY_LOST:
        lose_gateway(state, command)
    elif kind == DEAD_MAN:
        set_dead_man(state, command)
    elif OUTSIDE_ACKNOWLEDGED <= kind <= OUTSIDE_SETTLED:
        record_execution(state, command)
    else:
        refuse(state, command)


@kernel
def is_kept(kind: int) -> bool:
    """A kind that has its number, but not its feature yet."""
    return (
        OUTSIDE_SETTLED < kind < OUTSIDE_ACKNOWLEDGED + 10
        or WORKFLOW_OUTCOME <= kind < WORKFLOW_OUTCOME + 10
    )


@kernel
def refuse(state: Record, command: int) -> None:
    """Reject a command of a kind or schema that this engine does not know."""
    seldom()
    prefix = place_at(command)
    reason = MALFORMED
    if is_kept(prefix.kind):
        reason = NOT_SUPPORTED
    elif not is_known(prefix.kind):
        reason = UNKNOWN_KIND
    event = bare_event(state, COMMAND_REJECTED, prefix, command + CLIENT_ORDER_ID_AT)
    event.reason = reason
    event.leaves = prefix.kind
    state.rejects += 1


@kernel
def is_known(kind: int) -> bool:
    return (
        PLACE_ORDER <= kind <= MASS_CANCEL
        or CREATE_ASSET <= kind <= SETTLE_INSTRUMENT
        or CREATE_ACCOUNT <= kind <= SET_LIMITS
        or SESSION_OPENED <= kind <= DEAD_MAN
        or TIME <= kind <= CORRECT_TRADE
        or OUTSIDE_ACKNOWLEDGED <= kind <= OUTSIDE_SETTLED
    )


@kernel
def touch_session(state: Record, session: int, request_id: int) -> None:
    """Remember the newest request of a session."""
    stay_apart()
    entry = table.find(state.session_table, state.session_mask, session)
    if entry == 0:
        if state.sessions_used == state.sessions_max:
            state.sessions_refused += 1
            return
        state.sessions_used += 1
        entry = table.insert(state.session_table, state.session_mask, session, state.sessions_used)
        session_row(state, state.sessions_used).session = session
    session_row(state, load_i64(entry + 8)).last_request_id = request_id
