"""What an execution of the outside does to its order, its account and their money.

Called after EXEC_RECORDED; whether it may be done was checked before (``sequencer.outside``).
"""

from typing import Final

from core.constants import SLOT_BYTES, WORD_MOST
from core.jit import kernel, stay_apart
from core.memory import Record, address_of, copy36, pointer
from core.messages import (
    BINARY,
    BUY,
    EVENT_CLIENT_ORDER_ID_AT,
    FILL,
    LEDGER,
    MAKER,
    ORDER_CANCELED,
    ORDER_REPLACED,
    OUTSIDE,
    OUTSIDE_CORRECTED,
    OUTSIDE_CORRECTION,
    OUTSIDE_MAKER,
    REPLACED_FROM,
    SELL_SIDE,
    SETTLEMENT,
    STATUS_CANCELED,
    STATUS_FILLED,
    STATUS_OPEN,
    STATUS_ROUTED,
    TRADE_BUSTED,
    TRADE_CORRECTED,
)
from core.reasons import Reason
from core.risk import holds, limits, routed
from core.risk.accounts import OUTSIDE_ACCOUNT, available, find_position, is_trader, need_position
from core.risk.money import summed
from core.rows import (
    account_row,
    asset_row,
    balance_row,
    cold_row,
    instrument_row,
    order_row,
    position_row,
    routed_row,
)
from core.sequencer.events import order_event, reserve
from core.sequencer.finish import close, expire_open, is_open
from core.sequencer.life import end_open
from core.sequencer.pairs import money_event, tell_pairs
from core.sequencer.route import drop_request, forget_route

outside_at = pointer(OUTSIDE)
correction_at = pointer(OUTSIDE_CORRECTION)

CANCELED_OUTSIDE: Final = Reason.CANCELED_OUTSIDE.value
REJECTED_OUTSIDE: Final = Reason.REJECTED_OUTSIDE.value
SETTLEMENT_REASON: Final = Reason.SETTLEMENT.value


@kernel
def book(
    state: Record, command: int, lots: int, price: int, fee: int, closing: int
) -> tuple[int, int]:
    """``routed.book`` for the account of the command; with risk off nothing is moved."""
    if state.risk == 0:
        return 0, 0
    said = outside_at(command)
    row = need_position(state, said.account, said.instrument)
    return routed.book(state, row, lots, price, fee, closing)  # type: ignore[no-any-return]


@kernel
def tell_missing(state: Record, instrument: int, quote: int, base: int) -> None:
    """LEDGER of what an account lacked and `outside` bears."""
    stay_apart()
    terms = instrument_row(state, instrument)
    for asset, missing in ((terms.quote_asset, quote), (terms.base_asset, base)):
        if missing != 0:
            event = money_event(state, LEDGER, OUTSIDE_ACCOUNT, asset)
            event.price = state.kind
            event.qty = -missing
            event.leaves = balance_row(state, asset_row(state, asset).outside_balance).available


@kernel
def fill_order(state: Record, command: int, slot: int, side: int) -> None:
    """FILL of an open order as far as it goes; the rest is booked on the account."""
    stay_apart()
    said = outside_at(command)
    rest = said.qty
    fee = said.fee
    if slot != 0 and is_open(state, slot):
        lots = min(rest, order_row(state, slot).leaves)
        fill_open(state, command, slot, lots)
        rest -= lots
        fee = 0
    if rest > 0 and is_trader(state, said.account):
        lots = rest if side == BUY else -rest
        quote, base = book(state, command, lots, said.price, fee, 0)
        tell_missing(state, said.instrument, quote, base)


@kernel
def fill_open(state: Record, command: int, slot: int, lots: int) -> None:
    said = outside_at(command)
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    terms = instrument_row(state, cold.instrument)
    if cold.status == STATUS_ROUTED:
        cold.status = STATUS_OPEN
    if state.limits_used != 0:
        limits.count_fill(state, slot, lots)
    quote = 0
    base = 0
    if state.risk != 0:
        closing = routed.take_fill(state, slot, lots, said.price, said.fee)
        signed = lots if cold.side == BUY else -lots
        quote, base = book(state, command, signed, said.price, said.fee, closing)
    else:
        order.leaves -= lots
        order.cum += lots
    notional = said.price * lots * terms.multiplier
    order.cum_notional += min(notional, WORD_MOST - order.cum_notional)
    cold.last_price = said.price
    cold.fees = summed(cold.fees, said.fee)
    cold.updated_ns = state.timestamp_ns
    reserve(state)
    event = order_event(state, FILL, MAKER if said.flags & OUTSIDE_MAKER != 0 else 0, order, cold)
    event.price = said.price
    event.qty = lots
    event.fee = said.fee
    tell_missing(state, cold.instrument, quote, base)
    if order.leaves == 0:
        end_filled(state, slot)


@kernel
def end_filled(state: Record, slot: int) -> None:
    """Nothing is left of an order: what it still holds goes back."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    if state.risk != 0:
        holds.release(state, instrument_row(state, cold.instrument), order, cold, 0)
        if state.paired != 0:
            tell_pairs(state, slot)
    forget_route(state, slot)
    end_open(state, slot, STATUS_FILLED, 0)


@kernel
def confirm(state: Record, slot: int) -> None:
    """The order is there, or its replace is done."""
    cold = cold_row(state, slot)
    order = order_row(state, slot)
    cold.updated_ns = state.timestamp_ns
    if cold.status == STATUS_ROUTED:
        cold.status = STATUS_OPEN
        return
    qty = cold.short_cash
    if qty <= order.cum:
        close(state, slot, ORDER_CANCELED, STATUS_CANCELED, CANCELED_OUTSIDE)
        return
    terms = instrument_row(state, cold.instrument)
    held_price, held = routed.held_terms(order, cold, terms.instrument_type == BINARY)
    leaves = order.leaves
    price = order.price
    if state.limits_used != 0:
        limits.weigh(state, slot, -leaves)
    order.price = routed_row(state, slot).asked_price
    order.leaves = qty - order.cum
    drop_request(state, slot)
    if state.limits_used != 0:
        limits.weigh(state, slot, order.leaves)
    amount = 0
    if state.risk != 0:
        routed.refit(state, slot, held_price, held, leaves)
        amount = holds.hold_of(terms, order, cold)
    event = order_event(state, ORDER_REPLACED, 0, order, cold)
    event.qty = qty
    event = order_event(state, REPLACED_FROM, 0, order, cold)
    event.price = price
    event.qty = leaves + order.cum
    event.leaves = 0
    event.fee = amount
    if state.paired != 0:
        tell_pairs(state, slot)


@kernel
def cancel_outside(state: Record, slot: int) -> None:
    close(state, slot, ORDER_CANCELED, STATUS_CANCELED, CANCELED_OUTSIDE)


@kernel
def drop(state: Record, slot: int) -> None:
    """The outside did not take the order, or not what was asked of it."""
    cold = cold_row(state, slot)
    if cold.status == STATUS_ROUTED:
        close(state, slot, ORDER_CANCELED, STATUS_CANCELED, REJECTED_OUTSIDE)
        return
    order = order_row(state, slot)
    is_binary = instrument_row(state, cold.instrument).instrument_type == BINARY
    price, held = routed.held_terms(order, cold, is_binary)
    drop_request(state, slot)
    cold.updated_ns = state.timestamp_ns
    if state.risk != 0:
        routed.refit(state, slot, price, held, order.leaves)
    if state.paired != 0:
        tell_pairs(state, slot)


@kernel
def correct(state: Record, command: int, side: int) -> None:
    """The reverse of an execution, and of a correction the execution as it is now."""
    stay_apart()
    said = outside_at(command)
    back = -said.qty if side == BUY else said.qty
    quote, base = book(state, command, back, said.price, -said.fee, 0)
    event = tell_trade(state, command, side, TRADE_BUSTED)
    event.price = said.price
    event.qty = said.qty
    event.cum_notional = -said.fee
    tell_missing(state, said.instrument, quote, base)
    if said.kind != OUTSIDE_CORRECTED:
        return
    new = correction_at(command + 2 * SLOT_BYTES)
    lots = new.new_qty if side == BUY else -new.new_qty
    quote, base = book(state, command, lots, new.new_price, new.new_fee, 0)
    event = tell_trade(state, command, side, TRADE_CORRECTED)
    event.price = new.new_price
    event.qty = new.new_qty
    event.cum_notional = new.new_fee
    tell_missing(state, said.instrument, quote, base)


@kernel
def tell_trade(state: Record, command: int, side: int, kind: int) -> Record:
    said = outside_at(command)
    terms = instrument_row(state, said.instrument)
    event = money_event(state, kind, said.account, said.instrument)
    event.order_id = said.order_id
    if terms.instrument_type != BINARY:
        event.leaves = available(state, said.account, terms.base_asset)
    event.cum = available(state, said.account, terms.quote_asset)
    event.flags = side & SELL_SIDE
    copy36(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, command + SLOT_BYTES)
    return event


@kernel
def settle_outside(state: Record, command: int) -> None:
    """BINARY: the account's orders end, and its lots are paid."""
    stay_apart()
    said = outside_at(command)
    slot = account_row(state, said.account).open_head
    while slot != 0:
        following = cold_row(state, slot).account_next
        if cold_row(state, slot).instrument == said.instrument:
            expire_open(state, slot, SETTLEMENT_REASON)
        slot = following
    row = find_position(state, said.account, said.instrument)
    net = position_row(state, row).net if row != 0 else 0
    if net == 0:
        return
    cash = routed.settle_account(state, row, said.price)
    event = money_event(state, SETTLEMENT, said.account, said.instrument)
    event.price = said.price
    event.qty = net
    event.leaves = balance_row(state, position_row(state, row).quote_balance).available
    event.cum = cash
