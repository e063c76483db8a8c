"""What must always hold in the twin: money conserved, holds exact, the book in order."""

from collections import Counter

from tests.model.commands import BUY, LIMIT, SELL
from tests.model.money import fee_part_of, principal_of
from tests.model.state import OPEN, OUTSIDE
from tests.model.trading import Trading


def check(trading: Trading) -> None:
    """Assert every invariant."""
    _check_money(trading)
    _check_orders(trading)
    _check_books(trading)
    trading.ids.check()


def _check_money(trading: Trading) -> None:
    sums: Counter[int] = Counter()
    for (account, asset), row in trading.ledger.balances.items():
        sums[asset] += row.available + row.held
        assert account == OUTSIDE or row.available >= 0, (account, asset, row)
        assert row.held >= 0, (account, asset, row)
    assert not any(sums.values()), sums
    held: Counter[tuple[int, int]] = Counter()
    for order in trading.rows.by_slot.values():
        asset = trading.instruments[order.instrument].held_asset(order.side)
        held[order.account, asset] += order.hold + order.hold_fee
    for key, row in trading.ledger.balances.items():
        assert row.held == held[key], (key, row, held[key])
    net: Counter[int] = Counter()
    for (_, instrument), position in trading.ledger.positions.items():
        assert position.net == position.bought - position.sold
        assert position.cost * position.net >= 0
        assert position.net != 0 or position.cost == 0
        net[instrument] += position.net
    assert not any(net.values()), net


def _check_orders(trading: Trading) -> None:
    rows = trading.rows
    assert len(rows.closed) <= trading.sizes.closed_keep
    assert rows.open_count <= trading.sizes.orders_max
    assert len(rows.by_slot) + len(rows.freed) == rows.used
    for slot, order in rows.by_slot.items():
        assert order.slot == slot
        assert order.qty == order.leaves + order.cum + order.canceled, order
        if order.status != OPEN:
            assert order.leaves == order.hold == order.hold_fee == 0, order
            continue
        instrument = trading.instruments[order.instrument]
        assert order.leaves > 0
        assert order.order_type == LIMIT
        if trading.risk:
            need = principal_of(instrument, order.side, order.price, order.leaves)
            assert order.hold == need, order
            assert 0 <= order.hold_fee <= fee_part_of(instrument, order.side, need), order
        record = order.record
        assert (record is None) == (order.client_order_id == "")
        assert record is None or (record.is_current and record.order_id == order.order_id)
    current = sum(record.is_current for record in trading.ids.records.values())
    assert current == sum(
        order.status == OPEN and order.record is not None for order in rows.by_slot.values()
    )


def _check_books(trading: Trading) -> None:
    count = 0
    for instrument, book in trading.books.items():
        bid, ask = book.best(BUY), book.best(SELL)
        assert bid is None or ask is None or bid < ask, (instrument, bid, ask)
        for side in (BUY, SELL):
            for price, level in book.levels(side):
                assert level
                for order in level.values():
                    count += 1
                    assert order.status == OPEN
                    assert (order.instrument, order.side, order.price) == (instrument, side, price)
    assert count == trading.rows.open_count
