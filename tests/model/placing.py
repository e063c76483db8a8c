"""PLACE_ORDER of the twin: every check in its order, then the hold and the book."""

from tests.model.commands import (
    BUY,
    CANCEL_ONLY,
    CLOSED,
    DAY,
    DELISTED,
    GTC,
    GTD,
    HALTED,
    LIMIT,
    LIMIT_LIKE,
    PHASE_POST_ONLY,
    POST_ONLY,
    REDUCE_ONLY,
    RESTING,
    SELL,
    SETTLED,
    SLIDE,
    STOPS,
    TRAILING_STOP,
    PlaceOrder,
)
from tests.model.events import RESTS, Rejected
from tests.model.holds import Holds, Need, Terms, fee_part
from tests.model.life import ROUTE_PLACE, Life
from tests.model.limits import LimitTable, Proposal
from tests.model.matching import Matching, trail_offset
from tests.model.state import (
    DAY_NS,
    OPEN,
    PENDING,
    ROUTED,
    SLOT_BITS,
    TRAILING_MAX,
    WORD_MAX,
    Instrument,
    Order,
)
from tests.model.terms import (
    behind,
    check_band,
    check_highest,
    check_notional,
    check_qty,
    check_tick,
    highest_price,
)
from tests.model.view import View

NO_ORDERS = frozenset({CANCEL_ONLY, CLOSED, SETTLED, DELISTED})


def check_phase(instrument: Instrument) -> None:
    """HALTED or PHASE where nobody may place or replace."""
    if instrument.phase == HALTED:
        raise Rejected("HALTED")
    if instrument.phase in NO_ORDERS:
        raise Rejected("PHASE")


def check_stop(instrument: Instrument, side: int, stop: int) -> None:
    """STOP_PRICE of a stop that would be triggered at once."""
    ref = instrument.last_price
    if ref and (ref >= stop if side == BUY else ref <= stop):
        raise Rejected("STOP_PRICE", ref, stop)


class Placing:
    """Takes new orders."""

    def __init__(
        self, view: View, holds: Holds, life: Life, matching: Matching, limits: LimitTable
    ) -> None:
        self.view = view
        self.holds = holds
        self.life = life
        self.matching = matching
        self.limits = limits

    def place(self, command: PlaceOrder) -> None:
        """Check, hold, match, rest or end."""
        instrument = self.view.instruments.get(command.instrument)
        if instrument is None:
            raise Rejected("UNKNOWN_INSTRUMENT")
        if instrument.is_outside:
            self._check_outside(command)
        self._check_phase(command, instrument)
        price = self._checked_price(command, instrument)
        check_qty(instrument, command.qty)
        if price:
            check_notional(instrument, price, command.qty)
        stop = self._checked_stop(command, instrument)
        partner = self._partner(command)
        need, shared = self._checked_need(command, instrument, price, partner)
        self._check_room(command, instrument, partner)
        self.check_post_only(instrument, command.side, price, command.flags)
        self.make_rows(command.account, instrument)
        self._accept(self._order(command, instrument, price, stop), need, shared, partner)

    # Checks.

    def _check_outside(self, command: PlaceOrder) -> None:
        odd = command.order_type in STOPS or command.flags or command.display_qty
        if odd or command.min_qty or command.protection_price or command.oco:
            raise Rejected("NOT_SUPPORTED")

    def _check_phase(self, command: PlaceOrder, instrument: Instrument) -> None:
        check_phase(instrument)
        passive = command.order_type == LIMIT and command.time_in_force in RESTING
        if instrument.phase == PHASE_POST_ONLY and not passive:
            raise Rejected("PHASE")

    def _checked_price(self, command: PlaceOrder, instrument: Instrument) -> int:
        """The limit price, slid if it must; 0 for market-like orders."""
        price = command.price
        if command.order_type not in LIMIT_LIKE:
            if price:
                raise Rejected("PRICE_NOT_ALLOWED")
        elif price == 0:
            raise Rejected("PRICE_MISSING")
        check_tick(instrument, price, command.stop_price, command.protection_price)
        if price:
            check_band(instrument, price)
        check_highest(instrument, command.stop_price, command.protection_price)
        return self.slid(instrument, command.side, price, command.flags)

    def slid(self, instrument: Instrument, side: int, price: int, flags: int) -> int:
        """Where a SLIDE order goes that would cross; elsewhere the price as it is."""
        book = self.view.books[instrument.number]
        if not flags & SLIDE or not book.crosses(side, price):
            return price
        touch = book.best(SELL if side == BUY else BUY)
        assert touch is not None
        return behind(instrument, side, touch) or price

    def check_post_only(self, instrument: Instrument, side: int, price: int, flags: int) -> None:
        """POST_ONLY_WOULD_TAKE, by the order's flag or by the phase."""
        if not flags & POST_ONLY and instrument.phase != PHASE_POST_ONLY:
            return
        book = self.view.books[instrument.number]
        if book.crosses(side, price):
            best = book.best(SELL if side == BUY else BUY)
            raise Rejected("POST_ONLY_WOULD_TAKE", best or 0, price)

    def _checked_stop(self, command: PlaceOrder, instrument: Instrument) -> int:
        stop, ref = command.stop_price, instrument.last_price
        if command.order_type == TRAILING_STOP and stop == 0:
            if ref == 0:
                raise Rejected("STOP_PRICE")
            offset = trail_offset(command.flags, command.trail, ref)
            stop = ref + offset if command.side == BUY else ref - offset
            if not 1 <= stop <= highest_price(instrument):
                raise Rejected("STOP_PRICE", ref, offset)
        if command.order_type in STOPS:
            check_stop(instrument, command.side, stop)
        return stop

    def _partner(self, command: PlaceOrder) -> Order | None:
        if command.oco == 0:
            return None
        found = self.view.rows.find(command.oco)
        if (
            found is None
            or found.account != command.account
            or found.instrument != command.instrument
            or not found.is_live
            or found.partner is not None
            or found.reduces_only
        ):
            raise Rejected("UNKNOWN_ORDER")
        return found

    # Limits and funds.

    def _checked_need(
        self, command: PlaceOrder, instrument: Instrument, price: int, partner: Order | None
    ) -> tuple[Need, int]:
        """What the order sets aside, and how much of it its partner holds."""
        if not self.view.risk:
            return Need(), 0
        wanted = Proposal(
            account=command.account,
            instrument=instrument,
            side=command.side,
            order_type=command.order_type,
            time_in_force=command.time_in_force,
            flags=command.flags,
            price=price,
            qty=command.qty,
            leaves=command.qty,
            own=None,
            is_pending=command.order_type in STOPS,
        )
        self.limits.check(wanted, self.view.now_ns)
        terms = Terms(command.account, instrument, command.side, price, command.qty)
        if command.side == BUY and command.order_type not in LIMIT_LIKE:
            need = self._budget(command, instrument)
        else:
            need = self.holds.need(terms)
            self.holds.check_short(terms, need)
        shared = self._shared(instrument, command.side, need, partner)
        self.holds.check_funds(terms, need, shared)
        return need, shared

    def _shared(self, instrument: Instrument, side: int, need: Need, partner: Order | None) -> int:
        if partner is None or instrument.is_binary or instrument.short_ppm:
            return 0
        if instrument.held_asset(side) != instrument.held_asset(partner.side):
            return 0
        return min(need.hold + need.hold_fee, partner.hold + partner.hold_fee)

    def _budget(self, command: PlaceOrder, instrument: Instrument) -> Need:
        """The hold of a market-like BUY."""
        available = self.view.ledger.available(command.account, instrument.quote)
        protection = command.protection_price
        waits = command.order_type in STOPS
        if waits and not command.max_cost and not protection:
            return Need()
        lots = 0
        if instrument.is_binary:
            position = self.view.ledger.seen(command.account, instrument.number)
            lots = min(command.qty, position.free_against(BUY))
        if command.max_cost:
            wanted = command.max_cost
        elif waits:
            wanted = (command.qty - lots) * protection * instrument.mult
            wanted += fee_part(instrument, BUY, protection, command.qty)
        else:
            if available == 0 and lots == 0:
                raise Rejected("INSUFFICIENT_FUNDS", 0, 1)
            wanted = available
        return Need(wanted, 0, lots)

    # Room.

    def _needs_extra(self, command: PlaceOrder, instrument: Instrument) -> bool:
        ages = instrument.max_age_ns and command.time_in_force == GTC
        hides = 0 < command.display_qty < command.qty
        terms = command.stop_price or command.trail or command.max_cost or command.protection_price
        return bool(
            command.order_type in STOPS
            or command.time_in_force in (DAY, GTD)
            or (ages or hides or terms)
            or command.flags & REDUCE_ONLY
            or (command.tag or command.oco)
        )

    def _check_room(
        self, command: PlaceOrder, instrument: Instrument, partner: Order | None
    ) -> None:
        rows = self.view.rows
        if rows.open_count == self.view.sizes.orders_max:
            raise Rejected("CAPACITY", self.view.sizes.orders_max, rows.open_count)
        self.need_rows(command.account, instrument)
        pending = self.view.books[instrument.number].pending.values()
        trailing = sum(order.order_type == TRAILING_STOP for order in pending)
        if command.order_type == TRAILING_STOP and trailing >= TRAILING_MAX:
            raise Rejected("CAPACITY", TRAILING_MAX, trailing)
        extras = int(self._needs_extra(command, instrument))
        extras += int(partner is not None and not partner.has_extra)
        if extras:
            rows.need_extras(extras)

    def _rows_of(self, account: int, instrument: Instrument) -> list[tuple[int, int]]:
        return [(account, asset) for asset in (instrument.base, instrument.quote) if asset]

    def need_rows(self, account: int, instrument: Instrument) -> None:
        """CAPACITY unless there is room for the balances and the position of a trader."""
        if not self.view.risk:
            return
        ledger, sizes = self.view.ledger, self.view.sizes
        balances = set(self._rows_of(account, instrument)) - ledger.balances.keys()
        positions = {(account, instrument.number)} - ledger.positions.keys()
        if len(ledger.balances) + len(balances) > sizes.balances_max:
            raise Rejected("CAPACITY")
        if len(ledger.positions) + len(positions) > sizes.positions_max:
            raise Rejected("CAPACITY")

    def make_rows(self, account: int, instrument: Instrument) -> None:
        """The rows themselves."""
        if self.view.risk:
            for key in self._rows_of(account, instrument):
                self.view.ledger.balance(*key)
            self.view.ledger.position(account, instrument.number)

    # The order.

    def _order(self, command: PlaceOrder, instrument: Instrument, price: int, stop: int) -> Order:
        default = self.view.accounts[command.account].self_trade
        order = Order(
            order_id=command.sequence << SLOT_BITS | self.view.rows.take_slot(),
            account=command.account,
            session=command.session,
            instrument=command.instrument,
            side=command.side,
            order_type=command.order_type,
            time_in_force=command.time_in_force,
            price=price,
            qty=command.qty,
            leaves=command.qty,
            client_order_id=command.client_order_id,
            record=self.view.ids.find(command.account, command.client_order_id),
            created_ns=self.view.now_ns,
            updated_ns=self.view.now_ns,
            sequence=command.sequence,
            self_trade=command.self_trade or default,
            flags=command.flags,
            display=command.display_qty if command.display_qty < command.qty else 0,
            stop_price=stop,
            trail=command.trail,
            min_qty=command.min_qty,
            max_cost=command.max_cost,
            protection=command.protection_price,
            tag=command.tag,
            expire_ns=command.expire_ns,
        )
        if command.order_type in STOPS:
            order.status = PENDING
        elif instrument.is_outside:
            order.status = ROUTED
        if self._needs_extra(command, instrument):
            self.view.rows.add_extra(order)
        if not instrument.is_outside:
            self._set_deadline(order, instrument)
        return order

    def _set_deadline(self, order: Order, instrument: Instrument) -> None:
        now = self.view.now_ns
        if order.time_in_force == GTD:
            order.deadline_ns, order.deadline_reason = order.expire_ns, "GTD"
        elif order.time_in_force == DAY:
            days = (now - instrument.day_end_ns) // DAY_NS + 1
            order.deadline_ns = days * DAY_NS + instrument.day_end_ns
            order.deadline_reason = "DAY_END"
        elif order.time_in_force == GTC and instrument.max_age_ns:
            order.deadline_ns = min(now + instrument.max_age_ns, WORD_MAX)
            order.deadline_reason = "MAX_AGE"
        order.deadline_sequence = self.view.sequence

    def _accept(self, order: Order, need: Need, shared: int, partner: Order | None) -> None:
        instrument = self.view.instruments[order.instrument]
        self.view.rows.by_slot[order.slot] = order
        if order.record is not None:
            order.record.order_id = order.order_id
        self.view.ids.make_current(order.record)
        if partner is not None:
            self.view.rows.add_extra(partner)
            order.partner, partner.partner = partner, order
        if shared:  # What the partner holds need not be available.
            order.shared = shared
            self.view.ledger.hold(order.account, instrument.held_asset(order.side), -shared)
        self.holds.set(order, need)
        waits = order.status == PENDING
        rests = not waits and order.status == OPEN and self.matching.rests_at_once(order)
        terms = order.order_type | order.time_in_force << 8 | order.self_trade << 16
        self.view.emit(
            "ORDER_ACCEPTED",
            order,
            price=order.price,
            qty=order.qty,
            leaves=order.leaves,
            cum=need.hold + need.hold_fee - shared,
            cum_notional=terms | order.flags << 24,
            flags=RESTS if rests else 0,
        )
        if waits:
            self.view.books[order.instrument].pending[order.order_id] = order
        elif instrument.is_outside:
            self.life.ask(order, ROUTE_PLACE, order.price, order.qty)
        else:
            self.matching.enter(order, is_told=rests)
            self.matching.run_cascade()
