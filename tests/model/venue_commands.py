"""Commands of the twin that run the venue, and what is told from outside.

None of them speaks for a trading account (docs/engine-venue.md); layouts as in ``commands``.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from tests.model.commands import Command

CHANGE_PHASE: Final = 1
CHANGE_FEES: Final = 2
CHANGE_QTY: Final = 4
CHANGE_NOTIONAL: Final = 8
CHANGE_PRICES: Final = 16
CHANGE_BAND: Final = 32
CHANGE_MAX_AGE: Final = 64
CHANGE_DAY_END: Final = 128
CHANGE_TICK: Final = 256
CHANGE_LOT: Final = 512
CHANGE_TICK_TABLE: Final = 1024
CHANGE_SHORT: Final = 2048
CHANGE_CLEARING: Final = 4096
CHANGE_STATUS: Final = 1
CHANGE_SELF_TRADE: Final = 2
ACTIVE: Final = 1
SUSPENDED: Final = 2
CANCEL_OPEN: Final = 1
CANCEL_ON_DISCONNECT: Final = 1
OUTSIDE_MAKER: Final = 1
OUTSIDE_SELL: Final = 2


@dataclass(frozen=True, kw_only=True)
class Admin(Command):
    """A command of whoever runs the venue."""


@dataclass(frozen=True, kw_only=True)
class UpdateInstrument(Admin):
    KIND: ClassVar[int] = 12

    slots: int = 2
    changes: int = 0
    tick_scale: int = 0
    lot_scale: int = 0
    tick: int = 0
    lot: int = 0
    maker_ppm: int = 0
    taker_ppm: int = 0
    # Slot 2.
    qty_min: int = 0
    qty_max: int = 0
    notional_min: int = 0
    notional_max: int = 0
    price_min: int = 0
    price_max: int = 0
    max_age_ns: int = 0
    phase: int = 0
    band_ppm: int = 0
    reference_price: int = 0
    day_end_ns: int = 0
    short_ppm: int = 0
    clearing_ns: int = 0
    # Slot 3, if there is one.
    start: tuple[int, ...] = (0, 0, 0, 0)
    step: tuple[int, ...] = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class SettleInstrument(Admin):
    KIND: ClassVar[int] = 13

    price: int = 0


@dataclass(frozen=True, kw_only=True)
class UpdateAccount(Admin):
    KIND: ClassVar[int] = 21

    changes: int = 0
    status: int = 0
    self_trade: int = 0


@dataclass(frozen=True, kw_only=True)
class KillSwitch(Admin):
    KIND: ClassVar[int] = 25

    is_on: int = 0


@dataclass(frozen=True, kw_only=True)
class SetLimits(Admin):
    KIND: ClassVar[int] = 26

    slots: int = 2
    position_max: int = 0
    open_orders_max: int = 0
    exposure_max: int = 0
    orders_per_second: int = 0
    messages_per_fill: int = 0
    deviation_ppm: int = 0
    order_qty_max: int = 0
    order_notional_max: int = 0
    levels_max: int = 0
    short_max: int = 0


LIMIT_NAMES: Final = (
    *("position_max", "open_orders_max", "exposure_max", "orders_per_second"),
    *("messages_per_fill", "deviation_ppm", "order_qty_max", "order_notional_max"),
    *("levels_max", "short_max"),
)


@dataclass(frozen=True, kw_only=True)
class SessionOpened(Admin):
    KIND: ClassVar[int] = 30


@dataclass(frozen=True, kw_only=True)
class SessionClosed(Admin):
    KIND: ClassVar[int] = 31


@dataclass(frozen=True, kw_only=True)
class GatewayLost(Admin):
    KIND: ClassVar[int] = 32


@dataclass(frozen=True, kw_only=True)
class Time(Admin):
    """From the sequencer: what is due happens now."""

    KIND: ClassVar[int] = 40


@dataclass(frozen=True, kw_only=True)
class Trade(Admin):
    """A trade of old, named by ``client_order_id``, with all that is needed to take it back."""

    slots: int = 2
    client_order_id: str = ""
    price: int = 0
    qty: int = 0
    new_price: int = 0
    new_qty: int = 0
    # Slot 2.
    buyer: int = 0
    seller: int = 0
    buyer_order: int = 0
    seller_order: int = 0
    buyer_fee: int = 0
    seller_fee: int = 0


@dataclass(frozen=True, kw_only=True)
class BustTrade(Trade):
    KIND: ClassVar[int] = 41


@dataclass(frozen=True, kw_only=True)
class CorrectTrade(Trade):
    KIND: ClassVar[int] = 42


@dataclass(frozen=True, kw_only=True)
class OutsideCommand(Admin):
    """What happened where an instrument is matched; ``reference`` is the exec id."""

    slots: int = 2
    price: int = 0
    qty: int = 0
    fee: int = 0
    order_id: int = 0
    cum: int = 0
    # Slot 2.
    reference: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class OutsideAcknowledged(OutsideCommand):
    KIND: ClassVar[int] = 50


@dataclass(frozen=True, kw_only=True)
class OutsideFilled(OutsideCommand):
    KIND: ClassVar[int] = 51


@dataclass(frozen=True, kw_only=True)
class OutsideCanceled(OutsideCommand):
    KIND: ClassVar[int] = 52


@dataclass(frozen=True, kw_only=True)
class OutsideRejected(OutsideCommand):
    KIND: ClassVar[int] = 53


@dataclass(frozen=True, kw_only=True)
class OutsideBusted(OutsideCommand):
    KIND: ClassVar[int] = 54


@dataclass(frozen=True, kw_only=True)
class OutsideCorrected(OutsideCommand):
    KIND: ClassVar[int] = 55

    slots: int = 3
    new_price: int = 0
    new_qty: int = 0
    new_fee: int = 0


@dataclass(frozen=True, kw_only=True)
class OutsideSettled(OutsideCommand):
    KIND: ClassVar[int] = 56
