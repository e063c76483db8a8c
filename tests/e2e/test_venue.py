"""Orders, accounts and instruments of every kind, from the client through rings and journal.

One exchange for the whole file; each test has traders of its own.  What an answer says in detail is
tested over the engine alone (tests/adapters/http/test_venue.py); here is what only running
processes have: the clock, deadlines, the rings, restarts, the replay of all of it.
"""

import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.e2e.exchange import Exchange, Reply, until

ORDER: Final[dict[str, Any]] = {
    "instrument": "BTC-USD",
    "side": "buy",
    "type": "limit",
    "price": "60000",
    "qty": "0.1",
}
BINARY: Final = "KXETHD-26DEC31-T4000"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with Exchange(tmp_path_factory.mktemp("venue") / "data") as made:
        made.start()
        for user in ("alice", "bob", "carol", "dave", "erin"):
            made.request("GET", "/v1/account", user)
        yield made


def place(exchange: Exchange, user: str, key: str, **changes: Any) -> Reply:
    body = {name: value for name, value in (ORDER | changes).items() if value is not None}
    return exchange.request("POST", "/v1/orders", user, {"client_order_id": key, **body})


def order(exchange: Exchange, user: str, key: str) -> dict[str, Any]:
    reply = exchange.request("GET", f"/v1/orders/by-client-id/{key}", user)
    assert reply.status == 200, reply
    found: dict[str, Any] = reply.body["order"]
    return found


def admin(exchange: Exchange, path: str, body: Any, method: str = "POST") -> Reply:
    return exchange.request(method, f"/v1/admin/{path}", "admin", body)


def test_orders_of_every_kind_trade_and_end_for_their_reasons(exchange: Exchange) -> None:
    place(exchange, "bob", "o-1", side="sell", price="61000", display_qty="0.04")
    stop = place(exchange, "alice", "o-2", type="stop", price=None, stop_price="61000", qty="0.02")
    trailing = place(
        exchange, "alice", "o-3", type="trailing_stop", price=None, side="sell", trail="500",
        stop_price="59000",
    )  # fmt: skip
    first = place(exchange, "alice", "o-4", price="58000", tif="day", tag="grid")
    assert [reply.body["order"]["status"] for reply in (stop, trailing, first)] == [
        *("pending", "pending", "open"),
    ]
    pair = place(
        exchange, "alice", "o-5", price="57000", oco=first.body["order"]["order_id"],
        stp="cancel_taker",
    )  # fmt: skip
    fok = place(exchange, "carol", "o-6", price="61000", qty="0.2", tif="fok")
    kept = place(exchange, "carol", "o-7", price="61000", post_only=True)
    part = place(exchange, "carol", "o-8", price="61000", qty="0.05")
    assert (pair.status, fok.body["order"]["expiry_reason"]) == (201, "fok_unfilled")
    assert (kept.status, kept.body["reject_reason"]) == (422, "post_only_would_take")
    assert part.body["order"]["status"] == "filled"
    # The trade triggered the stop, which bought the rest but for 0.03.
    assert order(exchange, "alice", "o-2")["status"] == "filled"
    assert order(exchange, "alice", "o-3")["stop_price"] == "60500.00"
    cancel = exchange.request("POST", "/v1/orders/cancel-all", "alice", {"tag": "grid"})
    assert cancel.body["canceled"] == 1
    assert order(exchange, "alice", "o-5")["cancel_reason"] == "canceled_by_partner"


def test_time_ends_orders_without_anybody_asking(exchange: Exchange) -> None:
    soon = time.time_ns() // 1_000 + 700_000
    place(exchange, "dave", "t-1", tif="gtd", expire_ts=soon)
    place(exchange, "dave", "t-2")
    armed = exchange.request("POST", "/v1/orders/cancel-all-after", "dave", {"timeout_ms": 1_000})
    assert armed.body["armed"] is True
    until(lambda: order(exchange, "dave", "t-1")["status"] == "expired", "the order's date")
    until(lambda: order(exchange, "dave", "t-2")["status"] == "canceled", "the dead man")
    assert order(exchange, "dave", "t-1")["expiry_reason"] == "gtd"
    assert order(exchange, "dave", "t-2")["cancel_reason"] == "dead_man"


def test_an_order_is_tested_and_priced_without_a_trace(exchange: Exchange) -> None:
    before = exchange.state()["sequence"]
    stop = ORDER | {"type": "stop", "price": None, "stop_price": "70000", "max_cost": "5"}
    body = {name: value for name, value in stop.items() if value is not None}
    tested = exchange.request("POST", "/v1/orders/test", "erin", body)
    priced = exchange.request(
        "GET",
        "/v1/calculator/collateral?instrument=BTC-USD&side=sell&type=limit&price=1&qty=2",
        "erin",
    )
    assert (tested.status, tested.body["reserved"]["amount"]) == (200, "5.000000")
    assert priced.body["reserved"] == {"asset": "BTC", "amount": "2.00000000"}
    assert exchange.state()["sequence"] == before


def test_accounts_are_limited_suspended_and_move_money(exchange: Exchange) -> None:
    moved = exchange.request(
        "POST",
        "/v1/transfers",
        "erin",
        {"to": "dave", "asset": "USD", "amount": "10", "client_order_id": "m-1"},
    )
    assert (moved.status, moved.body["available"]) == (201, "999990.000000")
    limit = {"instrument": "BTC-USD", "order_qty_max": "0.05"}
    assert admin(exchange, "accounts/erin/limits", limit).status == 200
    over = place(exchange, "erin", "m-2")
    assert (over.body["reject_reason"], over.body["limit"]) == ("order_qty_limit", "0.0500")
    place(exchange, "erin", "m-3", qty="0.01")
    suspended = admin(exchange, "accounts/erin/suspend", {"cancel_open": True})
    assert suspended.body["canceled"] == 1
    assert place(exchange, "erin", "m-4", qty="0.01").body["reject_reason"] == "account_suspended"
    assert admin(exchange, "accounts/erin", {"status": "active"}, "PATCH").status == 200
    killed = admin(exchange, "kill-switch", {"on": True, "account": "erin"})
    assert killed.body["on"] is True
    assert place(exchange, "erin", "m-5", qty="0.01").body["reject_reason"] == "kill_switch"


def test_an_instrument_is_halted_and_an_event_contract_settled(exchange: Exchange) -> None:
    path = "instruments/ETH-USD"
    assert admin(exchange, path, {"status": "halted"}, "PATCH").body["instrument"]["status"] == (
        "halted"
    )
    halted = place(exchange, "carol", "i-1", instrument="ETH-USD", price="10", qty="1")
    assert halted.body["reject_reason"] == "halted"
    opened = {"status": "open", "price_max": "5000"}
    assert admin(exchange, path, opened, "PATCH").status == 200
    high = place(exchange, "carol", "i-2", instrument="ETH-USD", price="5001", qty="1")
    assert (high.body["reject_reason"], high.body["limit"]) == ("price_out_of_band", "5000.00")

    terms = {"instrument": BINARY, "price": "0.25", "qty": "8"}
    place(exchange, "alice", "i-3", **terms)
    assert place(exchange, "bob", "i-4", side="sell", **terms).body["order"]["status"] == "filled"
    settled = admin(exchange, f"instruments/{BINARY}/settle", {"result": "yes"})
    assert (settled.body["positions"], settled.body["price"]) == (2, "1.00")
    position = exchange.request("GET", f"/v1/positions/{BINARY}", "alice").body["position"]
    assert (position["net_qty"], position["realized_pnl"]) == ("0", "6.000000")


def test_cleared_trades_are_paid_at_the_end_of_their_period(exchange: Exchange) -> None:
    new = {
        "symbol": "BTC-CLR",
        "base": "BTC",
        "quote": "USD",
        "tick": "0.01",
        "lot": "0.1",
        "clearing_ms": 1_000,
    }
    assert admin(exchange, "instruments", new).status == 201
    before = cash(exchange, "dave")
    terms = {"instrument": "BTC-CLR", "price": "100", "qty": "1"}
    place(exchange, "dave", "c-1", side="sell", **terms)
    place(exchange, "carol", "c-2", **terms)
    until(lambda: cash(exchange, "dave") == before + 100, "the clearing")


def cash(exchange: Exchange, user: str) -> float:
    items = exchange.request("GET", "/v1/balances", user).body["items"]
    return next(float(item["available"]) for item in items if item["asset"] == "USD")


def test_a_trade_is_undone(exchange: Exchange) -> None:
    buy = place(exchange, "carol", "u-1", price="100", instrument="ETH-USD", qty="1")
    sell = place(exchange, "bob", "u-2", price="100", instrument="ETH-USD", qty="1", side="sell")
    trade_id = sell.body["fills"][0]["trade_id"]
    sides = {
        "buyer": {"account": "carol", "order_id": buy.body["order"]["order_id"], "fee": "0.02"},
        "seller": {"account": "bob", "order_id": sell.body["order"]["order_id"], "fee": "0.05"},
    }
    body = {"instrument": "ETH-USD", "price": "100", "qty": "1", **sides}
    busted = admin(exchange, f"trades/{trade_id}/bust", body)
    assert [side["event"] for side in busted.body["sides"]] == ["busted", "busted"]
    trades = exchange.request("GET", "/v1/instruments/ETH-USD/trades").body["items"]
    assert trades[0]["busted"] is True
    ticker = exchange.request("GET", "/v1/tickers/ETH-USD").body["ticker"]
    assert (ticker["total_trades"], ticker["trades"]) == (0, 1)


def test_an_order_is_filled_at_another_venue(exchange: Exchange) -> None:
    new = {"symbol": "BTC-OUT", "base": "BTC", "quote": "USD", "tick": "0.01", "lot": "0.1"}
    assert admin(exchange, "instruments", {**new, "matching": "outside"}).status == 201
    asked = place(exchange, "carol", "x-1", instrument="BTC-OUT", price="100", qty="1")
    assert asked.body["order"]["status"] == "routed"
    told = {
        "source": "ELSEWHERE",
        "account": "carol",
        "instrument": "BTC-OUT",
        "order_id": asked.body["order"]["order_id"],
    }
    filled = {**told, "kind": "filled", "exec_id": "e-1", "price": "99", "qty": "0.4", "fee": "0"}
    outcomes = [
        admin(exchange, "executions", body).body["outcome"]
        for body in ({**told, "kind": "acknowledged", "exec_id": "e-0"}, filled, filled)
    ]
    assert outcomes == ["applied", "applied", None]
    assert order(exchange, "carol", "x-1")["filled_qty"] == "0.4"
    canceled = exchange.request("DELETE", "/v1/orders/by-client-id/x-1", "carol")
    assert canceled.body["routed"] is True
    admin(exchange, "executions", {**told, "kind": "canceled", "exec_id": "e-2"})
    assert order(exchange, "carol", "x-1")["cancel_reason"] == "canceled_outside"


def test_all_of_it_is_there_again_after_a_kill_and_in_every_replay(exchange: Exchange) -> None:
    place(exchange, "alice", "r-1", type="stop", price=None, stop_price="90000", max_cost="7")
    place(exchange, "alice", "r-2", display_qty="0.01", post_only=True, stp="decrement")
    before = [order(exchange, "alice", key) | {"seq": 0} for key in ("r-1", "r-2", "o-3")]
    exchange.kill("core")
    exchange.wait_ready()
    after = [order(exchange, "alice", key) | {"seq": 0} for key in ("r-1", "r-2", "o-3")]
    assert after == before
    live = exchange.state()
    assert exchange.stop() == 0
    checked = exchange.replay("--check")
    assert checked["state_hash"] == live["state_hash"]
