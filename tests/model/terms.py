"""Prices, quantities and notionals of the twin against an instrument; reference terms too."""

from fractions import Fraction

from tests.model.commands import BUY
from tests.model.events import Rejected
from tests.model.money import PPM
from tests.model.state import MONEY_MAX, PRICE_MAX, Instrument

SCALE_MAX = 12
TICK_MAX = 10**9
PPM_MAX = 100_000


def need_terms(good: bool) -> None:
    """TERMS unless ``good``."""
    if not good:
        raise Rejected("TERMS")


# Prices.


def step_at(instrument: Instrument, price: int) -> int:
    """What prices near ``price`` must be a multiple of."""
    step = 1
    for start, wider in instrument.tick_table:
        if start <= price:
            step = wider
    return step


def highest_price(instrument: Instrument) -> int:
    """The highest price of any sort."""
    highest = min(PRICE_MAX, MONEY_MAX // instrument.mult)
    return min(highest, instrument.last_tick - 1) if instrument.is_binary else highest


def check_tick(instrument: Instrument, *prices: int) -> None:
    """PRICE_OFF_TICK; 0 is no price."""
    for price in prices:
        step = step_at(instrument, price)
        if price % step:
            raise Rejected("PRICE_OFF_TICK", step, price)


def check_highest(instrument: Instrument, *prices: int) -> None:
    """PRICE_OUT_OF_BAND of stop and protection prices."""
    for price in prices:
        if price > highest_price(instrument):
            raise Rejected("PRICE_OUT_OF_BAND", highest_price(instrument), price)


def check_band(instrument: Instrument, price: int) -> None:
    """PRICE_OUT_OF_BAND of a limit price."""
    if instrument.price_min and price < instrument.price_min:
        raise Rejected("PRICE_OUT_OF_BAND", instrument.price_min, price)
    highest = highest_price(instrument)
    if instrument.price_max:
        highest = min(highest, instrument.price_max)
    if price > highest:
        raise Rejected("PRICE_OUT_OF_BAND", highest, price)
    base = instrument.reference_price or instrument.last_price
    if instrument.band_ppm and base:
        off = base * instrument.band_ppm // PPM
        if price < base - off:
            raise Rejected("PRICE_OUT_OF_BAND", base - off, price)
        if price > base + off:
            raise Rejected("PRICE_OUT_OF_BAND", base + off, price)


def is_in_band(instrument: Instrument, price: int) -> bool:
    """Whether ``check_band`` lets the price pass."""
    try:
        check_band(instrument, price)
    except Rejected:
        return False
    return True


def behind(instrument: Instrument, side: int, touch: int) -> int | None:
    """The nearest valid price of ``side`` that does not cross ``touch``; None: there is none."""
    starts = sorted({start for start, _ in instrument.tick_table} | {0})
    found: list[int] = []
    for index, start in enumerate(starts):
        step = step_at(instrument, start)
        end = starts[index + 1] - 1 if index + 1 < len(starts) else PRICE_MAX
        if side == BUY:
            price = min(touch - 1, end) // step * step
        else:
            price = -(-max(touch + 1, start) // step) * step
        if max(start, 1) <= price <= end and is_in_band(instrument, price):
            found.append(price)
    if not found:
        return None
    return max(found) if side == BUY else min(found)


# Quantities.


def check_qty(instrument: Instrument, qty: int) -> None:
    """QTY_TOO_SMALL, QTY_TOO_LARGE."""
    lowest = max(1, instrument.qty_min)
    if qty < lowest:
        raise Rejected("QTY_TOO_SMALL", lowest, qty)
    largest = MONEY_MAX // (instrument.payout or instrument.base_per_lot)
    if instrument.qty_max:
        largest = min(largest, instrument.qty_max)
    if qty > largest:
        raise Rejected("QTY_TOO_LARGE", largest, qty)


def check_notional(instrument: Instrument, price: int, qty: int) -> None:
    """NOTIONAL_TOO_SMALL, NOTIONAL_TOO_LARGE of an order with a limit price."""
    if qty > MONEY_MAX // (price * instrument.mult):
        raise Rejected("NOTIONAL_TOO_LARGE", MONEY_MAX, 0)
    notional = price * qty * instrument.mult
    if instrument.notional_min and notional < instrument.notional_min:
        raise Rejected("NOTIONAL_TOO_SMALL", instrument.notional_min, notional)
    if instrument.notional_max and notional > instrument.notional_max:
        raise Rejected("NOTIONAL_TOO_LARGE", instrument.notional_max, notional)


# Terms of instruments.


def multipliers(
    ticks: tuple[int, int], lots: tuple[int, int], base_scale: int | None, quote_scale: int
) -> tuple[int, int]:
    """Quote units per tick and lot, base units per lot (0 without a base); TERMS.

    ``ticks`` and ``lots`` are (size, scale).
    """
    (tick, tick_scale), (lot, lot_scale) = ticks, lots
    need_terms(1 <= tick <= TICK_MAX and 1 <= lot <= TICK_MAX)
    need_terms(max(tick_scale, lot_scale) <= SCALE_MAX)
    ten = Fraction(10)
    found = [tick * lot * ten ** (quote_scale - tick_scale - lot_scale)]
    if base_scale is not None:
        found.append(lot * ten ** (base_scale - lot_scale))
    for number in found:
        need_terms(number.denominator == 1 and 1 <= number <= MONEY_MAX)
    return int(found[0]), int(found[1]) if base_scale is not None else 0


def check_range(low: int, high: int) -> None:
    """TERMS unless 0 <= low <= high, or high is 0."""
    need_terms(low >= 0 and high >= 0 and (high == 0 or low <= high))


def tick_table(start: tuple[int, ...], step: tuple[int, ...]) -> list[tuple[int, int]]:
    """The used entries of a tick table; TERMS."""
    used = [(s, w) for i, (s, w) in enumerate(zip(start, step, strict=True)) if s or (not i and w)]
    if not used:
        return []
    need_terms(start[0] == 0 and step[0] != 0)
    count = len(used)
    need_terms(not any(start[count:]))
    starts = [s for s, _ in used]
    need_terms(starts == sorted(set(starts)))
    need_terms(all(1 <= w <= TICK_MAX for _, w in used))
    return used
