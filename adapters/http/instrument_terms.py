"""The terms of an instrument in a body, as fields of CREATE_INSTRUMENT and UPDATE_INSTRUMENT."""

from itertools import pairwise
from typing import Final, NamedTuple

from adapters.http import bodies, members, records
from adapters.http.problems import Faults
from adapters.instruments import Asset, Instrument
from adapters.units import INT64_MAX, UnitError, scaled, shown, split_decimal, steps
from core import messages
from core.constants import DAY_NS, FEE_PPM_MAX, MONEY_MAX, SCALE_MAX

Fields = dict[str, int | bytes]

STEP_MAX: Final = 10**9
PPM_MAX: Final = 1_000_000
SHORT_PPM_MAX: Final = 10_000_000
MS: Final = 1_000_000  # Nanoseconds.
CLEARING_MS_MIN: Final = 1_000
FIRST_STATUSES: Final = {
    "open": messages.PHASE_OPEN,
    "halted": messages.PHASE_HALTED,
    "post_only": messages.PHASE_POST_ONLY,
    "closed": messages.PHASE_CLOSED,
}
STATUSES: Final = {
    **FIRST_STATUSES,
    "cancel_only": messages.PHASE_CANCEL_ONLY,
    "delisted": messages.PHASE_DELISTED,
}
# What UPDATE_INSTRUMENT changes together, by the members of the body.
GROUPS: Final = {
    messages.CHANGE_PHASE: ("status",),
    messages.CHANGE_FEES: ("maker_ppm", "taker_ppm"),
    messages.CHANGE_QTY: ("qty_min", "qty_max"),
    messages.CHANGE_NOTIONAL: ("notional_min", "notional_max"),
    messages.CHANGE_PRICES: ("price_min", "price_max"),
    messages.CHANGE_BAND: ("band_ppm", "reference_price"),
    messages.CHANGE_MAX_AGE: ("max_age_ms",),
    messages.CHANGE_DAY_END: ("day_end_ms",),
    messages.CHANGE_TICK: ("tick",),
    messages.CHANGE_LOT: ("lot",),
    messages.CHANGE_TICK_TABLE: ("tick_table",),
    messages.CHANGE_SHORT: ("short_ppm",),
    messages.CHANGE_CLEARING: ("clearing_ms",),
}
TIMES: Final = {
    "max_age_ms": "max_age_ns",
    "day_end_ms": "day_end_ns",
    "clearing_ms": "clearing_ns",
}


class Scale(NamedTuple):
    """In which units the numbers of a body are meant."""

    tick: int
    tick_scale: int
    lot: int
    lot_scale: int
    quote: Asset | None


def scale_of(instrument: Instrument) -> Scale:
    """The units of an instrument that there is."""
    return Scale(
        instrument.tick,
        instrument.tick_scale,
        instrument.lot,
        instrument.lot_scale,
        instrument.quote,
    )


def step(name: str, value: str | None, faults: Faults) -> tuple[int, int]:
    """A tick or lot as it was written: its decimals are the decimals of every price or quantity."""
    if faults.at(f"/{name}"):
        return 1, 0
    try:
        size, scale = split_decimal(value or "")
        if not 1 <= size <= STEP_MAX or scale > SCALE_MAX:
            detail = f"expected above 0, at most {STEP_MAX} without its point, {SCALE_MAX} decimals"
            raise UnitError("invalid_value", f"{detail}, got {shown(value)}")
    except UnitError as error:
        missing = value is None
        faults.add(f"/{name}", "required" if missing else error.code, error.detail)
        return 1, 0
    return size, scale


def changes_of(body: bodies.Terms) -> int:
    """CHANGE_* of what a body has."""
    given = (
        bit for bit, names in GROUPS.items() if any(getattr(body, n) is not None for n in names)
    )
    return sum(given)


class TermsOf:
    """The members of a body as numbers; what is absent is as it is in ``known``, or 0."""

    def __init__(
        self, body: bodies.Terms, scale: Scale, faults: Faults, known: Instrument | None = None
    ) -> None:
        self._body, self._scale, self._faults, self._known = body, scale, faults, known

    def fees(self) -> Fields:
        """Maker's and taker's."""
        return {
            name: self._whole(name, -FEE_PPM_MAX, FEE_PPM_MAX)
            for name in ("maker_ppm", "taker_ppm")
        }

    def second(self, statuses: dict[str, int]) -> Fields:
        """The fields of slot 2."""
        faults, body = self._faults, self._body
        found: Fields = {name: self._lots(name) for name in ("qty_min", "qty_max")}
        found |= {name: self._amount(name) for name in ("notional_min", "notional_max")}
        found |= {name: self._price(name) for name in ("price_min", "price_max", "reference_price")}
        found["band_ppm"] = self._whole("band_ppm", 0, PPM_MAX)
        found["short_ppm"] = self._whole("short_ppm", 0, SHORT_PPM_MAX)
        found["max_age_ns"] = self._time("max_age_ms", 0, INT64_MAX // MS)
        found["day_end_ns"] = self._time("day_end_ms", 0, DAY_NS // MS - 1)
        found["clearing_ns"] = self._time("clearing_ms", CLEARING_MS_MIN, INT64_MAX // MS)
        if body.status is not None:
            found["phase"] = members.choice("status", body.status, statuses, faults)
        return found

    def table(self) -> tuple[bytes, ...]:
        """Slot 3, where the body has a tick table."""
        given, where = self._body.tick_table, "/tick_table"
        if given is None or self._faults.at(where):
            return ()
        if len(given) > messages.TICK_BANDS:
            detail = f"expected at most {messages.TICK_BANDS} steps, got {len(given)}"
            self._faults.add(where, "invalid_value", detail)
            return ()
        starts = [self._ticks(f"tick_table/{n}/from", row.start) for n, row in enumerate(given)]
        sizes = [self._ticks(f"tick_table/{n}/step", row.step) for n, row in enumerate(given)]
        rising = all(low < high for low, high in pairwise(starts))
        if given and not self._faults.items and (starts[0] or not rising or not all(sizes)):
            detail = "expected steps above 0 from ascending prices, the first from '0'"
            self._faults.add(where, "invalid_value", detail)
        rest = [0] * (messages.TICK_BANDS - len(given))
        return (records.TICK_TABLE.pack(*starts, *rest, *sizes, *rest),)

    def _whole(self, name: str, low: int, high: int) -> int:
        value = getattr(self._body, name)
        if value is None:
            return getattr(self._known, name, 0)
        return members.number(name, value, low, high, self._faults)

    def _time(self, name: str, low: int, high: int) -> int:
        value = getattr(self._body, name)
        if value is None:
            return getattr(self._known, TIMES[name], 0)
        if value == 0:
            return 0
        return members.number(name, value, low, high, self._faults) * MS

    def _lots(self, name: str) -> int:
        value = getattr(self._body, name)
        if value is None or self._faults.at("/lot"):
            return 0 if self._body.lot is not None else getattr(self._known, name, 0)
        unit = ("qty_off_lot", "lot")
        return self._steps(name, value, (self._scale.lot, self._scale.lot_scale), unit)

    def _price(self, name: str) -> int:
        value = getattr(self._body, name)
        if value is None or self._faults.at("/tick"):
            return 0 if self._body.tick is not None else getattr(self._known, name, 0)
        return self._ticks(name, value)

    def _ticks(self, name: str, value: str) -> int:
        unit = ("price_off_tick", "tick")
        return self._steps(name, value, (self._scale.tick, self._scale.tick_scale), unit)

    def _steps(self, name: str, value: str, size: tuple[int, int], unit: tuple[str, str]) -> int:
        try:
            count = steps(value, *size, unit)
            if not 0 <= count <= INT64_MAX:
                raise UnitError("invalid_value", f"expected 0 or more, got {shown(value)}")
        except UnitError as error:
            if not self._faults.at(f"/{name}"):
                self._faults.add(f"/{name}", error.code, error.detail)
            return 0
        return count

    def _amount(self, name: str) -> int:
        value, quote = getattr(self._body, name), self._scale.quote
        if value is None:
            return getattr(self._known, name, 0)
        if quote is None or self._faults.at(f"/{name}"):
            return 0
        try:
            amount = scaled(value, quote.scale)
            if not 0 <= amount <= MONEY_MAX:
                most = quote.text(MONEY_MAX)
                detail = f"expected 0 or more, at most {most}, got {shown(value)}"
                raise UnitError("amount", detail)
        except UnitError as error:
            self._faults.add(f"/{name}", error.code, error.detail)
            return 0
        return amount
