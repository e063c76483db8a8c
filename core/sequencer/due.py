"""TIME: what is due happens, the earliest first; and the tasks that have a deadline."""

from typing import Final

from core.book import deadlines
from core.constants import DUE_MAX
from core.jit import kernel, stay_apart
from core.memory import Record
from core.messages import (
    DAY,
    GTD,
    TIME_PASSED,
)
from core.reasons import Reason
from core.records import DUE_DEAD_MAN, DUE_ORDER
from core.rows import account_row, cold_row, deadline_row, extra_row
from core.sequencer.admit import nameless_event, place_at, reject_admin
from core.sequencer.change import cancel_all
from core.sequencer.clearing import clear
from core.sequencer.events import reserve
from core.sequencer.finish import expire_open

DAY_END: Final = Reason.DAY_END.value
DEAD_MAN: Final = Reason.DEAD_MAN.value
GTD_REASON: Final = Reason.GTD.value
MALFORMED: Final = Reason.MALFORMED.value
MAX_AGE: Final = Reason.MAX_AGE.value


@kernel
def pass_time(state: Record, command: int) -> None:
    """Run what is due, at most DUE_MAX of it, and say how much that was and what comes next."""
    stay_apart()
    if place_at(command).slots != 1:
        reject_admin(state, command, MALFORMED)
        return
    count = 0
    while count < DUE_MAX and is_due(state):
        count += 1
        if not run_first(state):
            break
    reserve(state)
    event = nameless_event(state, TIME_PASSED, command)
    event.account = 0
    event.instrument = 0
    event.qty = count
    event.leaves = int(is_due(state))
    event.price = deadlines.next_deadline(state)


@kernel
def is_due(state: Record) -> bool:
    return state.deadlines_count > 0 and deadline_row(state, 1).when_ns <= state.timestamp_ns  # type: ignore[no-any-return]


@kernel
def run_first(state: Record) -> bool:
    """The earliest deadline happens; False where that goes on with the next TIME."""
    first = deadline_row(state, 1)
    kind, row = first.kind, first.row
    if kind == DUE_ORDER:
        slot = extra_row(state, row).slot
        time_in_force = cold_row(state, slot).time_in_force
        reason = MAX_AGE
        if time_in_force == GTD:
            reason = GTD_REASON
        elif time_in_force == DAY:
            reason = DAY_END
        expire_open(state, slot, reason)
    elif kind == DUE_DEAD_MAN:
        deadlines.remove(state, account_row(state, row).dead_man)
        cancel_all(state, row, DEAD_MAN)
    else:
        return clear(state, row)
    return True
