"""What the name of a flat field says: its unit, which way is better, its baseline, how it is shown.

Names carry their units (contract of the command line): ``ns_per_command``, ``p99_9_ns``,
``commands_per_s``, ``resident_bytes``, ``w1_ratio``.  A field without a unit is a fact of the run.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from bench.stored import is_number

BASELINE: Final = "baseline"
LOWER: Final = "lower"
HIGHER: Final = "higher"
UNKNOWN: Final = ""
TIMES: Final = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
BYTES: Final = {
    "bytes": 1.0,
    "kib": 1024.0,
    "mib": 1048576.0,
    "gib": 1073741824.0,
    "mb": 1e6,
    "gb": 1e9,
}
# Counts that should be none.
FAULTS: Final = frozenset({"faults", "late", "lost", "errors", "allocations", "increfs"})


class Unit(NamedTuple):
    """``kind``: time, rate, size, ratio, percent, count; ``factor`` to ns or bytes."""

    kind: str
    better: str
    factor: float = 1.0
    what: str = ""  # Of a rate: what a second; of a time: per what.


def unit_of(name: str) -> Unit | None:
    """The unit that a name carries; None: a fact."""
    words = name.split("_")
    if "ratio" in words:
        return Unit("ratio", UNKNOWN)
    if words[-1] == "growth":
        return Unit("ratio", LOWER)
    if "per" in words[1:]:
        place = words.index("per", 1)
        above, below = words[place - 1], words[place + 1 : place + 2]
        if above in TIMES:
            return Unit("time", LOWER, TIMES[above], "".join(below))
        if below == ["s"]:
            return Unit("rate", HIGHER, BYTES.get(above, 1.0), above)
        if above in BYTES:
            return Unit("size", LOWER, BYTES[above], "".join(below))
    for word in reversed(words[1:]):
        if word in TIMES:
            return Unit("time", LOWER, TIMES[word])
        if word in BYTES:
            return Unit("size", LOWER, BYTES[word])
        if word == "percent":
            return Unit("percent", LOWER)
    if words[-1] in FAULTS:
        return Unit("count", LOWER)
    return None


def is_baseline(name: str) -> bool:
    """Whether a figure is of the baseline: it says how the machine was, not how we are."""
    return BASELINE in name.split("_")


def baseline_of(name: str, flat: Mapping[str, Any]) -> str:
    """The field of the baseline of ``name``: the same words and "baseline"; empty: none."""
    words = name.split("_")
    if is_baseline(name):
        return ""
    for place in range(len(words)):
        candidate = "_".join([*words[:place], BASELINE, *words[place:]])
        if is_number(flat.get(candidate)):
            return candidate
    return ""


def better_of(name: str, flat: Iterable[str]) -> str:
    """Which way a figure is better.  A ratio is better as what it is a ratio of.

    That is what the baselines say whose name begins as the ratio's; "" when they disagree.
    """
    unit = unit_of(name)
    if unit is None or unit.better != UNKNOWN:
        return unit.better if unit else UNKNOWN
    names = [field for field in flat if is_baseline(field)]
    words = name.split("_")
    for length in range(words.index("ratio"), -1, -1):
        near = [field for field in names if field.split("_")[:length] == words[:length]]
        ways = {found.better for field in near if (found := unit_of(field))}
        if len(ways) == 1:
            return ways.pop()
    return UNKNOWN


def shown(value: Any, unit: Unit | None) -> str:
    """A value for people, with its unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    if not is_number(value):
        return str(value)
    if unit is None or unit.kind == "count":
        return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
    if unit.kind == "time":
        return time_text(value * unit.factor)
    if unit.kind == "size":
        return _scaled(value * unit.factor, 1024.0, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit.kind == "rate" and unit.what in BYTES:
        return _scaled(value * unit.factor, 1024.0, ("B", "KiB", "MiB", "GiB")) + "/s"
    if unit.kind == "rate":
        return _scaled(float(value), 1000.0, ("", "k", "M", "G")).strip() + "/s"
    return f"{value:.3g} %" if unit.kind == "percent" else f"{value:.3g} x"


def time_text(nanoseconds: float) -> str:
    """A time by the unit that fits: 812 ns, 3.25 µs, 1.4 ms, 2.1 s."""
    return _scaled(nanoseconds, 1000.0, ("ns", "µs", "ms", "s"))


def _scaled(value: float, base: float, names: tuple[str, ...]) -> str:
    sign, size, place = ("-" if value < 0 else ""), abs(value), 0
    while size >= base * 0.9995 and place < len(names) - 1:
        size, place = size / base, place + 1
    digits = f"{size:.3g}" if size < 999.5 else f"{size:,.0f}"
    return f"{sign}{digits} {names[place]}"
