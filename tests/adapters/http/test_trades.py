"""Trades that are busted and corrected by nothing but their id, out of the event archive."""

from typing import Any

import pytest

from core import messages
from tests.adapters.http.conftest import Client, MakeClient
from tests.adapters.http.engine_gateway import EngineGateway
from tests.adapters.http.venue import admin, demo, place, placed, trade

TELL = "give instrument, price, qty, buyer and seller in the body"


@pytest.fixture
def engine() -> EngineGateway:
    return EngineGateway()


@pytest.fixture
async def client(engine: EngineGateway, make_client: MakeClient) -> Client:
    return await demo(engine, make_client)


async def totals(client: Client) -> list[dict[str, str]]:
    return [
        {item["asset"]: item["total"] for item in reply.body["items"]}
        for reply in [await client.get("/v1/balances", user=user) for user in ("bob", "carol")]
    ]


async def test_a_trade_is_busted_by_its_id_alone(client: Client) -> None:
    before = await totals(client)
    trade_id = await trade(client, "70000")
    bob, carol = [
        (await client.get("/v1/orders/by-client-id/t-70000-0.1", user=user)).body["order"]
        for user in ("bob", "carol")
    ]

    busted = await client.send("POST", f"/v1/admin/trades/{trade_id}/bust", user="admin")
    again = await admin(client, "POST", f"trades/{trade_id}/bust", {})

    assert {name: busted.body[name] for name in ("trade_id", "instrument", "sides")} == {
        "trade_id": trade_id,
        "instrument": "BTC-USD",
        "sides": [
            {
                "event": "busted",
                "side": "buy",
                "account": "4",
                "order_id": carol["order_id"],
                "price": "70000.00",
                "qty": "0.1000",
                "fee": "-3.500000",
                "available": {"BTC": "100.00000000", "USD": "1000000.000000"},
            },
            {
                "event": "busted",
                "side": "sell",
                "account": "3",
                "order_id": bob["order_id"],
                "price": "70000.00",
                "qty": "0.1000",
                "fee": "-1.400000",
                "available": {"BTC": "100.00000000", "USD": "1000000.000000"},
            },
        ],
    }
    assert await totals(client) == before
    assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")


async def test_of_an_order_that_swept_any_trade_is_corrected(client: Client) -> None:
    for number in range(3):
        await placed(client, "bob", f"b-{number}", side="sell", price=f"7000{number}", qty="0.1")
    swept = await place(client, "carol", "c-1", price="71000", qty="1")
    trade_id = swept.body["fills"][2]["trade_id"]

    done = await admin(
        client, "POST", f"trades/{trade_id}/correct", {"new_price": "69000", "new_qty": "0.2"}
    )

    names = ("event", "side", "price", "qty", "fee")
    assert [[side[name] for name in names] for side in done.body["sides"]] == [
        ["corrected", "buy", "69000.00", "0.2000", "6.900000"],
        ["corrected", "sell", "69000.00", "0.2000", "2.760000"],
    ]
    fees = 70_000 * 0.1 + 70_001 * 0.1 + 69_000 * 0.2
    _, carol = await totals(client)
    assert carol == {
        "USD": f"{1_000_000 - fees - fees * 0.0005:.6f}",
        "BTC": "100.40000000",
        "ETH": "1000.00000000",
    }


async def test_one_side_of_which_the_notional_is_known_is_enough(client: Client) -> None:
    """Bob's order was filled before; of alice's order it is the second fill of her command."""
    bid = await placed(client, "bob", "b-1", price="70000", qty="0.3")
    await placed(client, "carol", "c-1", side="sell", price="70000", qty="0.1")
    await placed(client, "dave", "d-1", price="70001", qty="0.1")
    swept = await place(client, "alice", "a-1", side="sell", price="70000", qty="0.2")

    done = await admin(client, "POST", f"trades/{swept.body['fills'][1]['trade_id']}/bust")

    assert done.status == 200, done.body
    assert [(side["side"], side["order_id"]) for side in done.body["sides"]] == [
        ("buy", bid["order_id"]),
        ("sell", swept.body["order"]["order_id"]),
    ]


async def refused(client: Client, trade_id: str) -> tuple[int, str, str]:
    body = (await admin(client, "POST", f"trades/{trade_id}/bust")).body
    return body["status"], body["code"], body["detail"]


async def test_what_the_archive_has_not_is_said_and_nothing_is_done(
    client: Client, engine: EngineGateway
) -> None:
    trade_id = await trade(client, "70000")
    sequence, index = map(int, trade_id.split("."))
    behind, half, order = f"{sequence}.{index + 2}", f"{sequence}.{index + 1}", f"{sequence}.0"
    newest, later = engine.sequence, f"{sequence + 9}.1"

    for missing in (later, behind, half, "9999999999999.0", f"{sequence}.4294967296"):
        detail = f"the event archive has no trade {missing}; {TELL}"
        assert await refused(client, missing) == (404, "not_found", detail)
    detail = f"event {order} is no trade of two orders"
    assert await refused(client, order) == (404, "not_found", detail)
    engine.commands = None
    detail = f"the event archive has no trade {trade_id}; {TELL}"
    assert await refused(client, trade_id) == (404, "not_found", detail)
    some = await admin(client, "POST", f"trades/{trade_id}/bust", {"instrument": "BTC-USD"})
    assert {fault["pointer"] for fault in some.body["errors"]} == {
        *("/price", "/qty", "/buyer", "/seller"),
    }
    odd = await admin(client, "POST", f"trades/{trade_id}/bust", {"price": 5})
    assert {fault["pointer"] for fault in odd.body["errors"]} == {
        *("/instrument", "/price", "/qty", "/buyer", "/seller"),
    }
    assert engine.sequence == newest


async def test_a_fill_without_another_side_is_no_trade(
    client: Client, engine: EngineGateway
) -> None:
    trade_id = await trade(client, "70000")
    sequence, index = map(int, trade_id.split("."))
    assert engine.commands is not None
    engine.commands[sequence]["kind"][index + 1] = messages.EXEC_RECORDED

    assert (await refused(client, trade_id))[2] == f"event {trade_id} is no trade of two orders"


async def test_the_halves_of_two_trades_are_no_trade(client: Client) -> None:
    for number in range(2):
        await placed(client, "bob", f"b-{number}", side="sell", price="70000", qty="0.1")
    swept = await place(client, "carol", "c-1", price="70000", qty="0.2")
    sequence, index = map(int, swept.body["fills"][0]["trade_id"].split("."))

    half = f"{sequence}.{index + 1}"

    assert (await refused(client, half))[2] == f"event {half} is no trade of two orders"


async def test_a_trade_in_other_units_is_left_alone(client: Client) -> None:
    trade_id = await trade(client, "70000")
    await placed(client, "carol", "c-2", side="sell", price="70000", qty="0.1")
    await placed(client, "bob", "b-2", price="70000", qty="0.1")
    changes: dict[str, Any] = {"tick": "0.5", "status": "closed"}
    await admin(client, "PATCH", "instruments/BTC-USD", {"status": "closed"})
    changed = await admin(client, "PATCH", "instruments/BTC-USD", changes)
    assert changed.status == 200, changed.body

    detail = "cannot tell whether the units of BTC-USD are those of the trade"
    assert await refused(client, trade_id) == (409, "conflict", f"{detail}; {TELL}")


async def test_a_trade_of_which_neither_notional_is_known_is_left_alone(client: Client) -> None:
    await placed(client, "bob", "b-1", side="sell", price="70000", qty="0.3")
    await placed(client, "carol", "c-1", price="70000", qty="0.1")
    resting = await placed(client, "alice", "a-1", price="69000", qty="0.3")
    await placed(client, "dave", "d-1", side="sell", price="69000", qty="0.1")
    path = f"/v1/orders/{resting['order_id']}"
    moved = await client.send("PATCH", path, json={"price": "70000"})
    [fill] = moved.body["fills"]
    assert fill["qty"] == "0.2000"

    assert (await refused(client, fill["trade_id"]))[:2] == (409, "conflict")
