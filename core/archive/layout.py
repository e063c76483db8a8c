"""The bytes of the event archive: segments, blocks, events.  Little endian.

A segment is one file: a header of 4,096 bytes, then blocks without a gap up to the end of the file.
A block is a header of 128 bytes and 1 to 4,096 events of 128 bytes, byte for byte as the output
ring had them.  Keys, which are (sequence, index), rise strictly through the whole archive: an
event is followed by the next index of its command until flag LAST, then by index 0 of a later
sequence.  The archive is a cache of what the journal says, and may be deleted.  (architecture.md,
decision 12)
"""

from typing import Final

from core.constants import EVENT_BYTES
from core.layout import offset_of, record

Key = tuple[int, int]  # (sequence, index) of an event.

FORMAT_MAJOR: Final = 1
FORMAT_MINOR: Final = 0
MAGIC: Final = b"OUTCRYE1"
BLOCK_MAGIC: Final = 0x4B4C_4245  # "EBLK".
SEGMENT_HEADER_BYTES: Final = 4_096
BLOCK_HEADER_BYTES: Final = 128
BLOCK_EVENTS_MAX: Final = 4_096
BLOCK_BYTES_MAX: Final = BLOCK_HEADER_BYTES + BLOCK_EVENTS_MAX * EVENT_BYTES
SEGMENT_BYTES: Final = 64 << 20
SEGMENT_BYTES_MIN: Final = SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES + EVENT_BYTES

INDEX_MAX: Final = (1 << 31) - 1
NOTHING: Final[Key] = (0, -1)  # Before the first event.
GAP: Final = 1  # Flag of a segment: the events before it were not at hand.

EVENT_SEGMENT: Final = record(
    "header of a segment of the event archive; zeros follow up to 4,096 bytes",
    256,
    [
        ("magic", "u1", (8,)),
        ("format_major", "<u2"),
        ("format_minor", "<u2"),
        ("header_bytes", "<u4"),
        ("header_crc32c", "<u4"),  # Of all 4,096 bytes, this field as zero.
        ("flags", "<u4"),  # GAP
        ("journal_uuid", "u1", (16,)),
        ("segment_no", "<i8"),  # From 1.
        ("first_sequence", "<i8"),  # Its first event.
        ("first_index", "<i8"),
        ("after_sequence", "<i8"),  # It holds every event behind this one; 0, -1: from genesis.
        ("after_index", "<i8"),  # 2^31 - 1: behind all events of that sequence.
        ("newest_sequence", "<i8"),  # The last event of the segment before, whichever it was.
        ("newest_index", "<i8"),
        ("first_block_no", "<i8"),
        ("prev_crc32c", "<i8"),  # Of the block before its first one.
        ("created_ns", "<i8"),
        ("event_bytes", "<u4"),
        ("event_schema", "<u4"),
        ("reserved", "<i8", (16,)),
    ],
)
EVENT_BLOCK: Final = record(
    "header of a block of the event archive",
    BLOCK_HEADER_BYTES,
    [
        ("magic", "<u4"),
        ("header_crc32c", "<u4"),  # Of bytes 8-127.
        ("payload_crc32c", "<u4"),  # Of its events.
        ("flags", "<u4"),  # 0.
        ("count", "<i8"),  # Events, 1 to 4,096.
        ("salt", "<i8"),  # The first eight bytes of the journal's uuid.
        ("segment_no", "<i8"),
        ("offset", "<i8"),  # Of this header in the file.
        ("block_no", "<i8"),  # From 1, through all segments.
        ("first_sequence", "<i8"),
        ("last_sequence", "<i8"),
        ("first_index", "<i4"),
        ("last_index", "<i4"),
        ("hash_before", "<i8"),  # Rolling hash of the event stream; 0: not known.
        ("hash_after", "<i8"),
        ("prev_crc32c", "<i8"),  # header_crc32c of the block before.
        ("reserved", "<i8", (3,)),
    ],
)
HEADER_CRC_AT: Final = offset_of(EVENT_SEGMENT, "header_crc32c")

# What ``scan.next_block`` finds wrong, as negative numbers.
BAD_MAGIC: Final = -1
BAD_HEADER: Final = -2
BAD_COUNT: Final = -3
BAD_PLACE: Final = -4
BAD_LINK: Final = -5
BAD_PAYLOAD: Final = -6
BAD_ORDER: Final = -7
FAULTS: Final = {
    BAD_MAGIC: "no block begins here",
    BAD_HEADER: "the header of the block does not match its checksum",
    BAD_COUNT: "a block of no or too many events",
    BAD_PLACE: "a block of another journal, segment, offset or number",
    BAD_LINK: "the block does not follow from the one before it",
    BAD_PAYLOAD: "the events of the block do not match their checksum",
    BAD_ORDER: "the events of the block are not in order",
}

WRITER: Final = record(
    "state of the archive writer; private memory",
    128,
    [
        ("fd", "<i8"),
        ("offset", "<i8"),  # Where the next block goes.
        ("segment_bytes", "<i8"),
        ("segment_no", "<i8"),
        ("block_no", "<i8"),  # Of the next block.
        ("prev_crc32c", "<i8"),
        ("sequence", "<i8"),  # Of the newest event.
        ("index", "<i8"),
        ("ended", "<i8"),  # 1: it was the last one of its command.
        ("event_hash", "<i8"),
        ("salt", "<i8"),
        ("staging", "<i8"),  # Address of BLOCK_BYTES_MAX bytes.
        ("reserved", "<i8", (4,)),
    ],
)
CURSOR: Final = record(
    "state of a reader of one segment; private memory",
    256,
    [
        ("window", "<i8"),  # Address of bytes of the file,
        ("filled", "<i8"),  # how many,
        ("place", "<i8"),  # and how many of them were used.
        ("left", "<i8"),  # Events of the block at ``place`` that were not given yet.
        ("offset", "<i8"),  # In the file: of the next block to check.
        ("segment_no", "<i8"),
        ("salt", "<i8"),
        ("block_no", "<i8"),  # Of the next block.
        ("prev_crc32c", "<i8"),
        ("sequence", "<i8"),  # Of the newest event that was checked.
        ("index", "<i8"),
        ("ended", "<i8"),
        ("event_hash", "<i8"),
        ("skip_sequence", "<i8"),  # Events up to this one are not given.
        ("skip_index", "<i8"),
        ("status", "<i8"),  # 0: more bytes are needed; negative: what is wrong.
        ("reserved", "<i8", (16,)),
    ],
)
