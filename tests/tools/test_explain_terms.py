"""`explain` and `account` over orders that are more than plain, and commands that are no orders."""

import re
from pathlib import Path
from typing import Final

import pytest

from replay.explain import explain
from replay.history import History
from tests.model.commands import (
    BUY,
    SELL,
    STOP,
    Command,
    CreateInstrument,
    PlaceOrder,
    Transfer,
)
from tests.model.venue_commands import (
    BustTrade,
    KillSwitch,
    SettleInstrument,
    UpdateAccount,
    UpdateInstrument,
)
from tests.replay.live import Live
from tests.replay.market import ALICE, BOB, order, setting_up
from tools import states
from tools.explain import tell

BINARY: Final = 2
EVENT: Final = CreateInstrument(
    name="EVENT", instrument_type=2, base_asset=0, quote_asset=1, tick_scale=2, payout=1_000_000
)


def stop(account: int, name: str, side: int, qty: int, stop_price: int, **more: int) -> PlaceOrder:
    terms = {"order_type": STOP, "slots": 2, "stop_price": stop_price, "price": 0}
    return order(account, name, side, qty, **(terms | more))


def on_event(account: int, name: str, side: int, qty: int, price: int) -> PlaceOrder:
    return order(account, name, side, qty, price, instrument=BINARY)


COMMANDS: Final[tuple[Command, ...]] = (
    EVENT,  # 10
    order(BOB, "b-1", SELL, 5_000, 10_000, display_qty=1_000),
    order(ALICE, "a-1", BUY, 1_500, 10_000),  # Eats what is shown, and half of what comes next.
    stop(ALICE, "a-2", BUY, 200, 10_100, max_cost=10**9),
    stop(BOB, "b-2", BUY, 100, 10_500),
    order(BOB, "b-3", SELL, 300, 10_100),  # 15
    order(ALICE, "a-3", BUY, 3_600, 10_100, self_trade=1),  # To the price of the stop.
    Transfer(account=ALICE, counter_account=BOB, asset=1, amount=10**6, client_order_id="t-1"),
    on_event(ALICE, "y-1", BUY, 10, 40),
    on_event(BOB, "n-1", SELL, 4, 40),
    UpdateAccount(account=BOB, changes=1, status=2),  # 20
    UpdateInstrument(instrument=1, changes=1, phase=4),
    SettleInstrument(instrument=BINARY, price=100),
    KillSwitch(account=0, is_on=1),
    BustTrade(
        client_order_id="12.1",
        instrument=1,
        price=10_000,
        qty=1_000,
        buyer=ALICE,
        seller=BOB,
        buyer_order=12 << 22 | 2,
        seller_order=11 << 22 | 1,
    ),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("venue") / "data"
    live = Live(path)
    live.send([*setting_up(), *COMMANDS])
    live.close()
    return path


def lines(data: Path, wanted: str) -> list[str]:
    """The lines of `explain` without times and without what stands before each."""
    found = tell(explain(data, wanted)).lines
    return [re.sub(r"\(\S+Z, ", "(", line).strip() for line in found]


def test_an_iceberg_says_what_it_shows(data: Path) -> None:
    told = lines(data, "b-1")
    assert told[0].endswith("of bob: sell BTC-USD limit gtc at 100.00")
    assert "11  PLACE_ORDER b-1 of bob: sell 0.5000 limit gtc at 100.00 showing 0.1000 BTC-USD" in (
        told[3].replace("  (names it)", "")
    )
    refilled = [line for line in told if "shows 0.1000 again" in line]
    assert refilled[0].endswith("shows 0.1000 again at 100.00, at the end of its level")


def test_a_stop_is_told_from_its_wait_to_its_trigger(data: Path) -> None:
    told = lines(data, "a-2")
    assert told[1].startswith("filled: 0.0200 at 101.00")
    assert any(line.startswith("then pending, 0.0200 open") for line in told)
    assert any(line.startswith("16  PLACE_ORDER a-3 of alice") for line in told)
    assert any("triggered: 0.0200 to be matched" in line for line in told)
    waits = tell(explain(data, "b-2"))
    assert waits.fields["verdict"].startswith("canceled at sequence 23: the kill switch was set")
    then = states.account(History(data).to(22), "bob")
    assert then.fields["open_orders"][-1]["stop_price"] == "105.00"
    assert any("waits for 105.00" in line for line in then.lines)


def test_orders_that_others_end_say_why(data: Path) -> None:
    ended = tell(explain(data, "y-1"))
    assert ended.fields["verdict"].startswith("expired: the instrument was settled; 4 was filled")
    assert any(
        "SETTLE_INSTRUMENT of #0: EVENT at 1.00" in line and "ends it" in line
        for line in ended.lines
    )
    moved = tell(explain(data, "t-1"))
    assert moved.fields["verdict"].startswith("no order: TRANSFER was done at sequence 17")
    assert any("TRANSFER t-1 of alice: 1.000000 USD to bob" in line for line in moved.lines)


@pytest.mark.parametrize("wanted", ["a-1", "b-1"])
def test_a_trade_that_was_busted_is_told_of_both_orders(data: Path, wanted: str) -> None:
    told = lines(data, wanted)
    (bust,) = [at for at, line in enumerate(told) if "busts a trade of it" in line]
    assert told[bust].startswith("24  BUST_TRADE 12.1")
    assert told[bust + 1].endswith("busted: 0.1000 at 100.00")


def test_an_account_shows_what_is_not_usual_of_it(data: Path) -> None:
    bob = states.account(History(data).to(None), "bob")
    assert bob.lines[1] == "status suspended"
    assert bob.fields["positions"][1]["settled"] == "-4"
    alice = states.account(History(data).to(None), "alice").fields
    assert "status" not in alice
    assert alice["positions"][1]["instrument"] == "EVENT"
