"""What is read from files: configuration, snapshots, the journal as lines."""

import json
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from core import messages
from core.journal.dump import command_row
from core.journal.snapshots import directories
from core.sequencer import snapshot
from replay.snapshots import make
from tests.replay.live import Live, some_commands
from tools.config_layers import load
from tools.journal_dump import formatted

ORDERS = 400
CONFIGURATION = """
[http]
listen = "127.0.0.1:8081"
workers = 2
request_timeout = "250ms"
[journal]
durability = "relaxed"
segment_bytes = "64MiB"
[limits]
profile = "small"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal that was stopped cleanly, with a snapshot at its end."""
    data = tmp_path_factory.mktemp("micro") / "data"
    live = Live(data)
    live.send(some_commands(ORDERS))
    live.checkpoint()
    live.close()
    make(data)
    return data


def test_load_configuration(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    path = tmp_path / "outcry.toml"
    path.write_text(CONFIGURATION)
    loaded = benchmark(lambda: load(path, {}, {}))
    assert loaded.config.http.request_timeout == 250_000_000
    assert loaded.config.journal.segment_bytes == 64 << 20
    assert loaded.origins["journal.durability"] == f"{path}:7"


def test_load_snapshot(benchmark: BenchmarkFixture, data: Path) -> None:
    directory = next(iter(directories(data)))
    loaded = benchmark(snapshot.load, directory)
    assert loaded.state.hash().hex() == loaded.manifest.state_hash
    assert loaded.state["sequence"] == len(some_commands(ORDERS))


def test_dump_line(benchmark: BenchmarkFixture) -> None:
    slot = np.zeros(1, messages.PLACE)
    slot["kind"], slot["sequence"], slot["price"] = messages.PLACE_ORDER, 7, 101
    slot["client_order_id"] = messages.packed("a-1", 36)
    slots = slot.view(np.uint8).reshape(1, -1)
    found = benchmark(lambda: list(formatted([command_row(slots, messages.PLACE_ORDER)], "jsonl")))
    row = json.loads(found[0])
    assert (row["kind"], row["sequence"], row["price"]) == ("PLACE_ORDER", 7, 101)
    assert row["client_order_id"] == "a-1"
