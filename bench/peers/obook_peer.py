"""obook: an engine in Go behind a C interface, called through ctypes.

It keeps orders of one user from trading with each other, which flows allow: so every order is of a
user of its own.
"""

import importlib
from typing import Any, Final

from bench.flow import NEW_IOC, NEW_MARKET
from bench.peers.adapter import Adapter, Open, Trade

TRADE: Final = 3  # obook.EventKind
ORDERS_MAX: Final = 2_000_000


class Peer(Adapter):
    """One obook.Book."""

    def __init__(self, trades: list[Trade]) -> None:
        super().__init__(trades)
        package: Any = importlib.import_module("obook")
        self._limit, self._market = package.LIMIT, package.MARKET
        self._gtc, self._ioc = package.GTC, package.IOC
        self._book = package.Book(max_orders=ORDERS_MAX)
        self._flow_ids: dict[int, int] = {}
        self._total: dict[int, int] = {}  # By handle; obook counts what was filled in it.

    def enter(self, order: Open, kind: int) -> None:
        order_type = self._market if kind == NEW_MARKET else self._limit
        tif = self._ioc if kind in (NEW_IOC, NEW_MARKET) else self._gtc
        qty = order.leaves
        done = self._book.submit(order.order_id, order.side, order.price, qty, order_type, tif)
        order.handle = done.order_id
        self._flow_ids[done.order_id] = order.order_id
        self._total[done.order_id] = qty
        for event in self._book.events():
            if event.kind == TRADE:
                self.traded(self._flow_ids[event.maker_id], order, event.price, event.qty)

    def cancel(self, order: Open) -> None:
        self._book.cancel(order.handle, order.order_id)
        self._book.events()

    def reduce(self, order: Open, less: int) -> None:
        self._total[order.handle] -= less
        self._book.reduce(order.handle, self._total[order.handle], order.order_id)
        self._book.events()
