"""The surgery of ``outcry journal repair``: what is kept aside, and in which order bytes go.

1. Everything that will change or go is safe in the quarantine: bytes copied and synced there.
2. The audit says what is about to happen.
3. The note ``truncation`` stands: whichever start comes next skips the lost range of sequences.
4. Files are moved to the quarantine, the newest segment first; then zeros are written, from the
   end to the front, so that the place where the journal is broken changes last.
5. The audit says that it is done.

A kill at any point leaves a journal that is either still refused at the same place, or already
whole up to it; the next run begins anew and finds the note and the audit.  No step needs the one
before it to be repeated, and none can bring a start to take more or less than up to that place.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.constants import SEQUENCE_JUMP, SEQUENCE_MAX, SLOT_BYTES
from core.journal import audit
from core.journal.content import Content
from core.journal.errors import JournalError
from core.journal.segments import (
    DIRECTORY_MODE,
    QUARANTINE_NAME,
    TRUNCATION_NAME,
    open_file,
    sync_directory,
    write_file,
)
from core.journal.truncation import Cut, write_note

CHUNK_BYTES: Final = 1 << 20
LOST_NAME: Final = "commands.jsonl"  # In the quarantine: what was lost and could be read.
PLAN_NAME: Final = "plan.json"

Step = Callable[[str], None]


class Extent(NamedTuple):
    """Bytes of a segment that become zeros; ``size`` reaches up to the last that is not zero."""

    path: Path
    segment_no: int
    offset: int
    size: int


@dataclass(frozen=True)
class Surgery:
    """What will be done to the journal in ``directory``."""

    directory: Path
    name: str  # Of the quarantine directory.
    plan: dict[str, Any]  # As it was shown; kept in the quarantine.
    extent: Extent | None
    moves: tuple[Path, ...]  # To the quarantine, in this order.
    spares: tuple[Path, ...]  # Segments of nothing but zeros: removed.
    lost: tuple[bytes, ...]  # Lines of LOST_NAME.
    keep_sequence: int
    next_sequence: int  # 0: nothing can be lost, so nothing is skipped.

    @property
    def quarantine(self) -> Path:
        """Where everything goes."""
        return self.directory / QUARANTINE_NAME / self.name


def jump_beyond(expected: int, possible: int) -> int:
    """The next sequence after a loss: ``expected`` was the next one, ``possible`` may be given.

    EPOCH_START may skip multiples of 2^26 only; one is enough unless an earlier loss is lost too.
    JournalError when no sequence is left.
    """
    times = max(1, -(-(possible + 1 - (expected - 1)) // SEQUENCE_JUMP))
    following = expected - 1 + times * SEQUENCE_JUMP
    if following > SEQUENCE_MAX:
        raise JournalError(f"sequence {following} would be beyond the last, {SEQUENCE_MAX}")
    return following


def possible_commands(size: int) -> int:
    """How many commands fit into bytes that cannot be read."""
    return size // SLOT_BYTES


def extent_behind(content: Content, segment_no: int, offset: int) -> Extent | None:
    """Bytes that are not zero from ``offset`` on; None when there are none."""
    used = np.flatnonzero(content.array[offset:])
    if used.size == 0:
        return None
    return Extent(content.path, segment_no, offset, int(used[-1]) + 1)


def perform(surgery: Surgery, record: audit.Record, step: Step = lambda _name: None) -> int:
    """Do it; how many bytes the quarantine has.  ``step`` is told each thing before it is done.

    The caller holds the lock and has the operator's word.  Raises OSError.
    """
    step("make the quarantine")
    size = _keep(surgery, step)
    step("audit: begin")
    entry = {**record, "bytes_quarantined": size, "quarantine": surgery.name}
    audit.append(surgery.directory, {**entry, "step": "begin"})
    if surgery.next_sequence:
        step("write the note")
        _note(surgery)
    for path in surgery.moves:
        step(f"move {path.name}")
        path.rename(surgery.quarantine / path.name)
        sync_directory(path.parent)
        sync_directory(surgery.quarantine)
    for path in surgery.spares:
        step(f"remove the empty {path.name}")
        path.unlink()
        sync_directory(path.parent)
    if surgery.extent is not None:
        _zero(surgery.extent, step)
    step("audit: done")
    audit.append(surgery.directory, {**entry, "step": "done"})
    return size


def _keep(surgery: Surgery, step: Step) -> int:
    """Everything that will change, in the quarantine, durable."""
    quarantine = surgery.quarantine
    quarantine.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    quarantine.mkdir(mode=DIRECTORY_MODE)
    size = sum(
        found.lstat().st_size
        for path in surgery.moves
        for found in (path, *path.rglob("*"))
        if found.is_file()
    )
    if surgery.extent is not None:
        step("copy the bytes")
        size += surgery.extent.size
        _copy(surgery.extent, quarantine)
    note = surgery.directory / TRUNCATION_NAME
    if note.exists() and note not in surgery.moves:
        write_file(quarantine / TRUNCATION_NAME, note.read_bytes())
    step("write the plan")
    write_file(quarantine / LOST_NAME, b"".join(surgery.lost))
    plan = json.dumps(surgery.plan, indent=2).encode("utf-8")
    write_file(quarantine / PLAN_NAME, plan + b"\n")
    sync_directory(quarantine.parent)
    sync_directory(surgery.directory)
    return size


def _copy(extent: Extent, quarantine: Path) -> None:
    target = quarantine / f"{extent.path.stem}-{extent.offset}.bytes"
    source = open_file(extent.path, os.O_RDONLY)
    copy = open_file(target, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        for place in range(0, extent.size, CHUNK_BYTES):
            part = os.pread(source, min(CHUNK_BYTES, extent.size - place), extent.offset + place)
            if os.pwrite(copy, part, place) != len(part):
                raise OSError(f"short write of {target}")
        os.fsync(copy)
        if os.fstat(copy).st_size != extent.size:
            raise OSError(f"{extent.path} became shorter while it was copied")
    finally:
        os.close(source)
        os.close(copy)


def _note(surgery: Surgery) -> None:
    extent = surgery.extent
    cut = Cut(extent.segment_no, extent.offset, extent.size) if extent is not None else Cut()
    write_note(surgery.directory, surgery.keep_sequence, surgery.next_sequence, cut)


def _zero(extent: Extent, step: Step) -> None:
    """Write zeros from the end to the front, and read them back."""
    fd = open_file(extent.path, os.O_RDWR)
    try:
        for place in reversed(range(0, extent.size, CHUNK_BYTES)):
            step(f"write zeros at {extent.offset + place}")
            size = min(CHUNK_BYTES, extent.size - place)
            if os.pwrite(fd, bytes(size), extent.offset + place) != size:
                raise OSError(f"short write of {extent.path}")
            os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        for place in range(0, extent.size, CHUNK_BYTES):
            size = min(CHUNK_BYTES, extent.size - place)
            if os.pread(fd, size, extent.offset + place).count(0) != size:
                raise OSError(f"{extent.path}: zeros were written, but not read back")
    finally:
        os.close(fd)
