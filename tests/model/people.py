"""Accounts, sessions, switches and dead-man timers of the twin."""

from dataclasses import dataclass

from tests.model.commands import DeadMan
from tests.model.events import Event, Rejected
from tests.model.life import Life
from tests.model.limits import LimitTable
from tests.model.state import Account, Order
from tests.model.venue_commands import (
    ACTIVE,
    CANCEL_ON_DISCONNECT,
    CANCEL_OPEN,
    CHANGE_SELF_TRADE,
    CHANGE_STATUS,
    SUSPENDED,
    GatewayLost,
    KillSwitch,
    SessionClosed,
    SessionOpened,
    SetLimits,
    UpdateAccount,
)
from tests.model.view import View

GATEWAY_SHIFT = 24


@dataclass(slots=True)
class Session:
    """Who speaks; rows stay for ever."""

    number: int
    request_id: int = 0
    account: int = 0
    cancels: bool = False  # On disconnect.
    is_open: bool = False


class People:
    """Who may do what, and whose orders end together."""

    def __init__(self, view: View, life: Life, limits: LimitTable) -> None:
        self.view = view
        self.life = life
        self.limits = limits
        self.sessions: dict[int, Session] = {}
        self.sessions_lost = 0

    def note(self, session: int, request_id: int) -> None:
        """Remember the newest request of a session."""
        if session == 0:
            return
        if session not in self.sessions:
            if len(self.sessions) == self.view.sizes.sessions_max:
                self.sessions_lost += 1
                return
            self.sessions[session] = Session(session)
        self.sessions[session].request_id = request_id

    def _trader(self, number: int) -> Account:
        if number not in self.view.accounts:
            raise Rejected("UNKNOWN_ACCOUNT")
        return self.view.accounts[number]

    # Accounts.

    def update(self, command: UpdateAccount) -> None:
        """Suspend, let go on, change the self-trade default, cancel all."""
        account = self._trader(command.account)
        if command.changes & CHANGE_STATUS:
            account.is_suspended = command.status == SUSPENDED
        if command.changes & CHANGE_SELF_TRADE:
            account.self_trade = command.self_trade
        orders: list[Order] = []
        if command.flags & CANCEL_OPEN:
            orders = self.life.may_take_down(self.view.open_orders(account.number))
        self.view.events.append(
            Event(
                kind="ACCOUNT_UPDATED",
                session=command.session,
                order_id=account.number,
                account=account.number,
                client_order_id=account.name,
                price=command.changes,
                qty=SUSPENDED if account.is_suspended else ACTIVE,
                leaves=account.self_trade,
                cum=len(orders),
            )
        )
        self.life.take_down_all(orders, "ADMIN_CANCEL")

    def set_limits(self, command: SetLimits) -> None:
        """Take over the limits of an account, or of an account in an instrument."""
        self._trader(command.account)
        if command.instrument and command.instrument not in self.view.instruments:
            raise Rejected("UNKNOWN_INSTRUMENT")
        self.limits.set(command)
        self.view.events.append(
            Event(
                kind="LIMITS_SET",
                session=command.session,
                account=command.account,
                instrument=command.instrument,
                qty=1,
            )
        )

    def kill(self, command: KillSwitch) -> None:
        """Set or clear the switch of one trader, or of all."""
        is_on = command.is_on == 1
        if command.account:
            account = self._trader(command.account)
            was_on, account.is_killed = account.is_killed, is_on
            killed = [account.number]
        else:
            was_on, self.view.is_killed = self.view.is_killed, is_on
            killed = sorted(self.view.accounts)
        orders: list[Order] = []
        if is_on and not was_on:
            for number in killed:
                orders += self.life.may_take_down(self.view.open_orders(number))
        self.view.events.append(
            Event(
                kind="KILL_SWITCH_SET",
                session=command.session,
                account=command.account,
                qty=len(orders),
                leaves=command.is_on,
            )
        )
        self.life.take_down_all(orders, "KILLED")

    def check_may_trade(self, number: int, *, orders: bool) -> None:
        """ACCOUNT_SUSPENDED; for ``orders`` KILL_SWITCH too."""
        account = self.view.accounts[number]
        if account.is_suspended:
            raise Rejected("ACCOUNT_SUSPENDED")
        if orders and (account.is_killed or self.view.is_killed):
            raise Rejected("KILL_SWITCH")

    # Sessions.

    def open(self, command: SessionOpened) -> None:
        """A session begins to speak for an account."""
        if command.account:
            self._trader(command.account)
        row = self.sessions.get(command.session)
        if row is None:
            raise Rejected("CAPACITY", self.view.sizes.sessions_max, len(self.sessions))
        row.account, row.is_open = command.account, True
        row.cancels = bool(command.flags & CANCEL_ON_DISCONNECT)
        self._tell(row.number, row.account, qty=1, leaves=int(row.cancels))

    def close(self, command: SessionClosed) -> None:
        """A session ends, and with it its orders if it asked for that."""
        row = self.sessions.get(command.session)
        if row is None or not row.is_open:
            raise Rejected("UNKNOWN_SESSION")
        self._close(row, self._orders_of(row))

    def lose(self, command: GatewayLost) -> None:
        """All sessions of a gateway end."""
        lost = [
            row
            for row in self.sessions.values()
            if row.is_open and row.number >> GATEWAY_SHIFT == command.gateway
        ]
        orders = [self._orders_of(row) for row in lost]
        total = sum(len(found) for found in orders)
        self._tell(command.gateway << GATEWAY_SHIFT, 0, qty=2, leaves=total)
        for row, found in zip(lost, orders, strict=True):
            self._close(row, found)

    def _orders_of(self, row: Session) -> list[Order]:
        if not row.cancels:
            return []
        found = [o for o in self.view.open_orders(row.account) if o.session == row.number]
        return self.life.may_take_down(found)

    def _close(self, row: Session, orders: list[Order]) -> None:
        row.is_open = False
        self._tell(row.number, row.account, qty=0, leaves=len(orders))
        self.life.take_down_all(orders, "DISCONNECTED")

    def _tell(self, session: int, account: int, qty: int, leaves: int) -> None:
        self.view.events.append(
            Event(kind="SESSION_EVENT", session=session, account=account, qty=qty, leaves=leaves)
        )

    # Dead man.

    def arm(self, command: DeadMan) -> None:
        """Set, move or take away the time at which all orders of the account end."""
        account = self.view.accounts[command.account]
        account.dead_man_ns = 0
        if command.timeout_ns:
            account.dead_man_ns = self.view.now_ns + command.timeout_ns
            account.dead_man_sequence = self.view.sequence
        self.view.events.append(
            Event(
                kind="DEAD_MAN_SET",
                session=command.session,
                account=account.number,
                price=account.dead_man_ns,
                client_order_id=command.client_order_id,
            )
        )

    def run_dead_man(self, account: Account) -> None:
        """The timer ran out."""
        account.dead_man_ns = 0
        orders = self.life.may_take_down(self.view.open_orders(account.number))
        self.life.take_down_all(orders, "DEAD_MAN")
