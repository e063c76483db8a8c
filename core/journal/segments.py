"""Segment files: names, inventory, making them ahead of need.

Plain Python without compiled code, because the process that prepares segments imports nothing more
than this.  A segment is made under another name, filled, synced, and then linked to its own name:
a link never replaces a file, so nothing can ever overwrite a segment that is in use.
"""

import ctypes
import errno
import os
import re
import secrets
import stat
import uuid as uuids
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.journal.errors import Fault, JournalConfiguration, JournalRefused

JOURNAL_NAME: Final = "journal"
LOCK_NAME: Final = "LOCK"
INIT_NAME: Final = "INIT"
WITNESS_NAME: Final = "witness"
UPGRADE_NAME: Final = "UPGRADE"  # An upgrade is between two generations.
TRUNCATION_NAME: Final = "truncation"
QUARANTINE_NAME: Final = "quarantine"
MANIFEST_NAME: Final = "manifest"  # Kept: SHA-256 of sealed segments, by the replayer.
AUDIT_NAME: Final = "audit"  # What operators did to the journal; see core/journal/audit.py.
BESIDE: Final = frozenset(
    {WITNESS_NAME, TRUNCATION_NAME, QUARANTINE_NAME, MANIFEST_NAME, AUDIT_NAME}
)

SEGMENT_NAME: Final = re.compile(r"([0-9]{12})\.seg")
UNFINISHED: Final = re.compile(r".*\.tmp")
CHUNK_BYTES: Final = 256 << 10
SECTOR_BYTES: Final = 512
DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
VOLATILE: Final = {0x01021994: "tmpfs", 0x858458F6: "ramfs"}


def segment_path(directory: Path, segment_no: int) -> Path:
    """Where segment ``segment_no`` lies."""
    return directory / f"{segment_no:012d}.seg"


def open_file(path: Path, flags: int) -> int:
    """Open without following links; a new file can be read by its owner only."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)


def sync_directory(path: Path) -> None:
    """Make names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Make what anybody has written to a file durable."""
    fd = open_file(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def journal_directory(data: Path) -> Path | None:
    """The directory of the one journal of ``data``; None when there is none.

    Raises JournalRefused when ``data/journal`` holds more than one journal, or anything foreign,
    and in the middle of an upgrade.
    """
    refuse_unfinished(data)
    root = data / JOURNAL_NAME
    if not root.is_dir():
        return None
    found = []
    for entry in sorted(root.iterdir()):
        if entry.name == LOCK_NAME:
            continue
        if not entry.is_dir() or not is_uuid(entry.name):
            raise JournalRefused(Fault.INVENTORY, entry, 0, "expected LOCK and one journal only")
        found.append(entry)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise JournalRefused(Fault.INVENTORY, root, 0, f"expected one journal, found {names}")
    return found[0] if found else None


def refuse_unfinished(data: Path) -> None:
    """JournalRefused while ``data`` is neither the old generation nor the new one."""
    mark = data / UPGRADE_NAME
    if mark.exists():
        detail = "an upgrade was begun and is not finished"
        hint = "run 'outcry upgrade' again: it goes on where it was"
        raise JournalRefused(Fault.INVENTORY, mark, 0, detail, hint)


def is_uuid(name: str) -> bool:
    """Whether a directory of that name is a journal."""
    try:
        return str(uuids.UUID(name)) == name
    except ValueError:
        return False


def inventory(directory: Path) -> list[int]:
    """Numbers of the segments, rising without a gap; raises JournalRefused for anything else."""
    numbers = []
    for entry in sorted(directory.iterdir()):
        match = SEGMENT_NAME.fullmatch(entry.name)
        if match:
            numbers.append(int(match.group(1)))
            if not stat.S_ISREG(entry.lstat().st_mode):
                raise JournalRefused(Fault.INVENTORY, entry, 0, "expected a regular file")
        elif entry.name not in BESIDE and not UNFINISHED.fullmatch(entry.name):
            raise JournalRefused(Fault.INVENTORY, entry, 0, "this file does not belong here")
    for expected, number in enumerate(numbers, numbers[0] if numbers else 0):
        if number != expected:
            path = segment_path(directory, expected)
            raise JournalRefused(Fault.INVENTORY, path, 0, "this segment is missing")
    return numbers


def is_activated(path: Path) -> bool:
    """Whether the first sector of a segment is written.  False for a file that has just gone."""
    try:
        with open(open_file(path, os.O_RDONLY), "rb", buffering=0) as file:
            return any(file.read(SECTOR_BYTES) or b"")
    except FileNotFoundError:
        return False


def is_prewritten(path: Path) -> bool:
    """Whether all of the file is data on the disk, as far as the file system tells."""
    fd = open_file(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        return os.lseek(fd, 0, os.SEEK_HOLE) >= size
    except OSError:  # The file system does not tell.
        return True
    finally:
        os.close(fd)


def prewrite(path: Path) -> None:
    """Write the zeros of an empty segment that only has room for them, durable.

    Where it stands: were it made anew, a crash in between would leave a gap before the next spare.
    """
    fd = open_file(path, os.O_RDWR)
    try:
        _write_zeros(fd, os.fstat(fd).st_size, None)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def make_segment(
    directory: Path,
    segment_no: int,
    size: int,
    *,
    prewritten: bool,
    pace: Callable[[int], None] | None = None,
) -> bool:
    """Make an empty segment; False when it was there already.

    ``prewritten``: zeros are written and synced, so that later writes change no metadata
    (``sync``); otherwise room is only kept (``relaxed``).  ``pace`` is called with the bytes of
    each chunk.  Raises OSError when there is no room.
    """
    target = segment_path(directory, segment_no)
    draft = directory / f"{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    fd = open_file(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        os.posix_fallocate(fd, 0, size)
        if prewritten:
            _write_zeros(fd, size, pace)
        os.fsync(fd)
        # Direct writes would have to throw these pages out, one by one, on the hot path.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.link(draft, target)
        return True
    except (FileExistsError, FileNotFoundError):
        return False  # Somebody else made it, or a starting core cleared the drafts away.
    finally:
        os.close(fd)
        draft.unlink(missing_ok=True)
        sync_directory(directory)


def _write_zeros(fd: int, size: int, pace: Callable[[int], None] | None) -> None:
    zeros = bytes(CHUNK_BYTES)
    offset = 0
    while offset < size:
        done = os.pwrite(fd, zeros[: size - offset], offset)
        offset += done
        if pace is not None:
            os.fdatasync(fd)
            pace(done)


def remove_unfinished(directory: Path) -> None:
    """Remove drafts that a dead process left behind.  Only under the lock."""
    for entry in directory.iterdir():
        if UNFINISHED.fullmatch(entry.name):
            entry.unlink(missing_ok=True)


def spare_count(directory: Path) -> tuple[int, int]:
    """(number of the newest segment in use, how many empty ones follow it)."""
    used = newest_in_use(directory)
    return used, sum(1 for number in _numbers(directory) if number > used)


def newest_in_use(directory: Path) -> int:
    """Number of the newest segment that is not empty; 0: there is none."""
    for number in reversed(_numbers(directory)):
        if is_activated(segment_path(directory, number)):
            return number
    return 0


def _numbers(directory: Path) -> list[int]:
    return sorted(
        int(match.group(1))
        for entry in os.listdir(directory)
        if (match := SEGMENT_NAME.fullmatch(entry))
    )


def file_system(path: Path) -> str:
    """Name of a volatile file system, else the empty string."""
    room = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(path), room) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    kind = int.from_bytes(room.raw[:8], "little") & 0xFFFF_FFFF
    return VOLATILE.get(kind, "")


def refuse_volatile(data: Path) -> None:
    """Raise JournalConfiguration when ``data`` lies (or would lie) where nothing is durable."""
    place = data.absolute()
    while not place.exists():
        place = place.parent
    name = file_system(place)
    if name:
        raise JournalConfiguration(
            f"durability sync: expected a data directory on a disk, {data} is on {name}, which "
            f"forgets everything at power loss; use another directory or --durability relaxed"
        )


def refuse_permissions(path: Path) -> None:
    """Raise JournalRefused when others may touch the file, or it is not ours."""
    found = path.lstat()
    if found.st_uid != os.geteuid():
        detail = f"expected owner {os.geteuid()}, got {found.st_uid}"
    elif stat.S_IMODE(found.st_mode) & 0o077:
        detail = f"expected no access for others, got mode {stat.S_IMODE(found.st_mode):04o}"
    else:
        return
    raise JournalRefused(
        Fault.PERMISSIONS, path, 0, detail, f"chown and chmod go-rwx {path} if it is yours"
    )


def write_file(path: Path, content: bytes) -> None:
    """Write a small file so that it is there whole or not at all, and durable."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fd = open_file(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        if os.write(fd, content) != len(content):
            raise OSError(errno.EIO, "short write", str(draft))
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.rename(path)
    sync_directory(path.parent)
