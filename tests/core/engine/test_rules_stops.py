"""Stops, trailing stops and their cascades, rule by rule (docs/engine-terms.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, CASH, COINS, USD, World
from tests.driver import EngineDriver
from tests.model.commands import BUY, GTD, IOC, SELL, STOP_LIMIT, TRAIL_BPS, TRAILING_STOP
from tests.model.state import PRICE_MAX, WORD_MAX, Sizes

TRAIL: dict[str, Any] = {"order_type": TRAILING_STOP}


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


# Waiting.


def test_a_stop_waits_outside_the_book_and_holds_what_it_sells(free: World) -> None:
    assert free.stop(SELL, ALICE, 4, 95) == [
        "ORDER_ACCEPTED alice #1 qty=4 leaves=4 cum=4 notional=259 SELL"
    ]
    assert free.balance(ALICE, BTC) == (COINS - 4, 4)
    assert free.buy(BOB, 1, 200)[0].endswith("RESTS")


def test_what_a_waiting_buy_holds(world: World) -> None:
    """Rate 2 %: a limit with its fee part; a budget; a protection price with its fee; nothing."""
    assert " cum=510 " in world.stop(BUY, ALICE, 5, 105, price=100)[0]
    assert " cum=77 " in world.stop(BUY, ALICE, 5, 105, max_cost=77)[0]
    assert " cum=561 " in world.stop(BUY, ALICE, 5, 105, protection_price=110)[0]
    assert world.stop(BUY, ALICE, 5, 105) == ["ORDER_ACCEPTED alice #4 qty=5 leaves=5 notional=259"]
    assert world.balance(ALICE, USD) == (CASH - 510 - 77 - 561, 510 + 77 + 561)
    assert world.stop(BUY, ALICE, 5, 105, max_cost=CASH)[0] == (
        f"ORDER_REJECTED alice #none INSUFFICIENT_FUNDS qty=5 leaves=1 cum={CASH - 1148}"
        f" notional={CASH}"
    )
    assert world.stop(SELL, ALICE, COINS + 1, 5)[0] == (
        f"ORDER_REJECTED alice #none INSUFFICIENT_POSITION qty=1001 leaves=1 cum={COINS}"
        f" notional=1001 SELL"
    )


@pytest.mark.parametrize(("side", "stop"), [(BUY, 100), (BUY, 99), (SELL, 100), (SELL, 101)])
def test_a_stop_that_the_last_trade_would_trigger_is_rejected(
    free: World, side: int, stop: int
) -> None:
    assert free.stop(side, ALICE, 1, stop)[0].startswith("ORDER_ACCEPTED")  # No trade yet.
    free.mass_cancel(ALICE)
    free.trade(100)
    sells = " SELL" if side == SELL else ""
    assert free.stop(side, ALICE, 1, stop) == [
        f"ORDER_REJECTED alice #none STOP_PRICE qty=1 leaves=1 cum=100 notional={stop}{sells}"
    ]


def test_a_waiting_order_is_canceled_and_reduced_like_any_other(free: World) -> None:
    free.stop(SELL, ALICE, 4, 95, client_order_id="s")
    assert free.reduce(ALICE, 1, 1) == ["ORDER_REDUCED alice #1 qty=1 leaves=3 id=s SELL"]
    assert free.balance(ALICE, BTC) == (COINS - 3, 3)
    assert free.cancel(ALICE, 1) == ["ORDER_CANCELED alice #1 CANCELED_BY_USER qty=3 id=s SELL"]
    assert free.balance(ALICE, BTC) == (COINS, 0)
    free.stop(BUY, ALICE, 4, 105, max_cost=500)
    free.reduce(ALICE, 2, 3)
    assert free.balance(ALICE, USD) == (CASH - 500, 500)  # A budget stays what it was.
    assert free.mass_cancel(ALICE) == [
        "MASS_CANCELED alice qty=1",
        "ORDER_CANCELED alice #2 CANCELED_BY_MASS_CANCEL qty=1",
    ]


# Triggered.


def test_a_trade_triggers_a_sell_stop_which_is_matched_at_market(free: World) -> None:
    free.stop(SELL, ALICE, 4, 95, client_order_id="s")
    free.buy(BOB, 1, 95)
    free.buy(BOB, 3, 94)
    assert free.sell(CAROL, 1, 95) == [
        "ORDER_ACCEPTED carol #4 price=95 qty=1 leaves=1 cum=1 notional=257 SELL",
        "FILL carol #4 price=95 qty=1 cum=1 notional=95 SELL",
        "FILL bob #2 price=95 qty=1 cum=1 notional=95 MAKER",
        "ORDER_TRIGGERED alice #1 qty=4 leaves=4 id=s SELL",
        "FILL alice #1 price=94 qty=3 leaves=1 cum=3 notional=282 id=s SELL",
        "FILL bob #3 price=94 qty=3 cum=3 notional=282 MAKER",
        "ORDER_EXPIRED alice #1 MARKET_REMAINDER qty=1 cum=3 notional=282 id=s SELL",
    ]
    assert free.balance(ALICE, BTC) == (COINS - 3, 0)
    assert free.cancel(ALICE, 1)[0] == "COMMAND_REJECTED alice #1 TOO_LATE leaves=2"


def test_a_trade_short_of_the_stop_triggers_nothing(free: World) -> None:
    free.stop(SELL, ALICE, 4, 95)
    free.stop(BUY, ALICE, 4, 97)
    free.trade(96)
    assert len(free.mass_cancel(ALICE)) == 3


def test_a_stop_limit_rests_at_its_price_when_it_is_triggered(free: World) -> None:
    free.stop(BUY, ALICE, 4, 105, price=103)
    free.sell(BOB, 1, 105)
    assert free.buy(CAROL, 1, 105)[1:] == [
        "FILL carol #3 price=105 qty=1 cum=1 notional=105",
        "FILL bob #2 price=105 qty=1 cum=1 notional=105 SELL MAKER",
        "ORDER_TRIGGERED alice #1 price=103 qty=4 leaves=4",
        "ORDER_RESTED alice #1 price=103 qty=4 leaves=4 fee=412",
    ]
    assert free.sell(BOB, 1, 103)[-1].startswith("FILL alice #1 price=103")


def test_a_stop_buy_without_a_budget_spends_what_is_available_then(world: World) -> None:
    world.stop(BUY, ALICE, 9, 105)
    world.buy(ALICE, 9_800, 100)  # Holds 999,600 of her 1,000,000.
    world.sell(BOB, 1, 105)
    world.sell(BOB, 9, 110)
    assert world.buy(CAROL, 1, 105)[3:] == [
        "ORDER_TRIGGERED alice #1 qty=9 leaves=9",
        "FILL alice #1 price=110 qty=3 leaves=6 cum=3 notional=330 fee=7",
        "FILL bob #4 price=110 qty=3 leaves=6 cum=3 notional=330 fee=4 SELL MAKER",
        "ORDER_EXPIRED alice #1 MARKET_REMAINDER qty=6 cum=3 notional=330",
    ]
    assert world.balance(ALICE, USD) == (400 - 337, 999_600)


def test_a_triggered_order_respects_its_protection_price(free: World) -> None:
    free.stop(BUY, ALICE, 9, 105, protection_price=107)
    free.sell(BOB, 1, 105)
    free.sell(BOB, 2, 107)
    free.sell(BOB, 2, 108)
    assert free.buy(CAROL, 1, 105)[-1] == (
        "ORDER_EXPIRED alice #1 MARKET_REMAINDER qty=7 cum=2 notional=214"
    )
    assert free.balance(ALICE, USD) == (CASH - 214, 0)


# Cascades.


def test_what_is_triggered_runs_by_age_after_the_command_that_set_it_off(free: World) -> None:
    """Both are hit by one trade: the older goes first though its stop is farther away."""
    free.stop(SELL, ALICE, 1, 90)
    free.stop(SELL, BOB, 1, 95)
    free.buy(CAROL, 1, 89)
    free.buy(CAROL, 1, 88)
    free.buy(CAROL, 1, 87)
    told = free.sell(CAROL, 1, 89, session=1)
    assert [line for line in told if "TRIGGERED" in line] == [
        "ORDER_TRIGGERED alice #1 qty=1 leaves=1 SELL",
        "ORDER_TRIGGERED bob #2 qty=1 leaves=1 SELL",
    ]
    assert [line for line in told if line.startswith("FILL alice")] == [
        "FILL alice #1 price=88 qty=1 cum=1 notional=88 SELL"
    ]


def test_a_trade_of_the_cascade_triggers_more(free: World) -> None:
    free.stop(SELL, ALICE, 1, 90)
    free.stop(SELL, ALICE, 1, 95)
    free.stop(BUY, ALICE, 1, 96, price=80)
    for price in (95, 90, 80):
        free.buy(BOB, 1, price)
    told = free.sell(CAROL, 1, 95)
    kinds = [line.split(" price")[0].split(" qty")[0] for line in told]
    assert kinds == [
        "ORDER_ACCEPTED carol #7",
        "FILL carol #7",
        "FILL bob #4",
        "ORDER_TRIGGERED alice #2",
        "FILL alice #2",
        "FILL bob #5",
        "ORDER_TRIGGERED alice #1",
        "FILL alice #1",
        "FILL bob #6",
    ]


def test_the_first_and_the_last_price_of_a_sweep_count_the_others_do_not(free: World) -> None:
    """From 100 over 101 to 103: a sell stop at 99 is not hit, the buy stop at 102 is."""
    free.stop(BUY, ALICE, 1, 102, price=90)
    free.stop(SELL, ALICE, 1, 99, price=200)
    for price in (100, 101, 103):
        free.sell(BOB, 1, price)
    told = free.buy(CAROL, 3, 103)
    assert [line for line in told if "TRIGGERED" in line] == [
        "ORDER_TRIGGERED alice #1 price=90 qty=1 leaves=1"
    ]


def test_the_taker_rests_before_the_cascade_runs(free: World) -> None:
    free.stop(SELL, ALICE, 2, 95)
    free.buy(BOB, 1, 95)
    told = free.sell(CAROL, 5, 95)
    assert told[3] == "ORDER_RESTED carol #3 price=95 qty=4 leaves=4 cum=1 notional=95 fee=4 SELL"
    assert told[4].startswith("ORDER_TRIGGERED alice #1")
    assert told[5] == "ORDER_EXPIRED alice #1 MARKET_REMAINDER qty=2 SELL"


def test_the_trades_of_a_replace_trigger_too(free: World) -> None:
    free.stop(SELL, ALICE, 2, 95)
    free.buy(BOB, 1, 95)
    free.sell(CAROL, 1, 99)
    assert free.replace(CAROL, 3, price=95)[4].startswith("ORDER_TRIGGERED alice #1")


def test_a_reject_at_placing_triggers_nothing_and_uses_no_place(free: World) -> None:
    free.trade(100)
    assert free.stop(SELL, ALICE, 1, 100)[0].startswith("ORDER_REJECTED")
    assert free.mass_cancel(ALICE) == ["MASS_CANCELED alice"]


# Trailing.


def test_a_trailing_stop_follows_the_best_price_and_never_back(free: World) -> None:
    free.trade(100)
    assert free.stop(SELL, ALICE, 1, 0, trail=5, **TRAIL) == [
        "ORDER_ACCEPTED alice #3 qty=1 leaves=1 cum=1 notional=261 SELL"
    ]  # Stop 95.
    free.trade(104)  # 99.
    free.trade(100)  # Still 99.
    free.buy(BOB, 9, 50)
    assert free.sell(CAROL, 1, 99)[0].endswith("RESTS")
    told = free.buy(BOB, 1, 99)
    assert told[3].startswith("ORDER_TRIGGERED alice #3")
    assert told[4] == "FILL alice #3 price=50 qty=1 cum=1 notional=50 SELL"


def test_a_trailing_buy_comes_down(free: World) -> None:
    free.trade(100)
    free.stop(BUY, ALICE, 1, 0, trail=5, **TRAIL)  # 105.
    free.trade(97)  # 102.
    free.sell(BOB, 1, 102)
    assert free.buy(CAROL, 1, 102)[3].startswith("ORDER_TRIGGERED alice #3")


@pytest.mark.parametrize(
    ("side", "begins", "trail", "flags", "to"),
    [
        (SELL, 80, 20, 0, 85),  # Of a trade at 105.
        (SELL, 80, 1_000, TRAIL_BPS, 95),
        (BUY, 130, 20, 0, 115),  # Of one at 95.
        (BUY, 130, 1_000, TRAIL_BPS, 104),
    ],
)
def test_a_trailing_stop_that_comes_later_follows_prices_that_were_before(
    free: World, side: int, begins: int, trail: int, flags: int, to: int
) -> None:
    free.trade(100)
    free.stop(side, ALICE, 1, 0, trail=60, **TRAIL)
    free.trade(100)
    free.trade(110 if side == SELL else 90)  # It has followed all from 100 to here.
    free.stop(side, ALICE, 1, begins, trail=trail, flags=flags, **TRAIL)
    free.trade(105 if side == SELL else 95)
    free.sell(BOB, 2, to)
    told = free.buy(CAROL, 1, to, time_in_force=IOC)
    (first, *_) = [line for line in told if "TRIGGERED" in line]
    assert first.startswith("ORDER_TRIGGERED alice #8")


def test_a_trailing_stop_without_room_follows_as_soon_as_there_is_some() -> None:
    """How many pages of prices there are is the engine's affair alone."""
    world = World(EngineDriver(Sizes(pages_max=64)), maker_ppm=0, taker_ppm=0)
    world.trade(100)
    world.stop(SELL, ALICE, 1, 0, trail=5, **TRAIL)  # 95.
    world.sell(BOB, 3, 200)
    number = 0
    while world.sell(CAROL, 1, 10_000 + 64 * number)[0].startswith("ORDER_ACCEPTED"):
        number += 1
    world.buy(BOB, 1, 200, time_in_force=IOC)  # It would be 195.
    world.cancel(CAROL, 5)
    world.buy(BOB, 1, 200, time_in_force=IOC)  # Now it is.
    world.sell(BOB, 1, 195)
    told = world.buy(CAROL, 1, 195, time_in_force=IOC)
    assert "ORDER_TRIGGERED alice #3" in " ".join(told)


def test_a_trail_in_basis_points_is_at_least_one_tick(free: World) -> None:
    free.trade(1_000)
    free.stop(SELL, ALICE, 1, 0, trail=1, flags=TRAIL_BPS, **TRAIL)  # 0.1 ticks: 1; stop 999.
    free.stop(SELL, ALICE, 1, 0, trail=250, flags=TRAIL_BPS, **TRAIL)  # 25 ticks; stop 975.
    free.buy(BOB, 1, 999)
    assert "ORDER_TRIGGERED alice #3" in " ".join(free.sell(CAROL, 1, 999))
    free.buy(BOB, 1, 976)
    assert "TRIGGERED" not in " ".join(free.sell(CAROL, 1, 976))
    free.buy(BOB, 1, 975)
    assert "ORDER_TRIGGERED alice #4" in " ".join(free.sell(CAROL, 1, 975))


def test_a_trailing_stop_without_a_price_needs_a_trade(free: World) -> None:
    assert free.stop(SELL, ALICE, 1, 0, trail=5, **TRAIL) == [
        "ORDER_REJECTED alice #none STOP_PRICE qty=1 leaves=1 SELL"
    ]
    assert free.stop(SELL, ALICE, 1, 90, trail=5, **TRAIL)[0].startswith("ORDER_ACCEPTED")
    free.trade(100)  # From 90 to 95.
    free.buy(BOB, 1, 95)
    assert "ORDER_TRIGGERED alice #1" in " ".join(free.sell(CAROL, 1, 95))


@pytest.mark.parametrize("trail", [100, 1 << 31, 1 << 53, WORD_MAX])
def test_a_trail_as_wide_as_the_price_is_no_stop(free: World, trail: int) -> None:
    free.trade(100)
    assert free.stop(SELL, ALICE, 1, 0, trail=trail, **TRAIL) == [
        f"ORDER_REJECTED alice #none STOP_PRICE qty=1 leaves=1 cum=100 notional={trail} SELL"
    ]
    bound = PRICE_MAX - 100
    assert free.stop(BUY, ALICE, 1, 0, trail=bound, **TRAIL)[0].startswith("ORDER_ACCEPTED")
    assert " STOP_PRICE " in free.stop(BUY, ALICE, 1, 0, trail=bound + 1, **TRAIL)[0]


# Replace of what waits.


def test_a_new_stop_price_is_checked_and_holds(free: World) -> None:
    free.trade(100)
    free.stop(SELL, ALICE, 4, 90)
    assert free.replace(ALICE, 3, slots=2, stop_price=100) == [
        "COMMAND_REJECTED alice #3 STOP_PRICE leaves=3 cum=100 notional=100"
    ]
    assert free.replace(ALICE, 3, slots=2, stop_price=97) == [
        "ORDER_REPLACED alice #3 qty=4 leaves=4 SELL",
        "REPLACED_FROM alice #3 qty=4 fee=4 SELL",
    ]
    free.buy(BOB, 1, 97)
    assert "ORDER_TRIGGERED alice #3" in " ".join(free.sell(CAROL, 1, 97))


def test_less_of_a_waiting_order_moves_nothing(free: World) -> None:
    free.stop(BUY, ALICE, 4, 105, price=100)
    assert free.replace(ALICE, 1, qty=3) == [
        "ORDER_REPLACED alice #1 price=100 qty=3 leaves=3 PRIORITY_KEPT",
        "REPLACED_FROM alice #1 price=100 qty=4 fee=300",
    ]
    assert free.replace(ALICE, 1, price=102, qty=5) == [
        "ORDER_REPLACED alice #1 price=102 qty=5 leaves=5",
        "REPLACED_FROM alice #1 price=100 qty=3 fee=510",
    ]
    assert free.balance(ALICE, USD) == (CASH - 510, 510)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"price": 5}, "PRICE_NOT_ALLOWED price=5 leaves=3"),
        ({"display_qty": 1}, "DISPLAY_QTY leaves=3 cum=4 notional=1"),
        ({"slots": 2, "trail": 1}, "MALFORMED leaves=3"),
        ({"slots": 2, "max_cost": 1}, "MALFORMED leaves=3"),
        ({"slots": 2, "oco": 1}, "MALFORMED leaves=3"),
        ({"slots": 2, "stop_price": -1}, "MALFORMED leaves=3"),
        ({"slots": 2, "stop_price": WORD_MAX}, f"cum={PRICE_MAX} notional={WORD_MAX}"),
        ({"qty": COINS + 1}, "INSUFFICIENT_POSITION qty=1001 leaves=3 cum=996 notional=997"),
    ],
)
def test_a_bad_replace_of_a_stop_is_rejected(free: World, more: dict[str, Any], told: str) -> None:
    free.stop(SELL, ALICE, 4, 90)
    [got] = free.replace(ALICE, 1, **more)
    assert got.startswith("COMMAND_REJECTED alice #1 ")
    assert got.endswith(told)


def test_only_what_waits_has_a_stop_price_to_change(free: World) -> None:
    free.buy(ALICE, 4, 90)
    assert free.replace(ALICE, 1, slots=2, stop_price=97) == [
        "COMMAND_REJECTED alice #1 TERMS leaves=3"
    ]


def test_a_waiting_order_ends_at_its_date(free: World) -> None:
    more: dict[str, Any] = {"time_in_force": GTD, "expire_ns": free.now_ns + 500}
    free.stop(SELL, ALICE, 4, 90, order_type=STOP_LIMIT, price=80, **more)
    assert free.time(free.now_ns + 1_000)[0] == ("ORDER_EXPIRED alice #1 GTD price=80 qty=4 SELL")
    assert free.balance(ALICE, BTC) == (COINS, 0)
