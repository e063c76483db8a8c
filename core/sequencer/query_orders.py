"""Answers about orders: one by its id or its client's, all that are open of an account."""

from typing import Final

from core.constants import OPEN_ORDERS_PAGE_MAX, ORDER_SLOT_BITS, ORDER_SLOT_MASK, REPLY_BYTES
from core.jit import kernel
from core.layout import offset_of
from core.memory import Record, address_of, copy36, pointer
from core.messages import (
    CLIENT_ORDER_ID_AT,
    MORE,
    ORDER_REPLY,
    ORDER_REPLY_CLIENT_ORDER_ID_AT,
    ORDER_REPLY_TAG_AT,
    STATUS_REJECTED,
    TOO_OLD,
)
from core.reasons import Reason
from core.records import COLD_CLIENT_ORDER_ID_AT, EXTRA
from core.risk import ids
from core.rows import account_row, cold_row, extra_row, id_record_row, order_row
from core.sequencer.finish import is_open
from core.sequencer.general import hold_now
from core.sequencer.reply import new_reply

order_reply_at = pointer(ORDER_REPLY)
EXTRA_TAG_AT: Final = offset_of(EXTRA, "tag")

STALE_ID: Final = Reason.STALE_ID.value
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value
UNKNOWN_ORDER: Final = Reason.UNKNOWN_ORDER.value


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
    lives = is_open(state, slot)
    reply.order_qty = order.leaves + order.cum if lives else order.shown
    reply.cum_notional = order.cum_notional
    reply.last_price = cold.last_price
    reply.fees = cold.fees
    if lives:
        reply.hold = hold_now(state, slot)
    if order.extra != 0:
        write_extra(extra_row(state, order.extra), reply, address)
    reply.created_ns = cold.created_ns
    reply.updated_ns = cold.updated_ns
    reply.account = cold.account
    reply.instrument = cold.instrument
    reply.end_reason = cold.end_reason
    reply.side = cold.side
    reply.order_type = cold.order_type
    reply.time_in_force = cold.time_in_force
    reply.self_trade = cold.self_trade
    reply.status = cold.status
    reply.order_flags = cold.flags
    copy36(address + ORDER_REPLY_CLIENT_ORDER_ID_AT, address_of(cold) + COLD_CLIENT_ORDER_ID_AT)


@kernel
def write_extra(extra: Record, reply: Record, address: int) -> None:
    """The terms that most orders do not have."""
    reply.expire_ns = extra.expire_ns
    reply.display_qty = extra.display_qty
    reply.stop_price = extra.stop_price
    reply.trail = extra.trail
    reply.protection_price = extra.protection_price
    reply.partner = extra.partner
    copy36(address + ORDER_REPLY_TAG_AT, address_of(extra) + EXTRA_TAG_AT)


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
        if same and is_open(state, slot):
            return cold.account_next  # type: ignore[no-any-return]
    slot = account_row(state, account).open_head
    while slot != 0 and order_row(state, slot).order_id <= cursor:
        slot = cold_row(state, slot).account_next
    return slot
