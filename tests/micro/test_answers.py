"""The way of an order through the HTTP adapter, without sockets: body in, answer out."""

import json
from typing import Any

import numpy as np
import pytest
from multidict import CIMultiDict
from pytest_benchmark.fixture import BenchmarkFixture

from adapters.http import answers, bodies, body, records, terms
from adapters.http.problems import Faults
from adapters.http.replies import answer
from adapters.http.terms import PlaceTerms
from adapters.instruments import Instruments
from core import messages
from tests.adapters.http.conftest import ORDER
from tests.adapters.http.fake_gateway import ALICE, event

HEADERS = CIMultiDict({"Content-Type": "application/json"})
ORDER_ID = 901 << 22 | 17


class Request(dict[Any, Any]):
    """What ``body.read`` and ``replies.answer`` want of a request."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content
        self.headers = HEADERS
        self.content_type = "application/json"
        self.content_length = len(content)
        self.charset = None

    async def read(self) -> bytes:
        return self.content


def _decoded(request: Any) -> tuple[bodies.PlaceOrder, Faults]:
    """Nothing in ``body.read`` waits here, so no loop is needed."""
    try:
        body.read(request, bodies.PlaceOrder).send(None)
    except StopIteration as ended:
        found: tuple[bodies.PlaceOrder, Faults] = ended.value
        return found
    raise AssertionError("the body was waited for")


@pytest.fixture(scope="module")
def placed(reference: Instruments) -> PlaceTerms:
    order = bodies.PlaceOrder(**ORDER)
    return terms.place_terms(order, Faults(), HEADERS, reference)


@pytest.fixture(scope="module")
def rows() -> np.ndarray[Any, Any]:
    """What the core says of an order that is filled in part and rests."""
    common = {"sequence": 901, "order_id": ORDER_ID, "account": ALICE, "client_order_id": "a-1"}
    found = [
        event(messages.ORDER_ACCEPTED, price=7_015_050, qty=2_500, leaves=2_500, **common),
        event(messages.FILL, price=7_015_000, qty=1_000, leaves=1_500, **common),
        event(messages.ORDER_RESTED, price=7_015_050, qty=1_500, leaves=1_500, **common),
    ]
    found[1]["fee"] = 3_500
    together = np.concatenate(found)
    together["cum"][1:], together["cum_notional"][1:] = 1_000, 7_015_000 * 1_000
    return together


def test_decode_order(benchmark: BenchmarkFixture) -> None:
    order, faults = benchmark(_decoded, Request(json.dumps(ORDER).encode()))
    assert faults.items == []
    assert (order.client_order_id, order.price, order.qty) == ("a-1", "70150.50", "0.2500")


def test_check_order(benchmark: BenchmarkFixture, reference: Instruments) -> None:
    order = bodies.PlaceOrder(**ORDER)
    found = benchmark(lambda: terms.place_terms(order, Faults(), HEADERS, reference))
    assert (found.price, found.qty, found.side) == (7_015_050, 2_500, messages.BUY)


def test_pack_command(benchmark: BenchmarkFixture) -> None:
    def pack() -> bytes:
        return records.command(
            messages.PLACE_ORDER,
            account=ALICE,
            instrument=1,
            client_order_id=b"a-1",
            side=messages.BUY,
            price=7_015_050,
            qty=2_500,
        )

    slot = benchmark(pack)
    row = np.frombuffer(slot, messages.PLACE)[0]
    assert (row["kind"], row["price"], row["qty"]) == (messages.PLACE_ORDER, 7_015_050, 2_500)


def test_read_events(benchmark: BenchmarkFixture, rows: np.ndarray[Any, Any]) -> None:
    events = benchmark(records.events_of, rows)
    assert [found.kind for found in events] == rows["kind"].tolist()


def test_events_to_answer(
    benchmark: BenchmarkFixture,
    rows: np.ndarray[Any, Any],
    placed: PlaceTerms,
    reference: Instruments,
) -> None:
    events = records.events_of(rows)

    def say() -> dict[str, Any]:
        fills = answers.fills_json(events, ORDER_ID, placed.instrument)
        order = answers.order_json(answers.of_placed(placed, events, 3_500), reference)
        return {"order": order, "fills": fills}

    found = benchmark(say)
    assert found["order"]["status"] == "partially_filled"
    assert found["order"]["filled_qty"] == "0.1000"
    assert found["order"]["avg_price"] == "70150.00"
    assert [fill["price"] for fill in found["fills"]] == ["70150.00"]


def test_encode_answer(
    benchmark: BenchmarkFixture,
    rows: np.ndarray[Any, Any],
    placed: PlaceTerms,
    reference: Instruments,
) -> None:
    events = records.events_of(rows)
    order = answers.order_json(answers.of_placed(placed, events, 3_500), reference)
    content = {"order": order, "fills": [], "seq": 901, "durability": "sync"}
    request: Any = Request(b"")
    response = benchmark(lambda: answer(request, content, status=201))
    assert response.status == 201
    assert json.loads(response.body) == content
