"""A core without adapters on a directory of a campaign: quick to start, easy to break."""

import json
import signal
from pathlib import Path
from typing import Final, NamedTuple

from core.journal.layout import SEGMENT_BYTES_MIN
from core.shm import unlink_stale
from tests.faults.feeder import GATEWAY
from tests.faults.forked import Forked
from tests.faults.load import LIMITS

ENDS_WITHIN_S: Final = 60.0
UUID_CHARACTERS: Final = 36


class Settings(NamedTuple):
    """What a core is started with."""

    durability: str = "sync"
    segment_bytes: int = SEGMENT_BYTES_MIN
    spares: int = 0
    allow_volatile: bool = False


class Bare:
    """One data directory, and the core on it while there is one."""

    def __init__(self, data: Path, settings: Settings | None = None) -> None:
        self.data = data
        self.settings = settings or Settings()
        self.log = data.parent / f"{data.name}.log"
        self._process: Forked | None = None

    def arguments(self) -> list[str]:
        """The arguments of the core."""
        settings = self.settings
        given = ["--data", str(self.data), "--durability", settings.durability]
        given += ["--gateways", GATEWAY, "--idle", "hybrid", "--spares", str(settings.spares)]
        given += ["--segment-bytes", str(settings.segment_bytes)]
        given += ["--limits", json.dumps(LIMITS._asdict())]
        return given + ["--allow-volatile"] * settings.allow_volatile

    def start(self, *, stopped: bool = False) -> None:
        """Start the core without waiting for it; ``stopped``: it waits for a SIGCONT."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self._process = Forked(self.arguments(), self.log, stopped=stopped)

    @property
    def process(self) -> Forked:
        """The core."""
        assert self._process is not None
        return self._process

    @property
    def code(self) -> int | None:
        """Exit code of the core, or minus the signal; None while it runs."""
        return self.process.poll()

    def has_ended(self) -> bool:
        """Has the core come to an end?"""
        return self.code is not None

    def wait(self, within_s: float = ENDS_WITHIN_S) -> int:
        """The exit code; TimeoutError when it does not end."""
        return self.process.wait(within_s)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal to the core; its exit code."""
        self.process.send(number)
        return self.wait()

    def stop(self) -> int:
        """A clean stop; the exit code."""
        return self.kill(signal.SIGTERM)

    def close(self) -> None:
        """End what is left of it, also in /dev/shm."""
        if self._process is not None:
            self.kill()
        journal = self.data / "journal"
        for entry in journal.iterdir() if journal.is_dir() else []:
            if len(entry.name) == UUID_CHARACTERS:
                unlink_stale(entry.name[:8])

    def words(self) -> str:
        """The end of what the core said."""
        return self.log.read_text(errors="replace")[-600:] if self.log.exists() else ""
