"""Money and positions of one fill of the twin: SPOT, BINARY, short sales, clearing."""

from tests.model.commands import BUY
from tests.model.holds import Holds, fee_part, lot_cost
from tests.model.money import share, share_down, share_up
from tests.model.state import FEES, OUTSIDE, Instrument, Order
from tests.model.view import View


class Fills:
    """Moves what two orders set aside, and what it buys."""

    def __init__(self, view: View, holds: Holds) -> None:
        self.view = view
        self.ledger = view.ledger
        self.holds = holds

    # What a budget pays.

    def affordable(self, order: Order, price: int, lots: int) -> int:
        """The most of ``lots`` that an order can pay at ``price`` with the fee."""
        if not self.view.risk or not order.has_budget:
            return lots
        instrument = self.view.instruments[order.instrument]
        ppm = max(instrument.taker_ppm, 0)

        def is_paid(count: int) -> bool:
            opening = max(count - order.hold_lots, 0)
            fee = share_up(price * count * instrument.mult, ppm)
            if opening == 0 and instrument.is_binary:
                return True
            return price * opening * instrument.mult + fee <= order.hold

        low, high = 0, lots
        while low < high:
            middle = (low + high + 1) // 2
            if is_paid(middle):
                low = middle
            else:
                high = middle - 1
        return low

    # One fill.

    def settle(self, instrument: Instrument, taker: Order, maker: Order, lots: int) -> None:
        """Move the money of one fill; leaves and cum of both orders are already those after it.

        Sets ``last_fee`` of both orders.
        """
        price = maker.price
        amount = price * lots * instrument.mult
        self._charge(instrument, taker, maker, lots)
        buyer, seller = (taker, maker) if taker.side == BUY else (maker, taker)
        for order in (buyer, seller):
            if instrument.is_binary:
                self._settle_binary(instrument, order, price, lots)
            elif order.side == BUY:
                self._pay(instrument, order, lots, amount)
            else:
                self._deliver(instrument, order, lots, amount)
            order.fees += order.last_fee
            self.ledger.position(order.account, instrument.number).trade(order.side, lots, amount)

    def _charge(self, instrument: Instrument, taker: Order, maker: Order, lots: int) -> None:
        """Decide both fees and move them to or from the fees account."""
        amount = maker.price * lots * instrument.mult
        row = self.ledger.balance(FEES, instrument.quote)
        sides = ((taker, instrument.taker_ppm), (maker, instrument.maker_ppm))
        for order, ppm in sides:
            if ppm >= 0:
                order.last_fee = self._capped(instrument, order, maker.price, lots, ppm)
                if instrument.clearing_ns:
                    instrument.due_fees += order.last_fee
                else:
                    row.available += order.last_fee
        for order, ppm in sides:
            if ppm < 0:
                rebate = min(share_down(amount, -ppm), row.available)
                order.last_fee = -rebate
                row.available -= rebate
                if instrument.clearing_ns:
                    row.held += rebate
                    instrument.due_rebates += rebate

    def _capped(self, instrument: Instrument, order: Order, price: int, lots: int, ppm: int) -> int:
        """A fee, at most what the order set aside for it."""
        fee = share_up(price * lots * instrument.mult, ppm)
        if order.has_budget:
            if not instrument.is_binary:
                return fee
            closing = min(lots, order.hold_lots)
            left = order.hold - (lots - closing) * price * instrument.mult
            return min(fee, left + closing * (instrument.payout - price * instrument.mult))
        if order.side == BUY or instrument.is_binary:
            return min(fee, order.hold_fee)
        return fee

    # SPOT.

    def _pay(self, instrument: Instrument, buyer: Order, lots: int, amount: int) -> None:
        """Take the price and the fee out of the buyer's hold, give him the base."""
        row = self.ledger.balance(buyer.account, instrument.quote)
        position = self.ledger.position(buyer.account, instrument.number)
        paid = max(buyer.last_fee, 0)
        rebate = max(-buyer.last_fee, 0)
        if buyer.has_budget:
            freed = amount + paid
            buyer.hold -= freed
        else:
            principal = buyer.price * lots * instrument.mult
            fresh = fee_part(instrument, BUY, buyer.price, buyer.leaves)
            fee_left = min(buyer.hold_fee - paid, fresh)
            freed = principal + buyer.hold_fee - fee_left
            buyer.hold -= principal
            buyer.hold_fee = fee_left
        if instrument.clearing_ns:
            row.held -= freed - amount - paid
            row.available += freed - amount - paid
            position.due_held += amount + paid
            position.due_bought += amount
            position.due_lots += lots
            position.due_quote -= amount + buyer.last_fee
            return
        row.held -= freed
        row.available += freed - amount - paid + rebate
        self._receive(instrument, buyer.account, lots)

    def _receive(self, instrument: Instrument, account: int, lots: int) -> None:
        """Base for a buyer: lots that he is short go back first, and free their collateral."""
        position = self.ledger.position(account, instrument.number)
        cover = min(lots, position.short)
        if cover:
            freed = share(position.collateral, cover, position.short)
            position.short -= cover
            position.collateral -= freed
            self.ledger.hold(account, instrument.quote, -freed)
            back = cover * instrument.base_per_lot
            self.ledger.balance(OUTSIDE, instrument.base).available += back
        got = (lots - cover) * instrument.base_per_lot
        self.ledger.balance(account, instrument.base).available += got

    def _deliver(self, instrument: Instrument, seller: Order, lots: int, amount: int) -> None:
        """Take the base out of the seller's hold, what is short from outside; pay him."""
        position = self.ledger.position(seller.account, instrument.number)
        quote = self.ledger.balance(seller.account, instrument.quote)
        own = min(lots, seller.hold_lots)
        base = own * instrument.base_per_lot
        seller.hold -= base
        seller.hold_lots -= own
        proceeds = amount - seller.last_fee
        if instrument.clearing_ns:
            position.due_sold += amount
            position.due_lots -= lots
            position.due_sold_lots += lots
            position.due_quote += proceeds
            return
        self.ledger.balance(seller.account, instrument.base).held -= base
        short = lots - own
        kept = 0
        if short:
            kept = share(proceeds, short, lots)
            before = seller.opening + short
            released = share(seller.short_cash, short, before)
            seller.short_cash -= released
            position.short += short
            position.collateral += kept + released
            lent = short * instrument.base_per_lot
            self.ledger.balance(OUTSIDE, instrument.base).available -= lent
        quote.held += kept
        quote.available += proceeds - kept

    # BINARY.

    def _settle_binary(self, instrument: Instrument, order: Order, price: int, lots: int) -> None:
        """Close the lots set aside, open the others, turn pairs into cash."""
        position = self.ledger.position(order.account, instrument.number)
        row = self.ledger.balance(order.account, instrument.quote)
        closing = min(lots, order.hold_lots)
        opening = lots - closing
        flow = binary_flow(instrument, order.side, price, closing, opening)
        flow += min(opening, position.free_against(order.side)) * instrument.payout
        instrument.pot -= flow
        paid = max(order.last_fee, 0)
        if order.has_budget:
            spent = opening * price * instrument.mult
            from_hold = min(paid, order.hold - spent)
            freed = spent + from_hold
            order.hold -= freed
        else:
            principal = opening * lot_cost(instrument, order.side, order.price)
            fresh = fee_part(instrument, order.side, order.price, order.leaves)
            fee_left = min(order.hold_fee - paid, fresh)
            freed = principal + order.hold_fee - fee_left
            order.hold -= principal
            order.hold_fee = fee_left
        order.hold_lots -= closing
        position.reserve(order.side, -closing)
        row.held -= freed
        row.available += freed + flow - order.last_fee


def binary_flow(instrument: Instrument, side: int, price: int, closing: int, opening: int) -> int:
    """Cash before the fee, without pairs: negative is paid."""
    other = instrument.payout - lot_cost(instrument, side, price)
    return closing * other - opening * lot_cost(instrument, side, price)
