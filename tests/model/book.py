"""The twin's order book of one instrument: sorted prices, each with its orders oldest first."""

from collections.abc import Iterator

from sortedcontainers import SortedDict

from tests.model.commands import BUY, SELL
from tests.model.state import Order

Level = dict[int, Order]  # By order id; a dict keeps the order of arrival.
LevelRow = tuple[int, list[tuple[int, int]]]  # price, [(order id, shown), ...] by priority


class Book:
    """Bids and asks, and beside them the stops that wait."""

    def __init__(self) -> None:
        self.sides: dict[int, SortedDict[int, Level]] = {BUY: SortedDict(), SELL: SortedDict()}
        self.openers: dict[tuple[int, int], int] = {}  # (side, price) -> account.
        self.pending: dict[int, Order] = {}  # By order id.

    def add(self, order: Order) -> None:
        """Put an order at the end of its level, showing what it may show."""
        order.shown = min(order.display or order.leaves, order.leaves)
        level = self.sides[order.side].setdefault(order.price, {})
        if not level:
            self.openers[order.side, order.price] = order.account
        level[order.order_id] = order

    def remove(self, order: Order) -> None:
        """Take an order out."""
        order.shown = 0
        levels = self.sides[order.side]
        del levels[order.price][order.order_id]
        if not levels[order.price]:
            del levels[order.price]
            del self.openers[order.side, order.price]

    def refill(self, order: Order) -> None:
        """Show the next part of an iceberg, behind all others of its level."""
        level = self.sides[order.side][order.price]
        del level[order.order_id]
        level[order.order_id] = order
        order.shown = min(order.display, order.leaves)

    def has(self, order: Order) -> bool:
        """Whether the order is in the book."""
        return order.order_id in self.sides[order.side].get(order.price, {})

    def best(self, side: int) -> int | None:
        """The best price of a side."""
        levels = self.sides[side]
        if not levels:
            return None
        return int(levels.peekitem(-1 if side == BUY else 0)[0])

    def first(self, side: int) -> Order:
        """The order of a side that trades next."""
        best = self.best(side)
        assert best is not None
        return next(iter(self.sides[side][best].values()))

    def crosses(self, side: int, price: int | None) -> bool:
        """Whether an order of ``side`` at ``price`` (None: at any price) would trade now."""
        opposite = self.best(SELL if side == BUY else BUY)
        if opposite is None or price is None:
            return opposite is not None
        return opposite <= price if side == BUY else opposite >= price

    def levels(self, side: int) -> Iterator[tuple[int, Level]]:
        """Levels of a side, best first."""
        levels = self.sides[side]
        for price in reversed(levels) if side == BUY else levels:
            yield price, levels[price]

    def rows(self, side: int) -> list[LevelRow]:
        """Levels of a side as plain values, best first."""
        return [
            (price, [(order.order_id, order.shown) for order in level.values()])
            for price, level in self.levels(side)
        ]

    def levels_opened_by(self, account: int) -> int:
        """How many levels of both sides the account opened."""
        return sum(opener == account for opener in self.openers.values())
