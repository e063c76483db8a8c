"""Cancel, reduce, replace, mass cancel, rule by rule (docs/engine.md); twin and engine alike."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, CASH, COINS, MARKET_ID, USD, World
from tests.model.commands import (
    QTY_LEAVES,
    SELL,
    CancelOrder,
    MassCancel,
    ReduceOrder,
    ReplaceOrder,
    Targeted,
)
from tests.model.state import MONEY_MAX, Sizes

# Cancel.


def test_a_cancel_ends_the_order_and_releases_its_hold(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1")
    world.sell(BOB, 4, 100)
    assert world.cancel(ALICE, 1) == [
        "ORDER_CANCELED alice #1 CANCELED_BY_USER price=100 qty=6 leaves=6 cum=4 notional=400 id=a1"
    ]
    assert world.balance(ALICE, USD) == (CASH - 404, 0)
    assert world.cancel(ALICE, 1) == ["COMMAND_REJECTED alice #1 TOO_LATE leaves=2"]


def test_a_cancel_of_another_session_or_with_its_own_id_is_told_first(world: World) -> None:
    world.sell(ALICE, 10, 100, client_order_id="a1", session=7)
    world.sell(ALICE, 10, 100)
    assert world.cancel(ALICE, 1, session=8) == [
        "CANCEL_ACCEPTED alice #1 price=100 session=8 SELL",
        "ORDER_CANCELED alice #1 CANCELED_BY_USER price=100 qty=10 leaves=10 session=7 id=a1 SELL",
    ]
    assert world.cancel(ALICE, 2, client_order_id="x") == [
        "CANCEL_ACCEPTED alice #2 price=100 id=x SELL",
        "ORDER_CANCELED alice #2 CANCELED_BY_USER price=100 qty=10 leaves=10 SELL",
    ]
    assert world.balance(ALICE, BTC) == (COINS, 0)


def test_an_order_is_found_by_the_client_id_of_its_own_account(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1")
    by_id = CancelOrder(account=BOB, slots=2, original_client_order_id="a1")
    assert world.tell(by_id) == ["COMMAND_REJECTED bob UNKNOWN_ORDER leaves=2"]
    by_id = CancelOrder(account=ALICE, slots=2, original_client_order_id="a1")
    assert world.tell(by_id)[0].startswith("ORDER_CANCELED alice #1 CANCELED_BY_USER")
    assert world.tell(by_id) == ["COMMAND_REJECTED alice #1 TOO_LATE leaves=2"]


def test_the_order_of_another_account_is_unknown(world: World) -> None:
    world.buy(ALICE, 10, 100)
    assert world.cancel(BOB, 1) == ["COMMAND_REJECTED bob #1 UNKNOWN_ORDER leaves=2"]
    assert world.reduce(BOB, 1, 0) == ["COMMAND_REJECTED bob #1 UNKNOWN_ORDER leaves=4"]
    assert world.replace(BOB, 1, price=5) == [
        "COMMAND_REJECTED bob #1 UNKNOWN_ORDER price=5 leaves=3"
    ]


def test_an_order_whose_row_is_gone_is_unknown(make_world: MakeWorld) -> None:
    world = make_world(Sizes(closed_keep=1))
    for _ in range(2):
        world.buy(ALICE, 1, 10)
    world.cancel(ALICE, 1)
    assert world.cancel(ALICE, 1) == ["COMMAND_REJECTED alice #1 TOO_LATE leaves=2"]
    world.cancel(ALICE, 2)
    assert world.cancel(ALICE, 1) == ["COMMAND_REJECTED alice #1 UNKNOWN_ORDER leaves=2"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (CancelOrder(order_id=0), "MALFORMED leaves=2"),
        (CancelOrder(slots=2), "MALFORMED leaves=2"),
        (CancelOrder(slots=2, order_id=9, original_client_order_id="x"), "#=9 MALFORMED leaves=2"),
        (CancelOrder(slots=3, original_client_order_id="x"), "MALFORMED leaves=2"),
        (CancelOrder(order_id=-1), "#=-1 MALFORMED leaves=2"),
        (CancelOrder(order_id=9, restriction=3), "#=9 MALFORMED leaves=2"),
        (ReduceOrder(order_id=9, price=1, qty=2), "#=9 MALFORMED price=1 qty=2 leaves=4"),
        (ReduceOrder(order_id=9, qty_basis=1, qty=2), "#=9 MALFORMED qty=2 leaves=4"),
        (ReduceOrder(order_id=9, display_qty=1), "#=9 MALFORMED leaves=4"),
        (ReplaceOrder(order_id=9, qty_basis=2), "#=9 MALFORMED leaves=3"),
        (ReplaceOrder(order_id=9, price=-1), "#=9 MALFORMED price=-1 leaves=3"),
        (ReplaceOrder(order_id=9, qty=-1), "#=9 MALFORMED qty=-1 leaves=3"),
        (ReplaceOrder(order_id=9, price=4, qty=5), "#=9 UNKNOWN_ORDER price=4 qty=5 leaves=3"),
    ],
)
def test_a_bad_target_is_rejected_with_what_was_asked(
    world: World, command: Targeted, told: str
) -> None:
    assert world.tell(replace(command, account=ALICE)) == [f"COMMAND_REJECTED alice {told}"]


# Reduce.


def test_a_reduced_order_keeps_its_place_and_holds_less(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1")
    world.buy(BOB, 1, 100)
    assert world.reduce(ALICE, 1, 4) == ["ORDER_REDUCED alice #1 price=100 qty=4 leaves=6 id=a1"]
    assert world.balance(ALICE, USD) == (CASH - 612, 612)
    assert world.sell(CAROL, 7, 100)[1:] == [
        "FILL carol #3 price=100 qty=6 leaves=1 cum=6 notional=600 fee=12 SELL",
        "FILL alice #1 price=100 qty=6 cum=6 notional=600 fee=6 id=a1 MAKER",
        "FILL carol #3 price=100 qty=1 cum=7 notional=700 fee=2 SELL",
        "FILL bob #2 price=100 qty=1 cum=1 notional=100 fee=1 MAKER",
    ]


def test_a_reduced_sell_holds_fewer_lots(world: World) -> None:
    world.sell(ALICE, 10, 100)
    world.reduce(ALICE, 1, 4)
    assert world.balance(ALICE, BTC) == (COINS - 6, 6)


def test_a_reduce_by_all_that_is_open_cancels(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1")
    assert world.reduce(ALICE, 1, 4, client_order_id="r1") == [
        "CANCEL_ACCEPTED alice #1 price=100 id=r1",
        "ORDER_REDUCED alice #1 price=100 qty=4 leaves=6 id=a1",
    ]
    assert world.reduce(ALICE, 1, 6) == [
        "ORDER_CANCELED alice #1 REDUCED_TO_ZERO price=100 qty=6 leaves=6 id=a1"
    ]
    assert world.reduce(ALICE, 1, 6) == ["COMMAND_REJECTED alice #1 TOO_LATE qty=6 leaves=4"]
    assert world.balance(ALICE, USD) == (CASH, 0)


@pytest.mark.parametrize("qty", [0, -5])
def test_a_reduce_by_less_than_one_is_too_small(world: World, qty: int) -> None:
    world.buy(ALICE, 10, 100)
    shown = f"qty={qty} " if qty else ""
    value = f" notional={qty}" if qty else ""
    assert world.reduce(ALICE, 1, qty) == [
        f"COMMAND_REJECTED alice #1 QTY_TOO_SMALL {shown}leaves=4 cum=1{value}"
    ]


def test_a_reduced_order_never_gets_more_fee_held_than_is_left(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=100_000, taker_ppm=0)
    world.buy(ALICE, 4, 1)  # 4 + 1 of fee.
    world.sell(BOB, 1, 1)  # Takes the 1.
    world.reduce(ALICE, 1, 1)
    assert world.balance(ALICE, USD) == (CASH - 4, 2)


# Replace.


def test_less_quantity_at_the_same_price_keeps_priority(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1")
    world.buy(BOB, 5, 100)
    assert world.replace(ALICE, 1, qty=6, client_order_id="a2") == [
        "ORDER_REPLACED alice #1 price=100 qty=6 leaves=6 id=a2 PRIORITY_KEPT",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=10 fee=612 id=a1",
    ]
    assert world.balance(ALICE, USD) == (CASH - 612, 612)
    assert world.sell(CAROL, 1, 100)[-1] == (
        "FILL alice #1 price=100 qty=1 leaves=5 cum=1 notional=100 fee=1 id=a2 MAKER"
    )


def test_nothing_changed_keeps_priority(world: World) -> None:
    world.buy(ALICE, 10, 100)
    world.buy(BOB, 5, 100)
    assert world.replace(ALICE, 1) == [
        "ORDER_REPLACED alice #1 price=100 qty=10 leaves=10 PRIORITY_KEPT",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=10 fee=1020",
    ]
    assert world.sell(CAROL, 1, 100)[-1].startswith("FILL alice #1")


def test_more_quantity_goes_to_the_end_of_the_level(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1", session=3)
    world.buy(BOB, 5, 100)
    assert world.replace(ALICE, 1, qty=11, session=4) == [
        "ORDER_REPLACED alice #1 price=100 qty=11 leaves=11 session=4 id=a1 RESTS",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=10 fee=1122 session=3 id=a1",
    ]
    assert world.balance(ALICE, USD) == (CASH - 1122, 1122)
    assert world.sell(CAROL, 7, 100)[1:] == [
        "FILL carol #3 price=100 qty=5 leaves=2 cum=5 notional=500 fee=10 SELL",
        "FILL bob #2 price=100 qty=5 cum=5 notional=500 fee=5 MAKER",
        "FILL carol #3 price=100 qty=2 cum=7 notional=700 fee=4 SELL",
        "FILL alice #1 price=100 qty=2 leaves=9 cum=2 notional=200 fee=2 session=3 id=a1 MAKER",
    ]


def test_another_price_loses_priority_even_when_it_comes_back(world: World) -> None:
    world.sell(ALICE, 5, 100)
    world.sell(BOB, 5, 100)
    world.replace(ALICE, 1, price=101)
    world.replace(ALICE, 1, price=100)
    assert world.buy(CAROL, 1, 100)[-1].startswith("FILL bob #2")


def test_a_replace_that_crosses_is_matched_as_a_taker(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1")
    world.sell(BOB, 4, 105)
    assert world.replace(ALICE, 1, price=106) == [
        "ORDER_REPLACED alice #1 price=106 qty=10 leaves=10 id=a1",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=10 fee=1082 id=a1",
        "FILL alice #1 price=105 qty=4 leaves=6 cum=4 notional=420 fee=9 id=a1",
        "FILL bob #2 price=105 qty=4 cum=4 notional=420 fee=5 SELL MAKER",
        "ORDER_RESTED alice #1 price=106 qty=6 leaves=6 cum=4 notional=420 fee=649 id=a1",
    ]
    assert world.balance(ALICE, USD) == (CASH - 420 - 9 - 649, 649)


def test_a_replace_that_fills_ends_the_order(world: World) -> None:
    world.sell(ALICE, 4, 105)
    world.buy(BOB, 4, 100)
    assert world.replace(ALICE, 1, price=99)[2:] == [
        "FILL alice #1 price=100 qty=4 cum=4 notional=400 fee=8 SELL",
        "FILL bob #2 price=100 qty=4 cum=4 notional=400 fee=4 MAKER",
    ]
    assert world.cancel(ALICE, 1) == ["COMMAND_REJECTED alice #1 TOO_LATE leaves=2"]


def test_a_total_counts_what_is_filled_and_leaves_does_not(world: World) -> None:
    world.buy(ALICE, 10, 100)
    world.sell(BOB, 4, 100)
    assert world.replace(ALICE, 1, qty=4) == [
        "COMMAND_REJECTED alice #1 TOO_LATE qty=4 leaves=3 cum=4 notional=4"
    ]
    assert world.replace(ALICE, 1, qty=9) == [
        "ORDER_REPLACED alice #1 price=100 qty=9 leaves=5 cum=4 notional=400 PRIORITY_KEPT",
        "REPLACED_FROM alice #1 price=100 qty=10 leaves=6 cum=4 notional=400 fee=510",
    ]
    assert world.replace(ALICE, 1, qty=2, qty_basis=QTY_LEAVES) == [
        "ORDER_REPLACED alice #1 price=100 qty=6 leaves=2 cum=4 notional=400 PRIORITY_KEPT",
        "REPLACED_FROM alice #1 price=100 qty=9 leaves=5 cum=4 notional=400 fee=204",
    ]
    assert world.balance(ALICE, USD) == (CASH - 404 - 204, 204)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            {"qty": 10_000},
            "INSUFFICIENT_FUNDS qty=10000 leaves=3 cum=998980 notional=1018980",
        ),
        (
            {"price": MONEY_MAX},
            f"PRICE_OUT_OF_BAND price={MONEY_MAX} leaves=3 cum={2**48 - 1} notional={MONEY_MAX}",
        ),
        ({"qty": 51_000}, "QTY_TOO_LARGE qty=51000 leaves=3 cum=50000 notional=51000"),
        ({"qty": 2}, "QTY_TOO_SMALL qty=2 leaves=3 cum=3 notional=2"),
        ({"price": 1}, "NOTIONAL_TOO_SMALL price=1 leaves=3 cum=20 notional=10"),
    ],
)
def test_a_replace_is_checked_like_a_new_order(
    make_world: MakeWorld, more: dict[str, Any], told: str
) -> None:
    world = make_world(qty_min=3, qty_max=50_000, notional_min=20)
    world.buy(ALICE, 10, 100)
    assert world.replace(ALICE, 1, **more) == [f"COMMAND_REJECTED alice #1 {told}"]
    assert world.balance(ALICE, USD) == (CASH - 1020, 1020)


def test_a_replace_beyond_any_number_is_too_large(world: World) -> None:
    world.buy(ALICE, 10, 100)
    world.sell(BOB, 4, 100)
    word_max = 2**63 - 1
    assert world.replace(ALICE, 1, qty=word_max, qty_basis=QTY_LEAVES) == [
        f"COMMAND_REJECTED alice #1 QTY_TOO_LARGE qty={word_max} leaves=3 cum={MONEY_MAX}"
        f" notional={word_max}"
    ]


def test_a_sell_needs_only_what_the_new_hold_exceeds_the_old(world: World) -> None:
    world.sell(ALICE, 900, 100)
    assert world.replace(ALICE, 1, qty=1_001) == [
        "COMMAND_REJECTED alice #1 INSUFFICIENT_POSITION qty=1001 leaves=3 cum=100 notional=101"
    ]
    assert world.replace(ALICE, 1, qty=1_000)[0].startswith("ORDER_REPLACED alice #1")
    assert world.balance(ALICE, BTC) == (0, 1_000)


def test_the_order_goes_by_its_new_client_id_and_the_old_still_finds_it(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1")
    world.replace(ALICE, 1, price=99, client_order_id="a2")
    found = CancelOrder(account=ALICE, slots=2, original_client_order_id="a1")
    assert world.tell(found) == [
        "ORDER_CANCELED alice #1 CANCELED_BY_USER price=99 qty=10 leaves=10 id=a2"
    ]


# Mass cancel.


def test_a_mass_cancel_ends_what_fits_oldest_first(world: World) -> None:
    world.buy(ALICE, 10, 100, client_order_id="a1", session=3)
    world.sell(ALICE, 5, 101)
    world.buy(BOB, 1, 99)
    world.buy(ALICE, 3, 98)
    assert world.mass_cancel(ALICE, side=SELL, client_order_id="m") == [
        "MASS_CANCELED alice qty=1 id=m SELL",
        "ORDER_CANCELED alice #2 CANCELED_BY_MASS_CANCEL price=101 qty=5 leaves=5 SELL",
    ]
    assert world.mass_cancel(ALICE, instrument=MARKET_ID, session=9) == [
        "MASS_CANCELED alice qty=2 session=9",
        "ORDER_CANCELED alice #1 CANCELED_BY_MASS_CANCEL price=100 qty=10 leaves=10 session=3"
        " id=a1",
        "ORDER_CANCELED alice #4 CANCELED_BY_MASS_CANCEL price=98 qty=3 leaves=3",
    ]
    assert world.mass_cancel(ALICE) == ["MASS_CANCELED alice"]
    assert world.balance(ALICE, USD) == (CASH, 0)
    assert world.balance(BOB, USD) == (CASH - 101, 101)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (MassCancel(side=3), "MALFORMED leaves=5"),
        (MassCancel(slots=3), "MALFORMED leaves=5"),
        (MassCancel(instrument=7, side=2), "UNKNOWN_INSTRUMENT leaves=5 instrument=7"),
    ],
)
def test_a_bad_mass_cancel_is_rejected(world: World, command: MassCancel, told: str) -> None:
    assert world.tell(replace(command, account=ALICE)) == [f"COMMAND_REJECTED alice {told}"]
