"""Trades that are settled per period (docs/engine-money.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import (
    ALICE,
    BOB,
    BTC,
    CAROL,
    CASH,
    COINS,
    MARKET_ID,
    SECOND,
    USD,
    World,
)
from tests.model.commands import SELL, Withdraw
from tests.model.state import FEES
from tests.model.venue_commands import BustTrade


@pytest.fixture
def cleared(make_world: MakeWorld) -> World:
    """Cleared every second; makers pay 1 %, takers 2 %."""
    return make_world(clearing_ns=SECOND)


def traded(world: World) -> World:
    """Alice sells 10 at 100 to bob, who sells her 4 at 110."""
    world.sell(ALICE, 10, 100)
    world.buy(BOB, 10, 100)
    world.sell(BOB, 4, 110)
    world.buy(ALICE, 4, 110)
    return world


def test_a_fill_moves_nothing_to_available(cleared: World) -> None:
    cleared.sell(ALICE, 10, 100)
    assert cleared.buy(BOB, 10, 105)[1:] == [
        "FILL bob #2 price=100 qty=10 cum=10 notional=1000 fee=20",
        "FILL alice #1 price=100 qty=10 cum=10 notional=1000 fee=10 SELL MAKER",
    ]
    # What the better price set free is bob's again; 1,020 stay held.
    assert cleared.balance(BOB, USD) == (CASH - 1_020, 1_020)
    assert cleared.balance(BOB, BTC) == (COINS, 0)
    assert cleared.balance(ALICE, USD) == (CASH, 0)
    assert cleared.balance(ALICE, BTC) == (COINS - 10, 10)
    assert cleared.position(BOB).net == 10


def test_what_was_bought_cannot_be_sold_before(cleared: World) -> None:
    cleared.tell(Withdraw(account=BOB, asset=BTC, amount=COINS))
    cleared.sell(ALICE, 10, 100)
    cleared.buy(BOB, 10, 100)
    assert " INSUFFICIENT_POSITION " in cleared.sell(BOB, 1, 100)[0]


def test_at_the_end_of_the_period_only_the_net_moves(cleared: World) -> None:
    traded(cleared)
    assert cleared.time(SECOND - 1) == [f"TIME_PASSED price={SECOND}"]
    assert cleared.time(SECOND) == [
        f"CLEARED #=1 price={SECOND} qty=2",
        # Proceeds 990; 440 and a fee of 9 paid.
        "SETTLEMENT alice qty=-6 leaves=440 cum=541 notional=1000",
        # 1,020 paid; proceeds 440 less a fee of 5.
        "SETTLEMENT bob qty=6 leaves=1000 cum=-585 notional=440",
        "TIME_PASSED qty=1",
    ]
    assert cleared.balance(ALICE, USD) == (CASH + 541, 0)
    assert cleared.balance(ALICE, BTC) == (COINS - 6, 0)
    assert cleared.balance(BOB, USD) == (CASH - 585, 0)
    assert cleared.balance(BOB, BTC) == (COINS + 6, 0)
    assert cleared.balance(FEES, USD) == (10 + 20 + 9 + 5, 0)


def test_the_next_trade_begins_a_new_period(cleared: World) -> None:
    traded(cleared)
    cleared.time(SECOND)
    assert cleared.time(5 * SECOND) == ["TIME_PASSED"]
    cleared.sell(ALICE, 1, 100)
    cleared.buy(BOB, 1, 100)
    assert cleared.time(6 * SECOND - 1) == [f"TIME_PASSED price={6 * SECOND}"]
    assert cleared.time(6 * SECOND)[0] == f"CLEARED #=1 price={6 * SECOND} qty=2"


def test_open_orders_hold_beside_what_is_due(cleared: World) -> None:
    cleared.sell(ALICE, 10, 100)
    cleared.buy(BOB, 4, 100)
    cleared.buy(BOB, 2, 90)  # 180 and 4.
    assert cleared.balance(ALICE, BTC) == (COINS - 10, 10)
    assert cleared.balance(BOB, USD) == (CASH - 408 - 184, 408 + 184)
    cleared.time(SECOND)
    assert cleared.balance(ALICE, BTC) == (COINS - 10, 6)
    assert cleared.balance(BOB, USD) == (CASH - 408 - 184, 184)


def test_a_rebate_is_held_by_fees_until_then(make_world: MakeWorld) -> None:
    world = make_world(clearing_ns=SECOND, maker_ppm=-10_000)
    world.sell(ALICE, 10, 100)
    assert world.buy(BOB, 10, 100)[2].endswith("SELL MAKER")  # Fees has nothing yet: no rebate.
    world.time(SECOND)
    assert world.balance(FEES, USD) == (20, 0)
    world.sell(ALICE, 10, 100)
    assert " fee=-10 " in world.buy(BOB, 10, 100)[2]
    assert world.balance(FEES, USD) == (10, 10)
    world.time(2 * SECOND)
    assert world.balance(FEES, USD) == (30, 0)
    assert world.balance(ALICE, USD) == (CASH + 2_010, 0)


def test_clearing_is_not_changed_while_something_is_open_or_due(cleared: World) -> None:
    change: dict[str, Any] = {"changes": 4096, "clearing_ns": 0}
    cleared.buy(ALICE, 1, 50)
    assert cleared.update(**change) == ["COMMAND_REJECTED TERMS leaves=12"]
    cleared.mass_cancel(ALICE)
    traded(cleared)
    assert cleared.update(**change) == ["COMMAND_REJECTED TERMS leaves=12"]
    assert cleared.update(256, tick=2)[0].startswith("COMMAND_REJECTED BOOK_NOT_EMPTY")
    cleared.time(SECOND)
    assert cleared.update(**change)[0].startswith("INSTRUMENT_UPDATED")
    cleared.sell(CAROL, 1, 100)
    cleared.buy(BOB, 1, 100)
    assert cleared.balance(BOB, BTC) == (COINS + 7, 0)


def test_a_trade_that_is_due_is_not_busted(cleared: World) -> None:
    traded(cleared)
    bust = BustTrade(
        instrument=MARKET_ID, price=100, qty=10, buyer=BOB, seller=ALICE, client_order_id="t"
    )
    assert cleared.tell(bust) == ["COMMAND_REJECTED TERMS leaves=41 id=t"]
    cleared.time(SECOND)
    assert cleared.tell(bust)[0].startswith("TRADE_BUSTED bob")


def test_a_stop_that_is_triggered_is_due_too(cleared: World) -> None:
    cleared.stop(SELL, CAROL, 2, 100)
    cleared.buy(BOB, 12, 100)
    cleared.sell(ALICE, 10, 100)
    assert cleared.balance(CAROL, BTC) == (COINS - 2, 2)
    assert cleared.time(SECOND)[0] == f"CLEARED #=1 price={SECOND} qty=3"
    assert cleared.balance(CAROL, USD) == (CASH + 196, 0)
