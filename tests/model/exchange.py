"""The naive exchange: docs/engine.md in dicts, lists and SortedDict, apart from the engine.

``apply`` takes one command and gives its events.  Slow and obvious on purpose; every difference
between it and the engine is a fault of one of them or of the page.
"""

from typing import NamedTuple

from tests.model.book import LevelRow
from tests.model.checks import check
from tests.model.commands import (
    BUY,
    QTY_TOTAL,
    SELL,
    CancelOrder,
    Command,
    Create,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Keyed,
    MassCancel,
    Money,
    OtherKind,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    Targeted,
    payload,
)
from tests.model.events import GONE, LAST, SELL_SIDE, Event, Rejected
from tests.model.form import check_form
from tests.model.idempotency import Ids
from tests.model.reference import Reference
from tests.model.rows import Asker
from tests.model.state import OPEN, OUTSIDE, SLOT_BITS, IdRecord, Order, Sizes
from tests.model.trading import Trading

WORD_MAX = (1 << 63) - 1


class PositionRow(NamedTuple):
    net: int
    cost: int
    held: int  # Lots in open sells.
    realized: int
    bought: int
    sold: int


class Exchange:
    """All state; one command at a time."""

    def __init__(self, sizes: Sizes | None = None, *, risk: bool = True) -> None:
        self.sizes = sizes or Sizes()
        self.ids = Ids(self.sizes.ids_max)
        self.trading = Trading(self.sizes, self.ids, risk=risk)
        self.reference = Reference(self.sizes, self.trading)
        self.sessions: dict[int, int] = {}
        self.sessions_lost = 0

    # Applying.

    def apply(self, command: Command) -> list[Event]:
        """The events of one command, numbered and stamped."""
        self._note_session(command)
        trading = self.trading
        trading.events = []
        trading.sequence = command.sequence
        trading.now_ns = command.timestamp_ns
        try:
            check_form(command)
            if isinstance(command, Create):
                trading.events.extend(self._create(command))
            else:
                assert isinstance(command, Keyed)
                self._apply_keyed(command)
        except Rejected as rejected:
            assert not trading.events
            trading.events.append(self._reject(command, rejected, self._asked_id(command)))
        return self._numbered(command, trading.events)

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

    def _note_session(self, command: Command) -> None:
        if command.session == 0:
            return
        if command.session in self.sessions or len(self.sessions) < self.sizes.sessions_max:
            self.sessions[command.session] = command.request_id
        else:
            self.sessions_lost += 1

    def _create(self, command: Create) -> list[Event]:
        if isinstance(command, CreateAccount):
            return [self.reference.create_account(command)]
        if isinstance(command, CreateAsset):
            return [self.reference.create_asset(command)]
        assert isinstance(command, CreateInstrument)
        return self.reference.create_instrument(command)

    def _apply_keyed(self, command: Keyed) -> None:
        if not OUTSIDE < command.account <= len(self.reference.accounts):
            raise Rejected("UNKNOWN_ACCOUNT")
        record = None
        if command.client_order_id:
            known = self.ids.find(command.account, command.client_order_id)
            if known is not None:
                if known.payload != payload(command):
                    raise Rejected("DUPLICATE_CLIENT_ID")
                self.trading.events.append(self._repeat(command, known))
                return
            record = self.ids.put(command.account, command.client_order_id, payload(command))
            if isinstance(command, PlaceOrder):
                record.order_id = command.sequence << SLOT_BITS
        try:
            if command.expire_after_ns and command.timestamp_ns > command.expire_after_ns:
                raise Rejected("EXPIRED_REQUEST", command.expire_after_ns, command.timestamp_ns)
            self._decide(command, record)
        except Rejected as rejected:
            if record is not None:
                record.reason = rejected.reason
            raise

    def _decide(self, command: Keyed, record: IdRecord | None) -> None:
        if isinstance(command, PlaceOrder):
            self.trading.place(command)
        elif isinstance(command, MassCancel):
            self._mass_cancel(command)
        elif isinstance(command, Money):
            self.trading.events.extend(self.reference.move_money(command))
        else:
            assert isinstance(command, Targeted)
            self._change(command, record)

    # Cancel, reduce, replace.

    def _target(self, command: Targeted) -> Order | None:
        order_id = command.order_id
        if order_id == 0:
            original = self.ids.find(command.account, command.original_client_order_id)
            order_id = original.order_id if original else 0
        order = self.trading.rows.find(order_id) if order_id > 0 else None
        return order if order is not None and order.account == command.account else None

    def _change(self, command: Targeted, record: IdRecord | None) -> None:
        order = self._target(command)
        if order is None:
            raise Rejected("UNKNOWN_ORDER")
        if record is not None:
            record.order_id = order.order_id
        try:
            if order.status != OPEN:
                raise Rejected("TOO_LATE")
            if isinstance(command, CancelOrder):
                self._tell_accepted(command, order)
                self.trading.cancel(order, "CANCELED_BY_USER")
            elif isinstance(command, ReduceOrder):
                self._reduce(command, order)
            else:
                assert isinstance(command, ReplaceOrder)
                self._replace(command, order)
        except Rejected as rejected:
            raise RejectedOrder(rejected, order.order_id) from rejected

    def _tell_accepted(self, command: Targeted, order: Order) -> None:
        if command.client_order_id or command.session != order.session:
            self.trading.emit(
                "CANCEL_ACCEPTED",
                order,
                session=command.session,
                client_order_id=command.client_order_id,
                price=order.price,
            )

    def _reduce(self, command: ReduceOrder, order: Order) -> None:
        if command.qty < 1:
            raise Rejected("QTY_TOO_SMALL", 1, command.qty)
        self._tell_accepted(command, order)
        if command.qty >= order.leaves:
            self.trading.cancel(order, "REDUCED_TO_ZERO")
        else:
            self.trading.reduce(order, command.qty)

    def _replace(self, command: ReplaceOrder, order: Order) -> None:
        price = command.price or order.price
        if command.qty == 0:
            leaves = order.leaves
        elif command.qty_basis == QTY_TOTAL:
            leaves = command.qty - order.cum
        else:
            leaves = command.qty
        if leaves < 1:
            raise Rejected("TOO_LATE", order.cum, command.qty)
        instrument = self.trading.instruments[order.instrument]
        self.trading.check_terms(instrument, price, order.cum + leaves)
        asker = Asker(command.session, command.client_order_id, self.ids, command.account)
        self.trading.replace(order, price, leaves, asker)

    def _mass_cancel(self, command: MassCancel) -> None:
        if command.instrument and command.instrument not in self.trading.instruments:
            raise Rejected("UNKNOWN_INSTRUMENT")
        orders = [
            order
            for order in self.trading.open_orders(command.account)
            if command.instrument in (0, order.instrument) and command.side in (0, order.side)
        ]
        self.trading.events.append(
            Event(
                kind="MASS_CANCELED",
                session=command.session,
                account=command.account,
                instrument=command.instrument,
                client_order_id=command.client_order_id,
                qty=len(orders),
                flags=SELL_SIDE if command.side == SELL else 0,
            )
        )
        for order in orders:
            self.trading.cancel(order, "CANCELED_BY_MASS_CANCEL")

    # Rejects and repeats.

    def _asked_id(self, command: Command) -> int:
        if isinstance(command, PlaceOrder):
            return command.sequence << SLOT_BITS
        return command.order_id if isinstance(command, Targeted) else 0

    def _reject(self, command: Command, rejected: Rejected, order_id: int) -> Event:
        if isinstance(command, OtherKind) or command.schema != 1:
            return self._reject_unread(command, rejected)
        is_place = isinstance(command, PlaceOrder)
        sells = isinstance(command, PlaceOrder) and command.side == SELL
        return self._answer(command)._replace(
            kind="ORDER_REJECTED" if is_place else "COMMAND_REJECTED",
            order_id=getattr(rejected, "order_id", order_id),
            leaves=command.kind,
            cum=rejected.limit,
            cum_notional=min(rejected.value, WORD_MAX),
            reason=rejected.reason,
            flags=SELL_SIDE if sells else 0,
        )

    def _reject_unread(self, command: Command, rejected: Rejected) -> Event:
        """Of another kind or schema only the prefix and the place of the id are known."""
        name = command.name if isinstance(command, Create) else ""
        return Event(
            kind="COMMAND_REJECTED",
            session=command.session,
            account=command.account,
            instrument=command.instrument,
            client_order_id=getattr(command, "client_order_id", name),
            leaves=command.kind,
            reason=rejected.reason,
        )

    def _answer(self, command: Command) -> Event:
        """What a reject takes over from its command."""
        event = Event(
            session=command.session, account=command.account, instrument=command.instrument
        )
        if isinstance(command, Create):
            return event._replace(instrument=0, client_order_id=command.name)
        if isinstance(command, Keyed):
            event = event._replace(client_order_id=command.client_order_id)
        if isinstance(command, Money):
            return event._replace(instrument=command.asset, qty=command.amount)
        if isinstance(command, PlaceOrder | ReplaceOrder | ReduceOrder):
            return event._replace(price=command.price, qty=command.qty)
        return event

    def _repeat(self, command: Keyed, record: IdRecord) -> Event:
        """The answer to a command that came before, with the same id and payload."""
        is_order = isinstance(command, PlaceOrder)
        if isinstance(command, Targeted) and not record.reason:
            is_order = True
        if is_order:
            return self._repeat_order(command, record)
        if record.reason:
            return self._reject(command, Rejected(record.reason), record.order_id)
        return self._answer(command)._replace(kind="COMMAND_REPEATED", price=0, qty=0)

    def _repeat_order(self, command: Keyed, record: IdRecord) -> Event:
        event = Event(
            kind="ORDER_REPEATED",
            order_id=record.order_id,
            session=command.session,
            account=command.account,
            client_order_id=command.client_order_id,
        )
        order = self.trading.rows.find(record.order_id)
        if order is None:
            return event._replace(instrument=command.instrument, flags=GONE, reason=record.reason)
        return event._replace(
            instrument=order.instrument,
            price=order.price,
            qty=order.qty,
            leaves=order.leaves,
            cum=order.cum,
            cum_notional=order.cum_notional,
            reason=order.reason,
            flags=SELL_SIDE if order.side == SELL else 0,
        )

    # Reading.

    def balances(self) -> dict[tuple[int, int], tuple[int, int]]:
        """(account, asset) -> (available, held), rows that hold nothing left out."""
        rows = self.trading.ledger.balances.items()
        return {key: (row.available, row.held) for key, row in rows if row.available or row.held}

    def positions(self) -> dict[tuple[int, int], PositionRow]:
        """(account, instrument) -> position, rows that never traded nor sell left out."""
        held: dict[tuple[int, int], int] = {}
        for order in self.orders():
            if order.status == OPEN and order.side == SELL and self.trading.risk:
                key = (order.account, order.instrument)
                held[key] = held.get(key, 0) + order.leaves
        found = {}
        for key, row in self.trading.ledger.positions.items():
            if row.bought or row.sold or key in held:
                found[key] = PositionRow(
                    row.net, row.cost, held.get(key, 0), row.realized, row.bought, row.sold
                )
        return found

    def book(self, instrument: int) -> tuple[list[LevelRow], list[LevelRow]]:
        """Bids and asks, best first, orders by priority."""
        book = self.trading.books[instrument]
        return book.rows(BUY), book.rows(SELL)

    def orders(self) -> list[Order]:
        """Every order that has a row, open or ended."""
        return list(self.trading.rows.by_slot.values())

    def open_orders(self, account: int) -> list[Order]:
        """Open orders of an account, ascending by order id."""
        return self.trading.open_orders(account)

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
        check(self.trading)


class RejectedOrder(Rejected):
    """A reject about an order that was found."""

    def __init__(self, rejected: Rejected, order_id: int) -> None:
        super().__init__(rejected.reason, rejected.limit, rejected.value)
        self.order_id = order_id
