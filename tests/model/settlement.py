"""Positions of the twin become cash: SETTLE_INSTRUMENT, and the end of a clearing period."""

from tests.model.commands import SETTLED
from tests.model.events import Event, Rejected
from tests.model.life import Life
from tests.model.money import Position
from tests.model.state import FEES, Instrument
from tests.model.terms import need_terms
from tests.model.venue_commands import SettleInstrument
from tests.model.view import View

AT_ONCE_MAX = 1_024


class Settlement:
    """Pays out what positions are worth, and what trades of a period left due."""

    def __init__(self, view: View, life: Life) -> None:
        self.view = view
        self.ledger = view.ledger
        self.life = life

    # SETTLE_INSTRUMENT.

    def settle(self, command: SettleInstrument) -> None:
        """Settle a BINARY instrument, or settle it anew at another price."""
        row = self.view.instruments.get(command.instrument)
        if row is None:
            raise Rejected("UNKNOWN_INSTRUMENT")
        need_terms(row.is_binary)
        if command.price > row.last_tick:
            raise Rejected("PRICE_OUT_OF_BAND", row.last_tick, command.price)
        before = row.settled_price
        positions = self.ledger.of_instrument(row.number)
        orders = self.view.orders_in(row.number)
        if before < 0:
            count = sum(position.net != 0 for _, position in positions)
        else:
            positions = [(a, p) for a, p in positions if p.settled and command.price != before]
            count = len(positions)
            self._check_correction(row, positions, command.price)
        self.view.events.append(
            Event(
                kind="INSTRUMENT_SETTLED",
                session=command.session,
                order_id=row.number,
                instrument=row.number,
                client_order_id=row.symbol,
                price=command.price,
                qty=count,
                leaves=len(orders),
                cum=before,
            )
        )
        for order in orders:
            if order.is_live:
                self.life.expire(order, "SETTLEMENT")
        for account, position in positions:
            if before < 0 and position.net:
                self.pay_out(row, account, position, command.price)
            elif before >= 0:
                self._correct(row, account, position, command.price)
        row.settled_price, row.phase = command.price, SETTLED

    def pay_out(self, row: Instrument, account: int, position: Position, price: int) -> None:
        """Close a position at a price, out of the pot."""
        lots, worth = abs(position.net), price * row.mult
        cash = lots * (worth if position.net > 0 else row.payout - worth)
        net = position.net
        position.realized += net * worth - position.cost
        position.net = position.cost = 0
        position.settled += net
        self._pay(row, account, cash)
        self._tell(row, account, price, net, cash)

    def _pay(self, row: Instrument, account: int, cash: int) -> None:
        row.pot -= cash
        self.ledger.balance(account, row.quote).available += cash

    def _tell(self, row: Instrument, account: int, price: int, qty: int, cash: int) -> None:
        self.view.events.append(
            Event(
                kind="SETTLEMENT",
                account=account,
                instrument=row.number,
                price=price,
                qty=qty,
                cum=cash,
                leaves=self.ledger.available(account, row.quote),
            )
        )

    def _check_correction(
        self, row: Instrument, positions: list[tuple[int, Position]], price: int
    ) -> None:
        for account, position in positions:
            owed = -(price - row.settled_price) * row.mult * position.settled
            available = self.ledger.available(account, row.quote)
            if owed > available and account in self.view.accounts:
                raise RejectedAccount(available, owed, account)

    def _correct(self, row: Instrument, account: int, position: Position, price: int) -> None:
        cash = (price - row.settled_price) * row.mult * position.settled
        position.realize(cash)
        self._pay(row, account, cash)
        self._tell(row, account, price, position.settled, cash)

    # Clearing.

    def clear(self, row: Instrument) -> bool:
        """Settle what is due, at most 1,024 positions; whether that is all."""
        due = [(a, p) for a, p in self.ledger.of_instrument(row.number) if p.is_due]
        now, later = due[:AT_ONCE_MAX], due[AT_ONCE_MAX:]
        self.view.events.append(
            Event(
                kind="CLEARED",
                order_id=row.number,
                instrument=row.number,
                price=row.clearing_at_ns,
                qty=len(now),
                leaves=int(bool(later)),
            )
        )
        for account, position in now:
            self._clear_position(row, account, position)
        if later:
            return False
        fees = self.ledger.balance(FEES, row.quote)
        fees.held -= row.due_rebates
        fees.available += row.due_fees
        row.due_rebates = row.due_fees = row.clearing_at_ns = 0
        return True

    def _clear_position(self, row: Instrument, account: int, position: Position) -> None:
        quote = self.ledger.balance(account, row.quote)
        quote.held -= position.due_held
        quote.available += position.due_held + position.due_quote
        base = self.ledger.balance(account, row.base)
        sold = position.due_sold_lots * row.base_per_lot
        base.held -= sold
        base.available += sold + position.due_lots * row.base_per_lot
        self.view.events.append(
            Event(
                kind="SETTLEMENT",
                account=account,
                instrument=row.number,
                qty=position.due_lots,
                cum=position.due_quote,
                leaves=position.due_bought,
                cum_notional=position.due_sold,
            )
        )
        position.due_bought = position.due_sold = position.due_lots = 0
        position.due_sold_lots = position.due_quote = position.due_held = 0


class RejectedAccount(Rejected):
    """A reject because of an account that the command does not name."""

    def __init__(self, limit: int, value: int, account: int) -> None:
        super().__init__("INSUFFICIENT_FUNDS", limit, value)
        self.account = account
