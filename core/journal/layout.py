"""The bytes of the journal: segments, blocks, payloads.  Little endian, permanent.

A segment is one file: a header of 4,096 bytes, then contiguous blocks, then zeros.  A block is a
header of 128 bytes, a payload, and padding of 0xA5 up to a multiple of the alignment (4,096 in
``sync``, 512 in ``relaxed``).  On the disk every sector of 512 bytes ends in a stamp of 8 bytes,
so a sector carries 504 bytes of the block; the stamp says which sector of which block it is, and
is never zero.  reliability.md 2.2, architecture decisions 3 and 4.
"""

from typing import Final

from core.constants import BATCH_SLOTS_MAX, RECORD_BYTES_MAX, SEQUENCE_MAX, SLOT_BYTES
from core.crc32c import CRC_FIELD_AT
from core.crc32c import SLOT_BYTES as CRC_SLOT_BYTES
from core.layout import offset_of, record
from core.limits import LIMITS
from core.messages import CRC_AT

FORMAT_MAJOR: Final = 1
FORMAT_MINOR: Final = 0

SECTOR_BYTES: Final = 512
STAMP_BYTES: Final = 8
SECTOR_DATA: Final = SECTOR_BYTES - STAMP_BYTES
PADDING: Final = 0xA5
STAMP_SHIFT: Final = 16  # stamp = (block_no << 16 | sector index) ^ salt

ALIGN_SYNC: Final = 4096
ALIGN_RELAXED: Final = 512
SEGMENT_HEADER_BYTES: Final = 4096
SEGMENT_BYTES: Final = 64 << 20
SEGMENT_BYTES_MIN: Final = 256 << 10  # Tests and small machines.
BLOCK_HEADER_BYTES: Final = 128
BLOCK_BYTES_MAX: Final = 64 << 10
PAYLOAD_BYTES_MAX: Final = BLOCK_BYTES_MAX // SECTOR_BYTES * SECTOR_DATA - BLOCK_HEADER_BYTES

# Kinds of blocks.  Only DATA takes sequences.
DATA: Final = 1
MARKER: Final = 2
EPOCH_START: Final = 3
CHECKPOINT: Final = 4
SEAL: Final = 5
PAD: Final = 6  # Kept.
GENESIS: Final = 7
KINDS: Final = {
    DATA: "DATA",
    MARKER: "MARKER",
    EPOCH_START: "EPOCH_START",
    CHECKPOINT: "CHECKPOINT",
    SEAL: "SEAL",
    PAD: "PAD",
    GENESIS: "GENESIS",
}

# Durability.
SYNC: Final = 1
RELAXED: Final = 2
DURABILITIES: Final = {"sync": SYNC, "relaxed": RELAXED}
DURABILITY_NAMES: Final = {number: name for name, number in DURABILITIES.items()}
ALIGNS: Final = {SYNC: ALIGN_SYNC, RELAXED: ALIGN_RELAXED}

BLOCK: Final = record(
    "header of a block",
    BLOCK_HEADER_BYTES,
    [
        ("magic", "<u4"),
        ("header_crc32c", "<u4"),  # Of bytes 8-127.
        ("format", "<u2"),
        ("kind", "<u2"),
        ("block_bytes", "<u4"),  # On the disk, stamps and padding included.
        ("payload_bytes", "<u4"),
        ("record_count", "<u4"),  # Commands; 0 unless DATA.
        ("salt", "<i8"),  # Of the segment.
        ("block_no", "<i8"),  # From 1, through all segments.
        ("first_sequence", "<i8"),  # Other than DATA: the next sequence to be given.
        ("last_sequence", "<i8"),  # Other than DATA: the newest sequence in the journal.
        ("epoch", "<i8"),
        ("durable_sequence", "<i8"),  # Known durable when this block was formed.
        ("timestamp_ns", "<i8"),
        ("prev_chain_a", "<i8"),
        ("prev_chain_b", "<i8"),
        ("payload_crc32c", "<u4"),  # Of the bytes on the disk from 128 to the block's end.
        ("shard", "<u4"),  # 0.
        ("chain_a", "<i8"),  # Over the chain before and bytes 8-103.
        ("chain_b", "<i8"),
        ("reserved", "<i8"),
    ],
)
BLOCK_MAGIC: Final = int.from_bytes(b"OBLK", "little")

SEGMENT: Final = record(
    "header of a segment",
    384,
    [
        ("magic", "u1", (8,)),
        ("format_major", "<u2"),
        ("format_minor", "<u2"),
        ("header_bytes", "<u4"),
        ("header_crc32c", "<u4"),  # Of all 4,096 bytes, this field as zero.
        ("flags", "<u4"),  # FLAG_RELAXED
        ("journal_uuid", "u1", (16,)),
        ("segment_no", "<i8"),  # From 1.
        ("first_sequence", "<i8"),  # The next sequence when the segment was activated.
        ("epoch", "<i8"),
        ("salt", "<i8"),
        ("first_block_no", "<i8"),
        ("prev_chain", "<i8", (2,)),
        ("segment_bytes", "<i8"),
        ("block_align", "<u4"),
        ("algorithms", "<u2", (4,)),  # Checksum, chain, stamp, compression.
        ("engine_version", "<u4"),
        ("created_ns", "<i8"),
        ("build", "u1", (20,)),
        ("reserved_1", "<u4"),
        ("versions", "u1", (64,)),
        ("reserved_2", "<i8", (21,)),
    ],
)
SEGMENT_MAGIC: Final = b"OUTCRYJ1"
FLAG_RELAXED: Final = 1
ALGORITHMS: Final = (1, 1, 1, 0)  # CRC32C, two mix lanes, XOR stamp, none.
assert SEGMENT.itemsize <= SECTOR_DATA

# Payloads.
GENESIS_PAYLOAD: Final = LIMITS

EPOCH_PAYLOAD: Final = record(
    "payload of EPOCH_START, the first block after every recovery",
    320,
    [
        ("last_sequence", "<i8"),  # The newest sequence that was recovered.
        ("next_sequence", "<i8"),  # last + 1, or after a loss last + a multiple of 2^26.
        ("lost_first", "<i8"),  # The lost range; 0, 0: nothing was lost.
        ("lost_last", "<i8"),
        ("truncated_bytes", "<i8"),
        ("truncated_segment", "<i8"),
        ("truncated_offset", "<i8"),
        ("prev_chain", "<i8", (2,)),
        ("wall_ns", "<i8"),
        ("engine_version", "<u4"),
        ("durability", "<u4"),
        ("boot_id", "u1", (16,)),  # Of the machine: page cache outlives a process, not a boot.
        ("build", "u1", (20,)),
        ("reserved_1", "<u4"),
        ("without_witness", "u1", (32,)),  # Kept.
        ("versions", "u1", (64,)),
        ("reserved_2", "<i8", (12,)),
    ],
)

MARKER_PAYLOAD: Final = record("payload of MARKER", 16, [("cause", "<i8"), ("reserved", "<i8")])
MARKER_IDLE: Final = 1
MARKER_CLOSED: Final = 2  # A clean stop: everything before it was durable.

CHECKPOINT_PAYLOAD: Final = record(
    "payload of CHECKPOINT; ``sum_count`` rows of CHECKPOINT_SUM follow",
    128,
    [
        ("sequence", "<i8"),
        ("event_hash", "<i8", (2,)),  # Rolling, over the stream of events.
        ("command_count", "<i8"),
        ("event_count", "<i8"),
        ("trade_count", "<i8"),
        ("open_orders", "<i8"),
        ("sums_hash", "<i8"),  # Over the sums per asset.
        ("sum_count", "<i8"),
        ("reserved", "<i8", (7,)),
    ],
)
CHECKPOINT_SUM: Final = record("sum of one asset", 16, [("asset", "<i8"), ("amount", "<i8")])

SEAL_PAYLOAD: Final = record(
    "payload of SEAL",
    48,
    [
        ("last_sequence", "<i8"),
        ("block_count", "<i8"),  # Of the segment, the seal included.
        ("prev_chain", "<i8", (2,)),  # The chain up to the seal.
        ("cause", "<i8"),
        ("reserved", "<i8"),
    ],
)
SEAL_FULL: Final = 1
SEAL_DURABILITY: Final = 2  # The next segment has the other durability.

BUILD_AT: Final = offset_of(EPOCH_PAYLOAD, "build")
HEADER_CRC_AT: Final = offset_of(SEGMENT, "header_crc32c")
CHAINED_FIRST: Final = 8
CHAINED_END: Final = 104


def block_bytes_of(payload_bytes: int, align: int) -> int:
    """Bytes on the disk of a block with that payload (plain twin of ``blocks.block_bytes``)."""
    sectors = -(-(BLOCK_HEADER_BYTES + payload_bytes) // SECTOR_DATA)
    return -(-sectors * SECTOR_BYTES // align) * align


assert offset_of(BLOCK, "salt") == 24
assert offset_of(BLOCK, "prev_chain_a") == 80
assert offset_of(BLOCK, "payload_crc32c") == 96
assert offset_of(BLOCK, "chain_a") == CHAINED_END
assert CRC_FIELD_AT == CRC_AT
assert CRC_SLOT_BYTES == SLOT_BYTES
assert block_bytes_of(BATCH_SLOTS_MAX * SLOT_BYTES, ALIGN_SYNC) <= BLOCK_BYTES_MAX
assert block_bytes_of(PAYLOAD_BYTES_MAX, ALIGN_SYNC) == BLOCK_BYTES_MAX
assert block_bytes_of(SEAL_PAYLOAD.itemsize, ALIGN_RELAXED) == ALIGN_RELAXED, "room kept for SEAL"
assert block_bytes_of(MARKER_PAYLOAD.itemsize, ALIGN_RELAXED) == ALIGN_RELAXED
assert block_bytes_of(EPOCH_PAYLOAD.itemsize, ALIGN_RELAXED) == ALIGN_RELAXED
assert RECORD_BYTES_MAX == 512
assert SEQUENCE_MAX < 1 << 41, "block numbers stay below 2^46, so a stamp fits a word"
