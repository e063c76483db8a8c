"""``outcry book`` and ``outcry account``: a state in decimals, as text and as fields."""

from collections.abc import Iterator
from typing import Any, Final

from core.messages import ACCOUNT_ACTIVE
from core.sequencer.state import State
from replay import views
from tools.explain import Told
from tools.terms import SELF_TRADES, Terms, order_fields, time_text

Row = dict[str, Any]

# What only some positions have.
LOTS: Final = ("short", "shorting", "reserved_yes", "reserved_no", "settled", "due_base")
CASH: Final = ("collateral", "due_quote", "debt")
ODD: Final = ("status", "kill_switch", "self_trade")


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
        more = {
            **{key: instrument.qty_text(row[key]) for key in LOTS if row.get(key)},
            **{key: instrument.quote.text(row[key]) for key in CASH if row.get(key)},
        }
        if row.get("debt_base") and instrument.base is not None:
            more["debt_base"] = instrument.base.text(row["debt_base"])
        positions.append({"instrument": instrument.symbol, **lots, **money, **more})
    fields: Row = {
        "account": name,
        "sequence": state["sequence"],
        "time": time_text(state["timestamp_ns"]),
        **_account_fields(found["account"]),
        "balances": balances,
        "positions": positions,
        "open_orders": [order_fields(terms, order) for order in found["open_orders"]],
    }
    return Told(list(_account_lines(fields)), fields)


def _account_fields(row: Row) -> Row:
    """What is not as usual: suspended, killed, with a way of preventing self-trades."""
    found: Row = {}
    if row["status"] != ACCOUNT_ACTIVE:
        found["status"] = "suspended"
    if row["killed"]:
        found["kill_switch"] = True
    if row["self_trade"]:
        found["self_trade"] = SELF_TRADES.get(row["self_trade"], str(row["self_trade"]))
    return found


def _account_lines(fields: Row) -> Iterator[str]:
    yield f"{fields['account']} after sequence {fields['sequence']:,} ({fields['time']})"
    odd = [f"{name} {fields[name]}" for name in ODD if name in fields]
    if odd:
        yield ", ".join(odd)
    yield f"{'asset':<12} {'total':>24} {'available':>24} {'held':>24}"
    for row in fields["balances"]:
        yield f"{row['asset']:<12} {row['total']:>24} {row['available']:>24} {row['held']:>24}"
    if fields["positions"]:
        yield f"{'position':<12} {'net':>16} {'cost':>20} {'realized':>20} {'held':>16}"
    for row in fields["positions"]:
        net, held = f"{row['net']:>16}", f"{row['held']:>16}"
        yield f"{row['instrument']:<12} {net} {row['cost']:>20} {row['realized']:>20} {held}"
        more = [f"{key} {row[key]}" for key in (*LOTS, *CASH, "debt_base") if key in row]
        if more:
            yield f"{'':12} {', '.join(more)}"
    for row in fields["open_orders"]:
        price = f"at {row['price']}" if row["price"] else row["type"]
        waits = f", waits for {row['stop_price']}" if row["status"] == "pending" else ""
        yield (
            f"{row['order_id']} {row['client_order_id']}: {row['side']} {row['leaves_qty']} "
            f"{row['instrument']} {price}{waits}, {row['filled_qty']} filled, "
            f"holds {row['hold']}"
        )
    if not fields["open_orders"]:
        yield "no open orders"
