"""Counters: one number per id, read by label from another mapping."""

import secrets
from collections.abc import Iterator

import pytest

from core import counters
from core.constants import GATEWAYS_MAX
from core.counters import (
    KINDS,
    READY,
    REGISTRY,
    REJECTS,
    RING_SLOTS,
    SEQUENCE,
    WORDS,
    WRITERS,
    Counters,
    attach_counters,
    count,
    create_counters,
    gauge,
)
from core.messages import CANCEL_ORDER, PLACE_ORDER
from core.shm import prefix


@pytest.fixture
def pair() -> Iterator[tuple[Counters, Counters]]:
    shm = prefix(secrets.token_hex(4), 1)
    writer = create_counters(shm, 1)
    writer.segment.publish()
    reader = attach_counters(shm, 1)
    yield writer, reader
    reader.close()
    writer.segment.unlink()
    writer.close()


def test_a_reader_sees_what_the_writer_counts(pair: tuple[Counters, Counters]) -> None:
    writer, reader = pair
    count(writer.words, REJECTS, 2)
    count(writer.words, REJECTS, 3)
    gauge(writer.words, SEQUENCE, 1 << 40)
    gauge(writer.words, READY, 1)

    assert reader["rejects"] == 5
    values = reader.values()
    assert {label: value for label, value in values.items() if value} == {
        "rejects": 5,
        "sequence": 1 << 40,
        "ready": 1,
    }


def test_families_are_read_by_member(pair: tuple[Counters, Counters]) -> None:
    writer, reader = pair
    count(writer.words, KINDS + PLACE_ORDER, 7)
    count(writer.words, KINDS + CANCEL_ORDER, 1)
    count(writer.words, RING_SLOTS + 255, 12)

    assert reader.commands_by_kind() == {PLACE_ORDER: 7, CANCEL_ORDER: 1}
    assert reader.ring_slots() == {255: 12}


def test_an_unknown_label_is_an_error(pair: tuple[Counters, Counters]) -> None:
    with pytest.raises(KeyError):
        pair[1]["sequenze"]


def test_words_of_different_writers_lie_128_bytes_apart() -> None:
    """Each writer's words begin on a line of 16 words and end before the next writer's."""
    firsts = [*WRITERS.values(), WORDS]

    assert firsts == sorted(firsts)
    assert all(first % 16 == 0 for first in firsts)
    assert WRITERS["replayer"] > RING_SLOTS + GATEWAYS_MAX
    assert max(counter.number for counter in REGISTRY) < WORDS


def test_numbers_are_given_once_and_lie_inside() -> None:
    numbers = [counter.number for counter in REGISTRY]

    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < WORDS
    assert max(number for number in numbers if number < counters.KINDS) < counters.KINDS
