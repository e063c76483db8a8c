"""The inbound ring: whole commands, one store; the lane for cancels; words that make no sense."""

import random
import secrets
from collections.abc import Iterator

import numpy as np
import pytest

from core.atomics import load_word, store_word
from core.messages import CANCEL_ORDER, COMMAND, PLACE_ORDER
from core.ring import (
    attach_inbound,
    create_inbound,
    has_work,
    offer,
    poll,
)
from core.shm import SegmentError, prefix

GATEWAY = 3
CAPACITY = 16


class Pair:
    """Both ends of one inbound ring of 16 slots."""

    def __init__(self) -> None:
        self.shm = prefix(secrets.token_hex(4), 1)
        self.core = create_inbound(self.shm, "test.0", GATEWAY, 1, CAPACITY)
        self.core.segment.publish()
        self.adapter = attach_inbound(self.shm, "test.0", GATEWAY, 1)
        self.out = np.zeros(64, COMMAND)

    def offer(self, number: int, slots: int = 1, *, canceling: bool = False) -> bool:
        """Offer a command whose request id and body are ``number``."""
        rows = np.zeros(slots, COMMAND)
        rows["body"] = number & 0xFF
        rows[0]["request_id"] = number
        rows[0]["kind"] = CANCEL_ORDER if canceling else PLACE_ORDER
        rows[0]["slots"] = slots
        address = int(rows.ctypes.data)
        return offer(self.adapter.end, address, slots, int(canceling)) == 1

    def poll(self, slots_max: int = 64) -> list[tuple[int, int, int]]:
        """(kind, request id, slots) of every command that came."""
        count = poll(self.core.end, int(self.out.ctypes.data), slots_max)
        found, place = [], 0
        while place < count:
            row = self.out[place]
            found.append((int(row["kind"]), int(row["request_id"]), int(row["slots"])))
            place += int(row["slots"])
        assert place == count
        return found

    def scribble(self, place: int, field: str, value: int) -> None:
        """Write into a slot behind the ring's back."""
        address = self.core.segment.address + 4_096 + place * 128
        row = np.frombuffer(self.core.segment.memory, COMMAND, 1, address - self.address)
        row[field] = value

    @property
    def address(self) -> int:
        return self.core.segment.address

    def close(self) -> None:
        self.adapter.close()
        self.core.segment.unlink()
        self.core.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_commands_come_in_the_order_they_were_offered(pair: Pair) -> None:
    for number, slots in ((1, 1), (2, 4), (3, 2)):
        assert pair.offer(number, slots)

    assert pair.poll() == [(PLACE_ORDER, 1, 1), (PLACE_ORDER, 2, 4), (PLACE_ORDER, 3, 2)]
    assert pair.poll() == []


def test_every_byte_arrives_also_across_the_wrap(pair: Pair) -> None:
    rng = random.Random(7)
    for number in range(1, 500):
        slots = rng.randint(1, 4)
        assert pair.offer(number, slots)

        assert pair.poll() == [(PLACE_ORDER, number, slots)]
        assert (pair.out[:slots]["body"] == number & 0xFF).all()


def test_a_command_is_visible_only_when_all_its_slots_are(pair: Pair) -> None:
    """The cursor is the only thing the consumer looks at, and it moves by the whole command."""
    before = load_word(int(pair.core.row["produced_at"]))

    pair.offer(1, 4)

    assert load_word(int(pair.core.row["produced_at"])) == before + 4
    store_word(int(pair.core.row["produced_at"]), before)  # As it was before that one store.
    assert pair.poll() == []
    assert has_work(pair.core.end) == 0


def test_a_poll_takes_only_whole_commands(pair: Pair) -> None:
    pair.offer(1, 3)
    pair.offer(2, 2)

    assert pair.poll(4) == [(PLACE_ORDER, 1, 3)]
    assert pair.poll(4) == [(PLACE_ORDER, 2, 2)]


def test_the_last_eighth_is_for_cancels(pair: Pair) -> None:
    accepted = [number for number in range(1, 20) if pair.offer(number)]
    assert accepted == list(range(1, 15))

    cancels = [number for number in range(20, 25) if pair.offer(number, canceling=True)]

    assert cancels == [20, 21]
    assert pair.core.fill() == 16
    assert len(pair.poll()) == 16
    assert pair.offer(30)


def test_a_command_that_does_not_fit_leaves_no_trace(pair: Pair) -> None:
    for number in range(1, 13):
        pair.offer(number)

    assert not pair.offer(99, 3)
    assert pair.offer(13, 2)
    assert [number for _, number, _ in pair.poll()] == list(range(1, 14))


@pytest.mark.parametrize("slots", [-1, 0, 5, 1 << 40])
def test_a_slot_count_out_of_range_is_refused(pair: Pair, slots: int) -> None:
    rows = np.zeros(8, COMMAND)

    assert offer(pair.adapter.end, int(rows.ctypes.data), slots, 1) == 0
    assert pair.poll() == []


@pytest.mark.parametrize("slots", [0, 5, 255, 3])
def test_a_broken_slot_count_comes_as_kind_0(pair: Pair, slots: int) -> None:
    """3 is more than is visible: all slots of a command become visible at once."""
    pair.offer(1)
    pair.offer(2)
    pair.scribble(1, "slots", slots)

    assert pair.poll() == [(PLACE_ORDER, 1, 1), (0, 2, 1)]
    assert pair.core.faults == 1


@pytest.mark.parametrize("cursor", [-1, -(1 << 63), 1 << 62, 2, CAPACITY + 4])
def test_a_producer_cursor_that_makes_no_sense_is_refused(pair: Pair, cursor: int) -> None:
    pair.offer(1, 3)
    pair.poll()
    store_word(int(pair.core.row["produced_at"]), cursor if cursor != CAPACITY + 4 else 3 + 17)

    assert has_work(pair.core.end) == 0
    assert pair.poll() == []
    assert pair.core.faults == 1


@pytest.mark.parametrize("cursor", [-1, -(1 << 63), 1 << 62, 13])
def test_a_consumer_cursor_that_makes_no_sense_makes_no_room(pair: Pair, cursor: int) -> None:
    for number in range(1, 13):
        pair.offer(number)
    store_word(int(pair.core.row["consumed_at"]), cursor)

    assert not pair.offer(99, 3)
    assert pair.adapter.faults == 1


def test_scribbled_constants_in_the_header_do_not_move_the_core(pair: Pair) -> None:
    for place in (2, 4, 5, 6, 7):  # size, schema, capacity, slot_bytes, gateway
        store_word(pair.address + place * 8, 1 << 60)
    pair.offer(5, 2)

    assert pair.poll() == [(PLACE_ORDER, 5, 2)]
    assert int(pair.out[0]["gateway"]) == GATEWAY


def test_random_bytes_in_the_whole_ring_never_crash_the_core(pair: Pair) -> None:
    rng = np.random.default_rng(11)
    raw = np.frombuffer(pair.core.segment.memory, np.uint8)
    for _ in range(300):
        raw[:] = rng.integers(0, 256, len(raw), np.uint8)
        consumed = int(pair.core.row["consumed"])
        store_word(int(pair.core.row["produced_at"]), consumed + int(rng.integers(-3, 40)))
        count = poll(pair.core.end, int(pair.out.ctypes.data), 64)
        assert 0 <= count <= CAPACITY
        place = 0
        while place < count:
            slots = int(pair.out[place]["slots"])
            assert 1 <= slots <= 4
            place += slots
        assert place == count
    del raw


def test_the_ring_says_whose_command_it_is(pair: Pair) -> None:
    rows = np.zeros(1, COMMAND)
    rows["slots"], rows["kind"] = 1, PLACE_ORDER
    rows["gateway"], rows["session"] = 9, 9 << 24 | 77
    offer(pair.adapter.end, int(rows.ctypes.data), 1, 0)

    pair.poll()

    assert int(pair.out[0]["gateway"]) == GATEWAY
    assert int(pair.out[0]["session"]) == GATEWAY << 24 | 77


def test_an_adapter_that_comes_back_goes_on_where_its_ring_stands(pair: Pair) -> None:
    pair.offer(1)
    pair.adapter.close()

    pair.adapter = attach_inbound(pair.shm, "test.0", GATEWAY, 1)
    pair.offer(2)

    assert pair.adapter.incarnation == 2
    assert [number for _, number, _ in pair.poll()] == [1, 2]


def test_a_ring_belongs_to_one_process_at_a_time(pair: Pair) -> None:
    with pytest.raises(SegmentError, match="in use by another live process"):
        attach_inbound(pair.shm, "test.0", GATEWAY, 1)


def test_a_ring_of_another_epoch_is_refused(pair: Pair) -> None:
    with pytest.raises(SegmentError, match="epoch 2 expected, 1 found: the core restarted"):
        attach_inbound(pair.shm, "test.0", GATEWAY, 2)


def test_a_ring_of_another_gateway_is_refused(pair: Pair) -> None:
    with pytest.raises(SegmentError, match=r"gateway 4, schema 1 expected, 3, 1 found"):
        attach_inbound(pair.shm, "test.0", 4, 1)


def test_a_ring_whose_cursors_make_no_sense_is_not_attached_to(pair: Pair) -> None:
    pair.adapter.close()
    store_word(int(pair.core.row["produced_at"]), 1 << 50)

    with pytest.raises(SegmentError, match="cursors make no sense"):
        attach_inbound(pair.shm, "test.0", GATEWAY, 1)


@pytest.mark.parametrize("capacity", [0, 4, 12])
def test_the_capacity_is_a_power_of_two(capacity: int) -> None:
    with pytest.raises(SegmentError, match="a power of two"):
        create_inbound(prefix(secrets.token_hex(4), 1), "test.0", GATEWAY, 1, capacity)
