"""The naive exchange: docs/engine*.md in dicts, lists and SortedDict, apart from the engine.

``apply`` takes one command and gives its events.  Slow and obvious on purpose; every difference
between it and the engine is a fault of one of them or of the page.
"""

from collections import Counter
from typing import NamedTuple

from tests.model.answers import Answers
from tests.model.book import LevelRow
from tests.model.busts import Busts
from tests.model.changing import Changing
from tests.model.checks import check
from tests.model.clock import Clock
from tests.model.commands import (
    BUY,
    GTD,
    SELL,
    SLOT_2,
    Command,
    Create,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    DeadMan,
    Keyed,
    MassCancel,
    Money,
    PlaceOrder,
    ReplaceOrder,
    Targeted,
    Transfer,
    Withdraw,
    changed,
    payload,
)
from tests.model.events import LAST, Event, Rejected
from tests.model.fills import Fills
from tests.model.form import check_form
from tests.model.holds import Holds
from tests.model.idempotency import Ids
from tests.model.life import Life
from tests.model.limits import Limits, LimitTable
from tests.model.matching import Matching
from tests.model.outside import Outside
from tests.model.people import People
from tests.model.placing import Placing
from tests.model.reference import Reference
from tests.model.settlement import Settlement
from tests.model.state import OUTSIDE, SLOT_BITS, IdRecord, Order, Sizes, Statistics
from tests.model.venue import Venue
from tests.model.venue_commands import (
    GatewayLost,
    KillSwitch,
    OutsideCommand,
    SessionClosed,
    SessionOpened,
    SetLimits,
    SettleInstrument,
    Time,
    Trade,
    UpdateAccount,
    UpdateInstrument,
)
from tests.model.view import View


class PositionRow(NamedTuple):
    net: int
    cost: int
    held: int  # SPOT: lots in open sells.  BINARY: lots set aside.
    realized: int
    bought: int
    sold: int
    # Short selling, clearing, matched outside.
    short: int = 0
    shorting: int = 0  # Lots that open sells would sell short.
    collateral: int = 0
    due_base: int = 0  # Lots.
    due_quote: int = 0
    debt: int = 0
    debt_base: int = 0


class Exchange:
    """All state; one command at a time."""

    def __init__(self, sizes: Sizes | None = None, *, risk: bool = True) -> None:
        self.sizes = sizes or Sizes()
        self.ids = Ids(self.sizes.ids_max)
        self.view = View(self.sizes, self.ids, risk=risk)
        self.limits = LimitTable(self.view, self.sizes.limits_max)
        self.holds = Holds(self.view, self.limits)
        self.life = Life(self.view, self.holds)
        fills = Fills(self.view, self.holds)
        matching = Matching(self.view, self.life, fills, self.limits)
        self.placing = Placing(self.view, self.holds, self.life, matching, self.limits)
        self.changing = Changing(self.placing)
        self.reference = Reference(self.view)
        self.people = People(self.view, self.life, self.limits)
        self.settlement = Settlement(self.view, self.life)
        self.clock = Clock(self.view, self.life, self.people, self.settlement)
        self.venue = Venue(self.view, self.life)
        self.busts = Busts(self.view, self.placing)
        self.outside = Outside(self.placing, self.settlement)
        self.answers = Answers(self.view)

    # Applying.

    def apply(self, command: Command) -> list[Event]:
        """The events of one command, numbered and stamped."""
        command = _without_slot_2(command)
        self.people.note(command.session, command.request_id)
        view = self.view
        view.events = []
        view.sequence, view.now_ns = command.sequence, command.timestamp_ns
        view.kind = command.kind
        try:
            check_form(command, risk=view.risk)
            if isinstance(command, Keyed):
                self._apply_keyed(command)
            else:
                self._apply_admin(command)
        except Rejected as rejected:
            assert not view.events, view.events
            view.events.append(self.answers.reject(command, rejected))
        return self._numbered(command, view.events)

    def _numbered(self, command: Command, events: list[Event]) -> list[Event]:
        last = len(events) - 1
        return [
            event._replace(
                sequence=command.sequence,
                timestamp_ns=command.timestamp_ns,
                index=index,
                fee=command.request_id if index == 0 else event.fee,
                flags=event.flags | (LAST if index == last else 0),
            )
            for index, event in enumerate(events)
        ]

    # Commands of traders.

    def _apply_keyed(self, command: Keyed) -> None:
        if command.account not in self.view.accounts:
            raise Rejected("UNKNOWN_ACCOUNT")
        if isinstance(command, Transfer) and command.counter_account not in self.view.accounts:
            raise Rejected("UNKNOWN_ACCOUNT")
        record = None
        if command.client_order_id:
            known = self.ids.find(command.account, command.client_order_id)
            if known is not None:
                if known.payload != payload(command):
                    raise Rejected("DUPLICATE_CLIENT_ID")
                self.view.events.append(self.answers.repeat(command, known))
                return
            record = self.ids.put(command.account, command.client_order_id, payload(command))
            if isinstance(command, PlaceOrder):
                record.order_id = command.sequence << SLOT_BITS
        try:
            self._check_who_and_when(command)
            self._decide(command, record)
        except Rejected as rejected:
            if record is not None:
                record.reason = rejected.reason
            raise
        counts = isinstance(command, Targeted | MassCancel) and self.view.risk
        if counts and not isinstance(command, ReplaceOrder):  # That one was counted in its checks.
            self.limits.count_message(command.account, self.view.now_ns)

    def _check_who_and_when(self, command: Keyed) -> None:
        orders = isinstance(command, PlaceOrder | ReplaceOrder)
        if orders or isinstance(command, Transfer | Withdraw):
            self.people.check_may_trade(command.account, orders=orders)
        now = command.timestamp_ns
        if command.expire_after_ns and now > command.expire_after_ns:
            raise Rejected("EXPIRED_REQUEST", command.expire_after_ns, now)
        if not isinstance(command, PlaceOrder) or command.time_in_force != GTD:
            return
        if command.expire_ns <= now:
            raise Rejected("EXPIRED_REQUEST", command.expire_ns, now)

    def _decide(self, command: Keyed, record: IdRecord | None) -> None:
        if isinstance(command, PlaceOrder):
            self.placing.place(command)
        elif isinstance(command, MassCancel):
            self.changing.mass_cancel(command)
        elif isinstance(command, Money):
            self.reference.move_money(command)
        elif isinstance(command, DeadMan):
            self.people.arm(command)
        else:
            assert isinstance(command, Targeted)
            order = self.changing.target(command)
            if record is not None:
                record.order_id = order.order_id
            try:
                self.changing.change(command, order)
            except Rejected as rejected:
                rejected.order_id = order.order_id
                raise

    # Commands of the venue.

    def _apply_admin(self, command: Command) -> None:
        if isinstance(command, Create):
            self._create(command)
        elif isinstance(command, UpdateInstrument):
            self.venue.update(command)
        elif isinstance(command, SettleInstrument):
            self.settlement.settle(command)
        elif isinstance(command, UpdateAccount):
            self.people.update(command)
        elif isinstance(command, SetLimits):
            self.people.set_limits(command)
        elif isinstance(command, KillSwitch):
            self.people.kill(command)
        elif isinstance(command, SessionOpened):
            self.people.open(command)
        elif isinstance(command, SessionClosed):
            self.people.close(command)
        elif isinstance(command, GatewayLost):
            self.people.lose(command)
        elif isinstance(command, Time):
            self.clock.run(command)
        else:
            self._apply_once(command)

    def _create(self, command: Create) -> None:
        if isinstance(command, CreateAccount):
            self.reference.create_account(command)
        elif isinstance(command, CreateAsset):
            self.reference.create_asset(command)
        else:
            assert isinstance(command, CreateInstrument)
            self.reference.create_instrument(command)

    def _apply_once(self, command: Command) -> None:
        """Trades taken back and what is told from outside: once each, by ids of account 2."""
        if isinstance(command, Trade):
            self.busts.check_accounts(command)
            key: object = ("trade", command.client_order_id)
        else:
            assert isinstance(command, OutsideCommand)
            key = ("exec", command.source, command.reference)
        told = payload(command)
        known = self.ids.find(OUTSIDE, key)
        if known is not None:
            if known.payload != told:
                raise Rejected("DUPLICATE_CLIENT_ID")
            answer = self.answers.taken_over(command)
            self.view.events.append(answer._replace(kind="COMMAND_REPEATED"))
            return
        if isinstance(command, Trade):
            self.busts.check(command)
            self.ids.put(OUTSIDE, key, told)
            self.busts.apply(command)
        else:
            self.outside.check(command)
            self.ids.put(OUTSIDE, key, told)
            self.outside.apply(command)

    # Reading.

    def balances(self) -> dict[tuple[int, int], tuple[int, int]]:
        """(account, asset) -> (available, held), rows that hold nothing left out."""
        rows = self.view.ledger.balances.items()
        return {key: (row.available, row.held) for key, row in rows if row.available or row.held}

    def positions(self) -> dict[tuple[int, int], PositionRow]:
        """(account, instrument) -> position of traders, rows without any use left out."""
        held: Counter[tuple[int, int]] = Counter()
        shorting: Counter[tuple[int, int]] = Counter()
        for order in self.orders():
            if order.is_live and order.side == SELL and self.view.risk:
                held[order.account, order.instrument] += order.leaves
                row = self.view.instruments[order.instrument]
                if not row.is_binary and not row.is_outside:
                    shorting[order.account, order.instrument] += order.opening
        found = {}
        for key, position in self.view.ledger.positions.items():
            lots = held[key]
            if self.view.instruments[key[1]].is_binary:
                lots = position.reserved_yes + position.reserved_no
            if key[0] != OUTSIDE and (position.bought or position.sold or lots):
                found[key] = PositionRow(
                    net=position.net,
                    cost=position.cost,
                    held=lots,
                    realized=position.realized,
                    bought=position.bought,
                    sold=position.sold,
                    short=position.short,
                    shorting=shorting[key],
                    collateral=position.collateral,
                    due_base=position.due_lots,
                    due_quote=position.due_quote,
                    debt=position.debt,
                    debt_base=position.debt_base,
                )
        return found

    def book(self, instrument: int) -> tuple[list[LevelRow], list[LevelRow]]:
        """Bids and asks, best first, orders by priority, with what they show."""
        book = self.view.books[instrument]
        return book.rows(BUY), book.rows(SELL)

    def orders(self) -> list[Order]:
        """Every order that has a row, open or ended."""
        return list(self.view.rows.by_slot.values())

    def open_orders(self, account: int) -> list[Order]:
        """Open orders of an account, ascending by order id."""
        return self.view.open_orders(account)

    def statistics(self, instrument: int) -> Statistics:
        """Of the day and of all time."""
        return self.view.instruments[instrument].stats

    def limits_of(self, account: int, instrument: int = 0) -> Limits | None:
        """The row of limits with its counters; None: there is none."""
        return self.limits.rows.get((account, instrument))

    def next_deadline(self) -> int:
        """When TIME is wanted; 0: never."""
        return self.clock.next_deadline()

    @property
    def sessions(self) -> dict[int, int]:
        """Session -> its newest request id."""
        return {row.number: row.request_id for row in self.people.sessions.values()}

    @property
    def remembered_from(self) -> int:
        """Sequences from which on every client order id is still known."""
        return self.ids.remembered_from

    def lookup(self, account: int, client_order_id: str) -> int | None:
        """The order id that a client order id stands for; None: not in the table."""
        record = self.ids.find(account, client_order_id)
        return None if record is None else record.order_id

    def check(self) -> None:
        """Assert everything that must always hold."""
        check(self.view, self.limits)


def _without_slot_2(command: Command) -> Command:
    """Of a command of one slot, only that slot."""
    if command.slots != 1 or not isinstance(command, PlaceOrder | Targeted | MassCancel):
        return command
    names = [name for name in SLOT_2 if hasattr(command, name)]
    return changed(command, **{name: type(getattr(command, name))() for name in names})
