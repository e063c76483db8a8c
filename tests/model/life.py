"""How orders of the twin end or shrink, and what follows from it."""

from tests.model.holds import Holds
from tests.model.state import CANCELED, EXPIRED, FILLED, Order
from tests.model.view import View

ROUTE_PLACE = 1
ROUTE_CANCEL = 2
ROUTE_REPLACE = 3


class Life:
    """Ends of orders, one by one; a pair ends together."""

    def __init__(self, view: View, holds: Holds) -> None:
        self.view = view
        self.holds = holds

    # Ends.

    def finish(self, order: Order, kind: str, reason: str) -> None:
        """End an order with leaves, tell it, and end its partner after it."""
        left, shown = order.leaves, order.shown
        self._end(order, CANCELED if kind == "ORDER_CANCELED" else EXPIRED, reason)
        self.view.tell(kind, order, qty=left, leaves=shown, reason=reason)
        self.holds.tell_netted()
        self._finish_partner(order)

    def cancel(self, order: Order, reason: str) -> None:
        """ORDER_CANCELED."""
        self.finish(order, "ORDER_CANCELED", reason)

    def expire(self, order: Order, reason: str) -> None:
        """ORDER_EXPIRED."""
        self.finish(order, "ORDER_EXPIRED", reason)

    def fill_up(self, order: Order) -> None:
        """End an order that has nothing left; what it still holds is released."""
        assert order.leaves == 0
        self._end(order, FILLED, "")

    def _end(self, order: Order, status: str, reason: str) -> None:
        """Release what is held, keep the row among the ended ones, let the id go."""
        book = self.view.books[order.instrument]
        if order.shown:
            book.remove(order)
        book.pending.pop(order.order_id, None)
        self.holds.release(order)
        order.canceled += order.leaves
        order.leaves = 0
        order.status = status
        order.reason = reason
        order.deadline_ns = order.display = order.expire_ns = order.request = 0
        self.view.touch(order)
        self.view.ids.end_current(order.record)
        self.view.rows.end(order)

    # Pairs.

    def _finish_partner(self, order: Order) -> None:
        partner = order.partner
        if partner is not None:
            order.partner = partner.partner = None
            self.cancel(partner, "CANCELED_BY_PARTNER")

    def drop_partner(self, order: Order) -> None:
        """The order is about to trade or triggered: its partner ends, all is held here."""
        self._finish_partner(order)
        self.holds.unshare(order)

    # Less.

    def reduce(self, order: Order, lots: int, reason: str = "") -> None:
        """Take lots off an order that keeps its place; at nothing left it ends: ORDER_EXPIRED."""
        if lots == order.leaves:
            self._end_reduced(order, lots, reason)
            return
        self.holds.shrink(order, order.leaves - lots)
        order.leaves -= lots
        order.qty -= lots
        order.shown = min(order.shown, order.leaves)
        self.view.touch(order)
        self.view.tell("ORDER_REDUCED", order, qty=lots, reason=reason)
        self.holds.tell_netted()

    def _end_reduced(self, order: Order, lots: int, reason: str) -> None:
        shown = order.shown
        self._end(order, EXPIRED, reason)
        order.qty -= lots
        order.canceled -= lots
        self.view.tell("ORDER_EXPIRED", order, qty=lots, leaves=shown, reason=reason)
        self.holds.tell_netted()
        self._finish_partner(order)

    # Taken down from above.

    def take_down(self, order: Order, reason: str) -> None:
        """Cancel, here, or by asking for it where the order is matched."""
        if self.view.instruments[order.instrument].is_outside:
            self.ask(order, ROUTE_CANCEL, order.price, order.leaves)
        else:
            self.cancel(order, reason)

    def take_down_all(self, orders: list[Order], reason: str) -> None:
        """In this order; one that its partner took along is left out."""
        for order in orders:
            if order.is_live:
                self.take_down(order, reason)

    def may_take_down(self, orders: list[Order]) -> list[Order]:
        """Without those that are asked about outside already."""
        return [order for order in orders if not order.request]

    def ask(self, order: Order, request: int, price: int, qty: int) -> None:
        """ORDER_ROUTE_REQUESTED: somebody outside is to do it."""
        order.routes += 1
        if request != ROUTE_PLACE:
            order.request = request
            order.wanted_price, order.wanted_qty = price, qty
        self.view.touch(order)
        self.view.emit(
            "ORDER_ROUTE_REQUESTED", order, price=price, qty=qty, leaves=request, cum=order.routes
        )
