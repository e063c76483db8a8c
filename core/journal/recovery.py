"""Opening a journal for writing: reliability.md 2.4, steps 0 to 8, from genesis.

Lock, settle, inventory, sealed segments, active segment, tail, witness, truncate.  Nothing is
changed before everything was judged; what is cut away is first copied to ``quarantine``.  Replay
follows (``Walk`` again, by the sequencer), then ``Writer`` fences with EPOCH_START.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.constants import SEQUENCE_JUMP
from core.journal import create, segments, witness
from core.journal import header as headers
from core.journal.access import block_row
from core.journal.ahead import AHEAD_ITEMS, read_ahead
from core.journal.config import JournalConfig, boot_id, check
from core.journal.content import Content
from core.journal.errors import Fault, JournalConfiguration, JournalError, JournalRefused
from core.journal.header import Header
from core.journal.layout import (
    ALIGN_RELAXED,
    BLOCK,
    BLOCK_MAGIC,
    EPOCH_PAYLOAD,
    EPOCH_START,
    GENESIS,
    MARKER,
    MARKER_CLOSED,
    MARKER_PAYLOAD,
    RELAXED,
    SEAL,
    SEGMENT,
    SEGMENT_HEADER_BYTES,
    SYNC,
)
from core.journal.lock import Lock, acquire
from core.journal.place import Place
from core.journal.reader import Walk
from core.journal.scanner import Commands, Special
from core.journal.snapshots import newest_sequence
from core.journal.tail import CLEAN, LOST, Tail
from core.journal.truncation import Cut, cut_of, pending, truncate
from core.journal.witness import Witness
from core.limits import from_genesis

HINT_UPGRADE: Final = "check out that version, or run 'outcry upgrade'"


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


@dataclass
class Known:
    """What the special blocks said, up to some place; a snapshot keeps it for what it spares."""

    genesis: bytes = b""
    engine_version: int | None = None
    boot_id: bytes = b""
    next_sequence: int = 1
    closed: bool = True
    durability: int = 0  # Of the newest process that was fenced; 0: it was before that place.

    def take(self, item: Commands | Special) -> None:
        """Note one item of the walk."""
        if isinstance(item, Special) and item.kind == SEAL:  # After a clean stop it still is one.
            return
        self.closed = False
        if isinstance(item, Commands):
            self.next_sequence = item.last_sequence + 1
            return
        if item.kind == GENESIS:
            self.genesis = item.payload
            self.next_sequence = int(item.block["first_sequence"])
            self.closed = True
        elif item.kind == EPOCH_START:
            epoch: Any = np.frombuffer(item.payload, EPOCH_PAYLOAD)[0]
            self.engine_version = int(epoch["engine_version"])
            self.boot_id = epoch["boot_id"].tobytes()
            self.durability = int(epoch["durability"])
            self.next_sequence = int(epoch["next_sequence"])
        elif item.kind == MARKER and len(item.payload) == MARKER_PAYLOAD.itemsize:
            marker: Any = np.frombuffer(item.payload, MARKER_PAYLOAD)[0]
            self.closed = int(marker["cause"]) == MARKER_CLOSED


class Opening(NamedTuple):
    """A journal that is locked and settled, and not yet read."""

    data: Path
    directory: Path
    uuid: bytes
    lock: Lock
    config: JournalConfig
    witnessed: Witness
    created: bool  # It is new: it holds GENESIS only.


def begin(data: Path, config: JournalConfig) -> Opening:
    """Lock the journal of ``data``, making one where that is allowed, and settle it.

    Raises JournalBusy (75), JournalConfiguration (78), JournalRefused (80); the lock is given up
    then.
    """
    check(config)
    if config.durability == SYNC and not config.allow_volatile:
        segments.refuse_volatile(data)
    if create.may_create(data):
        create.mark(data)
    lock = acquire(data)
    with _giving_up(lock, data):
        created = (data / segments.INIT_NAME).exists()
        create.finish(data, config)
        directory = segments.journal_directory(data)
        if directory is None:
            root = data / segments.JOURNAL_NAME
            raise JournalRefused(Fault.MISSING, root, 0, "the journal is gone", create.HINT_PLACE)
        uuid = bytes.fromhex(directory.name.replace("-", ""))
        for path in _ours(data, directory):
            segments.refuse_permissions(path)
        _settle(directory)
        witnessed = witness.read(directory, uuid)
        return Opening(data, directory, uuid, lock, config, witnessed, created)


def finish(
    opening: Opening,
    take: Callable[[Commands | Special], None] | None = None,
    *,
    start: Place | None = None,
    known: Known | None = None,
    ahead: bool = True,
    published: int = 0,
) -> Recovery:
    """Read the journal once, giving every item to ``take``, judge its end, cut away what may be.

    ``start``: the place of the snapshot that the reader has, ``known`` what it kept besides;
    ``published``: the newest sequence that clients are known to have seen.
    Nothing is changed on the disk before everything was read, taken and judged.  Raises
    JournalRefused, JournalConfiguration, and what ``take`` raises; the lock is given up then.
    """
    with _giving_up(opening.lock, opening.data):
        known = known or Known()
        return _finish(opening, take, start, known, ahead=ahead, published=published)


def recover(data: Path, config: JournalConfig) -> Recovery:
    """``begin`` and ``finish`` from genesis, for who needs no state."""
    return finish(begin(data, config))


@contextlib.contextmanager
def _giving_up(lock: Lock, data: Path) -> Iterator[None]:
    """Give the lock up when anything is raised; OSError becomes JournalError."""
    try:
        yield
    except OSError as error:
        lock.close()
        raise JournalError(f"journal of {data}: {error}") from error
    except BaseException:
        lock.close()
        raise


def _finish(
    opening: Opening,
    take: Callable[[Commands | Special], None] | None,
    start: Place | None,
    seen: Known,
    *,
    ahead: bool,
    published: int,
) -> Recovery:
    directory, config, witnessed = opening.directory, opening.config, opening.witnessed
    watch, buffers = witnessed.sequence, AHEAD_ITEMS + 2
    walk = Walk(directory, opening.uuid, start=start, watch=watch, buffers=buffers)
    for item in read_ahead(walk) if ahead else walk:
        seen.take(item)
        if isinstance(item, Special) and item.kind in (GENESIS, EPOCH_START):
            _refuse_change(directory, config, seen)
        if take is not None:
            take(item)
    tail, header, state = walk.tail, walk.header, walk.state
    assert tail is not None
    assert header is not None
    seen_by_snapshot = newest_sequence(opening.data, opening.uuid)
    refuse_lost(tail, directory, witnessed, walk, seen_by_snapshot)
    _refuse_change(directory, config, seen)
    last_sequence = int(state.last_sequence)
    early = _answered_early(directory, walk.segments[0], header, seen)
    next_sequence = _next_sequence(directory, tail, seen, last_sequence, early=early)
    if early and published >= seen.next_sequence:
        next_sequence = max(next_sequence, seen.next_sequence - 1 + SEQUENCE_JUMP)
    segments.remove_unfinished(directory)
    if tail.kind != CLEAN:
        truncate(directory, tail, int(state.last_sequence), next_sequence)
    cut = cut_of(directory, int(state.last_sequence))
    return Recovery(
        data=opening.data,
        directory=directory,
        uuid=opening.uuid,
        lock=opening.lock,
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
        created=opening.created,
        blocks=int(state.blocks),
        commands=int(state.commands),
        closed=seen.closed,
        spares=walk.spares,
    )


def hint(directory: Path) -> tuple[int, int]:
    """(last sequence, epoch) as the newest block says that looks like one: for progress and names.

    Nothing is checked, so nothing may depend on it.
    """
    numbers = segments.inventory(directory)
    used = [n for n in numbers if segments.is_activated(segments.segment_path(directory, n))]
    if not used:
        return 0, 0
    content = Content(segments.segment_path(directory, used[-1]), direct=True)
    row: Any = content.array[: SEGMENT.itemsize].view(SEGMENT)[0]
    found = int(row["first_sequence"]) - 1, int(row["epoch"])
    offset = SEGMENT_HEADER_BYTES
    while offset + BLOCK.itemsize <= content.size:
        block = block_row(content.address + offset)
        if block.magic != BLOCK_MAGIC or block.block_bytes < ALIGN_RELAXED:
            break
        found = int(block.last_sequence), int(block.epoch)
        offset += int(block.block_bytes)
    return found


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
        segments.sync_file(segments.segment_path(directory, number))
    segments.sync_directory(directory)


def refuse_lost(
    tail: Tail, directory: Path, witnessed: Witness, walk: Walk, seen_by_snapshot: int
) -> None:
    """Raise JournalRefused when a witness or a later header proves that durable data is gone."""
    state = walk.state
    last = int(state.last_sequence)
    path = directory / segments.WITNESS_NAME
    for who, sequence in (
        ("a later header says", tail.durable_sequence),
        ("the witness saw", witnessed.sequence),
        ("there is a snapshot of", seen_by_snapshot),
    ):
        if sequence > last:
            detail = f"the journal ends at {last}, {who} {sequence}"
            raise JournalRefused(Fault.LOST_ACKED, tail.path, tail.offset, detail)
    known = walk.start
    if witnessed.sequence <= walk.base and not (known and witnessed.sequence == known.sequence):
        return
    found = (int(state.watch_a), int(state.watch_b)) if state.watch_found else None
    if known and witnessed.sequence == known.sequence:
        found = known.chain
    if found != witnessed.chain:
        detail = f"another history: the chain at {witnessed.sequence} is not the witness's"
        raise JournalRefused(Fault.WITNESS, path, 0, detail)


def _refuse_change(directory: Path, config: JournalConfig, seen: Known) -> None:
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


def _answered_early(directory: Path, first_segment: int, header: Header, seen: Known) -> bool:
    """Whether clients may have seen what never came to the disk.

    Not the newest segment alone tells: a start that changed from ``relaxed`` to ``sync`` makes a
    segment of its own first, and may have died before its EPOCH_START recorded what was lost.
    ``published``, of the ring of the last life, then tells more than the boot: the page cache does
    not outlive its file system, and one that fails takes along what it had not written.
    """
    if seen.closed:
        return False
    last = seen.durability
    if not last:  # Who was fenced wrote what stands in the segment of the snapshot's place.
        last = headers.read(segments.segment_path(directory, first_segment)).durability
    return RELAXED in (header.durability, last)


def _next_sequence(
    directory: Path, tail: Tail, seen: Known, last_sequence: int, *, early: bool
) -> int:
    """The next sequence to give: far away when clients may have seen some that are lost."""
    noted = pending(directory)
    # A note of another end speaks of a journal that was since brought back from a copy.
    fits = noted is not None and int(noted.last_sequence) == last_sequence
    if noted is not None and fits and noted.next_sequence > seen.next_sequence:
        return int(noted.next_sequence)
    far = seen.next_sequence - 1 + SEQUENCE_JUMP
    if tail.kind == LOST:
        return far
    # The page cache outlives the process, but not the machine: without a clean stop whole blocks
    # may be missing behind the last one, and nothing on the disk would show it.
    boot = boot_id()
    rebooted = seen.boot_id != boot or not any(boot)
    return far if early and rebooted else seen.next_sequence
