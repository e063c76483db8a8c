"""The table of stages that benchmarks show: of the commands that were asked for, of long runs."""

import secrets
from collections.abc import Iterator

import numpy as np
import pytest

from bench.bench_stages import _result
from bench.stages import Collected, table
from core import shm, stages
from core.clock import monotonic_ns
from core.messages import COMMAND
from core.stages import Stages

CAPACITY = 256


@pytest.fixture
def ring() -> Iterator[Stages]:
    """Both ends in one: nobody attaches."""
    uuid8 = secrets.token_hex(4)
    made = stages.create_stages(shm.prefix(uuid8, 1), 1, CAPACITY)
    yield made
    made.close()
    shm.unlink_stale(uuid8)


def block(ring: Stages, first: int, count: int) -> None:
    """A block of commands goes its way."""
    batch = np.zeros(count, COMMAND)
    batch["slots"] = 1
    stages.take(ring.end, int(batch.ctypes.data), count, first, count, monotonic_ns())
    stages.journaled(ring.end)
    stages.applied(ring.end, monotonic_ns())
    stages.published(ring.end, 0)


def test_the_table_is_of_the_commands_that_were_asked_for(ring: Stages) -> None:
    for first in range(1, 101, 20):
        block(ring, first, 20)
    counts = {row["stage"]: row["count"] for row in table(ring, 31, 50)}
    assert counts == {"durable": 20, "matched": 20, "published": 20}
    assert table(ring, 101) == []


def test_a_run_longer_than_the_ring_is_collected_while_it_goes_on(ring: Stages) -> None:
    block(ring, 1, 10)
    collected = Collected(ring, 10)
    for first in range(11, 1_011, 100):
        block(ring, first, 100)
        assert collected.look() == 100
    assert collected.look() == 0
    block(ring, 1_011, 10)
    collected.skip(1_020)
    block(ring, 1_021, 1)
    assert collected.look() == 1
    assert collected.table()[0]["count"] == 1_001


def test_the_cost_is_the_median_ratio_of_runs_side_by_side() -> None:
    names = ("round_trip_p50_ns", "round_trip_p99_ns", "ns_per_command")

    def runs(*values: float) -> list[dict[str, float]]:
        return [dict.fromkeys(names, value) for value in values]

    found = _result({"on": runs(100, 103, 400), "off": runs(100, 100, 100)}, "sync", [])
    assert (found["ns_per_command"], found["baseline_ns_per_command"]) == (103, 100)
    assert (found["ratio"], found["ratio_round_trip_p50"]) == (1.03, 1.03)
    assert found["rounds"] == 3
