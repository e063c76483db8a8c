"""Whether the own fields of a command of the venue make sense."""

import string

from tests.model.commands import (
    AUCTION,
    CLOSED,
    HALTED,
    PHASE_OPEN,
    PHASE_POST_ONLY,
    PRE_OPEN,
    Command,
    Create,
    CreateAccount,
    CreateInstrument,
)
from tests.model.events import Rejected
from tests.model.state import MONEY_MAX
from tests.model.venue_commands import (
    CANCEL_ON_DISCONNECT,
    CANCEL_OPEN,
    CHANGE_CLEARING,
    CHANGE_PHASE,
    CHANGE_SELF_TRADE,
    CHANGE_STATUS,
    CHANGE_TICK_TABLE,
    LIMIT_NAMES,
    OUTSIDE_MAKER,
    OUTSIDE_SELL,
    CorrectTrade,
    GatewayLost,
    KillSwitch,
    OutsideBusted,
    OutsideCommand,
    OutsideCorrected,
    OutsideFilled,
    OutsideSettled,
    SessionClosed,
    SessionOpened,
    SetLimits,
    SettleInstrument,
    Trade,
    UpdateAccount,
    UpdateInstrument,
)

GATEWAYS_MAX = 255
SYMBOL_MAX = 32
SYMBOL_CHARACTERS = frozenset(string.ascii_letters + string.digits + ".-/_")
RATIO_MAX = 1_000_000


def need(good: bool) -> None:
    """MALFORMED unless ``good``."""
    if not good:
        raise Rejected("MALFORMED")


def supported(good: bool) -> None:
    """NOT_SUPPORTED unless ``good``."""
    if not good:
        raise Rejected("NOT_SUPPORTED")


def check_venue(command: Command) -> None:
    """Raise Rejected with MALFORMED or NOT_SUPPORTED."""
    if isinstance(command, Create):
        _check_create(command)
    elif isinstance(command, UpdateInstrument):
        _check_update(command)
    elif isinstance(command, SetLimits):
        need(command.slots == 2)
        need(min(getattr(command, name) for name in LIMIT_NAMES) >= 0)
        need(max(command.messages_per_fill, command.deviation_ppm) <= RATIO_MAX)
    elif isinstance(command, Trade):
        need(command.slots == 2 and command.client_order_id != "")
        need(command.price >= 1 and command.qty >= 1)
        if isinstance(command, CorrectTrade):
            need(command.new_price >= 1 and command.new_qty >= 1)
    elif isinstance(command, OutsideCommand):
        _check_outside(command)
    else:
        need(command.slots == 1)
        _check_admin(command)


def _check_create(command: Create) -> None:
    need(command.name != "")
    if not isinstance(command, CreateInstrument):
        need(command.slots == 1)
        if isinstance(command, CreateAccount):
            need(command.self_trade <= 4)
            supported(command.roles == 0 and command.owner == 0)
        return
    need(command.slots in (2, 3))
    need(len(command.name) <= SYMBOL_MAX and set(command.name) <= SYMBOL_CHARACTERS)
    need(1 <= command.instrument_type <= 2 and 1 <= command.matching <= 2)
    need(1 <= command.phase <= 9)
    supported(command.phase in (PHASE_OPEN, HALTED, PHASE_POST_ONLY, CLOSED))


def _check_update(command: UpdateInstrument) -> None:
    need(0 < command.changes < 2 * CHANGE_CLEARING)
    need(command.slots == (3 if command.changes & CHANGE_TICK_TABLE else 2))
    if command.changes & CHANGE_PHASE:
        need(1 <= command.phase <= 9)
        supported(command.phase not in (PRE_OPEN, AUCTION))


def _check_outside(command: OutsideCommand) -> None:
    need(command.slots == (3 if isinstance(command, OutsideCorrected) else 2))
    need(command.reference != "" and command.source != "")
    need(not command.flags & ~(OUTSIDE_MAKER | OUTSIDE_SELL))
    if isinstance(command, OutsideFilled | OutsideBusted | OutsideCorrected):
        need(command.price >= 1 and command.qty >= 1 and abs(command.fee) <= MONEY_MAX)
    if isinstance(command, OutsideCorrected):
        need(command.new_price >= 1 and command.new_qty >= 1)
        need(abs(command.new_fee) <= MONEY_MAX)
    if isinstance(command, OutsideSettled):
        need(command.price >= 0)


def _check_admin(command: Command) -> None:
    if isinstance(command, SettleInstrument):
        need(command.price >= 0)
    elif isinstance(command, UpdateAccount):
        bits = CHANGE_STATUS | CHANGE_SELF_TRADE
        need(command.changes & ~bits == 0 and command.flags & ~CANCEL_OPEN == 0)
        need(command.changes != 0 or command.flags != 0)
        need(not command.changes & CHANGE_STATUS or command.status in (1, 2))
        need(not command.changes & CHANGE_SELF_TRADE or command.self_trade <= 4)
    elif isinstance(command, KillSwitch):
        need(command.is_on <= 1)
    elif isinstance(command, SessionOpened):
        need(command.session != 0 and command.flags & ~CANCEL_ON_DISCONNECT == 0)
        need(command.flags == 0 or command.account != 0)
    elif isinstance(command, SessionClosed):
        need(command.session != 0)
    elif isinstance(command, GatewayLost):
        need(1 <= command.gateway <= GATEWAYS_MAX)
