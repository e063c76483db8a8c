"""Whether a trading command's own fields make sense, before anything else is looked at."""

from tests.model.commands import (
    BUY,
    FOK,
    GTD,
    IOC,
    KEPT_KINDS,
    LIMIT,
    LIMIT_LIKE,
    MARKET,
    POST_ONLY,
    REDUCE_ONLY,
    RESTING,
    SLIDE,
    STOP_LIMIT,
    TRAIL_BPS,
    TRAILING_STOP,
    CancelOrder,
    Command,
    DeadMan,
    MassCancel,
    Money,
    OtherKind,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    Targeted,
    Transfer,
)
from tests.model.events import Rejected
from tests.model.form_venue import check_venue
from tests.model.state import DAY_NS

TIMEOUT_MIN_NS = 10**8
BPS_MAX = 9_999


def check_form(command: Command, *, risk: bool = True) -> None:
    """Raise Rejected with UNKNOWN_KIND, MALFORMED or NOT_SUPPORTED."""
    if isinstance(command, OtherKind):
        kept = command.number in KEPT_KINDS
        raise Rejected("NOT_SUPPORTED" if kept else "UNKNOWN_KIND")
    need(command.schema == 1)
    if isinstance(command, PlaceOrder):
        _check_place(command)
        if (command.slots > 1 and command.group) or (command.flags & REDUCE_ONLY and not risk):
            raise Rejected("NOT_SUPPORTED")
    elif isinstance(command, Targeted):
        _check_target(command)
    elif isinstance(command, MassCancel):
        need(command.slots in (1, 2) and 0 <= command.side <= 2)
    elif isinstance(command, Money):
        need(command.slots in (1, 2) and command.amount >= 1)
        is_transfer = isinstance(command, Transfer)
        need(not is_transfer or command.account != command.counter_account)
    elif isinstance(command, DeadMan):
        need(command.slots == 1)
        need(command.timeout_ns == 0 or TIMEOUT_MIN_NS <= command.timeout_ns <= DAY_NS)
    else:
        check_venue(command)


def need(good: bool) -> None:
    """MALFORMED unless ``good``."""
    if not good:
        raise Rejected("MALFORMED")


def _slot_2(command: PlaceOrder | ReplaceOrder) -> tuple[int, ...]:
    """The numbers of slot 2: stop, trail, min_qty, max_cost, protection, group, oco."""
    if command.slots < 2:
        return (0,) * 7
    stop = (command.stop_price, command.trail, command.min_qty, command.max_cost)
    return (*stop, command.protection_price, command.group, command.oco)


def _check_place(command: PlaceOrder) -> None:
    need(command.slots in (1, 2))
    need(1 <= command.side <= 2)
    need(1 <= command.order_type <= 5)
    need(1 <= command.time_in_force <= 5)
    need(0 <= command.self_trade <= 4)
    numbers = (command.price, command.qty, command.expire_ns, command.display_qty)
    need(min(*numbers, *_slot_2(command)) >= 0)
    need(not command.flags & ~(POST_ONLY | REDUCE_ONLY | SLIDE | TRAIL_BPS))
    need(command.slots == 1 or command.original_client_order_id == "")
    _check_type(command)
    _check_flags(command)
    need((command.expire_ns > 0) == (command.time_in_force == GTD))


def _check_type(command: PlaceOrder) -> None:
    """What goes with which order type."""
    stop, trail, min_qty, max_cost, protection, _, oco = _slot_2(command)
    kind, tif = command.order_type, command.time_in_force
    if kind == MARKET:
        need(tif == IOC and not (command.display_qty or min_qty or stop or trail or oco))
    elif kind == LIMIT:
        need(not (stop or trail or max_cost or protection))
    else:
        need(tif in RESTING and not (command.display_qty or min_qty))
        need(trail > 0 if kind == TRAILING_STOP else stop > 0 and trail == 0)
        need(kind != STOP_LIMIT or not (max_cost or protection))
    if command.flags & TRAIL_BPS:
        need(kind == TRAILING_STOP and trail <= BPS_MAX)
    need(max_cost == 0 or (kind not in LIMIT_LIKE and command.side == BUY))
    if min_qty:
        need(kind == LIMIT and tif == IOC and min_qty <= command.qty)
    need(oco == 0 or (tif not in (IOC, FOK) and kind != MARKET))


def _check_flags(command: PlaceOrder) -> None:
    """POST_ONLY, SLIDE, REDUCE_ONLY, and what is shown."""
    rests = command.order_type == LIMIT and command.time_in_force in RESTING
    if command.flags & POST_ONLY or command.display_qty:
        need(rests and command.display_qty <= command.qty)
    need(not command.flags & SLIDE or bool(command.flags & POST_ONLY))
    if command.flags & REDUCE_ONLY:
        oco = command.oco if command.slots > 1 else 0
        need(command.time_in_force != FOK and not command.flags & POST_ONLY and oco == 0)


def _check_target(command: Targeted) -> None:
    by_id = command.slots == 1 and command.order_id > 0
    by_client_id = command.slots == 2 and command.order_id == 0
    by_client_id = by_client_id and command.original_client_order_id != ""
    if isinstance(command, ReplaceOrder):
        need(by_id or by_client_id or (command.slots == 2 and command.order_id > 0))
        need(0 <= command.qty_basis <= 1 and command.price >= 0 and command.qty >= 0)
        stop, *others = _slot_2(command)
        need(command.display_qty >= 0 and stop >= 0 and not any(others))
        return
    need(by_id or by_client_id)
    if isinstance(command, CancelOrder):
        need(command.restriction <= 2)
    elif isinstance(command, ReduceOrder):
        need(command.price == 0 and command.qty_basis == 0 and command.display_qty == 0)
