"""Many orders that end by one command: those of a session, those of an instrument."""

from typing import Final

from core.book import cascade, levels
from core.constants import PAGE_BITS, PAGE_LEVELS, STOP_SIDES
from core.jit import kernel, stay_apart
from core.memory import Record
from core.messages import DAY, MATCHED_OUTSIDE
from core.reasons import Reason
from core.rows import (
    account_row,
    bookside_row,
    cold_row,
    instrument_row,
    level_row,
    order_row,
    slot_of_unit,
)
from core.sequencer.change import still_open
from core.sequencer.finish import cancel_open, expire_open, is_open
from core.sequencer.route import is_asked

DAY_END: Final = Reason.DAY_END.value
HALT: Final = Reason.HALT.value


@kernel
def count_session(state: Record, account: int, session: int) -> int:
    """How many open orders of an account came by a session."""
    count = 0
    slot = account_row(state, account).open_head
    while slot != 0:
        cold = cold_row(state, slot)
        if cold.session == session and not is_asked(state, slot):
            count += 1
        slot = cold.account_next
    return count


@kernel
def cancel_session(state: Record, account: int, session: int, reason: int) -> None:
    """Cancel the open orders of an account that came by a session, oldest first."""
    stay_apart()
    slot = account_row(state, account).open_head
    while slot != 0:
        following = cold_row(state, slot).account_next
        if cold_row(state, slot).session == session:
            cancel_open(state, slot, reason)
            following = still_open(state, following)
        slot = following


@kernel
def count_instrument(state: Record, instrument: int) -> int:
    """How many orders are open in an instrument."""
    stay_apart()
    terms = instrument_row(state, instrument)
    if terms.matching == MATCHED_OUTSIDE:
        return terms.open_orders  # type: ignore[no-any-return]
    count = terms.pending
    for bookside in range(2 * instrument, 2 * instrument + 2):
        key = bookside_row(state, bookside).best_key
        while key >= 0:
            count += levels.level_at_key(state, bookside, key).orders
            key = levels.next_level(state, bookside, key)
    return count  # type: ignore[no-any-return]


@kernel
def gather(state: Record, instrument: int) -> None:
    """Put the open orders of an instrument into the heap of ids."""
    stay_apart()
    if instrument_row(state, instrument).open_orders != 0:  # Matched outside: no book has them.
        for slot in range(1, state.slots_used + 1):
            if cold_row(state, slot).instrument == instrument and is_open(state, slot):
                cascade.push(state, slot)
    for first in (2 * instrument, STOP_SIDES + 2 * instrument):
        for bookside in range(first, first + 2):
            key = bookside_row(state, bookside).best_key
            while key >= 0:
                page = levels.find_page(state, bookside, key)
                unit = (page << PAGE_BITS) | (key & (PAGE_LEVELS - 1))
                at = level_row(state, unit).next
                while at != unit:
                    slot = slot_of_unit(state, at)
                    cascade.push(state, slot)
                    at = order_row(state, slot).next
                key = levels.next_level(state, bookside, key)


@kernel
def end_days(state: Record, instrument: int) -> None:
    """Every DAY order of an instrument expires, ascending by order id."""
    gather(state, instrument)
    while state.cascade_count > 0:
        slot = cascade.pop(state)
        if is_open(state, slot) and cold_row(state, slot).time_in_force == DAY:
            expire_open(state, slot, DAY_END)


@kernel
def halt_all(state: Record, instrument: int) -> None:
    """Every open order of an instrument is canceled, or asked to be, ascending by order id."""
    gather(state, instrument)
    while state.cascade_count > 0:
        slot = cascade.pop(state)
        if is_open(state, slot):
            cancel_open(state, slot, HALT)
