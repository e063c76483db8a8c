"""A place in a journal from which a walk can go on, without what came before.

A snapshot names one: the DATA block whose last sequence is the newest in the snapshot, and the
chain after it.  The segment in which it lies is read and checked from its beginning, so a place can
only be used with the journal, and the history, that it was taken from.
"""

from pathlib import Path
from typing import Final, NamedTuple

from core.journal.access import structure
from core.journal.errors import Fault, JournalRefused
from core.journal.scan import END, FAULT_TEXT, LIMITED, SCAN
from core.memory import Record

scan_row: Final = structure(SCAN)
ZERO: Final = 1


class Place(NamedTuple):
    """Behind a DATA block.  ``segment_no`` 0: in front of the first block of the journal."""

    segment_no: int
    offset: int  # Of the block.
    block_no: int
    sequence: int  # The last of the block.
    chain: tuple[int, int]  # After the block.


NOWHERE: Final = Place(0, 0, 0, 0, (0, 0))


def other_place(path: Path, place: Place, found: Place, state: Record) -> JournalRefused:
    """Why a scan that was to come to ``place`` came to ``found`` only: lost, damaged, another."""
    offset, fault = int(state.offset), int(state.fault)
    if fault in (ZERO, END) and found.sequence < place.sequence:
        detail = f"the journal ends at {found.sequence}, there is a snapshot of {place.sequence}"
        return JournalRefused(Fault.LOST_ACKED, path, offset, detail)
    if fault not in (0, ZERO, END, LIMITED) and found.sequence < place.sequence:
        return JournalRefused(Fault.CORRUPT_SEALED, path, offset, FAULT_TEXT[fault])
    detail = (
        f"expected block {place.block_no}, which ends with sequence {place.sequence}, as the "
        f"snapshot saw it: another block is there"
    )
    return JournalRefused(Fault.SNAPSHOT, path, place.offset, detail)
