"""Reads: answered between two batches, so an answer is the state after exactly ``as_of``.

``answer`` writes at most REPLIES_MAX reply rows and changes nothing.
"""

from typing import Final

from core.book import depth
from core.constants import DEPTH_LEVELS_MAX, REPLY_BYTES
from core.jit import kernel
from core.memory import Record
from core.messages import (
    ASKS,
    DEPTH_PER_REPLY,
    LAST,
    QUERY_ACCOUNT,
    QUERY_ASSETS,
    QUERY_BALANCES,
    QUERY_CLIENT_ORDER,
    QUERY_DEPTH,
    QUERY_FEES,
    QUERY_INSTRUMENTS,
    QUERY_LIMITS,
    QUERY_OPEN_ORDERS,
    QUERY_ORDER,
    QUERY_POSITIONS,
    QUERY_SESSION,
    QUERY_STATS,
    QUERY_TEST_ORDER,
    REPLY_BODY,
)
from core.reasons import Reason
from core.rows import bookside_row, state_at
from core.sequencer.query_money import answer_balances, answer_positions
from core.sequencer.query_orders import answer_client_order, answer_open_orders, answer_order
from core.sequencer.query_reference import (
    answer_account,
    answer_assets,
    answer_instruments,
    answer_session,
)
from core.sequencer.query_venue import answer_limits, answer_stats, answer_test_order
from core.sequencer.reply import REPLIES_MAX, name_reply_at, new_reply, query_at

UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value
UNKNOWN_KIND: Final = Reason.UNKNOWN_KIND.value

__all__ = ["REPLIES_MAX", "answer"]


@kernel
def answer(state_address: int, query_address: int, replies: int) -> int:
    """Write the answer to one query at ``replies``; how many reply rows it has (1 or more)."""
    state = state_at(state_address)
    query = query_at(query_address)
    kind = query.kind
    new_reply(state, query, replies, 0)
    if kind in (QUERY_ORDER, QUERY_CLIENT_ORDER, QUERY_OPEN_ORDERS):
        count = answer_orders(state, query, replies)
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
    else:
        count = 1
        answer_one(state, query_address, replies)
    last = name_reply_at(replies + (count - 1) * REPLY_BYTES)
    last.flags |= LAST
    return count


@kernel
def answer_orders(state: Record, query: Record, replies: int) -> int:
    if query.kind == QUERY_OPEN_ORDERS:
        return answer_open_orders(state, query, replies)
    if query.kind == QUERY_ORDER:
        answer_order(state, query, replies)
    else:
        answer_client_order(state, query, replies)
    return 1


@kernel
def answer_one(state: Record, query_address: int, replies: int) -> None:
    """A query whose answer is one row."""
    query = query_at(query_address)
    kind = query.kind
    if kind == QUERY_ACCOUNT:
        answer_account(state, query, replies)
    elif kind == QUERY_SESSION:
        answer_session(state, query, replies)
    elif kind == QUERY_STATS:
        answer_stats(state, query, replies)
    elif kind == QUERY_LIMITS:
        answer_limits(state, query, replies)
    elif kind == QUERY_TEST_ORDER:
        answer_test_order(state, query_address, replies)
    else:
        name_reply_at(replies).reason = UNKNOWN_KIND


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
