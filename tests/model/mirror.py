"""The public book, built from nothing but the events, as a reader of the output ring would."""

from dataclasses import dataclass

from sortedcontainers import SortedDict

from tests.model.events import MAKER, PRIORITY_KEPT, RESTS, SELL_SIDE, Event


@dataclass(slots=True)
class Shown:
    """One order in the book; ``label`` is its client order id when it came to rest."""

    order_id: int
    instrument: int
    is_sell: bool
    price: int
    qty: int
    label: str


class Mirror:
    """Orders by priority, per instrument and side; only what they show."""

    def __init__(self) -> None:
        self.orders: dict[int, Shown] = {}
        self.sides: dict[tuple[int, bool], SortedDict[int, dict[int, Shown]]] = {}
        self.emptied: Shown | None = None  # Its shown part was taken: refilled next, or filled.

    def take(self, event: Event) -> None:
        """Follow one event; events come in the order of the stream."""
        if event.kind == "ORDER_REFILLED":
            self._refill(event)
            return
        self.emptied = None
        shown = self.orders.get(event.order_id)
        if event.kind == "ORDER_RESTED" or (event.kind == "ORDER_ACCEPTED" and _rests(event)):
            self._add(event, event.qty)
        elif event.kind == "ORDER_REPLACED":
            self._replace(event, shown)
        elif shown is None:  # About an order that is not in the book.
            ends = event.kind in ("ORDER_CANCELED", "ORDER_EXPIRED")
            assert not ends or event.leaves == 0, event.words()
        elif event.kind == "ORDER_REDUCED":
            shown.qty = min(shown.qty, event.leaves)
        elif event.kind == "FILL":
            assert event.flags & MAKER
            shown.qty -= event.qty
            assert shown.qty >= 0, event.words()
            if shown.qty == 0:
                self._remove(event.order_id)
                self.emptied = shown
        elif event.kind in ("ORDER_CANCELED", "ORDER_EXPIRED"):
            assert shown.qty == event.leaves, event.words()
            self._remove(event.order_id)

    def _replace(self, event: Event, shown: Shown | None) -> None:
        if event.flags & PRIORITY_KEPT:
            if shown is not None:
                assert shown.price == event.price
                shown.qty = min(shown.qty, event.leaves)
                shown.label = event.client_order_id
            return
        if shown is not None:
            self._remove(event.order_id)
        if _rests(event):
            self._add(event, event.leaves)

    def _refill(self, event: Event) -> None:
        emptied = self.emptied
        assert emptied is not None
        assert emptied.order_id == event.order_id, event.words()
        self._add(event, event.qty)
        self.orders[event.order_id].label = emptied.label

    def _add(self, event: Event, qty: int) -> None:
        is_sell = bool(event.flags & SELL_SIDE)
        shown = Shown(
            event.order_id, event.instrument, is_sell, event.price, qty, event.client_order_id
        )
        assert shown.order_id not in self.orders
        assert qty > 0
        self.orders[shown.order_id] = shown
        levels = self.sides.get((shown.instrument, is_sell))
        if levels is None:
            levels = self.sides[shown.instrument, is_sell] = SortedDict()
        levels.setdefault(shown.price, {})[shown.order_id] = shown

    def _remove(self, order_id: int) -> None:
        shown = self.orders.pop(order_id)
        levels = self.sides[shown.instrument, shown.is_sell]
        del levels[shown.price][order_id]
        if not levels[shown.price]:
            del levels[shown.price]

    def levels(self, instrument: int, *, is_sell: bool) -> list[tuple[int, list[Shown]]]:
        """Levels of a side, best first, orders by priority."""
        levels = self.sides.get((instrument, is_sell))
        if not levels:
            return []
        rows = [(price, list(level.values())) for price, level in levels.items()]
        return rows if is_sell else rows[::-1]

    def first(self, instrument: int, *, is_sell: bool) -> Shown | None:
        """Who of a side trades next."""
        levels = self.sides.get((instrument, is_sell))
        if not levels:
            return None
        return next(iter(levels.peekitem(0 if is_sell else -1)[1].values()))

    def depth(self, instrument: int, *, is_sell: bool) -> list[tuple[int, int, int]]:
        """L2 of a side, best first: price, quantity, count of orders."""
        return [
            (price, sum(shown.qty for shown in level), len(level))
            for price, level in self.levels(instrument, is_sell=is_sell)
        ]

    def queues(self, instrument: int, *, is_sell: bool) -> list[tuple[int, list[tuple[int, int]]]]:
        """L3 of a side, best first: price, (order id, quantity) by priority."""
        return [
            (price, [(shown.order_id, shown.qty) for shown in level])
            for price, level in self.levels(instrument, is_sell=is_sell)
        ]


def _rests(event: Event) -> bool:
    return bool(event.flags & RESTS)
