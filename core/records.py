"""The rows of the state as they lie in memory: every table of the exchange, declared once.

Row 0 of every table is unused: 0 is "none".  The arena holds levels and orders in one space of
32-byte units, because a price level is the sentinel of the circular list of its orders: a level is
one unit, an order two, and both begin with LINK.  Unlinking is then two stores without a test.
"""

from typing import Final

from core.layout import offset_of, record
from core.messages import LIMIT_FIELDS

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
        ("opener", "<i4"),  # Account that came here first since it was empty.
        ("hidden", "<i8"),  # Lots of icebergs that are not shown.
    ],
)

ORDER: Final = record(
    "order, hot half: what matching touches",
    64,
    [
        ("next", "<i4"),  # Newer order of the level; free list and nothing else when not resting.
        ("prev", "<i4"),
        ("level", "<i4"),  # Unit of its level; 0 when not resting.
        ("extra", "<i4"),  # Row of its terms that most orders do not have; 0: it has none.
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
        ("hold_lots", "<i8"),  # BINARY: own lots that it closes with.  Short sale: lots it has not.
        ("last_price", "<i8"),
        ("created_ns", "<i8"),
        ("updated_ns", "<i8"),
        ("fees", "<i8"),  # Quote units paid so far; negative: rebates.
        # Short sale: cash held besides.  Matched outside: the order quantity that is asked for.
        ("short_cash", "<i8"),
    ],
)

ROUTED: Final = record(
    "ORDER, hot half, where the order is matched outside: it never stands in a book",
    64,
    [
        ("route", "<i4"),  # Requests so far.
        ("asked", "<i4"),  # ROUTE_CANCEL or ROUTE_REPLACE, while one is under way; 0: none.
        ("level", "<i4"),  # 0.
        ("extra", "<i4"),
        ("order_id", "<i8"),
        ("price", "<i8"),
        ("asked_price", "<i8"),  # 0 once the order has ended; then it is ``shown``.
        ("leaves", "<i8"),
        ("cum", "<i8"),
        ("cum_notional", "<i8"),
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
        ("status", "u1"),  # ACCOUNT_*; 0 as ACTIVE.
        ("self_trade", "u1"),
        ("roles", "u1"),
        ("special", "u1"),  # SPECIAL_*: what a plain order has not to ask for; 0: nothing.
        ("limits", "<i4"),  # Row of its limits; 0: none.
        ("owner", "<i8"),  # Kept.
        ("created_ns", "<i8"),
        ("dead_man", "<i4"),  # Place of its dead-man timer among the deadlines; 0: none.
        ("reserved_1", "<i4"),
        ("reserved_2", "<i8", (6,)),
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
    192,
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
        ("held", "<i8"),  # Lots of open sells; BINARY: reserved lots.
        # The second line: what only some instruments have.
        ("reserved_yes", "<i8"),  # BINARY: own lots that open sells close with.
        ("short", "<i8"),  # Short sale: lots lent.
        ("shorting", "<i8"),  # Lots that open sells would sell short.
        ("collateral", "<i8"),  # Short sale: quote units held for ``short``.
        ("due_base", "<i8"),  # Clearing: lots that the next settlement brings, signed.
        ("due_quote", "<i8"),  # Quote units.
        ("kept", "<i4"),
        ("limits", "<i4"),  # Row of its limits; 0: none.
        ("settled", "<i8"),  # Net lots that a settlement paid.
        # The third.
        ("due_held_base", "<i8"),  # Clearing: held for it.
        ("due_held_quote", "<i8"),
        ("due_bought", "<i8"),  # Gross notional, for the settlement to tell.
        ("due_sold", "<i8"),
        ("reserved_no", "<i8"),  # BINARY: own NO lots that open buys close with.
        ("debt", "<i8"),  # Matched outside: quote units that executions took and it had not.
        ("debt_base", "<i8"),  # Base units.
        ("reserved", "<i8"),
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

TICK_BANDS: Final = 4
INSTRUMENT: Final = record(
    "instrument",
    512,
    [
        # The first line: what every order asks.
        ("special", "<i4"),  # INSTRUMENT_*: what a plain order has not to ask for; 0: nothing.
        ("pending", "<i4"),  # Stops that wait.
        ("base_asset", "<i4"),
        ("quote_asset", "<i4"),
        ("maker_ppm", "<i4"),
        ("taker_ppm", "<i4"),
        ("hold_ppm", "<i4"),  # max(maker, taker, 0).
        ("fees_balance", "<i4"),
        ("multiplier", "<i8"),
        ("base_per_lot", "<i8"),
        ("price_limit", "<i8"),
        ("qty_low", "<i8"),  # max(1, qty_min).
        # The second: the rest of that, and what a trade changes.
        ("qty_high", "<i8"),  # min(qty_max, what base units allow).
        ("notional_min", "<i8"),
        ("notional_max", "<i8"),
        ("last_price", "<i8"),
        ("trades", "<i8"),
        ("volume", "<i8"),
        ("notional", "<i8"),
        ("day", "<i8"),  # Number of the day of the newest trade.
        # The third: that day.
        ("day_open", "<i8"),
        ("day_high", "<i8"),
        ("day_low", "<i8"),
        ("day_volume", "<i8"),
        ("day_notional", "<i8"),
        ("day_trades", "<i8"),
        ("day_ends_ns", "<i8"),  # When the day of the newest trade is over.
        ("open_orders", "<i4"),  # Matched outside; a book counts its own.
        ("trailing", "<i4"),
        # The rest.
        ("symbol", "u1", (36,)),
        ("instrument_type", "u1"),
        ("matching", "u1"),
        ("phase", "u1"),
        ("tick_scale", "u1"),
        ("lot_scale", "u1"),
        ("reserved_1", "u1", (3,)),
        ("trailing_first", "<i4"),  # Extra row of the trailing order that waits longest.
        ("trailing_last", "<i4"),
        ("outside_position", "<i4"),  # Matched outside: row of (`outside`, instrument).
        ("kept", "<i4"),
        ("clearing", "<i4"),  # Place of its clearing among the deadlines; 0: nothing is due.
        ("tick", "<i8"),
        ("lot", "<i8"),
        ("payout", "<i8"),
        ("qty_min", "<i8"),
        ("qty_max", "<i8"),
        ("price_min", "<i8"),
        ("price_max", "<i8"),
        ("band_ppm", "<i8"),
        ("reference_price", "<i8"),
        ("max_age_ns", "<i8"),
        ("day_end_ns", "<i8"),
        ("short_ppm", "<i8"),
        ("clearing_ns", "<i8"),
        ("pot", "<i8"),  # BINARY: quote units behind the lots that are out.
        ("settled_price", "<i8"),
        ("due_fees", "<i8"),  # Clearing: what the fees account is to get,
        ("due_rebates", "<i8"),  # and what it holds for rebates.
        ("tick_from", "<i8", (TICK_BANDS,)),
        ("tick_step", "<i8", (TICK_BANDS,)),
        ("reserved_2", "<i8", (7,)),
    ],
)

# INSTRUMENT.special and ACCOUNT.special.
INSTRUMENT_PHASE: Final = 1  # Not open.
INSTRUMENT_TICKS: Final = 2  # Has a tick table.
INSTRUMENT_BAND: Final = 4  # Has bounds of prices.
INSTRUMENT_AGE: Final = 8
INSTRUMENT_BINARY: Final = 16
INSTRUMENT_SHORT: Final = 32
INSTRUMENT_CLEARED: Final = 64
INSTRUMENT_OUTSIDE: Final = 128
INSTRUMENT_MONEY: Final = 16 | 32 | 64 | 128  # Its holds or fills are not plain ones.
SPECIAL_SUSPENDED: Final = 1
SPECIAL_KILLED: Final = 2
SPECIAL_SELF_TRADE: Final = 4
SPECIAL_LIMITS: Final = 8

EXTRA: Final = record(
    "what only some orders have",
    128,
    [
        ("slot", "<i4"),  # Of its order; 0: the row is free.
        ("deadline", "<i4"),  # Its place among the deadlines; 0: it has none.
        ("next", "<i4"),  # Free list; trailing orders of an instrument, oldest first.
        ("prev", "<i4"),
        ("display_qty", "<i8"),
        ("stop_price", "<i8"),  # Of an order that waits or has waited.
        ("trail", "<i8"),
        ("protection_price", "<i8"),
        ("expire_ns", "<i8"),
        ("partner", "<i8"),  # Order id.
        ("shared", "<i8"),  # What its partner holds for both.
        ("tag", "u1", (36,)),
        ("reserved", "<i4", (5,)),
    ],
)

DRAFT: Final = record(
    "what the checks of an order found out, for its entry; not state",
    192,
    [
        ("price", "<i8"),  # As it slid.
        ("stop_price", "<i8"),
        ("cash", "<i8"),  # To be held of the quote asset, the fee part with it.
        ("fee", "<i8"),  # ``hold_fee`` of the row.
        ("lots", "<i8"),  # ``hold_lots`` of the row.
        ("short_cash", "<i8"),
        ("shared", "<i8"),  # What the partner holds already.
        ("expire_ns", "<i8"),  # 0: it has no deadline.
        ("partner", "<i4"),  # Slot.
        ("self_trade", "<i4"),  # In force.
        ("crosses", "<i4"),
        ("needs_extra", "<i4"),
        # For the limits of its account.
        ("qty", "<i8"),  # The order quantity.
        ("leaves", "<i8"),
        ("own_leaves", "<i8"),  # A replace: as the order is.
        ("own_notional", "<i8"),
        ("stays", "<i4"),  # A new order that may stay open.
        ("opens", "<i4"),  # It would open a level.
        ("closes", "<i4"),  # It would leave a level empty that its account opened.
        ("reserved_1", "<i4"),
        ("multiplier", "<i8"),
        ("exec_key", "u1", (40,)),  # An execution: 36 bytes that stand for its source and id.
        ("reserved_2", "<i8", (2,)),
    ],
)

REACH: Final = record(
    "the trades that move no trailing stop of an instrument; not state, and 0 after a start",
    16,
    [
        ("high", "<i8"),  # From ``low`` to here no trade moves one; 0: not known.
        ("low", "<i8"),
    ],
)

DEADLINE: Final = record(
    "deadline; a binary heap by (when, sequence), the first at place 1",
    32,
    [
        ("when_ns", "<i8"),
        ("sequence", "<i8"),  # Of the command that set it.
        ("kind", "<i4"),  # DUE_*.
        ("row", "<i4"),  # Extra row, account or instrument.
        ("reserved", "<i8"),
    ],
)
DUE_ORDER: Final = 1
DUE_DEAD_MAN: Final = 2
DUE_CLEARING: Final = 3

LIMIT_ROW: Final = record(
    "limits of an account, as a whole or in one instrument; 0: none",
    192,
    [
        ("account", "<i4"),
        ("instrument", "<i4"),  # 0: as a whole.
        *((name, "<i8") for name in LIMIT_FIELDS),
        # As a whole.  A sum is high x 2^62 + the word before it, which is below 2^62.
        ("exposure", "<i8"),
        ("exposure_high", "<i8"),
        ("second", "<i8"),
        ("in_second", "<i8"),
        ("day", "<i8"),
        ("messages", "<i8"),
        ("fills", "<i8"),
        ("levels", "<i4"),  # Levels that it opened and that still have orders.
        ("open_orders", "<i4"),  # In one instrument, as all of the following.
        ("buying", "<i8"),  # Lots of open orders.
        ("buying_high", "<i8"),
        ("selling", "<i8"),
        ("selling_high", "<i8"),
        ("reserved", "<i8"),
    ],
)

SESSION: Final = record(
    "session",
    64,
    [
        ("session", "<u4"),
        ("flags", "<u4"),  # CANCEL_ON_DISCONNECT.
        ("last_request_id", "<i8"),
        ("account", "<i4"),  # For whom it speaks; 0: for nobody in particular.
        ("is_open", "<i4"),
        ("counted", "<i8"),  # Within a command: orders that end with it.
        ("reserved", "<i8", (4,)),
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
    1280,
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
        ("extras", "<i8"),
        ("deadlines", "<i8"),
        ("limit_rows", "<i8"),
        ("limit_table", "<i8"),
        ("draft", "<i8"),
        ("cascade", "<i8"),  # i8 heap of order ids: triggered, not matched yet.
        ("order_base", "<i8"),  # Unit of order slot 0.
        ("page_mask", "<i8"),
        ("node_mask", "<i8"),
        ("queue_mask", "<i8"),
        ("bucket_mask", "<i8"),
        ("name_mask", "<i8"),
        ("balance_mask", "<i8"),
        ("position_mask", "<i8"),
        ("session_mask", "<i8"),
        ("limit_mask", "<i8"),
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
        ("extras_max", "<i8"),
        ("limits_max", "<i8"),
        ("deadlines_max", "<i8"),
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
        ("cascade_count", "<i8"),
        ("first_trade", "<i8"),  # Price of the first and last trade of the sweep at hand; 0: none.
        ("last_trade", "<i8"),
        ("orphan", "<i8"),  # Slot of the order whose partner has just ended; 0: none.
        ("dry", "<i8"),  # 1: a check that changes nothing.
        ("kind", "<i8"),  # Of the command at hand.
        ("paired", "<i8"),  # Cash of pairs of lots that an order gave back; not told yet.
        ("reaches", "<i8"),  # REACH of each instrument.
        ("spare", "<i8", (3,)),
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
        ("killed", "<i8"),  # The kill switch of all.
        ("extras_used", "<i8"),
        ("extras_free", "<i8"),  # Head of the list of rows that were given back.
        ("extras_count", "<i8"),
        ("limits_used", "<i8"),
        ("deadlines_count", "<i8"),
        ("reserved", "<i8", (46,)),
    ],
)
COUNTERS_AT: Final = offset_of(STATE, "sequence")
ID_KEY_AT: Final = offset_of(STATE, "id_key")
COLD_CLIENT_ORDER_ID_AT: Final = offset_of(COLD, "client_order_id")
COLD_SESSION_AT: Final = offset_of(COLD, "session")
SYMBOL_AT: Final = offset_of(INSTRUMENT, "symbol")
ACCOUNT_BYTES: Final = ACCOUNT.itemsize
DRAFT_BYTES: Final = DRAFT.itemsize
EXTRA_BYTES: Final = EXTRA.itemsize
INSTRUMENT_BYTES: Final = INSTRUMENT.itemsize
