"""The output ring: broadcast, never waits; who is lapped knows it."""

import secrets
from collections.abc import Iterator

import numpy as np
import pytest

from core.jit import VERIFY
from core.memory import view
from core.messages import EVENT
from core.output import (
    LAPPED,
    OutputRing,
    attach_output,
    claim,
    create_output,
    event_slot,
    oldest,
    position,
    publish,
    read,
)
from core.shm import SegmentError, prefix

CAPACITY = 64
STEP = CAPACITY // 8


class Pair:
    """A writer and one reader of a ring of 64 events."""

    def __init__(self) -> None:
        self.shm = prefix(secrets.token_hex(4), 1)
        self.writer: OutputRing = create_output(self.shm, 1, CAPACITY)
        self.writer.segment.publish()
        self.reader = attach_output(self.shm, 1)
        self.out = np.zeros(CAPACITY, EVENT)
        self.written = 0

    def write(self, count: int) -> None:
        """Publish ``count`` events together; event k has sequence k."""
        claim(self.writer.end, count)
        for ahead in range(count):
            row = view(event_slot(self.writer.end, ahead), EVENT, 1)
            row["sequence"] = self.written
            row["client_order_id"] = self.written & 0xFF
            self.written += 1
        publish(self.writer.end, count)

    def read(self, cursor: int, events_max: int = CAPACITY) -> list[int] | int:
        """Sequences of what came, or LAPPED."""
        count = read(self.reader.end, cursor, int(self.out.ctypes.data), events_max)
        if count == LAPPED:
            return LAPPED
        rows = self.out[:count]
        assert (rows["client_order_id"] == (rows["sequence"] & 0xFF)[:, None]).all()
        return [int(sequence) for sequence in rows["sequence"]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.reader.close()
    made.writer.segment.unlink()
    made.writer.close()


def test_each_reader_has_its_own_cursor(pair: Pair) -> None:
    pair.write(3)

    assert pair.read(0) == [0, 1, 2]
    assert pair.read(0) == [0, 1, 2]
    assert pair.read(2) == [2]
    assert pair.read(3) == []


def test_events_are_seen_when_they_are_published(pair: Pair) -> None:
    claim(pair.writer.end, 4)
    view(event_slot(pair.writer.end, 0), EVENT, 1)["sequence"] = 77

    assert position(pair.reader.end) == 0
    assert pair.read(0) == []


def test_a_read_across_the_wrap_gives_both_parts(pair: Pair) -> None:
    for _ in range(10):
        pair.write(7)

    assert pair.read(60, 8) == [60, 61, 62, 63, 64, 65, 66, 67]


def test_a_reader_that_keeps_up_is_never_lapped(pair: Pair) -> None:
    cursor = 0
    for _ in range(100):
        pair.write(13)
        found = pair.read(cursor)
        assert found == list(range(cursor, cursor + 13))
        cursor += 13


def test_a_reader_behind_by_more_than_the_ring_is_lapped(pair: Pair) -> None:
    for _ in range(13):
        pair.write(5)

    assert pair.read(0) == LAPPED
    first = oldest(pair.reader.end)
    assert pair.read(first) == list(range(first, 65))


def test_a_claim_alone_laps_the_readers_of_the_slots_it_covers(pair: Pair) -> None:
    """The writer may be in the middle of these slots: what is read there may be torn."""
    for _ in range(7):
        pair.write(8)
    assert pair.read(0, 8) == list(range(8))

    claim(pair.writer.end, 16)  # 56 + 16 > 64: the slots of events 0-7 are the writer's now.

    assert pair.read(0, 8) == LAPPED
    first = oldest(pair.reader.end)
    assert first <= 56 + 16 + STEP - 64
    assert pair.read(first, 1) == [first]


def test_a_cursor_ahead_of_the_ring_is_lapped_not_believed(pair: Pair) -> None:
    pair.write(3)

    assert pair.read(4) == LAPPED


def test_a_claim_reaches_ahead_so_that_the_word_is_written_rarely(pair: Pair) -> None:
    claim(pair.writer.end, 1)
    claimed = int(pair.writer.row["claimed"])

    assert claimed == 1 + STEP
    for _ in range(claimed):
        pair.write(1)
        assert int(pair.writer.row["claimed"]) == claimed
    pair.write(1)
    assert int(pair.writer.row["claimed"]) == claimed + 1 + STEP


@pytest.mark.skipif(not VERIFY, reason="asserted in checked and plain mode only")
def test_publishing_more_than_was_claimed_is_an_error(pair: Pair) -> None:
    claim(pair.writer.end, 1)

    with pytest.raises(AssertionError):
        publish(pair.writer.end, STEP + 2)


def test_a_reader_cannot_write(pair: Pair) -> None:
    with pytest.raises(TypeError, match=r"read-only|readonly"):
        pair.reader.segment.memory[:1] = b"x"


def test_another_epoch_is_refused(pair: Pair) -> None:
    with pytest.raises(SegmentError, match="not there"):
        attach_output(pair.shm.replace("-1", "-2"), 2)
    with pytest.raises(SegmentError, match="epoch 2 expected, 1 found"):
        attach_output(pair.shm, 2)
