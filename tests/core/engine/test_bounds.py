"""Every number of every command at its bounds: as in the twin, whose integers have none.

What is above a bound is rejected with its reason, and nothing wraps: the twin adds without end, so
any sum of the engine that did would be another one.
"""

import os
from dataclasses import fields
from typing import Any, Final

import numpy as np
import pytest

from core.jit import MODE_NAME
from tests.core.engine.script import Later, Script
from tests.model.commands import (
    BINARY,
    BUY,
    IOC,
    MARKET,
    SELL,
    STOP_LIMIT,
    TRAILING_STOP,
    CancelOrder,
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    DeadMan,
    Deposit,
    MassCancel,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    Transfer,
    Withdraw,
    changed,
)
from tests.model.state import Sizes
from tests.model.translate import layouts_of
from tests.model.venue_commands import (
    Admin,
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
    Time,
    UpdateAccount,
    UpdateInstrument,
)

ALICE, BOB, CAROL = 3, 4, 5
SPOT_ID, BINARY_ID, SHORT_ID, CLEARED_ID, OUTSIDE_ID = 1, 2, 3, 4, 5
FUNDS: Final = 10**15
SESSION: Final = 1 << 24 | 1
WORDS: Final = (0, 1, 31, 32, 48, 53, 62, 63)  # Powers of two.
WHOLE: Final = os.environ.get("OUTCRY_BOUNDS") == "full"
SHARE: Final = (
    1 if WHOLE else {"release": 3, "checked": 9, "pure": 13}[MODE_NAME]
)  # One of so many.
TERMS: Final[dict[str, Any]] = {
    "base_asset": 2,
    "quote_asset": 1,
    "maker_ppm": -50,
    "taker_ppm": 700,
}
CONTRACT: Final = TERMS | {"instrument_type": BINARY, "base_asset": 0, "payout": 1_000}
# What the sequencer or the layout decides.
LEFT: Final = frozenset(
    {*("sequence", "timestamp_ns", "slots", "schema", "kind", "number", "gateway", "request_id")}
)


def edges(dtype: "np.dtype[Any]") -> list[int]:
    """Zero, one, and what lies on and beside each power of two that matters, in either sign; of a
    text or a table nothing."""
    if dtype.shape:
        return []
    info = np.iinfo(dtype)
    around = {sign * (1 << power) + by for power in WORDS for by in (-1, 0, 1) for sign in (1, -1)}
    return sorted(value for value in around | {0} if info.min <= value <= info.max)


def market() -> list[Command | Later]:
    """Four instruments, of each sort of money one, three rich traders, a book and a last price."""
    made: list[Command | Later] = [
        CreateAsset(name="USD"),
        CreateAsset(name="BTC"),
        CreateInstrument(name="SPOT", **TERMS),
        CreateInstrument(name="YES", **CONTRACT),
        CreateInstrument(name="SHORT", **TERMS, short_ppm=300_000),
        CreateInstrument(name="CLEARED", **TERMS, clearing_ns=10**9),
        *(CreateAccount(name=name) for name in ("alice", "bob", "carol")),
        CreateInstrument(name="OUT", **TERMS, matching=2),
    ]
    for account in (ALICE, BOB, CAROL):
        made += [Deposit(account=account, asset=asset, amount=FUNDS) for asset in (1, 2)]
        made.append(SetLimits(account=account, instrument=SHORT_ID, short_max=10**9))
    for instrument in (SPOT_ID, BINARY_ID, SHORT_ID, CLEARED_ID):
        made.append(order(SELL, BOB, 5, 500, instrument=instrument))
        made.append(order(BUY, CAROL, 5, 500, instrument=instrument, time_in_force=IOC))
    made.append(order(SELL, BOB, 50, 505))
    made.append(order(BUY, BOB, 50, 495))
    return made


def order(side: int, account: int, qty: int, price: int, /, **more: Any) -> PlaceOrder:
    """A LIMIT GTC order in the first instrument, unless ``more`` says otherwise."""
    terms = {"instrument": SPOT_ID, "side": side, "account": account, "price": price, "qty": qty}
    return PlaceOrder(**(terms | more))


def trade(kind: type[BustTrade] | type[CorrectTrade], **more: Any) -> Later:
    """A bust or a correction of a trade that might have been, each of another name."""

    def make(script: Script) -> Command:
        name = f"t-{script.now_ns}"
        values: dict[str, Any] = {"buyer": CAROL, "seller": BOB, "buyer_fee": 2, "seller_fee": -1}
        return kind(client_order_id=name, instrument=SPOT_ID, price=500, qty=1, **values, **more)

    return make


def outside(kind: Any, **more: Any) -> Later:
    """What the outside tells of alice's newest order."""

    def make(script: Script) -> Command:
        values = {"account": ALICE, "instrument": OUTSIDE_ID, "order_id": script.order_id}
        told = {"source": "v", "reference": f"x-{script.now_ns}"}
        command: Command = kind(**values, **told, **more)
        return command

    return make


def aimed(kind: Any, **more: Any) -> Later:
    """A command about alice's newest order."""
    return lambda script: kind(account=ALICE, order_id=script.order_id, **more)  # type: ignore[no-any-return]


BUDGET: Final = {"slots": 2, "protection_price": 520, "max_cost": 10**6}
BASES: Final[dict[str, Command | Later]] = {
    "limit": order(BUY, ALICE, 10, 490, slots=2),
    "taker": order(BUY, ALICE, 10, 506, time_in_force=IOC, slots=2, min_qty=3),
    "sell": order(SELL, ALICE, 10, 510, display_qty=3, slots=2),
    "market": order(BUY, ALICE, 10, 0, order_type=MARKET, time_in_force=IOC, **BUDGET),
    "stop limit": order(BUY, ALICE, 3, 512, order_type=STOP_LIMIT, slots=2, stop_price=510),
    "trailing": order(SELL, ALICE, 3, 0, order_type=TRAILING_STOP, slots=2, trail=7, flags=8),
    "binary buy": order(BUY, ALICE, 10, 490, instrument=BINARY_ID),
    "binary sell": order(SELL, ALICE, 10, 510, instrument=BINARY_ID),
    "short": order(SELL, ALICE, 10, 510, instrument=SHORT_ID),
    "cleared": order(BUY, ALICE, 10, 510, instrument=CLEARED_ID),
    "cancel": aimed(CancelOrder),
    "replace": aimed(ReplaceOrder, price=489, qty=9, slots=2),
    "replace down": aimed(ReplaceOrder, qty=3, qty_basis=1),
    "reduce": aimed(ReduceOrder, qty=2),
    "mass cancel": MassCancel(account=ALICE, instrument=SPOT_ID, side=BUY),
    "deposit": Deposit(account=ALICE, asset=1, amount=100),
    "withdraw": Withdraw(account=ALICE, asset=1, amount=100),
    "transfer": Transfer(account=ALICE, asset=1, amount=100, counter_account=BOB),
    "dead man": DeadMan(account=ALICE, timeout_ns=10**9),
    "limits": SetLimits(account=ALICE, instrument=SPOT_ID, order_qty_max=5),
    "all limits": SetLimits(account=ALICE, position_max=5, open_orders_max=9),
    "account": UpdateAccount(account=ALICE, changes=3, status=1),
    "kill": KillSwitch(account=ALICE),
    "asset": CreateAsset(name="XYZ", scale=3),
    "new account": CreateAccount(name="dave"),
    "opened": SessionOpened(session=SESSION, account=ALICE, flags=1),
    "closed": SessionClosed(session=SESSION),
    "lost": GatewayLost(gateway=1),
    "time": Time(),
    "bust": trade(BustTrade),
    "correct": trade(CorrectTrade, new_price=499, new_qty=2),
    "settle": SettleInstrument(instrument=BINARY_ID, price=400),
    "instrument": CreateInstrument(name="NEW", **TERMS, qty_min=1, price_max=900),
    "contract": CreateInstrument(name="NO", **CONTRACT),
    "update": UpdateInstrument(instrument=SPOT_ID, changes=2 | 4 | 8 | 16, qty_max=90),
    "update bands": UpdateInstrument(instrument=SPOT_ID, changes=32 | 64 | 128, band_ppm=900),
    "update money": UpdateInstrument(instrument=SHORT_ID, changes=2048, short_ppm=5),
    "update lots": UpdateInstrument(instrument=SPOT_ID, changes=256 | 512, tick=1, lot=1),
}
OUTSIDE: Final[dict[str, Command | Later]] = {
    "acknowledged": outside(OutsideAcknowledged),
    "filled": outside(OutsideFilled, price=490, qty=2, fee=3),
    "canceled": outside(OutsideCanceled),
    "rejected": outside(OutsideRejected),
    "busted": outside(OutsideBusted, price=490, qty=2, fee=3),
    "corrected": outside(OutsideCorrected, price=490, qty=2, new_price=491, new_qty=1),
    "settled": outside(OutsideSettled, price=400),
}
# Mended before each: whatever the one before left closed, limited or switched off.
MENDED: Final = 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128


def mends() -> list[Command | Later]:
    """Everything open, nothing limited, a fresh order of alice to aim at."""
    made: list[Command | Later] = [
        KillSwitch(account=0),
        KillSwitch(account=ALICE),
        UpdateAccount(account=ALICE, changes=3, status=1),
        UpdateInstrument(instrument=SPOT_ID, changes=MENDED, phase=3, maker_ppm=-50, taker_ppm=700),
        SetLimits(account=ALICE),
        SetLimits(account=ALICE, instrument=SPOT_ID),
        MassCancel(account=ALICE),
    ]
    return made


def variants(base: Command) -> list[dict[str, int]]:
    """Each number of a command's layout at each of its bounds."""
    found = [
        {field.name: value}
        for layout in layouts_of(base)
        for field in fields(base)
        if field.name not in LEFT and layout.fields is not None and field.name in layout.fields
        for value in edges(layout.fields[field.name][0])
    ]
    return found[::SHARE]


def _bound(base: Command | Later, script: Script) -> Command:
    return base if isinstance(base, Command) else base(script)


def at_the_bounds(name: str, base: Command | Later) -> None:
    """Every variant of one command; what it may have changed is mended before the next."""
    script = Script(Sizes(orders_max=400, extras_max=64, limits_max=16))
    script.each(market())
    target = order(BUY, ALICE, 10, 489, instrument=OUTSIDE_ID if name in OUTSIDE else SPOT_ID)
    wide = isinstance(_bound(base, script), Admin)
    for values in variants(_bound(base, script)):

        def late(script: Script, values: dict[str, int] = values) -> Command:
            return changed(_bound(base, script), **values)

        script.do(*(mends() if wide else mends()[-1:]), target, late)
    script.pair.compare_state()


NAMES: Final = [*BASES, *OUTSIDE]


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_a_command_at_its_bounds(name: str) -> None:
    at_the_bounds(name, (BASES | OUTSIDE)[name])
