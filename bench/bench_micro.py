"""Functions of Python on the way of an order, each by itself: pytest-benchmark over tests/micro.

Every run is a process of its own, because the median of one process is steadier than the
difference between two; the figures are medians over the runs.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.stored import spread

ROOT: Final = Path(__file__).resolve().parents[1]
TESTS: Final = "tests/micro"
RUNS: Final = 5
ROUND_NS: Final = 20_000  # Long enough for a clock that is read before and after.


def run(seconds: float) -> dict[str, Any]:
    """Each function is timed for about ``seconds`` over RUNS runs; ``NAME_ns`` per call.

    AssertionError when a function gave a wrong result, with what pytest said.
    """
    runs = [one(seconds / RUNS) for _ in range(RUNS)]
    found: dict[str, Any] = {
        name: round(median(single[name] for single in runs), 1) for name in runs[0]
    }
    noise = {name: spread(single[name] for single in runs) for name in runs[0]}
    return found | {"runs": runs, "noise": {k: round(v, 5) for k, v in noise.items() if v}}


def one(seconds: float, tests: str = TESTS) -> dict[str, float]:
    """One process over ``tests``, ``seconds`` for each: medians by name."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "found.json"
        command = [
            *(sys.executable, "-m", "pytest", tests, "-p", "no:cacheprovider"),
            *("--benchmark-enable", "--benchmark-only", "--benchmark-disable-gc"),
            *("--benchmark-warmup=on", "--benchmark-warmup-iterations=100"),
            *(f"--benchmark-max-time={seconds}", f"--benchmark-min-time={ROUND_NS / 1e9}"),
            *("--benchmark-quiet", f"--benchmark-json={path}"),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{tests}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}")
        return medians(json.loads(path.read_text()))


def medians(report: dict[str, Any]) -> dict[str, float]:
    """``NAME_ns`` of each benchmark in what pytest-benchmark writes; a test's name is test_NAME."""
    return {
        f"{found['name'].removeprefix('test_')}_ns": found["stats"]["median"] * 1e9
        for found in report["benchmarks"]
    }
