"""Writing events: in place, into the output ring, published in batches.

Readers may be lapped, never misled: ``claimed`` runs ahead of every write, so a reader that finds
its slot claimed again knows that its copy is not to be trusted (docs of ``core.output``).
"""

from typing import Final

from core.atomics import fence_release, store_release
from core.constants import EVENT_BYTES, SWEEP_PUBLISH_EVENTS
from core.jit import VERIFY, inlined, kernel, stay_apart
from core.layout import offset_of
from core.memory import (
    Record,
    address_of,
    copy36,
    copy64_to_event,
    mul_fold,
    pointer,
    prefetch_write,
    sum_products,
)
from core.messages import (
    BUY,
    EVENT,
    EVENT_CLIENT_ORDER_ID_AT,
    LAST,
    SELL,
    SELL_SIDE,
)
from core.records import COLD, COLD_CLIENT_ORDER_ID_AT, COLD_SESSION_AT

event_at = pointer(EVENT, "event")
assert SELL & SELL_SIDE == SELL_SIDE and BUY & SELL_SIDE == 0
EVENT_SHIFT: Final = 7
CLAIM_EVENTS: Final = SWEEP_PUBLISH_EVENTS
RESERVED_EVENTS: Final = 8
AHEAD_EVENTS: Final = 16
HASH_KEY: Final = 0x2545_F491_4F6C_DD1D
assert EVENT_BYTES == 1 << EVENT_SHIFT
# The first line of COLD is the second of an event, but for the fields that ``new_event`` sets.
LINE_AT: Final = EVENT_BYTES // 2
assert offset_of(EVENT, "session") == LINE_AT + COLD_SESSION_AT
assert offset_of(EVENT, "instrument") == LINE_AT + offset_of(COLD, "instrument")
assert EVENT_CLIENT_ORDER_ID_AT == LINE_AT + COLD_CLIENT_ORDER_ID_AT


@inlined
def reserve(state: Record) -> None:
    """Warn readers of the next RESERVED_EVENTS writes, if that was not done yet.

    Called where a command begins and before each part of it that may be repeated, so that no
    event has to ask.
    """
    if state.claimed < state.cursor + RESERVED_EVENTS:
        claim(state, state.cursor)


@inlined
def new_event(state: Record, kind: int, flags: int) -> Record:
    """The next event of the command at hand: sequence, time, index and request id are set, reason
    is zero, and the caller sets everything else."""
    cursor = state.cursor
    if VERIFY:
        assert state.claimed > cursor
    event = event_at(state.ring + ((cursor & state.ring_mask) << EVENT_SHIFT))
    ahead = state.ring + (((cursor + AHEAD_EVENTS) & state.ring_mask) << EVENT_SHIFT)
    prefetch_write(ahead)
    prefetch_write(ahead + EVENT_BYTES // 2)
    state.cursor = cursor + 1
    event.sequence = state.sequence
    event.timestamp_ns = state.timestamp_ns
    event.fee = state.request_id
    state.request_id = 0
    index = state.index
    event.index = index
    state.index = index + 1
    event.reason = 0
    event.kind = kind
    event.flags = flags
    return event


@kernel
def claim(state: Record, cursor: int) -> None:
    """Warn readers of the next writes; a long command is published on the way."""
    stay_apart()
    if cursor - state.hashed >= SWEEP_PUBLISH_EVENTS:
        publish(state)
    state.claimed = cursor + CLAIM_EVENTS
    store_release(state.ring_claimed, state.claimed)
    fence_release()


@inlined
def order_event(state: Record, kind: int, flags: int, order: Record, cold: Record) -> Record:
    """An event about an order: who, where, and how much of it is left and done."""
    event = new_event(state, kind, flags | (cold.side & SELL_SIDE))
    event.order_id = order.order_id
    event.price = order.price
    event.leaves = order.leaves
    event.cum = order.cum
    event.cum_notional = order.cum_notional
    event.session = cold.session
    event.account = cold.account
    event.instrument = cold.instrument
    copy36(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, address_of(cold) + COLD_CLIENT_ORDER_ID_AT)
    return event


@inlined
def resting_event(state: Record, kind: int, flags: int, order: Record, cold: Record) -> Record:
    """``order_event`` of an order that came to rest before: its text and numbers are copied in one
    piece.  Of a row that was just written that would wait for each of its stores."""
    cursor = state.cursor
    address = state.ring + ((cursor & state.ring_mask) << EVENT_SHIFT)
    copy64_to_event(address + LINE_AT, address_of(cold))
    event = new_event(state, kind, flags | (cold.side & SELL_SIDE))
    event.order_id = order.order_id
    event.price = order.price
    event.leaves = order.leaves
    event.cum = order.cum
    event.cum_notional = order.cum_notional
    return event


@inlined
def bare_event(state: Record, kind: int, command: Record, text: int) -> Record:
    """An event about a command: its session, account and instrument, the 36 bytes at ``text``,
    and zero in all the rest."""
    event = new_event(state, kind, 0)
    event.order_id = 0
    event.price = 0
    event.qty = 0
    event.leaves = 0
    event.cum = 0
    event.cum_notional = 0
    event.session = command.session
    event.account = command.account
    event.instrument = command.instrument
    copy36(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, text)
    return event


@inlined
def mark_last(state: Record) -> None:
    """The newest event is the last one of its command."""
    if VERIFY:
        assert state.index > 0
    event = event_at(state.ring + (((state.cursor - 1) & state.ring_mask) << EVENT_SHIFT))
    event.flags |= LAST


@kernel
def publish(state: Record) -> None:
    """Fold what was written into the hash of the event stream and make it visible."""
    stay_apart()
    end = state.cursor
    digest = state.event_hash
    for place in range(state.hashed, end):
        digest = fold(digest, state.ring + ((place & state.ring_mask) << EVENT_SHIFT))
    state.event_hash = digest
    state.events += end - state.hashed
    state.hashed = end
    store_release(state.ring_position, end)


@inlined
def fold(digest: int, event: int) -> int:
    """The rolling hash after one more event: the sums of products of its 32-bit halves, then
    multiply-and-fold."""
    return mul_fold(digest ^ sum_products(event), HASH_KEY)
