"""Which CPU the core gets, and which the others: for ``outcry up --pin`` and ``outcry doctor``.

The core decides alone and in order, so one CPU of its own is what makes it steady: an isolated one
(``isolcpus=``) if there is one, else the last, because interrupts and what everybody starts tend to
be on the first.  Everything else stays off that CPU, and off its SMT sibling where enough are left.
"""

import os
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

from tools import exits

OFF: Final = "off"
AUTO: Final = "auto"
CAP_SYS_NICE: Final = 23
CPUS: Final = "sys/devices/system/cpu"


class Pinning(NamedTuple):
    """``core`` is the CPU of the core's thread; ``why`` it was chosen."""

    core: int
    others: frozenset[int]
    nice: int  # Of the core's thread.
    why: str

    def text(self) -> str:
        """For the start banner."""
        nice = f", nice {self.nice}" if self.nice else ""
        return f"core on CPU {self.core}{nice}, all else on {cpu_text(self.others)} ({self.why})"


def cpu_list(text: str) -> frozenset[int]:
    """CPUs of a list as the kernel writes it: "0-2,5"; ValueError for anything else."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise ValueError(f"expected CPUs such as 0-2,5, got {text!r}")
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(found)


def cpu_text(cpus: Collection[int]) -> str:
    """A list as the kernel writes it."""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and parts[-1][-1] == cpu - 1:
            parts[-1][1:] = [cpu]
        else:
            parts.append([cpu])
    return ",".join("-".join(map(str, part)) for part in parts) or "none"


def isolated(root: Path) -> frozenset[int]:
    """CPUs that the scheduler leaves alone."""
    return _cpus(root / CPUS / "isolated")


def siblings(root: Path, cpu: int) -> frozenset[int]:
    """The other CPUs of the same physical core."""
    return _cpus(root / CPUS / f"cpu{cpu}/topology/thread_siblings_list") - {cpu}


def _cpus(path: Path) -> frozenset[int]:
    try:
        return cpu_list(path.read_text())
    except (OSError, ValueError):
        return frozenset()


def best_cpu(root: Path, usable: Collection[int]) -> tuple[int, str]:
    """The CPU for the core out of ``usable``, and why that one."""
    alone = isolated(root) & frozenset(usable)
    if alone:
        return max(alone), "isolated"
    return max(usable), "the last one; none is isolated"


def others_of(root: Path, core: int, usable: Collection[int]) -> frozenset[int]:
    """Where all else runs: neither on the core's CPU nor, if any is left then, on its sibling.

    Isolated CPUs are left out too: somebody isolated them for something.
    """
    left = frozenset(usable) - {core}
    for spared in (siblings(root, core), isolated(root)):
        left = left - spared or left
    return left


def choose(wish: str, nice: int, root: Path, usable: Collection[int]) -> Pinning | None:
    """The pinning that ``core.pin`` asks for; None: off, or there is only one CPU.

    Stop 78 for a CPU that cannot be used.
    """
    if wish == OFF or (wish == AUTO and len(usable) < 2):
        return None
    if wish == AUTO:
        core, why = best_cpu(root, usable)
    else:
        core, why = int(wish), "core.pin"
        if core not in usable or len(usable) < 2:
            raise exits.Stop(
                exits.CONFIGURATION,
                f"core.pin: expected one of the CPUs {cpu_text(usable)}, with another one left for "
                f"everything else, got {core}",
            )
    return Pinning(core, others_of(root, core, usable), nice, why)


def usable_cpus(root: Path = Path("/"), may_use: Callable[[int], bool] | None = None) -> set[int]:
    """CPUs that this process may run on, and the isolated ones that it may move to.

    With ``isolcpus=`` no process is on an isolated CPU before it asks for it.
    """
    found = os.sched_getaffinity(0)
    return found | {cpu for cpu in isolated(root) - found if (may_use or _may_use)(cpu)}


def _may_use(cpu: int) -> bool:
    """Try it: the cpuset of a container may forbid it."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError:
        return False
    os.sched_setaffinity(0, before)
    return True


def nice_allowed(nice: int, status: str, nice_limit: int) -> bool:
    """May a process lower its nice value to this?  ``status`` is its /proc/PID/status, and
    ``nice_limit`` its RLIMIT_NICE."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    has_capability = match is not None and bool(int(match[1], 16) >> CAP_SYS_NICE & 1)
    return nice >= 0 or has_capability or nice >= 20 - nice_limit


class Place(NamedTuple):
    """Where the first thread of a process may run, and how it stands against others."""

    cpus: str
    nice: int


def place_of(pid: int) -> Place:
    """As the kernel has it now; "none" of a process that has just died."""
    try:
        return Place(cpu_text(os.sched_getaffinity(pid)), os.getpriority(os.PRIO_PROCESS, pid))
    except ProcessLookupError:
        return Place("none", 0)
