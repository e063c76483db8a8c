"""POST /v1/orders: what is sent to the core, and what is answered."""

import asyncio
from typing import Any

import numpy as np
import pytest

from adapters.gateway import CoreAway, OutcomeUnknown, RingFull
from adapters.http.exchange import Exchange
from core import messages
from core.messages import PLACE
from core.reasons import Reason
from tests.adapters.http.conftest import Client
from tests.adapters.http.fake_gateway import ALICE, BOB, FakeGateway, answered, event, order_reply

ORDER_ID = 5_512_345 << 22 | 7
MAKER_ID = 5_512_000 << 22 | 3


def accepted(**changes: Any) -> Any:
    fields = {
        "sequence": 5_512_345,
        "order_id": ORDER_ID,
        "account": ALICE,
        "price": 7_015_050,
        "qty": 2_500,
        "leaves": 2_500,
        "cum": 17_546_393_813,
        "client_order_id": "a-1",
    }
    return event(messages.ORDER_ACCEPTED, **(fields | changes))


def fill(order_id: int, qty: int, leaves: int, **changes: Any) -> Any:
    fields = {"sequence": 5_512_345, "order_id": order_id, "price": 7_015_000, "qty": qty}
    return event(messages.FILL, leaves=leaves, **(fields | changes))


PARTLY = answered(
    accepted(),
    fill(ORDER_ID, 1_000, 1_500, cum=1_000, cum_notional=7_015_000_000, fee=3_507_500),
    fill(MAKER_ID, 1_000, 0, account=BOB, flags=messages.MAKER, fee=1_403_000),
    event(
        messages.ORDER_RESTED,
        sequence=5_512_345,
        order_id=ORDER_ID,
        leaves=1_500,
        qty=1_500,
        cum=1_000,
        cum_notional=7_015_000_000,
        fee=10_527_836_288,
    ),
)


async def test_a_new_order_is_answered_whole_with_its_fills(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(PARTLY)

    reply = await client.place()

    assert reply.status == 201
    assert reply.body == {
        "order": {
            "order_id": str(ORDER_ID),
            "client_order_id": "a-1",
            "instrument": "BTC-USD",
            "side": "buy",
            "type": "limit",
            "tif": "gtc",
            "price": "70150.50",
            "qty": "0.2500",
            "filled_qty": "0.1000",
            "remaining_qty": "0.1500",
            "avg_price": "70150.00",
            "last_price": "70150.00",
            "status": "partially_filled",
            "reject_reason": None,
            "expiry_reason": None,
            "cancel_reason": None,
            "reserved": {"asset": "USD", "amount": "10527.836288"},
            "fees": {"asset": "USD", "amount": "3.507500"},
            "created_ts": 1_763_650_000_123_456,
            "updated_ts": 1_763_650_000_123_456,
            "seq": 5_512_345,
        },
        "fills": [
            {
                "trade_id": "5512345.1",
                "exec_id": "5512345.1",
                "price": "70150.00",
                "qty": "0.1000",
                "liquidity": "taker",
                "fee": "3.507500",
            }
        ],
        "seq": 5_512_345,
        "durability": "sync",
    }
    assert reply.headers["X-Seq"] == "5512345"
    assert reply.headers["X-Request-Id"]
    assert int(reply.headers["Server-Time"]) > 1_700_000_000_000_000
    assert "Idempotency-Replayed" not in reply.headers


async def test_the_command_has_every_default_written_out(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(PARTLY)

    await client.place(expire_after_ts=1_799_999_999_999_999)

    row = np.frombuffer(gateway.sent[0], PLACE)[0]
    sent = {name: row[name].item() for name in PLACE.names or () if name != "client_order_id"}
    assert {name: value for name, value in sent.items() if value} == {
        "account": ALICE,
        "instrument": 1,
        "kind": messages.PLACE_ORDER,
        "schema": 1,
        "slots": 1,
        "side": messages.BUY,
        "order_type": messages.LIMIT,
        "time_in_force": messages.GTC,
        "price": 7_015_050,
        "qty": 2_500,
        "expire_after_ns": 1_799_999_999_999_999_000,
    }
    assert messages.text(row["client_order_id"]) == "a-1"


async def test_null_and_documented_defaults_pass(client: Client, gateway: FakeGateway) -> None:
    gateway.script.append(PARTLY)

    reply = await client.place(
        tif=None,
        stp="none",
        resp="full",
        post_only=False,
        reduce_only=None,
        expire_ts=None,
        display_qty=None,
        stop_price=None,
        max_cost=None,
        group=None,
        tag=None,
        expire_after_ts=None,
        recv_window_ms=None,
    )

    assert reply.status == 201


async def test_a_market_order_is_ioc_and_what_is_left_expires(
    client: Client, gateway: FakeGateway
) -> None:
    expired = event(
        messages.ORDER_EXPIRED,
        sequence=5_512_345,
        order_id=ORDER_ID,
        qty=1_500,
        cum=1_000,
        cum_notional=7_015_000_000,
        reason=Reason.MARKET_REMAINDER,
    )
    bought = fill(ORDER_ID, 1_000, 1_500, cum=1_000, cum_notional=7_015_000_000, fee=3_507_500)
    gateway.script.append(answered(accepted(price=0), bought, expired))

    reply = await client.place(type="market", price=...)

    order = reply.body["order"]
    assert (reply.status, order["status"], order["tif"]) == (201, "expired", "ioc")
    assert order["expiry_reason"] == "market_remainder"
    assert (order["price"], order["qty"], order["remaining_qty"]) == (None, "0.2500", "0.0000")
    assert order["reserved"] == {"asset": "USD", "amount": "0.000000"}


async def test_a_sell_reserves_the_base_asset(client: Client, gateway: FakeGateway) -> None:
    sold = accepted(flags=messages.SELL_SIDE | messages.RESTS, cum=25_000_000)
    gateway.script.append(answered(sold))

    reply = await client.place(side="sell")

    order = reply.body["order"]
    assert (order["status"], order["side"]) == ("open", "sell")
    assert order["reserved"] == {"asset": "BTC", "amount": "0.25000000"}
    assert (order["avg_price"], order["last_price"]) == (None, None)


async def test_a_filled_order_reserves_nothing(client: Client, gateway: FakeGateway) -> None:
    filled = fill(ORDER_ID, 2_500, 0, cum=2_500, cum_notional=17_537_500_000, fee=8_768_750)
    maker = fill(MAKER_ID, 2_500, 9, cum=77, flags=messages.MAKER, price=1)
    gateway.script.append(answered(accepted(), filled, maker))

    order = (await client.place()).body["order"]

    assert (order["status"], order["remaining_qty"]) == ("filled", "0.0000")
    assert (order["filled_qty"], order["last_price"]) == ("0.2500", "70150.00")
    assert order["reserved"]["amount"] == "0.000000"


async def test_more_fills_than_an_answer_holds_are_cut_but_the_sums_are_whole(
    client: Client, gateway: FakeGateway
) -> None:
    fills = [
        fill(ORDER_ID, 1, 2_499 - n, cum=n + 1, cum_notional=7_015_000 * (n + 1), fee=3_508)
        for n in range(1_001)
    ]
    last = fill(ORDER_ID, 1, 0, cum=2_500, cum_notional=17_537_500_000, fee=3_508)
    answer = answered(accepted(), *fills, last, truncated=True)
    gateway.script.append(answer)

    reply = await client.place()

    assert len(reply.body["fills"]) == 1_000
    assert reply.body["fills_truncated"] is True
    assert reply.body["order"]["filled_qty"] == "0.2500"
    assert reply.body["order"]["fees"]["amount"] == f"{answer.fees / 1e6:.6f}"


async def test_a_reject_says_why_and_uses_the_id_up(client: Client, gateway: FakeGateway) -> None:
    rejected = event(
        messages.ORDER_REJECTED,
        sequence=77,
        order_id=77 << 22,
        client_order_id="a-1",
        reason=Reason.INSUFFICIENT_FUNDS,
        cum=5_000_000,
        cum_notional=17_546_393_813,
    )
    gateway.script.append(answered(rejected))

    reply = await client.place()

    assert reply.status == 422
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    body = reply.body
    assert (body["code"], body["reject_reason"]) == ("order_rejected", "insufficient_funds")
    assert (body["order_id"], body["client_order_id"]) == (str(77 << 22), "a-1")
    assert (body["limit"], body["value"]) == ("5.000000", "17546.393813")
    assert (body["durability"], body["retryable"]) == ("sync", False)
    assert body["type"] == "https://outcry.invalid/problems/order_rejected"


async def test_the_id_with_another_payload_is_a_mismatch(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(
        answered(event(messages.ORDER_REJECTED, reason=Reason.DUPLICATE_CLIENT_ID))
    )

    reply = await client.place()

    assert (reply.status, reply.body["code"]) == (422, "idempotency_mismatch")


def repeated(**fields: Any) -> Any:
    given = {"sequence": 900, "order_id": ORDER_ID, "client_order_id": "a-1"}
    return answered(event(messages.ORDER_REPEATED, **(given | fields)))


STORED = order_reply(
    order_id=ORDER_ID,
    account=ALICE,
    instrument=1,
    side=messages.BUY,
    order_type=messages.LIMIT,
    time_in_force=messages.GTC,
    price=7_015_050,
    order_qty=2_500,
    cum=1_000,
    cum_notional=7_015_000_000,
    last_price=7_015_000,
    fees=3_507_500,
    status=messages.STATUS_CANCELED,
    end_reason=Reason.CANCELED_BY_USER,
    created_ns=1_000_000,
    updated_ns=2_000_000,
    client_order_id="a-1",
)


async def test_a_repeat_answers_the_order_as_it_is_now(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(repeated(qty=2_500, reason=Reason.CANCELED_BY_USER))
    gateway.orders[ORDER_ID] = STORED

    reply = await client.place()

    assert (reply.status, reply.headers["Idempotency-Replayed"]) == (200, "true")
    assert reply.body["fills"] == []
    order = reply.body["order"]
    assert (order["status"], order["cancel_reason"]) == ("canceled", "canceled_by_user")
    assert (order["created_ts"], order["updated_ts"]) == (1_000, 2_000)


async def test_a_repeat_is_answered_from_its_event_when_the_core_is_gone_meanwhile(
    client: Client, gateway: FakeGateway, exchange: Exchange
) -> None:
    await exchange.instruments()
    exchange.accounts["alice"] = ALICE
    exchange.linked()
    gateway.script.append(repeated(price=7_015_050, qty=2_500, leaves=2_500))
    await client.get("/v1/instruments")
    gateway.failing_queries = CoreAway("away")

    exchange.reference.stale = False
    reply = await client.place()

    assert (reply.status, reply.body["order"]["status"]) == (200, "open")
    assert reply.body["order"]["fees"]["amount"] is None


async def test_a_reject_is_rejected_again(client: Client, gateway: FakeGateway) -> None:
    gateway.script.append(repeated(flags=messages.GONE, reason=Reason.INSUFFICIENT_FUNDS))

    reply = await client.place()

    assert (reply.status, reply.body["reject_reason"]) == (422, "insufficient_funds")
    assert reply.headers["Idempotency-Replayed"] == "true"


async def test_a_repeat_of_an_order_that_left_the_core_is_too_old(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(repeated(flags=messages.GONE))

    reply = await client.place()

    assert (reply.status, reply.body["code"]) == (410, "too_old")
    assert reply.body["order_id"] == str(ORDER_ID)


async def test_the_same_id_twice_at_once_is_in_progress(
    client: Client, gateway: FakeGateway
) -> None:
    release = asyncio.Event()

    async def slow(_sent: Any) -> Any:
        await release.wait()
        return PARTLY

    gateway.script.append(slow)
    first = asyncio.create_task(client.place())
    while not gateway.sent:
        await asyncio.sleep(0.001)
    second = await client.place()
    release.set()

    assert (second.status, second.body["code"]) == (409, "in_progress")
    assert (second.headers["Retry-After"], second.body["retryable"]) == ("0", True)
    assert (await first).status == 201
    assert len(gateway.sent) == 1


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (RingFull("full"), 503, "overloaded"),
        (CoreAway("away"), 503, "not_accepting"),
        (OutcomeUnknown("late"), 504, "execution_unknown"),
    ],
)
async def test_the_three_ways_to_fail_are_kept_apart(
    client: Client, gateway: FakeGateway, failure: Exception, status: int, code: str
) -> None:
    gateway.script.append(failure)

    reply = await client.place(client_order_id="m/7:%1")

    assert (reply.status, reply.body["code"]) == (status, code)
    if status == 504:
        assert reply.body["client_order_id"] == "m/7:%1"
        assert reply.body["lookup"] == "/v1/orders/by-client-id/m%2F7%3A%251"
    else:
        assert "not executed" in reply.body["title"]
        assert reply.headers["Retry-After"] == "1"


async def test_a_failed_request_leaves_nothing_in_flight(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.extend([OutcomeUnknown("late"), PARTLY])

    assert (await client.place()).status == 504
    assert (await client.place()).status == 201


async def test_an_order_known_to_be_sequenced_is_looked_up(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(OutcomeUnknown("lost", sequenced=True))
    gateway.by_client[ALICE, "a-1"] = STORED

    reply = await client.place()

    assert (reply.status, reply.body["order"]["order_id"]) == (201, str(ORDER_ID))
    assert (reply.body["fills"], reply.body["fills_truncated"]) == ([], True)


async def test_a_sequenced_order_that_was_rejected_is_rejected(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(OutcomeUnknown("lost", sequenced=True))
    gateway.by_client[ALICE, "a-1"] = order_reply(
        order_id=77 << 22,
        account=ALICE,
        status=messages.STATUS_REJECTED,
        end_reason=Reason.INSUFFICIENT_FUNDS,
    )

    reply = await client.place()

    assert (reply.status, reply.body["reject_reason"]) == (422, "insufficient_funds")


async def test_the_header_is_an_alias_of_the_client_order_id(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(PARTLY)
    body = {"instrument": "BTC-USD", "side": "buy", "type": "limit", "price": "1", "qty": "1"}

    taken = await client.post("/v1/orders", body, headers={"Idempotency-Key": "key-1"})
    conflict = await client.post(
        "/v1/orders", body | {"client_order_id": "b"}, headers={"Idempotency-Key": "key-1"}
    )

    assert taken.status == 201
    row = np.frombuffer(gateway.sent[0], PLACE)[0]
    assert messages.text(row["client_order_id"]) == "key-1"
    assert (conflict.status, conflict.body["errors"][0]["code"]) == (422, "conflict")


async def test_an_unforeseen_error_is_answered_without_a_traceback(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(ZeroDivisionError("secret detail"))

    reply = await client.place()

    assert (reply.status, reply.body["code"]) == (500, "internal")
    assert "secret" not in str(reply.body)
