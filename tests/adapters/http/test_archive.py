"""What the HTTP adapter has from the event archive: old orders, and trades after its restart."""

from typing import Any

import numpy as np
import pytest

from adapters.http.archived import of_life
from adapters.http.exchange import Exchange
from adapters.http.feed import Feed
from adapters.http.records import events_of
from adapters.instruments import Instruments
from core import messages
from core.archive.reader import Recent
from core.reasons import Reason
from tests.adapters.http.conftest import Client
from tests.adapters.http.fake_gateway import ALICE, BOB, FakeGateway, answered, event, order_reply

ORDER = 500 << 22 | 7
TERMS = messages.LIMIT | messages.GTC << 8


def life(*more: Any, account: int = ALICE) -> Any:
    """The events of an order of 10 lots that was accepted, filled by 4, and what came then."""
    first = event(
        messages.ORDER_ACCEPTED,
        sequence=500,
        price=7_000_000,
        qty=10,
        leaves=10,
        cum=999,
        cum_notional=TERMS,
        client_order_id="old-1",
    )
    fill = event(
        messages.FILL,
        sequence=510,
        price=6_990_000,
        qty=4,
        leaves=6,
        cum=4,
        fee=12,
        cum_notional=4 * 6_990_000,
    )
    rows = np.concatenate([first, fill, *more])
    rows["order_id"], rows["account"] = ORDER, account
    return rows


def canceled() -> Any:
    reason = int(Reason.CANCELED_BY_USER)
    return event(messages.ORDER_CANCELED, sequence=520, qty=6, leaves=6, cum=4, reason=reason)


@pytest.fixture
def old(gateway: FakeGateway) -> FakeGateway:
    """The order has left the core; the archive has it."""
    gateway.orders[ORDER] = order_reply(reason=int(Reason.STALE_ID), account=ALICE)
    gateway.archived[ORDER] = life(canceled())
    return gateway


async def test_an_order_that_left_the_core_is_answered_from_the_archive(
    client: Client, old: FakeGateway
) -> None:
    status, body, _ = await client.get(f"/v1/orders/{ORDER}")

    assert status == 200
    assert (body["source"], body["seq"]) == ("archive", 900)
    order = body["order"]
    assert order["status"] == "canceled"
    assert order["cancel_reason"] == Reason.CANCELED_BY_USER.word
    assert (order["client_order_id"], order["type"], order["tif"]) == ("old-1", "limit", "gtc")
    assert (order["qty"], order["filled_qty"], order["remaining_qty"]) == (
        "0.0010",
        "0.0004",
        "0.0000",
    )
    assert order["fees"]["amount"] == "0.000012"
    assert order["seq"] == 520


async def test_by_its_client_id_too(client: Client, old: FakeGateway) -> None:
    old.by_client[ALICE, "old-1"] = order_reply(
        reason=int(Reason.UNKNOWN_ORDER), order_id=ORDER, account=ALICE
    )

    status, body, _ = await client.get("/v1/orders/by-client-id/old-1")

    assert (status, body["source"], body["order"]["order_id"]) == (200, "archive", str(ORDER))


async def test_somebody_elses_old_order_is_not_found(client: Client, old: FakeGateway) -> None:
    old.archived[ORDER]["account"] = BOB

    status, body, _ = await client.get(f"/v1/orders/{ORDER}")

    assert (status, body["code"]) == (404, "not_found")


@pytest.mark.parametrize("have", ["nothing", "no end", "no beginning"])
async def test_what_the_archive_does_not_have_is_too_old(
    client: Client, old: FakeGateway, have: str
) -> None:
    whole = old.archived.pop(ORDER)
    if have != "nothing":
        old.archived[ORDER] = whole[:2] if have == "no end" else whole[1:]

    status, body, _ = await client.get(f"/v1/orders/{ORDER}")

    assert (status, body["code"], body["order_id"]) == (410, "too_old", str(ORDER))


async def test_a_search_of_no_bytes_is_none(
    client: Client, old: FakeGateway, exchange: Exchange
) -> None:
    exchange.archive_scan_bytes = 0

    assert (await client.get(f"/v1/orders/{ORDER}")).status == 410


async def test_the_same_order_again_is_answered_with_the_old_one(
    client: Client, old: FakeGateway
) -> None:
    old.script.append(answered(event(messages.ORDER_REPEATED, order_id=ORDER, flags=messages.GONE)))

    reply = await client.place(client_order_id="old-1")

    assert reply.status == 200
    assert reply.headers["Idempotency-Replayed"] == "true"
    assert (reply.body["order"]["order_id"], reply.body["fills"]) == (str(ORDER), [])
    assert reply.body["order"]["status"] == "canceled"


async def test_a_cancel_of_an_old_order_says_how_it_ended(client: Client, old: FakeGateway) -> None:
    reject = event(messages.COMMAND_REJECTED, reason=int(Reason.UNKNOWN_ORDER), order_id=ORDER)
    old.script.append(answered(reject))

    reply = await client.send("DELETE", f"/v1/orders/{ORDER}")

    assert (reply.status, reply.body["code"]) == (409, "cannot_cancel")
    assert reply.body["order_status"] == "canceled"
    assert reply.body["order"]["filled_qty"] == "0.0004"


def test_the_life_of_an_order_follows_from_its_events() -> None:
    """Replaced, reduced, filled to the end, as a maker."""
    rows = life(
        event(messages.ORDER_REPLACED, sequence=511, price=1, qty=9, leaves=5, client_order_id="n"),
        event(messages.REPLACED_FROM, sequence=511, price=7, qty=10, leaves=6, cum=4, fee=77),
        event(messages.CANCEL_ACCEPTED, sequence=512, price=3, client_order_id="c"),
        event(messages.ORDER_REDUCED, sequence=512, qty=2, leaves=3, cum=4),
        event(messages.COMMAND_REJECTED, sequence=513, leaves=2),
        event(messages.FILL, sequence=514, price=1, qty=3, leaves=0, cum=7, cum_notional=9, fee=-2),
    )

    view = of_life(events_of(rows))

    assert view is not None
    assert (view.status, view.client_order_id) == (messages.STATUS_FILLED, "n")
    assert (view.price, view.qty, view.leaves, view.cum) == (1, 7, 0, 7)
    assert (view.cum_notional, view.fees, view.last_price) == (9, 10, 1)
    assert (view.sequence, view.hold) == (514, 0)


def test_a_rejected_order_shows_its_reason() -> None:
    reason = int(Reason.INSUFFICIENT_FUNDS)
    view = of_life(events_of(event(messages.ORDER_REJECTED, order_id=ORDER, reason=reason, qty=5)))

    assert view is not None
    assert (view.status, view.reason, view.leaves) == (messages.STATUS_REJECTED, reason, 0)


# Trades after a restart of the process.


def fills(*sequences: int) -> Any:
    rows = np.concatenate([event(messages.FILL, sequence=n, price=n, qty=1) for n in sequences])
    return rows


def test_trades_go_on_from_the_archive_without_hole_or_double() -> None:
    feed = Feed(Instruments())
    feed.load(Recent(fills(5, 7, 9), (3, 2), (10, 1)))

    feed.take(fills(7, 9))  # The ring has them too.
    feed.take(fills(11, 12))

    assert feed.trades(1)["sequence"].tolist() == [5, 7, 9, 11, 12]
    assert feed.since == 4
    assert feed.trade_count[1] == 2  # Since this process started.


def test_an_archive_from_the_beginning_is_complete_from_the_beginning() -> None:
    feed = Feed(Instruments())
    feed.load(Recent(fills(5), (0, -1), (10, 1)))
    assert feed.since == 1

    feed = Feed(Instruments())
    feed.load(Recent(fills(5), (4, -1), (10, 1)))
    assert feed.since == 4


def test_an_empty_archive_changes_nothing() -> None:
    feed = Feed(Instruments())
    feed.load(Recent(fills(5)[:0], (0, -1), (0, -1)))
    feed.take(fills(1, 2))

    assert feed.trades(1)["sequence"].tolist() == [1, 2]


async def test_the_adapter_listens_from_the_end_of_the_archive(gateway: FakeGateway) -> None:
    exchange = Exchange("http.0", dev=True)
    exchange.bind(gateway, Recent(fills(5), (0, -1), (10, 1)))

    assert gateway.after == (10, 1)
    assert exchange.feed.trades(1)["sequence"].tolist() == [5]
