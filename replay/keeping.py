"""What is kept, and for how long: snapshots, journal segments, and the manifest of sealed ones.

Three snapshots; a segment may go when the second newest snapshot stands for it, its copy (where
one is asked for) is made and compared, and the journal is above ``journal.keep_bytes``.  Nothing
goes in silence.  (architecture decision 25)
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from core.journal import manifest
from core.journal.errors import Fault, JournalRefused
from core.journal.header import parse
from core.journal.layout import SEGMENT_HEADER_BYTES
from core.journal.segments import (
    MANIFEST_NAME,
    inventory,
    newest_in_use,
    open_file,
    segment_path,
    sync_directory,
    sync_file,
    write_file,
)
from core.journal.snapshots import (
    Manifest,
    SnapshotBad,
    directories,
    read_manifest,
    remove,
    sha256_of,
)

Say = Callable[[str], None]
SNAPSHOTS_MIN: Final = 2


class Rules(NamedTuple):
    """``keep_bytes`` 0: no segment is deleted.  ``copy_to``: where sealed ones go first."""

    snapshots: int = 3
    keep_bytes: int = 0
    copy_to: Path | None = None


def drop_snapshots(data: Path, keep: int, say: Say) -> None:
    """Remove all but the newest ``keep`` snapshots; the newest was loaded again before."""
    for directory in directories(data)[max(keep, SNAPSHOTS_MIN) :]:
        remove(directory)
        say(f"removed the snapshot of sequence {int(directory.name)}: {keep} newer ones are kept")


def note_sealed(directory: Path) -> list[int]:
    """Add the lines of sealed segments that the manifest does not have yet; their numbers."""
    added = unlisted(directory)
    for number in added:
        path = segment_path(directory, number)
        last = _first_sequence(segment_path(directory, number + 1)) - 1
        digest = sha256_of(path)
        _forget(path)
        size = path.stat().st_size
        manifest.append(directory, number, size, last, digest)
    return added


def unlisted(directory: Path) -> list[int]:
    """Sealed segments that the manifest does not have yet."""
    known = {line["segment"] for line in manifest.read(directory)}
    newest = newest_in_use(directory)
    return [number for number in inventory(directory) if number < newest and number not in known]


def _first_sequence(path: Path) -> int:
    with open(open_file(path, os.O_RDONLY), "rb", buffering=0) as file:
        image = np.frombuffer(file.read(SEGMENT_HEADER_BYTES), np.uint8)
    return parse(image, path, int(path.stem)).first_sequence


def scrub(directory: Path) -> Iterator[JournalRefused | None]:
    """Read sealed segments again, one a step, round and round: None, or what is wrong with one."""
    while True:
        lines = manifest.read(directory)
        present = set(inventory(directory))
        looked = 0
        for line in lines:
            if line["segment"] not in present:
                continue
            path = segment_path(directory, line["segment"])
            try:
                _forget(path)  # What the disk holds is asked, not the page cache.
                digest = sha256_of(path)
                _forget(path)
            except FileNotFoundError:  # Retention was faster.
                continue
            except OSError as error:  # The others are read all the same.
                digest = f"cannot be read: {error.strerror}"
            looked += 1
            if digest == line["sha256"]:
                yield None
            else:
                detail = f"sealed with SHA-256 {line['sha256']}, now: {digest}"
                yield JournalRefused(Fault.MANIFEST, path, 0, detail)
        if not looked:
            yield None


def _forget(path: Path) -> None:
    """Give the pages of a file back: nobody reads a sealed segment twice."""
    fd = open_file(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def drop_segments(directory: Path, needed: int, rules: Rules, say: Say) -> int:
    """Delete the oldest segments below ``needed``; bytes above the limit that had to stay."""
    if not rules.keep_bytes:
        return 0
    numbers = inventory(directory)
    over = sum(segment_path(directory, n).stat().st_size for n in numbers) - rules.keep_bytes
    listed = {line["segment"]: line["sha256"] for line in manifest.read(directory)}
    for number in numbers:
        if over <= 0 or number >= needed or number not in listed:
            break
        path = segment_path(directory, number)
        size = path.stat().st_size
        if rules.copy_to is not None:
            copy_segment(path, rules.copy_to / directory.name, listed[number])
            copy_manifest(directory, rules.copy_to)
        path.unlink()
        sync_directory(directory)
        over -= size
        where = f", its copy is in {rules.copy_to}" if rules.copy_to else ""
        say(f"removed segment {number}: the second snapshot begins with {needed}{where}")
    return max(over, 0)


def needed_from(manifests: list[Manifest]) -> int:
    """The oldest segment that the second newest snapshot needs; 0: all are needed."""
    return manifests[1].place.segment_no if len(manifests) > 1 else 0


def readable(data: Path, directory: Path, say: Say) -> list[Manifest]:
    """The manifests of this journal's snapshots, newest first; says which cannot be read."""
    found = []
    for place in directories(data):
        try:
            snapshot = read_manifest(place)
        except SnapshotBad as bad:
            say(f"{bad}; it stands for no segment")
            continue
        if snapshot.journal_uuid == directory.name:
            found.append(snapshot)
    return found


def copy_segment(path: Path, target: Path, digest: str) -> None:
    """Copy a sealed segment and read the copy back; OSError when it is not the same."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    copied = target / path.name
    if not copied.exists() or sha256_of(copied) != digest:
        draft = copied.with_suffix(".tmp")
        shutil.copyfile(path, draft)
        sync_file(draft)
        draft.rename(copied)
        sync_directory(target)
    _forget(copied)
    if sha256_of(copied) != digest:
        raise OSError(f"the copy {copied} is not what {path} was when it was sealed")


def copy_manifest(directory: Path, target: Path) -> None:
    """Copy the manifest beside the copied segments."""
    text = (directory / MANIFEST_NAME).read_bytes()
    write_file(target / directory.name / MANIFEST_NAME, text)
