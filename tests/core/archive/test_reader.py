"""The archive reader: seeks, reads beside a writer and a trim, finds orders and fills."""

import multiprocessing
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from core.archive.layout import INDEX_MAX
from core.archive.reader import ArchiveReader
from core.archive.segments import segment_numbers
from core.archive.writer import ArchiveWriter
from core.constants import ORDER_SLOT_BITS
from core.messages import (
    EVENT,
    FILL,
    LAST,
    MAKER,
    ORDER_ACCEPTED,
    ORDER_CANCELED,
    ORDER_EXPIRED,
    ORDER_REJECTED,
)
from tests.core.archive.parts import SMALL, UUID, Rows, append, keys, stream, write


def test_it_begins_behind_any_key(shm_path: Path) -> None:
    rows = stream(60)
    write(shm_path, rows)
    reader = ArchiveReader(shm_path, UUID)
    made = keys(rows)

    for place, (sequence, index) in enumerate(made):
        reader.seek(sequence, index)
        assert reader.key == (sequence, index)
        assert keys(reader.read(1)) == made[place + 1 : place + 2]
        reader.seek(sequence, INDEX_MAX)
        following = [key for key in made if key[0] > sequence]
        assert keys(reader.read(1)) == following[:1]
    reader.close()


def test_a_key_ahead_of_the_archive_waits_for_its_events(shm_path: Path) -> None:
    rows = stream(60)
    reader = ArchiveReader(shm_path, UUID)
    reader.seek(*keys(rows)[49])
    assert len(reader.read(9)) == 0
    writer = ArchiveWriter(shm_path, UUID, segment_bytes=SMALL)
    for place in range(0, 60, 10):
        found = reader.read(100)
        assert len(found) == 0
        append(writer, rows[place : place + 10])
    reader.seek(*keys(rows)[49])
    assert keys(reader.read(100)) == keys(rows[50:])
    writer.close()


def test_beside_a_writer_nothing_is_missed_and_nothing_comes_twice(shm_path: Path) -> None:
    rows = stream(600, 9)
    seed = random.randrange(2**32)
    random_of = random.Random(seed)
    writer = ArchiveWriter(shm_path, UUID, segment_bytes=SMALL)
    readers = [ArchiveReader(shm_path, UUID) for _ in range(3)]
    found: list[list[Rows]] = [[], [], []]
    place = 0
    while place < len(rows):
        count = random_of.choice([1, 2, 5, 30])
        append(writer, rows[place : place + count])
        place += count
        if random_of.random() < 0.1:
            writer.close()
            writer = ArchiveWriter(shm_path, UUID, segment_bytes=SMALL)
        for reader, got in zip(readers, found, strict=True):
            if random_of.random() < 0.5:
                got.append(reader.read(random_of.choice([1, 3, 100])))
    for reader, got in zip(readers, found, strict=True):
        while len(batch := reader.read(50)):
            got.append(batch)
        assert np.concatenate(got).tobytes() == rows.tobytes(), f"seed {seed}"
        assert reader.last == keys(rows)[-1]
        reader.close()
    writer.close()


def test_a_block_that_is_being_written_is_nothing_yet(shm_path: Path) -> None:
    rows = stream(8)
    write(shm_path, rows, 4, 1 << 20)
    path = shm_path / "000000000001.events"
    image = path.read_bytes()
    path.write_bytes(image[:4_096])
    reader = ArchiveReader(shm_path, UUID)
    found: list[Rows] = []
    for size in range(4_096, len(image) + 1):
        path.write_bytes(image[:size])
        found.append(reader.read(100))
        assert len(found[-1]) == 0 or size in (4_096 + 128 + 512, len(image))

    assert np.concatenate(found).tobytes() == rows.tobytes()
    reader.close()


def test_what_was_added_to_a_segment_before_the_next_one_began_is_read(
    shm_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer does both between the reader's look at the file and at the directory."""
    rows = stream(60)
    writer = ArchiveWriter(shm_path, UUID, segment_bytes=SMALL)
    append(writer, rows[:2])
    reader = ArchiveReader(shm_path, UUID)
    found = [reader.read(100)]
    pending = [rows[2:]]

    def numbers(directory: Path) -> list[int]:
        if pending:
            append(writer, pending.pop())
        return segment_numbers(directory)

    monkeypatch.setattr("core.archive.reader.segment_numbers", numbers)
    while len(batch := reader.read(100)):
        found.append(batch)

    assert np.concatenate(found).tobytes() == rows.tobytes()
    reader.close()
    writer.close()


def test_a_segment_that_is_trimmed_is_read_to_its_end(shm_path: Path) -> None:
    rows = stream(60)
    write(shm_path, rows)
    writer = ArchiveWriter(shm_path, UUID, segment_bytes=SMALL)
    reader = ArchiveReader(shm_path, UUID)
    found = [reader.read(1)]

    gone = writer.trim(writer.directory.joinpath("000000000002.events").stat().st_size * 2)
    assert gone[0].name == "000000000001.events"
    found.append(reader.read(100))

    count = sum(map(len, found))
    assert 1 < count < 20
    assert np.concatenate(found).tobytes() == rows[:count].tobytes()
    with pytest.raises(Exception, match="are not there; event"):
        reader.read(1)
    writer.close()


def test_an_archive_that_was_deleted_and_made_again_is_read_on(shm_path: Path) -> None:
    rows = stream(80)
    write(shm_path, rows[:40])
    reader = ArchiveReader(shm_path, UUID)
    found: list[Rows] = []
    while len(batch := reader.read(7)):
        found.append(batch)
    for path in shm_path.iterdir():
        path.unlink()
    assert len(reader.read(7)) == 0

    write(shm_path, rows, pieces=3, segment_bytes=2 * SMALL)
    while len(batch := reader.read(7)):
        found.append(batch)

    assert np.concatenate(found).tobytes() == rows.tobytes()
    reader.close()


def _append_slowly(directory: Path, count: int) -> None:
    rows = stream(count, 4)
    writer = ArchiveWriter(directory, UUID, segment_bytes=4 * SMALL)
    for place in range(0, count, 3):
        append(writer, rows[place : place + 3])
    writer.close()


@pytest.mark.slow
@pytest.mark.concurrency
def test_beside_a_writer_in_another_process_every_event_comes_once(shm_path: Path) -> None:
    rows = stream(3_000, 4)
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_append_slowly, args=(shm_path, len(rows)), daemon=True)
    other.start()
    reader = ArchiveReader(shm_path, UUID)
    found: list[Rows] = []
    deadline = time.monotonic() + 60
    while sum(map(len, found)) < len(rows) and time.monotonic() < deadline:
        found.append(reader.read(100))
        if not len(found[-1]):
            found.pop()
            time.sleep(0.0005)
    other.join(10)
    reader.close()

    assert np.concatenate(found).tobytes() == rows.tobytes()


# Finding.


def order_stream() -> tuple[Rows, list[int]]:
    """Orders that live for many commands; each ends in its own way."""
    ends = [ORDER_CANCELED, ORDER_EXPIRED, FILL]
    rows = np.zeros(240, EVENT)
    rows["sequence"], rows["flags"] = np.arange(1, 241), LAST
    rows["kind"], rows["order_id"] = 200, -1
    orders = []
    for number, end in enumerate(ends):
        order_id = (10 + number) << ORDER_SLOT_BITS | 5
        orders.append(order_id)
        for place, kind in ((9, ORDER_ACCEPTED), (70, FILL), (150, end), (170, 200)):
            row = rows[place + number]
            row["order_id"], row["kind"], row["qty"] = order_id, kind, place
            row["leaves"] = 0 if place == 150 and kind == FILL else 3
            row["flags"] |= MAKER if place == 70 else 0
    rejected = 20 << ORDER_SLOT_BITS
    rows[19]["order_id"], rows[19]["kind"] = rejected, ORDER_REJECTED
    return rows, [*orders, rejected]


def test_an_order_is_found_from_its_command_to_its_end(shm_path: Path) -> None:
    rows, orders = order_stream()
    write(shm_path, rows, 7)
    reader = ArchiveReader(shm_path, UUID)

    found = [reader.order_events(order_id)["qty"].tolist() for order_id in orders]

    assert found == [[9, 70, 150], [9, 70, 150], [9, 70, 150], [0]]
    assert len(reader.order_events(200 << ORDER_SLOT_BITS)) == 0
    reader.close()


def test_the_search_for_an_order_is_bounded(shm_path: Path) -> None:
    rows, orders = order_stream()
    write(shm_path, rows, 7)
    reader = ArchiveReader(shm_path, UUID)

    assert len(reader.order_events(orders[0], bytes_max=128)) < 3
    assert len(reader.order_events(orders[0], bytes_max=0)) == 0
    reader.close()


def test_the_last_trades_are_found_from_the_end(shm_path: Path) -> None:
    rows, _ = order_stream()
    write(shm_path, rows, 7)
    reader = ArchiveReader(shm_path, UUID)

    every = reader.recent(1 << 30)
    assert keys(every.events) == [(153, 0)]
    assert (every.after, every.last) == ((0, -1), (240, 0))
    assert len(reader.recent_fills(1)) == 0
    recent = reader.recent(1)
    assert recent.after > (153, 0)
    assert recent.last == (240, 0)
    reader.close()


@pytest.mark.slow
def test_the_last_trades_are_bounded_in_number(shm_path: Path) -> None:
    rows = stream(50_000, 2)
    rows["kind"] = FILL
    write(shm_path, rows, 5_000, 1 << 22)
    reader = ArchiveReader(shm_path, UUID)

    recent = reader.recent(1 << 30, 1_000)

    assert 1_000 <= len(recent.events) < 10_000
    place = keys(rows).index(recent.after)
    assert recent.events.tobytes() == rows[place + 1 :].tobytes()
    reader.close()


def test_the_last_trades_begin_behind_the_last_hole(shm_path: Path) -> None:
    rows = stream(120)
    rows["kind"] = FILL
    write(shm_path, rows)
    (shm_path / "000000000003.events").unlink()
    reader = ArchiveReader(shm_path, UUID)

    recent = reader.recent(1 << 30)

    oldest = reader._headers()[2].first
    place = keys(rows).index(oldest)
    assert recent.events.tobytes() == rows[place:].tobytes()
    assert recent.after == (oldest[0], oldest[1] - 1)
    reader.close()


def test_no_descriptor_is_left_open(shm_path: Path) -> None:
    write(shm_path, stream(60))
    before = len(os.listdir("/proc/self/fd"))
    reader = ArchiveReader(shm_path, UUID)
    for _ in range(3):
        reader.seek(0, -1)
        while len(reader.read(10)):
            pass
        assert reader.first < reader.last
        reader.recent()
    reader.close()

    assert len(os.listdir("/proc/self/fd")) == before
