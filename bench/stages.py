"""The table stage x percentile of a running exchange, for whatever drives it.

Times are CLOCK_MONOTONIC nanoseconds.  The side ring holds the stamps of the newest 16,384
commands; of a run that is longer, ``Collected`` keeps what it sees when it looks.
"""

from pathlib import Path
from typing import Any

import numpy as np

from adapters.link import read_core_file
from core.stages import STAMPS, Stages, attach_stages
from core.stages import table as table_of


def attach(data: Path, *, writable: bool = False) -> Stages | None:
    """The side ring of the core that serves ``data``; None when it does not stamp.

    ``writable``: to stamp answers (``core.stages.stamp_out``).
    """
    core = read_core_file(data / "run")
    if core is None or not core.stages:
        return None
    return attach_stages(core.shm, core.epoch, writable=writable)


def table(
    reader: Stages, from_sequence: int = 1, to_sequence: int | None = None
) -> list[dict[str, Any]]:
    """The field ``stages`` of a result: stage x percentile of the commands from one sequence to
    another, both included, as far as the ring still has them."""
    return table_of(reader.read(from_sequence, to_sequence))


class Collected:
    """Stamps of a long run: look often enough, or some are overwritten unseen."""

    def __init__(self, reader: Stages, after_sequence: int = 0) -> None:
        """``after_sequence``: the newest command that is no part of the run."""
        self._reader = reader
        self._next = after_sequence + 1
        self._found: list[np.ndarray[Any, Any]] = []

    def look(self) -> int:
        """Take what is new; how many commands that were."""
        found = self._reader.read(self._next)
        if len(found):
            self._next = int(found["sequence"][-1]) + 1
            self._found.append(found)
        return len(found)

    def skip(self, sequence: int) -> None:
        """Commands up to this one are no part of the run."""
        self._next = sequence + 1

    def table(self) -> list[dict[str, Any]]:
        """Stage x percentile of all that was seen."""
        return table_of(np.concatenate(self._found or [np.zeros(0, STAMPS)]))
