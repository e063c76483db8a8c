"""Decimals at the edge: the integers of a state as text, by ticks, lots and scales of its rows."""

from datetime import UTC, datetime
from typing import Any, Final

from adapters.instruments import Asset, Instrument, instrument_of
from core.messages import text
from core.sequencer.state import State
from replay import views

SIDES: Final = {1: "buy", 2: "sell"}
ORDER_TYPES: Final = {1: "limit", 2: "market", 3: "stop", 4: "stop_limit", 5: "trailing_stop"}
TIMES_IN_FORCE: Final = {1: "gtc", 2: "ioc", 3: "fok", 4: "day", 5: "gtd"}
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
    market = order["order_type"] != 1
    return {
        "order_id": order["order_id"],
        "client_order_id": order["client_order_id"],
        "account": terms.account(order["account"]),
        "instrument": instrument.symbol,
        "side": SIDES[side],
        "type": ORDER_TYPES.get(order["order_type"], str(order["order_type"])),
        "time_in_force": TIMES_IN_FORCE.get(order["time_in_force"], str(order["time_in_force"])),
        "status": STATUSES.get(order["status"], str(order["status"])),
        "price": None if market else instrument.price_text(order["price"]),
        "leaves_qty": instrument.qty_text(order["leaves"]),
        "filled_qty": instrument.qty_text(order["cum"]),
        "fees": instrument.quote.text(order["fees"]),
        "hold": terms.hold(instrument, side, order["hold"]),
        "created": time_text(order["created_ns"]),
    }
