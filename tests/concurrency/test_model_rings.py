"""Every interleaving of small cases of the rings and the wake-up, on three memory models.

OUTCRY_RING_MODEL=full runs larger cases too (minutes).  Each case prints how many states there
were (pytest -s).  The programs are the code: see test_programs.py.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Final

import pytest

from core.jit import MODE_NAME
from tests.concurrency.machine import MODELS, TSO, WEAK, Fault, Machine, Program, Result
from tests.concurrency.programs_epoch import EpochReader, EpochWriter, epoch_words
from tests.concurrency.programs_inbound import Consumer, Producer, Ring
from tests.concurrency.programs_output import (
    CLAIMED,
    FIFO,
    POSITION,
    SLEEPING,
    EngineWriter,
    OutputReader,
    OutputWriter,
    Sleeper,
    Waker,
    slots,
)

pytestmark = pytest.mark.skipif(
    MODE_NAME != "release", reason="compiles nothing: once is enough, in release mode"
)
FULL: Final = os.environ.get("OUTCRY_RING_MODEL") == "full"
Case = Callable[[str, str], Machine]


def output(capacity: int, step: int, batches: tuple[int, ...], most: int, readers: int = 1) -> Case:
    def make(model: str, wrong: str) -> Machine:
        reader = OutputReader(capacity, sum(batches), most, wrong)
        programs: list[Program] = [
            OutputWriter(capacity, step, batches, wrong),
            *[reader] * readers,
        ]
        return Machine(model, [POSITION, CLAIMED, *slots(capacity)], programs)

    return make


def engine(
    capacity: int, sizes: tuple[int, int, int], commands: tuple[tuple[int, ...], ...]
) -> Case:
    def make(model: str, wrong: str) -> Machine:
        writer = EngineWriter(capacity, sizes, commands, wrong)
        reader = OutputReader(capacity, sum(map(sum, commands)), 2, wrong)
        return Machine(model, [POSITION, CLAIMED, *slots(capacity)], [writer, reader])

    return make


def inbound(ring: Ring, slots_max: int, scribbler: str = "") -> Case:
    def make(model: str, wrong: str) -> Machine:
        producer = Producer(ring, wrong, scribbles=scribbler == "producer")
        consumer = Consumer(ring, slots_max, wrong, scribbles=scribbler == "consumer")
        return Machine(model, ring.words(), [producer, consumer], 2 if ring.is_reply else 64)

    return make


def epochs(capacity: int, batches: tuple[int, ...]) -> Case:
    def make(model: str, wrong: str) -> Machine:
        programs: list[Program] = [
            EpochWriter(capacity, batches, wrong),
            EpochReader(capacity, sum(batches), wrong),
        ]
        return Machine(model, epoch_words(capacity), programs)

    return make


def wake_up(wakers: int, items: int) -> Case:
    def make(model: str, wrong: str) -> Machine:
        rings = [f"ring{number}" for number in range(wakers)]
        programs: list[Program] = [
            Sleeper(wakers * items, rings, wrong),
            *(Waker(items, r, wrong) for r in rings),
        ]
        return Machine(model, [*rings, SLEEPING, FIFO], programs)

    return make


CASES: Final[dict[str, Case]] = {
    "output: 2 slots, 3 laps": output(2, 0, (1,) * 6, 1),
    "output: 2 slots, 2 laps, 2 readers": output(2, 0, (1,) * 3, 1, readers=2),
    "output: 4 slots, 2 laps, batches, claims ahead": output(4, 1, (2, 1, 2, 2), 2),
    "output: 8 slots, 1 lap": output(8, 1, (2,) * 5, 1),
    "engine: 4 slots, 2 laps": engine(4, (2, 1, 8), ((1,), (1, 1), (1,), (1, 1))),
    "engine: a long command is published on the way": engine(4, (2, 1, 2), ((1, 1, 1, 1, 1, 1),)),
    "inbound: 4 slots, commands of 2": inbound(Ring(4, (2, 2)), 2),
    "inbound: 2 slots, 3 laps": inbound(Ring(2, (1, 1, 2, 1, 1)), 2),
    "inbound: the lane for cancels": inbound(Ring(4, (1,) * 6, lane=3), 1),
    "inbound: killed and started again": inbound(Ring(2, (2,), lives=2), 2),
    "inbound: killed twice": inbound(Ring(2, (1,), lives=3), 2),
    "inbound: the producer's cursor scribbled": inbound(Ring(2, (1, 2), 1), 2, "producer"),
    "inbound: the consumer's cursor scribbled": inbound(Ring(2, (1, 1, 1), 1), 2, "consumer"),
    "replies: pushed whole, taken one by one": inbound(Ring(2, (1, 2, 1), is_reply=True), 1),
    "epochs: killed anywhere, the next life": epochs(2, (1, 1, 1)),
    "wake-up: one waker, 3 items": wake_up(1, 3),
    "wake-up: two wakers, 2 items each": wake_up(2, 2),
}
FULL_CASES: Final[dict[str, Case]] = {
    "output: 2 slots, 8 laps": output(2, 0, (1,) * 16, 1),
    "output: 2 slots, 2 laps, 2 readers": output(2, 0, (1,) * 4, 1, readers=2),
    "output: 4 slots, 3 laps, batches, claims ahead": output(4, 1, (2, 2, 1, 1, 2, 2, 2), 2),
    "output: 8 slots, 2 laps": output(8, 1, (2,) * 8, 1),
    "engine: 8 slots, 2 laps": engine(8, (3, 2, 4), ((1,), (2, 1), (1, 2, 1), (2,), (2, 2))),
    "inbound: 4 slots, commands of 1-4 slots": inbound(Ring(4, (1, 2, 4)), 4),
    "inbound: 4 slots, commands of 1 and 3": inbound(Ring(4, (1, 3)), 3),
    "inbound: 4 slots, 3 laps of the lane": inbound(Ring(4, (1,) * 12, lane=3), 1),
    "inbound: 4 slots, the lane": inbound(Ring(4, (1, 1, 2, 1), lane=3), 4),
    "inbound: 2 slots, killed and started again": inbound(Ring(2, (2, 1), lives=2), 2),
    "inbound: 4 slots, killed and started again": inbound(Ring(4, (2, 1), lives=2), 2),
    "inbound: killed three times": inbound(Ring(2, (1,), lives=4), 2),
    "replies: 4 slots": inbound(Ring(4, (2, 1, 3, 1), is_reply=True), 2),
    "epochs: 2 laps each": epochs(2, (1, 1, 1, 1)),
    "wake-up: two wakers, 3 items each": wake_up(2, 3),
    "wake-up: three wakers": wake_up(3, 2),
}

BOTH: Final = (TSO, WEAK)
READ: Final = output(2, 0, (1,) * 4, 1)
OFFER: Final = inbound(Ring(2, (1, 2, 1)), 2)
# What is wrong, where, and on which of TSO and WEAK it does harm: x86-64 orders stores among
# themselves and loads among themselves, whatever the code says.
FAULTS: Final = (
    ("no claim", READ, BOTH),
    ("no fence after the claim", READ, (WEAK,)),
    ("no fence after the claim", engine(2, (1, 1, 1), ((1, 1, 1, 1),)), (WEAK,)),
    ("publish without release", READ, (WEAK,)),
    ("publish before the stores", READ, BOTH),
    ("claimed before the copy", READ, BOTH),
    ("no fence after the copy", READ, (WEAK,)),
    ("position without acquire", READ, (WEAK,)),
    ("never looks whether there is room", OFFER, BOTH),
    ("publish without release", OFFER, (WEAK,)),
    ("publish before the stores", OFFER, BOTH),
    ("a store of the cursor for each slot", OFFER, BOTH),
    ("produced without acquire", OFFER, (WEAK,)),
    ("acknowledges one slot too many", OFFER, BOTH),
    ("version first", epochs(2, (1,)), BOTH),
    ("version without acquire", epochs(2, (1,)), (WEAK,)),
    ("reads the other epoch", epochs(2, (1,)), BOTH),
    ("looks before it says that it sleeps", wake_up(1, 2), BOTH),
    ("no fence before the last look", wake_up(1, 2), BOTH),
    ("no fence before the word is read", wake_up(1, 2), BOTH),
)


def explore(name: str, model: str, machine: Machine) -> Result:
    """Every state; how many is printed."""
    began = time.monotonic()
    found = machine.explore()
    assert isinstance(found, Result), f"{name}, {model}: {found}"
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"\n{model:4} {found.states:9,} states {found.steps:10,} steps {seconds:6.1f} s  {name}"
    )
    return found


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", CASES)
def test_nothing_wrong_is_seen_in_any_interleaving(name: str, model: str) -> None:
    found = explore(name, model, CASES[name](model, ""))

    assert found.ends > 0
    assert found.states > 100


@pytest.mark.skipif(not FULL, reason="minutes; set OUTCRY_RING_MODEL=full")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", FULL_CASES)
def test_nothing_wrong_is_seen_in_any_interleaving_of_larger_cases(name: str, model: str) -> None:
    assert explore(name, model, FULL_CASES[name](model, "")).ends > 0


@pytest.mark.parametrize("model", BOTH)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
def test_the_model_finds_a_fault_wherever_it_does_harm(
    fault: tuple[str, Case, tuple[str, ...]], model: str
) -> None:
    wrong, case, harmful = fault

    found = case(model, wrong).explore()

    assert isinstance(found, Fault) == (model in harmful), found
