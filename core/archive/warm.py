"""Run every compiled part of the archive once, so that the cache holds all of them."""

from pathlib import Path
from typing import Final

import numpy as np

from core.archive.follow import Follower
from core.archive.reader import ArchiveReader
from core.archive.scan import header_behind
from core.archive.writer import ArchiveWriter
from core.messages import EVENT, LAST
from core.output import OutputRing

UUID: Final = bytes(16)


def warm(directory: Path, output: OutputRing) -> None:
    """Write an event into an archive in ``directory``, find it, follow it into the ring."""
    rows = np.zeros(1, EVENT)
    rows["sequence"], rows["flags"] = 1, LAST
    writer = ArchiveWriter(directory, UUID)
    writer.append(int(rows.ctypes.data), 1, 0)
    writer.close()
    reader = ArchiveReader(directory, UUID)
    reader.order_events(1 << 22)
    reader.recent_fills()
    header_behind(int(rows.ctypes.data), 0, 0, 0, 0)
    follower = Follower(reader)
    follower.use(output)
    follower.read(1)
    reader.close()
