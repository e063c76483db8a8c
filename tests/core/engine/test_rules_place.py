"""Placing and matching, rule by rule (docs/engine.md, PLACE_ORDER); twin and engine alike."""

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, CASH, COINS, USD, World
from tests.model.commands import (
    BUY,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    SELL,
    CreateInstrument,
)
from tests.model.exchange import PositionRow
from tests.model.state import MONEY_MAX, PRICE_MAX, Sizes

FEES = 1


def test_an_order_that_does_not_cross_rests_and_holds_price_and_fee(world: World) -> None:
    assert world.buy(ALICE, 10, 100, client_order_id="a1", session=7) == [
        "ORDER_ACCEPTED alice #1 price=100 qty=10 leaves=10 cum=1020 notional=257 session=7 id=a1"
        " RESTS"
    ]
    assert world.balance(ALICE, USD) == (CASH - 1020, 1020)
    assert world.sell(BOB, 10, 101) == [
        "ORDER_ACCEPTED bob #2 price=101 qty=10 leaves=10 cum=10 notional=257 SELL RESTS"
    ]
    assert world.balance(BOB, BTC) == (COINS - 10, 10)


def test_the_hold_of_a_buy_rounds_the_fee_up(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=1, taker_ppm=0)
    assert world.buy(ALICE, 1, 100)[0].startswith(
        "ORDER_ACCEPTED alice #1 price=100 qty=1 leaves=1 cum=101"
    )
    world = make_world(maker_ppm=-5, taker_ppm=-7)
    assert world.buy(ALICE, 1, 100)[0].startswith(
        "ORDER_ACCEPTED alice #1 price=100 qty=1 leaves=1 cum=100"
    )


def test_better_price_fills_first_then_the_older_order_at_the_makers_price(world: World) -> None:
    world.sell(BOB, 5, 101)
    world.sell(BOB, 5, 100)
    world.sell(CAROL, 5, 100)
    assert world.buy(ALICE, 12, 101) == [
        "ORDER_ACCEPTED alice #4 price=101 qty=12 leaves=12 cum=1237 notional=257",
        "FILL alice #4 price=100 qty=5 leaves=7 cum=5 notional=500 fee=10",
        "FILL bob #2 price=100 qty=5 cum=5 notional=500 fee=5 SELL MAKER",
        "FILL alice #4 price=100 qty=5 leaves=2 cum=10 notional=1000 fee=10",
        "FILL carol #3 price=100 qty=5 cum=5 notional=500 fee=5 SELL MAKER",
        "FILL alice #4 price=101 qty=2 cum=12 notional=1202 fee=5",
        "FILL bob #1 price=101 qty=2 leaves=3 cum=2 notional=202 fee=3 SELL MAKER",
    ]
    assert world.balance(ALICE, USD) == (CASH - 1202 - 25, 0)
    assert world.balance(ALICE, BTC) == (COINS + 12, 0)
    assert world.balance(BOB, USD) == (CASH + 702 - 8, 0)
    assert world.balance(BOB, BTC) == (COINS - 10, 3)
    assert world.balance(FEES, USD) == (38, 0)


def test_a_sell_takes_the_highest_bid_first(world: World) -> None:
    world.buy(ALICE, 2, 99)
    world.buy(BOB, 2, 101)
    assert world.sell(CAROL, 3, 99) == [
        "ORDER_ACCEPTED carol #3 price=99 qty=3 leaves=3 cum=3 notional=257 SELL",
        "FILL carol #3 price=101 qty=2 leaves=1 cum=2 notional=202 fee=5 SELL",
        "FILL bob #2 price=101 qty=2 cum=2 notional=202 fee=3 MAKER",
        "FILL carol #3 price=99 qty=1 cum=3 notional=301 fee=2 SELL",
        "FILL alice #1 price=99 qty=1 leaves=1 cum=1 notional=99 fee=1 MAKER",
    ]
    assert world.balance(ALICE, USD) == (CASH - 99 - 1 - 101, 99 + 2)


def test_what_is_left_of_a_limit_order_rests_with_its_shrunken_hold(world: World) -> None:
    world.sell(BOB, 4, 100)
    assert world.buy(ALICE, 10, 102) == [
        "ORDER_ACCEPTED alice #2 price=102 qty=10 leaves=10 cum=1041 notional=257",
        "FILL alice #2 price=100 qty=4 leaves=6 cum=4 notional=400 fee=8",
        "FILL bob #1 price=100 qty=4 cum=4 notional=400 fee=4 SELL MAKER",
        "ORDER_RESTED alice #2 price=102 qty=6 leaves=6 cum=4 notional=400 fee=625",
    ]
    # 6 x 102 and up(2 %) of it stay held; the better price of the fill came back.
    assert world.balance(ALICE, USD) == (CASH - 400 - 8 - 625, 625)


def test_the_fee_of_a_buy_never_exceeds_the_fee_part_of_its_hold(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=100_000, taker_ppm=0)
    world.buy(ALICE, 3, 1)  # Holds 3 + 1 of fee; three fills of 1 would round up to 3.
    assert world.balance(ALICE, USD) == (CASH - 4, 4)
    fees = [world.sell(BOB, 1, 1)[2] for _ in range(3)]
    assert fees == [
        "FILL alice #1 price=1 qty=1 leaves=2 cum=1 notional=1 fee=1 MAKER",
        "FILL alice #1 price=1 qty=1 leaves=1 cum=2 notional=2 MAKER",
        "FILL alice #1 price=1 qty=1 cum=3 notional=3 MAKER",
    ]
    assert world.balance(ALICE, USD) == (CASH - 4, 0)


def test_an_ioc_order_fills_what_it_can_and_the_rest_expires(world: World) -> None:
    world.sell(BOB, 5, 100)
    assert world.buy(ALICE, 7, 100, time_in_force=IOC) == [
        "ORDER_ACCEPTED alice #2 price=100 qty=7 leaves=7 cum=714 notional=513",
        "FILL alice #2 price=100 qty=5 leaves=2 cum=5 notional=500 fee=10",
        "FILL bob #1 price=100 qty=5 cum=5 notional=500 fee=5 SELL MAKER",
        "ORDER_EXPIRED alice #2 IOC_REMAINDER price=100 qty=2 cum=5 notional=500",
    ]
    assert world.buy(ALICE, 7, 100, time_in_force=IOC) == [
        "ORDER_ACCEPTED alice #3 price=100 qty=7 leaves=7 cum=714 notional=513",
        "ORDER_EXPIRED alice #3 IOC_REMAINDER price=100 qty=7",
    ]
    assert world.balance(ALICE, USD) == (CASH - 510, 0)


def test_an_ioc_order_that_fills_ends_filled(world: World) -> None:
    world.sell(BOB, 5, 100)
    assert world.buy(ALICE, 5, 100, time_in_force=IOC)[-1] == (
        "FILL bob #1 price=100 qty=5 cum=5 notional=500 fee=5 SELL MAKER"
    )


def test_a_market_buy_holds_all_cash_and_is_cut_to_what_it_can_pay(world: World) -> None:
    world.sell(BOB, 900, 1_000)
    world.sell(CAROL, 900, 1_000)
    assert world.market(BUY, ALICE, 1_000) == [
        "ORDER_ACCEPTED alice #3 qty=1000 leaves=1000 cum=1000000 notional=514",
        "FILL alice #3 price=1000 qty=900 leaves=100 cum=900 notional=900000 fee=18000",
        "FILL bob #1 price=1000 qty=900 cum=900 notional=900000 fee=9000 SELL MAKER",
        "FILL alice #3 price=1000 qty=80 leaves=20 cum=980 notional=980000 fee=1600",
        "FILL carol #2 price=1000 qty=80 leaves=820 cum=80 notional=80000 fee=800 SELL MAKER",
        "ORDER_EXPIRED alice #3 MARKET_REMAINDER qty=20 cum=980 notional=980000",
    ]
    assert world.balance(ALICE, USD) == (400, 0)
    assert world.market(BUY, ALICE, 1) == [
        "ORDER_ACCEPTED alice #4 qty=1 leaves=1 cum=400 notional=514",
        "ORDER_EXPIRED alice #4 MARKET_REMAINDER qty=1",
    ]


def test_a_market_buy_that_fills_gives_back_the_rest_of_its_hold(world: World) -> None:
    world.sell(BOB, 5, 100)
    assert world.market(BUY, ALICE, 5)[1:] == [
        "FILL alice #2 price=100 qty=5 cum=5 notional=500 fee=10",
        "FILL bob #1 price=100 qty=5 cum=5 notional=500 fee=5 SELL MAKER",
    ]
    assert world.balance(ALICE, USD) == (CASH - 510, 0)


def test_a_market_sell_sweeps_and_the_rest_expires(world: World) -> None:
    world.buy(BOB, 5, 100)
    assert world.market(SELL, ALICE, 7) == [
        "ORDER_ACCEPTED alice #2 qty=7 leaves=7 cum=7 notional=514 SELL",
        "FILL alice #2 price=100 qty=5 leaves=2 cum=5 notional=500 fee=10 SELL",
        "FILL bob #1 price=100 qty=5 cum=5 notional=500 fee=5 MAKER",
        "ORDER_EXPIRED alice #2 MARKET_REMAINDER qty=2 cum=5 notional=500 SELL",
    ]
    assert world.balance(ALICE, BTC) == (COINS - 5, 0)
    assert world.balance(ALICE, USD) == (CASH + 490, 0)


def test_an_account_may_trade_with_itself(world: World) -> None:
    world.sell(ALICE, 5, 100)
    assert world.buy(ALICE, 5, 100) == [
        "ORDER_ACCEPTED alice #2 price=100 qty=5 leaves=5 cum=510 notional=257",
        "FILL alice #2 price=100 qty=5 cum=5 notional=500 fee=10",
        "FILL alice #1 price=100 qty=5 cum=5 notional=500 fee=5 SELL MAKER",
    ]
    assert world.balance(ALICE, USD) == (CASH - 15, 0)
    assert world.balance(ALICE, BTC) == (COINS, 0)


def test_a_rebate_is_paid_out_of_the_fee_of_the_other_side(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=-10_000)
    world.sell(BOB, 5, 100)
    assert world.buy(ALICE, 5, 100)[1:] == [
        "FILL alice #2 price=100 qty=5 cum=5 notional=500 fee=10",
        "FILL bob #1 price=100 qty=5 cum=5 notional=500 fee=-5 SELL MAKER",
    ]
    assert world.balance(BOB, USD) == (CASH + 505, 0)
    assert world.balance(FEES, USD) == (5, 0)


def test_a_rebate_ends_where_the_fees_account_is_empty(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=10_000, taker_ppm=-15_000)
    world.sell(BOB, 5, 100)
    assert world.buy(ALICE, 5, 100) == [
        "ORDER_ACCEPTED alice #2 price=100 qty=5 leaves=5 cum=505 notional=257",
        "FILL alice #2 price=100 qty=5 cum=5 notional=500 fee=-5",
        "FILL bob #1 price=100 qty=5 cum=5 notional=500 fee=5 SELL MAKER",
    ]
    assert world.balance(FEES, USD) == (0, 0)
    assert world.balance(ALICE, USD) == (CASH - 495, 0)


def test_with_two_rebates_the_taker_is_served_first(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=-5_000, taker_ppm=-10_000)
    world.sell(BOB, 5, 100)
    assert world.buy(ALICE, 5, 100)[1:] == [
        "FILL alice #2 price=100 qty=5 cum=5 notional=500",
        "FILL bob #1 price=100 qty=5 cum=5 notional=500 SELL MAKER",
    ]
    other = CreateInstrument(name="X", base_asset=BTC, quote_asset=USD, taker_ppm=12_000)
    world.do(other)
    world.sell(BOB, 5, 100, instrument=2)
    world.buy(ALICE, 5, 100, instrument=2)
    assert world.balance(FEES, USD) == (6, 0)
    world.sell(BOB, 5, 100)
    assert world.buy(ALICE, 5, 100)[1:] == [
        "FILL alice #6 price=100 qty=5 cum=5 notional=500 fee=-5",
        "FILL bob #5 price=100 qty=5 cum=5 notional=500 fee=-1 SELL MAKER",
    ]


def test_a_rebate_to_a_market_buy_becomes_available(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=20_000, taker_ppm=-10_000)
    world.sell(BOB, 5, 100)
    assert world.market(BUY, ALICE, 5)[1:] == [
        "FILL alice #2 price=100 qty=5 cum=5 notional=500 fee=-5",
        "FILL bob #1 price=100 qty=5 cum=5 notional=500 fee=10 SELL MAKER",
    ]
    assert world.balance(ALICE, USD) == (CASH - 495, 0)
    assert world.balance(FEES, USD) == (5, 0)


def test_a_position_remembers_average_cost_and_realized_profit(world: World) -> None:
    world.sell(BOB, 10, 100)
    world.sell(BOB, 5, 130)
    world.buy(ALICE, 10, 100)
    world.buy(ALICE, 5, 130)
    assert world.position(ALICE) == PositionRow(15, 1650, 0, 0, 15, 0)
    assert world.position(BOB) == PositionRow(-15, -1650, 0, 0, 0, 15)
    world.buy(CAROL, 4, 120)
    world.sell(ALICE, 4, 120)
    assert world.position(ALICE) == PositionRow(11, 1210, 0, 40, 15, 4)
    world.buy(CAROL, 20, 90)
    world.sell(ALICE, 13, 90)
    # 11 close at 990 against a cost of 1210; 2 open a short at 180.
    assert world.position(ALICE) == PositionRow(-2, -180, 0, 40 - 220, 15, 17)
    world.sell(CAROL, 6, 80)
    world.buy(BOB, 16, 80)
    assert world.position(ALICE).held == 0
    assert world.position(CAROL).net == 4 + 13 + 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"side": 0}, "MALFORMED price=5 qty=2 leaves=1"),
        ({"side": 3}, "MALFORMED price=5 qty=2 leaves=1"),
        ({"order_type": 6}, "MALFORMED price=5 qty=2 leaves=1"),
        ({"time_in_force": 0}, "MALFORMED price=5 qty=2 leaves=1"),
        ({"self_trade": 5}, "MALFORMED price=5 qty=2 leaves=1"),
        ({"price": -1}, "MALFORMED price=-1 qty=2 leaves=1"),
        ({"qty": -2}, "MALFORMED price=5 qty=-2 leaves=1"),
        ({"order_type": MARKET}, "MALFORMED price=5 qty=2 leaves=1"),
        ({"instrument": 2}, "UNKNOWN_INSTRUMENT price=5 qty=2 leaves=1 instrument=2"),
        ({"price": 0}, "PRICE_MISSING qty=2 leaves=1"),
        (
            {"order_type": MARKET, "time_in_force": IOC},
            "PRICE_NOT_ALLOWED price=5 qty=2 leaves=1",
        ),
        (
            {"price": PRICE_MAX + 1},
            f"PRICE_OUT_OF_BAND price={PRICE_MAX + 1} qty=2 leaves=1 cum={PRICE_MAX}"
            f" notional={PRICE_MAX + 1}",
        ),
        ({"qty": 0}, "QTY_TOO_SMALL price=5 leaves=1 cum=1"),
        (
            {"qty": MONEY_MAX + 1},
            f"QTY_TOO_LARGE price=5 qty={MONEY_MAX + 1} leaves=1 cum={MONEY_MAX}"
            f" notional={MONEY_MAX + 1}",
        ),
        (
            {"qty": MONEY_MAX // 5 + 1},
            f"NOTIONAL_TOO_LARGE price=5 qty={MONEY_MAX // 5 + 1} leaves=1 cum={MONEY_MAX}",
        ),
        (
            {"qty": 200_000},
            "INSUFFICIENT_FUNDS price=5 qty=200000 leaves=1 cum=1000000 notional=1020000",
        ),
    ],
)
def test_a_bad_order_is_rejected_with_what_was_asked(
    world: World, more: dict[str, int], told: str
) -> None:
    values = {"price": 5, "qty": 2, "order_type": LIMIT, "time_in_force": GTC} | more
    qty, price = values.pop("qty"), values.pop("price")
    assert world.buy(ALICE, qty, price, **values) == [f"ORDER_REJECTED alice #none {told}"]
    assert world.balance(ALICE, USD) == (CASH, 0)


def test_a_rejected_sell_says_that_it_sells(world: World) -> None:
    assert world.sell(ALICE, 1_001, 5, client_order_id="s", session=9) == [
        "ORDER_REJECTED alice #none INSUFFICIENT_POSITION price=5 qty=1001 leaves=1 cum=1000"
        " notional=1001 session=9 id=s SELL"
    ]


def test_a_market_buy_without_cash_is_rejected(world: World) -> None:
    world.buy(ALICE, 980_392, 1)  # Holds 980,392 + 19,608.
    assert world.balance(ALICE, USD) == (0, 1_000_000)
    assert world.market(BUY, ALICE, 1) == [
        "ORDER_REJECTED alice #none INSUFFICIENT_FUNDS qty=1 leaves=1 notional=1"
    ]


def test_quantity_and_notional_have_limits_by_instrument(make_world: MakeWorld) -> None:
    world = make_world(qty_min=3, qty_max=50, notional_min=20, notional_max=400)
    reject = "ORDER_REJECTED alice #none"
    assert world.buy(ALICE, 2, 5) == [
        f"{reject} QTY_TOO_SMALL price=5 qty=2 leaves=1 cum=3 notional=2"
    ]
    assert world.buy(ALICE, 51, 5) == [
        f"{reject} QTY_TOO_LARGE price=5 qty=51 leaves=1 cum=50 notional=51"
    ]
    assert world.buy(ALICE, 3, 5) == [
        f"{reject} NOTIONAL_TOO_SMALL price=5 qty=3 leaves=1 cum=20 notional=15"
    ]
    assert world.buy(ALICE, 50, 9) == [
        f"{reject} NOTIONAL_TOO_LARGE price=9 qty=50 leaves=1 cum=400 notional=450"
    ]
    assert world.buy(ALICE, 4, 5)[0].startswith("ORDER_ACCEPTED")
    assert world.market(SELL, BOB, 2)[0].startswith("ORDER_REJECTED bob #none QTY_TOO_SMALL")
    assert world.market(SELL, BOB, 3)[0].startswith("ORDER_ACCEPTED")


def test_no_more_open_orders_than_the_limit(make_world: MakeWorld) -> None:
    world = make_world(Sizes(orders_max=2))
    world.buy(ALICE, 1, 10)
    world.buy(BOB, 1, 11)
    assert world.buy(CAROL, 1, 12) == [
        "ORDER_REJECTED carol #none CAPACITY price=12 qty=1 leaves=1 cum=2 notional=2"
    ]
    world.cancel(ALICE, 1)
    assert world.buy(CAROL, 1, 12)[0].startswith("ORDER_ACCEPTED carol #3")


def test_slots_rise_then_the_one_freed_last_is_used_first(make_world: MakeWorld) -> None:
    world = make_world(Sizes(orders_max=3, closed_keep=1))
    for _ in range(3):
        world.buy(ALICE, 1, 10)
    world.mass_cancel(ALICE)  # Slots 1 and 2 lose their rows, in this order; 3 is kept.
    for _ in range(3):
        world.buy(ALICE, 1, 10)
    slots = [order_id & 0x3FFFFF for order_id in world.order_ids]
    assert slots == [1, 2, 3, 2, 1, 4]


def test_without_risk_nothing_is_held_and_nothing_moves(make_world: MakeWorld) -> None:
    world = make_world(risk=False)
    world.sell(BOB, 5_000, 100)
    assert world.buy(ALICE, 50_000, 100) == [
        "ORDER_ACCEPTED alice #2 price=100 qty=50000 leaves=50000 notional=257",
        "FILL alice #2 price=100 qty=5000 leaves=45000 cum=5000 notional=500000",
        "FILL bob #1 price=100 qty=5000 cum=5000 notional=500000 SELL MAKER",
        "ORDER_RESTED alice #2 price=100 qty=45000 leaves=45000 cum=5000 notional=500000",
    ]
    assert world.market(BUY, ALICE, 3) == [
        "ORDER_ACCEPTED alice #3 qty=3 leaves=3 notional=514",
        "ORDER_EXPIRED alice #3 MARKET_REMAINDER qty=3",
    ]
    assert world.balance(ALICE, USD) == (CASH, 0)
