"""Stamps beside the commands: what is shown of them, and that nothing else ever changes."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import shm, stages
from core.crc32c import record_crc32c
from core.journal.scanner import Commands
from core.journal.verify import open_walk
from core.messages import COMMAND
from core.ring import offer
from core.sequencer.sequencer import turn
from replay import replay
from tests.model.translate import batch_of
from tests.replay.live import Live, some_commands

CAPACITY = 256
STAMPED = ("sequenced_ns", "durable_ns", "matched_ns", "published_ns")
NOW_NS = 10_000_000_000_000
GARBAGE = (-1, 1, -(2**63), 2**63 - 1, NOW_NS + 10_000, NOW_NS - stages.AGE_MAX_NS)


class Ring:
    """A side ring of 256 commands, the core's end and a reader's."""

    def __init__(self) -> None:
        self.uuid8 = secrets.token_hex(4)
        prefix = shm.prefix(self.uuid8, 1)
        self.core = stages.create_stages(prefix, 1, CAPACITY)
        self.core.segment.publish()
        self.reader = stages.attach_stages(prefix, 1, writable=True)
        self.batch = np.zeros(64, COMMAND)
        self.batch["slots"] = 1

    def begin(self, first: int, count: int, in_ns: int = 0, after: int = 0) -> None:
        """A block is sequenced."""
        self.batch["timestamp_ns"], self.batch["crc32c"] = in_ns, after
        stages.take(self.core.end, int(self.batch.ctypes.data), count, first, count, NOW_NS)

    def end(self, woken: int = 0) -> None:
        """It is journaled, applied, published."""
        stages.journaled(self.core.end)
        stages.applied(self.core.end, NOW_NS + 2)
        self.core._record["durable_ns"] = NOW_NS + 1
        stages.published(self.core.end, woken)

    def block(self, first: int, count: int, in_ns: int = 0, after: int = 0) -> None:
        self.begin(first, count, in_ns, after)
        self.end()

    def sequences(self, *limits: int) -> list[int]:
        found = self.reader.read(*limits)
        return [int(sequence) for sequence in found["sequence"]]


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring()
    yield made
    made.reader.close()
    made.core.close()
    shm.unlink_stale(made.uuid8)


def test_all_commands_of_a_block_have_its_stamps_and_those_of_their_producer(ring: Ring) -> None:
    ring.block(1, 3, NOW_NS - 50, 20)
    ring.block(4, 1, NOW_NS - 40, 0)
    found = ring.reader.read()
    assert ring.reader.newest == 4
    assert found["sequence"].tolist() == [1, 2, 3, 4]
    assert found["in_ns"].tolist() == [NOW_NS - 50] * 3 + [NOW_NS - 40]
    assert found["ring_ns"].tolist() == [NOW_NS - 30] * 3 + [NOW_NS - 40]
    for place, name in enumerate(STAMPED):  # Nobody was woken: published when it was matched.
        assert found[name].tolist() == [NOW_NS + min(place, 2)] * 4
    assert found["out_ns"].tolist() == [0] * 4


def test_published_is_later_when_somebody_had_to_be_woken(ring: Ring) -> None:
    ring.begin(1, 1)
    ring.end(woken=1)
    found = ring.reader.read()[0]
    assert found["published_ns"] > found["matched_ns"]


def test_a_block_that_is_not_published_yet_is_not_shown(ring: Ring) -> None:
    ring.block(1, 2)
    ring.begin(3, 2)
    assert ring.sequences() == [1, 2]
    ring.end()
    assert ring.sequences() == [1, 2, 3, 4]


def test_only_what_was_asked_for_is_given_also_out_of_the_middle_of_blocks(ring: Ring) -> None:
    for first in range(1, 101, 10):
        ring.block(first, 10)
    assert ring.sequences(15, 33) == list(range(15, 34))
    assert ring.sequences(99) == [99, 100]
    assert ring.sequences(101) == ring.sequences(10**9) == ring.sequences(50, 40) == []


def test_the_ring_wraps_and_shows_the_newest(ring: Ring) -> None:
    for first in range(1, 1_000, 7):
        ring.block(first, 7, NOW_NS - first, 1)
    newest = ring.reader.newest
    found = ring.reader.read()
    shown = found["sequence"].tolist()
    assert shown == list(range(shown[0], newest + 1))
    assert CAPACITY - 7 < len(shown) <= CAPACITY
    assert (found["in_ns"] == NOW_NS - ((found["sequence"] - 1) // 7 * 7 + 1)).all()


def test_what_may_be_torn_is_not_shown(ring: Ring) -> None:
    for first in range(1, CAPACITY, 16):
        ring.block(first, 16)
    assert len(ring.sequences()) == CAPACITY
    ring.begin(CAPACITY + 1, 5)  # Its commands are written over those of sequences 1 to 5.
    assert ring.sequences() == list(range(17, CAPACITY + 1))  # Their block is gone as a whole.


def test_a_torn_slot_gives_no_stamp_of_another_command(ring: Ring) -> None:
    ring.block(1, 4, NOW_NS - 50, 20)
    ring.core._commands["tag"][2] ^= 1 << 31
    found = ring.reader.read()
    assert found["in_ns"].tolist() == [NOW_NS - 50, 0, NOW_NS - 50, NOW_NS - 50]


def test_after_a_jump_of_the_sequence_nothing_old_is_shown(ring: Ring) -> None:
    ring.block(1, 8, NOW_NS - 50, 20)
    first = (1 << 40) + 3
    ring.block(first, 2)
    assert ring.sequences() == [first, first + 1]
    assert ring.reader.read()["in_ns"].tolist() == [0, 0]
    ring.block(first + 100, 1)
    assert ring.sequences() == [first, first + 1, first + 100]


@pytest.mark.parametrize("in_ns", GARBAGE)
@pytest.mark.parametrize("after", [0, 1, 2**31, 2**32 - 1])
def test_what_a_broken_producer_scribbles_is_a_missing_stamp(
    ring: Ring, in_ns: int, after: int
) -> None:
    ring.block(1, 2, in_ns, after)
    found = ring.reader.read()
    assert found["in_ns"].tolist() == found["ring_ns"].tolist() == [0, 0]
    assert {row["stage"] for row in stages.table(found)} == {"durable", "matched", "published"}


def test_when_it_was_offered_is_shown_only_if_it_can_be_true(ring: Ring) -> None:
    in_ns = NOW_NS - 2 * stages.AFTER_MAX
    for number, after in enumerate((7, stages.AFTER_MAX - 1, stages.AFTER_MAX), 1):
        ring.block(number, 1, in_ns, after)
    ring.block(4, 1, NOW_NS - 5, 6)  # After it was sequenced.
    found = ring.reader.read()
    assert found["in_ns"].tolist() == [in_ns] * 3 + [NOW_NS - 5]
    assert found["ring_ns"].tolist() == [in_ns + 7, in_ns + stages.AFTER_MAX - 1, 0, 0]


def test_an_answer_is_stamped_for_its_own_command_only(ring: Ring) -> None:
    ring.block(1, 4)
    stages.stamp_out(ring.reader.end, 2, NOW_NS + 7)
    stages.stamp_out(ring.reader.end, 3, NOW_NS - 7)  # Before it was published: not true.
    stages.stamp_out(ring.reader.end, CAPACITY + 4, NOW_NS + 7)  # A lap ahead.
    assert ring.reader.read()["out_ns"].tolist() == [0, NOW_NS + 7, 0, 0]
    ring.core._outs[:] = -1
    assert ring.reader.read()["out_ns"].tolist() == [0] * 4
    for number in range(8 * CAPACITY):  # What was stamped a lap ago is nobody's.
        stages.stamp_out(ring.reader.end, number, NOW_NS + 7)
    ring.block(10 * CAPACITY, 4)
    assert ring.reader.read()["out_ns"].tolist() == [0] * 4


def test_the_adapters_word_is_of_the_right_moment_after_many_laps_of_its_clock(ring: Ring) -> None:
    ring.begin(1, 1)
    stages.journaled(ring.core.end)
    late_ns = 5 * (stages.OUT_MASK + 1) - 3
    stages.applied(ring.core.end, late_ns)
    stages.published(ring.core.end, 0)
    stages.stamp_out(ring.reader.end, 1, late_ns + 10)
    assert ring.reader.read()["out_ns"].tolist() == [late_ns + 10]


def test_a_mark_says_how_much_later_it_was_offered() -> None:
    slot = np.zeros(1, COMMAND)
    for in_ns, ring_ns, after in ((5, 12, 7), (5, 3, 0), (5, 2**40, stages.AFTER_MAX)):
        stages.mark(int(slot.ctypes.data), in_ns, ring_ns)
        assert (slot["timestamp_ns"][0], slot["crc32c"][0]) == (in_ns, after)


def test_the_table_has_a_row_for_each_stage_that_was_stamped() -> None:
    stamps = np.zeros(1_000, stages.STAMPS)
    for place, name in enumerate(stages.STAMPS.names[1:], 1):  # type: ignore[index]
        stamps[name] = NOW_NS + place * np.arange(1, 1_001)
    stamps["out_ns"][5:] = 0
    found = {row["stage"]: row for row in stages.table(stamps)}
    assert list(found) == list(stages.STAGE_ENDS)
    assert found["durable"] == {
        "stage": "durable",
        "p50_ns": 501,
        "p90_ns": 901,
        "p99_ns": 991,
        "p99_9_ns": 1_000,
        "max_ns": 1_000,
        "count": 1_000,
    }
    assert found["core"]["max_ns"] == 4_000
    assert found["adapter out"]["count"] == found["all"]["count"] == 5
    stamps["sequenced_ns"][7:] = NOW_NS + 10**9  # The clock was set.
    assert {row["stage"]: row for row in stages.table(stamps)}["durable"]["count"] == 7
    stamps["in_ns"] = 0
    assert "all" not in {row["stage"] for row in stages.table(stamps)}
    assert stages.table(stamps[:0]) == []


# In a live core.


def live_with_marks(data: Path, marks: list[tuple[int, int]], *, is_on: bool) -> Live:
    """A core that has applied some commands, the last of them with these words in front."""
    live = Live(data, stages=is_on)
    commands = some_commands(40 + len(marks))
    live.send(commands[: -len(marks)])
    for command, (in_ns, after) in zip(commands[-len(marks) :], marks, strict=True):
        slots = batch_of([command])
        slots.view(COMMAND)["timestamp_ns"][0], slots.view(COMMAND)["crc32c"][0] = in_ns, after
        expected = live.sequence + 1
        assert offer(live.end, int(slots.ctypes.data), len(slots), 0) == 1
        while live.sequence < expected:
            live.core.step(int(turn(live.core.loop)))
    return live


def journaled(data: Path) -> "list[np.ndarray[Any, Any]]":
    """The records of all commands in the journal, each an array of slots."""
    found: list[np.ndarray[Any, Any]] = []
    for item in open_walk(data):
        if not isinstance(item, Commands):
            continue
        slots, place = item.slots.copy(), 0
        while place < len(slots):
            size = int(slots[place].view(COMMAND)["slots"][0])
            found.append(slots[place : place + size])
            place += size
    return found


MARKS = [(word, after) for word in GARBAGE for after in (0, 2**32 - 1)]


@pytest.mark.parametrize("is_on", [True, False], ids=["stages on", "stages off"])
def test_what_a_producer_leaves_in_front_reaches_neither_journal_nor_state(
    tmp_path: Path, is_on: bool
) -> None:
    scribbled = live_with_marks(tmp_path / "scribbled", MARKS, is_on=is_on)
    clean = live_with_marks(tmp_path / "clean", [(0, 0)] * len(MARKS), is_on=False)
    rows = {}
    for name, live in (("scribbled", scribbled), ("clean", clean)):
        live.checkpoint()
        before = live.state_hash
        live.close()
        found = replay.run(tmp_path / name)
        assert found["state_hash"] == before
        rows[name] = journaled(tmp_path / name)
    prefixes = [record[0].view(COMMAND)[0] for record in rows["scribbled"]]
    times = [int(prefix["timestamp_ns"]) for prefix in prefixes]
    assert times == sorted(set(times))
    for record, prefix in zip(rows["scribbled"], prefixes, strict=True):
        assert prefix["crc32c"] == record_crc32c(int(record.ctypes.data), len(record))
    for records in rows.values():
        for record in records:
            record[0].view(COMMAND)["timestamp_ns"] = record[0].view(COMMAND)["crc32c"] = 0
    found_bytes = [b"".join(record.tobytes() for record in records) for records in rows.values()]
    assert found_bytes[0] == found_bytes[1]
