"""The process that keeps empty segments ready: ``python -m core.journal.prepare --data DIR``.

It runs at SCHED_IDLE with paced writes, so that the core hardly notices, and ends with its parent.
It takes no lock: a new segment is linked to its name only if that name is free.
"""

import argparse
import ctypes
import errno
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from core.journal.errors import JournalRefused
from core.journal.segments import (
    journal_directory,
    make_segment,
    spare_count,
)

PR_SET_PDEATHSIG: Final = 1
POLL_S: Final = 0.2
PACE_BYTES_PER_S: Final = 96 << 20
RETRY_S: Final = 2.0
PAUSE: Final = threading.Event()  # Never set: a sleep, without reading a clock.


def end_with_parent(parent_pid: int) -> None:
    """Be killed when the parent dies; end at once when it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(0)


def be_idle() -> None:
    """Run only when nobody else wants the CPU; where that is not allowed, as nicely as possible."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        os.nice(19)


def prepare(directory: Path, size: int, spares: int, *, prewritten: bool) -> bool:
    """Make one empty segment if fewer than ``spares`` follow the newest in use."""
    used, empty = spare_count(directory)
    if used == 0 or empty >= spares:
        return False

    def pace(count: int) -> None:
        if empty:  # With none left the core may be waiting: no pauses then.
            PAUSE.wait(count / PACE_BYTES_PER_S)

    return make_segment(directory, used + empty + 1, size, prewritten=prewritten, pace=pace)


def run(data: Path, size: int, spares: int, *, prewritten: bool) -> None:
    """Look, make, sleep, for ever.  A full disk is reported once and tried again."""
    reported = False
    while True:
        pause_s = POLL_S
        directory = None
        with suppress(JournalRefused):  # The core finds it too, and says so.
            directory = journal_directory(data)
        if directory is not None:
            try:
                while prepare(directory, size, spares, prewritten=prewritten):
                    reported = False
            except OSError as error:
                if not reported:
                    name = errno.errorcode.get(error.errno or 0, "?")
                    sys.stderr.write(f"journal: no spare segment could be made: {name} {error}\n")
                    sys.stderr.flush()
                reported = True
                pause_s = RETRY_S
        PAUSE.wait(pause_s)


def main() -> None:
    """Entry of the process."""
    parser = argparse.ArgumentParser(prog="core.journal.prepare", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--segment-bytes", type=int, default=64 << 20)
    parser.add_argument("--spares", type=int, default=2)
    parser.add_argument("--durability", choices=("sync", "relaxed"), default="sync")
    parser.add_argument("--allow-volatile", action="store_true", help="nothing here depends on it")
    parent_pid = os.getppid()
    given = parser.parse_args()
    end_with_parent(parent_pid)
    os.umask(0o077)
    be_idle()
    run(given.data, given.segment_bytes, given.spares, prewritten=given.durability == "sync")


if __name__ == "__main__":
    main()
