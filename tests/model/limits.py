"""The twin's limits of accounts: SET_LIMITS, and the checks of stage 700."""

from dataclasses import dataclass, field

from tests.model.commands import BUY, LIMIT, REDUCE_ONLY, RESTING, STOP_LIMIT
from tests.model.events import Rejected
from tests.model.state import DAY_NS, Instrument, Order
from tests.model.venue_commands import LIMIT_NAMES, SetLimits
from tests.model.view import View

SECOND_NS = 10**9
FREE_MESSAGES = 1_000


@dataclass(slots=True)
class Limits:
    """What one account may do, as a whole or in one instrument, and what it did."""

    most: dict[str, int] = field(default_factory=dict)
    second: int = -1
    orders: int = 0  # In that second.
    day: int = -1
    messages: int = 0  # On that day.
    fills: int = 0


@dataclass(frozen=True)
class Proposal:
    """An order that wants to be placed, or what a replace would make of one."""

    account: int
    instrument: Instrument
    side: int
    order_type: int
    time_in_force: int
    flags: int
    price: int  # 0: market-like.
    qty: int
    leaves: int
    own: Order | None  # The order that is replaced.
    is_pending: bool

    @property
    def notional(self) -> int:
        return self.price * self.leaves * self.instrument.mult


class LimitTable:
    """Rows by (account, instrument), 0 for the account as a whole."""

    def __init__(self, view: View, size: int) -> None:
        self.view = view
        self.size = size
        self.rows: dict[tuple[int, int], Limits] = {}

    def set(self, command: SetLimits) -> None:
        """Take over every field as given."""
        key = (command.account, command.instrument)
        if key not in self.rows and len(self.rows) == self.size:
            raise Rejected("CAPACITY", self.size, len(self.rows))
        row = self.rows.setdefault(key, Limits())
        row.most = {name: getattr(command, name) for name in LIMIT_NAMES}

    def most(self, account: int, instrument: int, name: str) -> int:
        """One limit; 0: none."""
        row = self.rows.get((account, instrument))
        return row.most[name] if row else 0

    # Counting.

    def count_message(self, account: int, now_ns: int) -> int:
        """Count one message of the day; gives the count without it."""
        row = self.rows.get((account, 0))
        if row is None:
            return 0
        day = now_ns // DAY_NS
        if day > row.day:
            row.day, row.messages, row.fills = day, 0, 0
        row.messages += 1
        return row.messages - 1

    def count_fill(self, account: int) -> None:
        """Count one FILL event of an account."""
        if (account, 0) in self.rows:
            self.rows[account, 0].fills += 1

    # Checking.

    def check(self, wanted: Proposal, now_ns: int) -> None:
        """All of stage 700 but short selling, in the order of the reasons' numbers."""
        messages = self.count_message(wanted.account, now_ns)
        self._check_position(wanted)
        self._check_open_orders(wanted)
        self._check_exposure(wanted)
        self._check_rates(wanted, messages, now_ns)
        if wanted.flags & REDUCE_ONLY:
            position = self.view.ledger.seen(wanted.account, wanted.instrument.number)
            if position.room(wanted.side) == 0:
                raise Rejected("REDUCE_ONLY", position.net, wanted.qty)
        self._check_size(wanted)
        self._check_levels(wanted)

    def _others(self, wanted: Proposal, instrument: int = 0) -> list[Order]:
        """Open orders of the account but the one that is replaced."""
        return [
            order
            for order in self.view.open_orders(wanted.account)
            if order is not wanted.own and instrument in (0, order.instrument)
        ]

    def _check_position(self, wanted: Proposal) -> None:
        number = wanted.instrument.number
        most = self.most(wanted.account, number, "position_max")
        if not most:
            return
        net = self.view.ledger.seen(wanted.account, number).net
        same = [o.leaves for o in self._others(wanted, number) if o.side == wanted.side]
        would = (net if wanted.side == BUY else -net) + sum(same) + wanted.leaves
        if would > most:
            raise Rejected("POSITION_LIMIT", most, would)

    def _check_open_orders(self, wanted: Proposal) -> None:
        if wanted.own is not None or wanted.time_in_force not in RESTING:
            return
        for number in (0, wanted.instrument.number):
            most = self.most(wanted.account, number, "open_orders_max")
            count = len(self._others(wanted, number)) if most else 0
            if most and count >= most:
                raise Rejected("OPEN_ORDER_LIMIT", most, count)

    def exposure(self, account: int, without: Order | None = None) -> int:
        """What the account's open orders and positions are worth, all counted."""
        total = 0
        for order in self.view.open_orders(account):
            if order is not without and order.is_limit:
                total += order.price * order.leaves * self.view.instruments[order.instrument].mult
        for (owner, _), position in self.view.ledger.positions.items():
            total += abs(position.cost) if owner == account else 0
        return total

    def _check_exposure(self, wanted: Proposal) -> None:
        most = self.most(wanted.account, 0, "exposure_max")
        if not most:
            return
        would = self.exposure(wanted.account, wanted.own) + wanted.notional
        if would > most:
            raise Rejected("EXPOSURE_LIMIT", most, would)

    def _check_rates(self, wanted: Proposal, messages: int, now_ns: int) -> None:
        row = self.rows.get((wanted.account, 0))
        if row is None:
            return
        second = now_ns // SECOND_NS
        if second != row.second:
            row.second, row.orders = second, 0
        most = row.most["orders_per_second"]
        if most and row.orders >= most:
            raise Rejected("RATE_LIMITED", most, row.orders)
        row.orders += 1
        ratio = row.most["messages_per_fill"]
        if ratio and messages >= ratio * (1 + row.fills) + FREE_MESSAGES:
            raise Rejected("MESSAGE_RATIO", ratio, messages)

    def _check_size(self, wanted: Proposal) -> None:
        account, number = wanted.account, wanted.instrument.number
        ppm = self.most(account, 0, "deviation_ppm")
        ref = wanted.instrument.last_price
        if ppm and ref and wanted.price:
            off = ref * ppm // 10**6
            bound = ref + off if wanted.side == BUY else ref - off
            if wanted.price > bound if wanted.side == BUY else wanted.price < bound:
                raise Rejected("PRICE_DEVIATION", bound, wanted.price)
        most = self.most(account, number, "order_qty_max")
        if most and wanted.qty > most:
            raise Rejected("ORDER_QTY_LIMIT", most, wanted.qty)
        for where in (0, number):
            most = self.most(account, where, "order_notional_max")
            if most and wanted.notional > most:
                raise Rejected("ORDER_NOTIONAL_LIMIT", most, wanted.notional)

    def _check_levels(self, wanted: Proposal) -> None:
        rests = wanted.time_in_force in RESTING or wanted.own is not None
        if wanted.order_type not in (LIMIT, STOP_LIMIT) or not rests or wanted.is_pending:
            return
        most = self.most(wanted.account, 0, "levels_max")
        book = self.view.books[wanted.instrument.number]
        if not most or wanted.price in book.sides[wanted.side]:
            return
        count = sum(b.levels_opened_by(wanted.account) for b in self.view.books.values())
        own = wanted.own
        if (
            own is not None and own.price == wanted.price
        ):  # Of an outside order, which rests nowhere.
            return
        if own is not None and len(book.sides[own.side].get(own.price, {})) == 1:
            count -= book.openers[own.side, own.price] == wanted.account
        if count >= most:
            raise Rejected("LEVEL_LIMIT", most, count)
