"""Reads: answered between two batches, so an answer is the state after exactly ``as_of``.

``answer`` writes at most REPLIES_MAX reply rows and changes nothing.
"""

from typing import Final

from core import table
from core.book import depth
from core.constants import (
    DEPTH_LEVELS_MAX,
    OPEN_ORDERS_PAGE_MAX,
    ORDER_SLOT_BITS,
    ORDER_SLOT_MASK,
    REPLY_BYTES,
)
from core.jit import kernel
from core.layout import offset_of
from core.memory import Record, address_of, copy36, fill, load_i64, pointer
from core.messages import (
    AMOUNT_ITEM,
    AMOUNTS_PER_REPLY,
    ASKS,
    CLIENT_ORDER_ID_AT,
    DEPTH_PER_REPLY,
    INSTRUMENT_REPLY,
    LAST,
    MORE,
    NAME_REPLY,
    ORDER_REPLY,
    ORDER_REPLY_CLIENT_ORDER_ID_AT,
    QUERY,
    QUERY_ACCOUNT,
    QUERY_ASSETS,
    QUERY_BALANCES,
    QUERY_CLIENT_ORDER,
    QUERY_DEPTH,
    QUERY_FEES,
    QUERY_INSTRUMENTS,
    QUERY_OPEN_ORDERS,
    QUERY_ORDER,
    QUERY_POSITIONS,
    QUERY_SESSION,
    REPLY_BODY,
    STATUS_OPEN,
    STATUS_PENDING,
    STATUS_REJECTED,
    TOO_OLD,
)
from core.reasons import Reason
from core.records import COLD_CLIENT_ORDER_ID_AT, SYMBOL_AT
from core.risk import holds, ids, text
from core.risk.accounts import FEES_ACCOUNT, find_balance, find_position
from core.rows import (
    account_row,
    asset_row,
    balance_row,
    bookside_row,
    cold_row,
    extra_row,
    id_record_row,
    instrument_row,
    order_row,
    position_row,
    session_row,
    state_at,
)

REPLIES_MAX: Final = 256
LIST_REPLIES_MAX: Final = 64  # Instruments, assets, balances, positions: then a page follows.

query_at = pointer(QUERY)
order_reply_at = pointer(ORDER_REPLY)
instrument_reply_at = pointer(INSTRUMENT_REPLY)
name_reply_at = pointer(NAME_REPLY)
amount_at = pointer(AMOUNT_ITEM)
INSTRUMENT_SYMBOL_AT: Final = offset_of(INSTRUMENT_REPLY, "symbol")
NAME_AT: Final = offset_of(NAME_REPLY, "name")
ITEM_BYTES: Final = AMOUNT_ITEM.itemsize
assert 2 * ((DEPTH_LEVELS_MAX + DEPTH_PER_REPLY - 1) // DEPTH_PER_REPLY) <= REPLIES_MAX

STALE_ID: Final = Reason.STALE_ID.value
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value
UNKNOWN_KIND: Final = Reason.UNKNOWN_KIND.value
UNKNOWN_ORDER: Final = Reason.UNKNOWN_ORDER.value


@kernel
def answer(state_address: int, query_address: int, replies: int) -> int:
    """Write the answer to one query at ``replies``; how many reply rows it has (1 or more)."""
    state = state_at(state_address)
    query = query_at(query_address)
    kind = query.kind
    count = 1
    new_reply(state, query, replies, 0)
    if kind == QUERY_ORDER:
        answer_order(state, query, replies)
    elif kind == QUERY_CLIENT_ORDER:
        answer_client_order(state, query, replies)
    elif kind == QUERY_OPEN_ORDERS:
        count = answer_open_orders(state, query, replies)
    elif kind in (QUERY_BALANCES, QUERY_FEES):
        count = answer_balances(state, query, replies)
    elif kind == QUERY_POSITIONS:
        count = answer_positions(state, query, replies)
    elif kind == QUERY_DEPTH:
        count = answer_depth(state, query, replies)
    elif kind == QUERY_INSTRUMENTS:
        count = answer_instruments(state, query, replies)
    elif kind == QUERY_ASSETS:
        count = answer_assets(state, query, replies)
    elif kind == QUERY_ACCOUNT:
        answer_account(state, query, replies)
    elif kind == QUERY_SESSION:
        answer_session(state, query, replies)
    else:
        name_reply_at(replies).reason = UNKNOWN_KIND
    last = name_reply_at(replies + (count - 1) * REPLY_BYTES)
    last.flags |= LAST
    return count


@kernel
def new_reply(state: Record, query: Record, replies: int, index: int) -> int:
    """Address of reply row ``index``, its head filled in and its body zero."""
    address = replies + index * REPLY_BYTES
    fill(address, 0, REPLY_BYTES)
    reply = name_reply_at(address)
    reply.request_id = query.request_id
    reply.as_of = state.sequence
    reply.session = query.session
    reply.index = index
    reply.kind = query.kind
    return address


@kernel
def write_order(state: Record, slot: int, address: int) -> None:
    """The row of one order as it is now."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    reply = order_reply_at(address)
    reply.count = 1
    reply.order_id = order.order_id
    reply.price = order.price
    reply.leaves = order.leaves
    reply.cum = order.cum
    is_open = cold.status in (STATUS_OPEN, STATUS_PENDING)
    reply.order_qty = order.leaves + order.cum if is_open else order.shown
    reply.cum_notional = order.cum_notional
    reply.last_price = cold.last_price
    reply.fees = cold.fees
    if is_open and state.risk != 0:
        reply.hold = holds.hold_of(instrument_row(state, cold.instrument), order, cold)
    if order.extra != 0:
        extra = extra_row(state, order.extra)
        reply.hold -= extra.shared
        reply.expire_ns = extra.expire_ns
        reply.display_qty = extra.display_qty
        reply.stop_price = extra.stop_price
    reply.created_ns = cold.created_ns
    reply.updated_ns = cold.updated_ns
    reply.sequence = state.sequence
    reply.account = cold.account
    reply.instrument = cold.instrument
    reply.order_session = cold.session
    reply.end_reason = cold.end_reason
    reply.side = cold.side
    reply.order_type = cold.order_type
    reply.time_in_force = cold.time_in_force
    reply.self_trade = cold.self_trade
    reply.status = cold.status
    reply.order_flags = cold.flags
    copy36(address + ORDER_REPLY_CLIENT_ORDER_ID_AT, address_of(cold) + COLD_CLIENT_ORDER_ID_AT)


@kernel
def answer_order(state: Record, query: Record, replies: int) -> None:
    """By order id; account 0 asks for anybody's.  STALE_ID: the slot had an order with this id, or
    could have had, and has a newer one or none: whose it was is not known any more."""
    reply = order_reply_at(replies)
    reply.reason = UNKNOWN_ORDER
    slot = query.order_id & ORDER_SLOT_MASK
    if not 0 < slot <= state.slots_used or query.order_id <= 0:
        return
    order = order_row(state, slot)
    if order.order_id == query.order_id:
        owner = cold_row(state, slot).account
        if query.account == 0 or query.account == owner:
            reply.reason = 0
            write_order(state, slot, replies)
        return
    newer = order.order_id == 0 or order.order_id > query.order_id
    if newer and query.order_id >> ORDER_SLOT_BITS <= state.sequence:
        reply.reason = STALE_ID


@kernel
def answer_client_order(state: Record, query: Record, replies: int) -> None:
    """By account and client order id.

    Not known: UNKNOWN_ORDER; with flag TOO_OLD when ids below ``order_id`` = remembered_from (a
    sequence) have left the table, or when the id is known but its row is gone (then order_id).
    A rejected order: status REJECTED, ``end_reason`` why, and its order id.
    """
    reply = order_reply_at(replies)
    record_row = ids.find_id(state, query.account, address_of(query) + CLIENT_ORDER_ID_AT)
    if record_row == 0:
        reply.reason = UNKNOWN_ORDER
        reply.order_id = state.remembered_from
        reply.flags = TOO_OLD if state.remembered_from != 0 else 0
        return
    record = id_record_row(state, record_row)
    slot = record.order_id & ORDER_SLOT_MASK
    if slot != 0 and order_row(state, slot).order_id == record.order_id:
        write_order(state, slot, replies)
        return
    reply.order_id = record.order_id
    reply.account = query.account
    copy36(replies + ORDER_REPLY_CLIENT_ORDER_ID_AT, address_of(query) + CLIENT_ORDER_ID_AT)
    if record.reason != 0:
        reply.status = STATUS_REJECTED
        reply.end_reason = record.reason
        reply.count = 1
        return
    reply.reason = UNKNOWN_ORDER
    reply.flags = TOO_OLD if slot != 0 else 0


@kernel
def answer_open_orders(state: Record, query: Record, replies: int) -> int:
    """Open orders of an account after order id ``cursor``, oldest first; a filter of 0: any."""
    if not 0 < query.account <= state.accounts_used:
        order_reply_at(replies).reason = UNKNOWN_ACCOUNT
        return 1
    limit = min(max(query.limit, 1), OPEN_ORDERS_PAGE_MAX)
    slot = first_after(state, query.account, query.cursor)
    count = 0
    while slot != 0:
        cold = cold_row(state, slot)
        fits = query.instrument == 0 or cold.instrument == query.instrument
        if fits and (query.side == 0 or cold.side == query.side):
            if count == limit:
                order_reply_at(replies + (count - 1) * REPLY_BYTES).flags |= MORE
                break
            write_order(state, slot, new_reply(state, query, replies, count))
            count += 1
        slot = cold.account_next
    return max(count, 1)


@kernel
def first_after(state: Record, account: int, cursor: int) -> int:
    """Slot of the account's oldest open order with an id above ``cursor``; at once where the
    order of the cursor is still open, else from the oldest."""
    slot = cursor & ORDER_SLOT_MASK
    if cursor > 0 and 0 < slot <= state.slots_used:
        cold = cold_row(state, slot)
        same = order_row(state, slot).order_id == cursor and cold.account == account
        if same and cold.status in (STATUS_OPEN, STATUS_PENDING):
            return cold.account_next  # type: ignore[no-any-return]
    slot = account_row(state, account).open_head
    while slot != 0 and order_row(state, slot).order_id <= cursor:
        slot = cold_row(state, slot).account_next
    return slot


@kernel
def answer_balances(state: Record, query: Record, replies: int) -> int:
    """Balances of an account (QUERY_FEES: of the fees account), assets above ``cursor``."""
    account = FEES_ACCOUNT if query.kind == QUERY_FEES else query.account
    if not 0 < account <= state.accounts_used:
        name_reply_at(replies).reason = UNKNOWN_ACCOUNT
        return 1
    items = 0
    for asset in range(max(query.cursor, 0) + 1, state.assets_used + 1):
        row = find_balance(state, account, asset)
        if row == 0:
            continue
        item_address = next_item(state, query, replies, items)
        if item_address == 0:
            break
        balance = balance_row(state, row)
        item = amount_at(item_address)
        item.id = asset
        item.total = balance.available + balance.held
        item.available = balance.available
        item.held = balance.held
        items += 1
    return max((items + AMOUNTS_PER_REPLY - 1) // AMOUNTS_PER_REPLY, 1)


@kernel
def next_item(state: Record, query: Record, replies: int, items: int) -> int:
    """Address of item number ``items`` of a list, in a new reply row where one begins; 0 when
    the page is full (flag MORE is set)."""
    row = items // AMOUNTS_PER_REPLY
    place = items % AMOUNTS_PER_REPLY
    if row == LIST_REPLIES_MAX:
        name_reply_at(replies + (row - 1) * REPLY_BYTES).flags |= MORE
        return 0
    address = replies + row * REPLY_BYTES
    if place == 0:
        new_reply(state, query, replies, row)
    name_reply_at(address).count = place + 1
    return address + REPLY_BODY + place * ITEM_BYTES


@kernel
def answer_positions(state: Record, query: Record, replies: int) -> int:
    """Positions of an account, instruments above ``cursor``."""
    if not 0 < query.account <= state.accounts_used:
        name_reply_at(replies).reason = UNKNOWN_ACCOUNT
        return 1
    items = 0
    for instrument in range(max(query.cursor, 0) + 1, state.instruments_used + 1):
        row = find_position(state, query.account, instrument)
        if row == 0:
            continue
        item_address = next_item(state, query, replies, items)
        if item_address == 0:
            break
        position = position_row(state, row)
        item = amount_at(item_address)
        item.id = instrument
        item.total = position.net
        item.available = position.cost
        item.held = position.held
        item.realized = position.realized
        item.bought = position.bought
        item.sold = position.sold
        items += 1
    return max((items + AMOUNTS_PER_REPLY - 1) // AMOUNTS_PER_REPLY, 1)


@kernel
def answer_depth(state: Record, query: Record, replies: int) -> int:
    """Bids, best first, then asks (flag ASKS): at most ``limit`` levels a side."""
    if not 0 < query.instrument <= state.instruments_used:
        name_reply_at(replies).reason = UNKNOWN_INSTRUMENT
        return 1
    limit = min(max(query.limit, 1), DEPTH_LEVELS_MAX)
    count = 0
    for side in range(2):
        bookside = 2 * query.instrument + side
        key = bookside_row(state, bookside).best_key
        levels = 0
        while key >= 0 and levels < limit:
            place = levels % DEPTH_PER_REPLY
            if place == 0:
                address = new_reply(state, query, replies, count)
                name_reply_at(address).flags = ASKS if side == 1 else 0
                count += 1
            address = replies + (count - 1) * REPLY_BYTES
            key = depth.write_level(state, bookside, key, address + REPLY_BODY + place * 24)
            name_reply_at(address).count = place + 1
            levels += 1
    return max(count, 1)


@kernel
def answer_instruments(state: Record, query: Record, replies: int) -> int:
    """Instruments with an id above ``cursor``; or the one of ``client_order_id`` if given."""
    symbol = address_of(query) + CLIENT_ORDER_ID_AT
    if not text.is_empty(symbol):
        row = text.find_name(state, text.INSTRUMENT_NAMES, symbol)
        if row == 0:
            name_reply_at(replies).reason = UNKNOWN_INSTRUMENT
        else:
            write_instrument_reply(state, row, replies)
        return 1
    count = 0
    for row in range(max(query.cursor, 0) + 1, state.instruments_used + 1):
        if count == LIST_REPLIES_MAX:
            name_reply_at(replies + (count - 1) * REPLY_BYTES).flags |= MORE
            break
        write_instrument_reply(state, row, new_reply(state, query, replies, count))
        count += 1
    return max(count, 1)


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
    reply.status = account.status
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
