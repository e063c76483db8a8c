"""The core that ``outcry up`` starts, in a process of its own, on a directory that is thrown away.

Its thread that decides is pinned to the second processor, the others (the syncer of ``relaxed``) to
the first, where the benchmark is.  Segments are prepared before they are needed, which the process
that prepares them does in ``outcry up``.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from adapters.link import CoreFile, is_alive, read_core_file
from bench import machine
from core import shm
from core.counters import Counters, attach_counters
from core.journal.layout import SEGMENT_BYTES
from core.journal.segments import journal_directory, make_segment, newest_in_use, segment_path
from core.limits import Limits
from core.wake import open_fifo

ROOT: Final = Path(__file__).resolve().parents[1]
GATEWAY: Final = "bench.0"
READY_WITHIN_S: Final = 300.0  # A cold cache compiles first.
STOP_WITHIN_S: Final = 30.0
ENDS: Final = (signal.SIGINT, signal.SIGTERM)
PR_SET_PDEATHSIG: Final = 1
OURS_CPU: Final = 0
CORE_CPU: Final = 1
_LIBC: Final = ctypes.CDLL(None)


class CoreProcess:
    """A running core; ``close`` ends it and removes everything of it."""

    def __init__(
        self,
        limits: Limits,
        durability: str,
        *,
        idle: str = "spin",
        segment_bytes: int = SEGMENT_BYTES,
        allow_volatile: bool = False,
    ) -> None:
        """Start and wait until it serves.  RuntimeError with its last words when it does not."""
        self.durability, self._segment_bytes = durability, segment_bytes
        self.directory = Path(tempfile.mkdtemp(prefix="outcry-bench-"))
        self.data = self.directory / "data"
        self._fifo = -1
        self._counters: Counters | None = None
        self._words = (self.directory / "stderr").open("w+")
        options = {"durability": durability, "idle": idle, "gateways": GATEWAY}
        options |= {"segment-bytes": str(segment_bytes), "data": str(self.data)}
        options |= {"limits": json.dumps(limits._asdict())}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        arguments += ["--allow-volatile"] if allow_volatile else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.sequencer", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=self._words,
            start_new_session=True,  # A Ctrl-C is for us, and we end it.
            preexec_fn=_end_with_us,  # noqa: PLW1509  No thread of ours holds a lock here.
        )
        try:
            self.core = self._wait()
            self._counters = attach_counters(self.core.shm, self.core.epoch)
            self._fifo = open_fifo(self.data / "run", "core")
        except BaseException:
            self.close()
            raise

    @property
    def fifo(self) -> int:
        """Descriptor of the core's FIFO."""
        return self._fifo

    def counter(self, label: str) -> int:
        """One counter of the core."""
        assert self._counters is not None
        return self._counters[label]

    def pin(self) -> dict[str, int]:
        """Pin the core's threads and the calling one; which processor each has."""
        pid = self._process.pid
        others = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
        for thread in others:
            machine.pin(OURS_CPU, thread)
        pinned = {"core": machine.pin(CORE_CPU, pid)}
        if others:
            pinned["syncer"] = machine.pin(OURS_CPU, others[0])
        return pinned

    def prepare(self, count: int) -> None:
        """Make ``count`` empty segments behind the newest one that is in use."""
        directory = journal_directory(self.data)
        assert directory is not None
        used = newest_in_use(directory)
        for number in range(used + 1, used + count + 1):
            if not segment_path(directory, number).exists():
                is_sync = self.durability == "sync"
                make_segment(directory, number, self._segment_bytes, prewritten=is_sync)

    def discard(self) -> None:
        """Remove the journal's segments that are no longer written: room on the disk."""
        directory = journal_directory(self.data)
        assert directory is not None
        for number in range(1, newest_in_use(directory)):
            segment_path(directory, number).unlink(missing_ok=True)

    @property
    def writes_direct(self) -> bool:
        """Whether the core writes its blocks with O_DIRECT."""
        for entry in Path(f"/proc/{self._process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(entry).endswith(".seg"):
                    info = Path(f"/proc/{self._process.pid}/fdinfo/{entry.name}").read_text()
                    flags = int(info.split("flags:")[1].split()[0], 8)
                    return bool(flags & os.O_DIRECT)
        return False

    def halt(self) -> None:
        """Stop it where it is (SIGSTOP): it takes no processor time then."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        self._process.send_signal(signal.SIGCONT)

    def check(self) -> None:
        """RuntimeError with its last words when it has ended."""
        if self._process.poll() is not None:
            self._words.seek(0)
            raise RuntimeError(
                f"the core ended with {self._process.returncode}: {self._words.read().strip()}"
            )

    def close(self) -> None:
        """End it, cleanly if it can, and remove its files and its shared memory."""
        if self._process.poll() is None:
            self.go_on()
            self._process.terminate()
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._counters is not None:
            self._counters.close()
            self._counters = None
        if self._fifo >= 0:
            os.close(self._fifo)
            self._fifo = -1
        self._unlink()
        self._words.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _unlink(self) -> None:
        journals = self.data / "journal"
        for entry in journals.iterdir() if journals.is_dir() else ():
            if entry.is_dir():
                shm.unlink_stale(entry.name[:8])

    def _wait(self) -> CoreFile:
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            self.check()
            core = read_core_file(self.data / "run")
            if core is not None and is_alive(core.pid):
                return core
            time.sleep(0.01)
        raise RuntimeError(f"the core does not serve within {READY_WITHIN_S:.0f} s")


@contextlib.contextmanager
def one_interrupt() -> Iterator[None]:
    """A Ctrl-C or SIGTERM is raised, the first one only: no other ends what tidies up behind it."""

    def once(_number: int, _frame: object) -> NoReturn:
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, once) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_with_us() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
