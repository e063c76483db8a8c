"""Checks: what of processors, clock and memory makes an exchange slow or unsteady."""

import re
import resource
from collections.abc import Callable
from typing import Final

from tools.doctor.found import WARN, Found, fail, ok, size_text, skip, warn
from tools.doctor.where import Ticks, Where
from tools.pinning import best_cpu, cpu_text, isolated, siblings

CPU: Final = "sys/devices/system/cpu"
CLOCKSOURCE: Final = "sys/devices/system/clocksource/clocksource0"
THP: Final = "sys/kernel/mm/transparent_hugepage"
GOOD_CLOCKS: Final = ("tsc", "arch_sys_counter")
FAIR_CLOCKS: Final = ("kvm-clock", "hyperv_clocksource_tsc_page")  # Read without a system call too.
SPIN_CPUS_MIN: Final = 6  # As in core.wake, which needs numba to be imported.
STEAL_MAX: Final = 0.01
BUSY_MAX: Final = 0.2
CORES_TO_ISOLATE: Final = 4
FILES_FEW: Final = 4_096
FILES_TOO_FEW: Final = 256
ADAPTER_BYTES: Final = 200 << 20  # Private memory of one adapter (architecture decision 22).


def cpus(where: Where) -> Found:
    """At least one CPU for the core and one for everything else."""
    count = len(where.usable)
    text = f"{count} usable: {cpu_text(where.usable)}"
    if count < 2:
        return warn(
            f"{text}; core, HTTP and replayer take turns, an order waits for time slices",
            "give the machine or container two CPUs or more",
        )
    return ok(text)


def quota(where: Where) -> Found:
    """No limit of CPU time stops the processes in the middle of something."""
    shares = [
        int(words[0]) / int(words[1] if len(words) > 1 else _period(where))
        for text in where.cgroup("cpu.max", "cpu.cfs_quota_us")
        if (words := text.split())[0] not in ("max", "-1")
    ]
    if not shares:
        return ok("no limit of CPU time")
    return warn(
        f"{min(shares):.1f} CPUs: when they are used up, everything stands still to the end of the "
        "period, for tens of ms",
        "docker run without --cpus (--cpuset-cpus instead); systemd: CPUQuota= (empty)",
    )


def _period(where: Where) -> int:
    periods = where.cgroup("cpu.max", "cpu.cfs_period_us")
    return int(periods[0]) if periods and periods[0].isdigit() else 100_000


def isolated_cpu(where: Where) -> Found:
    """A CPU that the scheduler gives to nobody but who asks for it."""
    alone = isolated(where.root)
    if alone & where.usable:
        if where.core_cpu in alone:
            return ok(f"{cpu_text(alone)}; the core is on {where.core_cpu}")
        return warn(
            f"{cpu_text(alone)}, but the core is not on it",
            "outcry up --pin (or core.pin in outcry.toml)",
        )
    if len(where.usable) < CORES_TO_ISOLATE:
        return skip(f"none; with {len(where.usable)} CPUs it would leave too few for the rest")
    cpu = max(where.usable)
    return warn(
        "none: other processes, kernel threads and ticks interrupt the core",
        f"kernel parameters isolcpus={cpu} nohz_full={cpu} rcu_nocbs={cpu}, then outcry up --pin",
    )


def free_core(where: Where) -> Found:
    """A core that spins has a CPU to itself."""
    idle, count = where.config.core.idle, len(where.usable)
    if idle != "spin":
        return ok(f"core.idle is {idle}: the core lets go of its CPU when there is nothing to do")
    if count < 2:
        return fail(
            "core.idle is spin, and there is one CPU: nothing else would run",
            'core.idle = "hybrid"',
        )
    if where.core_cpu is not None:
        return ok(f"the core spins on CPU {where.core_cpu}, which is its own")
    if count < SPIN_CPUS_MIN:
        return warn(
            f"the core spins on one of {count} CPUs, and nothing keeps others off it",
            'outcry up --pin, or core.idle = "hybrid"',
        )
    return ok(f"the core spins on one of {count} CPUs")


def governor(where: Where) -> Found:
    """Clocks are at their highest before there is work, not some ms after it came."""
    found = {
        path.read_text().strip()
        for path in sorted((where.root / CPU).glob("cpu[0-9]*/cpufreq/scaling_governor"))
    }
    if not found:
        return skip("this machine shows none (a virtual one: its host decides)")
    if found != {"performance"}:
        return warn(
            f"{', '.join(sorted(found))}: a CPU that was idle begins slowly",
            "cpupower frequency-set -g performance",
        )
    return ok("performance")


def clock_source(where: Where) -> Found:
    """Time is read without a system call."""
    current = where.text(f"{CLOCKSOURCE}/current_clocksource")
    if current is None:
        return skip("the kernel does not show it")
    available = (where.text(f"{CLOCKSOURCE}/available_clocksource") or "").split()
    if current in GOOD_CLOCKS or (current in FAIR_CLOCKS and "tsc" not in available):
        return ok(current)
    cost = "somewhat slower than tsc" if current in FAIR_CLOCKS else "a system call for each look"
    if "tsc" in available:
        mend = f"echo tsc > /{CLOCKSOURCE}/current_clocksource; for ever: clocksource=tsc"
    else:
        mend = "kernel parameters clocksource=tsc tsc=reliable, if the CPU's counter is invariant"
    return warn(f"{current}: {cost}", mend)


def smt_sibling(where: Where) -> Found:
    """Nobody works on the other half of the core's physical core."""
    if where.text(f"{CPU}/smt/active") != "1":
        return ok("each CPU is a core of its own")
    cpu = where.core_cpu
    if cpu is None:
        cpu = best_cpu(where.root, where.usable)[0]
    other = siblings(where.root, cpu)
    if not other:
        return ok(f"CPU {cpu} has no sibling")
    busy = max((_busy(where, f"cpu{sibling}") for sibling in other), default=0.0)
    text = f"CPU {cpu} shares its core with CPU {cpu_text(other)}, which is {busy:.0%} busy"
    if busy <= BUSY_MAX and other <= isolated(where.root):
        return ok(f"{text}, and isolated")
    return warn(
        text,
        f"echo 0 > /{CPU}/cpu{max(other)}/online (or echo off > /{CPU}/smt/control)",
    )


def _busy(where: Where, name: str) -> float:
    """The share of time in which a CPU worked, since this run began, else since the boot."""
    return _share(where, name, lambda ticks: ticks.total - ticks.idle)


def _share(where: Where, name: str, part: Callable[[Ticks], int]) -> float:
    now = where.ticks().get(name)
    if now is None:
        return 0.0
    before = where.ticks_before.get(name, Ticks(0, 0, 0))
    if now.total - before.total < 10:  # Ticks of 10 ms: too few to tell.
        before = Ticks(0, 0, 0)
    return (part(now) - part(before)) / max(now.total - before.total, 1)


def steal(where: Where) -> Found:
    """The host gives this virtual machine the time that it asks for."""
    if not where.ticks():
        return skip("the kernel does not show it")
    stolen = _share(where, "cpu", lambda ticks: ticks.steal)
    always = where.ticks()["cpu"]
    text = f"{stolen:.1%} now, {always.steal / max(always.total, 1):.1%} since the boot"
    if stolen > STEAL_MAX:
        return warn(
            f"{text}: the host runs somebody else while we would work",
            "a machine with CPUs of its own (dedicated, not burstable)",
        )
    return ok(text)


def huge_pages(where: Where) -> Found:
    """The tables get huge pages where they ask, and nobody waits for the kernel to make some."""
    enabled = _chosen(where.text(f"{THP}/enabled"))
    if enabled is None:
        return skip("the kernel has none")
    defrag = _chosen(where.text(f"{THP}/defrag"))
    if enabled == "never":
        return warn(
            "never: the tables are in pages of 4 KiB, and misses of the TLB cost ns per command",
            f"echo madvise > /{THP}/enabled",
        )
    if defrag == "always":
        return warn(
            f"{enabled}, defrag always: any page fault may wait until memory is compacted",
            f"echo madvise > /{THP}/defrag",
        )
    return ok(f"{enabled}, defrag {defrag or 'not shown'}")


def _chosen(text: str | None) -> str | None:
    match = re.search(r"\[([a-z+]+)\]", text or "")
    return match[1] if match else None


def swap(where: Where) -> Found:
    """Nothing of the exchange is on a disk when it is needed."""
    used, total = _swap(where)
    if not total:
        return ok("none")
    text = f"{size_text(used)} of {size_text(total)} used"
    swappiness = where.number("proc/sys/vm/swappiness")
    if used or swappiness is None or swappiness > 1:
        return warn(
            f"{text}, vm.swappiness {swappiness}: rows that rest may be swapped out, and an order "
            "that needs them waits for the disk",
            "swapoff -a, or sysctl vm.swappiness=1",
        )
    return ok(f"{text}, vm.swappiness {swappiness}")


def _swap(where: Where) -> tuple[int, int]:
    rows = [line.split() for line in (where.text("proc/swaps") or "").splitlines()[1:]]
    disks = [row for row in rows if len(row) >= 4 and "zram" not in row[0]]
    return sum(int(row[3]) for row in disks) << 10, sum(int(row[2]) for row in disks) << 10


def memory(where: Where) -> Found:
    """There is memory for core, replayer and adapters."""
    match = re.search(r"^MemAvailable:\s*(\d+) kB", where.text("proc/meminfo") or "", re.MULTILINE)
    if match is None:
        return skip("the kernel does not show it")
    available = int(match[1]) << 10
    for limit in where.cgroup("memory.max", "memory.limit_in_bytes"):
        if limit.isdigit():
            available = min(available, int(limit))
    engines = 2 if where.config.replayer.enabled else 1
    need = engines * where.state_bytes + (1 + where.config.http.workers) * ADAPTER_BYTES
    text = f"{size_text(available)} available, the exchange needs about {size_text(need)}"
    if available < where.state_bytes + ADAPTER_BYTES and not where.is_live:
        return fail(text, 'more memory, or smaller [limits] (limits.profile = "small" for a try)')
    if available < need and not where.is_live:
        return warn(text, "more memory, smaller [limits], or replayer.enabled = false")
    return ok(text)


def open_files(where: Where) -> Found:
    """Every connection is a file."""
    soft, hard = where.limit_of(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FILES_FEW:
        return ok(_limit_text(soft))
    more = f"ulimit -n {65_536 if hard == resource.RLIM_INFINITY else hard}; systemd: LimitNOFILE="
    text = f"{soft}: each HTTP connection takes one"
    return fail(text, more) if soft < FILES_TOO_FEW else warn(text, more)


def locked_memory(where: Where) -> Found:
    """The exchange locks no memory, so the limit matters only where something swaps."""
    soft, _ = where.limit_of(resource.RLIMIT_MEMLOCK)
    text = f"{_limit_text(soft, size_text)} may be locked"
    is_limited = soft != resource.RLIM_INFINITY and soft < where.state_bytes
    if is_limited and swap(where).verdict == WARN:
        return warn(
            f"{text}, the tables have {size_text(where.state_bytes)}, and there is swap: nothing "
            "keeps them in memory",
            "swapoff -a, or MemorySwapMax=0 of its systemd unit (it locks nothing itself)",
        )
    return ok(f"{text}; nothing swaps, so none has to be")


def _limit_text(limit: int, text: Callable[[int], str] = str) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else text(limit)


CHECKS: Final = (
    cpus,
    quota,
    free_core,
    isolated_cpu,
    smt_sibling,
    governor,
    clock_source,
    memory,
    huge_pages,
    swap,
    locked_memory,
    open_files,
    steal,
)
