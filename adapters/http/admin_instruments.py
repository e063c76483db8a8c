"""Instruments, by an administrator: make, change, halt, settle."""

import re
from typing import Final

from aiohttp import web

from adapters.http import bodies, body, members, records
from adapters.http.admin import text_of
from adapters.http.auth import admin
from adapters.http.commands import done, fresh, made
from adapters.http.instrument_terms import (
    FIRST_STATUSES,
    STATUSES,
    Fields,
    Scale,
    TermsOf,
    changes_of,
    scale_of,
    step,
)
from adapters.http.market import instrument_json, instrument_named
from adapters.http.money import asset_named
from adapters.http.problems import Faults
from adapters.http.replies import answer
from adapters.instruments import Instrument, Instruments
from adapters.units import INT64_MAX, UnitError, shown, steps
from core import messages
from core.constants import SYMBOL_CHARS_MAX

TYPES: Final = {"spot": messages.SPOT, "binary": messages.BINARY}
MATCHINGS: Final = {"here": messages.MATCHED_HERE, "outside": messages.MATCHED_OUTSIDE}
# A price that was translated with the old size must not find an open market.
RESTS: Final = ("halted", "cancel_only", "closed", "settled", "delisted")

_SYMBOL: Final = re.compile(rf"[A-Za-z0-9./_-]{{1,{SYMBOL_CHARS_MAX}}}")


async def create_instrument(request: web.Request) -> web.Response:
    """POST /v1/admin/instruments."""
    exchange = admin(request)
    wanted, faults = await body.read(request, bodies.NewInstrument)
    reference = await exchange.instruments()
    slots = _new(wanted, faults, reference)
    event = (await done(exchange, slots, "/v1/instruments"))[0]
    known = (await fresh(exchange)).by_id.get(event.order_id)
    shown_instrument = instrument_json(known) if known else {"id": str(event.order_id)}
    content = made(exchange, event, {"instrument": shown_instrument})
    return answer(request, content, status=201)


async def change_instrument(request: web.Request) -> web.Response:
    """PATCH /v1/admin/instruments/{symbol}: all of it, or nothing."""
    exchange = admin(request)
    wanted, faults = await body.read(request, bodies.ChangedInstrument)
    reference = await exchange.instruments()
    instrument = instrument_named(reference, request.match_info["symbol"])
    slots = _changed(wanted, faults, instrument)
    lookup = f"/v1/instruments/{instrument.symbol}"
    events = await done(exchange, slots, lookup, instrument)
    known = (await fresh(exchange)).by_id.get(instrument.id, instrument)
    ended = (messages.ORDER_EXPIRED, messages.ORDER_CANCELED)
    content = {
        "instrument": instrument_json(known),
        "orders_ended": sum(event.kind in ended for event in events),
    }
    return answer(request, made(exchange, events[0], content))


async def settle_instrument(request: web.Request) -> web.Response:
    """POST /v1/admin/instruments/{symbol}/settle: a BINARY pays; again: a correction."""
    exchange = admin(request)
    wanted, faults = await body.read(request, bodies.Settlement)
    reference = await exchange.instruments()
    instrument = instrument_named(reference, request.match_info["symbol"])
    price = _settlement(wanted, instrument, faults)
    faults.check()
    slots = records.command(messages.SETTLE_INSTRUMENT, instrument=instrument.id, price=price)
    lookup = f"/v1/instruments/{instrument.symbol}"
    event = (await done(exchange, slots, lookup, instrument))[0]
    known = (await fresh(exchange)).by_id.get(instrument.id, instrument)
    content = {
        "instrument": instrument_json(known),
        "price": instrument.price_text(event.price),
        "price_before": instrument.price_text(event.cum) if event.cum >= 0 else None,
        "positions": event.qty,
        "orders_ended": event.leaves,
    }
    return answer(request, made(exchange, event, content))


def _new(wanted: bodies.NewInstrument, faults: Faults, reference: Instruments) -> bytes:
    symbol = text_of("symbol", wanted.symbol, faults)
    if symbol and not _SYMBOL.fullmatch(symbol):
        detail = f"expected 1-{SYMBOL_CHARS_MAX} of A-Z a-z 0-9 . - / _, got {shown(symbol)}"
        faults.add("/symbol", "invalid_value", detail)
    kind = members.choice("type", wanted.type or "spot", TYPES, faults)
    matching = members.choice("matching", wanted.matching or "here", MATCHINGS, faults)
    quote = asset_named("quote", wanted.quote, faults, reference)
    base = None
    if kind != messages.BINARY:
        base = asset_named("base", wanted.base, faults, reference)
    elif wanted.base is not None:
        faults.add("/base", "invalid_value", "a binary has no base asset")
    payout = members.amount("payout", wanted.payout, quote, faults)
    if (kind == messages.BINARY) != (wanted.payout is not None) and not faults.at("/payout"):
        detail = "a binary, and it alone, has a payout per lot"
        faults.add("/payout", "required" if kind == messages.BINARY else "invalid_value", detail)
    tick, tick_scale = step("tick", wanted.tick, faults)
    lot, lot_scale = step("lot", wanted.lot, faults)
    terms = TermsOf(wanted, Scale(tick, tick_scale, lot, lot_scale, quote), faults)
    fees, second, table = terms.fees(), terms.second(FIRST_STATUSES), terms.table()
    faults.check()
    assert quote is not None
    first: Fields = {
        "symbol": symbol.encode("ascii"),
        "instrument_type": kind,
        "matching": matching,
        "tick": tick,
        "tick_scale": tick_scale,
        "lot": lot,
        "lot_scale": lot_scale,
        "base_asset": base.id if base else 0,
        "quote_asset": quote.id,
        "payout": payout,
        **fees,
    }
    second = {"phase": messages.PHASE_OPEN, **second}
    more = records.INSTRUMENT_2.pack(**second)
    return records.command(messages.CREATE_INSTRUMENT, more, *table, **first)


def _changed(wanted: bodies.ChangedInstrument, faults: Faults, instrument: Instrument) -> bytes:
    changes = changes_of(wanted)
    if not changes and not faults.items:
        faults.add("", "required", "nothing is to be changed")
    scale = scale_of(instrument)
    first: Fields = {}
    for name in ("tick", "lot"):
        if getattr(wanted, name) is None:
            continue
        size, decimals = step(name, getattr(wanted, name), faults)
        first |= {name: size, f"{name}_scale": decimals}
        if name == "tick":
            scale = scale._replace(tick=size, tick_scale=decimals)
        else:
            scale = scale._replace(lot=size, lot_scale=decimals)
        if instrument.phase not in RESTS:
            detail = "can be changed while the instrument is halted, cancel_only or closed only"
            faults.add(f"/{name}", "phase", detail)
    terms = TermsOf(wanted, scale, faults, instrument)
    fees, second, table = terms.fees(), terms.second(STATUSES), terms.table()
    faults.check()
    more = records.INSTRUMENT_2.pack(**second)
    kind = messages.UPDATE_INSTRUMENT
    fields = {**first, **fees, "instrument": instrument.id, "changes": changes}
    return records.command(kind, more, *table, **fields)


def _settlement(wanted: bodies.Settlement, instrument: Instrument, faults: Faults) -> int:
    last = instrument.payout // instrument.multiplier
    if (wanted.price is None) == (wanted.result is None) and not faults.items:
        faults.add("/price", "required", "required: either 'price' or 'result', yes or no")
    if wanted.result is not None:
        return members.choice("result", wanted.result, {"yes": last, "no": 0}, faults)
    try:
        off = ("price_off_tick", "tick")
        price = steps(wanted.price or "0", instrument.tick, instrument.tick_scale, off)
        if not 0 <= price <= INT64_MAX:
            raise UnitError("price_out_of_band", f"expected 0 or more, got {shown(wanted.price)}")
    except UnitError as error:
        faults.add("/price", error.code, error.detail)
        return 0
    return price
