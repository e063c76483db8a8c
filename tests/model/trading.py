"""How the twin places, matches and ends orders (docs/engine.md, PLACE_ORDER and the rest)."""

from tests.model.book import Book
from tests.model.commands import BUY, GTC, IOC, LIMIT, MARKET, SELL, PlaceOrder
from tests.model.events import MAKER, PRIORITY_KEPT, RESTS, SELL_SIDE, Event, Rejected
from tests.model.idempotency import Ids
from tests.model.money import Ledger, fee_part_of, principal_of, share_up
from tests.model.rows import Asker, Rows
from tests.model.state import (
    CANCELED,
    EXPIRED,
    FILLED,
    MONEY_MAX,
    OPEN,
    PRICE_MAX,
    SLOT_BITS,
    Instrument,
    Order,
    Sizes,
)


class Trading:
    """Books, order rows and money; commands reach it checked for form, account and id."""

    def __init__(self, sizes: Sizes, ids: Ids, *, risk: bool) -> None:
        self.sizes = sizes
        self.ids = ids
        self.risk = risk
        self.ledger = Ledger()
        self.rows = Rows(sizes)
        self.instruments: dict[int, Instrument] = {}
        self.books: dict[int, Book] = {}
        self.events: list[Event] = []
        self.sequence = 0
        self.now_ns = 0

    def emit(self, kind: str, order: Order, **values: int | str) -> None:
        """One event about an order, with its names and side; ``values`` replace or add."""
        flags = int(values.pop("flags", 0)) | (SELL_SIDE if order.side == SELL else 0)
        event = Event(
            kind=kind,
            order_id=order.order_id,
            session=order.session,
            account=order.account,
            instrument=order.instrument,
            client_order_id=order.client_order_id,
            flags=flags,
        )
        self.events.append(event._replace(**values))  # type: ignore[arg-type]

    def touch(self, order: Order) -> None:
        """Note which command changed an order last."""
        order.updated_ns = self.now_ns
        order.sequence = self.sequence

    # Checks.

    def check_terms(self, instrument: Instrument, price: int | None, qty: int) -> None:
        """Price (None: MARKET), quantity and notional against the instrument."""
        if price is not None:
            highest = min(PRICE_MAX, MONEY_MAX // instrument.mult)
            if price > highest:
                raise Rejected("PRICE_OUT_OF_BAND", highest, price)
        lowest = max(1, instrument.qty_min)
        if qty < lowest:
            raise Rejected("QTY_TOO_SMALL", lowest, qty)
        largest = MONEY_MAX // instrument.base_per_lot
        if instrument.qty_max:
            largest = min(largest, instrument.qty_max)
        if qty > largest:
            raise Rejected("QTY_TOO_LARGE", largest, qty)
        if price is None:
            return
        if qty > MONEY_MAX // (price * instrument.mult):
            raise Rejected("NOTIONAL_TOO_LARGE", MONEY_MAX, 0)
        notional = price * qty * instrument.mult
        if instrument.notional_min and notional < instrument.notional_min:
            raise Rejected("NOTIONAL_TOO_SMALL", instrument.notional_min, notional)
        if instrument.notional_max and notional > instrument.notional_max:
            raise Rejected("NOTIONAL_TOO_LARGE", instrument.notional_max, notional)

    def check_available(self, account: int, instrument: Instrument, side: int, need: int) -> None:
        """Whether ``need`` of what ``side`` reserves is available."""
        available = self.ledger.available(account, instrument.held_asset(side))
        if need > available:
            reason = "INSUFFICIENT_FUNDS" if side == BUY else "INSUFFICIENT_POSITION"
            raise Rejected(reason, available, need)

    def make_rows(self, account: int, instrument: Instrument) -> None:
        """The rows that an order may need: both balances and the position."""
        wanted = {(account, instrument.base), (account, instrument.quote)}
        balances = wanted - self.ledger.balances.keys()
        positions = {(account, instrument.number)} - self.ledger.positions.keys()
        if len(self.ledger.balances) + len(balances) > self.sizes.balances_max:
            raise Rejected("CAPACITY")
        if len(self.ledger.positions) + len(positions) > self.sizes.positions_max:
            raise Rejected("CAPACITY")
        for asset_of in balances:
            self.ledger.balance(*asset_of)
        for key in positions:
            self.ledger.position(*key)

    # PLACE_ORDER.

    def place(self, command: PlaceOrder) -> Order:
        """Check, hold, match, rest or end; returns the order's row."""
        instrument = self.instruments.get(command.instrument)
        if instrument is None:
            raise Rejected("UNKNOWN_INSTRUMENT")
        is_limit = command.order_type == LIMIT
        if is_limit and command.price == 0:
            raise Rejected("PRICE_MISSING")
        if not is_limit and command.price != 0:
            raise Rejected("PRICE_NOT_ALLOWED")
        self.check_terms(instrument, command.price if is_limit else None, command.qty)
        hold, hold_fee = self._check_hold(command, instrument)
        if self.rows.open_count == self.sizes.orders_max:
            raise Rejected("CAPACITY", self.sizes.orders_max, self.rows.open_count)
        if self.risk:
            self.make_rows(command.account, instrument)
        order = Order(
            order_id=command.sequence << SLOT_BITS | self.rows.take_slot(),
            account=command.account,
            session=command.session,
            instrument=command.instrument,
            side=command.side,
            order_type=command.order_type,
            time_in_force=command.time_in_force,
            price=command.price,
            qty=command.qty,
            leaves=command.qty,
            client_order_id=command.client_order_id,
            record=self.ids.find(command.account, command.client_order_id),
            created_ns=self.now_ns,
            updated_ns=self.now_ns,
            sequence=command.sequence,
            hold=hold,
            hold_fee=hold_fee,
        )
        self._accept(order, instrument, command)
        return order

    def _check_hold(self, command: PlaceOrder, instrument: Instrument) -> tuple[int, int]:
        if not self.risk:
            return 0, 0
        account, side = command.account, command.side
        if side == BUY and command.order_type == MARKET:
            available = self.ledger.available(account, instrument.quote)
            if available == 0:
                raise Rejected("INSUFFICIENT_FUNDS", 0, 1)
            return available, 0
        hold = principal_of(instrument, side, command.price, command.qty)
        hold_fee = fee_part_of(instrument, side, hold)
        self.check_available(account, instrument, side, hold + hold_fee)
        return hold, hold_fee

    def _accept(self, order: Order, instrument: Instrument, command: PlaceOrder) -> None:
        self.rows.by_slot[order.slot] = order
        if order.record is not None:
            order.record.order_id = order.order_id
        self.ids.make_current(order.record)
        hold = order.hold + order.hold_fee
        if hold:
            self.ledger.hold(order.account, instrument.held_asset(order.side), hold)
        rests = self._is_resting(order) and not self._crosses(order)
        self.emit(
            "ORDER_ACCEPTED",
            order,
            price=order.price,
            qty=order.qty,
            leaves=order.leaves,
            cum=hold,
            cum_notional=order.order_type
            | order.time_in_force << 8
            | command.self_trade << 16
            | command.flags << 24,
            flags=RESTS if rests else 0,
        )
        self._match_and_rest(order, instrument)

    # Matching.

    def _is_resting(self, order: Order) -> bool:
        return order.order_type == LIMIT and order.time_in_force == GTC

    def _crosses(self, order: Order) -> bool:
        price = order.price if order.order_type == LIMIT else None
        return self.books[order.instrument].crosses(order.side, price)

    def _match_and_rest(self, order: Order, instrument: Instrument) -> None:
        """Match an order that is in no book, then rest, expire or end it."""
        book = self.books[order.instrument]
        opposite = SELL if order.side == BUY else BUY
        filled = False
        while order.leaves and self._crosses(order):
            maker = book.first(opposite)
            lots = self._affordable(order, maker, instrument, min(order.leaves, maker.leaves))
            if lots == 0:
                break
            self._fill(order, maker, instrument, lots)
            filled = True
        if order.leaves == 0:
            self._end(order, FILLED, "")
        elif self._is_resting(order):
            book.add(order)
            if filled:
                self.emit(
                    "ORDER_RESTED",
                    order,
                    price=order.price,
                    qty=order.leaves,
                    leaves=order.leaves,
                    cum=order.cum,
                    cum_notional=order.cum_notional,
                    fee=order.hold + order.hold_fee,
                )
        else:
            limit_ioc = order.order_type == LIMIT and order.time_in_force == IOC
            reason = "IOC_REMAINDER" if limit_ioc else "MARKET_REMAINDER"
            left = order.leaves
            self._end(order, EXPIRED, reason)
            self.emit(
                "ORDER_EXPIRED",
                order,
                price=order.price,
                qty=left,
                cum=order.cum,
                cum_notional=order.cum_notional,
                reason=reason,
            )

    def _affordable(self, order: Order, maker: Order, instrument: Instrument, lots: int) -> int:
        """``lots``, or for a MARKET BUY the most of them that its hold pays with the fee."""
        if not self.risk or order.order_type != MARKET or order.side != BUY:
            return lots
        ppm = max(instrument.taker_ppm, 0)

        def cost(count: int) -> int:
            amount = maker.price * count * instrument.mult
            return amount + share_up(amount, ppm)

        low, high = 0, lots
        while low < high:
            middle = (low + high + 1) // 2
            if cost(middle) <= order.hold:
                low = middle
            else:
                high = middle - 1
        return low

    def _fill(self, taker: Order, maker: Order, instrument: Instrument, lots: int) -> None:
        amount = maker.price * lots * instrument.mult
        for order in (taker, maker):
            order.leaves -= lots
            order.cum += lots
            order.cum_notional += amount
            order.last_price = maker.price
            order.last_fee = 0
            self.touch(order)
        instrument.last_price = maker.price
        if self.risk:
            self.ledger.settle(instrument, taker, maker, lots)
        for order, flags in ((taker, 0), (maker, MAKER)):
            self.emit(
                "FILL",
                order,
                price=maker.price,
                qty=lots,
                leaves=order.leaves,
                cum=order.cum,
                cum_notional=order.cum_notional,
                fee=order.last_fee,
                flags=flags,
            )
        if maker.leaves == 0:
            self.books[maker.instrument].remove(maker)
            self._end(maker, FILLED, "")

    def _end(self, order: Order, status: str, reason: str) -> None:
        """Release what is held, keep the row among the ended ones, let the id go."""
        self.ledger.release(order, self.instruments[order.instrument])
        order.canceled = order.leaves
        order.leaves = 0
        order.status = status
        order.reason = reason
        self.touch(order)
        self.ids.end_current(order.record)
        self.rows.end(order)

    # CANCEL, REDUCE, REPLACE, MASS_CANCEL.

    def cancel(self, order: Order, reason: str) -> None:
        """Take an open order out of the book and end it."""
        self.books[order.instrument].remove(order)
        left = order.leaves
        self._end(order, CANCELED, reason)
        self.emit(
            "ORDER_CANCELED",
            order,
            price=order.price,
            qty=left,
            leaves=left,
            cum=order.cum,
            cum_notional=order.cum_notional,
            reason=reason,
        )

    def reduce(self, order: Order, lots: int) -> None:
        """Take ``lots`` < leaves off an open order; it keeps its place."""
        order.leaves -= lots
        order.qty -= lots
        self._shrink_hold(order)
        self.touch(order)
        self.emit(
            "ORDER_REDUCED",
            order,
            price=order.price,
            qty=lots,
            leaves=order.leaves,
            cum=order.cum,
            cum_notional=order.cum_notional,
        )

    def _shrink_hold(self, order: Order) -> None:
        """The hold of an order that kept its price and has fewer lots open than before."""
        if not self.risk:
            return
        instrument = self.instruments[order.instrument]
        hold = principal_of(instrument, order.side, order.price, order.leaves)
        self._set_hold(order, hold, min(order.hold_fee, fee_part_of(instrument, order.side, hold)))

    def _set_hold(self, order: Order, hold: int, hold_fee: int) -> None:
        asset = self.instruments[order.instrument].held_asset(order.side)
        change = hold + hold_fee - order.hold - order.hold_fee
        self.ledger.hold(order.account, asset, change)
        order.hold, order.hold_fee = hold, hold_fee

    def replace(self, order: Order, price: int, leaves: int, asker: Asker) -> None:
        """Give an open order another price or open quantity, both already checked for terms."""
        instrument = self.instruments[order.instrument]
        keeps = price == order.price and leaves <= order.leaves
        hold = principal_of(instrument, order.side, price, leaves) if self.risk else 0
        hold_fee = fee_part_of(instrument, order.side, hold)
        if self.risk and not keeps:
            excess = hold + hold_fee - order.hold - order.hold_fee
            if excess > 0:
                self.check_available(order.account, instrument, order.side, excess)
        book = self.books[order.instrument]
        old = (order.client_order_id, order.price, order.qty, order.leaves)
        if not keeps:
            book.remove(order)
        order.price, order.leaves, order.qty = price, leaves, order.cum + leaves
        if asker.record is not None:
            self.ids.end_current(order.record)
            order.record = asker.record
            self.ids.make_current(order.record)
            order.client_order_id = asker.client_order_id
        if keeps:
            self._shrink_hold(order)
        elif self.risk:
            self._set_hold(order, hold, hold_fee)
        self.touch(order)
        self._tell_replaced(order, old, asker.session, keeps=keeps)
        if not keeps:
            self._match_and_rest(order, instrument)

    def _tell_replaced(
        self, order: Order, old: tuple[str, int, int, int], session: int, *, keeps: bool
    ) -> None:
        rests = 0 if self._crosses(order) else RESTS
        filled = {"cum": order.cum, "cum_notional": order.cum_notional}
        self.emit(
            "ORDER_REPLACED",
            order,
            session=session,
            price=order.price,
            qty=order.qty,
            leaves=order.leaves,
            flags=PRIORITY_KEPT if keeps else rests,
            **filled,
        )
        client_order_id, price, qty, leaves = old
        self.emit(
            "REPLACED_FROM",
            order,
            client_order_id=client_order_id,
            price=price,
            qty=qty,
            leaves=leaves,
            fee=order.hold + order.hold_fee,
            **filled,
        )

    def open_orders(self, account: int) -> list[Order]:
        """Open orders of an account, by order id."""
        rows = self.rows.by_slot.values()
        found = [row for row in rows if row.account == account and row.status == OPEN]
        return sorted(found, key=lambda row: row.order_id)
