"""Opening a journal for writing: reliability.md 2.4, steps 0 to 8, from genesis.

Lock, settle, inventory, sealed segments, active segment, tail, witness, truncate.  Nothing is
changed before everything was judged; what is cut away is first copied to ``quarantine``.  Replay
follows (``Walk`` again, by the sequencer), then ``Writer`` fences with EPOCH_START.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.clock import realtime_ns
from core.constants import SEQUENCE_JUMP
from core.journal import create, segments, witness
from core.journal.access import structure
from core.journal.config import JournalConfig, boot_id, check
from core.journal.errors import Fault, JournalConfiguration, JournalError, JournalRefused
from core.journal.header import Header
from core.journal.layout import (
    EPOCH_PAYLOAD,
    EPOCH_START,
    GENESIS,
    MARKER,
    MARKER_CLOSED,
    MARKER_PAYLOAD,
    RELAXED,
    SYNC,
)
from core.journal.lock import Lock, acquire
from core.journal.reader import Commands, Special, Walk
from core.journal.tail import CLEAN, LOST, Tail
from core.journal.witness import Witness
from core.layout import record
from core.limits import from_genesis
from core.memory import address_of_buffer

CHUNK_BYTES: Final = 1 << 20
HINT_UPGRADE: Final = "check out that version, or run 'outcry upgrade'"

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
        ("reserved", "<i8", (2,)),
    ],
)
truncation_row: Final = structure(TRUNCATION)


class Cut(NamedTuple):
    """What was taken away at the tail; ``extent`` 0: nothing."""

    segment_no: int = 0
    offset: int = 0
    extent: int = 0


@dataclass
class Recovery:
    """A journal that may be written to: where it ends, and what has to be said about it."""

    data: Path
    directory: Path
    uuid: bytes
    lock: Lock
    config: JournalConfig
    header: Header  # Of the newest segment.
    offset: int  # Of the next block there.
    sealed: bool
    segment_blocks: int
    block_no: int
    chain: tuple[int, int]
    epoch: int  # The newest in the journal; the writer begins the next one.
    last_sequence: int
    next_sequence: int  # last + 1, or after a loss last + 2^26.
    lost: tuple[int, int]  # First and last sequence of the lost range; (0, 0): none.
    timestamp_ns: int  # The newest in the journal; the sequencer goes on above it.
    genesis: bytes
    cut: Cut
    created: bool  # The journal is new: it holds GENESIS only.
    blocks: int
    commands: int
    closed: bool  # The last process stopped cleanly.
    spares: list[int] = field(default_factory=list)

    def walk(self) -> Walk:
        """Read the journal again, for replay."""
        return Walk(self.directory, self.uuid)


@dataclass
class _Seen:
    """What the special blocks said on the way."""

    genesis: bytes = b""
    engine_version: int | None = None
    boot_id: bytes = b""
    next_sequence: int = 1
    closed: bool = True

    def take(self, item: Commands | Special) -> None:
        """Note one item of the walk."""
        self.closed = False
        if isinstance(item, Commands):
            self.next_sequence = item.last_sequence + 1
            return
        if item.kind == GENESIS:
            self.genesis = item.payload
            self.closed = True
        elif item.kind == EPOCH_START:
            epoch: Any = np.frombuffer(item.payload, EPOCH_PAYLOAD)[0]
            self.engine_version = int(epoch["engine_version"])
            self.boot_id = epoch["boot_id"].tobytes()
            self.next_sequence = int(epoch["next_sequence"])
        elif item.kind == MARKER and len(item.payload) == MARKER_PAYLOAD.itemsize:
            marker: Any = np.frombuffer(item.payload, MARKER_PAYLOAD)[0]
            self.closed = int(marker["cause"]) == MARKER_CLOSED


def recover(data: Path, config: JournalConfig) -> Recovery:
    """Open the journal of ``data``, making one where that is allowed.

    Raises JournalBusy (75), JournalConfiguration (78), JournalRefused (80).  The lock is held by
    the returned ``Recovery`` and given up when this raises.
    """
    check(config)
    if config.durability == SYNC and not config.allow_volatile:
        segments.refuse_volatile(data)
    if create.may_create(data):
        create.mark(data)
    lock = acquire(data)
    try:
        created = (data / segments.INIT_NAME).exists()
        create.finish(data, config)
        return _recover(data, config, lock, created=created)
    except OSError as error:
        lock.close()
        raise JournalError(f"journal of {data}: {error}") from error
    except BaseException:
        lock.close()
        raise


def _recover(data: Path, config: JournalConfig, lock: Lock, *, created: bool) -> Recovery:
    directory = segments.journal_directory(data)
    if directory is None:
        root = data / segments.JOURNAL_NAME
        raise JournalRefused(Fault.MISSING, root, 0, "the journal is gone", create.HINT_PLACE)
    uuid = bytes.fromhex(directory.name.replace("-", ""))
    for path in _ours(data, directory):
        segments.refuse_permissions(path)
    _settle(directory)
    witnessed = witness.read(directory, uuid)
    walk = Walk(directory, uuid, watch=witnessed.sequence)
    seen = _Seen()
    for item in walk:
        seen.take(item)
    tail, header, state = walk.tail, walk.header, walk.state
    assert tail is not None
    assert header is not None
    refuse_lost(tail, directory, witnessed, state)
    _refuse_change(directory, config, seen)
    next_sequence = _next_sequence(directory, header, tail, seen)
    segments.remove_unfinished(directory)
    if tail.kind != CLEAN:
        _truncate(directory, tail, int(state.last_sequence), next_sequence)
    cut = _cut(directory, int(state.last_sequence))
    return Recovery(
        data=data,
        directory=directory,
        uuid=uuid,
        lock=lock,
        config=config,
        header=header,
        offset=int(state.offset),
        sealed=walk.sealed,
        segment_blocks=int(state.segment_blocks),
        block_no=int(state.block_no),
        chain=(int(state.chain_a), int(state.chain_b)),
        epoch=int(state.epoch),
        last_sequence=int(state.last_sequence),
        next_sequence=next_sequence,
        lost=_lost(seen.next_sequence, next_sequence),
        timestamp_ns=int(state.timestamp_ns),
        genesis=seen.genesis,
        cut=cut,
        created=created,
        blocks=int(state.blocks),
        commands=int(state.commands),
        closed=seen.closed,
        spares=walk.spares,
    )


def _ours(data: Path, directory: Path) -> Iterator[Path]:
    """What nobody else may touch."""
    yield data / segments.JOURNAL_NAME
    yield directory
    yield from sorted(directory.glob("*.seg"))


def _settle(directory: Path) -> None:
    """Sync what the last process may have left in the page cache, before reading it."""
    numbers = segments.inventory(directory)
    used = [n for n in numbers if segments.is_activated(segments.segment_path(directory, n))]
    for number in used[-2:]:
        fd = segments.open_file(segments.segment_path(directory, number), os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    segments.sync_directory(directory)


def refuse_lost(tail: Tail, directory: Path, witnessed: Witness, state: Any) -> None:
    """Raise JournalRefused when a witness or a later header proves that durable data is gone."""
    last = int(state.last_sequence)
    path = directory / segments.WITNESS_NAME
    if tail.durable_sequence > last:
        detail = (
            f"the journal ends at {last}, a later header says {tail.durable_sequence} was durable"
        )
        raise JournalRefused(Fault.LOST_ACKED, tail.path, tail.offset, detail)
    if witnessed.sequence > last:
        detail = f"the journal ends at {last}, the witness saw {witnessed.sequence}"
        raise JournalRefused(Fault.LOST_ACKED, tail.path, tail.offset, detail)
    if witnessed.sequence:
        found = (int(state.watch_a), int(state.watch_b))
        if not state.watch_found or found != witnessed.chain:
            detail = f"another history: the chain at {witnessed.sequence} is not the witness's"
            raise JournalRefused(Fault.WITNESS, path, 0, detail)


def _refuse_change(directory: Path, config: JournalConfig, seen: _Seen) -> None:
    """Limits are the journal's for ever, the engine version until an upgrade."""
    limits, _key = from_genesis(seen.genesis)
    changed = [
        f"limits.{name}: the journal has {old}, the configuration {new}"
        for name, old, new in zip(limits._fields, limits, config.limits, strict=True)
        if old != new
    ]
    if changed:
        raise JournalConfiguration(
            f"{'; '.join(changed)} (limits are part of the journal: put the old value back, or run "
            f"'outcry upgrade')"
        )
    if seen.engine_version not in (None, config.engine_version):
        detail = (
            f"the journal was written by engine version {seen.engine_version}, "
            f"this is version {config.engine_version}"
        )
        raise JournalRefused(Fault.ENGINE_VERSION, directory, 0, detail, HINT_UPGRADE)


def _lost(expected: int, following: int) -> tuple[int, int]:
    return (0, 0) if following == expected else (expected, following - 1)


def _next_sequence(directory: Path, header: Header, tail: Tail, seen: _Seen) -> int:
    """The next sequence to give: far away when clients may have seen some that are lost."""
    pending = _pending(directory)
    if pending is not None and pending.next_sequence > seen.next_sequence:
        return int(pending.next_sequence)
    far = seen.next_sequence - 1 + SEQUENCE_JUMP
    if tail.kind == LOST:
        return far
    # The page cache outlives the process, but not the machine: without a clean stop whole blocks
    # may be missing behind the last one, and nothing on the disk would show it.
    boot = boot_id()
    rebooted = seen.boot_id != boot or not any(boot)
    if header.durability == RELAXED and not seen.closed and rebooted:
        return far
    return seen.next_sequence


def _pending(directory: Path) -> Any | None:
    """The cut that a process made and did not live to record in EPOCH_START."""
    path = directory / segments.TRUNCATION_NAME
    if not path.exists():
        return None
    raw = np.frombuffer(path.read_bytes(), np.uint8).copy()
    if raw.size != TRUNCATION.itemsize:
        detail = f"expected {TRUNCATION.itemsize} bytes, got {raw.size}"
        raise JournalRefused(Fault.INVENTORY, path, 0, detail)
    return np.frombuffer(raw, TRUNCATION).view(np.recarray)[0]


def _cut(directory: Path, last_sequence: int) -> Cut:
    pending = _pending(directory)
    if pending is None or int(pending.last_sequence) != last_sequence:
        return Cut()
    return Cut(int(pending.segment_no), int(pending.offset), int(pending.extent))


def _truncate(directory: Path, tail: Tail, last_sequence: int, next_sequence: int) -> None:
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
        note = np.zeros(TRUNCATION.itemsize, np.uint8)
        row = truncation_row(address_of_buffer(note))
        row.last_sequence, row.next_sequence = last_sequence, next_sequence
        row.segment_no, row.offset, row.extent = tail.segment_no, tail.offset, tail.extent
        row.wall_ns = now_ns
        segments.write_file(directory / segments.TRUNCATION_NAME, note.tobytes())
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
