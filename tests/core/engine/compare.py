"""Run one scenario through the twin and the engine; stop at the first difference."""

from typing import Any, Protocol

from replay import views
from tests.driver import EngineDriver, NotFound, OrderRow
from tests.model.audit import Audit
from tests.model.book import LevelRow
from tests.model.commands import Command
from tests.model.events import Event
from tests.model.exchange import Exchange
from tests.model.state import CANCELED, EXPIRED, FILLED, OPEN, PENDING, ROUTED, Order, Sizes

STATUS = {OPEN: 1, FILLED: 2, CANCELED: 3, EXPIRED: 4, PENDING: 6, ROUTED: 7}
REJECTED = 5
LEVELS_MAX = 1_000
SLOT_MASK = (1 << 22) - 1


class Source(Protocol):
    """Where commands come from: a Scenario, a Script."""

    def next(self) -> Command: ...

    def learn(self, events: list[Event]) -> None: ...


class Pair:
    """The twin and the engine, fed with the same commands in batches."""

    def __init__(
        self, sizes: Sizes, *, risk: bool = True, engine: EngineDriver | None = None
    ) -> None:
        """``engine``: one that is there already."""
        self.twin = Exchange(sizes, risk=risk)
        self.engine = engine or EngineDriver(sizes, risk=risk)
        self.audit = Audit()
        self.commands: list[Command] = []

    def run(self, scenario: Source, count: int) -> "list[Command]":
        """Draw ``count`` commands against the twin, then apply them to the engine in one call.

        After each command the book that the events alone give is the twin's.
        """
        batch = []
        expected: list[Event] = []
        for _ in range(count):
            command = scenario.next()
            events = self.twin.apply(command)
            scenario.learn(events)
            self.audit.take(events)
            for instrument in {event.instrument for event in events}:
                self._compare_mirror(instrument)
            batch.append(command)
            expected.extend(events)
        self.commands.extend(batch)
        self.compare_events(expected, self.engine.apply(batch))
        return batch

    def _compare_mirror(self, instrument: int) -> None:
        if instrument not in self.twin.view.books:
            return
        for side, is_sell in zip(self.twin.book(instrument), (False, True), strict=True):
            shown = self.audit.mirror.queues(instrument, is_sell=is_sell)
            assert shown == side, "the book built from events is another"

    def compare_events(self, expected: list[Event], got: list[Event]) -> None:
        """Equal to the last field, or the first command that differs is shown."""
        if expected == got:
            return
        for index, event in enumerate(expected):
            if index >= len(got) or got[index] != event:
                raise AssertionError(self._shown(event.sequence, expected, got))
        raise AssertionError(self._shown(got[len(expected)].sequence, expected, got))

    def _shown(self, sequence: int, expected: list[Event], got: list[Event]) -> str:
        command = next(c for c in self.commands if c.sequence == sequence)
        lines = [f"command {command}", "the twin:"]
        lines += [f"  {event.words()}" for event in expected if event.sequence == sequence]
        lines.append("the engine:")
        lines += [f"  {event.words()}" for event in got if event.sequence == sequence]
        return "\n".join(lines)

    def compare_state(self) -> None:
        """Money, positions, books, orders, ids, sessions, and both sides' own invariants."""
        twin, engine = self.twin, self.engine
        twin.check()
        engine.check()
        accounts = len(twin.reference.accounts)
        assert engine.balances(accounts) == twin.balances()
        assert engine.positions(accounts) == twin.positions()
        for instrument in twin.view.instruments:
            self.compare_book(instrument)
            self._compare_statistics(instrument)
        for account in range(3, accounts + 1):
            expected = [_row_of(order) for order in twin.open_orders(account)]
            assert engine.open_orders(account) == expected
        for order in twin.orders():
            assert engine.order(order.order_id, order.account) == _row_of(order)
        self._compare_ids()
        for session, request_id in twin.sessions.items():
            assert engine.session_request_id(session) == request_id
        expected_terms = [
            (row.number, row.symbol, row.mult, row.last_price)
            for row in twin.view.instruments.values()
        ]
        assert engine.instruments() == expected_terms
        assert engine.tick_tables() == {
            row.number: row.tick_table for row in twin.view.instruments.values() if row.tick_table
        }

    def _compare_statistics(self, instrument: int) -> None:
        expected = self.twin.statistics(instrument)
        for name, value in self.engine.statistics(instrument)._asdict().items():
            assert value == getattr(expected, name), (instrument, name)

    def compare_book(self, instrument: int) -> None:
        """L2 as a query tells it, L3 as it lies in the engine, both built from events alone."""
        self._compare_mirror(instrument)
        mirror = self.audit.mirror
        depth = [mirror.depth(instrument, is_sell=is_sell) for is_sell in (False, True)]
        assert self.engine.depth(instrument) == depth
        queues = [mirror.queues(instrument, is_sell=is_sell) for is_sell in (False, True)]
        assert queues_of(self.engine, instrument) == queues

    def _compare_ids(self) -> None:
        for command in self.commands[-200:]:
            name = getattr(command, "client_order_id", "")
            if not name or not 3 <= command.account <= len(self.twin.reference.accounts):
                continue
            expected: Any = self._expected_row(command.account, name)
            try:
                got: Any = self.engine.order_of_client(command.account, name)
            except NotFound as missing:
                got = missing
            if isinstance(got, NotFound):
                assert isinstance(expected, int), (command.account, name)
                assert (got.reason, got.order_id) == ("UNKNOWN_ORDER", expected)
            else:
                assert got == expected, (command.account, name)

    def _expected_row(self, account: int, name: str) -> OrderRow | int:
        """The row; or an order id whose row is gone; or from where on ids are remembered."""
        record = self.twin.ids.find(account, name)
        order = self.twin.view.rows.find(record.order_id) if record else None
        if order is not None:
            return _row_of(order)
        if record is None:
            return self.twin.remembered_from
        if not record.reason:
            return record.order_id
        nothing = OrderRow(**dict.fromkeys(OrderRow._fields, 0))  # type: ignore[arg-type]
        return nothing._replace(
            tag="",
            order_id=record.order_id,
            account=account,
            end_reason=record.reason,
            status=REJECTED,
            client_order_id=name,
        )


def queues_of(engine: EngineDriver, instrument: int) -> list[list[LevelRow]]:
    """L3 of both sides of the engine's book: each level with its orders and what they show."""
    state = engine.runner.state
    hot = views.orders(state)
    sides = views.book(state, instrument, LEVELS_MAX, with_orders=True)
    return [
        [(level.price, [_shown(hot, row["order_id"]) for row in level.queue]) for level in side]
        for side in (sides["bids"], sides["asks"])
    ]


def _shown(hot: Any, order_id: int) -> tuple[int, int]:
    return order_id, int(hot[order_id & SLOT_MASK]["shown"])


def _row_of(order: Order) -> OrderRow:
    return OrderRow(
        order_id=order.order_id,
        price=order.price,
        order_qty=order.qty,
        leaves=order.leaves,
        cum=order.cum,
        cum_notional=order.cum_notional,
        last_price=order.last_price,
        fees=order.fees,
        hold=order.hold + order.hold_fee - order.shared,
        created_ns=order.created_ns,
        updated_ns=order.updated_ns,
        account=order.account,
        instrument=order.instrument,
        end_reason=order.reason,
        side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        status=STATUS[order.status],
        client_order_id=order.client_order_id,
        **(_terms_of(order) if order.has_extra else {}),
    )


def _terms_of(order: Order) -> dict[str, Any]:
    """What most orders do not have, and only as long as they are open."""
    return {
        "stop_price": order.stop_price,
        "display_qty": order.display,
        "trail": order.trail,
        "protection_price": order.protection,
        "partner": order.partner.order_id if order.partner else 0,
        "tag": order.tag,
    }
