"""Random commands: after each batch the engine's events and state equal the naive twin's."""

import random

from hypothesis import given
from hypothesis import strategies as st

from core.jit import MODE_NAME
from tests.core.engine.compare import Pair
from tests.core.engine.lives import BATCHES, live
from tests.core.engine.world import ALICE, World
from tests.driver import EngineDriver
from tests.model.exchange import Exchange
from tests.model.state import Sizes
from tests.model.strategies import NARROW, TINY, USUAL, Scenario, seeds

LIVES = {"release": 8, "checked": 3, "pure": 1}[MODE_NAME]  # Per seed.
COMMANDS = {"release": 1_500, "checked": 1_000, "pure": 500}[MODE_NAME]
EXAMPLE_COMMANDS = {"release": 120, "checked": 80, "pure": 60}[MODE_NAME]


def test_random_lives_give_the_twins_events_and_state(random_seed: int) -> None:
    """With a journal and two starts in some, and a drain at the end of each."""
    for seed in range(LIVES * random_seed, LIVES * (random_seed + 1)):
        try:
            live(seed, COMMANDS)
        except AssertionError as fault:
            raise AssertionError(f"the life of seed {seed}") from fault


def test_after_every_command_the_engines_book_is_the_one_built_from_events_alone() -> None:
    """L3, L2 and L1, one command a batch."""
    seed = 10 if MODE_NAME == "release" else 11
    scenario = Scenario(random.Random(seed))
    pair = Pair(USUAL)
    for _ in range(COMMANDS):
        pair.run(scenario, 1)
        for instrument in pair.twin.view.instruments:
            pair.compare_book(instrument)
    assert len(pair.audit.open) > 3
    pair.compare_state()


@given(
    chance=seeds,
    sizes=st.sampled_from([TINY, NARROW, USUAL]),
    count=st.integers(1, EXAMPLE_COMMANDS),
)
def test_any_commands_give_the_twins_events_and_state(
    chance: random.Random, sizes: Sizes, count: int
) -> None:
    """Drawn by hypothesis, which looks for the shortest list that differs."""
    pair = Pair(sizes)
    scenario = Scenario(chance)
    while len(pair.commands) < count:
        pair.run(scenario, chance.choice(BATCHES))
    pair.compare_state()


def test_the_size_of_batches_changes_neither_state_nor_events() -> None:
    twin = Exchange(USUAL)
    scenario = Scenario(random.Random(77))
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
