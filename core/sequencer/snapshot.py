"""Snapshots of the state: the used rows of every table, written, loaded, compared.

Sections carry their dtype and are loaded by the names of the fields, so that a later layout can
take up an older snapshot.  What is loaded has to have the state hash of the manifest, or is not
used.  reliability.md 2.6, architecture decision 25.
"""

import hashlib
import mmap
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.clock import realtime_ns
from core.crc32c import crc32c
from core.journal.errors import Fault, JournalRefused
from core.journal.place import Place
from core.journal.recovery import Known
from core.journal.segments import open_file
from core.journal.snapshots import (
    FORMAT,
    STATE_NAME,
    Manifest,
    Section,
    SnapshotBad,
    create,
    directories,
    read_manifest,
)
from core.limits import Limits, from_genesis
from core.sequencer.migrate import are_sections, is_first, migrate
from core.sequencer.rebuild import rebuild
from core.sequencer.resize import begin_rings, move_links, refuse_small
from core.sequencer.state import SECTIONS, State

Array = np.ndarray[Any, Any]
WRITE_BYTES: Final = 4 << 20
RINGS: Final = {"page_queue": ("queue_first", "queue_mask"), "closed": ("closed_first", "")}


class Loaded(NamedTuple):
    """A snapshot in memory."""

    path: Path
    manifest: Manifest
    state: State

    @property
    def known(self) -> Known:
        """What the special blocks before it said."""
        found = self.manifest
        boot = bytes.fromhex(found.boot_id)
        genesis, following = bytes.fromhex(found.genesis), found.sequence + 1
        return Known(genesis, found.engine_version, boot, following, closed=False)


def write(data: Path, uuid: bytes, state: State, place: Place, known: Known) -> Path:
    """Write the snapshot of ``state``, which is behind ``place``; its directory.

    The caller has made sure that everything up to there is durable.  Raises OSError.
    """
    text = uuid.hex()
    name = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def fill(fd: int) -> Manifest:
        digest = hashlib.sha256()
        sections, offset = [], 0
        for title, rows in state.sections():
            raw = np.ascontiguousarray(rows).view(np.uint8).reshape(-1)
            for begin in range(0, raw.nbytes, WRITE_BYTES):
                part = raw[begin : begin + WRITE_BYTES]
                if os.write(fd, part.data) != part.nbytes:
                    raise OSError("short write of a snapshot")
                digest.update(part.data)
            checksum = int(crc32c(raw.ctypes.data, raw.nbytes)) if raw.nbytes else 0
            fields = _fields(rows.dtype)
            sections.append(Section(title, fields, len(rows), offset, raw.nbytes, checksum))
            offset += raw.nbytes
        return Manifest(
            format=FORMAT,
            journal_uuid=name,
            sequence=state["sequence"],
            timestamp_ns=state["timestamp_ns"],
            place=place,
            genesis=known.genesis.hex(),
            engine_version=known.engine_version or 0,
            boot_id=known.boot_id.hex(),
            state_hash=state.hash().hex(),
            event_hash=state["event_hash"],
            events=state["events"],
            trades=state["trades"],
            open_orders=state["open_orders"],
            created_ns=realtime_ns(),
            state_bytes=offset,
            state_sha256=digest.hexdigest(),
            sections=sections,
        )

    return create(data, state["sequence"], fill)


def load(directory: Path, *, populate: bool = False, limits: Limits | None = None) -> Loaded:
    """The snapshot in ``directory``, checked whole; raises SnapshotBad, OSError.

    ``limits``: for an upgrade, else those of the journal; JournalConfiguration when one is below
    what is used.
    """
    manifest = read_manifest(directory)
    old, id_key = from_genesis(bytes.fromhex(manifest.genesis))
    if limits is not None:
        refuse_small(manifest, limits)
    state = State(limits or old, id_key, populate=populate, blank=True)
    path = directory / STATE_NAME
    fd = open_file(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        if size != manifest.state_bytes or size == 0:
            raise SnapshotBad(path, f"expected {manifest.state_bytes} bytes, got {size}")
        content = mmap.mmap(fd, size, prot=mmap.PROT_READ)
    finally:
        os.close(fd)
    content.madvise(mmap.MADV_WILLNEED)
    names = [section.name for section in manifest.sections]
    if not are_sections(names, list(SECTIONS)):
        raise SnapshotBad(path, f"expected the sections {', '.join(SECTIONS)}")
    old_orders: Array | None = None
    for section in manifest.sections:
        rows = _checked(content, section, path)
        old_orders = rows if section.name == "orders" else old_orders
        _put(state, section, _as_declared(section.name, rows), path)
        if section.name == "counters" and limits is not None:
            begin_rings(state, old)
    state.populated()
    if limits is not None:
        move_links(state, old)
    if is_first(names, list(SECTIONS)):
        migrate(state, old_orders)
    rebuild(state.address)
    same = limits is None or limits == old
    if same and _is_laid_out_alike(manifest) and state.hash().hex() != manifest.state_hash:
        raise SnapshotBad(path, "the state that was loaded has another hash than the manifest says")
    return Loaded(directory, manifest, state)


def _is_laid_out_alike(manifest: Manifest) -> bool:
    """Whether rows were written as this program lays them out: then they have the same hash."""
    return all(_dtype(section.fields) == SECTIONS[section.name] for section in manifest.sections)


def newest(
    data: Path, uuid: bytes, oldest_segment: int, bad: list[str], *, base_sequence: int = 0
) -> Loaded | None:
    """The newest snapshot of ``data`` that can be used with a journal that begins with segment
    ``oldest_segment`` and goes on from ``base_sequence``; None: there is none and none is needed.

    What cannot be used is said in ``bad``.  JournalRefused (SNAPSHOT) when the journal needs one.
    """
    for directory in directories(data):
        try:
            manifest = read_manifest(directory)
            if bytes.fromhex(manifest.journal_uuid.replace("-", "")) != uuid:
                raise SnapshotBad(directory, f"of another journal, {manifest.journal_uuid}")
            if max(manifest.place.segment_no, 1) < oldest_segment:
                raise SnapshotBad(directory, "the journal begins behind it")
            return load(directory, populate=True)
        except (SnapshotBad, OSError, ValueError, TypeError) as error:
            bad.append(str(error))
    why = needed(oldest_segment, base_sequence)
    if not why:
        return None
    said = "; ".join(bad) or "there is none"
    raise JournalRefused(Fault.SNAPSHOT, data / "snapshots", 0, f"{why}: {said}")


def needed(oldest_segment: int, base_sequence: int) -> str:
    """Why a journal cannot be run without a snapshot; empty when it can."""
    if oldest_segment > 1:
        return f"the journal begins with segment {oldest_segment}, so it needs a snapshot"
    if base_sequence:
        return f"the journal goes on from sequence {base_sequence}, so it needs a snapshot"
    return ""


def _fields(dtype: "np.dtype[Any]") -> list[Any]:
    """A dtype as JSON holds it."""
    if dtype.names is None:
        return [["", dtype.str]]
    return [
        [name, dtype[name].base.str, *([list(dtype[name].shape)] if dtype[name].shape else [])]
        for name in dtype.names
    ]


def _dtype(fields: list[Any]) -> "np.dtype[Any]":
    if len(fields) == 1 and fields[0][0] == "":
        return np.dtype(fields[0][1])
    return np.dtype([(f[0], f[1], tuple(f[2])) if len(f) > 2 else (f[0], f[1]) for f in fields])


def _checked(content: mmap.mmap, section: Section, path: Path) -> Array:
    """The rows of a section as they were written; raises SnapshotBad."""
    try:
        dtype = _dtype(section.fields)
    except (TypeError, ValueError, LookupError) as error:
        raise SnapshotBad(path, f"section {section.name}: no layout of rows: {error}") from None
    end = section.offset + section.bytes
    fits = section.bytes == section.rows * dtype.itemsize and 0 <= section.offset <= end
    if not fits or end > len(content):
        raise SnapshotBad(path, f"section {section.name} does not fit the file", section.offset)
    raw = np.frombuffer(content, np.uint8, section.bytes, section.offset)
    if section.bytes and int(crc32c(raw.ctypes.data, section.bytes)) != section.crc32c:
        raise SnapshotBad(path, f"the checksum of {section.name} is wrong", section.offset)
    return raw.view(dtype)


def _as_declared(section: str, rows: Array) -> Array:
    """The rows of a section as this program lays them out."""
    wanted, dtype = SECTIONS[section], rows.dtype
    if dtype == wanted:
        return rows
    found = np.zeros(len(rows), wanted)
    for name in set(wanted.names or ()) & set(dtype.names or ()):
        if rows[name].shape == found[name].shape:  # Room that was kept may have become less.
            found[name] = rows[name]
    return found


def _put(state: State, section: Section, rows: Array, path: Path) -> None:
    """Lay the rows of a section where the state has its table."""
    name = section.name
    room = state.room(name)
    if len(rows) > room:
        detail = f"{len(rows)} rows of {name}, room for {room}"
        raise SnapshotBad(path, detail, section.offset)
    if name == "counters":
        for field in rows.dtype.names or ():
            state.header[field] = rows[field]
        return
    table = state.rows_at(name, room)
    if name in RINGS:
        first, mask = RINGS[name]
        size = state[mask] + 1 if mask else state["closed_keep"]
        table[(state[first] + np.arange(len(rows))) % size] = rows
    else:
        table[: len(rows)] = rows
