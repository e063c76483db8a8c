"""Answers about what everything else stands on: instruments, assets, accounts, sessions."""

from typing import Final

from core import table
from core.constants import REPLY_BYTES
from core.jit import kernel
from core.layout import offset_of
from core.memory import Record, address_of, copy, copy36, load_i64, pointer
from core.messages import (
    ACCOUNT_ACTIVE,
    CLIENT_ORDER_ID_AT,
    INSTRUMENT_REPLY,
    MORE,
    TICK_BANDS,
    TICKS,
    TICKS_REPLY,
)
from core.reasons import Reason
from core.records import INSTRUMENT_TICKS, SYMBOL_AT
from core.risk import text
from core.risk.prices import TICK_FROM_AT, TICK_STEP_AT
from core.rows import account_row, asset_row, instrument_row, session_row
from core.sequencer.reply import (
    INSTRUMENTS_PAGE_MAX,
    LIST_REPLIES_MAX,
    NAME_AT,
    name_reply_at,
    new_reply,
)

instrument_reply_at = pointer(INSTRUMENT_REPLY)
INSTRUMENT_SYMBOL_AT: Final = offset_of(INSTRUMENT_REPLY, "symbol")
ticks_reply_at = pointer(TICKS_REPLY)
START_AT: Final = offset_of(TICKS_REPLY, "start")
STEP_AT: Final = offset_of(TICKS_REPLY, "step")
TABLE_BYTES: Final = 2 * 8 * TICK_BANDS
assert STEP_AT - START_AT == TICK_STEP_AT - TICK_FROM_AT == TABLE_BYTES // 2

UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value


@kernel
def answer_instruments(state: Record, query: Record, replies: int) -> int:
    """Instruments with an id above ``cursor``; or the one of ``client_order_id`` if given."""
    symbol = address_of(query) + CLIENT_ORDER_ID_AT
    if not text.is_empty(symbol):
        row = text.find_name(state, text.INSTRUMENT_NAMES, symbol)
        if row != 0:
            return write_instrument(state, query, row, replies, 0)  # type: ignore[no-any-return]
        name_reply_at(replies).reason = UNKNOWN_INSTRUMENT
        return 1
    count = 0
    first = max(query.cursor, 0) + 1
    for row in range(first, state.instruments_used + 1):
        if row - first == INSTRUMENTS_PAGE_MAX:
            name_reply_at(replies + (count - 1) * REPLY_BYTES).flags |= MORE
            break
        count = write_instrument(state, query, row, replies, count)
    return max(count, 1)


@kernel
def write_instrument(state: Record, query: Record, row: int, replies: int, count: int) -> int:
    """The row of an instrument behind ``count`` others, and one of its tick table where it has
    one; how many there are then."""
    write_instrument_reply(state, row, new_reply(state, query, replies, count))
    count += 1
    terms = instrument_row(state, row)
    if terms.special & INSTRUMENT_TICKS != 0:
        write_ticks_reply(new_reply(state, query, replies, count), row, address_of(terms))
        count += 1
    return count


@kernel
def write_ticks_reply(address: int, row: int, terms: int) -> None:
    reply = ticks_reply_at(address)
    reply.flags = TICKS
    reply.id = row
    copy(address + START_AT, terms + TICK_FROM_AT, TABLE_BYTES)
    bands = 0
    while bands < TICK_BANDS and load_i64(address + STEP_AT + 8 * bands) != 0:
        bands += 1
    reply.count = bands


@kernel
def write_instrument_reply(state: Record, row: int, address: int) -> None:
    terms = instrument_row(state, row)
    reply = instrument_reply_at(address)
    reply.count = 1
    reply.id = row
    reply.base_asset = terms.base_asset
    reply.quote_asset = terms.quote_asset
    reply.maker_ppm = terms.maker_ppm
    reply.taker_ppm = terms.taker_ppm
    reply.instrument_type = terms.instrument_type
    reply.matching = terms.matching
    reply.phase = terms.phase
    reply.tick_scale = terms.tick_scale
    reply.lot_scale = terms.lot_scale
    reply.tick = terms.tick
    reply.lot = terms.lot
    reply.multiplier = terms.multiplier
    reply.base_per_lot = terms.base_per_lot
    reply.payout = terms.payout
    reply.qty_min = terms.qty_min
    reply.qty_max = terms.qty_max
    reply.notional_min = terms.notional_min
    reply.notional_max = terms.notional_max
    reply.last_price = terms.last_price
    reply.price_min = terms.price_min
    reply.price_max = terms.price_max
    reply.band_ppm = terms.band_ppm
    reply.reference_price = terms.reference_price
    reply.max_age_ns = terms.max_age_ns
    reply.day_end_ns = terms.day_end_ns
    reply.short_ppm = terms.short_ppm
    reply.clearing_ns = terms.clearing_ns
    copy36(address + INSTRUMENT_SYMBOL_AT, address_of(terms) + SYMBOL_AT)


@kernel
def answer_assets(state: Record, query: Record, replies: int) -> int:
    """Assets with an id above ``cursor``."""
    count = 0
    for row in range(max(query.cursor, 0) + 1, state.assets_used + 1):
        if count == LIST_REPLIES_MAX:
            name_reply_at(replies + (count - 1) * REPLY_BYTES).flags |= MORE
            break
        address = new_reply(state, query, replies, count)
        asset = asset_row(state, row)
        reply = name_reply_at(address)
        reply.count = 1
        reply.id = row
        reply.scale = asset.scale
        copy36(address + NAME_AT, address_of(asset))
        count += 1
    return max(count, 1)


@kernel
def answer_account(state: Record, query: Record, replies: int) -> None:
    """An account by its name, or by its number where the name is empty."""
    name = address_of(query) + CLIENT_ORDER_ID_AT
    row = query.account
    if not text.is_empty(name):
        row = text.find_name(state, text.ACCOUNT_NAMES, name)
    reply = name_reply_at(replies)
    if not 0 < row <= state.accounts_used:
        reply.reason = UNKNOWN_ACCOUNT
        return
    account = account_row(state, row)
    reply.count = 1
    reply.id = row
    reply.status = max(account.status, ACCOUNT_ACTIVE)
    copy36(replies + NAME_AT, address_of(account))


@kernel
def answer_session(state: Record, query: Record, replies: int) -> None:
    """The newest request of the asking session that was sequenced; 0 when there was none."""
    entry = 0  # Session 0 is no session, and key 0 is an empty entry.
    if query.session != 0:
        entry = table.find(state.session_table, state.session_mask, query.session)
    reply = name_reply_at(replies)
    reply.count = 1
    reply.id = query.session
    if entry != 0:
        reply.last_request_id = session_row(state, load_i64(entry + 8)).last_request_id
