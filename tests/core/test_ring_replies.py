"""The reply ring: written in place, made visible together, never overrun."""

import secrets
from collections.abc import Iterator

import numpy as np
import pytest

from core.atomics import store_word
from core.memory import view
from core.messages import REPLY
from core.ring import (
    Ring,
    attach_replies,
    create_replies,
    has_work,
    reply_publish,
    reply_push,
    reply_slot,
    room,
    take,
)
from core.shm import prefix

CAPACITY = 8


class Pair:
    """Both ends of a reply ring of 8 slots."""

    def __init__(self) -> None:
        self.shm = prefix(secrets.token_hex(4), 1)
        self.core = create_replies(self.shm, "test.0", 3, 1, CAPACITY)
        self.core.segment.publish()
        self.adapter: Ring = attach_replies(self.shm, "test.0", 3, 1)
        self.out = np.zeros(CAPACITY, REPLY)

    def write(self, *request_ids: int) -> None:
        """Write replies in place, one slot after the other."""
        for ahead, request_id in enumerate(request_ids):
            row = view(reply_slot(self.core.end, ahead), REPLY, 1)
            row["request_id"], row["body"] = request_id, request_id & 0xFF

    def take(self, count_max: int = CAPACITY) -> list[int]:
        """Request ids of what came, after a look at every byte."""
        count = take(self.adapter.end, int(self.out.ctypes.data), count_max)
        assert all((row["body"] == row["request_id"] & 0xFF).all() for row in self.out[:count])
        return [int(request_id) for request_id in self.out[:count]["request_id"]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.adapter.close()
    made.core.segment.unlink()
    made.core.close()


def test_replies_are_seen_when_they_are_published(pair: Pair) -> None:
    pair.write(1, 2, 3)
    assert has_work(pair.adapter.end) == 0
    assert pair.take() == []

    reply_publish(pair.core.end, 3)

    assert has_work(pair.adapter.end) == 1
    assert pair.take(2) == [1, 2]
    assert pair.take(2) == [3]


def test_room_is_what_the_adapter_has_taken(pair: Pair) -> None:
    assert room(pair.core.end) == 8
    pair.write(*range(8))
    reply_publish(pair.core.end, 8)
    assert room(pair.core.end) == 0

    assert pair.take(3) == [0, 1, 2]

    assert room(pair.core.end) == 3


def test_replies_wrap(pair: Pair) -> None:
    for number in range(0, 90, 3):
        pair.write(number, number + 1, number + 2)
        reply_publish(pair.core.end, 3)
        assert pair.take() == [number, number + 1, number + 2]


@pytest.mark.parametrize("cursor", [-5, 1 << 61, -(1 << 63)])
def test_a_scribbled_consumer_cursor_makes_no_room(pair: Pair, cursor: int) -> None:
    pair.write(*range(6))
    reply_publish(pair.core.end, 6)
    store_word(int(pair.core.row["consumed_at"]), cursor)

    assert room(pair.core.end) == 2
    assert pair.core.faults == 1


def test_replies_to_an_earlier_incarnation_are_skipped(pair: Pair) -> None:
    pair.write(1, 2)
    reply_publish(pair.core.end, 2)
    pair.adapter.close()

    pair.adapter = attach_replies(pair.shm, "test.0", 3, 1)
    pair.write(3)
    reply_publish(pair.core.end, 1)

    assert pair.take() == [3]
    assert room(pair.core.end) == 8


def test_an_answer_is_pushed_whole_or_not_at_all(pair: Pair) -> None:
    rows = np.zeros(5, REPLY)
    rows["request_id"] = [21, 22, 23, 24, 25]
    rows["body"] = rows["request_id"][:, None] & 0xFF
    address = int(rows.ctypes.data)

    assert reply_push(pair.core.end, address, 5) == 1
    assert reply_push(pair.core.end, address, 5) == 0
    assert reply_push(pair.core.end, address, 0) == 0
    assert pair.take() == [21, 22, 23, 24, 25]
    assert reply_push(pair.core.end, address, 5) == 1
    assert pair.take() == [21, 22, 23, 24, 25]
