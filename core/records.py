"""The rows of the state as they lie in memory: every table of the exchange, declared once.

Row 0 of every table is unused: 0 is "none".  The arena holds levels and orders in one space of
32-byte units, because a price level is the sentinel of the circular list of its orders: a level is
one unit, an order two, and both begin with LINK.  Unlinking is then two stores without a test.
"""

from typing import Final

from core.layout import offset_of, record

UNIT_SHIFT: Final = 5
UNIT_BYTES: Final = 1 << UNIT_SHIFT

LINK: Final = record(
    "link; where a level and an order begin", 8, [("next", "<i4"), ("prev", "<i4")]
)

LEVEL: Final = record(
    "price level: the sentinel of its orders, oldest first",
    32,
    [
        ("next", "<i4"),  # Unit of the oldest order; the level itself when there is none.
        ("prev", "<i4"),  # Unit of the newest.
        ("shown", "<i8"),  # Lots, sum over its orders.
        ("orders", "<i4"),
        ("reserved", "<i4"),
        ("hidden", "<i8"),  # Kept: icebergs.
    ],
)

ORDER: Final = record(
    "order, hot half: what matching touches",
    64,
    [
        ("next", "<i4"),  # Newer order of the level; free list and nothing else when not resting.
        ("prev", "<i4"),
        ("level", "<i4"),  # Unit of its level; 0 when not resting.
        ("extra", "<i4"),  # Kept: row of stop, iceberg, group, expiry terms.
        ("order_id", "<i8"),
        ("price", "<i8"),
        ("shown", "<i8"),  # Lots in the book; the order quantity once the order has ended.
        ("leaves", "<i8"),
        ("cum", "<i8"),
        ("cum_notional", "<i8"),
    ],
)

COLD: Final = record(
    "order, cold half; who and what stand as in the second half of an event, which is copied whole",
    128,
    [
        ("account_next", "<i4"),  # Open orders of the account, ascending by order id (slots).
        ("account_prev", "<i4"),
        ("id_record", "<i4"),  # Of its current client order id; 0: none.
        ("session", "<u4"),
        ("account", "<i4"),
        ("instrument", "<i4"),
        ("side", "u1"),
        ("order_type", "u1"),
        ("time_in_force", "u1"),
        ("self_trade", "u1"),
        ("client_order_id", "u1", (36,)),
        # The second cache line: money and times.
        ("status", "u1"),
        ("flags", "u1"),
        ("end_reason", "<u2"),
        ("position", "<i4"),  # Row of (account, instrument); 0 with risk off.
        ("hold_fee", "<i8"),  # LIMIT BUY: fee part of the hold.  MARKET BUY: all of the hold.
        ("hold_lots", "<i8"),  # Kept: BINARY, opposite lots reserved.
        ("last_price", "<i8"),
        ("created_ns", "<i8"),
        ("updated_ns", "<i8"),
        ("fees", "<i8"),  # Quote units paid so far; negative: rebates.
        ("session_next", "<i4"),  # Kept: open orders of the session.
        ("session_prev", "<i4"),
    ],
)

PAGE: Final = record(
    "page of 64 prices of one bookside",
    32,
    [
        ("bitmap", "<i8"),  # Bit n: level n of the page has orders.
        ("key", "<i8"),
        ("queued", "<i4"),  # In the queue of empty pages.
        ("reserved_1", "<i4"),
        ("reserved_2", "<i8"),
    ],
)

SLOT_ENTRY: Final = record(
    "hash entry: a key (0: empty) and its word", 16, [("key", "<i8"), ("word", "<i8")]
)

BOOKSIDE: Final = record(
    "one side of one book",
    64,
    [
        ("best_key", "<i8"),  # price ^ flip of the best level; -1: the side is empty.
        ("best_level", "<i8"),  # Its unit.
        ("flip", "<i8"),  # 0 for bids, PRICE_MAX for asks: the best key is the largest.
        ("orders", "<i8"),
        ("levels", "<i8"),
        ("shown", "<i8"),
        ("reserved", "<i8", (2,)),
    ],
)

ACCOUNT: Final = record(
    "account",
    128,
    [
        ("name", "u1", (36,)),
        ("open_head", "<i4"),  # Slot of its oldest open order.
        ("open_tail", "<i4"),
        ("open_orders", "<i4"),
        ("status", "u1"),
        ("self_trade", "u1"),
        ("roles", "u1"),
        ("reserved_1", "u1"),
        ("limits", "<i4"),  # Kept.
        ("owner", "<i8"),  # Kept.
        ("created_ns", "<i8"),
        ("reserved_2", "<i8", (7,)),
    ],
)

BALANCE: Final = record(
    "balance of (account, asset); both parts are never negative, but for the account `outside`",
    32,
    [
        ("account", "<i4"),
        ("asset", "<i4"),
        ("available", "<i8"),
        ("held", "<i8"),
        ("reserved", "<i8"),
    ],
)

POSITION: Final = record(
    "position of (account, instrument)",
    128,
    [
        ("account", "<i4"),
        ("instrument", "<i4"),
        ("base_balance", "<i4"),
        ("quote_balance", "<i4"),
        ("net", "<i8"),  # Lots bought less lots sold.
        ("cost", "<i8"),  # Quote units, of the net position at average cost.
        ("realized", "<i8"),
        ("bought", "<i8"),
        ("sold", "<i8"),
        ("held", "<i8"),  # Lots held by open sells.
        ("limits", "<i8", (8,)),  # Kept.
    ],
)

ASSET: Final = record(
    "asset",
    64,
    [
        ("name", "u1", (36,)),
        ("scale", "<i4"),
        ("issued", "<i8"),  # What all accounts but `outside` have.
        ("fees_balance", "<i4"),  # Row of (fees, asset).
        ("outside_balance", "<i4"),
        ("reserved", "<i8"),
    ],
)

INSTRUMENT: Final = record(
    "instrument",
    256,
    [
        ("symbol", "u1", (36,)),
        ("instrument_type", "u1"),
        ("matching", "u1"),
        ("phase", "u1"),
        ("tick_scale", "u1"),
        ("lot_scale", "u1"),
        ("reserved_1", "u1", (3,)),
        ("base_asset", "<i4"),
        ("quote_asset", "<i4"),
        ("maker_ppm", "<i4"),
        ("taker_ppm", "<i4"),
        ("hold_ppm", "<i4"),  # max(maker, taker, 0).
        ("multiplier", "<i8"),
        ("base_per_lot", "<i8"),
        ("price_limit", "<i8"),
        ("qty_low", "<i8"),  # max(1, qty_min).
        ("qty_high", "<i8"),  # min(qty_max, what base units allow).
        ("notional_min", "<i8"),
        ("notional_max", "<i8"),
        ("fees_balance", "<i4"),
        ("reserved_2", "<i4"),
        ("last_price", "<i8"),
        ("tick", "<i8"),
        ("lot", "<i8"),
        ("payout", "<i8"),
        ("qty_min", "<i8"),
        ("qty_max", "<i8"),
        ("trades", "<i8"),
        ("volume", "<i8"),
        ("reserved_3", "<i8", (8,)),
    ],
)

SESSION: Final = record(
    "session",
    64,
    [
        ("session", "<u4"),
        ("flags", "<u4"),  # Kept: cancel on disconnect.
        ("last_request_id", "<i8"),
        ("open_head", "<i4"),  # Kept.
        ("open_tail", "<i4"),
        ("reserved", "<i8", (5,)),
    ],
)

ID_RECORD: Final = record(
    "a client order id that was used",
    64,
    [
        ("client_order_id", "u1", (36,)),
        ("account", "<i4"),
        ("payload", "<i8"),  # Hash of all that the client set.
        ("order_id", "<i8"),
        ("next", "<i4"),  # In the line, the overdue line or the free list.
        ("reason", "<u2"),
        ("passed", "u1"),  # Its turn has passed; it leaves when it is no longer current.
        ("kind", "u1"),
    ],
)

STATE: Final = record(
    "state",
    1024,
    [
        # Where the tables of this process lie.  Not part of the state hash.
        ("arena", "<i8"),
        ("cold", "<i8"),
        ("pages", "<i8"),
        ("page_table", "<i8"),
        ("node_table", "<i8"),
        ("page_queue", "<i8"),  # i4 ring of emptied pages.
        ("booksides", "<i8"),
        ("closed", "<i8"),  # i4 ring of ended orders' slots.
        ("id_buckets", "<i8"),
        ("id_records", "<i8"),
        ("accounts", "<i8"),
        ("balances", "<i8"),
        ("positions", "<i8"),
        ("assets", "<i8"),
        ("instruments", "<i8"),
        ("sessions", "<i8"),
        ("name_table", "<i8"),
        ("balance_table", "<i8"),
        ("position_table", "<i8"),
        ("session_table", "<i8"),
        ("scratch", "<i8"),
        ("order_base", "<i8"),  # Unit of order slot 0.
        ("page_mask", "<i8"),
        ("node_mask", "<i8"),
        ("queue_mask", "<i8"),
        ("bucket_mask", "<i8"),
        ("name_mask", "<i8"),
        ("balance_mask", "<i8"),
        ("position_mask", "<i8"),
        ("session_mask", "<i8"),
        ("orders_max", "<i8"),
        ("closed_keep", "<i8"),
        ("pages_max", "<i8"),
        ("ids_max", "<i8"),
        ("accounts_max", "<i8"),
        ("assets_max", "<i8"),
        ("instruments_max", "<i8"),
        ("balances_max", "<i8"),
        ("positions_max", "<i8"),
        ("sessions_max", "<i8"),
        ("id_key", "<i8", (4,)),
        ("risk", "<i8"),  # 0: the book alone, for benchmarks.
        # The output ring of this process.
        ("ring", "<i8"),  # Address of event 0.
        ("ring_mask", "<i8"),
        ("ring_position", "<i8"),  # Address of the published position.
        ("ring_claimed", "<i8"),  # Address of the claimed position.
        ("cursor", "<i8"),  # Events written in this epoch.
        ("claimed", "<i8"),
        ("hashed", "<i8"),  # Events folded into event_hash.
        ("index", "<i8"),  # Events of the command at hand so far.
        ("request_id", "<i8"),  # Of the command at hand until its first event is written; then 0.
        ("record", "<i8"),  # Its id record; 0: it has none.
        ("limit", "<i8"),  # Why it is rejected: the limit, and the value that broke it.
        ("value", "<i8"),
        ("spare", "<i8", (7,)),
        # The counters that are state.  Everything from here on is hashed.
        ("sequence", "<i8"),  # Of the newest applied command.
        ("timestamp_ns", "<i8"),
        ("slots_used", "<i8"),  # Order slots ever used.
        ("free_slot", "<i8"),  # Head of the list of freed slots.
        ("open_orders", "<i8"),
        ("closed_first", "<i8"),  # Place in the ring of the order that ended first.
        ("closed_count", "<i8"),
        ("pages_used", "<i8"),
        ("queue_first", "<i8"),
        ("queue_count", "<i8"),
        ("accounts_used", "<i8"),
        ("assets_used", "<i8"),
        ("instruments_used", "<i8"),
        ("balances_used", "<i8"),
        ("positions_used", "<i8"),
        ("sessions_used", "<i8"),
        ("sessions_refused", "<i8"),
        ("ids_used", "<i8"),  # Id records ever used.
        ("ids_count", "<i8"),
        ("ids_free", "<i8"),
        ("ids_first", "<i8"),  # The line of ids, oldest first.
        ("ids_last", "<i8"),
        ("overdue_first", "<i8"),
        ("overdue_last", "<i8"),
        ("remembered_from", "<i8"),
        ("events", "<i8"),
        ("event_hash", "<i8"),
        ("trades", "<i8"),
        ("traded_qty", "<i8"),
        ("rejects", "<i8"),
        ("reserved", "<i8", (34,)),
    ],
)
COUNTERS_AT: Final = offset_of(STATE, "sequence")
ID_KEY_AT: Final = offset_of(STATE, "id_key")
COLD_CLIENT_ORDER_ID_AT: Final = offset_of(COLD, "client_order_id")
COLD_SESSION_AT: Final = offset_of(COLD, "session")
