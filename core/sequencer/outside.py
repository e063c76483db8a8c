"""OUTSIDE_*: what became of an order that is matched outside, recorded once.

An execution is known by its source and its exec id; together they are up to 100 characters, so the
table of ids has 36 bytes that stand for them: three keyed hashes of 64 bits.  Two executions that
are taken for the same would differ in their payload, and the later one be rejected, never lost.
(docs/engine-outside.md)
"""

from typing import Final

from core.book import pool
from core.constants import MONEY_MAX, SLOT_BYTES
from core.jit import kernel, stay_apart
from core.layout import offset_of
from core.memory import (
    Record,
    address_of,
    copy36,
    fill,
    pointer,
    product_exceeds,
    store_i64,
)
from core.messages import (
    BINARY,
    BUY,
    CLIENT_ORDER_ID_AT,
    COMMAND_REPEATED,
    EXEC_APPLIED,
    EXEC_LATE,
    EXEC_NOTHING,
    EXEC_OVERFILL,
    EXEC_RECORDED,
    EXEC_UNACKNOWLEDGED,
    EXEC_UNKNOWN_ORDER,
    MATCHED_OUTSIDE,
    OUTSIDE,
    OUTSIDE_ACKNOWLEDGED,
    OUTSIDE_BUSTED,
    OUTSIDE_CANCELED,
    OUTSIDE_CORRECTED,
    OUTSIDE_CORRECTION,
    OUTSIDE_FILLED,
    OUTSIDE_MAKER,
    OUTSIDE_REJECTED,
    OUTSIDE_SELL,
    OUTSIDE_SETTLED,
    REFERENCE,
    ROUTE_REPLACE,
    SELL,
    SELL_SIDE,
    STATUS_ROUTED,
)
from core.reasons import Reason
from core.records import DRAFT
from core.risk import ids, text
from core.risk.accounts import (
    OUTSIDE_ACCOUNT,
    find_position,
    is_trader,
    room_for_position,
)
from core.rows import (
    account_row,
    asset_row,
    cold_row,
    draft_of,
    id_record_row,
    instrument_row,
    order_row,
    position_row,
    routed_row,
)
from core.sequencer.admit import because, place_at, reject_admin
from core.sequencer.events import bare_event
from core.sequencer.execution import (
    cancel_outside,
    confirm,
    correct,
    drop,
    fill_order,
    settle_outside,
)
from core.sequencer.finish import is_open
from core.sequencer.route import is_asked

outside_at = pointer(OUTSIDE)
correction_at = pointer(OUTSIDE_CORRECTION)

SOURCE_AT: Final = offset_of(REFERENCE, "source")
KEY_AT: Final = offset_of(DRAFT, "exec_key")
KEY_PARTS: Final = 3  # The 100 bytes of exec id and source, in windows of 36.
PART_BYTES: Final = 32
KEY_SCOPE: Final = 1 << 20  # Not that of names, nor of any account's client order ids.
KEY_MARK: Final = 1  # Behind what could be a text.
FLAGS: Final = OUTSIDE_MAKER | OUTSIDE_SELL
assert SOURCE_AT + 36 == (KEY_PARTS - 1) * PART_BYTES + 36

CAPACITY: Final = Reason.CAPACITY.value
DUPLICATE_CLIENT_ID: Final = Reason.DUPLICATE_CLIENT_ID.value
MALFORMED: Final = Reason.MALFORMED.value
NOTIONAL_TOO_LARGE: Final = Reason.NOTIONAL_TOO_LARGE.value
PRICE_OUT_OF_BAND: Final = Reason.PRICE_OUT_OF_BAND.value
QTY_TOO_LARGE: Final = Reason.QTY_TOO_LARGE.value
SUPPLY: Final = Reason.SUPPLY.value
TERMS: Final = Reason.TERMS.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value


@kernel
def record_execution(state: Record, command: int) -> None:
    """Any command of the outside: rejected, known already, or recorded and done."""
    stay_apart()
    reason = execution_form(command)
    digest = 0
    key = address_of(draft_of(state)) + KEY_AT
    if reason == 0:
        fill_key(state, command + SLOT_BYTES, key)
        digest = text.text_hash(state, OUTSIDE_ACCOUNT, key)
        record = ids.find_hashed(state, digest, OUTSIDE_ACCOUNT, key)
        if record != 0:
            if id_record_row(state, record).payload == ids.payload_hash(state, command):
                own_id = command + CLIENT_ORDER_ID_AT
                bare_event(state, COMMAND_REPEATED, place_at(command), own_id)
                return
            reason = DUPLICATE_CLIENT_ID
    if reason == 0:
        reason = check_execution(state, command)
    if reason == 0:
        record = ids.remember(state, digest, command, OUTSIDE_ACCOUNT, outside_at(command).kind)
        if record == 0:
            reason = because(state, CAPACITY, state.ids_max, state.ids_count)
        else:
            copy36(address_of(id_record_row(state, record)), key)
    if reason != 0:
        reject_admin(state, command, reason)
        return
    apply_execution(state, command)


@kernel
def fill_key(state: Record, reference: int, key: int) -> None:
    """36 bytes for the exec id and the source at ``reference``."""
    fill(key, 0, 40)
    for part in range(KEY_PARTS):
        window = reference + PART_BYTES * part
        store_i64(key + 8 * part, text.text_hash(state, KEY_SCOPE + part, window))
    store_i64(key + 32, KEY_MARK)


@kernel
def trades(kind: int) -> bool:
    """Does it book something?"""
    return kind in (OUTSIDE_FILLED, OUTSIDE_BUSTED, OUTSIDE_CORRECTED)


@kernel
def execution_form(command: int) -> int:
    said = outside_at(command)
    reference = command + SLOT_BYTES
    slots = 3 if said.kind == OUTSIDE_CORRECTED else 2
    if said.slots != slots or said.flags & ~FLAGS != 0:
        return MALFORMED
    if text.is_empty(reference) or text.is_empty(reference + SOURCE_AT):
        return MALFORMED
    if said.kind == OUTSIDE_SETTLED:
        return MALFORMED if said.price < 0 else 0
    if not trades(said.kind):
        return 0
    fits = said.price >= 1 and said.qty >= 1 and -MONEY_MAX <= said.fee <= MONEY_MAX
    if said.kind == OUTSIDE_CORRECTED:
        new = correction_at(command + 2 * SLOT_BYTES)
        fits = fits and new.new_price >= 1 and new.new_qty >= 1
        fits = fits and -MONEY_MAX <= new.new_fee <= MONEY_MAX
    return 0 if fits else MALFORMED


@kernel
def find_known(state: Record, command: int) -> int:
    """Slot of the order that is meant, of this account and instrument; or 0."""
    said = outside_at(command)
    slot = pool.find_order(state, said.order_id, said.account)
    if slot == 0 or cold_row(state, slot).instrument != said.instrument:
        return 0
    return slot


@kernel
def side_of(state: Record, command: int) -> int:
    """Of the order, or where that is not known as the outside says."""
    slot = find_known(state, command)
    if slot != 0:
        return cold_row(state, slot).side  # type: ignore[no-any-return]
    return SELL if outside_at(command).flags & OUTSIDE_SELL != 0 else BUY


@kernel
def check_execution(state: Record, command: int) -> int:
    """Instrument, amounts, supply, rows."""
    said = outside_at(command)
    if not 0 < said.instrument <= state.instruments_used:
        return UNKNOWN_INSTRUMENT
    terms = instrument_row(state, said.instrument)
    fits = terms.matching == MATCHED_OUTSIDE
    reason = 0
    if said.kind == OUTSIDE_SETTLED:
        fits = fits and terms.instrument_type == BINARY
        if terms.instrument_type == BINARY:
            reason = check_last(state, terms, said.price)
    elif trades(said.kind):
        reason = check_amounts(state, terms, said.price, said.qty)
        if said.kind == OUTSIDE_CORRECTED:
            new = correction_at(command + 2 * SLOT_BYTES)
            limit, value = state.limit, state.value
            later = check_amounts(state, terms, new.new_price, new.new_qty)
            if reason == 0 or 0 < later < reason:
                reason = later
            else:
                because(state, reason, limit, value)
    if reason == 0 and not fits:
        reason = TERMS
    if reason == 0 and trades(said.kind) and state.risk != 0:
        reason = check_supply(state, terms, command)
        known = is_trader(state, said.account)
        if reason == 0 and known and not room_for_position(state, said.account, said.instrument):
            reason = CAPACITY
    return reason


@kernel
def check_last(state: Record, terms: Record, price: int) -> int:
    """BINARY: not above what a lot pays."""
    last = terms.payout // terms.multiplier
    return because(state, PRICE_OUT_OF_BAND, last, price) if price > last else 0


@kernel
def check_amounts(state: Record, terms: Record, price: int, qty: int) -> int:
    if terms.instrument_type == BINARY:
        reason = check_last(state, terms, price)
        if reason != 0:
            return reason
    unit = terms.payout if terms.instrument_type == BINARY else terms.base_per_lot
    if product_exceeds(unit, qty, MONEY_MAX):
        return because(state, QTY_TOO_LARGE, MONEY_MAX, 0)
    too_high = price > MONEY_MAX // terms.multiplier
    if too_high or product_exceeds(price * terms.multiplier, qty, MONEY_MAX):
        return because(state, NOTIONAL_TOO_LARGE, MONEY_MAX, 0)
    return 0


@kernel
def check_supply(state: Record, terms: Record, command: int) -> int:
    """Would what comes in from outside lift an asset past its bound?  Every booking counts, of a
    correction both; a bust is the other way round."""
    said = outside_at(command)
    side = side_of(state, command)
    first = side if said.kind == OUTSIDE_FILLED else BUY + SELL - side
    fee = said.fee if said.kind == OUTSIDE_FILLED else -said.fee
    quote = asset_row(state, terms.quote_asset)
    room = less_quote(terms, MONEY_MAX - quote.issued, first, said.price * said.qty, said.qty, fee)
    lots = said.qty if first == BUY else 0
    if said.kind == OUTSIDE_CORRECTED:
        new = correction_at(command + 2 * SLOT_BYTES)
        product = new.new_price * new.new_qty
        room = less_quote(terms, room, side, product, new.new_qty, new.new_fee)
        lots += new.new_qty if side == BUY else 0
    if room < 0:
        return because(state, SUPPLY, MONEY_MAX, quote.issued)
    if terms.instrument_type == BINARY:
        return 0
    base = asset_row(state, terms.base_asset)
    if product_exceeds(lots, terms.base_per_lot, MONEY_MAX - base.issued):
        return because(state, SUPPLY, MONEY_MAX, base.issued)
    return 0


@kernel
def less_quote(terms: Record, room: int, side: int, product: int, qty: int, fee: int) -> int:
    """Room for quote units after one booking of price x qty = ``product``; negative: none.  A fee
    counts in either sign: a positive one may be a debt, so that outside pays it."""
    if terms.instrument_type == BINARY:
        room -= terms.payout * qty
    elif side == SELL:
        room -= product * terms.multiplier
    return room - (fee if fee >= 0 else -fee) if room >= 0 else room


@kernel
def apply_execution(state: Record, command: int) -> None:
    """EXEC_RECORDED, and what follows from it."""
    said = outside_at(command)
    slot = find_known(state, command)
    outcome = outcome_of(state, command, slot)
    event = bare_event(state, EXEC_RECORDED, place_at(command), command + SLOT_BYTES)
    event.order_id = said.order_id
    event.price = said.price
    event.qty = said.qty
    event.leaves = said.kind
    event.cum = outcome
    event.cum_notional = said.fee
    event.flags = side_of(state, command) & SELL_SIDE
    kind = said.kind
    if kind == OUTSIDE_FILLED:
        fill_order(state, command, slot, side_of(state, command))
    elif kind in (OUTSIDE_BUSTED, OUTSIDE_CORRECTED):
        if is_trader(state, said.account):
            correct(state, command, side_of(state, command))
    elif outcome != EXEC_APPLIED:
        return
    elif kind == OUTSIDE_ACKNOWLEDGED:
        confirm(state, slot)
    elif kind == OUTSIDE_CANCELED:
        cancel_outside(state, slot)
    elif kind == OUTSIDE_REJECTED:
        drop(state, slot)
    else:
        settle_outside(state, command)


@kernel
def outcome_of(state: Record, command: int, slot: int) -> int:
    """EXEC_*, before anything is done."""
    said = outside_at(command)
    kind = said.kind
    if kind == OUTSIDE_SETTLED:
        return outcome_of_settled(state, said.account, said.instrument)
    if slot == 0:
        return EXEC_UNKNOWN_ORDER
    if kind in (OUTSIDE_BUSTED, OUTSIDE_CORRECTED):
        return EXEC_APPLIED
    lives = is_open(state, slot)
    is_new = cold_row(state, slot).status == STATUS_ROUTED
    if kind == OUTSIDE_FILLED:
        if not lives:
            return EXEC_LATE
        if said.qty > order_row(state, slot).leaves:
            return EXEC_OVERFILL
        return EXEC_UNACKNOWLEDGED if is_new else EXEC_APPLIED
    does = lives
    if kind == OUTSIDE_ACKNOWLEDGED:
        does = lives and (is_new or routed_row(state, slot).asked == ROUTE_REPLACE)
    elif kind == OUTSIDE_REJECTED:
        does = lives and (is_new or is_asked(state, slot))
    return EXEC_APPLIED if does else EXEC_NOTHING


@kernel
def outcome_of_settled(state: Record, account: int, instrument: int) -> int:
    if not is_trader(state, account):
        return EXEC_UNKNOWN_ORDER
    row = find_position(state, account, instrument)
    if row != 0 and position_row(state, row).net != 0:
        return EXEC_APPLIED
    slot = account_row(state, account).open_head
    while slot != 0:
        if cold_row(state, slot).instrument == instrument:
            return EXEC_APPLIED
        slot = cold_row(state, slot).account_next
    return EXEC_NOTHING
