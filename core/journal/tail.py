"""What lies behind the last valid block of the newest segment: nothing, a tear, a loss, damage.

reliability.md 2.4 step 6.  ``sync``: at most one block was being written, and its sectors are each
written or zero; anything else is damage and refuses.  ``relaxed``: whatever the page cache had not
yet given to the disk may be missing, so everything behind the first invalid block is lost, unless a
header there says that it was durable.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.constants import SEQUENCE_JUMP
from core.journal.access import block_row
from core.journal.blocks import (
    BAD_FORMAT,
    ZERO,
    header_fault,
)
from core.journal.content import Content
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import (
    ALIGN_RELAXED,
    ALIGN_SYNC,
    BLOCK_BYTES_MAX,
    BLOCK_MAGIC,
    EPOCH_START,
    SECTOR_BYTES,
    SECTOR_DATA,
    STAMP_SHIFT,
)
from core.journal.scan import (
    BAD_EPOCH,
    BAD_KIND,
    BAD_LENGTH,
    BAD_RECORD,
    BAD_SEQUENCE,
    BAD_TIME,
    FAULT_TEXT,
)
from core.memory import Record

CLEAN: Final = "CLEAN"
TORN: Final = "TORN"
LOST: Final = "LOST"

_MEANING: Final = {
    BAD_EPOCH: Fault.SEQUENCE,
    BAD_KIND: Fault.FORMAT,
    BAD_FORMAT: Fault.FORMAT,
    BAD_RECORD: Fault.RECORD,
    BAD_SEQUENCE: Fault.SEQUENCE,
    BAD_TIME: Fault.SEQUENCE,
}


class Tail(NamedTuple):
    """The end of the journal."""

    kind: str  # CLEAN, TORN, LOST
    path: Path
    segment_no: int
    offset: int  # Behind the last valid block.
    extent: int  # Bytes to cut away from there; 0 when CLEAN.
    durable_sequence: int  # The largest in any valid header behind ``offset``.


def classify(content: Content, scan: Record, segment_no: int) -> Tail:
    """Judge the bytes from ``scan.offset`` on; raises JournalRefused for damage."""
    if scan.fault in _MEANING:
        raise _refusal(content, scan.offset, _MEANING[scan.fault], FAULT_TEXT[scan.fault])
    if scan.block_no == 1:
        detail = "no GENESIS; it was durable before the journal was used"
        raise _refusal(content, scan.offset, Fault.CORRUPT_TAIL, detail)
    behind = content.array[scan.offset :]
    used = _used_bytes(behind)
    if used == 0:
        return Tail(CLEAN, content.path, segment_no, scan.offset, 0, 0)
    if scan.align == ALIGN_RELAXED:
        extent = -(-used // ALIGN_RELAXED) * ALIGN_RELAXED
        durable = _durable_behind(content, scan)
        return Tail(LOST, content.path, segment_no, scan.offset, extent, durable)
    if used > BLOCK_BYTES_MAX:
        place = scan.offset + BLOCK_BYTES_MAX
        detail = f"bytes that are not zero up to {scan.offset + used}, beyond any block in flight"
        raise _refusal(content, place, Fault.GARBAGE_BEYOND_INFLIGHT, detail)
    _refuse_hole(content, scan, used)
    extent = _torn_extent(content, scan, used)
    return Tail(TORN, content.path, segment_no, scan.offset, extent, 0)


def _refusal(content: Content, offset: int, fault: Fault, detail: str) -> JournalRefused:
    return JournalRefused(fault, content.path, int(offset), detail)


def _used_bytes(behind: "np.ndarray[Any, np.dtype[np.uint8]]") -> int:
    """Bytes up to the last one that is not zero."""
    words = behind.view(np.int64)
    found = np.flatnonzero(words)
    if found.size == 0:
        return 0
    last = int(found[-1])
    raw = int(words[last]) & ((1 << 64) - 1)
    return last * 8 + (raw.bit_length() + 7) // 8


def _refuse_hole(content: Content, scan: Record, used: int) -> None:
    """A valid header of a later block proves that the one at the offset was complete."""
    for place in range(ALIGN_SYNC, used, ALIGN_SYNC):
        image = content.address + scan.offset + place
        if header_fault(image, scan.salt) == 0 and block_row(image).block_no > scan.block_no:
            detail = f"block {block_row(image).block_no} is valid behind an invalid one"
            raise _refusal(content, scan.offset, Fault.HOLE, detail)


def _torn_extent(content: Content, scan: Record, used: int) -> int:
    """Bytes of the torn block; raises JournalRefused when it is not a tear."""
    image = content.address + scan.offset
    fault = header_fault(image, scan.salt)
    extent = -(-used // ALIGN_SYNC) * ALIGN_SYNC
    if fault == 0:
        block = block_row(image)
        same_chain = (block.prev_chain_a, block.prev_chain_b) == (scan.chain_a, scan.chain_b)
        if block.block_no != scan.block_no or not same_chain:
            detail = f"expected block {scan.block_no}, found block {block.block_no} or another past"
            raise _refusal(content, scan.offset, Fault.CHAIN, detail)
        if scan.fault == BAD_LENGTH:
            raise _refusal(content, scan.offset, Fault.CORRUPT_TAIL, FAULT_TEXT[BAD_LENGTH])
        if used > block.block_bytes:
            detail = "bytes that are not zero behind the block in flight"
            place = scan.offset + block.block_bytes
            raise _refusal(content, place, Fault.GARBAGE_BEYOND_INFLIGHT, detail)
        extent = int(block.block_bytes)
    elif fault != ZERO:
        raise _refusal(content, scan.offset, Fault.CORRUPT_TAIL, FAULT_TEXT[fault])
    sectors = content.array[scan.offset : scan.offset + extent].reshape(-1, SECTOR_BYTES)
    zero = ~sectors.any(axis=1)
    stamps = np.ascontiguousarray(sectors[:, SECTOR_DATA:]).view(np.int64).ravel()
    expected = ((scan.block_no << STAMP_SHIFT) + np.arange(len(sectors))) ^ scan.salt
    bad = np.flatnonzero(~zero & (stamps != expected))
    if bad.size:
        place = scan.offset + int(bad[0]) * SECTOR_BYTES
        detail = "a sector is neither written nor zero: bit rot or a stray write, not a tear"
        raise _refusal(content, place, Fault.CORRUPT_TAIL, detail)
    if not zero.any():
        detail = f"every sector of the block is written, but {FAULT_TEXT[scan.fault]}"
        raise _refusal(content, scan.offset, Fault.CORRUPT_TAIL, detail)
    return extent


def _durable_behind(content: Content, scan: Record) -> int:
    """The largest durable_sequence of any valid header behind the offset.

    Raises JournalRefused when one there goes on from a jump: the EPOCH_START that jumped was
    durable before anything followed it, and without it those sequences would be given again.
    """
    jumped = scan.next_sequence - 1 + SEQUENCE_JUMP
    size = (content.size - scan.offset) // SECTOR_BYTES * SECTOR_BYTES
    words = content.array[scan.offset : scan.offset + size].view(np.uint32)
    firsts = words.reshape(-1, SECTOR_BYTES // 4)[:, 0]
    durable = 0
    for sector in np.flatnonzero(firsts == BLOCK_MAGIC):
        image = content.address + scan.offset + int(sector) * SECTOR_BYTES
        if header_fault(image, scan.salt) != 0:
            continue
        block = block_row(image)
        durable = max(durable, int(block.durable_sequence))
        if block.first_sequence >= jumped and block.kind != EPOCH_START:
            detail = f"a later block begins at {block.first_sequence}, but its EPOCH_START is gone"
            raise _refusal(content, scan.offset, Fault.CORRUPT_TAIL, detail)
    return durable
