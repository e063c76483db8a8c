"""Open orders, balances and positions of the asker."""

from typing import Any

from aiohttp import web

from adapters.http import answers, records
from adapters.http.auth import trader
from adapters.http.development import amounts
from adapters.http.exchange import Exchange
from adapters.http.lookup import client_target
from adapters.http.market import instrument_named
from adapters.http.orders import show_order
from adapters.http.problems import Fault, Problem
from adapters.http.replies import answer, exchange_of, listing, parameters, whole
from adapters.instruments import Instrument, Instruments
from core import messages
from core.constants import OPEN_ORDERS_PAGE_MAX, ORDER_SLOT_BITS, SEQUENCE_MAX
from core.reasons import Reason

LIMIT_MAX = 1_000
PAGES_MAX = 64


async def get_orders(request: web.Request) -> web.Response:
    """GET /v1/orders: open orders, ascending by order id; ?client_order_id= looks up one order."""
    who = await trader(request)
    exchange = exchange_of(request)
    known = ("status", "instrument", "limit", "cursor", "from_seq", "order", "client_order_id")
    asked = parameters(request, known)
    if "client_order_id" in asked:
        target = client_target(asked["client_order_id"], "?client_order_id")
        return await show_order(request, exchange, who, target)
    for name, built in (("status", "open"), ("order", "asc")):
        if asked.get(name, built) != built:
            detail = f"only {built} is built yet, got {asked[name][:64]!a}"
            fault = Fault(f"?{name}", "not_supported", detail)
            raise Problem("not_supported", "1 parameter is not supported", errors=[fault])
    limit = whole(asked, "limit", 100, 1, LIMIT_MAX)
    from_seq = whole(asked, "from_seq", 0, 0, SEQUENCE_MAX)
    cursor = _cursor(asked.get("cursor")) or max(0, (from_seq << ORDER_SLOT_BITS) - 1)
    reference = await exchange.instruments()
    instrument = 0
    if "instrument" in asked:
        found = reference.by_symbol.get(asked["instrument"])
        if found is None:
            fault = Fault("?instrument", "unknown_instrument", "no such instrument")
            raise Problem("validation", "1 parameter is not valid", errors=[fault])
        instrument = found.id
    rows, as_of, more = await _open_orders(exchange, who.account, instrument, cursor, limit)
    reference = await exchange.instruments(row.instrument for row in rows)
    items = [answers.order_json(answers.of_row(row), reference) for row in rows]
    next_cursor = f"{more:x}" if more else None
    return answer(request, listing(items, as_of, next_cursor))


async def _open_orders(
    exchange: Exchange, account: int, instrument: int, cursor: int, limit: int
) -> tuple[list[records.OrderRow], int, int]:
    """Rows, the sequence of the first page, the cursor of the next page (0: there is none)."""
    rows: list[records.OrderRow] = []
    as_of = None
    for _ in range(PAGES_MAX):
        slot = records.query(
            messages.QUERY_OPEN_ORDERS,
            account=account,
            instrument=instrument,
            cursor=cursor,
            limit=min(OPEN_ORDERS_PAGE_MAX, limit - len(rows)),
        )
        page = records.orders_of(await exchange.query(slot))
        last = page[-1]
        as_of = last.as_of if as_of is None else as_of
        found = [row for row in page if row.reason == Reason.NONE and row.order_id > cursor]
        rows.extend(row for row in found if instrument in (0, row.instrument))
        if not found or not last.flags & messages.MORE:
            return rows, as_of, 0
        cursor = found[-1].order_id
        if len(rows) >= limit:
            break
    return rows, as_of or 0, cursor


def _cursor(text: str | None) -> int:
    if text is None:
        return 0
    try:
        cursor = int(text, 16) if len(text) <= 16 else -1
    except ValueError:
        cursor = -1
    if not 0 < cursor < 1 << 63:
        fault = Fault("?cursor", "invalid_value", "expected a next_cursor of this path")
        raise Problem("validation", "1 parameter is not valid", errors=[fault])
    return cursor


async def get_balances(request: web.Request) -> web.Response:
    """GET /v1/balances."""
    who = await trader(request)
    exchange = exchange_of(request)
    parameters(request, ())
    rows, as_of = await amounts(exchange, messages.QUERY_BALANCES, who.account)
    reference = await exchange.instruments(assets=_ids(rows))
    return answer(request, listing(_balances(rows, reference), as_of))


async def get_positions(request: web.Request) -> web.Response:
    """GET /v1/positions, /v1/positions/{instrument}."""
    who = await trader(request)
    exchange = exchange_of(request)
    parameters(request, ())
    rows, as_of = await amounts(exchange, messages.QUERY_POSITIONS, who.account)
    reference = await exchange.instruments(_ids(rows))
    symbol = request.match_info.get("symbol")
    if symbol is None:
        return answer(request, listing(_positions(rows, reference), as_of))
    instrument = instrument_named(reference, symbol)
    mine = [row for row in rows if int(row["id"]) == instrument.id]
    if not mine:
        raise Problem("not_found", f"no position in {instrument.symbol}", extra={"seq": as_of})
    return answer(request, {"position": _positions(mine, reference)[0], "seq": as_of})


async def get_account(request: web.Request) -> web.Response:
    """GET /v1/account: who I am and what I have; ``seq`` is that of the older of both reads."""
    who = await trader(request)
    exchange = exchange_of(request)
    parameters(request, ())
    balances, first = await amounts(exchange, messages.QUERY_BALANCES, who.account)
    positions, second = await amounts(exchange, messages.QUERY_POSITIONS, who.account)
    reference = await exchange.instruments(_ids(positions), _ids(balances))
    content = {
        "account": {"id": str(who.account), "name": who.name},
        "balances": _balances(balances, reference),
        "positions": _positions(positions, reference),
        "seq": min(first, second),
    }
    return answer(request, content)


def _ids(rows: list[Any]) -> list[int]:
    return [int(row["id"]) for row in rows]


def _balances(rows: list[Any], reference: Instruments) -> list[dict[str, Any]]:
    items = []
    for row in rows:
        asset = reference.assets[int(row["id"])]
        items.append(
            {
                "asset": asset.name,
                "total": asset.text(int(row["total"])),
                "available": asset.text(int(row["available"])),
                "reserved": asset.text(int(row["held"])),
            }
        )
    return items


def _positions(rows: list[Any], reference: Instruments) -> list[dict[str, Any]]:
    items = []
    for row in rows:
        instrument = reference.by_id[int(row["id"])]
        quote = instrument.quote
        net, cost = int(row["net"]), int(row["cost"])
        average = instrument.average_price(abs(cost), abs(net)) if net else None
        items.append(
            {
                "instrument": instrument.symbol,
                "net_qty": instrument.qty_text(net),
                "avg_price": average,
                "cost": quote.text(cost),
                "realized_pnl": quote.text(int(row["realized"])),
                "reserved": instrument.qty_text(int(row["held"])),
                "bought_qty": instrument.qty_text(int(row["bought"])),
                "sold_qty": instrument.qty_text(int(row["sold"])),
                "asset": quote.name,
                **_special(row, instrument),
                **_debts(row, instrument),
            }
        )
    return items


def _special(row: Any, instrument: Instrument) -> dict[str, str]:
    """What a position has where its instrument allows short selling, or is cleared."""
    found = {}
    # Switched off, what is short stays short.
    if instrument.short_ppm or row["short"] or row["shorting"]:
        found["short_qty"] = instrument.qty_text(int(row["short"]))
        found["shorting_qty"] = instrument.qty_text(int(row["shorting"]))
        found["collateral"] = instrument.quote.text(int(row["collateral"]))
    if instrument.clearing_ns:  # It cannot be switched off while anything is due.
        found["due_qty"] = instrument.qty_text(int(row["due_base"]))
        found["due_amount"] = instrument.quote.text(int(row["due_quote"]))
    return found


def _debts(row: Any, instrument: Instrument) -> dict[str, str]:
    """What executions outside took and the account had not; nothing where there is none."""
    found = {}
    if row["debt"]:
        found["debt"] = instrument.quote.text(int(row["debt"]))
    if row["debt_base"] and instrument.base is not None:
        found["debt_base"] = instrument.base.text(int(row["debt_base"]))
    return found
