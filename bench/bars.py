"""The bars that the project set itself: which figure of which benchmark, and where it must lie.

One row each of "It must reach" of the plan for speed (two-core machine, medians, ratios to a
baseline of the same run).  A bar may ask for facts of the result (``facts``), and may be one
beyond the machine's own hiccups (``beyond``: the member of ``hiccups`` that is taken off first).
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bench.figures import HIGHER, LOWER
from bench.stored import Result, is_number

AT_MOST: Final = "≤"
AT_LEAST: Final = "≥"


class Bar(NamedTuple):
    """``field``: pattern of the whole name of a flat field; ``facts``: of options or flat fields, a
    text by pattern."""

    bench: str
    field: str
    sign: str
    limit: float
    what: str
    facts: tuple[tuple[str, Any], ...] = ()
    beyond: str = ""


class Met(NamedTuple):
    """A bar and the figure that it is held against."""

    bar: Bar
    field: str
    value: float
    is_reached: bool


def _book(flow: str, limit: float) -> tuple[Bar, Bar]:
    """The book alone over a flow: one of several in a result, or the only one."""
    what = f"book alone, {flow}, to the naive kernel"
    many = ((f"{flow}_risk", False), (f"{flow}_ids", False))
    one = (("flow", rf"{flow}(\.flow)?"), ("risk", False), ("ids", False))
    return (
        Bar("kernel", f"{flow}_ratio", AT_MOST, limit, what, many),
        Bar("kernel", "ratio", AT_MOST, limit, what, one),
    )


MIB: Final = 1 << 20
BARS: Final = (
    *(*_book("w1", 0.25), *_book("w2", 0.40), *_book("w4", 0.32)),
    Bar("kernel", r"resting_1000000_ratio_to_dram", AT_MOST, 0.35, "1 M resting, to a DRAM access"),
    Bar("kernel", r"instruments_10000_ratio_to_dram", AT_MOST, 0.5, "10,000 instruments, likewise"),
    Bar("kernel", r"resting_growth", AT_MOST, 2.5, "1 thousand to 1 million resting orders"),
    Bar("kernel", r"instruments_growth", AT_MOST, 3.0, "1 to 10,000 instruments"),
    Bar("kernel", r"(.+_)?risk_ratio", AT_MOST, 1.5, "holds, balances, fees, to the book alone"),
    Bar("kernel", r"(.+_)?ids_added_ns_per_id", AT_MOST, 35.0, "a client order id, 2 M remembered"),
    Bar("kernel", r"(.+_)?all_ns_per_command", AT_MOST, 60.0, "all, journal copy and checksum too"),
    Bar("pipeline", r"relaxed_p50_ns", AT_MOST, 3e3, "relaxed, round trip, one in flight"),
    Bar("pipeline", r"relaxed_p99_ns", AT_MOST, 10e3, "relaxed, round trip, one in flight"),
    Bar("pipeline", r"relaxed_saturation_commands_per_s", AT_LEAST, 3e6, "relaxed, saturation"),
    Bar("pipeline", r"relaxed_sustained_ratio", AT_LEAST, 0.8, "relaxed, 60 s, to the disk"),
    Bar("pipeline", r"sync_ratio", AT_MOST, 1.1, "sync, round trip to a raw write and sync"),
    Bar("pipeline", r"sync_saturation_ratio", AT_LEAST, 0.9, "sync, saturation to raw blocks"),
    Bar("pipeline", r"sync_saturation_commands_per_s", AT_LEAST, 1e6, "sync, if the disk allows"),
    Bar(
        *("pipeline", r"relaxed_half_p99_ns", AT_MOST, 100e3),
        "half of saturation, beyond hiccups",
        beyond="p99_ns",
    ),
    Bar(
        *("pipeline", r"relaxed_half_p99_9_ns", AT_MOST, 1e6),
        "half of saturation, beyond hiccups",
        beyond="p99_9_ns",
    ),
    Bar("http", r"relaxed_1_ratio", AT_LEAST, 0.6, "1 connection, to a bare handler"),
    Bar("http", r"relaxed_(16|100)_ratio", AT_LEAST, 0.7, "16, 100 connections, likewise"),
    Bar("http", r"relaxed_100_orders_per_s", AT_LEAST, 15e3, "orders a second, relaxed"),
    Bar("http", r"sync_100_orders_per_s", AT_LEAST, 10e3, "orders a second, sync"),
    Bar("stages", r"ratio", AT_MOST, 1.05, "stamping, ns per command to without"),
    Bar("managed", r"end_private_bytes", AT_MOST, 704 * MIB, "private memory of the core"),
    Bar("ring", r"ratio", AT_MOST, 2.0, "hop to a bare ping-pong of two words"),
    Bar("readers", r"(running_)?ratio", AT_MOST, 1.05, "ns per command beside readers"),
    Bar("resume", r"events_per_s", AT_LEAST, 2e6, "events a second out of the archive"),
    Bar("replay", r"commands_per_s", AT_LEAST, 6e6, "commands a second, replayed"),
    Bar("replay", r"archived_commands_per_s", AT_LEAST, 4e6, "commands a second, archived too"),
)


def better(bench: str, name: str) -> str:
    """Which way a figure that has a bar is better; "" when it has none."""
    for bar in BARS:
        if bar.bench == bench and re.fullmatch(bar.field, name):
            return LOWER if bar.sign == AT_MOST else HIGHER
    return ""


def held(result: Result) -> Iterator[Met]:
    """Every bar that the result can be held against."""
    facts = result.about.options | result.flat
    for bar in BARS:
        if bar.bench != result.bench or not all(_is(facts.get(k), v) for k, v in bar.facts):
            continue
        for name, value in result.flat.items():
            if not is_number(value) or not re.fullmatch(bar.field, name):
                continue
            assert isinstance(value, int | float)
            met = _met(bar, name, value, result)
            if met is not None:
                yield met


def _is(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return isinstance(found, str) and re.fullmatch(wanted, found) is not None
    return bool(found == wanted)


def _met(bar: Bar, name: str, value: float, result: Result) -> Met | None:
    if bar.beyond:
        if result.about.hiccups is None:
            return None
        value = max(value - float(getattr(result.about.hiccups, bar.beyond)), 0.0)
    reached = value <= bar.limit if bar.sign == AT_MOST else value >= bar.limit
    return Met(bar, name, value, reached)
