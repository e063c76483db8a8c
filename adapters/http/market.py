"""Public market data: instruments, assets, fees, the book, recent trades."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from aiohttp import web

from adapters.http import records
from adapters.http.feed import TRADES_KEPT, Undone
from adapters.http.problems import Fault, Problem
from adapters.http.replies import answer, exchange_of, listing, parameters, whole
from adapters.instruments import Asset, Instrument, Instruments
from adapters.units import shown
from core import messages
from core.constants import DEPTH_LEVELS_MAX
from core.messages import DEPTH_ITEM

LEVELS = 20
TRADES = 100


def instrument_named(reference: Instruments, symbol: str) -> Instrument:
    """The instrument of a path; Problem 404 when there is none."""
    instrument = reference.by_symbol.get(symbol)
    if instrument is None:
        raise Problem("not_found", f"no instrument {shown(symbol)}")
    return instrument


def instrument_json(instrument: Instrument) -> dict[str, Any]:
    """An instrument; a limit that is null is none, as is a tick table without steps."""
    quote = instrument.quote
    return {
        "id": str(instrument.id),
        "symbol": instrument.symbol,
        "type": instrument.type,
        "status": instrument.phase,
        "matching": instrument.matching,
        "base": instrument.base_name,
        "quote": quote.name,
        "tick": instrument.price_text(1),
        "lot": instrument.qty_text(1),
        "price_scale": instrument.tick_scale,
        "qty_scale": instrument.lot_scale,
        "maker_ppm": instrument.maker_ppm,
        "taker_ppm": instrument.taker_ppm,
        "qty_min": _or_none(instrument.qty_min, instrument.qty_text),
        "qty_max": _or_none(instrument.qty_max, instrument.qty_text),
        "notional_min": _or_none(instrument.notional_min, quote.text),
        "notional_max": _or_none(instrument.notional_max, quote.text),
        "price_min": _or_none(instrument.price_min, instrument.price_text),
        "price_max": _or_none(instrument.price_max, instrument.price_text),
        "band_ppm": instrument.band_ppm or None,
        "reference_price": _or_none(instrument.reference_price, instrument.price_text),
        "max_age_ms": instrument.max_age_ns // 1_000_000 or None,
        "day_end_ms": instrument.day_end_ns // 1_000_000,
        "tick_table": [
            {"from": instrument.price_text(start), "step": instrument.price_text(step)}
            for start, step in instrument.tick_table
        ],
        "short_ppm": instrument.short_ppm or None,
        "clearing_ms": instrument.clearing_ns // 1_000_000 or None,
        "payout": _or_none(instrument.payout, quote.text),
    }


def _or_none(value: int, text: Callable[[int], str]) -> str | None:
    return text(value) if value else None


def asset_json(asset: Asset) -> dict[str, Any]:
    """An asset; amounts have ``scale`` decimals."""
    return {"id": str(asset.id), "name": asset.name, "scale": asset.scale}


async def get_instruments(request: web.Request) -> web.Response:
    """GET /v1/instruments[?type=&status=]."""
    asked = parameters(request, ("type", "status"))
    reference = await exchange_of(request).instruments()
    items = [
        instrument_json(instrument)
        for instrument in reference.by_id.values()
        if asked.get("type", instrument.type) == instrument.type
        and asked.get("status", instrument.phase) == instrument.phase
    ]
    return answer(request, listing(items, reference.as_of))


async def get_instrument(request: web.Request) -> web.Response:
    """GET /v1/instruments/{symbol}."""
    parameters(request, ())
    reference = await exchange_of(request).instruments()
    instrument = instrument_named(reference, request.match_info["symbol"])
    content = {"instrument": instrument_json(instrument), "seq": reference.as_of}
    return answer(request, content)


async def get_assets(request: web.Request) -> web.Response:
    """GET /v1/assets."""
    parameters(request, ())
    reference = await exchange_of(request).instruments()
    items = [asset_json(asset) for asset in reference.assets.values()]
    return answer(request, listing(items, reference.as_of))


async def get_fees(request: web.Request) -> web.Response:
    """GET /v1/fees: parts per million of price x quantity, in the quote asset."""
    parameters(request, ())
    reference = await exchange_of(request).instruments()
    items = [
        {
            "instrument": instrument.symbol,
            "asset": instrument.quote.name,
            "maker_ppm": instrument.maker_ppm,
            "taker_ppm": instrument.taker_ppm,
        }
        for instrument in reference.by_id.values()
    ]
    return answer(request, listing(items, reference.as_of))


async def get_book(request: web.Request) -> web.Response:
    """GET …/book: levels [price, qty, orders, cumulative qty], best first."""
    asked = parameters(request, ("levels",))
    levels = whole(asked, "levels", LEVELS, 1, DEPTH_LEVELS_MAX)
    exchange = exchange_of(request)
    instrument = instrument_named(await exchange.instruments(), request.match_info["symbol"])
    slot = records.query(messages.QUERY_DEPTH, instrument=instrument.id, limit=levels)
    replies = await exchange.query(slot)
    bids, asks = sides(replies)
    as_of = int(replies[-1]["as_of"])
    content = {
        "instrument": instrument.symbol,
        "bids": _levels(bids[:levels], instrument),
        "asks": _levels(asks[:levels], instrument),
        "seq": as_of,
        "ts": time.time_ns() // 1_000,
    }
    return answer(request, content)


def sides(replies: "np.ndarray[Any, Any]") -> tuple[list[Any], list[Any]]:
    """Bids and asks of the replies to QUERY_DEPTH."""
    found: tuple[list[Any], list[Any]] = ([], [])
    for reply in replies:
        items = reply["body"][: int(reply["count"]) * DEPTH_ITEM.itemsize].view(DEPTH_ITEM)
        found[1 if int(reply["flags"]) & messages.ASKS else 0].extend(items)
    return found


def _levels(items: list[Any], instrument: Instrument) -> list[list[Any]]:
    levels, cumulative = [], 0
    for item in items:
        lots = int(item["qty"])
        cumulative += lots
        price = instrument.price_text(int(item["price"]))
        qty, total = instrument.qty_text(lots), instrument.qty_text(cumulative)
        levels.append([price, qty, int(item["orders"]), total])
    return levels


async def get_trades(request: web.Request) -> web.Response:
    """GET /v1/instruments/{symbol}/trades: the last ones that this process has seen, newest first.

    ``complete_from_seq`` is the sequence from which on none is missing here, as far as
    the last TRADES_KEPT of the instrument reach.
    """
    asked = parameters(request, ("limit", "cursor", "order", "from_seq"))
    limit = whole(asked, "limit", TRADES, 1, TRADES_KEPT)
    from_seq = whole(asked, "from_seq", 0, 0, 1 << 62)
    order = asked.get("order", "desc")
    if order not in ("asc", "desc"):
        fault = Fault("?order", "invalid_value", f"expected asc or desc, got {shown(order)}")
        raise Problem("validation", "1 parameter is not valid", errors=[fault])
    exchange = exchange_of(request)
    instrument = instrument_named(await exchange.instruments(), request.match_info["symbol"])
    rows = exchange.newest_feed.trades(instrument.id)
    rows = rows[rows["sequence"] >= from_seq]
    cursor = _cursor(asked.get("cursor"))
    if order == "desc":
        rows = rows[::-1]
    if cursor is not None:
        sequence, index = cursor
        later, same = rows["sequence"] > sequence, rows["sequence"] == sequence
        after = later | (same & (rows["index"] > index))
        exact = same & (rows["index"] == index)
        rows = rows[after] if order == "asc" else rows[~after & ~exact]
    page = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        next_cursor = f"{int(page[-1]['sequence'])}.{int(page[-1]['index'])}"
    undone = exchange.feed.undone
    items = [_trade(row, instrument, undone) for row in page]
    content = listing(items, exchange.sequence, next_cursor)
    content["complete_from_seq"] = exchange.feed.since
    return answer(request, content)


def _trade(row: Any, instrument: Instrument, undone: dict[str, Undone]) -> dict[str, Any]:
    sequence = int(row["sequence"])
    trade_id = f"{sequence}.{int(row['index'])}"
    now = undone.get(trade_id)
    said: dict[str, Any] = {}
    if now is not None and now.qty:
        price, qty = instrument.price_text(now.price), instrument.qty_text(now.qty)
        said = {"corrected": {"price": price, "qty": qty}}
    elif now is not None:
        said = {"busted": True}
    return {
        "trade_id": trade_id,
        "seq": sequence,
        "price": instrument.price_text(int(row["price"])),
        "qty": instrument.qty_text(int(row["qty"])),
        "side": "sell" if int(row["flags"]) & messages.SELL_SIDE else "buy",
        "ts": int(row["timestamp_ns"]) // 1_000,
        **said,
    }


def _cursor(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.split(".")
    if len(parts) == 2 and all(p.isascii() and p.isdigit() and len(p) <= 18 for p in parts):
        return int(parts[0]), int(parts[1])
    fault = Fault("?cursor", "invalid_value", "expected a next_cursor of this path")
    raise Problem("validation", "1 parameter is not valid", errors=[fault])
