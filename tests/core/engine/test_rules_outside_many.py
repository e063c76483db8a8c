"""What ends many orders asks for the end of those that are matched outside, each once."""

from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.abroad import ABROAD, told
from tests.core.engine.world import ALICE, BOB, CASH, MARKET_ID, SECOND, USD, World
from tests.model.commands import BINARY, DELISTED, CreateInstrument, DeadMan
from tests.model.state import Sizes
from tests.model.venue_commands import (
    CANCEL_ON_DISCONNECT,
    CANCEL_OPEN,
    CHANGE_PHASE,
    OutsideAcknowledged,
    OutsideCanceled,
    OutsideFilled,
    SessionClosed,
    SessionOpened,
    SettleInstrument,
    UpdateAccount,
)

S1 = 1 << 24 | 1


@pytest.fixture
def abroad(make_world: MakeWorld) -> World:
    """Matched outside, without fees of ours."""
    return make_world(**ABROAD)


def test_a_session_that_ends_asks_for_the_end_of_its_orders(abroad: World) -> None:
    abroad.tell(SessionOpened(session=S1, account=ALICE, flags=CANCEL_ON_DISCONNECT))
    abroad.buy(ALICE, 1, 100, session=S1)
    abroad.buy(ALICE, 2, 100, session=S1)
    abroad.cancel(ALICE, 1)
    [ended, asked] = abroad.tell(SessionClosed(session=S1))
    assert ended.endswith(f"leaves=1 session={S1}")
    assert asked.startswith("ORDER_ROUTE_REQUESTED alice #2 price=100 qty=2 leaves=2 cum=2")


def test_a_dead_man_asks_and_the_hold_stays_until_the_answer(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    abroad.tell(DeadMan(account=ALICE, timeout_ns=SECOND))
    [asked, passed] = abroad.time(abroad.now_ns + 2 * SECOND)
    assert asked == "ORDER_ROUTE_REQUESTED alice #1 price=100 qty=10 leaves=2 cum=2"
    assert passed == "TIME_PASSED qty=1"
    assert abroad.balance(ALICE, USD) == (CASH - 1_000, 1_000)
    told(abroad, OutsideCanceled)
    assert abroad.balance(ALICE, USD) == (CASH, 0)


def test_an_account_is_emptied_by_asking(abroad: World) -> None:
    abroad.buy(ALICE, 1, 100)
    abroad.buy(ALICE, 2, 100)
    abroad.cancel(ALICE, 2)
    assert abroad.tell(UpdateAccount(account=ALICE, flags=CANCEL_OPEN)) == [
        "ACCOUNT_UPDATED alice #=3 qty=1 cum=1 id=alice",
        "ORDER_ROUTE_REQUESTED alice #1 price=100 qty=1 leaves=2 cum=2",
    ]


def test_a_delisted_instrument_asks_for_the_end_of_all(abroad: World) -> None:
    abroad.buy(ALICE, 1, 100)
    abroad.sell(BOB, 1, 100)
    lines = abroad.update(CHANGE_PHASE, phase=DELISTED)
    assert "cum=2" in lines[0]
    assert [line.split()[:3] for line in lines[2:]] == [
        ["ORDER_ROUTE_REQUESTED", "alice", "#1"],
        ["ORDER_ROUTE_REQUESTED", "bob", "#2"],
    ]
    assert told(abroad, OutsideFilled, price=100, qty=1)[1].startswith("FILL alice #1")


def test_a_settled_contract_ends_orders_that_are_still_outside(make_world: MakeWorld) -> None:
    terms: dict[str, Any] = {"instrument_type": BINARY, "base_asset": 0, "payout": 100}
    world = make_world(**ABROAD, **terms)
    world.buy(ALICE, 10, 40)
    told(world, OutsideAcknowledged)
    world.cancel(ALICE, 1)
    lines = world.tell(SettleInstrument(instrument=MARKET_ID, price=50))
    assert lines[1] == "ORDER_EXPIRED alice #1 SETTLEMENT price=40 qty=10"
    assert told(world, OutsideFilled, price=40, qty=10)[0].endswith("leaves=51 cum=2")
    assert world.balance(ALICE, USD) == (CASH - 400, 0)


def test_an_instrument_that_is_matched_outside_needs_a_position_for_it(
    make_world: MakeWorld,
) -> None:
    world = make_world(sizes=Sizes(positions_max=1), **ABROAD)
    assert " CAPACITY " in world.buy(ALICE, 1, 100)[0]
    more: dict[str, Any] = {"name": "X", "base_asset": 2, "quote_asset": 1} | ABROAD
    assert " CAPACITY " in world.tell(CreateInstrument(**more))[0]


def test_two_orders_that_meet_trade_here_and_are_both_routed_outside(
    make_world: MakeWorld,
) -> None:
    here, outside = make_world(), make_world(**ABROAD)
    for world, after in ((here, "FILL"), (outside, "ORDER_ROUTE_REQUESTED")):
        world.sell(ALICE, 1, 19)
        assert world.buy(BOB, 1, 19)[1].startswith(f"{after} bob #2")
    assert here.position(BOB).net == 1
    assert outside.balance(BOB, USD) == (CASH - 19, 19)
