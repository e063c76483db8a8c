"""A process of the exchange: how it is started, so that it never outlives the supervisor."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

PR_SET_PDEATHSIG: Final = 1
# Loaded before any fork: after it nothing may allocate through the loader.
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Spec(NamedTuple):
    """What to run.  ``rank`` is the order of stopping: all of rank 0 end before rank 1 is told."""

    name: str
    argv: tuple[str, ...]
    rank: int
    final_codes: frozenset[int]


def start(spec: Spec, keep_open: Sequence[int] = ()) -> "subprocess.Popen[bytes]":
    """Start ``spec`` in our process group; the kernel kills it at the moment we die, however.

    It ignores SIGINT: a Ctrl-C reaches the whole group, and only the supervisor acts on it.
    """
    return subprocess.Popen(
        spec.argv,
        stdin=subprocess.DEVNULL,
        pass_fds=tuple(keep_open),
        preexec_fn=_bind_to(os.getpid()),  # noqa: PLW1509  The supervisor has one thread.
    )


def _bind_to(parent: int) -> Callable[[], None]:
    def bind() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # It died before the call above.
            os._exit(1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    return bind


def write_pid(path: Path, pid: int) -> None:
    """Write a pid file so that a reader sees all of it or nothing."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"{pid}\n")
    temporary.replace(path)


def describe_exit(returncode: int) -> str:
    """ "exit 70" or "SIGKILL" out of a return code of subprocess."""
    if returncode >= 0:
        return f"exit {returncode}"
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
