"""What orders, balances and positions are by the events so far; the first thing that is not so."""

from typing import Final

from core.constants import ORDER_SLOT_MASK
from core.jit import kernel
from core.layout import record
from core.memory import Record, pointer
from core.messages import EVENT

EVENT_SHIFT: Final = 7

SEEN_ORDER: Final = record(
    "an order by its events",
    64,
    [
        ("order_id", "<i8"),
        ("leaves", "<i8"),
        ("cum", "<i8"),
        ("hold", "<i8"),  # Cash or base units, as last found and checked.
        ("lots", "<i8"),  # Lots held: SELL.
        ("position", "<i8"),
        ("is_open", "<i8"),
        ("arrival", "<i8"),  # Rises: who rests at a price with a lower one trades first.
    ],
)
SEEN_BALANCE: Final = record(
    "a balance by events and orders",
    32,
    [("total", "<i8"), ("need", "<i8"), ("owed", "<i8"), ("reserved", "<i8")],
)
SEEN_POSITION: Final = record("a position by events", 16, [("net", "<i8"), ("held", "<i8")])
CHECK: Final = record(
    "what the checker works with",
    256,
    [
        ("state", "<i8"),
        ("apply_entry", "<i8"),
        ("orders", "<i8"),  # Addresses of what is expected.
        ("balances", "<i8"),
        ("positions", "<i8"),
        ("before", "<i8"),  # Events of the epoch before the command at hand.
        ("place", "<i8"),  # Slots before it.
        ("commands", "<i8"),  # Applied in this call.
        ("until", "<i8"),  # Stop after this many.
        ("sequence", "<i8"),  # Of the command before.
        ("timestamp_ns", "<i8"),
        ("open_orders", "<i8"),
        ("trades", "<i8"),
        ("events", "<i8"),
        ("fill_key", "<i8"),  # Of the last fill of this command; -1: none yet.
        ("ledger", "<i8"),  # Sum of the LEDGER amounts of this command.
        ("rule", "<i8"),  # What is broken first; 0: nothing.
        ("row", "<i8"),
        ("expected", "<i8"),
        ("found", "<i8"),
        ("cascades", "<i8"),  # 1: a stop was triggered by this command.
        ("reserved", "<i8", (11,)),
    ],
)
check_at = pointer(CHECK)
order_at = pointer(SEEN_ORDER)
balance_at = pointer(SEEN_BALANCE)
position_at = pointer(SEEN_POSITION)
event_at = pointer(EVENT)


@kernel
def wrong(check: Record, rule: int, row: int, expected: int, found: int) -> None:
    """Remember the first thing that is wrong."""
    if check.rule == 0 and expected != found:
        check.rule = rule
        check.row = row
        check.expected = expected
        check.found = found


@kernel
def event_of(state: Record, number: int) -> Record:
    """Event ``number`` of the epoch."""
    return event_at(state.ring + ((number & state.ring_mask) << EVENT_SHIFT))


@kernel
def seen_order(check: Record, order_id: int) -> Record:
    return order_at(check.orders + (order_id & ORDER_SLOT_MASK) * 64)


@kernel
def owe(check: Record, balance: int, amount: int) -> None:
    """By an event, the total of a balance has to change by this."""
    balance_at(check.balances + balance * 32).owed += amount
