"""Rows of the twin: limits, reference data, orders."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Optional

from tests.model.commands import (
    BINARY,
    BUY,
    LIMIT_LIKE,
    MATCHED_HERE,
    MATCHED_OUTSIDE,
    PHASE_OPEN,
    REDUCE_ONLY,
    SPOT,
)

FEES: Final = 1
OUTSIDE: Final = 2
MONEY_MAX: Final = (1 << 62) - 1
WORD_MAX: Final = (1 << 63) - 1
PRICE_MAX: Final = (1 << 48) - 1
SLOT_BITS: Final = 22
TRAILING_MAX: Final = 4_096
DAY_NS: Final = 86_400 * 10**9

OPEN: Final = "OPEN"
PENDING: Final = "PENDING"
ROUTED: Final = "ROUTED"
FILLED: Final = "FILLED"
CANCELED: Final = "CANCELED"
EXPIRED: Final = "EXPIRED"
LIVE: Final = frozenset({OPEN, PENDING, ROUTED})


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
    extras_max: int = 512
    limits_max: int = 64


@dataclass(slots=True)
class Asset:
    number: int
    name: str
    scale: int


@dataclass(slots=True)
class Account:
    number: int
    name: str
    self_trade: int = 0
    is_suspended: bool = False
    is_killed: bool = False
    dead_man_ns: int = 0  # When all its orders end; 0: never.
    dead_man_sequence: int = 0


@dataclass(slots=True)
class Statistics:
    """Of one day, and of all time."""

    day: int = 0
    open: int = 0
    high: int = 0
    low: int = 0
    volume: int = 0
    notional: int = 0
    trades: int = 0
    total_volume: int = 0
    total_notional: int = 0
    total_trades: int = 0


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
    qty_min: int = 0
    qty_max: int = 0
    notional_min: int = 0
    notional_max: int = 0
    instrument_type: int = SPOT
    matching: int = MATCHED_HERE
    phase: int = PHASE_OPEN
    tick: int = 1
    lot: int = 1
    tick_scale: int = 0
    lot_scale: int = 0
    payout: int = 0
    price_min: int = 0
    price_max: int = 0
    max_age_ns: int = 0
    band_ppm: int = 0
    reference_price: int = 0
    day_end_ns: int = 0
    short_ppm: int = 0
    clearing_ns: int = 0
    tick_table: list[tuple[int, int]] = field(default_factory=list)
    last_price: int = 0
    settled_price: int = -1
    pot: int = 0  # BINARY: what all YES lots are worth at most.
    due_fees: int = 0  # Clearing: owed to the fees account.
    due_rebates: int = 0  # Clearing: held there for rebates.
    clearing_at_ns: int = 0  # Deadline; 0: nothing is due.
    clearing_sequence: int = 0
    stats: Statistics = field(default_factory=Statistics)

    @property
    def rate(self) -> int:
        """The highest fee that an order may have to pay, ppm."""
        return max(self.maker_ppm, self.taker_ppm, 0)

    @property
    def is_binary(self) -> bool:
        return self.instrument_type == BINARY

    @property
    def is_outside(self) -> bool:
        return self.matching == MATCHED_OUTSIDE

    @property
    def last_tick(self) -> int:
        """BINARY: the price that is worth the whole payout."""
        return self.payout // self.mult

    def held_asset(self, side: int) -> int:
        """The asset that an order of ``side`` reserves."""
        return self.quote if side == BUY or self.is_binary else self.base


@dataclass(slots=True)
class IdRecord:
    """One remembered client order id, or what stands for one in the scope of account 2."""

    account: int
    client_order_id: object
    payload: tuple[object, ...]
    order_id: int = 0
    reason: str = ""
    is_current: bool = False  # Of an open order.
    turn_passed: bool = False


@dataclass(slots=True, eq=False)
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
    hold: int = 0  # Cash without the fee part, or base.
    hold_fee: int = 0
    hold_lots: int = 0  # BINARY: opposite lots set aside.  SPOT SELL: lots of own base held.
    short_cash: int = 0
    shared: int = 0  # Part of the hold that the partner holds.
    fees: int = 0
    last_fee: int = 0
    last_price: int = 0
    canceled: int = 0
    status: str = OPEN
    reason: str = ""
    self_trade: int = 0
    flags: int = 0
    display: int = 0
    shown: int = 0  # In the book; 0 while it is not there.
    stop_price: int = 0
    trail: int = 0
    min_qty: int = 0
    max_cost: int = 0
    protection: int = 0
    tag: str = ""
    expire_ns: int = 0
    deadline_ns: int = 0
    deadline_reason: str = ""
    deadline_sequence: int = 0
    has_extra: bool = False
    partner: Optional["Order"] = None
    # Matched outside.
    routes: int = 0
    request: int = 0  # 2 cancel, 3 replace; 0: none under way.
    wanted_price: int = 0
    wanted_qty: int = 0

    @property
    def slot(self) -> int:
        """The row number that its id names."""
        return self.order_id & ((1 << SLOT_BITS) - 1)

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_limit(self) -> bool:
        """LIMIT or STOP_LIMIT."""
        return self.order_type in LIMIT_LIKE

    @property
    def has_budget(self) -> bool:
        """A market-like BUY: it holds an amount, not a price."""
        return self.side == BUY and not self.is_limit

    @property
    def reduces_only(self) -> bool:
        return bool(self.flags & REDUCE_ONLY)

    @property
    def opening(self) -> int:
        """Lots that are not covered by lots held."""
        return self.leaves - self.hold_lots
