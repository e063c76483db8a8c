"""Processors, clock, memory: each check where all is well, and over planted faults."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from core import wake
from tests.tools.doctor.ground import CLOCK, CPU, THP, expect, ground
from tools.doctor import machine
from tools.doctor.found import Found
from tools.doctor.where import Ticks, Where

Check = Callable[[Where], Found]
SWAP: Final = "Filename Type Size Used Priority\n/dev/sda2 partition 2097148 {} -2"
SIBLINGS: Final = {f"{CPU}/smt/active": "1", f"{CPU}/cpu3/topology/thread_siblings_list": "1,3"}
FILES: Final = resource.RLIMIT_NOFILE

# Check, planted files, settings, fields of Where; verdict, words found, words of the mending.
FAULTS: Final[list[tuple[Any, ...]]] = [
    (machine.cpus, {}, {}, {"usable": frozenset({0})}, "warn", "1 usable: 0", "two CPUs"),
    (
        machine.quota,
        {"sys/fs/cgroup/user.slice/cpu.max": "150000 100000"},
        *({}, {}, "warn", "1.5 CPUs", "CPUQuota="),
    ),
    (
        machine.quota,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/1",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        *({}, {}, "warn", "0.5 CPUs", "--cpus"),
    ),
    (
        machine.quota,
        {"proc/self/cgroup": "0::/user.slice/mine", "sys/fs/cgroup/cpu.max": "200000 100000"},
        *({}, {}, "warn", "2.0 CPUs", "CPUQuota="),
    ),
    (machine.isolated_cpu, {f"{CPU}/isolated": ""}, {}, {}, "warn", "none", "isolcpus=3"),
    (machine.isolated_cpu, {}, {"core.pin": "off"}, {}, "warn", "not on it", "outcry up --pin"),
    (
        machine.isolated_cpu,
        *({f"{CPU}/isolated": ""}, {}, {"usable": frozenset({0, 1})}, "skip", "2 CPUs", ""),
    ),
    (
        machine.free_core,
        *({}, {"core.idle": "spin"}, {"usable": frozenset({0})}, "fail", "one CPU", "hybrid"),
    ),
    (
        machine.free_core,
        *({}, {"core.idle": "spin", "core.pin": "off"}, {}, "warn", "one of 4", "--pin"),
    ),
    (
        machine.governor,
        {f"{CPU}/cpu2/cpufreq/scaling_governor": "powersave"},
        *({}, {}, "warn", "powersave", "cpupower"),
    ),
    (
        machine.governor,
        {f"{CPU}/cpu{cpu}/cpufreq/scaling_governor": None for cpu in range(4)},
        *({}, {}, "skip", "shows none", ""),
    ),
    (
        machine.clock_source,
        {f"{CLOCK}/current_clocksource": "hpet"},
        *({}, {}, "warn", "hpet: a system call", "echo tsc >"),
    ),
    (
        machine.clock_source,
        {f"{CLOCK}/current_clocksource": "acpi_pm", f"{CLOCK}/available_clocksource": "acpi_pm"},
        *({}, {}, "warn", "acpi_pm", "clocksource=tsc"),
    ),
    (
        machine.clock_source,
        {f"{CLOCK}/current_clocksource": "kvm-clock"},
        *({}, {}, "warn", "slower than tsc", "echo tsc >"),
    ),
    (machine.smt_sibling, SIBLINGS, {}, {}, "warn", "with CPU 1, which is 33% busy", "cpu1/online"),
    (
        machine.huge_pages,
        *({f"{THP}/enabled": "always madvise [never]"}, {}, {}, "warn", "never", "enabled"),
    ),
    (
        machine.huge_pages,
        *({f"{THP}/defrag": "[always] defer never"}, {}, {}, "warn", "compacted", "defrag"),
    ),
    (machine.swap, {"proc/swaps": SWAP.format(4096)}, {}, {}, "warn", "4 MiB of 2", "swapoff"),
    (machine.swap, {"proc/swaps": SWAP.format(0)}, {}, {}, "warn", "swappiness 60", "swappiness=1"),
    (
        machine.memory,
        {"proc/meminfo": "MemAvailable: 600000 kB"},
        {"limits.profile": "default"},
        *({}, "fail", "586 MiB available", "[limits]"),
    ),
    (
        machine.memory,
        {"proc/meminfo": "MemAvailable: 1000000 kB"},
        {"limits.profile": "default"},
        *({}, "warn", "977 MiB available", "[limits]"),
    ),
    (
        machine.memory,
        {"sys/fs/cgroup/user.slice/memory.max": str(100 << 20)},
        *({}, {}, "fail", "100 MiB available", "more memory"),
    ),
    (machine.open_files, {}, {}, {"limit_of": lambda _: (1_024, 8_192)}, "warn", "1024", "8192"),
    (machine.open_files, {}, {}, {"limit_of": lambda _: (64, 64)}, "fail", "64", "LimitNOFILE"),
    (
        machine.locked_memory,
        {"proc/swaps": SWAP.format(0)},
        {"limits.profile": "default"},
        *({"limit_of": lambda _: (8 << 20, 8 << 20)}, "warn", "8 MiB", "swapoff"),
    ),
    (
        machine.steal,
        {"proc/stat": "cpu 1000 0 0 8000 0 0 0 1000 0 0"},
        *({}, {}, "warn", "10.0% now", "dedicated"),
    ),
]


@pytest.mark.parametrize("check", machine.CHECKS, ids=lambda check: str(check.__name__))
def test_a_good_machine_has_nothing_to_mend(check: Check, tmp_path: Path) -> None:
    expect(check, ground(tmp_path), "ok")


@pytest.mark.parametrize("planted", FAULTS, ids=lambda row: f"{row[0].__name__} {row[5]}")
def test_a_planted_fault_is_found_and_its_mending_named(
    planted: tuple[Any, ...], tmp_path: Path
) -> None:
    check, files, settings, fields, *said = planted
    expect(check, ground(tmp_path, files, settings, **fields), *said)


def test_from_so_many_cpus_on_a_core_may_spin_as_in_the_core() -> None:
    assert machine.SPIN_CPUS_MIN == wake.SPIN_CPUS_MIN


def test_every_check_has_a_planted_fault() -> None:
    told = {row[0] for row in FAULTS if row[4] in ("warn", "fail")}
    assert told == set(machine.CHECKS)


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        ({f"{CLOCK}/current_clocksource": "arch_sys_counter"}, {}),
        (
            {
                f"{CLOCK}/current_clocksource": "kvm-clock",
                f"{CLOCK}/available_clocksource": "kvm-clock",
            },
            {},
        ),
        ({"proc/swaps": SWAP.format(0), "proc/sys/vm/swappiness": "1"}, {}),
        ({"proc/swaps": SWAP.format(0).replace("/dev/sda2", "/dev/zram0")}, {}),
        ({}, {"core.idle": "spin"}),
        ({f"{CPU}/cpu3/topology/thread_siblings_list": "1,3"}, {}),
    ],
)
def test_what_only_looks_like_a_fault_is_none(
    files: dict[str, str], settings: dict[str, str], tmp_path: Path
) -> None:
    where = ground(tmp_path, files, settings)
    assert {check(where).verdict for check in machine.CHECKS} == {"ok"}


def test_what_the_machine_does_not_show_is_no_fault(tmp_path: Path) -> None:
    where = ground(tmp_path, root=tmp_path / "nothing")
    verdicts = {check.__name__: check(where).verdict for check in machine.CHECKS}
    assert set(verdicts.values()) <= {"ok", "skip", "warn"}
    hidden = ("governor", "clock_source", "memory", "huge_pages", "steal")
    assert {verdicts[name] for name in hidden} == {"skip"}


def test_steal_is_what_was_stolen_since_this_run_began(tmp_path: Path) -> None:
    where = ground(tmp_path, {"proc/stat": "cpu 1000 0 0 8000 0 0 0 1000 0 0"})
    where.ticks_before = {"cpu": Ticks(total=9_000, idle=7_000, steal=1_000)}
    expect(machine.steal, where, "ok", "0.0% now, 10.0% since the boot")
