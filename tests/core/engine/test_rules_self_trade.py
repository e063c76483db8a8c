"""Self-trade prevention, rule by rule (docs/engine-terms.md)."""

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, CASH, USD, World
from tests.model.commands import (
    BUY,
    CANCEL_BOTH,
    CANCEL_MAKER,
    CANCEL_TAKER,
    DECREMENT,
    FOK,
    IOC,
    SELL,
)


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


def laid_out(world: World) -> World:
    """Bob sells 2 at 99 (#1), alice 3 at 100 (#2), bob 4 at 101 (#3)."""
    world.sell(BOB, 2, 99)
    world.sell(ALICE, 3, 100, client_order_id="m")
    world.sell(BOB, 4, 101)
    return world


BOBS_FIRST = [
    "FILL alice #4 price=99 qty=2 leaves=6 cum=2 notional=198",
    "FILL bob #1 price=99 qty=2 cum=2 notional=198 SELL MAKER",
]


def test_without_a_mode_an_account_trades_with_itself(free: World) -> None:
    told = laid_out(free).buy(ALICE, 8, 101)
    assert told[3:5] == [
        "FILL alice #4 price=100 qty=3 leaves=3 cum=5 notional=498",
        "FILL alice #2 price=100 qty=3 cum=3 notional=300 id=m SELL MAKER",
    ]


def test_the_taker_stops(free: World) -> None:
    assert laid_out(free).buy(ALICE, 8, 101, self_trade=CANCEL_TAKER)[1:] == [
        *BOBS_FIRST,
        "ORDER_EXPIRED alice #4 STP price=101 qty=6 cum=2 notional=198",
    ]
    assert free.balance(ALICE, USD) == (CASH - 198, 0)


def test_the_maker_ends_and_the_taker_goes_on(free: World) -> None:
    assert laid_out(free).buy(ALICE, 8, 101, self_trade=CANCEL_MAKER)[1:] == [
        *BOBS_FIRST,
        "ORDER_EXPIRED alice #2 STP price=100 qty=3 leaves=3 id=m SELL",
        "FILL alice #4 price=101 qty=4 leaves=2 cum=6 notional=602",
        "FILL bob #3 price=101 qty=4 cum=4 notional=404 SELL MAKER",
        "ORDER_RESTED alice #4 price=101 qty=2 leaves=2 cum=6 notional=602 fee=202",
    ]


def test_the_mode_of_an_order_holds_after_its_price_was_changed(free: World) -> None:
    laid_out(free).buy(ALICE, 8, 90, self_trade=CANCEL_MAKER)
    told = free.replace(ALICE, 4, price=100)
    assert [line.split(" price")[0] for line in told[2:]] == [
        "FILL alice #4",
        "FILL bob #1",
        "ORDER_EXPIRED alice #2 STP",
        "ORDER_RESTED alice #4",
    ]


def test_both_end_the_maker_first(free: World) -> None:
    assert laid_out(free).buy(ALICE, 8, 101, self_trade=CANCEL_BOTH)[1:] == [
        *BOBS_FIRST,
        "ORDER_EXPIRED alice #2 STP price=100 qty=3 leaves=3 id=m SELL",
        "ORDER_EXPIRED alice #4 STP price=101 qty=6 cum=2 notional=198",
    ]


def test_both_shrink_and_the_larger_goes_on(free: World) -> None:
    assert laid_out(free).buy(ALICE, 8, 101, self_trade=DECREMENT)[1:] == [
        *BOBS_FIRST,
        "ORDER_EXPIRED alice #2 STP price=100 qty=3 leaves=3 id=m SELL",
        "ORDER_REDUCED alice #4 STP price=101 qty=3 leaves=3 cum=2 notional=198",
        "FILL alice #4 price=101 qty=3 cum=5 notional=501",
        "FILL bob #3 price=101 qty=3 leaves=1 cum=3 notional=303 SELL MAKER",
    ]


def test_the_smaller_taker_ends_and_the_maker_keeps_the_rest(free: World) -> None:
    free.sell(ALICE, 5, 100)
    assert free.buy(ALICE, 2, 100, self_trade=DECREMENT)[1:] == [
        "ORDER_REDUCED alice #1 STP price=100 qty=2 leaves=3 SELL",
        "ORDER_EXPIRED alice #2 STP price=100 qty=2",
    ]
    assert free.buy(ALICE, 3, 100, self_trade=DECREMENT)[1:] == [
        "ORDER_EXPIRED alice #1 STP price=100 qty=3 leaves=3 SELL",
        "ORDER_EXPIRED alice #3 STP price=100 qty=3",
    ]
    assert free.balance(ALICE, USD) == (CASH, 0)


def test_the_takers_mode_decides_not_the_makers(free: World) -> None:
    free.sell(ALICE, 1, 100, self_trade=CANCEL_BOTH)
    assert free.buy(ALICE, 1, 100)[1].startswith("FILL alice #2")


def test_an_iceberg_shrinks_as_a_whole(free: World) -> None:
    free.sell(ALICE, 9, 100, display_qty=2)
    assert free.buy(ALICE, 8, 100, self_trade=DECREMENT)[1:] == [
        "ORDER_REDUCED alice #1 STP price=100 qty=8 leaves=1 SELL",
        "ORDER_EXPIRED alice #2 STP price=100 qty=8",
    ]


def test_a_makers_partner_ends_before_it_shrinks(free: World) -> None:
    free.sell(ALICE, 5, 100)
    free.stop(SELL, ALICE, 5, 90, oco=free.order_id(1))
    assert free.buy(ALICE, 2, 100, self_trade=DECREMENT)[1:] == [
        "ORDER_CANCELED alice #2 CANCELED_BY_PARTNER qty=5 SELL",
        "ORDER_REDUCED alice #1 STP price=100 qty=2 leaves=3 SELL",
        "ORDER_EXPIRED alice #3 STP price=100 qty=2",
    ]


def test_a_maker_that_ends_takes_its_partner_along(free: World) -> None:
    free.sell(ALICE, 5, 100)
    free.stop(SELL, ALICE, 5, 90, oco=free.order_id(1))
    assert free.buy(ALICE, 2, 100, self_trade=CANCEL_MAKER, time_in_force=IOC)[1:] == [
        "ORDER_EXPIRED alice #1 STP price=100 qty=5 leaves=5 SELL",
        "ORDER_CANCELED alice #2 CANCELED_BY_PARTNER qty=5 SELL",
        "ORDER_EXPIRED alice #3 IOC_REMAINDER price=100 qty=2",
    ]


@pytest.mark.parametrize(
    ("mode", "qty", "fills"),
    [
        (CANCEL_MAKER, 6, True),
        (CANCEL_MAKER, 7, False),
        (CANCEL_TAKER, 2, True),
        (CANCEL_TAKER, 3, False),
        (CANCEL_BOTH, 3, False),
        (DECREMENT, 3, False),
        (0, 9, True),
    ],
)
def test_fill_or_kill_counts_what_prevention_leaves(
    free: World, mode: int, qty: int, *, fills: bool
) -> None:
    told = laid_out(free).buy(ALICE, qty, 101, self_trade=mode, time_in_force=FOK)
    assert (told[1].startswith("FILL")) == fills
    assert ("FOK_UNFILLED" in told[1]) != fills


def test_in_front_of_an_own_order_only_what_is_shown_counts(free: World) -> None:
    """The hidden part of bob's would come after alice's order in the same level."""
    free.sell(BOB, 9, 100, display_qty=1)
    free.sell(ALICE, 1, 100)
    told = free.buy(ALICE, 2, 100, self_trade=CANCEL_TAKER, time_in_force=FOK)
    assert "FOK_UNFILLED" in told[1]
    told = free.buy(ALICE, 1, 100, self_trade=CANCEL_TAKER, time_in_force=FOK)
    assert told[1].startswith("FILL alice")
    told = free.buy(ALICE, 8, 100, self_trade=CANCEL_MAKER, time_in_force=FOK)
    assert told[1].startswith(("FILL alice", "ORDER_EXPIRED alice #2 STP"))


def test_the_budget_of_a_market_buy_does_not_shrink(free: World) -> None:
    free.sell(ALICE, 1, 100)
    free.sell(BOB, 9, 100)
    assert free.market(BUY, ALICE, 5, slots=2, max_cost=400, self_trade=DECREMENT)[1:] == [
        "ORDER_EXPIRED alice #1 STP price=100 qty=1 leaves=1 SELL",
        "ORDER_REDUCED alice #3 STP qty=1 leaves=4",
        "FILL alice #3 price=100 qty=4 cum=4 notional=400",
        "FILL bob #2 price=100 qty=4 leaves=5 cum=4 notional=400 SELL MAKER",
    ]
