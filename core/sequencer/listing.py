"""UPDATE_INSTRUMENT: other terms, another phase, and what ends by it."""

from typing import Final

from core.constants import SLOT_BYTES
from core.jit import kernel, stay_apart
from core.memory import Record, pointer
from core.messages import (
    BINARY,
    CHANGE_CLEARING,
    CHANGE_FEES,
    CHANGE_LOT,
    CHANGE_MAX_AGE,
    CHANGE_PHASE,
    CHANGE_SHORT,
    CHANGE_TICK,
    CHANGE_TICK_TABLE,
    CHANGED_INSTRUMENT,
    INSTRUMENT_UPDATED,
    MATCHED_HERE,
    PHASE_AUCTION,
    PHASE_CLOSED,
    PHASE_DELISTED,
    PHASE_PRE_OPEN,
    PHASE_SETTLED,
)
from core.reasons import Reason
from core.records import INSTRUMENT_OUTSIDE
from core.rows import asset_row, instrument_row, position_row
from core.sequencer.admit import because, place_at, reject_admin
from core.sequencer.instrument import about, write_terms
from core.sequencer.mass import count_instrument, end_days, halt_all
from core.sequencer.terms import (
    are_bounds,
    are_fees,
    are_shorts,
    derive,
    forget_prices,
    is_payout,
    is_table,
    is_unit,
    more_at,
    scaled,
    take_bounds,
    take_table,
)

change_at = pointer(CHANGED_INSTRUMENT)

CHANGES: Final = 2 * CHANGE_CLEARING - 1  # All of them.
CHANGE_UNITS: Final = CHANGE_TICK | CHANGE_LOT
SLOT_3_AT: Final = 2 * SLOT_BYTES

BOOK_NOT_EMPTY: Final = Reason.BOOK_NOT_EMPTY.value
MALFORMED: Final = Reason.MALFORMED.value
NOT_SUPPORTED: Final = Reason.NOT_SUPPORTED.value
PHASE: Final = Reason.PHASE.value
TERMS: Final = Reason.TERMS.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value


@kernel
def update_instrument(state: Record, command: int) -> None:
    """All checks first, then all changes, then what ends by them."""
    stay_apart()
    row = place_at(command).instrument
    reason = update_form(command)
    if reason == 0 and not 0 < row <= state.instruments_used:
        reason = UNKNOWN_INSTRUMENT
    if reason == 0:
        reason = check_update(state, command)
    if reason != 0:
        reject_admin(state, command, reason)
        return
    change = change_at(command)
    terms = instrument_row(state, row)
    phase = terms.phase
    count = count_instrument(state, row)
    take_changes(state, command)
    event = about(state, command, row, INSTRUMENT_UPDATED)
    event.price = change.changes
    event.qty = terms.phase
    event.leaves = phase
    event.cum = count
    write_terms(state, command, row)
    if change.changes & CHANGE_PHASE != 0:
        if terms.phase == PHASE_CLOSED and terms.matching == MATCHED_HERE:
            end_days(state, row)
        elif terms.phase == PHASE_DELISTED:
            halt_all(state, row)


@kernel
def update_form(command: int) -> int:
    change = change_at(command)
    slots = 2 if change.changes & CHANGE_TICK_TABLE == 0 else 3
    if change.changes == 0 or change.changes & ~CHANGES != 0 or change.slots != slots:
        return MALFORMED
    if change.changes & CHANGE_PHASE == 0:
        return 0
    phase = more_at(command + SLOT_BYTES).phase
    if not PHASE_PRE_OPEN <= phase <= PHASE_DELISTED:
        return MALFORMED
    return NOT_SUPPORTED if phase <= PHASE_AUCTION else 0


@kernel
def check_update(state: Record, command: int) -> int:
    """Phase, what must not be there, the new terms; 0: all of it may be done."""
    change = change_at(command)
    terms = instrument_row(state, change.instrument)
    is_over = terms.phase in (PHASE_SETTLED, PHASE_DELISTED)
    to_settled = more_at(command + SLOT_BYTES).phase == PHASE_SETTLED
    if change.changes & CHANGE_PHASE != 0 and (is_over or to_settled):
        return PHASE
    if change.changes & (CHANGE_FEES | CHANGE_UNITS | CHANGE_CLEARING) != 0:
        count = count_instrument(state, change.instrument)
        if change.changes & CHANGE_FEES != 0 and count != 0:
            return because(state, BOOK_NOT_EMPTY, 0, count)
        if change.changes & CHANGE_UNITS != 0:
            left = count + count_positions(state, change.instrument)
            if left != 0:
                return because(state, BOOK_NOT_EMPTY, 0, left)
        if change.changes & CHANGE_CLEARING != 0:
            to_periods = more_at(command + SLOT_BYTES).clearing_ns != 0
            if count != 0 or terms.clearing != 0:
                return TERMS
            if to_periods and is_short(state, change.instrument):
                return TERMS
    return 0 if fits_changes(state, command) else TERMS


@kernel
def count_positions(state: Record, instrument: int) -> int:
    """Positions of an instrument that are not 0, that have something to be cleared or to be given
    back, or that a correction may still pay."""
    count = 0
    for row in range(1, state.positions_used + 1):
        position = position_row(state, row)
        used = position.net | position.due_bought | position.due_sold
        used = used | position.short | position.settled
        if position.instrument == instrument and used != 0:
            count += 1
    return count


@kernel
def is_short(state: Record, instrument: int) -> bool:
    """Has anybody sold lots short that he did not buy back?"""
    for row in range(1, state.positions_used + 1):
        position = position_row(state, row)
        if position.instrument == instrument and position.short != 0:
            return True
    return False


@kernel
def fits_changes(state: Record, command: int) -> bool:
    """Do the new terms fit their ranges, and each other?"""
    change = change_at(command)
    terms = instrument_row(state, change.instrument)
    changes = change.changes
    more = more_at(command + SLOT_BYTES)
    if changes & CHANGE_FEES != 0 and not are_fees(change.maker_ppm, change.taker_ppm):
        return False
    if not are_bounds(command + SLOT_BYTES, changes):
        return False
    is_outside = terms.special & INSTRUMENT_OUTSIDE != 0
    if changes & CHANGE_MAX_AGE != 0 and more.max_age_ns != 0 and is_outside:
        return False
    if changes & CHANGE_UNITS != 0 and not fits_units(state, command):
        return False
    if changes & CHANGE_TICK_TABLE != 0 and not is_table(command + SLOT_3_AT):
        return False
    if changes & (CHANGE_SHORT | CHANGE_CLEARING) == 0:
        return True
    short_ppm = more.short_ppm if changes & CHANGE_SHORT != 0 else terms.short_ppm
    clearing_ns = more.clearing_ns if changes & CHANGE_CLEARING != 0 else terms.clearing_ns
    return are_shorts(terms.special, short_ppm, clearing_ns)


@kernel
def fits_units(state: Record, command: int) -> bool:
    """A new tick or lot: may it be one, and does money come out whole?"""
    change = change_at(command)
    terms = instrument_row(state, change.instrument)
    if change.changes & CHANGE_TICK != 0 and not is_unit(change.tick, change.tick_scale):
        return False
    if change.changes & CHANGE_LOT != 0 and not is_unit(change.lot, change.lot_scale):
        return False
    multiplier = new_multiplier(state, command)
    if multiplier == 0:
        return False
    if terms.instrument_type == BINARY:
        return is_payout(terms.payout, multiplier)
    return new_base_per_lot(state, command) != 0


@kernel
def new_multiplier(state: Record, command: int) -> int:
    """Quote units per tick and lot after the change; 0 where that is no whole number."""
    change = change_at(command)
    terms = instrument_row(state, change.instrument)
    new_tick = change.changes & CHANGE_TICK != 0
    new_lot = change.changes & CHANGE_LOT != 0
    tick = change.tick if new_tick else terms.tick
    lot = change.lot if new_lot else terms.lot
    scale = change.tick_scale if new_tick else terms.tick_scale
    scale += change.lot_scale if new_lot else terms.lot_scale
    return scaled(tick * lot, asset_row(state, terms.quote_asset).scale - scale)


@kernel
def new_base_per_lot(state: Record, command: int) -> int:
    """Base units per lot after the change; 0 where that is no whole number, or there is no base."""
    change = change_at(command)
    terms = instrument_row(state, change.instrument)
    if terms.base_asset == 0:
        return 0
    new_lot = change.changes & CHANGE_LOT != 0
    lot = change.lot if new_lot else terms.lot
    scale = change.lot_scale if new_lot else terms.lot_scale
    return scaled(lot, asset_row(state, terms.base_asset).scale - scale)


@kernel
def take_changes(state: Record, command: int) -> None:
    """Do what ``check_update`` allowed."""
    change = change_at(command)
    changes = change.changes
    more = more_at(command + SLOT_BYTES)
    terms = instrument_row(state, change.instrument)
    if changes & CHANGE_UNITS != 0:
        take_units(state, command)
    if changes & CHANGE_PHASE != 0:
        terms.phase = more.phase
    if changes & CHANGE_FEES != 0:
        terms.maker_ppm = change.maker_ppm
        terms.taker_ppm = change.taker_ppm
    take_bounds(terms, command + SLOT_BYTES, changes)
    if changes & CHANGE_TICK_TABLE != 0:
        take_table(terms, command + SLOT_3_AT)
    if changes & CHANGE_SHORT != 0:
        terms.short_ppm = more.short_ppm
    if changes & CHANGE_CLEARING != 0:
        terms.clearing_ns = more.clearing_ns
    derive(terms)


@kernel
def take_units(state: Record, command: int) -> None:
    """A new tick, a new lot; what was told in the old ones goes."""
    change = change_at(command)
    terms = instrument_row(state, change.instrument)
    multiplier = new_multiplier(state, command)
    terms.base_per_lot = new_base_per_lot(state, command)
    terms.multiplier = multiplier
    if change.changes & CHANGE_TICK != 0:
        terms.tick = change.tick
        terms.tick_scale = change.tick_scale
    if change.changes & CHANGE_LOT != 0:
        terms.lot = change.lot
        terms.lot_scale = change.lot_scale
        terms.qty_min = 0
        terms.qty_max = 0
    forget_prices(terms)
