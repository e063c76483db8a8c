"""Made-up results, so that what is said of them can be told exactly."""

import json
from pathlib import Path
from typing import Any

from bench import stored

MACHINE: dict[str, Any] = {
    "cpu": "Example CPU",
    "cpus": 2,
    "mhz": 2800,
    "kernel": "6.1.0",
    "python": "3.11.7",
    "numba": "0.68.1",
    "numpy": "2.4.6",
    "governor": "performance",
    "clocksource": "tsc",
    "smt": False,
    "thp": "madvise",
    "memory_bytes": 16 << 30,
    "pinned": {"core": 1},
    "replayer": "stopped",
}
HICCUPS = {"p50_ns": 0, "p99_ns": 41, "p99_9_ns": 12_900, "max_ns": 4_100_000, "samples": 77_123}


def result(bench: Any = "kernel", **more: Any) -> dict[str, Any]:
    """A result; ``...`` leaves a member out."""
    made: dict[str, Any] = {
        "schema": 1,
        "bench": bench,
        "taken": "2026-11-20T10:00:00+00:00",
        "commit": "abc1234",
        "options": {"no_risk": True},
        "machine": MACHINE,
        "hiccups": HICCUPS,
    }
    return {name: value for name, value in (made | more).items() if value is not ...}


def pipeline(**more: Any) -> dict[str, Any]:
    """A result with everything that is drawn."""
    latency = {"p50_ns": 2_110, "p99_ns": 6_330, "p99_9_ns": 18_990, "max_ns": 912_345}
    return result(
        "pipeline",
        options={"durability": "relaxed"},
        p50_ns=2_345,
        baseline_p50_ns=1_234,
        commands_per_s=3_210_000,
        curves=[
            {"name": "one in flight", "unit": "ns", "points": [[0, 900], [90, 2e3], [99, 4e4]]}
        ],
        ladder=[
            {"rate_per_s": rate, "achieved_per_s": rate - 7, "late": 3, **latency}
            for rate in (100_000, 200_000)
        ],
        stages=[
            {"stage": name, "p90_ns": 4_444, "count": 5_555, **latency}
            for name in ("ring", "match")
        ],
        **more,
    )


def read(**fields: Any) -> stored.Result:
    """A result as it is read from a file."""
    content = json.dumps(result(**fields)).encode()
    return stored.parse(Path("example.json"), content)


def write(path: Path, made: dict[str, Any]) -> Path:
    """Put a result into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made))
    return path
