"""What all parts of the twin see: books, rows, money, reference data, and the events so far."""

from tests.model.book import Book
from tests.model.commands import SELL
from tests.model.events import SELL_SIDE, Event
from tests.model.idempotency import Ids
from tests.model.money import Ledger
from tests.model.rows import Rows
from tests.model.state import OUTSIDE, Account, Asset, Instrument, Order, Sizes


class View:
    """The tables, without any rule about them."""

    def __init__(self, sizes: Sizes, ids: Ids, *, risk: bool) -> None:
        self.sizes = sizes
        self.ids = ids
        self.risk = risk
        self.ledger = Ledger()
        self.rows = Rows(sizes)
        self.accounts: dict[int, Account] = {}  # Traders.
        self.assets: dict[int, Asset] = {}
        self.instruments: dict[int, Instrument] = {}
        self.books: dict[int, Book] = {}
        self.is_killed = False  # For all.
        # The command that is applied.
        self.events: list[Event] = []
        self.sequence = 0
        self.now_ns = 0
        self.kind = 0

    def emit(self, kind: str, order: Order, **values: int | str) -> None:
        """One event about an order, with its names and side; ``values`` replace or add."""
        flags = int(values.pop("flags", 0)) | (SELL_SIDE if order.side == SELL else 0)
        event = Event(
            kind=kind,
            order_id=order.order_id,
            session=order.session,
            account=order.account,
            instrument=order.instrument,
            client_order_id=order.client_order_id,
            flags=flags,
        )
        self.events.append(event._replace(**values))  # type: ignore[arg-type]

    def tell(self, kind: str, order: Order, **values: int | str) -> None:
        """As ``emit``, with what the order has and has filled."""
        numbers: dict[str, int | str] = {
            "price": order.price,
            "leaves": order.leaves,
            "cum": order.cum,
            "cum_notional": order.cum_notional,
        }
        self.emit(kind, order, **(numbers | values))

    def touch(self, order: Order) -> None:
        """Note which command changed an order last."""
        order.updated_ns = self.now_ns
        order.sequence = self.sequence

    def open_orders(self, account: int) -> list[Order]:
        """Open orders of an account, pending and routed ones too, by order id."""
        found = [
            row for row in self.rows.by_slot.values() if row.account == account and row.is_live
        ]
        return sorted(found, key=lambda row: row.order_id)

    def orders_in(self, instrument: int) -> list[Order]:
        """Open orders of an instrument, by order id."""
        found = [
            row
            for row in self.rows.by_slot.values()
            if row.instrument == instrument and row.is_live
        ]
        return sorted(found, key=lambda row: row.order_id)

    def issued(self, asset: int) -> int:
        """What all accounts but ``outside`` have of an asset, and what is in pots."""
        pots = sum(row.pot for row in self.instruments.values() if row.quote == asset)
        return pots + sum(
            row.available + row.held
            for (account, of), row in self.ledger.balances.items()
            if of == asset and account != OUTSIDE
        )
