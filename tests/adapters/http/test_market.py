"""Public market data: no user is needed; symbols may hold '/'."""

import numpy as np
import pytest
import yarl

from core import messages
from tests.adapters.http.conftest import Client
from tests.adapters.http.fake_gateway import FakeGateway, event


async def test_instruments_assets_and_fees_are_listed(client: Client) -> None:
    instruments = await client.get("/v1/instruments", user=None)
    assets = await client.get("/v1/assets", user=None)
    fees = await client.get("/v1/fees", user=None)

    assert instruments.body["items"][0] == {
        "id": "1",
        "symbol": "BTC-USD",
        "type": "spot",
        "status": "open",
        "matching": "here",
        "base": "BTC",
        "quote": "USD",
        "tick": "0.01",
        "lot": "0.0001",
        "price_scale": 2,
        "qty_scale": 4,
        "maker_ppm": 200,
        "taker_ppm": 500,
        "qty_min": None,
        "qty_max": None,
        "notional_min": None,
        "notional_max": None,
        "price_min": None,
        "price_max": None,
        "band_ppm": None,
        "reference_price": None,
        "max_age_ms": None,
        "day_end_ms": 0,
        "tick_table": [],
        "short_ppm": None,
        "clearing_ms": None,
        "payout": None,
    }
    assert [item["symbol"] for item in instruments.body["items"]] == ["BTC-USD", "ETH-USD", "A/B"]
    assert assets.body["items"][0] == {"id": "1", "name": "USD", "scale": 6}
    assert fees.body["items"][0] == {
        "instrument": "BTC-USD",
        "asset": "USD",
        "maker_ppm": 200,
        "taker_ppm": 500,
    }
    assert (assets.body["has_more"], assets.body["next_cursor"]) == (False, None)


@pytest.mark.parametrize("symbol", ["A/B", "A%2FB", "A%2fB"])
@pytest.mark.parametrize("rest", ["", "/book", "/trades"])
async def test_a_symbol_may_hold_a_slash(client: Client, symbol: str, rest: str) -> None:
    url = yarl.URL(f"/v1/instruments/{symbol}{rest}", encoded=True)

    reply = await client.get(url, user=None)  # type: ignore[arg-type]

    assert reply.status == 200
    if rest == "":
        assert reply.body["instrument"]["symbol"] == "A/B"


async def test_an_unknown_instrument_is_not_found(client: Client) -> None:
    for rest in ("", "/book", "/trades"):
        reply = await client.get(f"/v1/instruments/NO{rest}", user=None)
        assert (reply.status, reply.body["code"]) == (404, "not_found")


async def test_the_book_has_both_sides_best_first_with_the_sum(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.depth = (
        [(7_015_000 - n, 10 + n, 1) for n in range(12)],
        [(7_015_100, 2_500, 3)],
    )

    reply = await client.get("/v1/instruments/BTC-USD/book?levels=10", user=None)

    assert reply.body["bids"][:2] == [
        ["70150.00", "0.0010", 1, "0.0010"],
        ["70149.99", "0.0011", 1, "0.0021"],
    ]
    assert len(reply.body["bids"]) == 10
    assert reply.body["asks"] == [["70151.00", "0.2500", 3, "0.2500"]]
    assert reply.body["seq"] == 900
    assert int(gateway.queries[-1]["limit"]) == 10


async def test_an_empty_book_is_an_answer(client: Client) -> None:
    reply = await client.get("/v1/instruments/BTC-USD/book", user=None)

    assert (reply.status, reply.body["bids"], reply.body["asks"]) == (200, [], [])


def trade(sequence: int, flags: int = 0) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    taker = event(
        messages.FILL, sequence=sequence, index=1, price=7_015_000 + sequence, qty=10, flags=flags
    )
    maker = taker.copy()
    maker["index"], maker["flags"] = 2, messages.MAKER
    return np.concatenate([taker, maker])


async def test_recent_trades_come_newest_first_one_per_match(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.publish(np.concatenate([trade(1), trade(2, messages.SELL_SIDE)]))
    gateway.publish(trade(3))

    reply = await client.get("/v1/instruments/BTC-USD/trades", user=None)

    assert [(item["seq"], item["side"]) for item in reply.body["items"]] == [
        (3, "buy"),
        (2, "sell"),
        (1, "buy"),
    ]
    assert reply.body["items"][0] == {
        "trade_id": "3.1",
        "seq": 3,
        "price": "70150.03",
        "qty": "0.0010",
        "side": "buy",
        "ts": 1_763_650_000_123_456,
    }
    assert reply.body["complete_from_seq"] == 1


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_of_trades_have_no_gap_and_no_repeat(
    client: Client, gateway: FakeGateway, order: str
) -> None:
    gateway.publish(np.concatenate([trade(n) for n in range(1, 1_201)]))

    seen, cursor = [], ""
    while True:
        url = f"/v1/instruments/BTC-USD/trades?order={order}&limit=300{cursor}"
        body = (await client.get(url, user=None)).body
        seen += [item["seq"] for item in body["items"]]
        if not body["has_more"]:
            break
        cursor = f"&cursor={body['next_cursor']}"

    kept = list(range(201, 1_201))
    assert seen == (kept if order == "asc" else kept[::-1])


async def test_events_that_come_again_after_a_restart_are_passed_over(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.publish(np.concatenate([trade(1), trade(2)]))
    gateway.publish(np.concatenate([trade(1), trade(2), trade(3)]))

    reply = await client.get("/v1/instruments/BTC-USD/trades?order=asc", user=None)

    assert [item["seq"] for item in reply.body["items"]] == [1, 2, 3]


async def test_trades_that_were_read_but_not_handed_on_are_seen(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.read_events.append(trade(7))

    reply = await client.get("/v1/instruments/BTC-USD/trades", user=None)

    assert [item["seq"] for item in reply.body["items"]] == [7]


async def test_a_lapped_reader_says_from_where_its_trades_are_complete(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.publish(trade(1))
    gateway.lap()
    gateway.publish(trade(50))

    reply = await client.get("/v1/instruments/BTC-USD/trades", user=None)

    assert reply.body["complete_from_seq"] == 50


async def test_an_instrument_made_elsewhere_is_known_at_its_event(
    client: Client, gateway: FakeGateway
) -> None:
    assert (await client.get("/v1/instruments/NEW", user=None)).status == 404
    gateway.symbols[4] = "NEW"
    gateway.publish(event(messages.INSTRUMENT_CREATED, sequence=5))

    assert (await client.get("/v1/instruments/NEW", user=None)).status == 200


async def test_reference_data_is_not_asked_for_twice(client: Client, gateway: FakeGateway) -> None:
    await client.get("/v1/instruments", user=None)
    asked = len(gateway.queries)
    await client.get("/v1/instruments", user=None)

    assert len(gateway.queries) == asked
