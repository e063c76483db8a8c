"""Rows of the twin: limits, reference data, orders."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from tests.model.commands import BUY

FEES: Final = 1
OUTSIDE: Final = 2
MONEY_MAX: Final = (1 << 62) - 1
PRICE_MAX: Final = (1 << 48) - 1
SLOT_BITS: Final = 22

OPEN: Final = "OPEN"
FILLED: Final = "FILLED"
CANCELED: Final = "CANCELED"
EXPIRED: Final = "EXPIRED"


class Sizes(NamedTuple):
    """How many rows each table has; the names are those of the configuration."""

    orders_max: int = 2_000
    closed_keep: int = 500
    pages_max: int = 4_096
    ids_max: int = 4_000
    accounts_max: int = 256
    assets_max: int = 16
    instruments_max: int = 16
    balances_max: int = 1_024
    positions_max: int = 1_024
    sessions_max: int = 64


@dataclass(slots=True)
class Asset:
    number: int
    name: str
    scale: int


@dataclass(slots=True)
class Instrument:
    """``mult``: quote units per tick and lot."""

    number: int
    symbol: str
    base: int
    quote: int
    mult: int
    base_per_lot: int
    maker_ppm: int
    taker_ppm: int
    qty_min: int
    qty_max: int
    notional_min: int
    notional_max: int
    last_price: int = 0

    @property
    def rate(self) -> int:
        """The highest fee that a buy may have to pay, ppm."""
        return max(self.maker_ppm, self.taker_ppm, 0)

    def held_asset(self, side: int) -> int:
        """The asset that an order of ``side`` reserves."""
        return self.quote if side == BUY else self.base


@dataclass(slots=True)
class IdRecord:
    """One remembered client order id."""

    account: int
    client_order_id: str
    payload: tuple[object, ...]
    order_id: int = 0
    reason: str = ""
    is_current: bool = False  # Of an open order.
    turn_passed: bool = False


@dataclass(slots=True)
class Order:
    """An order's row: open, or ended and kept for a while."""

    order_id: int
    account: int
    session: int
    instrument: int
    side: int
    order_type: int
    time_in_force: int
    price: int
    qty: int
    leaves: int
    client_order_id: str
    record: IdRecord | None
    created_ns: int
    updated_ns: int
    sequence: int  # Of the last command that changed it.
    cum: int = 0
    cum_notional: int = 0
    hold: int = 0  # Without the fee part.
    hold_fee: int = 0
    fees: int = 0
    last_fee: int = 0
    last_price: int = 0
    canceled: int = 0
    status: str = OPEN
    reason: str = ""

    @property
    def slot(self) -> int:
        """The row number that its id names."""
        return self.order_id & ((1 << SLOT_BITS) - 1)
