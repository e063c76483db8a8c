"""Snapshots on demand: make, list, verify.  The replayer makes its own (replay/replayer.py)."""

from pathlib import Path
from typing import Any

from core.journal.ahead import read_ahead
from core.journal.place import Place
from core.journal.recovery import Known
from core.journal.scanner import Commands
from core.journal.segments import segment_path, sync_file
from core.journal.snapshots import (
    SNAPSHOTS_NAME,
    STATE_NAME,
    Manifest,
    SnapshotBad,
    directories,
    manifests,
    name_of,
    read_manifest,
    remove,
    sha256_of,
)
from core.journal.verify import judge_end, open_walk
from core.sequencer import snapshot
from core.sequencer.state import State
from replay.replay import NoSuchSequence, compare, newest_source


def make(data: Path) -> Manifest:
    """A snapshot at the newest sequence of the journal, also beside a live exchange.

    Begins with the newest snapshot that can be used.  What was made is loaded again and compared;
    one that was there and cannot be used is made again.
    Raises JournalRefused, SnapshotBad, OSError, and NoSuchSequence where the journal is empty.
    """
    replay, walk, known = newest_source(data)
    for item in read_ahead(walk):
        known.take(item)
        if isinstance(item, Commands):
            replay.apply(item.slots)
        else:
            compare(replay, item, segment_path(walk.directory, item.segment_no))
    judge_end(data, walk)
    place = walk.place
    if not place.segment_no:
        for found in manifests(data, walk.uuid):  # That which the journal goes on from.
            return found
        raise NoSuchSequence("there is nothing in the journal yet that a snapshot could hold")
    for number in walk.segments[-2:]:  # A snapshot holds durable commands only.
        sync_file(segment_path(walk.directory, number))
    try:
        return write_checked(data, walk.uuid, replay.state, place, known)
    except SnapshotBad:
        remove(data / SNAPSHOTS_NAME / name_of(place.sequence))
        return write_checked(data, walk.uuid, replay.state, place, known)


def write_checked(data: Path, uuid: bytes, state: State, place: Place, known: Known) -> Manifest:
    """Write a snapshot, load it again, compare its hash; SnapshotBad when that differs."""
    directory = snapshot.write(data, uuid, state, place, known)
    return snapshot.load(directory).manifest


def listed(data: Path) -> list[dict[str, Any]]:
    """One row a snapshot, newest first; ``fault`` says why one cannot be read."""
    rows = []
    for directory in directories(data):
        try:
            found = read_manifest(directory)
        except SnapshotBad as bad:
            rows.append({"sequence": int(directory.name), "fault": bad.detail})
            continue
        rows.append(
            {
                "sequence": found.sequence,
                "state_hash": found.state_hash,
                "bytes": found.state_bytes,
                "created_ns": found.created_ns,
                "engine_version": found.engine_version,
                "open_orders": found.open_orders,
                "segment": found.place.segment_no,
                "fault": "",
            }
        )
    return rows


def verify(data: Path) -> list[dict[str, Any]]:
    """As ``listed``, after each was loaded, hashed, and found at its place in the journal."""
    rows = listed(data)
    for row, directory in zip(rows, directories(data), strict=True):
        if not row["fault"]:
            row["fault"] = _fault(data, directory)
    return rows


def _fault(data: Path, directory: Path) -> str:
    """Why a snapshot cannot be used; empty when it can."""
    try:
        manifest = snapshot.load(directory).manifest
        if sha256_of(directory / STATE_NAME) != manifest.state_sha256:
            return "the SHA-256 of the state is not the manifest's"
        walk = open_walk(data, start=manifest.place)
        if walk.directory.name != manifest.journal_uuid:
            return f"of another journal, {manifest.journal_uuid}"
        for item in walk:  # The block at its place is checked before the first item.
            if isinstance(item, Commands):
                break
    except SnapshotBad as bad:
        return bad.detail
    return ""
