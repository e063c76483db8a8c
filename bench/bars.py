"""The bars that the project set itself: which figure of which benchmark, and where it must lie.

One row each of "It must reach" of the plan for speed (two-core machine, medians, ratios to a
baseline of the same run).  A bar may ask for facts of the result (``facts``), and may be one
beyond the machine's own hiccups (``beyond``: the member of ``hiccups`` that is taken off first).
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bench.stored import Result, is_number

AT_MOST: Final = "≤"
AT_LEAST: Final = "≥"


class Bar(NamedTuple):
    """``field``: pattern of the whole name of a flat field."""

    bench: str
    field: str
    sign: str
    limit: float
    what: str
    facts: dict[str, Any] = {}  # noqa: RUF012 - never written to.
    beyond: str = ""


class Met(NamedTuple):
    """A bar and the figure that it is held against."""

    bar: Bar
    field: str
    value: float
    is_reached: bool


BOOK: Final = {"no_risk": True}
RELAXED: Final = {"durability": "relaxed"}
SYNC: Final = {"durability": "sync"}

BARS: Final = (
    Bar("kernel", r"w1_ratio", AT_MOST, 0.25, "book alone, w1, to the naive kernel", BOOK),
    Bar("kernel", r"w2_ratio", AT_MOST, 0.40, "book alone, w2, to the naive kernel", BOOK),
    Bar("kernel", r"w4_ratio", AT_MOST, 0.32, "book alone, w4, to the naive kernel", BOOK),
    Bar("ring", r"ratio", AT_MOST, 2.0, "hop to a bare ping-pong of two words"),
    Bar("readers", r"(running_)?ratio", AT_MOST, 1.05, "ns per command beside readers"),
    Bar("resume", r"events_per_s", AT_LEAST, 2e6, "events a second out of the archive"),
    Bar("replay", r"commands_per_s", AT_LEAST, 6e6, "commands a second, replayed"),
    Bar("replay", r"archived_commands_per_s", AT_LEAST, 4e6, "commands a second, archived too"),
)


def held(result: Result) -> Iterator[Met]:
    """Every bar that the result can be held against."""
    facts = result.about.options | result.flat
    for bar in BARS:
        if bar.bench != result.bench or any(facts.get(k) != v for k, v in bar.facts.items()):
            continue
        for name, value in result.flat.items():
            if not is_number(value) or not re.fullmatch(bar.field, name):
                continue
            assert isinstance(value, int | float)
            met = _met(bar, name, value, result)
            if met is not None:
                yield met


def _met(bar: Bar, name: str, value: float, result: Result) -> Met | None:
    if bar.beyond:
        if result.about.hiccups is None:
            return None
        value = max(value - float(getattr(result.about.hiccups, bar.beyond)), 0.0)
    reached = value <= bar.limit if bar.sign == AT_MOST else value >= bar.limit
    return Met(bar, name, value, reached)
