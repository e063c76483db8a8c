"""`replay --check` over all that the engine can do: nothing that is right is called wrong."""

import random
from typing import Final

import pytest

from core.jit import MODE_NAME
from core.sequencer.state import State
from replay import check
from replay.check import Broken, Checker
from tests.core.engine.test_random_money import MoneyScenario
from tests.driver import ID_KEY, limits_of
from tests.model.exchange import Exchange
from tests.model.state import Sizes
from tests.model.strategies import NARROW, USUAL, Scenario
from tests.model.translate import batch_of

pytestmark = pytest.mark.skipif(
    MODE_NAME == "checked", reason="release and plain Python run it; a compilation more is too long"
)

COMMANDS: Final = {"release": 4_000, "checked": 0, "pure": 300}[MODE_NAME]
BATCH: Final = 7


def led(scenario: Scenario, sizes: Sizes, seed: int) -> int:
    """Draw commands, lead a checker through them; how many events there were."""
    twin = Exchange(sizes)
    state = State(limits_of(sizes), ID_KEY)
    checker = Checker(state, every=25)
    done = 0
    while done < COMMANDS:
        batch = []
        for _ in range(BATCH):
            batch.append(scenario.next())
            scenario.learn(twin.apply(batch[-1]))
        try:
            checker.apply(batch_of(batch))
        except Broken as broken:
            raise AssertionError(f"seed {seed} after {done} commands: {broken}") from broken
        done += BATCH
    checker.check()
    return int(state["events"])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", [NARROW, USUAL], ids=["narrow", "usual"])
def test_whatever_the_engine_does_right_is_right(
    monkeypatch: pytest.MonkeyPatch, sizes: Sizes, seed: int
) -> None:
    monkeypatch.setattr(check, "CHECKED_FIRST", 0)
    scenario = Scenario(random.Random(seed))

    assert led(scenario, sizes, seed) > COMMANDS


@pytest.mark.parametrize("kinds", ["bb", "s", "c", "bsc"])
def test_money_that_is_not_plain_is_right(monkeypatch: pytest.MonkeyPatch, kinds: str) -> None:
    monkeypatch.setattr(check, "CHECKED_FIRST", 0)
    scenario = MoneyScenario(random.Random(5), kinds)

    assert led(scenario, USUAL, 5) > COMMANDS
