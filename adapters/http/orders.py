"""Orders: decode, translate, offer, await, answer.  No rule of trading lives here."""

from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from adapters.gateway import Answer, OutcomeUnknown
from adapters.http import answers, bodies, body, members, records, rejects, special, terms
from adapters.http.answers import REPLAYED, OrderView
from adapters.http.archived import archived
from adapters.http.auth import Trader, trader
from adapters.http.exchange import Exchange, outcome_unknown
from adapters.http.lookup import Target, row_of, target_of
from adapters.http.problems import Faults, Problem
from adapters.http.records import Event
from adapters.http.replies import answer, exchange_of
from adapters.units import shown
from core import messages
from core.reasons import TEXT, Reason

LOOKUP: Final = "/v1/orders/by-client-id/"
SESSION_MAX: Final = (1 << 32) - 1
RESTRICTIONS: Final = {
    "none": messages.RESTRICT_NONE,
    "only_new": messages.RESTRICT_ONLY_NEW,
    "only_partially_filled": messages.RESTRICT_ONLY_PARTIALLY_FILLED,
}


async def replace_order(request: web.Request) -> web.Response:
    """PATCH /v1/orders/{id}, /v1/orders/by-client-id/{cid}; ``qty`` is the total (C16)."""
    who = await trader(request)
    exchange = exchange_of(request)
    target = target_of(request)
    change, faults = await body.read(request, bodies.ReplaceOrder)
    own_id = terms.client_id(change.client_order_id, faults, request.headers)
    terms.not_built(change, faults, ("expire_ts", "post_only", "tag"))
    members.choice("resp", change.resp or "full", {"full": 0}, faults)
    basis = members.choice("qty_basis", change.qty_basis or "total", terms.BASES, faults)
    expiry = terms.expire_after_ns(change.expire_after_ts, change.recv_window_ms, faults)
    changes = (change.price, change.qty, change.display_qty, change.stop_price)
    if changes == (None,) * len(changes) and not faults.items:
        detail = "a replace changes 'price', 'qty', 'display_qty' or 'stop_price'"
        faults.add("/qty", "required", detail)
    row = await row_of(exchange, who.account, target)
    instrument = (await exchange.instruments([row.instrument])).by_id[row.instrument]
    price = members.ticks("price", change.price, instrument, faults)
    qty = members.lots("qty", change.qty, instrument, faults)
    display_qty = members.lots("display_qty", change.display_qty, instrument, faults)
    stop_price = members.ticks("stop_price", change.stop_price, instrument, faults)
    faults.check()
    slots = records.targeted(
        messages.REPLACE_ORDER,
        target,
        stop_price,
        account=who.account,
        client_order_id=own_id.encode("ascii"),
        qty_basis=basis,
        price=price,
        qty=qty,
        display_qty=display_qty,
        expire_after_ns=expiry,
    )
    unknown = unknown_of(own_id or None, target)
    answered = await ordered(exchange, slots, unknown, (who.account, own_id))
    events = records.events_of(answered.events)
    first = events[0]
    if first.kind == messages.COMMAND_REJECTED:
        raise rejected(first, exchange)
    repeated = first.kind == messages.ORDER_REPEATED
    view = await as_it_is(exchange, who.account, first.order_id, _last_of(events, first.order_id))
    fills = [] if repeated else answers.fills_json(events, first.order_id, instrument)
    content = content_of(exchange, view, fills)
    kept = first.flags & messages.PRIORITY_KEPT != 0
    content["priority_kept"] = None if repeated or is_asked(events) else kept
    if is_asked(events):
        content["routed"] = True
    if answered.truncated:
        content["fills_truncated"] = True
    return answer(request, content, headers=replayed(exchange, repeated))


async def cancel_order(request: web.Request) -> web.Response:
    """POST …/cancel and DELETE of an order."""
    who = await trader(request)
    exchange = exchange_of(request)
    target = target_of(request)
    cancel, faults = await body.read(request, bodies.CancelOrder, optional=True)
    own_id = terms.client_id(cancel.client_order_id, faults, request.headers)
    only = cancel.cancel_restriction or "none"
    restriction = members.choice("cancel_restriction", only, RESTRICTIONS, faults)
    expiry = terms.expire_after_ns(cancel.expire_after_ts, cancel.recv_window_ms, faults)
    faults.check()
    await exchange.instruments()  # Before the command: after it nothing may fail any more.
    slots = records.targeted(
        messages.CANCEL_ORDER,
        target,
        account=who.account,
        client_order_id=own_id.encode("ascii"),
        restriction=restriction,
        expire_after_ns=expiry,
    )
    unknown = unknown_of(own_id or None, target)
    answered = await ordered(exchange, slots, unknown, (who.account, own_id))
    events = records.events_of(answered.events)
    first = events[0]
    if first.kind == messages.COMMAND_REJECTED:
        raise await _cancel_rejected(first, exchange, who, target)
    repeated = first.kind == messages.ORDER_REPEATED
    view = await as_it_is(exchange, who.account, first.order_id, _last_of(events, first.order_id))
    content = content_of(exchange, view, None)
    if is_asked(events):
        content["routed"] = True
    return answer(request, content, headers=replayed(exchange, repeated))


async def cancel_all(request: web.Request) -> web.Response:
    """POST /v1/orders/cancel-all: how many are canceled, 0 is an answer too."""
    who = await trader(request)
    exchange = exchange_of(request)
    cancel, faults = await body.read(request, bodies.CancelAll, optional=True)
    own_id = terms.client_id(cancel.client_order_id, faults, request.headers)
    tag = special.tag(cancel.tag, faults)
    session = _session(cancel.session, faults)
    expiry = terms.expire_after_ns(cancel.expire_after_ts, cancel.recv_window_ms, faults)
    reference = await exchange.instruments()
    instrument = 0
    if cancel.instrument is not None:
        known = terms.known_instrument(cancel.instrument, faults, reference)
        instrument = known.id if known else 0
    side = 0 if cancel.side is None else members.choice("side", cancel.side, terms.SIDES, faults)
    faults.check()
    slots = records.command(
        messages.MASS_CANCEL,
        *((records.MORE_TERMS.pack(tag=tag.encode("ascii")),) if tag else ()),
        account=who.account,
        instrument=instrument,
        client_order_id=own_id.encode("ascii"),
        side=side,
        filter_session=session,
        expire_after_ns=expiry,
    )
    unknown = {"client_order_id": own_id or None, "lookup": "/v1/orders"}
    answered = await ordered(exchange, slots, unknown, (who.account, own_id))
    first = records.first_of(answered.events)
    if first.kind == messages.COMMAND_REJECTED:
        raise rejected(first, exchange)
    repeated = first.kind == messages.COMMAND_REPEATED
    content = {
        "canceled": first.qty,
        "seq": first.sequence,
        "durability": exchange.durability,
    }
    return answer(request, content, headers=replayed(exchange, repeated))


async def get_order(request: web.Request) -> web.Response:
    """GET /v1/orders/{id}, /v1/orders/by-client-id/{cid}: from the core, then the archive."""
    who = await trader(request)
    exchange = exchange_of(request)
    return await show_order(request, exchange, who, target_of(request))


async def show_order(
    request: web.Request, exchange: Exchange, who: Trader, target: Target
) -> web.Response:
    """The order as it is now, with the sequence up to which that is true."""
    try:
        row = await row_of(exchange, who.account, target)
    except Problem as gone:
        view = await archived(exchange, who.account, gone)
        if view is None:
            raise
        seq, source = int(gone.extra["seq"]), "archive"
    else:
        view, seq, source = answers.of_row(row), row.as_of, "core"
    reference = await exchange.instruments({view.instrument} - {0})
    content = {
        "order": answers.order_json(view, reference),
        "seq": seq,
        "source": source,
        "durability": exchange.durability,
    }
    return answer(request, content)


async def ordered(
    exchange: Exchange, slots: bytes, unknown: dict[str, Any], key: tuple[int, str]
) -> Answer:
    """Send a command of a trader; ``key``: account and the id of the command, which may be ''."""
    try:
        return await exchange.command(slots, unknown, key if key[1] else None)
    except OutcomeUnknown:  # Sequenced, but what came of it is not known here.
        raise outcome_unknown(unknown) from None


async def as_it_is(exchange: Exchange, account: int, order_id: int, event: Event) -> OrderView:
    """The order after a command that was executed: its row, or what the event says of it.

    Never fails: the command was executed, and an answer 503 would say that it was not.
    """
    try:
        return answers.of_row(await row_of(exchange, account, order_id))
    except Problem:
        return answers.of_event(event)


def content_of(
    exchange: Exchange, view: OrderView, fills: list[dict[str, Any]] | None
) -> dict[str, Any]:
    content: dict[str, Any] = {"order": answers.order_json(view, exchange.reference)}
    if fills is not None:
        content["fills"] = fills
    content["seq"] = view.sequence
    content["durability"] = exchange.durability
    return content


def _last_of(events: list[Event], order_id: int) -> Event:
    """The event that says most about the order: what was canceled, or how it was replaced."""
    kinds = (messages.ORDER_CANCELED, messages.ORDER_REPLACED, messages.ORDER_REPEATED)
    for event in reversed(events):
        if event.order_id == order_id and event.kind in kinds:
            return event
    return events[0]


def is_asked(events: list[Event]) -> bool:
    """Was the outside asked to do it?  Then it is not done yet."""
    return any(event.kind == messages.ORDER_ROUTE_REQUESTED for event in events)


def _session(value: str | None, faults: Faults) -> int:
    """A session as the filter has it: its number in the low 32 bits, and never 0."""
    if value is None or faults.at("/session"):
        return 0
    if value.isascii() and value.isdigit() and len(value) <= 10 and int(value) <= SESSION_MAX:
        return SESSION_MAX + 1 | int(value)
    detail = f"expected a session number up to {SESSION_MAX}, got {shown(value)}"
    faults.add("/session", "invalid_value", detail)
    return 0


def rejected(first: Event, exchange: Exchange) -> Problem:
    """Problem of a command of a trader that was rejected."""
    if first.reason == Reason.UNKNOWN_ORDER:
        return Problem("not_found", "no such order of this account")
    return rejects.rejected(first, exchange.reference, exchange.durability)


async def _cancel_rejected(
    first: Event, exchange: Exchange, who: Trader, target: Target
) -> Problem:
    if first.reason == Reason.UNKNOWN_ORDER:  # Says also whether the id is too old to be known.
        try:
            await row_of(exchange, who.account, target)
        except Problem as problem:
            old = await archived(exchange, who.account, problem)
            if old is not None:
                return _cannot_cancel(exchange, old)
            if problem.status in (404, 410):
                return problem
    if first.reason not in (Reason.TOO_LATE, Reason.CANCEL_RESTRICTED):
        return rejected(first, exchange)
    try:
        row = await row_of(exchange, who.account, first.order_id)
    except Problem:
        ids = {"order_id": str(first.order_id), "durability": exchange.durability}
        extra = {**ids, "order_status": None, "reject_reason": Reason(first.reason).word}
        return Problem("cannot_cancel", TEXT[Reason(first.reason)], extra=extra)
    return _cannot_cancel(exchange, answers.of_row(row), Reason(first.reason))


def _cannot_cancel(
    exchange: Exchange, view: OrderView, reason: Reason = Reason.TOO_LATE
) -> Problem:
    detail = "the order has ended"
    if view.status in answers.LIVES:
        detail = TEXT[reason]
        if reason == Reason.TOO_LATE:
            detail = "the outside was asked to cancel or replace it, and has not answered yet"
    order = answers.order_json(view, exchange.reference)
    extra = {
        "order_id": str(view.order_id),
        "reject_reason": reason.word,
        "durability": exchange.durability,
        "order_status": order["status"],
        "order": order,
    }
    return Problem("cannot_cancel", detail, extra=extra)


def replayed(exchange: Exchange, repeated: bool) -> dict[str, str] | None:  # noqa: FBT001
    """The header of an answer to a repeat, which is counted."""
    if not repeated:
        return None
    exchange.metrics.replays += 1
    return REPLAYED


def unknown_of(client_order_id: str | None, target: Target | None) -> dict[str, Any]:
    """What the client needs when the outcome is not known: where to look."""
    if isinstance(target, int):
        lookup = f"/v1/orders/{target}"
    else:
        lookup = LOOKUP + quote(target or client_order_id or "", safe="")
    return {"client_order_id": client_order_id, "lookup": lookup}
