"""A writer and a reader on two processors and on one: every word of every event is looked at.

OUTCRY_TORN_EVENTS=100000000 sets how many (make faults-rings); it prints what was seen.
"""

import multiprocessing
import os
import secrets
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from core import shm
from core.jit import MODE_NAME, PURE
from tests.concurrency import torn
from tests.fakes.core import wait_until

pytestmark = pytest.mark.concurrency
SPAWN = multiprocessing.get_context("spawn")
TOTAL: Final = {
    "release": int(os.environ.get("OUTCRY_TORN_EVENTS") or 2_000_000),
    "checked": 200_000,
    "pure": 5_000,
}[MODE_NAME]
TIMEOUT_S: Final = 3_600
TURNS: Final = 5
# The engine claims 1,024 events ahead: its ring must be larger than that.
WAYS = [("output", 1_024, 2), ("engine", 8_192, 2), ("engine", 8_192, 1)]
if os.environ.get("OUTCRY_TORN_EVENTS"):
    WAYS += [("output", 1_024, 1), ("output", 64, 2), ("engine", 1 << 18, 2)]


@pytest.fixture
def prefix() -> Iterator[str]:
    uuid8 = secrets.token_hex(4)
    yield shm.prefix(uuid8, 1)
    shm.unlink_stale(uuid8)


@pytest.mark.parametrize(("way", "capacity", "cpus"), WAYS)
def test_no_event_is_torn(prefix: str, way: str, capacity: int, cpus: int) -> None:
    """Where the reader got no processor while the writer wrote, it is done again."""
    for _ in range(TURNS):
        seen, laps = _written_and_read(prefix, way, capacity, cpus)
        if PURE or capacity > TOTAL or laps + seen > TOTAL // 1_000:
            return
        shm.unlink_stale(prefix.split("-")[1])
    pytest.fail(f"in {TURNS} turns the reader never saw a thousandth of {TOTAL:,} events")


def _written_and_read(prefix: str, way: str, capacity: int, cpus: int) -> tuple[int, int]:
    """Events that were read, and laps; AssertionError when one was torn."""
    found = SPAWN.Array("q", 5)
    writer = SPAWN.Process(target=torn.writing, args=(prefix, way, capacity, TOTAL, found))
    writer.start()
    wait_until((shm.DIRECTORY / f"{prefix}-out").exists, 60)
    wait_until(lambda: _is_published(prefix), 60)
    reader = SPAWN.Process(target=torn.reading, args=(prefix, cpus - 1, TOTAL, found))
    reader.start()

    reader.join(TIMEOUT_S)
    writer.join(TIMEOUT_S)

    seen, laps, wrong, _, took_ns = found[:]
    sys.stdout.write(
        f"\n{way:6} ring of {capacity:7,}, {cpus} processors: {TOTAL:11,} events written, "
        f"{seen:11,} read, {laps:9,} laps, {wrong} torn, {took_ns / 1e9:6.1f} s"
    )
    assert (reader.exitcode, writer.exitcode) == (0, 0)
    assert wrong == 0
    assert 0 < seen <= TOTAL
    assert laps > 0 or seen == TOTAL
    return seen, laps


def _is_published(prefix: str) -> bool:
    try:
        segment = shm.attach(f"{prefix}-out", shm.OUTPUT, 1, writable=False)
    except shm.SegmentError:
        return False
    segment.close()
    return True
