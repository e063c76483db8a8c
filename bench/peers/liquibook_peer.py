"""liquibook: Liquibook in C++ behind SWIG.  A replace always goes to the end of its level."""

import importlib
from typing import Any

from bench.flow import NEW, NEW_MARKET
from bench.peers.adapter import BUY, Adapter, Open, Trade


class Peer(Adapter):
    """One liquibook book; a listener hears of every fill."""

    def __init__(self, trades: list[Trade]) -> None:
        super().__init__(trades)
        package: Any = importlib.import_module("liquibook")
        flow_ids: dict[int, int] = {}
        adapter = self

        class Listener(package.OrderListener):  # type: ignore[misc]
            def on_accept(self, order: Any) -> None:
                order.accept()

            def on_reject(self, order: Any, reason: str) -> None:
                pass

            def on_fill(self, taker: Any, maker: Any, qty: int, price: int) -> None:
                maker.fill(qty, price, 0)
                taker.fill(qty, price, 0)
                assert adapter.taker is not None
                adapter.traded(flow_ids[maker.order_id_], adapter.taker, price, qty)

            def on_cancel(self, order: Any) -> None:
                order.cancel()

            def on_cancel_reject(self, order: Any, reason: str) -> None:
                pass

            def on_replace(self, order: Any, difference: int, price: int) -> None:
                order.replace(difference, price)

            def on_replace_reject(self, order: Any, reason: str) -> None:
                pass

        self.taker: Open | None = None
        self._flow_ids = flow_ids
        self._order = package.SimpleOrder
        self._at_once = package.oc_immediate_or_cancel
        self._listener = Listener()
        self._book = package.liquibook_book_OrderBook()
        self._book.set_order_listener(self._listener)

    def enter(self, order: Open, kind: int) -> None:
        price = 0 if kind == NEW_MARKET else order.price  # 0: a market order.
        conditions = 0 if kind == NEW else self._at_once
        made = self._order(order.side == BUY, price, order.leaves, 0, conditions)
        order.handle, self.taker = made, order
        self._flow_ids[made.order_id_] = order.order_id
        self._book.add(made, conditions)

    def cancel(self, order: Open) -> None:
        self._book.cancel(order.handle)

    def reduce(self, order: Open, less: int) -> None:
        self.taker = order
        self._book.replace(order.handle, -less, order.price)

    def move(self, order: Open, price: int, qty: int) -> None:
        difference = qty - order.leaves
        order.price, order.leaves, self.taker = price, qty, order
        self._book.replace(order.handle, difference, price)
