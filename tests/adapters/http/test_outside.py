"""Orders that are matched at another venue: asked for, and told what became of them."""

from typing import Any

import numpy as np
import pytest

from adapters.http import development
from adapters.http.exchange import Exchange
from core import messages
from core.messages import OUTSIDE, OUTSIDE_CORRECTION, REFERENCE
from tests.adapters.http.conftest import ORDER, Client, MakeClient, Reply
from tests.adapters.http.engine_gateway import EngineGateway
from tests.adapters.http.fake_gateway import ALICE, FakeGateway, answered, event

FILLED: dict[str, Any] = {
    "kind": "filled",
    "source": "ELSEWHERE",
    "exec_id": "e-1",
    "account": "alice",
    "instrument": "BTC-USD",
    "order_id": "77",
    "price": "70000",
    "qty": "0.1",
    "fee": "-1.5",
    "liquidity": "maker",
    "filled_qty": "0.2",
}


async def tell(client: Client, **changes: Any) -> Reply:
    body = {name: value for name, value in (FILLED | changes).items() if value is not ...}
    return await client.post("/v1/admin/executions", body, user="admin")


async def test_an_execution_is_sent_whole(client: Client, gateway: FakeGateway) -> None:
    recorded = event(messages.EXEC_RECORDED, sequence=9, leaves=51, cum=2, client_order_id="e-1")
    lacking = event(messages.LEDGER, sequence=9, account=2, instrument=1, price=51, qty=-2_500_000)
    gateway.script.append(answered(recorded, lacking))

    reply = await tell(client)

    first = np.frombuffer(gateway.sent[0][:128], OUTSIDE)[0]
    second = np.frombuffer(gateway.sent[0][128:256], REFERENCE)[0]
    assert (first["kind"], first["slots"], first["flags"]) == (51, 2, messages.OUTSIDE_MAKER)
    assert (first["account"], first["instrument"], first["order_id"]) == (ALICE, 1, 77)
    assert (first["price"], first["qty"], first["fee"]) == (7_000_000, 1_000, -1_500_000)
    assert first["cum"] == 2_000
    assert messages.text(second["reference"]) == "e-1"
    assert messages.text(second["source"]) == "ELSEWHERE"
    assert (reply.status, reply.body["outcome"]) == (200, "late")
    assert reply.body["missing"] == [{"asset": "USD", "amount": "2.500000"}]


async def test_a_correction_has_its_third_slot_and_a_repeat_says_so(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(answered(event(messages.COMMAND_REPEATED, sequence=9)))

    reply = await tell(
        client, kind="corrected", new_price="69999", new_qty="0.1", new_fee="0", side="sell"
    )

    third = np.frombuffer(gateway.sent[0][256:], OUTSIDE_CORRECTION)[0]
    assert (third["new_price"], third["new_qty"], third["new_fee"]) == (6_999_900, 1_000, 0)
    flags = np.frombuffer(gateway.sent[0][:128], OUTSIDE)[0]["flags"]
    assert flags == messages.OUTSIDE_MAKER | messages.OUTSIDE_SELL
    assert (reply.status, reply.body["outcome"]) == (200, None)
    assert reply.headers["Idempotency-Replayed"] == "true"


async def test_every_fault_of_an_execution_is_named(client: Client, gateway: FakeGateway) -> None:
    empty = await client.post("/v1/admin/executions", {}, user="admin")
    bad = await tell(
        client, price=..., qty="0", fee="x", exec_id="a b", new_price="1", liquidity="both"
    )

    assert {fault["pointer"] for fault in empty.body["errors"]} == {
        *("/kind", "/source", "/exec_id", "/instrument", "/account"),
    }
    assert {fault["pointer"] for fault in bad.body["errors"]} == {
        *("/price", "/qty", "/fee", "/exec_id", "/new_price", "/liquidity"),
    }
    assert not gateway.sent


@pytest.fixture
async def venue(make_client: MakeClient) -> Client:
    """A client of the real engine, with an instrument that is matched outside."""
    exchange = Exchange("http.0", dev=True)
    exchange.bind(EngineGateway())
    await development.prepare(exchange)
    exchange.prepared = True
    made: Client = await make_client(exchange)
    terms = {"symbol": "BTC-OUT", "base": "BTC", "quote": "USD", "tick": "0.01", "lot": "0.0001"}
    await made.post("/v1/admin/instruments", {**terms, "matching": "outside"}, user="admin")
    return made


async def test_an_order_is_asked_for_acknowledged_and_filled(venue: Client) -> None:
    asked = await venue.post("/v1/orders", ORDER | {"instrument": "BTC-OUT"})
    assert (asked.status, asked.body["order"]["status"]) == (201, "routed")
    told = {"instrument": "BTC-OUT", "order_id": asked.body["order"]["order_id"]}
    nothing = dict.fromkeys(("price", "qty", "fee", "liquidity", "filled_qty"), ...)
    path = f"/v1/orders/{told['order_id']}"

    done = await tell(venue, kind="acknowledged", exec_id="a-1", **told, **nothing)
    assert done.body["outcome"] == "applied"
    assert (await venue.get(path)).body["order"]["status"] == "open"
    filled = await tell(venue, **told)
    assert (filled.status, filled.body["outcome"]) == (200, "applied")
    order = (await venue.get(path)).body["order"]
    assert (order["status"], order["filled_qty"]) == ("partially_filled", "0.1000")
    trades = await venue.get("/v1/instruments/BTC-OUT/trades")
    assert trades.body["items"] == []

    cancel = await venue.send("DELETE", path)
    assert (cancel.status, cancel.body["routed"]) == (200, True)
    assert cancel.body["order"]["status"] == "partially_filled"
    again = await venue.send("DELETE", path)
    assert (again.status, again.body["code"]) == (409, "cannot_cancel")
    assert "has not answered yet" in again.body["detail"]
    await tell(venue, kind="canceled", exec_id="c-1", **told, **nothing)
    order = (await venue.get(path)).body["order"]
    assert (order["status"], order["cancel_reason"]) == ("canceled", "canceled_outside")
    late = await tell(venue, exec_id="e-2", **told)
    assert (late.body["outcome"], late.body["missing"]) == ("late", [])

    before = (await venue.get("/v1/positions/BTC-OUT")).body["position"]
    assert "debt" not in before
    large = await tell(venue, exec_id="e-3", **(told | {"qty": "100", "fee": "0"}))
    (missing,) = large.body["missing"]
    assert missing["asset"] == "USD"
    position = (await venue.get("/v1/positions/BTC-OUT")).body["position"]
    assert position["debt"] == missing["amount"]
    usd = (await venue.get("/v1/balances")).body["items"][0]
    assert usd["total"] == "0.000000"
