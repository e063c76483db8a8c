"""What must hold in the stream of events alone: lives of orders, fairness of trades.

Knows nothing of twin or engine; asserts, event by event (reliability.md 6: 6, 7, 8, 10).
"""

from dataclasses import dataclass

from tests.model.events import LAST, MAKER, SELL_SIDE, Event
from tests.model.mirror import Mirror
from tests.model.state import WORD_MAX

ENDS = frozenset({"ORDER_CANCELED", "ORDER_EXPIRED"})
# These speak of orders, or of their ids, whatever became of them.
ABOUT_ANY = frozenset(
    {
        *("ORDER_REPEATED", "COMMAND_REJECTED", "ORDER_REJECTED", "EXEC_RECORDED"),
        *("TRADE_BUSTED", "TRADE_CORRECTED", "REPLACED_FROM"),
        *("ASSET_CREATED", "INSTRUMENT_CREATED", "INSTRUMENT_TERMS", "ACCOUNT_CREATED"),
        *("INSTRUMENT_UPDATED", "INSTRUMENT_SETTLED", "ACCOUNT_UPDATED", "CLEARED"),
    }
)


@dataclass(slots=True)
class Life:
    """An open order as its events told it."""

    account: int
    instrument: int
    is_sell: bool
    price: int
    qty: int
    leaves: int
    cum: int = 0
    notional: int = 0


class Audit:
    """Follows a stream from its beginning."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.open: dict[int, Life] = {}
        self.ended: set[int] = set()
        self.routed: set[int] = set()  # Matched outside: their fills have one side here.
        self.sequence = 0
        self.timestamp_ns = 0
        self.taker: Event | None = None

    def take(self, events: list[Event]) -> None:
        """All events of one command."""
        first = events[0]
        assert first.sequence > self.sequence
        assert first.timestamp_ns >= self.timestamp_ns
        self.sequence, self.timestamp_ns = first.sequence, first.timestamp_ns
        for index, event in enumerate(events):
            assert (event.sequence, event.index) == (self.sequence, index)
            assert event.timestamp_ns == self.timestamp_ns
            assert bool(event.flags & LAST) == (index == len(events) - 1)
            self._follow(event)
            self.mirror.take(event)
        assert self.taker is None, "a fill without its other side"
        assert self.mirror.orders.keys() <= self.open.keys()

    def _follow(self, event: Event) -> None:
        if event.kind == "ORDER_ACCEPTED":
            assert event.order_id not in self.open
            assert event.order_id not in self.ended
            sells = bool(event.flags & SELL_SIDE)
            life = Life(event.account, event.instrument, sells, event.price, event.qty, event.qty)
            assert event.leaves == event.qty
            self.open[event.order_id] = life
            return
        if event.kind in ABOUT_ANY or event.order_id == 0:
            return
        assert event.order_id in self.open, event.words()
        life = self.open[event.order_id]
        assert (event.account, event.instrument) == (life.account, life.instrument)
        assert bool(event.flags & SELL_SIDE) == life.is_sell
        if event.kind == "ORDER_ROUTE_REQUESTED":
            self.routed.add(event.order_id)
        elif event.kind == "FILL":
            self._fill(event, life)
        elif event.kind == "ORDER_REPLACED":
            life.price, life.qty, life.leaves = event.price, event.qty, event.leaves
        elif event.kind == "ORDER_REDUCED":
            life.qty -= event.qty
            life.leaves -= event.qty
            assert event.leaves == life.leaves > 0, event.words()
        elif event.kind in ENDS:
            assert event.qty == life.leaves, event.words()
            assert (event.cum, event.cum_notional) == (life.cum, life.notional)
            self._end(event.order_id)
        if event.kind in ("ORDER_REPLACED", "ORDER_RESTED", "ORDER_REFILLED"):
            assert event.leaves == life.leaves, event.words()
            assert life.qty == life.leaves + life.cum, event.words()

    def _end(self, order_id: int) -> None:
        del self.open[order_id]
        self.ended.add(order_id)

    def _fill(self, event: Event, life: Life) -> None:
        life.leaves -= event.qty
        life.cum += event.qty
        assert event.qty > 0
        assert (event.leaves, event.cum) == (life.leaves, life.cum), event.words()
        assert life.leaves >= 0
        notional = event.cum_notional - life.notional
        if event.cum_notional == WORD_MAX:  # It stops there, and says no more of the fill.
            notional = 0
        else:
            assert notional > 0, event.words()
        life.notional = event.cum_notional
        if event.order_id in self.mirror.orders:
            self._maker(event, notional)
        elif event.order_id not in self.routed:
            assert self.taker is None
            self.taker = event._replace(cum_notional=notional)
        if life.leaves == 0:
            self._end(event.order_id)

    def _maker(self, event: Event, notional: int) -> None:
        """The second of two equal sides: the first in line, at its own price."""
        taker = self.taker
        assert event.flags & MAKER
        assert taker is not None
        assert not taker.flags & MAKER
        self.taker = None
        assert (taker.qty, taker.price, taker.instrument) == (
            event.qty,
            event.price,
            event.instrument,
        )
        assert taker.cum_notional == notional or 0 in (taker.cum_notional, notional)
        assert (taker.flags ^ event.flags) & SELL_SIDE
        is_sell = bool(event.flags & SELL_SIDE)
        first = self.mirror.first(event.instrument, is_sell=is_sell)
        assert first is not None
        assert (first.order_id, first.price) == (event.order_id, event.price), event.words()
        life = self.open.get(taker.order_id)
        if life is not None and life.price:
            assert event.price >= life.price if life.is_sell else event.price <= life.price
