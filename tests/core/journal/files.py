"""Journals for tests: small, made by the real writer, with the bytes at hand."""

import itertools
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.constants import SLOT_BYTES
from core.crc32c import record_crc32c
from core.journal.appender import NO_ROOM, append
from core.journal.config import JournalConfig
from core.journal.errors import JournalRefused
from core.journal.layout import RELAXED, SYNC
from core.journal.reader import Walk
from core.journal.recovery import Recovery, recover
from core.journal.scanner import Commands
from core.journal.segments import journal_directory, segment_path
from core.journal.writer import Writer
from core.limits import SMALL
from core.messages import COMMAND, PLACE_ORDER, SCHEMA

Bytes = bytes
SEGMENT_BYTES = 256 << 10
CONFIG = JournalConfig(SYNC, SMALL, segment_bytes=SEGMENT_BYTES, allow_volatile=True)
RELAXED_CONFIG = CONFIG._replace(durability=RELAXED)
START_NS = 1_700_000_000_000_000_000


def commands(first_sequence: int, sizes: Sequence[int], seed: int = 1) -> "np.ndarray[Any, Any]":
    """Complete command records with the given numbers of slots, side by side.

    What is in them is random by ``seed``; seed 0: zeros, as in most of a real command.
    """
    chance = random.Random(seed * 1_000_003 + first_sequence)
    size = sum(sizes) * SLOT_BYTES
    raw = np.frombuffer(chance.randbytes(size) if seed else bytes(size), np.uint8).copy()
    rows = raw.view(COMMAND)
    places = [0, *itertools.accumulate(sizes)][:-1]
    # Records of one length lie in a slice, which numpy fills in one go.
    where: Any = slice(None, None, sizes[0]) if len(set(sizes)) == 1 else places
    heads = rows[where]
    heads["sequence"] = np.arange(first_sequence, first_sequence + len(sizes))
    heads["timestamp_ns"] = START_NS + heads["sequence"]
    heads["kind"], heads["schema"], heads["slots"] = PLACE_ORDER, SCHEMA, sizes
    rows[where] = heads
    start = int(raw.ctypes.data)
    pairs = zip(places, sizes, strict=True)
    sums = [record_crc32c(start + place * SLOT_BYTES, size) for place, size in pairs]
    rows["crc32c"][where] = sums
    return rows


class Journal:
    """A journal that is being written in ``data``; remembers every slot it was given."""

    def __init__(self, data: Path, config: JournalConfig = CONFIG) -> None:
        self.data, self.config = data, config
        self.recovery: Recovery = recover(data, config)
        self.writer = Writer(self.recovery)
        self.written: list[bytes] = []

    @property
    def directory(self) -> Path:
        return self.recovery.directory

    def append(self, sizes: Sequence[int], seed: int = 1) -> int:
        """Write one block; the offset where it lies."""
        row = self.writer.row
        first = int(row.next_sequence)
        rows = commands(first, sizes, seed)
        last = first + len(sizes) - 1
        stamp_ns = START_NS + last
        address = int(rows.ctypes.data)
        given = (address, len(rows), len(sizes), first, last, stamp_ns)
        done = append(self.writer.address, *given)
        if done == NO_ROOM:
            self.writer.rotate()
            done = append(self.writer.address, *given)
        assert done == 0, os.strerror(-done)
        self.written.append(rows.tobytes())
        return int(row.offset)

    def crash(self) -> None:
        """Let go without a word, as a killed process does."""
        row = self.writer.row
        row.stop = 1
        if self.writer._syncer is not None:
            self.writer._syncer.join()
        os.close(row.fd)
        row.fd = -1
        self.recovery.lock.close()

    def close(self) -> None:
        self.writer.close()


def open_journal(data: Path, config: JournalConfig = CONFIG) -> Journal:
    return Journal(data, config)


def small_journal(data: Path, config: JournalConfig = CONFIG) -> Journal:
    """GENESIS, EPOCH_START and three blocks: 3, 40 and 2 commands; still open."""
    journal = Journal(data, config)
    for sizes in ((1, 2, 1), (1,) * 40, (4, 1)):
        journal.append(sizes)
    return journal


def directory_of(data: Path) -> Path:
    found = journal_directory(data)
    assert found is not None
    return found


def segment(data: Path, number: int = 1) -> Path:
    return segment_path(directory_of(data), number)


def patch(path: Path, offset: int, content: bytes) -> None:
    """Overwrite bytes of a file in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def used_bytes(path: Path) -> int:
    """Bytes up to the last one that is not zero."""
    return len(path.read_bytes().rstrip(b"\0"))


def read_all(data: Path) -> bytes:
    """All slots in the journal, in order."""
    return b"".join(item.slots.tobytes() for item in walk_of(data) if isinstance(item, Commands))


def walk_of(data: Path, watch: int = 0) -> Walk:
    """A walk through all of the journal that looks for the chain at sequence ``watch``."""
    directory = directory_of(data)
    return Walk(directory, bytes.fromhex(directory.name.replace("-", "")), watch=watch)


def refusal(data: Path, config: JournalConfig = CONFIG) -> str:
    """The reason why recovery refuses; empty when it does not.  Nothing is fenced."""
    try:
        recover(data, config).lock.close()
    except JournalRefused as error:
        return error.reason
    return ""
