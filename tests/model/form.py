"""Whether a command's own fields make sense, before anything else is looked at."""

from tests.model.commands import (
    IOC,
    KEPT_KINDS,
    MARKET,
    MATCHED_HERE,
    PHASE_OPEN,
    SPOT,
    CancelOrder,
    Command,
    Create,
    CreateAccount,
    CreateInstrument,
    MassCancel,
    Money,
    OtherKind,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    Targeted,
)
from tests.model.events import Rejected


def check_form(command: Command) -> None:
    """Raise Rejected with UNKNOWN_KIND, MALFORMED or NOT_SUPPORTED."""
    if isinstance(command, OtherKind):
        kept = command.number in KEPT_KINDS
        raise Rejected("NOT_SUPPORTED" if kept else "UNKNOWN_KIND")
    _need(command.schema == 1)
    if isinstance(command, PlaceOrder):
        _check_place(command)
    elif isinstance(command, Targeted):
        _check_target(command)
    elif isinstance(command, MassCancel):
        _need(command.slots == 1 and 0 <= command.side <= 2)
        _supported(command.filter_session == 0)
    elif isinstance(command, Money):
        _need(command.slots in (1, 2) and command.amount >= 1)
    elif isinstance(command, Create):
        _check_create(command)


def _need(good: bool) -> None:
    if not good:
        raise Rejected("MALFORMED")


def _supported(good: bool) -> None:
    if not good:
        raise Rejected("NOT_SUPPORTED")


def _check_place(command: PlaceOrder) -> None:
    _supported(command.slots == 1)
    _need(1 <= command.side <= 2)
    _need(1 <= command.order_type <= 5)
    _need(1 <= command.time_in_force <= 5)
    _need(0 <= command.self_trade <= 4)
    _need(command.price >= 0 and command.qty >= 0)
    _supported(command.flags == 0)
    _supported(command.order_type <= 2 and command.time_in_force <= 2)
    _supported(command.self_trade == 0)
    _supported(command.expire_ns == 0 and command.display_qty == 0)
    _need(command.order_type != MARKET or command.time_in_force == IOC)


def _check_target(command: Targeted) -> None:
    by_id = command.slots == 1 and command.order_id > 0
    by_client_id = command.slots == 2 and command.order_id == 0
    _need(by_id or (by_client_id and command.original_client_order_id != ""))
    if isinstance(command, CancelOrder):
        _need(command.restriction <= 2)
        _supported(command.restriction == 0)
    elif isinstance(command, ReplaceOrder):
        _need(0 <= command.qty_basis <= 1 and command.price >= 0 and command.qty >= 0)
        _supported(command.display_qty == 0)
    elif isinstance(command, ReduceOrder):
        _need(command.price == 0 and command.qty_basis == 0 and command.display_qty == 0)


def _check_create(command: Create) -> None:
    slots = 2 if isinstance(command, CreateInstrument) else 1
    _need(command.slots == slots and command.name != "")
    if isinstance(command, CreateAccount):
        _need(command.self_trade <= 4)
        _supported(command.self_trade == 0 and command.roles == 0 and command.owner == 0)
    if isinstance(command, CreateInstrument):
        _need(1 <= command.instrument_type <= 2 and 1 <= command.matching <= 2)
        _need(1 <= command.phase <= 9)
        _supported(command.instrument_type == SPOT and command.matching == MATCHED_HERE)
        _supported(command.payout == 0 and command.max_age_ns == 0)
        _supported(command.price_min == 0 and command.price_max == 0)
        _supported(command.phase == PHASE_OPEN)
