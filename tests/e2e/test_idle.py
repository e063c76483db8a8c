"""An exchange at rest costs next to nothing, and its processes are as small as promised."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from core.limits import DEFAULT
from tests.e2e.exchange import Exchange

AT_REST_AFTER_S: Final = 3.0
WINDOW_S: Final = 1.0
WINDOWS: Final = 3
CPU_MAX: Final = 0.03  # Of one core, all processes together.
CORE_MIB_MAX: Final = 704
ADAPTER_MIB_MAX: Final = 200


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """An exchange of the default profile, which has answered a few requests."""
    settings = {f"limits.{name}": text for name, text in default_limits().items()}
    with Exchange(tmp_path_factory.mktemp("idle") / "data", settings=settings) as exchange:
        exchange.start()
        for user in ("alice", "bob"):
            assert exchange.request("GET", "/v1/balances", user).status == 200
        yield exchange
        assert exchange.stop() == 0


def default_limits() -> dict[str, str]:
    """What `outcry up` uses when nothing is configured."""
    return {name: str(value) for name, value in DEFAULT._asdict().items()}


def cpu_s(pids: list[int]) -> float:
    """Processor time of these processes so far."""
    total_ns = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total_ns += int((thread / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def private_mib(pid: int) -> float:
    """Memory that only this process has."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    rows = {line.split(":")[0]: line.split()[1] for line in rollup[1:]}
    return sum(int(rows[name]) for name in ("Private_Clean", "Private_Dirty")) / 1024


def test_an_exchange_at_rest_uses_less_than_3_percent_of_a_core(exchange: Exchange) -> None:
    pids = list(exchange.pids().values())
    assert len(pids) == 5
    time.sleep(AT_REST_AFTER_S)
    shares = []
    for _ in range(WINDOWS):
        begun, before = time.monotonic(), cpu_s(pids)
        time.sleep(WINDOW_S)
        shares.append((cpu_s(pids) - before) / (time.monotonic() - begun))
    assert statistics.median(shares) < CPU_MAX, shares


def test_private_memory_is_below_704_mib_of_the_core_and_200_mib_of_an_adapter(
    exchange: Exchange,
) -> None:
    found = {name: private_mib(pid) for name, pid in exchange.pids().items()}
    assert found["core"] <= CORE_MIB_MAX, found
    assert found["http"] <= ADAPTER_MIB_MAX, found
    assert found["prepare"] <= ADAPTER_MIB_MAX, found
