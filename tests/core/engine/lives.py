"""Whole lives of an exchange, drawn by seed: engine and twin side by side, restarts by snapshot and
journal in some, and at the end everything canceled, so that nothing is held.

    python -m tests.core.engine.lives [--commands N] [--seed FIRST] [--minutes M]

Prints totals now and then; a life that breaks prints its seed and what differs, and ends the run
with exit code 1.
"""
# ruff: noqa: T201

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from core.jit import MODE_NAME
from tests.core.engine.compare import Pair
from tests.core.engine.journaled import Journaled
from tests.model.commands import Command, MassCancel
from tests.model.strategies import NARROW, START_NS, TINY, USUAL, Scenario
from tests.model.venue_commands import OutsideCanceled, SettleInstrument, Time, UpdateAccount

COMMANDS: Final = 1_500  # Of a life; later ones meet mostly what ended.
BATCHES: Final = (1, 2, 3, 7, 16, 64)
STATE_EVERY: Final = 500
CHECK_EVERY: Final = {"release": 300, "checked": 1, "pure": 1}[MODE_NAME]
LATE_NS: Final = 10**15  # Later than every deadline.
RESTARTED: Final = 8  # One life of so many is journaled and starts again.


class Told(NamedTuple):
    """What a life had."""

    commands: int
    events: int
    trades: int
    accepted: int
    restarts: int


class Life:
    """One seed's life."""

    def __init__(self, seed: int, data: Path | None = None) -> None:
        """``data``: an empty directory for the journal of a life that starts again."""
        chance = random.Random(seed)
        self.chance = chance
        sizes = chance.choice((TINY, NARROW, USUAL, USUAL))
        self.journaled: Journaled | None = None
        if data is not None:
            sizes = chance.choice((TINY, USUAL))
            self.journaled = Journaled(data, sizes)
        risk = data is not None or chance.random() < 0.9
        self.pair = Pair(sizes, risk=risk, engine=self.journaled)
        self.scenario = Scenario(chance)
        self.restarts = self._since_state = self._since_check = 0

    def run(self, count: int) -> Told:
        """``count`` commands, then the drain."""
        restarts = [count // 2, 3 * count // 4] if self.journaled is not None else []
        while len(self.pair.commands) < count:
            if restarts and len(self.pair.commands) >= restarts[0]:
                restarts.pop(0)
                self._start_again()
            self._batch(self.chance.choice(BATCHES))
        self.pair.compare_state()
        self.drain()
        if self.journaled is not None:
            self.journaled.close()
        state = self.pair.engine.runner.state
        done = len(self.pair.commands)
        accepted = len(self.scenario.orders)
        return Told(done, state["events"], state["trades"], accepted, self.restarts)

    def _batch(self, count: int) -> None:
        done = self.pair.run(self.scenario, count)
        self._since_check += len(done)
        self._since_state += len(done)
        if self._since_check >= CHECK_EVERY:
            self.pair.engine.check()
            self._since_check = 0
        if self._since_state >= STATE_EVERY:
            self.pair.compare_state()
            self._since_state = 0

    def _start_again(self) -> None:
        """A snapshot, some commands behind it, a start from both."""
        assert self.journaled is not None
        self.journaled.snapshot()
        self._batch(7)
        self._batch(16)
        self.journaled.restart()
        assert self.journaled.recovered == 23
        self.pair.compare_state()
        self.restarts += 1

    def do(self, command: Command) -> None:
        """A command that the scenario did not draw."""
        self.scenario.setup.insert(0, command)
        self.pair.run(self.scenario, 1)

    def drain(self) -> None:
        """Cancel all, let every period end, settle what pays out: nothing is held."""
        pair, view = self.pair, self.pair.twin.view
        for account in list(view.accounts):
            self.do(UpdateAccount(account=account, changes=1, status=1))
            self.do(MassCancel(account=account))
        for order in [one for one in view.rows.by_slot.values() if one.is_live]:
            self.do(
                OutsideCanceled(
                    account=order.account,
                    instrument=order.instrument,
                    order_id=order.order_id,
                    source="end",
                    reference=str(order.order_id),
                )
            )
        self.scenario.now_ns = max(self.scenario.now_ns, START_NS) + LATE_NS
        self.do(Time())
        for number, row in list(view.instruments.items()):
            if row.is_binary and row.settled_price < 0:
                self.do(SettleInstrument(instrument=number, price=row.last_tick // 3))
        pair.engine.check()
        pair.compare_state()
        state = pair.engine.runner.state
        if state["open_orders"] != 0:  # No room is left to remember that the outside ended them.
            assert state["ids_count"] == state["ids_max"] < state["orders_max"] * 2
            return
        assert state["extras_count"] == 0
        for number in view.instruments:
            assert pair.engine.depth(number) == [[], []]
        shorts: dict[tuple[int, int], int] = {}
        for (account, number), position in view.ledger.positions.items():
            key = (account, view.instruments[number].quote)
            shorts[key] = shorts.get(key, 0) + position.collateral
        for key, (_, held) in pair.engine.balances(len(view.accounts) + 2).items():
            assert held == shorts.get(key, 0), (key, held)


def live(seed: int, count: int = COMMANDS) -> Told:
    """The life of a seed; AssertionError with the first difference."""
    if seed % RESTARTED:
        return Life(seed).run(count)
    with tempfile.TemporaryDirectory(prefix="outcry-life-") as name:
        return Life(seed, Path(name) / "data").run(count)


def main(given: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="engine and twin over random lives")
    parser.add_argument("--commands", type=int, default=20_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0.0, help="stop then; 0: never")
    asked = parser.parse_args(given)
    begun = told = time.monotonic()
    sums = Told(0, 0, 0, 0, 0)
    seed = asked.seed
    while sums.commands < asked.commands:
        try:
            sums = Told(*map(sum, zip(sums, live(seed), strict=True)))
        except AssertionError as fault:
            print(f"seed {seed}: {fault}")
            raise
        seed += 1
        now = time.monotonic()
        if now - told > 30:
            print(_line(asked.seed, seed, sums, now - begun), flush=True)
            told = now
        if asked.minutes and now - begun > 60 * asked.minutes:
            break
    print(_line(asked.seed, seed, sums, time.monotonic() - begun))
    return 0


def _line(first: int, seed: int, sums: Told, seconds: float) -> str:
    words = ", ".join(f"{value:,} {name}" for name, value in sums._asdict().items())
    return f"seeds {first} to {seed - 1}: {words}, {seconds:.0f} s, all equal"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
