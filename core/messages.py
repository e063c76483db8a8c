"""Commands, events and replies: one layout in rings, journal, archive and replay.

A command is 1-4 slots of 128 bytes.  The first 48 bytes of slot 1 are the prefix, the same for
every kind; the rest is a named view per kind (``PLACE``, ``CANCEL``, ...).  An event is 128 bytes
and stands alone.  Numbers of kinds are permanent: the journal remembers them; (kind, schema) pairs
are only ever added.  Integers only: prices in ticks, quantities in lots, money in the smallest unit
of its asset, times in nanoseconds since the Unix epoch (UTC).  Text is padded with zero bytes.
"""

from typing import Final

import numpy as np

from core import replies
from core.constants import (
    CLIENT_ORDER_ID_BYTES,
    COMMAND_SLOTS_MAX,
    EVENT_BYTES,
    NAME_BYTES,
    REFERENCE_BYTES,
    SLOT_BYTES,
)
from core.layout import Field, offset_of, record

SCHEMA: Final = 1

# Command kinds.  11-14, 21, 24-29, 33-49, 60-79 are kept for the complete engine.
PLACE_ORDER: Final = 1
CANCEL_ORDER: Final = 2
REPLACE_ORDER: Final = 3
REDUCE_ORDER: Final = 4
MASS_CANCEL: Final = 5
CREATE_ASSET: Final = 10
CREATE_INSTRUMENT: Final = 11
UPDATE_INSTRUMENT: Final = 12  # Phase, fees, limits, bands, ticks: see CHANGE_*.
SETTLE_INSTRUMENT: Final = 13
CREATE_ACCOUNT: Final = 20
UPDATE_ACCOUNT: Final = 21  # Suspension, self-trade default.
DEPOSIT: Final = 22
WITHDRAW: Final = 23
TRANSFER: Final = 24
KILL_SWITCH: Final = 25
SET_LIMITS: Final = 26
SESSION_OPENED: Final = 30
SESSION_CLOSED: Final = 31
GATEWAY_LOST: Final = 32
DEAD_MAN: Final = 33
TIME: Final = 40  # From the sequencer: what is due happens now.
BUST_TRADE: Final = 41
CORRECT_TRADE: Final = 42
OUTSIDE_ACKNOWLEDGED: Final = 50  # 50-59: what became of orders that are matched outside.
OUTSIDE_FILLED: Final = 51
OUTSIDE_CANCELED: Final = 52
OUTSIDE_REJECTED: Final = 53
OUTSIDE_BUSTED: Final = 54
OUTSIDE_CORRECTED: Final = 55
OUTSIDE_SETTLED: Final = 56
WORKFLOW_OUTCOME: Final = 70  # Kept: 70-79, wallet and workflow outcomes.

# Query kinds: never journaled, answered into the reply ring.
QUERY_FIRST: Final = 128
QUERY_ORDER: Final = 128  # By order id.
QUERY_CLIENT_ORDER: Final = 129  # By account and client order id.
QUERY_OPEN_ORDERS: Final = 130  # Of an account, page after order id ``cursor``.
QUERY_BALANCES: Final = 131
QUERY_POSITIONS: Final = 132
QUERY_DEPTH: Final = 133
QUERY_INSTRUMENTS: Final = 134  # From id ``cursor`` on.
QUERY_ASSETS: Final = 135
QUERY_ACCOUNT: Final = 136  # By name.
QUERY_SESSION: Final = 137
QUERY_FEES: Final = 138  # Balances of the fees account.
QUERY_STATE: Final = 139  # NAME_REPLY: id = sequence, name = the state hash, 32 hex digits.
QUERY_STATS: Final = 140  # STATS_REPLY: an instrument's day.
QUERY_TEST_ORDER: Final = 141  # TEST_REPLY: a PLACE_ORDER of this kind, 1 or 2 slots.
QUERY_LIMITS: Final = 142  # LIMITS_REPLY: of an account, or in an instrument.
QUERY_LAST: Final = 142

# Order terms.
BUY: Final = 1
SELL: Final = 2
LIMIT: Final = 1
MARKET: Final = 2
STOP: Final = 3
STOP_LIMIT: Final = 4
TRAILING_STOP: Final = 5
GTC: Final = 1
IOC: Final = 2
FOK: Final = 3
DAY: Final = 4
GTD: Final = 5
STP_NONE: Final = 0
STP_CANCEL_TAKER: Final = 1
STP_CANCEL_MAKER: Final = 2
STP_CANCEL_BOTH: Final = 3
STP_DECREMENT: Final = 4
QTY_TOTAL: Final = 0  # A replace's qty is the new order quantity, or the new open quantity.
QTY_LEAVES: Final = 1
RESTRICT_NONE: Final = 0
RESTRICT_ONLY_NEW: Final = 1
RESTRICT_ONLY_PARTIALLY_FILLED: Final = 2

# Command flags.
POST_ONLY: Final = 1  # 1-8 on PLACE_ORDER; they are the order's flags in its row.
REDUCE_ONLY: Final = 2
SLIDE: Final = 4
TRAIL_BPS: Final = 8
TRIGGERED: Final = 16  # In the row only.
CANCEL_OPEN: Final = 1  # UPDATE_ACCOUNT.
CANCEL_ON_DISCONNECT: Final = 1  # SESSION_OPENED.
OUTSIDE_MAKER: Final = 1  # OUTSIDE_FILLED.
OUTSIDE_SELL: Final = 2  # The side, where the order is not known.

# What ORDER_ROUTE_REQUESTED asks for.
ROUTE_PLACE: Final = 1
ROUTE_CANCEL: Final = 2
ROUTE_REPLACE: Final = 3
# What became of an execution: EXEC_RECORDED.
EXEC_APPLIED: Final = 0
EXEC_UNKNOWN_ORDER: Final = 1
EXEC_LATE: Final = 2  # The order had ended.
EXEC_OVERFILL: Final = 3
EXEC_UNACKNOWLEDGED: Final = 4  # It acknowledges the order.
EXEC_NOTHING: Final = 5  # Nothing was left to be done.

# What UPDATE_INSTRUMENT changes.
CHANGE_PHASE: Final = 1
CHANGE_FEES: Final = 2
CHANGE_QTY: Final = 4
CHANGE_NOTIONAL: Final = 8
CHANGE_PRICES: Final = 16
CHANGE_BAND: Final = 32
CHANGE_MAX_AGE: Final = 64
CHANGE_DAY_END: Final = 128
CHANGE_TICK: Final = 256
CHANGE_LOT: Final = 512
CHANGE_TICK_TABLE: Final = 1024
CHANGE_SHORT: Final = 2048
CHANGE_CLEARING: Final = 4096
# What UPDATE_ACCOUNT changes.
CHANGE_STATUS: Final = 1
CHANGE_SELF_TRADE: Final = 2
ACCOUNT_ACTIVE: Final = 1
ACCOUNT_SUSPENDED: Final = 2

# Instruments.
SPOT: Final = 1
BINARY: Final = 2
MATCHED_HERE: Final = 1
MATCHED_OUTSIDE: Final = 2
PHASE_PRE_OPEN: Final = 1
PHASE_AUCTION: Final = 2
PHASE_OPEN: Final = 3
PHASE_HALTED: Final = 4
PHASE_CANCEL_ONLY: Final = 5
PHASE_POST_ONLY: Final = 6
PHASE_CLOSED: Final = 7
PHASE_SETTLED: Final = 8
PHASE_DELISTED: Final = 9

# Event kinds.
ORDER_ACCEPTED: Final = 1
ORDER_REJECTED: Final = 2
FILL: Final = 3
ORDER_RESTED: Final = 4
ORDER_CANCELED: Final = 5
ORDER_EXPIRED: Final = 6
ORDER_REDUCED: Final = 7
ORDER_REPLACED: Final = 8
REPLACED_FROM: Final = 9
CANCEL_ACCEPTED: Final = 10
MASS_CANCELED: Final = 11
ORDER_REFILLED: Final = 12
ORDER_TRIGGERED: Final = 13
ORDER_REPEATED: Final = 14  # The same id and payload again: the order as it is now.
COMMAND_REJECTED: Final = 15
COMMAND_REPEATED: Final = 16  # The same id and payload of a command that is no order.
ASSET_CREATED: Final = 20
INSTRUMENT_CREATED: Final = 21
INSTRUMENT_TERMS: Final = 22
ACCOUNT_CREATED: Final = 23
LEDGER: Final = 24
INSTRUMENT_UPDATED: Final = 25
INSTRUMENT_SETTLED: Final = 26
ACCOUNT_UPDATED: Final = 27
KILL_SWITCH_SET: Final = 28
LIMITS_SET: Final = 29
SESSION_EVENT: Final = 30
DEAD_MAN_SET: Final = 31
TIME_PASSED: Final = 32
CLEARED: Final = 33
SETTLEMENT: Final = 34
TRADE_BUSTED: Final = 35
TRADE_CORRECTED: Final = 36
ORDER_ROUTE_REQUESTED: Final = 50
EXEC_RECORDED: Final = 51
WALLET_CALL_REQUESTED: Final = 70  # Kept: 70-79.

# Event flags.
LAST: Final = 1  # The last event of its command.
SELL_SIDE: Final = 2
MAKER: Final = 4
RESTS: Final = 8  # The order is in the book now, and nothing of it was filled.
PRIORITY_KEPT: Final = 16
BY_CLIENT: Final = 32  # Kept.
GONE: Final = 64  # ORDER_REPEATED: the row has left the core; price, qty and the rest are zero.

# Order status, in rows and replies.
STATUS_FREE: Final = 0
STATUS_OPEN: Final = 1
STATUS_FILLED: Final = 2
STATUS_CANCELED: Final = 3
STATUS_EXPIRED: Final = 4
STATUS_REJECTED: Final = 5
STATUS_PENDING: Final = 6  # A stop that was not triggered yet.
STATUS_ROUTED: Final = 7  # Asked for outside, not acknowledged yet.

PREFIX: Final[list[Field]] = [
    ("sequence", "<i8"),  # Given by the sequencer; 0 in the inbound ring.
    ("timestamp_ns", "<i8"),  # Sequencer clock; the only time that the engine knows.
    ("request_id", "<i8"),  # Rises per session; echoed in the first event of the command.
    ("session", "<u4"),  # gateway << 24 | number.
    ("account", "<i4"),
    ("instrument", "<i4"),
    ("crc32c", "<u4"),  # Over all slots of the record with this field zero.
    ("gateway", "<u2"),
    ("kind", "u1"),
    ("schema", "u1"),
    ("slots", "u1"),
    ("flags", "u1"),
    ("reserved", "<u2"),
]

COMMAND: Final = record("command", SLOT_BYTES, [*PREFIX, ("body", "u1", (80,))])

PLACE: Final = record(
    "place order, slot 1",
    SLOT_BYTES,
    [
        *PREFIX,
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),
        ("side", "u1"),
        ("order_type", "u1"),
        ("time_in_force", "u1"),
        ("self_trade", "u1"),
        ("price", "<i8"),  # Ticks; 0 for MARKET.
        ("qty", "<i8"),  # Lots.
        ("expire_after_ns", "<i8"),  # Sequenced later: rejected.  0: never.
        ("expire_ns", "<i8"),  # GTD; 0 otherwise.
        ("display_qty", "<i8"),  # 0: all is shown.
    ],
)

PLACE_SLOT_2: Final = record(
    "place order, slot 2",
    SLOT_BYTES,
    [
        ("stop_price", "<i8"),
        ("trail", "<i8"),
        ("min_qty", "<i8"),
        ("max_cost", "<i8"),
        ("protection_price", "<i8"),
        ("group", "<i8"),
        ("oco", "<i8"),
        ("original_client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),
        ("tag", "u1", (CLIENT_ORDER_ID_BYTES,)),
    ],
)

CANCEL: Final = record(
    "cancel order; with order_id 0 slot 2 names the order by original_client_order_id",
    SLOT_BYTES,
    [
        *PREFIX,
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),  # Of the cancel itself; may be empty.
        ("restriction", "u1"),
        ("reserved_1", "u1", (3,)),
        ("reserved_2", "<i8", (2,)),
        ("expire_after_ns", "<i8"),
        ("order_id", "<i8"),
        ("reserved_3", "<i8"),
    ],
)

REPLACE: Final = record(
    "replace order, reduce order; slot 2 as of CANCEL",
    SLOT_BYTES,
    [
        *PREFIX,
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),  # The new id; empty keeps the old one.
        ("qty_basis", "u1"),
        ("reserved_1", "u1", (3,)),
        ("price", "<i8"),  # 0 keeps it.
        ("qty", "<i8"),  # By qty_basis; 0 keeps it.  REDUCE: how much less.
        ("expire_after_ns", "<i8"),
        ("order_id", "<i8"),
        ("display_qty", "<i8"),
    ],
)

MASS: Final = record(
    "mass cancel of the account's orders; a filter of 0 means any",
    SLOT_BYTES,
    [
        *PREFIX,  # instrument: a filter.
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),
        ("side", "u1"),
        ("reserved_1", "u1", (3,)),
        ("reserved_2", "<i8", (2,)),
        ("expire_after_ns", "<i8"),
        ("filter_session", "<i8"),  # Slot 2, if there is one: PLACE_SLOT_2, its tag a filter.
        ("reserved_3", "<i8"),
    ],
)

MONEY: Final = record(
    "deposit, withdraw, transfer; slot 2: PAYMENT_REFERENCE, may be left out",
    SLOT_BYTES,
    [
        *PREFIX,
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),  # Idempotency key, as of an order.
        ("asset", "<i4"),
        ("amount", "<i8"),
        ("reserved_1", "<i8"),
        ("expire_after_ns", "<i8"),
        ("counter_account", "<i8"),  # TRANSFER: who receives.
        ("reserved_2", "<i8"),
    ],
)

REFERENCE: Final = record(
    "payment reference or outside exec id",
    SLOT_BYTES,
    [
        ("reference", "u1", (REFERENCE_BYTES,)),
        ("source", "u1", (CLIENT_ORDER_ID_BYTES,)),
        ("reserved", "u1", (28,)),
    ],
)

NEW_ACCOUNT: Final = record(
    "create account",
    SLOT_BYTES,
    [
        *PREFIX,
        ("name", "u1", (NAME_BYTES,)),  # 1-36 characters 0x21-0x7E, unique.
        ("self_trade", "u1"),  # Default of its orders.
        ("roles", "u1"),  # Kept.
        ("reserved_1", "u1", (2,)),
        ("owner", "<i8"),  # Kept: the account that orchestrates this one.
        ("reserved_2", "<i8", (4,)),
    ],
)

NEW_ASSET: Final = record(
    "create asset",
    SLOT_BYTES,
    [
        *PREFIX,
        ("name", "u1", (NAME_BYTES,)),
        ("scale", "u1"),  # Decimals of its smallest unit.
        ("reserved_1", "u1", (3,)),
        ("reserved_2", "<i8", (5,)),
    ],
)

NEW_INSTRUMENT: Final = record(
    "create instrument, slot 1 (2 slots)",
    SLOT_BYTES,
    [
        *PREFIX,
        ("symbol", "u1", (NAME_BYTES,)),  # 1-32 characters of A-Z a-z 0-9 . - / _
        ("instrument_type", "u1"),
        ("matching", "u1"),
        ("tick_scale", "u1"),
        ("lot_scale", "u1"),
        ("tick", "<i8"),  # Tick size = tick / 10^tick_scale units of quote per unit of base.
        ("lot", "<i8"),  # Lot size = lot / 10^lot_scale units of base.
        ("base_asset", "<i4"),
        ("quote_asset", "<i4"),
        ("maker_ppm", "<i4"),
        ("taker_ppm", "<i4"),
        ("payout", "<i8"),  # BINARY: quote units per lot.
    ],
)

NEW_INSTRUMENT_SLOT_2: Final = record(
    "create or update instrument, slot 2; 0 means no limit",
    SLOT_BYTES,
    [
        ("qty_min", "<i8"),
        ("qty_max", "<i8"),
        ("notional_min", "<i8"),
        ("notional_max", "<i8"),
        ("price_min", "<i8"),
        ("price_max", "<i8"),
        ("max_age_ns", "<i8"),
        ("phase", "u1"),
        ("reserved_1", "u1", (3,)),
        ("band_ppm", "<i4"),
        ("reference_price", "<i8"),
        ("day_end_ns", "<i8"),  # Time of the UTC day.
        ("short_ppm", "<i8"),  # Collateral of a short sale besides its proceeds; 0: none allowed.
        ("clearing_ns", "<i8"),
        ("reserved_2", "<i8", (4,)),
    ],
)

TICK_BANDS: Final = replies.TICK_BANDS
TICK_TABLE: Final = record(
    "create or update instrument, slot 3: prices from ``from`` on are multiples of ``step``",
    SLOT_BYTES,
    [
        ("start", "<i8", (TICK_BANDS,)),  # Ascending, the first is 0; 0 after it: unused.
        ("step", "<i8", (TICK_BANDS,)),
        ("reserved", "<i8", (8,)),
    ],
)

CHANGED_INSTRUMENT: Final = record(
    "update instrument, slot 1; slot 2: NEW_INSTRUMENT_SLOT_2, slot 3: TICK_TABLE",
    SLOT_BYTES,
    [
        *PREFIX,
        ("name", "u1", (NAME_BYTES,)),  # Empty.
        ("tick_scale", "u1"),
        ("lot_scale", "u1"),
        ("reserved_1", "u1", (2,)),
        ("changes", "<i8"),  # CHANGE_*.
        ("tick", "<i8"),
        ("lot", "<i8"),
        ("maker_ppm", "<i4"),
        ("taker_ppm", "<i4"),
        ("reserved_2", "<i8"),
    ],
)

ADMIN: Final = record(
    "settle instrument, update account, kill switch, sessions, dead man, time",
    SLOT_BYTES,
    [
        *PREFIX,  # instrument, account, session, gateway: whom it is about.
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),  # DEAD_MAN; else empty.
        ("status", "u1"),  # UPDATE_ACCOUNT.
        ("self_trade", "u1"),
        ("is_on", "u1"),  # KILL_SWITCH.
        ("reserved_1", "u1"),
        ("changes", "<i8"),
        ("price", "<i8"),  # SETTLE_INSTRUMENT.
        ("expire_after_ns", "<i8"),
        ("timeout_ns", "<i8"),  # DEAD_MAN; 0: none.
        ("reserved_2", "<i8"),
    ],
)

LIMIT_FIELDS: Final = replies.LIMIT_FIELDS
NEW_LIMITS: Final = record(
    "set limits; 0: none.  Slot 1 of 2",
    SLOT_BYTES,
    [
        *PREFIX,
        ("name", "u1", (NAME_BYTES,)),
        ("reserved_1", "u1", (4,)),
        ("reserved_2", "<i8", (5,)),
    ],
)
NEW_LIMITS_SLOT_2: Final = record(
    "set limits, slot 2",
    SLOT_BYTES,
    [*((name, "<i8") for name in LIMIT_FIELDS), ("reserved", "<i8", (6,))],
)

TRADE: Final = record(
    "bust or correct a trade, slot 1; slot 2: TRADE_SLOT_2",
    SLOT_BYTES,
    [
        *PREFIX,
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),  # The trade: ``sequence.index``.
        ("reserved_1", "u1", (4,)),
        ("price", "<i8"),
        ("qty", "<i8"),
        ("new_price", "<i8"),  # CORRECT_TRADE.
        ("new_qty", "<i8"),
        ("reserved_2", "<i8"),
    ],
)
TRADE_SLOT_2: Final = record(
    "bust or correct a trade, slot 2",
    SLOT_BYTES,
    [
        ("buyer", "<i4"),
        ("seller", "<i4"),
        ("buyer_order", "<i8"),
        ("seller_order", "<i8"),
        ("buyer_fee", "<i8"),
        ("seller_fee", "<i8"),
        ("reserved", "<i8", (11,)),
    ],
)

OUTSIDE: Final = record(
    "what happened outside, slot 1; slot 2: REFERENCE (exec id, source)",
    SLOT_BYTES,
    [
        *PREFIX,  # flags: OUTSIDE_MAKER.
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),  # Empty.
        ("reserved_1", "u1", (4,)),
        ("price", "<i8"),
        ("qty", "<i8"),
        ("fee", "<i8"),
        ("order_id", "<i8"),
        ("cum", "<i8"),  # As the outside counts; 0: not said.
    ],
)

OUTSIDE_CORRECTION: Final = record(
    "corrected outside, slot 3",
    SLOT_BYTES,
    [
        ("new_price", "<i8"),
        ("new_qty", "<i8"),
        ("new_fee", "<i8"),
        ("reserved", "<i8", (13,)),
    ],
)

QUERY: Final = record(
    "query",
    SLOT_BYTES,
    [
        *PREFIX,
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),  # Or a name.
        ("side", "u1"),
        ("reserved_1", "u1", (3,)),
        ("order_id", "<i8"),
        ("cursor", "<i8"),
        ("limit", "<i8"),
        ("reserved_2", "<i8", (2,)),
    ],
)

EVENT: Final = record(
    "event",
    EVENT_BYTES,
    [
        ("sequence", "<i8"),  # Of the command that caused it.
        ("timestamp_ns", "<i8"),
        ("order_id", "<i8"),
        ("price", "<i8"),
        ("qty", "<i8"),  # FILL: this fill.  CANCELED, EXPIRED: what was canceled.
        ("leaves", "<i8"),
        ("cum", "<i8"),
        ("cum_notional", "<i8"),  # Quote units.
        ("fee", "<i8"),  # FILL: paid (negative: received).  Otherwise request_id; RESTED: the hold.
        ("index", "<i4"),  # Place within the command, from 0.
        ("session", "<u4"),
        ("account", "<i4"),
        ("instrument", "<i4"),  # LEDGER: asset.
        ("reason", "<u2"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),
    ],
)

# Views of an event: the same bytes, other names where a field is zero by definition.
#   ORDER_ACCEPTED    cum = hold (cash or lots reserved), cum_notional = terms (see ``pack_terms``);
#                     flag RESTS: in the book with qty, nothing was filled
#   ORDER_RESTED      qty = shown quantity; fee = the hold that is left
#   ORDER_REPLACED    new client id and price, qty = new order quantity, leaves = new open quantity,
#                     cum and cum_notional as filled so far; flags PRIORITY_KEPT, RESTS
#   REPLACED_FROM     old client id and price, qty = old order quantity, leaves = the shown quantity
#                     that left the book, fee = the new hold (before any fill of the replace)
#   ORDER_CANCELED,   leaves = the shown quantity that left the book, 0 for one that never rested
#   ORDER_EXPIRED
#   ORDER_REDUCED     qty = by how much, leaves = what is left; fee = request_id
#   CANCEL_ACCEPTED   client id of the cancel itself, order_id of the target
#   MASS_CANCELED     qty = how many orders are canceled by the events that follow
#   ORDER_REPEATED    qty = order quantity, reason = reason of its end if it ended
#   *_REJECTED        price, qty as asked; leaves = kind of the command; cum = the limit,
#                     cum_notional = the value that broke it
#   ASSET_CREATED     order_id = asset id, price = scale, client_order_id = name
#   INSTRUMENT_CREATED order_id = instrument id, price = multiplier (quote units per tick and lot),
#                     qty = base units per lot, leaves = base asset, cum = quote asset,
#                     cum_notional = type | matching << 8 | phase << 16, client_order_id = symbol
#   INSTRUMENT_TERMS  price = tick, qty = lot, leaves = tick_scale | lot_scale << 8,
#                     cum = maker_ppm, cum_notional = taker_ppm
#   ACCOUNT_CREATED   order_id = account id, client_order_id = name
#   ORDER_ROUTE_REQUESTED leaves = what is asked for (ROUTE_*), cum = the order's request number,
#                     price, qty = the terms asked for (cancel: price and open quantity)
#   EXEC_RECORDED     price, qty as reported, leaves = kind of the command, cum = EXEC_*,
#                     cum_notional = fee, client_order_id = first 36 characters of the exec id
#   LEDGER            price = kind of the command, qty = signed amount, leaves = available after,
#                     cum = held after, instrument = asset, client_order_id = its own id

assert COMMAND_SLOTS_MAX * SLOT_BYTES == 512

# The layouts of replies, by the names under which everybody has them.
AMOUNTS_PER_REPLY: Final = replies.AMOUNTS_PER_REPLY
AMOUNT_ITEM: Final = replies.AMOUNT_ITEM
ASKS: Final = replies.ASKS
DEPTH_ITEM: Final = replies.DEPTH_ITEM
DEPTH_PER_REPLY: Final = replies.DEPTH_PER_REPLY
INSTRUMENT_REPLY: Final = replies.INSTRUMENT_REPLY
LIMITS_REPLY: Final = replies.LIMITS_REPLY
MORE: Final = replies.MORE
NAME_REPLY: Final = replies.NAME_REPLY
ORDER_REPLY: Final = replies.ORDER_REPLY
ORDER_REPLY_CLIENT_ORDER_ID_AT: Final = replies.ORDER_REPLY_CLIENT_ORDER_ID_AT
ORDER_REPLY_TAG_AT: Final = replies.ORDER_REPLY_TAG_AT
POSITIONS_PER_REPLY: Final = replies.POSITIONS_PER_REPLY
POSITION_ITEM: Final = replies.POSITION_ITEM
REPLY: Final = replies.REPLY
REPLY_BODY: Final = replies.REPLY_BODY
REPLY_PREFIX: Final = replies.REPLY_PREFIX
STATS_REPLY: Final = replies.STATS_REPLY
TEST_REPLY: Final = replies.TEST_REPLY
TICKS: Final = replies.TICKS
TICKS_REPLY: Final = replies.TICKS_REPLY
TOO_OLD: Final = replies.TOO_OLD

KIND_AT: Final = offset_of(COMMAND, "kind")
INSTRUMENT_AT: Final = offset_of(COMMAND, "instrument")
SLOTS_AT: Final = offset_of(COMMAND, "slots")
CRC_AT: Final = offset_of(COMMAND, "crc32c")
SESSION_AT: Final = offset_of(COMMAND, "session")
BODY_AT: Final = offset_of(COMMAND, "body")
CLIENT_ORDER_ID_AT: Final = offset_of(PLACE, "client_order_id")
ORIGINAL_ID_AT: Final = offset_of(PLACE_SLOT_2, "original_client_order_id")  # Within slot 2.
EVENT_CLIENT_ORDER_ID_AT: Final = offset_of(EVENT, "client_order_id")
assert BODY_AT == 48 and CLIENT_ORDER_ID_AT == 48 and EVENT_CLIENT_ORDER_ID_AT == 92
assert all(
    view.itemsize == SLOT_BYTES
    for view in (PLACE, PLACE_SLOT_2, CANCEL, REPLACE, MASS, MONEY, REFERENCE, NEW_ACCOUNT)
)

# What may sit in the lane for cancels of an inbound ring.
CANCELING: Final = frozenset({CANCEL_ORDER, MASS_CANCEL, REDUCE_ORDER})

COMMAND_NAMES: Final[dict[int, str]] = {
    PLACE_ORDER: "PLACE_ORDER",
    CANCEL_ORDER: "CANCEL_ORDER",
    REPLACE_ORDER: "REPLACE_ORDER",
    REDUCE_ORDER: "REDUCE_ORDER",
    MASS_CANCEL: "MASS_CANCEL",
    CREATE_ASSET: "CREATE_ASSET",
    CREATE_INSTRUMENT: "CREATE_INSTRUMENT",
    CREATE_ACCOUNT: "CREATE_ACCOUNT",
    DEPOSIT: "DEPOSIT",
    WITHDRAW: "WITHDRAW",
    UPDATE_INSTRUMENT: "UPDATE_INSTRUMENT",
    SETTLE_INSTRUMENT: "SETTLE_INSTRUMENT",
    UPDATE_ACCOUNT: "UPDATE_ACCOUNT",
    TRANSFER: "TRANSFER",
    KILL_SWITCH: "KILL_SWITCH",
    SET_LIMITS: "SET_LIMITS",
    SESSION_OPENED: "SESSION_OPENED",
    SESSION_CLOSED: "SESSION_CLOSED",
    GATEWAY_LOST: "GATEWAY_LOST",
    DEAD_MAN: "DEAD_MAN",
    TIME: "TIME",
    BUST_TRADE: "BUST_TRADE",
    CORRECT_TRADE: "CORRECT_TRADE",
    OUTSIDE_ACKNOWLEDGED: "OUTSIDE_ACKNOWLEDGED",
    OUTSIDE_FILLED: "OUTSIDE_FILLED",
    OUTSIDE_CANCELED: "OUTSIDE_CANCELED",
    OUTSIDE_REJECTED: "OUTSIDE_REJECTED",
    OUTSIDE_BUSTED: "OUTSIDE_BUSTED",
    OUTSIDE_CORRECTED: "OUTSIDE_CORRECTED",
    OUTSIDE_SETTLED: "OUTSIDE_SETTLED",
}
EVENT_NAMES: Final[dict[int, str]] = {
    ORDER_ACCEPTED: "ORDER_ACCEPTED",
    ORDER_REJECTED: "ORDER_REJECTED",
    FILL: "FILL",
    ORDER_RESTED: "ORDER_RESTED",
    ORDER_CANCELED: "ORDER_CANCELED",
    ORDER_EXPIRED: "ORDER_EXPIRED",
    ORDER_REDUCED: "ORDER_REDUCED",
    ORDER_REPLACED: "ORDER_REPLACED",
    REPLACED_FROM: "REPLACED_FROM",
    CANCEL_ACCEPTED: "CANCEL_ACCEPTED",
    MASS_CANCELED: "MASS_CANCELED",
    ORDER_REPEATED: "ORDER_REPEATED",
    COMMAND_REJECTED: "COMMAND_REJECTED",
    COMMAND_REPEATED: "COMMAND_REPEATED",
    ASSET_CREATED: "ASSET_CREATED",
    INSTRUMENT_CREATED: "INSTRUMENT_CREATED",
    INSTRUMENT_TERMS: "INSTRUMENT_TERMS",
    ACCOUNT_CREATED: "ACCOUNT_CREATED",
    LEDGER: "LEDGER",
    ORDER_REFILLED: "ORDER_REFILLED",
    ORDER_TRIGGERED: "ORDER_TRIGGERED",
    INSTRUMENT_UPDATED: "INSTRUMENT_UPDATED",
    INSTRUMENT_SETTLED: "INSTRUMENT_SETTLED",
    ACCOUNT_UPDATED: "ACCOUNT_UPDATED",
    KILL_SWITCH_SET: "KILL_SWITCH_SET",
    LIMITS_SET: "LIMITS_SET",
    SESSION_EVENT: "SESSION_EVENT",
    DEAD_MAN_SET: "DEAD_MAN_SET",
    TIME_PASSED: "TIME_PASSED",
    CLEARED: "CLEARED",
    SETTLEMENT: "SETTLEMENT",
    TRADE_BUSTED: "TRADE_BUSTED",
    TRADE_CORRECTED: "TRADE_CORRECTED",
    ORDER_ROUTE_REQUESTED: "ORDER_ROUTE_REQUESTED",
    EXEC_RECORDED: "EXEC_RECORDED",
}


def text(raw: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | bytes") -> str:
    """Text of a zero-padded field."""
    data = raw if isinstance(raw, bytes) else np.asarray(raw, np.uint8).tobytes()
    return data.rstrip(b"\0").decode("ascii", "backslashreplace")


def packed(value: str, size: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """``value`` as a zero-padded field of ``size`` bytes; ValueError when it does not fit."""
    data = value.encode("ascii")
    if len(data) > size:
        raise ValueError(f"text of {len(data)} bytes does not fit a field of {size}: {value!r}")
    return np.frombuffer(data.ljust(size, b"\0"), np.uint8)
