"""Orders as the API shows them, out of the events of an answer or out of a reply (api.md §C.2)."""

from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from adapters.http.problems import Fault, Problem
from adapters.http.records import Event, OrderRow, padded
from adapters.http.terms import SIDE_NAMES, TIF_NAMES, TYPE_NAMES, PlaceTerms
from adapters.instruments import Instrument, Instruments
from core import messages
from core.constants import FILLS_ANSWERED_MAX, ORDER_SLOT_BITS
from core.reasons import CANCEL_REASON_FIRST, EXPIRY_REASON_FIRST, TEXT, Reason

STATUS_NAMES: Final = {
    messages.STATUS_OPEN: "open",
    messages.STATUS_FILLED: "filled",
    messages.STATUS_CANCELED: "canceled",
    messages.STATUS_EXPIRED: "expired",
    messages.STATUS_REJECTED: "rejected",
}
REPLAYED: Final = {"Idempotency-Replayed": "true"}
_ENDS: Final = {
    messages.ORDER_EXPIRED: messages.STATUS_EXPIRED,
    messages.ORDER_CANCELED: messages.STATUS_CANCELED,
}


class OrderView(NamedTuple):
    """One order, in ticks, lots and smallest units; None where it is not known."""

    order_id: int
    client_order_id: str
    instrument: int
    side: int
    order_type: int | None
    time_in_force: int | None
    price: int
    qty: int
    leaves: int
    cum: int
    cum_notional: int
    last_price: int | None
    status: int
    reason: int
    hold: int | None
    fees: int | None
    created_ns: int | None
    updated_ns: int | None
    sequence: int


def of_row(row: OrderRow) -> OrderView:
    """The order of a reply."""
    return OrderView(
        order_id=row.order_id,
        client_order_id=padded(row.client_order_id),
        instrument=row.instrument,
        side=row.side,
        order_type=row.order_type,
        time_in_force=row.time_in_force,
        price=row.price,
        qty=row.order_qty,
        leaves=row.leaves,
        cum=row.cum,
        cum_notional=row.cum_notional,
        last_price=row.last_price if row.cum else None,
        status=row.status,
        reason=row.end_reason,
        hold=row.hold,
        fees=row.fees,
        created_ns=row.created_ns,
        updated_ns=row.updated_ns,
        sequence=row.sequence,
    )


def of_event(event: Event) -> OrderView:
    """What one event says of its order, when the order's row cannot be asked for any more.

    For ORDER_REPEATED, ORDER_CANCELED, ORDER_REDUCED and ORDER_REPLACED.
    """
    canceled = event.qty if event.kind == messages.ORDER_CANCELED else 0
    reduced = event.kind == messages.ORDER_REDUCED
    leaves = 0 if canceled else event.leaves
    qty = event.cum + canceled + leaves if canceled or reduced else event.qty
    if event.kind == messages.ORDER_CANCELED or event.reason >= CANCEL_REASON_FIRST:
        status = messages.STATUS_CANCELED
    elif event.reason >= EXPIRY_REASON_FIRST:
        status = messages.STATUS_EXPIRED
    else:
        status = messages.STATUS_OPEN if leaves else messages.STATUS_FILLED
    return OrderView(
        order_id=event.order_id,
        client_order_id=padded(event.client_order_id),
        instrument=event.instrument,
        side=messages.SELL if event.flags & messages.SELL_SIDE else messages.BUY,
        order_type=None,
        time_in_force=None,
        price=event.price,
        qty=qty,
        leaves=leaves,
        cum=event.cum,
        cum_notional=event.cum_notional,
        last_price=None,
        status=status,
        reason=event.reason,
        hold=None if leaves else 0,
        fees=None,
        created_ns=None,
        updated_ns=event.timestamp_ns,
        sequence=event.sequence,
    )


def of_placed(terms: PlaceTerms, events: list[Event], fees: int) -> OrderView:
    """The new order out of all events of its own PLACE_ORDER; ``fees`` over all its fills."""
    accepted = events[0]
    leaves, cum, cum_notional, hold = accepted.leaves, 0, 0, accepted.cum
    last_price: int | None = None
    status, reason = messages.STATUS_OPEN, 0
    for event in events[1:]:
        if event.order_id != accepted.order_id:
            continue
        leaves, cum, cum_notional = event.leaves, event.cum, event.cum_notional
        if event.kind == messages.FILL:
            last_price = event.price
        elif event.kind == messages.ORDER_RESTED:
            hold = event.fee
        elif event.kind in _ENDS:
            leaves, status, reason = 0, _ENDS[event.kind], event.reason
    if leaves == 0:
        hold = 0
        status = messages.STATUS_FILLED if status == messages.STATUS_OPEN else status
    return OrderView(
        order_id=accepted.order_id,
        client_order_id=terms.client_order_id,
        instrument=terms.instrument.id,
        side=terms.side,
        order_type=terms.order_type,
        time_in_force=terms.time_in_force,
        price=terms.price,
        qty=terms.qty,
        leaves=leaves,
        cum=cum,
        cum_notional=cum_notional,
        last_price=last_price,
        status=status,
        reason=reason,
        hold=hold,
        fees=fees,
        created_ns=accepted.timestamp_ns,
        updated_ns=accepted.timestamp_ns,
        sequence=accepted.sequence,
    )


def order_json(view: OrderView, reference: Instruments) -> dict[str, Any]:
    """The order object of §C.2; of a rejected order only the ids and the reason are remembered."""
    if view.instrument == 0:
        return _rejected_json(view)
    instrument = reference.by_id[view.instrument]
    quote = instrument.quote
    cum = view.cum
    status = STATUS_NAMES.get(view.status, "open")
    if status == "open" and cum:
        status = "partially_filled"
    word = Reason(view.reason).word if view.reason else None
    rejected, expired = status == "rejected", status == "expired"
    return {
        "order_id": str(view.order_id),
        "client_order_id": view.client_order_id or None,
        "instrument": instrument.symbol,
        "side": SIDE_NAMES.get(view.side),
        "type": TYPE_NAMES.get(view.order_type or 0),
        "tif": TIF_NAMES.get(view.time_in_force or 0),
        "price": instrument.price_text(view.price) if view.price else None,
        "qty": instrument.qty_text(view.qty),
        "filled_qty": instrument.qty_text(cum),
        "remaining_qty": instrument.qty_text(view.leaves),
        "avg_price": instrument.average_price(view.cum_notional, cum) if cum else None,
        "last_price": _price(instrument, view.last_price),
        "status": status,
        "reject_reason": word if rejected else None,
        "expiry_reason": word if expired else None,
        "cancel_reason": word if status == "canceled" else None,
        "reserved": _reserved(view, instrument),
        "fees": {
            "asset": quote.name,
            "amount": None if view.fees is None else quote.text(view.fees),
        },
        "created_ts": _micros(view.created_ns),
        "updated_ts": _micros(view.updated_ns),
        "seq": view.sequence,
    }


def _rejected_json(view: OrderView) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("instrument", "side", "type", "tif", "price", "qty", "filled_qty", "remaining_qty")
    )
    more = dict.fromkeys(("avg_price", "last_price"))
    return {
        "order_id": str(view.order_id),
        "client_order_id": view.client_order_id or None,
        **empty,
        **more,
        "status": STATUS_NAMES.get(view.status),
        "reject_reason": Reason(view.reason).word if view.reason else None,
        **dict.fromkeys(("expiry_reason", "cancel_reason", "reserved", "fees")),
        **dict.fromkeys(("created_ts", "updated_ts")),
        "seq": view.order_id >> ORDER_SLOT_BITS,
    }


def resting_json(placed: PlaceTerms, event: Event, durability: str) -> str | None:
    """The answer to a new order that came to rest with nothing filled, as JSON text.

    The same text as that of ``order_json`` of ``of_placed``, at a third of its cost; None for other
    orders, and for a client order id that JSON would escape.  ``event`` is its only one.
    """
    instrument, client_order_id = placed.instrument, placed.client_order_id
    if event.leaves == 0 or '"' in client_order_id or "\\" in client_order_id:
        return None
    quote, sequence, hold = instrument.quote, event.sequence, event.cum
    if placed.side == messages.SELL:
        asset, hold = instrument.base, event.leaves * instrument.base_per_lot if hold else 0
    else:
        asset = quote
    micros, price = event.timestamp_ns // 1_000, placed.price
    price_text = f'"{instrument.price_text(price)}"' if price else "null"
    return (
        f'{{"order":{{"order_id":"{event.order_id}","client_order_id":"{client_order_id}",'
        f'"instrument":{_quoted(instrument.symbol)},"side":"{SIDE_NAMES[placed.side]}",'
        f'"type":"{TYPE_NAMES[placed.order_type]}","tif":"{TIF_NAMES[placed.time_in_force]}",'
        f'"price":{price_text},"qty":"{instrument.qty_text(placed.qty)}",'
        f'"filled_qty":"{instrument.qty_text(0)}",'
        f'"remaining_qty":"{instrument.qty_text(event.leaves)}",'
        '"avg_price":null,"last_price":null,"status":"open",'
        '"reject_reason":null,"expiry_reason":null,"cancel_reason":null,'
        f'"reserved":{{"asset":{_quoted(asset.name)},"amount":"{asset.text(hold)}"}},'
        f'"fees":{{"asset":{_quoted(quote.name)},"amount":"{quote.text(0)}"}},'
        f'"created_ts":{micros},"updated_ts":{micros},"seq":{sequence}}},'
        f'"fills":[],"seq":{sequence},"durability":"{durability}"}}'
    )


@lru_cache(4_096)
def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def fills_json(events: list[Event], order_id: int, instrument: Instrument) -> list[dict[str, Any]]:
    """The own fills of an order, at most FILLS_ANSWERED_MAX."""
    fills: list[dict[str, Any]] = []
    for event in events:
        if event.kind != messages.FILL or event.order_id != order_id:
            continue
        if len(fills) == FILLS_ANSWERED_MAX:
            break
        maker = event.flags & messages.MAKER != 0
        execution = f"{event.sequence}.{event.place}"
        fills.append(
            {
                "trade_id": f"{event.sequence}.{event.place - 1}" if maker else execution,
                "exec_id": execution,
                "price": instrument.price_text(event.price),
                "qty": instrument.qty_text(event.qty),
                "liquidity": "maker" if maker else "taker",
                "fee": instrument.quote.text(event.fee),
            }
        )
    return fills


def rejected(event: Event, reference: Instruments, durability: str) -> Problem:
    """Problem of a journaled ORDER_REJECTED, or of a reject that is answered again.

    Also of a COMMAND_REJECTED of a cancel or replace, whose order id is the target's.
    """
    reason = Reason(event.reason)
    extra: dict[str, Any] = {
        "order_id": str(event.order_id) if event.order_id else None,
        "client_order_id": padded(event.client_order_id) or None,
        "durability": durability,
    }
    if reason == Reason.DUPLICATE_CLIENT_ID:
        detail = "the client order id was used with another payload; the first one stands"
        pointer = Fault("/client_order_id", "duplicate_client_id", detail)
        return Problem("idempotency_mismatch", detail, errors=[pointer], extra=extra)
    extra["reject_reason"] = reason.word
    detail = TEXT[reason]
    instrument = reference.by_id.get(event.instrument)
    if event.kind != messages.ORDER_REPEATED and instrument is not None:
        bounds = _bounds(reason, event, instrument)
        if bounds:
            extra["limit"], extra["value"] = bounds
            detail = f"{detail}: limit {bounds[0]}, got {bounds[1]}"
    return Problem("order_rejected", detail, extra=extra)


def _bounds(reason: Reason, event: Event, instrument: Instrument) -> tuple[str, str] | None:
    limit, value = event.cum, event.cum_notional
    if reason in (Reason.QTY_TOO_SMALL, Reason.QTY_TOO_LARGE):
        return instrument.qty_text(limit), instrument.qty_text(value)
    if reason == Reason.PRICE_OUT_OF_BAND:
        return instrument.price_text(limit), instrument.price_text(value)
    if reason in (Reason.NOTIONAL_TOO_SMALL, Reason.NOTIONAL_TOO_LARGE) and value:
        return instrument.quote.text(limit), instrument.quote.text(value)
    if reason == Reason.INSUFFICIENT_FUNDS:
        return instrument.quote.text(limit), instrument.quote.text(value)
    if reason == Reason.INSUFFICIENT_POSITION:
        return instrument.base.text(limit), instrument.base.text(value)
    return None


def _reserved(view: OrderView, instrument: Instrument) -> dict[str, str | None]:
    if view.side == messages.SELL:
        asset = instrument.base
        # The hold of a sell is its open lots; without risk checks nothing is held.
        amount = view.leaves * instrument.base_per_lot if view.hold else view.hold
    else:
        asset, amount = instrument.quote, view.hold
    return {"asset": asset.name, "amount": None if amount is None else asset.text(amount)}


def _price(instrument: Instrument, ticks: int | None) -> str | None:
    return None if ticks is None else instrument.price_text(ticks)


def _micros(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else nanoseconds // 1_000
