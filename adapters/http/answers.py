"""Orders as the API shows them, out of the events of an answer or out of a reply (api.md §C.2)."""

import time
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from adapters.http.records import Event, OrderRow, padded
from adapters.http.special import FLAGS, MODES, NOTHING, STOPS
from adapters.http.terms import SIDE_NAMES, TIF_NAMES, TYPE_NAMES, PlaceTerms
from adapters.instruments import Instrument, Instruments
from core import messages
from core.constants import FILLS_ANSWERED_MAX, ORDER_SLOT_BITS
from core.reasons import CANCEL_REASON_FIRST, EXPIRY_REASON_FIRST, Reason

STATUS_NAMES: Final = {
    messages.STATUS_OPEN: "open",
    messages.STATUS_FILLED: "filled",
    messages.STATUS_CANCELED: "canceled",
    messages.STATUS_EXPIRED: "expired",
    messages.STATUS_REJECTED: "rejected",
    messages.STATUS_PENDING: "pending",
    messages.STATUS_ROUTED: "routed",
}
LIVES: Final = (messages.STATUS_OPEN, messages.STATUS_PENDING, messages.STATUS_ROUTED)
MODE_NAMES: Final = {number: name for name, number in MODES.items()}
CLEARING_LATE_NS: Final = 10_000_000_000
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
    # Terms that most orders do not have, and that only rows and the order's own beginning tell.
    self_trade: int = 0
    order_flags: int = 0
    expire_ns: int = 0
    display_qty: int = 0
    stop_price: int = 0
    trail: int = 0  # Ticks, or basis points: flag TRAIL_BPS.
    protection_price: int = 0
    partner: int = 0
    tag: str = ""


_SPECIAL_AT: Final = OrderView._fields.index("self_trade")
_PLAIN: Final = tuple(OrderView._field_defaults.values())


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
        sequence=row.as_of,
        self_trade=row.self_trade,
        order_flags=row.order_flags,
        expire_ns=row.expire_ns,
        display_qty=row.display_qty,
        stop_price=row.stop_price,
        trail=row.trail,
        protection_price=row.protection_price,
        partner=row.partner,
        tag=padded(row.tag),
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
    more = terms.more or NOTHING
    qty, leaves, cum, cum_notional, hold = terms.qty, accepted.leaves, 0, 0, accepted.cum
    last_price: int | None = None
    partner = more.oco
    status = messages.STATUS_PENDING if terms.order_type in STOPS else messages.STATUS_OPEN
    reason, mode = 0, accepted.cum_notional >> 16 & 255
    for event in events[1:]:
        if event.order_id != accepted.order_id:
            if event.order_id == partner and event.kind in _ENDS:
                partner = 0
            continue
        if event.kind == messages.ORDER_ROUTE_REQUESTED:
            status = messages.STATUS_ROUTED
            continue
        leaves, cum, cum_notional = event.leaves, event.cum, event.cum_notional
        if event.kind == messages.FILL:
            last_price = event.price
        elif event.kind == messages.ORDER_RESTED:
            hold = event.fee
        elif event.kind == messages.ORDER_REDUCED:
            qty -= event.qty
        elif event.kind in _ENDS:
            leaves, status, reason = 0, _ENDS[event.kind], event.reason
            if reason == Reason.STP and mode == messages.STP_DECREMENT:
                qty -= event.qty
    if leaves == 0:
        hold = 0
        status = messages.STATUS_FILLED if status in LIVES else status
    return OrderView(
        order_id=accepted.order_id,
        client_order_id=terms.client_order_id,
        instrument=terms.instrument.id,
        side=terms.side,
        order_type=terms.order_type,
        time_in_force=terms.time_in_force,
        price=accepted.price,
        qty=qty,
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
        self_trade=mode,
        order_flags=more.flags,
        expire_ns=more.expire_ns,
        display_qty=more.display_qty if status in LIVES and more.display_qty < terms.qty else 0,
        stop_price=more.stop_price,
        trail=more.trail,
        protection_price=more.protection_price,
        partner=partner if status in LIVES and cum == 0 else 0,
        tag=more.tag,
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
    shown = {
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
    if view[_SPECIAL_AT:] != _PLAIN:
        shown.update(_special_json(view, instrument))
    if status == "filled" and (instrument.is_binary or instrument.clearing_ns):
        shown["settled"] = _is_settled(view, instrument, reference)
    return shown


def _is_settled(view: OrderView, instrument: Instrument, reference: Instruments) -> bool:
    """Has what a filled order traded been paid (decision 30)?

    Where no clearing was seen since this process began, the clock says it: the core clears when a
    period is over, whether anybody asks or not.
    """
    if instrument.is_binary:
        return instrument.phase == "settled"
    filled_ns = view.updated_ns or 0
    cleared_ns = reference.cleared_ns.get(instrument.id)
    if cleared_ns is not None and filled_ns < cleared_ns:
        return True
    period = instrument.clearing_ns
    return time.time_ns() > (filled_ns // period + 1) * period + CLEARING_LATE_NS


def _special_json(view: OrderView, instrument: Instrument) -> dict[str, Any]:
    """The terms that an order has besides; what it does not have is left out."""
    flags = view.order_flags
    found: dict[str, Any] = {name: True for name, bit in FLAGS.items() if flags & bit}
    if flags & messages.TRIGGERED:
        found["triggered"] = True
    if view.self_trade:
        found["stp"] = MODE_NAMES.get(view.self_trade)
    if view.expire_ns:
        found["expire_ts"] = view.expire_ns // 1_000
    if view.display_qty:
        found["display_qty"] = instrument.qty_text(view.display_qty)
    if view.stop_price:
        found["stop_price"] = instrument.price_text(view.stop_price)
    if view.trail:
        by_part = flags & messages.TRAIL_BPS
        found["trail_bps" if by_part else "trail"] = (
            view.trail if by_part else instrument.price_text(view.trail)
        )
    if view.protection_price:
        found["protection_price"] = instrument.price_text(view.protection_price)
    if view.partner:
        found["oco"] = str(view.partner)
    if view.tag:
        found["tag"] = view.tag
    return found


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
    if placed.more is not None or event.cum_notional >> 16:  # Its account prevents self-trades.
        return None
    quote, sequence, hold = instrument.quote, event.sequence, event.cum
    asset = instrument.hold_asset(placed.side)
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


def _reserved(view: OrderView, instrument: Instrument) -> dict[str, str | None]:
    asset = instrument.hold_asset(view.side)
    return {"asset": asset.name, "amount": None if view.hold is None else asset.text(view.hold)}


def _price(instrument: Instrument, ticks: int | None) -> str | None:
    return None if ticks is None else instrument.price_text(ticks)


def _micros(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else nanoseconds // 1_000
