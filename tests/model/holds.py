"""What open orders of the twin set aside: cash with a fee part, base, lots, short collateral."""

from typing import NamedTuple

from tests.model.commands import BUY, SELL
from tests.model.events import Event, Rejected
from tests.model.limits import LimitTable
from tests.model.money import share, share_up
from tests.model.state import Instrument, Order
from tests.model.view import View


class Terms(NamedTuple):
    """Whose order, of what, at what price (0: market-like), how many lots."""

    account: int
    instrument: Instrument
    side: int
    price: int
    lots: int
    own: Order | None = None  # The order that has such terms now, if there is one.


class Need(NamedTuple):
    """What an order sets aside; the names are those of Order."""

    hold: int = 0
    hold_fee: int = 0
    hold_lots: int = 0
    short_cash: int = 0


def lot_cost(instrument: Instrument, side: int, price: int) -> int:
    """BINARY: cash for one lot that opens."""
    worth = price * instrument.mult
    return worth if side == BUY else instrument.payout - worth


def fee_part(instrument: Instrument, side: int, price: int, lots: int) -> int:
    """The fee part of a fresh hold."""
    if side == BUY:
        return share_up(price * lots * instrument.mult, instrument.rate)
    return share_up(instrument.payout * lots, instrument.rate) if instrument.is_binary else 0


class Holds:
    """Sets aside and gives back."""

    def __init__(self, view: View, limits: LimitTable) -> None:
        self.view = view
        self.ledger = view.ledger
        self.limits = limits
        self.netted: list[Event] = []  # Pairs of lots that became cash, to be told.

    # How much.

    def need(self, terms: Terms) -> Need:
        """What an order that has no budget must set aside."""
        account, instrument, side, price, lots, own = terms
        if instrument.is_binary:
            free = self.ledger.seen(account, instrument.number).free_against(side)
            covered = min(lots, free + (own.hold_lots if own else 0))
            cash = (lots - covered) * lot_cost(instrument, side, price)
            return Need(cash, fee_part(instrument, side, price, lots), covered)
        if side == BUY:
            cash = price * lots * instrument.mult
            return Need(cash, fee_part(instrument, side, price, lots))
        if not self.may_short(account, instrument):
            return Need(lots * instrument.base_per_lot, 0, lots)
        base = self.ledger.available(account, instrument.base) + (own.hold if own else 0)
        covered = min(lots, base // instrument.base_per_lot)
        worth = (price or instrument.last_price) * (lots - covered) * instrument.mult
        short_cash = share_up(worth, instrument.short_ppm)
        return Need(covered * instrument.base_per_lot, 0, covered, short_cash)

    def may_short(self, account: int, instrument: Instrument) -> bool:
        """Whether the account may sell what it does not have."""
        return bool(
            instrument.short_ppm and self.limits.most(account, instrument.number, "short_max")
        )

    def check_short(self, terms: Terms, need: Need) -> None:
        """SHORT_LIMIT, PRICE_MISSING of a SELL that is partly short."""
        account, instrument, side, price, lots, own = terms
        if instrument.is_binary or side != SELL or need.hold_lots == lots:
            return
        most = self.limits.most(account, instrument.number, "short_max")
        would = lots - need.hold_lots + self.ledger.seen(account, instrument.number).short
        for order in self.view.open_orders(account):
            if order is not own and order.instrument == instrument.number and order.side == SELL:
                would += order.opening
        if would > most:
            raise Rejected("SHORT_LIMIT", most, would)
        if price == 0 and instrument.last_price == 0:
            raise Rejected("PRICE_MISSING")

    def check_funds(self, terms: Terms, need: Need, less: int = 0) -> None:
        """Whether what is needed beyond what the order has is available; ``less`` is shared."""
        account, instrument, side, _, _, own = terms
        asset = instrument.held_asset(side)
        wanted = need.hold + need.hold_fee - less
        wanted -= own.hold + own.hold_fee if own else 0
        if wanted > max(self.ledger.available(account, asset), 0):
            funds = asset == instrument.quote
            reason = "INSUFFICIENT_FUNDS" if funds else "INSUFFICIENT_POSITION"
            raise Rejected(reason, self.ledger.available(account, asset), wanted)
        cash = need.short_cash - (own.short_cash if own else 0)
        available = self.ledger.available(account, instrument.quote)
        if cash > available:
            raise Rejected("INSUFFICIENT_FUNDS", available, cash)

    # Setting aside.

    def set(self, order: Order, need: Need) -> None:
        """Make an order hold exactly this; lots given back may meet others and become cash."""
        instrument = self.view.instruments[order.instrument]
        change = need.hold + need.hold_fee - order.hold - order.hold_fee
        if change:
            self.ledger.hold(order.account, instrument.held_asset(order.side), change)
        if need.short_cash != order.short_cash:
            self.ledger.hold(order.account, instrument.quote, need.short_cash - order.short_cash)
        if instrument.is_binary and need.hold_lots != order.hold_lots:
            self._set_lots(order, instrument, need.hold_lots - order.hold_lots)
        order.hold, order.hold_fee, order.hold_lots, order.short_cash = need

    def _set_lots(self, order: Order, instrument: Instrument, more: int) -> None:
        position = self.ledger.position(order.account, instrument.number)
        pairs = 0
        if more < 0:  # They meet free lots of the other direction, which this side would open.
            other = max(position.free, 0) if order.side == BUY else max(-position.free, 0)
            pairs = min(-more, other)
        position.reserve(order.side, more)
        if pairs:
            self._pay_pairs(order, instrument, pairs)

    def _pay_pairs(self, order: Order, instrument: Instrument, pairs: int) -> None:
        amount = pairs * instrument.payout
        instrument.pot -= amount
        row = self.ledger.balance(order.account, instrument.quote)
        row.available += amount
        self.netted.append(
            Event(
                kind="LEDGER",
                account=order.account,
                session=order.session,
                instrument=instrument.quote,
                price=self.view.kind,
                qty=amount,
                leaves=row.available,
                cum=row.held,
                client_order_id=order.client_order_id,
            )
        )

    def tell_netted(self) -> None:
        """The LEDGER events of lots that became cash; after the event of their order."""
        self.view.events.extend(self.netted)
        self.netted.clear()

    def release(self, order: Order) -> None:
        """Give back all that an order still holds."""
        self.unshare(order)
        self.set(order, Need())

    def unshare(self, order: Order) -> None:
        """Hold here what the partner held for this order: it is gone."""
        if order.shared:
            asset = self.view.instruments[order.instrument].held_asset(order.side)
            self.ledger.hold(order.account, asset, order.shared)
            order.shared = 0

    def shrink(self, order: Order, leaves: int) -> None:
        """Hold less, for an order that keeps its price and will have ``leaves`` lots open.

        To be called while its leaves are still the old ones.
        """
        instrument = self.view.instruments[order.instrument]
        if not self.view.risk:
            return
        if order.has_budget:
            kept = min(order.hold_lots, leaves)
            self.set(order, Need(order.hold, order.hold_fee, kept))
            return
        gone = order.leaves - leaves
        opening = min(gone, order.opening)
        lots = order.hold_lots - (gone - opening)
        fee = min(order.hold_fee, fee_part(instrument, order.side, order.price, leaves))
        if instrument.is_binary:
            cash = order.hold - opening * lot_cost(instrument, order.side, order.price)
            self.set(order, Need(cash, fee, lots))
        elif order.side == BUY:
            self.set(order, Need(order.price * leaves * instrument.mult, fee))
        else:
            cash = order.short_cash
            if opening:
                cash -= share(order.short_cash, opening, order.opening)
            self.set(order, Need(lots * instrument.base_per_lot, 0, lots, cash))
