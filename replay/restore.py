"""``outcry restore``: a data directory out of a backup, whole or not at all.

Everything is made in ``DATA.restoring``, checked there, and renamed to DATA at the end.  A journal
that was brought back ends where the backup was made; what clients were told since is not in it.  So
the next start jumps: no id that anybody may have seen is given a second time.
"""

import shutil
from pathlib import Path
from typing import Any

from core.constants import SEQUENCE_JUMP
from core.journal import verify
from core.journal.errors import JournalBusy
from core.journal.lock import is_held
from core.journal.segments import DIRECTORY_MODE, JOURNAL_NAME, sync_directory
from core.journal.snapshots import sha256_of
from core.journal.truncation import Cut, write_note
from replay import replay
from replay.backup import (
    BACKUP_NAME,
    Backup,
    BackupBad,
    BackupRefused,
    Step,
    copy_file,
    files_of,
    read,
    sync_tree,
)


def restore(
    source: Path, data: Path, *, newest_seen: int = 0, step: Step = lambda _: None
) -> dict[str, Any]:
    """Make ``data`` out of the backup ``source``; what it holds.

    ``newest_seen``: the newest sequence that anybody is known to have seen, where that is more
    than 2^26 after the backup.  ``step`` is told before each change.  Raises BackupRefused,
    BackupBad, JournalBusy, JournalRefused, OSError; ``data`` is as it was then.
    """
    found = read(source)
    refuse_target(data)
    check(source, found)
    made = data.with_name(f"{data.name}.restoring")
    step("make the directory")
    if made.exists():
        _remove_left(made)
    made.mkdir(mode=DIRECTORY_MODE, parents=True)
    step("mark it")
    (made / BACKUP_NAME).touch(mode=0o600)
    for file in found.files:
        step(f"copy {file.path}")
        target = made / file.path
        for parent in reversed(Path(file.path).parents):
            (made / parent).mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        copy_file(source / file.path, target)
    check(made, found)
    step("note the jump")
    directory = made / JOURNAL_NAME / found.journal_uuid
    write_note(directory, found.sequence, next_sequence(found, newest_seen), Cut())
    step("verify it")
    judged = verify.verify(made)
    again = replay.run(made, from_snapshot=True)
    for name in ("sequence", "state_hash", "event_hash"):
        if again[name] != getattr(found, name):
            wanted = getattr(found, name)
            raise BackupBad(f"{made}: expected {name} {wanted}, replay gives {again[name]}")
    step("take the mark away")
    (made / BACKUP_NAME).unlink()
    sync_tree(made)
    step("rename it")
    made.rename(data)
    sync_directory(data.absolute().parent)
    return {
        "sequence": found.sequence,
        "state_hash": found.state_hash,
        "journal_uuid": found.journal_uuid,
        "commands_verified": judged.commands,
        "next_sequence": next_sequence(found, newest_seen),
    }


def next_sequence(found: Backup, newest_seen: int) -> int:
    """The first sequence that is given again: a multiple of 2^26 further, above all seen."""
    lost = max(newest_seen - found.next_sequence + 1, 0)
    return found.next_sequence - 1 + (lost // SEQUENCE_JUMP + 1) * SEQUENCE_JUMP


def check(directory: Path, found: Backup) -> None:
    """BackupBad at the first file of a backup that is not what it was."""
    for file in found.files:
        path = directory / file.path
        if file.path.startswith("/") or ".." in Path(file.path).parts:
            raise BackupBad(f"{directory / BACKUP_NAME}: names a file elsewhere: {file.path}")
        if path.is_symlink() or not path.is_file():
            raise BackupBad(f"{path}: this file is missing")
        if path.stat().st_size != file.bytes:
            raise BackupBad(f"{path}: expected {file.bytes} bytes, got {path.stat().st_size}")
        digest = sha256_of(path)
        if digest != file.sha256:
            raise BackupBad(f"{path}: expected SHA-256 {file.sha256}, got {digest}")
    listed = {directory / file.path for file in found.files}
    others = [path for path in files_of(directory) if path not in listed]
    if others:
        raise BackupBad(f"{others[0]}: this file is not of the backup")


def refuse_target(data: Path) -> None:
    """JournalBusy while an exchange runs there, BackupRefused unless it is absent or empty."""
    if is_held(data):
        raise JournalBusy(f"data directory in use: an exchange runs in {data}")
    if data.is_symlink() or (data.exists() and not data.is_dir()):
        raise BackupRefused(f"{data}: expected a directory, or none")
    if data.exists() and any(data.iterdir()):
        raise BackupRefused(
            f"{data} is not empty: nothing is written over; give another directory, or move what "
            f"is there away"
        )


def _remove_left(made: Path) -> None:
    """What a restore that was killed has left; between mark and rename it is whole."""
    marked = (made / BACKUP_NAME).exists() or (made / JOURNAL_NAME).is_dir()
    if any(made.iterdir()) and not marked:
        raise BackupRefused(f"{made} exists and is no unfinished restore; remove it first")
    shutil.rmtree(made)
