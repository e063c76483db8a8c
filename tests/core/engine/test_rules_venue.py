"""Instruments that change, phases, bands, statistics (docs/engine-venue.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, CAROL, SECOND, World
from tests.model.commands import (
    CANCEL_ONLY,
    CLOSED,
    DAY,
    DELISTED,
    HALTED,
    IOC,
    PHASE_OPEN,
    PHASE_POST_ONLY,
    SELL,
    CreateInstrument,
)
from tests.model.state import DAY_NS, PRICE_MAX
from tests.model.venue_commands import (
    CHANGE_BAND,
    CHANGE_CLEARING,
    CHANGE_DAY_END,
    CHANGE_FEES,
    CHANGE_LOT,
    CHANGE_MAX_AGE,
    CHANGE_NOTIONAL,
    CHANGE_PHASE,
    CHANGE_PRICES,
    CHANGE_QTY,
    CHANGE_SHORT,
    CHANGE_TICK,
    CHANGE_TICK_TABLE,
    UpdateInstrument,
)


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


def phase(world: World, number: int) -> list[str]:
    return world.update(CHANGE_PHASE, phase=number)


# UPDATE_INSTRUMENT.


def test_an_update_tells_what_changed_and_all_terms(world: World) -> None:
    world.buy(ALICE, 1, 100)
    assert phase(world, HALTED) == [
        "INSTRUMENT_UPDATED #=1 price=1 qty=4 leaves=3 cum=1 id=BTC-USD",
        "INSTRUMENT_TERMS #=1 price=1 qty=1 cum=10000 notional=20000 id=BTC-USD",
    ]


@pytest.mark.parametrize(
    ("changes", "more", "told"),
    [
        (0, {}, "MALFORMED leaves=12"),
        (1 << 13, {}, "MALFORMED leaves=12"),
        (-1, {}, "MALFORMED leaves=12"),
        (CHANGE_PHASE, {"phase": 0}, "MALFORMED leaves=12"),
        (CHANGE_PHASE, {"phase": 10}, "MALFORMED leaves=12"),
        (CHANGE_PHASE, {"phase": 4, "slots": 3}, "MALFORMED leaves=12"),
        (CHANGE_TICK_TABLE, {}, "MALFORMED leaves=12"),
        (CHANGE_PHASE, {"phase": 1}, "NOT_SUPPORTED leaves=12"),
        (CHANGE_PHASE, {"phase": 2}, "NOT_SUPPORTED leaves=12"),
        (CHANGE_PHASE, {"phase": 8}, "PHASE leaves=12"),
        (CHANGE_FEES, {"maker_ppm": 100_001}, "TERMS leaves=12"),
        (CHANGE_FEES, {"taker_ppm": -100_001}, "TERMS leaves=12"),
        (CHANGE_QTY, {"qty_min": 5, "qty_max": 4}, "TERMS leaves=12"),
        (CHANGE_QTY, {"qty_min": -1}, "TERMS leaves=12"),
        (CHANGE_NOTIONAL, {"notional_min": 5, "notional_max": 4}, "TERMS leaves=12"),
        (CHANGE_PRICES, {"price_min": 5, "price_max": 4}, "TERMS leaves=12"),
        (CHANGE_PRICES, {"price_max": -4}, "TERMS leaves=12"),
        (CHANGE_BAND, {"band_ppm": 1_000_001}, "TERMS leaves=12"),
        (CHANGE_BAND, {"reference_price": -1}, "TERMS leaves=12"),
        (CHANGE_BAND, {"reference_price": PRICE_MAX + 1}, "TERMS leaves=12"),
        (CHANGE_MAX_AGE, {"max_age_ns": -1}, "TERMS leaves=12"),
        (CHANGE_DAY_END, {"day_end_ns": DAY_NS}, "TERMS leaves=12"),
        (CHANGE_DAY_END, {"day_end_ns": -1}, "TERMS leaves=12"),
        (CHANGE_TICK, {"tick": 0}, "TERMS leaves=12"),
        (CHANGE_TICK, {"tick": 1, "tick_scale": 1}, "TERMS leaves=12"),
        (CHANGE_LOT, {"lot": 10**9 + 1}, "TERMS leaves=12"),
        (CHANGE_SHORT, {"short_ppm": 10_000_001}, "TERMS leaves=12"),
        (CHANGE_SHORT | CHANGE_CLEARING, {"short_ppm": 1, "clearing_ns": SECOND}, "TERMS"),
        (CHANGE_CLEARING, {"clearing_ns": SECOND - 1}, "TERMS leaves=12"),
    ],
)
def test_a_bad_update_changes_nothing(
    world: World, changes: int, more: dict[str, Any], told: str
) -> None:
    [got] = world.update(changes, **more)
    assert got.startswith(f"COMMAND_REJECTED {told}")
    assert world.buy(ALICE, 1, 100)[0].endswith("RESTS")


@pytest.mark.parametrize(
    ("start", "step", "good"),
    [
        ((0, 0, 0, 0), (0, 0, 0, 0), True),
        ((0, 0, 0, 0), (5, 0, 0, 0), True),
        ((0, 10, 100, 1000), (1, 2, 5, 10), True),
        ((0, 10, 100, 1000), (1, 2, 5, 10**9), True),
        ((0, 10, 100, 1000), (1, 2, 5, 10**9 + 1), False),
        ((0, 10, 100, 1000), (1, 0, 5, 10), False),
        ((1, 10, 0, 0), (1, 2, 0, 0), False),
        ((0, 10, 10, 0), (1, 2, 3, 0), False),
        ((0, 10, 9, 0), (1, 2, 3, 0), False),
        ((0, 0, 9, 0), (1, 0, 3, 0), False),
        ((0, 10, 0, 0), (0, 2, 0, 0), False),
        ((0, -1, 0, 0), (1, 2, 0, 0), False),
    ],
)
def test_a_tick_table_ascends_from_zero(
    world: World, start: tuple[int, ...], step: tuple[int, ...], *, good: bool
) -> None:
    [first, *_] = world.update(CHANGE_TICK_TABLE, slots=3, start=start, step=step)
    assert first.startswith("INSTRUMENT_UPDATED") == good
    assert ("TERMS" in first) != good


def test_an_unknown_instrument_is_told_before_its_terms(world: World) -> None:
    command = UpdateInstrument(instrument=9, changes=CHANGE_QTY, qty_min=-1)
    assert world.tell(command) == ["COMMAND_REJECTED UNKNOWN_INSTRUMENT leaves=12 instrument=9"]


def test_fees_change_with_no_open_order(world: World) -> None:
    world.buy(ALICE, 1, 100)
    world.stop(SELL, ALICE, 1, 5)
    assert world.update(CHANGE_FEES, maker_ppm=0, taker_ppm=0) == [
        "COMMAND_REJECTED BOOK_NOT_EMPTY leaves=12 notional=2"
    ]
    world.mass_cancel(ALICE)
    assert world.update(CHANGE_FEES, maker_ppm=-5, taker_ppm=0)[1] == (
        "INSTRUMENT_TERMS #=1 price=1 qty=1 cum=-5 id=BTC-USD"
    )
    assert " cum=100 " in world.buy(ALICE, 1, 100)[0]


def test_tick_and_lot_change_with_nothing_open_and_forget_prices(free: World) -> None:
    free.trade(100, 3)
    free.sell(BOB, 1, 100)
    # One order, and the positions of bob and carol.
    assert free.update(CHANGE_TICK, tick=2) == [
        "COMMAND_REJECTED BOOK_NOT_EMPTY leaves=12 notional=3"
    ]
    free.mass_cancel(BOB)
    free.sell(CAROL, 3, 90)
    free.buy(BOB, 3, 90)
    free.update(CHANGE_BAND, band_ppm=1, reference_price=90)
    assert free.update(CHANGE_TICK, tick=2)[1] == "INSTRUMENT_TERMS #=1 price=2 qty=1 id=BTC-USD"
    assert " cum=14 " in free.buy(ALICE, 1, 7)[0]  # 14 USD a tick of 2; no band any more.
    assert free.stop(SELL, ALICE, 1, 95)[0].startswith("ORDER_ACCEPTED")  # No last price.


def test_a_lot_forgets_quantities_and_both_may_come_at_once(free: World) -> None:
    free.update(CHANGE_QTY, qty_min=5, qty_max=6)
    free.update(CHANGE_LOT | CHANGE_TICK | CHANGE_QTY, lot=10, tick=3, qty_max=2)
    assert " cum=60 " in free.buy(ALICE, 2, 1)[0]
    assert "QTY_TOO_LARGE" in free.buy(ALICE, 3, 1)[0]
    assert " cum=20 " in free.sell(ALICE, 2, 9)[0]


# Phases.


@pytest.mark.parametrize(
    ("number", "reason"),
    [(HALTED, "HALTED"), (CANCEL_ONLY, "PHASE"), (CLOSED, "PHASE")],
)
def test_outside_open_phases_orders_are_only_taken_away(
    free: World, number: int, reason: str
) -> None:
    free.buy(ALICE, 5, 100)
    phase(free, number)
    assert free.buy(ALICE, 1, 100) == [
        f"ORDER_REJECTED alice #none {reason} price=100 qty=1 leaves=1"
    ]
    assert free.replace(ALICE, 1, qty=1) == [f"COMMAND_REJECTED alice #1 {reason} qty=1 leaves=3"]
    assert free.reduce(ALICE, 1, 1)[0].startswith("ORDER_REDUCED")
    assert free.cancel(ALICE, 1)[0].startswith("ORDER_CANCELED")
    phase(free, PHASE_OPEN)
    assert free.buy(ALICE, 1, 100)[0].endswith("RESTS")


def test_in_post_only_nothing_trades(free: World) -> None:
    free.sell(BOB, 5, 100)
    free.stop(SELL, ALICE, 1, 5)
    phase(free, PHASE_POST_ONLY)
    crossing = "ORDER_REJECTED alice #none POST_ONLY_WOULD_TAKE price=100 qty=1 leaves=1"
    assert free.buy(ALICE, 1, 100) == [f"{crossing} cum=100 notional=100"]
    assert free.buy(ALICE, 1, 99)[0].endswith("RESTS")
    assert free.buy(ALICE, 1, 100, flags=5)[0].startswith("ORDER_ACCEPTED alice #4 price=99 ")
    assert " PHASE " in free.buy(ALICE, 1, 99, time_in_force=IOC)[0]
    assert " PHASE " in free.market(SELL, ALICE, 1)[0]
    assert " PHASE " in free.stop(SELL, ALICE, 1, 5)[0]
    assert free.replace(ALICE, 2, qty=1) == ["COMMAND_REJECTED alice #2 PHASE qty=1 leaves=3"]
    assert free.replace(ALICE, 3, price=100) == [
        "COMMAND_REJECTED alice #3 POST_ONLY_WOULD_TAKE price=100 leaves=3 cum=100 notional=100"
    ]


def test_closing_ends_day_orders(free: World) -> None:
    free.buy(ALICE, 1, 100, time_in_force=DAY)
    free.buy(ALICE, 1, 100)
    free.stop(SELL, BOB, 1, 5, time_in_force=DAY)
    assert phase(free, CLOSED)[2:] == [
        "ORDER_EXPIRED alice #1 DAY_END price=100 qty=1 leaves=1",
        "ORDER_EXPIRED bob #3 DAY_END qty=1 SELL",
    ]


def test_delisting_ends_all_orders_and_is_final(free: World) -> None:
    free.buy(ALICE, 1, 100)
    free.stop(SELL, BOB, 1, 5)
    assert phase(free, DELISTED)[2:] == [
        "ORDER_CANCELED alice #1 HALT price=100 qty=1 leaves=1",
        "ORDER_CANCELED bob #2 HALT qty=1 SELL",
    ]
    assert phase(free, PHASE_OPEN) == ["COMMAND_REJECTED PHASE leaves=12"]
    assert free.update(CHANGE_QTY, qty_min=2)[0].startswith("INSTRUMENT_UPDATED")


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("A" * 32, True),
        ("A" * 33, False),
        ("a.b-c/d_9", True),
        ("a b", False),
        ("a:b", False),
        ("x\x7f", False),
    ],
)
def test_symbols_are_of_few_characters(world: World, name: str, *, good: bool) -> None:
    [first, *_] = world.tell(CreateInstrument(name=name, base_asset=2, quote_asset=1))
    assert first.startswith("INSTRUMENT_CREATED" if good else "COMMAND_REJECTED MALFORMED")


# Prices.


def test_limit_prices_lie_between_the_bounds(free: World) -> None:
    free.update(CHANGE_PRICES, price_min=90, price_max=110)
    rejected = "ORDER_REJECTED alice #none PRICE_OUT_OF_BAND"
    assert free.buy(ALICE, 1, 89) == [f"{rejected} price=89 qty=1 leaves=1 cum=90 notional=89"]
    assert free.buy(ALICE, 1, 111) == [f"{rejected} price=111 qty=1 leaves=1 cum=110 notional=111"]
    for price in (90, 110):
        assert free.buy(ALICE, 1, price)[0].endswith("RESTS")
    assert free.stop(SELL, ALICE, 1, 5)[0].startswith("ORDER_ACCEPTED")


def test_the_band_stands_around_the_reference_or_the_last_trade(free: World) -> None:
    free.update(CHANGE_BAND, band_ppm=50_000)
    assert free.buy(ALICE, 1, 5)[0].endswith("RESTS")  # No trade: no band.
    free.trade(99)
    # 99 x 5 % = 4.95, rounded down.
    rejected = "ORDER_REJECTED bob #none PRICE_OUT_OF_BAND"
    assert free.sell(BOB, 1, 94) == [f"{rejected} price=94 qty=1 leaves=1 cum=95 notional=94 SELL"]
    assert free.sell(BOB, 1, 104) == [
        f"{rejected} price=104 qty=1 leaves=1 cum=103 notional=104 SELL"
    ]
    assert free.sell(BOB, 1, 103)[0].endswith("RESTS")
    free.update(CHANGE_BAND, band_ppm=50_000, reference_price=200)
    assert free.buy(ALICE, 1, 190)[1].startswith("FILL alice")
    assert free.replace(ALICE, 1, price=189)[0].startswith(
        "COMMAND_REJECTED alice #1 PRICE_OUT_OF_BAND price=189 leaves=3 cum=190 notional=189"
    )


def test_a_slide_stays_within_the_bounds(free: World) -> None:
    free.update(CHANGE_PRICES, price_min=100, price_max=0)
    free.sell(BOB, 1, 100)
    assert " POST_ONLY_WOULD_TAKE " in free.buy(ALICE, 1, 105, flags=5)[0]


# Statistics.


def test_the_day_ends_at_its_time(free: World) -> None:
    free.update(CHANGE_DAY_END, day_end_ns=SECOND)
    free.trade(100, 2)
    free.trade(90, 1)
    free.trade(95, 1)
    stats = free.exchange.statistics(1)
    day = (stats.open, stats.high, stats.low, stats.volume, stats.notional, stats.trades)
    assert day == (100, 100, 90, 4, 385, 3)
    assert stats.day == -1
    free.now_ns = SECOND - 40
    free.trade(97)  # 20 ns before the end of the day.
    stats = free.exchange.statistics(1)
    assert (stats.day, stats.open, stats.volume, stats.total_volume) == (-1, 100, 5, 5)
    free.trade(98)  # To the nanosecond: the next day.
    stats = free.exchange.statistics(1)
    assert (stats.day, stats.open, stats.high, stats.trades) == (0, 98, 98, 1)
    assert (stats.total_volume, stats.total_notional, stats.total_trades) == (6, 580, 5)


def test_post_only_phase_lets_a_later_open_phase_trade(free: World) -> None:
    phase(free, PHASE_POST_ONLY)
    free.sell(BOB, 1, 100)
    phase(free, PHASE_OPEN)
    assert free.buy(CAROL, 1, 100)[1].startswith("FILL carol")
