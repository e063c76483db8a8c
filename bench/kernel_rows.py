"""Rows of the kernel benchmark that compare: sizes, kinds of command, parts of the engine.

All runs of a row's neighbours are interleaved, so that a disturbance of the machine meets all.
"""

from statistics import median
from typing import Any, Final

from bench import flow as flows
from bench.bench_kernel import REPEATS, Expected, judged, ratio, spread_of
from bench.chase import CHASE_BYTES, Chase
from bench.flow_spread import Spread, spread_flow
from bench.kernel_run import Prepared, Setting
from bench.kinds import PART, by_kind
from bench.naive import NaiveRun
from bench.paper_journal import PaperJournal
from core.limits import DEFAULT, Limits

RESTING: Final = (1_000, 10_000, 100_000, 1_000_000)
RESTING_INSTRUMENTS: Final = 100
INSTRUMENTS: Final = (1, 100, 10_000)
INSTRUMENTS_RESTING: Final = 200_000
COMMANDS: Final = 500_000
USERS: Final = 10_000
ROUNDS: Final = 12
IDS_REMEMBERED: Final = 2_000_000


def scaling(
    setting: Setting,
    repeats: int = REPEATS,
    divisor: int = 1,
    chase_bytes: int = CHASE_BYTES,
) -> dict[str, Any]:
    """From few to many resting orders, from one to many instruments; one DRAM access beside each.

    ``divisor``: how much smaller everything is, for a test.
    """
    sizes = [("resting", RESTING_INSTRUMENTS, resting) for resting in RESTING]
    sizes += [("instruments", number, INSTRUMENTS_RESTING) for number in INSTRUMENTS]
    chase = Chase(chase_bytes)
    found: dict[str, Any] = {"risk": setting.risk, "ids": setting.ids, **chase.about()}
    access: list[float] = []
    medians: dict[str, list[float]] = {}
    for row, instruments, resting in sizes:
        spread = Spread(
            max(instruments // divisor, 1),
            max(resting // divisor, 10),
            COMMANDS // divisor,
            users=max(USERS // divisor, 10),
        )
        prepared, _end = judged(*spread_flow(spread), setting)
        ours, theirs = [], []
        for _ in range(repeats):
            theirs.append(chase.timed())
            ours.append(prepared.timed())
        name = f"{row}_{instruments if row == 'instruments' else resting}"
        found[f"{name}_ns_per_command"] = round(median(ours), 2)
        found[f"{name}_ratio_to_dram"] = ratio(ours, theirs)
        found.setdefault("noise", {})[f"{name}_ns_per_command"] = spread_of(ours)
        medians.setdefault(row, []).append(median(ours))
        access += theirs
    found["dram_access_ns"] = round(median(access), 2)
    for row, values in medians.items():
        found[f"{row}_growth"] = round(values[-1] / values[0], 3)
    return found


def kinds(
    spread: Spread,
    setting: Setting,
    rounds: int = ROUNDS,
    part: int = PART,
    chase_bytes: int = CHASE_BYTES,
) -> dict[str, Any]:
    """ns per command of each kind, in stretches of one kind."""
    made = by_kind(spread, rounds, part)
    end = str(len(made.flow.records))
    prepared, _end = judged(made.flow, {end: dict(made.expected)}, setting)
    chase, naive = Chase(chase_bytes), NaiveRun(made.flow)
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    access = []
    for _ in range(2):
        access.append(chase.timed())
        for kept, taken in (
            (ours, prepared.timed_parts(made.parts)),
            (theirs, naive.timed_parts(made.parts)),
        ):
            for kind, values in taken.items():
                kept.setdefault(kind, []).extend(values)
    found: dict[str, Any] = {
        "flow": made.flow.name,
        "risk": setting.risk,
        "ids": setting.ids,
        "commands_of_a_kind": rounds * part,
        "dram_access_ns": round(median(access), 2),
        **chase.about(),
    }
    for kind, values in ours.items():
        found[f"{kind}_ns_per_command"] = round(median(values), 2)
        if theirs:
            found[f"{kind}_baseline_ns_per_command"] = round(median(theirs[kind]), 2)
            found[f"{kind}_ratio"] = ratio(values, theirs[kind])
    return found | {"noise": {f"{kind}_ns_per_command": spread_of(ours[kind]) for kind in ours}}


def whole(
    flow: flows.Flow,
    expected: Expected,
    repeats: int = REPEATS,
    remembered: int = IDS_REMEMBERED,
    floor: Limits = DEFAULT,
) -> dict[str, Any]:
    """The book alone, then what each part adds, to all of it: holds and balances, client order ids
    in a table that is full, events, and the journal's copy, checksums and blocks in memory."""
    settings = {
        "book": Setting(risk=False, floor=floor),
        "risk": Setting(risk=True, floor=floor),
        "ids": Setting(risk=True, ids=True, remembered=remembered, floor=floor),
    }
    runs: dict[str, list[float]] = {name: [] for name in (*settings, "all")}
    ready = {name: judged(flow, expected, setting)[0] for name, setting in settings.items()}
    paper, naive = PaperJournal(), NaiveRun(flow)
    theirs: list[float] = []
    for _ in range(repeats):
        if naive.fits:
            theirs.append(naive.timed())
        for name, prepared in ready.items():
            runs[name].append(prepared.timed())
        runs["all"].append(ready["ids"].timed_with_journal(paper))
    if paper.fault():
        raise AssertionError(f"the journal's newest block is none: fault {paper.fault()}")
    ns = {name: median(values) for name, values in runs.items()}
    carrying = ids_share(ready["ids"])
    found: dict[str, Any] = {
        "flow": flow.name,
        "commands": ready["book"].counted,
        "ids_remembered": remembered,
        **{f"{name}_ns_per_command": round(value, 2) for name, value in ns.items()},
        "risk_ratio": ratio(runs["risk"], runs["book"]),
        "ids_added_ns_per_id": round((ns["ids"] - ns["risk"]) / carrying, 2) if carrying else 0.0,
        "journal_added_ns_per_command": round(ns["all"] - ns["ids"], 2),
        "noise": {f"{name}_ns_per_command": spread_of(values) for name, values in runs.items()},
    }
    if theirs:
        found["baseline_ns_per_command"] = round(median(theirs), 2)
        found["ratio"] = ratio(runs["book"], theirs)
        found["all_ratio"] = ratio(runs["all"], theirs)
    return found


def ids_share(prepared: Prepared) -> float:
    """Share of the counted commands that carry a client order id."""
    counted = prepared.commands[prepared.flow.prefill :]
    return float((counted["client_order_id"][:, 0] != 0).mean())
