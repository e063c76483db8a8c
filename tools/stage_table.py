"""The table stage x percentile, for people: ``outcry top``, ``outcry bench stages``."""

from collections.abc import Sequence
from typing import Any, Final

Row = dict[str, Any]
Cells = tuple[str, ...]

COLUMNS: Final = {
    "p50_ns": "p50",
    "p90_ns": "p90",
    "p99_ns": "p99",
    "p99_9_ns": "p99.9",
    "max_ns": "max",
}
SHORT_NS: Final = 10_000


def cells(rows: Sequence[Row]) -> list[Cells]:
    """Rows of text, the head first."""
    return [
        ("", *COLUMNS.values(), "commands"),
        *(
            (row["stage"], *(duration(row[name]) for name in COLUMNS), f"{row['count']:,}")
            for row in rows
        ),
    ]


def lines(rows: Sequence[Row]) -> list[str]:
    """The table as lines."""
    return [f"{row[0]:<14}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in cells(rows)]


def duration(nanoseconds: int) -> str:
    """With the unit in which it has few digits."""
    for unit, size in (("ms", 1_000_000), ("us", 1_000)):
        if nanoseconds >= SHORT_NS * size // 1_000:
            return f"{nanoseconds / size:,.0f} {unit}"
    return f"{nanoseconds:,} ns"
