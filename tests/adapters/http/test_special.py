"""What only some orders, positions and instruments have, shown back over the real engine."""

from typing import Any

import pytest

from tests.adapters.http.conftest import Client, MakeClient
from tests.adapters.http.engine_gateway import START_NS, EngineGateway
from tests.adapters.http.venue import admin, demo, looked_up, placed, trade

SECOND_NS = 1_000_000_000
NAMES = (
    *("stop_price", "trail", "trail_bps", "protection_price", "oco", "tag", "display_qty"),
    *("expire_ts", "stp", "post_only", "slide", "reduce_only", "triggered"),
)
SELL_STOP: dict[str, Any] = {"type": "trailing_stop", "side": "sell", "price": ...}
GTD_US = START_NS // 1_000 + 10**9


@pytest.fixture
def engine() -> EngineGateway:
    return EngineGateway()


@pytest.fixture
async def client(engine: EngineGateway, make_client: MakeClient) -> Client:
    return await demo(engine, make_client)


def special(order: dict[str, Any]) -> dict[str, Any]:
    """What the order has that most have not."""
    return {name: order[name] for name in NAMES if name in order}


async def position(client: Client, user: str, symbol: str) -> dict[str, Any]:
    body = (await client.get(f"/v1/positions/{symbol}", user=user)).body
    found: dict[str, Any] = body["position"]
    return found


TERMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a plain order": ({}, {}),
    "a tag": ({"tag": "grid-1"}, {"tag": "grid-1"}),
    "36 characters of tag": ({"tag": "t" * 36}, {"tag": "t" * 36}),
    "a trail": (
        SELL_STOP | {"trail": "100", "protection_price": "60000"},
        {"stop_price": "69900.00", "trail": "100.00", "protection_price": "60000.00"},
    ),
    "basis points": (
        SELL_STOP | {"trail_bps": 100, "tag": "t", "tif": "gtd", "expire_ts": GTD_US},
        {"stop_price": "69300.00", "trail_bps": 100, "tag": "t", "expire_ts": GTD_US},
    ),
    "a stop": (
        {"type": "stop", "price": ..., "stop_price": "70500", "protection_price": "70600"},
        {"stop_price": "70500.00", "protection_price": "70600.00"},
    ),
    "an iceberg": (
        {"price": "1", "display_qty": "0.1", "post_only": True, "slide": True, "stp": "decrement"},
        {"display_qty": "0.1000", "post_only": True, "slide": True, "stp": "decrement"},
    ),
}


@pytest.mark.parametrize(("asked", "shown"), TERMS.values(), ids=TERMS)
async def test_an_open_order_shows_the_terms_that_it_was_placed_with(
    client: Client, asked: dict[str, Any], shown: dict[str, Any]
) -> None:
    await trade(client, "70000")

    order = await placed(client, "alice", "a-1", **{"price": "69000", **asked})

    assert special(order) == shown
    found = await looked_up(client, "alice", "a-1")
    [listed] = (await client.get("/v1/orders")).body["items"]
    assert found == listed == {**order, "seq": found["seq"]}


async def test_an_order_that_was_filled_at_once_says_its_tag_and_no_partner(
    client: Client,
) -> None:
    await placed(client, "bob", "b-1", side="sell", price="70000")
    first = await placed(client, "alice", "a-1", price="60000")

    second = await placed(client, "alice", "a-2", oco=first["order_id"], tag="entry")

    assert (second["status"], special(second)) == ("filled", {"tag": "entry"})
    assert (await looked_up(client, "alice", "a-1"))["cancel_reason"] == "canceled_by_partner"


async def test_both_orders_of_a_pair_name_each_other_until_one_ends(client: Client) -> None:
    first = await placed(client, "alice", "a-1", price="60000")
    second = await placed(client, "alice", "a-2", price="61000", oco=first["order_id"])

    assert special(first) == {}
    assert special(second) == {"oco": first["order_id"]}
    assert special(await looked_up(client, "alice", "a-1")) == {"oco": second["order_id"]}
    assert special(await looked_up(client, "alice", "a-2")) == {"oco": first["order_id"]}

    await client.send("DELETE", f"/v1/orders/{first['order_id']}")

    assert special(await looked_up(client, "alice", "a-1")) == {}
    assert special(await looked_up(client, "alice", "a-2")) == {}


async def test_of_an_order_that_has_ended_most_terms_are_gone(client: Client) -> None:
    await placed(client, "dave", "d-1", price="68000", qty="0.1")
    await trade(client, "70000")
    stop = await placed(client, "alice", "a-1", **SELL_STOP, trail="100", qty="0.3")
    assert special(stop) == {"stop_price": "69900.00", "trail": "100.00"}

    await trade(client, "69000")

    ended = await looked_up(client, "alice", "a-1")
    assert (ended["status"], ended["filled_qty"]) == ("expired", "0.1000")
    assert special(ended) == {"triggered": True}  # What an order had, the core forgets at its end.


async def test_a_short_position_shows_what_is_lent_and_its_collateral(client: Client) -> None:
    await admin(client, "PATCH", "instruments/BTC-USD", {"short_ppm": 500_000})
    await client.get("/v1/account", user="dave")
    await admin(client, "POST", "accounts/dave/limits", {"instrument": "BTC-USD", "short_max": "9"})
    await placed(client, "dave", "d-1", side="sell", price="1000", qty="103")
    await placed(client, "alice", "a-1", price="1000", qty="101")

    assert await position(client, "dave", "BTC-USD") == {
        "instrument": "BTC-USD",
        "net_qty": "-101.0000",
        "avg_price": "1000.00",
        "cost": "-101000.000000",
        "realized_pnl": "0.000000",
        "reserved": "2.0000",
        "bought_qty": "0.0000",
        "sold_qty": "101.0000",
        "asset": "USD",
        "short_qty": "1.0000",
        "shorting_qty": "2.0000",
        # Half of what was sold short, and what was got for it, less the fee.
        "collateral": "1499.800000",
    }
    buyer = await position(client, "alice", "BTC-USD")
    assert (buyer["short_qty"], buyer["collateral"]) == ("0.0000", "0.000000")

    await client.get("/v1/account", user="erin")
    await admin(client, "POST", "accounts/erin/limits", {"instrument": "BTC-USD", "short_max": "9"})
    await placed(client, "erin", "e-1", side="sell", price="2000", qty="104")
    await client.post("/v1/orders/cancel-all", user="dave")
    await admin(client, "PATCH", "instruments/BTC-USD", {"short_ppm": 0})

    names = ("short_qty", "shorting_qty")
    lent, offered = [await position(client, user, "BTC-USD") for user in ("dave", "erin")]
    assert [lent[name] for name in names] == ["1.0000", "0.0000"]
    assert [offered[name] for name in names] == ["0.0000", "4.0000"]
    assert not {*names, "collateral"} & set(await position(client, "alice", "BTC-USD"))


async def test_a_cleared_position_shows_what_is_due_until_it_is_paid(
    client: Client, engine: EngineGateway
) -> None:
    terms = {"symbol": "BTC-CLR", "base": "BTC", "quote": "USD", "tick": "1", "lot": "0.1"}
    fees = {"maker_ppm": 0, "taker_ppm": 1_000}
    await admin(client, "POST", "instruments", {**terms, **fees, "clearing_ms": 60_000})
    await placed(client, "bob", "b-1", instrument="BTC-CLR", side="sell", price="100", qty="2")
    await placed(client, "alice", "a-1", instrument="BTC-CLR", price="100", qty="0.5")

    bought = {
        "instrument": "BTC-CLR",
        "net_qty": "0.5",
        "avg_price": "100",
        "cost": "50.000000",
        "realized_pnl": "0.000000",
        "reserved": "0.0",
        "bought_qty": "0.5",
        "sold_qty": "0.0",
        "asset": "USD",
        "due_qty": "0.5",
        "due_amount": "-50.050000",
    }
    assert await position(client, "alice", "BTC-CLR") == bought
    sold = await position(client, "bob", "BTC-CLR")
    assert (sold["due_qty"], sold["due_amount"]) == ("-0.5", "50.000000")

    await engine.wait(60 * SECOND_NS)

    paid = {**bought, "due_qty": "0.0", "due_amount": "0.000000"}
    assert await position(client, "alice", "BTC-CLR") == paid


async def test_a_position_in_a_plain_instrument_has_none_of_that(client: Client) -> None:
    await trade(client, "70000")

    assert list(await position(client, "carol", "BTC-USD")) == [
        *("instrument", "net_qty", "avg_price", "cost", "realized_pnl", "reserved"),
        *("bought_qty", "sold_qty", "asset"),
    ]


async def test_a_tick_table_is_shown_as_it_was_set(client: Client, engine: EngineGateway) -> None:
    bands = [
        {"from": "0.00", "step": "0.01"},
        {"from": "10.00", "step": "0.05"},
        {"from": "1000.00", "step": "0.50"},
        {"from": "50000.00", "step": "5.00"},
    ]
    terms = {"base": "ETH", "quote": "USD", "tick": "0.01", "lot": "0.1"}

    made = await admin(
        client, "POST", "instruments", {**terms, "symbol": "FOUR", "tick_table": bands}
    )
    await admin(client, "POST", "instruments", {**terms, "symbol": "NONE"})
    path = "instruments/BTC-USD"
    changed = await admin(client, "PATCH", path, {"tick_table": bands[:2], "status": "closed"})

    assert made.body["instrument"]["tick_table"] == bands
    assert changed.body["instrument"]["tick_table"] == bands[:2]
    listed = (await client.get("/v1/instruments")).body["items"]
    assert [(item["symbol"], item["tick_table"]) for item in listed] == [
        ("BTC-USD", bands[:2]),
        ("ETH-USD", []),
        (listed[2]["symbol"], []),
        ("FOUR", bands),
        ("NONE", []),
    ]
    one = await client.get("/v1/instruments/FOUR")
    assert one.body["instrument"] == listed[3] == made.body["instrument"]

    gone = await admin(client, "PATCH", path, {"tick_table": [], "status": "open"})
    assert gone.body["instrument"]["tick_table"] == []
