"""New orders: decode, translate, send, and the answer out of what came of it."""

import contextlib
import time
from typing import Any, NamedTuple

from aiohttp import web

from adapters.gateway import Answer, GatewayError, Outcome, OutcomeUnknown
from adapters.http import answers, bodies, body, records, rejects, terms
from adapters.http.answers import REPLAYED
from adapters.http.archived import archived
from adapters.http.auth import Trader, trader
from adapters.http.exchange import Exchange, outcome_unknown
from adapters.http.lookup import row_of
from adapters.http.orders import as_it_is, content_of, unknown_of
from adapters.http.problems import Problem
from adapters.http.records import Event
from adapters.http.replies import answer, exchange_of
from adapters.http.terms import PlaceTerms
from core import messages
from core.reasons import EXPIRY_REASON_FIRST, TEXT, Reason


class Begun(NamedTuple):
    """An order that was sent, and what came of it."""

    who: Trader
    placed: PlaceTerms
    outcome: Outcome
    start: float  # When it was sent, by ``time.perf_counter``.


async def place_order(request: web.Request) -> web.Response:
    """POST /v1/orders."""
    exchange = exchange_of(request)
    connection = request.protocol
    begun: Begun | None = getattr(connection, "begun", None)
    if begun is None:
        begun = await _begin(request, exchange)
    else:
        connection.begun = None  # type: ignore[attr-defined]
    who, placed, outcome, start = begun
    if isinstance(outcome, GatewayError):
        unknown = unknown_of(placed.client_order_id, None)
        if getattr(outcome, "sequenced", False):
            return await _sequenced(request, who, placed.client_order_id, unknown)
        raise exchange.problem_of(outcome, unknown)
    kind = terms.TYPE_NAMES[placed.order_type]
    exchange.metrics.order(kind, time.perf_counter() - start)
    content = accepted(exchange, placed, outcome)
    if content is None:
        return await _not_new(request, who, records.first_of(outcome.events))
    if placed.order_type == messages.TRAILING_STOP or placed.time_in_force == messages.DAY:
        await _complete(exchange, who, content)
    return answer(request, content, status=201)


async def _complete(exchange: Exchange, who: Trader, content: dict[str, Any]) -> None:
    """What the engine worked out and no event tells: a trailing stop's price, the end of a day."""
    order = content["order"]
    with contextlib.suppress(Problem):  # It is executed, whatever can be said of it.
        view = answers.of_row(await row_of(exchange, who.account, int(order["order_id"])))
        shown = answers.order_json(view, exchange.reference)
        order.update({name: shown[name] for name in ("stop_price", "expire_ts") if name in shown})


async def _begin(request: web.Request, exchange: Exchange) -> Begun:
    who = await trader(request)
    order, faults = await body.read(request, bodies.PlaceOrder)
    reference = await exchange.instruments()
    placed = terms.place_terms(order, faults, request.headers, reference)
    slot = place_slot(who.account, placed)
    received(exchange, placed)
    key = (who.account, placed.client_order_id)
    start = time.perf_counter()
    outcome: Outcome
    try:
        outcome = await exchange.command(slot, unknown_of(placed.client_order_id, None), key)
    except OutcomeUnknown as lost:
        outcome = lost
    return Begun(who, placed, outcome, start)


def received(exchange: Exchange, placed: PlaceTerms) -> None:
    """Count a valid order."""
    kind, side = terms.TYPE_NAMES[placed.order_type], terms.SIDE_NAMES[placed.side]
    exchange.metrics.received[placed.instrument.symbol, kind, side] += 1


def place_slot(account: int, placed: PlaceTerms) -> bytes:
    """The command."""
    more = placed.more
    if more is None:
        return records.place(account, placed.instrument.id, placed.client_order_id, placed[2:8])
    first: dict[str, int | bytes] = {
        "account": account,
        "instrument": placed.instrument.id,
        "client_order_id": placed.client_order_id.encode("ascii"),
        "side": placed.side,
        "order_type": placed.order_type,
        "time_in_force": placed.time_in_force,
        "price": placed.price,
        "qty": placed.qty,
        "expire_after_ns": placed.expire_after_ns,
        "self_trade": more.self_trade,
        "flags": more.flags,
        "expire_ns": more.expire_ns,
        "display_qty": more.display_qty,
    }
    if not more.has_slot_2:
        return records.place_more(first, None)
    names = ("stop_price", "trail", "min_qty", "max_cost", "protection_price", "oco")
    second: dict[str, int | bytes] = {name: getattr(more, name) for name in names}
    return records.place_more(first, {**second, "tag": more.tag.encode("ascii")})


def resting(exchange: Exchange, placed: PlaceTerms, answered: Answer) -> tuple[str, int] | None:
    """Content and sequence of the answer to the usual order: accepted, nothing filled, open."""
    if len(answered.events) != 1:
        return None
    event = records.first_of(answered.events)
    if event.kind != messages.ORDER_ACCEPTED:
        return None
    text = answers.resting_json(placed, event, exchange.durability)
    return None if text is None else (text, event.sequence)


def accepted(exchange: Exchange, placed: PlaceTerms, answered: Answer) -> dict[str, Any] | None:
    """Content of the answer to a new order; None when this is none: rejected, or the id again."""
    events = records.events_of(answered.events)
    first = events[0]
    if first.kind != messages.ORDER_ACCEPTED:
        return None
    fills = answers.fills_json(events, first.order_id, placed.instrument)
    view = answers.of_placed(placed, events, _fees(answered, events))
    content = content_of(exchange, view, fills)
    if answered.truncated:
        content["fills_truncated"] = True
    return content


async def _not_new(request: web.Request, who: Trader, first: Event) -> web.Response:
    """Answer of a PLACE_ORDER that made no new order: a reject, or the id again."""
    exchange = exchange_of(request)
    reference = await exchange.instruments()
    if first.kind == messages.ORDER_REJECTED:
        raise rejects.rejected(first, reference, exchange.durability)
    exchange.metrics.replays += 1
    if first.flags & messages.GONE:
        if 0 < first.reason < EXPIRY_REASON_FIRST:
            problem = rejects.rejected(first, reference, exchange.durability)
        else:
            problem = _gone(first, exchange)
            old = await archived(exchange, who.account, problem)
            if old is not None:
                return answer(request, content_of(exchange, old, []), headers=REPLAYED)
        problem.headers.update(REPLAYED)
        raise problem
    view = await as_it_is(exchange, who.account, first.order_id, first)
    return answer(request, content_of(exchange, view, []), headers=REPLAYED)


async def _sequenced(
    request: web.Request, who: Trader, client_order_id: str, unknown: dict[str, Any]
) -> web.Response:
    """The order is journaled, but its events are lost with the old ring: the order as it is now."""
    exchange = exchange_of(request)
    try:
        row = await row_of(exchange, who.account, client_order_id)
    except Problem:
        raise outcome_unknown(unknown) from None
    if row.status == messages.STATUS_REJECTED:
        raise Problem(
            "order_rejected",
            TEXT[Reason(row.end_reason)],
            extra={
                "order_id": str(row.order_id),
                "client_order_id": client_order_id,
                "reject_reason": Reason(row.end_reason).word,
                "durability": exchange.durability,
            },
        )
    content = content_of(exchange, answers.of_row(row), [])
    if row.cum:
        content["fills_truncated"] = True
    return answer(request, content, status=201)


def _fees(answered: Answer, events: list[Event]) -> int:
    """Fees of the order over all its fills, also those that the answer has no room for."""
    if answered.truncated:
        return answered.fees
    order_id = events[0].order_id
    fills = (e for e in events if e.kind == messages.FILL and e.order_id == order_id)
    return sum(event.fee for event in fills)


def _gone(first: Event, exchange: Exchange) -> Problem:
    detail = "the order with this id was executed and has left the core since; nothing was done now"
    return Problem(
        "too_old",
        detail,
        extra={
            "order_id": str(first.order_id),
            "client_order_id": records.padded(first.client_order_id),
            "durability": exchange.durability,
        },
    )
