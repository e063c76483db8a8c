"""Trades taken back and corrected (docs/engine-money.md)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CASH, COINS, MARKET_ID, USD, World
from tests.model.commands import BINARY, Withdraw
from tests.model.exchange import Exchange, PositionRow
from tests.model.state import FEES, MONEY_MAX, WORD_MAX
from tests.model.venue_commands import BustTrade, CorrectTrade, Trade


def trade_of(world: World, kind: type[Trade] = BustTrade, **more: Any) -> Any:
    """Alice bought 4 at 100 of bob (#1) as a taker (#2): fees 8 and 4."""
    if not world.order_ids:
        world.sell(BOB, 4, 100)
        world.buy(ALICE, 4, 100)
    values: dict[str, Any] = {
        "instrument": MARKET_ID,
        "price": 100,
        "qty": 4,
        "buyer": ALICE,
        "seller": BOB,
        "buyer_order": world.order_id(2),
        "seller_order": world.order_id(1),
        "buyer_fee": 8,
        "seller_fee": 4,
        "client_order_id": "14.1",
    }
    return kind(**(values | more))


def test_a_busted_trade_is_as_if_it_had_not_been(world: World) -> None:
    assert world.tell(trade_of(world, session=5)) == [
        f"TRADE_BUSTED alice #2 price=100 qty=4 leaves={COINS} cum={CASH} notional=-8 session=5"
        " id=14.1",
        f"TRADE_BUSTED bob #1 price=100 qty=4 leaves={COINS} cum={CASH} notional=-4 id=14.1 SELL",
    ]
    assert world.balance(FEES, USD) == (0, 0)
    assert world.position(ALICE) == PositionRow(0, 0, 0, 0, 4, 4)
    assert world.position(BOB) == PositionRow(0, 0, 0, 0, 4, 4)
    if isinstance(world.exchange, Exchange):
        stats = world.exchange.statistics(1)
        assert (stats.total_volume, stats.total_notional, stats.total_trades) == (0, 0, 0)
        assert (stats.volume, stats.notional, stats.trades) == (4, 400, 1)


def test_a_trade_is_taken_back_once(world: World) -> None:
    bust = trade_of(world)
    world.tell(bust)
    assert world.tell(bust) == ["COMMAND_REPEATED id=14.1"]
    assert world.tell(replace(bust, qty=3)) == [
        "COMMAND_REJECTED DUPLICATE_CLIENT_ID leaves=41 id=14.1"
    ]
    correct = trade_of(world, CorrectTrade, new_price=90, new_qty=4)
    assert " DUPLICATE_CLIENT_ID " in world.tell(correct)[0]
    assert world.balance(ALICE, USD) == (CASH, 0)


def test_a_corrected_trade_is_booked_anew_with_the_present_fees(world: World) -> None:
    assert world.tell(trade_of(world, CorrectTrade, new_price=90, new_qty=5)) == [
        f"TRADE_BUSTED alice #2 price=100 qty=4 leaves={COINS} cum={CASH} notional=-8 id=14.1",
        f"TRADE_BUSTED bob #1 price=100 qty=4 leaves={COINS} cum={CASH} notional=-4 id=14.1 SELL",
        # 450: 2 % for the taker, 4.5 rounded up for the maker.
        f"TRADE_CORRECTED alice #2 price=90 qty=5 leaves={COINS + 5} cum={CASH - 459} notional=9"
        " id=14.1",
        f"TRADE_CORRECTED bob #1 price=90 qty=5 leaves={COINS - 5} cum={CASH + 445} notional=5"
        " id=14.1 SELL",
    ]
    assert world.balance(FEES, USD) == (14, 0)
    assert world.position(ALICE).net == 5
    if isinstance(world.exchange, Exchange):
        stats = world.exchange.statistics(1)
        assert (stats.total_volume, stats.total_notional, stats.total_trades) == (5, 450, 1)


def test_rebates_of_a_correction_come_from_fees(make_world: MakeWorld) -> None:
    world = make_world(maker_ppm=-10_000, taker_ppm=20_000)
    correct = trade_of(world, CorrectTrade, seller_fee=-4, new_price=200, new_qty=4)
    assert world.balance(FEES, USD) == (4, 0)
    told = world.tell(correct)
    assert "notional=16 " in told[2]
    assert "notional=-8 " in told[3]
    assert world.balance(FEES, USD) == (8, 0)


@pytest.mark.parametrize(
    ("spent", "told"),
    [
        ((BOB, USD, CASH), "INSUFFICIENT_FUNDS leaves=41 cum=396 notional=396"),
        ((ALICE, BTC, COINS + 1), "INSUFFICIENT_POSITION leaves=41 cum=3 notional=4"),
    ],
)
def test_what_is_gone_cannot_be_given_back(
    world: World, spent: tuple[int, int, int], told: str
) -> None:
    bust = trade_of(world)
    account, asset, amount = spent
    if asset == USD:
        bust = replace(bust, seller_fee=0, buyer_fee=0, qty=4)
        world.tell(Withdraw(account=account, asset=asset, amount=amount))
        told = told.replace("notional=396", "notional=400")
    else:
        world.tell(Withdraw(account=account, asset=asset, amount=amount))
    assert world.tell(bust) == [f"COMMAND_REJECTED {told} id=14.1"]


def test_a_rejected_bust_may_be_asked_for_again(world: World) -> None:
    bust = trade_of(world)
    world.sell(ALICE, COINS + 1, 500)
    assert " INSUFFICIENT_POSITION " in world.tell(bust)[0]
    world.mass_cancel(ALICE)
    assert world.tell(bust)[0].startswith("TRADE_BUSTED")


def test_a_correction_must_be_affordable_before_anything_moves(world: World) -> None:
    correct = trade_of(world, CorrectTrade, new_price=100, new_qty=4)
    dear = replace(correct, new_price=250_000)  # 1,000,000 and 20,000.
    assert world.tell(dear) == [
        f"COMMAND_REJECTED INSUFFICIENT_FUNDS leaves=42 cum={CASH} notional=1020000 id=14.1"
    ]
    much = replace(correct, new_price=1, new_qty=COINS + 1)
    assert world.tell(much) == [
        f"COMMAND_REJECTED INSUFFICIENT_POSITION leaves=42 cum={COINS} notional={COINS + 1} id=14.1"
    ]
    assert world.balance(ALICE, USD) == (CASH - 408, 0)
    assert world.tell(correct)[3].startswith("TRADE_CORRECTED bob")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"client_order_id": ""}, "MALFORMED"),
        ({"slots": 1}, "MALFORMED"),
        ({"price": 0}, "MALFORMED"),
        ({"qty": 0}, "MALFORMED"),
        ({"qty": -1}, "MALFORMED"),
        ({"buyer": 1}, "UNKNOWN_ACCOUNT"),
        ({"seller": 99}, "UNKNOWN_ACCOUNT"),
        ({"instrument": 9}, "UNKNOWN_INSTRUMENT"),
        ({"price": MONEY_MAX}, "NOTIONAL_TOO_LARGE"),
        ({"price": 1 << 32, "qty": 1 << 31}, "NOTIONAL_TOO_LARGE"),
        ({"buyer_fee": 401}, "TERMS"),
        ({"seller_fee": -401}, "TERMS"),
        ({"buyer_fee": WORD_MAX}, "TERMS"),
        ({"seller_fee": -WORD_MAX - 1}, "TERMS"),
        ({"buyer_fee": 13}, "INSUFFICIENT_FUNDS"),  # Fees has 12.
    ],
)
def test_a_bad_bust_is_rejected(world: World, more: dict[str, Any], reason: str) -> None:
    [told] = world.tell(trade_of(world, **more))
    assert told.startswith(f"COMMAND_REJECTED {reason} leaves=41")


@pytest.mark.parametrize("more", [{"new_price": 0, "new_qty": 1}, {"new_price": 1, "new_qty": -1}])
def test_a_correction_has_a_price_and_a_quantity(world: World, more: dict[str, Any]) -> None:
    assert " MALFORMED " in world.tell(trade_of(world, CorrectTrade, **more))[0]


def test_only_spot_trades_are_taken_back(make_world: MakeWorld) -> None:
    world = make_world(instrument_type=BINARY, base_asset=0, payout=200)
    assert " TERMS " in world.tell(trade_of(world))[0]
    assert " TERMS " in make_world(risk=False).tell(trade_of(world))[0]
