"""Times in force, post-only, budgets, reduce-only, rule by rule (docs/engine-terms.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, CASH, COINS, USD, World
from tests.model.commands import (
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    SLIDE,
    STOP,
    STOP_LIMIT,
    TRAIL_BPS,
    TRAILING_STOP,
)
from tests.model.state import MONEY_MAX, PRICE_MAX, WORD_MAX


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


# Form.

STOPPED: dict[str, Any] = {"order_type": STOP, "price": 0, "slots": 2, "stop_price": 7}
TRAILED: dict[str, Any] = {"order_type": TRAILING_STOP, "price": 0, "slots": 2, "trail": 3}
AT_MARKET: dict[str, Any] = {"order_type": MARKET, "time_in_force": IOC, "price": 0}


@pytest.mark.parametrize(
    "more",
    [
        {"slots": 3},
        {"flags": 16},
        {"flags": 128},
        {"expire_ns": -1, "time_in_force": GTD},
        {"expire_ns": 0, "time_in_force": GTD},
        {"expire_ns": 9},
        {"expire_ns": 9, "time_in_force": DAY},
        {"display_qty": -1},
        {"display_qty": 3},
        {"display_qty": 1, "time_in_force": IOC},
        {"flags": POST_ONLY, "time_in_force": FOK},
        {"flags": SLIDE},
        {"flags": TRAIL_BPS},
        {"flags": REDUCE_ONLY | POST_ONLY},
        {"flags": REDUCE_ONLY, "time_in_force": FOK},
        {"flags": REDUCE_ONLY, "slots": 2, "oco": 5},
        {"slots": 2, "oco": 5, "time_in_force": IOC},
        {"slots": 2, "oco": 5} | AT_MARKET,
        {"slots": 2, "oco": -1},
        {"slots": 2, "min_qty": 1},
        {"slots": 2, "min_qty": 3, "time_in_force": IOC},
        {"slots": 2, "min_qty": 1, "time_in_force": FOK},
        {"slots": 2, "stop_price": 1},
        {"slots": 2, "trail": 1},
        {"slots": 2, "max_cost": 1},
        {"slots": 2, "protection_price": 1},
        {"slots": 2, "original_client_order_id": "x"},
        {"slots": 2, "max_cost": 1, "side": SELL} | AT_MARKET,
        {"slots": 2, "max_cost": -1} | AT_MARKET,
        {"slots": 2, "min_qty": 1} | AT_MARKET,
        {"slots": 2, "stop_price": 1} | AT_MARKET,
        {"flags": POST_ONLY} | AT_MARKET,
        {"display_qty": 1} | AT_MARKET,
        AT_MARKET | {"time_in_force": GTC},
        AT_MARKET | {"time_in_force": FOK},
        STOPPED | {"stop_price": 0},
        STOPPED | {"trail": 1},
        STOPPED | {"time_in_force": IOC},
        STOPPED | {"display_qty": 1},
        STOPPED | {"min_qty": 1},
        STOPPED | {"flags": POST_ONLY},
        STOPPED | {"flags": TRAIL_BPS},
        STOPPED | {"slots": 1},
        STOPPED | {"order_type": STOP_LIMIT, "price": 5, "max_cost": 9},
        STOPPED | {"order_type": STOP_LIMIT, "price": 5, "protection_price": 9},
        TRAILED | {"trail": 0},
        TRAILED | {"trail": 10_000, "flags": TRAIL_BPS},
    ],
)
def test_terms_that_do_not_go_together_are_malformed(world: World, more: dict[str, Any]) -> None:
    values = {"price": 5} | more
    [told] = world.buy(ALICE, 2, values.pop("price"), **values)
    assert " MALFORMED " in told
    assert world.balance(ALICE, USD) == (CASH, 0)


def test_groups_come_later_and_malformed_is_looked_at_first(world: World) -> None:
    grouped: dict[str, Any] = {"slots": 2, "group": 1}
    assert world.buy(ALICE, 2, 5, **grouped) == [
        "ORDER_REJECTED alice #none NOT_SUPPORTED price=5 qty=2 leaves=1"
    ]
    assert " MALFORMED " in world.buy(ALICE, 2, 5, **grouped, time_in_force=9)[0]


def test_without_risk_there_is_no_position_to_reduce(make_world: MakeWorld) -> None:
    world = make_world(risk=False)
    assert " NOT_SUPPORTED " in world.buy(ALICE, 2, 5, flags=REDUCE_ONLY)[0]


def test_the_terms_are_told_when_the_order_is_accepted(free: World) -> None:
    more: dict[str, Any] = {"slots": 2, "tag": "t", "flags": POST_ONLY, "self_trade": 2}
    assert free.buy(ALICE, 2, 5, **more) == [
        f"ORDER_ACCEPTED alice #1 price=5 qty=2 leaves=2 cum=10"
        f" notional={LIMIT | GTC << 8 | 2 << 16 | POST_ONLY << 24} RESTS"
    ]


# FOK, IOC with a minimum.


def test_fill_or_kill_fills_wholly_over_several_levels(free: World) -> None:
    free.sell(BOB, 3, 100)
    free.sell(CAROL, 3, 101)
    assert free.buy(ALICE, 5, 101, time_in_force=FOK) == [
        "ORDER_ACCEPTED alice #3 price=101 qty=5 leaves=5 cum=505 notional=769",
        "FILL alice #3 price=100 qty=3 leaves=2 cum=3 notional=300",
        "FILL bob #1 price=100 qty=3 cum=3 notional=300 SELL MAKER",
        "FILL alice #3 price=101 qty=2 cum=5 notional=502",
        "FILL carol #2 price=101 qty=2 leaves=1 cum=2 notional=202 SELL MAKER",
    ]
    assert free.balance(ALICE, USD) == (CASH - 502, 0)


def test_fill_or_kill_does_nothing_when_one_lot_is_missing(free: World) -> None:
    free.sell(BOB, 3, 100)
    free.sell(CAROL, 3, 101)
    assert free.buy(ALICE, 7, 101, time_in_force=FOK) == [
        "ORDER_ACCEPTED alice #3 price=101 qty=7 leaves=7 cum=707 notional=769",
        "ORDER_EXPIRED alice #3 FOK_UNFILLED price=101 qty=7",
    ]
    assert free.buy(ALICE, 4, 100, time_in_force=FOK)[1] == (
        "ORDER_EXPIRED alice #4 FOK_UNFILLED price=100 qty=4"
    )
    assert free.balance(ALICE, USD) == (CASH, 0)
    assert free.balance(BOB, BTC) == (COINS - 3, 3)


def test_fill_or_kill_counts_what_is_hidden(free: World) -> None:
    free.sell(BOB, 9, 100, display_qty=1)
    assert free.buy(ALICE, 10, 100, time_in_force=FOK)[1].startswith("ORDER_EXPIRED")
    told = free.buy(ALICE, 9, 100, time_in_force=FOK)
    assert sum(line.startswith("FILL alice") for line in told) == 9


def test_fill_or_kill_does_not_count_orders_that_may_shrink(free: World) -> None:
    free.trade(100, 5)  # Carol has 5 lots.
    free.sell(CAROL, 5, 100, flags=REDUCE_ONLY)
    assert "FOK_UNFILLED" in free.buy(ALICE, 1, 100, time_in_force=FOK)[1]
    free.sell(BOB, 3, 101)
    free.sell(BOB, 3, 102, slots=2, oco=free.order_id(5))
    assert "FOK_UNFILLED" in free.buy(ALICE, 1, 102, time_in_force=FOK)[1]


def test_a_minimum_is_filled_or_nothing(free: World) -> None:
    free.sell(BOB, 3, 100)
    least: dict[str, Any] = {"time_in_force": IOC, "slots": 2}
    assert free.buy(ALICE, 9, 100, min_qty=4, **least) == [
        "ORDER_ACCEPTED alice #2 price=100 qty=9 leaves=9 cum=900 notional=513",
        "ORDER_EXPIRED alice #2 MIN_QTY_UNFILLED price=100 qty=9",
    ]
    assert free.buy(ALICE, 9, 100, min_qty=3, **least)[1:] == [
        "FILL alice #3 price=100 qty=3 leaves=6 cum=3 notional=300",
        "FILL bob #1 price=100 qty=3 cum=3 notional=300 SELL MAKER",
        "ORDER_EXPIRED alice #3 IOC_REMAINDER price=100 qty=6 cum=3 notional=300",
    ]


def test_a_minimum_of_a_reduce_only_order_is_bounded_by_the_position(free: World) -> None:
    free.trade(100, 2)
    free.buy(BOB, 9, 100)
    more: dict[str, Any] = {"time_in_force": IOC, "slots": 2, "flags": REDUCE_ONLY}
    assert "MIN_QTY_UNFILLED" in free.sell(CAROL, 5, 100, min_qty=3, **more)[1]
    assert free.sell(CAROL, 5, 100, min_qty=2, **more)[1:] == [
        "FILL carol #5 price=100 qty=2 leaves=3 cum=2 notional=200 SELL",
        "FILL bob #3 price=100 qty=2 leaves=7 cum=2 notional=200 MAKER",
        "ORDER_EXPIRED carol #5 POSITION_CLOSED price=100 qty=3 cum=2 notional=200 SELL",
    ]


# Post-only and slide.


def test_post_only_rests_or_is_rejected(free: World) -> None:
    free.sell(BOB, 3, 100)
    assert free.buy(ALICE, 2, 100, flags=POST_ONLY) == [
        "ORDER_REJECTED alice #none POST_ONLY_WOULD_TAKE price=100 qty=2 leaves=1"
        " cum=100 notional=100"
    ]
    assert free.buy(ALICE, 2, 99, flags=POST_ONLY)[0].endswith("RESTS")
    assert free.sell(CAROL, 1, 90, flags=POST_ONLY) == [
        "ORDER_REJECTED carol #none POST_ONLY_WOULD_TAKE price=90 qty=1 leaves=1"
        " cum=99 notional=90 SELL"
    ]


def test_a_sliding_order_goes_one_tick_behind_the_touch(free: World) -> None:
    free.sell(BOB, 3, 100)
    terms = LIMIT | GTC << 8 | (POST_ONLY | SLIDE) << 24
    assert free.buy(ALICE, 2, 105, flags=POST_ONLY | SLIDE) == [
        f"ORDER_ACCEPTED alice #2 price=99 qty=2 leaves=2 cum=198 notional={terms} RESTS"
    ]
    assert free.sell(CAROL, 2, 95, flags=POST_ONLY | SLIDE) == [
        f"ORDER_ACCEPTED carol #3 price=100 qty=2 leaves=2 cum=2 notional={terms} SELL RESTS"
    ]
    assert free.buy(ALICE, 2, 98, flags=POST_ONLY | SLIDE)[0].startswith(
        "ORDER_ACCEPTED alice #4 price=98 "
    )


def test_there_is_nothing_behind_a_touch_of_one_tick(free: World) -> None:
    free.sell(BOB, 3, 1)
    assert free.buy(ALICE, 2, 5, flags=POST_ONLY | SLIDE) == [
        "ORDER_REJECTED alice #none POST_ONLY_WOULD_TAKE price=5 qty=2 leaves=1 cum=1 notional=5"
    ]


def test_a_slide_follows_the_tick_table(make_world: MakeWorld) -> None:
    table: dict[str, Any] = {"slots": 3, "start": (0, 100, 0, 0), "step": (2, 10, 0, 0)}
    world = make_world(maker_ppm=0, taker_ppm=0, **table)
    world.sell(BOB, 1, 120)
    assert world.buy(ALICE, 1, 130, flags=5)[0].startswith("ORDER_ACCEPTED alice #2 price=110 ")
    world.sell(BOB, 1, 110)  # Takes it.
    world.sell(BOB, 1, 100)
    assert world.buy(ALICE, 1, 100, flags=5)[0].startswith("ORDER_ACCEPTED alice #5 price=98 ")
    assert world.sell(CAROL, 1, 98, flags=5)[0].startswith("ORDER_ACCEPTED carol #6 price=100 ")


@pytest.mark.parametrize(
    ("price", "told"),
    [(98, ""), (99, "cum=2 notional=99"), (100, ""), (102, "cum=10 notional=102"), (110, "")],
)
def test_prices_are_multiples_of_the_step_of_their_band(
    make_world: MakeWorld, price: int, told: str
) -> None:
    table: dict[str, Any] = {"slots": 3, "start": (0, 100, 0, 0), "step": (2, 10, 0, 0)}
    world = make_world(**table)
    got = world.buy(ALICE, 1, price)[0]
    if told:
        off = f"ORDER_REJECTED alice #none PRICE_OFF_TICK price={price} qty=1 leaves=1 {told}"
        assert got == off
    else:
        assert got.startswith("ORDER_ACCEPTED")
    stop = world.stop(SELL, ALICE, 1, price)[0]
    assert ("PRICE_OFF_TICK" in stop) == bool(told)


# MARKET with a budget or a worst price.


def test_a_market_buy_spends_at_most_its_budget(world: World) -> None:
    world.sell(BOB, 10, 100)
    # 4 lots: 400 and a fee of 8; 5 lots would cost 510.
    assert world.market(BUY, ALICE, 10, slots=2, max_cost=509) == [
        "ORDER_ACCEPTED alice #2 qty=10 leaves=10 cum=509 notional=514",
        "FILL alice #2 price=100 qty=4 leaves=6 cum=4 notional=400 fee=8",
        "FILL bob #1 price=100 qty=4 leaves=6 cum=4 notional=400 fee=4 SELL MAKER",
        "ORDER_EXPIRED alice #2 MARKET_REMAINDER qty=6 cum=4 notional=400",
    ]
    assert world.balance(ALICE, USD) == (CASH - 408, 0)
    assert world.market(BUY, ALICE, 1, slots=2, max_cost=CASH) == [
        f"ORDER_REJECTED alice #none INSUFFICIENT_FUNDS qty=1 leaves=1 cum={CASH - 408}"
        f" notional={CASH}"
    ]


def test_a_market_order_takes_nothing_worse_than_its_protection_price(free: World) -> None:
    free.sell(BOB, 1, 100)
    free.sell(BOB, 1, 101)
    free.sell(BOB, 1, 102)
    told = free.market(BUY, ALICE, 3, slots=2, protection_price=101)
    assert told[-1] == "ORDER_EXPIRED alice #4 MARKET_REMAINDER qty=1 cum=2 notional=201"
    free.buy(CAROL, 1, 90)
    assert free.market(SELL, ALICE, 3, slots=2, protection_price=91) == [
        "ORDER_ACCEPTED alice #6 qty=3 leaves=3 cum=3 notional=514 SELL",
        "ORDER_EXPIRED alice #6 MARKET_REMAINDER qty=3 SELL",
    ]


@pytest.mark.parametrize("price", [PRICE_MAX + 1, WORD_MAX, 1 << 53])
def test_stop_and_protection_prices_have_a_bound(free: World, price: int) -> None:
    bound = f"cum={PRICE_MAX} notional={price}"
    assert free.market(BUY, ALICE, 1, slots=2, protection_price=price) == [
        f"ORDER_REJECTED alice #none PRICE_OUT_OF_BAND qty=1 leaves=1 {bound}"
    ]
    assert free.stop(BUY, ALICE, 1, price) == [
        f"ORDER_REJECTED alice #none PRICE_OUT_OF_BAND qty=1 leaves=1 {bound}"
    ]


@pytest.mark.parametrize("qty", [1 << 31, 1 << 32, 1 << 53, MONEY_MAX])
def test_wide_quantities_are_counted_exactly(free: World, qty: int) -> None:
    assert free.market(SELL, ALICE, qty) == [
        f"ORDER_REJECTED alice #none INSUFFICIENT_POSITION qty={qty} leaves=1 cum={COINS}"
        f" notional={qty} SELL"
    ]
    least: dict[str, Any] = {"time_in_force": IOC, "slots": 2, "min_qty": qty}
    assert free.sell(ALICE, qty, 1, **least)[0].startswith("ORDER_REJECTED alice")


# Reduce-only.


def test_reduce_only_needs_a_position_of_the_other_side(free: World) -> None:
    assert free.sell(CAROL, 2, 100, flags=REDUCE_ONLY) == [
        "ORDER_REJECTED carol #none REDUCE_ONLY price=100 qty=2 leaves=1 notional=2 SELL"
    ]
    free.trade(100, 5)
    assert free.buy(CAROL, 2, 100, flags=REDUCE_ONLY) == [
        "ORDER_REJECTED carol #none REDUCE_ONLY price=100 qty=2 leaves=1 cum=5 notional=2"
    ]
    assert free.buy(BOB, 2, 100, flags=REDUCE_ONLY)[0].endswith("RESTS")


def test_a_reduce_only_taker_stops_where_the_position_is_closed(free: World) -> None:
    free.trade(100, 5)
    free.buy(ALICE, 9, 99)
    assert free.market(SELL, CAROL, 7, flags=REDUCE_ONLY) == [
        f"ORDER_ACCEPTED carol #4 qty=7 leaves=7 cum=7 notional={514 | 2 << 24} SELL",
        "FILL carol #4 price=99 qty=5 leaves=2 cum=5 notional=495 SELL",
        "FILL alice #3 price=99 qty=5 leaves=4 cum=5 notional=495 MAKER",
        "ORDER_EXPIRED carol #4 POSITION_CLOSED qty=2 cum=5 notional=495 SELL",
    ]
    assert free.position(CAROL).net == 0


def test_a_reduce_only_maker_fills_up_to_the_position_and_then_ends(free: World) -> None:
    free.trade(100, 5)
    free.sell(CAROL, 9, 101, flags=REDUCE_ONLY)
    free.sell(BOB, 1, 101)
    assert free.buy(ALICE, 6, 101)[1:] == [
        "FILL alice #5 price=101 qty=5 leaves=1 cum=5 notional=505",
        "FILL carol #3 price=101 qty=5 leaves=4 cum=5 notional=505 SELL MAKER",
        "ORDER_EXPIRED carol #3 POSITION_CLOSED price=101 qty=4 leaves=4 cum=5 notional=505 SELL",
        "FILL alice #5 price=101 qty=1 cum=6 notional=606",
        "FILL bob #4 price=101 qty=1 cum=1 notional=101 SELL MAKER",
    ]
    assert free.balance(CAROL, BTC) == (COINS, 0)


def test_with_nothing_to_take_a_reduce_only_order_rests_whole(free: World) -> None:
    free.trade(100, 5)
    assert free.sell(CAROL, 9, 101, flags=REDUCE_ONLY)[0].endswith("RESTS")
    free.sell(CAROL, 5, 99)
    free.buy(ALICE, 5, 99)  # Closed elsewhere.
    told = free.buy(ALICE, 1, 101)
    assert told[1].startswith("ORDER_EXPIRED carol #3 POSITION_CLOSED")
    assert told[2].startswith("ORDER_RESTED alice")
