"""`outcry up` that must not start: each way with its exit code and a sentence that says why."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.conftest import MakeExchange
from tests.e2e.exchange import Exchange

ALONE: Final = {"replayer.enabled": "false"}  # It has no part in what is refused here.


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """The one data directory of this file, with a few commands in its journal."""
    with Exchange(tmp_path_factory.mktemp("refused") / "data", settings=ALONE) as exchange:
        exchange.start()
        assert exchange.request("GET", "/v1/balances", "alice").status == 200
        yield exchange


@pytest.fixture
def running(directory: Exchange) -> Exchange:
    """The exchange on it."""
    return directory if directory.running else directory.start()


@pytest.fixture
def stopped(directory: Exchange) -> Exchange:
    """It, stopped cleanly."""
    if directory.running:
        assert directory.stop() == 0
    return directory


def ended(exchange: Exchange) -> tuple[int, str]:
    """The exit code of an `up` that does not start, and what it said."""
    exchange.log.unlink(missing_ok=True)
    exchange.begin()
    return exchange.wait(), exchange.log.read_text()


def same_directory(exchange: Exchange, **settings: str) -> Exchange:
    """Another `up` on the same data directory."""
    other = Exchange(exchange.data, settings=ALONE | settings)
    other.log = exchange.data.parent / "other.log"
    return other


def test_a_second_exchange_on_a_directory_in_use_exits_75(running: Exchange) -> None:
    state = running.state()
    code, said = ended(same_directory(running))
    assert code == 75
    assert f"{running.data} is in use by process {running.supervisor}" in said
    assert running.state() == state


def test_other_limits_than_the_journals_exit_78_and_name_what_mends_it(stopped: Exchange) -> None:
    code, said = ended(same_directory(stopped, **{"limits.orders_max": "20001"}))
    assert code == 78
    assert "orders_max" in said
    assert "outcry upgrade" in said


def test_sync_on_a_file_system_that_cannot_exits_78(make_exchange: MakeExchange) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="e2e-") as volatile:
        settings = ALONE | {"journal.allow_volatile": "false"}
        with Exchange(Path(volatile) / "data", settings=settings) as exchange:
            code, said = ended(exchange)
    assert code == 78
    assert "tmpfs" in said


def test_a_journal_with_a_flipped_bit_exits_80_and_is_left_as_it_is(stopped: Exchange) -> None:
    segment = min(stopped.data.glob("journal/*/*.seg"))
    good = segment.read_bytes()
    bad = bytearray(good)
    bad[3 * 4_096 + 200] ^= 4
    try:
        segment.write_bytes(bad)
        code, said = ended(same_directory(stopped))
        assert code == 80
        assert segment.name in said
        assert segment.read_bytes() == bad
    finally:
        segment.write_bytes(good)
