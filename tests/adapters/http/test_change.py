"""Lookups, cancels, replaces: by id and by client id, whatever characters the id has."""

from typing import Any

import numpy as np
import pytest

from adapters.gateway import CoreAway, OutcomeUnknown
from adapters.http.exchange import Exchange
from core import messages
from core.messages import CANCEL, MASS, PLACE_SLOT_2, REPLACE
from core.reasons import Reason
from tests.adapters.http.conftest import Client
from tests.adapters.http.fake_gateway import ALICE, BOB, FakeGateway, answered, event, order_reply

ID = 100 << 22 | 5
OPEN = {
    "order_id": ID,
    "account": ALICE,
    "instrument": 1,
    "side": messages.SELL,
    "order_type": messages.LIMIT,
    "time_in_force": messages.GTC,
    "price": 7_015_050,
    "order_qty": 2_500,
    "leaves": 2_500,
    "hold": 25_000_000,
    "status": messages.STATUS_OPEN,
    "client_order_id": "a-1",
}
CANCELED = OPEN | {
    "leaves": 0,
    "status": messages.STATUS_CANCELED,
    "end_reason": Reason.CANCELED_BY_USER,
    "hold": 0,
}


@pytest.fixture(autouse=True)
def one_order(gateway: FakeGateway) -> None:
    gateway.orders[ID] = order_reply(**OPEN)
    gateway.by_client[ALICE, "a-1"] = order_reply(**OPEN)
    gateway.by_client[ALICE, "m/7%:1?"] = order_reply(**OPEN)


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/orders/{ID}",
        "/v1/orders/by-client-id/a-1",
        "/v1/orders/by-client-id/m%2F7%25:1%3F",
        "/v1/orders/by-client-id/m/7%25:1%3F",
        "/v1/orders?client_order_id=m/7%25:1?",
    ],
)
async def test_an_order_is_found_by_id_and_by_client_id(client: Client, path: str) -> None:
    import yarl

    reply = await client.get(yarl.URL(path, encoded=True))  # type: ignore[arg-type]

    assert reply.status == 200
    assert (reply.body["order"]["order_id"], reply.body["seq"]) == (str(ID), 900)
    assert reply.body["order"]["reserved"] == {"asset": "BTC", "amount": "0.25000000"}
    assert reply.headers["X-Seq"] == "900"


@pytest.mark.parametrize("path", [f"/v1/orders/{ID + 1}", "/v1/orders/x", "/v1/orders/0"])
async def test_an_unknown_order_is_not_found(client: Client, path: str) -> None:
    assert (await client.get(path)).status == 404


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
async def test_an_order_of_somebody_else_is_not_found(
    client: Client, gateway: FakeGateway, method: str
) -> None:
    gateway.script.append(
        answered(event(messages.COMMAND_REJECTED, reason=Reason.UNKNOWN_ORDER, order_id=ID))
    )
    body = {"json": {"qty": "1"}} if method == "PATCH" else {}

    reply = await client.send(method, f"/v1/orders/{ID}", user="bob", **body)

    assert (reply.status, reply.body["code"]) == (404, "not_found")


async def test_a_client_id_that_was_never_seen_is_promised_up_to_a_sequence(
    client: Client,
) -> None:
    reply = await client.get("/v1/orders/by-client-id/never")

    assert (reply.status, reply.body["code"], reply.body["seq"]) == (404, "not_seen", 900)


async def test_once_ids_have_left_a_lookup_says_from_where_they_are_remembered(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.by_client[ALICE, "old"] = order_reply(
        reason=Reason.UNKNOWN_ORDER, flags=messages.TOO_OLD, order_id=450
    )
    gateway.by_client[ALICE, "gone"] = order_reply(
        reason=Reason.UNKNOWN_ORDER, flags=messages.TOO_OLD, order_id=ID, account=ALICE
    )

    old = await client.get("/v1/orders/by-client-id/old")
    gone = await client.get("/v1/orders/by-client-id/gone")

    assert (old.status, old.body["code"], old.body["remembered_from"]) == (410, "too_old", 450)
    assert (gone.status, gone.body["order_id"]) == (410, str(ID))


async def test_a_rejected_order_is_remembered_with_its_reason(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.by_client[ALICE, "r"] = order_reply(
        order_id=77 << 22,
        account=ALICE,
        status=messages.STATUS_REJECTED,
        end_reason=Reason.QTY_TOO_SMALL,
        client_order_id="r",
    )

    order = (await client.get("/v1/orders/by-client-id/r")).body["order"]

    assert (order["status"], order["reject_reason"]) == ("rejected", "qty_too_small")
    assert (order["order_id"], order["instrument"]) == (str(77 << 22), None)


def canceled() -> Any:
    return event(
        messages.ORDER_CANCELED,
        sequence=901,
        order_id=ID,
        qty=2_500,
        leaves=2_500,
        price=7_015_050,
        reason=Reason.CANCELED_BY_USER,
        flags=messages.SELL_SIDE,
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"/v1/orders/{ID}"),
        ("POST", f"/v1/orders/{ID}/cancel"),
        ("DELETE", "/v1/orders/by-client-id/a-1"),
        ("POST", "/v1/orders/by-client-id/a-1/cancel"),
    ],
)
async def test_a_cancel_answers_the_order(
    client: Client, gateway: FakeGateway, method: str, path: str
) -> None:
    gateway.script.append(answered(canceled()))
    gateway.orders[ID] = order_reply(**CANCELED)

    reply = await client.send(method, path)

    assert reply.status == 200
    assert reply.body["order"]["status"] == "canceled"
    assert reply.body["order"]["cancel_reason"] == "canceled_by_user"
    assert reply.body["durability"] == "sync"
    row = np.frombuffer(gateway.sent[0][:128], CANCEL)[0]
    assert (row["kind"], row["account"]) == (messages.CANCEL_ORDER, ALICE)
    if "by-client-id" in path:
        assert (row["slots"], row["order_id"]) == (2, 0)
        second = np.frombuffer(gateway.sent[0][128:], PLACE_SLOT_2)[0]
        assert messages.text(second["original_client_order_id"]) == "a-1"
    else:
        assert (row["slots"], row["order_id"], len(gateway.sent[0])) == (1, ID, 128)


async def test_a_cancel_that_was_executed_is_never_answered_with_503(
    client: Client, gateway: FakeGateway, exchange: Exchange
) -> None:
    await client.get("/v1/balances")
    gateway.script.append(answered(canceled()))
    gateway.failing_queries = CoreAway("away")

    reply = await client.send("DELETE", f"/v1/orders/{ID}")

    order = reply.body["order"]
    assert (reply.status, order["status"], order["qty"]) == (200, "canceled", "0.2500")
    assert (order["remaining_qty"], order["side"]) == ("0.0000", "sell")
    assert order["reserved"] == {"asset": "BTC", "amount": "0.00000000"}


async def test_an_order_that_has_ended_cannot_be_canceled(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(
        answered(event(messages.COMMAND_REJECTED, reason=Reason.TOO_LATE, order_id=ID))
    )
    gateway.orders[ID] = order_reply(**CANCELED)

    reply = await client.send("DELETE", f"/v1/orders/{ID}")

    assert (reply.status, reply.body["code"]) == (409, "cannot_cancel")
    assert reply.body["order_status"] == "canceled"
    assert reply.body["status"] == 409


async def test_a_cancel_only_of_what_is_new_names_the_order_that_is_not(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(
        answered(event(messages.COMMAND_REJECTED, reason=Reason.CANCEL_RESTRICTED, order_id=ID))
    )
    gateway.orders[ID] = order_reply(**OPEN)

    reply = await client.post(f"/v1/orders/{ID}/cancel", {"cancel_restriction": "only_new"})

    assert np.frombuffer(gateway.sent[0], CANCEL)[0]["restriction"] == messages.RESTRICT_ONLY_NEW
    assert (reply.status, reply.body["code"]) == (409, "cannot_cancel")
    assert reply.body["reject_reason"] == "cancel_restricted"
    assert reply.body["detail"] == "the order is not in the state that the cancel demands"


async def test_a_cancel_of_unknown_outcome_names_the_lookup(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(OutcomeUnknown("late", sequenced=True))

    reply = await client.send("DELETE", f"/v1/orders/{ID}")

    assert (reply.status, reply.body["lookup"]) == (504, f"/v1/orders/{ID}")


def replaced(flags: int = 0) -> list[Any]:
    after = event(
        messages.ORDER_REPLACED, sequence=901, order_id=ID, qty=2_000, leaves=2_000, flags=flags
    )
    before = event(messages.REPLACED_FROM, sequence=901, order_id=ID, qty=2_500, leaves=2_500)
    return [after, before]


@pytest.mark.parametrize("kept", [True, False])
async def test_a_replace_says_whether_priority_was_kept(
    client: Client, gateway: FakeGateway, kept: bool
) -> None:
    gateway.script.append(answered(*replaced(messages.PRIORITY_KEPT if kept else messages.RESTS)))

    reply = await client.send("PATCH", f"/v1/orders/{ID}", json={"qty": "0.2", "price": "70000"})

    assert (reply.status, reply.body["priority_kept"], reply.body["fills"]) == (200, kept, [])
    row = np.frombuffer(gateway.sent[0], REPLACE)[0]
    assert (row["kind"], row["order_id"]) == (messages.REPLACE_ORDER, ID)
    assert (row["price"], row["qty"], row["qty_basis"]) == (7_000_000, 2_000, messages.QTY_TOTAL)
    assert messages.text(row["client_order_id"]) == ""


async def test_a_replace_that_trades_answers_its_fills(
    client: Client, gateway: FakeGateway
) -> None:
    fill = event(
        messages.FILL, sequence=901, order_id=ID, price=7_000_000, qty=500, leaves=1_500, fee=7
    )
    gateway.script.append(answered(*replaced(), fill))

    reply = await client.send(
        "PATCH",
        "/v1/orders/by-client-id/a-1",
        json={"price": "70000.00", "client_order_id": "a-2", "qty_basis": "leaves"},
    )

    assert reply.body["fills"] == [
        {
            "trade_id": "901.2",
            "exec_id": "901.2",
            "price": "70000.00",
            "qty": "0.0500",
            "liquidity": "taker",
            "fee": "0.000007",
        }
    ]
    row = np.frombuffer(gateway.sent[0][:128], REPLACE)[0]
    assert (row["slots"], row["qty"], row["qty_basis"]) == (2, 0, messages.QTY_LEAVES)
    assert messages.text(row["client_order_id"]) == "a-2"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/qty", "required"),
        ({"price": "1.001"}, "/price", "precision"),
        ({"qty": "0"}, "/qty", "qty_too_small"),
        ({"qty": 1}, "/qty", "wrong_type"),
        ({"qty": "1", "qty_basis": "all"}, "/qty_basis", "invalid_value"),
        ({"qty": "1", "client_order_id": "a b"}, "/client_order_id", "client_order_id"),
        ({"qty": "1", "side": "buy"}, "/side", "unknown_field"),
    ],
)
async def test_a_wrong_replace_is_refused(
    client: Client, gateway: FakeGateway, body: dict[str, Any], pointer: str, code: str
) -> None:
    reply = await client.send("PATCH", f"/v1/orders/{ID}", json=body)

    assert reply.status == 422
    assert [(f["pointer"], f["code"]) for f in reply.body["errors"]] == [(pointer, code)]
    assert not gateway.sent


async def test_a_replace_below_what_is_filled_is_rejected_too_late(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(
        answered(event(messages.COMMAND_REJECTED, reason=Reason.TOO_LATE, order_id=ID))
    )

    reply = await client.send("PATCH", f"/v1/orders/{ID}", json={"qty": "0.1"})

    assert (reply.status, reply.body["reject_reason"]) == (422, "too_late")
    assert reply.body["order_id"] == str(ID)


async def test_a_replace_again_with_its_own_id_does_nothing_again(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(answered(event(messages.ORDER_REPEATED, sequence=902, order_id=ID)))

    reply = await client.send(
        "PATCH", f"/v1/orders/{ID}", json={"qty": "0.1", "client_order_id": "a-2"}
    )

    assert (reply.status, reply.headers["Idempotency-Replayed"]) == (200, "true")
    assert (reply.body["fills"], reply.body["priority_kept"]) == ([], None)


async def test_cancel_all_counts_and_zero_is_an_answer(
    client: Client, gateway: FakeGateway
) -> None:
    for count in (2, 0):
        gateway.script.append(answered(event(messages.MASS_CANCELED, sequence=903, qty=count)))

    some = await client.post("/v1/orders/cancel-all", {"instrument": "ETH-USD", "side": "sell"})
    none = await client.send("POST", "/v1/orders/cancel-all")

    assert (some.status, some.body) == (200, {"canceled": 2, "seq": 903, "durability": "sync"})
    assert (none.status, none.body["canceled"]) == (200, 0)
    rows = [np.frombuffer(sent, MASS)[0] for sent in gateway.sent]
    assert [(row["instrument"], row["side"]) for row in rows] == [(2, messages.SELL), (0, 0)]


async def test_cancel_all_of_an_unknown_instrument_cancels_nothing(
    client: Client, gateway: FakeGateway
) -> None:
    reply = await client.post(
        "/v1/orders/cancel-all", {"instrument": "X", "side": "x", "tag": "", "session": "s"}
    )

    assert reply.status == 422
    assert {(f["pointer"], f["code"]) for f in reply.body["errors"]} == {
        ("/instrument", "unknown_instrument"),
        ("/side", "invalid_value"),
        ("/tag", "invalid_value"),
        ("/session", "invalid_value"),
    }
    assert not gateway.sent


async def test_open_orders_come_in_pages_without_gap_or_repeat(
    client: Client, gateway: FakeGateway
) -> None:
    ids = [n << 22 | n for n in range(1, 201)]
    gateway.open_orders = [
        order_reply(**(OPEN | {"order_id": number, "instrument": 1 + number % 2})) for number in ids
    ]
    seen, cursor, pages = [], "", 0
    while True:
        reply = await client.get(f"/v1/orders?status=open&limit=90{cursor}")
        assert reply.body["seq"] == 900
        seen += [int(item["order_id"]) for item in reply.body["items"]]
        pages += 1
        if not reply.body["has_more"]:
            break
        cursor = f"&cursor={reply.body['next_cursor']}"
    assert (seen, pages, reply.body["next_cursor"]) == (ids, 3, None)

    later = await client.get("/v1/orders?from_seq=150&limit=1000&instrument=ETH-USD")
    expected = [n for n in ids if n >> 22 >= 150 and n % 2 == 1]
    assert [int(item["order_id"]) for item in later.body["items"]] == expected


async def test_nobody_elses_client_id_is_seen(client: Client, gateway: FakeGateway) -> None:
    reply = await client.get("/v1/orders/by-client-id/a-1", user="bob")

    assert (reply.status, reply.body["code"]) == (404, "not_seen")
    assert int(gateway.queries[-1]["account"]) == BOB


async def test_a_cancel_that_is_the_first_request_answers_the_whole_order(
    client: Client, gateway: FakeGateway, exchange: Exchange
) -> None:
    exchange.accounts["alice"] = ALICE
    gateway.script.append(answered(canceled()))
    gateway.orders[ID] = order_reply(**CANCELED)

    reply = await client.send("DELETE", f"/v1/orders/{ID}")

    assert reply.body["order"]["instrument"] == "BTC-USD"
