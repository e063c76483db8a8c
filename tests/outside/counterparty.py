"""A venue somewhere else, as its adapter sees it: it reads what is asked for out of our events, and
says what became of it, in an order that nobody promised.

It follows our events by (sequence, index), which it keeps over its restarts.  What it has to say
goes into a line; from there it may come late, in another order, or twice.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from tests.model.events import SELL_SIDE, Event
from tests.model.venue_commands import (
    OUTSIDE_MAKER,
    OUTSIDE_SELL,
    OutsideAcknowledged,
    OutsideBusted,
    OutsideCanceled,
    OutsideCommand,
    OutsideCorrected,
    OutsideFilled,
    OutsideRejected,
)

PLACE: Final = 1
CANCEL: Final = 2
REPLACE: Final = 3
OVERFILLS: Final = 0.02
STRANGERS: Final = 0.02  # Trades of orders that we do not know.


class Execution(NamedTuple):
    """One trade as the venue has it in its books; ``lots`` are negative when sold."""

    account: int
    instrument: int
    lots: int
    price: int
    fee: int


@dataclass(slots=True)
class Order:
    """An order as the venue has it."""

    order_id: int
    account: int
    instrument: int
    is_buy: bool
    price: int
    qty: int
    cum: int = 0
    open: bool = True

    @property
    def leaves(self) -> int:
        return self.qty - self.cum if self.open else 0


@dataclass(slots=True)
class Counterparty:
    """Reads events, keeps orders, says what happens to them."""

    chance: random.Random
    prices: Sequence[int]
    orders: dict[int, Order] = field(default_factory=dict)
    executions: list[tuple[Order, Execution]] = field(default_factory=list)
    books: list[Execution] = field(default_factory=list)  # Reversals of busts too.
    line: list[OutsideCommand] = field(default_factory=list)
    said: list[OutsideCommand] = field(default_factory=list)
    seen: tuple[int, int] = (0, -1)
    asked: int = 0  # Requests that it has taken.
    execs: int = 0

    # What it reads.

    def read(self, events: Sequence[Event]) -> None:
        """Take what is asked for in events that it has not seen."""
        for event in events:
            place = (event.sequence, event.index)
            if place <= self.seen:
                continue
            self.seen = place
            if event.kind == "ORDER_ROUTE_REQUESTED":
                self.asked += 1
                {PLACE: self._take, CANCEL: self._cancel, REPLACE: self._replace}[event.leaves](
                    event
                )

    def _take(self, event: Event) -> None:
        order = Order(
            order_id=event.order_id,
            account=event.account,
            instrument=event.instrument,
            is_buy=not event.flags & SELL_SIDE,
            price=event.price,
            qty=event.qty,
        )
        self.orders[event.order_id] = order
        if self.chance.random() < 0.1:
            order.open = False
            self._say(OutsideRejected, order)
            return
        self._say(OutsideAcknowledged, order)
        if self.chance.random() < 0.4:
            self.trade(order)

    def _cancel(self, event: Event) -> None:
        order = self.orders[event.order_id]
        if order.leaves and self.chance.random() < 0.2:
            self.trade(order)  # It was faster.
        if order.leaves and self.chance.random() < 0.8:
            order.open = False
            self._say(OutsideCanceled, order)
        else:
            self._say(OutsideRejected, order)

    def _replace(self, event: Event) -> None:
        order = self.orders[event.order_id]
        if order.leaves and self.chance.random() < 0.3:
            self.trade(order)
        if not order.leaves or self.chance.random() < 0.3:
            self._say(OutsideRejected, order)
            return
        order.price, order.qty = event.price, max(event.qty, order.cum)
        order.open = order.qty > order.cum
        self._say(OutsideAcknowledged, order)

    # What happens there.

    def work(self) -> None:
        """A moment of its own: fills, seldom a bust, a correction, an overfill, or the end of an
        order that nobody asked for."""
        live = [order for order in self.orders.values() if order.leaves]
        for order in live:
            if self.chance.random() < 0.3:
                self.trade(order)
        if live and self.chance.random() < 0.05:
            order = self.chance.choice(live)
            order.open = False
            self._say(OutsideCanceled, order)
        if self.executions and self.chance.random() < 0.08:
            self._take_back()
        if self.orders and self.chance.random() < OVERFILLS:
            self._overfill(self.chance.choice(list(self.orders.values())))
        if self.orders and self.chance.random() < STRANGERS:
            known = self.chance.choice(list(self.orders.values()))
            self._overfill(replace(known, order_id=known.order_id + (1 << 40)))  # By telephone.

    def trade(self, order: Order) -> None:
        """A fill of a part of an open order, or of all of it."""
        lots = self.chance.choice((order.leaves, self.chance.randint(1, order.leaves)))
        order.cum += lots
        order.open = order.leaves > 0
        self._fill(order, lots)

    def _overfill(self, order: Order) -> None:
        """A trade beyond what was asked for: venues do it."""
        self._fill(order, self.chance.randint(1, 5))

    def _fill(self, order: Order, lots: int) -> None:
        price = self.chance.choice(self.prices)
        fee = self.chance.choice((0, 0, 3, 11, -2))
        signed = lots if order.is_buy else -lots
        done = Execution(order.account, order.instrument, signed, price, fee)
        self.executions.append((order, done))
        self.books.append(done)
        flags = self.chance.choice((0, OUTSIDE_MAKER)) | (0 if order.is_buy else OUTSIDE_SELL)
        self._say(OutsideFilled, order, price=price, qty=lots, fee=fee, flags=flags)

    def _take_back(self) -> None:
        """A bust or a correction of a trade."""
        order, done = self.executions.pop(self.chance.randrange(len(self.executions)))
        values: dict[str, Any] = {"price": done.price, "qty": abs(done.lots), "fee": done.fee}
        values["flags"] = 0 if order.is_buy else OUTSIDE_SELL
        self.books.append(done._replace(lots=-done.lots, fee=-done.fee))
        if self.chance.random() < 0.5:
            self._say(OutsideBusted, order, **values)
            return
        new = done._replace(price=self.chance.choice(self.prices), fee=self.chance.choice((0, 4)))
        self.books.append(new)
        values |= {"new_price": new.price, "new_qty": abs(new.lots), "new_fee": new.fee}
        self._say(OutsideCorrected, order, **values)

    def _say(self, kind: Callable[..., OutsideCommand], order: Order, **more: Any) -> None:
        self.execs += 1
        self.line.append(
            kind(
                account=order.account,
                instrument=order.instrument,
                order_id=order.order_id,
                source="venue-" + "x" * 30,
                reference=f"{'execution-' * 5}{self.execs}",
                **more,
            )
        )

    # What it says.

    def speak(self) -> list[OutsideCommand]:
        """Some of what stands in the line, mostly in order; now and then something again."""
        told = []
        while self.line and self.chance.random() < 0.6:
            place = 0 if self.chance.random() < 0.8 else self.chance.randrange(len(self.line))
            told.append(self.line.pop(place))
        if self.said and self.chance.random() < 0.2:
            told.append(self.chance.choice(self.said))
        self.said += told
        return told

    def restart(self, events: Sequence[Event]) -> None:
        """It was away: it reads on from where it was, and says again what it may not have said."""
        self.line = self.said[-5:] + self.line
        self.read(events)

    def drain(self) -> list[OutsideCommand]:
        """Everything that is left to be said, and the end of every order."""
        for order in self.orders.values():
            order.open = False
            self._say(OutsideCanceled, order)
        told, self.line = self.line, []
        self.said += told
        return told

    def net(self) -> dict[tuple[int, int], int]:
        """Lots by (account, instrument), of its books."""
        found: dict[tuple[int, int], int] = {}
        for done in self.books:
            key = (done.account, done.instrument)
            found[key] = found.get(key, 0) + done.lots
        return found

    def cash(self, account: int, multipliers: dict[int, int]) -> int:
        """Quote units that its books moved to an account."""
        return sum(
            -done.lots * done.price * multipliers[done.instrument] - done.fee
            for done in self.books
            if done.account == account
        )
