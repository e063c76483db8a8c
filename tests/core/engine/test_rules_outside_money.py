"""Busts, corrections and contracts where orders are matched outside (docs/engine-outside.md)."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.abroad import ABROAD, told
from tests.core.engine.world import ALICE, BOB, CASH, COINS, MARKET_ID, USD, World
from tests.model.commands import (
    BINARY,
)
from tests.model.state import FEES
from tests.model.venue_commands import (
    OUTSIDE_SELL,
    OutsideBusted,
    OutsideCorrected,
    OutsideFilled,
    OutsideSettled,
    SettleInstrument,
)

CONTRACT: dict[str, Any] = {"instrument_type": BINARY, "base_asset": 0, "payout": 100}


@pytest.fixture
def abroad(make_world: MakeWorld) -> World:
    """Matched outside, without fees of ours."""
    return make_world(**ABROAD)


# Busted, corrected.


def test_a_bust_outside_gives_back_what_was_paid(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    told(abroad, OutsideFilled, price=100, qty=10, fee=7)
    assert told(abroad, OutsideBusted, price=100, qty=4, fee=3) == [
        "EXEC_RECORDED alice #1 price=100 qty=4 leaves=54 notional=3",
        f"TRADE_BUSTED alice #1 price=100 qty=4 leaves={COINS + 6} cum={CASH - 604} notional=-3",
    ]
    assert abroad.balance(FEES, USD) == (4, 0)
    assert abroad.position(ALICE).net == 6


def test_a_correction_outside_books_the_new_terms(abroad: World) -> None:
    abroad.sell(ALICE, 10, 100)
    told(abroad, OutsideFilled, price=100, qty=10)
    new: dict[str, Any] = {"new_price": 105, "new_qty": 9, "new_fee": 2}
    assert told(abroad, OutsideCorrected, price=100, qty=10, **new)[1:] == [
        f"TRADE_BUSTED alice #1 price=100 qty=10 leaves={COINS} cum={CASH} SELL",
        f"TRADE_CORRECTED alice #1 price=105 qty=9 leaves={COINS - 9} cum={CASH + 943}"
        " notional=2 SELL",
    ]


def test_what_was_spent_since_is_a_debt(abroad: World) -> None:
    abroad.sell(ALICE, 10, 100)
    told(abroad, OutsideFilled, price=100, qty=10)
    abroad.buy(ALICE, 10_005, 100)  # 500 are left.
    assert told(abroad, OutsideBusted, price=100, qty=10)[1:] == [
        f"TRADE_BUSTED alice #1 price=100 qty=10 leaves={COINS} SELL",
        f"LEDGER outside price=54 qty=-500 leaves={-3 * CASH - 500} instrument=1",
    ]


# Event contracts outside.


def test_lots_of_a_contract_are_opened_against_the_outside(make_world: MakeWorld) -> None:
    world = make_world(**ABROAD, **CONTRACT)
    world.buy(ALICE, 10, 40)
    told(world, OutsideFilled, price=35, qty=10)
    assert world.balance(ALICE, USD) == (CASH - 350, 0)
    world.sell(ALICE, 4, 60)
    told(world, OutsideFilled, 2, price=60, qty=4)
    assert world.balance(ALICE, USD) == (CASH - 350 + 240, 0)
    world.buy(ALICE, 1, 5)
    assert told(world, OutsideSettled, 0, price=100)[1:] == [
        "ORDER_EXPIRED alice #3 SETTLEMENT price=5 qty=1",
        f"SETTLEMENT alice price=100 qty=6 leaves={CASH - 350 + 240 + 600} cum=600",
    ]
    assert told(world, OutsideSettled, 0, price=100)[0].endswith("price=100 leaves=56 cum=5")


def test_one_account_is_settled_while_another_is_not(make_world: MakeWorld) -> None:
    world = make_world(**ABROAD, **CONTRACT)
    for account, side in ((ALICE, 0), (BOB, OUTSIDE_SELL)):
        told(world, OutsideFilled, 0, account=account, flags=side, price=40, qty=10)
    told(world, OutsideSettled, 0, price=90)
    assert world.balance(ALICE, USD) == (CASH - 400 + 900, 0)
    assert world.tell(SettleInstrument(instrument=MARKET_ID, price=90))[0].startswith(
        "INSTRUMENT_SETTLED #=1 price=90 qty=2"
    )
    assert world.balance(BOB, USD) == (CASH - 600 + 100, 0)
