"""The files of snapshots: where they lie, what a manifest says, how one comes to be whole.

``DATA/snapshots/<sequence:016d>/`` holds ``state``, the used rows of every table one after the
other, and ``manifest``: one line of JSON, one line with its SHA-256.  A snapshot is written beside,
synced, renamed, and the directory synced, so it is there whole or not at all.  A manifest that can
be read is a witness: its sequence was durable.  reliability.md 2.6, architecture decision 25.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from core.journal.errors import JournalError
from core.journal.place import Place
from core.journal.scanner import first_chain
from core.journal.segments import DIRECTORY_MODE, open_file, sync_directory
from core.limits import base_of

SNAPSHOTS_NAME: Final = "snapshots"
MANIFEST_NAME: Final = "manifest"
STATE_NAME: Final = "state"
FORMAT: Final = 1
NAME: Final = re.compile(r"[0-9]{16}")
MANIFEST_BYTES_MAX: Final = 1 << 20
_CHUNK_BYTES: Final = 4 << 20


class SnapshotBad(JournalError):
    """A snapshot that must not be used: which file, where, and why."""

    def __init__(self, path: Path, detail: str, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.detail = detail
        super().__init__(f"snapshot cannot be used: {path} at {offset}: {detail}")


class Section(NamedTuple):
    """Rows of one table in the file ``state``."""

    name: str
    fields: list[Any]  # A numpy dtype as a list; rows are loaded by the names of their fields.
    rows: int
    offset: int
    bytes: int
    crc32c: int


class Manifest(NamedTuple):
    """What a snapshot says about itself.  ``place``: the journal goes on behind it."""

    format: int
    journal_uuid: str
    sequence: int
    timestamp_ns: int
    place: Place
    genesis: str  # The payload, hexadecimal.
    engine_version: int
    boot_id: str
    state_hash: str
    event_hash: int
    events: int
    trades: int
    open_orders: int
    created_ns: int
    state_bytes: int
    state_sha256: str
    sections: list[Section]


def encode(manifest: Manifest) -> bytes:
    """The bytes of the file ``manifest``."""
    fields = manifest._asdict()
    fields["place"] = manifest.place._asdict()
    fields["sections"] = [section._asdict() for section in manifest.sections]
    line = json.dumps(fields, separators=(",", ":")).encode()
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def read_manifest(directory: Path) -> Manifest:
    """The manifest of the snapshot in ``directory``; raises SnapshotBad."""
    path = directory / MANIFEST_NAME
    try:
        with open(open_file(path, os.O_RDONLY), "rb", buffering=0) as file:
            raw = file.read(MANIFEST_BYTES_MAX) or b""
    except OSError as error:
        raise SnapshotBad(path, f"cannot be read: {error.strerror}") from None
    line, _, rest = raw.partition(b"\n")
    if rest != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise SnapshotBad(path, "the SHA-256 of the manifest is not that of its second line")
    try:
        fields = json.loads(line)
        if fields["format"] != FORMAT:
            raise SnapshotBad(path, f"expected format {FORMAT}, got {fields['format']}")
        place = dict(fields.pop("place"))
        chain = place.pop("chain")
        sections = [Section(**section) for section in fields.pop("sections")]
        found = Manifest(
            place=Place(chain=(chain[0], chain[1]), **place), sections=sections, **fields
        )
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise SnapshotBad(path, f"expected the fields of format {FORMAT}: {error}") from None
    _refuse_kinds(found, path)
    if directory.name != name_of(found.sequence):
        raise SnapshotBad(path, f"the directory is not that of sequence {found.sequence}")
    return found


def _refuse_kinds(found: Manifest, path: Path) -> None:
    """SnapshotBad when a field holds another kind of value, or the place is another sequence's."""
    rows: list[Any] = [found, found.place, *found.sections]
    for row in rows:
        for name, kind in type(row).__annotations__.items():
            if kind in (int, str) and type(getattr(row, name)) is not kind:
                raise SnapshotBad(path, f"expected {name} to be {kind.__name__}")
    place = found.place
    lanes = [type(lane) for lane in place.chain] == [int, int]
    if not lanes or (place.segment_no < 1 and place != _base_place(found)):
        raise SnapshotBad(path, "expected a place behind a block of the journal")
    if place.sequence != found.sequence:
        raise SnapshotBad(path, f"its place is that of sequence {place.sequence}")


def _base_place(found: Manifest) -> Place | None:
    """Where the snapshot lies that a journal goes on from: in front of its first block."""
    try:
        sequence = base_of(bytes.fromhex(found.genesis)).sequence
        uuid = bytes.fromhex(found.journal_uuid.replace("-", ""))
        chain = first_chain(uuid)
    except (ValueError, IndexError):
        return None
    return Place(0, 0, 0, sequence, chain) if sequence else None


def name_of(sequence: int) -> str:
    """Name of the directory of the snapshot at ``sequence``."""
    return f"{sequence:016d}"


def directories(data: Path) -> list[Path]:
    """The snapshots of ``data``, newest first; whether they can be used is another question."""
    root = data / SNAPSHOTS_NAME
    if not root.is_dir():
        return []
    return sorted((path for path in root.iterdir() if NAME.fullmatch(path.name)), reverse=True)


def manifests(data: Path, uuid: bytes) -> Iterator[Manifest]:
    """Every manifest of the journal ``uuid`` that can be read, newest first."""
    for directory in directories(data):
        try:
            found = read_manifest(directory)
        except SnapshotBad:
            continue
        if found.journal_uuid.replace("-", "") == uuid.hex():
            yield found


def newest_sequence(data: Path, uuid: bytes) -> int:
    """Of the newest manifest that can be read; 0: there is none."""
    return max((found.sequence for found in manifests(data, uuid)), default=0)


def create(data: Path, sequence: int, fill: Callable[[int], Manifest]) -> Path:
    """Make the snapshot at ``sequence``: ``fill`` writes the state into a descriptor and gives the
    manifest.  Does nothing where there is one already.  Raises OSError."""
    root = data / SNAPSHOTS_NAME
    root.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    target = root / name_of(sequence)
    if target.exists():
        return target
    draft = root / f"{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    draft.mkdir(mode=DIRECTORY_MODE)
    try:
        fd = open_file(draft / STATE_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            manifest = fill(fd)
            os.fsync(fd)
        finally:
            os.close(fd)
        _write_synced(draft / MANIFEST_NAME, encode(manifest))
        sync_directory(draft)
        try:
            draft.rename(target)
        except OSError:
            if not target.exists():  # Somebody else was faster: theirs is as good.
                raise
        sync_directory(root)
        sync_directory(data)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def remove(directory: Path) -> None:
    """Take a snapshot away: its name first, so that no half of it is ever found."""
    doomed = directory.with_name(f"{directory.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    directory.rename(doomed)
    shutil.rmtree(doomed)


def remove_unfinished(data: Path) -> list[str]:
    """Remove drafts that a dead process left behind; what could not be removed, and why.

    Only their one maker may call this.
    """
    failed: list[str] = []
    root = data / SNAPSHOTS_NAME
    for entry in list(root.iterdir()) if root.is_dir() else []:
        if entry.name.endswith(".tmp"):
            shutil.rmtree(entry, onerror=lambda *fault: failed.append(f"{fault[1]}: {fault[2][1]}"))
    return failed


def _write_synced(path: Path, content: bytes) -> None:
    fd = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        if os.write(fd, content) != len(content):
            raise OSError(f"short write of {path}")
        os.fsync(fd)
    finally:
        os.close(fd)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; raises OSError."""
    digest = hashlib.sha256()
    with open(open_file(path, os.O_RDONLY), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
