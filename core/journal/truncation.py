"""Cutting a tail away: to quarantine first, then noted, then zeros; each step safe to repeat.

The note is the file ``truncation``: the process may die between the cut and the EPOCH_START that
records it, and the next one must not give out the lost sequences either.
"""

import os
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.clock import realtime_ns
from core.crc32c import crc32c
from core.journal import segments
from core.journal.access import structure
from core.journal.errors import Fault, JournalRefused
from core.journal.tail import Tail
from core.layout import offset_of, record
from core.memory import address_of_buffer

CHUNK_BYTES: Final = 1 << 20

TRUNCATION: Final = record(
    "the file ``truncation``: a cut that the next EPOCH_START will record",
    64,
    [
        ("last_sequence", "<i8"),
        ("next_sequence", "<i8"),
        ("segment_no", "<i8"),
        ("offset", "<i8"),
        ("extent", "<i8"),
        ("wall_ns", "<i8"),
        ("reserved", "<i8"),
        ("reserved_2", "<u4"),
        ("crc32c", "<u4"),  # Of the 60 bytes before.
    ],
)
truncation_row: Final = structure(TRUNCATION)
_CHECKED_BYTES: Final = offset_of(TRUNCATION, "crc32c")


class Cut(NamedTuple):
    """What was taken away at the tail; ``extent`` 0: nothing."""

    segment_no: int = 0
    offset: int = 0
    extent: int = 0


def pending(directory: Path) -> Any | None:
    """The cut that a process made and did not live to record in EPOCH_START.

    Raises JournalRefused for a note that is damaged.
    """
    path = directory / segments.TRUNCATION_NAME
    if not path.exists():
        return None
    raw = np.frombuffer(path.read_bytes(), np.uint8).copy()
    if raw.size != TRUNCATION.itemsize:
        detail = f"expected {TRUNCATION.itemsize} bytes, got {raw.size}"
        raise JournalRefused(Fault.INVENTORY, path, 0, detail)
    row = truncation_row(address_of_buffer(raw))
    if row.crc32c != int(crc32c(address_of_buffer(raw), _CHECKED_BYTES)):
        raise JournalRefused(Fault.INVENTORY, path, 0, "the checksum of the note is wrong")
    return np.frombuffer(raw, TRUNCATION).view(np.recarray)[0]


def cut_of(directory: Path, last_sequence: int) -> Cut:
    noted = pending(directory)
    if noted is None or int(noted.last_sequence) != last_sequence:
        return Cut()
    return Cut(int(noted.segment_no), int(noted.offset), int(noted.extent))


def write_note(directory: Path, last_sequence: int, next_sequence: int, cut: Cut) -> None:
    """Note that the journal ends at ``last_sequence`` and goes on at ``next_sequence``, durable."""
    note = np.zeros(TRUNCATION.itemsize, np.uint8)
    row = truncation_row(address_of_buffer(note))
    row.last_sequence, row.next_sequence = last_sequence, next_sequence
    row.segment_no, row.offset, row.extent = cut
    row.wall_ns = realtime_ns()
    row.crc32c = int(crc32c(address_of_buffer(note), _CHECKED_BYTES))
    segments.write_file(directory / segments.TRUNCATION_NAME, note.tobytes())


def truncate(directory: Path, tail: Tail, last_sequence: int, next_sequence: int) -> None:
    """Copy the tail to quarantine, note the cut, write zeros over it, read them back."""
    quarantine = directory / segments.QUARANTINE_NAME
    quarantine.mkdir(mode=segments.DIRECTORY_MODE, exist_ok=True)
    fd = segments.open_file(tail.path, os.O_RDWR)
    try:
        cut_away = os.pread(fd, tail.extent, tail.offset)
        now_ns = realtime_ns()
        name = f"{tail.path.stem}-{tail.offset}-{now_ns}.torn"
        segments.write_file(quarantine / name, cut_away)
        segments.sync_directory(directory)
        write_note(
            directory, last_sequence, next_sequence, Cut(tail.segment_no, tail.offset, tail.extent)
        )
        for offset in range(0, tail.extent, CHUNK_BYTES):
            size = min(CHUNK_BYTES, tail.extent - offset)
            if os.pwrite(fd, bytes(size), tail.offset + offset) != size:
                raise OSError(f"short write of {tail.path}")
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        if os.pread(fd, tail.extent, tail.offset).count(0) != tail.extent:
            raise JournalRefused(
                Fault.CORRUPT_TAIL, tail.path, tail.offset, "zeros were written, but not read back"
            )
    finally:
        os.close(fd)
