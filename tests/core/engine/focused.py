"""Four traders with little money in a few instruments: what the random runs about one part of the
engine have in common."""

import random
from typing import Any, Final

from tests.model.commands import Command, CreateInstrument, Deposit
from tests.model.strategies import Scenario

TRADERS: Final = range(3, 7)
BINARY: Final = 2


class Focused(Scenario):
    """``kinds``: an instrument for each letter; few prices and quantities, so that many meet."""

    def __init__(self, chance: random.Random, kinds: str, features: frozenset[str]) -> None:
        super().__init__(chance, odd=0.01, features=features)
        self.accounts = len(TRADERS)
        self.market.ids = list(range(1, len(kinds) + 1))

    def means(self, account: int) -> list[Command]:
        """Cash and coins of a trader."""
        cash = self.chance.choice((10**4, 10**5, 10**5, 10**6))
        coins = self.chance.choice((10**5, 7 * 10**5, 2 * 10**7 + 3))
        return [
            self.ask(Deposit(account=account, asset=1, amount=cash)),
            self.ask(Deposit(account=account, asset=2, amount=coins)),
        ]

    def listed(self, kind: str, number: int) -> Command:
        """The instrument of a letter; b: BINARY, else as ``special`` says."""
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
        return CreateInstrument(**terms, **self.special(kind))

    def special(self, kind: str) -> dict[str, Any]:
        """Terms that a letter stands for, beside those of BINARY."""
        raise NotImplementedError

    def instrument(self) -> int:
        return self.chance.choice(self.market.ids)

    def price(self) -> int:
        return self.chance.choice((1, 60, 98, 99, 99, 100, 100, 101, 101, 102, 130, 131, 199, 200))

    def qty(self) -> int:
        return self.chance.choice((1, 2, 3, 5, 5, 8, 13, 20, 40))
