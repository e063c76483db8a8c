"""The result of a benchmark: one JSON object, described in docs/benchmarks.md.

Figures stand in flat fields that carry their unit; everything about how they were taken beside
them.  ``faults`` is the schema: what it names is no result.
"""

import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import machine

SCHEMA: Final = 1
ROOT: Final = Path(__file__).resolve().parents[1]
HEAD: Final[dict[str, type]] = {
    "schema": int,
    **{name: str for name in ("bench", "taken", "commit")},
    "options": dict,
}
MACHINE: Final[dict[str, type]] = {
    **{name: str for name in ("cpu", "kernel", "python", "numba", "numpy")},
    **{name: str for name in ("governor", "clocksource", "thp", "replayer")},
    **{name: int for name in ("cpus", "mhz", "memory_bytes")},
    "smt": bool,
    "pinned": dict,
}
LATENCY: Final[dict[str, type]] = {name: int for name in ("p50_ns", "p99_ns", "p99_9_ns", "max_ns")}
HICCUPS: Final[dict[str, type]] = LATENCY | {"samples": int}
CURVE: Final[dict[str, type]] = {"name": str, "unit": str, "points": list}
RUNG: Final[dict[str, type]] = {"rate_per_s": int, "achieved_per_s": int, "late": int} | LATENCY
STAGE: Final[dict[str, type]] = {"stage": str, "p90_ns": int, "count": int} | LATENCY
LISTS: Final[dict[str, Mapping[str, type]]] = {"curves": CURVE, "ladder": RUNG, "stages": STAGE}
PARTS: Final = {*HEAD, "machine", "hiccups", "runs", "noise", *LISTS}
FLAT: Final = (int, float, str, bool)


def head(
    bench: str,
    options: Mapping[str, Any],
    *,
    pinned: Mapping[str, int] | None = None,
    replayer: str = machine.NONE,
) -> dict[str, Any]:
    """What every result begins with."""
    return {
        "schema": SCHEMA,
        "bench": bench,
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "options": {name: value for name, value in options.items() if value is not None},
        "machine": machine.describe(pinned, replayer),
    }


def from_runs(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of every number over the runs, the runs themselves, and their noise.

    ``noise``: median absolute deviation over median.  Other values are those of the first run.
    """
    found: dict[str, Any] = {}
    noise: dict[str, float] = {}
    for name, first in runs[0].items():
        values = [run[name] for run in runs if name in run]
        if isinstance(first, bool) or not isinstance(first, int | float):
            found[name] = first
            continue
        middle = median(values)
        found[name] = round(middle) if isinstance(first, int) else round(middle, 4)
        if middle and len(values) > 1:
            noise[name] = round(spread(values), 4)
    return found | {"runs": [dict(run) for run in runs], "noise": noise}


def spread(values: Sequence[float]) -> float:
    """Median absolute deviation over the median, which must not be zero."""
    middle = median(values)
    return median(abs(value - middle) for value in values) / abs(middle)


def without_empty(result: Mapping[str, Any]) -> dict[str, Any]:
    """Empty lists and objects are left out; ``options`` and ``machine`` never are."""
    return {
        name: value
        for name, value in result.items()
        if value not in ([], {}) or name in ("options", "machine")
    }


def commit() -> str:
    """Short hash of the checkout, with + when files differ from it; "" outside of one."""
    words = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:  # There is no git.
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def faults(result: Mapping[str, Any]) -> list[str]:
    """Every way in which this is no result of schema 1, as sentences; empty when it is one."""
    found = _typed("", result, HEAD)
    if result.get("schema", SCHEMA) != SCHEMA:
        found.append(f"schema: expected {SCHEMA}, got {result['schema']}")
    found += _typed("machine.", result.get("machine", {}), MACHINE)
    if "hiccups" in result:
        found += _typed("hiccups.", result["hiccups"], HICCUPS)
    for name, fields in LISTS.items():
        for number, item in enumerate(result.get(name, [])):
            found += _typed(f"{name}[{number}].", item, fields)
    for number, curve in enumerate(result.get("curves", [])):
        shares = [point[0] for point in curve.get("points", [])]
        if not shares or shares != sorted(shares):
            found.append(f"curves[{number}].points: expected rising percentiles, got {shares}")
    for number, run in enumerate(result.get("runs", [])):
        found += _flat(f"runs[{number}].", run)
    for name, value in result.get("noise", {}).items():
        if not isinstance(value, int | float) or value < 0:
            found.append(f"noise.{name}: expected a number from 0 on, got {value!r}")
    return found + _flat("", {k: v for k, v in result.items() if k not in PARTS})


def _typed(place: str, item: Mapping[str, Any], fields: Mapping[str, type]) -> list[str]:
    missing = [f"{place}{name}: missing" for name in fields if name not in item]
    return missing + [
        f"{place}{name}: expected {kind.__name__}, got {item[name]!r}"
        for name, kind in fields.items()
        if name in item and type(item[name]) is not kind
    ]


def _flat(place: str, item: Mapping[str, Any]) -> list[str]:
    return [
        f"{place}{name}: expected a number, text, true or false, got {type(value).__name__}"
        for name, value in item.items()
        if not isinstance(value, FLAT)
    ]
