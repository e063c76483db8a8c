"""CANCEL, REDUCE, REPLACE and MASS_CANCEL of the twin."""

from tests.model.commands import (
    ONLY_NEW,
    ONLY_PARTIALLY_FILLED,
    PHASE_POST_ONLY,
    QTY_TOTAL,
    SELL,
    CancelOrder,
    MassCancel,
    ReduceOrder,
    ReplaceOrder,
    Targeted,
)
from tests.model.events import PRIORITY_KEPT, RESTS, SELL_SIDE, Event, Rejected
from tests.model.holds import Need, Terms
from tests.model.life import ROUTE_REPLACE
from tests.model.limits import Proposal
from tests.model.placing import Placing, check_phase, check_stop
from tests.model.state import PENDING, Order
from tests.model.terms import check_band, check_highest, check_notional, check_qty, check_tick

SESSION_BITS = (1 << 32) - 1


class Wanted:
    """What a replace would make of an order."""

    def __init__(self, command: ReplaceOrder, order: Order) -> None:
        self.price = command.price or order.price
        self.stop = command.stop_price or order.stop_price
        if command.qty == 0:
            self.leaves = order.leaves
        elif command.qty_basis == QTY_TOTAL:
            self.leaves = command.qty - order.cum
        else:
            self.leaves = command.qty
        self.qty = order.cum + self.leaves
        self.display = order.display
        if command.display_qty not in (0, order.display):
            self.display = command.display_qty if command.display_qty < self.leaves else 0

    def keeps(self, order: Order) -> bool:
        """Whether the order keeps its place."""
        same = (self.price, self.stop, self.display) == (
            order.price,
            order.stop_price if order.status == PENDING else self.stop,
            order.display,
        )
        return same and self.leaves <= order.leaves


class Changing:
    """Changes open orders on request; how orders are taken in it shares with ``Placing``."""

    def __init__(self, placing: Placing) -> None:
        self.placing = placing
        self.view = placing.view
        self.holds = placing.holds
        self.life = placing.life
        self.matching = placing.matching

    def target(self, command: Targeted) -> Order:
        """The order that is meant, open or not; UNKNOWN_ORDER."""
        order_id = command.order_id
        if order_id == 0:
            original = self.view.ids.find(command.account, command.original_client_order_id)
            order_id = original.order_id if original else 0
        order = self.view.rows.find(order_id) if order_id > 0 else None
        if order is None or order.account != command.account:
            raise Rejected("UNKNOWN_ORDER")
        return order

    def change(self, command: Targeted, order: Order) -> None:
        """Cancel, reduce or replace an order that was found."""
        if not order.is_live or order.request:
            raise Rejected("TOO_LATE")
        if isinstance(command, CancelOrder):
            self._cancel(command, order)
        elif isinstance(command, ReduceOrder):
            self._reduce(command, order)
        else:
            assert isinstance(command, ReplaceOrder)
            self._replace(command, order)

    def _is_outside(self, order: Order) -> bool:
        return self.view.instruments[order.instrument].is_outside

    def _tell_accepted(self, command: Targeted, order: Order) -> None:
        foreign = command.client_order_id or command.session != order.session
        if foreign or self._is_outside(order):
            self.view.emit(
                "CANCEL_ACCEPTED",
                order,
                session=command.session,
                client_order_id=command.client_order_id,
                price=order.price,
            )

    # Cancel, reduce.

    def _cancel(self, command: CancelOrder, order: Order) -> None:
        if (command.restriction == ONLY_NEW and order.cum) or (
            command.restriction == ONLY_PARTIALLY_FILLED and not order.cum
        ):
            raise Rejected("CANCEL_RESTRICTED", command.restriction, order.cum)
        self._tell_accepted(command, order)
        self.life.take_down(order, "CANCELED_BY_USER")

    def _reduce(self, command: ReduceOrder, order: Order) -> None:
        if command.qty < 1:
            raise Rejected("QTY_TOO_SMALL", 1, command.qty)
        if order.partner is not None:
            raise Rejected("PAIR")
        self._tell_accepted(command, order)
        if command.qty >= order.leaves:
            self.life.take_down(order, "REDUCED_TO_ZERO")
        elif self._is_outside(order):
            self.life.ask(order, ROUTE_REPLACE, order.price, order.qty - command.qty)
        else:
            self.life.reduce(order, command.qty)

    # Replace.

    def _replace(self, command: ReplaceOrder, order: Order) -> None:
        instrument = self.view.instruments[order.instrument]
        pending = order.status == PENDING
        check_phase(instrument)
        if pending and instrument.phase == PHASE_POST_ONLY:
            raise Rejected("PHASE")
        wanted = Wanted(command, order)
        if wanted.leaves < 1:
            raise Rejected("TOO_LATE", order.cum, command.qty)
        self._check_terms(command, order, wanted)
        self._check_limits(order, wanted)
        need = self._checked_need(order, wanted)
        if wanted.display and not order.has_extra:
            self.view.rows.need_extras(1)
        if not pending:
            side, price = order.side, wanted.price
            self.placing.check_post_only(instrument, side, price, order.flags)
        if instrument.is_outside:
            self._tell_accepted(command, order)
            if need is not None:
                self.holds.set(order, need)
            self.life.ask(order, ROUTE_REPLACE, wanted.price, wanted.qty)
            return
        self._do_replace(command, order, wanted, need)

    def _check_terms(self, command: ReplaceOrder, order: Order, wanted: Wanted) -> None:
        instrument = self.view.instruments[order.instrument]
        pending = order.status == PENDING
        if command.price and not order.is_limit:
            raise Rejected("PRICE_NOT_ALLOWED")
        check_tick(instrument, wanted.price, command.stop_price)
        if wanted.price:
            check_band(instrument, wanted.price)
        check_highest(instrument, command.stop_price)
        if not pending:
            wanted.price = self.placing.slid(instrument, order.side, wanted.price, order.flags)
        check_qty(instrument, wanted.qty)
        if wanted.price:
            check_notional(instrument, wanted.price, wanted.qty)
        if command.stop_price and pending:
            check_stop(instrument, order.side, command.stop_price)
        hides = pending or instrument.is_outside
        if command.display_qty and (hides or command.display_qty > wanted.leaves):
            raise Rejected("DISPLAY_QTY", wanted.leaves, command.display_qty)
        if command.stop_price and not pending:
            raise Rejected("TERMS")
        if order.partner is not None:
            raise Rejected("PAIR")

    def _check_limits(self, order: Order, wanted: Wanted) -> None:
        if not self.view.risk:
            return
        proposal = Proposal(
            account=order.account,
            instrument=self.view.instruments[order.instrument],
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            flags=order.flags,
            price=wanted.price,
            qty=wanted.qty,
            leaves=wanted.leaves,
            own=order,
            is_pending=order.status == PENDING,
        )
        self.placing.limits.check(proposal, self.view.now_ns)

    def _checked_need(self, order: Order, wanted: Wanted) -> Need | None:
        """What the order would set aside; None: as an order that keeps its price."""
        outside = self._is_outside(order)
        if not self.view.risk or order.has_budget or (wanted.keeps(order) and not outside):
            return None
        terms = self._widest(order, wanted) if outside else self._terms(order, wanted)
        need = self.holds.need(terms)
        self.holds.check_short(terms, need)
        self.holds.check_funds(terms, need)
        return need

    def _terms(self, order: Order, wanted: Wanted) -> Terms:
        instrument = self.view.instruments[order.instrument]
        side, price = order.side, wanted.price
        return Terms(order.account, instrument, side, price, wanted.leaves, order)

    def _widest(self, order: Order, wanted: Wanted) -> Terms:
        """Terms that are enough for the old ones and the new ones."""
        terms = self._terms(order, wanted)
        better = min if order.side == SELL else max
        return terms._replace(
            price=better(order.price, wanted.price), lots=max(order.leaves, wanted.leaves)
        )

    def _do_replace(
        self, command: ReplaceOrder, order: Order, wanted: Wanted, need: Need | None
    ) -> None:
        keeps, pending = wanted.keeps(order), order.status == PENDING
        old = Event(
            client_order_id=order.client_order_id,
            price=order.price,
            qty=order.qty,
            leaves=order.shown,
        )
        book = self.view.books[order.instrument]
        if need is None:
            self.holds.shrink(order, wanted.leaves)
        else:
            self.holds.set(order, need)
        if not keeps and not pending:
            book.remove(order)
        order.price, order.leaves, order.qty = wanted.price, wanted.leaves, wanted.qty
        order.display, order.stop_price = wanted.display, wanted.stop
        order.shown = min(order.shown, order.leaves)
        if wanted.display:
            self.view.rows.add_extra(order)
        self._take_id(command, order)
        self.view.touch(order)
        rests = not pending and self.matching.rests_at_once(order)
        flags = PRIORITY_KEPT if keeps else RESTS if rests else 0
        filled = {"cum": order.cum, "cum_notional": order.cum_notional}
        self.view.tell("ORDER_REPLACED", order, session=command.session, qty=order.qty, flags=flags)
        self.view.emit(
            "REPLACED_FROM",
            order,
            client_order_id=old.client_order_id,
            price=old.price,
            qty=old.qty,
            leaves=old.leaves,
            fee=order.hold + order.hold_fee,
            **filled,
        )
        self.holds.tell_netted()
        if not keeps and not pending:
            self.matching.enter(order, is_told=rests)
            self.matching.run_cascade()

    def _take_id(self, command: ReplaceOrder, order: Order) -> None:
        record = self.view.ids.find(command.account, command.client_order_id)
        if command.client_order_id and record is not None:
            self.view.ids.end_current(order.record)
            order.record = record
            self.view.ids.make_current(record)
            order.client_order_id = command.client_order_id

    # Mass cancel.

    def mass_cancel(self, command: MassCancel) -> None:
        """End all open orders of the account that fit."""
        if command.instrument and command.instrument not in self.view.instruments:
            raise Rejected("UNKNOWN_INSTRUMENT")
        tag = command.tag if command.slots > 1 else ""
        orders = [
            order
            for order in self.view.open_orders(command.account)
            if command.instrument in (0, order.instrument)
            and command.side in (0, order.side)
            and tag in ("", order.tag)
            and (
                command.filter_session == 0
                or command.filter_session & SESSION_BITS == order.session
            )
        ]
        orders = self.life.may_take_down(orders)
        self.view.events.append(
            Event(
                kind="MASS_CANCELED",
                session=command.session,
                account=command.account,
                instrument=command.instrument,
                client_order_id=command.client_order_id,
                qty=len(orders),
                flags=SELL_SIDE if command.side == SELL else 0,
            )
        )
        self.life.take_down_all(orders, "CANCELED_BY_MASS_CANCEL")
