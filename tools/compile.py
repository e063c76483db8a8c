"""Compile the core once, for every process that starts later: with progress, under a lock.

The cache directory is named after the source, the mode and the toolchain (core.jit), so a stamp in
it says that nothing of this source is left to compile.  Processes that start together wait for the
one that compiles.

    python -m tools.compile [--quiet]
"""

import fcntl
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from core import jit
from tools import exits

STAMP: Final = "compiled.json"
LOCK: Final = "compile.lock"
KEEP_DAYS: Final = 7  # Directories of older sources go after this.
TERMINAL_PERIOD_S: Final = 0.2
FILE_PERIOD_S: Final = 5.0


class Report(NamedTuple):
    """What one call did: kernels compiled here, and the seconds it took."""

    compiled: int
    seconds: float


def ensure_compiled(warm: Callable[[], object] | None = None) -> Report:
    """Compile everything unless it is done already; ``warm`` runs every entry kernel once.

    Returns (0, 0.0) on a warm start and in plain Python mode.
    """
    if is_compiled():
        return Report(0, 0.0)
    directory = jit.cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory / LOCK):
        if (directory / STAMP).exists():
            return Report(0, 0.0)
        begun = time.monotonic()
        with _progress(begun):
            _warm() if warm is None else warm()
        report = Report(misses(), time.monotonic() - begun)
        _write_stamp(directory / STAMP, report)
        _prune(directory)
    _say(f"compiled the core in {report.seconds:.1f} s")
    return report


def is_compiled() -> bool:
    """Whether there is nothing to compile."""
    return jit.PURE or (jit.cache_directory() / STAMP).exists()


def misses() -> int:
    """How many functions this process compiled because the cache did not have them."""
    if jit.PURE:
        return 0
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in jit.kernels())


def _warm() -> None:
    from core.sequencer.warm import warm

    warm()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file; say so when another process has it.  The lock ends with the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process compiles the core; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _progress(begun: float) -> Iterator[None]:
    """Show, from a thread, how many of the known kernels are compiled."""
    is_done = threading.Event()
    is_terminal = sys.stderr.isatty()

    def show() -> None:
        period = TERMINAL_PERIOD_S if is_terminal else FILE_PERIOD_S
        while not is_done.wait(period):
            kernels = jit.kernels()
            done = sum(1 for kernel in kernels if kernel.signatures or kernel.part.signatures)
            seconds = time.monotonic() - begun
            line = f"compiling the core (once): {done} of {len(kernels)} kernels, {seconds:.0f} s"
            _say(line, end="\r" if is_terminal else "\n")

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()


def _write_stamp(path: Path, report: Report) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"kernels": report.compiled, "seconds": report.seconds}))
    temporary.replace(path)


def _prune(current: Path) -> None:
    """Remove the directories of other sources that nobody compiled into for a week."""
    oldest = time.time() - KEEP_DAYS * 86_400
    for other in current.parent.iterdir():
        if other != current and (other / LOCK).exists() and other.stat().st_mtime < oldest:
            shutil.rmtree(other, ignore_errors=True)


def _say(line: str, end: str = "\n") -> None:
    sys.stderr.write(f"\x1b[2K{line}{end}" if sys.stderr.isatty() else f"{line}{end}")
    sys.stderr.flush()


def main(*, quiet: bool = False) -> int:
    """Compile, or say that nothing is to be done (unless ``quiet``)."""
    report = ensure_compiled()
    if not report.seconds and not quiet:
        _say(f"nothing to compile, mode {jit.MODE_NAME}")
    return exits.OK


if __name__ == "__main__":
    sys.exit(main(quiet="--quiet" in sys.argv[1:]))
