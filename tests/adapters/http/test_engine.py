"""The adapter over the real engine: what a newcomer does with curl, answer by answer."""

from decimal import Decimal
from typing import Any

import pytest

from adapters.http import development
from adapters.http.exchange import Exchange
from tests.adapters.http.conftest import Client, MakeClient, Reply
from tests.adapters.http.engine_gateway import EngineGateway


@pytest.fixture
def engine() -> EngineGateway:
    return EngineGateway()


@pytest.fixture
async def client(engine: EngineGateway, make_client: MakeClient) -> Client:
    """A client of a development exchange with its demo."""
    exchange = Exchange("http.0", dev=True)
    exchange.bind(engine)
    await development.prepare(exchange)
    exchange.prepared = True
    made: Client = await make_client(exchange)
    return made


async def order(client: Client, user: str, key: str, **changes: Any) -> Reply:
    body = {
        "client_order_id": key,
        "instrument": "BTC-USD",
        "side": "buy",
        "type": "limit",
        "price": "70150.50",
        "qty": "0.2500",
    }
    return await client.post("/v1/orders", body | changes, user=user)


async def balance(client: Client, user: str, asset: str) -> dict[str, str]:
    reply = await client.get("/v1/balances", user=user)
    found: dict[str, str] = next(i for i in reply.body["items"] if i["asset"] == asset)
    return found


async def test_the_demo_exists_and_a_new_trader_has_money(client: Client) -> None:
    listed = await client.get("/v1/instruments")
    assert [(i["symbol"], i["tick"], i["lot"]) for i in listed.body["items"]] == [
        ("BTC-USD", "0.01", "0.0001"),
        ("ETH-USD", "0.01", "0.001"),
        ("KXETHD-26DEC31-T4000", "0.01", "1"),
    ]
    account = (await client.get("/v1/account", user="carol")).body
    assert [(b["asset"], b["total"]) for b in account["balances"]] == [
        ("USD", "1000000.000000"),
        ("BTC", "100.00000000"),
        ("ETH", "1000.00000000"),
    ]
    assert (await client.get("/v1/account", user="carol")).body["balances"] == account["balances"]


async def test_two_orders_trade_and_every_view_agrees(client: Client) -> None:
    sell = await order(client, "bob", "b-1", side="sell", price="70150.00", qty="0.1000")
    buy = await order(client, "alice", "a-1")

    assert (sell.status, sell.body["order"]["status"], sell.body["fills"]) == (201, "open", [])
    assert sell.body["order"]["reserved"] == {"asset": "BTC", "amount": "0.10000000"}
    placed = buy.body["order"]
    assert (buy.status, placed["status"]) == (201, "partially_filled")
    assert (placed["filled_qty"], placed["remaining_qty"]) == ("0.1000", "0.1500")
    assert (placed["avg_price"], placed["fees"]["amount"]) == ("70150.00", "3.507500")
    # 0.15 x 70150.50 with the larger rate, 500 ppm: 10522.575 + 5.261288 (rounded up).
    assert placed["reserved"] == {"asset": "USD", "amount": "10527.836288"}
    fill = buy.body["fills"][0]
    assert (fill["price"], fill["qty"], fill["fee"]) == ("70150.00", "0.1000", "3.507500")

    by_id = await client.get(f"/v1/orders/{placed['order_id']}")
    by_client = await client.get("/v1/orders/by-client-id/a-1")
    listed = await client.get("/v1/orders")
    for view in (by_id.body["order"], by_client.body["order"], listed.body["items"][0]):
        assert {**view, "seq": 0, "updated_ts": 0} == {**placed, "seq": 0, "updated_ts": 0}
    maker = (await client.get("/v1/orders/by-client-id/b-1", user="bob")).body["order"]
    assert (maker["status"], maker["fees"]["amount"]) == ("filled", "1.403000")

    book = (await client.get("/v1/instruments/BTC-USD/book")).body
    assert (book["bids"], book["asks"]) == ([["70150.50", "0.1500", 1, "0.1500"]], [])
    trades = (await client.get("/v1/instruments/BTC-USD/trades")).body["items"]
    assert [(t["trade_id"], t["price"], t["qty"], t["side"]) for t in trades] == [
        (fill["trade_id"], "70150.00", "0.1000", "buy")
    ]
    position = (await client.get("/v1/positions/BTC-USD")).body["position"]
    assert (position["net_qty"], position["avg_price"]) == ("0.1000", "70150.00")


async def test_money_is_conserved_over_trades_fees_and_cancels(client: Client) -> None:
    await order(client, "bob", "b-1", side="sell", price="70000", qty="1.5")
    await order(client, "alice", "a-1", type="market", price=None, qty="0.7")
    await client.send("DELETE", "/v1/orders/by-client-id/b-1", user="bob")

    usd = [await balance(client, user, "USD") for user in ("alice", "bob")]
    btc = [await balance(client, user, "BTC") for user in ("alice", "bob")]
    notional = Decimal("0.7") * 70_000
    fees = notional * Decimal("0.0007")
    assert sum(Decimal(b["total"]) for b in usd) == 2_000_000 - fees
    assert sum(Decimal(b["total"]) for b in btc) == 200
    assert all(Decimal(b["reserved"]) == 0 for b in usd + btc)


async def test_the_same_request_again_is_the_same_order(client: Client) -> None:
    first = await order(client, "alice", "a-1")
    again = await order(client, "alice", "a-1")
    other = await order(client, "alice", "a-1", qty="0.3")
    later = await order(client, "alice", "a-1", expire_after_ts=1_999_999_999_999_999)

    assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.body["order"]["order_id"] == first.body["order"]["order_id"]
    assert again.body["fills"] == []
    assert (other.status, other.body["code"]) == (422, "idempotency_mismatch")
    assert later.status == 200
    assert len((await client.get("/v1/orders")).body["items"]) == 1


async def test_a_reject_is_remembered_and_repeated(client: Client) -> None:
    first = await order(client, "alice", "big", qty="20")
    again = await order(client, "alice", "big", qty="20")
    looked_up = await client.get("/v1/orders/by-client-id/big")

    assert (first.status, first.body["reject_reason"]) == (422, "insufficient_funds")
    assert first.body["limit"] == "1000000.000000"
    assert (again.status, again.body["reject_reason"]) == (422, "insufficient_funds")
    assert again.body["order_id"] == first.body["order_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert looked_up.body["order"]["status"] == "rejected"
    assert looked_up.body["order"]["reject_reason"] == "insufficient_funds"
    assert looked_up.body["order"]["order_id"] == first.body["order_id"]


async def test_an_expired_request_is_never_executed(client: Client) -> None:
    reply = await order(client, "alice", "late", expire_after_ts=1)

    assert (reply.status, reply.body["reject_reason"]) == (422, "expired_request")


async def test_a_replace_keeps_or_loses_priority(client: Client) -> None:
    placed = (await order(client, "alice", "a-1")).body["order"]
    path = f"/v1/orders/{placed['order_id']}"

    less = await client.send("PATCH", path, json={"qty": "0.2"})
    more = await client.send("PATCH", path, json={"qty": "0.3", "client_order_id": "a-2"})
    leaves = await client.send(
        "PATCH", "/v1/orders/by-client-id/a-2", json={"qty": "0.1", "qty_basis": "leaves"}
    )

    assert (less.status, less.body["priority_kept"]) == (200, True)
    assert less.body["order"]["qty"] == "0.2000"
    assert (more.body["priority_kept"], more.body["order"]["client_order_id"]) == (False, "a-2")
    assert leaves.body["order"]["qty"] == "0.1000"
    assert leaves.body["order"]["order_id"] == placed["order_id"]


async def test_a_replace_that_crosses_trades(client: Client) -> None:
    await order(client, "bob", "b-1", side="sell", price="71000", qty="0.1")
    await order(client, "alice", "a-1")

    reply = await client.send("PATCH", "/v1/orders/by-client-id/a-1", json={"price": "71000"})

    assert reply.body["order"]["status"] == "partially_filled"
    assert [(f["price"], f["qty"]) for f in reply.body["fills"]] == [("71000.00", "0.1000")]
    assert reply.body["priority_kept"] is False


async def test_cancels_answer_the_order_and_then_that_it_has_ended(client: Client) -> None:
    placed = (await order(client, "alice", "a-1")).body["order"]
    path = f"/v1/orders/{placed['order_id']}"

    nobody = await client.send("DELETE", path, user="bob")
    done = await client.send("POST", f"{path}/cancel", json={"client_order_id": "c-1"})
    same = await client.send("POST", f"{path}/cancel", json={"client_order_id": "c-1"})
    twice = await client.send("DELETE", path)

    assert (nobody.status, nobody.body["code"]) == (404, "not_found")
    assert (done.status, done.body["order"]["status"]) == (200, "canceled")
    assert done.body["order"]["reserved"]["amount"] == "0.000000"
    assert (same.status, same.headers["Idempotency-Replayed"]) == (200, "true")
    assert (twice.status, twice.body["order_status"]) == (409, "canceled")


async def test_cancel_all_takes_only_what_fits(client: Client) -> None:
    await order(client, "alice", "a-1")
    await order(client, "alice", "a-2", instrument="ETH-USD", price="1", qty="1")
    await order(client, "alice", "a-3", side="sell", price="99999", qty="1")
    await order(client, "bob", "b-1")

    sells = await client.post("/v1/orders/cancel-all", {"side": "sell"})
    eth = await client.post("/v1/orders/cancel-all", {"instrument": "ETH-USD"})
    rest = await client.post("/v1/orders/cancel-all")
    none = await client.post("/v1/orders/cancel-all")

    counts = [reply.body["canceled"] for reply in (sells, eth, rest, none)]
    assert counts == [1, 1, 1, 0]
    assert len((await client.get("/v1/orders", user="bob")).body["items"]) == 1


async def test_open_orders_page_by_page(client: Client) -> None:
    placed = [
        (await order(client, "alice", f"p-{n}", price=str(100 + n), qty="0.0001")).body["order"]
        for n in range(150)
    ]
    seen, cursor = [], ""
    while True:
        body = (await client.get(f"/v1/orders?limit=70{cursor}")).body
        seen += [item["order_id"] for item in body["items"]]
        if not body["has_more"]:
            break
        cursor = f"&cursor={body['next_cursor']}"

    assert seen == [item["order_id"] for item in placed]


async def test_an_instrument_with_a_slash_is_made_and_traded(client: Client) -> None:
    made = await client.post(
        "/v1/admin/instruments",
        {"symbol": "ETH/BTC", "base": "ETH", "quote": "BTC", "tick": "0.0001", "lot": "0.01"},
        user="admin",
    )
    placed = await order(client, "alice", "s-1", instrument="ETH/BTC", price="0.05", qty="2")
    book = await client.get("/v1/instruments/ETH%2FBTC/book")

    assert (made.status, made.body["instrument"]["symbol"]) == (201, "ETH/BTC")
    assert placed.body["order"]["reserved"] == {"asset": "BTC", "amount": "0.10000000"}
    assert book.body["bids"] == [["0.0500", "2.00", 1, "2.00"]]


async def test_money_in_and_out_is_idempotent(client: Client) -> None:
    account = (await client.post("/v1/admin/accounts", {"name": "dave"}, user="admin")).body
    path = f"/v1/admin/accounts/{account['account']['id']}"
    body = {"asset": "USD", "amount": "250.5"}
    headers = {"Idempotency-Key": "d-1"}

    first = await client.post(f"{path}/deposit", body, user="admin", headers=headers)
    again = await client.post(f"{path}/deposit", body, user="admin", headers=headers)
    other = await client.post(
        f"{path}/deposit", body | {"amount": "1"}, user="admin", headers=headers
    )
    out = await client.post(
        "/v1/admin/accounts/dave/withdraw",
        {"asset": "USD", "amount": "1000"},
        user="admin",
        headers={"Idempotency-Key": "w-1"},
    )

    assert (first.status, first.body["available"]) == (201, "250.500000")
    assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert (other.status, other.body["code"]) == (422, "idempotency_mismatch")
    assert (out.status, out.body["reject_reason"]) == (422, "insufficient_funds")


async def test_names_are_unique(client: Client) -> None:
    for path, body in (
        ("assets", {"name": "USD", "scale": 6}),
        ("accounts", {"name": "fees"}),
    ):
        reply = await client.post(f"/v1/admin/{path}", body, user="admin")
        assert (reply.status, reply.body["code"], reply.body["id"]) == (409, "conflict", "1")


async def test_the_state_hash_is_that_of_the_engine(client: Client, engine: EngineGateway) -> None:
    reply = await client.get("/v1/admin/state", user="admin")

    assert reply.body["state_hash"] == engine.runner.state_hash().hex()
    assert len(reply.body["state_hash"]) == 32
