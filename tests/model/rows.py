"""The twin's order rows: who has a slot, and for how long."""

from collections import deque

from tests.model.events import Rejected
from tests.model.idempotency import Ids
from tests.model.state import SLOT_BITS, Order, Sizes


class Rows:
    """Which slot of the order table an order gets, and how long ended orders keep theirs."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.by_slot: dict[int, Order] = {}
        self.closed: deque[Order] = deque()
        self.freed: list[int] = []
        self.used = 0
        self.extras_used = 0

    @property
    def open_count(self) -> int:
        return len(self.by_slot) - len(self.closed)

    def take_slot(self) -> int:
        """The freed slot that was freed last, else one never used."""
        if self.freed:
            return self.freed.pop()
        self.used += 1
        assert self.used <= self.sizes.orders_max + self.sizes.closed_keep
        return self.used

    def find(self, order_id: int) -> Order | None:
        """The row with exactly this id."""
        row = self.by_slot.get(order_id & ((1 << SLOT_BITS) - 1))
        return row if row is not None and row.order_id == order_id else None

    def add_extra(self, order: Order) -> None:
        """Give an order an extra row, which it has until it ends."""
        if not order.has_extra:
            order.has_extra = True
            self.extras_used += 1

    def need_extras(self, count: int) -> None:
        """CAPACITY when there is no room for ``count`` more extra rows."""
        if self.extras_used + count > self.sizes.extras_max:
            raise Rejected("CAPACITY", self.sizes.extras_max, self.extras_used)

    def end(self, order: Order) -> None:
        """Keep an ended order; the one that ended first makes room."""
        if order.has_extra:
            order.has_extra = False
            self.extras_used -= 1
        self.closed.append(order)
        if len(self.closed) > self.sizes.closed_keep:
            oldest = self.closed.popleft()
            del self.by_slot[oldest.slot]
            self.freed.append(oldest.slot)


class Asker:
    """Who asked for a replace."""

    def __init__(self, session: int, client_order_id: str, ids: Ids, account: int) -> None:
        self.session = session
        self.client_order_id = client_order_id
        self.record = ids.find(account, client_order_id)
