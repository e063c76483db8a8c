"""Every fixed limit of the formats, and the relations between them, asserted at import.

Limits that an operator chooses (how many orders, accounts, ...) are in ``core.limits``.
"""

from typing import Final

# Records (architecture decisions 7, 8).
SLOT_BYTES: Final = 128
COMMAND_SLOTS_MAX: Final = 4
RECORD_BYTES_MAX: Final = COMMAND_SLOTS_MAX * SLOT_BYTES
EVENT_BYTES: Final = 128
REPLY_BYTES: Final = 256

# Text.
CLIENT_ORDER_ID_BYTES: Final = 36
NAME_BYTES: Final = 36
SYMBOL_CHARS_MAX: Final = 32
REFERENCE_BYTES: Final = 64

# Identifiers (decision 9): order_id = sequence << ORDER_SLOT_BITS | slot.
ORDER_SLOT_BITS: Final = 22
ORDER_SLOT_MASK: Final = (1 << ORDER_SLOT_BITS) - 1
SEQUENCE_MAX: Final = (1 << 41) - 1
SEQUENCE_ALARM: Final = SEQUENCE_MAX // 100 * 99  # From here on only cancels are taken.
SEQUENCE_JUMP: Final = 1 << 26  # After a truncation of a relaxed journal.
GATEWAY_SHIFT: Final = 24  # The gateway is the top byte of a session.
GATEWAYS_MAX: Final = 255

# Numbers (decision 10).
WORD_MOST: Final = (1 << 63) - 1  # Of a signed word.
MONEY_MAX: Final = (1 << 62) - 1  # One amount, one level's quantity, the issued supply of an asset.
PRICE_MAX: Final = (1 << 48) - 1  # Ticks; bounds the keys of the price index.
QTY_MAX: Final = MONEY_MAX  # Lots.
PPM: Final = 1_000_000
FEE_PPM_MAX: Final = 100_000
SCALE_MAX: Final = 12  # Decimals of an asset, a tick or a lot.

# Batches and blocks (decision 2).
BATCH_SLOTS_MAX: Final = 256
RING_POLL_SLOTS: Final = 64
SWEEP_PUBLISH_EVENTS: Final = 1_024
CHECKPOINT_COMMANDS: Final = 65_536
CHECKPOINT_NS: Final = 1_000_000_000

# Rings (decisions 11, 12, 19).
INBOUND_SLOTS: Final = 16_384
OUTPUT_EVENTS: Final = 262_144
REPLY_SLOTS: Final = 4_096
CANCEL_LANE_DIVISOR: Final = 8  # The last eighth of an inbound ring is for cancels.

# Answers to queries.
OPEN_ORDERS_PAGE_MAX: Final = 64
DEPTH_LEVELS_MAX: Final = 1_000
FILLS_ANSWERED_MAX: Final = 1_000

# The price index: 64 prices a page, a 64-ary trie over the pages.
PAGE_BITS: Final = 6
PAGE_LEVELS: Final = 1 << PAGE_BITS
PAGE_INDEX_BITS: Final = 42
BOOKSIDE_BITS: Final = 16
STOP_SIDES: Final = 1 << (BOOKSIDE_BITS - 1)  # From here on lie the sides where stops wait.
TRAILING_MAX: Final = 4_096  # Trailing stops that wait in one instrument.
DUE_MAX: Final = 1_024  # Deadlines that one TIME runs.
DAY_NS: Final = 86_400_000_000_000
SECOND_NS: Final = 1_000_000_000
TRIE_TIERS: Final = 7
PROBES_MAX: Final = 1_024  # A longer run of occupied entries is a full table.

assert COMMAND_SLOTS_MAX <= BATCH_SLOTS_MAX
assert PRICE_MAX < 1 << (PAGE_INDEX_BITS + PAGE_BITS)
assert TRIE_TIERS * PAGE_BITS == PAGE_INDEX_BITS
assert PAGE_INDEX_BITS + BOOKSIDE_BITS + 3 < 63, "page keys and their tier fit a signed word"
assert (SEQUENCE_MAX << ORDER_SLOT_BITS) + ORDER_SLOT_MASK < 1 << 63
assert MONEY_MAX + MONEY_MAX < 1 << 63, "available + held of one balance fits a word"
assert FEE_PPM_MAX * (MONEY_MAX // PPM) < 1 << 62 and FEE_PPM_MAX * PPM < 1 << 62
assert RING_POLL_SLOTS >= COMMAND_SLOTS_MAX
assert OUTPUT_EVENTS >= 262_144 and OUTPUT_EVENTS & (OUTPUT_EVENTS - 1) == 0
assert INBOUND_SLOTS & (INBOUND_SLOTS - 1) == 0 and REPLY_SLOTS & (REPLY_SLOTS - 1) == 0
