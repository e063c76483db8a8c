"""What must always hold in the twin: money conserved, holds exact, books in order."""

from collections import Counter

from tests.model.commands import BUY, SELL, STOP_LIMIT, STOPS, TRAILING_STOP, TRIGGERED
from tests.model.holds import fee_part, lot_cost
from tests.model.limits import LimitTable
from tests.model.money import Position
from tests.model.state import FEES, OPEN, OUTSIDE, PENDING, ROUTED, TRAILING_MAX, Order
from tests.model.view import View


def check(view: View, limits: LimitTable) -> None:
    """Assert every invariant; between commands."""
    _check_sums(view)
    _check_held(view)
    _check_positions(view)
    _check_rows(view)
    for order in view.rows.by_slot.values():
        _check_order(view, order)
    _check_books(view)
    _check_stops(view)
    _check_binary(view)
    _check_clearing(view)
    assert len(limits.rows) <= view.sizes.limits_max
    view.ids.check()


# Money.


def _check_sums(view: View) -> None:
    """Every asset sums to zero, pots included; nobody but ``outside`` is below zero."""
    sums: Counter[int] = Counter()
    for (account, asset), row in view.ledger.balances.items():
        sums[asset] += row.available + row.held
        assert account == OUTSIDE or row.available >= 0, (account, asset, row)
        assert row.held >= 0, (account, asset, row)
    for instrument in view.instruments.values():
        sums[instrument.quote] += instrument.pot
        assert instrument.pot >= 0, instrument
    assert not any(sums.values()), sums


def _check_held(view: View) -> None:
    """What is held is what open orders, short positions and dues need, to the last unit."""
    held: Counter[tuple[int, int]] = Counter()
    for order in view.rows.by_slot.values():
        row = view.instruments[order.instrument]
        asset = row.held_asset(order.side)
        held[order.account, asset] += order.hold + order.hold_fee - order.shared
        held[order.account, row.quote] += order.short_cash
    for (account, instrument), position in view.ledger.positions.items():
        row = view.instruments[instrument]
        held[account, row.quote] += position.collateral + position.due_held
        held[account, row.base] += position.due_sold_lots * row.base_per_lot
    for row in view.instruments.values():
        held[FEES, row.quote] += row.due_rebates
    for key in held.keys() | view.ledger.balances.keys():
        balance = view.ledger.balances.get(key)
        assert (balance.held if balance else 0) == held[key], (key, balance, held[key])


def _check_positions(view: View) -> None:
    net: Counter[int] = Counter()
    settled: Counter[int] = Counter()
    for (_, instrument), position in view.ledger.positions.items():
        assert position.net + position.settled == position.bought - position.sold, position
        assert position.cost * position.net >= 0
        assert position.net != 0 or position.cost == 0 or _is_wide(position)
        net[instrument] += position.net
        settled[instrument] += position.settled
        assert position.short >= 0
        assert position.collateral >= 0
        assert position.short != 0 or position.collateral == 0, position
    assert not any(net.values()), net
    assert not any(settled.values()), settled


def _is_wide(position: Position) -> bool:
    """Shares of 2^31 lots and more are coarse: something of the cost may stay."""
    return max(position.bought, position.sold) >= 1 << 31


# Orders.


def _check_rows(view: View) -> None:
    rows = view.rows
    assert len(rows.closed) <= view.sizes.closed_keep
    assert rows.open_count <= view.sizes.orders_max
    assert len(rows.by_slot) + len(rows.freed) == rows.used
    assert rows.extras_used == sum(order.has_extra for order in rows.by_slot.values())
    assert rows.extras_used <= view.sizes.extras_max
    live = [order for order in rows.by_slot.values() if order.is_live]
    assert len(live) == rows.open_count
    current = sum(record.is_current for record in view.ids.records.values())
    assert current == sum(order.record is not None for order in live)


def _check_order(view: View, order: Order) -> None:
    assert view.rows.by_slot[order.slot] is order
    assert order.qty == order.leaves + order.cum + order.canceled, order.order_id
    assert min(order.leaves, order.cum, order.canceled) >= 0
    if not order.is_live:
        assert order.leaves == order.hold == order.hold_fee == order.hold_lots == 0
        assert order.short_cash == order.shared == order.shown == order.deadline_ns == 0
        assert order.partner is None
        assert not order.has_extra
        return
    assert order.leaves > 0
    assert order.canceled == 0
    record = order.record
    assert (record is None) == (order.client_order_id == "")
    assert record is None or (record.is_current and record.order_id == order.order_id)
    partner = order.partner
    if partner is not None:
        assert partner.partner is order
        assert partner.is_live
        assert partner.has_extra
        assert order.has_extra
        shared_with = partner.hold + partner.hold_fee - partner.shared
        assert order.shared <= shared_with or partner.shared <= order.hold + order.hold_fee
    else:
        assert order.shared == 0
    assert (order.status == PENDING) == (order.order_type in STOPS and not order.flags & TRIGGERED)
    if view.risk:
        _check_hold(view, order)


def _check_hold(view: View, order: Order) -> None:
    """The hold is that of the order's terms; matched outside it may be wider for a while."""
    row = view.instruments[order.instrument]
    assert min(order.hold, order.hold_fee, order.hold_lots, order.short_cash) >= 0
    assert 0 <= order.shared <= order.hold + order.hold_fee
    if order.request:
        return
    assert order.hold_lots <= order.leaves
    if order.has_budget:
        assert order.hold_fee == 0
        return
    fee = fee_part(row, order.side, order.price, order.leaves)
    assert order.hold_fee <= fee
    if row.is_binary:
        assert order.hold == order.opening * lot_cost(row, order.side, order.price)
    elif order.side == BUY:
        assert order.hold == order.price * order.leaves * row.mult
    else:
        assert order.hold == order.hold_lots * row.base_per_lot
        assert order.opening == 0 or row.short_ppm or order.short_cash >= 0
        assert order.opening or order.short_cash == 0


# Books.


def _check_books(view: View) -> None:
    """Each open order is in one place; no book is crossed; levels have what they say."""
    count = 0
    for instrument, book in view.books.items():
        bid, ask = book.best(BUY), book.best(SELL)
        assert bid is None or ask is None or bid < ask, (instrument, bid, ask)
        levels = set()
        for side in (BUY, SELL):
            for price, level in book.levels(side):
                assert level
                levels.add((side, price))
                for order in level.values():
                    count += 1
                    assert order.status == OPEN
                    assert (order.instrument, order.side, order.price) == (instrument, side, price)
                    most = order.display or order.leaves
                    assert 0 < order.shown <= min(most, order.leaves)
                    assert order.display or order.shown == order.leaves
        assert levels == set(book.openers)
        for order in book.pending.values():
            count += 1
            assert order.status == PENDING
            assert order.instrument == instrument
    count += sum(view.instruments[o.instrument].is_outside and o.is_live for o in _all(view))
    assert count == view.rows.open_count
    assert all(view.instruments[o.instrument].is_outside or o.status != ROUTED for o in _all(view))


def _all(view: View) -> list[Order]:
    return list(view.rows.by_slot.values())


def _check_stops(view: View) -> None:
    """No stop waits that the last price would have triggered."""
    for instrument, book in view.books.items():
        ref = view.instruments[instrument].last_price
        trailing = 0
        for order in book.pending.values():
            if ref:
                assert order.stop_price > ref if order.side == BUY else order.stop_price < ref
            assert order.order_type == STOP_LIMIT or order.price == 0
            trailing += order.order_type == TRAILING_STOP
        assert trailing <= TRAILING_MAX


# BINARY, clearing.


def _check_binary(view: View) -> None:
    """The pot is what all YES lots are worth at most; lots set aside are those of the orders."""
    yes: Counter[int] = Counter()
    for (account, number), position in view.ledger.positions.items():
        row = view.instruments[number]
        orders = [o for o in _all(view) if (o.account, o.instrument) == (account, number)]
        if not row.is_binary:
            assert position.reserved_yes == position.reserved_no == 0
            continue
        yes[number] += max(position.free, 0) + position.reserved_yes
        for side, lots in ((BUY, position.reserved_no), (SELL, position.reserved_yes)):
            assert lots == sum(o.hold_lots for o in orders if o.side == side), (account, number)
    for row in view.instruments.values():
        assert row.pot == row.payout * yes[row.number], row


def _check_clearing(view: View) -> None:
    """Dues are there only where the period's end is set."""
    for (_, number), position in view.ledger.positions.items():
        row = view.instruments[number]
        assert not position.is_due or (row.clearing_ns and row.clearing_at_ns)
        assert position.due_held + position.due_quote >= 0
    for row in view.instruments.values():
        assert row.clearing_at_ns or row.due_fees == row.due_rebates == 0
        lots = [p.due_lots for _, p in view.ledger.of_instrument(row.number)]
        assert sum(lots) == 0
