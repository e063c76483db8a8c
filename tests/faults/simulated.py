"""The campaign of simulated crashes: ``python -m tests.faults.simulated --histories N --seed S``.

History number i of seed S is made from the number S * 2^32 + i alone; ``--history I`` runs just
that one, ``--first I`` begins there.  Ends with exit code 1 when a promise was broken, and says in
which history.
"""
# ruff: noqa: T201

import argparse
import gc
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.history import History

SHM: Final = Path("/dev/shm")


@dataclass
class Totals:
    """Sums over all histories."""

    seed: int
    histories: int = 0
    lives: int = 0
    operations: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    crashes: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, history: History) -> None:
        """Count one that is over."""
        self.histories += 1
        self.lives += history.lives
        self.operations += history.disk.steps
        self.crashes.update(history.crashes)
        self.outcomes.update(history.outcomes)
        self.fates.update(history.disk.fates)

    def as_dict(self) -> dict[str, Any]:
        """Flat enough for JSON."""
        return {**vars(self), "crash_count": sum(self.crashes.values())}


def run_one(place: Path, number: int, totals: Totals) -> None:
    """One history in an empty directory; a broken promise becomes a line in ``failures``."""
    history = History(place, number)
    try:
        history.run()
    except Exception:
        said = traceback.format_exc(limit=-4)
        totals.failures.append(f"history {number}: {said}")
    totals.add(history)
    shutil.rmtree(place)


def campaign(seed: int, first: int, count: int, *, keep_going: bool = False) -> Totals:
    """Histories ``first`` to ``first + count - 1``; ends at the first failure."""
    totals = Totals(seed)
    begun, cpu_begun = time.monotonic(), time.process_time()
    room = Path(tempfile.mkdtemp(prefix="outcry-simulated-", dir=SHM if SHM.is_dir() else None))
    gc.freeze()  # What numba keeps need not be looked through again and again.
    try:
        for number in range(first, first + count):
            run_one(room / "h", (seed << 32) + number, totals)
            if totals.failures and not keep_going:
                break
    finally:
        shutil.rmtree(room, ignore_errors=True)
        gc.unfreeze()
    totals.seconds = round(time.monotonic() - begun, 1)
    totals.cpu_seconds = round(time.process_time() - cpu_begun, 1)
    return totals


def table(title: str, counts: Counter[str]) -> list[str]:
    """A table as Markdown."""
    rows = [f"| {name} | {count:,} |" for name, count in sorted(counts.items())]
    return [f"| {title} | count |", "| --- | ---: |", *rows, ""]


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(prog="tests.faults.simulated", description=__doc__)
    parser.add_argument("--histories", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "little"))
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--history", type=int, help="this one only")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    first, count = (given.first, given.histories) if given.history is None else (given.history, 1)
    totals = campaign(given.seed, first, count, keep_going=given.keep_going)
    for failure in totals.failures:
        print(failure)
    if given.json:
        print(json.dumps(totals.as_dict()))
    else:
        print(
            f"seed {totals.seed}: {totals.histories:,} histories, {totals.lives:,} lives, "
            f"{sum(totals.crashes.values()):,} crashes, {totals.operations:,} operations, "
            f"{len(totals.failures)} failures, {totals.seconds} s "
            f"({totals.cpu_seconds} s of CPU)\n"
        )
        for title, counts in (
            ("outcome of a start", totals.outcomes),
            ("crash", totals.crashes),
            ("fate of what was not synced", totals.fates),
        ):
            print("\n".join(table(title, counts)))
    return 1 if totals.failures else 0


if __name__ == "__main__":
    sys.exit(main())
