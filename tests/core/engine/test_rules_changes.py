"""Cancel restrictions, filters of mass cancels, replaces of version 2 (docs/engine-terms.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, CAROL, CASH, USD, World
from tests.model.commands import (
    BUY,
    ONLY_NEW,
    ONLY_PARTIALLY_FILLED,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    SLIDE,
    MassCancel,
)


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


def test_a_cancel_may_demand_that_nothing_or_something_was_filled(free: World) -> None:
    free.buy(ALICE, 5, 100)
    assert free.cancel(ALICE, 1, restriction=ONLY_PARTIALLY_FILLED) == [
        "COMMAND_REJECTED alice #1 CANCEL_RESTRICTED leaves=2 cum=2"
    ]
    free.sell(BOB, 2, 100)
    assert free.cancel(ALICE, 1, restriction=ONLY_NEW) == [
        "COMMAND_REJECTED alice #1 CANCEL_RESTRICTED leaves=2 cum=1 notional=2"
    ]
    assert free.cancel(ALICE, 1, restriction=ONLY_PARTIALLY_FILLED)[0].startswith(
        "ORDER_CANCELED alice #1"
    )


def test_a_mass_cancel_takes_a_session_even_session_zero(free: World) -> None:
    free.buy(ALICE, 1, 100, session=7)
    free.buy(ALICE, 1, 101)
    free.buy(ALICE, 1, 102, session=8)
    assert free.mass_cancel(ALICE, filter_session=7) == [
        "MASS_CANCELED alice qty=1",
        "ORDER_CANCELED alice #1 CANCELED_BY_MASS_CANCEL price=100 qty=1 leaves=1 session=7",
    ]
    assert free.mass_cancel(ALICE, filter_session=1 << 32) == [
        "MASS_CANCELED alice qty=1",
        "ORDER_CANCELED alice #2 CANCELED_BY_MASS_CANCEL price=101 qty=1 leaves=1",
    ]
    assert free.mass_cancel(ALICE, filter_session=7) == ["MASS_CANCELED alice"]


def test_a_mass_cancel_takes_a_tag(free: World) -> None:
    free.buy(ALICE, 1, 100, slots=2, tag="a")
    free.buy(ALICE, 1, 101, slots=2, tag="b")
    free.buy(ALICE, 1, 102)
    assert free.mass_cancel(ALICE, slots=2, tag="b") == [
        "MASS_CANCELED alice qty=1",
        "ORDER_CANCELED alice #2 CANCELED_BY_MASS_CANCEL price=101 qty=1 leaves=1",
    ]
    assert len(free.tell(MassCancel(account=ALICE, slots=2))) == 3


def test_a_post_only_order_stays_post_only_when_it_is_replaced(free: World) -> None:
    free.buy(ALICE, 1, 90, flags=POST_ONLY)
    free.buy(ALICE, 1, 91, flags=POST_ONLY | SLIDE)
    free.sell(BOB, 1, 100)
    assert free.replace(ALICE, 1, price=100) == [
        "COMMAND_REJECTED alice #1 POST_ONLY_WOULD_TAKE price=100 leaves=3 cum=100 notional=100"
    ]
    assert free.replace(ALICE, 2, price=105) == [
        "ORDER_REPLACED alice #2 price=99 qty=1 leaves=1 RESTS",
        "REPLACED_FROM alice #2 price=91 qty=1 leaves=1 fee=99",
    ]


def test_a_reduce_only_order_is_checked_again(free: World) -> None:
    free.trade(100, 5)
    free.sell(CAROL, 4, 110, flags=REDUCE_ONLY)
    free.sell(CAROL, 5, 100)
    free.buy(BOB, 5, 100)
    assert free.replace(CAROL, 3, qty=3) == [
        "COMMAND_REJECTED carol #3 REDUCE_ONLY qty=3 leaves=3 notional=3"
    ]


def test_a_replace_is_checked_at_the_price_it_keeps(make_world: MakeWorld) -> None:
    world = make_world()
    world.buy(ALICE, 5, 100)
    world.update(16, price_min=0, price_max=99)
    assert "PRICE_OUT_OF_BAND" in world.replace(ALICE, 1, qty=4)[0]
    assert world.reduce(ALICE, 1, 1)[0].startswith("ORDER_REDUCED")


@pytest.mark.parametrize(
    "more",
    [
        {"slots": 2, "stop_price": 5, "trail": 1},
        {"slots": 2, "min_qty": 1},
        {"slots": 2, "protection_price": 1},
        {"slots": 2, "group": 1},
        {"slots": 3},
        {"display_qty": -1},
    ],
)
def test_a_replace_changes_price_quantity_stop_and_display_only(
    free: World, more: dict[str, Any]
) -> None:
    free.buy(ALICE, 5, 100)
    assert free.replace(ALICE, 1, **more)[0].startswith("COMMAND_REJECTED alice #1 MALFORMED")


def test_of_two_slots_with_an_id_the_id_counts(free: World) -> None:
    free.buy(ALICE, 5, 100, client_order_id="a")
    free.buy(ALICE, 5, 100, client_order_id="b")
    more: dict[str, Any] = {"slots": 2, "original_client_order_id": "b", "qty": 3}
    assert free.replace(ALICE, 1, **more)[0].startswith("ORDER_REPLACED alice #1 ")


def test_what_a_rejected_new_order_says_of_its_side(free: World) -> None:
    assert free.stop(SELL, ALICE, 1, 5, order_type=4) == [
        "ORDER_REJECTED alice #none PRICE_MISSING qty=1 leaves=1 SELL"
    ]
    assert free.stop(BUY, ALICE, 1, 5, price=9, order_type=3) == [
        "ORDER_REJECTED alice #none PRICE_NOT_ALLOWED price=9 qty=1 leaves=1"
    ]
    assert free.balance(ALICE, USD) == (CASH, 0)
