"""Is what the replayer left true?  Snapshots, witness and event archive against the journal.

``judge`` looks at a directory at rest or beside a living core; every contradiction is a sentence.
"""

import itertools
import shutil
from pathlib import Path
from typing import Final

from core.archive.errors import ArchiveDamaged, ArchiveGap
from core.archive.reader import ArchiveReader
from core.journal import manifest, witness
from core.journal.errors import JournalRefused
from core.journal.segments import inventory, segment_path
from core.journal.snapshots import sha256_of
from core.journal.verify import locate
from replay.replay import NoSuchSequence
from replay.replay import run as replay
from replay.replayer import EVENTS_NAME
from replay.snapshots import verify
from tests.faults.proof import Journal
from tests.faults.report import Report

CHUNK_EVENTS: Final = 4_096
SHOWN: Final = 3


def judge(data: Path, whole: Path, report: Report, *, may_say_gap: bool) -> list[str]:
    """``whole``: a directory with every segment of the journal, also those that were deleted.

    ``may_say_gap``: the archive may say that something is missing, or damaged.
    """
    found = _of_witness(data, whole) + _of_manifest(data)
    try:
        found += _of_snapshots(data, whole, report)
        found += _of_archive(data, whole, report, may_say_gap=may_say_gap)
    except JournalRefused as refused:
        found.append(f"the journal: {refused}")
    return found


def completed(data: Path, copies: Path, target: Path) -> Path:
    """The journal with the segments that were copied away and deleted; ``target`` is made anew."""
    directory, _ = locate(data)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(data, target, ignore=shutil.ignore_patterns("run", "snapshots", "events"))
    place = target / "journal" / directory.name
    for path in sorted((copies / directory.name).glob("*.seg")):
        if not (place / path.name).exists():
            shutil.copyfile(path, place / path.name)
    return target


def _of_witness(data: Path, whole: Path) -> list[str]:
    """One of its slots is good, and the journal has its sequence."""
    directory, uuid = locate(data)
    try:
        said = witness.read(directory, uuid).sequence
        if said:
            replay(whole, to=said)
    except (JournalRefused, NoSuchSequence) as wrong:
        return [f"witness: {wrong}"]
    return []


def _of_manifest(data: Path) -> list[str]:
    """Every line follows from the one before and is true of its segment."""
    directory, _ = locate(data)
    try:
        lines = manifest.read(directory)
    except JournalRefused as wrong:
        return [f"manifest: {wrong}"]
    numbers = [line["segment"] for line in lines]
    found = [] if numbers == sorted(set(numbers)) else [f"manifest: segments {numbers}"]
    present = inventory(directory)
    return found + [
        f"manifest: segment {line['segment']} has another SHA-256"
        for line in lines
        if line["segment"] in present
        and sha256_of(segment_path(directory, line["segment"])) != line["sha256"]
    ]


def _of_snapshots(data: Path, whole: Path, report: Report) -> list[str]:
    """Each loads and is the state that a replay has there, or is refused with a reason."""
    found = []
    for row in verify(data):
        if row["fault"]:
            report.counts["snapshots_refused"] += 1
            continue
        report.counts["snapshots_good"] += 1
        replayed = replay(whole, to=row["sequence"])["state_hash"]
        if replayed != row["state_hash"]:
            found.append(f"snapshot {row['sequence']}: {row['state_hash']}, replayed {replayed}")
    return found


def _of_archive(data: Path, whole: Path, report: Report, *, may_say_gap: bool) -> list[str]:
    """Read from its beginning, it has the events of a replay, one by one."""
    _, uuid = locate(data)
    reader = ArchiveReader(data / EVENTS_NAME, uuid)
    kept: list[tuple[tuple[int, int], bytes]] = []
    said: list[str] = []
    try:
        first = reader.first
        reader.seek(first[0], first[1] - 1)
        while True:
            try:
                rows = reader.read(CHUNK_EVENTS)
            except (ArchiveGap, ArchiveDamaged) as missing:
                said.append(str(missing))
                if missing.oldest is None:
                    break
                reader.seek(missing.oldest[0], missing.oldest[1] - 1)
                continue
            if not len(rows):
                break
            raw = rows.tobytes()
            keys = zip(rows["sequence"].tolist(), rows["index"].tolist(), strict=True)
            kept += [(key, raw[n * 128 : n * 128 + 128]) for n, key in enumerate(keys)]
    finally:
        reader.close()
    report.counts["archive_events"] += len(kept)
    report.counts["archive_said"] += len(said)
    found = [] if may_say_gap else [f"archive: {sentence}" for sentence in said]
    return found + of_events(kept, Journal(whole).events, has_holes=bool(said))


def of_events(
    kept: list[tuple[tuple[int, int], bytes]],
    true: dict[tuple[int, int], bytes],
    *,
    has_holes: bool,
) -> list[str]:
    """What is wrong with the events that were ``kept``; ``has_holes``: the archive said so."""
    keys = [key for key, _ in kept]
    found = [f"archive: event {key} is another" for key, raw in kept if true.get(key) != raw]
    if any(a >= b for a, b in itertools.pairwise(keys)):
        found.append("archive: an event is there twice, or out of order")
    if keys and not has_holes:
        wanted = [key for key in sorted(true) if keys[0] <= key <= keys[-1]]
        missing = sorted(set(wanted) - set(keys))
        found += [f"archive: event {key} is missing, unsaid" for key in missing]
    return found[:SHOWN]
