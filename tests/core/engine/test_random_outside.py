"""Random words from outside: acknowledgements, fills, rejects, cancels, busts, corrections and
settlements of orders in instruments that are matched there, in any order, late, twice and wrong."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from core.jit import MODE_NAME
from tests.core.engine.compare import Pair
from tests.core.engine.focused import TRADERS, Focused
from tests.model.commands import (
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    MATCHED_OUTSIDE,
    SELL,
    CancelOrder,
    Command,
    CreateAccount,
    CreateAsset,
    Deposit,
    MassCancel,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    Withdraw,
)
from tests.model.events import Event
from tests.model.state import Sizes
from tests.model.strategies import ALL_FEATURES, NARROW, USUAL
from tests.model.venue_commands import (
    KillSwitch,
    OutsideAcknowledged,
    OutsideBusted,
    OutsideCanceled,
    OutsideCommand,
    OutsideCorrected,
    OutsideFilled,
    OutsideRejected,
    OutsideSettled,
    SetLimits,
    SettleInstrument,
    UpdateAccount,
    UpdateInstrument,
)

COMMANDS: Final = {"release": 2_000, "checked": 600, "pure": 300}[MODE_NAME]
BATCH: Final = 16
PHASE: Final = 1
FEES: Final = 2
CANCEL_OPEN: Final = 1


class OutsideScenario(Focused):
    """s and b are matched outside, h here."""

    def __init__(self, chance: random.Random, kinds: str) -> None:
        super().__init__(chance, kinds, ALL_FEATURES)
        self.setup = self._reference(kinds)
        self.live: list[tuple[int, int, int]] = []  # order id, account, instrument
        self.said: list[OutsideCommand] = []
        self.execs = 0

    def _reference(self, kinds: str) -> list[Command]:
        chance = self.chance
        commands: list[Command] = [
            CreateAsset(name="USD", scale=6),
            CreateAsset(name="BTC", scale=8),
        ]
        commands += [self.listed(kind, number) for number, kind in enumerate(kinds)]
        commands += [CreateAccount(name=f"trader-{account}") for account in TRADERS]
        for account in TRADERS:
            commands += self.means(account)
            if chance.random() < 0.3:
                commands.append(SetLimits(account=account, exposure_max=10**6, levels_max=9))
        return commands

    def special(self, kind: str) -> dict[str, Any]:
        return {"matching": MATCHED_OUTSIDE} if kind != "h" else {}

    def learn(self, events: Sequence[Event]) -> None:
        super().learn(list(events))
        self.live += [
            (event.order_id, event.account, event.instrument)
            for event in events
            if event.kind == "ORDER_ACCEPTED"
        ]

    def _draw_good(self) -> Command:
        kinds: dict[Callable[[], Command], float] = {
            self._new: 30,
            self._change: 16,
            self._said: 50,
            self._said_again: 4,
            self._many: 2,
            self._means: 3,
            self._administer: 1.2,
            self.market.time: 1,
        }
        return self.chance.choices(list(kinds), list(kinds.values()))[0]()

    def _trader(self) -> int:
        return self.chance.choice(TRADERS)

    def _new(self) -> Command:
        chance = self.chance
        values: dict[str, Any] = {
            "account": self._trader(),
            "instrument": self.instrument(),
            "side": chance.choice((BUY, SELL)),
            "order_type": LIMIT,
            "time_in_force": chance.choice((GTC, GTC, GTC, IOC, FOK, DAY, GTD)),
            "price": self.price(),
            "qty": self.qty(),
            "session": chance.choice((0, 0x01000001, 0x01000002)),
        }
        if chance.random() < 0.2:
            values |= {"order_type": MARKET, "price": 0, "time_in_force": IOC}
            if values["side"] == BUY and chance.random() < 0.6:
                values |= {"slots": 2, "max_cost": chance.choice((500, 3_000, 50_000))}
        if values["time_in_force"] == GTD:
            values["expire_ns"] = self.now_ns + 10**12
        if chance.random() < 0.1:
            values |= {"slots": 2, "tag": "t"}
        return self.ask(PlaceOrder(**values))

    def _one(self) -> tuple[int, int, int]:
        """An order, mostly one of the newest."""
        chance = self.chance
        if not self.live:
            return 77, self._trader(), self.instrument()
        return chance.choice(self.live[-8:] if chance.random() < 0.9 else self.live)

    def _change(self) -> Command:
        chance = self.chance
        order_id, account, _ = self._one()
        values: dict[str, Any] = {"account": account, "order_id": order_id}
        kind = chance.choice(("cancel", "reduce", "replace", "replace"))
        if kind == "cancel":
            return self.ask(CancelOrder(**values))
        if kind == "reduce":
            return self.ask(ReduceOrder(**values, qty=self.qty()))
        values["price"] = chance.choice((0, self.price()))
        values["qty"] = chance.choice((0, self.qty()))
        values["qty_basis"] = chance.choice((0, 1))
        return self.ask(ReplaceOrder(**values))

    def _said(self) -> Command:
        """A word from outside about one of the orders."""
        chance = self.chance
        order_id, account, instrument = self._one()
        kind = chance.choices(
            (
                OutsideAcknowledged,
                OutsideFilled,
                OutsideCanceled,
                OutsideRejected,
                OutsideBusted,
                OutsideCorrected,
                OutsideSettled,
            ),
            (30, 40, 6, 6, 5, 5, 0.7),
        )[0]
        self.execs += 1
        values: dict[str, Any] = {
            "account": account if chance.random() < 0.97 else self._trader(),
            "instrument": instrument if chance.random() < 0.98 else self.instrument(),
            "order_id": order_id if chance.random() < 0.95 else 0,
            "price": self.price(),
            "qty": self.qty(),
            "fee": chance.choice((0, 0, 0, 7, 120, -5, -300)),
            "flags": chance.choice((0, 1, 2, 3)),
            "reference": f"{'e' * chance.choice((0, 40))}{self.execs}",
            "source": chance.choice(("venue", "other")),
        }
        if kind is OutsideCorrected:
            values["new_price"], values["new_qty"] = self.price(), self.qty()
            values["new_fee"] = chance.choice((0, 0, 9, -9))
        said = kind(**values)
        self.said.append(said)
        return self.asked(said)

    def _said_again(self) -> Command:
        """The same exec id again, now and then with another payload."""
        chance = self.chance
        if not self.said:
            return self._said()
        said = chance.choice(self.said[-20:])
        if chance.random() < 0.3:
            change: dict[str, Any] = {chance.choice(("qty", "fee", "cum", "order_id")): self.qty()}
            said = replace(said, **change)
        return self.asked(said)

    def _many(self) -> Command:
        chance = self.chance
        account = self._trader()
        kind = chance.choice(("mass", "mass", "kill", "end", "session"))
        if kind == "mass":
            return self.ask(MassCancel(account=account, side=chance.choice((0, 0, BUY, SELL))))
        if kind == "kill":
            who = chance.choice((account, account, 0))
            return self.asked(KillSwitch(account=who, is_on=chance.choice((0, 0, 1))))
        if kind == "end":
            return self.asked(UpdateAccount(account=account, flags=CANCEL_OPEN))
        return self.market._session()

    def _means(self) -> Command:
        chance = self.chance
        values: dict[str, Any] = {"account": self._trader(), "asset": chance.choice((1, 2))}
        values["amount"] = chance.choice((10, 1_000, 50_000))
        return self.ask(Withdraw(**values) if chance.random() < 0.5 else Deposit(**values))

    def _administer(self) -> Command:
        chance = self.chance
        instrument = self.instrument()
        if chance.random() < 0.2:
            price = chance.choice((0, 60, 131, 200))
            return self.asked(SettleInstrument(instrument=instrument, price=price))
        changes = chance.choice((PHASE, PHASE, FEES))
        return self.asked(
            UpdateInstrument(
                instrument=instrument,
                changes=changes,
                phase=chance.choices((3, 4, 5, 6, 7, 9), (9, 1, 1, 1, 1, 0.3))[0],
                maker_ppm=chance.choice((-50, 10)),
                taker_ppm=chance.choice((0, 99)),
            )
        )


@pytest.mark.parametrize(
    ("kinds", "sizes"),
    [("s", USUAL), ("b", USUAL), ("sbhs", NARROW)],
    ids=["spot", "binary", "all"],
)
def test_what_the_outside_says_moves_money_as_in_the_twin(
    random_seed: int, kinds: str, sizes: Sizes
) -> None:
    chance = random.Random(random_seed)
    pair = Pair(sizes)
    scenario = OutsideScenario(chance, kinds)
    while len(pair.commands) < COMMANDS:
        for _ in range(8):
            pair.run(scenario, BATCH)
        pair.compare_state()
