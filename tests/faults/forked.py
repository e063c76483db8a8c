"""A core in a forked process that has the kernels loaded: what takes seconds takes milliseconds.

It runs the same ``main`` with the same arguments as ``python -m core.sequencer``; only the imports
are done.  So a campaign has ten times as many cases in its time.
"""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.journal.errors import EXIT_FAILED
from core.journal.prepare import end_with_parent
from core.sequencer.__main__ import main
from core.sequencer.warm import warm

POLL_S: Final = 0.001
Program = Callable[[list[str]], int]  # The ``main`` of a process.
_warmed: list[bool] = []


def warm_once() -> None:
    """Load every kernel into this process."""
    if not _warmed:
        warm()
        gc.collect()
        gc.freeze()  # The core collects before it serves: not our heap, too.
        _warmed.append(True)


class Forked:
    """One life of the core, or of another ``program``; what campaigns need of ``Popen``."""

    def __init__(
        self, arguments: list[str], log: Path, *, stopped: bool, program: Program = main
    ) -> None:
        """``stopped``: it waits for a SIGCONT before it does anything."""
        warm_once()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _run(lambda: program(arguments), log, parent, stopped=stopped)
        if stopped:  # Else a SIGCONT could come before the SIGSTOP.
            os.waitpid(self.pid, os.WUNTRACED)

    def poll(self) -> int | None:
        """The exit code, minus the signal; None while it runs."""
        if self._code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, within_s: float) -> int:
        """The exit code; TimeoutError."""
        deadline = time.monotonic() + within_s
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} did not end within {within_s} s")
            time.sleep(POLL_S)
        return code

    def where(self) -> str:
        """What its threads wait for in the kernel, for a person."""
        return "; ".join(
            f"{thread.name}: {(thread / 'stat').read_text().split()[2]} "
            f"{(thread / 'wchan').read_text()} in {(thread / 'syscall').read_text().split()[0]}"
            for thread in Path(f"/proc/{self.pid}/task").iterdir()
        )

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _run(program: Callable[[], int], log: Path, parent: int, *, stopped: bool) -> None:
    """In the child: the program, and never back."""
    code = EXIT_FAILED
    try:
        end_with_parent(parent)
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)
        if stopped:
            os.kill(os.getpid(), signal.SIGSTOP)
        code = program()
    except OSError as fault:
        sys.stderr.write(f"core: failed: {fault}; the journal is kept\n")
    except BaseException as fault:  # Never into the campaign's own code.
        sys.stderr.write(f"core: {type(fault).__name__}: {fault}\n")
        code = fault.code if isinstance(fault, SystemExit) else 1  # type: ignore[assignment]
    sys.stderr.flush()
    os._exit(code)
