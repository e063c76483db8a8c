"""``outcry backup``: a copy from which the exchange can be brought back; beside a live one too.

A backup is a directory: a fresh snapshot, the journal up to the end of a block, the witness of it,
whatever else lies in the data directory, and ``backup.json``, one line with the SHA-256 of every
file and one with its own.  It is written as ``TARGET.tmp`` and renamed.  docs/operations.md.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from core.clock import realtime_ns
from core.journal import header as headers
from core.journal import witness
from core.journal.content import Content
from core.journal.errors import EXIT_REFUSED, JournalError
from core.journal.recovery import Known
from core.journal.scanner import Scanner
from core.journal.segments import (
    AUDIT_NAME,
    DIRECTORY_MODE,
    INIT_NAME,
    JOURNAL_NAME,
    MANIFEST_NAME,
    TRUNCATION_NAME,
    inventory,
    newest_in_use,
    open_file,
    segment_path,
    sync_directory,
    write_file,
)
from core.journal.snapshots import SNAPSHOTS_NAME, Manifest, name_of, sha256_of
from core.journal.truncation import pending
from core.journal.verify import locate, verify
from replay import replay, snapshots

BACKUP_NAME: Final = "backup.json"
FORMAT: Final = 1
EXIT_USAGE: Final = 64
CHUNK_BYTES: Final = 4 << 20
# What is not copied as it is: made anew, copied with care, or of no use elsewhere.
NOT_COPIED: Final = frozenset({"run", "events", JOURNAL_NAME, SNAPSHOTS_NAME, "lost+found"})
Step = Callable[[str], None]


class BackupRefused(JournalError):
    """The command cannot do what it was asked to.  Nothing was changed."""

    exit_code = EXIT_USAGE


class BackupBad(JournalError):
    """A backup that is not what it was when it was made."""

    exit_code = EXIT_REFUSED


class File(NamedTuple):
    """A file of a backup; ``path`` is relative."""

    path: str
    bytes: int
    sha256: str


class Backup(NamedTuple):
    """What ``backup.json`` says."""

    format: int
    journal_uuid: str
    sequence: int
    next_sequence: int  # What the journal would have given next.
    state_hash: str
    event_hash: str
    engine_version: int
    created_ns: int
    files: list[File]


def encode(backup: Backup) -> bytes:
    """The bytes of ``backup.json``."""
    fields = backup._asdict()
    fields["files"] = [file._asdict() for file in backup.files]
    line = json.dumps(fields, separators=(",", ":")).encode()
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def read(directory: Path) -> Backup:
    """What ``backup.json`` in ``directory`` says; raises BackupBad, BackupRefused."""
    path = directory / BACKUP_NAME
    if not path.is_file():
        raise BackupRefused(f"{directory} is no backup: there is no {BACKUP_NAME}")
    line, _, rest = path.read_bytes().partition(b"\n")
    if rest != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise BackupBad(f"{path}: its SHA-256 is not that of its second line")
    try:
        said = json.loads(line)
        if said["format"] != FORMAT:
            raise BackupBad(f"{path}: expected format {FORMAT}, got {said['format']}")
        return Backup(**{**said, "files": [File(**file) for file in said["files"]]})
    except (ValueError, TypeError, KeyError) as error:
        raise BackupBad(f"{path}: expected the fields of format {FORMAT}: {error}") from None


def backup(data: Path, target: Path, step: Step = lambda _: None) -> Backup:
    """Make the backup ``target`` of ``data``; what it says.

    Raises BackupRefused, JournalRefused, SnapshotBad, NoSuchSequence, OSError.
    """
    made = _draft(target, data)
    directory, uuid = locate(data)
    step("make a snapshot")
    base = snapshots.make(data)
    copied = made / JOURNAL_NAME / directory.name
    for path in (made / JOURNAL_NAME, copied, made / SNAPSHOTS_NAME):
        path.mkdir(mode=DIRECTORY_MODE)
    step("copy the snapshot")
    name = name_of(base.sequence)
    copy_tree(data / SNAPSHOTS_NAME / name, made / SNAPSHOTS_NAME / name)
    step("copy the journal")
    for name in (MANIFEST_NAME, AUDIT_NAME, TRUNCATION_NAME):
        if (directory / name).exists():  # The manifest first: what it lists is sealed by now.
            copy_file(directory / name, copied / name)
    _copy_segments(directory, copied, base.place.segment_no)
    end = _cut(copied, uuid, base)
    place = end.scanner.place
    if place.segment_no:
        witness.write(copied, uuid, place.sequence, place.chain, realtime_ns())
    step("copy what else there is")
    for entry in _others(data):
        copy_tree(entry, made / entry.name)
    step("read the copy")
    verify(made)
    found = replay.run(made, from_snapshot=True)
    noted = pending(copied)
    fits = noted is not None and int(noted.last_sequence) == found["sequence"]
    following = max(end.known.next_sequence, int(noted.next_sequence) if noted and fits else 0)
    result = Backup(
        format=FORMAT,
        journal_uuid=directory.name,
        sequence=found["sequence"],
        next_sequence=following,
        state_hash=found["state_hash"],
        event_hash=found["event_hash"],
        engine_version=end.known.engine_version or base.engine_version,
        created_ns=realtime_ns(),
        files=[_file(made, path) for path in files_of(made)],
    )
    step("say what is there")
    write_file(made / BACKUP_NAME, encode(result))
    sync_tree(made)
    step("rename it")
    made.rename(target)
    sync_directory(target.parent)
    return result


def _draft(target: Path, data: Path) -> Path:
    """The directory in which the backup is made; what a kill left there is removed."""
    if target.exists() or target.is_symlink():
        raise BackupRefused(f"{target} exists; expected the name of a new directory")
    if target.absolute().resolve().is_relative_to(data.absolute().resolve()):
        raise BackupRefused(f"{target} lies in {data}; expected a directory elsewhere")
    made = target.with_name(f"{target.name}.tmp")
    if made.exists():
        if not (made / JOURNAL_NAME).is_dir() and any(made.iterdir()):
            raise BackupRefused(f"{made} exists and is no unfinished backup; remove it first")
        shutil.rmtree(made)
    made.mkdir(mode=DIRECTORY_MODE, parents=True)
    return made


def _others(data: Path) -> Iterator[Path]:
    """What else lies in a data directory."""
    for entry in sorted(data.iterdir()):
        if entry.name not in NOT_COPIED and not entry.name.startswith(INIT_NAME):
            yield entry


def _copy_segments(directory: Path, copied: Path, needed: int) -> None:
    """Copy every segment in use.  The oldest may be deleted meanwhile, as far as nobody needs
    them; then the copy begins behind them."""
    newest = newest_in_use(directory)
    for number in inventory(directory):
        if number > newest:
            break
        try:
            copy_file(segment_path(directory, number), segment_path(copied, number))
        except FileNotFoundError:
            if number >= max(needed, 1):
                raise
            for older in sorted(copied.glob("*.seg")):
                older.unlink()


class _End(NamedTuple):
    """Where a copy ends."""

    scanner: Scanner
    known: Known


def _cut(copied: Path, uuid: bytes, base: Manifest) -> _End:
    """Find the last whole block of the copy behind the snapshot, and write zeros behind it: a
    block that was being written while it was copied is not part of the backup."""
    scanner = Scanner(copied, uuid, start=base.place)
    genesis, boot = bytes.fromhex(base.genesis), bytes.fromhex(base.boot_id)
    known = Known(genesis, base.engine_version, boot, base.sequence + 1)
    number = scanner.first_segment()
    while True:
        path = segment_path(copied, number)
        content = Content(path, direct=True)
        header = headers.parse(content.array, path, number)
        scanner.enter(content.address, content.size, path, header)
        for item in scanner.blocks(path):
            known.take(item)
        number += 1
        if not scanner.sealed or not segment_path(copied, number).exists():
            break
    _zero(path, int(scanner.state.offset))
    for later in sorted(copied.glob("*.seg")):
        if int(later.stem) >= number:
            raise BackupBad(f"{path} is not sealed at {scanner.state.offset}, but {later} is there")
    return _End(scanner, known)


def _zero(path: Path, offset: int) -> None:
    fd = open_file(path, os.O_RDWR)
    try:
        size = os.fstat(fd).st_size
        for place in range(offset, size, CHUNK_BYTES):
            part = min(CHUNK_BYTES, size - place)
            if os.pwrite(fd, bytes(part), place) != part:
                raise OSError(f"short write of {path}")
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a file or a directory, for the owner only, every file synced; no link is followed."""
    if source.is_symlink() or not (source.is_dir() or source.is_file()):
        raise BackupRefused(f"{source}: expected a file or a directory")
    if source.is_file():
        copy_file(source, target)
        return
    target.mkdir(mode=DIRECTORY_MODE)
    for entry in sorted(source.iterdir()):
        copy_tree(entry, target / entry.name)
    sync_directory(target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, for the owner only, and sync it; raises OSError."""
    begin = open_file(source, os.O_RDONLY)
    end = -1
    try:
        end = open_file(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        while part := os.read(begin, CHUNK_BYTES):
            if os.write(end, part) != len(part):
                raise OSError(f"short write of {target}")
        os.fsync(end)
    finally:
        os.close(begin)
        if end >= 0:
            os.close(end)


def files_of(directory: Path) -> list[Path]:
    """Every file below, but ``backup.json``, sorted."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in found if path != directory / BACKUP_NAME)


def _file(root: Path, path: Path) -> File:
    return File(str(path.relative_to(root)), path.stat().st_size, sha256_of(path))


def sync_tree(directory: Path) -> None:
    """Make every name below durable."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir():
            sync_directory(path)
    sync_directory(directory)


def fields(result: Backup) -> dict[str, Any]:
    """What is shown of a backup, flat."""
    shown = result._asdict()
    files = shown.pop("files")
    del shown["format"], shown["next_sequence"]
    return {**shown, "files": len(files), "bytes": sum(file.bytes for file in files)}
