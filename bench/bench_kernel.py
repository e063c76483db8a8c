"""The engine alone over order flows: ns per command, exact results in every timed run, and the
baseline beside it in the same run: the naive kernel, or one DRAM access where that cannot run.

``bench`` measures a flow file, ``bench_mix`` a large flow by seed; bench.kernel_rows has the rows
that compare sizes, kinds of command, and parts of the engine.
"""

from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import flow as flows
from bench import naive_many
from bench.chase import CHASE_BYTES, Chase
from bench.flow_spread import Spread, spread_flow
from bench.kernel_run import BATCH, ID_KEY, RING_EVENTS, Prepared, Setting, run
from bench.market import limits_for, setup_commands, stamp
from bench.naive import NaiveRun

# With what other benchmarks make their exchanges.
__all__ = [
    "ID_KEY",
    "RING_EVENTS",
    "Prepared",
    "Setting",
    "bench",
    "bench_flow",
    "bench_mix",
    "judged",
    "limits_for",
    "run",
    "setup_commands",
    "stamp",
]

REPEATS: Final = 5

Expected = dict[str, dict[str, int | str]]


def bench(
    path: Path, *, risk: bool, ids: bool, repeats: int = REPEATS, batch: int = BATCH
) -> dict[str, Any]:
    """Everything about one flow file.  AssertionError where a result is not the sidecar's."""
    flow = flows.read_flow(path)
    return bench_flow(flow, flows.sidecar(path), Setting(risk, ids, batch=batch), repeats)


def bench_mix(
    spread: Spread, setting: Setting, repeats: int = REPEATS, chase_bytes: int = CHASE_BYTES
) -> dict[str, Any]:
    """Everything about one flow made by seed.  ValueError when it cannot be made."""
    flow, expected = spread_flow(spread)
    about = {"mix": spread.mix, "instruments": spread.instruments, "resting": spread.resting}
    return about | bench_flow(flow, expected, setting, repeats, chase_bytes)


def bench_flow(
    flow: flows.Flow,
    expected: Expected,
    setting: Setting,
    repeats: int,
    chase_bytes: int = CHASE_BYTES,
) -> dict[str, Any]:
    """Turn by turn: the baseline, then the engine from a fresh state; then single commands."""
    prepared, found = judged(flow, expected, setting)
    naive = NaiveRun(flow)
    chase = None if naive.fits else Chase(chase_bytes)
    ours, theirs = [], []
    for _ in range(repeats):
        theirs.append(naive.timed() if chase is None else chase.timed())
        ours.append(prepared.timed())
    return {
        "flow": flow.name,
        "risk": setting.risk,
        "ids": setting.ids,
        "commands": prepared.counted,
        **figures(ours, theirs, "baseline_ns_per_command" if chase is None else "dram_access_ns"),
        **({} if chase is None else chase.about()),
        **prepared.percentiles(),
        **found,
    }


def judged(
    flow: flows.Flow, expected: Expected, setting: Setting
) -> tuple[Prepared, dict[str, int | str]]:
    """A flow ready to be timed, and what it gives at its end.

    AssertionError where that is not what ``expected`` says, by count of records, in the fields that
    it has; and, for many instruments, not what the naive kernel counts one by one.
    """
    prepared = Prepared(flow, setting)
    found = prepared.judge()
    for point, numbers in expected.items():
        got = {name: found[point][name] for name in numbers} if point in found else numbers
        if got != numbers:
            raise AssertionError(f"{flow.name} at {point}: expected {numbers}, got {got}")
    end = found[str(len(flow.records))]
    counted = naive_many.counts(flow) if flow.symbols > 1 else None
    if counted is not None and counted != {name: end[name] for name in counted}:
        raise AssertionError(f"{flow.name}: the naive kernel counts {counted}, the engine {end}")
    return prepared, end


def figures(ours: list[float], theirs: list[float], baseline: str) -> dict[str, Any]:
    """Medians, the smallest, and the ratio turn by turn."""
    ns = median(ours)
    return {
        "ns_per_command": round(ns, 2),
        "ns_per_command_min": round(min(ours), 2),
        "commands_per_s": round(1e9 / ns),
        baseline: round(median(theirs), 2),
        "ratio": ratio(ours, theirs),
        "runs": [
            {"ns_per_command": round(mine, 2), baseline: round(other, 2)}
            for mine, other in zip(ours, theirs, strict=True)
        ],
        "noise": {"ns_per_command": spread_of(ours), baseline: spread_of(theirs)},
    }


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of the ratios of runs that lay side by side."""
    return round(median(mine / other for mine, other in zip(ours, theirs, strict=True)), 3)


def spread_of(values: list[float]) -> float:
    """Relative spread: median distance from the median, over the median."""
    middle = median(values)
    return round(median(abs(value - middle) for value in values) / middle, 4)
