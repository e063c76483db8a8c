"""OUTSIDE_* of the twin: what happened where an instrument is matched (engine-outside.md)."""

from tests.model.booking import Booking
from tests.model.commands import BUY, SELL
from tests.model.events import MAKER, SELL_SIDE, Event, Rejected
from tests.model.holds import Need, Terms, fee_part, lot_cost
from tests.model.life import ROUTE_REPLACE, Life
from tests.model.limits import LimitTable
from tests.model.money import within_word
from tests.model.placing import Placing
from tests.model.settlement import Settlement
from tests.model.state import MONEY_MAX, OPEN, ROUTED, Instrument, Order
from tests.model.terms import need_terms
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
    OutsideSettled,
)

APPLIED, UNKNOWN, LATE, OVERFILL, EARLY, NOTHING = range(6)
TEXT_MAX = 36


class Outside:
    """Records what is told, and books it."""

    def __init__(self, placing: Placing, settlement: Settlement) -> None:
        self.placing = placing
        self.view = placing.view
        self.ledger = placing.view.ledger
        self.holds = placing.holds
        self.life: Life = placing.life
        self.limits: LimitTable = placing.limits
        self.settlement = settlement
        self.booking = Booking(placing)

    # Finding.

    def _order(self, command: OutsideCommand) -> Order | None:
        order = self.view.rows.find(command.order_id) if command.order_id > 0 else None
        if order is None or order.account != command.account:
            return None
        return order if order.instrument == command.instrument else None

    def _side(self, command: OutsideCommand) -> int:
        order = self._order(command)
        if order is not None:
            return order.side
        return SELL if command.flags & OUTSIDE_SELL else BUY

    # Checking.

    def check(self, command: OutsideCommand) -> None:
        """What cannot even be recorded."""
        row = self.view.instruments.get(command.instrument)
        if row is None:
            raise Rejected("UNKNOWN_INSTRUMENT")
        is_settled = isinstance(command, OutsideSettled)
        moves = isinstance(command, OutsideFilled | OutsideBusted | OutsideCorrected)
        if row.is_binary and (moves or is_settled):
            prices = [command.price]
            prices += [command.new_price] if isinstance(command, OutsideCorrected) else []
            for price in prices:
                if price > row.last_tick:
                    raise Rejected("PRICE_OUT_OF_BAND", row.last_tick, price)
        trades = [(command.price, command.qty)] if moves else []
        if isinstance(command, OutsideCorrected):
            trades.append((command.new_price, command.new_qty))
        for price, qty in trades:
            if qty > MONEY_MAX // (row.payout or row.base_per_lot):
                raise Rejected("QTY_TOO_LARGE", MONEY_MAX, 0)
            if qty > MONEY_MAX // (price * row.mult):
                raise Rejected("NOTIONAL_TOO_LARGE", MONEY_MAX, 0)
        need_terms(row.is_outside and (row.is_binary or not is_settled))
        if moves and self.view.risk:
            self._check_supply(command, row)
        if moves and command.account in self.view.accounts:
            self.placing.need_rows(command.account, row)

    def _check_supply(self, command: OutsideCommand, row: Instrument) -> None:
        """SUPPLY, and the side of what would come in."""
        side = self._side(command)
        legs = [(side, command.price, command.qty, command.fee)]
        if not isinstance(command, OutsideFilled):
            legs = [(SELL if side == BUY else BUY, command.price, command.qty, -command.fee)]
        if isinstance(command, OutsideCorrected):
            legs.append((side, command.new_price, command.new_qty, command.new_fee))
        quote = base = 0
        for leg_side, price, qty, fee in legs:
            quote += abs(fee)  # A positive one may become a debt that outside pays.
            if row.is_binary:
                quote += row.payout * qty
            elif leg_side == SELL:
                quote += price * qty * row.mult
            else:
                base += qty * row.base_per_lot
        for asset, more in ((row.quote, quote), (row.base, base)):
            if more and self.view.issued(asset) + more > MONEY_MAX:
                raise Rejected("SUPPLY", MONEY_MAX, self.view.issued(asset))

    # Applying.

    def apply(self, command: OutsideCommand) -> None:
        """Record and book."""
        order = self._order(command)
        if isinstance(command, OutsideAcknowledged):
            self._acknowledge(command, order)
        elif isinstance(command, OutsideFilled):
            self._fill(command, order)
        elif isinstance(command, OutsideCanceled):
            live = order is not None and order.is_live
            self._record(command, APPLIED if live else self._dead(order))
            if order is not None and live:
                self.life.cancel(order, "CANCELED_OUTSIDE")
        elif isinstance(command, OutsideRejected):
            self._reject(command, order)
        elif isinstance(command, OutsideSettled):
            self._settle(command)
        else:
            self._bust(command, order)

    def _dead(self, order: Order | None) -> int:
        return UNKNOWN if order is None else NOTHING

    def _record(self, command: OutsideCommand, outcome: int) -> None:
        self.view.events.append(
            Event(
                kind="EXEC_RECORDED",
                session=command.session,
                order_id=command.order_id,
                account=command.account,
                instrument=command.instrument,
                client_order_id=command.reference[:TEXT_MAX],
                price=command.price,
                qty=command.qty,
                leaves=command.kind,
                cum=outcome,
                cum_notional=command.fee,
                flags=SELL_SIDE if self._side(command) == SELL else 0,
            )
        )

    # Acknowledged, rejected.

    def _acknowledge(self, command: OutsideCommand, order: Order | None) -> None:
        replaces = order is not None and order.request == ROUTE_REPLACE
        if order is None or not order.is_live or (order.status != ROUTED and not replaces):
            self._record(command, self._dead(order))
            return
        self._record(command, APPLIED)
        self.view.touch(order)
        if order.status == ROUTED:
            order.status = OPEN
            return
        price, qty = order.wanted_price, order.wanted_qty
        if qty <= order.cum:
            self.life.cancel(order, "CANCELED_OUTSIDE")
            return
        old = (order.price, order.qty)
        order.price, order.qty, order.leaves = price, qty, qty - order.cum
        order.request = 0
        self._hold_exactly(order)
        self.view.tell("ORDER_REPLACED", order, qty=order.qty)
        held = order.hold + order.hold_fee
        self.view.tell("REPLACED_FROM", order, price=old[0], qty=old[1], leaves=0, fee=held)
        self.holds.tell_netted()

    def _hold_exactly(self, order: Order) -> None:
        """The hold of the terms that the order has."""
        if not self.view.risk:
            return
        row = self.view.instruments[order.instrument]
        if order.has_budget:
            lots = min(order.hold_lots, order.leaves)
            self.holds.set(order, Need(order.hold, order.hold_fee, lots))
            return
        fresh = self.holds.need(
            Terms(order.account, row, order.side, order.price, order.leaves, order)
        )
        self.holds.set(order, fresh)

    def _reject(self, command: OutsideCommand, order: Order | None) -> None:
        if order is None or not order.is_live or (order.status != ROUTED and not order.request):
            self._record(command, self._dead(order))
            return
        self._record(command, APPLIED)
        if order.status == ROUTED:
            self.life.cancel(order, "REJECTED_OUTSIDE")
            return
        order.request = 0
        self._hold_exactly(order)
        self.view.touch(order)
        self.holds.tell_netted()

    # Filled.

    def _fill(self, command: OutsideFilled, order: Order | None) -> None:
        if order is None or not order.is_live:
            self._record(command, UNKNOWN if order is None else LATE)
            self._book_late(command, command.qty, command.fee)
            return
        lots = min(command.qty, order.leaves)
        outcome = EARLY if order.status == ROUTED else APPLIED
        self._record(command, OVERFILL if command.qty > lots else outcome)
        if order.status == ROUTED:
            order.status = OPEN
        row = self.view.instruments[order.instrument]
        order.leaves -= lots
        order.cum += lots
        amount = command.price * lots * row.mult
        order.cum_notional = within_word(order.cum_notional + amount)
        order.last_price = command.price
        order.last_fee = command.fee
        order.fees = within_word(order.fees + command.fee)
        self.view.touch(order)
        self.limits.count_fill(order.account)
        closing = self._shrink(order, row, command, lots) if self.view.risk else 0
        self.view.tell(
            "FILL",
            order,
            price=command.price,
            qty=lots,
            fee=command.fee,
            flags=MAKER if command.flags & OUTSIDE_MAKER else 0,
        )
        self.booking.book(command, row, (order.side, command.price, lots, command.fee), closing)
        if order.leaves == 0:
            self.life.fill_up(order)
            self.holds.tell_netted()
        self._book_late(command, command.qty - lots, 0)

    def _shrink(self, order: Order, row: Instrument, command: OutsideFilled, lots: int) -> int:
        """Free what a fill takes out of the hold; gives the lots set aside that it closes."""
        closing = min(lots, order.hold_lots)
        left = order.hold_lots - closing
        if order.has_budget:
            paid = lots - closing if row.is_binary else lots
            cost = paid * command.price * row.mult
            spent = min(order.hold, cost + max(command.fee, 0))
            cash, fee = order.hold - spent, 0
        else:
            price, leaves = self._held_terms(order)
            fee = min(order.hold_fee, fee_part(row, order.side, price, leaves))
            if row.is_binary:
                cash = (leaves - left) * lot_cost(row, order.side, price)
            elif order.side == BUY:
                cash = price * leaves * row.mult
            else:
                cash = leaves * row.base_per_lot
        change = order.hold + order.hold_fee - cash - fee
        self.ledger.hold(order.account, row.held_asset(order.side), -change)
        if row.is_binary:
            self.ledger.position(order.account, row.number).reserve(order.side, -closing)
        elif order.side == SELL:
            left = cash // row.base_per_lot
        order.hold, order.hold_fee, order.hold_lots = cash, fee, left
        return closing

    def _held_terms(self, order: Order) -> tuple[int, int]:
        """Price and lots that the hold is for: the widest while a replace is under way."""
        if order.request != ROUTE_REPLACE:
            return order.price, order.leaves
        better = min if order.side == SELL else max
        price = better(order.price, order.wanted_price)
        return price, max(order.leaves, order.wanted_qty - order.cum)

    def _book_late(self, command: OutsideFilled, lots: int, fee: int) -> None:
        if lots and command.account in self.view.accounts:
            row = self.view.instruments[command.instrument]
            self.booking.book(command, row, (self._side(command), command.price, lots, fee), 0)

    # Busted, corrected, settled.

    def _bust(self, command: OutsideCommand, order: Order | None) -> None:
        self._record(command, APPLIED if order is not None else UNKNOWN)
        if command.account not in self.view.accounts:
            return
        side = self._side(command)
        back = (SELL if side == BUY else BUY, command.price, command.qty, -command.fee)
        self._book_told(command, "TRADE_BUSTED", back)
        if isinstance(command, OutsideCorrected):
            leg = (side, command.new_price, command.new_qty, command.new_fee)
            self._book_told(command, "TRADE_CORRECTED", leg)

    def _book_told(
        self, command: OutsideCommand, kind: str, leg: tuple[int, int, int, int]
    ) -> None:
        """Book a leg; its LEDGER events follow the event that tells it."""
        row = self.view.instruments[command.instrument]
        events, self.view.events = self.view.events, []
        self.booking.book(command, row, leg, 0)
        _, price, qty, fee = leg
        events.append(
            Event(
                kind=kind,
                order_id=command.order_id,
                account=command.account,
                instrument=row.number,
                client_order_id=command.reference[:TEXT_MAX],
                price=price,
                qty=qty,
                leaves=0 if row.is_binary else self.ledger.available(command.account, row.base),
                cum=self.ledger.available(command.account, row.quote),
                cum_notional=fee,
                flags=SELL_SIDE if self._side(command) == SELL else 0,
            )
        )
        self.view.events = events + self.view.events

    def _settle(self, command: OutsideSettled) -> None:
        row = self.view.instruments[command.instrument]
        if command.account not in self.view.accounts:
            self._record(command, UNKNOWN)
            return
        position = self.ledger.seen(command.account, row.number)
        orders = [o for o in self.view.orders_in(row.number) if o.account == command.account]
        if position.net == 0 and not orders:
            self._record(command, NOTHING)
            return
        self._record(command, APPLIED)
        for order in orders:
            self.life.expire(order, "SETTLEMENT")
        if position.net == 0:
            return
        self.booking.take_over(row, position.net, command.price)
        self.settlement.pay_out(row, command.account, position, command.price)
