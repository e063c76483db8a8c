"""Icebergs, rule by rule (docs/engine-terms.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, CASH, COINS, USD, World
from tests.model.commands import SELL
from tests.model.state import Sizes


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


def test_an_iceberg_shows_a_part_and_holds_all(free: World) -> None:
    assert free.sell(ALICE, 10, 100, display_qty=3) == [
        "ORDER_ACCEPTED alice #1 price=100 qty=10 leaves=10 cum=10 notional=257 SELL",
        "ORDER_RESTED alice #1 price=100 qty=3 leaves=10 fee=10 SELL",
    ]
    assert free.balance(ALICE, BTC) == (COINS - 10, 10)


def test_showing_all_is_no_iceberg(free: World) -> None:
    assert free.sell(ALICE, 10, 100, display_qty=10) == [
        "ORDER_ACCEPTED alice #1 price=100 qty=10 leaves=10 cum=10 notional=257 SELL RESTS"
    ]


def test_a_refill_goes_to_the_end_of_the_level(free: World) -> None:
    free.sell(ALICE, 7, 100, display_qty=3, client_order_id="ice")
    free.sell(BOB, 2, 100)
    assert free.buy(CAROL, 6, 100)[1:] == [
        "FILL carol #3 price=100 qty=3 leaves=3 cum=3 notional=300",
        "FILL alice #1 price=100 qty=3 leaves=4 cum=3 notional=300 id=ice SELL MAKER",
        "ORDER_REFILLED alice #1 price=100 qty=3 leaves=4 cum=3 notional=300 id=ice SELL",
        "FILL carol #3 price=100 qty=2 leaves=1 cum=5 notional=500",
        "FILL bob #2 price=100 qty=2 cum=2 notional=200 SELL MAKER",
        "FILL carol #3 price=100 qty=1 cum=6 notional=600",
        "FILL alice #1 price=100 qty=1 leaves=3 cum=4 notional=400 id=ice SELL MAKER",
    ]
    # Shown 2 of 3: two more, then the last one.
    assert free.buy(CAROL, 3, 100)[1:] == [
        "FILL carol #4 price=100 qty=2 leaves=1 cum=2 notional=200",
        "FILL alice #1 price=100 qty=2 leaves=1 cum=6 notional=600 id=ice SELL MAKER",
        "ORDER_REFILLED alice #1 price=100 qty=1 leaves=1 cum=6 notional=600 id=ice SELL",
        "FILL carol #4 price=100 qty=1 cum=3 notional=300",
        "FILL alice #1 price=100 qty=1 cum=7 notional=700 id=ice SELL MAKER",
    ]


def test_an_iceberg_that_trades_first_shows_a_part_of_the_rest(free: World) -> None:
    free.sell(BOB, 4, 100)
    assert free.buy(ALICE, 10, 100, display_qty=5)[-1] == (
        "ORDER_RESTED alice #2 price=100 qty=5 leaves=6 cum=4 notional=400 fee=600"
    )
    free.mass_cancel(ALICE)
    free.sell(BOB, 8, 100)
    assert free.buy(ALICE, 10, 100, display_qty=5)[-1].startswith(
        "ORDER_RESTED alice #4 price=100 qty=2 leaves=2 "
    )


def test_a_reduce_takes_from_what_is_hidden_first(free: World) -> None:
    free.sell(ALICE, 10, 100, display_qty=3)
    assert free.reduce(ALICE, 1, 6) == ["ORDER_REDUCED alice #1 price=100 qty=6 leaves=4 SELL"]
    assert free.reduce(ALICE, 1, 2) == ["ORDER_REDUCED alice #1 price=100 qty=2 leaves=2 SELL"]
    assert free.cancel(ALICE, 1) == [
        "ORDER_CANCELED alice #1 CANCELED_BY_USER price=100 qty=2 leaves=2 SELL"
    ]


def test_a_canceled_iceberg_tells_what_was_shown(free: World) -> None:
    free.sell(ALICE, 10, 100, display_qty=3)
    free.buy(BOB, 1, 100)
    assert free.cancel(ALICE, 1) == [
        "ORDER_CANCELED alice #1 CANCELED_BY_USER price=100 qty=9 leaves=2 cum=1 notional=100 SELL"
    ]
    assert free.balance(ALICE, BTC) == (COINS - 1, 0)


def test_less_of_an_iceberg_keeps_its_place(free: World) -> None:
    free.buy(ALICE, 10, 100, display_qty=3)
    free.buy(BOB, 1, 100)
    assert free.replace(ALICE, 1, qty=8) == [
        "ORDER_REPLACED alice #1 price=100 qty=8 leaves=8 PRIORITY_KEPT",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=3 fee=800",
    ]
    assert free.replace(ALICE, 1, qty=2, display_qty=3) == [
        "COMMAND_REJECTED alice #1 DISPLAY_QTY qty=2 leaves=3 cum=2 notional=3"
    ]
    assert free.sell(CAROL, 1, 100)[2].startswith("FILL alice #1 price=100 qty=1 leaves=7")


def test_another_display_quantity_loses_the_place_and_is_told_as_resting(free: World) -> None:
    free.buy(ALICE, 10, 100, display_qty=3)
    free.buy(BOB, 1, 100)
    assert free.replace(ALICE, 1, display_qty=4) == [
        "ORDER_REPLACED alice #1 price=100 qty=10 leaves=10",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=3 fee=1000",
        "ORDER_RESTED alice #1 price=100 qty=4 leaves=10 fee=1000",
    ]
    assert free.sell(CAROL, 1, 100)[2].startswith("FILL bob #2")
    assert free.replace(ALICE, 1, display_qty=10) == [
        "ORDER_REPLACED alice #1 price=100 qty=10 leaves=10 RESTS",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=4 fee=1000",
    ]


def test_a_display_quantity_that_is_all_that_is_left_still_keeps_the_place(free: World) -> None:
    free.buy(ALICE, 10, 100, display_qty=3)
    assert free.replace(ALICE, 1, qty=3, display_qty=3) == [
        "ORDER_REPLACED alice #1 price=100 qty=3 leaves=3 PRIORITY_KEPT",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=3 fee=300",
    ]


def test_an_order_becomes_an_iceberg_by_a_replace_if_there_is_room(make_world: MakeWorld) -> None:
    world = make_world(Sizes(extras_max=1), maker_ppm=0, taker_ppm=0)
    world.buy(ALICE, 10, 100)
    world.buy(BOB, 10, 99, display_qty=1)
    assert world.replace(ALICE, 1, display_qty=2) == [
        "COMMAND_REJECTED alice #1 CAPACITY leaves=3 cum=1 notional=1"
    ]
    assert world.buy(CAROL, 10, 99, display_qty=1)[0].endswith(
        "CAPACITY price=99 qty=10 leaves=1 cum=1 notional=1"
    )
    world.cancel(BOB, 2)
    assert world.replace(ALICE, 1, display_qty=2)[2].startswith("ORDER_RESTED alice #1")
    assert world.balance(ALICE, USD) == (CASH - 1000, 1000)


@pytest.mark.parametrize("lots", [1, 2, 5, 9])
def test_a_market_order_takes_every_part_of_an_iceberg(free: World, lots: int) -> None:
    free.buy(ALICE, 9, 100, display_qty=1)
    told: list[Any] = free.market(SELL, BOB, lots)
    assert sum(line.startswith("FILL bob") for line in told) == lots
    assert sum(line.startswith("ORDER_REFILLED") for line in told) == min(lots, 8)
