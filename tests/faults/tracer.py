"""strace beside a core: one system call of it fails, is cut short, or is its last."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.faults.loop import Impossible

CALLS: Final = (
    *("pwrite64", "fdatasync", "fsync", "openat", "rename", "link", "unlink", "mkdir"),
    *("ftruncate", "fallocate"),
)
ATTACHED_WITHIN_S: Final = 10.0
LINE: Final = re.compile(r"(\d+) +(\d+\.\d+) (\w+)\((.*)")
END: Final = re.compile(r"(\d+) +(\d+\.\d+) \+\+\+ (.*) \+\+\+")
OFFSET: Final = re.compile(r", (\d+)\) += ")


class Call(NamedTuple):
    """One system call as strace told it."""

    thread: int
    time_s: float
    name: str
    text: str

    @property
    def injected(self) -> bool:
        """Was it made to fail?  One that was to be killed does not return."""
        return "(INJECTED)" in self.text or self.text.endswith("= ?")

    def touches(self, place: Path) -> bool:
        """Does it name a file under ``place``?"""
        return str(place) in self.text


class Tracer:
    """Attached to a stopped process before it does anything; ``calls`` after its end."""

    def __init__(
        self, pid: int, log: Path, inject: str = "", calls: tuple[str, ...] = CALLS
    ) -> None:
        """``inject``: as of ``strace -e inject=``, one of ``calls``; raises Impossible."""
        if shutil.which("strace") is None:
            raise Impossible("strace: not installed")
        command = ["strace", "-f", "-ttt", "-y", "-s", "0", "-o", str(log), "-p", str(pid)]
        command += ["-e", f"trace={','.join(calls)}"]
        command += ["-e", f"inject={inject}"] if inject else []
        self._log = log
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + ATTACHED_WITHIN_S
        while _tracer_of(pid) == 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                _, said = self._process.communicate()
                raise Impossible(f"ptrace by strace: {said.strip()}")
            time.sleep(0.002)

    def calls(self) -> list[Call]:
        """What was called; the traced process has ended."""
        self._process.communicate(timeout=ATTACHED_WITHIN_S)
        lines = self._log.read_text(errors="replace").splitlines()
        found = [match.groups() for line in lines if (match := LINE.match(line))]
        return [Call(int(thread), float(at), name, text) for thread, at, name, text in found]

    def ended_s(self) -> float:
        """When the process was gone."""
        ends = [END.match(line) for line in self._log.read_text(errors="replace").splitlines()]
        return max((float(end[2]) for end in ends if end), default=0.0)


def _tracer_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    return 0


def offset_of(call: Call) -> int:
    """Where a pwrite64 wrote; -1: not told."""
    match = OFFSET.search(call.text)
    return int(match[1]) if match else -1


def is_possible() -> bool:
    """May this process trace another one?"""
    try:
        child = os.fork()
        if child == 0:
            time.sleep(5)
            os._exit(0)
        tracer = Tracer(child, Path(os.devnull))
    except Impossible:
        return False
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    tracer.calls()
    return True
