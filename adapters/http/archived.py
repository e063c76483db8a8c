"""Orders that have left the core, and trades, out of the event archive."""

from typing import Final, NamedTuple

from adapters.http import records
from adapters.http.answers import LIVES, OrderView
from adapters.http.exchange import Exchange
from adapters.http.problems import Problem
from adapters.http.records import Event, padded
from adapters.instruments import Instrument
from core import messages

_ENDS: Final = {
    messages.ORDER_CANCELED: messages.STATUS_CANCELED,
    messages.ORDER_EXPIRED: messages.STATUS_EXPIRED,
    messages.ORDER_REJECTED: messages.STATUS_REJECTED,
}
_TELL: Final = "give instrument, price, qty, buyer and seller in the body"
_BEGINS: Final = (messages.ORDER_ACCEPTED, messages.ORDER_REJECTED)


async def archived(exchange: Exchange, account: int, gone: Problem) -> OrderView | None:
    """The order that the problem ``too_old`` is about, as it ended; None when that is not known.

    Problem ``not_found`` when it is somebody else's.
    """
    order_id = gone.extra.get("order_id")
    if gone.code != "too_old" or order_id is None or exchange.link is None:
        return None
    rows = await exchange.link.order_events(int(order_id), exchange.archive_scan_bytes)
    if rows is None or not len(rows):
        return None
    events = records.events_of(rows)
    if events[0].account != account:
        extra = {"seq": gone.extra["seq"]} if "seq" in gone.extra else {}
        raise Problem("not_found", f"no order {order_id} of this account", extra=extra)
    view = of_life(events)
    if view is not None:
        await exchange.instruments({view.instrument} - {0})
    return view


class Traded(NamedTuple):
    """A trade of two orders: the FILL events of both sides."""

    instrument: Instrument
    buyer: Event
    seller: Event


async def traded(exchange: Exchange, trade_id: str) -> Traded:
    """The trade ``sequence.index`` as it was made.

    Problem ``not_found`` when the archive has none of that id, ``conflict`` when its price and
    quantity cannot be told for sure in the units of the instrument as it is now.
    """
    sequence, index = map(int, trade_id.split("."))
    rows = None
    if exchange.link is not None:
        rows = await exchange.link.command_events(sequence, index + 2)
    events = [] if rows is None else records.events_of(rows)
    if len(events) != index + 2:
        raise Problem("not_found", f"the event archive has no trade {trade_id}; {_TELL}")
    taker, maker = events[index:]
    if taker.kind != messages.FILL or maker.kind != messages.FILL or taker.flags & messages.MAKER:
        raise Problem("not_found", f"event {trade_id} is no trade of two orders")
    reference = await exchange.instruments([taker.instrument])
    instrument = reference.by_id[taker.instrument]
    told = {_notional(events, taker), _notional(events, maker)} - {None}
    if told != {taker.price * taker.qty * instrument.multiplier}:
        detail = f"cannot tell whether the units of {instrument.symbol} are those of the trade"
        raise Problem("conflict", f"{detail}; {_TELL}")
    sells = taker.flags & messages.SELL_SIDE
    return Traded(instrument, maker, taker) if sells else Traded(instrument, taker, maker)


def _notional(events: list[Event], fill: Event) -> int | None:
    """Quote units of a fill: how much its order's sum grew; None when that is not known."""
    before = [
        event.cum_notional
        for event in events[: fill.place]
        if event.kind == messages.FILL and event.order_id == fill.order_id
    ]
    if before:
        return fill.cum_notional - before[-1]
    return fill.cum_notional if fill.cum == fill.qty else None


def of_life(events: list[Event]) -> OrderView | None:
    """An order out of all events that name it; None when its beginning or end is not among them."""
    first = events[0]
    if first.kind not in _BEGINS:
        return None
    view = _begun(first)
    for event in events:
        view = _after(view, event)
    if view.status in LIVES and view.leaves:
        return None
    return view._replace(hold=0)


def _begun(first: Event) -> OrderView:
    terms = first.cum_notional if first.kind == messages.ORDER_ACCEPTED else 0
    return OrderView(
        order_id=first.order_id,
        client_order_id=padded(first.client_order_id),
        instrument=first.instrument,
        side=messages.SELL if first.flags & messages.SELL_SIDE else messages.BUY,
        order_type=terms & 255 or None,
        time_in_force=terms >> 8 & 255 or None,
        price=first.price,
        qty=first.qty,
        leaves=first.qty,
        cum=0,
        cum_notional=0,
        last_price=None,
        status=messages.STATUS_OPEN,
        reason=0,
        hold=0,
        fees=0,
        created_ns=first.timestamp_ns,
        updated_ns=first.timestamp_ns,
        sequence=first.sequence,
        self_trade=terms >> 16 & 255,
        order_flags=terms >> 24 & 255,
    )


def _after(view: OrderView, event: Event) -> OrderView:
    """The order after one more event."""
    if event.kind == messages.FILL:
        view = view._replace(
            leaves=event.leaves,
            cum=event.cum,
            cum_notional=event.cum_notional,
            last_price=event.price,
            fees=(view.fees or 0) + event.fee,
        )
        if event.leaves == 0:
            view = view._replace(status=messages.STATUS_FILLED)
    elif event.kind == messages.ORDER_REPLACED:
        view = view._replace(
            client_order_id=padded(event.client_order_id),
            price=event.price,
            qty=event.qty,
            leaves=event.leaves,
        )
    elif event.kind == messages.ORDER_REDUCED:
        view = view._replace(qty=view.qty - event.qty, leaves=event.leaves)
    elif event.kind == messages.ORDER_TRIGGERED:
        view = view._replace(order_flags=view.order_flags | messages.TRIGGERED)
    elif event.kind in _ENDS:
        view = view._replace(leaves=0, status=_ENDS[event.kind], reason=event.reason)
    else:
        return view
    return view._replace(updated_ns=event.timestamp_ns, sequence=event.sequence)
