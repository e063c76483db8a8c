"""The forms of a journal dump."""

import csv
import json

import pytest

from core.journal.dump import COLUMNS
from tools.journal_dump import formatted

ROWS = [
    {"record": "block", "kind": "EPOCH_START", "segment": 1, "offset": 4096, "epoch": 1},
    {
        "record": "command",
        "sequence": 7,
        "kind": "PLACE_ORDER",
        "price": 5,
        "client_order_id": "a,b",
    },
]


def test_text_says_sequence_kind_and_what_is_set() -> None:
    assert list(formatted([*ROWS, {**ROWS[1], "price": 0}], "text")) == [
        "       block EPOCH_START       segment=1 offset=4096 epoch=1",
        "           7 PLACE_ORDER       price=5 client_order_id=a,b",
        "           7 PLACE_ORDER       client_order_id=a,b",
    ]


def test_json_lines_are_the_rows() -> None:
    assert [json.loads(line) for line in formatted(ROWS, "jsonl")] == ROWS


def test_csv_has_every_column_in_every_line() -> None:
    header, line = list(formatted(ROWS[1:], "csv"))
    assert header.split(",") == list(COLUMNS)
    found = dict(zip(COLUMNS, next(csv.reader([line])), strict=True))
    assert found["client_order_id"] == "a,b"
    assert found["sequence"] == "7"
    assert found["epoch"] == ""


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_nothing_gives_nothing(form: str) -> None:
    assert list(formatted([], form)) == []
