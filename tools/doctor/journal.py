"""A quick look at a journal and its snapshots that changes nothing, and takes seconds at most.

Names and headers of all segments, manifests of all snapshots, and what a start would read behind
the newest of them.  Beside a live exchange nothing is read but names and headers: it reads its
journal itself.  ``outcry journal verify`` is what reads every byte.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from core.clock import monotonic_ns
from core.journal import header as headers
from core.journal.create import may_create
from core.journal.errors import JournalError, JournalRefused
from core.journal.header import Header
from core.journal.place import Place
from core.journal.recovery import Known, hint
from core.journal.segments import inventory, is_activated, journal_directory, segment_path
from core.journal.snapshots import STATE_NAME, Manifest, SnapshotBad, directories, read_manifest
from core.journal.verify import base_sequence, judge_end, open_walk

WALK_BYTES_MAX: Final = 512 << 20


@dataclass
class Look:
    """What was seen; ``refused``: a start would say so too."""

    directory: Path | None = None  # None: there is no journal, and a start makes one.
    refused: JournalError | None = None
    segments: int = 0  # In use.
    newest: Header | None = None
    snapshots: list[Manifest] = field(default_factory=list)  # That can be used, newest first.
    bad_snapshots: list[str] = field(default_factory=list)
    needs_snapshot: bool = False
    bytes_behind: int = 0  # Of the journal, behind the newest snapshot.
    last_sequence: int = 0
    commands_behind: int = 0
    known: Known | None = None  # None: the end was not read.
    tail: str = ""
    tail_bytes: int = 0
    walk_ns: int = 0

    @property
    def snapshot(self) -> Manifest | None:
        """The newest that can be used."""
        return self.snapshots[0] if self.snapshots else None


def look(data: Path, *, is_live: bool) -> Look:
    """See the module."""
    found = Look()
    try:
        if may_create(data):
            return found
        found.directory = journal_directory(data)
        if found.directory is not None:
            _inventory(found, data, found.directory)
            if is_live:
                found.last_sequence = hint_of_live(found)
            else:
                _end(found, data, found.directory)
    except (JournalRefused, SnapshotBad) as error:
        found.refused = error
    except FileNotFoundError:  # Beside a live exchange a segment or snapshot may just have gone.
        if not is_live:
            raise
    return found


def _inventory(found: Look, data: Path, directory: Path) -> None:
    numbers = inventory(directory)
    used = [number for number in numbers if is_activated(segment_path(directory, number))]
    found.segments = len(used)
    for number in used:
        found.newest = headers.read(segment_path(directory, number))
    oldest = numbers[0] if numbers else 1
    found.needs_snapshot = oldest > 1 or base_sequence(directory, numbers) > 0
    for path in directories(data):
        try:
            found.snapshots.append(_usable(path, directory.name, oldest))
        except SnapshotBad as bad:
            found.bad_snapshots.append(str(bad))
    first = found.snapshot.place.segment_no if found.snapshot else oldest
    size = found.newest.segment_bytes if found.newest else 0
    found.bytes_behind = sum(size for number in used if number >= first)


def _usable(path: Path, uuid: str, oldest: int) -> Manifest:
    """The manifest of a snapshot, without reading its state; raises SnapshotBad."""
    manifest = read_manifest(path)
    if manifest.journal_uuid != uuid:
        raise SnapshotBad(path, f"of another journal, {manifest.journal_uuid}")
    if max(manifest.place.segment_no, 1) < oldest:
        raise SnapshotBad(path, "the journal begins behind it")
    state = path / STATE_NAME
    size = state.stat().st_size if state.is_file() else 0
    if size != manifest.state_bytes:
        raise SnapshotBad(state, f"expected {manifest.state_bytes} bytes, got {size}")
    return manifest


def hint_of_live(found: Look) -> int:
    """The newest sequence that is certain without reading blocks."""
    first = found.newest.first_sequence - 1 if found.newest else 0
    return max(first, found.snapshot.sequence if found.snapshot else 0)


def _end(found: Look, data: Path, directory: Path) -> None:
    """Read what a start would read, unless that is long; raises JournalRefused."""
    snapshot = found.snapshot
    if snapshot is None and found.needs_snapshot:
        return
    if found.bytes_behind > WALK_BYTES_MAX:
        found.last_sequence, _ = hint(directory)
        found.commands_behind = found.last_sequence - (snapshot.sequence if snapshot else 0)
        return
    place: Place | None = snapshot.place if snapshot else None
    known = known_of(snapshot) if snapshot else Known()
    begun_ns = monotonic_ns()
    walk = open_walk(data, start=place)
    for item in walk:
        known.take(item)
    judge_end(data, walk)
    found.walk_ns = monotonic_ns() - begun_ns
    found.known = known
    found.last_sequence = int(walk.state.last_sequence)
    found.commands_behind = int(walk.state.commands)
    if walk.tail is not None:
        found.tail, found.tail_bytes = walk.tail.kind, walk.tail.extent


def known_of(manifest: Manifest) -> Known:
    """What the special blocks before a snapshot said."""
    boot = bytes.fromhex(manifest.boot_id)
    genesis = bytes.fromhex(manifest.genesis)
    return Known(genesis, manifest.engine_version, boot, manifest.sequence + 1, closed=False)
