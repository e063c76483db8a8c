"""Balances, positions, and who may ask."""

import asyncio
from typing import Any

import numpy as np
import pytest

from adapters.gateway import CoreAway, OutcomeUnknown
from adapters.http.exchange import Exchange, is_loopback
from core import messages
from core.messages import COMMAND, MONEY
from core.reasons import Reason
from tests.adapters.http.conftest import Client, MakeClient
from tests.adapters.http.fake_gateway import BTC, ETH, USD, FakeGateway, answered, event

PRIVATE = [
    ("GET", "/v1/orders"),
    ("POST", "/v1/orders"),
    ("GET", "/v1/orders/1"),
    ("PATCH", "/v1/orders/1"),
    ("DELETE", "/v1/orders/1"),
    ("POST", "/v1/orders/1/cancel"),
    ("POST", "/v1/orders/cancel-all"),
    ("GET", "/v1/orders/by-client-id/x"),
    ("GET", "/v1/balances"),
    ("GET", "/v1/positions"),
    ("GET", "/v1/account"),
    ("POST", "/v1/admin/instruments"),
    ("POST", "/v1/admin/accounts"),
    ("GET", "/v1/admin/state"),
    ("GET", "/v1/admin/stages"),
]


async def test_balances_have_total_available_and_reserved(client: Client) -> None:
    reply = await client.get("/v1/balances")

    assert reply.body["items"][0] == {
        "asset": "USD",
        "total": "6.000000",
        "available": "5.000000",
        "reserved": "1.000000",
    }
    assert [item["asset"] for item in reply.body["items"]] == ["USD", "BTC", "ETH"]
    assert reply.body["seq"] == 900


async def test_positions_show_average_cost(client: Client, gateway: FakeGateway) -> None:
    gateway.positions = [
        {"id": 1, "net": -3, "cost": -200, "held": 5, "realized": 70, "bought": 4, "sold": 7}
    ]

    reply = await client.get("/v1/positions")
    one = await client.get("/v1/positions/BTC-USD")
    none = await client.get("/v1/positions/ETH-USD")

    assert reply.body["items"] == [
        {
            "instrument": "BTC-USD",
            "net_qty": "-0.0003",
            "avg_price": "0.666667",
            "cost": "-0.000200",
            "realized_pnl": "0.000070",
            "reserved": "0.0005",
            "bought_qty": "0.0004",
            "sold_qty": "0.0007",
            "asset": "USD",
        }
    ]
    assert one.body["position"] == reply.body["items"][0]
    assert none.status == 404


async def test_a_position_has_its_debts_where_there_are_some(
    client: Client, gateway: FakeGateway
) -> None:
    three = {"net": 3, "cost": 200, "bought": 3}
    gateway.positions = [{"id": 1, **three, "debt": 1_250_000}, {"id": 2, **three, "debt_base": 5}]

    first, second = (await client.get("/v1/positions")).body["items"]

    assert first["debt"] == "1.250000"
    assert "debt_base" not in first
    assert second["debt_base"] == "0.00000005"
    assert "debt" not in second


async def test_the_account_shows_who_asks(client: Client) -> None:
    reply = await client.get("/v1/account", user="bob")

    assert reply.body["account"] == {"id": "4", "name": "bob"}
    assert len(reply.body["balances"]) == 3


@pytest.mark.parametrize(("method", "path"), PRIVATE)
async def test_without_a_user_every_private_path_is_401(
    client: Client, gateway: FakeGateway, method: str, path: str
) -> None:
    reply = await client.send(method, path, user=None)

    assert (reply.status, reply.body["code"]) == (401, "unauthenticated")
    assert not gateway.sent


@pytest.mark.parametrize(("method", "path"), PRIVATE)
async def test_without_dev_the_header_is_not_believed(
    gateway: FakeGateway, make_client: MakeClient, method: str, path: str
) -> None:
    exchange = Exchange("http.0", dev=False)
    exchange.bind(gateway)
    client: Client = await make_client(exchange)

    reply = await client.send(method, path, user="admin")

    assert (reply.status, reply.body["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("path", ["/v1/admin/accounts", "/v1/admin/instruments"])
async def test_only_admin_may_administrate(client: Client, path: str) -> None:
    reply = await client.post(path, {}, user="alice")

    assert (reply.status, reply.body["code"]) == (403, "forbidden")


@pytest.mark.parametrize("name", ["fees", "outside"])
async def test_nobody_is_an_account_of_the_exchange(client: Client, name: str) -> None:
    reply = await client.get("/v1/balances", user=name)

    assert (reply.status, reply.body["code"]) == (403, "forbidden")


@pytest.mark.parametrize("name", ["a b", "x" * 37, "\xfc"])
async def test_a_name_that_no_account_can_have_is_refused(client: Client, name: str) -> None:
    assert (await client.get("/v1/balances", user=name)).status == 422


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_loopback(host: str | None, expected: bool) -> None:
    assert is_loopback(host) is expected


def made(number: int) -> Any:
    return answered(event(messages.ACCOUNT_CREATED, order_id=number))


def moved() -> Any:
    return answered(event(messages.LEDGER))


def kinds(gateway: FakeGateway) -> list[int]:
    return [int(np.frombuffer(sent[:128], COMMAND)[0]["kind"]) for sent in gateway.sent]


def grants(gateway: FakeGateway) -> list[tuple[int, int, int, str]]:
    found = []
    for sent in gateway.sent:
        row = np.frombuffer(sent[:128], MONEY)[0]
        if row["kind"] == messages.DEPOSIT:
            key = messages.text(row["client_order_id"])
            found.append((int(row["account"]), int(row["asset"]), int(row["amount"]), key))
    return found


ALL_GRANTS = [
    (9, USD, 1_000_000_000_000, "dev-USD"),
    (9, BTC, 10_000_000_000, "dev-BTC"),
    (9, ETH, 100_000_000_000, "dev-ETH"),
]


async def test_a_new_name_gets_an_account_with_money_once(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.extend([made(9), moved(), moved(), moved()])

    first = await client.get("/v1/account", user="carol")
    await client.get("/v1/account", user="carol")

    assert first.body["account"] == {"id": "9", "name": "carol"}
    assert kinds(gateway) == [messages.CREATE_ACCOUNT, *[messages.DEPOSIT] * 3]
    assert grants(gateway) == ALL_GRANTS


async def test_a_grant_that_broke_off_is_finished_by_the_next_request(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.extend([made(9), moved(), CoreAway("away")])
    broken = await client.get("/v1/account", user="carol")
    assert (broken.status, broken.body["code"]) == (503, "not_accepting")
    gateway.sent.clear()
    gateway.names["carol"], gateway.balances[9] = 9, [(USD, 10**12, 0)]
    gateway.script.extend([moved(), moved()])
    reply = await client.get("/v1/account", user="carol")

    assert reply.status == 200
    assert grants(gateway) == ALL_GRANTS[1:]


@pytest.mark.parametrize("failure", [CoreAway("x"), OutcomeUnknown("x")])
async def test_an_order_whose_account_could_not_be_made_was_not_executed(
    client: Client, gateway: FakeGateway, failure: Exception
) -> None:
    gateway.script.append(failure)

    reply = await client.send(
        "POST", "/v1/orders", user="carol", json={"client_order_id": "c", "instrument": "BTC-USD"}
    )

    assert (reply.status, reply.body["code"]) == (503, "not_accepting")


async def test_first_requests_at_once_make_one_account(
    client: Client, gateway: FakeGateway
) -> None:
    async def slowly(_sent: Any) -> Any:
        await asyncio.sleep(0.02)
        return made(9)

    gateway.script.extend([slowly, moved(), moved(), moved()])

    replies = await asyncio.gather(*(client.get("/v1/account", user="carol") for _ in range(5)))

    assert [reply.body["account"]["id"] for reply in replies] == ["9"] * 5
    assert grants(gateway) == ALL_GRANTS


async def test_a_name_that_another_process_just_took_is_that_account(
    client: Client, gateway: FakeGateway
) -> None:
    taken = answered(event(messages.COMMAND_REJECTED, reason=Reason.NAME_TAKEN, cum=9))
    again = answered(event(messages.COMMAND_REPEATED))
    gateway.script.extend([taken, again, again, again])

    reply = await client.get("/v1/account", user="carol")

    assert reply.body["account"]["id"] == "9"


async def test_another_life_of_the_core_makes_the_adapter_ask_again(
    client: Client, gateway: FakeGateway
) -> None:
    await client.get("/v1/balances")
    gateway.epoch = 2
    gateway.names["alice"] = 7
    gateway.balances[7] = gateway.balances[3]

    await client.get("/v1/balances")

    assert int(gateway.queries[-1]["account"]) == 7


async def test_a_balance_in_an_asset_whose_event_has_not_come_yet_is_shown(
    client: Client, gateway: FakeGateway
) -> None:
    await client.get("/v1/balances")
    gateway.assets[9] = ("EUR", 2)
    gateway.balances[3].append((9, 100, 0))

    reply = await client.get("/v1/balances")

    assert reply.body["items"][-1]["asset"] == "EUR"
