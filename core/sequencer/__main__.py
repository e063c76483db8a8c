"""The core process: recover, serve, stop on SIGTERM.

    python -m core.sequencer --data DIR --durability sync --gateways http.0 ...

Exit codes: 0 clean stop, 64 usage, 70 failed (journal kept), 75 in use, 78 configuration, 80
journal refused.  Logs nothing on the way: one line to standard error when it ends badly.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from core.clock import monotonic_ns
from core.journal.config import JournalConfig
from core.journal.errors import EXIT_CONFIGURATION, EXIT_FAILED, JournalError
from core.journal.layout import DURABILITIES, SEGMENT_BYTES
from core.limits import DEFAULT, Limits, faults
from core.sequencer.engine import ENGINE_VERSION

EXIT_USAGE: Final = 64
PROGRESS_NS: Final = 1_000_000_000
WRITTEN_NS: Final = 100_000_000
START_FILE: Final = "start"


class Parser(argparse.ArgumentParser):
    """Usage errors exit 64, as everywhere in Outcry."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"core: {message}\n")
        sys.exit(EXIT_USAGE)


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="core", description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--durability", choices=sorted(DURABILITIES), default="sync")
    parser.add_argument("--idle", choices=("spin", "hybrid", "block"), default="hybrid")
    parser.add_argument("--segment-bytes", type=int, default=SEGMENT_BYTES)
    parser.add_argument("--spares", type=int, default=2)
    parser.add_argument("--gateways", default="http.0")
    parser.add_argument("--limits", default="{}")
    parser.add_argument("--allow-volatile", action="store_true")
    parser.add_argument("--cpu", type=int, default=-1, help="for the core's thread alone")
    parser.add_argument("--nice", type=int, default=0, help="of the core's thread")
    parser.add_argument("--stages", action="store_true")
    return parser.parse_args(argv)


def read_limits(text: str) -> Limits:
    """Limits out of JSON; SystemExit 78 with every fault."""
    try:
        values: Any = json.loads(text)
        limits = DEFAULT._replace(**{name: int(value) for name, value in values.items()})
    except (ValueError, TypeError, AttributeError) as error:
        sys.stderr.write(f"core: --limits: expected a JSON object of limits: {error}\n")
        sys.exit(EXIT_CONFIGURATION)
    found = faults(limits)
    if found:
        sys.stderr.write("".join(f"core: {fault}\n" for fault in found))
        sys.exit(EXIT_CONFIGURATION)
    return limits


def say(line: str) -> None:
    sys.stderr.write(f"core: {line}\n")
    sys.stderr.flush()


class Progress:
    """How far the replay is: a line a second, and DATA/run/start for adapters to show."""

    def __init__(self, run: Path) -> None:
        self._path = run / START_FILE
        self._said_ns = self._written_ns = monotonic_ns()

    def __call__(self, done: int, total: int) -> None:
        """Say it, unless that was done a moment ago."""
        now_ns = monotonic_ns()
        if now_ns - self._written_ns < WRITTEN_NS:
            return
        self._written_ns = now_ns
        text = f"replaying {done / 1e6:.1f} M of {total / 1e6:.1f} M commands"
        with contextlib.suppress(OSError):  # It is there to be looked at, nothing more.
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._path.with_suffix(".new")
            draft.write_text(text)
            draft.replace(self._path)
        if now_ns - self._said_ns >= PROGRESS_NS:
            self._said_ns = now_ns
            say(text)

    def end(self) -> None:
        """The start is over."""
        with contextlib.suppress(OSError):
            self._path.unlink()


class Pin:
    """``--cpu`` and ``--nice``: this thread alone on ``cpu`` while it serves, all others never.

    The one that syncs in the background would else take turns with one that spins.  Until then
    all of them may use every CPU, because a start is work for several.  Threads that begin later
    begin on ``cpu`` too; there are none while the core serves.  It is for speed only, so what is
    not permitted is said, and not done.
    """

    def __init__(self, cpu: int, nice: int) -> None:
        self._cpu = cpu
        self._nice = nice
        self._others = os.sched_getaffinity(0)
        if cpu >= 0:
            self._try(lambda: os.sched_setaffinity(0, self._others | {cpu}))

    def serve(self) -> None:
        """The start is over: from here on the CPU is this thread's."""
        if self._cpu < 0:
            return
        own = os.getpid()  # The number of the first thread too.
        for thread in map(int, os.listdir("/proc/self/task")):
            cpus = {self._cpu} if thread == own else self._others
            self._try(partial(os.sched_setaffinity, thread, cpus))
        if self._nice:
            self._try(lambda: os.setpriority(os.PRIO_PROCESS, 0, self._nice))

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except ProcessLookupError:  # A thread that has just ended.
            return
        except OSError as error:
            say(f"not pinned to CPU {self._cpu} at nice {self._nice}: {error.strerror}")


def main(argv: list[str]) -> int:
    """Run one life of the core; its exit code."""
    options = arguments(argv)
    journal = JournalConfig(
        durability=DURABILITIES[options.durability],
        limits=read_limits(options.limits),
        engine_version=ENGINE_VERSION,
        segment_bytes=options.segment_bytes,
        spares=options.spares,
        allow_volatile=options.allow_volatile,
    )
    from core.sequencer.core import Core, CoreConfig
    from core.sequencer.quiet import Quiet
    from core.wake import STRATEGIES

    gateways = tuple(name for name in options.gateways.split(",") if name)
    idle = STRATEGIES[options.idle]
    config = CoreConfig(options.data, journal, gateways, idle, stages=options.stages)
    stopping: list[int] = []
    cores: list[Core] = []

    def stop(number: int, _frame: object) -> None:
        stopping.append(number)
        for core in cores:
            core.request_stop()

    signal.signal(signal.SIGTERM, stop)
    progress = Progress(options.data / "run")
    pin = Pin(options.cpu, options.nice)
    try:
        core = Core(config, progress)
    except JournalError as error:
        say(str(error))
        return error.exit_code
    finally:
        progress.end()
    for bad in core.bad_snapshots:
        say(f"ALARM: {bad}; started without it")
    cores.append(core)
    pin.serve()
    if not stopping:
        quiet = Quiet(core.counters.words)
        core.publish()
        quiet.begin()
        core.looked = quiet.show
        core.serve()
    core.close()
    return 0


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except OSError as fault:
        say(f"failed: {fault}; the journal is kept")
        code = EXIT_FAILED
    sys.stdout.flush()
    os._exit(code)  # Threads of the journal may still be in a system call.
