"""Everything that is more than a plain order, over the real engine."""

from typing import Any

import pytest

from adapters.http import answers
from tests.adapters.http.conftest import ORDER, Client, MakeClient
from tests.adapters.http.engine_gateway import START_NS, EngineGateway
from tests.adapters.http.venue import BINARY, admin, demo, looked_up, place, placed, trade

SECOND_NS = 1_000_000_000


@pytest.fixture
def engine() -> EngineGateway:
    return EngineGateway()


@pytest.fixture
async def client(engine: EngineGateway, make_client: MakeClient) -> Client:
    return await demo(engine, make_client)


async def test_a_stop_waits_is_triggered_and_trades(client: Client) -> None:
    await trade(client, "70000")
    stop = await placed(
        client, "alice", "s-1", type="stop", price=..., stop_price="70500", max_cost="10000"
    )
    limit = await placed(
        client, "alice", "s-2", type="limit", price="70600", qty="0.1", stop_price="70500"
    )

    assert (stop["status"], stop["type"], stop["stop_price"]) == ("pending", "stop", "70500.00")
    assert stop["reserved"] == {"asset": "USD", "amount": "10000.000000"}
    assert (limit["status"], limit["type"]) == ("pending", "stop_limit")
    listed = (await client.get("/v1/orders")).body["items"]
    assert [order["status"] for order in listed] == ["pending", "pending"]
    assert {**listed[0], "seq": 0} == {**stop, "seq": 0}

    await placed(client, "bob", "b-1", side="sell", price="70550", qty="1")
    await trade(client, "70500")

    filled = await looked_up(client, "alice", "s-1")
    assert (filled["status"], filled["expiry_reason"]) == ("expired", "market_remainder")
    assert filled["avg_price"] == "70550.00"
    assert filled["triggered"] is True
    assert (await looked_up(client, "alice", "s-2"))["status"] == "filled"


async def test_a_trailing_stop_shows_the_price_that_was_worked_out(client: Client) -> None:
    await trade(client, "70000")
    by_distance = await placed(
        client, "alice", "t-1", type="trailing_stop", side="sell", price=..., trail="100"
    )
    by_part = await placed(
        client, "alice", "t-2", type="trailing_stop", side="sell", price=..., trail_bps=100
    )
    assert (by_distance["stop_price"], by_part["stop_price"]) == ("69900.00", "69300.00")

    await trade(client, "70100")
    assert (await looked_up(client, "alice", "t-1"))["stop_price"] == "70000.00"

    path = "/v1/orders/by-client-id/t-2"
    moved = await client.send("PATCH", path, json={"stop_price": "69500"})
    assert (moved.status, moved.body["order"]["stop_price"]) == (200, "69500.00")
    assert moved.body["order"]["status"] == "pending"
    plain = await placed(client, "alice", "t-3", price="1")
    refused = await client.send(
        "PATCH", f"/v1/orders/{plain['order_id']}", json={"stop_price": "69500"}
    )
    assert (refused.status, refused.body["reject_reason"]) == (422, "terms")


async def test_terms_of_an_order_are_shown_wherever_it_is(client: Client) -> None:
    order = await placed(
        client,
        "alice",
        "i-1",
        display_qty="0.0500",
        post_only=True,
        slide=True,
        tif="gtd",
        expire_ts=START_NS // 1_000 + 10**9,
        stp="cancel_maker",
        tag="grid",
    )
    assert order["status"] == "open"
    assert {name: order[name] for name in ("display_qty", "post_only", "slide", "stp", "tif")} == {
        "display_qty": "0.0500",
        "post_only": True,
        "slide": True,
        "stp": "cancel_maker",
        "tif": "gtd",
    }
    assert {**await looked_up(client, "alice", "i-1"), "seq": 0} == {**order, "seq": 0}
    book = (await client.get("/v1/instruments/BTC-USD/book")).body
    assert book["bids"] == [["70150.50", "0.0500", 1, "0.0500"]]
    path = f"/v1/orders/{order['order_id']}"
    more = await client.send("PATCH", path, json={"display_qty": "0.1"})
    assert (more.body["order"]["display_qty"], more.body["priority_kept"]) == ("0.1000", False)


async def test_a_day_order_ends_with_the_day_and_says_when(
    client: Client, engine: EngineGateway
) -> None:
    order = await placed(client, "alice", "d-1", tif="day")
    day_us = 86_400_000_000
    assert order["expire_ts"] % day_us == 0
    assert 0 < order["expire_ts"] - START_NS // 1_000 <= day_us

    await engine.wait(86_400 * SECOND_NS)

    ended = await looked_up(client, "alice", "d-1")
    assert (ended["status"], ended["expiry_reason"]) == ("expired", "day_end")


async def test_post_only_is_refused_with_the_price_or_slides_behind_it(client: Client) -> None:
    await placed(client, "bob", "b-1", side="sell", price="70000")
    refused = await place(client, "alice", "p-1", post_only=True)
    slid = await placed(client, "alice", "p-2", post_only=True, slide=True)

    assert (refused.status, refused.body["reject_reason"]) == (422, "post_only_would_take")
    assert (refused.body["limit"], refused.body["value"]) == ("70000.00", "70150.50")
    assert (slid["price"], slid["status"]) == ("69999.99", "open")


async def test_fill_or_kill_and_least_quantity(client: Client) -> None:
    await placed(client, "bob", "b-1", side="sell", price="70000", qty="0.1")

    none = await placed(client, "alice", "f-1", tif="fok")
    less = await placed(client, "alice", "f-2", tif="ioc", min_qty="0.2")
    some = await placed(client, "alice", "f-3", tif="ioc", min_qty="0.1")

    assert (none["status"], none["expiry_reason"]) == ("expired", "fok_unfilled")
    assert (less["status"], less["expiry_reason"]) == ("expired", "min_qty_unfilled")
    assert (some["filled_qty"], some["expiry_reason"]) == ("0.1000", "ioc_remainder")


async def test_a_market_order_stops_at_its_protection_price(client: Client) -> None:
    await placed(client, "bob", "b-1", side="sell", price="70000", qty="0.1")
    await placed(client, "bob", "b-2", side="sell", price="71000", qty="0.1")

    order = await placed(client, "alice", "m-1", type="market", price=..., protection_price="70500")

    assert (order["filled_qty"], order["expiry_reason"]) == ("0.1000", "market_remainder")


async def test_of_a_pair_one_ends_with_the_other(client: Client) -> None:
    await trade(client, "70000")
    first = await placed(client, "alice", "o-1", side="sell", price="72000")
    await placed(
        client,
        "alice",
        "o-2",
        side="sell",
        type="stop",
        price=...,
        stop_price="69000",
        oco=first["order_id"],
    )
    await client.send("DELETE", "/v1/orders/by-client-id/o-1")

    other = await looked_up(client, "alice", "o-2")
    assert (other["status"], other["cancel_reason"]) == ("canceled", "canceled_by_partner")


async def test_orders_of_one_account_do_not_trade_with_each_other(client: Client) -> None:
    await placed(client, "alice", "a-1", side="sell", price="70000", qty="0.1")
    less = await placed(client, "alice", "a-2", qty="0.25", stp="decrement")
    assert (less["status"], less["qty"], less["remaining_qty"]) == ("open", "0.1500", "0.1500")
    taker = await placed(client, "alice", "a-3", side="sell", price="70000", stp="cancel_taker")
    assert (taker["status"], taker["expiry_reason"], taker["qty"]) == ("expired", "stp", "0.2500")

    await admin(client, "POST", "accounts", {"name": "dave", "stp": "cancel_both"})
    dave = await placed(client, "dave", "d-1", price="60000", qty="0.1")
    assert dave["stp"] == "cancel_both"
    again = await admin(client, "PATCH", "accounts/dave", {"stp": "none"})
    assert (again.status, again.body["account"]["stp"]) == (200, "none")
    assert "stp" not in await placed(client, "dave", "d-2", price="60000", qty="0.1")


async def test_cancels_by_tag_by_session_and_only_of_what_is_new(client: Client) -> None:
    await placed(client, "alice", "a-1", tag="grid")
    await placed(client, "alice", "a-2", price="60000")
    tagged = await client.post("/v1/orders/cancel-all", {"tag": "grid"})
    other = await client.post("/v1/orders/cancel-all", {"session": "7"})
    mine = await client.post("/v1/orders/cancel-all", {"session": str(1 << 24 | 1)})
    assert [reply.body["canceled"] for reply in (tagged, other, mine)] == [1, 0, 1]

    await placed(client, "alice", "a-3", price="60000")
    await placed(client, "bob", "b-1", side="sell", price="60000", qty="0.1")
    reply = await client.post(
        "/v1/orders/by-client-id/a-3/cancel", {"cancel_restriction": "only_new"}
    )
    assert (reply.status, reply.body["reject_reason"]) == (409, "cancel_restricted")
    assert reply.body["order_status"] == reply.body["order"]["status"] == "partially_filled"
    reply = await client.post(
        "/v1/orders/by-client-id/a-3/cancel", {"cancel_restriction": "only_partially_filled"}
    )
    assert (reply.status, reply.body["order"]["status"]) == (200, "canceled")


async def test_the_dead_man_cancels_all_unless_he_is_heard(
    client: Client, engine: EngineGateway
) -> None:
    await placed(client, "alice", "a-1")
    armed = await client.post("/v1/orders/cancel-all-after", {"timeout_ms": 5_000})
    assert (armed.status, armed.body["armed"]) == (200, True)
    assert armed.body["cancel_ts"] > START_NS // 1_000
    await engine.wait(4 * SECOND_NS)
    await client.post("/v1/orders/cancel-all-after", {"timeout_ms": 5_000})
    await engine.wait(4 * SECOND_NS)
    assert (await looked_up(client, "alice", "a-1"))["status"] == "open"
    await engine.wait(2 * SECOND_NS)
    ended = await looked_up(client, "alice", "a-1")
    assert (ended["status"], ended["cancel_reason"]) == ("canceled", "dead_man")
    off = await client.post("/v1/orders/cancel-all-after", {"timeout_ms": 0})
    assert (off.body["armed"], off.body["cancel_ts"]) == (False, None)
    short = await client.post("/v1/orders/cancel-all-after", {"timeout_ms": 99})
    assert short.body["errors"][0]["pointer"] == "/timeout_ms"


async def test_a_test_order_says_what_would_become_of_it_and_does_nothing(
    client: Client, engine: EngineGateway
) -> None:
    await client.get("/v1/account")
    before = engine.sequence
    good = await client.post("/v1/orders/test", ORDER)
    stop = ORDER | {"type": "stop", "stop_price": "1", "max_cost": "5"}
    stop.pop("price")
    two_slots = await client.post("/v1/orders/test", stop)
    bad = await client.post("/v1/orders/test", ORDER | {"qty": "20"})
    unfit = await client.post("/v1/orders/test", ORDER | {"price": "1.001"})

    assert (good.status, good.body["test"]) == (200, True)
    assert good.body["reserved"] == {"asset": "USD", "amount": "17546.393813"}
    assert (two_slots.status, two_slots.body["reserved"]["amount"]) == (200, "5.000000")
    assert (bad.status, bad.body["reject_reason"]) == (422, "insufficient_funds")
    assert (bad.body["limit"], bad.body["order_id"]) == ("1000000.000000", None)
    assert (unfit.status, unfit.body["code"]) == (422, "validation")
    assert engine.sequence == before


async def test_the_collateral_of_a_proposed_order(client: Client) -> None:
    path = "/v1/calculator/collateral?instrument=BTC-USD&type=limit&price=100&qty=1"
    buy = (await client.get(f"{path}&side=buy")).body
    sell = (await client.get(f"{path}&side=sell&post_only=true")).body
    much = (await client.get(f"{path}000&side=sell")).body
    bad = await client.get(f"{path}&side=up&trail_bps=x")

    assert (buy["accepted"], buy["reserved"]["amount"]) == (True, "100.050000")
    assert sell["reserved"] == {"asset": "BTC", "amount": "1.00000000"}
    assert (much["accepted"], much["reject_reason"]) == (False, "insufficient_position")
    assert (much["limit"], much["value"]) == ("100.00000000", "1000.00000000")
    assert much["reserved"] == {"asset": "BTC", "amount": "1000.00000000"}
    assert {fault["pointer"] for fault in bad.body["errors"]} >= {"/side", "/trail_bps"}


async def test_money_goes_from_one_account_to_another_once(client: Client) -> None:
    await client.get("/v1/account", user="bob")
    body = {"to": "bob", "asset": "USD", "amount": "250.5", "reference": "rent"}
    headers = {"Idempotency-Key": "t-1"}
    first = await client.post("/v1/transfers", body, headers=headers)
    again = await client.post("/v1/transfers", body, headers=headers)
    much = await client.post(
        "/v1/transfers", body | {"amount": "1000000"}, headers={"Idempotency-Key": "t-2"}
    )
    own = await client.post(
        "/v1/transfers", body | {"to": "alice"}, headers={"Idempotency-Key": "t-3"}
    )
    none = await client.post("/v1/transfers", body)

    assert (first.status, first.body["available"]) == (201, "999749.500000")
    assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert (much.status, much.body["reject_reason"]) == (422, "insufficient_funds")
    assert much.body["limit"] == "999749.500000"
    assert own.body["errors"][0]["pointer"] == "/to"
    assert (none.status, none.body["code"]) == (400, "malformed")
    bob = (await client.get("/v1/balances", user="bob")).body["items"][0]
    assert bob["total"] == "1000250.500000"


async def test_a_suspended_account_and_a_killed_one_place_nothing(client: Client) -> None:
    await placed(client, "alice", "a-1")
    suspended = await admin(client, "POST", "accounts/alice/suspend", {"cancel_open": True})
    refused = await place(client, "alice", "a-2")
    back = await admin(client, "PATCH", "accounts/alice", {"status": "active"})
    await placed(client, "alice", "a-3")
    killed = await admin(client, "POST", "kill-switch", {"on": True})
    dead = await place(client, "bob", "b-1")
    on_again = await admin(client, "POST", "kill-switch", {"on": False})
    one = await admin(client, "POST", "kill-switch", {"on": True, "account": "alice"})

    assert (suspended.body["account"]["status"], suspended.body["canceled"]) == ("suspended", 1)
    assert (await looked_up(client, "alice", "a-1"))["cancel_reason"] == "admin_cancel"
    assert refused.body["reject_reason"] == "account_suspended"
    assert back.body["account"]["status"] == "active"
    assert (killed.body["on"], killed.body["canceled"]) == (True, 1)
    assert (dead.status, dead.body["reject_reason"]) == (422, "kill_switch")
    assert on_again.body["on"] is False
    assert one.body["account"] is not None
    await placed(client, "bob", "b-2")
    assert (await place(client, "alice", "a-4")).body["reject_reason"] == "kill_switch"


LIMITS: list[tuple[dict[str, Any], dict[str, Any], str, tuple[str, str]]] = [
    ({"open_orders_max": 1}, {}, "open_order_limit", ("1", "1")),
    (
        {"asset": "USD", "order_notional_max": "100"},
        {},
        "order_notional_limit",
        ("100.000000", "17537.625000"),
    ),
    (
        {"asset": "USD", "exposure_max": "20000"},
        {},
        "exposure_limit",
        ("20000.000000", "35075.250000"),
    ),
    ({"orders_per_second": 1}, {}, "rate_limited", ("1", "1")),
    ({"levels_max": 1}, {"price": "60000"}, "level_limit", ("1", "1")),
    (
        {"instrument": "BTC-USD", "order_qty_max": "0.2"},
        {},
        "order_qty_limit",
        ("0.2000", "0.2500"),
    ),
    (
        {"instrument": "BTC-USD", "position_max": "0.4"},
        {},
        "position_limit",
        ("0.4000", "0.5000"),
    ),
]


@pytest.mark.parametrize(("limits", "changes", "reason", "told"), LIMITS, ids=str)
async def test_a_limit_that_is_reached_is_told_with_the_value(
    client: Client,
    limits: dict[str, Any],
    changes: dict[str, Any],
    reason: str,
    told: tuple[str, str],
) -> None:
    first = {"order_qty_max", "order_notional_max"} & set(limits)
    await client.get("/v1/account")
    set_first = reason == "rate_limited"
    if set_first:
        await admin(client, "POST", "accounts/alice/limits", limits)
    if not first:
        await placed(client, "alice", "a-1")
    if not set_first:
        done = await admin(client, "POST", "accounts/alice/limits", limits)
        assert done.status == 200, done.body

    reply = await place(client, "alice", "a-2", **changes)

    assert (reply.status, reply.body["reject_reason"]) == (422, reason)
    assert (reply.body["limit"], reply.body["value"]) == told
    assert told[0] in reply.body["detail"]


async def test_limits_are_shown_with_what_counts_against_them(client: Client) -> None:
    await client.get("/v1/account")
    none = await client.get("/v1/admin/accounts/alice/limits", user="admin")
    body = {"asset": "USD", "exposure_max": "50000", "open_orders_max": 5}
    await admin(client, "POST", "accounts/alice/limits", body)
    await placed(client, "alice", "a-1")
    found = await client.get("/v1/admin/accounts/alice/limits?asset=USD", user="admin")
    unnamed = await client.get("/v1/admin/accounts/alice/limits", user="admin")
    misplaced = await admin(client, "POST", "accounts/alice/limits", {"position_max": "1"})

    assert (none.body["limits"], none.body["counts"]) == (None, None)
    assert found.body["limits"]["exposure_max"] == "50000.000000"
    assert found.body["limits"]["open_orders_max"] == 5
    assert found.body["counts"]["exposure"] == "17537.625000"
    assert found.body["counts"]["open_orders"] == 1
    assert misplaced.body["errors"][0]["pointer"] == "/position_max"
    assert unnamed.body["limits"] == found.body["limits"]


async def test_an_instrument_is_halted_changed_and_opened(client: Client) -> None:
    path = "instruments/BTC-USD"
    await placed(client, "alice", "a-1", tif="day")
    halted = await admin(client, "PATCH", path, {"status": "halted"})
    assert (halted.status, halted.body["instrument"]["status"]) == (200, "halted")
    assert (await place(client, "bob", "b-1")).body["reject_reason"] == "halted"
    busy = await admin(client, "PATCH", path, {"maker_ppm": 0})
    assert (busy.status, busy.body["reject_reason"]) == (409, "book_not_empty")
    assert (busy.body["limit"], busy.body["value"]) == ("0", "1")
    closed = await admin(client, "PATCH", path, {"status": "closed"})
    assert closed.body["orders_ended"] == 1
    changed = await admin(
        client,
        "PATCH",
        path,
        {
            "status": "open",
            "maker_ppm": 0,
            "qty_max": "1",
            "band_ppm": 100_000,
            "reference_price": "70000",
            "tick_table": [{"from": "0", "step": "0.01"}, {"from": "1000", "step": "0.5"}],
        },
    )
    assert changed.status == 200, changed.body
    shown = changed.body["instrument"]
    assert (shown["maker_ppm"], shown["taker_ppm"], shown["qty_max"]) == (0, 500, "1.0000")
    assert (shown["band_ppm"], shown["reference_price"]) == (100_000, "70000.00")

    far = await place(client, "alice", "a-2", price="80000")
    off = await place(client, "alice", "a-3", price="70150.25")
    large = await place(client, "alice", "a-4", qty="1.5")
    assert (far.body["reject_reason"], far.body["limit"]) == ("price_out_of_band", "77000.00")
    assert (off.body["reject_reason"], off.body["limit"]) == ("price_off_tick", "0.50")
    assert (large.body["reject_reason"], large.body["limit"]) == ("qty_too_large", "1.0000")

    nothing = await admin(client, "PATCH", path, {})
    bad = await admin(client, "PATCH", path, {"tick": "0.1", "status": "settled"})
    assert nothing.status == 422
    assert {fault["pointer"] for fault in bad.body["errors"]} == {"/tick", "/status"}
    assert (await client.get("/v1/instruments/BTC-USD")).body["instrument"]["status"] == "open"


async def test_a_new_tick_makes_new_prices(client: Client) -> None:
    path = "instruments/ETH-USD"
    await admin(client, "PATCH", path, {"status": "closed"})
    await admin(client, "PATCH", path, {"tick": "0.5"})
    done = await admin(client, "PATCH", path, {"status": "open"})
    assert done.body["instrument"]["tick"] == "0.5"
    order = await placed(client, "alice", "a-1", instrument="ETH-USD", price="100.5", qty="1")
    assert (order["price"], order["reserved"]["amount"]) == ("100.5", "100.550250")


async def test_an_event_contract_is_traded_and_settled(client: Client) -> None:
    terms = {"instrument": BINARY, "price": "0.40", "qty": "10"}
    yes = await placed(client, "alice", "y-1", **terms)
    no = await placed(client, "bob", "n-1", side="sell", **terms)
    over = await place(client, "alice", "y-2", **(terms | {"price": "1.00"}))

    assert yes["reserved"] == {"asset": "USD", "amount": "4.000000"}
    assert (no["status"], no["avg_price"]) == ("filled", "0.40")
    assert (over.body["reject_reason"], over.body["limit"]) == ("price_out_of_band", "0.99")
    positions = [
        (await client.get(f"/v1/positions/{BINARY}", user=user)).body["position"]["net_qty"]
        for user in ("alice", "bob")
    ]
    assert positions == ["10", "-10"]
    resting = await placed(client, "alice", "y-3", **terms)

    path = f"instruments/{BINARY}/settle"
    settled = await admin(client, "POST", path, {"result": "yes"})
    again = await admin(client, "POST", path, {"price": "0.25"})
    spot = await admin(client, "POST", "instruments/BTC-USD/settle", {"price": "1"})

    assert (settled.body["price"], settled.body["positions"]) == ("1.00", 2)
    assert (settled.body["orders_ended"], settled.body["price_before"]) == (1, None)
    assert settled.body["instrument"]["status"] == "settled"
    assert (again.body["price"], again.body["price_before"]) == ("0.25", "1.00")
    assert spot.body["reject_reason"] == "terms"
    ended = await looked_up(client, "alice", resting["client_order_id"])
    assert (ended["status"], ended["expiry_reason"]) == ("expired", "settlement")
    cash = [
        (await client.get("/v1/balances", user=user)).body["items"][0]["total"]
        for user in ("alice", "bob")
    ]
    assert cash == ["999998.500000", "1000001.500000"]


async def test_a_trade_is_busted_once_and_another_corrected(client: Client) -> None:
    reply = await place(client, "alice", "a-0", qty="0.1")
    sell = await place(client, "bob", "b-0", side="sell", qty="0.1")
    trade_id = sell.body["fills"][0]["trade_id"]
    body: dict[str, Any] = {
        "instrument": "BTC-USD",
        "price": "70150.50",
        "qty": "0.1",
        "buyer": {
            "account": "alice",
            "order_id": reply.body["order"]["order_id"],
            "fee": "1.403010",
        },
        "seller": {"account": "bob", "order_id": sell.body["order"]["order_id"], "fee": "3.507525"},
    }
    corrected = await admin(
        client,
        "POST",
        "trades/1.0/correct",
        body | {"new_price": "70000", "new_qty": "0.1"},
    )
    now = body | {
        "price": "70000",
        "buyer": body["buyer"] | {"fee": "1.4"},
        "seller": body["seller"] | {"fee": "3.5"},
    }
    much = await admin(client, "POST", f"trades/{trade_id}/bust", body)
    busted = await admin(client, "POST", f"trades/{trade_id}/bust", now)
    again = await admin(client, "POST", f"trades/{trade_id}/bust", now)
    bad = await admin(client, "POST", f"trades/{trade_id}/bust", {"qty": "1", "new_price": "1"})

    sides = [(side["event"], side["side"]) for side in corrected.body["sides"]]
    assert sides == [("corrected", "buy"), ("corrected", "sell")]
    assert corrected.body["sides"][0]["price"] == "70000.00"
    assert (much.status, much.body["reject_reason"]) == (422, "insufficient_funds")
    assert (much.body["limit"], much.body["value"]) == ("4.900000", "4.910535")
    assert busted.status == 200, busted.body
    assert again.headers["Idempotency-Replayed"] == "true"
    assert {fault["pointer"] for fault in bad.body["errors"]} >= {"/buyer", "/seller", "/new_price"}
    trades = (await client.get("/v1/instruments/BTC-USD/trades")).body["items"]
    assert [(item["trade_id"], item.get("busted")) for item in trades] == [(trade_id, True)]


async def test_short_selling_where_it_is_allowed(client: Client) -> None:
    await admin(client, "PATCH", "instruments/BTC-USD", {"short_ppm": 500_000})
    await client.get("/v1/account", user="dave")
    refused = await place(client, "dave", "d-1", side="sell", price="1000", qty="101")
    await admin(client, "POST", "accounts/dave/limits", {"instrument": "BTC-USD", "short_max": "2"})
    order = await placed(client, "dave", "d-2", side="sell", price="1000", qty="101")
    much = await place(client, "dave", "d-3", side="sell", price="1000", qty="2")

    assert refused.body["reject_reason"] == "insufficient_position"
    assert order["reserved"] == {"asset": "BTC", "amount": "100.00000000"}
    assert (much.body["reject_reason"], much.body["limit"]) == ("short_limit", "2.0000")
    cash = (await client.get("/v1/balances", user="dave")).body["items"][0]
    assert cash["reserved"] == "500.000000"


async def test_the_day_is_told_by_the_ticker(client: Client) -> None:
    empty = (await client.get("/v1/tickers/BTC-USD")).body["ticker"]
    await trade(client, "70000", "0.1")
    await trade(client, "71000", "0.3")
    ticker = (await client.get("/v1/tickers/BTC-USD")).body["ticker"]
    listed = (await client.get("/v1/tickers?limit=2")).body
    best = await client.get("/v1/instruments/BTC-USD/bbo")
    await placed(client, "alice", "a-1")
    better = await client.get("/v1/instruments/BTC-USD/bbo")

    assert (empty["last_price"], empty["trades"], empty["vwap"]) == (None, 0, None)
    names = ("open", "high", "low", "last_price", "volume", "vwap", "trades")
    assert [ticker[name] for name in names] == [
        *("70000.00", "71000.00", "70000.00", "71000.00", "0.4000", "70750.00", 2),
    ]
    assert [item["instrument"] for item in listed["items"]] == ["BTC-USD", "ETH-USD"]
    assert listed["has_more"] is True
    assert (best.body["bid_price"], best.body["ask_price"]) == (None, None)
    assert (better.body["bid_price"], better.body["bid_qty"]) == ("70150.50", "0.2500")


async def test_a_filled_order_is_settled_when_its_trades_are_paid(
    client: Client, engine: EngineGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "CLEARING_LATE_NS", 10**19)  # The engine's clock is not ours.
    terms = {"symbol": "BTC-CLR", "base": "BTC", "quote": "USD", "tick": "1", "lot": "0.1"}
    await admin(client, "POST", "instruments", {**terms, "clearing_ms": 60_000})
    cleared = {"instrument": "BTC-CLR", "price": "100", "qty": "1"}
    await placed(client, "bob", "s-1", side="sell", **cleared)
    first = await placed(client, "alice", "s-2", **cleared)
    event = {"instrument": BINARY, "price": "0.50", "qty": "1"}
    await placed(client, "bob", "s-3", side="sell", **event)
    second = await placed(client, "alice", "s-4", **event)
    assert (first["settled"], second["settled"]) == (False, False)
    assert "settled" not in await placed(client, "alice", "s-5", price="1")

    await engine.wait(60 * SECOND_NS)
    await admin(client, "POST", f"instruments/{BINARY}/settle", {"result": "no"})

    assert (await looked_up(client, "alice", "s-2"))["settled"] is True
    assert (await looked_up(client, "alice", "s-4"))["settled"] is True


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "instruments/BTC-USD"),
        ("POST", f"instruments/{BINARY}/settle"),
        ("PATCH", "accounts/alice"),
        ("POST", "accounts/alice/suspend"),
        ("POST", "accounts/alice/limits"),
        ("GET", "accounts/alice/limits"),
        ("POST", "kill-switch"),
        ("POST", "trades/1.1/bust"),
        ("POST", "trades/1.1/correct"),
        ("POST", "executions"),
    ],
)
async def test_only_an_administrator_may(client: Client, method: str, path: str) -> None:
    reply = await client.send(method, f"/v1/admin/{path}", json={})

    assert (reply.status, reply.body["code"]) == (403, "forbidden")
