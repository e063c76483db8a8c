"""Two results of the same benchmark: better, worse, or within what the machine does by itself.

A change counts only when it is larger than NOISE_TIMES the noise of both results together (square
root of the sum of the squared relative MADs of their runs), and than CHANGE_MIN.  Results of other
machines or other options are shown beside one another and not judged.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from bench.bars import better
from bench.figures import HIGHER, UNKNOWN, better_of, is_baseline, unit_of
from bench.stored import Result, is_number

NOISE_TIMES: Final = 3.0
CHANGE_MIN: Final = 0.02

BETTER: Final = "better"
WORSE: Final = "worse"
WITHIN: Final = "within noise"
NOT: Final = "not comparable"

# Members of ``machine`` that make it another one.  Versions may differ: what they change is asked.
MACHINE: Final = ("cpu", "cpus", "governor", "clocksource", "smt", "thp", "pinned", "replayer")


class Judgement(NamedTuple):
    """One figure, old and new; ``change`` and ``needed`` are relative, None where there is none."""

    bench: str
    field: str
    old: Any
    new: Any
    change: float | None
    needed: float | None
    verdict: str
    why: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is about us: a baseline says how the machine was."""
        return not is_baseline(self.field)


class Comparison(NamedTuple):
    """The newest results of one benchmark with the same options, and every figure judged."""

    old: Result
    new: Result
    judgements: list[Judgement]


def compare(old: Iterable[Result], new: Iterable[Result]) -> list[Comparison]:
    """Each newest of ``new`` against the newest of ``old`` with the same bench and options.

    Where the options are others it is against the newest of the same bench, and not judged;
    a bench that ``old`` does not have is left out.
    """
    found = []
    before = list(old)
    for result in newest(new):
        same = [item for item in before if item.bench == result.bench]
        exact = [item for item in same if item.about.options == result.about.options]
        if same:
            against = (exact or same)[-1]
            found.append(Comparison(against, result, list(judge(against, result))))
    return found


def newest(results: Iterable[Result]) -> list[Result]:
    """The last result of each bench and options; ``results`` are the oldest first."""
    found: dict[str, Result] = {}
    for result in results:
        key = f"{result.bench} {sorted(result.about.options.items())!r}"
        found.pop(key, None)
        found[key] = result
    return list(found.values())


def judge(old: Result, new: Result) -> Iterator[Judgement]:
    """Every figure of both, in the order of the new one, then what only the old one has."""
    differs = difference(old, new)
    names = [name for name, value in new.flat.items() if is_number(value)]
    names += [name for name, value in old.flat.items() if is_number(value) and name not in new.flat]
    for name in names:
        if unit_of(name) is not None:
            yield _one(name, old, new, differs)


def difference(old: Result, new: Result) -> str:
    """Why two results cannot be judged against each other; empty when they can."""
    if old.about.options != new.about.options:
        return f"other options: {_differing(old.about.options, new.about.options)}"
    if not old.about.machine or not new.about.machine:
        return "the machine is not described"
    one = {name: old.about.machine.get(name) for name in MACHINE}
    two = {name: new.about.machine.get(name) for name in MACHINE}
    return "" if one == two else f"other machine: {_differing(one, two)}"


def _one(name: str, old: Result, new: Result, differs: str) -> Judgement:
    before, after = old.flat.get(name), new.flat.get(name)

    def say(verdict: str, why: str = "", change: float | None = None) -> Judgement:
        return Judgement(new.bench, name, before, after, change, needed, verdict, why)

    needed: float | None = None
    if not is_number(before) or not is_number(after):
        return say(NOT, "only the new result has it" if is_number(after) else "it is gone")
    assert isinstance(before, int | float)
    assert isinstance(after, int | float)
    if differs:
        return say(NOT, differs, _change(before, after))
    spreads = (noise_of(old, name), noise_of(new, name))
    if before == after:
        return say(WITHIN, change=0.0)
    change = _change(before, after)
    if change is None:
        return say(NOT, "it was 0")
    if None in spreads:
        return say(NOT, "the noise was not measured", change)
    needed = max(NOISE_TIMES * math.hypot(*(item or 0.0 for item in spreads)), CHANGE_MIN)
    if abs(change) <= needed:
        return say(WITHIN, change=change)
    way = better(new.bench, name) or better_of(name, new.flat)
    if way == UNKNOWN:
        return say(NOT, "nothing says which way is better", change)
    return say(BETTER if (change > 0) == (way == HIGHER) else WORSE, change=change)


def noise_of(result: Result, name: str) -> float | None:
    """The noise of a figure; None: not measured.

    A ratio that has none of its own has at most that of the two noisiest figures of its group (the
    words before "ratio") together.
    """
    own = result.noise(name)
    words = name.split("_")
    if own is not None or "ratio" not in words:
        return own
    group = words[: words.index("ratio")]
    near = [field for field in result.flat if field.split("_")[: len(group)] == group]
    known = sorted(found for field in near if (found := result.noise(field)) is not None)
    return math.hypot(*known[-2:]) if len(known) > 1 else None


def _change(before: float, after: float) -> float | None:
    return (after - before) / abs(before) if before else None


def _differing(one: dict[str, Any], two: dict[str, Any]) -> str:
    names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
    return ", ".join(f"{name} {one.get(name)!r}, now {two.get(name)!r}" for name in sorted(names))
