"""Event contracts: YES and NO lots, pairs, settlement (docs/engine-money.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, CAROL, CASH, USD, World
from tests.model.commands import (
    BINARY,
    BUY,
    DECREMENT,
    REDUCE_ONLY,
    SELL,
    CreateInstrument,
    Withdraw,
)
from tests.model.exchange import Exchange, PositionRow
from tests.model.state import MONEY_MAX
from tests.model.venue_commands import SettleInstrument

EVENT: dict[str, Any] = {"instrument_type": BINARY, "base_asset": 0, "payout": 100}


@pytest.fixture
def paid(make_world: MakeWorld) -> World:
    """A lot pays 100 USD; makers pay 1 %, takers 2 %."""
    return make_world(**EVENT)


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(**EVENT, maker_ppm=0, taker_ppm=0)


def held(world: World, account: int) -> int:
    return world.balance(account, USD)[1]


def cash(world: World, account: int) -> int:
    """What is available beyond what the account began with."""
    return world.balance(account, USD)[0] - CASH


def opened(world: World) -> World:
    """Bob has 10 YES lots, alice 10 NO lots, at 40."""
    world.sell(ALICE, 10, 40)
    world.buy(BOB, 10, 40)
    return world


# Holds.


def test_each_side_holds_what_it_can_lose_and_its_fee(paid: World) -> None:
    assert paid.buy(ALICE, 10, 30)[0] == (
        "ORDER_ACCEPTED alice #1 price=30 qty=10 leaves=10 cum=306 notional=257 RESTS"
    )
    # 10 x 60, and 2 % of the payout of 10 lots.
    assert paid.sell(BOB, 10, 40)[0] == (
        "ORDER_ACCEPTED bob #2 price=40 qty=10 leaves=10 cum=620 notional=257 SELL RESTS"
    )
    assert paid.balance(ALICE, USD) == (CASH - 306, 306)
    assert paid.balance(BOB, USD) == (CASH - 620, 620)


def test_the_price_lies_between_nothing_and_the_payout(free: World) -> None:
    bound = "PRICE_OUT_OF_BAND price=100 qty=1 leaves=1 cum=99 notional=100"
    assert free.buy(ALICE, 1, 100) == [f"ORDER_REJECTED alice #none {bound}"]
    assert free.sell(ALICE, 1, 0) == [
        "ORDER_REJECTED alice #none PRICE_MISSING qty=1 leaves=1 SELL"
    ]
    assert " cum=99 " in free.buy(ALICE, 1, 99)[0]
    assert "cum=99 notional=100" in free.stop(BUY, ALICE, 1, 100)[0]


def test_lots_are_bounded_by_the_payout(free: World) -> None:
    most = MONEY_MAX // 100
    assert (
        f"QTY_TOO_LARGE price=1 qty={most + 1} leaves=1 cum={most}"
        in (free.buy(ALICE, most + 1, 1)[0])
    )
    assert free.buy(ALICE, most, 1)[0].split()[3] == "INSUFFICIENT_FUNDS"


def test_selling_needs_no_lots_but_cash(free: World) -> None:
    assert free.sell(ALICE, 20_001, 50) == [
        "ORDER_REJECTED alice #none INSUFFICIENT_FUNDS price=50 qty=20001 leaves=1"
        f" cum={CASH} notional=1000050 SELL"
    ]


# Fills.


def test_a_trade_between_two_that_open_puts_the_payout_aside(paid: World) -> None:
    assert paid.sell(ALICE, 10, 40)[0].endswith("SELL RESTS")
    assert paid.buy(BOB, 10, 45)[1:] == [
        "FILL bob #2 price=40 qty=10 cum=10 notional=400 fee=8",
        "FILL alice #1 price=40 qty=10 cum=10 notional=400 fee=4 SELL MAKER",
    ]
    assert paid.balance(BOB, USD) == (CASH - 408, 0)
    assert paid.balance(ALICE, USD) == (CASH - 604, 0)
    assert tuple(paid.position(BOB))[:3] == (10, 400, 0)
    assert tuple(paid.position(ALICE))[:3] == (-10, -400, 0)


def test_closing_needs_no_cash_and_brings_it(free: World) -> None:
    opened(free)
    assert free.sell(BOB, 4, 70) == [
        "ORDER_ACCEPTED bob #3 price=70 qty=4 leaves=4 notional=257 SELL RESTS"
    ]
    assert free.position(BOB).held == 4
    free.buy(ALICE, 4, 70)
    assert (cash(free, BOB), cash(free, ALICE)) == (-400 + 280, -600 + 120)
    assert (free.position(BOB).net, free.position(ALICE).net) == (6, -6)
    assert (free.position(BOB).realized, free.position(ALICE).realized) == (120, -120)


def test_an_order_reserves_lots_first_and_opens_the_rest(free: World) -> None:
    opened(free)
    free.sell(BOB, 6, 90)
    assert " cum=60 " in free.sell(BOB, 10, 90)[0]  # 4 lots, and 6 x 10.
    assert free.position(BOB).held == 10
    assert free.buy(CAROL, 16, 90)[0].startswith("ORDER_ACCEPTED")
    assert free.position(BOB).net == -6
    assert cash(free, BOB) == -400 + 10 * 90 - 60


def test_reserved_lots_and_opened_ones_of_the_other_side_may_stand_together(free: World) -> None:
    """Alice: 10 YES; a sale that reserved them at 60; one that opens 10 NO at 55."""
    free.sell(CAROL, 10, 50)
    free.buy(ALICE, 10, 50)
    free.sell(ALICE, 10, 60)
    assert " cum=450 " in free.sell(ALICE, 10, 55)[0]
    free.buy(BOB, 10, 55)
    assert (free.position(ALICE).net, free.position(ALICE).held) == (0, 10)
    assert cash(free, ALICE) == -500 - 450
    free.buy(BOB, 10, 60)
    assert (free.position(ALICE).net, free.position(ALICE).held) == (-10, 0)
    assert cash(free, ALICE) == -500 - 450 + 600


def test_lots_given_back_meet_the_others_and_become_cash(free: World) -> None:
    free.sell(CAROL, 10, 50)
    free.buy(ALICE, 10, 50)
    free.sell(ALICE, 10, 60, client_order_id="c", session=7)
    free.sell(ALICE, 10, 55)
    free.buy(BOB, 10, 55)
    assert free.cancel(ALICE, 3, session=7) == [
        "ORDER_CANCELED alice #3 CANCELED_BY_USER price=60 qty=10 leaves=10 session=7 id=c SELL",
        f"LEDGER alice price=2 qty=1000 leaves={CASH + 50} session=7 instrument=1 id=c",
    ]
    assert (free.position(ALICE).net, free.position(ALICE).held) == (0, 0)


def test_lots_that_open_against_lots_that_came_meanwhile_become_cash(free: World) -> None:
    free.buy(ALICE, 10, 40)
    assert " cum=400 " in free.sell(ALICE, 10, 60)[0]  # No lots yet: it opens.
    free.sell(CAROL, 10, 40)
    assert cash(free, ALICE) == -400 - 400  # One paid, one held.
    assert free.buy(BOB, 10, 60)[2] == (
        "FILL alice #2 price=60 qty=10 cum=10 notional=600 SELL MAKER"
    )
    assert cash(free, ALICE) == 200
    assert free.position(ALICE) == PositionRow(0, 0, 0, 200, 10, 10)


def test_an_account_that_trades_with_itself_ends_where_it_was(free: World) -> None:
    free.sell(ALICE, 10, 40)
    free.buy(ALICE, 10, 40)
    assert free.balance(ALICE, USD) == (CASH, 0)


# Fees.


def test_a_seller_that_closes_pays_from_its_fee_part(paid: World) -> None:
    opened(paid)
    # Held for the fee: 2 % of 400; the fee: 1 % of 280.
    assert " cum=8 " in paid.sell(BOB, 4, 70)[0]
    told = paid.buy(CAROL, 4, 70)
    assert told[2].endswith("fee=3 SELL MAKER")
    assert paid.balance(BOB, USD) == (CASH - 408 + 280 - 3, 0)


def test_a_market_buy_pays_for_lots_it_closes_out_of_what_they_bring(paid: World) -> None:
    paid.sell(ALICE, 10, 90)
    paid.buy(BOB, 10, 90)  # Alice: 10 NO lots, paid 100 and a fee of 9.
    paid.tell(Withdraw(account=ALICE, asset=USD, amount=CASH - 109))
    assert paid.balance(ALICE, USD) == (0, 0)
    paid.sell(CAROL, 15, 99)
    # 5 lots at 99: 5 come back, the fee would be 10 (2 % of 495): all that comes is taken.
    assert paid.market(BUY, ALICE, 5)[:2] == [
        "ORDER_ACCEPTED alice #4 qty=5 leaves=5 notional=514",
        "FILL alice #4 price=99 qty=5 cum=5 notional=495 fee=5",
    ]
    assert paid.balance(ALICE, USD) == (0, 0)
    # Of 7, five close; nothing is there for the others.
    assert paid.market(BUY, ALICE, 7)[-1] == (
        "ORDER_EXPIRED alice #5 MARKET_REMAINDER qty=2 cum=5 notional=495"
    )
    assert paid.market(BUY, ALICE, 7) == [
        "ORDER_REJECTED alice #none INSUFFICIENT_FUNDS qty=7 leaves=1 notional=1"
    ]


def test_a_market_sale_holds_the_payout_and_is_given_back_the_rest(free: World) -> None:
    free.buy(BOB, 3, 30)
    assert free.market(SELL, ALICE, 5)[0] == (
        "ORDER_ACCEPTED alice #2 qty=5 leaves=5 cum=500 notional=514 SELL"
    )
    assert free.balance(ALICE, USD) == (CASH - 210, 0)


# Changes.


def test_a_reduce_gives_opening_lots_back_first(free: World) -> None:
    opened(free)
    assert " cum=40 " in free.sell(BOB, 14, 90)[0]
    free.reduce(BOB, 3, 3)
    assert (held(free, BOB), free.position(BOB).held) == (10, 10)
    free.reduce(BOB, 3, 5)
    assert (held(free, BOB), free.position(BOB).held) == (0, 6)


def test_a_replace_reserves_anew(free: World) -> None:
    opened(free)
    free.sell(BOB, 14, 90)
    assert free.replace(BOB, 3, price=80, qty=12)[1].endswith("fee=40 SELL")
    assert (held(free, BOB), free.position(BOB).held) == (40, 10)
    assert free.replace(BOB, 3, price=10, qty=12_000) == [
        "COMMAND_REJECTED bob #3 INSUFFICIENT_FUNDS price=10 qty=12000 leaves=3"
        f" cum={CASH - 440} notional={11_990 * 90 - 40}"
    ]


def test_prevention_shrinks_lots_as_a_reduce_does(free: World) -> None:
    opened(free)
    free.sell(BOB, 14, 90)
    free.buy(BOB, 5, 90, self_trade=DECREMENT)
    assert (held(free, BOB), free.position(BOB).held) == (0, 9)


def test_reduce_only_closes_lots(free: World) -> None:
    opened(free)
    free.buy(CAROL, 20, 30)
    told = free.market(SELL, BOB, 15, flags=REDUCE_ONLY)
    assert told[-1] == "ORDER_EXPIRED bob #4 POSITION_CLOSED qty=5 cum=10 notional=300 SELL"
    assert free.balance(BOB, USD) == (CASH - 400 + 300, 0)


# Settlement.


def settle(world: World, price: int) -> list[str]:
    return world.tell(SettleInstrument(instrument=1, price=price))


def test_settlement_ends_orders_and_pays_the_pot_out(free: World) -> None:
    opened(free)
    free.buy(CAROL, 5, 20)
    assert settle(free, 30) == [
        "INSTRUMENT_SETTLED #=1 price=30 qty=2 leaves=1 cum=-1 id=BTC-USD",
        "ORDER_EXPIRED carol #3 SETTLEMENT price=20 qty=5 leaves=5",
        f"SETTLEMENT alice price=30 qty=-10 leaves={CASH + 100} cum=700",
        f"SETTLEMENT bob price=30 qty=10 leaves={CASH - 100} cum=300",
    ]
    assert free.position(ALICE).realized == 100
    assert free.position(BOB).realized == -100
    assert free.buy(ALICE, 1, 30)[0].split()[3] == "PHASE"
    if isinstance(free.exchange, Exchange):
        assert free.exchange.view.instruments[1].pot == 0


@pytest.mark.parametrize(("price", "yes", "no"), [(0, 0, 1_000), (100, 1_000, 0), (1, 10, 990)])
def test_all_of_the_payout_goes_to_one_side_or_is_shared(
    free: World, price: int, yes: int, no: int
) -> None:
    opened(free)
    settle(free, price)
    assert (cash(free, BOB), cash(free, ALICE)) == (yes - 400, no - 600)


def test_a_settlement_is_corrected_by_another(free: World) -> None:
    opened(free)
    settle(free, 30)
    assert settle(free, 30) == ["INSTRUMENT_SETTLED #=1 price=30 cum=30 id=BTC-USD"]
    assert settle(free, 80) == [
        "INSTRUMENT_SETTLED #=1 price=80 qty=2 cum=30 id=BTC-USD",
        f"SETTLEMENT alice price=80 qty=-10 leaves={CASH - 400} cum=-500",
        f"SETTLEMENT bob price=80 qty=10 leaves={CASH + 400} cum=500",
    ]
    assert (free.position(ALICE).realized, free.position(BOB).realized) == (-400, 400)
    free.tell(Withdraw(account=ALICE, asset=USD, amount=CASH - 450))
    assert settle(free, 90) == [
        "COMMAND_REJECTED alice INSUFFICIENT_FUNDS leaves=13 cum=50 notional=100"
    ]
    assert (cash(free, BOB), cash(free, ALICE)) == (400, 50 - CASH)


@pytest.mark.parametrize(
    ("price", "told"),
    [
        (-1, "MALFORMED leaves=13"),
        (101, "PRICE_OUT_OF_BAND leaves=13 cum=100 notional=101"),
        (MONEY_MAX, f"PRICE_OUT_OF_BAND leaves=13 cum=100 notional={MONEY_MAX}"),
    ],
)
def test_a_settlement_price_is_between_nothing_and_all(free: World, price: int, told: str) -> None:
    assert settle(free, price) == [f"COMMAND_REJECTED {told}"]


def test_only_event_contracts_are_settled(world: World) -> None:
    assert settle(world, 1) == ["COMMAND_REJECTED TERMS leaves=13"]
    assert world.tell(SettleInstrument(instrument=7)) == [
        "COMMAND_REJECTED UNKNOWN_INSTRUMENT leaves=13 instrument=7"
    ]


@pytest.mark.parametrize(
    ("more", "good"),
    [
        ({}, True),
        ({"payout": 2}, True),
        ({"payout": 1}, False),
        ({"payout": 0}, False),
        ({"payout": -100}, False),
        ({"tick": 3}, False),  # 100 is no multiple of 3.
        ({"tick": 5}, True),
        ({"base_asset": 2}, False),
        ({"short_ppm": 1}, False),
        ({"clearing_ns": 10**9}, False),
        ({"payout": MONEY_MAX}, True),
    ],
)
def test_terms_of_an_event_contract(world: World, more: dict[str, Any], *, good: bool) -> None:
    terms: dict[str, Any] = {"name": "RAIN", "quote_asset": USD} | EVENT | more
    [first, *_] = world.tell(CreateInstrument(**terms))
    assert first.startswith("INSTRUMENT_CREATED" if good else "COMMAND_REJECTED TERMS")
