"""The administrator's paths: instruments, assets, accounts, money, the state hash."""

from typing import Any

import numpy as np
import pytest

from core import messages
from core.messages import MONEY, NEW_INSTRUMENT, NEW_INSTRUMENT_SLOT_2, REFERENCE
from core.reasons import Reason
from tests.adapters.http.conftest import Client, Reply
from tests.adapters.http.fake_gateway import ALICE, FakeGateway, answered, event

NEW = {
    "symbol": "BTC/USD.2",
    "base": "BTC",
    "quote": "USD",
    "tick": "0.50",
    "lot": "0.001",
    "maker_ppm": -50,
    "taker_ppm": 300,
    "qty_min": "0.002",
    "notional_max": "1000000",
}


async def send(client: Client, path: str, body: Any, key: str | None = None) -> Reply:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post(f"/v1/admin/{path}", body, user="admin", headers=headers)


async def test_an_instrument_is_made_with_the_decimals_as_written(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(answered(event(messages.INSTRUMENT_CREATED, sequence=7, order_id=4)))
    gateway.symbols[4] = "BTC/USD.2"

    reply = await send(client, "instruments", NEW)

    assert (reply.status, reply.body["instrument"]["symbol"]) == (201, "BTC/USD.2")
    assert (reply.body["seq"], reply.body["durability"]) == (7, "sync")
    first = np.frombuffer(gateway.sent[0][:128], NEW_INSTRUMENT)[0]
    second = np.frombuffer(gateway.sent[0][128:], NEW_INSTRUMENT_SLOT_2)[0]
    assert (first["tick"], first["tick_scale"], first["lot"], first["lot_scale"]) == (50, 2, 1, 3)
    assert (first["base_asset"], first["quote_asset"]) == (2, 1)
    assert (first["maker_ppm"], first["taker_ppm"], first["slots"]) == (-50, 300, 2)
    assert (second["qty_min"], second["notional_max"]) == (2, 10**12)
    assert second["phase"] == messages.PHASE_OPEN


async def test_every_fault_of_an_instrument_is_named(client: Client, gateway: FakeGateway) -> None:
    body = NEW | {
        "symbol": "a b",
        "base": "XXX",
        "tick": "0",
        "lot": None,
        "taker_ppm": 200_000,
        "type": "future",
        "qty_min": "x",
        "price_min": "1",
        "payout": "1",
        "matching": "there",
        "status": "settled",
        "band_ppm": 1_000_001,
        "day_end_ms": 86_400_000,
        "clearing_ms": 999,
        "notional_max": "-1",
        "tick_table": [{"from": "0", "step": "1"}] * 5,
    }

    reply = await send(client, "instruments", body)

    assert {(f["pointer"], f["code"]) for f in reply.body["errors"]} == {
        ("/symbol", "invalid_value"),
        ("/base", "unknown_asset"),
        ("/tick", "invalid_value"),
        ("/lot", "required"),
        ("/taker_ppm", "invalid_value"),
        ("/type", "invalid_value"),
        ("/payout", "invalid_value"),
        ("/matching", "invalid_value"),
        ("/status", "invalid_value"),
        ("/band_ppm", "invalid_value"),
        ("/day_end_ms", "invalid_value"),
        ("/clearing_ms", "invalid_value"),
        ("/notional_max", "amount"),
        ("/tick_table", "invalid_value"),
    }
    assert not gateway.sent


async def test_what_the_core_refuses_keeps_its_reason(client: Client, gateway: FakeGateway) -> None:
    for reason in (Reason.TERMS, Reason.NAME_TAKEN):
        gateway.script.append(answered(event(messages.COMMAND_REJECTED, reason=reason, cum=1)))

    terms = await send(client, "instruments", NEW)
    taken = await send(client, "instruments", NEW)

    assert (terms.status, terms.body["reject_reason"]) == (422, "terms")
    assert (taken.status, taken.body["code"], taken.body["id"]) == (409, "conflict", "1")


async def test_assets_and_accounts_are_made(client: Client, gateway: FakeGateway) -> None:
    gateway.script.append(answered(event(messages.ASSET_CREATED, sequence=1, order_id=4)))
    gateway.script.append(answered(event(messages.ACCOUNT_CREATED, sequence=2, order_id=5)))

    asset = await send(client, "assets", {"name": "EUR", "scale": 6})
    account = await send(client, "accounts", {"name": "dave"})
    wrong = await send(client, "assets", {"name": "", "scale": 13})

    assert (asset.status, asset.body["asset"]) == (201, {"id": "4", "name": "EUR", "scale": 6})
    assert (account.status, account.body["account"]) == (201, {"id": "5", "name": "dave"})
    assert [fault["pointer"] for fault in wrong.body["errors"]] == ["/name", "/scale"]


@pytest.mark.parametrize(("path", "kind"), [("deposit", 22), ("withdraw", 23)])
@pytest.mark.parametrize("named", ["3", "alice"])
async def test_money_moves_once_per_key(
    client: Client, gateway: FakeGateway, path: str, kind: int, named: str
) -> None:
    moved = event(messages.LEDGER, sequence=8, leaves=7_500_000, cum=1_000_000)
    gateway.script.append(answered(moved))
    gateway.script.append(answered(event(messages.COMMAND_REPEATED, sequence=9)))
    body = {"asset": "USD", "amount": "2.5", "reference": "wire 1"}

    first = await send(client, f"accounts/{named}/{path}", body, "key-1")
    again = await send(client, f"accounts/{named}/{path}", body, "key-1")

    assert first.status == 201
    assert first.body == {
        "account": {"id": "3"},
        "client_order_id": "key-1",
        "asset": "USD",
        "amount": "2.500000",
        "available": "7.500000",
        "reserved": "1.000000",
        "seq": 8,
        "durability": "sync",
    }
    assert (again.status, again.headers["Idempotency-Replayed"]) == (200, "true")
    row = np.frombuffer(gateway.sent[0][:128], MONEY)[0]
    assert (row["kind"], row["account"], row["amount"]) == (kind, ALICE, 2_500_000)
    assert messages.text(row["client_order_id"]) == "key-1"
    reference = np.frombuffer(gateway.sent[0][128:], REFERENCE)[0]
    assert messages.text(reference["reference"]) == "wire 1"


async def test_money_never_moves_without_a_key(client: Client, gateway: FakeGateway) -> None:
    reply = await send(client, "accounts/3/deposit", {"asset": "USD", "amount": "1"})

    assert (reply.status, reply.body["code"]) == (400, "malformed")
    assert "Idempotency-Key" in reply.body["detail"]
    assert not gateway.sent


@pytest.mark.parametrize("amount", ["0", "-1", "1.0000001", "9" * 20, "x", None])
async def test_a_wrong_amount_is_refused(
    client: Client, gateway: FakeGateway, amount: str | None
) -> None:
    reply = await send(client, "accounts/3/deposit", {"asset": "USD", "amount": amount}, "k")

    assert (reply.status, reply.body["errors"][0]["pointer"]) == (422, "/amount")
    assert not gateway.sent


async def test_a_withdrawal_beyond_what_is_there_is_rejected_with_both_amounts(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.script.append(
        answered(
            event(
                messages.COMMAND_REJECTED,
                reason=Reason.INSUFFICIENT_FUNDS,
                cum=1_000_000,
                cum_notional=2_000_000,
            )
        )
    )

    reply = await send(client, "accounts/3/withdraw", {"asset": "USD", "amount": "2"}, "k")

    assert (reply.status, reply.body["reject_reason"]) == (422, "insufficient_funds")
    assert (reply.body["limit"], reply.body["value"]) == ("1.000000", "2.000000")


@pytest.mark.parametrize("named", ["nobody", "0", "99999999999"])
async def test_money_for_an_unknown_account_is_not_found(
    client: Client, gateway: FakeGateway, named: str
) -> None:
    reply = await send(client, f"accounts/{named}/deposit", {"asset": "USD", "amount": "1"}, "k")

    assert (reply.status, reply.body["code"]) == (404, "not_found")
    assert not gateway.sent


async def test_the_state_hash_comes_with_its_sequence(client: Client) -> None:
    reply = await client.get("/v1/admin/state", user="admin")

    assert (reply.body["sequence"], reply.body["state_hash"]) == (900, "0123456789abcdef" * 2)


async def test_the_stages_are_those_of_the_newest_commands(
    client: Client, gateway: FakeGateway
) -> None:
    row = {"stage": "ring", "p50_ns": 1, "p90_ns": 2, "p99_ns": 3, "p99_9_ns": 4, "max_ns": 5}
    gateway.stage_rows = [row | {"count": 6}] * 3

    reply = await client.get("/v1/admin/stages?commands=2", user="admin")

    assert reply.body == {"enabled": True, "stages": gateway.stage_rows[:2], "seq": 1_000}


async def test_a_core_that_does_not_stamp_has_no_stages(client: Client) -> None:
    reply = await client.get("/v1/admin/stages", user="admin")

    assert reply.body == {"enabled": False, "stages": [], "seq": 1_000}


@pytest.mark.parametrize("count", ["0", "16385", "x"])
async def test_stages_of_no_number_of_commands_are_refused(client: Client, count: str) -> None:
    reply = await client.get(f"/v1/admin/stages?commands={count}", user="admin")

    assert reply.status == 422
