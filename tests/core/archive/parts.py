"""Streams of events, and archives made of them, for the tests of the event archive."""

import random
from pathlib import Path
from typing import Any

import numpy as np

from core.archive.errors import ArchiveDamaged, ArchiveGap
from core.archive.layout import Key
from core.archive.reader import ArchiveReader
from core.archive.writer import ArchiveWriter
from core.messages import EVENT, LAST

Rows = np.ndarray[Any, Any]

UUID = bytes(range(16))
SMALL = 4_096 + 3 * 128 + 9 * 128  # A segment of a few blocks.


def stream(count: int, seed: int = 1, *, most: int = 5, first: int = 1) -> Rows:
    """``count`` events of whole commands with 1 to ``most`` events; sequences jump at times."""
    random_of = random.Random(seed)
    rows = np.zeros(count, EVENT)
    sequence, place = first - 1, 0
    while place < count:
        sequence += 1 if random_of.random() < 0.9 else random_of.randrange(2, 1 << 26)
        size = min(random_of.randint(1, most), count - place)
        command = rows[place : place + size]
        command["sequence"], command["index"] = sequence, np.arange(size)
        command["flags"][-1] = LAST
        place += size
    rows["order_id"] = np.arange(1, count + 1)
    rows["kind"] = 200  # No kind that means anything.
    return rows


def keys(rows: Rows) -> list[Key]:
    return list(zip(rows["sequence"].tolist(), rows["index"].tolist(), strict=True))


def append(writer: ArchiveWriter, rows: Rows, event_hash: int = 0) -> None:
    rows = np.ascontiguousarray(rows)
    writer.append(int(rows.ctypes.data), len(rows), event_hash)


def write(directory: Path, rows: Rows, pieces: int = 4, segment_bytes: int = SMALL) -> None:
    """An archive of ``rows``, appended ``pieces`` at a time."""
    writer = ArchiveWriter(directory, UUID, segment_bytes=segment_bytes)
    for place in range(0, len(rows), pieces):
        append(writer, rows[place : place + pieces], event_hash=place + 1)
    writer.close()


def read_all(directory: Path, *, uuid: bytes = UUID, after: Key = (0, -1)) -> tuple[Rows, str]:
    """What a reader gives from ``after`` on, and why it ended: the error, or nothing."""
    reader = ArchiveReader(directory, uuid)
    found = [np.zeros(0, EVENT)]
    why = ""
    try:
        reader.seek(*after)
        while len(rows := reader.read(17)):
            found.append(rows)
    except (ArchiveGap, ArchiveDamaged) as error:
        why = str(error)
    finally:
        reader.close()
    return np.concatenate(found), why
