"""Calls of a traced process that fail one by one: what a case is, and the walk through them."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from tests.faults.bare import Settings
from tests.faults.report import Report
from tests.faults.tracer import Call

TOLD_EVERY: Final = 20


class Beginning(Protocol):
    """From where a life begins: a Phase of a campaign."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> Settings: ...


Phase = TypeVar("Phase", bound=Beginning)


class Case(NamedTuple, Generic[Phase]):
    """One call to fail."""

    phase: Phase
    call: str
    number: int
    fault: str

    def __str__(self) -> str:
        mode = self.phase.settings.durability
        return f"{self.phase.name} {mode} {self.call} {self.number} {self.fault}"

    @property
    def inject(self) -> str:
        """As strace wants it."""
        return f"{self.call}:{self.fault}:when={self.number}"


def hit(report: Report, calls: list[Call], data: Path) -> Call | None:
    """The call that failed, where it was about ``data``; counted."""
    injected = [call for call in calls if call.injected]
    if not injected:
        report.counts["not_reached"] += 1
    elif not injected[0].touches(data):
        report.counts["elsewhere"] += 1  # Calls of Python itself shift the count.
    else:
        report.counts["injected"] += 1
        return injected[0]
    return None


def fail_each(
    report: Report,
    todo: list[Case[Phase]],
    count: int,
    place: Path,
    break_one: Callable[[Report, Case[Phase], Path], None],
    chance: random.Random,
) -> None:
    """``count`` of the cases by chance, 0: all of them, as far as the report's minutes reach."""
    chance.shuffle(todo)
    todo = todo[:count] if count else todo
    for number, case in enumerate(todo):
        if report.is_late():
            break
        if number % TOLD_EVERY == 0:
            sys.stderr.write(f"{report.campaign}: {number} of {len(todo)}\n")
            sys.stderr.flush()
        report.counts["cases"] += 1
        report.counts[f"cases_{case.phase.name}"] += 1
        break_one(report, case, place / f"case-{number}")
