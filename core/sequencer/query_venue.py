"""Answers about an instrument's day, an account's limits, and what would become of an order."""

from typing import Final

from core.constants import DAY_NS, SECOND_NS
from core.jit import kernel, stay_apart
from core.layout import offset_of
from core.memory import Record, address_of, copy, pointer
from core.messages import LIMITS_REPLY, PLACE_ORDER, STATS_REPLY, TEST_REPLY
from core.reasons import Reason
from core.risk import limits
from core.risk.accounts import find_limits, is_trader
from core.rows import account_row, draft_of, instrument_row, limit_row
from core.sequencer.admit import barred, because, place_at
from core.sequencer.draft import draft
from core.sequencer.form import form_any
from core.sequencer.general import drafted_hold

stats_reply_at = pointer(STATS_REPLY)
limits_reply_at = pointer(LIMITS_REPLY)
test_reply_at = pointer(TEST_REPLY)

LIMITS_AT: Final = offset_of(LIMITS_REPLY, "position_max")

EXPIRED_REQUEST: Final = Reason.EXPIRED_REQUEST.value
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value


@kernel
def answer_stats(state: Record, query: Record, replies: int) -> None:
    """The newest day with a trade, and all time."""
    reply = stats_reply_at(replies)
    if not 0 < query.instrument <= state.instruments_used:
        reply.reason = UNKNOWN_INSTRUMENT
        return
    terms = instrument_row(state, query.instrument)
    reply.count = 1
    reply.id = query.instrument
    reply.last_price = terms.last_price
    reply.day = terms.day
    reply.day_ends_ns = terms.day_ends_ns
    reply.day_open = terms.day_open
    reply.day_high = terms.day_high
    reply.day_low = terms.day_low
    reply.day_volume = terms.day_volume
    reply.day_notional = terms.day_notional
    reply.day_trades = terms.day_trades
    reply.volume = terms.volume
    reply.notional = terms.notional
    reply.trades = terms.trades


@kernel
def answer_limits(state: Record, query: Record, replies: int) -> None:
    """Limits of an account as a whole, or in an instrument, and what counts against them."""
    reply = limits_reply_at(replies)
    if not is_trader(state, query.account):
        reply.reason = UNKNOWN_ACCOUNT
        return
    if not 0 <= query.instrument <= state.instruments_used:
        reply.reason = UNKNOWN_INSTRUMENT
        return
    reply.account = query.account
    reply.instrument = query.instrument
    number = find_limits(state, query.account, query.instrument)
    if number == 0:
        return
    row = limit_row(state, number)
    reply.count = 1
    copy(replies + LIMITS_AT, address_of(row) + limits.FIELDS_AT, limits.FIELDS_BYTES)
    if query.instrument == 0:
        reply.open_orders = account_row(state, query.account).open_orders
    else:
        reply.open_orders = row.open_orders
    reply.exposure = limits.in_word(row.exposure_high, row.exposure)
    reply.levels = row.levels
    if row.second == state.timestamp_ns // SECOND_NS:
        reply.in_second = row.in_second
    if row.day == state.timestamp_ns // DAY_NS:
        reply.messages = row.messages
        reply.fills = row.fills
    reply.buying = limits.in_word(row.buying_high, row.buying)
    reply.selling = limits.in_word(row.selling_high, row.selling)


@kernel
def answer_test_order(state: Record, query_address: int, replies: int) -> None:
    """Every check of a new order, and what it would hold; nothing changes and nothing counts."""
    stay_apart()
    place = place_at(query_address)
    reply = test_reply_at(replies)
    reply.count = 1
    state.dry = 1
    reason = form_any(state, query_address)
    if reason == 0 and not is_trader(state, place.account):
        reason = UNKNOWN_ACCOUNT
    if reason == 0:
        reason = barred(state, PLACE_ORDER, place.account)
    if reason == 0 and place.expire_after_ns != 0 and state.timestamp_ns > place.expire_after_ns:
        reason = because(state, EXPIRED_REQUEST, place.expire_after_ns, state.timestamp_ns)
    if reason == 0:
        reason = draft(state, query_address)
    if reason == 0:
        mine = draft_of(state)
        reply.price = mine.price
        reply.stop_price = mine.stop_price
        if state.risk != 0:
            reply.hold = drafted_hold(state, place)
    reply.reason = reason
    reply.limit = state.limit
    reply.value = state.value
    state.limit = 0
    state.value = 0
    state.dry = 0
