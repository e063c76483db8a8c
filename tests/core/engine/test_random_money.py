"""Random commands in a few instruments whose money is not plain SPOT, with little else that could
stand in their way: many fills, and many ways out of an order."""

import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from core.jit import MODE_NAME
from tests.core.engine.compare import Pair
from tests.model.commands import (
    GTC,
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
)
from tests.model.state import Sizes
from tests.model.strategies import NARROW, USUAL, Scenario
from tests.model.venue_commands import SetLimits, SettleInstrument, UpdateInstrument

COMMANDS: Final = {"release": 2_000, "checked": 600, "pure": 300}[MODE_NAME]
BATCH: Final = 16
SECOND: Final = 10**9
TRADERS: Final = range(3, 7)
BINARY: Final = 2
FEES: Final = 2
SHORT: Final = 2_048


class MoneyScenario(Scenario):
    """Four traders with little money, and the instruments that ``kinds`` names."""

    def __init__(self, chance: random.Random, kinds: str) -> None:
        super().__init__(chance, odd=0.01, features=frozenset({"terms", "venue", "money"}))
        self.accounts = len(TRADERS)
        self.market.ids = list(range(1, len(kinds) + 1))
        self.setup = self._reference(kinds)

    def _reference(self, kinds: str) -> list[Command]:
        chance = self.chance
        commands: list[Command] = [
            CreateAsset(name="USD", scale=6),
            CreateAsset(name="BTC", scale=8),
        ]
        commands += [self._listed(kind, number) for number, kind in enumerate(kinds)]
        for account in TRADERS:
            mode = chance.choice((0, 0, 0, 1, 2, 3, 4))
            commands.append(CreateAccount(name=f"trader-{account}", self_trade=mode))
        for account in TRADERS:
            cash = chance.choice((10**4, 10**5, 10**5, 10**6))
            coins = chance.choice((10**5, 7 * 10**5, 2 * 10**7 + 3))
            commands.append(self.ask(Deposit(account=account, asset=1, amount=cash)))
            commands.append(self.ask(Deposit(account=account, asset=2, amount=coins)))
            commands += [
                SetLimits(account=account, instrument=number, short_max=chance.choice((10, 10**6)))
                for number in self.market.ids
            ]
        return commands

    def _listed(self, kind: str, number: int) -> Command:
        chance = self.chance
        terms: dict[str, Any] = {
            "name": f"{kind}-{number}",
            "quote_asset": 1,
            "base_asset": 2,
            "tick_scale": 2,
            "lot_scale": 3,
            "maker_ppm": chance.choice((-2_500, 0, 300, 20_000)),
            "taker_ppm": chance.choice((-900, 0, 1_000, 50_000)),
        }
        if kind == "b":
            terms |= {"instrument_type": BINARY, "base_asset": 0}
            terms["payout"] = chance.choice((1_310, 2_000))
        elif kind == "s":
            terms["short_ppm"] = chance.choice((1, 300_000, 2_000_000))
        else:
            terms["clearing_ns"] = chance.choice((SECOND, 7 * SECOND, 3_600 * SECOND))
        return CreateInstrument(**terms)

    def instrument(self) -> int:
        return self.chance.choice(self.market.ids)

    def price(self) -> int:
        return self.chance.choice((1, 60, 98, 99, 99, 100, 100, 101, 101, 102, 130, 131, 199, 200))

    def qty(self) -> int:
        return self.chance.choice((1, 2, 3, 5, 5, 8, 13, 20, 40))

    def _passive(self, values: dict[str, Any]) -> None:
        values["time_in_force"] = GTC

    def _draw_good(self) -> Command:
        kinds: dict[Callable[[], Command], float] = {
            self._place: 60,
            self._cancel: 12,
            self._replace: 16,
            self._reduce: 8,
            self._mass_cancel: 1,
            self._money: 3,
            self.market.time: 5,
            self.market.bust: 1,
            self._settle: 0.1,
            self._change: 0.7,
        }
        return self.chance.choices(list(kinds), list(kinds.values()))[0]()

    def _settle(self) -> Command:
        price = self.chance.choice((0, 60, 131, 200))
        return self.asked(SettleInstrument(instrument=self.instrument(), price=price))

    def _change(self) -> Command:
        chance = self.chance
        changes = chance.choice((SHORT, SHORT, FEES))
        return self.asked(
            UpdateInstrument(
                instrument=self.instrument(),
                changes=changes,
                short_ppm=chance.choice((0, 500_000)),
                maker_ppm=chance.choice((-50, 10)),
                taker_ppm=chance.choice((0, 99)),
            )
        )


@pytest.mark.parametrize(
    ("kinds", "sizes"),
    [("b", USUAL), ("s", USUAL), ("c", USUAL), ("bscb", NARROW)],
    ids=["binary", "short", "clearing", "all"],
)
def test_money_of_every_sort_moves_as_in_the_twin(
    random_seed: int, kinds: str, sizes: Sizes
) -> None:
    chance = random.Random(random_seed)
    pair = Pair(sizes)
    scenario = MoneyScenario(chance, kinds)
    while len(pair.commands) < COMMANDS:
        for _ in range(8):
            pair.run(scenario, BATCH)
        pair.compare_state()
