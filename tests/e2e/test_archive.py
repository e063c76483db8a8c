"""The event archive in a whole exchange: old orders and trades are there after everything dies."""

import json
from typing import Any

from tests.e2e.conftest import MakeExchange
from tests.e2e.exchange import Exchange, outcry, until

KEPT = 8  # Ended orders that stay in the core.
ROUNDS = 20
PRICE = "70000.00"


def place(exchange: Exchange, user: str, client_order_id: str, side: str) -> dict[str, Any]:
    body = {
        "client_order_id": client_order_id,
        "instrument": "BTC-USD",
        "side": side,
        "type": "limit",
        "price": PRICE,
        "qty": "0.0010",
    }
    reply = exchange.request("POST", "/v1/orders", user, body)
    assert reply.status == 201, reply
    return dict(reply.body["order"])


def trades(exchange: Exchange) -> dict[str, Any]:
    reply = exchange.request("GET", "/v1/instruments/BTC-USD/trades")
    return dict(reply.body) if reply.status == 200 else {}


def test_old_orders_and_trades_outlive_the_core_and_the_adapter(
    make_exchange: MakeExchange,
) -> None:
    exchange = make_exchange(settings={"limits.closed_keep": str(KEPT)}).start()
    bought = []
    for number in range(ROUNDS):
        place(exchange, "alice", f"s-{number}", "sell")
        bought.append(place(exchange, "bob", f"b-{number}", "buy"))
    first = bought[0]
    path = f"/v1/orders/{first['order_id']}"

    def answered() -> Any:
        reply = exchange.request("GET", path, "bob")
        return reply if reply.status == 200 else None

    found = until(answered, "the archive has the order", 30).body

    assert found["source"] == "archive"
    assert found["order"] == first
    assert exchange.request("GET", path, "alice").status == 404
    by_client = exchange.request("GET", "/v1/orders/by-client-id/b-0", "bob")
    assert (by_client.status, by_client.body["order"]) == (200, first)
    assert exchange.request("POST", f"{path}/cancel", "bob", {}).status == 409
    before = trades(exchange)["items"]
    assert len(before) == ROUNDS

    exchange.kill("http")
    exchange.wait_ready()
    until(lambda: trades(exchange).get("items") == before, "the trades are there again", 30)
    exchange.kill("core")
    exchange.wait_ready()
    place(exchange, "alice", "s-last", "sell")
    place(exchange, "bob", "b-last", "buy")
    until(lambda: trades(exchange)["items"][1:] == before, "one trade more", 30)
    assert trades(exchange)["complete_from_seq"] == 1

    _the_command_line_reads_it_beside_the_exchange(exchange)
    assert exchange.stop() == 0


def _the_command_line_reads_it_beside_the_exchange(exchange: Exchange) -> None:
    def run(*words: str) -> str:
        done = outcry("events", *words, "--data", str(exchange.data), settings=exchange.settings)
        assert done.code == 0, done
        return done.out

    sequence = exchange.state()["sequence"]
    until(
        lambda: json.loads(run("verify", "--json"))["last_sequence"] == sequence,
        "all is archived",
        30,
    )
    found = json.loads(run("verify", "--json"))
    rows = [json.loads(line) for line in run("dump", "--format", "jsonl").splitlines()]
    assert (found["first"], found["gaps"], found["events"]) == ("1.0", 0, len(rows))
    fills = [row for row in rows if row["kind"] == "FILL"]
    assert len(fills) == 2 * (ROUNDS + 1)
