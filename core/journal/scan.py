"""Reading blocks one after the other out of the bytes of a segment, fully checked.  Compiled.

One call takes as many DATA blocks as fit the target and lays their slots side by side; it stops
in front of what Python has to look at: a block of another kind, or a place with no valid block.
"""

from typing import Final

from core.constants import COMMAND_SLOTS_MAX, SEQUENCE_JUMP, SLOT_BYTES
from core.crc32c import record_crc32c
from core.jit import kernel
from core.journal.blocks import block_at, body_fault, header_fault, mix_a, mix_b, strip
from core.journal.layout import DATA, EPOCH_START, GENESIS
from core.layout import record
from core.memory import pointer
from core.messages import COMMAND

SCAN: Final = record(
    "state of a scan; the first half is the place, the second what is expected next",
    320,
    [
        ("base", "<i8"),  # Address of the segment's bytes.
        ("size", "<i8"),
        ("offset", "<i8"),  # Of the next block.
        ("align", "<i8"),
        ("salt", "<i8"),
        ("target", "<i8"),  # Where slots are laid.
        ("target_slots", "<i8"),  # Room there.
        ("slots", "<i8"),  # Laid by this call.
        ("first_sequence", "<i8"),  # Of the slots laid by this call; 0: none.
        ("fault", "<i8"),
        ("block_no", "<i8"),
        ("chain_a", "<i8"),
        ("chain_b", "<i8"),
        ("epoch", "<i8"),
        ("next_sequence", "<i8"),
        ("last_sequence", "<i8"),
        ("block_ns", "<i8"),  # Time of the newest block.
        ("timestamp_ns", "<i8"),  # The newest time seen, of blocks and commands.
        ("durable_sequence", "<i8"),  # The largest in any header seen.
        ("blocks", "<i8"),
        ("commands", "<i8"),
        ("watch_sequence", "<i8"),  # The chain after the DATA block that ends here is kept.
        ("watch_found", "<i8"),
        ("watch_a", "<i8"),
        ("watch_b", "<i8"),
        ("segment_blocks", "<i8"),
        ("last_kind", "<i8"),
        ("command_ns", "<i8"),  # Time of the newest command.
        ("limit", "<i8"),  # Not 0: no DATA block that ends above this sequence is taken.
        ("segment_no", "<i8"),
        ("data_segment_no", "<i8"),  # The newest DATA block: where it lies, the chain after it.
        ("data_offset", "<i8"),
        ("data_block_no", "<i8"),
        ("data_chain_a", "<i8"),
        ("data_chain_b", "<i8"),
        ("reserved", "<i8", (5,)),
    ],
)
scan_at: Final = pointer(SCAN)
_command_at: Final = pointer(COMMAND)

# What ended a call.
FULL: Final = 1  # No room for the next block's slots.
SPECIAL: Final = 2  # The next block is valid and not DATA; ``accept`` takes it.
STOP: Final = 3  # No valid block at ``offset``; ``fault`` says why.

# Faults; 1-6 are those of blocks.py.
END: Final = 10  # The segment has no room for another block.
BAD_LENGTH: Final = 11
BAD_CHAIN: Final = 12
BAD_KIND: Final = 13
BAD_SEQUENCE: Final = 14
BAD_TIME: Final = 15
BAD_EPOCH: Final = 16
BAD_RECORD: Final = 17
LIMITED: Final = 18
FAULT_TEXT: Final = {
    0: "no fault",
    1: "zeros",
    2: "the first sector is no valid block header",
    3: "unknown block format",
    4: "the block has the salt of another segment",
    5: "a sector carries the stamp of another place",
    6: "the checksum of the payload is wrong",
    10: "end of the segment",
    11: "the block is longer than the room for it, or not aligned",
    12: "the block does not follow from the one before",
    13: "unknown kind of block",
    14: "sequences do not go on",
    15: "time goes back",
    16: "the epoch does not go on",
    17: "a command has a wrong checksum, size or sequence",
    18: "behind the sequence up to which was asked for",
}


@kernel
def scan(state: int) -> int:
    """Take DATA blocks until the target is full or something else comes; why it ended."""
    scan = scan_at(state)
    scan.slots = 0
    scan.first_sequence = 0
    while True:
        fault = place_fault(state)
        if fault != 0:
            scan.fault = fault
            return STOP
        image = scan.base + scan.offset
        block = block_at(image)
        if block.kind != DATA:
            scan.fault = 0
            return SPECIAL
        if scan.limit != 0 and block.last_sequence > scan.limit:
            scan.fault = LIMITED
            return STOP
        slots = block.payload_bytes // SLOT_BYTES
        if scan.slots + slots > scan.target_slots:
            scan.fault = 0
            return FULL
        target = scan.target + scan.slots * SLOT_BYTES
        strip(image, target, block.payload_bytes)
        newest = records_fault(target, slots, block.first_sequence, scan.command_ns)
        if newest < 0 or block.record_count != block.last_sequence - block.first_sequence + 1:
            scan.fault = BAD_RECORD
            return STOP
        if scan.slots == 0:
            scan.first_sequence = block.first_sequence
        scan.slots += slots
        scan.commands += block.record_count
        accept(state)
        scan.command_ns = newest
        scan.timestamp_ns = max(scan.timestamp_ns, newest)


@kernel
def place_fault(state: int) -> int:
    """What keeps the bytes at the scan's offset from being its next block; 0: nothing."""
    scan = scan_at(state)
    if scan.offset + scan.align > scan.size:
        return END
    image = scan.base + scan.offset
    fault = header_fault(image, scan.salt)
    if fault != 0:
        return fault
    block = block_at(image)
    length = block.block_bytes
    if length % scan.align != 0 or scan.offset + length > scan.size:
        return BAD_LENGTH
    if block.block_no != scan.block_no:
        return BAD_CHAIN
    if block.prev_chain_a != scan.chain_a or block.prev_chain_b != scan.chain_b:
        return BAD_CHAIN
    if block.chain_a != mix_a(image, scan.chain_a) or block.chain_b != mix_b(image, scan.chain_b):
        return BAD_CHAIN
    fault = body_fault(image)
    if fault != 0:
        return fault
    return order_fault(state)


@kernel
def order_fault(state: int) -> int:
    """Whether sequences, time and epoch of a complete block go on from the scan's; 0: they do."""
    scan = scan_at(state)
    block = block_at(scan.base + scan.offset)
    kind = block.kind
    if kind < DATA or kind > GENESIS:
        return BAD_KIND
    if block.timestamp_ns < scan.block_ns:
        return BAD_TIME
    if kind == EPOCH_START:
        if block.epoch <= scan.epoch:
            return BAD_EPOCH
    elif block.epoch != scan.epoch:
        return BAD_EPOCH
    first, last, count = block.first_sequence, block.last_sequence, block.record_count
    if kind == DATA:
        good = first == scan.next_sequence and count >= 1 and last == first + count - 1
        good = good and block.payload_bytes % SLOT_BYTES == 0
    else:
        ahead = first - (scan.next_sequence - 1)
        jumped = kind == EPOCH_START and ahead > 0 and ahead % SEQUENCE_JUMP == 0
        good = (first == scan.next_sequence or jumped) and last == scan.last_sequence and count == 0
    if not good or block.durable_sequence > last:
        return BAD_SEQUENCE
    return 0


@kernel
def accept(state: int) -> int:
    """Step over the block that ``place_fault`` found good; its bytes on the disk."""
    scan = scan_at(state)
    block = block_at(scan.base + scan.offset)
    length = block.block_bytes
    if block.kind == DATA:
        scan.data_segment_no = scan.segment_no
        scan.data_offset = scan.offset
        scan.data_block_no = block.block_no
        scan.data_chain_a = block.chain_a
        scan.data_chain_b = block.chain_b
    scan.offset += length
    scan.block_no += 1
    scan.blocks += 1
    scan.segment_blocks += 1
    scan.chain_a = block.chain_a
    scan.chain_b = block.chain_b
    scan.epoch = block.epoch
    scan.block_ns = block.timestamp_ns
    scan.timestamp_ns = max(scan.timestamp_ns, block.timestamp_ns)
    scan.durable_sequence = max(scan.durable_sequence, block.durable_sequence)
    scan.last_kind = block.kind
    if block.kind == DATA:
        scan.last_sequence = block.last_sequence
        scan.next_sequence = block.last_sequence + 1
        if block.last_sequence == scan.watch_sequence:
            scan.watch_found = 1
            scan.watch_a = block.chain_a
            scan.watch_b = block.chain_b
    else:
        scan.next_sequence = block.first_sequence
    return length


@kernel
def records_fault(address: int, slots: int, first_sequence: int, newest: int) -> int:
    """Check the command records side by side; the newest timestamp, or -1 when one is wrong."""
    sequence = first_sequence
    place, end = address, address + slots * SLOT_BYTES
    while place < end:
        command = _command_at(place)
        size = command.slots
        if size < 1 or size > COMMAND_SLOTS_MAX or place + size * SLOT_BYTES > end:
            return -1
        if command.sequence != sequence or command.timestamp_ns < newest:
            return -1
        if command.crc32c != record_crc32c(place, size):
            return -1
        newest = command.timestamp_ns
        sequence += 1
        place += size * SLOT_BYTES
    return newest
