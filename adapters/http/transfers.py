"""What a trader does that is no order: a transfer to somebody, the dead-man timer."""

from typing import Any, Final

from aiohttp import web

from adapters.http import bodies, body, members, records, rejects, terms
from adapters.http.auth import trader
from adapters.http.commands import account_in
from adapters.http.money import amount_of, key_of, payment_of
from adapters.http.orders import ordered, rejected, replayed
from adapters.http.replies import answer, exchange_of
from core import messages

TIMEOUT_MS_MIN: Final = 100
TIMEOUT_MS_MAX: Final = 86_400_000


async def transfer(request: web.Request) -> web.Response:
    """POST /v1/transfers: to another account, at once; an Idempotency-Key is required."""
    who = await trader(request)
    exchange = exchange_of(request)
    wanted, faults = await body.read(request, bodies.Transfer)
    key = key_of(wanted.client_order_id, faults, request)
    reference = await exchange.instruments()
    asset, amount = amount_of(wanted.asset, wanted.amount, faults, reference)
    payment = payment_of(wanted.reference, faults)
    expiry = terms.expire_after_ns(wanted.expire_after_ts, wanted.recv_window_ms, faults)
    to = await account_in(exchange, "to", wanted.to, faults)
    if to == who.account:
        faults.add("/to", "invalid_value", "the account is the sender's own")
    faults.check()
    assert asset is not None
    slots = records.money(
        messages.TRANSFER,
        payment.encode("ascii"),
        account=who.account,
        counter_account=to,
        asset=asset.id,
        amount=amount,
        client_order_id=key.encode("ascii"),
        expire_after_ns=expiry,
    )
    unknown = {"client_order_id": key, "lookup": "/v1/balances"}
    answered = await ordered(exchange, slots, unknown, (who.account, key))
    event = records.first_of(answered.events)
    if event.kind == messages.COMMAND_REJECTED:
        raise rejects.command_rejected(event, exchange.durability, None, asset)
    repeated = event.kind == messages.COMMAND_REPEATED
    content: dict[str, Any] = {
        "client_order_id": key,
        "to": wanted.to,
        "asset": asset.name,
        "amount": asset.text(amount),
        "available": None if repeated else asset.text(event.leaves),
        "reserved": None if repeated else asset.text(event.cum),
        "seq": event.sequence,
        "durability": exchange.durability,
    }
    status = 200 if repeated else 201
    return answer(request, content, status=status, headers=replayed(exchange, repeated))


async def cancel_all_after(request: web.Request) -> web.Response:
    """POST /v1/orders/cancel-all-after: all orders end unless it is called again in time."""
    who = await trader(request)
    exchange = exchange_of(request)
    wanted, faults = await body.read(request, bodies.CancelAfter)
    own_id = terms.client_id(wanted.client_order_id, faults, request.headers)
    timeout = members.number("timeout_ms", wanted.timeout_ms, 0, TIMEOUT_MS_MAX, faults)
    if 0 < timeout < TIMEOUT_MS_MIN:
        detail = f"expected 0, or {TIMEOUT_MS_MIN} to {TIMEOUT_MS_MAX}, got {timeout}"
        faults.add("/timeout_ms", "invalid_value", detail)
    expiry = terms.expire_after_ns(wanted.expire_after_ts, wanted.recv_window_ms, faults)
    faults.check()
    slots = records.command(
        messages.DEAD_MAN,
        account=who.account,
        client_order_id=own_id.encode("ascii"),
        timeout_ns=timeout * 1_000_000,
        expire_after_ns=expiry,
    )
    unknown = {"client_order_id": own_id or None, "lookup": "/v1/orders"}
    answered = await ordered(exchange, slots, unknown, (who.account, own_id))
    first = records.first_of(answered.events)
    if first.kind == messages.COMMAND_REJECTED:
        raise rejected(first, exchange)
    repeated = first.kind == messages.COMMAND_REPEATED
    armed = first.price and not repeated
    content = {
        "armed": None if repeated else first.price != 0,
        "cancel_ts": first.price // 1_000 if armed else None,
        "seq": first.sequence,
        "durability": exchange.durability,
    }
    return answer(request, content, headers=replayed(exchange, repeated))
