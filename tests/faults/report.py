"""What a campaign says: totals, and everything that broke, with its seed."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

EXIT_BROKEN: Final = 1
EXIT_IMPOSSIBLE: Final = 2  # Not permitted on this machine; the line says what.
SHOWN: Final = 20
PIPES: Final = shutil.ignore_patterns("wake-*")  # Cannot be copied.


@dataclass
class Report:
    """Counts by name, and contradictions as sentences."""

    campaign: str
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    begun_s: float = field(default_factory=time.monotonic)
    minutes: float = 0.0  # After so many the totals so far are told; 0: after all cases.

    def is_late(self) -> bool:
        """Is its time over?"""
        return 0 < self.minutes * 60 <= time.monotonic() - self.begun_s

    def note(self, where: str, found: list[str]) -> None:
        """Keep what broke in one case, named so that it can be run again."""
        for sentence in found:
            line = f"{where}: {sentence}"
            self.broken.append(line)
            sys.stderr.write(f"BROKEN {line}\n")
            sys.stderr.flush()

    def fields(self) -> dict[str, object]:
        """Flat."""
        seconds = round(time.monotonic() - self.begun_s, 1)
        counts = dict(sorted(self.counts.items()))
        named = {"campaign": self.campaign, "seed": self.seed, "seconds": seconds}
        return {**named, **counts, "broken": len(self.broken), "first": self.broken[:SHOWN]}

    def end(self, *, as_json: bool) -> int:
        """Print; the exit code."""
        found = self.fields()
        lines = [json.dumps(found)] if as_json else [f"{k}: {v}" for k, v in found.items()]
        sys.stdout.write("\n".join(lines) + "\n")
        return EXIT_BROKEN if self.broken else 0


def arguments(description: str | None, count: int) -> argparse.ArgumentParser:
    """The options that every campaign has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--seed", type=int, default=1)
    if count == 0:
        parser.add_argument("--minutes", type=float, default=0.0, help="end early, with totals")
    parser.add_argument("--json", action="store_true")
    return parser


def keep(place: Path, name: str) -> None:
    """Copy what a broken case left to OUTCRY_FAULTS_KEEP, if that is set."""
    if top := os.environ.get("OUTCRY_FAULTS_KEEP"):
        target = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=top))
        shutil.copytree(place, target, dirs_exist_ok=True, ignore=PIPES)
        sys.stderr.write(f"kept in {target}\n")


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """A directory for a campaign on a real disk; OUTCRY_FAULTS_DIR says where."""
    top = os.environ.get("OUTCRY_FAULTS_DIR") or None
    place = Path(tempfile.mkdtemp(prefix=f"outcry-{name}-", dir=top))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
