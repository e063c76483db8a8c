"""Decimals at the edge: the integers of a state as text, by ticks, lots and scales of its rows."""

from datetime import UTC, datetime
from typing import Any, Final

from adapters.instruments import Asset, Instrument, instrument_of
from core import messages
from core.messages import text
from core.sequencer.state import State
from replay import views

SIDES: Final = {1: "buy", 2: "sell"}
ORDER_TYPES: Final = {1: "limit", 2: "market", 3: "stop", 4: "stop_limit", 5: "trailing_stop"}
TIMES_IN_FORCE: Final = {1: "gtc", 2: "ioc", 3: "fok", 4: "day", 5: "gtd"}
SELF_TRADES: Final = {1: "cancel_taker", 2: "cancel_maker", 3: "cancel_both", 4: "decrement"}
ORDER_FLAGS: Final = {
    messages.POST_ONLY: "post_only",
    messages.REDUCE_ONLY: "reduce_only",
    messages.SLIDE: "slide",
    messages.TRIGGERED: "triggered",
}
STATUSES: Final = {
    1: "open",
    2: "filled",
    3: "canceled",
    4: "expired",
    5: "rejected",
    6: "pending",
    7: "routed",
}


class Terms:
    """Assets, instruments and accounts of a state."""

    def __init__(self, state: State) -> None:
        self.assets = {
            number: Asset(number, text(row["name"]), int(row["scale"]))
            for number, row in enumerate(views.assets(state))
            if number
        }
        self.instruments = {
            number: instrument_of(number, row, self.assets)
            for number, row in enumerate(views.instruments(state))
            if number
        }
        self.accounts = views.account_names(state)

    def account(self, number: int) -> str:
        """Name of an account, or its number where it has none."""
        return self.accounts.get(number, f"#{number}")

    def hold(self, terms: Instrument, side: int, amount: int) -> str:
        """What an order of a side holds, with its asset."""
        asset = terms.hold_asset(side)
        return f"{asset.text(amount)} {asset.name}"


def time_text(timestamp_ns: int) -> str:
    """A time as ISO 8601 with nanoseconds, UTC."""
    seconds, rest = divmod(timestamp_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def order_fields(terms: Terms, order: dict[str, Any]) -> dict[str, Any]:
    """An order of ``views.order`` with names and decimals."""
    instrument = terms.instruments[order["instrument"]]
    side = order["side"]
    return {
        "order_id": order["order_id"],
        "client_order_id": order["client_order_id"],
        "account": terms.account(order["account"]),
        "instrument": instrument.symbol,
        "side": SIDES[side],
        "type": ORDER_TYPES.get(order["order_type"], str(order["order_type"])),
        "time_in_force": TIMES_IN_FORCE.get(order["time_in_force"], str(order["time_in_force"])),
        "status": STATUSES.get(order["status"], str(order["status"])),
        "price": instrument.price_text(order["price"]) if order["price"] else None,
        "leaves_qty": instrument.qty_text(order["leaves"]),
        "filled_qty": instrument.qty_text(order["cum"]),
        "fees": instrument.quote.text(order["fees"]),
        "hold": terms.hold(instrument, side, order["hold"]),
        "created": time_text(order["created_ns"]),
        **more_fields(terms, instrument, order),
    }


def more_fields(terms: Terms, instrument: Instrument, order: dict[str, Any]) -> dict[str, Any]:
    """The terms that most orders do not have, where this one has them."""
    found: dict[str, Any] = {}
    for name in ("stop_price", "protection_price"):
        if order.get(name):
            found[name] = instrument.price_text(order[name])
    if order.get("trail"):
        by_part = order["flags"] & messages.TRAIL_BPS
        found["trail_bps" if by_part else "trail"] = (
            order["trail"] if by_part else instrument.price_text(order["trail"])
        )
    if order.get("display_qty"):
        found["display_qty"] = instrument.qty_text(order["display_qty"])
    if order.get("expire_ns"):
        found["expires"] = time_text(order["expire_ns"])
    if order.get("self_trade"):
        found["self_trade"] = SELF_TRADES.get(order["self_trade"], str(order["self_trade"]))
    if order.get("partner"):
        found["partner"] = order["partner"]
    if order.get("tag"):
        found["tag"] = order["tag"]
    flags = [word for bit, word in ORDER_FLAGS.items() if order.get("flags", 0) & bit]
    return {**found, "flags": flags} if flags else found
