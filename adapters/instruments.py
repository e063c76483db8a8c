"""Reference data shared by the adapters: assets and instruments, and their decimal texts.

Filled by QUERY; whoever sees an event that creates an asset or an instrument calls ``refresh``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from adapters import units
from adapters.units import UnitError
from core.constants import MONEY_MAX
from core.messages import (
    ASSET_CREATED,
    BUY,
    INSTRUMENT_CREATED,
    INSTRUMENT_REPLY,
    INSTRUMENT_SETTLED,
    INSTRUMENT_TERMS,
    INSTRUMENT_UPDATED,
    NAME_REPLY,
    QUERY,
    QUERY_ASSETS,
    QUERY_INSTRUMENTS,
    SCHEMA,
    TICKS,
    TICKS_REPLY,
    text,
)

Query = Callable[[bytes, float], Awaitable["np.ndarray[Any, Any]"]]

REFERENCE_EVENTS: Final = (
    ASSET_CREATED,
    INSTRUMENT_CREATED,
    INSTRUMENT_TERMS,
    INSTRUMENT_UPDATED,
    INSTRUMENT_SETTLED,
)
PAGE: Final = 64
MATCHINGS: Final = {1: "here", 2: "outside"}
TYPES: Final = {1: "spot", 2: "binary"}
PHASES: Final = {
    1: "pre_open",
    2: "auction",
    3: "open",
    4: "halted",
    5: "cancel_only",
    6: "post_only",
    7: "closed",
    8: "settled",
    9: "delisted",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset; amounts are integers of 10^-scale."""

    id: int
    name: str
    scale: int

    def amount(self, value: str) -> int:
        """Smallest units in decimal text, 1 to MONEY_MAX; UnitError otherwise."""
        amount = units.scaled(value, self.scale)
        if not 1 <= amount <= MONEY_MAX:
            most = units.unscaled(MONEY_MAX, self.scale)
            raise UnitError("amount", f"expected above 0, at most {most}, got {units.shown(value)}")
        return amount

    def text(self, amount: int) -> str:
        """An amount as decimal text of the asset's scale."""
        return units.unscaled(amount, self.scale)


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument: prices in ticks, quantities in lots, notional in units of the quote asset."""

    id: int
    symbol: str
    base: Asset | None  # BINARY: None.
    quote: Asset
    type: str
    phase: str
    tick: int
    tick_scale: int
    lot: int
    lot_scale: int
    multiplier: int
    base_per_lot: int
    maker_ppm: int
    taker_ppm: int
    qty_min: int
    qty_max: int
    notional_min: int
    notional_max: int
    # What a plain instrument does not have.
    matching: str = "here"
    price_min: int = 0
    price_max: int = 0
    band_ppm: int = 0
    reference_price: int = 0
    max_age_ns: int = 0
    day_end_ns: int = 0
    short_ppm: int = 0
    clearing_ns: int = 0
    payout: int = 0  # BINARY: quote units per lot.
    tick_table: tuple[tuple[int, int], ...] = ()  # From which price on, in steps of what; ticks.

    @property
    def is_binary(self) -> bool:
        """Whether positions are YES and NO lots."""
        return self.base is None

    @property
    def base_name(self) -> str | None:
        """Name of the base asset."""
        return None if self.base is None else self.base.name

    def hold_asset(self, side: int) -> Asset:
        """The asset that an order of this side reserves."""
        return self.quote if self.base is None or side == BUY else self.base

    def ticks(self, value: str) -> int:
        """Ticks in decimal text: above 0 and in a word; whether it is in band the core decides."""
        off_step = ("price_off_tick", "tick")
        ticks = units.steps(value, self.tick, self.tick_scale, off_step)
        if not 1 <= ticks <= units.INT64_MAX:
            most = self.price_text(units.INT64_MAX)
            detail = f"expected above 0, at most {most}, got {units.shown(value)}"
            raise UnitError("price_out_of_band", detail)
        return ticks

    def lots(self, value: str) -> int:
        """Lots in decimal text: above 0 and in a word; limits of the instrument the core checks."""
        lots = units.steps(value, self.lot, self.lot_scale, ("qty_off_lot", "lot"))
        if lots < 1:
            raise UnitError("qty_too_small", f"expected above 0, got {units.shown(value)}")
        if lots > units.INT64_MAX:
            most = self.qty_text(units.INT64_MAX)
            raise UnitError("qty_too_large", f"expected at most {most}, got {units.shown(value)}")
        return lots

    def price_text(self, ticks: int) -> str:
        """A price as decimal text of the instrument's scale."""
        return units.unscaled(ticks * self.tick, self.tick_scale)

    def qty_text(self, lots: int) -> str:
        """A quantity as decimal text of the instrument's scale."""
        return units.unscaled(lots * self.lot, self.lot_scale)

    def average_price(self, notional: int, lots: int) -> str:
        """Average price of ``lots`` for ``notional`` quote units; see ``units.average``."""
        return units.average(notional * self.tick, lots * self.multiplier, self.tick_scale)


class Instruments:
    """All assets and instruments that the core has, by number and by name."""

    def __init__(self) -> None:
        self.assets: dict[int, Asset] = {}
        self.by_id: dict[int, Instrument] = {}
        self.by_symbol: dict[str, Instrument] = {}
        self.asset_by_name: dict[str, Asset] = {}
        self.as_of = 0
        self.stale = True
        self.cleared_ns: dict[int, int] = {}  # Up to when trades of an instrument were cleared.

    async def refresh(self, query: Query, timeout_s: float) -> None:
        """Read everything again; whatever ``query`` raises leaves the old data in place."""
        self.stale = False  # Before the reads: an event in between makes it stale again.
        try:
            assets: dict[int, Asset] = {}
            async for row in _rows(query, QUERY_ASSETS, NAME_REPLY, timeout_s):
                asset = Asset(int(row["id"]), text(row["name"]), int(row["scale"]))
                assets[asset.id] = asset
            instruments: dict[int, Instrument] = {}
            as_of = self.as_of
            async for row in _rows(query, QUERY_INSTRUMENTS, INSTRUMENT_REPLY, timeout_s):
                number = int(row["id"])
                if row["flags"] & TICKS:
                    table = table_of(row.view(TICKS_REPLY))
                    instruments[number] = replace(instruments[number], tick_table=table)
                    continue
                instruments[number] = instrument_of(number, row, assets)
                as_of = max(as_of, int(row["as_of"]))
        except BaseException:
            self.stale = True
            raise
        self.as_of = as_of
        self.assets, self.by_id = assets, instruments
        self.asset_by_name = {asset.name: asset for asset in assets.values()}
        self.by_symbol = {item.symbol: item for item in instruments.values()}


async def _rows(query: Query, kind: int, dtype: "np.dtype[Any]", timeout_s: float) -> Any:
    cursor = 0
    while True:
        slot = np.zeros(1, QUERY)
        slot["kind"], slot["schema"], slot["slots"] = kind, SCHEMA, 1
        slot["cursor"], slot["limit"] = cursor, PAGE
        replies = (await query(slot.tobytes(), timeout_s)).view(dtype)
        found = [row for row in replies if row["reason"] == 0 and row["id"] > cursor]
        for row in found:
            yield row
        if not found:
            return
        cursor = max(int(row["id"]) for row in found)


# Fields that reply, row and ``Instrument`` name alike.
NUMBERS: Final = (
    *("tick", "tick_scale", "lot", "lot_scale", "multiplier", "base_per_lot", "payout"),
    *("maker_ppm", "taker_ppm", "qty_min", "qty_max", "notional_min", "notional_max"),
    *("price_min", "price_max", "band_ppm", "reference_price", "max_age_ns", "day_end_ns"),
    *("short_ppm", "clearing_ns"),
)


def table_of(row: Any) -> tuple[tuple[int, int], ...]:
    """The tick table of the second slot that an instrument with one has in a reply."""
    bands = zip(row["start"].tolist(), row["step"].tolist(), strict=True)
    return tuple(bands)[: int(row["count"])]


def instrument_of(number: int, row: Any, assets: dict[int, Asset]) -> Instrument:
    """The instrument of a reply to QUERY_INSTRUMENTS, or of a row of the engine; without its tick
    table, which lies elsewhere."""
    return Instrument(
        id=number,
        symbol=text(row["symbol"]),
        base=assets.get(int(row["base_asset"])),
        quote=assets[int(row["quote_asset"])],
        type=TYPES.get(int(row["instrument_type"]), "unknown"),
        phase=PHASES.get(int(row["phase"]), "unknown"),
        matching=MATCHINGS.get(int(row["matching"]), "unknown"),
        tick_table=(),
        **{name: int(row[name]) for name in NUMBERS},
    )
