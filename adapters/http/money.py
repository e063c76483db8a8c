"""Money in and out, by an administrator; and what every movement of money asks of its request."""

import re
from typing import Any, Final

from aiohttp import web

from adapters.http import bodies, body, members, records, rejects, terms
from adapters.http.auth import admin
from adapters.http.commands import account_named, send
from adapters.http.problems import Fault, Faults, Problem
from adapters.http.replies import answer
from adapters.instruments import Asset, Instruments
from adapters.units import shown
from core import messages
from core.constants import REFERENCE_BYTES

_REFERENCE: Final = re.compile(rf"[\x20-\x7e]{{1,{REFERENCE_BYTES}}}")


async def deposit(request: web.Request) -> web.Response:
    """POST /v1/admin/accounts/{id}/deposit."""
    return await _move(request, messages.DEPOSIT)


async def withdraw(request: web.Request) -> web.Response:
    """POST /v1/admin/accounts/{id}/withdraw."""
    return await _move(request, messages.WITHDRAW)


async def _move(request: web.Request, kind: int) -> web.Response:
    exchange = admin(request)
    account = await account_named(exchange, request.match_info["id"])
    money, faults = await body.read(request, bodies.Money)
    key = key_of(money.client_order_id, faults, request)
    reference = await exchange.instruments()
    asset, amount = amount_of(money.asset, money.amount, faults, reference)
    payment = payment_of(money.reference, faults)
    faults.check()
    assert asset is not None
    slots = records.money(
        kind,
        payment.encode("ascii"),
        account=account,
        asset=asset.id,
        amount=amount,
        client_order_id=key.encode("ascii"),
    )
    answered = await send(exchange, slots, {"client_order_id": key}, (account, key))
    event = records.first_of(answered.events)
    if event.kind == messages.COMMAND_REJECTED:
        raise rejects.command_rejected(event, exchange.durability, None, asset)
    repeated = event.kind == messages.COMMAND_REPEATED
    content: dict[str, Any] = {
        "account": {"id": str(account)},
        "client_order_id": key,
        "asset": asset.name,
        "amount": asset.text(amount),
        "available": None if repeated else asset.text(event.leaves),
        "reserved": None if repeated else asset.text(event.cum),
        "seq": event.sequence,
        "durability": exchange.durability,
    }
    if not repeated:
        return answer(request, content, status=201)
    return answer(request, content, headers={"Idempotency-Replayed": "true"})


def key_of(value: str | None, faults: Faults, request: web.Request) -> str:
    """The idempotency key, which every request that moves money must have."""
    key = terms.client_id(value, faults, request.headers)
    if not key and not faults.items:
        detail = "header Idempotency-Key is required on every request that moves money"
        fault = Fault("header:Idempotency-Key", "required", "1-36 characters 0x21-0x7E")
        raise Problem("malformed", detail, errors=[fault])
    return key


def payment_of(value: str | None, faults: Faults) -> str:
    """A payment reference, or ''."""
    payment = value or ""
    if payment and not _REFERENCE.fullmatch(payment):
        detail = f"expected 1-{REFERENCE_BYTES} printable ASCII characters, got {shown(payment)}"
        faults.add("/reference", "invalid_value", detail)
    return payment


def amount_of(
    name: str | None, value: str | None, faults: Faults, reference: Instruments
) -> tuple[Asset | None, int]:
    """The asset and how much of it."""
    asset = asset_named("asset", name, faults, reference)
    if value is None and not faults.at("/amount"):
        faults.add("/amount", "required", "required: decimal text such as '100.00'")
    return asset, members.amount("amount", value, asset, faults)


def asset_named(
    name: str, value: str | None, faults: Faults, reference: Instruments
) -> Asset | None:
    """The asset that the member ``name`` says; None and a fault when it is none."""
    where = f"/{name}"
    if faults.at(where):
        return None
    if value is None:
        faults.add(where, "required", "required: the name of an asset")
        return None
    found = reference.asset_by_name.get(value)
    if found is None:
        faults.add(where, "unknown_asset", f"no asset {shown(value)}")
    return found
