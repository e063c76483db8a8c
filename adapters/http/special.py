"""Terms of an order that a plain one does not have: stops, icebergs, pairs, expiry, prevention.

Which of them go together is a matter of form (docs/engine-terms.md), so it is said here, before
anything is sent; whether the market lets them pass is the core's to say.
"""

import re
from typing import Any, Final, NamedTuple

from adapters.http import members
from adapters.http.bodies import PlaceOrder
from adapters.http.problems import Faults
from adapters.instruments import Instrument
from adapters.units import INT64_MAX, shown
from core import messages
from core.messages import (
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
)

TYPES: Final = {
    "limit": LIMIT,
    "market": MARKET,
    "stop": STOP,
    "stop_limit": STOP_LIMIT,
    "trailing_stop": TRAILING_STOP,
}
TIFS: Final = {"gtc": GTC, "ioc": IOC, "fok": FOK, "day": DAY, "gtd": GTD}
MODES: Final = {
    "none": messages.STP_NONE,
    "cancel_taker": messages.STP_CANCEL_TAKER,
    "cancel_maker": messages.STP_CANCEL_MAKER,
    "cancel_both": messages.STP_CANCEL_BOTH,
    "decrement": messages.STP_DECREMENT,
}
FLAGS: Final = {
    "post_only": messages.POST_ONLY,
    "reduce_only": messages.REDUCE_ONLY,
    "slide": messages.SLIDE,
}
BPS_MAX: Final = 9_999
STAYING: Final = (GTC, DAY, GTD)
STOPS: Final = (STOP, STOP_LIMIT, TRAILING_STOP)
PRICED: Final = (LIMIT, STOP_LIMIT)
# With a stop price these are stops.
STOPPED: Final = {LIMIT: STOP_LIMIT, MARKET: STOP}

_ORDER_ID: Final = re.compile(r"[0-9]{1,19}")
_TAG: Final = re.compile(r"[\x21-\x7e]{1,36}")


class More(NamedTuple):
    """What PLACE_ORDER has besides; in ticks, lots and quote units, 0 or '' where there is none."""

    self_trade: int = 0
    flags: int = 0
    expire_ns: int = 0
    display_qty: int = 0
    stop_price: int = 0
    trail: int = 0
    min_qty: int = 0
    max_cost: int = 0
    protection_price: int = 0
    oco: int = 0
    tag: str = ""

    @property
    def has_slot_2(self) -> bool:
        """Whether the command needs its second slot."""
        return any(self[4:])


NOTHING: Final = More()


class Kind(NamedTuple):
    """The order that the terms are of; a number is 0 where it is at fault."""

    side: int
    order_type: int
    tif: int
    qty: int


def more_terms(
    body: PlaceOrder, kind: Kind, instrument: Instrument | None, faults: Faults
) -> More | None:
    """The terms that are not plain; None when there are none."""
    fits = _Fits(body, kind, faults)
    flags = fits.flags() | fits.trailing()
    more = More(
        self_trade=members.choice("stp", body.stp or "none", MODES, faults),
        flags=flags,
        expire_ns=fits.expiry(),
        display_qty=fits.display(members.lots("display_qty", body.display_qty, instrument, faults)),
        stop_price=fits.stop(members.ticks("stop_price", body.stop_price, instrument, faults)),
        trail=body.trail_bps or members.ticks("trail", body.trail, instrument, faults),
        min_qty=fits.least(members.lots("min_qty", body.min_qty, instrument, faults)),
        max_cost=fits.cost(members.quote("max_cost", body.max_cost, instrument, faults)),
        protection_price=fits.protection(
            members.ticks("protection_price", body.protection_price, instrument, faults)
        ),
        oco=fits.partner(),
        tag=tag(body.tag, faults),
    )
    fits.times()
    return None if more == NOTHING else more


def tag(value: str | None, faults: Faults) -> str:
    """A tag, or ''."""
    if value is None or faults.at("/tag"):
        return ""
    if not _TAG.fullmatch(value):
        detail = f"expected 1-36 characters 0x21-0x7E, got {len(value)}: {shown(value)}"
        faults.add("/tag", "invalid_value", detail)
        return ""
    return value


class _Fits:
    """Does each term go with the type and the time in force?"""

    def __init__(self, body: PlaceOrder, kind: Kind, faults: Faults) -> None:
        self._body, self._kind, self._faults = body, kind, faults
        self._rests = kind.order_type == LIMIT and kind.tif in STAYING

    def _needs(self, name: str, given: Any, fits: bool, words: str) -> None:  # noqa: FBT001
        """A fault where it is given and does not fit; nothing where the kind is not known."""
        known = self._kind.order_type and self._kind.tif
        where = f"/{name}"
        if given and known and not fits and not self._faults.at(where):
            self._faults.add(where, "invalid_value", f"{name} is for {words} only")

    def times(self) -> None:
        kind, where = self._kind, "/tif"
        if not kind.order_type or not kind.tif or self._faults.at(where):
            return
        word = next(name for name, number in TIFS.items() if number == kind.tif)
        if kind.order_type == MARKET and kind.tif != IOC:
            self._faults.add(where, "invalid_value", f"a market order is 'ioc', got {word!r}")
        if kind.order_type in STOPS and kind.tif not in STAYING:
            detail = f"a stop is 'gtc', 'day' or 'gtd', got {word!r}"
            self._faults.add(where, "invalid_value", detail)

    def flags(self) -> int:
        body, tif = self._body, self._kind.tif
        staying = "limit orders that are gtc, day or gtd"
        self._needs("post_only", body.post_only, self._rests, staying)
        self._needs("slide", body.slide, bool(body.post_only), "orders that are post_only")
        lone = tif != FOK and not body.post_only and body.oco is None
        self._needs("reduce_only", body.reduce_only, lone, "orders without fok, post_only, oco")
        return sum(bit for name, bit in FLAGS.items() if getattr(body, name))

    def trailing(self) -> int:
        body, trails = self._body, self._kind.order_type == TRAILING_STOP
        for name in ("trail", "trail_bps"):
            self._needs(name, getattr(body, name) is not None, trails, "trailing stops")
        given = (body.trail is not None) + (body.trail_bps is not None)
        if trails and given != 1 and not self._faults.at("/trail"):
            detail = "required: either 'trail', a distance as text, or 'trail_bps'"
            self._faults.add("/trail", "required", detail)
        if body.trail_bps is None:
            return 0
        if not 1 <= body.trail_bps <= BPS_MAX and not self._faults.at("/trail_bps"):
            detail = f"expected 1 to {BPS_MAX}, got {shown(body.trail_bps)}"
            self._faults.add("/trail_bps", "invalid_value", detail)
        return messages.TRAIL_BPS

    def expiry(self) -> int:
        value, is_gtd, where = self._body.expire_ts, self._kind.tif == GTD, "/expire_ts"
        self._needs("expire_ts", value is not None, is_gtd, "gtd orders")
        if value is None:
            if is_gtd and not self._faults.at(where):
                detail = "required with 'gtd': microseconds since 1970 (UTC)"
                self._faults.add(where, "required", detail)
            return 0
        if not 0 < value <= INT64_MAX // 1_000 and not self._faults.at(where):
            detail = f"expected microseconds since 1970 (UTC), got {shown(value)}"
            self._faults.add(where, "invalid_value", detail)
            return 0
        return value * 1_000

    def display(self, lots: int) -> int:
        self._needs("display_qty", lots, self._rests, "limit orders that are gtc, day or gtd")
        return self._at_most_all("display_qty", lots)

    def least(self, lots: int) -> int:
        fits = self._kind.order_type == LIMIT and self._kind.tif == IOC
        self._needs("min_qty", lots, fits, "limit orders that are ioc")
        return self._at_most_all("min_qty", lots)

    def _at_most_all(self, name: str, lots: int) -> int:
        if lots > self._kind.qty > 0 and not self._faults.at(f"/{name}"):
            self._faults.add(f"/{name}", name, f"{name} is above qty")
        return lots

    def stop(self, ticks: int) -> int:
        order_type, where = self._kind.order_type, "/stop_price"
        needed = order_type in (STOP, STOP_LIMIT)
        if needed and self._body.stop_price is None and not self._faults.at(where):
            self._faults.add(where, "required", "a stop needs a stop price")
        return ticks

    def cost(self, amount: int) -> int:
        kind = self._kind
        fits = kind.order_type not in PRICED and kind.side in (0, BUY)
        self._needs("max_cost", amount, fits, "buys without a limit price")
        return amount

    def protection(self, ticks: int) -> int:
        fits = self._kind.order_type not in PRICED
        self._needs("protection_price", ticks, fits, "orders without a limit price")
        return ticks

    def partner(self) -> int:
        value = self._body.oco
        kind = self._kind
        fits = kind.order_type != MARKET and kind.tif in STAYING
        self._needs("oco", value is not None, fits, "orders that may stay open")
        if value is None or self._faults.at("/oco"):
            return 0
        if _ORDER_ID.fullmatch(value) and 0 < int(value) <= INT64_MAX:
            return int(value)
        self._faults.add("/oco", "invalid_value", f"expected an order id, got {shown(value)}")
        return 0
