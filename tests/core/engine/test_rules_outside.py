"""Orders that are matched outside (docs/engine-outside.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.abroad import ABROAD, told
from tests.core.engine.world import ALICE, BOB, BTC, CASH, COINS, USD, World
from tests.model.commands import (
    BUY,
    DAY,
    FOK,
    QTY_LEAVES,
    REDUCE_ONLY,
    SELL,
    CreateInstrument,
)
from tests.model.state import FEES, MONEY_MAX
from tests.model.venue_commands import (
    OUTSIDE_MAKER,
    OUTSIDE_SELL,
    KillSwitch,
    OutsideAcknowledged,
    OutsideCanceled,
    OutsideCommand,
    OutsideCorrected,
    OutsideFilled,
    OutsideRejected,
    OutsideSettled,
)


@pytest.fixture
def abroad(make_world: MakeWorld) -> World:
    """Matched outside, without fees of ours."""
    return make_world(**ABROAD)


# Asking.


def test_an_order_is_held_for_and_asked_for_outside(abroad: World) -> None:
    assert abroad.buy(ALICE, 10, 100, client_order_id="a", session=7) == [
        "ORDER_ACCEPTED alice #1 price=100 qty=10 leaves=10 cum=1000 notional=257 session=7 id=a",
        "ORDER_ROUTE_REQUESTED alice #1 price=100 qty=10 leaves=1 cum=1 session=7 id=a",
    ]
    assert abroad.balance(ALICE, USD) == (CASH - 1_000, 1_000)
    assert abroad.sell(BOB, 1, 100)[1].startswith("ORDER_ROUTE_REQUESTED bob #2")  # No match here.


@pytest.mark.parametrize(
    "more",
    [
        {"order_type": 3, "price": 0, "slots": 2, "stop_price": 5},
        {"display_qty": 1},
        {"flags": 1},
        {"flags": REDUCE_ONLY},
        {"slots": 2, "oco": 5},
        {"slots": 2, "min_qty": 1, "time_in_force": 2},
    ],
)
def test_what_needs_our_book_is_not_supported(abroad: World, more: dict[str, Any]) -> None:
    values = {"price": 5} | more
    assert " NOT_SUPPORTED " in abroad.buy(ALICE, 2, values.pop("price"), **values)[0]


def test_days_and_kills_are_for_the_outside_to_do(abroad: World) -> None:
    abroad.buy(ALICE, 1, 100, time_in_force=DAY)
    assert abroad.buy(ALICE, 1, 100, time_in_force=FOK)[1].startswith("ORDER_ROUTE_REQUESTED")
    assert abroad.time(1 << 60) == ["TIME_PASSED"]


def test_a_cancel_is_asked_for_once(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    assert abroad.cancel(ALICE, 1) == [
        "CANCEL_ACCEPTED alice #1 price=100",
        "ORDER_ROUTE_REQUESTED alice #1 price=100 qty=10 leaves=2 cum=2",
    ]
    assert abroad.cancel(ALICE, 1) == ["COMMAND_REJECTED alice #1 TOO_LATE leaves=2"]
    assert abroad.mass_cancel(ALICE) == ["MASS_CANCELED alice"]
    assert told(abroad, OutsideCanceled) == [
        "EXEC_RECORDED alice #1 leaves=52",
        "ORDER_CANCELED alice #1 CANCELED_OUTSIDE price=100 qty=10",
    ]
    assert abroad.balance(ALICE, USD) == (CASH, 0)


def test_mass_cancels_ask_for_each(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    abroad.buy(ALICE, 5, 100)
    assert abroad.tell(KillSwitch(account=ALICE, is_on=1)) == [
        "KILL_SWITCH_SET alice qty=2 leaves=1",
        "ORDER_ROUTE_REQUESTED alice #1 price=100 qty=10 leaves=2 cum=2",
        "ORDER_ROUTE_REQUESTED alice #2 price=100 qty=5 leaves=2 cum=2",
    ]


# Acknowledged, rejected.


def test_an_acknowledgement_is_recorded_once(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    assert told(abroad, OutsideAcknowledged) == ["EXEC_RECORDED alice #1 leaves=50"]
    assert told(abroad, OutsideAcknowledged) == ["EXEC_RECORDED alice #1 leaves=50 cum=5"]
    assert told(abroad, OutsideAcknowledged, 0) == ["EXEC_RECORDED alice #=77 leaves=50 cum=1"]


def test_a_rejected_order_ends(abroad: World) -> None:
    abroad.sell(ALICE, 10, 100)
    assert told(abroad, OutsideRejected) == [
        "EXEC_RECORDED alice #1 leaves=53 SELL",
        "ORDER_CANCELED alice #1 REJECTED_OUTSIDE price=100 qty=10 SELL",
    ]
    assert told(abroad, OutsideRejected) == ["EXEC_RECORDED alice #1 leaves=53 cum=5 SELL"]
    assert abroad.balance(ALICE, BTC) == (COINS, 0)


def test_a_rejected_cancel_may_be_asked_for_again(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    told(abroad, OutsideAcknowledged)
    abroad.cancel(ALICE, 1)
    assert told(abroad, OutsideRejected) == ["EXEC_RECORDED alice #1 leaves=53"]
    assert abroad.cancel(ALICE, 1)[1].endswith("leaves=2 cum=3")


# Filled.


def test_a_fill_pays_from_the_hold_at_the_price_of_the_outside(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    told(abroad, OutsideAcknowledged)
    assert told(abroad, OutsideFilled, price=99, qty=4, fee=2, flags=OUTSIDE_MAKER) == [
        "EXEC_RECORDED alice #1 price=99 qty=4 leaves=51 notional=2",
        "FILL alice #1 price=99 qty=4 leaves=6 cum=4 notional=396 fee=2 MAKER",
    ]
    assert abroad.balance(ALICE, USD) == (CASH - 398 - 600, 600)
    assert abroad.balance(ALICE, BTC) == (COINS + 4, 0)
    assert abroad.balance(FEES, USD) == (2, 0)
    assert abroad.position(ALICE).net == 4
    told(abroad, OutsideFilled, price=100, qty=6)
    assert abroad.balance(ALICE, USD) == (CASH - 998, 0)


def test_a_sale_brings_the_proceeds_less_the_fee(abroad: World) -> None:
    abroad.sell(ALICE, 10, 100)
    told(abroad, OutsideFilled, price=101, qty=10, fee=-3)  # Nobody has paid fees: outside does.
    assert abroad.balance(ALICE, USD) == (CASH + 1_013, 0)
    assert abroad.balance(ALICE, BTC) == (COINS - 10, 0)


def test_the_same_execution_counts_once(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    fill: dict[str, Any] = {"price": 100, "qty": 4, "reference": "f1"}
    told(abroad, OutsideFilled, **fill)
    assert told(abroad, OutsideFilled, **fill) == ["COMMAND_REPEATED alice"]
    assert told(abroad, OutsideFilled, **(fill | {"qty": 5})) == [
        "COMMAND_REJECTED alice DUPLICATE_CLIENT_ID leaves=51"
    ]
    assert len(told(abroad, OutsideFilled, **fill, source="other")) == 2
    assert abroad.position(ALICE).net == 8


def test_a_fill_before_the_acknowledgement_is_one_too(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    assert told(abroad, OutsideFilled, price=100, qty=4)[0].endswith("leaves=51 cum=4")
    assert told(abroad, OutsideAcknowledged)[0].endswith("cum=5")


def test_more_than_was_asked_for_is_booked_on_the_account(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    assert told(abroad, OutsideFilled, price=100, qty=12, fee=6) == [
        "EXEC_RECORDED alice #1 price=100 qty=12 leaves=51 cum=3 notional=6",
        "FILL alice #1 price=100 qty=10 cum=10 notional=1000 fee=6",
    ]
    assert abroad.balance(ALICE, USD) == (CASH - 1_206, 0)
    assert abroad.position(ALICE).net == 12


def test_a_fill_that_comes_late_is_booked(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    told(abroad, OutsideCanceled)
    assert told(abroad, OutsideFilled, price=100, qty=10, fee=1) == [
        "EXEC_RECORDED alice #1 price=100 qty=10 leaves=51 cum=2 notional=1"
    ]
    assert abroad.balance(ALICE, USD) == (CASH - 1_001, 0)
    assert abroad.balance(ALICE, BTC) == (COINS + 10, 0)


def test_a_fill_of_an_unknown_order_is_booked_where_the_account_is_known(abroad: World) -> None:
    sold: dict[str, Any] = {"price": 100, "qty": 3, "flags": OUTSIDE_SELL}
    assert told(abroad, OutsideFilled, 0, **sold) == [
        "EXEC_RECORDED alice #=77 price=100 qty=3 leaves=51 cum=1 SELL"
    ]
    assert abroad.balance(ALICE, USD) == (CASH + 300, 0)
    assert abroad.balance(ALICE, BTC) == (COINS - 3, 0)
    assert told(abroad, OutsideFilled, 0, **sold, account=99)[0].endswith("cum=1 SELL")
    abroad.buy(BOB, 10, 100)
    assert told(abroad, OutsideFilled, 1, price=1, qty=1)[0].startswith(
        "EXEC_RECORDED alice #1 price=1 qty=1 leaves=51 cum=1"
    )


def test_what_an_account_lacks_is_its_debt_and_never_below_zero(abroad: World) -> None:
    abroad.buy(ALICE, 9_999, 100)  # 100 are left.
    assert told(abroad, OutsideFilled, 0, price=50, qty=3) == [
        "EXEC_RECORDED alice #=77 price=50 qty=3 leaves=51 cum=1",
        f"LEDGER outside price=51 qty=-50 leaves={-3 * CASH + 100} instrument=1",
    ]
    assert abroad.balance(ALICE, USD) == (0, 999_900)
    sold: dict[str, Any] = {"price": 1, "qty": COINS + 13, "flags": OUTSIDE_SELL}
    assert told(abroad, OutsideFilled, 0, **sold)[1] == (
        f"LEDGER outside price=51 qty=-10 leaves={-2 * COINS} instrument=2"
    )
    assert abroad.balance(ALICE, BTC) == (0, 0)


def test_a_market_buy_holds_its_budget_until_it_ends(abroad: World) -> None:
    assert abroad.market(BUY, ALICE, 5, slots=2, max_cost=600)[1].startswith("ORDER_ROUTE_REQ")
    told(abroad, OutsideFilled, price=120, qty=4, fee=5)
    assert abroad.balance(ALICE, USD) == (CASH - 600, 115)
    told(abroad, OutsideFilled, price=130, qty=1)  # 15 more than is held.
    assert abroad.balance(ALICE, USD) == (CASH - 615, 0)


# Replace, reduce.


def test_a_replace_holds_the_wider_terms_until_it_is_acknowledged(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100, client_order_id="a")
    told(abroad, OutsideAcknowledged)
    assert abroad.replace(ALICE, 1, price=120, qty=6, client_order_id="b") == [
        "CANCEL_ACCEPTED alice #1 price=100 id=b",
        "ORDER_ROUTE_REQUESTED alice #1 price=120 qty=6 leaves=3 cum=2 id=a",
    ]
    assert abroad.balance(ALICE, USD) == (CASH - 1_200, 1_200)
    assert abroad.replace(ALICE, 1, price=130)[0].endswith("TOO_LATE price=130 leaves=3")
    told(abroad, OutsideFilled, price=118, qty=2)
    assert abroad.balance(ALICE, USD) == (CASH - 236 - 960, 960)
    assert told(abroad, OutsideAcknowledged)[1:] == [
        "ORDER_REPLACED alice #1 price=120 qty=6 leaves=4 cum=2 notional=236 id=a",
        "REPLACED_FROM alice #1 price=100 qty=10 cum=2 notional=236 fee=480 id=a",
    ]
    assert abroad.balance(ALICE, USD) == (CASH - 236 - 480, 480)


def test_a_rejected_replace_leaves_the_order_as_it_was(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    told(abroad, OutsideAcknowledged)
    abroad.replace(ALICE, 1, qty=15, qty_basis=QTY_LEAVES)
    assert abroad.balance(ALICE, USD) == (CASH - 1_500, 1_500)
    told(abroad, OutsideRejected)
    assert abroad.balance(ALICE, USD) == (CASH - 1_000, 1_000)
    assert told(abroad, OutsideFilled, price=100, qty=10)[1].startswith(
        "FILL alice #1 price=100 qty=10 cum=10 "
    )


def test_a_replace_to_less_than_was_filled_meanwhile_ends_the_order(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    told(abroad, OutsideAcknowledged)
    assert abroad.reduce(ALICE, 1, 6)[1].startswith(
        "ORDER_ROUTE_REQUESTED alice #1 price=100 qty=4 leaves=3"
    )
    told(abroad, OutsideFilled, price=100, qty=5)
    assert told(abroad, OutsideAcknowledged)[1] == (
        "ORDER_CANCELED alice #1 CANCELED_OUTSIDE price=100 qty=5 cum=5 notional=500"
    )


def test_a_reduce_to_nothing_asks_for_a_cancel(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    assert abroad.reduce(ALICE, 1, 10)[1].startswith(
        "ORDER_ROUTE_REQUESTED alice #1 price=100 qty=10 leaves=2"
    )


def test_a_replace_must_be_affordable(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    assert abroad.replace(ALICE, 1, qty=10_001) == [
        "COMMAND_REJECTED alice #1 INSUFFICIENT_FUNDS qty=10001 leaves=3 cum=999000 notional=999100"
    ]


# Bad commands.


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        (OutsideAcknowledged, {"reference": ""}, "MALFORMED"),
        (OutsideAcknowledged, {"source": ""}, "MALFORMED"),
        (OutsideAcknowledged, {"slots": 1}, "MALFORMED"),
        (OutsideFilled, {"flags": 4}, "MALFORMED"),
        (OutsideFilled, {"qty": 0}, "MALFORMED"),
        (OutsideFilled, {"price": 0}, "MALFORMED"),
        (OutsideFilled, {"fee": MONEY_MAX + 1}, "MALFORMED"),
        (OutsideCorrected, {"new_qty": 1}, "MALFORMED"),
        (OutsideCorrected, {"new_qty": 1, "new_price": 1, "slots": 2}, "MALFORMED"),
        (OutsideSettled, {"price": -1}, "MALFORMED"),
        (OutsideFilled, {"instrument": 9}, "UNKNOWN_INSTRUMENT"),
        (OutsideFilled, {"qty": MONEY_MAX + 1}, "QTY_TOO_LARGE"),
        (OutsideFilled, {"qty": 1 << 53, "price": 1 << 10}, "NOTIONAL_TOO_LARGE"),
        (OutsideSettled, {}, "TERMS"),
        (OutsideFilled, {"qty": MONEY_MAX - 10}, "SUPPLY"),
    ],
)
def test_a_bad_word_from_outside_is_rejected(
    abroad: World, kind: type[OutsideCommand], more: dict[str, Any], reason: str
) -> None:
    [got] = told(abroad, kind, 0, **({"price": 1, "qty": 1} | more))
    assert got.startswith(f"COMMAND_REJECTED alice {reason} ")


def test_where_we_match_nobody_else_reports(world: World) -> None:
    assert " TERMS " in told(world, OutsideFilled, 0, price=1, qty=1)[0]


@pytest.mark.parametrize("name", ["max_age_ns", "short_ppm", "clearing_ns"])
def test_what_only_we_can_do_is_not_for_outside(world: World, name: str) -> None:
    terms: dict[str, Any] = {"name": "X", "base_asset": BTC, "quote_asset": USD} | ABROAD
    terms[name] = 10**9 if name != "short_ppm" else 5
    assert " TERMS " in world.tell(CreateInstrument(**terms))[0]


def test_a_sale_of_nothing_is_still_refused_here(abroad: World) -> None:
    assert " INSUFFICIENT_POSITION " in abroad.sell(BOB, COINS + 1, 5)[0]
    assert abroad.market(SELL, BOB, COINS)[1].startswith("ORDER_ROUTE_REQUESTED bob #1 qty=1000")


def test_a_replace_that_no_cash_could_pay_is_told_with_the_most_a_word_holds(
    abroad: World,
) -> None:
    abroad.buy(ALICE, 1, CASH)
    assert abroad.replace(ALICE, 1, price=1, qty=1 << 61) == [
        "COMMAND_REJECTED alice #1 INSUFFICIENT_FUNDS price=1 qty=2305843009213693952 leaves=3"
        f" notional={(1 << 63) - 1}"
    ]
