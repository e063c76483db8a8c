"""Deadlines: DAY, GTD, maximum age, and the TIME command (docs/engine-venue.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CASH, COINS, SECOND, USD, World, order
from tests.model.commands import BUY, DAY, GTD, SELL, DeadMan
from tests.model.state import DAY_NS, WORD_MAX, Sizes
from tests.model.venue_commands import Time


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


def until(at: int) -> dict[str, Any]:
    return {"time_in_force": GTD, "expire_ns": at}


def test_time_with_nothing_due_says_so(free: World) -> None:
    assert free.time(5 * SECOND) == ["TIME_PASSED"]


def test_a_good_till_date_order_ends_at_its_date_and_not_before(free: World) -> None:
    free.buy(ALICE, 5, 100, **until(5 * SECOND))
    assert free.time(5 * SECOND - 1) == [f"TIME_PASSED price={5 * SECOND}"]
    assert free.time(5 * SECOND) == [
        "ORDER_EXPIRED alice #1 GTD price=100 qty=5 leaves=5",
        "TIME_PASSED qty=1",
    ]
    assert free.balance(ALICE, USD) == (CASH, 0)


def test_only_time_ends_what_is_due(free: World) -> None:
    free.buy(ALICE, 5, 100, **until(5 * SECOND))
    free.now_ns = 6 * SECOND
    assert free.sell(BOB, 1, 100)[1].startswith("FILL bob")


def test_a_date_that_has_come_is_rejected(free: World) -> None:
    at = free.now_ns + 10  # When the command is sequenced.
    assert free.buy(ALICE, 5, 100, **until(at)) == [
        f"ORDER_REJECTED alice #none EXPIRED_REQUEST price=100 qty=5 leaves=1 cum={at}"
        f" notional={at}"
    ]
    assert free.buy(ALICE, 5, 100, **until(free.now_ns + 11))[0].startswith("ORDER_ACCEPTED")


def test_an_expired_date_uses_the_id_up(free: World) -> None:
    free.buy(ALICE, 5, 100, **until(1), client_order_id="x")
    assert " DUPLICATE_CLIENT_ID " in free.buy(ALICE, 5, 100, client_order_id="x")[0]


def test_the_request_deadline_is_looked_at_before_the_date(free: World) -> None:
    told = free.buy(ALICE, 5, 100, **until(2), expire_after_ns=1)
    assert " cum=1 " in told[0]


def test_a_day_order_ends_at_the_end_of_the_instruments_day(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=0, taker_ppm=0, day_end_ns=3 * SECOND)
    world.buy(ALICE, 5, 100, time_in_force=DAY)
    assert world.time(3 * SECOND - 1) == [f"TIME_PASSED price={3 * SECOND}"]
    assert world.time(3 * SECOND)[0] == "ORDER_EXPIRED alice #1 DAY_END price=100 qty=5 leaves=5"
    world.now_ns = 3 * SECOND - 10 + DAY_NS
    world.buy(ALICE, 5, 100, time_in_force=DAY)  # At the end itself: it is for the next day.
    assert world.time(4 * SECOND + DAY_NS) == [f"TIME_PASSED price={3 * SECOND + 2 * DAY_NS}"]


def test_an_old_order_ends_where_the_instrument_has_a_maximum_age(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=0, taker_ppm=0, max_age_ns=2 * SECOND)
    world.sell(ALICE, 5, 100)
    born = world.now_ns
    world.sell(ALICE, 5, 100, **until(9 * SECOND))
    world.replace(ALICE, 1, price=101)  # The deadline stays.
    assert world.time(born + 2 * SECOND) == [
        "ORDER_EXPIRED alice #1 MAX_AGE price=101 qty=5 leaves=5 SELL",
        f"TIME_PASSED price={9 * SECOND} qty=1",
    ]
    assert world.balance(ALICE, BTC) == (COINS - 5, 5)


def test_a_new_age_is_for_orders_from_then_on(free: World) -> None:
    free.buy(ALICE, 5, 100)
    free.update(64, max_age_ns=SECOND)
    free.buy(ALICE, 5, 99)
    assert free.time(9 * SECOND)[0].startswith("ORDER_EXPIRED alice #2 MAX_AGE")
    assert len(free.mass_cancel(ALICE)) == 2


def test_an_age_past_the_end_of_time_stops_there(make_world: MakeWorld) -> None:
    world = make_world(max_age_ns=WORD_MAX)
    world.buy(ALICE, 5, 100)
    assert world.time(9 * SECOND) == [f"TIME_PASSED price={WORD_MAX}"]


def test_what_is_due_runs_by_date_then_by_age(free: World) -> None:
    free.buy(ALICE, 1, 100, **until(7 * SECOND))
    free.buy(ALICE, 1, 101, **until(5 * SECOND))
    free.buy(ALICE, 1, 102, **until(7 * SECOND))
    free.tell(DeadMan(account=BOB, timeout_ns=SECOND))
    free.sell(BOB, 1, 200)
    free.buy(ALICE, 1, 103, **until(99 * SECOND))
    assert free.time(8 * SECOND) == [
        "ORDER_CANCELED bob #4 DEAD_MAN price=200 qty=1 leaves=1 SELL",
        "ORDER_EXPIRED alice #2 GTD price=101 qty=1 leaves=1",
        "ORDER_EXPIRED alice #1 GTD price=100 qty=1 leaves=1",
        "ORDER_EXPIRED alice #3 GTD price=102 qty=1 leaves=1",
        f"TIME_PASSED price={99 * SECOND} qty=4",
    ]


def test_a_partner_goes_with_the_order_that_is_due_and_is_not_run_again(free: World) -> None:
    free.sell(ALICE, 1, 100, **until(5 * SECOND))
    free.sell(ALICE, 1, 101, slots=2, oco=free.order_id(1), **until(5 * SECOND))
    assert free.time(5 * SECOND) == [
        "ORDER_EXPIRED alice #1 GTD price=100 qty=1 leaves=1 SELL",
        "ORDER_CANCELED alice #2 CANCELED_BY_PARTNER price=101 qty=1 leaves=1 SELL",
        "TIME_PASSED qty=1",
    ]


def test_an_order_that_ended_has_no_deadline(free: World) -> None:
    free.buy(ALICE, 1, 100, **until(5 * SECOND))
    free.cancel(ALICE, 1)
    assert free.time(9 * SECOND) == ["TIME_PASSED"]


def test_an_iceberg_that_is_due_tells_what_was_shown(free: World) -> None:
    free.buy(ALICE, 9, 100, display_qty=2, **until(5 * SECOND))
    assert free.time(5 * SECOND)[0] == "ORDER_EXPIRED alice #1 GTD price=100 qty=9 leaves=2"


def test_more_than_1024_take_more_than_one_command(make_world: MakeWorld) -> None:
    world = make_world(Sizes(extras_max=1_100), maker_ppm=0, taker_ppm=0)
    world.flood([order(BUY, ALICE, 1, 5, **until(5 * SECOND))] * 1_030)
    world.now_ns = 6 * SECOND
    told = world.flood([Time()])
    assert len(told) == 1_025
    assert (told[-1].qty, told[-1].leaves, told[-1].price) == (1_024, 1, 5 * SECOND)
    told = world.flood([Time()])
    assert (len(told), told[-1].qty, told[-1].leaves, told[-1].price) == (7, 6, 0, 0)


# Dead man.


def test_the_dead_man_ends_all_orders_of_the_account(free: World) -> None:
    armed = DeadMan(account=ALICE, timeout_ns=SECOND, client_order_id="d", session=4)
    due = free.now_ns + 10 + SECOND
    assert free.tell(armed) == [f"DEAD_MAN_SET alice price={due} session=4 id=d"]
    free.buy(ALICE, 1, 100)
    free.stop(SELL, ALICE, 1, 50)
    free.buy(BOB, 1, 100)
    assert free.time(due - 1) == [f"TIME_PASSED price={due}"]
    assert free.time(due) == [
        "ORDER_CANCELED alice #1 DEAD_MAN price=100 qty=1 leaves=1",
        "ORDER_CANCELED alice #2 DEAD_MAN qty=1 SELL",
        "TIME_PASSED qty=1",
    ]
    assert free.time(due + 9 * SECOND) == ["TIME_PASSED"]


def test_the_dead_man_is_moved_and_taken_away(free: World) -> None:
    free.buy(ALICE, 1, 100)
    free.tell(DeadMan(account=ALICE, timeout_ns=SECOND))
    free.tell(DeadMan(account=ALICE, timeout_ns=5 * SECOND))
    later = free.now_ns + 5 * SECOND
    assert free.time(free.now_ns + 2 * SECOND) == [f"TIME_PASSED price={later}"]
    assert free.tell(DeadMan(account=ALICE)) == ["DEAD_MAN_SET alice"]
    assert free.time(9 * SECOND) == ["TIME_PASSED"]


@pytest.mark.parametrize("timeout", [-1, 1, 10**8 - 1, DAY_NS + 1, WORD_MAX])
def test_a_timeout_is_between_a_tenth_of_a_second_and_a_day(free: World, timeout: int) -> None:
    bad = DeadMan(account=ALICE, timeout_ns=timeout, client_order_id="x")
    assert free.tell(bad) == ["COMMAND_REJECTED alice MALFORMED leaves=33 id=x"]
    good = DeadMan(account=ALICE, timeout_ns=DAY_NS, client_order_id="x")
    assert free.tell(good)[0].startswith("DEAD_MAN_SET")
    assert free.tell(good) == ["COMMAND_REPEATED alice id=x"]
