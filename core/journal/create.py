"""A new journal: only in a directory that is absent, empty, or holds an unfinished creation.

The mark DATA/INIT stands there from before the first file until GENESIS is durable.  It holds the
uuid of the journal being made, so a creation that was cut off is thrown away and begun again.
"""

import fcntl
import os
import secrets
import shutil
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from core.clock import realtime_ns
from core.journal import header as headers
from core.journal.access import block_row
from core.journal.blocks import encode
from core.journal.config import JournalConfig, versions
from core.journal.errors import Fault, JournalBusy, JournalRefused
from core.journal.header import SALT_BIT, Header
from core.journal.layout import (
    ALIGNS,
    BLOCK_BYTES_MAX,
    BLOCK_MAGIC,
    GENESIS,
    GENESIS_PAYLOAD,
    SECTOR_BYTES,
    SEGMENT_HEADER_BYTES,
    SYNC,
)
from core.journal.scanner import first_chain
from core.journal.segments import (
    DIRECTORY_MODE,
    INIT_NAME,
    JOURNAL_NAME,
    LOCK_NAME,
    make_segment,
    open_file,
    refuse_unfinished,
    segment_path,
    sync_directory,
    write_file,
)
from core.limits import base_of, genesis
from core.memory import address_of_buffer, region, view

# What may lie in a data directory before its journal: made by the supervisor or the file system.
BESIDE_NOTHING: Final = frozenset({"run", "log", "lost+found", INIT_NAME})
HINT_PLACE: Final = "give an empty or new directory with --data, or restore the missing files"


def may_create(data: Path) -> bool:
    """Whether ``data`` has no journal and may get one; raises JournalRefused where it must not."""
    if (data / INIT_NAME).exists():
        return True
    refuse_unfinished(data)
    root = data / JOURNAL_NAME
    if root.exists():
        if not root.is_dir() or not any(entry.name != LOCK_NAME for entry in root.iterdir()):
            raise JournalRefused(Fault.MISSING, root, 0, "the journal is gone", HINT_PLACE)
        return False
    others = [entry.name for entry in data.iterdir()] if data.exists() else []
    foreign = sorted(name for name in others if name not in BESIDE_NOTHING)
    foreign = [name for name in foreign if not name.startswith(f"{INIT_NAME}.")]
    if foreign:
        detail = f"no journal, but other files: {', '.join(foreign[:5])}"
        raise JournalRefused(Fault.NOT_EMPTY, data, 0, detail, HINT_PLACE)
    return True


def mark(data: Path) -> None:
    """Make the data directory and its INIT mark.  Two starts at once: one gets JournalBusy."""
    data.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if may_create(data) and not (data / INIT_NAME).exists():
            write_file(data / INIT_NAME, str(uuids.uuid4()).encode("ascii"))
    except BlockingIOError as error:
        raise JournalBusy(f"data directory in use: another process is creating {data}") from error
    finally:
        os.close(fd)


def finish(data: Path, config: JournalConfig) -> None:
    """Make the journal that INIT announces, under the lock; without the mark there is one."""
    init = data / INIT_NAME
    if not init.exists():
        sync_directory(data)  # Who removed the mark may have been killed before it synced.
        return
    uuid = announced(data)
    directory = data / JOURNAL_NAME / str(uuid)
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(mode=DIRECTORY_MODE)
    write_first(directory, config, genesis(config.limits))
    for path in (directory, directory.parent, data, *_holders(data)):
        sync_directory(path)
    init.unlink()
    sync_directory(data)


def write_first(directory: Path, config: JournalConfig, payload: bytes, after_ns: int = 0) -> None:
    """Make the first segment of the journal ``directory``, with the GENESIS ``payload``.

    Its time is above ``after_ns``.  The names in the directory are durable when this returns.
    """
    uuid = uuids.UUID(directory.name)
    make_segment(directory, 1, config.segment_bytes, prewritten=config.durability == SYNC)
    header = Header(
        uuid=uuid.bytes,
        segment_no=1,
        first_sequence=base_of(payload).sequence + 1,
        epoch=0,
        salt=SALT_BIT | secrets.randbits(62),
        first_block_no=1,
        prev_chain=first_chain(uuid.bytes),
        durability=config.durability,
        segment_bytes=config.segment_bytes,
        engine_version=config.engine_version,
        created_ns=max(realtime_ns(), after_ns + 1),
        build=config.build,
        versions=versions(),
    )
    fd = open_file(segment_path(directory, 1), os.O_RDWR)
    try:
        whole = bytes(headers.build(header)) + _genesis_block(header, payload)
        if os.pwrite(fd, whole, 0) != len(whole):
            raise OSError(f"short write of {segment_path(directory, 1)}")
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
    sync_directory(directory)


def announced(data: Path) -> uuids.UUID:
    """The journal that INIT announces; JournalRefused when there is one that INIT is not about."""
    uuid = _announced(data / INIT_NAME)
    directory = data / JOURNAL_NAME / str(uuid)
    for entry in directory.parent.iterdir() if directory.parent.exists() else ():
        if entry.name not in (LOCK_NAME, directory.name):
            detail = f"{INIT_NAME} announces journal {uuid}, but this is there"
            raise JournalRefused(Fault.INVENTORY, entry, 0, detail)
    if directory.exists():
        _refuse_used(directory)
    return uuid


def _announced(init: Path) -> uuids.UUID:
    """The uuid in INIT; raises JournalRefused when there is none."""
    raw = init.read_bytes()
    try:
        uuid = uuids.UUID(raw.decode("ascii"))
    except ValueError:
        detail = f"expected a uuid, got {len(raw)} bytes that are none"
        raise JournalRefused(Fault.INVENTORY, init, 0, detail) from None
    return uuid


def _holders(data: Path) -> Iterator[Path]:
    """The directories above, as far as they may have been made along with ``data``."""
    device = data.stat().st_dev
    for path in data.absolute().parents:
        if path.stat().st_dev != device or not os.access(path, os.R_OK):
            return
        yield path


def _genesis_block(header: Header, content: bytes) -> bytes:
    _owner, image = region(BLOCK_BYTES_MAX)
    payload = np.frombuffer(content, np.uint8).copy()
    assert payload.size == GENESIS_PAYLOAD.itemsize
    block = block_row(image)
    block.kind = GENESIS
    block.payload_bytes = payload.size
    block.salt = header.salt
    block.block_no = header.first_block_no
    block.first_sequence = header.first_sequence
    block.last_sequence = header.first_sequence - 1
    block.timestamp_ns = header.created_ns
    block.prev_chain_a, block.prev_chain_b = header.prev_chain
    length = encode(image, address_of_buffer(payload), ALIGNS[header.durability])
    return view(image, np.dtype(np.uint8), int(length)).tobytes()


def _refuse_used(directory: Path) -> None:
    """An unfinished creation holds one segment with no more than GENESIS; never delete another."""
    names = sorted(entry.name for entry in directory.iterdir() if entry.suffix == ".seg")
    if names not in ([], [segment_path(directory, 1).name]):
        detail = f"INIT says unfinished, but there are segments {', '.join(names)}"
        raise JournalRefused(Fault.INVENTORY, directory, 0, detail)
    for name in names:
        words = np.frombuffer((directory / name).read_bytes()[SEGMENT_HEADER_BYTES:], np.uint32)
        if np.count_nonzero(words[:: SECTOR_BYTES // 4] == BLOCK_MAGIC) > 1:
            detail = "INIT says unfinished, but the segment holds more than GENESIS"
            raise JournalRefused(Fault.INVENTORY, directory / name, 0, detail)
