"""An order that is only tested, and what a proposed one would reserve; nothing changes."""

from typing import Any

import msgspec
from aiohttp import web

from adapters.bounds import bounds
from adapters.http import answers, bodies, body, terms
from adapters.http.auth import trader
from adapters.http.exchange import Exchange
from adapters.http.place import place_slot
from adapters.http.problems import Faults, Problem
from adapters.http.records import as_test
from adapters.http.replies import answer, exchange_of, parameters
from adapters.http.terms import PlaceTerms
from core.messages import TEST_REPLY
from core.reasons import TEXT, Reason

MEMBERS = (
    *("instrument", "side", "type", "price", "qty", "tif", "stop_price", "expire_ts", "stp"),
    *("trail", "trail_bps", "display_qty", "min_qty", "max_cost", "protection_price"),
    *("post_only", "slide", "reduce_only", "oco"),
)


async def try_order(request: web.Request) -> web.Response:
    """POST /v1/orders/test: every check of the order, risk included; nothing is done."""
    who = await trader(request)
    exchange = exchange_of(request)
    order, faults = await body.read(request, bodies.PlaceOrder)
    reference = await exchange.instruments()
    placed = terms.place_terms(order, faults, request.headers, reference, is_test=True)
    row = await _ask(exchange, who.account, placed)
    if row["reason"]:
        raise _would_be_rejected(exchange, placed, row)
    content = {"test": True, "order": _order(placed, row), **_reserved(placed, int(row["hold"]))}
    return answer(request, {**content, "seq": int(row["as_of"])})


async def get_collateral(request: web.Request) -> web.Response:
    """GET /v1/calculator/collateral: what the order of the parameters would reserve."""
    who = await trader(request)
    exchange = exchange_of(request)
    asked = parameters(request, MEMBERS)
    order, faults = _order_of(asked)
    reference = await exchange.instruments()
    placed = terms.place_terms(order, faults, request.headers, reference, is_test=True)
    row = await _ask(exchange, who.account, placed)
    reason = Reason(int(row["reason"]))
    hold = int(row["hold"])
    short = reason in (Reason.INSUFFICIENT_FUNDS, Reason.INSUFFICIENT_POSITION)
    content: dict[str, Any] = {"accepted": reason == Reason.NONE, "reject_reason": None}
    content.update(_reserved(placed, int(row["value"]) if short else hold))
    if reason:
        if not short:
            content["reserved"] = None
        problem = _would_be_rejected(exchange, placed, row)
        content["reject_reason"] = reason.word
        content["detail"] = problem.detail
        content.update({name: problem.extra.get(name) for name in ("limit", "value")})
    return answer(request, {**content, "seq": int(row["as_of"])})


def _order_of(asked: dict[str, str]) -> tuple[bodies.PlaceOrder, Faults]:
    """Query parameters as the members of a body: whole numbers and true, false as such."""
    faults = Faults()
    values: dict[str, Any] = {}
    kinds = {field.name: field.type for field in msgspec.structs.fields(bodies.PlaceOrder)}
    for name, value in asked.items():
        try:
            values[name] = msgspec.convert(value, kinds[name], strict=False)
        except msgspec.ValidationError as error:
            faults.add(f"/{name}", "wrong_type", str(error))
    return bodies.PlaceOrder(**values), faults


async def _ask(exchange: Exchange, account: int, placed: PlaceTerms) -> Any:
    slots = as_test(place_slot(account, placed))
    return (await exchange.query(slots)).view(TEST_REPLY)[0]


def _would_be_rejected(exchange: Exchange, placed: PlaceTerms, row: Any) -> Problem:
    reason, instrument = Reason(int(row["reason"])), placed.instrument
    extra: dict[str, Any] = {
        "test": True,
        "order_id": None,
        "client_order_id": placed.client_order_id or None,
        "reject_reason": reason.word,
        "durability": exchange.durability,
        "seq": int(row["as_of"]),
    }
    detail = TEXT[reason]
    found = bounds(reason, int(row["limit"]), int(row["value"]), instrument, None)
    if found is not None:
        extra["limit"], extra["value"] = found
        detail = f"{detail}: limit {found[0]}, got {found[1]}"
    return Problem("order_rejected", detail, extra=extra)


def _order(placed: PlaceTerms, row: Any) -> dict[str, Any]:
    """The order as it would stand: with the price it slid to and the stop that was worked out."""
    instrument = placed.instrument
    price, stop_price = int(row["price"]), int(row["stop_price"])
    return {
        "client_order_id": placed.client_order_id or None,
        "instrument": instrument.symbol,
        "side": terms.SIDE_NAMES[placed.side],
        "type": terms.TYPE_NAMES[placed.order_type],
        "tif": terms.TIF_NAMES[placed.time_in_force],
        "price": instrument.price_text(price) if price else None,
        "stop_price": instrument.price_text(stop_price) if stop_price else None,
        "qty": instrument.qty_text(placed.qty),
        "stp": answers.MODE_NAMES[placed.more.self_trade] if placed.more else "none",
    }


def _reserved(placed: PlaceTerms, amount: int) -> dict[str, Any]:
    asset = placed.instrument.hold_asset(placed.side)
    return {"reserved": {"asset": asset.name, "amount": asset.text(amount)}}
