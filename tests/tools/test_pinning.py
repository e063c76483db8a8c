"""Which CPU the core gets, and who may raise its priority."""

import os
import resource
from pathlib import Path

import msgspec
import pytest

from core.limits import SMALL
from core.sequencer.__main__ import Pin
from tools import up
from tools.config import Config, Core
from tools.exits import Stop
from tools.pinning import Pinning, choose, cpu_list, cpu_text, nice_allowed, usable_cpus

CPU = "sys/devices/system/cpu"


def machine(root: Path, isolated: str = "", pairs: tuple[tuple[int, int], ...] = ()) -> Path:
    """A tree of /sys with isolated CPUs, and with pairs of siblings."""
    files = {f"{CPU}/isolated": isolated}
    for one, other in pairs:
        for cpu in (one, other):
            files[f"{CPU}/cpu{cpu}/topology/thread_siblings_list"] = f"{one},{other}"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def test_lists_of_cpus_are_read_and_written_as_the_kernel_does() -> None:
    assert cpu_list("0-2,5\n") == {0, 1, 2, 5}
    assert cpu_list("\n") == frozenset()
    assert cpu_text({5, 0, 1, 2}) == "0-2,5"
    assert cpu_text(()) == "none"
    with pytest.raises(ValueError, match="expected CPUs such as 0-2,5, got '1-'"):
        cpu_list("1-")


def test_the_last_cpu_is_the_cores_and_the_others_are_all_elses(tmp_path: Path) -> None:
    found = choose("auto", -10, machine(tmp_path), {0, 1})
    assert found == Pinning(1, frozenset({0}), -10, "the last one; none is isolated")
    said = "core on CPU 1, nice -10, all else on 0 (the last one; none is isolated)"
    assert found.text() == said


def test_an_isolated_cpu_comes_first_and_nobody_else_goes_to_one(tmp_path: Path) -> None:
    found = choose("auto", 0, machine(tmp_path, isolated="1-2"), {0, 1, 2, 3})
    assert found == Pinning(2, frozenset({0, 3}), 0, "isolated")


def test_the_sibling_of_the_cores_cpu_stays_free_where_enough_are_left(tmp_path: Path) -> None:
    four = machine(tmp_path / "four", pairs=((0, 2), (1, 3)))
    found = choose("auto", 0, four, {0, 1, 2, 3})
    assert found is not None
    assert (found.core, found.others) == (3, frozenset({0, 2}))
    two = machine(tmp_path / "two", pairs=((0, 1),))
    found = choose("auto", 0, two, {0, 1})
    assert found is not None
    assert (found.core, found.others) == (1, frozenset({0}))


def test_one_cpu_cannot_be_shared_out(tmp_path: Path) -> None:
    assert choose("auto", 0, machine(tmp_path), {0}) is None
    assert choose("off", 0, machine(tmp_path), {0, 1}) is None
    with pytest.raises(Stop, match="expected one of the CPUs 0, with another one left") as refused:
        choose("0", 0, machine(tmp_path), {0})
    assert refused.value.code == 78


def test_a_cpu_by_its_number_is_taken_or_refused(tmp_path: Path) -> None:
    found = choose("0", 0, machine(tmp_path), {0, 1, 2})
    assert found == Pinning(0, frozenset({1, 2}), 0, "core.pin")
    with pytest.raises(Stop, match=r"expected one of the CPUs 0-2, .* got 7"):
        choose("7", 0, machine(tmp_path), {0, 1, 2})


def test_an_isolated_cpu_that_the_container_forbids_is_not_used(tmp_path: Path) -> None:
    root = machine(tmp_path, isolated="6-7")
    here = usable_cpus(machine(tmp_path / "none"))
    assert usable_cpus(root, lambda cpu: cpu == 6) == here | {6}
    assert usable_cpus(root, lambda cpu: False) == here


def test_a_lower_nice_value_needs_the_capability_or_the_limit() -> None:
    assert nice_allowed(-10, "Name: x\nCapEff:\t000001ffffffffff\n", 0)
    assert not nice_allowed(-10, "CapEff:\t000001ffff7fffff\n", 0)
    assert nice_allowed(-10, "CapEff:\t0000000000000000\n", 30)
    assert not nice_allowed(-10, "CapEff:\t0000000000000000\n", 29)
    assert nice_allowed(0, "", 0)


def test_only_the_core_is_told_its_cpu() -> None:
    pinning = Pinning(3, frozenset({0, 1}), -10, "isolated")
    found = {spec.name: spec.argv for spec in up.specs(Config(), SMALL, "127.0.0.1:1", pinning)}
    assert found["core"][-4:] == ("--cpu", "3", "--nice", "-10")
    assert not [name for name, argv in found.items() if "--cpu" in argv and name != "core"]
    unpinned = {spec.name: spec.argv for spec in up.specs(Config(), SMALL, "127.0.0.1:1")}
    assert "--cpu" not in unpinned["core"]


def test_where_a_nice_value_is_not_permitted_the_core_is_pinned_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = msgspec.structs.replace(Config(), core=Core(pin="auto", nice=-5))
    monkeypatch.setattr(up, "usable_cpus", lambda: {0, 1})
    monkeypatch.setattr(up, "nice_allowed", lambda nice, status, limit: True)
    found = up.find_pinning(config)
    assert found is not None
    assert found.nice == -5
    monkeypatch.setattr(up, "nice_allowed", lambda nice, status, limit: False)
    assert up.find_pinning(config) == found._replace(nice=0)
    assert up.find_pinning(Config()) is None
    assert resource.getrlimit(up.RLIMIT_NICE)[0] >= -1


def test_a_core_that_may_not_be_pinned_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, set[int]]] = []

    def refuse(thread: int, cpus: set[int]) -> None:
        asked.append((thread, cpus))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    Pin(-1, 0).serve()
    assert asked == []
    here = os.sched_getaffinity(0)
    Pin(5, 0).serve()
    assert asked[0] == (0, here | {5})
    assert (os.getpid(), {5}) in asked
    assert all(cpus in ({5}, here | {5}, here) for _, cpus in asked)
    assert "core: not pinned to CPU 5 at nice 0: Operation not permitted" in capsys.readouterr().err
