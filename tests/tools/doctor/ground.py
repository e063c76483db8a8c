"""A machine for the checks to look at: trees of /proc and /sys in which all is well, and faults."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tools.config_layers import read
from tools.doctor.disk import Synced
from tools.doctor.found import Found
from tools.doctor.where import Clock, Where

CPU: Final = "sys/devices/system/cpu"
CLOCK: Final = "sys/devices/system/clocksource/clocksource0"
THP: Final = "sys/kernel/mm/transparent_hugepage"
# Four CPUs without siblings, the last of them isolated.
HEALTHY: Final = {
    f"{CPU}/isolated": "3",
    f"{CPU}/smt/active": "0",
    **{f"{CPU}/cpu{cpu}/cpufreq/scaling_governor": "performance" for cpu in range(4)},
    **{f"{CPU}/cpu{cpu}/topology/thread_siblings_list": f"{cpu}" for cpu in range(4)},
    f"{CLOCK}/current_clocksource": "tsc",
    f"{CLOCK}/available_clocksource": "tsc hpet",
    f"{THP}/enabled": "always [madvise] never",
    f"{THP}/defrag": "always defer [madvise] never",
    "proc/swaps": "Filename Type Size Used Priority",
    "proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB",
    "proc/sys/vm/swappiness": "60",
    "proc/self/cgroup": "0::/user.slice",
    "sys/fs/cgroup/user.slice/cpu.max": "max 100000",
    "proc/self/mountinfo": "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
    "sys/class/block/sda1/../queue/write_cache": "write through",
    "proc/stat": "\n".join(
        ["cpu 4000 0 0 8000 0 0 0 0 0 0", *(f"cpu{n} 1000 0 0 2000 0 0 0 0 0 0" for n in range(4))]
    ),
}
SETTINGS: Final = {"http.listen": "127.0.0.1:0", "core.pin": "auto", "limits.profile": "small"}
FAST: Final = Synced("fdatasync", 200_000, 900_000, 256)


def ground(
    place: Path,
    files: Mapping[str, str | None] | None = None,
    settings: Mapping[str, str] | None = None,
    **fields: Any,
) -> Where:
    """Where all is well but for ``files`` (None: not there), ``settings`` and ``fields``."""
    root = place / "root"
    for name, text in {**HEALTHY, **(files or {})}.items():
        if text is not None:
            path = root / name.replace("/sda1/..", "/sda1")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
    (place / "shm").mkdir(exist_ok=True)
    flags = {key: ("test", text) for key, text in {**SETTINGS, **(settings or {})}.items()}
    loaded, faults = read(None, flags, {})
    given: dict[str, Any] = {
        "data": place / "data",
        "root": root,
        "shm": place / "shm",
        "ask_clock": lambda: Clock(synchronised=True, error_us=2_000),
        "limit_of": lambda _: (65_536, 65_536),
        "measure": lambda _: FAST,
        "usable": frozenset(range(4)),
    }
    return Where(loaded, faults, **{**given, **fields})


def expect(
    check: Callable[[Where], Found], where: Where, verdict: str, words: str = "", mend: str = ""
) -> None:
    """The check says ``verdict``, with these words; what is no fault has nothing to mend."""
    found = check(where)
    assert found.verdict == verdict, found
    assert words in found.found, found
    assert mend in found.mend, found
    assert bool(found.mend) == (verdict in ("warn", "fail")), found
