"""Every benchmark runs for a moment, judges its results, and gives a baseline of the same run."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import flow as flows
from bench.flow_make import MADE, Matcher, Op, make
from core.jit import MODE_NAME, PURE
from tests.e2e.exchange import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = os.environ.get("OUTCRY_FLOWS", "")
COUNT = {"release": 2_000, "checked": 1_000, "pure": 100}[MODE_NAME]
SIDECAR = {
    *("trades", "traded_qty", "notional", "rejects", "trade_hash"),
    *("resting_orders", "resting_qty", "levels", "book_hash_l3", "book_hash_l2"),
}


def _matched(path: Path) -> dict[str, Any]:
    """The numbers of the obvious matcher at the points of the sidecar."""
    flow, expected, matcher = flows.read_flow(path), flows.sidecar(path), Matcher()
    found = {}
    for place, row in enumerate(flow.records.tolist(), 1):
        kind, side, _symbol, user, order_id, price, qty, _aux = row
        matcher.apply(Op(kind, side, user, order_id, price, qty))
        if str(place) in expected:
            found[str(place)] = matcher.numbers()
    return found


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_flow_is_made_by_seed_with_the_sidecar_of_the_matcher(tmp_path: Path, name: str) -> None:
    path = make(name, tmp_path, seed=7, count=500)
    assert len(flows.sidecar(path)) == 2
    assert _matched(path) == flows.sidecar(path)
    content = path.read_bytes()
    assert make(name, tmp_path, seed=7, count=500).read_bytes() == content
    assert make(name, tmp_path, seed=8, count=500).read_bytes() != content


@pytest.mark.skipif(not FOLDER, reason="OUTCRY_FLOWS names no folder of order flows")
def test_the_matcher_of_made_flows_gives_the_numbers_of_shared_ones() -> None:
    paths = sorted(Path(FOLDER).glob("*.flow"))
    assert paths
    for path in paths:
        assert _matched(path) == flows.sidecar(path), path.name


@pytest.mark.skipif(PURE, reason="times of plain Python say nothing")
@pytest.mark.parametrize("name", sorted(MADE))
@pytest.mark.parametrize("risk", [True, False], ids=["risk", "no risk"])
def test_kernel(tmp_path: Path, name: str, risk: bool) -> None:
    from bench.bench_kernel import bench

    path = make(name, tmp_path, count=COUNT)
    found = bench(path, risk=risk, ids=risk, repeats=1, batch=256)
    assert found["commands"] == COUNT
    assert found["ns_per_command"] > 0
    assert found["baseline_ns_per_command"] > 0
    assert 0 < found["p50_ns"] <= found["p99_ns"] <= found["p99_9_ns"] <= found["max_ns"]
    expected = flows.sidecar(path)[str(len(flows.read_flow(path).records))]
    assert {field: found[field] for field in SIDECAR} == expected


@pytest.mark.skipif(PURE, reason="times of plain Python say nothing")
def test_kernel_says_which_result_is_not_the_sidecars(tmp_path: Path) -> None:
    from bench.bench_kernel import bench

    path = make("near", tmp_path, count=COUNT)
    beside = path.with_name(path.name + ".json")
    about = json.loads(beside.read_text())
    about["expected"][max(about["expected"], key=int)]["trades"] += 1
    beside.write_text(json.dumps(about))
    with pytest.raises(AssertionError, match=r"near\.flow at \d+: expected"):
        bench(path, risk=False, ids=False, repeats=1, batch=256)


@pytest.mark.skipif(PURE, reason="plain Python has no atomic words for two processes")
def test_ring() -> None:
    from bench.bench_ring import run

    found = run(0.2)
    assert found["hop_ns"] > 0
    assert found["baseline_hop_ns"] > 0
    assert found["ratio"] >= 0  # Rounded; a disturbed baseline may be a thousand times too long.


@pytest.mark.skipif(PURE, reason="times of plain Python say nothing")
def test_readers() -> None:
    from bench.bench_readers import run

    found = run(0.5)
    assert found["ns_per_command"] > 0
    assert found["baseline_ns_per_command"] > 0
    assert found["ratio"] > 0
    assert found["events_read_stopped"] < found["events_read_running"]


@pytest.mark.slow
@pytest.mark.skipif(PURE, reason="times of plain Python say nothing")
def test_http() -> None:
    from bench import result
    from bench.bench_http import Plan, run

    found = run(5.0, Plan(1, (2,), ("relaxed",), 20, SETTINGS))
    assert result.faults(found) == []
    assert found["relaxed_2_orders_per_s"] > 0
    assert found["relaxed_2_baseline_orders_per_s"] > 0
    assert found["relaxed_2_ratio"] > 0
    assert found["generator_2_orders_per_s"] > 0
    assert found["machine"]["replayer"] == "running"
    assert [(run["server"], run["orders"]) for run in found["runs"]] == [
        *(("aiohttp", 20), ("protocol", 20), ("relaxed", 20))
    ]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "expected status 201 .* such as 503"),
        (b"", "ECONNRESET"),
        (b"HTTP/1.1 201 Created\r\n" + b"A: b\r\n" * 4_000, "EMSGSIZE"),
    ],
)
def test_http_load_says_what_is_no_good_answer(answer: bytes, found: str) -> None:
    from bench.http_load import DIGITS_MARK, Lines

    ours, theirs = socket.socketpair()
    lines = Lines([ours], b"x" + DIGITS_MARK)
    theirs.sendall(answer)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(RuntimeError, match=found):
        lines.closed(7, 1, 60.0, 201)
    assert theirs.recv(100) == b"x000000000007"
    lines.close()
    theirs.close()


def test_http_load_takes_an_answer_in_pieces_of_any_size() -> None:
    from bench.http_load import answer_bytes

    answer = b"HTTP/1.1 201 Created\r\nDate: x\r\ncontent-LENGTH: 12\r\n\r\n{'a': 'bcd'}"
    name = np.frombuffer(b"content-length: ", np.uint8)
    content = np.frombuffer(answer + b"more", np.uint8)
    sizes = [
        answer_bytes(content.ctypes.data, have, name.ctypes.data) for have in range(len(content))
    ]
    assert sizes == [0] * len(answer) + [len(answer)] * 4


def test_journal() -> None:
    from bench.bench_journal import run

    found = run(0.2)
    assert found["p50_ns"] > 0
    assert found["baseline_p50_ns"] > 0
    assert found["ratio"] > 0


@pytest.mark.slow
def test_the_command_line_prints_one_object_as_the_last_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", "bench", "journal", "--seconds", "0.2", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["ratio"] > 0


@pytest.mark.skipif(PURE, reason="times of plain Python say nothing")
@pytest.mark.slow
def test_pipeline(tmp_path: Path) -> None:
    from bench import bench_pipeline, result
    from core.shm import DIRECTORY

    before = {*DIRECTORY.glob("outcry-*-bench.0")}  # Other tests may run at the same time.
    path = make("mixed", tmp_path, count=500)
    tiny: dict[str, Any] = {"burst_s": 0.02, "rung_s": 0.01, "runs": 1, "trips": 200, "hop_s": 0.01}
    small: dict[str, Any] = {"probe": 2_000, "segment_bytes": 4 << 20, "allow_volatile": True}
    size = bench_pipeline.Size(**tiny, **small, sustained_s=0.02)
    found = bench_pipeline.run(path, size)
    assert result.faults(found) == []
    for name in ("relaxed", "sync"):
        assert 0 < found[f"{name}_p50_ns"] <= found[f"{name}_p99_ns"] <= found[f"{name}_max_ns"]
        assert found[f"{name}_ratio"] >= 0
        assert found[f"{name}_saturation_commands_per_s"] > 0
        assert found[f"{name}_sustained_ratio"] >= 0
    assert min(found["relaxed_baseline_hop_ns"], found["sync_baseline_write_p50_ns"]) > 0
    assert {rung["durability"] for rung in found["ladder"]} == {"relaxed", "sync"}
    assert len(found["curves"]) == 4
    assert {*DIRECTORY.glob("outcry-*-bench.0")} <= before, "shared memory is left"
