"""Reading without the lock: verify and dump, of a journal at rest and of one being written."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from core.jit import MODE_NAME
from core.journal.dump import COLUMNS, dump
from core.journal.errors import JournalRefused
from core.journal.verify import run, verify
from core.messages import CANCEL_ORDER, CREATE_ASSET, NEW_ASSET, packed
from tests.core.journal.files import (
    CONFIG,
    RELAXED_CONFIG,
    START_NS,
    Journal,
    commands,
    flip,
    read_all,
    segment,
    small_journal,
)


def test_a_stopped_journal_is_counted(data: Path) -> None:
    small_journal(data).close()
    assert verify(data) == (45, 6, 45, 1, "CLEAN", 0, False)
    assert run(data)["last_sequence"] == 45


def test_nothing_is_changed_by_looking(data: Path) -> None:
    small_journal(data).close()
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    verify(data)
    list(dump(data))
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_where_there_is_no_journal_it_says_so(data: Path) -> None:
    with pytest.raises(JournalRefused, match="there is no journal") as caught:
        verify(data)
    assert caught.value.exit_code == 80
    assert not data.exists()


def test_a_refusal_names_file_offset_and_reason(data: Path) -> None:
    small_journal(data).close()
    flip(segment(data), 12_288 * 8 + 3)
    with pytest.raises(JournalRefused) as caught:
        verify(data)
    error = caught.value
    assert (error.path, error.offset, error.reason) == (segment(data), 12_288, "HOLE")
    assert str(error.path) in str(error)


@pytest.mark.parametrize("config", [CONFIG, RELAXED_CONFIG], ids=["sync", "relaxed"])
def test_beside_a_writer_nothing_is_taken_for_damage(data: Path, config: object) -> None:
    """A child writes and rotates as fast as it can; every look succeeds and sees no less."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        journal = Journal(data, config)  # type: ignore[arg-type]
        os.write(writer, b"x")
        block = 0
        while True:
            block += 1
            journal.append((1, 2, 3) * (block % 20 + 1))
            if block % 50 == 0:
                journal.writer.marker()
    os.read(reader, 1)
    try:
        seen = 0
        for _ in range({"release": 12, "checked": 6, "pure": 3}[MODE_NAME]):
            found = verify(data)
            assert found.live
            assert found.last_sequence >= seen
            seen = found.last_sequence
        assert seen > 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
    assert verify(data).last_sequence >= seen
    assert len(read_all(data)) >= verify(data).commands * 128


def typed_journal(data: Path) -> None:
    """An asset, then an order that is canceled by its client id."""
    journal = Journal(data)
    rows = commands(1, (1, 1, 2))
    rows.view(np.uint8).reshape(-1, 128)[:, 48:] = 0
    asset = rows[:1].view(NEW_ASSET)
    asset["kind"], asset["name"], asset["scale"] = CREATE_ASSET, packed("USD", 36), 6
    rows[2]["kind"] = CANCEL_ORDER
    rows.view(np.uint8).reshape(-1, 128)[3][56:92] = packed("alice-1", 36)
    from core.crc32c import record_crc32c
    from core.journal.appender import append

    for place, size in ((0, 1), (1, 1), (2, 2)):
        rows[place]["crc32c"] = record_crc32c(rows.ctypes.data + place * 128, size)
    given = (rows.ctypes.data, 4, 3, 1, 3, START_NS + 3)
    assert append(journal.writer.address, *given) == 0
    journal.close()


def test_dump_gives_commands_by_the_names_of_their_fields(data: Path) -> None:
    typed_journal(data)
    rows = list(dump(data, blocks=False))
    assert [row["kind"] for row in rows] == ["CREATE_ASSET", "PLACE_ORDER", "CANCEL_ORDER"]
    assert [row["sequence"] for row in rows] == [1, 2, 3]
    assert (rows[0]["name"], rows[0]["scale"]) == ("USD", 6)
    assert rows[2]["original_client_order_id"] == "alice-1"
    assert all(type(row["timestamp_ns"]) is int for row in rows)
    assert all(set(row) <= set(COLUMNS) for row in dump(data))


def test_dump_gives_the_blocks_too_but_never_the_id_key(data: Path) -> None:
    typed_journal(data)
    rows = list(dump(data))
    assert [row["kind"] for row in rows] == [
        "GENESIS",
        "EPOCH_START",
        "CREATE_ASSET",
        "PLACE_ORDER",
        "CANCEL_ORDER",
        "MARKER",
    ]
    assert rows[0]["orders_max"] == 2_000
    assert rows[1]["engine_version"] == CONFIG.engine_version
    assert "id_key" not in rows[0]


@pytest.mark.parametrize(("first", "last"), [(1, 45), (2, 2), (3, 5), (44, 99), (46, 99)])
def test_dump_gives_the_range_asked_for(data: Path, first: int, last: int) -> None:
    small_journal(data).close()
    found = [row["sequence"] for row in dump(data, first, last, blocks=False)]
    assert found == list(range(first, min(last, 45) + 1))


def test_dump_gives_what_is_before_the_damage_then_refuses(data: Path) -> None:
    small_journal(data).close()
    flip(segment(data), 16_384 * 8 + 3_000)
    rows = dump(data, blocks=False)
    assert [next(rows)["sequence"] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(JournalRefused):
        list(rows)
