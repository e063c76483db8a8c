"""Trades against account ``outside``: their money and positions, without any hold."""

from tests.model.commands import BUY, SELL
from tests.model.events import Event
from tests.model.fills import binary_flow
from tests.model.money import Position
from tests.model.placing import Placing
from tests.model.state import FEES, OUTSIDE, Instrument
from tests.model.venue_commands import OutsideCommand

Leg = tuple[int, int, int, int]  # Side, price, lots, fee.


class Booking:
    """Books what happened; what an account lacks, ``outside`` bears."""

    def __init__(self, placing: Placing) -> None:
        self.placing = placing
        self.view = placing.view
        self.ledger = placing.view.ledger

    def book(
        self,
        command: OutsideCommand,
        row: Instrument,
        leg: Leg,
        closing: int,
    ) -> None:
        """Move money and positions of one trade against ``outside``; it bears what is missing."""
        if not self.view.risk:
            return
        side, price, lots, fee = leg
        amount = price * lots * row.mult
        account = command.account
        self.placing.make_rows(account, row)
        position = self.ledger.position(account, row.number)
        others = self.ledger.position(OUTSIDE, row.number)
        reverse = SELL if side == BUY else BUY
        outside = self.ledger.balance(OUTSIDE, row.quote)
        if row.is_binary:
            cash = self._binary_flow(row, position, (side, price, lots), closing)
            out = self._binary_flow(row, others, (reverse, price, lots), 0)
            outside.available += out
            row.pot -= cash + out
        else:
            cash = -amount if side == BUY else amount
            outside.available -= cash
        position.trade(side, lots, amount)
        others.trade(reverse, lots, amount)
        self._take_fee(row, fee)
        position.debt += self._change(command, (account, row.quote), cash - fee)
        if not row.is_binary:
            base = lots * row.base_per_lot
            base = base if side == BUY else -base
            self.ledger.balance(OUTSIDE, row.base).available -= base
            position.debt_base += self._change(command, (account, row.base), base)

    def _binary_flow(
        self, row: Instrument, position: Position, trade: tuple[int, int, int], closing: int
    ) -> int:
        side, price, lots = trade
        opening = lots - closing
        # The lots that close have left the reserve, and the net has not moved yet.
        free = position.free + (closing if side == BUY else -closing)
        against = max(-free, 0) if side == BUY else max(free, 0)
        pairs = min(opening, against) * row.payout
        return binary_flow(row, side, price, closing, opening) + pairs

    def _take_fee(self, row: Instrument, fee: int) -> None:
        """A fee goes to ``fees``; a rebate comes from there as far as it has, then from outside."""
        fees = self.ledger.balance(FEES, row.quote)
        change = fee if fee >= 0 else -min(-fee, fees.available)
        fees.available += change
        self.ledger.balance(OUTSIDE, row.quote).available += fee - change

    def _change(self, command: OutsideCommand, key: tuple[int, int], amount: int) -> int:
        """Change an available amount; what it lacks outside bears, and it is told."""
        row = self.ledger.balance(*key)
        missing = max(-(row.available + amount), 0)
        row.available += amount + missing
        if missing:
            outside = self.ledger.balance(OUTSIDE, key[1])
            outside.available -= missing
            self.view.events.append(
                Event(
                    kind="LEDGER",
                    account=OUTSIDE,
                    instrument=key[1],
                    price=command.kind,
                    qty=-missing,
                    leaves=outside.available,
                )
            )
        return missing

    def take_over(self, row: Instrument, net: int, price: int) -> None:
        """``outside`` takes the other side of a position that is settled at ``price``."""
        others = self.ledger.position(OUTSIDE, row.number)
        side = BUY if net > 0 else SELL
        flow = self._binary_flow(row, others, (side, price, abs(net)), 0)
        others.move(side, abs(net), abs(net) * price * row.mult)
        others.settled -= net
        row.pot -= flow
        self.ledger.balance(OUTSIDE, row.quote).available += flow
