"""A replayer beside a core of a campaign, in a hurry: what is done once a second is done at once.

It runs the ``main`` of replay/replayer.py in a forked process that has the kernels loaded.
"""

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any, Final

from core.archive.writer import ArchiveWriter
from replay import replayer
from replay.live import CORE_FILE, LiveCore
from tests.faults.forked import Forked

ENDS_WITHIN_S: Final = 30.0
MS: Final = 1_000_000
EVENT_SEGMENT_BYTES: Final = 48 << 10


class QuietLive(LiveCore):
    """Opens core.json only when it is another one: else it would be nearly all that is opened."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self._file = data / "run" / CORE_FILE
        self._known: dict[str, Any] = {}
        self._seen = (0, 0)

    def _read(self) -> dict[str, Any]:
        try:
            found = self._file.stat()
        except OSError:
            return {}
        if (found.st_ino, found.st_mtime_ns) != self._seen:
            self._known = super()._read()
            if self._known:
                self._seen = found.st_ino, found.st_mtime_ns
        return self._known


# What replay/replayer.py is given instead.  Its priority: a campaign does not wait for an idle CPU.
QUICK: Final[dict[str, Any]] = {
    "IDLE_S": 0.01,
    "WITNESS_NS": 20 * MS,
    "HOUSEKEEPING_NS": 40 * MS,
    "ArchiveWriter": partial(ArchiveWriter, segment_bytes=EVENT_SEGMENT_BYTES),
    "LiveCore": QuietLive,
    "be_idle": lambda: None,
}


def quick(arguments: list[str]) -> int:
    """The replayer's ``main``; only in a process of its own."""
    for name, value in QUICK.items():
        assert hasattr(replayer, name), name
        setattr(replayer, name, value)
    return replayer.main(arguments)


class Beside:
    """The replayer of one data directory while there is one."""

    def __init__(self, data: Path, options: dict[str, Any]) -> None:
        """``options``: of the command line, without their dashes."""
        self._data = data
        self._options = {"snapshot-every-ms": 60, "snapshots": 2, "scrub-every-ms": 90, **options}
        self.log = data.parent / "replayer.log"  # No prefix of it is the data directory.
        self._process: Forked | None = None

    def start(self, *, stopped: bool = False) -> None:
        """Start it; ``stopped``: it waits for a SIGCONT."""
        given = ["--data", str(self._data)]
        for name, value in self._options.items():
            given += [f"--{name}", str(value)]
        self._process = Forked(given, self.log, stopped=stopped, program=quick)

    @property
    def process(self) -> Forked:
        """The replayer."""
        assert self._process is not None
        return self._process

    @property
    def code(self) -> int | None:
        """Exit code, or minus the signal; None while it runs."""
        return self.process.poll()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send(number)
        return self.process.wait(ENDS_WITHIN_S)

    def close(self) -> None:
        """End it, if there is one."""
        if self._process is not None:
            self.end(signal.SIGKILL)

    def complaints(self) -> list[str]:
        """What it said, without what it says of work that went well."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return [line for line in text.splitlines() if ": removed " not in line]

    def words(self) -> str:
        """The end of what it said."""
        return json.dumps(self.complaints()[-6:])
