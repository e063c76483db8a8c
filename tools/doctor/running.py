"""Who works on a data directory.  Locks are looked at, never taken."""

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from core.journal.lock import is_held, lock_path

SUPERVISOR_LOCK: Final = "supervisor.lock"
UNKNOWN: Final = 0


class Running(NamedTuple):
    """Processes by the name of their pid file, and the holders of the locks (0: not known who)."""

    pids: dict[str, int]
    holders: frozenset[int]


def look(root: Path, data: Path) -> Running:
    """Everything that is alive there now."""
    pids = {}
    for path in sorted((data / "run").glob("*.pid")):
        pid = _pid(path)
        if pid is not None and (root / f"proc/{pid}").is_dir() and _is_ours(root, pid):
            pids[path.stem] = pid
    holders = flock_holders(root, data / "run" / SUPERVISOR_LOCK)
    if is_held(data):
        core = pids.get("core")
        holders |= {core} if core else flock_holders(root, lock_path(data)) or {UNKNOWN}
    return Running(pids, frozenset(holders))


def _pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _is_ours(root: Path, pid: int) -> bool:
    """A process id is given again: it must be a Python that runs something of Outcry."""
    line = command_line(root, pid)
    return any(word in line for word in ("outcry", "tools.", "core.", "adapters.", "replay."))


def command_line(root: Path, pid: int) -> str:
    """The command line of a process; empty when it cannot be read."""
    try:
        raw = (root / f"proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def flock_holders(root: Path, path: Path) -> set[int]:
    """Processes that hold a flock(2) on ``path``, as /proc/locks has it."""
    try:
        found = os.stat(path)
        text = (root / "proc/locks").read_text()
    except OSError:
        return set()
    place = rf"[0-9a-f]+:[0-9a-f]+:{found.st_ino}"
    holders = set()
    for match in re.finditer(rf"^\d+: FLOCK +\w+ +WRITE +(-?\d+) ({place}) ", text, re.MULTILINE):
        major, minor, _ = match[2].split(":")
        if os.makedev(int(major, 16), int(minor, 16)) == found.st_dev:
            holders.add(max(int(match[1]), UNKNOWN))
    return holders
