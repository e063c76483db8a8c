"""Pairs of orders of which one cancels the other, rule by rule (docs/engine-terms.md)."""

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, CASH, COINS, USD, World
from tests.model.commands import BUY, REDUCE_ONLY, SELL
from tests.model.state import Sizes


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


def bracket(world: World) -> None:
    """Alice's 4 lots: sell at 110 (#1), or when the price falls to 90 (#2)."""
    world.sell(ALICE, 4, 110)
    assert world.stop(SELL, ALICE, 4, 90, oco=world.order_id(1))[0].startswith("ORDER_ACCEPTED")


def test_the_two_of_a_pair_hold_once(free: World) -> None:
    free.sell(ALICE, 4, 110)
    assert free.stop(SELL, ALICE, 6, 90, oco=free.order_id(1)) == [
        "ORDER_ACCEPTED alice #2 qty=6 leaves=6 cum=2 notional=259 SELL"
    ]
    assert free.balance(ALICE, BTC) == (COINS - 6, 6)


def test_of_different_assets_each_holds_its_own(free: World) -> None:
    free.sell(ALICE, 4, 110)
    assert " cum=360 " in free.buy(ALICE, 4, 90, slots=2, oco=free.order_id(1))[0]
    assert free.balance(ALICE, BTC) == (COINS - 4, 4)
    assert free.balance(ALICE, USD) == (CASH - 360, 360)


def test_with_all_held_by_the_partner_nothing_need_be_available(free: World) -> None:
    free.sell(ALICE, COINS, 110)
    assert free.stop(SELL, ALICE, COINS, 90, oco=free.order_id(1))[0].startswith("ORDER_ACCEPTED")
    assert free.balance(ALICE, BTC) == (0, COINS)


def test_what_exceeds_the_partner_must_be_available(free: World) -> None:
    free.sell(ALICE, COINS - 1, 110)
    assert free.stop(SELL, ALICE, COINS + 2, 90, oco=free.order_id(1)) == [
        "ORDER_REJECTED alice #none INSUFFICIENT_POSITION qty=1002 leaves=1 cum=1 notional=3 SELL"
    ]


def test_a_trade_of_one_ends_the_other_before_it(free: World) -> None:
    bracket(free)
    assert free.buy(BOB, 1, 110)[1:] == [
        "ORDER_CANCELED alice #2 CANCELED_BY_PARTNER qty=4 SELL",
        "FILL bob #3 price=110 qty=1 cum=1 notional=110",
        "FILL alice #1 price=110 qty=1 leaves=3 cum=1 notional=110 SELL MAKER",
    ]
    assert free.balance(ALICE, BTC) == (COINS - 4, 3)


def test_a_trigger_of_one_ends_the_other_before_it(free: World) -> None:
    bracket(free)
    free.buy(BOB, 9, 90)
    told = free.sell(CAROL, 1, 90)
    assert told[3:6] == [
        "ORDER_CANCELED alice #1 CANCELED_BY_PARTNER price=110 qty=4 leaves=4 SELL",
        "ORDER_TRIGGERED alice #2 qty=4 leaves=4 SELL",
        "FILL alice #2 price=90 qty=4 cum=4 notional=360 SELL",
    ]
    assert free.balance(ALICE, BTC) == (COINS - 4, 0)


def test_the_cancel_of_one_is_the_cancel_of_both(free: World) -> None:
    bracket(free)
    assert free.cancel(ALICE, 2) == [
        "ORDER_CANCELED alice #2 CANCELED_BY_USER qty=4 SELL",
        "ORDER_CANCELED alice #1 CANCELED_BY_PARTNER price=110 qty=4 leaves=4 SELL",
    ]
    assert free.balance(ALICE, BTC) == (COINS, 0)


def test_a_taker_with_a_partner_ends_it_before_its_first_trade(free: World) -> None:
    free.sell(ALICE, 4, 110, client_order_id="a")
    free.sell(BOB, 2, 100)
    assert free.buy(ALICE, 3, 100, slots=2, oco=free.order_id(1)) == [
        "ORDER_ACCEPTED alice #3 price=100 qty=3 leaves=3 cum=300 notional=257",
        "ORDER_CANCELED alice #1 CANCELED_BY_PARTNER price=110 qty=4 leaves=4 id=a SELL",
        "FILL alice #3 price=100 qty=2 leaves=1 cum=2 notional=200",
        "FILL bob #2 price=100 qty=2 cum=2 notional=200 SELL MAKER",
        "ORDER_RESTED alice #3 price=100 qty=1 leaves=1 cum=2 notional=200 fee=100",
    ]


def test_an_order_does_not_trade_with_its_own_partner(free: World) -> None:
    free.sell(ALICE, 4, 100)
    assert free.buy(ALICE, 4, 100, slots=2, oco=free.order_id(1))[1:] == [
        "ORDER_CANCELED alice #1 CANCELED_BY_PARTNER price=100 qty=4 leaves=4 SELL",
        "ORDER_RESTED alice #2 price=100 qty=4 leaves=4 fee=400",
    ]


def test_two_stops_of_a_pair_hit_by_one_trade_trigger_once(free: World) -> None:
    free.stop(SELL, ALICE, 4, 90)
    free.stop(SELL, ALICE, 4, 91, price=80, oco=free.order_id(1))
    free.buy(BOB, 1, 90)
    told = free.sell(CAROL, 1, 90)
    assert told[3:] == [
        "ORDER_CANCELED alice #2 CANCELED_BY_PARTNER price=80 qty=4 SELL",
        "ORDER_TRIGGERED alice #1 qty=4 leaves=4 SELL",
        "ORDER_EXPIRED alice #1 MARKET_REMAINDER qty=4 SELL",
    ]


def test_one_of_a_pair_can_only_be_canceled(free: World) -> None:
    bracket(free)
    assert free.reduce(ALICE, 1, 1) == ["COMMAND_REJECTED alice #1 PAIR qty=1 leaves=4"]
    assert free.reduce(ALICE, 1, 0)[0].startswith("COMMAND_REJECTED alice #1 QTY_TOO_SMALL")
    assert free.replace(ALICE, 2, qty=1) == ["COMMAND_REJECTED alice #2 PAIR qty=1 leaves=3"]
    assert free.replace(ALICE, 1, price=1 << 50)[0].startswith(
        "COMMAND_REJECTED alice #1 PRICE_OUT_OF_BAND"
    )


def test_a_partner_must_be_free_open_and_of_the_same_account_and_instrument(free: World) -> None:
    def refused(number: int, account: int = ALICE) -> bool:
        told = free.buy(account, 1, 50, slots=2, oco=free.order_id(number))
        return told[0].startswith("ORDER_REJECTED") and "UNKNOWN_ORDER" in told[0]

    bracket(free)
    free.sell(ALICE, 1, 120)
    free.cancel(ALICE, 3)
    free.trade(100)
    free.sell(CAROL, 1, 130, flags=REDUCE_ONLY)
    assert refused(1)  # Has a partner.
    assert refused(3)  # Has ended.
    assert refused(6, CAROL)  # Reduces only.
    free.sell(BOB, 1, 120)
    assert refused(7)  # Another account's.
    assert not refused(7, BOB)


def test_a_mass_cancel_counts_what_fits_and_takes_partners_along(free: World) -> None:
    free.buy(ALICE, 1, 50)
    free.sell(ALICE, 4, 110)
    free.buy(ALICE, 1, 60, slots=2, oco=free.order_id(2))
    assert free.mass_cancel(ALICE, side=BUY) == [
        "MASS_CANCELED alice qty=2",
        "ORDER_CANCELED alice #1 CANCELED_BY_MASS_CANCEL price=50 qty=1 leaves=1",
        "ORDER_CANCELED alice #3 CANCELED_BY_MASS_CANCEL price=60 qty=1 leaves=1",
        "ORDER_CANCELED alice #2 CANCELED_BY_PARTNER price=110 qty=4 leaves=4 SELL",
    ]


def test_both_of_a_pair_have_an_extra_row(make_world: MakeWorld) -> None:
    world = make_world(Sizes(extras_max=1), maker_ppm=0, taker_ppm=0)
    world.sell(ALICE, 4, 110)
    assert world.buy(ALICE, 1, 60, slots=2, oco=world.order_id(1)) == [
        "ORDER_REJECTED alice #none CAPACITY price=60 qty=1 leaves=1 cum=1"
    ]


def test_an_order_that_pays_for_nothing_leaves_a_makers_partner_alone(world: World) -> None:
    bracket(world)
    assert world.market(BUY, BOB, 1, slots=2, max_cost=111) == [
        "ORDER_ACCEPTED bob #3 qty=1 leaves=1 cum=111 notional=514",
        "ORDER_EXPIRED bob #3 MARKET_REMAINDER qty=1",
    ]
    assert len(world.mass_cancel(ALICE)) == 3
