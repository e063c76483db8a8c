"""Large numbers of everything through the compiled engine; in CI at sizes that take seconds.

    OUTCRY_BOUNDS=full make faults-bounds

A million resting orders swept by one taker, a gap of 200,000 ticks, 100,000 stops in one cascade,
10,000 instruments, a million accounts.
"""

import os
from typing import Any, Final, NamedTuple

import numpy as np
import pytest

from core.constants import SLOT_BYTES
from core.jit import MODE_NAME
from core.limits import Limits
from core.messages import (
    AMOUNT_ITEM,
    BUY,
    COMMAND,
    CREATE_ACCOUNT,
    DEPOSIT,
    EVENT_NAMES,
    GTC,
    IOC,
    LIMIT,
    MASS,
    MASS_CANCEL,
    MONEY,
    NEW_ACCOUNT,
    PLACE,
    PLACE_ORDER,
    QUERY_BALANCES,
    REPLY_BODY,
    SCHEMA,
    SELL,
    STOP,
)
from core.sequencer.runner import Runner
from tests.driver import EngineDriver
from tests.model.commands import (
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    PlaceOrder,
)
from tests.model.translate import batch_of

FULL: Final = os.environ.get("OUTCRY_BOUNDS") == "full"
SMALL: Final = {"release": 1, "checked": 4, "pure": 20}[MODE_NAME]  # CI's sizes over this.
KEY: Final = (3, 5, 7, 11)
LAYOUTS: Final = {
    PLACE_ORDER: PLACE,
    MASS_CANCEL: MASS,
    DEPOSIT: MONEY,
    CREATE_ACCOUNT: NEW_ACCOUNT,
}
Array = np.ndarray[Any, Any]


class Size(NamedTuple):
    """What CI does, and what was asked for."""

    ci: int
    full: int

    @property
    def now(self) -> int:
        return self.full if FULL else max(self.ci // SMALL, 20)


RESTING: Final = Size(20_000, 1_000_000)
STOPS: Final = Size(2_000, 100_000)
INSTRUMENTS: Final = Size(1_000, 10_000)
ACCOUNTS: Final = Size(20_000, 1_000_000)
GAP: Final = 200_000


class Large:
    """An engine with large tables, given commands as bytes."""

    def __init__(self, events: int = 1 << 16, **limits: int) -> None:
        self.limits = Limits(
            **({"closed_keep": 1_000, "pages_max": 4_096, "ids_max": limits["orders_max"]} | limits)
        )
        self.runner = Runner(self.limits, KEY, ring_events=1 << (events - 1).bit_length())
        self.sequence = 0

    def begin(self, count: int, kind: int, **fields: Any) -> Array:
        """``count`` commands of one slot of ``kind``, stamped; fields by name: one or many."""
        rows = np.zeros(count, LAYOUTS[kind])
        rows["kind"], rows["schema"], rows["slots"] = kind, SCHEMA, 1
        rows["sequence"] = np.arange(count) + self.sequence + 1
        rows["timestamp_ns"] = rows["sequence"] * 1_000
        for name, value in fields.items():
            rows[name] = value
        self.sequence += count
        return rows

    def apply(self, rows: Array, batch: int = 1 << 13) -> None:
        """Apply commands of any length; events stay in the ring."""
        slots = rows.view(np.uint8).reshape(-1, SLOT_BYTES)
        for start in range(0, len(slots), batch):
            self.runner.apply(slots[start : start + batch])

    def reference(self, *commands: Command) -> None:
        """Plain commands."""
        data = batch_of(commands)
        place = 0
        for command in commands:
            self.sequence += 1
            row = data[place].view(COMMAND)
            row["sequence"], row["timestamp_ns"] = self.sequence, self.sequence * 1_000
            place += command.slots
        self.runner.apply(data)

    def skip(self) -> None:
        """Leave out the events so far: there may be more than the ring holds."""
        self.runner._seen = self.runner.ring.published()

    def kinds(self) -> dict[str, int]:
        """How many events of each kind since the last look."""
        return counted(self.runner.events())

    def orders(self, count: int, side: int, account: Any, price: Any, qty: Any = 1) -> Array:
        """LIMIT GTC orders in the first instrument."""
        return self.begin(
            count,
            PLACE_ORDER,
            account=account,
            instrument=1,
            side=side,
            order_type=LIMIT,
            time_in_force=GTC,
            price=price,
            qty=qty,
        )


def counted(events: Array) -> dict[str, int]:
    """How many of each kind."""
    kinds, counts = np.unique(events["kind"], return_counts=True)
    pairs = zip(kinds.tolist(), counts.tolist(), strict=True)
    return {EVENT_NAMES[kind]: count for kind, count in pairs}


def funded(large: Large, traders: int = 2) -> None:
    """One instrument, traders with more than they need."""
    large.reference(
        CreateAsset(name="USD"),
        CreateAsset(name="BTC"),
        CreateInstrument(name="SPOT", base_asset=2, quote_asset=1, maker_ppm=-100, taker_ppm=300),
        *(CreateAccount(name=f"t{number}") for number in range(traders)),
        *(
            Deposit(account=3 + number, asset=asset, amount=1 << 59)
            for number in range(traders)
            for asset in (1, 2)
        ),
    )
    large.kinds()


def test_one_taker_sweeps_every_resting_order() -> None:
    """At 97 prices of each of two makers: every order fills, best price first, then the older."""
    count = RESTING.now
    large = Large(events=4 * count + 64, orders_max=count + 8)
    funded(large, 3)
    number = np.arange(count)
    price = 1_000 + number * 7_919 % 97
    large.apply(large.orders(count, SELL, 3 + number % 2, price))
    assert large.kinds() == {"ORDER_ACCEPTED": count}
    large.apply(large.orders(1, BUY, 5, 2_000, count))
    events = large.runner.events()
    assert counted(events) == {"ORDER_ACCEPTED": 1, "FILL": 2 * count}
    makers = events[2::2]
    placed = np.argsort(price, kind="stable")
    assert np.array_equal(makers["price"], price[placed])
    assert np.array_equal(np.diff(makers["price"]) >= 0, np.ones(count - 1, bool))
    same = np.diff(makers["price"]) == 0
    assert (np.diff(makers["order_id"])[same] > 0).all()
    assert events[-2]["cum"] == count
    assert events[-2]["cum_notional"] == price.sum()
    assert large.runner.state["open_orders"] == 0
    large.runner.check()


@pytest.mark.parametrize("gap", [GAP, 1 << 40])
def test_prices_that_lie_far_apart_are_neighbours(gap: int) -> None:
    """Nothing rests between them: found, swept, emptied and filled again alike."""
    levels = 40
    large = Large(orders_max=4_000)
    funded(large)
    asks = gap * (1 + np.arange(levels))
    for _ in range(3):
        large.apply(large.orders(levels, SELL, 3, np.random.default_rng(1).permutation(asks)))
        large.apply(large.orders(1, BUY, 4, 1))
        large.kinds()
        large.apply(large.orders(1, BUY, 4, int(asks[-2]), levels))
        events = large.runner.events()
        fills = events[events["kind"] == _number("FILL")]
        assert fills["price"][1::2].tolist() == asks[:-1].tolist()
        driver = EngineDriver(runner=large.runner)
        assert driver.depth(1) == [[(int(asks[-2]), 1, 1), (1, 1, 1)], [(int(asks[-1]), 1, 1)]]
        for account in (3, 4):
            large.apply(large.begin(1, MASS_CANCEL, account=account))
        assert driver.depth(1) == [[], []]
        large.kinds()
    large.runner.check()


def test_one_trade_triggers_every_stop_one_after_the_other() -> None:
    """Each stop sells at one tick lower, and so triggers the next: no recursion, in order."""
    count = STOPS.now
    large = Large(events=8 * count + 64, orders_max=2 * count + 8, extras_max=count + 8)
    funded(large)
    top = count + 10
    prices = top - np.arange(count + 1)
    large.apply(large.orders(count + 1, BUY, 4, prices))
    terms: dict[str, Any] = {"account": 3, "instrument": 1, "side": SELL, "order_type": STOP}
    stops = [
        PlaceOrder(qty=1, slots=2, stop_price=price, **terms) for price in prices[:count].tolist()
    ]
    for start in range(0, count, 1_000):
        large.reference(*stops[start : start + 1_000])
    assert large.kinds() == {"ORDER_ACCEPTED": 2 * count + 1}
    large.apply(large.orders(1, SELL, 3, top))
    events = large.runner.events()
    found = counted(events)
    assert found["FILL"] == 2 * (count + 1)
    assert found["ORDER_TRIGGERED"] == count
    triggered = events[events["kind"] == _number("ORDER_TRIGGERED")]
    assert (np.diff(triggered["order_id"]) > 0).all()
    assert large.runner.state["open_orders"] == 0
    assert large.runner.state["extras_count"] == 0
    large.runner.check()


def _number(name: str) -> int:
    return next(number for number, word in EVENT_NAMES.items() if word == name)


def test_every_instrument_has_a_book_of_its_own() -> None:
    count = INSTRUMENTS.now
    large = Large(
        orders_max=3 * count + 8,
        instruments_max=count,
        pages_max=4 * count + 64,
        positions_max=4 * count,
        balances_max=64,
    )
    funded(large)
    large.reference(
        *(CreateInstrument(name=f"I{n}", base_asset=2, quote_asset=1) for n in range(1, count))
    )
    assert large.kinds()["INSTRUMENT_CREATED"] == count - 1
    large.reference(CreateInstrument(name="more", base_asset=2, quote_asset=1))
    assert large.kinds() == {"COMMAND_REJECTED": 1}
    numbers = np.arange(1, count + 1)
    sells = large.orders(count, SELL, 3, 100 + numbers, 3)
    sells["instrument"] = numbers
    large.apply(sells)
    buys = large.orders(count, BUY, 4, 100 + numbers, 2)
    buys["instrument"], buys["time_in_force"] = numbers[::-1], IOC
    buys["price"] = 100 + buys["instrument"]
    large.apply(buys)
    events = large.runner.events()
    assert counted(events) == {"ORDER_ACCEPTED": 2 * count, "FILL": 2 * count}
    driver = EngineDriver(runner=large.runner)
    for number in np.linspace(1, count, 20).astype(int).tolist():
        assert driver.depth(number) == [[], [(100 + number, 1, 1)]]
    large.runner.check()


def test_every_account_has_its_own_money() -> None:
    """The last of them trades with the first; one more has no room."""
    count = ACCOUNTS.now
    large = Large(
        events=1 << 16,
        orders_max=count + 8,
        accounts_max=count + 2,
        balances_max=2 * count + 64,
        positions_max=count + 64,
    )
    large.reference(
        CreateAsset(name="USD"),
        CreateAsset(name="BTC"),
        CreateInstrument(name="SPOT", base_asset=2, quote_asset=1),
    )
    numbers = np.arange(count)
    made = large.begin(count, CREATE_ACCOUNT)
    made["name"][:, 0] = ord("n")
    for digit in range(1, 8):
        made["name"][:, digit] = ord("0") + numbers // 10 ** (7 - digit) % 10
    large.apply(made)
    state = large.runner.state
    assert state["accounts_used"] == count + 2
    large.skip()
    large.reference(CreateAccount(name="more"))
    assert large.runner.events()[-1]["kind"] == _number("COMMAND_REJECTED")
    for asset in (1, 2):
        large.apply(large.begin(count, DEPOSIT, account=3 + numbers, asset=asset, amount=10**6))
    large.apply(large.orders(count // 2, SELL, 3 + numbers[: count // 2], 100, 2))
    buyers = 3 + numbers[::-1][: count // 2]
    large.apply(large.orders(count // 2, BUY, buyers, 100, 2))
    assert state["trades"] == count // 2
    assert state["open_orders"] == 0
    driver = EngineDriver(runner=large.runner)
    last = driver.query(QUERY_BALANCES, account=3 + count - 1)[0].tobytes()
    assert np.frombuffer(last, AMOUNT_ITEM, 1, REPLY_BODY)[0]["available"] == 10**6 - 200
    large.runner.check()
