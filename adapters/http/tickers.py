"""Statistics of instruments: the day, all time, the best prices."""

from typing import Any, Final

from aiohttp import web

from adapters.http import records
from adapters.http.exchange import Exchange
from adapters.http.market import instrument_named, sides
from adapters.http.replies import answer, exchange_of, listing, parameters, whole
from adapters.instruments import Instrument
from core import messages
from core.messages import STATS_REPLY

LIMIT_MAX: Final = 100


async def get_tickers(request: web.Request) -> web.Response:
    """GET /v1/tickers: of all instruments, by number."""
    asked = parameters(request, ("limit", "cursor"))
    limit = whole(asked, "limit", LIMIT_MAX, 1, LIMIT_MAX)
    cursor = whole(asked, "cursor", 0, 0, 1 << 31)
    exchange = exchange_of(request)
    reference = await exchange.instruments()
    numbers = [number for number in sorted(reference.by_id) if number > cursor]
    items, seq = [], exchange.sequence
    for place, number in enumerate(numbers[:limit]):
        item, as_of = await _ticker(exchange, reference.by_id[number])
        seq = min(seq, as_of) if place else as_of
        items.append(item)
    more = str(numbers[limit - 1]) if len(numbers) > limit else None
    return answer(request, listing(items, seq, more))


async def get_ticker(request: web.Request) -> web.Response:
    """GET /v1/tickers/{symbol}."""
    parameters(request, ())
    exchange = exchange_of(request)
    reference = await exchange.instruments()
    instrument = instrument_named(reference, request.match_info["symbol"])
    item, as_of = await _ticker(exchange, instrument)
    return answer(request, {"ticker": item, "seq": as_of})


async def get_best(request: web.Request) -> web.Response:
    """GET /v1/instruments/{symbol}/bbo: the best price of both sides; null where there is none."""
    parameters(request, ())
    exchange = exchange_of(request)
    reference = await exchange.instruments()
    instrument = instrument_named(reference, request.match_info["symbol"])
    slot = records.query(messages.QUERY_DEPTH, instrument=instrument.id, limit=1)
    replies = await exchange.query(slot)
    bids, asks = sides(replies)
    content: dict[str, Any] = {"instrument": instrument.symbol}
    for name, levels in (("bid", bids), ("ask", asks)):
        best = levels[0] if levels else None
        content[f"{name}_price"] = best and instrument.price_text(int(best["price"]))
        content[f"{name}_qty"] = best and instrument.qty_text(int(best["qty"]))
    return answer(request, {**content, "seq": int(replies[-1]["as_of"])})


async def _ticker(exchange: Exchange, instrument: Instrument) -> tuple[dict[str, Any], int]:
    slot = records.query(messages.QUERY_STATS, instrument=instrument.id)
    row = (await exchange.query(slot)).view(STATS_REPLY)[0]
    value = {name: int(row[name]) for name in STATS_REPLY.names or () if name != "reserved"}
    traded = value["day_trades"] > 0

    def price(name: str) -> str | None:
        return instrument.price_text(value[name]) if value[name] else None

    volume = value["day_volume"]
    return {
        "instrument": instrument.symbol,
        "status": instrument.phase,
        "last_price": price("last_price"),
        "open": price("day_open"),
        "high": price("day_high"),
        "low": price("day_low"),
        "volume": instrument.qty_text(volume),
        "notional": instrument.quote.text(value["day_notional"]),
        "vwap": instrument.average_price(value["day_notional"], volume) if volume else None,
        "trades": value["day_trades"],
        "day_ends_ts": value["day_ends_ns"] // 1_000 if traded else None,
        "total_volume": instrument.qty_text(value["volume"]),
        "total_notional": instrument.quote.text(value["notional"]),
        "total_trades": value["trades"],
        "asset": instrument.quote.name,
    }, int(row["as_of"])
