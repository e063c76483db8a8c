"""A history: traders who place, change and cancel orders, a counterparty that answers, one engine;
and the same journal in another engine."""

import random
from dataclasses import replace
from typing import Any, Final

from core import messages
from core.messages import POSITION_ITEM
from tests.driver import EngineDriver
from tests.model.commands import (
    BUY,
    IOC,
    LIMIT,
    MARKET,
    MATCHED_OUTSIDE,
    SELL,
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
    Withdraw,
)
from tests.model.events import Event
from tests.model.venue_commands import KillSwitch
from tests.outside.counterparty import Counterparty

USD: Final = 1
BTC: Final = 2
SPOT_ID: Final = 1
CONTRACT_ID: Final = 2
TRADERS: Final = (3, 4, 5)
PAYOUT: Final = 200
BINARY: Final = 2
START: Final = {USD: 20_000, BTC: 60}
PRICES: Final = (90, 98, 99, 100, 100, 101, 102, 110)


class History:
    """One engine and one counterparty; ``commands`` is the journal."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.engine = EngineDriver()
        self.venue = Counterparty(random.Random(seed + 1), PRICES)
        self.commands: list[Command] = []
        self.events: list[Event] = []
        self.orders: list[tuple[int, int]] = []  # order id, account
        self.moved = {(account, asset): 0 for account in TRADERS for asset in START}
        self.away = False
        for command in self._reference():
            self.do(command)

    def _reference(self) -> list[Command]:
        terms: dict[str, Any] = {"quote_asset": USD, "matching": MATCHED_OUTSIDE}
        fees: dict[str, Any] = {"maker_ppm": self.chance.choice((0, 2_000)), "taker_ppm": 3_000}
        return [
            CreateAsset(name="USD", scale=0),
            CreateAsset(name="BTC", scale=0),
            CreateInstrument(name="SPOT", base_asset=BTC, **terms, **fees),
            CreateInstrument(name="YES", instrument_type=BINARY, payout=PAYOUT, **terms, **fees),
            *(CreateAccount(name=f"trader-{account}") for account in TRADERS),
            *(
                Deposit(account=account, asset=asset, amount=amount)
                for account in TRADERS
                for asset, amount in START.items()
            ),
        ]

    # Commands.

    def do(self, command: Command) -> list[Event]:
        """Journal and apply one command; its events are there for the counterparty to read."""
        number = len(self.commands) + 1
        command = replace(command, sequence=number, timestamp_ns=10**6 * number, request_id=number)
        self.commands.append(command)
        events = self.engine.apply([command])
        self.events += events
        for event in events:
            if event.kind == "ORDER_ACCEPTED":
                self.orders.append((event.order_id, event.account))
            if event.kind == "LEDGER" and isinstance(command, Deposit | Withdraw):
                key = (event.account, event.instrument)
                if key in self.moved:
                    self.moved[key] += event.qty
        return events

    def run(self, steps: int) -> None:
        """Traders and the counterparty in turn; now and then it is away for a while."""
        for _ in range(steps):
            self.do(self._traders())
            if self.away:
                if self.chance.random() < 0.3:
                    self.away = False
                    self.venue.restart(self.events)
                continue
            self.venue.read(self.events[-40:])
            if self.chance.random() < 0.04:
                self.away = True
                continue
            self.venue.work()
            for word in self.venue.speak():
                self.do(word)
        self.engine.check()

    def drain(self) -> None:
        """Everybody cancels, the counterparty says all that it has to say."""
        for account in TRADERS:
            self.do(MassCancel(account=account))
        self.venue.restart(self.events)
        words = self.venue.drain()
        self.chance.shuffle(words)
        for word in words:
            self.do(word)
        self.engine.check()

    def _traders(self) -> Command:
        chance = self.chance
        kind = chance.choices(("place", "cancel", "replace", "reduce", "many", "money"), WEIGHTS)[0]
        if kind == "place" or not self.orders:
            return self._place()
        if kind == "many":
            return self._many()
        if kind == "money":
            values: dict[str, Any] = {"asset": chance.choice((USD, BTC))}
            values["amount"] = chance.choice((5, 700))
            way = chance.choice((Deposit, Withdraw))
            return way(account=chance.choice(TRADERS), **values)
        order_id, account = chance.choice(self.orders[-10:])
        target: dict[str, Any] = {"account": account, "order_id": order_id}
        if kind == "cancel":
            return CancelOrder(**target)
        if kind == "reduce":
            return ReduceOrder(**target, qty=chance.randint(1, 6))
        price = chance.choice((0, chance.choice(PRICES)))
        return ReplaceOrder(**target, price=price, qty=chance.randint(1, 20))

    def _place(self) -> Command:
        chance = self.chance
        values: dict[str, Any] = {
            "account": chance.choice(TRADERS),
            "instrument": chance.choice((SPOT_ID, CONTRACT_ID)),
            "side": chance.choice((BUY, SELL)),
            "order_type": LIMIT,
            "price": chance.choice(PRICES),
            "qty": chance.randint(1, 20),
        }
        if chance.random() < 0.15:
            values |= {"order_type": MARKET, "time_in_force": IOC, "price": 0}
            if values["side"] == BUY:
                values |= {"slots": 2, "max_cost": chance.choice((300, 2_000))}
        return PlaceOrder(**values)

    def _many(self) -> Command:
        account = self.chance.choice(TRADERS)
        if self.chance.random() < 0.5:
            return MassCancel(account=account)
        return KillSwitch(account=account, is_on=self.chance.choice((0, 0, 1)))

    # What is there in the end.

    def totals(self) -> dict[tuple[int, int], int]:
        """(account, asset) -> what the account has, less its debts."""
        found = {}
        balances = self.engine.balances(max(TRADERS))
        for account in TRADERS:
            for asset in START:
                found[account, asset] = sum(balances.get((account, asset), (0, 0)))
            for item in self.positions(account):
                found[account, USD] -= int(item["debt"])
                found[account, BTC] -= int(item["debt_base"])
        return found

    def positions(self, account: int) -> list[Any]:
        """The position items of a query."""
        replies = self.engine.query(messages.QUERY_POSITIONS, account=account)
        return self.engine._items(replies, POSITION_ITEM)

    def net(self) -> dict[tuple[int, int], int]:
        """Lots by (account, instrument)."""
        return {
            (account, int(item["id"])): int(item["net"])
            for account in TRADERS
            for item in self.positions(account)
        }

    def held(self) -> dict[tuple[int, int], int]:
        """What is still held, by (account, asset)."""
        balances = self.engine.balances(max(TRADERS))
        return {key: held for key, (_, held) in balances.items() if held}


WEIGHTS: Final = (10, 4, 4, 2, 0.6, 0.6)
