"""What a start would say of a journal, and up to where it is good: read only.

The order of the checks is that of ``core.journal.recovery``; unlike a start, the judgement goes on
after the first fault, so that one plan can name everything that stands in the way.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.journal import create, segments, witness
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import CHECKPOINT, EPOCH_PAYLOAD, EPOCH_START, GENESIS
from core.journal.reader import Walk
from core.journal.recovery import HINT_UPGRADE, refuse_lost
from core.journal.scanner import Commands, Special
from core.journal.segments import segment_path
from core.journal.snapshots import SnapshotBad, directories, newest_sequence, read_manifest
from core.journal.truncation import pending
from core.journal.verify import base_sequence
from core.journal.witness import NOTHING, Witness
from core.sequencer import snapshot
from core.sequencer.engine import ENGINE_VERSION
from core.sequencer.snapshot import Loaded
from replay.replay import Replay, from_base

# These say that the journal itself may be right: nothing of it is ever given up for them.
NEVER_CUT: Final = frozenset(
    {
        Fault.NOT_EMPTY,
        Fault.MISSING,
        Fault.PERMISSIONS,
        Fault.FORMAT,
        Fault.ENGINE_VERSION,
        Fault.NONDETERMINISM,
    }
)


class End(NamedTuple):
    """The end of the last block that is good."""

    path: Path
    segment_no: int
    offset: int
    sealed: bool
    salt: int
    sequence: int
    next_sequence: int
    chain: tuple[int, int]
    state_hash: str  # Of the engine after ``sequence``; empty when it cannot be run.


@dataclass
class Judgement:
    """``refusals`` in the order of a start: what it says is the first; empty: it would go on."""

    data: Path
    directory: Path | None = None
    uuid: bytes = b""
    refusals: list[JournalRefused] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    place: End | None = None
    witness: Witness = NOTHING
    bad_witness: bool = False
    bad_note: bool = False
    snapshot_sequence: int = 0  # Of the newest manifest that can be read.
    bad_snapshots: list[Path] = field(default_factory=list)  # Of another history.
    unused_snapshots: list[str] = field(default_factory=list)  # Damaged: a start passes them over.
    tail_durable: int = 0
    behind_seal: bool = False  # The one fault of the walk is bytes behind a seal.
    walk_failed: bool = False
    missing: Path | None = None  # The first segment of a gap.


class Listed(Walk):
    """A walk over the segments up to the first gap, whatever else lies beside them."""

    def numbers(self) -> list[int]:
        """Without a gap, and without a complaint."""
        return segments_before_gap(self.directory)


def segments_before_gap(directory: Path) -> list[int]:
    """Numbers of the segments, rising, up to the first that is missing."""
    found = all_segments(directory)
    return [number for at, number in enumerate(found, found[0] if found else 0) if number == at]


def all_segments(directory: Path) -> list[int]:
    """Numbers of all regular files that are named like segments, rising."""
    return sorted(
        int(match.group(1))
        for entry in directory.iterdir()
        if (match := segments.SEGMENT_NAME.fullmatch(entry.name))
        and entry.is_file()
        and not entry.is_symlink()
    )


class _Engine:
    """Runs what is walked, as far as this version of the engine may."""

    def __init__(self, directory: Path, loaded: Loaded | None) -> None:
        self.directory = directory
        self.replay: Replay | None = None
        if loaded is not None:
            genesis = bytes.fromhex(loaded.manifest.genesis)
            self.replay = Replay(genesis, state=loaded.state)
        self.version = ENGINE_VERSION  # Of the newest epoch.
        self.differs: JournalRefused | None = None

    def take(self, item: Commands | Special) -> None:
        """Apply commands, compare checkpoints; the run ends where another engine begins."""
        if isinstance(item, Commands):
            if self.replay is not None:
                self.replay.apply(item.slots)
        elif item.kind == GENESIS and self.replay is None and not from_base(item.payload):
            self.replay = Replay(item.payload)
        elif item.kind == EPOCH_START:
            self.version = int(np.frombuffer(item.payload, EPOCH_PAYLOAD, 1)["engine_version"][0])
            if self.version != ENGINE_VERSION:
                self.replay = None
        elif item.kind == CHECKPOINT and self.replay is not None:
            differs = self.replay.difference(item.payload)
            if differs:
                path = segment_path(self.directory, item.segment_no)
                self.differs = JournalRefused(Fault.NONDETERMINISM, path, item.offset, differs)
                self.replay = None

    def refusals(self) -> list[JournalRefused]:
        """As a start gives them, at the end."""
        found = [] if self.differs is None else [self.differs]
        if self.version != ENGINE_VERSION:
            detail = (
                f"the journal was written by engine version {self.version}, "
                f"this is version {ENGINE_VERSION}"
            )
            other = JournalRefused(Fault.ENGINE_VERSION, self.directory, 0, detail, HINT_UPGRADE)
            found.insert(0, other)
        return found

    def state_hash(self) -> str:
        """Of the state now; empty when there is none."""
        return self.replay.state.hash().hex() if self.replay is not None else ""


def judge(data: Path) -> Judgement:
    """Judge the journal of ``data``; raises OSError for a file that cannot be read.

    A directory in which a start would make a new journal, or finish making one, is in order.
    """
    found = Judgement(data)
    if not _locate(found) or found.directory is None:
        return found
    for path in (data / segments.JOURNAL_NAME, found.directory, *_segment_paths(found.directory)):
        _try(found, segments.refuse_permissions, path)
    _take_inventory(found)
    try:
        found.witness = witness.read(found.directory, found.uuid)
    except JournalRefused as refusal:
        found.bad_witness = True
        found.refusals.append(refusal)
    _walk(found)
    found.bad_note = not _try(found, pending, found.directory)
    return found


def _try(found: Judgement, check: Any, *arguments: Any) -> bool:
    try:
        check(*arguments)
    except JournalRefused as refusal:
        found.refusals.append(refusal)
        return False
    return True


def _locate(found: Judgement) -> bool:
    """Find the one journal; False when there is none to go on with."""
    init = found.data / segments.INIT_NAME
    try:
        if init.exists():
            create.announced(found.data)
        if create.may_create(found.data):
            return False
    except JournalRefused as refusal:
        found.refusals.append(refusal)
        if not init.exists():
            return False
    root = found.data / segments.JOURNAL_NAME
    entries = [entry for entry in sorted(root.iterdir()) if entry.name != segments.LOCK_NAME]
    journals = [entry for entry in entries if entry.is_dir() and segments.is_uuid(entry.name)]
    _try(found, segments.journal_directory, found.data)
    if len(journals) != 1:
        return False
    found.directory = journals[0]
    found.uuid = bytes.fromhex(journals[0].name.replace("-", ""))
    found.foreign = [entry for entry in entries if entry not in journals]
    found.foreign += [init] if init.exists() else []
    return True


def _segment_paths(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.seg"))


def _take_inventory(found: Judgement) -> None:
    """What does not belong, all of it; and the gap, if there is one."""
    assert found.directory is not None
    _try(found, segments.inventory, found.directory)
    numbers = all_segments(found.directory)
    names = {segment_path(found.directory, number).name for number in numbers}
    for entry in sorted(found.directory.iterdir()):
        known = entry.name in names or entry.name in segments.BESIDE
        if not known and not segments.UNFINISHED.fullmatch(entry.name):
            found.foreign.append(entry)
    before = segments_before_gap(found.directory)
    if len(before) < len(numbers):
        found.missing = segment_path(found.directory, before[-1] + 1)


def _walk(found: Judgement) -> None:
    """Walk from the newest snapshot that can be used; from an older one, or from genesis, where
    its place is not in the journal as it was."""
    assert found.directory is not None
    found.snapshot_sequence = newest_sequence(found.data, found.uuid)
    numbers = segments_before_gap(found.directory)
    oldest = numbers[0] if numbers else 1
    for directory in directories(found.data):
        loaded = _load(found, directory, oldest)
        if loaded is None:
            continue
        if _walk_from(found, loaded):
            return
        found.bad_snapshots.append(directory)
    why = snapshot.needed(oldest, base_sequence(found.directory, numbers))
    if not why:
        _walk_from(found, None)
    elif not found.bad_snapshots:
        said = "; ".join(found.unused_snapshots) or "there is none"
        detail = f"{why}: {said}"
        root = found.data / "snapshots"
        found.refusals.append(JournalRefused(Fault.SNAPSHOT, root, 0, detail))


def _load(found: Judgement, directory: Path, oldest: int) -> Loaded | None:
    """A snapshot that a start would use; None: it would pass it over."""
    bad: list[str] = []
    try:
        manifest = read_manifest(directory)
        if bytes.fromhex(manifest.journal_uuid.replace("-", "")) != found.uuid:
            bad.append(f"{directory}: of another journal, {manifest.journal_uuid}")
        elif max(manifest.place.segment_no, 1) < oldest:
            bad.append(f"{directory}: the journal begins behind it")
        else:
            return snapshot.load(directory)
    except (SnapshotBad, OSError, ValueError, TypeError) as error:
        bad.append(str(error))
    found.unused_snapshots += bad
    return None


def _walk_from(found: Judgement, loaded: Loaded | None) -> bool:
    """Walk, run, judge the end; False when the walk could not even begin behind the snapshot."""
    assert found.directory is not None
    place = loaded.manifest.place if loaded is not None else None
    walk = Listed(found.directory, found.uuid, start=place, watch=found.witness.sequence)
    engine = _Engine(found.directory, loaded)
    refusal = None
    try:
        for item in walk:
            engine.take(item)
    except JournalRefused as fault:
        refusal = fault
    if refusal is not None and not any(str(refusal) == str(other) for other in found.refusals):
        found.refusals.append(refusal)
    if refusal is not None and loaded is not None and walk.header is None:
        return False
    found.place = _place(walk, engine)
    if refusal is not None:
        found.walk_failed = True
        at = found.place
        found.behind_seal = (
            refusal.fault == Fault.CORRUPT_SEALED
            and at is not None
            and at.sealed
            and (refusal.path, refusal.offset) == (at.path, at.offset)
        )
    if walk.tail is not None:
        found.tail_durable = walk.tail.durable_sequence
        lost = (walk.tail, found.directory, found.witness, walk, found.snapshot_sequence)
        _try(found, refuse_lost, *lost)
    found.refusals += engine.refusals()
    return True


def _place(walk: Walk, engine: _Engine) -> End | None:
    """Where the walk ended; None when it did not come behind GENESIS."""
    state: Any = walk.state
    if walk.header is None or (walk.start is None and int(state.block_no) == 1):
        return None
    return End(
        path=segment_path(walk.directory, walk.header.segment_no),
        segment_no=walk.header.segment_no,
        offset=int(state.offset),
        sealed=walk.sealed,
        salt=walk.header.salt,
        sequence=int(state.last_sequence),
        next_sequence=int(state.next_sequence),
        chain=(int(state.chain_a), int(state.chain_b)),
        state_hash=engine.state_hash(),
    )
