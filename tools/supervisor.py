"""The supervisor: starts the processes, restarts what dies, stops all of them in order.

One thread, no handlers with logic: the signals it cares about are blocked and taken one at a time
by ``sigtimedwait``, so that every decision is made in ``run`` and nowhere else.  What dies is
started again at once, a second time in a row after a growing delay of at most 2 s; five seconds of
health forgive everything.  A process that was killed by a signal is never given up.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from tools import exits
from tools.child import Spec, describe_exit, start, write_pid

BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 2.0
HEALTHY_AFTER_S: Final = 5.0
GRACE_S: Final = 10.0  # For one rank to end after SIGTERM.
HURRIED_GRACE_S: Final = 1.0  # After a second signal.
SAME_SIGNAL_S: Final = 0.5  # make and the terminal may both deliver one Ctrl-C or one SIGTERM.
PROBE_EVERY_S: Final = 0.05
IDLE_S: Final = 60.0
RESTARTS_NAME: Final = "restarts.json"
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def backoff_s(failures: int) -> float:
    """Seconds before the next start after ``failures`` failures in a row, from 1."""
    if failures <= 1:
        return 0.0
    return float(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(failures - 2, 10)))


class Readiness(NamedTuple):
    """Asked until it is true, every 50 ms; then announced, once."""

    is_ready: Callable[[], bool]
    announce: Callable[[], None]


class Child:
    """A supervised process: its spec, what runs now, and how often it failed in a row."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self.started_s = 0.0
        self.due_s = 0.0

    def delay_after_death(self, now: float) -> float:
        """Count this death; seconds until the next start."""
        healthy = now - self.started_s >= HEALTHY_AFTER_S
        self.failures = 1 if healthy else self.failures + 1
        return backoff_s(self.failures)


class Supervisor:
    """Runs ``specs`` until a stop signal, or until one of them ends with a final code."""

    def __init__(
        self,
        specs: Sequence[Spec],
        run_directory: Path,
        *,
        keep_open: Sequence[int] = (),
        readiness: Readiness | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._children = [Child(spec) for spec in specs]
        self._run_directory = run_directory
        self._keep_open = keep_open
        self._readiness = readiness
        self._grace_s = grace_s
        self._restarts: dict[str, int] = {}
        self._code = exits.OK
        self._is_stopping = False
        self._stop_signals = 0
        self._stop_signal_s = 0.0
        self._rank = 0
        self._deadline_s = 0.0
        self._log = structlog.get_logger("supervisor")

    def run(self) -> int:
        """Supervise until everything has ended; the exit code for ``outcry up``."""
        hold_signals()
        write_pid(self._run_directory / "supervisor.pid", os.getpid())
        try:
            while True:
                self._reap()
                if self._is_stopping:
                    if not self._advance_stop():
                        return self._code
                else:
                    self._start_due()
                    self._probe_readiness()
                taken = signal.sigtimedwait((*STOP_SIGNALS, signal.SIGCHLD), self._patience_s())
                if taken is not None and taken.si_signo != signal.SIGCHLD:
                    self._on_stop_signal(signal.Signals(taken.si_signo))
        finally:
            for child in self._children:  # Only after an error of our own.
                if child.process is not None:
                    child.process.kill()
            (self._run_directory / "supervisor.pid").unlink(missing_ok=True)
            (self._run_directory / RESTARTS_NAME).unlink(missing_ok=True)

    def _reap(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                continue
            returncode = child.process.poll()
            if returncode is None:
                continue
            child.process = None
            self._pid_file(child).unlink(missing_ok=True)
            name, ended = child.spec.name, describe_exit(returncode)
            if returncode in child.spec.final_codes:
                self._log.error("cannot go on", process=name, ended=ended)
                self._code = self._code or returncode
                self._begin_stop()
            elif self._is_stopping:
                self._log.debug("ended", process=name, ended=ended)
            else:
                delay = child.delay_after_death(now)
                child.due_s = now + delay
                self._count_restart(name)
                self._log.warning("died, starting again", process=name, ended=ended, after_s=delay)

    def _count_restart(self, name: str) -> None:
        """Let ``outcry top`` see what had to be started again since this supervisor began."""
        self._restarts[name] = self._restarts.get(name, 0) + 1
        path = self._run_directory / RESTARTS_NAME
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(self._restarts))
        temporary.replace(path)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due_s <= now:
                child.started_s = now
                child.process = start(child.spec, self._keep_open)
                write_pid(self._pid_file(child), child.process.pid)
                self._log.info("started", process=child.spec.name, pid=child.process.pid)

    def _probe_readiness(self) -> None:
        if self._readiness is not None and self._readiness.is_ready():
            self._readiness.announce()
            self._readiness = None

    def _patience_s(self) -> float:
        """How long nothing needs to be done unless a signal comes."""
        now = time.monotonic()
        if self._is_stopping:
            return max(0.0, self._deadline_s - now)
        until = [child.due_s - now for child in self._children if child.process is None]
        if self._readiness is not None:
            until.append(PROBE_EVERY_S)
        return max(0.0, min([*until, IDLE_S]))

    def _on_stop_signal(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if self._stop_signals and now - self._stop_signal_s < SAME_SIGNAL_S:
            return
        self._stop_signals += 1
        self._stop_signal_s = now
        self._log.info("stopping", signal=number.name, times=self._stop_signals)
        if self._stop_signals == 1:
            self._begin_stop()
        elif self._stop_signals == 2:
            self._terminate(self._children)
            self._rank = max(child.spec.rank for child in self._children)
            self._deadline_s = now + HURRIED_GRACE_S
        else:
            self._deadline_s = now

    def _begin_stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._rank = -1
            self._next_rank()

    def _next_rank(self) -> None:
        """Tell the next rank that still has a running process; its grace begins."""
        ranks = {child.spec.rank for child in self._children if child.process is not None}
        self._rank = min((rank for rank in ranks if rank > self._rank), default=self._rank)
        self._terminate([child for child in self._children if child.spec.rank == self._rank])
        self._deadline_s = time.monotonic() + self._grace_s

    def _advance_stop(self) -> bool:
        """One step of the orderly stop; False when everything has ended."""
        running = [child for child in self._children if child.process is not None]
        if not running:
            return False
        late = [child for child in running if child.spec.rank <= self._rank]
        if not late:
            self._next_rank()
        elif time.monotonic() >= self._deadline_s:
            for child in late:
                if child.process is not None:
                    self._log.warning("killed, did not end in time", process=child.spec.name)
                    child.process.kill()
            self._deadline_s = time.monotonic() + self._grace_s
        return True

    def _terminate(self, children: Sequence[Child]) -> None:
        for child in children:
            if child.process is not None:
                child.process.terminate()

    def _pid_file(self, child: Child) -> Path:
        return self._run_directory / f"{child.spec.name}.pid"


def hold_signals() -> None:
    """Block the signals that ``run`` takes, and give them handlers.

    Without a handler a SIGINT that was ignored when we were started (a background job of a shell)
    would stay ignored.
    """
    for number in (*STOP_SIGNALS, signal.SIGCHLD):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _nothing)
    signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, signal.SIGCHLD))


def _nothing(number: int, frame: object) -> None:
    pass
