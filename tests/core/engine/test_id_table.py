"""The buckets in which client order ids are found, after many more ids than fit."""

import numpy as np
import pytest

from core.risk.ids import BUCKET_ENTRIES
from core.sequencer.state import State
from tests.core.engine.world import ALICE, World
from tests.driver import EngineDriver
from tests.model.commands import CancelOrder
from tests.model.state import Sizes

BUCKET = np.dtype([("entries", np.int64, BUCKET_ENTRIES)])
IDS_MAX = 64
ROUNDS = 400
SECTION = 7  # Ids between two looks at the buckets.


def cancels(world: World, numbers: range, order_id: int) -> list[str]:
    """Cancels of an order that nobody knows, which are remembered by their ids; the reasons."""
    first = world.sequence + 1
    world.sequence += len(numbers)
    commands = [
        CancelOrder(
            account=ALICE,
            order_id=order_id,
            client_order_id=f"n{number}",
            sequence=first + place,
            timestamp_ns=world.now_ns + first + place,
        )
        for place, number in enumerate(numbers)
    ]
    return [event.reason for event in world.exchange.apply(commands)]


def judge(state: State) -> int:
    """Look at each bucket; how many entries stand behind the bucket where they belong."""
    count = state["bucket_mask"] + 1
    buckets = state.rows("id_buckets", BUCKET, count)["entries"]
    filled = (buckets != 0).sum(axis=1)
    assert filled.sum() == state["ids_count"], "more entries than ids"
    spilled = 0
    for number, bucket in enumerate(buckets.tolist()):
        assert 0 not in bucket[: filled[number]], f"bucket {number} has a hole: {bucket}"
        for entry in bucket[: filled[number]]:
            behind = (number - (entry >> 32)) % count
            passed = [(number - step) % count for step in range(1, behind + 1)]
            full = [filled[other] == BUCKET_ENTRIES for other in passed]
            assert all(full), f"an entry in bucket {number} is not found: {passed} are not full"
            spilled += behind > 0
    return spilled


@pytest.mark.parametrize("ids_max", [3, IDS_MAX])
def test_what_left_leaves_no_trace_in_the_buckets(ids_max: int) -> None:
    """Else a look-up would take the longer the more ids there ever were."""
    driver = EngineDriver(Sizes(ids_max=ids_max))
    world, state = World(driver), driver.runner.state
    spilled = 0
    for start in range(0, ROUNDS * SECTION, SECTION):
        reasons = cancels(world, range(start, start + SECTION), 1 << 22)
        assert reasons == ["UNKNOWN_ORDER"] * SECTION
        spilled += judge(state)
    assert spilled > 0 or ids_max == 3, "no bucket was full: this shows nothing"
    end = ROUNDS * SECTION
    reasons = cancels(world, range(end - ids_max, end), 2 << 22)
    assert reasons == ["DUPLICATE_CLIENT_ID"] * ids_max
