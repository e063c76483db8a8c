"""Named shared memory: create, attach, and the header that every segment begins with.

A segment is a file in /dev/shm, mode 0600, named ``outcry-<uuid8>-<epoch>-<part>``; uuid8 are the
first eight characters of the journal's uuid, the epoch is one life of the core.  The core creates
every segment and is the only one that unlinks one.  ``multiprocessing.shared_memory`` is not used:
it unlinks live segments when a reader exits.

Line 0 of the header is written by the creator before the version word, which is written last: who
sees it sees the rest.  (architecture.md, decision 15)
"""

import contextlib
import fcntl
import mmap
import os
import re
from pathlib import Path
from typing import Final

import numpy as np

from core.atomics import load_word, store_word
from core.layout import Field, offset_of, record
from core.memory import address_of_buffer, view

DIRECTORY: Final = Path("/dev/shm")
LINE_BYTES: Final = 128  # Words of different writers lie at least this far apart.
HEADER_BYTES: Final = 4_096  # Of every segment; the slots follow.
VERSION: Final = 0x4F55_5443_5259_0001  # "OUTCRY", layout 1.

INBOUND: Final = 1
OUTPUT: Final = 2
REPLIES: Final = 3
COUNTERS: Final = 4
STAGES: Final = 5
KIND_NAMES: Final = {
    INBOUND: "inbound ring",
    OUTPUT: "output ring",
    REPLIES: "reply ring",
    COUNTERS: "counters",
    STAGES: "stages",
}

LINE_0: Final[list[Field]] = [
    ("version", "<i8"),  # Written last, by release.
    ("epoch", "<i8"),
    ("size", "<i8"),  # Bytes of the segment, header included.
    ("kind", "<i8"),
    ("schema", "<i8"),  # Of the slots.
    ("capacity", "<i8"),  # Slots; a power of two.
    ("slot_bytes", "<i8"),
    ("gateway", "<i8"),  # Whose ring it is; 0: everybody's.
    ("line_0_reserved", "<i8", (8,)),
]
SEGMENT: Final = record("segment header, line 0", LINE_BYTES, LINE_0)

_MADV_POPULATE_WRITE: Final = 23  # Linux 5.14; the mmap module does not name it.
_NAME: Final = re.compile(r"outcry-[0-9a-f]{8}-(\d{1,18})-[a-z0-9.-]{1,64}")
_UUID8: Final = re.compile(r"[0-9a-f]{8}")
assert offset_of(SEGMENT, "version") == 0


class SegmentError(Exception):
    """A segment is not there yet, belongs to another epoch, or is not what its name says."""


class Segment:
    """One mapped segment.  Its address is valid until ``close``."""

    def __init__(self, name: str, memory: mmap.mmap, descriptor: int) -> None:
        self.name = name
        self.memory = memory
        self.size = len(memory)
        self.address = address_of_buffer(memory)
        self._descriptor = descriptor

    @property
    def epoch(self) -> int:
        """The life of the core that created it."""
        return self.word("epoch")

    @property
    def capacity(self) -> int:
        """Slots."""
        return self.word("capacity")

    def word(self, field: str) -> int:
        """One word of line 0."""
        return load_word(self.address + offset_of(SEGMENT, field))

    def publish(self) -> None:
        """Write the version word: from now on others may attach."""
        store_word(self.address, VERSION)

    def lock(self) -> bool:
        """Take the segment for this process; False when another live process has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Unmap.  Every address into the segment is void from here on."""
        if self._descriptor >= 0:
            self.memory.close()
            os.close(self._descriptor)
            self._descriptor = -1

    def rename(self, name: str, epoch: int) -> None:
        """Give a segment that was not published yet another name and epoch."""
        (DIRECTORY / self.name).rename(DIRECTORY / name)
        self.name = name
        store_word(self.address + offset_of(SEGMENT, "epoch"), epoch)

    def unlink(self) -> None:
        """Remove the name; processes that have it mapped keep it."""
        (DIRECTORY / self.name).unlink(missing_ok=True)


def prefix(uuid8: str, epoch: int) -> str:
    """What the names of all segments of one life of the core begin with."""
    if not _UUID8.fullmatch(uuid8):
        raise ValueError(f"uuid8: expected 8 characters of 0-9 a-f, got {uuid8!r}")
    if not 0 < epoch < 10**18:
        raise ValueError(f"epoch: expected 1 to 10^18 - 1, got {epoch}")
    return f"outcry-{uuid8}-{epoch}"


def check_capacity(name: str, capacity: int, least: int) -> None:
    """SegmentError unless ``capacity`` is a power of two of at least ``least`` slots."""
    if capacity < least or capacity & (capacity - 1):
        raise SegmentError(
            f"{name!r}: expected a capacity that is a power of two, at least {least} slots "
            f"(slots are masked), got {capacity}"
        )


def create(name: str, size: int, line_0: dict[str, int], *, prefault: bool = True) -> Segment:
    """Create a zeroed segment of ``size`` bytes; the caller fills it and calls ``publish``.

    ``line_0`` gives epoch, kind, schema, capacity, slot_bytes and gateway.  The memory is
    reserved at once: a full /dev/shm is an OSError here, not a SIGBUS later.  FileExistsError
    when the name is taken: see ``unlink_stale``.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"segment name: expected outcry-<uuid8>-<epoch>-<part>, got {name!r}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(DIRECTORY / name, flags, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
        memory = mmap.mmap(descriptor, size)
    except OSError:
        os.close(descriptor)
        (DIRECTORY / name).unlink()
        raise
    segment = Segment(name, memory, descriptor)
    if prefault:
        _populate(segment)
    for field, value in {**line_0, "size": size}.items():
        store_word(segment.address + offset_of(SEGMENT, field), value)
    return segment


def attach(name: str, kind: int, epoch: int, *, writable: bool) -> Segment:
    """Map a segment that another process created.

    Raises SegmentError when it is not there (yet), of another kind, version or epoch, or not of the
    size that its header says.
    """
    try:
        flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(DIRECTORY / name, flags)
    except FileNotFoundError:
        raise SegmentError(f"{KIND_NAMES[kind]} {name!r}: not there (yet)") from None
    try:
        size = os.fstat(descriptor).st_size
        if size < HEADER_BYTES:
            raise SegmentError(f"{KIND_NAMES[kind]} {name!r}: not created completely yet")
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        segment = Segment(name, mmap.mmap(descriptor, size, mmap.MAP_SHARED, access), descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    wrong = _fault(segment, kind, epoch)
    if wrong:
        segment.close()
        raise SegmentError(f"{KIND_NAMES[kind]} {name!r}: {wrong}")
    return segment


def unlink_stale(uuid8: str, keep_epoch: int = 0) -> list[str]:
    """Remove the segments of this journal's other epochs; the names removed.

    Only the core calls this, while it holds the journal's lock: no other core can be alive.
    """
    prefix(uuid8, keep_epoch or 1)
    removed = []
    for path in sorted(DIRECTORY.glob(f"outcry-{uuid8}-*")):
        match = _NAME.fullmatch(path.name)
        if match and int(match[1]) != keep_epoch:
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def _fault(segment: Segment, kind: int, epoch: int) -> str:
    version = load_word(segment.address)
    header = {field: segment.word(field) for field in ("kind", "epoch", "size")}
    if version == 0:
        return "not created completely yet"
    if version != VERSION:
        return f"version {VERSION:#x} expected, {version:#x} found: another version of Outcry runs"
    if header["kind"] != kind:
        return f"kind {kind} expected, {header['kind']} found"
    if header["epoch"] != epoch:
        return f"epoch {epoch} expected, {header['epoch']} found: the core restarted; re-attach"
    if header["size"] != segment.size:
        return f"{header['size']} bytes expected, the file has {segment.size}"
    return ""


def _populate(segment: Segment) -> None:
    with contextlib.suppress(OSError):  # Where the system gives them to shared memory at all.
        segment.memory.madvise(mmap.MADV_HUGEPAGE)
    try:
        segment.memory.madvise(_MADV_POPULATE_WRITE)
    except OSError:  # An older kernel: touch the pages.
        view(segment.address, np.dtype(np.uint8), segment.size)[:: mmap.PAGESIZE] = 0
