"""Short selling in SPOT (docs/engine-money.md)."""

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, CASH, MARKET_ID, USD, World
from tests.model.commands import QTY_LEAVES, SELL, Deposit, Withdraw


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees; collateral of half the price; alice has no BTC and may be 12 lots short."""
    world = make_world(maker_ppm=0, taker_ppm=0, short_ppm=500_000)
    world.tell(Withdraw(account=ALICE, asset=BTC, amount=1_000))
    world.limit(ALICE, MARKET_ID, short_max=12)
    return world


def test_a_short_sale_holds_collateral_and_keeps_its_proceeds(free: World) -> None:
    assert free.sell(ALICE, 10, 101) == [
        "ORDER_ACCEPTED alice #1 price=101 qty=10 leaves=10 notional=257 SELL RESTS"
    ]
    assert free.balance(ALICE, USD) == (CASH - 505, 505)
    assert free.buy(BOB, 10, 101)[2] == (
        "FILL alice #1 price=101 qty=10 cum=10 notional=1010 SELL MAKER"
    )
    assert free.balance(ALICE, USD) == (CASH - 505, 1_515)
    assert free.balance(ALICE, BTC) == (0, 0)
    assert free.balance(BOB, BTC) == (1_010, 0)
    assert free.position(ALICE).net == -10


def test_collateral_is_rounded_up(free: World) -> None:
    free.sell(ALICE, 1, 101)
    assert free.balance(ALICE, USD) == (CASH - 51, 51)


def test_buying_back_frees_collateral_in_proportion(free: World) -> None:
    free.sell(ALICE, 10, 101)
    free.buy(BOB, 10, 101)
    free.sell(BOB, 10, 90)
    free.buy(ALICE, 4, 90)
    assert free.balance(ALICE, USD) == (CASH - 505 - 360 + 606, 1_515 - 606)
    assert free.balance(ALICE, BTC) == (0, 0)
    assert free.position(ALICE).net == -6
    free.buy(ALICE, 8, 90)  # Six are owed, two bids stay her own; two of bob's are left.
    free.sell(BOB, 2, 90)
    assert free.balance(ALICE, USD) == (CASH + 1_010 - 12 * 90, 0)
    assert free.balance(ALICE, BTC) == (2, 0)


def test_own_lots_are_sold_first(free: World) -> None:
    free.tell(Deposit(account=ALICE, asset=BTC, amount=5))
    assert free.sell(ALICE, 8, 100)[0].startswith(
        "ORDER_ACCEPTED alice #1 price=100 qty=8 leaves=8 cum=5 "
    )
    assert free.balance(ALICE, BTC) == (0, 5)
    assert free.balance(ALICE, USD) == (CASH - 150, 150)
    free.buy(BOB, 6, 100)
    # 5 of her own bring 500; one is short: a third of 150, and its 100.
    assert free.balance(ALICE, USD) == (CASH - 150 + 500, 250)
    assert free.balance(ALICE, BTC) == (0, 0)
    free.cancel(ALICE, 1)
    assert free.balance(ALICE, USD) == (CASH + 500 - 50, 150)


def test_how_many_lots_may_be_short(free: World) -> None:
    free.sell(ALICE, 5, 100)
    free.buy(BOB, 5, 100)
    free.sell(ALICE, 4, 110)
    assert free.sell(ALICE, 4, 110) == [
        "ORDER_REJECTED alice #none SHORT_LIMIT price=110 qty=4 leaves=1 cum=12 notional=13 SELL"
    ]
    assert free.sell(ALICE, 3, 110)[0].endswith("RESTS")
    assert free.replace(ALICE, 3, price=111)[0].startswith("ORDER_REPLACED")
    assert free.replace(ALICE, 3, qty=5)[0] == (
        "COMMAND_REJECTED alice #3 SHORT_LIMIT qty=5 leaves=3 cum=12 notional=13"
    )


def test_without_a_limit_nothing_is_short(free: World) -> None:
    free.tell(Withdraw(account=BOB, asset=BTC, amount=999))
    assert free.sell(BOB, 10, 100) == [
        "ORDER_REJECTED bob #none INSUFFICIENT_POSITION price=100 qty=10 leaves=1 cum=1"
        " notional=10 SELL"
    ]
    free.limit(ALICE, MARKET_ID)
    assert " INSUFFICIENT_POSITION " in free.sell(ALICE, 1, 100)[0]


def test_an_instrument_without_short_selling_has_none(world: World) -> None:
    world.limit(ALICE, MARKET_ID, short_max=12)
    assert " INSUFFICIENT_POSITION " in world.sell(ALICE, 1_001, 100)[0]


def test_collateral_must_be_available(free: World) -> None:
    free.tell(Withdraw(account=ALICE, asset=USD, amount=CASH - 499))
    assert free.sell(ALICE, 10, 100) == [
        "ORDER_REJECTED alice #none INSUFFICIENT_FUNDS price=100 qty=10 leaves=1 cum=499"
        " notional=500 SELL"
    ]


def test_a_market_sale_is_measured_by_the_last_trade(free: World) -> None:
    assert free.market(SELL, ALICE, 2) == [
        "ORDER_REJECTED alice #none PRICE_MISSING qty=2 leaves=1 SELL"
    ]
    free.trade(100)
    assert free.market(SELL, ALICE, 2)[-1].startswith("ORDER_EXPIRED alice")
    free.stop(SELL, ALICE, 2, 90)
    assert free.balance(ALICE, USD) == (CASH - 100, 100)


def test_a_reduce_takes_short_lots_first(free: World) -> None:
    free.tell(Deposit(account=ALICE, asset=BTC, amount=5))
    free.sell(ALICE, 8, 100)
    free.reduce(ALICE, 1, 1)
    assert free.balance(ALICE, USD) == (CASH - 100, 100)
    free.reduce(ALICE, 1, 4)
    assert free.balance(ALICE, USD) == (CASH, 0)
    assert free.balance(ALICE, BTC) == (2, 3)


def test_a_replace_measures_anew(free: World) -> None:
    free.sell(ALICE, 4, 100)
    free.tell(Deposit(account=ALICE, asset=BTC, amount=3))
    free.replace(ALICE, 1, price=110, qty=5, qty_basis=QTY_LEAVES)
    assert free.balance(ALICE, USD) == (CASH - 110, 110)
    assert free.balance(ALICE, BTC) == (0, 3)


def test_switched_off_open_orders_go_on_and_new_ones_do_not(free: World) -> None:
    free.sell(ALICE, 4, 100)
    free.update(2048, short_ppm=0)
    assert " INSUFFICIENT_POSITION " in free.sell(ALICE, 1, 100)[0]
    assert free.buy(CAROL, 4, 100)[2].startswith("FILL alice #1")
    assert free.position(ALICE).net == -4


def test_lots_stay_what_they_are_while_somebody_is_short(free: World) -> None:
    free.sell(ALICE, 4, 100)
    free.buy(BOB, 4, 100)
    free.tell(Deposit(account=ALICE, asset=BTC, amount=4))
    free.sell(BOB, 4, 100)
    free.buy(CAROL, 4, 100)
    assert free.update(512, lot=2)[0].startswith("COMMAND_REJECTED BOOK_NOT_EMPTY")
    assert free.update(2048 | 4096, clearing_ns=10**9) == ["COMMAND_REJECTED TERMS leaves=12"]
