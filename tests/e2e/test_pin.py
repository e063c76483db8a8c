"""`outcry up --pin` in a live exchange, and `outcry doctor` beside it."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.exchange import Exchange
from tools.config_layers import read
from tools.doctor import doctor, leftovers
from tools.doctor.where import Where
from tools.pinning import choose, cpu_list, place_of, usable_cpus

NICE = -10


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """Pinned, with a sequence or two."""
    place = tmp_path_factory.mktemp("pin") / "data"
    with Exchange(place, flags=("--dev", "--pin")) as exchange:
        exchange.start()
        assert exchange.request("GET", "/v1/balances", "alice").status == 200
        yield exchange
        assert exchange.stop() == 0


def allowed(task: Path) -> frozenset[int]:
    """CPUs on which a thread may run."""
    match = re.search(r"^Cpus_allowed_list:\s*(\S+)$", (task / "status").read_text(), re.MULTILINE)
    assert match is not None
    return cpu_list(match[1])


def test_the_core_has_its_cpu_and_everything_else_the_others(exchange: Exchange) -> None:
    pinning = choose("auto", NICE, Path("/"), usable_cpus())
    log = exchange.log.read_text()
    if pinning is None:
        assert "not pinned: with one CPU" in log
        return
    (banner,) = (line for line in map(json.loads, log.splitlines()) if line["event"] == "starting")
    assert banner["pinned"].startswith(f"core on CPU {pinning.core}")
    pids = exchange.pids()
    assert set(pids) == {"supervisor", "core", "http", "prepare", "replayer"}
    for name, pid in pids.items():
        for task in Path(f"/proc/{pid}/task").iterdir():
            is_core = name == "core" and task.name == str(pid)
            expected = {pinning.core} if is_core else pinning.others
            assert allowed(task) == expected, f"{name}, thread {task.name}"
    nice = NICE if "not permitted" not in log else 0
    assert os.getpriority(os.PRIO_PROCESS, pids["core"]) == nice
    assert os.getpriority(os.PRIO_PROCESS, pids["http"]) == 0
    assert place_of(pids["core"]) == (str(pinning.core), nice)


def test_doctor_beside_a_live_exchange_changes_nothing_and_sees_it(exchange: Exchange) -> None:
    before = _files(exchange.data)
    settings = {**exchange.settings, "core.pin": "auto", "http.listen": exchange.address}
    flags = {key: ("test", text) for key, text in settings.items()}
    where = Where(*read(None, flags, {}), exchange.data)
    found = {one.name: one for some in doctor.examine(where).values() for one in some}
    good = ("configuration", "kernels", "in_use", "http_port", "journal", "next_start")
    assert {name: found[name].verdict for name in good} == dict.fromkeys(good, "ok"), found
    assert f"outcry up is process {exchange.supervisor}" in found["in_use"].found
    assert found["http_port"].found.endswith(f"own (process {exchange.pids()['http']})")
    assert "a block, the mean of" in found["sync_time"].found
    assert found["last_stop"].verdict == "skip"
    assert exchange.is_ready()
    assert _files(exchange.data) == before
    rings = {path.name for path in exchange.segments()}
    assert rings
    assert rings <= leftovers.mapped(Path("/")), "nothing of it would be mended away"


def _files(data: Path) -> set[str]:
    """Names of everything but what the exchange itself makes while it runs."""
    own = {"events", "snapshots", "witness"}
    return {
        str(path.relative_to(data))
        for path in data.rglob("*")
        if not path.name.endswith((".seg", ".tmp", ".new")) and not own & set(path.parts)
    }
