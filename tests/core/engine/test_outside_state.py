"""Orders that are matched outside, as queries show them and as a state keeps them."""

from pathlib import Path
from typing import Any

import pytest

from core import messages
from core.journal.place import Place
from core.journal.recovery import Known
from core.limits import genesis
from core.messages import POSITION_ITEM
from core.sequencer import invariants, snapshot
from tests.core.engine.abroad import ABROAD, told
from tests.core.engine.world import ALICE, BOB, BTC, CASH, COINS, MARKET_ID, USD, World
from tests.driver import ID_KEY, EngineDriver, limits_of
from tests.model.commands import BINARY
from tests.model.venue_commands import (
    OUTSIDE_SELL,
    OutsideAcknowledged,
    OutsideFilled,
    OutsideRejected,
)


@pytest.fixture
def abroad() -> World:
    return World(EngineDriver(), **ABROAD)


def item_of(world: World, account: int) -> Any:
    """The one position of an account as a query shows it."""
    driver: EngineDriver = world.exchange
    replies = driver.query(messages.QUERY_POSITIONS, account=account)
    [item] = driver._items(replies, POSITION_ITEM)
    return item


def test_an_order_is_shown_routed_until_it_is_acknowledged(abroad: World) -> None:
    abroad.buy(ALICE, 10, 100)
    driver: EngineDriver = abroad.exchange
    [row] = driver.open_orders(ALICE)
    assert (row.status, row.hold) == (messages.STATUS_ROUTED, 1_000)
    told(abroad, OutsideAcknowledged)
    abroad.replace(ALICE, 1, qty=15)
    [row] = driver.open_orders(ALICE)
    assert (row.status, row.leaves, row.hold) == (messages.STATUS_OPEN, 10, 1_500)


def test_a_position_shows_what_its_account_owes(abroad: World) -> None:
    abroad.buy(ALICE, 9_999, 100)  # 100 are left.
    told(abroad, OutsideFilled, 0, price=50, qty=3)
    told(abroad, OutsideFilled, 0, price=1, qty=COINS + 13, flags=OUTSIDE_SELL)
    item = item_of(abroad, ALICE)
    assert (int(item["debt"]), int(item["debt_base"])) == (50, 10)
    assert int(item["net"]) == -1_010


def test_a_debt_stands_beside_money_that_comes_later(abroad: World) -> None:
    told(abroad, OutsideFilled, 0, account=BOB, price=CASH, qty=2)
    told(abroad, OutsideFilled, 0, account=BOB, price=5, qty=2, flags=OUTSIDE_SELL)
    assert abroad.balance(BOB, USD) == (10, 0)
    assert int(item_of(abroad, BOB)["debt"]) == CASH


def reload(world: World, tmp_path: Path) -> None:
    """Go on with the state out of a snapshot."""
    driver: EngineDriver = world.exchange
    known = Known(genesis(limits_of(driver.sizes), ID_KEY), 2, bytes(16), world.sequence + 1)
    place = Place(1, 4_096, 1, world.sequence, (0, 0))
    state = driver.runner.state
    loaded = snapshot.load(snapshot.write(tmp_path, bytes(16), state, place, known)).state
    assert loaded.hash() == state.hash()
    invariants.check(loaded)
    driver.runner.ring.attach(loaded)
    driver.runner.state = loaded
    driver.runner._seen = 0


def test_what_was_asked_and_said_is_known_in_a_state_that_was_loaded(
    abroad: World, tmp_path: Path
) -> None:
    abroad.buy(ALICE, 10, 100)
    told(abroad, OutsideFilled, price=100, qty=1, reference="f" * 64)
    abroad.replace(ALICE, 1, price=120)
    reload(abroad, tmp_path)
    assert told(abroad, OutsideFilled, price=100, qty=1, reference="f" * 64) == [
        "COMMAND_REPEATED alice"
    ]
    assert abroad.cancel(ALICE, 1) == ["COMMAND_REJECTED alice #1 TOO_LATE leaves=2"]
    told(abroad, OutsideRejected)
    assert abroad.balance(ALICE, USD) == (CASH - 1_000, 900)
    assert abroad.cancel(ALICE, 1)[1].endswith("leaves=2 cum=3")


def test_executions_that_differ_in_one_character_are_two(abroad: World) -> None:
    """Exec id and source are longer than the text that the table of ids keeps of them."""
    for place in range(64):
        name = "e" * place + "X" + "e" * (63 - place)
        assert len(told(abroad, OutsideFilled, 0, price=1, qty=1, reference=name)) == 1, place
    for place in range(36):
        name = "s" * place + "X" + "s" * (35 - place)
        told(abroad, OutsideFilled, 0, price=1, qty=1, source=name, reference="same")
    told(abroad, OutsideFilled, 0, price=1, qty=1, source="a", reference="bc")
    told(abroad, OutsideFilled, 0, price=1, qty=1, source="ab", reference="c")
    assert abroad.position(ALICE).net == 64 + 36 + 2
    assert abroad.balance(ALICE, BTC) == (COINS + 102, 0)


def test_a_broken_hold_of_a_routed_order_is_found() -> None:
    terms: dict[str, Any] = {"instrument_type": BINARY, "base_asset": 0, "payout": 100}
    world = World(EngineDriver(), **ABROAD, **terms)
    world.buy(ALICE, 10, 40)
    driver: EngineDriver = world.exchange
    state = driver.runner.state
    for table, name in (("cold", "hold_fee"), ("cold", "hold_lots"), ("instruments", "pot")):
        rows = state.rows_at(table, 2)
        rows[name][1] += 1
        with pytest.raises(AssertionError):
            driver.check()
        rows[name][1] -= 1
    rows = state.rows_at("instruments", MARKET_ID + 1)
    rows["open_orders"][MARKET_ID] += 1
    with pytest.raises(AssertionError, match="routed orders are miscounted"):
        driver.check()
    rows["open_orders"][MARKET_ID] -= 1
    driver.check()
