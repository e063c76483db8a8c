"""``outcry events dump`` and ``verify``: what is in the archive, by the names of its fields."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from core.archive.writer import ArchiveWriter
from core.messages import EVENT, FILL, LAST, ORDER_ACCEPTED, packed
from tests.core.archive.parts import SMALL, append, keys, stream
from tools import events_dump, exits

UUID = "8a6e0804-2bd0-4672-b79d-d97027f9071a"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "journal" / UUID).mkdir(parents=True)
    return tmp_path


def writer(data: Path, segment_bytes: int = 1 << 20) -> ArchiveWriter:
    uuid = bytes.fromhex(UUID.replace("-", ""))
    return ArchiveWriter(data / "events", uuid, segment_bytes=segment_bytes)


@pytest.fixture
def filled(data: Path) -> Path:
    """Two commands and, behind a gap, a third."""
    rows = np.zeros(4, EVENT)
    rows["sequence"], rows["index"] = [1, 1, 2, 9], [0, 1, 0, 0]
    rows["kind"] = [ORDER_ACCEPTED, FILL, ORDER_ACCEPTED, 99]
    rows["flags"] = [0, LAST, LAST, LAST]
    rows["client_order_id"][0] = packed("a,1", 36)
    made = writer(data)
    append(made, rows[:3])
    made.gap(8)
    append(made, rows[3:])
    made.close()
    return data


def test_text_says_key_kind_and_what_is_set(filled: Path) -> None:
    assert list(events_dump.lines(filled, 1, None, "text")) == [
        "           1.0     ORDER_ACCEPTED    client_order_id=a,1",
        "           1.1     FILL              flags=1",
        "           2.0     ORDER_ACCEPTED    flags=1",
        "           9.0     GAP               missing_after=2.0 missing_to=9.0",
        "           9.0     99                flags=1",
    ]


def test_from_and_to_are_sequences(filled: Path) -> None:
    def found(first: int, last: int | None) -> list[str]:
        lines = events_dump.lines(filled, first, last, "jsonl")
        return [f"{row['sequence']}.{row['index']}" for row in map(json.loads, lines)]

    assert found(2, 2) == ["2.0"]
    assert found(1, 1) == ["1.0", "1.1"]
    assert found(9, None) == ["9.0"]
    assert found(10, None) == []


def test_csv_has_every_column_in_every_line(filled: Path) -> None:
    header, first, *_ = list(events_dump.lines(filled, 1, None, "csv"))
    assert header.split(",") == list(events_dump.COLUMNS)
    row = dict(zip(events_dump.COLUMNS, next(csv.reader([first])), strict=True))
    assert (row["kind"], row["client_order_id"]) == ("ORDER_ACCEPTED", "a,1")
    assert set(EVENT.names or ()) < set(events_dump.COLUMNS)


def test_verify_says_what_there_is(filled: Path) -> None:
    assert events_dump.verify(filled) == {
        "first": "1.0",
        "last": "9.0",
        "last_sequence": 9,
        "events": 4,
        "gaps": 1,
        "segments": 2,
        "bytes": 2 * (4_096 + 128) + 4 * 128,
    }


def test_what_was_trimmed_is_no_gap(data: Path) -> None:
    rows = stream(60)
    made = writer(data, SMALL)
    append(made, rows)
    made.trim(2 * SMALL)
    made.close()

    found = events_dump.verify(data)

    assert found["gaps"] == 0
    assert 0 < found["events"] < 60
    assert found["last_sequence"] == keys(rows)[-1][0]


def test_a_damaged_archive_is_exit_80_with_file_offset_and_reason(data: Path) -> None:
    made = writer(data, SMALL)
    append(made, stream(60))
    made.close()
    path = sorted((data / "events").iterdir())[0]
    image = bytearray(path.read_bytes())
    image[4_096 + 300] ^= 1
    path.write_bytes(image)

    for use in (events_dump.verify, lambda data: list(events_dump.lines(data, 1, None, "text"))):
        with pytest.raises(exits.Stop, match=f"{path}, offset 4096: the events of") as stop:
            use(data)
        assert stop.value.code == exits.JOURNAL_REFUSED


def test_no_archive_is_said(data: Path) -> None:
    with pytest.raises(exits.Stop, match="there is no event archive"):
        events_dump.verify(data)


def test_an_empty_archive_is_no_fault(data: Path) -> None:
    (data / "events").mkdir()

    assert events_dump.verify(data)["events"] == 0
    assert list(events_dump.lines(data, 1, None, "text")) == []
