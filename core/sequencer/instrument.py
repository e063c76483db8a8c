"""CREATE_INSTRUMENT."""

from typing import Final

from core.book import levels
from core.constants import SLOT_BYTES, STOP_SIDES
from core.jit import kernel, stay_apart
from core.memory import Record, address_of, copy36, load_u8, pointer
from core.messages import (
    BINARY,
    CLIENT_ORDER_ID_AT,
    INSTRUMENT_CREATED,
    INSTRUMENT_TERMS,
    MATCHED_HERE,
    MATCHED_OUTSIDE,
    NEW_INSTRUMENT,
    PHASE_CLOSED,
    PHASE_DELISTED,
    PHASE_HALTED,
    PHASE_OPEN,
    PHASE_POST_ONLY,
    PHASE_PRE_OPEN,
    SPOT,
)
from core.reasons import Reason
from core.records import SYMBOL_AT
from core.risk import text
from core.risk.accounts import OUTSIDE_ACCOUNT, need_position
from core.rows import asset_row, instrument_row
from core.sequencer.admit import because, place_at, reject_new
from core.sequencer.events import bare_event
from core.sequencer.terms import (
    BOUNDS,
    are_bounds,
    are_fees,
    are_shorts,
    derive,
    is_payout,
    is_table,
    is_unit,
    more_at,
    scaled,
    sort_of,
    take_bounds,
    take_table,
)

new_instrument_at = pointer(NEW_INSTRUMENT)

SLOT_3_AT: Final = 2 * SLOT_BYTES
SYMBOL_BYTES: Final = 32

BOOK_NOT_EMPTY: Final = Reason.BOOK_NOT_EMPTY.value
CAPACITY: Final = Reason.CAPACITY.value
MALFORMED: Final = Reason.MALFORMED.value
NAME_TAKEN: Final = Reason.NAME_TAKEN.value
NOT_SUPPORTED: Final = Reason.NOT_SUPPORTED.value
PHASE: Final = Reason.PHASE.value
TERMS: Final = Reason.TERMS.value
UNKNOWN_ASSET: Final = Reason.UNKNOWN_ASSET.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value


@kernel
def create_instrument(state: Record, command: int) -> None:
    stay_apart()
    new = new_instrument_at(command)
    reason = instrument_form(command)
    if reason == 0:
        taken = text.find_name(state, text.INSTRUMENT_NAMES, command + CLIENT_ORDER_ID_AT)
        if taken != 0:
            reason = because(state, NAME_TAKEN, taken, 0)
        elif not are_assets(state, new):
            reason = UNKNOWN_ASSET
    multiplier = 0
    base_per_lot = 0
    if reason == 0:
        reason = TERMS if not sound(command) else 0
    if reason == 0:
        quote_scale = asset_row(state, new.quote_asset).scale
        multiplier = scaled(new.tick * new.lot, quote_scale - new.tick_scale - new.lot_scale)
        if new.instrument_type == SPOT:
            base_scale = asset_row(state, new.base_asset).scale
            base_per_lot = scaled(new.lot, base_scale - new.lot_scale)
            is_whole = base_per_lot != 0
        else:
            is_whole = multiplier != 0 and is_payout(new.payout, multiplier)
        if multiplier == 0 or not is_whole:
            reason = TERMS
        elif state.instruments_used == state.instruments_max:
            reason = because(state, CAPACITY, state.instruments_max, state.instruments_used)
        elif new.matching == MATCHED_OUTSIDE and state.positions_used == state.positions_max:
            reason = because(state, CAPACITY, state.positions_max, state.positions_used)
    if reason != 0:
        reject_new(state, command, reason)
        return
    row = add_instrument(state, command, multiplier, base_per_lot)
    write_instrument(state, command, row)


@kernel
def is_asset(state: Record, asset: int) -> bool:
    return 0 < asset <= state.assets_used


@kernel
def are_assets(state: Record, new: Record) -> bool:
    """A BINARY has no base asset."""
    has_base = new.instrument_type != SPOT or is_asset(state, new.base_asset)
    return has_base and is_asset(state, new.quote_asset)


@kernel
def instrument_form(command: int) -> int:
    new = new_instrument_at(command)
    if not 2 <= new.slots <= 3 or not is_symbol(command + CLIENT_ORDER_ID_AT):
        return MALFORMED
    if not SPOT <= new.instrument_type <= BINARY:
        return MALFORMED
    if not MATCHED_HERE <= new.matching <= MATCHED_OUTSIDE:
        return MALFORMED
    phase = more_at(command + SLOT_BYTES).phase
    if not PHASE_PRE_OPEN <= phase <= PHASE_DELISTED:
        return MALFORMED
    begins = phase in (PHASE_OPEN, PHASE_HALTED, PHASE_POST_ONLY, PHASE_CLOSED)
    return 0 if begins else NOT_SUPPORTED


@kernel
def is_symbol(address: int) -> bool:
    """1 to 32 characters of A-Z a-z 0-9 - . / _, and zeros."""
    length = 0
    while length < SYMBOL_BYTES and load_u8(address + length) != 0:
        character = load_u8(address + length)
        is_letter = 65 <= (character & ~32) <= 90
        if not is_letter and not 45 <= character <= 57 and character != 95:
            return False
        length += 1
    return length > 0 and load_u8(address + length) == 0


@kernel
def sound(command: int) -> bool:
    """Do the terms of a new instrument fit their ranges?"""
    new = new_instrument_at(command)
    more = more_at(command + SLOT_BYTES)
    if new.base_asset == new.quote_asset:
        return False
    if new.instrument_type == BINARY and new.base_asset != 0:
        return False
    if not is_unit(new.tick, new.tick_scale) or not is_unit(new.lot, new.lot_scale):
        return False
    if not are_fees(new.maker_ppm, new.taker_ppm) or not are_bounds(command + SLOT_BYTES, BOUNDS):
        return False
    special = sort_of(new.instrument_type, new.matching)
    if not are_shorts(special, more.short_ppm, more.clearing_ns):
        return False
    if more.max_age_ns != 0 and new.matching == MATCHED_OUTSIDE:
        return False
    return new.slots == 2 or is_table(command + SLOT_3_AT)


@kernel
def add_instrument(state: Record, command: int, multiplier: int, base_per_lot: int) -> int:
    """The row and the empty books of a new instrument; its number."""
    new = new_instrument_at(command)
    more = more_at(command + SLOT_BYTES)
    state.instruments_used += 1
    row = state.instruments_used
    terms = instrument_row(state, row)
    symbol = command + CLIENT_ORDER_ID_AT
    copy36(address_of(terms) + SYMBOL_AT, symbol)
    terms.instrument_type = new.instrument_type
    terms.matching = new.matching
    terms.phase = more.phase
    terms.tick_scale = new.tick_scale
    terms.lot_scale = new.lot_scale
    terms.base_asset = new.base_asset
    terms.quote_asset = new.quote_asset
    terms.maker_ppm = new.maker_ppm
    terms.taker_ppm = new.taker_ppm
    terms.multiplier = multiplier
    terms.base_per_lot = base_per_lot
    terms.fees_balance = asset_row(state, new.quote_asset).fees_balance
    terms.tick = new.tick
    terms.lot = new.lot
    terms.payout = new.payout if new.instrument_type == BINARY else 0
    terms.short_ppm = more.short_ppm
    terms.clearing_ns = more.clearing_ns
    take_bounds(terms, command + SLOT_BYTES, BOUNDS)
    if new.slots > 2:
        take_table(terms, command + SLOT_3_AT)
    derive(terms)
    text.add_name(state, text.INSTRUMENT_NAMES, symbol, row)
    levels.open_bookside(state, 2 * row)
    levels.open_bookside(state, 2 * row + 1)
    levels.open_bookside(state, STOP_SIDES + 2 * row)
    levels.open_bookside(state, STOP_SIDES + 2 * row + 1)
    if new.matching == MATCHED_OUTSIDE:
        terms.outside_position = need_position(state, OUTSIDE_ACCOUNT, row)
    return row  # type: ignore[no-any-return]


@kernel
def write_instrument(state: Record, command: int, row: int) -> None:
    """INSTRUMENT_CREATED and INSTRUMENT_TERMS."""
    terms = instrument_row(state, row)
    event = about(state, command, row, INSTRUMENT_CREATED)
    event.price = terms.multiplier
    event.qty = terms.base_per_lot
    event.leaves = terms.base_asset
    event.cum = terms.quote_asset
    event.cum_notional = terms.instrument_type | (terms.matching << 8) | (terms.phase << 16)
    write_terms(state, command, row)


@kernel
def about(state: Record, command: int, row: int, kind: int) -> Record:
    """An event of the instrument ``row``: its number and its symbol."""
    symbol = address_of(instrument_row(state, row)) + SYMBOL_AT
    event = bare_event(state, kind, place_at(command), symbol)
    event.order_id = row
    event.account = 0
    event.instrument = row
    return event


@kernel
def write_terms(state: Record, command: int, row: int) -> None:
    terms = instrument_row(state, row)
    event = about(state, command, row, INSTRUMENT_TERMS)
    event.price = terms.tick
    event.qty = terms.lot
    event.leaves = terms.tick_scale | (terms.lot_scale << 8)
    event.cum = terms.maker_ppm
    event.cum_notional = terms.taker_ppm
