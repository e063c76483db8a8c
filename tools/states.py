"""``outcry book`` and ``outcry account``: a state in decimals, as text and as fields."""

from collections.abc import Iterator
from typing import Any

from core.sequencer.state import State
from replay import views
from tools.explain import Told
from tools.terms import Terms, order_fields, time_text

Row = dict[str, Any]


def book(state: State, symbol: str, depth: int, *, with_orders: bool) -> Told:
    """Levels of both sides, best first, and their orders, oldest first, if asked for."""
    number = views.find_instrument(state, symbol)
    terms = Terms(state)
    instrument = terms.instruments[number]
    sides: dict[str, list[Row]] = {}
    for side, levels in views.book(state, number, depth, with_orders=with_orders).items():
        rows = sides[side] = []
        for level in levels:
            row: Row = {
                "price": instrument.price_text(level.price),
                "qty": instrument.qty_text(level.qty),
                "orders": level.orders,
            }
            if with_orders:
                row["queue"] = [order_fields(terms, order) for order in level.queue]
            rows.append(row)
    last = int(views.instruments(state)[number]["last_price"])
    fields: Row = {
        "instrument": symbol,
        "sequence": state["sequence"],
        "time": time_text(state["timestamp_ns"]),
        "last_price": instrument.price_text(last) if last else None,
        **sides,
    }
    return Told(list(_book_lines(fields)), fields)


def _book_lines(fields: Row) -> Iterator[str]:
    last = fields["last_price"] or "none"
    yield (
        f"{fields['instrument']} after sequence {fields['sequence']:,} ({fields['time']}), "
        f"last price {last}"
    )
    yield f"{'':4} {'price':>16} {'qty':>16} {'orders':>7}"
    for word, rows in (("ask", fields["asks"][::-1]), ("bid", fields["bids"])):
        for row in rows:
            yield f"{word:<4} {row['price']:>16} {row['qty']:>16} {row['orders']:>7}"
            for order in row.get("queue", ()):
                yield f"{'':22}{order['leaves_qty']:>16} {_who(order)}"
        if not rows:
            yield f"{word:<4} {'none':>16}"


def _who(order: Row) -> str:
    return f"{order['order_id']} {order['client_order_id']} of {order['account']}".replace(
        "  ", " "
    )


def account(state: State, name: str) -> Told:
    """Balances, positions and open orders."""
    number = views.find_account(state, name)
    terms = Terms(state)
    found = views.account(state, number)
    balances = []
    for row in found["balances"]:
        asset = terms.assets[row["asset"]]
        balances.append(
            {
                "asset": asset.name,
                "total": asset.text(row["available"] + row["held"]),
                "available": asset.text(row["available"]),
                "held": asset.text(row["held"]),
            }
        )
    positions = []
    for row in found["positions"]:
        instrument = terms.instruments[row["instrument"]]
        lots = {key: instrument.qty_text(row[key]) for key in ("net", "bought", "sold", "held")}
        money = {key: instrument.quote.text(row[key]) for key in ("cost", "realized")}
        positions.append({"instrument": instrument.symbol, **lots, **money})
    fields: Row = {
        "account": name,
        "sequence": state["sequence"],
        "time": time_text(state["timestamp_ns"]),
        "balances": balances,
        "positions": positions,
        "open_orders": [order_fields(terms, order) for order in found["open_orders"]],
    }
    return Told(list(_account_lines(fields)), fields)


def _account_lines(fields: Row) -> Iterator[str]:
    yield f"{fields['account']} after sequence {fields['sequence']:,} ({fields['time']})"
    yield f"{'asset':<12} {'total':>24} {'available':>24} {'held':>24}"
    for row in fields["balances"]:
        yield f"{row['asset']:<12} {row['total']:>24} {row['available']:>24} {row['held']:>24}"
    if fields["positions"]:
        yield f"{'position':<12} {'net':>16} {'cost':>20} {'realized':>20} {'held':>16}"
    for row in fields["positions"]:
        net, held = f"{row['net']:>16}", f"{row['held']:>16}"
        yield f"{row['instrument']:<12} {net} {row['cost']:>20} {row['realized']:>20} {held}"
    for row in fields["open_orders"]:
        yield (
            f"{row['order_id']} {row['client_order_id']}: {row['side']} {row['leaves_qty']} "
            f"{row['instrument']} at {row['price']}, {row['filled_qty']} filled, "
            f"holds {row['hold']}"
        )
    if not fields["open_orders"]:
        yield "no open orders"
