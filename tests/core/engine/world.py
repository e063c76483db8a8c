"""A small market for examples: three funded traders, one instrument, events told in plain words.

USD is asset 1, BTC asset 2, one lot is one BTC unit, one tick x lot is one USD unit.  Makers pay
1 %, takers 2 %, unless said otherwise.  Alice, bob and carol have 1,000,000 USD and 1,000 BTC each.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from tests.model.audit import Audit
from tests.model.commands import (
    BUY,
    IOC,
    MARKET,
    SELL,
    STOP,
    STOP_LIMIT,
    CancelOrder,
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    MassCancel,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    changed,
)
from tests.model.events import FLAG_NAMES, LAST, Event
from tests.model.exchange import Exchange
from tests.model.venue_commands import SetLimits, Time, UpdateInstrument

USD: Final = 1
BTC: Final = 2
ALICE: Final = 3
BOB: Final = 4
CAROL: Final = 5
NAMES: Final = {0: "", 1: "fees", 2: "outside", ALICE: "alice", BOB: "bob", CAROL: "carol"}
MARKET_ID: Final = 1  # The instrument.
CASH: Final = 1_000_000
COINS: Final = 1_000
START_NS: Final = 1_000_000
SECOND: Final = 10**9

_TOLD_APART: Final = frozenset(
    {"sequence", "timestamp_ns", "index", "kind", "flags", "account", "order_id", "reason"}
)


class Batched(Protocol):
    """What the engine driver offers."""

    def apply(self, commands: Sequence[Command]) -> list[Event]: ...


class World:
    """Applies commands, checks what holds for every event, tells the rest."""

    def __init__(self, exchange: Any, **terms: Any) -> None:
        self.exchange = exchange
        self.audit = Audit()
        self.sequence = 0
        self.order_ids: list[int] = []  # The n-th accepted order is told as #n.
        self.now_ns = START_NS
        first: list[Command] = [
            CreateAsset(name="USD", scale=0),
            CreateAsset(name="BTC", scale=0),
            CreateInstrument(**(_TERMS | terms)),
            *(CreateAccount(name=NAMES[account]) for account in (ALICE, BOB, CAROL)),
        ]
        for account in (ALICE, BOB, CAROL):
            first.append(Deposit(account=account, asset=USD, amount=CASH))
            first.append(Deposit(account=account, asset=BTC, amount=COINS))
        for command in first:
            self.do(command)

    # Commands.

    def do(self, command: Command) -> list[Event]:
        """Number, stamp and apply a command; every event is checked for what all events have."""
        self.sequence += 1
        self.now_ns += 10
        command = changed(command, sequence=self.sequence, timestamp_ns=self.now_ns)
        if command.request_id == 0:
            command = changed(command, request_id=1_000 + self.sequence)
        if isinstance(self.exchange, Exchange):
            events = self.exchange.apply(command)
        else:
            events = self.exchange.apply([command])
        self.exchange.check()
        assert events, command
        for index, event in enumerate(events):
            assert (event.sequence, event.timestamp_ns) == (self.sequence, self.now_ns)
            assert event.index == index
            assert bool(event.flags & LAST) == (index == len(events) - 1)
            if event.kind == "ORDER_ACCEPTED":
                self.order_ids.append(event.order_id)
                assert event.order_id >> 22 == self.sequence
        assert events[0].fee == command.request_id
        self.audit.take(events)
        self._compare_book()
        return events

    def flood(self, commands: Sequence[Command]) -> list[Event]:
        """Apply many commands at once; nothing is checked, the audit does not see them."""
        stamped = []
        for command in commands:
            self.sequence += 1
            self.now_ns += 10
            numbers = {"sequence": self.sequence, "timestamp_ns": self.now_ns}
            stamped.append(changed(command, **numbers))  # type: ignore[arg-type]
        if isinstance(self.exchange, Exchange):
            return [event for command in stamped for event in self.exchange.apply(command)]
        events: list[Event] = self.exchange.apply(stamped)
        return events

    def _compare_book(self) -> None:
        """The book of the events alone is the twin's book."""
        if not isinstance(self.exchange, Exchange) or MARKET_ID not in self.exchange.view.books:
            return
        for side, is_sell in zip(self.exchange.book(MARKET_ID), (False, True), strict=True):
            levels = self.audit.mirror.levels(MARKET_ID, is_sell=is_sell)
            shown = [(price, [(o.order_id, o.qty) for o in level]) for price, level in levels]
            assert shown == side

    def tell(self, command: Command) -> list[str]:
        """Apply a command and tell its events in plain words."""
        events = self.do(command)
        return [self._told(event) for event in events]

    def _told(self, event: Event) -> str:
        """Kind, who, which order, every field that is not zero, the flags."""
        words = [event.kind, NAMES[event.account]] if event.account in NAMES else [event.kind]
        if event.order_id in self.order_ids:
            words.append(f"#{self.order_ids.index(event.order_id) + 1}")
        elif event.order_id == self.sequence << 22:
            words.append("#none")
        elif event.order_id:
            words.append(f"#={event.order_id}")
        words.append(event.reason)
        for name in Event._fields:
            value = getattr(event, name)
            if name in _TOLD_APART or not value or (name == "fee" and event.index == 0):
                continue
            if name == "instrument" and value == MARKET_ID and event.kind != "LEDGER":
                continue
            words.append(f"{_SHORT.get(name, name)}={value}")
        words += [name for bit, name in FLAG_NAMES if event.flags & bit and bit != LAST]
        return " ".join(word for word in words if word)

    def order_id(self, number: int) -> int:
        """Id of the n-th accepted order, from 1."""
        return self.order_ids[number - 1]

    # Shorthands.

    def buy(self, account: int, qty: int, price: int, /, **more: Any) -> list[str]:
        return self.tell(order(BUY, account, qty, price, **more))

    def sell(self, account: int, qty: int, price: int, /, **more: Any) -> list[str]:
        return self.tell(order(SELL, account, qty, price, **more))

    def market(self, side: int, account: int, qty: int, **more: Any) -> list[str]:
        terms = {"order_type": MARKET, "time_in_force": IOC} | more
        return self.tell(order(side, account, qty, 0, **terms))

    def cancel(self, account: int, number: int, **more: Any) -> list[str]:
        return self.tell(CancelOrder(account=account, order_id=self.order_id(number), **more))

    def reduce(self, account: int, number: int, qty: int, **more: Any) -> list[str]:
        return self.tell(
            ReduceOrder(account=account, order_id=self.order_id(number), qty=qty, **more)
        )

    def replace(self, account: int, number: int, **more: Any) -> list[str]:
        return self.tell(ReplaceOrder(account=account, order_id=self.order_id(number), **more))

    def mass_cancel(self, account: int, **more: Any) -> list[str]:
        return self.tell(MassCancel(account=account, **more))

    def stop(self, side: int, account: int, qty: int, stop: int, /, **more: Any) -> list[str]:
        """A STOP, or with a price a STOP_LIMIT, unless ``more`` says otherwise."""
        kind = STOP_LIMIT if more.get("price") else STOP
        values = {"order_type": kind, "stop_price": stop, "slots": 2} | more
        return self.tell(order(side, account, qty, values.pop("price", 0), **values))

    def trade(self, price: int, qty: int = 1) -> None:
        """Let bob sell to carol, so that there is a last price."""
        self.sell(BOB, qty, price)
        assert self.buy(CAROL, qty, price, time_in_force=IOC)[1].startswith("FILL")

    def time(self, now_ns: int) -> list[str]:
        """A TIME command at ``now_ns``."""
        self.now_ns = now_ns - 10
        return self.tell(Time())

    def update(self, changes: int, **more: Any) -> list[str]:
        return self.tell(UpdateInstrument(instrument=MARKET_ID, changes=changes, **more))

    def limit(self, account: int, instrument: int = 0, **more: int) -> list[str]:
        return self.tell(SetLimits(account=account, instrument=instrument, **more))

    # State.

    def balance(self, account: int, asset: int) -> tuple[int, int]:
        """(available, held)."""
        if isinstance(self.exchange, Exchange):
            found = self.exchange.balances()
        else:
            found = self.exchange.balances(CAROL)
        return found.get((account, asset), (0, 0))

    def position(self, account: int) -> Any:
        """The position row in the one instrument."""
        if isinstance(self.exchange, Exchange):
            return self.exchange.positions()[account, MARKET_ID]
        return self.exchange.positions(CAROL)[account, MARKET_ID]


_TERMS: Final[dict[str, Any]] = {
    "name": "BTC-USD",
    "base_asset": BTC,
    "quote_asset": USD,
    "maker_ppm": 10_000,
    "taker_ppm": 20_000,
}
_SHORT: Final = {"client_order_id": "id", "cum_notional": "notional"}


def order(side: int, account: int, qty: int, price: int, /, **more: Any) -> PlaceOrder:
    """A LIMIT GTC order in the one instrument, unless ``more`` says otherwise."""
    values: dict[str, Any] = {"instrument": MARKET_ID, "account": account, "side": side}
    return PlaceOrder(**(values | {"price": price, "qty": qty} | more))
