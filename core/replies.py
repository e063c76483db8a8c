"""Replies to queries as they lie in the reply rings; ``core.messages`` has their names too."""

from typing import Final

from core.constants import CLIENT_ORDER_ID_BYTES, NAME_BYTES, REPLY_BYTES
from core.layout import Field, offset_of, record

# Also the fields of SET_LIMITS.
LIMIT_FIELDS: Final = (
    "position_max",
    "open_orders_max",
    "exposure_max",
    "orders_per_second",
    "messages_per_fill",
    "deviation_ppm",
    "order_qty_max",
    "order_notional_max",
    "levels_max",
    "short_max",
)

TICK_BANDS: Final = 4  # Of a tick table.

REPLY_PREFIX: Final[list[Field]] = [
    ("request_id", "<i8"),
    ("as_of", "<i8"),  # The newest applied sequence: the answer is the state after it.
    ("session", "<u4"),
    ("index", "<i4"),  # Place within the answer, from 0.
    ("reason", "<u2"),  # UNKNOWN_ORDER, UNKNOWN_ACCOUNT, ...; 0: found.
    ("kind", "u1"),  # Of the query.
    ("flags", "u1"),  # LAST.  QUERY_OPEN_ORDERS: MORE on the last one when a page follows.
    ("count", "<i4"),  # Items in this slot.
]

MORE: Final = 2
ASKS: Final = 8  # QUERY_DEPTH: the levels of this row are asks.
TICKS: Final = 16  # QUERY_INSTRUMENTS: the tick table of the instrument of the row before.
TOO_OLD: Final = 4  # Client ids below ``order_id`` in the reply have left the table.

REPLY: Final = record("reply", REPLY_BYTES, [*REPLY_PREFIX, ("body", "u1", (224,))])

ORDER_REPLY: Final = record(
    "reply with one order",
    REPLY_BYTES,
    [
        *REPLY_PREFIX,
        ("order_id", "<i8"),
        ("price", "<i8"),
        ("order_qty", "<i8"),
        ("leaves", "<i8"),
        ("cum", "<i8"),
        ("cum_notional", "<i8"),
        ("last_price", "<i8"),
        ("fees", "<i8"),
        ("hold", "<i8"),  # Cash with its fee part, or lots.
        ("created_ns", "<i8"),
        ("updated_ns", "<i8"),
        ("expire_ns", "<i8"),
        ("display_qty", "<i8"),
        # Of an order that is open, and only where it has them: 0 or empty otherwise.
        ("stop_price", "<i8"),
        ("trail", "<i8"),  # Ticks; basis points where ``order_flags`` has TRAIL_BPS.
        ("protection_price", "<i8"),
        ("partner", "<i8"),  # Order id of the other order of its pair.
        ("tag", "u1", (CLIENT_ORDER_ID_BYTES,)),
        ("client_order_id", "u1", (CLIENT_ORDER_ID_BYTES,)),
        ("account", "<i4"),
        ("instrument", "<i4"),
        ("end_reason", "<u2"),
        ("side", "u1"),
        ("order_type", "u1"),
        ("time_in_force", "u1"),
        ("self_trade", "u1"),
        ("status", "u1"),
        ("order_flags", "u1"),
    ],
)

AMOUNT_ITEM: Final = record(
    "one balance",
    32,
    [
        ("id", "<i4"),  # Asset.
        ("reserved", "<i4"),
        ("total", "<i8"),  # available + held.
        ("available", "<i8"),
        ("held", "<i8"),
    ],
)
AMOUNTS_PER_REPLY: Final = 7

POSITION_ITEM: Final = record(
    "one position",
    112,
    [
        ("id", "<i4"),  # Instrument.
        ("reserved", "<i4"),
        ("net", "<i8"),  # Lots.
        ("cost", "<i8"),  # Quote units.
        ("held", "<i8"),  # Lots held by open sells; BINARY: reserved lots.
        ("realized", "<i8"),  # Profit in quote units, fees not counted.
        ("bought", "<i8"),  # Lots, ever.
        ("sold", "<i8"),
        # Short sales.
        ("short", "<i8"),  # Lots lent.
        ("shorting", "<i8"),  # Lots that open sells would sell short.
        ("collateral", "<i8"),  # Quote units held for ``short``.
        # Clearing: what the next settlement brings, signed.
        ("due_base", "<i8"),  # Lots.
        ("due_quote", "<i8"),  # Quote units, after fees.
        # Matched outside: what executions took that the account had not.
        ("debt", "<i8"),  # Quote units.
        ("debt_base", "<i8"),  # Base units.
    ],
)
POSITIONS_PER_REPLY: Final = 2

DEPTH_ITEM: Final = record(
    "one price level", 24, [("price", "<i8"), ("qty", "<i8"), ("orders", "<i8")]
)
DEPTH_PER_REPLY: Final = 9  # Bids first, best first; then asks; a slot has one side only.

INSTRUMENT_REPLY: Final = record(
    "reply with one instrument",
    REPLY_BYTES,
    [
        *REPLY_PREFIX,
        ("id", "<i4"),
        ("base_asset", "<i4"),
        ("quote_asset", "<i4"),
        ("maker_ppm", "<i4"),
        ("taker_ppm", "<i4"),
        ("instrument_type", "u1"),
        ("matching", "u1"),
        ("phase", "u1"),
        ("tick_scale", "u1"),
        ("lot_scale", "u1"),
        ("reserved_1", "u1", (7,)),
        ("tick", "<i8"),
        ("lot", "<i8"),
        ("multiplier", "<i8"),
        ("base_per_lot", "<i8"),
        ("payout", "<i8"),
        ("qty_min", "<i8"),
        ("qty_max", "<i8"),
        ("notional_min", "<i8"),
        ("notional_max", "<i8"),
        ("last_price", "<i8"),
        ("symbol", "u1", (NAME_BYTES,)),
        ("reserved_2", "<i4"),
        ("price_min", "<i8"),
        ("price_max", "<i8"),
        ("band_ppm", "<i8"),
        ("reference_price", "<i8"),
        ("max_age_ns", "<i8"),
        ("day_end_ns", "<i8"),
        ("short_ppm", "<i8"),
        ("clearing_ns", "<i8"),
        ("reserved_3", "<i8"),
    ],
)

TICKS_REPLY: Final = record(
    "reply with the tick table of one instrument; only where it has one",
    REPLY_BYTES,
    [
        *REPLY_PREFIX,  # flags: TICKS; count: its bands.
        ("id", "<i4"),
        ("reserved_1", "<i4"),
        ("start", "<i8", (TICK_BANDS,)),  # Ascending; the first is 0.
        ("step", "<i8", (TICK_BANDS,)),
        ("reserved_2", "<i8", (19,)),
    ],
)

STATS_REPLY: Final = record(
    "reply with the statistics of one instrument",
    REPLY_BYTES,
    [
        *REPLY_PREFIX,
        ("id", "<i8"),
        ("last_price", "<i8"),
        ("day", "<i8"),  # Number of the day of the newest trade; all of ``day_*`` is of that day.
        ("day_ends_ns", "<i8"),  # 0: nothing was traded yet.
        ("day_open", "<i8"),
        ("day_high", "<i8"),
        ("day_low", "<i8"),
        ("day_volume", "<i8"),  # Lots.
        ("day_notional", "<i8"),  # Quote units: VWAP = notional / volume.
        ("day_trades", "<i8"),
        ("volume", "<i8"),  # Of all time.
        ("notional", "<i8"),
        ("trades", "<i8"),
        ("reserved", "<i8", (15,)),
    ],
)

LIMITS_REPLY: Final = record(
    "reply with the limits of an account (instrument 0), or of it in one instrument; no limits: "
    "count 0",
    REPLY_BYTES,
    [
        *REPLY_PREFIX,
        ("account", "<i4"),
        ("instrument", "<i4"),
        *((name, "<i8") for name in LIMIT_FIELDS),
        # What counts against them now.
        ("open_orders", "<i8"),
        ("exposure", "<i8"),  # A sum that does not fit a word is told as 2^63 - 1.
        ("levels", "<i8"),
        ("in_second", "<i8"),  # Orders of the second of the newest command.
        ("messages", "<i8"),  # Of its day.
        ("fills", "<i8"),
        ("buying", "<i8"),  # Lots of open orders in the instrument.
        ("selling", "<i8"),
        ("reserved", "<i8", (9,)),
    ],
)

TEST_REPLY: Final = record(
    "reply with what would become of an order",
    REPLY_BYTES,
    [
        *REPLY_PREFIX,  # reason: why it would be rejected.
        ("limit", "<i8"),
        ("value", "<i8"),
        ("price", "<i8"),  # As it would slide.
        ("stop_price", "<i8"),
        ("hold", "<i8"),  # As ``cum`` of ORDER_ACCEPTED.
        ("reserved", "<i8", (23,)),
    ],
)

NAME_REPLY: Final = record(
    "reply with one asset, account or session",
    REPLY_BYTES,
    [
        *REPLY_PREFIX,
        ("id", "<i8"),
        ("scale", "<i8"),
        ("last_request_id", "<i8"),  # Session: the newest one sequenced.
        ("status", "<i8"),
        ("name", "u1", (NAME_BYTES,)),
        ("reserved_1", "<i4"),
        ("reserved_2", "u1", (152,)),
    ],
)

REPLY_BODY: Final = offset_of(REPLY, "body")
assert REPLY_BODY + AMOUNTS_PER_REPLY * AMOUNT_ITEM.itemsize <= REPLY_BYTES
assert REPLY_BODY + POSITIONS_PER_REPLY * POSITION_ITEM.itemsize <= REPLY_BYTES
assert REPLY_BODY + DEPTH_PER_REPLY * DEPTH_ITEM.itemsize <= REPLY_BYTES
ORDER_REPLY_CLIENT_ORDER_ID_AT: Final = offset_of(ORDER_REPLY, "client_order_id")
ORDER_REPLY_TAG_AT: Final = offset_of(ORDER_REPLY, "tag")
