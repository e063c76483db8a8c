"""BUST_TRADE and CORRECT_TRADE: a trade is taken back, or made again with other terms."""

from typing import Final

from core.constants import MONEY_MAX, SLOT_BYTES, WORD_MOST
from core.jit import kernel, stay_apart
from core.layout import offset_of
from core.memory import Record, address_of, copy36, pointer, product_exceeds
from core.messages import (
    CLIENT_ORDER_ID_AT,
    COMMAND_REPEATED,
    CORRECT_TRADE,
    EVENT_CLIENT_ORDER_ID_AT,
    MATCHED_HERE,
    SELL_SIDE,
    SPOT,
    TRADE,
    TRADE_BUSTED,
    TRADE_CORRECTED,
    TRADE_SLOT_2,
)
from core.reasons import Reason
from core.risk import ids, settle, text
from core.risk.accounts import (
    OUTSIDE_ACCOUNT,
    available,
    find_position,
    is_trader,
    need_position,
    rows_missing,
)
from core.risk.limits import count_cost
from core.risk.money import ppm_down, ppm_up
from core.rows import balance_row, id_record_row, instrument_row, position_row
from core.sequencer.admit import REPEATED, because, place_at, reject_admin
from core.sequencer.events import bare_event
from core.sequencer.pairs import money_event

trade_at = pointer(TRADE)
more_at = pointer(TRADE_SLOT_2)

SLOTS: Final = 2
assert offset_of(TRADE, "client_order_id") == CLIENT_ORDER_ID_AT

CAPACITY: Final = Reason.CAPACITY.value
DUPLICATE_CLIENT_ID: Final = Reason.DUPLICATE_CLIENT_ID.value
INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
INSUFFICIENT_POSITION: Final = Reason.INSUFFICIENT_POSITION.value
MALFORMED: Final = Reason.MALFORMED.value
NOTIONAL_TOO_LARGE: Final = Reason.NOTIONAL_TOO_LARGE.value
TERMS: Final = Reason.TERMS.value
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value


@kernel
def undo_trade(state: Record, command: int) -> None:
    """BUST_TRADE, CORRECT_TRADE."""
    stay_apart()
    trade = trade_at(command)
    reason = trade_form(state, command)
    digest = 0
    if reason == 0:
        digest = text.text_hash(state, OUTSIDE_ACCOUNT, command + CLIENT_ORDER_ID_AT)
        reason = seen_before(state, command, digest)
    if reason == REPEATED:
        return
    if reason == 0:
        reason = check_trade(state, command)
    # The id is used up only where nothing rejects it.
    if reason == 0 and ids.remember(state, digest, command, OUTSIDE_ACCOUNT, trade.kind) == 0:
        reason = because(state, CAPACITY, state.ids_max, state.ids_count)
    if reason != 0:
        reject_admin(state, command, reason)
        return
    more = more_at(command + SLOT_BYTES)
    row = trade.instrument
    bust(state, command)
    tell(state, command, TRADE_BUSTED, -more.buyer_fee, -more.seller_fee)
    if trade.kind == CORRECT_TRADE:
        buyer_fee, seller_fee = new_fees(state, command, 0)
        notional = trade.new_price * trade.new_qty * instrument_row(state, row).multiplier
        book(state, find_position(state, more.buyer, row), trade.new_qty, notional, buyer_fee)
        book(state, find_position(state, more.seller, row), -trade.new_qty, notional, seller_fee)
        count(instrument_row(state, row), trade.new_qty, notional, 1)
        tell(state, command, TRADE_CORRECTED, buyer_fee, seller_fee)


@kernel
def trade_form(state: Record, command: int) -> int:
    trade = trade_at(command)
    if trade.slots != SLOTS or text.is_empty(command + CLIENT_ORDER_ID_AT):
        return MALFORMED
    if trade.price < 1 or trade.qty < 1:
        return MALFORMED
    if trade.kind == CORRECT_TRADE and (trade.new_price < 1 or trade.new_qty < 1):
        return MALFORMED
    more = more_at(command + SLOT_BYTES)
    known = is_trader(state, more.buyer) and is_trader(state, more.seller)
    return 0 if known else UNKNOWN_ACCOUNT


@kernel
def seen_before(state: Record, command: int, digest: int) -> int:
    """0 where the trade's id is new; else it is answered, or why it is not."""
    own_id = command + CLIENT_ORDER_ID_AT
    record = ids.find_hashed(state, digest, OUTSIDE_ACCOUNT, own_id)
    if record == 0:
        return 0
    if id_record_row(state, record).payload != ids.payload_hash(state, command):
        return DUPLICATE_CLIENT_ID
    bare_event(state, COMMAND_REPEATED, place_at(command), own_id)
    return REPEATED


@kernel
def check_trade(state: Record, command: int) -> int:
    """Instrument, notional, terms, what everybody must be able to give, rows."""
    trade = trade_at(command)
    if not 0 < trade.instrument <= state.instruments_used:
        return UNKNOWN_INSTRUMENT
    terms = instrument_row(state, trade.instrument)
    too_large = exceeds(terms, trade.price, trade.qty)
    if trade.kind == CORRECT_TRADE:
        too_large = too_large or exceeds(terms, trade.new_price, trade.new_qty)
    if too_large:
        return because(state, NOTIONAL_TOO_LARGE, MONEY_MAX, 0)
    more = more_at(command + SLOT_BYTES)
    notional = trade.price * trade.qty * terms.multiplier
    usual = terms.instrument_type == SPOT and terms.matching == MATCHED_HERE and state.risk != 0
    fees = -notional <= more.buyer_fee <= notional and -notional <= more.seller_fee <= notional
    if not usual or not fees or is_due(state, more.buyer, trade.instrument):
        return TERMS
    if is_due(state, more.seller, trade.instrument):
        return TERMS
    reason = check_cash(state, command, notional)
    if reason == 0:
        reason = check_base(state, command)
    return reason if reason != 0 else check_rows(state, command)


@kernel
def exceeds(terms: Record, price: int, qty: int) -> bool:
    """Is price x qty x multiplier more than an amount can be?"""
    if price > MONEY_MAX // terms.multiplier:
        return True
    return product_exceeds(price * terms.multiplier, qty, MONEY_MAX)


@kernel
def is_due(state: Record, account: int, instrument: int) -> bool:
    """Waits something of the account to be cleared?"""
    row = find_position(state, account, instrument)
    if row == 0:
        return False
    position = position_row(state, row)
    return (position.due_bought | position.due_sold) != 0  # type: ignore[no-any-return]


@kernel
def check_cash(state: Record, command: int, notional: int) -> int:
    """Quote units that seller, fees account and, for a correction, the buyer must have."""
    trade = trade_at(command)
    more = more_at(command + SLOT_BYTES)
    terms = instrument_row(state, trade.instrument)
    free = available(state, more.seller, terms.quote_asset)
    need = notional - more.seller_fee
    if need > free:
        return because(state, INSUFFICIENT_FUNDS, free, need)
    free = balance_row(state, terms.fees_balance).available
    need = more.buyer_fee + more.seller_fee
    if need > free:
        return because(state, INSUFFICIENT_FUNDS, free, need)
    if trade.kind != CORRECT_TRADE:
        return 0
    free = available(state, more.buyer, terms.quote_asset) + notional + more.buyer_fee
    if more.buyer == more.seller:
        free -= notional - more.seller_fee
    fee, _ = new_fees(state, command, 1)
    need = trade.new_price * trade.new_qty * terms.multiplier + fee
    return because(state, INSUFFICIENT_FUNDS, free, need) if need > free else 0


@kernel
def new_fees(state: Record, command: int, dry: int) -> tuple[int, int]:
    """Fees of buyer and seller after a correction, negative for a rebate.  ``dry`` = 1: before the
    trade is busted, and nothing is moved; 0: after it, and the fees account gets them."""
    trade = trade_at(command)
    more = more_at(command + SLOT_BYTES)
    terms = instrument_row(state, trade.instrument)
    notional = trade.new_price * trade.new_qty * terms.multiplier
    buyer_makes = more.buyer_order <= more.seller_order
    fees = balance_row(state, terms.fees_balance)
    left = fees.available
    if dry != 0:
        left -= more.buyer_fee + more.seller_fee
    taker_fee = ppm_up(notional, max(terms.taker_ppm, 0))
    maker_fee = ppm_up(notional, max(terms.maker_ppm, 0))
    left += taker_fee + maker_fee
    if terms.taker_ppm < 0:
        rebate = min(ppm_down(notional, -terms.taker_ppm), left)
        left -= rebate
        taker_fee = -rebate
    if terms.maker_ppm < 0:
        rebate = min(ppm_down(notional, -terms.maker_ppm), left)
        left -= rebate
        maker_fee = -rebate
    if dry == 0:
        fees.available = left
    return (maker_fee, taker_fee) if buyer_makes else (taker_fee, maker_fee)


@kernel
def units(terms: Record, qty: int) -> int:
    """Base units of ``qty`` lots, or more than anybody can have."""
    if product_exceeds(qty, terms.base_per_lot, WORD_MOST):
        return WORD_MOST
    return qty * terms.base_per_lot  # type: ignore[no-any-return]


@kernel
def check_base(state: Record, command: int) -> int:
    """Base units that the buyer gives back and, for a correction, the seller delivers."""
    trade = trade_at(command)
    more = more_at(command + SLOT_BYTES)
    terms = instrument_row(state, trade.instrument)
    free = available(state, more.buyer, terms.base_asset)
    back = units(terms, trade.qty)
    if back > free:
        return because(state, INSUFFICIENT_POSITION, free, back)
    if trade.kind != CORRECT_TRADE:
        return 0
    free = available(state, more.seller, terms.base_asset)
    if more.buyer != more.seller:
        free += back
    need = units(terms, trade.new_qty)
    return because(state, INSUFFICIENT_POSITION, free, need) if need > free else 0


@kernel
def check_rows(state: Record, command: int) -> int:
    """Room for the positions and balances of both sides."""
    row = trade_at(command).instrument
    more = more_at(command + SLOT_BYTES)
    positions, balances = rows_missing(state, more.buyer, row)
    if more.buyer != more.seller:
        others, more_balances = rows_missing(state, more.seller, row)
        positions += others
        balances += more_balances
    fits = state.positions_used + positions <= state.positions_max
    fits = fits and state.balances_used + balances <= state.balances_max
    return 0 if fits else CAPACITY


@kernel
def bust(state: Record, command: int) -> None:
    """The reverse of the trade: each side trades back at the same price, and gets its fee back."""
    trade = trade_at(command)
    more = more_at(command + SLOT_BYTES)
    row = trade.instrument
    terms = instrument_row(state, row)
    notional = trade.price * trade.qty * terms.multiplier
    buyer = need_position(state, more.buyer, row)
    seller = need_position(state, more.seller, row)
    book(state, buyer, -trade.qty, notional, -more.buyer_fee)
    book(state, seller, trade.qty, notional, -more.seller_fee)
    fees = balance_row(state, terms.fees_balance)
    fees.available -= more.buyer_fee + more.seller_fee
    count(terms, -trade.qty, -notional, -1)


@kernel
def book(state: Record, row: int, lots: int, notional: int, fee: int) -> None:
    """A trade of one side, at once and from what is available: ``lots`` bought (negative: sold)."""
    position = position_row(state, row)
    terms = instrument_row(state, position.instrument)
    quote = balance_row(state, position.quote_balance)
    before = position.cost
    balance_row(state, position.base_balance).available += lots * terms.base_per_lot
    if lots > 0:
        quote.available -= notional + fee
        settle.buy_position(position, lots, notional)
    else:
        quote.available += notional - fee
        settle.sell_position(position, -lots, notional)
    if state.limits_used != 0:
        count_cost(state, position, before)


@kernel
def count(terms: Record, lots: int, notional: int, trades: int) -> None:
    """Statistics of all time; sums stop at WORD_MOST and at 0."""
    terms.trades = max(terms.trades + trades, 0)
    terms.volume = max(terms.volume + min(lots, WORD_MOST - terms.volume), 0)
    terms.notional = max(terms.notional + min(notional, WORD_MOST - terms.notional), 0)


@kernel
def tell(state: Record, command: int, kind: int, buyer_fee: int, seller_fee: int) -> None:
    """Both events, buyer first."""
    more = more_at(command + SLOT_BYTES)
    event = tell_side(state, command, kind, more.buyer)
    event.order_id = more.buyer_order
    event.cum_notional = buyer_fee
    event = tell_side(state, command, kind, more.seller)
    event.order_id = more.seller_order
    event.cum_notional = seller_fee
    event.flags = SELL_SIDE


@kernel
def tell_side(state: Record, command: int, kind: int, account: int) -> Record:
    trade = trade_at(command)
    position = position_row(state, find_position(state, account, trade.instrument))
    first = state.index == 0
    event = money_event(state, kind, account, trade.instrument)
    if first:
        event.session = trade.session
    event.price = trade.price if kind == TRADE_BUSTED else trade.new_price
    event.qty = trade.qty if kind == TRADE_BUSTED else trade.new_qty
    event.leaves = balance_row(state, position.base_balance).available
    event.cum = balance_row(state, position.quote_balance).available
    copy36(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, command + CLIENT_ORDER_ID_AT)
    return event
