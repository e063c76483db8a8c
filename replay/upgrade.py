"""``outcry upgrade``: a new journal generation that goes on from a snapshot of the old one.

For another engine version, and for other limits.  Offline; a kill at any step leaves the old
generation or the new one, found by running it again.  (architecture decision 6)
"""

import uuid as uuids
from pathlib import Path
from typing import Any, Final

from core.journal import generation
from core.journal import header as headers
from core.journal.config import JournalConfig, boot_id, check
from core.journal.create import write_first
from core.journal.errors import EXIT_REFUSED, JournalError
from core.journal.generation import Plan, Step
from core.journal.layout import SYNC
from core.journal.place import Place
from core.journal.reader import Walk
from core.journal.recovery import Known
from core.journal.scanner import Commands, first_chain
from core.journal.segments import (
    DIRECTORY_MODE,
    JOURNAL_NAME,
    newest_in_use,
    refuse_volatile,
    segment_path,
)
from core.journal.snapshots import (
    STATE_NAME,
    Manifest,
    SnapshotBad,
    directories,
    manifests,
    sha256_of,
)
from core.journal.tail import CLEAN
from core.journal.truncation import Cut, pending, write_note
from core.journal.verify import judge_end, locate, open_walk
from core.limits import Base, base_of, from_genesis, genesis
from core.sequencer import invariants, snapshot
from core.sequencer.snapshot import Loaded
from core.shm import unlink_stale

NO_STEP: Final[Step] = lambda _: None  # noqa: E731


class UpgradeRefused(JournalError):
    """The journal is right, but it cannot be upgraded as it is.  Nothing was changed."""

    exit_code = EXIT_REFUSED


def upgrade(data: Path, config: JournalConfig, step: Step = NO_STEP) -> dict[str, Any]:
    """Begin the next generation of the journal of ``data`` under ``config``; what was done.

    The caller holds the lock.  ``step`` is told before each change.  Raises UpgradeRefused,
    JournalRefused, JournalConfiguration, SnapshotBad, OSError.
    """
    check(config)
    plan = generation.announced(data)
    if plan is None:
        if config.durability == SYNC and not config.allow_volatile:
            refuse_volatile(data)
        directory, uuid = locate(data)
        found, ended = _end(data, directory, uuid)
        old = bytes.fromhex(found.genesis)
        changes = _changes(old, found.engine_version, config)
        if not changes:
            return {"changed": False, "sequence": found.sequence, "state_hash": found.state_hash}
        loaded = _load(data, found.sequence, config)
        step("make the next generation")
        plan = _build(data, loaded, ended, config, step)
        step("announce it")
        generation.announce(data, plan)
    generation.swap(data, plan, step)
    unlink_stale(plan.old.replace("-", "")[:8])
    now = next(manifests(data, uuids.UUID(plan.new).bytes))
    return {
        "changed": True,
        "generation": plan.generation + 1,
        "journal": plan.new,
        "sequence": now.sequence,
        "state_hash": now.state_hash,
        "engine_version": now.engine_version,
        "kept": str(generation.home(data, plan)),
    }


def _changes(old: bytes, engine_version: int, config: JournalConfig) -> list[str]:
    """What differs between the journal and the configuration."""
    limits, _ = from_genesis(old)
    found = [
        name
        for name, before, now in zip(limits._fields, limits, config.limits, strict=True)
        if before != now
    ]
    return found + (["engine_version"] if engine_version != config.engine_version else [])


def _end(data: Path, directory: Path, uuid: bytes) -> tuple[Manifest, Known]:
    """The manifest of the snapshot at the journal's last sequence, and what is known there.

    UpgradeRefused when there is none, or the journal was not stopped cleanly.
    """
    found = next(manifests(data, uuid), None)
    if found is None:
        raise UpgradeRefused(_advice(directory, "there is no snapshot"))
    known = Known(
        bytes.fromhex(found.genesis),
        found.engine_version,
        bytes.fromhex(found.boot_id),
        found.sequence + 1,
    )
    walk = open_walk(data, start=found.place)
    for item in walk:
        known.take(item)
    judge_end(data, walk)
    assert walk.tail is not None
    last = walk.place.sequence
    if last != found.sequence:
        why = f"the newest snapshot is of sequence {found.sequence}, the journal ends at {last}"
        raise UpgradeRefused(_advice(directory, why))
    if walk.tail.kind != CLEAN or not known.closed:
        raise UpgradeRefused(_advice(directory, "the journal was not stopped cleanly"))
    noted = pending(directory)
    if noted is not None and int(noted.last_sequence) == found.sequence:
        known.next_sequence = max(known.next_sequence, int(noted.next_sequence))
    return found, known


def _advice(directory: Path, why: str) -> str:
    """Who can do what is missing: the version that wrote the journal."""
    newest = segment_path(directory, newest_in_use(directory))
    header = headers.read(newest)
    build = header.build.rstrip(b"\0").hex() or "not recorded"
    return (
        f"nothing was upgraded: {why}; check out the version that wrote the journal (engine "
        f"version {header.engine_version}, build {build}), start and stop it with SIGTERM, or run "
        f"'outcry snapshot make' there"
    )


def _load(data: Path, sequence: int, config: JournalConfig) -> Loaded:
    """The state under the limits of ``config``, every invariant checked."""
    directory = next(path for path in directories(data) if int(path.name) == sequence)
    loaded = snapshot.load(directory, limits=config.limits)
    if sha256_of(directory / STATE_NAME) != loaded.manifest.state_sha256:
        raise SnapshotBad(directory / STATE_NAME, "the SHA-256 is not that of the manifest")
    try:
        invariants.check(loaded.state)
    except AssertionError as broken:
        raise SnapshotBad(directory, f"the state breaks an invariant: {broken}") from None
    return loaded


def _build(data: Path, loaded: Loaded, ended: Known, config: JournalConfig, step: Step) -> Plan:
    """Make the next generation whole, beside the old one, and read it again."""
    manifest, state = loaded.manifest, loaded.state
    old = bytes.fromhex(manifest.genesis)
    before = bytes.fromhex(manifest.journal_uuid.replace("-", ""))
    base = Base(manifest.sequence, base_of(old).generation + 1, before, state.hash())
    payload = genesis(config.limits, from_genesis(old)[1], base)
    made = generation.draft(data)
    new = uuids.uuid4()
    step("write the journal")
    directory = made / JOURNAL_NAME / str(new)
    for path in (directory.parent, directory):
        path.mkdir(mode=DIRECTORY_MODE)
    write_first(directory, config, payload, after_ns=state["timestamp_ns"])
    if ended.next_sequence > manifest.sequence + 1:
        write_note(directory, manifest.sequence, ended.next_sequence, Cut())
    step("write the base snapshot")
    known = Known(payload, config.engine_version, boot_id(), manifest.sequence + 1)
    place = Place(0, 0, 0, manifest.sequence, first_chain(new.bytes))
    found = snapshot.load(snapshot.write(made, new.bytes, state, place, known))
    if found.state.hash() != base.state_hash:
        raise SnapshotBad(found.path, "it has another hash than what was written")
    step("read it again")
    for item in Walk(directory, new.bytes, start=place):
        assert not isinstance(item, Commands)
    return Plan(manifest.journal_uuid, str(new), base.generation - 1)
