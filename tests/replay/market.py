"""A small history, told once for everything that looks back at it.

USD has 6 decimals, BTC 8; the tick is 0.01 USD and the lot 0.0001 BTC; makers pay 0.1 %, takers
0.2 %.  Alice is account 3, bob 4, and each has 1,000,000 USD and 100 BTC.  The first order has
sequence 10.
"""

from pathlib import Path
from typing import Final

from tests.model.commands import (
    BUY,
    IOC,
    MARKET,
    SELL,
    CancelOrder,
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    MassCancel,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
)
from tests.replay.live import Live

ALICE: Final = 3
BOB: Final = 4
FIRST_ORDER: Final = 10


def order(account: int, name: str, side: int, qty: int, price: int, **more: int) -> PlaceOrder:
    """A LIMIT GTC order, unless ``more`` says otherwise; price in ticks, qty in lots."""
    terms = {"instrument": 1, "account": account, "side": side, "qty": qty, "price": price}
    return PlaceOrder(client_order_id=name, **(terms | more))  # type: ignore[arg-type]


def meant(account: int, name: str) -> dict[str, int | str]:
    """Fields that name an order by its client order id."""
    return {"account": account, "slots": 2, "original_client_order_id": name}


def setting_up() -> list[Command]:
    """Assets, instrument, accounts, money."""
    commands: list[Command] = [
        CreateAsset(name="USD", scale=6),
        CreateAsset(name="BTC", scale=8),
        CreateInstrument(
            name="BTC-USD",
            base_asset=2,
            quote_asset=1,
            tick_scale=2,
            lot_scale=4,
            maker_ppm=1_000,
            taker_ppm=2_000,
        ),
        CreateAccount(name="alice"),
        CreateAccount(name="bob"),
    ]
    for account in (ALICE, BOB):
        commands.append(Deposit(account=account, asset=1, amount=10**12))
        commands.append(Deposit(account=account, asset=2, amount=100 * 10**8))
    return commands


ORDERS: Final[tuple[Command, ...]] = (
    order(BOB, "b-1", BUY, 5_000, 10_000),  # 10
    order(ALICE, "a-1", BUY, 10_000, 10_000),
    order(BOB, "b-2", SELL, 2_500, 9_900),  # Takes half of b-1.
    order(BOB, "b-3", SELL, 5_000, 10_000),  # The rest of it, and a quarter of a-1.
    CancelOrder(**meant(BOB, "a-1")),  # type: ignore[arg-type]  # Not his.
    ReplaceOrder(client_order_id="a-2", price=10_100, **meant(ALICE, "a-1")),  # type: ignore[arg-type]  # 15
    order(BOB, "b-4", SELL, 200, 10_050, time_in_force=IOC),
    order(BOB, "b-5", SELL, 200, 10_200, time_in_force=IOC),  # Nobody pays that.
    order(BOB, "b-6", SELL, 9_000, 10_100, time_in_force=IOC),  # More than there is.
    order(ALICE, "a-3", BUY, 10**6, 10**9),  # More than she has.
    order(BOB, "a-2", SELL, 200, 10_300),  # 20: the same id, another account.
    order(ALICE, "a-4", BUY, 400, 9_000),
    order(ALICE, "a-5", BUY, 400, 9_500),
    ReduceOrder(qty=100, **meant(ALICE, "a-4")),  # type: ignore[arg-type]
    MassCancel(account=ALICE, side=BUY),
    CancelOrder(client_order_id="a-x", **meant(ALICE, "a-4")),  # type: ignore[arg-type]  # 25: too late.
    order(BOB, "b-7", SELL, 100, 0, order_type=MARKET, time_in_force=IOC),  # Nobody buys.
    order(ALICE, "a-6", SELL, 300, 10_300),  # Behind bob.
)


def scripted(data: Path) -> Live:
    """A live core that has applied all of it, one block a command."""
    live = Live(data)
    live.send([*setting_up(), *ORDERS])
    return live
