"""How an order of the twin meets the book: matches, stops, the cascade (engine-terms.md)."""

from tests.model.commands import (
    BUY,
    CANCEL_BOTH,
    CANCEL_MAKER,
    CANCEL_TAKER,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    SELL,
    TRAIL_BPS,
    TRAILING_STOP,
    TRIGGERED,
)
from tests.model.events import MAKER
from tests.model.fills import Fills
from tests.model.holds import Need
from tests.model.life import Life
from tests.model.limits import LimitTable
from tests.model.money import within_word
from tests.model.state import DAY_NS, OPEN, WORD_MAX, Instrument, Order
from tests.model.view import View


def trail_offset(order_flags: int, trail: int, price: int) -> int:
    """How far behind ``price`` a trailing stop stands."""
    return max(1, price * trail // 10_000) if order_flags & TRAIL_BPS else trail


class Matching:
    """Matches what comes, then rests or expires it, then runs the stops that it set off."""

    def __init__(self, view: View, life: Life, fills: Fills, limits: LimitTable) -> None:
        self.view = view
        self.life = life
        self.fills = fills
        self.limits = limits
        self.cascade: list[Order] = []

    # Prices.

    def reach(self, order: Order) -> int | None:
        """The worst price that an order takes; None: any."""
        if order.is_limit:
            return order.price
        return order.protection or None

    def crosses(self, order: Order) -> bool:
        """Whether the order would trade now."""
        return self.view.books[order.instrument].crosses(order.side, self.reach(order))

    def may_rest(self, order: Order) -> bool:
        """Whether what is not filled stays in the book."""
        return order.is_limit and order.time_in_force in (GTC, DAY, GTD)

    def rests_at_once(self, order: Order) -> bool:
        """Whether the flag RESTS is told: all of it is shown and nothing is filled."""
        hidden = order.display and order.display < order.leaves
        return self.may_rest(order) and not self.crosses(order) and not hidden

    # An order comes.

    def enter(self, order: Order, *, is_told: bool) -> None:
        """Match an order that is in no book, then rest, expire or end it; ``is_told``: RESTS."""
        prices: list[int] = []
        reason = self._unfillable(order) or self._match(order, prices)
        instrument = self.view.instruments[order.instrument]
        for price in dict.fromkeys(prices[:1] + prices[-1:]):
            self._mark(instrument, price)
        if not order.is_live:
            return
        if order.leaves == 0:
            self.life.fill_up(order)
        elif reason:
            self.life.expire(order, reason)
        elif self.may_rest(order):
            self.view.books[order.instrument].add(order)
            if not is_told:
                held = order.hold + order.hold_fee - order.shared
                self.view.tell("ORDER_RESTED", order, qty=order.shown, fee=held)
        else:
            is_ioc = order.order_type == LIMIT
            self.life.expire(order, "IOC_REMAINDER" if is_ioc else "MARKET_REMAINDER")

    def _unfillable(self, order: Order) -> str:
        """Why a FOK, or an IOC with a minimum, does not trade at all; "" if it does."""
        if order.time_in_force == FOK and self._fillable(order) < order.qty:
            return "FOK_UNFILLED"
        if order.time_in_force == IOC and self._fillable(order) < order.min_qty:
            return "MIN_QTY_UNFILLED"
        return ""

    def _fillable(self, order: Order) -> int:
        book = self.view.books[order.instrument]
        reach = self.reach(order)
        total = 0
        for price, level in book.levels(SELL if order.side == BUY else BUY):
            if reach is not None and (price > reach if order.side == BUY else price < reach):
                break
            makers = list(level.values())
            stops = [m for m in makers if self._is_own(order, m)]
            if order.self_trade == CANCEL_MAKER:
                makers, stops = [m for m in makers if m not in stops], []
            if stops:
                makers = makers[: makers.index(stops[0])]
            for maker in makers:
                if not maker.reduces_only and maker.partner is None:
                    total += maker.shown if stops else maker.leaves
            if stops:
                break
        return min(total, self._room(order)) if order.reduces_only else total

    def _is_own(self, order: Order, maker: Order) -> bool:
        return order.self_trade != 0 and maker.account == order.account

    def _room(self, order: Order) -> int:
        return self.view.ledger.seen(order.account, order.instrument).room(order.side)

    # Matching.

    def _match(self, order: Order, prices: list[int]) -> str:
        """Trade while something crosses; gives why the rest must end, "" if it need not."""
        book = self.view.books[order.instrument]
        opposite = SELL if order.side == BUY else BUY
        while order.leaves and self.crosses(order):
            if order.partner is not None:
                self.life.drop_partner(order)
                continue
            if order.reduces_only and self._room(order) == 0:
                return "POSITION_CLOSED"
            maker = book.first(opposite)
            if maker.reduces_only and self._room(maker) == 0:
                self.life.expire(maker, "POSITION_CLOSED")
                continue
            if self._is_own(order, maker):
                if self._prevent(order, maker):
                    return "STP"
                continue
            if self.fills.affordable(order, maker.price, 1) == 0:
                return "MARKET_REMAINDER"
            if maker.partner is not None:
                self.life.drop_partner(maker)
                continue
            lots = min(order.leaves, maker.shown)
            for one in (order, maker):
                lots = min(lots, self._room(one)) if one.reduces_only else lots
            self._fill(order, maker, self.fills.affordable(order, maker.price, lots))
            prices.append(maker.price)
        return ""

    def _prevent(self, order: Order, maker: Order) -> bool:
        """Keep an account from trading with itself; whether the taker stops."""
        mode = order.self_trade
        if mode in (CANCEL_MAKER, CANCEL_BOTH):
            self.life.expire(maker, "STP")
        if mode in (CANCEL_TAKER, CANCEL_BOTH):
            return True
        if mode == CANCEL_MAKER:
            return False
        if maker.partner is not None:
            self.life.drop_partner(maker)
        lots = min(order.leaves, maker.leaves)
        self.life.reduce(maker, lots, "STP")
        self.life.reduce(order, lots, "STP")
        return False

    def _fill(self, taker: Order, maker: Order, lots: int) -> None:
        instrument = self.view.instruments[maker.instrument]
        amount = maker.price * lots * instrument.mult
        for order in (taker, maker):
            order.leaves -= lots
            order.cum += lots
            order.cum_notional = within_word(order.cum_notional + amount)
            order.last_price = maker.price
            order.last_fee = 0
            self.view.touch(order)
            self.limits.count_fill(order.account)
        self._note_trade(instrument, maker.price, lots)
        if self.view.risk:
            self._note_clearing(instrument)
            self.fills.settle(instrument, taker, maker, lots)
        for order, flags in ((taker, 0), (maker, MAKER)):
            self.view.tell(
                "FILL", order, price=maker.price, qty=lots, fee=order.last_fee, flags=flags
            )
        book = self.view.books[maker.instrument]
        if maker.leaves == 0:
            book.remove(maker)
            self.life.fill_up(maker)
            return
        maker.shown -= lots
        if maker.shown == 0:
            book.refill(maker)
            self.view.tell("ORDER_REFILLED", maker, qty=maker.shown)

    def _note_trade(self, instrument: Instrument, price: int, lots: int) -> None:
        """Last price and statistics."""
        instrument.last_price = price
        stats = instrument.stats
        day = (self.view.now_ns - instrument.day_end_ns) // DAY_NS
        if stats.trades == 0 or day > stats.day:
            stats.day, stats.open, stats.high, stats.low = day, price, price, price
            stats.volume = stats.notional = stats.trades = 0
        stats.high = max(stats.high, price)
        stats.low = min(stats.low, price)
        amount = price * lots * instrument.mult
        for name, more in (("volume", lots), ("notional", amount), ("trades", 1)):
            setattr(stats, name, min(getattr(stats, name) + more, WORD_MAX))
            total = getattr(stats, f"total_{name}") + more
            setattr(stats, f"total_{name}", min(total, WORD_MAX))

    def _note_clearing(self, instrument: Instrument) -> None:
        """The first trade of a period sets when it ends."""
        period = instrument.clearing_ns
        if period and not instrument.clearing_at_ns:
            instrument.clearing_at_ns = (self.view.now_ns // period + 1) * period
            instrument.clearing_sequence = self.view.sequence

    # Stops.

    def _mark(self, instrument: Instrument, price: int) -> None:
        """A trade at ``price``: what it triggers joins the cascade, trailing stops move."""
        pending = self.view.books[instrument.number].pending
        for order in list(pending.values()):
            hit = order.stop_price <= price if order.side == BUY else order.stop_price >= price
            if hit:
                del pending[order.order_id]
                self.cascade.append(order)
        for order in pending.values():
            if order.order_type != TRAILING_STOP:
                continue
            offset = trail_offset(order.flags, order.trail, price)
            if order.side == BUY:
                order.stop_price = min(order.stop_price, price + offset)
            else:
                order.stop_price = max(order.stop_price, price - offset)

    def run_cascade(self) -> None:
        """Trigger what was set off, the oldest first, and what that sets off in turn."""
        while self.cascade:
            order = min(self.cascade, key=lambda one: one.order_id)
            self.cascade.remove(order)
            if order.is_live:
                self._trigger(order)

    def _trigger(self, order: Order) -> None:
        self.life.drop_partner(order)
        order.flags |= TRIGGERED
        order.status = OPEN
        self.view.touch(order)
        if self.view.risk and order.has_budget and not order.max_cost and not order.protection:
            self.life.holds.set(order, self.budget(order))
        self.view.tell("ORDER_TRIGGERED", order, qty=order.leaves)
        self.enter(order, is_told=False)

    def budget(self, order: Order) -> Need:
        """All that is available, for a market-like BUY without a limit of its own."""
        instrument = self.view.instruments[order.instrument]
        lots = 0
        if instrument.is_binary:
            position = self.view.ledger.seen(order.account, instrument.number)
            lots = min(order.leaves, position.free_against(BUY))
        return Need(self.view.ledger.available(order.account, instrument.quote), 0, lots)
