"""The rules that are checked after every command, by number and in words."""

from typing import Final

RULES: Final = (
    "",
    "the sequence does not rise",
    "the time runs backwards",
    "an event has another sequence than its command",
    "the events of a command are not numbered from 0",
    "the flag LAST is not on the last event, and on that alone",
    "a fill has not two sides of one quantity and price",
    "a fill is not at the maker's price",
    "a fill is beyond the taker's limit",
    "a fill is at a better price than the one before, or a better one was skipped",
    "an order is filled that is not open",
    "leaves after the event",
    "filled quantity after the event",
    "an order that ended is touched",
    "order row: leaves",
    "order row: filled quantity",
    "order row: its place in the book or its status",
    "the fee part of a hold",
    "balance: available + held",
    "balance: held is not what its open orders need",
    "balance: available is negative",
    "position: net",
    "position: lots held",
    "position: net is not bought less sold",
    "the book is crossed",
    "the best level is empty",
    "open orders are miscounted",
    "trades are miscounted",
    "events are miscounted",
    "ledger entries do not sum to zero",
    "the engine's own assertion",
    "an order row was given out while its order is open",
    "an older order at the same price was skipped",
)
(
    _,
    SEQUENCE,
    TIME,
    EVENT_SEQUENCE,
    EVENT_INDEX,
    EVENT_LAST,
    FILL_SIDES,
    FILL_PRICE,
    FILL_LIMIT,
    FILL_PRIORITY,
    FILL_OPEN,
    LEAVES,
    CUM,
    ENDED,
    ROW_LEAVES,
    ROW_CUM,
    ROW_PLACE,
    HOLD_FEE,
    BALANCE_TOTAL,
    BALANCE_HELD,
    BALANCE_NEGATIVE,
    POSITION_NET,
    POSITION_HELD,
    POSITION_SUM,
    CROSSED,
    BEST_EMPTY,
    OPEN_ORDERS,
    TRADES,
    EVENTS,
    LEDGER_SUM,
    ASSERTION,
    ROW_TAKEN,
    FILL_QUEUE,
) = range(len(RULES))

# Rules of which the numbers say something; of the others 1 is right and 0 wrong.
COUNTED: Final = frozenset(
    {*range(LEAVES, ENDED), *range(ROW_LEAVES, ROW_PLACE), *range(BALANCE_TOTAL, CROSSED)}
    | {OPEN_ORDERS, TRADES, EVENTS, LEDGER_SUM, FILL_PRICE, EVENT_SEQUENCE, EVENT_INDEX}
)

assert len(set(RULES)) == len(RULES)
