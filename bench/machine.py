"""What a figure was taken on: processor, clock, kernel, memory, and who runs where."""

import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

CPU: Final = Path("/sys/devices/system/cpu")
CLOCKSOURCE: Final = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
THP: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
SMT: Final = CPU / "smt/active"
GOVERNOR: Final = CPU / "cpu0/cpufreq/scaling_governor"
NONE: Final = "none"  # The replayer was not started at all.
GIVEN: Final = sorted(os.sched_getaffinity(0))  # Before anything was pinned.
RUNNING: Final = "running"
STOPPED: Final = "stopped"


def describe(pinned: Mapping[str, int] | None = None, replayer: str = NONE) -> dict[str, Any]:
    """This machine.  ``pinned``: processor of each process by name; what is unknown is ""."""
    return {
        "cpu": _cpu_field("model name") or platform.machine(),
        "cpus": os.cpu_count() or 0,
        "mhz": round(float(_cpu_field("cpu MHz") or 0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numba": version("numba"),
        "numpy": version("numpy"),
        "governor": _text(GOVERNOR),
        "clocksource": _text(CLOCKSOURCE),
        "smt": _text(SMT) == "1",
        "thp": _chosen(_text(THP)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "pinned": dict(pinned or {}),
        "replayer": replayer,
    }


def pin(number: int, thread: int = 0) -> int:
    """To the ``number``-th processor that this process was given, shared where there are fewer.

    ``thread``: its id, 0 for the calling one.  Which processor that is.
    """
    chosen = GIVEN[number % len(GIVEN)]
    os.sched_setaffinity(thread, {chosen})
    return chosen


def unpin() -> None:
    """The calling thread may be anywhere again; so may the processes that it starts from now on."""
    os.sched_setaffinity(0, GIVEN)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # Not there: a virtual machine without it.
        return ""


def _chosen(text: str) -> str:
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else text


def _cpu_field(name: str) -> str:
    found = re.search(rf"^{name}\s*: (.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return found[1] if found else ""
