"""Limits of accounts, field by field (docs/engine-venue.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, CAROL, CASH, MARKET_ID, SECOND, World, order
from tests.model.commands import BUY, DAY, IOC, MARKET, QTY_LEAVES, SELL
from tests.model.state import DAY_NS, WORD_MAX, Sizes
from tests.model.venue_commands import LIMIT_NAMES, SetLimits


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


def rejected(told: list[str], reason: str, limit: int, value: int) -> bool:
    """Whether an order was rejected for this, with the limit and the value that broke it."""
    shown = f" cum={limit}" if limit else ""
    shown += f" notional={value}" if value else ""
    return f" {reason} " in told[0] and told[0].removesuffix(" SELL").endswith(shown)


# SET_LIMITS.


def test_limits_are_told_as_set(world: World) -> None:
    command = SetLimits(account=ALICE, instrument=MARKET_ID, session=5, position_max=9)
    assert world.tell(command) == ["LIMITS_SET alice qty=1 session=5"]


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_limit_is_not_negative(world: World, name: str) -> None:
    more: dict[str, Any] = {name: -1}
    assert world.limit(ALICE, **more) == ["COMMAND_REJECTED alice MALFORMED leaves=26"]


@pytest.mark.parametrize("name", ["deviation_ppm", "messages_per_fill"])
def test_a_ratio_has_a_bound(world: World, name: str) -> None:
    more: dict[str, Any] = {name: 1_000_001}
    assert " MALFORMED " in world.limit(ALICE, **more)[0]
    assert world.limit(ALICE, **{name: 1_000_000})[0].startswith("LIMITS_SET")


def test_whom_limits_are_for_is_checked(make_world: MakeWorld) -> None:
    world = make_world(Sizes(limits_max=2))
    assert world.limit(1) == ["COMMAND_REJECTED fees UNKNOWN_ACCOUNT leaves=26"]
    assert world.limit(9) == ["COMMAND_REJECTED UNKNOWN_ACCOUNT leaves=26"]
    assert world.limit(ALICE, 7) == [
        "COMMAND_REJECTED alice UNKNOWN_INSTRUMENT leaves=26 instrument=7"
    ]
    world.limit(ALICE)
    world.limit(ALICE, MARKET_ID)
    assert world.limit(BOB) == ["COMMAND_REJECTED bob CAPACITY leaves=26 cum=2 notional=2"]
    assert world.limit(ALICE)[0].startswith("LIMITS_SET")
    assert world.tell(SetLimits(account=ALICE, slots=1)) == [
        "COMMAND_REJECTED alice MALFORMED leaves=26"
    ]


# Position.


def test_a_position_may_not_grow_past_its_limit_counting_open_orders(free: World) -> None:
    free.limit(CAROL, MARKET_ID, position_max=10)
    free.trade(100, 4)
    free.buy(CAROL, 3, 90)
    assert rejected(free.buy(CAROL, 4, 90), "POSITION_LIMIT", 10, 11)
    free.buy(CAROL, 3, 90)
    assert rejected(free.buy(CAROL, 1, 90), "POSITION_LIMIT", 10, 11)
    assert rejected(free.sell(CAROL, 15, 110), "POSITION_LIMIT", 10, 11)
    assert free.sell(CAROL, 14, 110)[0].endswith("RESTS")
    assert rejected(free.market(BUY, CAROL, 1), "POSITION_LIMIT", 10, 11)


def test_a_replace_counts_without_what_the_order_adds(free: World) -> None:
    free.limit(ALICE, MARKET_ID, position_max=10)
    free.buy(ALICE, 8, 90)
    assert free.replace(ALICE, 1, qty=10)[0].startswith("ORDER_REPLACED")
    assert rejected(free.replace(ALICE, 1, qty=11), "POSITION_LIMIT", 10, 11)


def test_a_wide_value_is_told_exactly(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=0, taker_ppm=0)
    world.limit(ALICE, MARKET_ID, position_max=WORD_MAX)
    assert world.buy(ALICE, 1 << 53, 1)[0].startswith("ORDER_REJECTED alice #none INSUFFICIENT")
    world.limit(ALICE, MARKET_ID, position_max=1)
    assert rejected(world.buy(ALICE, 1 << 53, 1), "POSITION_LIMIT", 1, 1 << 53)


# Open orders.


def test_open_orders_are_counted_for_the_account_and_the_instrument(free: World) -> None:
    free.limit(ALICE, open_orders_max=2)
    free.limit(ALICE, MARKET_ID, open_orders_max=1)
    free.buy(ALICE, 1, 90)
    assert rejected(free.buy(ALICE, 1, 90), "OPEN_ORDER_LIMIT", 1, 1)
    free.limit(ALICE, MARKET_ID)
    free.stop(SELL, ALICE, 1, 5)
    assert rejected(free.buy(ALICE, 1, 90, time_in_force=DAY), "OPEN_ORDER_LIMIT", 2, 2)
    assert free.buy(ALICE, 1, 90, time_in_force=IOC)[0].startswith("ORDER_ACCEPTED")
    assert free.replace(ALICE, 1, price=91)[0].startswith("ORDER_REPLACED")
    assert free.market(SELL, ALICE, 1)[0].startswith("ORDER_ACCEPTED")


# Exposure.


def test_exposure_counts_limit_orders_and_positions_at_cost(free: World) -> None:
    free.trade(100, 3)
    free.buy(CAROL, 1, 90)
    free.stop(SELL, CAROL, 5, 80, price=70)
    free.stop(SELL, CAROL, 5, 80)  # Without a price: 0.
    free.limit(CAROL, exposure_max=800)  # 300 + 90 + 350.
    assert rejected(free.sell(CAROL, 1, 110), "EXPOSURE_LIMIT", 800, 850)
    assert free.buy(CAROL, 1, 60)[0].endswith("RESTS")
    assert rejected(free.replace(CAROL, 3, price=91), "EXPOSURE_LIMIT", 800, 801)
    assert rejected(free.replace(CAROL, 3, qty=2, qty_basis=QTY_LEAVES), "EXPOSURE_LIMIT", 800, 890)
    assert free.replace(CAROL, 6, price=59)[0].startswith("ORDER_REPLACED")


# Orders per second, messages.


def test_orders_per_second_are_of_the_calendar_second(free: World) -> None:
    free.limit(ALICE, orders_per_second=2)
    free.buy(ALICE, 1, 90)
    free.buy(ALICE, 0, 90)  # Rejected before: not counted.
    assert free.replace(ALICE, 1, qty=5)[0].startswith("ORDER_REPLACED")
    assert rejected(free.buy(ALICE, 1, 90), "RATE_LIMITED", 2, 2)
    free.cancel(ALICE, 1)  # Not a new order.
    free.now_ns = SECOND - 10
    assert free.buy(ALICE, 1, 90)[0].startswith("ORDER_ACCEPTED")
    assert free.buy(ALICE, CASH, 90)[0].startswith("ORDER_REJECTED alice #none INSUFFICIENT")
    assert rejected(free.buy(ALICE, 1, 90), "RATE_LIMITED", 2, 2)  # Funds come after the count.


def test_messages_are_compared_with_fills_of_the_day(free: World) -> None:
    free.limit(ALICE, messages_per_fill=3)
    free.flood([order(BUY, ALICE, CASH, 90)] * 1_000)  # Rejected for want of funds: counted.
    assert free.buy(ALICE, 1, 90)[0].endswith("RESTS")
    assert free.cancel(ALICE, 1)[0].startswith("ORDER_CANCELED")
    assert free.cancel(ALICE, 1)[0].startswith("COMMAND_REJECTED")  # Not counted.
    assert free.buy(ALICE, 1, 90)[0].endswith("RESTS")  # 1,002 < 3 + 1,000.
    number = len(free.order_ids)
    assert rejected(free.buy(ALICE, 1, 90), "MESSAGE_RATIO", 3, 1_003)
    free.sell(BOB, 1, 90)  # One fill: 6 + 1,000.
    assert free.buy(ALICE, 1, 90)[0].endswith("RESTS")  # 1,004 messages before it.
    assert free.replace(ALICE, number + 2, price=91)[0].startswith("ORDER_REPLACED")
    assert rejected(free.buy(ALICE, 1, 90), "MESSAGE_RATIO", 3, 1_006)
    free.now_ns = DAY_NS
    assert free.buy(ALICE, 1, 90)[0].endswith("RESTS")


# Sizes and prices.


def test_a_price_too_far_from_the_last_trade(free: World) -> None:
    free.limit(ALICE, deviation_ppm=50_000)
    assert free.buy(ALICE, 1, 500)[0].endswith("RESTS")  # No trade yet.
    free.mass_cancel(ALICE)
    free.trade(99)  # 4.95: 4.
    assert rejected(free.buy(ALICE, 1, 104), "PRICE_DEVIATION", 103, 104)
    assert rejected(free.sell(ALICE, 1, 94), "PRICE_DEVIATION", 95, 94)
    assert free.buy(ALICE, 1, 5)[0].endswith("RESTS")
    assert free.sell(ALICE, 1, 500)[0].endswith("RESTS")
    assert free.market(BUY, ALICE, 1)[0].startswith("ORDER_ACCEPTED")


def test_the_size_of_one_order(free: World) -> None:
    free.limit(ALICE, MARKET_ID, order_qty_max=5, order_notional_max=300)
    free.limit(ALICE, order_notional_max=400)
    assert rejected(free.buy(ALICE, 6, 10), "ORDER_QTY_LIMIT", 5, 6)
    assert rejected(free.buy(ALICE, 5, 90), "ORDER_NOTIONAL_LIMIT", 400, 450)
    assert rejected(free.buy(ALICE, 4, 90), "ORDER_NOTIONAL_LIMIT", 300, 360)
    assert free.buy(ALICE, 3, 100)[0].endswith("RESTS")
    assert rejected(free.market(SELL, ALICE, 6), "ORDER_QTY_LIMIT", 5, 6)
    free.sell(BOB, 2, 100)
    # The quantity of the order is what counts, its notional by what is open.
    assert rejected(free.replace(ALICE, 1, qty=6), "ORDER_QTY_LIMIT", 5, 6)
    assert free.replace(ALICE, 1, qty=5)[0].startswith("ORDER_REPLACED")


def test_levels_that_an_account_opened(free: World) -> None:
    free.limit(ALICE, levels_max=2)
    free.buy(BOB, 1, 80)
    free.buy(ALICE, 1, 80)  # Bob's level.
    free.buy(ALICE, 1, 81)
    free.sell(ALICE, 1, 120)
    assert rejected(free.buy(ALICE, 1, 82), "LEVEL_LIMIT", 2, 2)
    assert free.buy(ALICE, 1, 81)[0].endswith("RESTS")
    assert rejected(free.replace(ALICE, 2, price=83), "LEVEL_LIMIT", 2, 2)
    assert free.replace(ALICE, 4, price=121)[0].startswith("ORDER_REPLACED")  # Leaves its own.
    free.cancel(ALICE, 4)
    assert free.buy(ALICE, 1, 82)[0].endswith("RESTS")
    assert free.buy(ALICE, 1, 83, order_type=MARKET, time_in_force=IOC)[0].startswith("ORDER_REJ")
    assert free.buy(ALICE, 1, 83, time_in_force=IOC)[0].startswith("ORDER_ACCEPTED")


def test_a_level_stays_its_openers_until_it_is_empty(free: World) -> None:
    free.buy(ALICE, 1, 80)
    free.buy(BOB, 1, 80)
    free.cancel(ALICE, 1)
    free.limit(ALICE, levels_max=1)
    assert rejected(free.buy(ALICE, 1, 81), "LEVEL_LIMIT", 1, 1)
    free.cancel(BOB, 2)
    assert free.buy(ALICE, 1, 81)[0].endswith("RESTS")


def test_levels_count_for_a_stop_that_was_triggered_like_for_any_order_of_the_book(
    free: World,
) -> None:
    free.buy(BOB, 1, 100)
    free.stop(BUY, ALICE, 2, 110, price=100)
    free.trade(110)  # It is triggered, and rests behind bob's.
    free.buy(ALICE, 1, 80)
    free.limit(ALICE, levels_max=1)
    assert rejected(free.replace(ALICE, 2, price=81), "LEVEL_LIMIT", 1, 1)
    free.cancel(ALICE, 5)
    assert free.replace(ALICE, 2, price=81)[0].startswith("ORDER_REPLACED")


# Together.


def test_limits_are_looked_at_by_the_number_of_their_reason(free: World) -> None:
    every = [
        ("position_max", MARKET_ID, "POSITION_LIMIT"),
        ("open_orders_max", MARKET_ID, "OPEN_ORDER_LIMIT"),
        ("exposure_max", 0, "EXPOSURE_LIMIT"),
        ("orders_per_second", 0, "RATE_LIMITED"),
        ("order_qty_max", MARKET_ID, "ORDER_QTY_LIMIT"),
        ("order_notional_max", 0, "ORDER_NOTIONAL_LIMIT"),
        ("levels_max", 0, "LEVEL_LIMIT"),
    ]
    free.limit(ALICE)
    free.buy(ALICE, 1, 1)  # One open order, one level, one of this second.
    for index, (_, _, reason) in enumerate(every):
        for where in (0, MARKET_ID):
            free.limit(ALICE, where, **{name: 1 for name, at, _ in every[index:] if at == where})
        assert f" {reason} " in free.buy(ALICE, 5, 7)[0]


def test_without_risk_limits_are_not_looked_at(make_world: MakeWorld) -> None:
    world = make_world(risk=False)
    world.limit(ALICE, MARKET_ID, order_qty_max=1)
    assert world.buy(ALICE, 5, 90)[0].endswith("RESTS")


def test_limits_are_of_their_account(free: World) -> None:
    free.limit(ALICE, MARKET_ID, order_qty_max=1)
    assert free.buy(BOB, 5, 90)[0].endswith("RESTS")
    assert free.buy(CAROL, 5, 90)[0].endswith("RESTS")
