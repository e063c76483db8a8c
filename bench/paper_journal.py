"""The journal without the disk: what it does to each command and block, into a memory buffer.

Copy from the ring into the batch, sequence and time, checksum of each command; then the block:
header, payload laid into sectors, their stamps, payload checksum, chain.  All but the write.
"""

from typing import Final

import numpy as np

from core.constants import BATCH_SLOTS_MAX, SLOT_BYTES
from core.crc32c import record_crc32c
from core.jit import call_entry, kernel
from core.journal.blocks import block_at, body_fault, encode, header_fault
from core.journal.layout import ALIGN_SYNC, BLOCK, BLOCK_BYTES_MAX, DATA
from core.memory import copy128, load_i64, region, store_i32, store_i64, view
from core.messages import CRC_AT

SALT: Final = 1 << 62
TIME_AT: Final = 8


class PaperJournal:
    """A buffer for one batch and one block."""

    def __init__(self) -> None:
        self._owner, self._batch = region(BATCH_SLOTS_MAX * SLOT_BYTES + BLOCK_BYTES_MAX)
        self._image = self._batch + BATCH_SLOTS_MAX * SLOT_BYTES
        self._block = view(self._image, BLOCK, 1)
        self._block["kind"], self._block["epoch"], self._block["salt"] = DATA, 1, SALT

    def run(self, engine: int, state: int, commands: int, end: int, batch: int) -> None:
        """Journal and apply the commands from ``commands`` up to ``end``, one slot each;
        ``engine`` 0: journal only.  At most BATCH_SLOTS_MAX a batch."""
        if not 1 <= batch <= BATCH_SLOTS_MAX:
            raise ValueError(f"batch: expected 1 to {BATCH_SLOTS_MAX} commands, got {batch}")
        words = np.array([engine, state, self._batch, self._image], np.int64)
        journal_and_apply(words.ctypes.data, commands, end, batch)

    @property
    def blocks(self) -> int:
        """Blocks encoded so far."""
        return int(self._block["block_no"][0])

    def fault(self) -> int:
        """What a reader of the journal finds wrong with the newest block; 0: nothing."""
        return int(header_fault(self._image, SALT)) or int(body_fault(self._image))


@kernel
def journal_and_apply(words: int, commands: int, end: int, batch: int) -> None:
    """``words``: entry of ``apply_batch`` or 0, state, batch, image."""
    engine, state = load_i64(words), load_i64(words + 8)
    buffer, image = load_i64(words + 16), load_i64(words + 24)
    while commands < end:
        count = min(batch, (end - commands) // SLOT_BYTES)
        for index in range(count):
            place, source = buffer + index * SLOT_BYTES, commands + index * SLOT_BYTES
            copy128(place, source)
            store_i64(place, load_i64(source))  # As a stamp would: the same words again.
            store_i64(place + TIME_AT, load_i64(source + TIME_AT))
            store_i32(place + CRC_AT, record_crc32c(place, 1))
        begin_block(image, buffer, count)
        encode(image, buffer, ALIGN_SYNC)
        if engine != 0:
            call_entry(engine, state, buffer, count)
        commands += count * SLOT_BYTES


@kernel
def begin_block(image: int, buffer: int, count: int) -> None:
    """The header fields that the writer sets before a block is completed."""
    block = block_at(image)
    block.payload_bytes = count * SLOT_BYTES
    block.record_count = count
    block.first_sequence = load_i64(buffer)
    block.last_sequence = load_i64(buffer) + count - 1
    block.timestamp_ns = load_i64(buffer + (count - 1) * SLOT_BYTES + TIME_AT)
    block.block_no += 1
    block.prev_chain_a = block.chain_a
    block.prev_chain_b = block.chain_b
