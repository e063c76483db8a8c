"""Commands of every kind that version 1 did not have, for the golden journals."""

from typing import Any, Final

from core.clock import realtime_ns
from tests.model.commands import (
    BUY,
    DAY,
    FOK,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    SELL,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    CancelOrder,
    Command,
    CreateInstrument,
    DeadMan,
    MassCancel,
    PlaceOrder,
    ReplaceOrder,
    Transfer,
)
from tests.model.venue_commands import (
    BustTrade,
    CorrectTrade,
    GatewayLost,
    KillSwitch,
    OutsideAcknowledged,
    OutsideBusted,
    OutsideCanceled,
    OutsideCorrected,
    OutsideFilled,
    OutsideRejected,
    OutsideSettled,
    SessionClosed,
    SessionOpened,
    SetLimits,
    SettleInstrument,
    UpdateAccount,
    UpdateInstrument,
)

Terms = dict[str, Any]

SECOND: Final = 10**9
SOON: Final = SECOND
POST_ONLY, REDUCE_ONLY, SLIDE, TRAIL_BPS = 1, 2, 4, 8
ONE, TWO, THREE = 3, 4, 5  # Traders that the flow has funded.
SPOT, BINARY, CLEARED, OUTSIDE = 2, 3, 4, 5
SESSION: Final = 7 << 24 | 1


def order(key: str, side: int, price: int, qty: int, **more: Any) -> PlaceOrder:
    """An order of trader ONE in SPOT, unless ``more`` says otherwise."""
    terms: Terms = {"account": ONE, "instrument": SPOT, "side": side, "price": price, "qty": qty}
    return PlaceOrder(client_order_id=key, **(terms | more))


def instruments() -> list[Command]:
    """A BINARY, one that is cleared, one that is matched outside."""
    spot: Terms = {"base_asset": 2, "quote_asset": 1}
    return [
        CreateInstrument(name="EVENT", instrument_type=2, quote_asset=1, base_asset=0, payout=100),
        CreateInstrument(name="CLEARED", clearing_ns=SECOND, **spot),
        CreateInstrument(name="OUTSIDE", matching=2, **spot),
        UpdateInstrument(instrument=SPOT, changes=2_048 | 32, short_ppm=500_000, band_ppm=900_000),
        SetLimits(account=ONE, open_orders_max=500, exposure_max=1 << 50, orders_per_second=10_000),
        SetLimits(account=ONE, instrument=SPOT, short_max=100, order_qty_max=10**6),
        SessionOpened(session=SESSION, account=TWO, flags=1),
    ]


def orders() -> list[Command]:
    """Terms of every kind; the deadlines come ``SOON``."""
    soon = realtime_ns() + SOON
    stop: Terms = {"order_type": STOP, "slots": 2}
    return [
        order("v-1", SELL, 10_020, 50, display_qty=10, time_in_force=DAY),
        order("v-2", BUY, 9_900, 5, flags=POST_ONLY | SLIDE, self_trade=3, slots=2, tag="grid"),
        order("v-3", BUY, 9_910, 5, time_in_force=GTD, expire_ns=soon),
        order("v-4", BUY, 0, 7, **(stop | {"stop_price": 10_020, "max_cost": 10**6})),
        order("v-5", SELL, 9_000, 7, order_type=STOP_LIMIT, slots=2, stop_price=9_950),
        order("v-6", SELL, 0, 3, order_type=TRAILING_STOP, slots=2, trail=50, flags=TRAIL_BPS),
        order("v-7", BUY, 10_020, 15, account=TWO, session=SESSION),
        order("v-8", BUY, 10_020, 900, account=TWO, time_in_force=FOK),
        order("v-9", BUY, 10_020, 9, account=TWO, time_in_force=IOC, slots=2, min_qty=9),
        order("v-10", BUY, 0, 4, order_type=MARKET, time_in_force=IOC, slots=2, max_cost=10**5),
        order("v-11", SELL, 9_990, 4, flags=REDUCE_ONLY, account=TWO),
        order("v-12", BUY, 9_000, 4, account=TWO, session=SESSION),
        order("v-13", BUY, 9_001, 4, account=THREE),
        ReplaceOrder(
            account=ONE, slots=2, original_client_order_id="v-5", stop_price=9_940, price=9_100
        ),
        CancelOrder(account=ONE, slots=2, original_client_order_id="v-2", restriction=1),
        MassCancel(account=ONE, slots=2, tag="grid"),
        DeadMan(account=THREE, timeout_ns=SOON, client_order_id="d-1"),
        Transfer(account=ONE, counter_account=TWO, asset=1, amount=777, client_order_id="x-1"),
        order("y-1", BUY, 40, 8, instrument=BINARY),
        order("y-2", SELL, 35, 8, instrument=BINARY, account=TWO),
        order("c-1", SELL, 10_000, 8, instrument=CLEARED),
        order("c-2", BUY, 10_000, 8, instrument=CLEARED, account=TWO),
        order("w-1", BUY, 10_000, 8, instrument=OUTSIDE),
        order("w-2", SELL, 10_000, 8, instrument=OUTSIDE, order_type=LIMIT),
    ]


def ends(outside: list[int]) -> list[Command]:
    """What an operator and an outside venue say; everything is over then.

    ``outside``: ids of the orders w-1 and w-2, 0 where the engine took none.
    """
    told: Terms = {"account": ONE, "instrument": OUTSIDE, "source": "ELSEWHERE"}
    first, second = ({**told, "order_id": order_id} for order_id in outside)
    trade: Terms = {"instrument": SPOT, "price": 10_020, "qty": 2, "buyer": TWO, "seller": ONE}
    return [
        BustTrade(client_order_id="1.1", buyer_order=5, seller_order=4, **trade),
        CorrectTrade(
            client_order_id="1.3",
            buyer_order=5,
            seller_order=4,
            new_price=10_010,
            new_qty=2,
            **trade,
        ),
        OutsideAcknowledged(reference="e-1", **first),
        OutsideFilled(reference="e-2", price=10_000, qty=3, fee=1, **first),
        OutsideCorrected(
            reference="e-3", price=10_000, qty=3, fee=1, new_price=9_999, new_qty=3, **first
        ),
        OutsideBusted(reference="e-4", price=9_999, qty=3, **first),
        OutsideRejected(reference="e-5", **second),
        OutsideCanceled(reference="e-6", **first),
        OutsideSettled(reference="e-7", **(told | {"instrument": BINARY})),
        SettleInstrument(instrument=BINARY, price=100),
        SettleInstrument(instrument=BINARY, price=30),
        UpdateInstrument(instrument=SPOT, changes=1, phase=7),
        UpdateAccount(account=THREE, changes=1, status=2, flags=1),
        SessionClosed(session=SESSION),
        GatewayLost(gateway=7),
        KillSwitch(account=TWO, is_on=1),
    ]
