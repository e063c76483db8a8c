"""A place in a journal from which a walk can go on, without what came before.

A snapshot names one: the DATA block whose last sequence is the newest in the snapshot, and the
chain after it.  The block itself is read and checked again, so a place can only be used with the
journal, and the history, that it was taken from.
"""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from core.constants import SLOT_BYTES
from core.journal.access import block_row, structure
from core.journal.blocks import strip
from core.journal.errors import Fault, JournalRefused
from core.journal.header import Header
from core.journal.layout import DATA, SEGMENT_HEADER_BYTES
from core.journal.scan import BAD_RECORD, FAULT_TEXT, SCAN, accept, place_fault, records_fault
from core.memory import address_of_buffer

scan_row: Final = structure(SCAN)


class Place(NamedTuple):
    """Behind a DATA block.  ``segment_no`` 0: in front of the first block of the journal."""

    segment_no: int
    offset: int  # Of the block.
    block_no: int
    sequence: int  # The last of the block.
    chain: tuple[int, int]  # After the block.


def resume(scan: int, path: Path, place: Place, header: Header) -> None:
    """Make the SCAN at ``scan``, which stands at the begin of the place's segment, go on behind
    the place.  Raises JournalRefused when there is another block, or a damaged one.
    """
    state = scan_row(scan)
    limits = SEGMENT_HEADER_BYTES, header.segment_bytes - header.align
    if not limits[0] <= place.offset <= limits[1] or place.offset % header.align:
        raise _other(path, place, "no block can begin there")
    state.offset = place.offset
    block = block_row(state.base + place.offset)
    state.block_no = place.block_no
    state.chain_a, state.chain_b = block.prev_chain_a, block.prev_chain_b
    state.epoch, state.next_sequence = block.epoch, block.first_sequence
    state.last_sequence = block.first_sequence - 1
    fault = place_fault(scan)
    if fault:
        raise _other(path, place, FAULT_TEXT[fault])
    found = (block.kind, block.last_sequence, (block.chain_a, block.chain_b))
    if found != (DATA, place.sequence, place.chain):
        raise _other(path, place, "another block is there")
    state.segment_blocks = place.block_no - header.first_block_no
    size = int(block.payload_bytes)
    payload = np.zeros(size + 8, np.uint8)
    target = address_of_buffer(payload)
    strip(state.base + place.offset, target, size)
    # The block's own time may be later than that of its commands, if the clock went back.
    state.command_ns = records_fault(target, size // SLOT_BYTES, block.first_sequence, 0)
    if state.command_ns < 0:
        raise _other(path, place, FAULT_TEXT[BAD_RECORD])
    accept(scan)
    state.blocks = 0


def _other(path: Path, place: Place, detail: str) -> JournalRefused:
    return JournalRefused(
        Fault.SNAPSHOT,
        path,
        place.offset,
        f"expected block {place.block_no}, which ends with sequence {place.sequence}, as the "
        f"snapshot saw it: {detail}",
    )
