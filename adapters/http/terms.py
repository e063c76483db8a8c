"""From the members of a body to the fields of a command: every check, every fault at once.

No rule of trading lives here: only the form, what is not built yet, and what would not fit a word.
What the core decides (bands, limits, funds) the core decides, so that it is journaled.
"""

import re
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from adapters.http.bodies import Body, PlaceOrder, PlainOrder
from adapters.http.members import choice, lots, ticks
from adapters.http.problems import Faults
from adapters.http.special import PRICED, STOPPED, TIFS, TYPES, Kind, More, more_terms
from adapters.instruments import Instrument, Instruments
from adapters.units import INT64_MAX, UnitError, shown
from core import messages
from core.constants import MONEY_MAX

SIDES: Final = {"buy": messages.BUY, "sell": messages.SELL}
# What the direct way takes: one slot says all of it, and all of the answer is in its events.
PLAIN_TYPES: Final = {"limit": messages.LIMIT, "market": messages.MARKET}
PLAIN_TIFS: Final = {"gtc": messages.GTC, "ioc": messages.IOC, "fok": messages.FOK}
BASES: Final = {"total": messages.QTY_TOTAL, "leaves": messages.QTY_LEAVES}
SIDE_NAMES: Final = {number: name for name, number in SIDES.items()}
TYPE_NAMES: Final = {number: name for name, number in TYPES.items()}
TIF_NAMES: Final = {number: name for name, number in TIFS.items()}
RECV_WINDOW_MS_MAX: Final = 86_400_000

_PLAIN: Final = ("client_order_id", "instrument", "side", "type", "price", "qty", "tif")
assert PlainOrder.__struct_fields__ == _PLAIN
_CLIENT_ORDER_ID: Final = re.compile(r"[\x21-\x7e]{1,36}")


class PlaceTerms(NamedTuple):
    """The fields of PLACE_ORDER; price in ticks (0: MARKET), qty in lots."""

    client_order_id: str
    instrument: Instrument
    side: int
    order_type: int
    time_in_force: int
    price: int
    qty: int
    expire_after_ns: int
    more: More | None = None  # A plain order has no more.


def place_terms(
    body: PlaceOrder,
    faults: Faults,
    headers: Mapping[str, str],
    instruments: Instruments,
    *,
    is_test: bool = False,
) -> PlaceTerms:
    """Terms of an order; raises the Problem that names every fault.  A test needs no id."""
    client_order_id = client_id(body.client_order_id, faults, headers, required=not is_test)
    not_built(body, faults, ("group",))
    if "respond-async" in headers.get("Prefer", ""):
        faults.add("header:Prefer", "not_supported", "respond-async is not built yet")
    instrument = known_instrument(body.instrument, faults, instruments)
    side = choice("side", body.side, SIDES, faults)
    order_type = choice("type", body.type, TYPES, faults)
    if body.stop_price is not None:
        order_type = STOPPED.get(order_type, order_type)
    choice("resp", body.resp or "full", {"full": 0}, faults)
    default_tif = "ioc" if order_type == messages.MARKET else "gtc"
    tif = choice("tif", body.tif or default_tif, TIFS, faults)
    price = _price(body.price, order_type, instrument, faults)
    qty = lots("qty", body.qty, instrument, faults, required=True)
    _check_notional(price, qty, instrument, faults)
    more = more_terms(body, Kind(side, order_type, tif, qty), instrument, faults)
    expiry = expire_after_ns(body.expire_after_ts, body.recv_window_ms, faults)
    faults.check()
    assert instrument is not None
    return PlaceTerms(client_order_id, instrument, side, order_type, tif, price, qty, expiry, more)


def plain_terms(
    client_order_id: str | None, members: tuple[Any, ...], instruments: Instruments
) -> PlaceTerms | None:
    """Terms of an order about which there is nothing to say; None: ``place_terms`` may say more.

    ``members`` are those of a PlainOrder behind the client order id, in their order.
    """
    symbol, side_word, type_word, price_text, qty_text, tif_word = members
    instrument, side = instruments.by_symbol.get(symbol), SIDES.get(side_word)
    order_type = PLAIN_TYPES.get(type_word)
    is_market = order_type == messages.MARKET
    tif = PLAIN_TIFS.get(tif_word or ("ioc" if is_market else "gtc"))
    if (
        client_order_id is None
        or instrument is None
        or side is None
        or order_type is None
        or tif is None
        or qty_text is None
        or (price_text is None) != is_market
        or (is_market and tif != messages.IOC)
        or not is_client_id(client_order_id)
    ):
        return None
    try:
        price = 0 if is_market else instrument.ticks(price_text)
        qty = instrument.lots(qty_text)
    except UnitError:
        return None
    if price * qty * instrument.multiplier > INT64_MAX:
        return None
    return PlaceTerms(client_order_id, instrument, side, order_type, tif, price, qty, 0)


def client_id(
    value: str | None, faults: Faults, headers: Mapping[str, str], *, required: bool = False
) -> str:
    """The client order id, also as header Idempotency-Key; '' when there is none."""
    where, key = "/client_order_id", headers.get("Idempotency-Key")
    if faults.at(where):
        return ""
    if value is not None and key is not None and key != value:
        faults.add(where, "conflict", f"differs from header Idempotency-Key {shown(key)}")
        return ""
    if value is None and key is not None:
        where, value = "header:Idempotency-Key", key
    if value is None:
        if required:
            faults.add(where, "client_order_id", "required: 1-36 characters 0x21-0x7E")
        return ""
    if not is_client_id(value):
        detail = f"expected 1-36 characters 0x21-0x7E, got {len(value)}: {shown(value)}"
        faults.add(where, "client_order_id", detail)
        return ""
    return value


def is_client_id(value: str) -> bool:
    """Whether the text can be a client order id or the name of an account."""
    return _CLIENT_ORDER_ID.fullmatch(value) is not None


def not_built(body: Body, faults: Faults, names: tuple[str, ...]) -> None:
    """Refuse members whose feature is not built: anything but null and false."""
    for name in names:
        value = getattr(body, name)
        if value is not None and value is not False:
            faults.add(f"/{name}", "not_supported", f"{name} is not built yet, got {shown(value)}")


def known_instrument(
    symbol: str | None, faults: Faults, instruments: Instruments
) -> Instrument | None:
    """The instrument of that name; None and a fault when there is none."""
    if faults.at("/instrument"):
        return None
    if symbol is None:
        faults.add("/instrument", "required", "required: the symbol of an instrument")
        return None
    instrument = instruments.by_symbol.get(symbol)
    if instrument is None:
        faults.add("/instrument", "unknown_instrument", f"no instrument {shown(symbol)}")
    return instrument


def _price(
    value: str | None, order_type: int, instrument: Instrument | None, faults: Faults
) -> int:
    if faults.at("/price"):
        return 0
    if order_type not in (0, *PRICED) and value is not None:
        faults.add("/price", "price_not_allowed", f"a {TYPE_NAMES[order_type]} order has no price")
        return 0
    if order_type in PRICED and value is None:
        detail = f"a {TYPE_NAMES[order_type]} order needs a price"
        faults.add("/price", "price_missing", detail)
        return 0
    return ticks("price", value, instrument, faults)


def _check_notional(price: int, qty: int, instrument: Instrument | None, faults: Faults) -> None:
    """A product that fits no word is refused here; whether it is within the limits, by the core."""
    if instrument is None or price * qty * instrument.multiplier <= INT64_MAX:
        return
    most = instrument.quote.text(MONEY_MAX)
    name = instrument.quote.name
    faults.add("/qty", "notional_too_large", f"price x qty: expected at most {most} {name}")


def expire_after_ns(expire_after_ts: int | None, recv_window_ms: int | None, faults: Faults) -> int:
    """When the request expires (C7), the earlier of both ways to say it; 0 for never."""
    ends = []
    if expire_after_ts is not None:
        if 0 < expire_after_ts <= INT64_MAX // 1_000:
            ends.append(expire_after_ts * 1_000)
        else:
            detail = f"expected microseconds since 1970 (UTC), got {shown(expire_after_ts)}"
            faults.add("/expire_after_ts", "invalid_value", detail)
    if recv_window_ms is not None:
        if 0 < recv_window_ms <= RECV_WINDOW_MS_MAX:
            ends.append(time.time_ns() + recv_window_ms * 1_000_000)
        else:
            detail = f"expected 1-{RECV_WINDOW_MS_MAX} ms, got {shown(recv_window_ms)}"
            faults.add("/recv_window_ms", "invalid_value", detail)
    return min(ends, default=0)
