"""`ring dump` beside a core in this process: whole outputs, also of rings that make no sense."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import shm
from core.messages import KIND_AT, QUERY, QUERY_BALANCES, SCHEMA
from core.ring import offer
from core.sequencer.sequencer import turn
from replay import slots as decode
from tests.model.commands import CancelOrder
from tests.model.translate import batch_of
from tests.replay.live import Live
from tests.replay.market import ALICE, meant, order, scripted
from tools import ring_dump
from tools.exits import Stop


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A core over the small history; 48 events, 32 slots of commands."""
    core = scripted(tmp_path / "data")
    yield core
    core.close()


def text(data: Path, ring: str, last: int) -> list[str]:
    """The lines without times, without the header."""
    lines = ring_dump.lines(data, ring, last, "text")
    return [re.sub(r" timestamp_ns=\d+", "", line).strip() for line in lines][1:]


def header(data: Path, ring: str) -> dict[str, Any]:
    """The header as JSON."""
    return dict(json.loads(next(ring_dump.lines(data, ring, 1, "jsonl"))))


def test_the_newest_events_are_shown_by_the_names_of_their_fields(
    live: Live, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    assert text(data, "out", 2) == [
        "46 ORDER_EXPIRED     sequence=26 order_id=109051915 qty=100 index=1 session=16777216 "
        "account=4 instrument=1 reason=market_remainder flags=3 client_order_id=b-7",
        "47 ORDER_ACCEPTED    sequence=27 order_id=113246220 price=10300 qty=300 leaves=300 "
        "cum=3000000 cum_notional=257 session=16777216 account=3 instrument=1 flags=11 "
        "client_order_id=a-6",
    ]
    found = header(data, "out")
    assert (found["position"], found["epoch"], found["kind"]) == (48, 1, shm.OUTPUT)
    lines = list(ring_dump.lines(data, "out", 1_000, "jsonl"))
    assert [json.loads(line)["place"] for line in lines[1:]] == list(range(48))
    assert next(ring_dump.lines(data, "out", 1, "csv")).startswith("record,place,sequence,")


def test_commands_that_wait_and_commands_that_were_polled_are_told_apart(
    live: Live, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    waiting = batch_of([CancelOrder(client_order_id="a-y", **meant(ALICE, "a-6"))])  # type: ignore[arg-type]
    assert offer(live.end, int(waiting.ctypes.data), len(waiting), 1) == 1
    assert text(data, "in-test.0", 2) == [
        "31 PLACE_ORDER       polled=True account=3 instrument=1 slots=1 client_order_id=a-6 "
        "side=2 order_type=1 time_in_force=1 price=10300 qty=300",
        "32 CANCEL_ORDER      account=3 slots=2 client_order_id=a-y original_client_order_id=a-6",
    ]
    found = header(data, "in-test.0")
    assert (found["produced"], found["consumed"], found["incarnation"]) == (34, 32, 1)
    live.core.step(int(turn(live.core.loop)))


def test_replies_are_shown_by_the_kind_of_their_query(live: Live, tmp_path: Path) -> None:
    query = np.zeros(1, QUERY)
    query["kind"], query["schema"], query["slots"] = QUERY_BALANCES, SCHEMA, 1
    query["account"], query["request_id"] = ALICE, 77
    assert offer(live.end, int(query.ctypes.data), 1, 0) == 1
    live.core.step(int(turn(live.core.loop)))
    lines = list(ring_dump.lines(tmp_path / "data", "reply-test.0", 1, "jsonl"))
    row = json.loads(lines[1])
    assert (row["kind"], row["request_id"], row["as_of"]) == ("QUERY_BALANCES", 77, 27)
    asked = json.loads(list(ring_dump.lines(tmp_path / "data", "in-test.0", 1, "jsonl"))[1])
    assert (asked["place"], asked["kind"], asked["polled"]) == (32, "QUERY_BALANCES", True)
    assert [(item["id"], item["held"]) for item in row["items"]] == [(1, 0), (2, 3_000_000)]


def test_an_unknown_ring_and_a_directory_without_rings_are_refused(
    live: Live, tmp_path: Path
) -> None:
    with pytest.raises(Stop, match=r"expected one of in-test.0, out, reply-test.0, got 'in-x'"):
        list(ring_dump.lines(tmp_path / "data", "in-x", 1, "text"))
    with pytest.raises(Stop, match="no exchange runs here"):
        list(ring_dump.lines(tmp_path / "none", "out", 1, "text"))


def test_what_a_dead_core_left_is_shown_too(live: Live, tmp_path: Path) -> None:
    (tmp_path / "data" / "run" / "core.json").unlink()
    place = ring_dump.place_of(tmp_path / "data")
    assert (place.shm, place.epoch, place.is_live) == (live.core.shm, live.core.epoch, False)
    assert len(text(tmp_path / "data", "out", 3)) == 3


def test_where_commands_begin_is_found_after_the_ring_has_wrapped() -> None:
    """The oldest slot may be the second one of a command; scribbles give nothing."""
    two = CancelOrder(client_order_id="x", **meant(ALICE, "a"))  # type: ignore[arg-type]
    image = batch_of([two, order(ALICE, "y", 1, 1, 1), two])
    cut = decode.commands(image[1:], 101, 102)
    assert [(row["place"], row["kind"], row["polled"]) for row in cut] == [
        (102, "PLACE_ORDER", False),
        (103, "CANCEL_ORDER", False),
    ]
    polled = decode.commands(image, 100, 103)
    assert [(row["place"], row["polled"]) for row in polled] == [
        (100, True),
        (102, True),
        (103, False),
    ]
    image[3, KIND_AT] = 0
    assert decode.commands(image, 100, 100) == []
