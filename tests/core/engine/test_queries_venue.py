"""What queries say of limits, statistics and an order that is only tested; of the engine alone."""

import random
from pathlib import Path
from typing import Any

import pytest

from core.journal.place import Place
from core.journal.recovery import Known
from core.limits import genesis
from core.messages import INSTRUMENT_REPLY, LAST, MORE, QUERY_INSTRUMENTS, TICKS
from core.sequencer import invariants, snapshot
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, MARKET_ID, SECOND, USD, World, order
from tests.driver import ID_KEY, EngineDriver, NotFound, limits_of
from tests.model.commands import BUY, IOC, MARKET, SELL, STOP, CreateInstrument, PlaceOrder
from tests.model.state import PRICE_MAX, Sizes


@pytest.fixture
def exchange() -> World:
    """The engine, without fees."""
    return World(EngineDriver(), maker_ppm=0, taker_ppm=0)


def test_limits_and_what_counts_against_them_are_told(exchange: World) -> None:
    exchange.limit(ALICE, exposure_max=1_000, orders_per_second=7, levels_max=3)
    exchange.limit(ALICE, MARKET_ID, position_max=50, short_max=4)
    exchange.buy(ALICE, 5, 90)
    exchange.buy(ALICE, 2, 90)
    exchange.sell(ALICE, 3, 110)
    exchange.buy(BOB, 1, 110)
    driver: EngineDriver = exchange.exchange
    assert driver.limits(ALICE) == {
        "account": ALICE,
        "exposure_max": 1_000,
        "orders_per_second": 7,
        "levels_max": 3,
        "open_orders": 3,
        "exposure": 7 * 90 + 2 * 110 + 110,  # Orders, and the cost of the lot that was sold.
        "levels": 2,
        "in_second": 3,
        "messages": 3,
        "fills": 1,
    }
    assert driver.limits(ALICE, MARKET_ID) == {
        "account": ALICE,
        "instrument": MARKET_ID,
        "position_max": 50,
        "short_max": 4,
        "open_orders": 3,
        "buying": 7,
        "selling": 2,
    }
    exchange.now_ns = 2 * SECOND
    exchange.mass_cancel(BOB)
    assert "in_second" not in driver.limits(ALICE)
    for account, instrument, reason in ((BOB, 0, "NONE"), (1, 0, "UNKNOWN_ACCOUNT")):
        with pytest.raises(NotFound, match=reason):
            driver.limits(account, instrument)
    with pytest.raises(NotFound, match="UNKNOWN_INSTRUMENT"):
        driver.limits(ALICE, 9)


def test_limits_set_late_count_what_is_there(exchange: World) -> None:
    exchange.sell(CAROL, 4, 110)
    exchange.buy(ALICE, 6, 110)  # 4 of them at once, 2 rest.
    exchange.tell(order(SELL, ALICE, 9, 120))
    exchange.buy(BOB, 1, 120)  # Alice's level stays hers.
    exchange.limit(ALICE)
    exchange.limit(ALICE, MARKET_ID)
    driver: EngineDriver = exchange.exchange
    whole = driver.limits(ALICE)
    assert whole["exposure"] == 2 * 110 + 8 * 120 + 3 * 110
    assert (whole["levels"], whole["open_orders"]) == (2, 2)
    here = driver.limits(ALICE, MARKET_ID)
    assert (here["buying"], here["selling"], here["open_orders"]) == (2, 8, 2)


def test_limits_hold_in_a_state_that_was_loaded(exchange: World, tmp_path: Path) -> None:
    exchange.limit(ALICE, exposure_max=1_000)
    exchange.limit(BOB, MARKET_ID, open_orders_max=1)  # Bob has no position yet.
    exchange.buy(ALICE, 5, 90)
    driver: EngineDriver = exchange.exchange
    known = Known(genesis(limits_of(driver.sizes), ID_KEY), 2, bytes(16), exchange.sequence + 1)
    state = driver.runner.state
    place = Place(1, 4_096, 1, exchange.sequence, (0, 0))
    directory = snapshot.write(tmp_path, bytes(16), state, place, known)
    loaded = snapshot.load(directory).state
    invariants.check(loaded)
    driver.runner.ring.attach(loaded)
    driver.runner.state = loaded
    driver.runner._seen = 0
    assert " EXPOSURE_LIMIT " in exchange.buy(ALICE, 7, 90)[0]
    assert exchange.sell(BOB, 1, 100)[0].endswith("RESTS")
    assert " OPEN_ORDER_LIMIT " in exchange.sell(BOB, 1, 100)[0]


def test_instruments_come_in_pages_each_with_its_tick_table_behind_it() -> None:
    driver = EngineDriver(Sizes(instruments_max=80))
    world = World(driver)  # Instrument 1 has no table.
    for number in range(2, 71):
        table: dict[str, Any] = {"slots": 3, "start": (0, number, 0, 0), "step": (1, 2, 0, 0)}
        new = CreateInstrument(name=f"N{number}", base_asset=BTC, quote_asset=USD, **table)
        assert world.tell(new)[0].startswith("INSTRUMENT_CREATED")
    assert driver.tick_tables() == {n: [(0, 1), (n, 2)] for n in range(2, 65)}
    first = [(1, 0), *((n, flag) for n in range(2, 65) for flag in (0, TICKS))]
    second = [(n, flag) for n in range(65, 71) for flag in (0, TICKS)]
    first[-1], second[-1] = (64, TICKS | MORE | LAST), (70, TICKS | LAST)
    pages = [driver.query(QUERY_INSTRUMENTS, cursor=cursor) for cursor in (0, 64, 70)]
    assert [
        [(int(row["id"]), int(row["flags"])) for row in page.view(INSTRUMENT_REPLY)]
        for page in pages
    ] == [first, second, [(0, LAST)]]
    found = driver.query(QUERY_INSTRUMENTS, client_order_id="N70")
    assert [row.tobytes()[32:] for row in found] == [row.tobytes()[32:] for row in pages[1][-2:]]
    assert found["flags"].tolist() == [0, TICKS | LAST]
    [plain] = driver.query(QUERY_INSTRUMENTS, client_order_id="BTC-USD").view(INSTRUMENT_REPLY)
    assert (int(plain["id"]), int(plain["flags"])) == (1, LAST)


def test_a_test_order_tells_the_hold_and_changes_nothing(exchange: World) -> None:
    exchange.limit(ALICE, orders_per_second=1, messages_per_fill=1)
    exchange.sell(BOB, 5, 101)
    driver: EngineDriver = exchange.exchange
    before = driver.runner.state_hash()
    for _ in range(3):
        assert driver.test_order(order(BUY, ALICE, 3, 100)) == ("", {"price": 100, "hold": 300})
    assert driver.test_order(order(BUY, ALICE, 3, 105, flags=5)) == (
        "",
        {"price": 100, "hold": 300},
    )
    stop = order(SELL, ALICE, 3, 0, order_type=STOP, slots=2, stop_price=90)
    assert driver.test_order(stop) == ("", {"stop_price": 90, "hold": 3})
    market = order(BUY, ALICE, 3, 0, order_type=MARKET, time_in_force=IOC)
    assert driver.test_order(market) == ("", {"hold": 1_000_000})
    bad = order(BUY, ALICE, 3, PRICE_MAX)
    assert driver.test_order(bad)[0] == "INSUFFICIENT_FUNDS"
    assert driver.test_order(order(BUY, 9, 3, 100)) == ("UNKNOWN_ACCOUNT", {})
    assert driver.test_order(order(3, ALICE, 3, 100)) == ("MALFORMED", {})
    assert driver.runner.state_hash() == before
    exchange.buy(ALICE, 1, 100)
    assert driver.test_order(order(BUY, ALICE, 3, 100)) == (
        "RATE_LIMITED",
        {"limit": 1, "value": 1},
    )


def test_a_test_order_says_what_the_order_itself_then_meets(random_seed: int) -> None:
    dice = random.Random(random_seed)
    world = World(EngineDriver(), maker_ppm=100, taker_ppm=300)
    world.limit(ALICE, exposure_max=5_000, levels_max=3, deviation_ppm=200_000)
    world.limit(ALICE, MARKET_ID, position_max=30, open_orders_max=6, order_qty_max=12)
    for _ in range(60):
        command = _random_order(dice)
        reason, numbers = world.exchange.test_order(command)
        (event, *_) = world.do(command)
        if event.kind == "ORDER_REJECTED":
            assert reason == event.reason, (random_seed, command)
            assert (numbers.get("limit", 0), numbers.get("value", 0)) == (
                event.cum,
                event.cum_notional,
            ), (random_seed, command)
        else:
            assert reason == "", (random_seed, command)
            assert (numbers.get("price", 0), numbers.get("hold", 0)) == (event.price, event.cum)


def _random_order(dice: random.Random) -> PlaceOrder:
    more: dict[str, Any] = {}
    kind = dice.randrange(6)
    if kind == 0:
        more = {"order_type": MARKET, "time_in_force": IOC}
    elif kind == 1:
        more = {"order_type": STOP, "slots": 2, "stop_price": dice.randrange(90, 112)}
    elif kind == 2:
        more = {"flags": dice.choice((1, 2, 5))}
    account = dice.choice((ALICE, ALICE, BOB))
    price = 0 if kind < 2 else dice.randrange(80, 125)
    return order(dice.choice((BUY, SELL)), account, dice.randrange(0, 15), price, **more)
