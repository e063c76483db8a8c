"""Limits of an account, as a whole and in one instrument: their rows, what counts against them,
and the checks of a new or replaced order (docs/engine-venue.md, SET_LIMITS).

Counted are orders from their entry to their end, so that an order which is filled at once needs no
rule of its own; checks come before the entry.  Nothing is counted with risk off.
"""

from typing import Final

from core import table
from core.constants import DAY_NS, SECOND_NS, WORD_MOST
from core.jit import inlined, kernel, seldom, stay_apart
from core.layout import offset_of
from core.memory import Record, address_of, copy
from core.messages import BUY, LIMIT_FIELDS
from core.reasons import Reason
from core.records import LIMIT_ROW, SPECIAL_LIMITS
from core.risk.accounts import PAIR_SHIFT, find_limits, find_position
from core.risk.prices import share_of
from core.rows import (
    account_row,
    cold_row,
    draft_at,
    instrument_row,
    limit_row,
    order_row,
    position_row,
)

LOW_BITS: Final = 62
LOW_MASK: Final = (1 << LOW_BITS) - 1
FREE_MESSAGES: Final = 1_000
FIELDS_AT: Final = offset_of(LIMIT_ROW, LIMIT_FIELDS[0])
FIELDS_BYTES: Final = 8 * len(LIMIT_FIELDS)

EXPOSURE_LIMIT: Final = Reason.EXPOSURE_LIMIT.value
LEVEL_LIMIT: Final = Reason.LEVEL_LIMIT.value
MESSAGE_RATIO: Final = Reason.MESSAGE_RATIO.value
OPEN_ORDER_LIMIT: Final = Reason.OPEN_ORDER_LIMIT.value
ORDER_NOTIONAL_LIMIT: Final = Reason.ORDER_NOTIONAL_LIMIT.value
ORDER_QTY_LIMIT: Final = Reason.ORDER_QTY_LIMIT.value
POSITION_LIMIT: Final = Reason.POSITION_LIMIT.value
PRICE_DEVIATION: Final = Reason.PRICE_DEVIATION.value
RATE_LIMITED: Final = Reason.RATE_LIMITED.value


# Sums that may not fit a word: high x 2^62 + low, 0 <= low < 2^62.


@inlined
def carried(low: int, amount: int) -> int:
    """What adding ``amount``, of either sign, adds to the high word."""
    return (amount >> LOW_BITS) + ((low + (amount & LOW_MASK)) >> LOW_BITS)


@inlined
def lowered(low: int, amount: int) -> int:
    """The low word after adding ``amount``."""
    return (low + (amount & LOW_MASK)) & LOW_MASK


@inlined
def in_word(high: int, low: int) -> int:
    """The sum, or 2^63 - 1 where it does not fit."""
    return (high << LOW_BITS) + low if high <= 1 else WORD_MOST


@inlined
def size_of(number: int) -> int:
    return number if number >= 0 else -number


# Rows.


@kernel
def need_row(state: Record, account: int, instrument: int) -> int:
    """Row of the limits of an account in an instrument (0: as a whole), made if there is none,
    with what counts against it so far but ``levels``; 0 when the table is full."""
    stay_apart()
    row = find_limits(state, account, instrument)
    if row != 0:
        return row
    if state.limits_used == state.limits_max:
        return 0
    state.limits_used += 1
    row = state.limits_used
    limits = limit_row(state, row)
    limits.account = account
    limits.instrument = instrument
    key = (account << PAIR_SHIFT) | instrument
    table.insert(state.limit_table, state.limit_mask, key, row)
    owner = account_row(state, account)
    if instrument == 0:
        owner.limits = row
    if state.risk == 0:
        return row  # type: ignore[no-any-return]
    owner.special = owner.special | SPECIAL_LIMITS
    if instrument != 0:
        position = find_position(state, account, instrument)
        if position != 0:
            position_row(state, position).limits = row
    else:
        for each in range(1, state.instruments_used + 1):
            position = find_position(state, account, each)
            if position != 0:
                add_exposure(limits, size_of(position_row(state, position).cost))
    slot = owner.open_head
    while slot != 0:
        weigh_for(state, row, slot, order_row(state, slot).leaves)
        if cold_row(state, slot).instrument == instrument:
            limits.open_orders += 1
        slot = cold_row(state, slot).account_next
    return row  # type: ignore[no-any-return]


@kernel
def take_fields(state: Record, row: int, fields: int) -> None:
    """The limits that lie at ``fields``."""
    copy(address_of(limit_row(state, row)) + FIELDS_AT, fields, FIELDS_BYTES)


# What counts against them.


@kernel
def add_exposure(limits: Record, amount: int) -> None:
    limits.exposure_high += carried(limits.exposure, amount)
    limits.exposure = lowered(limits.exposure, amount)


@kernel
def weigh_for(state: Record, row: int, slot: int, lots: int) -> None:
    """``lots`` more (negative: less) of an order count against a row of its account."""
    limits = limit_row(state, row)
    cold = cold_row(state, slot)
    if limits.instrument == 0:
        price = order_row(state, slot).price
        add_exposure(limits, price * lots * instrument_row(state, cold.instrument).multiplier)
    elif limits.instrument == cold.instrument and cold.side == BUY:
        limits.buying_high += carried(limits.buying, lots)
        limits.buying = lowered(limits.buying, lots)
    elif limits.instrument == cold.instrument:
        limits.selling_high += carried(limits.selling, lots)
        limits.selling = lowered(limits.selling, lots)


@kernel
def weigh(state: Record, slot: int, lots: int) -> None:
    """``lots`` more (negative: less) of an order are open, at its price."""
    cold = cold_row(state, slot)
    account = account_row(state, cold.account)
    if account.special & SPECIAL_LIMITS == 0:
        return
    if account.limits != 0:
        weigh_for(state, account.limits, slot, lots)
    row = position_row(state, cold.position).limits
    if row != 0:
        weigh_for(state, row, slot, lots)


@kernel
def count_order(state: Record, slot: int, change: int) -> None:
    """An order has begun (1) or ended (-1), with what is open of it."""
    seldom()
    cold = cold_row(state, slot)
    if account_row(state, cold.account).special & SPECIAL_LIMITS == 0:
        return
    weigh(state, slot, change * order_row(state, slot).leaves)
    row = position_row(state, cold.position).limits
    if row != 0:
        limit_row(state, row).open_orders += change


@kernel
def count_fill(state: Record, slot: int, fill: int) -> None:
    """``fill`` lots of an order were filled."""
    seldom()
    weigh(state, slot, -fill)
    whole = account_row(state, cold_row(state, slot).account).limits
    if whole != 0:
        limit_row(state, whole).fills += 1


@kernel
def count_cost(state: Record, position: Record, before: int) -> None:
    """The cost of a position was ``before``."""
    seldom()
    account = account_row(state, position.account)
    if account.special & SPECIAL_LIMITS != 0 and account.limits != 0:
        add_exposure(limit_row(state, account.limits), size_of(position.cost) - size_of(before))


@kernel
def count_level(state: Record, account: int, change: int) -> None:
    """A level was opened by an account (1), or one that it opened is empty (-1)."""
    owner = account_row(state, account)
    if owner.special & SPECIAL_LIMITS != 0 and owner.limits != 0:
        limit_row(state, owner.limits).levels += change


@kernel
def count_message(state: Record, account: int) -> None:
    """A message of an account with limits as a whole."""
    owner = account_row(state, account)
    if owner.limits == 0 or owner.special & SPECIAL_LIMITS == 0:
        return
    limits = limit_row(state, owner.limits)
    day = state.timestamp_ns // DAY_NS
    if limits.day != day:
        limits.day = day
        limits.messages = 0
        limits.fills = 0
    limits.messages += 1


# Checks.  The draft says what the order would be.


@inlined
def broken(state: Record, reason: int, limit: int, value: int) -> int:
    state.limit = limit
    state.value = value
    return reason


@kernel
def row_in(state: Record, account: int, instrument: int) -> int:
    """Row of an account's limits in an instrument, or 0."""
    position = find_position(state, account, instrument)
    if position != 0:
        return position_row(state, position).limits  # type: ignore[no-any-return]
    return find_limits(state, account, instrument)


@kernel
def check_first(state: Record, account: int, instrument: int, side: int) -> int:
    """Position, open orders, exposure, rate, messages for fills; a message is counted."""
    stay_apart()
    owner = account_row(state, account)
    if owner.special & SPECIAL_LIMITS == 0:
        return 0
    messages, fills = messages_before(state, owner.limits)
    if state.dry == 0:
        count_message(state, account)
    row = row_in(state, account, instrument)
    reason = check_lots(state, row, side) if row != 0 else 0
    if reason == 0 and draft_at(state.draft).stays != 0:
        reason = check_open(state, owner, row)
    if reason != 0 or owner.limits == 0:
        return reason
    reason = check_exposure(state, owner.limits)
    if reason == 0:
        reason = check_rate(state, owner.limits)
    limits = limit_row(state, owner.limits)
    if reason == 0 and limits.messages_per_fill != 0:
        most = limits.messages_per_fill * (1 + fills) + FREE_MESSAGES
        if messages >= most:
            reason = broken(state, MESSAGE_RATIO, limits.messages_per_fill, messages)
    return reason


@kernel
def messages_before(state: Record, row: int) -> tuple[int, int]:
    """Messages and fills of the day so far."""
    if row == 0:
        return 0, 0
    limits = limit_row(state, row)
    if limits.day != state.timestamp_ns // DAY_NS:
        return 0, 0
    return limits.messages, limits.fills


@kernel
def check_lots(state: Record, row: int, side: int) -> int:
    """What the position would be if all open orders of this side were filled."""
    limits = limit_row(state, row)
    most = limits.position_max
    if most == 0:
        return 0
    mine = draft_at(state.draft)
    found = find_position(state, limits.account, limits.instrument)
    net = position_row(state, found).net if found != 0 else 0
    high, low = limits.selling_high, limits.selling
    if side == BUY:
        high, low = limits.buying_high, limits.buying
    else:
        net = -net
    for amount in (net, mine.leaves, -mine.own_leaves):
        high += carried(low, amount)
        low = lowered(low, amount)
    if high >= 0 and (high > 1 or in_word(high, low) > most):
        return broken(state, POSITION_LIMIT, most, in_word(high, low))
    return 0


@kernel
def check_open(state: Record, owner: Record, row: int) -> int:
    """Open orders of the account, and of it in the instrument."""
    if owner.limits != 0:
        most = limit_row(state, owner.limits).open_orders_max
        if most != 0 and owner.open_orders >= most:
            return broken(state, OPEN_ORDER_LIMIT, most, owner.open_orders)
    if row != 0:
        limits = limit_row(state, row)
        most = limits.open_orders_max
        if most != 0 and limits.open_orders >= most:
            return broken(state, OPEN_ORDER_LIMIT, most, limits.open_orders)
    return 0


@kernel
def check_exposure(state: Record, row: int) -> int:
    limits = limit_row(state, row)
    most = limits.exposure_max
    if most == 0:
        return 0
    more = notional_of(state) - draft_at(state.draft).own_notional
    high = limits.exposure_high + carried(limits.exposure, more)
    low = lowered(limits.exposure, more)
    if high > 1 or in_word(high, low) > most:
        return broken(state, EXPOSURE_LIMIT, most, in_word(high, low))
    return 0


@kernel
def notional_of(state: Record) -> int:
    """Open quantity at the limit price; 0 for an order without one."""
    mine = draft_at(state.draft)
    return mine.price * mine.leaves * mine.multiplier  # type: ignore[no-any-return]


@kernel
def check_rate(state: Record, row: int) -> int:
    """Orders in this second; counted where there are not too many."""
    limits = limit_row(state, row)
    second = state.timestamp_ns // SECOND_NS
    count = limits.in_second if limits.second == second else 0
    if limits.orders_per_second != 0 and count >= limits.orders_per_second:
        return broken(state, RATE_LIMITED, limits.orders_per_second, count)
    if state.dry == 0:
        limits.second = second
        limits.in_second = count + 1
    return 0


@kernel
def check_last(state: Record, account: int, instrument: int, side: int) -> int:
    """Deviation of the price, quantity, notional, levels."""
    stay_apart()
    owner = account_row(state, account)
    if owner.special & SPECIAL_LIMITS == 0:
        return 0
    mine = draft_at(state.draft)
    row = row_in(state, account, instrument)
    reason = 0
    if owner.limits != 0:
        last = instrument_row(state, instrument).last_price
        reason = check_deviation(state, owner.limits, side, last)
    if reason == 0 and row != 0:
        most = limit_row(state, row).order_qty_max
        if most != 0 and mine.qty > most:
            reason = broken(state, ORDER_QTY_LIMIT, most, mine.qty)
    if reason == 0 and owner.limits != 0:
        reason = check_notional(state, owner.limits)
    if reason == 0 and row != 0:
        reason = check_notional(state, row)
    if reason == 0 and owner.limits != 0 and mine.opens != 0:
        limits = limit_row(state, owner.limits)
        count = limits.levels - mine.closes
        if limits.levels_max != 0 and count >= limits.levels_max:
            reason = broken(state, LEVEL_LIMIT, limits.levels_max, count)
    return reason


@kernel
def check_deviation(state: Record, row: int, side: int, last: int) -> int:
    """Not too far above the last trade for a BUY, below it for a SELL."""
    ppm = limit_row(state, row).deviation_ppm
    price = draft_at(state.draft).price
    if ppm == 0 or price == 0 or last == 0:
        return 0
    bound = last + share_of(last, ppm) if side == BUY else last - share_of(last, ppm)
    beyond = price > bound if side == BUY else price < bound
    return broken(state, PRICE_DEVIATION, bound, price) if beyond else 0


@kernel
def check_notional(state: Record, row: int) -> int:
    most = limit_row(state, row).order_notional_max
    notional = notional_of(state)
    if most != 0 and notional > most:
        return broken(state, ORDER_NOTIONAL_LIMIT, most, notional)
    return 0
