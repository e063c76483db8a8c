"""Trades after the fact, by an administrator: bust, correct; and executions of an outside venue."""

import re
from typing import Any, Final

from aiohttp import web

from adapters.http import archived, bodies, body, members, records, terms
from adapters.http.auth import admin
from adapters.http.commands import account_in, done, made
from adapters.http.exchange import Exchange
from adapters.http.instrument_terms import Fields
from adapters.http.problems import Faults, Problem
from adapters.http.replies import answer
from adapters.instruments import Instrument
from adapters.units import INT64_MAX, UnitError, shown, steps
from core import messages
from core.constants import CLIENT_ORDER_ID_BYTES, REFERENCE_BYTES

KINDS: Final = {
    "acknowledged": messages.OUTSIDE_ACKNOWLEDGED,
    "filled": messages.OUTSIDE_FILLED,
    "canceled": messages.OUTSIDE_CANCELED,
    "rejected": messages.OUTSIDE_REJECTED,
    "busted": messages.OUTSIDE_BUSTED,
    "corrected": messages.OUTSIDE_CORRECTED,
    "settled": messages.OUTSIDE_SETTLED,
}
TRADES: Final = (
    messages.OUTSIDE_FILLED,
    messages.OUTSIDE_BUSTED,
    messages.OUTSIDE_CORRECTED,
)
OUTCOMES: Final = (
    "applied",
    "unknown_order",
    "late",
    "overfill",
    "before_acknowledgement",
    "nothing_to_do",
)

# What a body says of a trade that the event archive does not have.
_DATA: Final = ("instrument", "price", "qty", "buyer", "seller")
_TRADE_ID: Final = re.compile(r"[0-9]{1,13}\.[0-9]{1,10}")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")


async def bust_trade(request: web.Request) -> web.Response:
    """POST /v1/admin/trades/{trade_id}/bust: the trade never was."""
    return await _undo(request, messages.BUST_TRADE)


async def correct_trade(request: web.Request) -> web.Response:
    """POST /v1/admin/trades/{trade_id}/correct: it was at another price or quantity."""
    return await _undo(request, messages.CORRECT_TRADE)


async def _undo(request: web.Request, kind: int) -> web.Response:
    exchange = admin(request)
    trade_id = request.match_info["trade_id"]
    if not _TRADE_ID.fullmatch(trade_id):
        raise Problem("not_found", f"expected a trade id, sequence.index, got {shown(trade_id)}")
    trade, faults = await body.read(request, bodies.Trade, optional=True)
    if any(getattr(trade, name) is not None or faults.at(f"/{name}") for name in _DATA):
        instrument, first, second = await _told_trade(exchange, trade, faults)
    else:
        instrument, first, second = _archived(await archived.traded(exchange, trade_id))
    first["client_order_id"] = trade_id.encode("ascii")
    if kind == messages.CORRECT_TRADE:
        first["new_price"] = _price("new_price", trade.new_price, instrument, faults, low=1)
        first["new_qty"] = members.lots("new_qty", trade.new_qty, instrument, faults, required=True)
    else:
        terms.not_built(trade, faults, ("new_price", "new_qty"))
    faults.check()
    assert instrument is not None
    slots = records.command(kind, records.TRADE_2.pack(**second), **first)
    events = await done(exchange, slots, f"/v1/admin/trades/{trade_id}", instrument)
    repeated = events[0].kind == messages.COMMAND_REPEATED
    content: dict[str, Any] = {"trade_id": trade_id, "instrument": instrument.symbol}
    # Of a correction: both sides as they are now, not what was taken back before.
    now = messages.TRADE_BUSTED if kind == messages.BUST_TRADE else messages.TRADE_CORRECTED
    content["sides"] = [_told(event, instrument) for event in events if event.kind == now]
    headers = {"Idempotency-Replayed": "true"} if repeated else None
    return answer(request, made(exchange, events[0], content), headers=headers)


async def _told_trade(
    exchange: Exchange, trade: bodies.Trade, faults: Faults
) -> tuple[Instrument | None, Fields, Fields]:
    """The trade as the body says; the fields of both slots."""
    reference = await exchange.instruments()
    instrument = terms.known_instrument(trade.instrument, faults, reference)
    first: Fields = {
        "instrument": instrument.id if instrument else 0,
        "price": _price("price", trade.price, instrument, faults, low=1),
        "qty": members.lots("qty", trade.qty, instrument, faults, required=True),
    }
    second: Fields = {}
    for name in ("buyer", "seller"):
        second |= await _side(exchange, name, getattr(trade, name), instrument, faults)
    return instrument, first, second


def _archived(trade: archived.Traded) -> tuple[Instrument, Fields, Fields]:
    """The trade as its events say; the fields of both slots."""
    instrument, buyer, seller = trade
    first: Fields = {"instrument": instrument.id, "price": buyer.price, "qty": buyer.qty}
    second: Fields = {
        "buyer": buyer.account,
        "buyer_order": buyer.order_id,
        "buyer_fee": buyer.fee,
        "seller": seller.account,
        "seller_order": seller.order_id,
        "seller_fee": seller.fee,
    }
    return instrument, first, second


async def _side(
    exchange: Exchange,
    name: str,
    side: bodies.Side | None,
    instrument: Instrument | None,
    faults: Faults,
) -> Fields:
    """Account, order and fee of one side."""
    if side is None:
        if not faults.at(f"/{name}"):
            faults.add(f"/{name}", "required", "required: {account, order_id, fee}")
        return {}
    asset = instrument.quote if instrument else None
    return {
        name: await account_in(exchange, f"{name}/account", side.account, faults),
        f"{name}_order": _order_id(f"{name}/order_id", side.order_id, faults),
        f"{name}_fee": members.amount(f"{name}/fee", side.fee, asset, faults, signed=True),
    }


def _told(event: records.Event, instrument: Instrument) -> dict[str, Any]:
    is_sell = event.flags & messages.SELL_SIDE != 0
    busted = event.kind == messages.TRADE_BUSTED
    base = instrument.base
    return {
        "event": "busted" if busted else "corrected",
        "side": "sell" if is_sell else "buy",
        "account": str(event.account),
        "order_id": str(event.order_id),
        "price": instrument.price_text(event.price),
        "qty": instrument.qty_text(event.qty),
        "fee": instrument.quote.text(event.cum_notional),
        "available": {
            **({base.name: base.text(event.leaves)} if base else {}),
            instrument.quote.name: instrument.quote.text(event.cum),
        },
    }


async def record_execution(request: web.Request) -> web.Response:
    """POST /v1/admin/executions: what an outside venue says; idempotent by (source, exec_id)."""
    exchange = admin(request)
    told, faults = await body.read(request, bodies.Execution)
    reference = await exchange.instruments()
    kind = members.choice("kind", told.kind, KINDS, faults)
    source = _text("source", told.source, CLIENT_ORDER_ID_BYTES, faults)
    exec_id = _text("exec_id", told.exec_id, REFERENCE_BYTES, faults)
    instrument = terms.known_instrument(told.instrument, faults, reference)
    account = await account_in(exchange, "account", told.account, faults)
    fields = _execution(told, kind, instrument, faults)
    third = _correction(told, kind, instrument, faults)
    faults.check()
    assert instrument is not None
    second = records.REFERENCE.pack(
        reference=exec_id.encode("ascii"), source=source.encode("ascii")
    )
    slots = records.command(
        kind, second, *third, account=account, instrument=instrument.id, **fields
    )
    events = await done(exchange, slots, "/v1/admin/executions", instrument)
    first = events[0]
    repeated = first.kind == messages.COMMAND_REPEATED
    content: dict[str, Any] = {"kind": told.kind, "source": source, "exec_id": exec_id}
    content["outcome"] = None if repeated else OUTCOMES[min(first.cum, len(OUTCOMES) - 1)]
    content["missing"] = [] if repeated else _missing(events, reference.assets)
    headers = {"Idempotency-Replayed": "true"} if repeated else None
    return answer(request, made(exchange, first, content), headers=headers)


def _execution(
    told: bodies.Execution, kind: int, instrument: Instrument | None, faults: Faults
) -> Fields:
    """The fields of slot 1."""
    trades = kind in TRADES
    flags = 0
    if told.liquidity is not None:
        words = {"maker": messages.OUTSIDE_MAKER, "taker": 0}
        flags |= members.choice("liquidity", told.liquidity, words, faults)
    if told.side is not None:
        words = {"buy": 0, "sell": messages.OUTSIDE_SELL}
        flags |= members.choice("side", told.side, words, faults)
    needs_price = trades or kind == messages.OUTSIDE_SETTLED
    price = 0
    if needs_price or told.price is not None:
        low = 1 if trades else 0
        price = _price("price", told.price, instrument, faults, low=low)
    order_id = 0 if told.order_id is None else _order_id("order_id", told.order_id, faults)
    quote = instrument.quote if instrument else None
    return {
        "flags": flags,
        "price": price,
        "qty": members.lots("qty", told.qty, instrument, faults, required=trades),
        "fee": members.amount("fee", told.fee, quote, faults, signed=True),
        "order_id": order_id,
        "cum": members.lots("filled_qty", told.filled_qty, instrument, faults),
    }


def _correction(
    told: bodies.Execution, kind: int, instrument: Instrument | None, faults: Faults
) -> tuple[bytes, ...]:
    """Slot 3 of OUTSIDE_CORRECTED."""
    names = ("new_price", "new_qty", "new_fee")
    if kind != messages.OUTSIDE_CORRECTED:
        if kind:
            terms.not_built(told, faults, names)
        return ()
    quote = instrument.quote if instrument else None
    return (
        records.OUTSIDE_3.pack(
            new_price=_price("new_price", told.new_price, instrument, faults, low=1),
            new_qty=members.lots("new_qty", told.new_qty, instrument, faults, required=True),
            new_fee=members.amount("new_fee", told.new_fee, quote, faults, signed=True),
        ),
    )


def _missing(events: list[records.Event], assets: Any) -> list[dict[str, str]]:
    """What the account lacked, and ``outside`` bears: its debt has grown by that."""
    found = []
    for event in events:
        if event.kind == messages.LEDGER and event.qty < 0 and event.instrument in assets:
            asset = assets[event.instrument]
            found.append({"asset": asset.name, "amount": asset.text(-event.qty)})
    return found


def _price(
    name: str, value: str | None, instrument: Instrument | None, faults: Faults, *, low: int
) -> int:
    """Ticks, ``low`` or more; required."""
    where = f"/{name}"
    if faults.at(where):
        return 0
    if value is None:
        faults.add(where, "required", "required: decimal text such as '101.25'")
        return 0
    if instrument is None:
        return 0
    try:
        off = ("price_off_tick", "tick")
        price = steps(value, instrument.tick, instrument.tick_scale, off)
        if not low <= price <= INT64_MAX:
            above = "above 0" if low else "0 or more"
            raise UnitError("price_out_of_band", f"expected {above}, got {shown(value)}")
    except UnitError as error:
        faults.add(where, error.code, error.detail)
        return 0
    return price


def _order_id(name: str, value: str, faults: Faults) -> int:
    if _NUMBER.fullmatch(value) and int(value) <= INT64_MAX:
        return int(value)
    faults.add(f"/{name}", "invalid_value", f"expected an order id, got {shown(value)}")
    return 0


def _text(name: str, value: str | None, size: int, faults: Faults) -> str:
    where = f"/{name}"
    if faults.at(where):
        return ""
    if value is None:
        faults.add(where, "required", f"required: 1-{size} characters 0x21-0x7E")
    elif not re.fullmatch(rf"[\x21-\x7e]{{1,{size}}}", value):
        detail = f"expected 1-{size} characters 0x21-0x7E, got {shown(value)}"
        faults.add(where, "invalid_value", detail)
    else:
        return value
    return ""
