"""Journal generations: the next one is built beside, then put in the place of the old one.

``DATA/generations/next`` holds a whole data directory of its own: the new journal and its base
snapshot.  It is made as ``next.tmp`` and renamed, so it is there whole or not at all.  The mark
``DATA/UPGRADE`` stands from before the first rename of the exchange until after the last: a start
in between refuses, and running the upgrade again goes on.  The old generation goes as a whole to
``DATA/generations/<n>-<uuid>``, which is a data directory too.  Nothing is deleted.
(architecture decision 6)
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from core.journal.errors import Fault, JournalRefused
from core.journal.segments import (
    DIRECTORY_MODE,
    JOURNAL_NAME,
    UPGRADE_NAME,
    is_uuid,
    sync_directory,
    write_file,
)
from core.journal.snapshots import SNAPSHOTS_NAME

GENERATIONS_NAME: Final = "generations"
EVENTS_NAME: Final = "events"
NEXT_NAME: Final = "next"
Step = Callable[[str], None]


class Plan(NamedTuple):
    """What is put in the place of what; ``generation``: of the old journal."""

    old: str  # Uuids.
    new: str
    generation: int


def draft(data: Path) -> Path:
    """An empty directory in which the next generation is made; what a kill left is removed."""
    root = data / GENERATIONS_NAME
    root.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    made = root / f"{NEXT_NAME}.tmp"
    for left in (made, root / NEXT_NAME):
        if left.exists():
            shutil.rmtree(left)
    made.mkdir(mode=DIRECTORY_MODE)
    return made


def announce(data: Path, plan: Plan) -> None:
    """The draft is whole: from here on the new generation is what there will be."""
    root = data / GENERATIONS_NAME
    made = root / f"{NEXT_NAME}.tmp"
    for path in (*made.rglob("*"), made):
        if path.is_dir():
            sync_directory(path)
    made.rename(root / NEXT_NAME)
    sync_directory(root)
    sync_directory(data)
    write_file(data / UPGRADE_NAME, json.dumps(plan._asdict()).encode() + b"\n")


def announced(data: Path) -> Plan | None:
    """The upgrade that was begun and not finished; JournalRefused when its mark is damaged."""
    path = data / UPGRADE_NAME
    if not path.exists():
        return None
    try:
        plan = Plan(**json.loads(path.read_bytes()))
        if not is_uuid(plan.old) or not is_uuid(plan.new) or type(plan.generation) is not int:
            raise ValueError("expected two uuids and a number")
    except (ValueError, TypeError, AttributeError) as error:
        raise JournalRefused(Fault.INVENTORY, path, 0, f"no plan of an upgrade: {error}") from None
    return plan


def home(data: Path, plan: Plan) -> Path:
    """Where the old generation goes."""
    return data / GENERATIONS_NAME / f"{plan.generation}-{plan.old}"


def swap(data: Path, plan: Plan, step: Step) -> None:
    """Do what ``plan`` says, under the lock; again after a kill it goes on.  ``step`` is told
    before each change.  Raises OSError."""
    following = data / GENERATIONS_NAME / NEXT_NAME
    old = home(data, plan)
    step("make the place of the old generation")
    (old / JOURNAL_NAME).mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    old.chmod(DIRECTORY_MODE)
    sync_directory(old)
    sync_directory(old.parent)
    moves = [
        (data / JOURNAL_NAME / plan.old, old / JOURNAL_NAME / plan.old),
        (data / SNAPSHOTS_NAME, old / SNAPSHOTS_NAME),
        (data / EVENTS_NAME, old / EVENTS_NAME),
        (following / SNAPSHOTS_NAME, data / SNAPSHOTS_NAME),
        (following / JOURNAL_NAME / plan.new, data / JOURNAL_NAME / plan.new),
    ]
    for source, target in moves:
        step(f"move {source.relative_to(data)}")
        if source.exists() and not target.exists():
            source.rename(target)
        sync_directory(target.parent)
        if source.parent.exists():
            sync_directory(source.parent)
    step("remove what is empty")
    if following.exists():
        shutil.rmtree(following)
    sync_directory(following.parent)
    step("remove the mark")
    (data / UPGRADE_NAME).unlink()
    sync_directory(data)
