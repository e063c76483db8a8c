"""How long a write of one block takes until it is durable, on the file system of a directory."""

import os
import statistics
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

WRITES: Final = 256
BUDGET_NS: Final = 1_500_000_000


class Synced(NamedTuple):
    """Writes of one block, each made durable: figures of the faster way."""

    mode: str
    p50_ns: int
    p99_ns: int
    writes: int


def measure(directory: Path, writes: int = WRITES) -> Synced:
    """Write and sync blocks in a file without a name, which nobody sees; raises OSError."""
    from core.journal.appender import DIRECT
    from core.journal.probe import measure as probe

    fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        taken = probe(fd, Path(f"/proc/self/fd/{fd}"), writes, BUDGET_NS)
    finally:
        os.close(fd)
    mode = min(taken, key=lambda one: statistics.median(taken[one]))
    p50_ns, p99_ns = np.percentile(taken[mode], (50, 99))
    name = "O_DIRECT|O_DSYNC" if mode == DIRECT else "fdatasync"
    return Synced(name, int(p50_ns), int(p99_ns), len(taken[mode]))
