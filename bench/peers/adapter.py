"""What every peer is driven by: records of an order flow in, trades out.

An adapter says the four things that a package must do: enter, cancel, reduce in place, move.  What
is open is kept here, out of the trades that the package reports: flows name orders by their own
ids, and a replace may keep the quantity that is left.  That bookkeeping is inside the clock; it is
a part of every use of such a package.
"""

from typing import Any, Final

from bench.flow import CANCEL, NEW, NEW_IOC, NEW_MARKET, REDUCED, REPLACED

BUY, SELL = 0, 1
FACTOR: Final = 0x9E3779B97F4A7C15
WORD: Final = (1 << 64) - 1

Trade = tuple[int, int, int, int]  # Maker, taker, price, quantity.


class Open:
    """An order that rests, under the flow's id and the package's."""

    __slots__ = ("handle", "leaves", "order_id", "price", "side", "user")

    def __init__(self, order_id: int, side: int, user: int, price: int, leaves: int) -> None:
        self.order_id, self.side, self.user = order_id, side, user
        self.price, self.leaves = price, leaves
        self.handle: Any = None  # The package's.


class Adapter:
    """One instrument of a package; see the module.  A subclass reports each trade by ``traded``."""

    def __init__(self, trades: list[Trade]) -> None:
        self.trades = trades
        self.open: dict[int, Open] = {}
        self.rejects = 0

    def enter(self, order: Open, kind: int) -> None:
        """Match ``order.leaves`` of a new order (NEW, NEW_IOC, NEW_MARKET); the rest of a NEW
        rests, under a handle that is kept in the order."""
        raise NotImplementedError

    def cancel(self, order: Open) -> None:
        """Take a resting order out."""
        raise NotImplementedError

    def reduce(self, order: Open, less: int) -> None:
        """Take ``less`` off a resting order, of which some is left; it keeps its place."""
        raise NotImplementedError

    def move(self, order: Open, price: int, qty: int) -> None:
        """Another price or more quantity: out, and in again behind all others; may match."""
        self.cancel(order)
        order.price, order.leaves = price, qty
        self.enter(order, NEW)

    def traded(self, maker_id: int, taker: Open, price: int, qty: int) -> None:
        """A trade that the package reported, by the flow's ids."""
        self.trades.append((maker_id, taker.order_id, price, qty))
        taker.leaves -= qty
        maker = self.open.get(maker_id)
        if maker is not None:  # Else the package trades with an order that has ended: it differs.
            maker.leaves -= qty
            if maker.leaves <= 0:
                del self.open[maker_id]

    def apply(self, op: int, side: int, user: int, order_id: int, price: int, qty: int) -> None:
        """One record of a flow."""
        if op in (NEW, NEW_IOC, NEW_MARKET):
            order = Open(order_id, side, user, price, qty)
            self.enter(order, op)
            if op == NEW and order.leaves > 0:
                self.open[order_id] = order
            return
        found = self.open.get(order_id)
        if found is None:
            self.rejects += 1
        elif op == CANCEL or (op == REDUCED and qty >= found.leaves):
            del self.open[order_id]
            self.cancel(found)
        elif op == REDUCED:
            found.leaves -= qty
            self.reduce(found, qty)
        elif op == REPLACED:
            self._replace(found, price, qty or found.leaves)

    def _replace(self, order: Open, price: int, qty: int) -> None:
        if price == order.price and qty <= order.leaves:
            less, order.leaves = order.leaves - qty, qty
            if less:
                self.reduce(order, less)
            return
        del self.open[order.order_id]
        self.move(order, price, qty)
        if order.leaves > 0:
            self.open[order.order_id] = order

    def resting(self) -> tuple[int, int]:
        """Orders that rest, and their quantity."""
        return len(self.open), sum(order.leaves for order in self.open.values())


def trade_hash(trades: list[Trade]) -> str:
    """The flow format's hash over trades, 16 hexadecimal digits."""
    digest = 0
    for trade in trades:
        for value in trade:
            digest = ((digest ^ value) * FACTOR) & WORD
            digest ^= digest >> 29
    return f"{digest:016x}"
