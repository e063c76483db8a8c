"""Random commands in a few instruments whose money is not plain SPOT, with little else that could
stand in their way: many fills, and many ways out of an order."""

import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from core.jit import MODE_NAME
from tests.core.engine.compare import Pair
from tests.core.engine.focused import TRADERS, Focused
from tests.model.commands import (
    GTC,
    Command,
    CreateAccount,
    CreateAsset,
)
from tests.model.state import Sizes
from tests.model.strategies import NARROW, USUAL
from tests.model.venue_commands import SetLimits, SettleInstrument, UpdateInstrument

COMMANDS: Final = {"release": 2_000, "checked": 600, "pure": 300}[MODE_NAME]
BATCH: Final = 16
SECOND: Final = 10**9
FEES: Final = 2
SHORT: Final = 2_048


class MoneyScenario(Focused):
    """b: BINARY, s: may be sold short, c: cleared."""

    def __init__(self, chance: random.Random, kinds: str) -> None:
        super().__init__(chance, kinds, frozenset({"terms", "venue", "money"}))
        self.setup = self._reference(kinds)

    def _reference(self, kinds: str) -> list[Command]:
        chance = self.chance
        commands: list[Command] = [
            CreateAsset(name="USD", scale=6),
            CreateAsset(name="BTC", scale=8),
        ]
        commands += [self.listed(kind, number) for number, kind in enumerate(kinds)]
        for account in TRADERS:
            mode = chance.choice((0, 0, 0, 1, 2, 3, 4))
            commands.append(CreateAccount(name=f"trader-{account}", self_trade=mode))
        for account in TRADERS:
            commands += self.means(account)
            commands += [
                SetLimits(account=account, instrument=number, short_max=chance.choice((10, 10**6)))
                for number in self.market.ids
            ]
        return commands

    def special(self, kind: str) -> dict[str, Any]:
        if kind == "b":
            return {}
        if kind == "s":
            return {"short_ppm": self.chance.choice((1, 300_000, 2_000_000))}
        return {"clearing_ns": self.chance.choice((SECOND, 7 * SECOND, 3_600 * SECOND))}

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
