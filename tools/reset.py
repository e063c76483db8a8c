"""``outcry reset --yes``: a data directory as it was before the first start.

Everything goes into DATA/reset by renames, INIT and the journal first, and is removed there.  A
reset that was killed leaves DATA/reset, with which ``outcry up`` makes no new journal
(NOT_EMPTY): what is half removed is never taken for something new.  Running it again goes on.
"""

import shutil
import stat
from pathlib import Path
from typing import Final

from core.journal.generation import GENERATIONS_NAME
from core.journal.segments import (
    BESIDE,
    DIRECTORY_MODE,
    INIT_NAME,
    JOURNAL_NAME,
    LOCK_NAME,
    SEGMENT_NAME,
    UNFINISHED,
    UPGRADE_NAME,
    is_uuid,
    sync_directory,
)
from core.shm import DIRECTORY as SHM
from core.shm import unlink_stale
from tools import exits
from tools.journal_repair import hold

RESET_NAME: Final = "reset"
RUN_NAME: Final = "run"
# In the order in which they go: without its journal a directory is refused until all is gone.
DIRECTORIES: Final = (JOURNAL_NAME, "snapshots", "events", GENERATIONS_NAME)
LEFT: Final = frozenset({"lost+found"})  # Of the file system.


def run(data: Path, *, yes: bool) -> int:
    """Show what there is, and remove it when ``yes``; the exit code: 0, 64, 75."""
    held = hold(data)
    try:
        going = ours(data)
        for path in going:
            print(f"{'removing' if yes else 'would remove'} {path}  {_size(path)} bytes")
        if not going:
            print(f"nothing to remove in {data}")
            return exits.OK
        if not yes:
            raise exits.Stop(
                exits.USAGE,
                f"nothing was removed; to remove it all from {data}: outcry reset --yes",
            )
        _remove(data, going)
    finally:
        held.close()
    print(f"{data} is empty")
    return exits.OK


def ours(data: Path) -> list[Path]:
    """Everything of ours in ``data``, in the order in which it goes; Stop 64 beside foreign files.

    Nothing of a directory is removed in which somebody keeps something else.
    """
    if not data.exists():
        return []
    known = (INIT_NAME, UPGRADE_NAME, *DIRECTORIES, RESET_NAME, RUN_NAME)
    foreign = [
        entry
        for entry in sorted(data.iterdir())
        if entry.name not in known and entry.name not in LEFT and not _is_draft_of_init(entry)
    ]
    foreign += [
        data / name
        for name in (*DIRECTORIES, RESET_NAME, RUN_NAME)
        if (data / name).is_symlink() or (data / name).is_file()
    ]
    for root in (data / JOURNAL_NAME, data / RESET_NAME / JOURNAL_NAME):
        foreign += _foreign_in_journal(root)
    if foreign:
        names = ", ".join(str(path) for path in foreign[:5])
        raise exits.Stop(
            exits.USAGE, f"nothing was removed: {names}: not of an exchange; move it away first"
        )
    found = [data / name for name in known if (data / name).exists()]
    return found + [entry for entry in sorted(data.iterdir()) if _is_draft_of_init(entry)]


def _is_draft_of_init(entry: Path) -> bool:
    return entry.name.startswith(f"{INIT_NAME}.")


def _foreign_in_journal(root: Path) -> list[Path]:
    """What in the place of the journal no exchange has put there."""
    if not root.is_dir():
        return []
    foreign = []
    for entry in sorted(root.iterdir()):
        if entry.name == LOCK_NAME:
            continue
        if not entry.is_dir() or entry.is_symlink() or not is_uuid(entry.name):
            foreign.append(entry)
            continue
        foreign += [
            path
            for path in sorted(entry.iterdir())
            if not SEGMENT_NAME.fullmatch(path.name)
            and path.name not in BESIDE
            and not UNFINISHED.fullmatch(path.name)
        ]
    return foreign


def _size(path: Path) -> int:
    return sum(
        found.stat().st_size
        for found in (path, *path.rglob("*"))
        if stat.S_ISREG(found.lstat().st_mode)
    )


def _remove(data: Path, going: list[Path]) -> None:
    aside = data / RESET_NAME
    aside.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    sync_directory(data)
    for path in going:
        if path.name not in (RESET_NAME, RUN_NAME):
            target = aside / path.name
            if target.exists():  # Of a reset before this one, that was killed.
                _discard(target)
            path.rename(target)
            sync_directory(data)
    for uuid in sorted((aside / JOURNAL_NAME).glob("*-*")):
        if SHM.is_dir():
            unlink_stale(uuid.name[:8])
    shutil.rmtree(data / RUN_NAME, ignore_errors=True)
    shutil.rmtree(aside)
    sync_directory(data)


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
