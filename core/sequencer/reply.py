"""Rows of an answer: their heads, and lists of amounts that go over several of them."""

from typing import Final

from core.constants import DEPTH_LEVELS_MAX, REPLY_BYTES
from core.jit import kernel
from core.layout import offset_of
from core.memory import Record, fill, pointer
from core.messages import (
    AMOUNT_ITEM,
    DEPTH_PER_REPLY,
    MORE,
    NAME_REPLY,
    POSITION_ITEM,
    QUERY,
    REPLY_BODY,
)

REPLIES_MAX: Final = 256
LIST_REPLIES_MAX: Final = 64  # Assets, balances, positions: then a page follows.
INSTRUMENTS_PAGE_MAX: Final = 64  # An instrument with a tick table has two rows.

query_at = pointer(QUERY)
name_reply_at = pointer(NAME_REPLY)
amount_at = pointer(AMOUNT_ITEM)
position_item_at = pointer(POSITION_ITEM)
NAME_AT: Final = offset_of(NAME_REPLY, "name")
assert 2 * INSTRUMENTS_PAGE_MAX <= REPLIES_MAX
assert 2 * ((DEPTH_LEVELS_MAX + DEPTH_PER_REPLY - 1) // DEPTH_PER_REPLY) <= REPLIES_MAX


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
def next_item(state: Record, query: Record, replies: int, items: int, item: tuple[int, int]) -> int:
    """Address of item number ``items`` of a list, in a new reply row where one begins; 0 when
    the page is full (flag MORE is set).  ``item``: how many fit a row, bytes of each."""
    per_reply, size = item
    row = items // per_reply
    place = items % per_reply
    if row == LIST_REPLIES_MAX:
        name_reply_at(replies + (row - 1) * REPLY_BYTES).flags |= MORE
        return 0
    address = replies + row * REPLY_BYTES
    if place == 0:
        new_reply(state, query, replies, row)
    name_reply_at(address).count = place + 1
    return address + REPLY_BODY + place * size
