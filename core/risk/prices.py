"""What a price must fit: the tick table of its instrument, and the bounds of its band."""

from typing import Final

from core.constants import PPM
from core.jit import inlined, kernel, seldom
from core.layout import offset_of
from core.memory import Record, address_of, load_i64
from core.records import INSTRUMENT, INSTRUMENT_TICKS, TICK_BANDS

TICK_FROM_AT: Final = offset_of(INSTRUMENT, "tick_from")
TICK_STEP_AT: Final = offset_of(INSTRUMENT, "tick_step")


@kernel
def step_at(terms: Record, price: int) -> int:
    """What prices near ``price`` are multiples of."""
    seldom()
    if terms.special & INSTRUMENT_TICKS == 0:
        return 1
    address = address_of(terms)
    step = load_i64(address + TICK_STEP_AT)
    for band in range(1, TICK_BANDS):
        start = load_i64(address + TICK_FROM_AT + 8 * band)
        if start == 0 or start > price:
            break
        step = load_i64(address + TICK_STEP_AT + 8 * band)
    return step


@kernel
def next_below(terms: Record, price: int) -> int:
    """The largest valid price below ``price``; 0 where there is none."""
    return (price - 1) // step_at(terms, price - 1) * step_at(terms, price - 1)


@kernel
def next_above(terms: Record, price: int) -> int:
    """The smallest valid price above ``price``."""
    address = address_of(terms)
    step = step_at(terms, price)
    following = price // step * step + step
    if terms.special & INSTRUMENT_TICKS == 0:
        return following
    # The next band may begin before that; its first valid price comes then.
    for band in range(1, TICK_BANDS):
        start = load_i64(address + TICK_FROM_AT + 8 * band)
        if price < start <= following:
            step = load_i64(address + TICK_STEP_AT + 8 * band)
            return (start + step - 1) // step * step
    return following


@inlined
def middle(terms: Record) -> int:
    """The price around which the band lies; 0: there is none."""
    if terms.band_ppm == 0:
        return 0
    return terms.reference_price if terms.reference_price != 0 else terms.last_price  # type: ignore[no-any-return]


@inlined
def share_of(price: int, ppm: int) -> int:
    return price // PPM * ppm + price % PPM * ppm // PPM


@kernel
def broken_bound(terms: Record, price: int) -> int:
    """The bound that a limit price breaks, or -1."""
    seldom()
    if terms.price_min != 0 and price < terms.price_min:
        return terms.price_min  # type: ignore[no-any-return]
    most = terms.price_limit
    if terms.price_max != 0:
        most = min(most, terms.price_max)
    if price > most:
        return most  # type: ignore[no-any-return]
    base = middle(terms)
    if base == 0:
        return -1
    low = base - share_of(base, terms.band_ppm)
    high = base + share_of(base, terms.band_ppm)
    if price < low:
        return low
    return high if price > high else -1
