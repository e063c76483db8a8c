"""nanobook: an exchange in Rust.  It cannot reduce in place: ``modify`` goes to the end."""

import importlib
from typing import Any, Final

from bench.flow import NEW_IOC, NEW_MARKET
from bench.peers.adapter import Adapter, Open, Trade

SIDES: Final = ("buy", "sell")


class Peer(Adapter):
    """One nanobook.Exchange."""

    def __init__(self, trades: list[Trade]) -> None:
        super().__init__(trades)
        package: Any = importlib.import_module("nanobook")
        self._exchange = package.Exchange()
        self._flow_ids: dict[int, int] = {}

    def enter(self, order: Open, kind: int) -> None:
        side = SIDES[order.side]
        if kind == NEW_MARKET:
            done = self._exchange.submit_market(side, order.leaves)
        else:
            tif = "ioc" if kind == NEW_IOC else "gtc"
            done = self._exchange.submit_limit(side, order.price, order.leaves, tif)
        order.handle = done.order_id
        self._flow_ids[done.order_id] = order.order_id
        self._report(done.trades, order)

    def cancel(self, order: Open) -> None:
        self._exchange.cancel(order.handle)

    def reduce(self, order: Open, less: int) -> None:
        self._modify(order, order.price, order.leaves)

    def move(self, order: Open, price: int, qty: int) -> None:
        order.price, order.leaves = price, qty
        self._modify(order, price, qty)

    def _modify(self, order: Open, price: int, qty: int) -> None:
        done = self._exchange.modify(order.handle, price, qty)
        if done.success:
            order.handle = done.new_order_id
            self._flow_ids[done.new_order_id] = order.order_id
            self._report(done.trades, order)

    def _report(self, trades: list[Any], order: Open) -> None:
        for trade in trades:
            maker = self._flow_ids[trade.passive_order_id]
            self.traded(maker, order, trade.price, trade.quantity)
