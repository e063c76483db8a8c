"""Small journals for the exhaustive runs over the format, changed in place and judged again."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.journal import witness
from core.journal.config import JournalConfig
from core.journal.errors import JournalRefused
from core.journal.layout import BLOCK, SEGMENT_HEADER_BYTES, SYNC
from core.journal.reader import Walk
from core.journal.verify import Verified, verify
from tests.core.journal.files import Journal, directory_of, segment, used_bytes

REFUSED = "refused "


@dataclass(frozen=True)
class Block:
    """One block of the specimen."""

    offset: int
    end: int
    first: int
    last: int
    durable: int
    kind: int


class Specimen:
    """A journal of one segment at rest, whose file is changed in place and judged again."""

    def __init__(self, data: Path, config: JournalConfig, sizes: list[tuple[int, ...]]) -> None:
        self.data, self.config = data, config
        self.journal = Journal(data, config)
        self.row = self.journal.writer.row
        self.row.stop = 1
        if self.journal.writer._syncer is not None:
            self.journal.writer._syncer.join()
        for size in sizes:
            self.journal.append(size, seed=0)

    def finish(self, *, clean: bool) -> None:
        """End the process, take the bytes."""
        if clean:
            self.journal.close()
        else:
            self.journal.crash()
        self.path = segment(self.data)
        self.directory = directory_of(self.data)
        self.uuid = bytes.fromhex(self.directory.name.replace("-", ""))
        self.raw = self.path.read_bytes()
        self.used = used_bytes(self.path)
        self.blocks = list(_blocks(self.raw))
        self.fd = os.open(self.path, os.O_RDWR)

    def close(self) -> None:
        """Give the file back."""
        os.close(self.fd)

    @property
    def last(self) -> int:
        """The newest sequence."""
        return self.blocks[-1].last

    def write(self, offset: int, content: bytes) -> None:
        """Change bytes in place."""
        assert os.pwrite(self.fd, content, offset) == len(content)

    def restore(self, offset: int, size: int) -> None:
        """Put back what stood there."""
        self.write(offset, self.raw[offset : offset + size])

    def verdict(self) -> str:
        """What ``journal verify`` says: ``CLEAN 45``, ``TORN 43``, ``refused HOLE``."""
        found = judged(self.data)
        return found if isinstance(found, str) else f"{found.tail} {found.last_sequence}"

    def put_witness(self, sequence: int) -> None:
        """A witness that saw ``sequence``."""
        walk = Walk(self.directory, self.uuid, watch=sequence)
        for _ in walk:
            pass
        assert walk.state.watch_found
        chain = (int(walk.state.watch_a), int(walk.state.watch_b))
        witness.write(self.directory, self.uuid, sequence, chain, 1)


def judged(data: Path) -> Verified | str:
    """What ``verify`` gives, or ``refused`` and the reason; nothing else may be raised."""
    try:
        return verify(data)
    except JournalRefused as error:
        return REFUSED + error.reason


def _blocks(raw: bytes) -> Any:
    place = SEGMENT_HEADER_BYTES
    while raw[place : place + 4] == b"OBLK":
        row: Any = np.frombuffer(raw, BLOCK, 1, place)[0]
        end = place + int(row["block_bytes"])
        first, last, durable = (
            int(row[name]) for name in ("first_sequence", "last_sequence", "durable_sequence")
        )
        yield Block(place, end, first, last, durable, int(row["kind"]))
        place = end


def sync_specimen(data: Path, config: JournalConfig) -> Specimen:
    """GENESIS, EPOCH_START, three DATA blocks of 3, 20 and 2 commands, closed with a MARKER."""
    assert config.durability == SYNC
    return Specimen(data, config, [(1, 2, 1), (1,) * 20, (4, 1)])


def relaxed_specimen(data: Path, config: JournalConfig) -> Specimen:
    """As ``sync_specimen``, and after the second DATA block everything so far was synced."""
    made = Specimen(data, config, [(1, 2, 1), (1,) * 6])
    made.journal.writer.marker()
    made.row.durable_sequence = 3  # The sync that ended last began before the second block.
    made.journal.append((4, 1), seed=0)
    made.journal.append((2,), seed=0)
    return made
