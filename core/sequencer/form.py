"""The form of an order with more than the usual terms: what no adapter sends is MALFORMED."""

from typing import Final

from core.constants import SLOT_BYTES
from core.jit import inlined, kernel, stay_apart
from core.memory import Record, pointer
from core.messages import (
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    ORIGINAL_ID_AT,
    PLACE_SLOT_2,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    SLIDE,
    STOP,
    STOP_LIMIT,
    STP_DECREMENT,
    TRAIL_BPS,
    TRAILING_STOP,
)
from core.reasons import Reason
from core.risk import text
from core.sequencer.admit import place_at

place_2_at = pointer(PLACE_SLOT_2)

MALFORMED: Final = Reason.MALFORMED.value
NOT_SUPPORTED: Final = Reason.NOT_SUPPORTED.value
FLAGS: Final = POST_ONLY | REDUCE_ONLY | SLIDE | TRAIL_BPS
BPS_MOST: Final = 9_999


@kernel
def form_any(state: Record, command: int) -> int:
    """0, MALFORMED or NOT_SUPPORTED (docs/engine-terms.md, slots and form)."""
    stay_apart()
    place = place_at(command)
    plain = (
        1 <= place.slots <= 2
        and BUY <= place.side <= SELL
        and LIMIT <= place.order_type <= TRAILING_STOP
        and GTC <= place.time_in_force <= GTD
        and place.self_trade <= STP_DECREMENT
        and (place.price | place.qty | place.expire_ns | place.display_qty) >= 0
        and place.flags & ~FLAGS == 0
    )
    if not plain:
        return MALFORMED
    if place.slots == 2:
        reason = form_of_more(command)
        if reason != 0:
            return reason
    elif place.order_type >= STOP:
        return MALFORMED
    if (place.time_in_force == GTD) != (place.expire_ns > 0):
        return MALFORMED
    if not flags_fit(command):
        return MALFORMED
    if place.flags & REDUCE_ONLY != 0 and state.risk == 0:
        return NOT_SUPPORTED
    return 0


@kernel
def rests(command: int) -> bool:
    """LIMIT with GTC, DAY or GTD."""
    place = place_at(command)
    return place.order_type == LIMIT and place.time_in_force in (GTC, DAY, GTD)


@kernel
def flags_fit(command: int) -> bool:
    """Time in force, flags and display quantity against the type."""
    place = place_at(command)
    stop = place.order_type in (STOP, STOP_LIMIT, TRAILING_STOP)
    if place.order_type == MARKET and place.time_in_force != IOC:
        return False
    if stop and place.time_in_force in (IOC, FOK):
        return False
    if place.flags & (POST_ONLY | SLIDE) != 0 and not rests(command):
        return False
    if place.flags & SLIDE != 0 and place.flags & POST_ONLY == 0:
        return False
    if place.flags & TRAIL_BPS != 0 and place.order_type != TRAILING_STOP:
        return False
    if place.display_qty != 0 and (not rests(command) or place.display_qty > place.qty):
        return False
    # Of one that reduces only it is not known how much it will fill.
    return place.flags & REDUCE_ONLY == 0 or (
        place.flags & POST_ONLY == 0 and place.time_in_force != FOK
    )


@kernel
def form_of_more(command: int) -> int:
    """The numbers of slot 2 against type and time in force."""
    place = place_at(command)
    more = place_2_at(command + SLOT_BYTES)
    signs = more.stop_price | more.trail | more.min_qty | more.max_cost
    if (signs | more.protection_price | more.group | more.oco) < 0:
        return MALFORMED
    if not text.is_empty(command + SLOT_BYTES + ORIGINAL_ID_AT):
        return MALFORMED
    if more.group != 0:
        return NOT_SUPPORTED
    kind = place.order_type
    fits = True
    if kind in (LIMIT, MARKET):
        fits = (more.stop_price | more.trail) == 0
    elif kind == TRAILING_STOP:
        fits = more.trail > 0 and (place.flags & TRAIL_BPS == 0 or more.trail <= BPS_MOST)
    else:
        fits = more.stop_price > 0 and more.trail == 0
    if kind in (LIMIT, STOP_LIMIT):
        fits = fits and (more.max_cost | more.protection_price) == 0
    if more.max_cost != 0 and place.side != BUY:
        fits = False
    if more.min_qty != 0:
        usual = kind == LIMIT and place.time_in_force == IOC
        fits = fits and usual and more.min_qty <= place.qty
    if more.oco != 0:
        once = kind == MARKET or place.time_in_force in (IOC, FOK)
        fits = fits and not once and place.flags & REDUCE_ONLY == 0
    return 0 if fits else MALFORMED


@kernel
def suits_outside(command: int) -> bool:
    """Has an order nothing that needs a book of ours?"""
    place = place_at(command)
    if is_stop(place.order_type) or place.flags != 0 or place.display_qty != 0:
        return False
    if place.slots == 1:
        return True
    more = place_2_at(command + SLOT_BYTES)
    return (more.min_qty | more.protection_price | more.oco) == 0  # type: ignore[no-any-return]


@inlined
def is_stop(order_type: int) -> bool:
    return order_type >= STOP
