"""Random commands: after each batch the engine's events and state equal the naive twin's."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.jit import MODE_NAME
from tests.core.engine.compare import Pair
from tests.core.engine.world import ALICE, World
from tests.driver import EngineDriver
from tests.model.exchange import Exchange
from tests.model.state import Sizes
from tests.model.strategies import NARROW, TINY, USUAL, Scenario, seeds

COMMANDS = {"release": 1_500, "checked": 800, "pure": 500}[MODE_NAME]
EXAMPLE_COMMANDS = {"release": 120, "checked": 80, "pure": 60}[MODE_NAME]
BATCHES = (1, 2, 3, 7, 16, 64)
BUILT = frozenset(
    {"terms", "venue", "money", "outside"}
)  # What of docs/engine-*.md the engine has.


def run(chance: random.Random, sizes: Sizes, count: int, *, risk: bool = True) -> None:
    """Batches of 1 to 64 commands; events compared after each, state now and then."""
    pair = Pair(sizes, risk=risk)
    scenario = Scenario(chance, features=BUILT)
    since_state = 0
    while len(pair.commands) < count:
        batch = chance.choice(BATCHES)
        pair.run(scenario, batch)
        pair.engine.check()
        since_state += batch
        if since_state > 150:
            pair.compare_state()
            since_state = 0
    pair.compare_state()


@pytest.mark.parametrize("sizes", [TINY, NARROW, USUAL], ids=["tiny", "narrow", "usual"])
def test_random_commands_give_the_twins_events_and_state(random_seed: int, sizes: Sizes) -> None:
    run(random.Random(random_seed), sizes, COMMANDS)


def test_random_commands_without_risk_give_the_twins_events_and_state(random_seed: int) -> None:
    run(random.Random(1_000_000 + random_seed), USUAL, COMMANDS // 2, risk=False)


@given(
    chance=seeds,
    sizes=st.sampled_from([TINY, NARROW, USUAL]),
    count=st.integers(1, EXAMPLE_COMMANDS),
)
def test_any_commands_give_the_twins_events_and_state(
    chance: random.Random, sizes: Sizes, count: int
) -> None:
    run(chance, sizes, count)


def test_the_size_of_batches_changes_neither_state_nor_events() -> None:
    twin = Exchange(USUAL)
    scenario = Scenario(random.Random(77), features=BUILT)
    commands = []
    for _ in range(COMMANDS // 2):
        commands.append(scenario.next())
        scenario.learn(twin.apply(commands[-1]))
    hashes = set()
    for size in (1, 7, 64):
        engine = EngineDriver(USUAL)
        for start in range(0, len(commands), size):
            engine.apply(commands[start : start + size])
        hashes.add((engine.runner.state_hash(), engine.runner.event_hash()))
    assert len(hashes) == 1


def test_prices_without_room_are_rejected_and_taking_the_book_away_makes_room() -> None:
    """How many pages a book needs is the engine's affair: the twin has no such limit."""
    world = World(EngineDriver(Sizes(pages_max=64)))
    told = [world.buy(ALICE, 1, 1 + 64 * number)[0] for number in range(100)]
    rested = [line for line in told if line.startswith("ORDER_ACCEPTED")]
    full = [line for line in told if " CAPACITY " in line]
    assert len(rested) + len(full) == 100
    assert 0 < len(rested) <= 64
    assert full
    assert world.buy(ALICE, 1, 1)[0].startswith("ORDER_ACCEPTED")
    world.mass_cancel(ALICE)
    again = [world.buy(ALICE, 1, 7_000 + 64 * number)[0] for number in range(len(rested))]
    assert all(line.startswith("ORDER_ACCEPTED") for line in again)
