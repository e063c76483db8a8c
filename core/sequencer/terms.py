"""The terms of an instrument: what they may be, and what follows from them.

Shared by its creation and its changes (docs/engine-venue.md, UPDATE_INSTRUMENT).
"""

from typing import Final

from core.constants import DAY_NS, FEE_PPM_MAX, MONEY_MAX, PPM, PRICE_MAX, SCALE_MAX, SECOND_NS
from core.jit import kernel
from core.layout import offset_of
from core.memory import Record, address_of, copy, fill, load_i64, pointer
from core.messages import (
    BINARY,
    CHANGE_BAND,
    CHANGE_DAY_END,
    CHANGE_MAX_AGE,
    CHANGE_NOTIONAL,
    CHANGE_PRICES,
    CHANGE_QTY,
    MATCHED_OUTSIDE,
    NEW_INSTRUMENT_SLOT_2,
    PHASE_OPEN,
    TICK_TABLE,
)
from core.records import (
    INSTRUMENT,
    INSTRUMENT_AGE,
    INSTRUMENT_BAND,
    INSTRUMENT_BINARY,
    INSTRUMENT_CLEARED,
    INSTRUMENT_OUTSIDE,
    INSTRUMENT_PHASE,
    INSTRUMENT_SHORT,
    INSTRUMENT_TICKS,
    TICK_BANDS,
)
from core.risk.prices import TICK_FROM_AT, TICK_STEP_AT

more_at = pointer(NEW_INSTRUMENT_SLOT_2)

UNIT_MAX: Final = 1_000_000_000  # Largest tick, lot or step, in units of its scale.
SHORT_PPM_MAX: Final = 10_000_000
POWERS: Final = tuple(10**exponent for exponent in range(19))
STEP_AT: Final = offset_of(TICK_TABLE, "step")
BOUNDS: Final = (
    CHANGE_QTY | CHANGE_NOTIONAL | CHANGE_PRICES | CHANGE_BAND | CHANGE_MAX_AGE | CHANGE_DAY_END
)
TABLE_BYTES: Final = 8 * TICK_BANDS
assert TICK_STEP_AT == TICK_FROM_AT + TABLE_BYTES == TICK_FROM_AT + STEP_AT
DAY_FIRST_AT: Final = offset_of(INSTRUMENT, "last_price")
DAY_BYTES: Final = offset_of(INSTRUMENT, "open_orders") - DAY_FIRST_AT


@kernel
def are_fees(maker_ppm: int, taker_ppm: int) -> bool:
    return -FEE_PPM_MAX <= maker_ppm <= FEE_PPM_MAX and -FEE_PPM_MAX <= taker_ppm <= FEE_PPM_MAX


@kernel
def is_unit(number: int, scale: int) -> bool:
    """May this be a tick or a lot?"""
    return 0 < number <= UNIT_MAX and scale <= SCALE_MAX


@kernel
def is_range(low: int, high: int) -> bool:
    """Neither is negative, and a ``high`` that is not 0 is not below ``low``."""
    return low >= 0 and high >= 0 and (high == 0 or low <= high)


@kernel
def are_bounds(slot_2: int, changes: int) -> bool:
    """Do the bounds of BOUNDS that ``changes`` names fit their ranges?"""
    more = more_at(slot_2)
    fits = True
    if changes & CHANGE_QTY != 0:
        fits = is_range(more.qty_min, more.qty_max)
    if changes & CHANGE_NOTIONAL != 0:
        fits = fits and is_range(more.notional_min, more.notional_max)
    if changes & CHANGE_PRICES != 0:
        fits = fits and is_range(more.price_min, more.price_max)
    if changes & CHANGE_BAND != 0:
        fits = fits and 0 <= more.band_ppm <= PPM and 0 <= more.reference_price <= PRICE_MAX
    if changes & CHANGE_MAX_AGE != 0:
        fits = fits and more.max_age_ns >= 0
    if changes & CHANGE_DAY_END != 0:
        fits = fits and 0 <= more.day_end_ns < DAY_NS
    return fits


@kernel
def is_table(slot_3: int) -> bool:
    """Does a table of ticks begin at 0, ascend, and have steps?  One without entries does, too."""
    if load_i64(slot_3 + STEP_AT) != 0 and load_i64(slot_3) != 0:
        return False
    before = 0
    ended = load_i64(slot_3 + STEP_AT) == 0
    if not ended and not 0 < load_i64(slot_3 + STEP_AT) <= UNIT_MAX:
        return False
    for band in range(1, TICK_BANDS):
        start = load_i64(slot_3 + 8 * band)
        if start == 0:
            ended = True
            continue
        step = load_i64(slot_3 + STEP_AT + 8 * band)
        if ended or start <= before or not 0 < step <= UNIT_MAX:
            return False
        before = start
    return True


@kernel
def are_shorts(special: int, short_ppm: int, clearing_ns: int) -> bool:
    """May an instrument of this sort sell short, or be cleared at times?"""
    if not 0 <= short_ppm <= SHORT_PPM_MAX:
        return False
    if clearing_ns != 0 and clearing_ns < SECOND_NS:
        return False
    if short_ppm == 0 and clearing_ns == 0:
        return True
    plain = special & (INSTRUMENT_BINARY | INSTRUMENT_OUTSIDE) == 0
    return plain and (short_ppm == 0 or clearing_ns == 0)


@kernel
def is_payout(payout: int, multiplier: int) -> bool:
    """May a BINARY pay this: at least two ticks, and a whole number of them?"""
    return 2 * multiplier <= payout <= MONEY_MAX and payout % multiplier == 0


@kernel
def scaled(number: int, exponent: int) -> int:
    """number x 10^exponent, number > 0; 0 where that is no whole number or above MONEY_MAX."""
    if exponent >= len(POWERS) or -exponent >= len(POWERS):
        return 0
    if exponent < 0:
        return number // POWERS[-exponent] if number % POWERS[-exponent] == 0 else 0
    return number * POWERS[exponent] if number <= MONEY_MAX // POWERS[exponent] else 0


@kernel
def sort_of(instrument_type: int, matching: int) -> int:
    """What of ``special`` an instrument is for ever."""
    special = INSTRUMENT_BINARY if instrument_type == BINARY else 0
    return special | INSTRUMENT_OUTSIDE if matching == MATCHED_OUTSIDE else special


@kernel
def take_bounds(terms: Record, slot_2: int, changes: int) -> None:
    """The bounds of BOUNDS that ``changes`` names."""
    more = more_at(slot_2)
    if changes & CHANGE_QTY != 0:
        terms.qty_min = more.qty_min
        terms.qty_max = more.qty_max
    if changes & CHANGE_NOTIONAL != 0:
        terms.notional_min = more.notional_min
        terms.notional_max = more.notional_max
    if changes & CHANGE_PRICES != 0:
        terms.price_min = more.price_min
        terms.price_max = more.price_max
    if changes & CHANGE_BAND != 0:
        terms.band_ppm = more.band_ppm
        terms.reference_price = more.reference_price
    if changes & CHANGE_MAX_AGE != 0:
        terms.max_age_ns = more.max_age_ns
    if changes & CHANGE_DAY_END != 0:
        terms.day_end_ns = more.day_end_ns
        if terms.day_ends_ns != 0:
            terms.day_ends_ns = (terms.day + 1) * DAY_NS + more.day_end_ns


@kernel
def take_table(terms: Record, slot_3: int) -> None:
    """The table of ticks; one whose first step is 0 is none."""
    own = address_of(terms) + TICK_FROM_AT
    fill(own, 0, 2 * TABLE_BYTES)
    if load_i64(slot_3 + STEP_AT) != 0:
        copy(own, slot_3, 2 * TABLE_BYTES)
        for band in range(1, TICK_BANDS):
            if load_i64(slot_3 + 8 * band) == 0:
                fill(own + TABLE_BYTES + 8 * band, 0, 8)


@kernel
def forget_prices(terms: Record) -> None:
    """Prices or quantities mean something else from now on: what was told in them goes."""
    fill(address_of(terms) + DAY_FIRST_AT, 0, DAY_BYTES)
    fill(address_of(terms) + TICK_FROM_AT, 0, 2 * TABLE_BYTES)
    terms.reference_price = 0
    terms.band_ppm = 0
    terms.price_min = 0
    terms.price_max = 0


@kernel
def derive(terms: Record) -> None:
    """What every order asks, out of the terms as they are now."""
    terms.hold_ppm = max(terms.maker_ppm, terms.taker_ppm, 0)
    terms.price_limit = min(PRICE_MAX, MONEY_MAX // terms.multiplier)
    if terms.instrument_type == BINARY:
        terms.price_limit = min(terms.price_limit, terms.payout // terms.multiplier - 1)
    terms.qty_low = max(1, terms.qty_min)
    unit = terms.base_per_lot if terms.base_per_lot != 0 else terms.payout
    terms.qty_high = MONEY_MAX // unit
    if terms.qty_max != 0:
        terms.qty_high = min(terms.qty_high, terms.qty_max)
    special = sort_of(terms.instrument_type, terms.matching)
    if terms.phase != PHASE_OPEN:
        special |= INSTRUMENT_PHASE
    if load_i64(address_of(terms) + TICK_STEP_AT) != 0:
        special |= INSTRUMENT_TICKS
    if (terms.price_min | terms.price_max | terms.band_ppm) != 0:
        special |= INSTRUMENT_BAND
    if terms.max_age_ns != 0:
        special |= INSTRUMENT_AGE
    # Once there were short sales, there may be some left when no new ones are allowed.
    if terms.short_ppm != 0 or terms.special & INSTRUMENT_SHORT != 0:
        special |= INSTRUMENT_SHORT
    if terms.clearing_ns != 0:
        special |= INSTRUMENT_CLEARED
    terms.special = special
