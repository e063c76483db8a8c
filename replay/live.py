"""What the replayer sees of the live core: DATA/run/core.json and the counters in shared memory."""

import json
from pathlib import Path
from typing import Any, Final

from core.counters import Counters, attach_counters, gauge
from core.shm import SegmentError

CORE_FILE: Final = "core.json"


class LiveCore:
    """Follows the lives of the core; between two of them the newest values stay."""

    def __init__(self, data: Path) -> None:
        self._path = data / "run" / CORE_FILE
        self._counters: Counters | None = None
        self.epoch = 0  # Of the newest core that was seen.
        self._durable = 0
        self._own: dict[int, int] = {}

    def look(self) -> int:
        """The newest sequence that is known to be durable; 0 before a core was seen."""
        found = self._read()
        if found.get("epoch", self.epoch) != self.epoch:
            self._attach(found)
        if self._counters is not None:
            self._durable = max(self._durable, self._counters["durable_sequence"])
        return self._durable

    def show(self, number: int, value: int) -> None:
        """Set one of the replayer's own counters, in this life of the core and the next ones."""
        self._own[number] = value
        if self._counters is not None:
            gauge(self._counters.words, number, value)

    def count(self, number: int) -> None:
        """Add one to one of the replayer's own counters."""
        self.show(number, self._own.get(number, 0) + 1)

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._path.read_bytes()))
        except (OSError, ValueError):
            return {}

    def _attach(self, found: dict[str, Any]) -> None:
        try:
            counters = attach_counters(found["shm"], found["epoch"], writable=True)
        except (SegmentError, KeyError, TypeError, ValueError):
            return  # It is going, or coming.
        if self._counters is not None:
            self._counters.close()
        self._counters, self.epoch = counters, int(found["epoch"])
        for number, value in self._own.items():
            gauge(counters.words, number, value)
