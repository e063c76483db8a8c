"""Nanoseconds that a compiled loop stores one by one; figures and curves are made afterwards.

The array is there, and its pages touched, before a run begins.  The histogram is filled from it
when the run is over, so that nothing but one store is added to what is measured.
"""

from typing import Any, Final

import numpy as np
from hdrh.histogram import HdrHistogram

from core.jit import inlined, kernel
from core.layout import record
from core.memory import pointer, store_i64

Array = np.ndarray[Any, Any]
SHARES: Final = {"p50_ns": 50.0, "p99_ns": 99.0, "p99_9_ns": 99.9}
CURVE: Final = (0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100)
HIGHEST_NS: Final = 3_600_000_000_000
DIGITS: Final = 3  # Of a value in a histogram.

SAMPLES: Final = record(
    "where a compiled loop stores its samples",
    128,
    [
        ("values", "<i8"),  # Address.
        ("capacity", "<i8"),
        ("count", "<i8"),
        ("dropped", "<i8"),  # Came when there was no room.
        ("reserved", "<i8", (12,)),
    ],
)
_samples_at = pointer(SAMPLES)


@inlined
def add(samples: int, value_ns: int) -> None:
    """Store one; what does not fit is counted."""
    row = _samples_at(samples)
    if row.count < row.capacity:
        store_i64(row.values + 8 * row.count, value_ns)
        row.count += 1
    else:
        row.dropped += 1


@kernel
def store(samples: int, value_ns: int) -> None:
    """``add`` for Python code."""
    add(samples, value_ns)


class Samples:
    """Room for ``capacity`` samples; ``address`` is what ``add`` takes."""

    def __init__(self, capacity: int) -> None:
        self._values = np.ones(capacity, np.int64)  # Ones: zeros would not be touched.
        self._record = np.zeros(1, SAMPLES)
        self._record["values"] = self._values.ctypes.data
        self._record["capacity"] = capacity
        self.address = int(self._record.ctypes.data)

    @property
    def values(self) -> Array:
        """A copy of what was stored, in the order in which it came; ValueError if some was not."""
        dropped = int(self._record["dropped"][0])
        if dropped:
            raise ValueError(f"samples: expected at most {len(self._values)}, {dropped} more came")
        return self._values[: int(self._record["count"][0])].copy()

    def clear(self) -> None:
        """Forget what was stored."""
        self._record["count"] = self._record["dropped"] = 0


def percentiles(values: Array, prefix: str = "") -> dict[str, int]:
    """p50, p99, p99.9 and the largest, each a value that was measured.  ValueError: none was."""
    if not len(values):
        raise ValueError("samples: expected at least one, got none")
    shares = np.percentile(values, list(SHARES.values()), method="inverted_cdf")
    found = dict(zip(SHARES, shares.tolist(), strict=True)) | {"max_ns": int(values.max())}
    return {prefix + name: int(value) for name, value in found.items()}


def histogram(values: Array) -> Any:
    """An HdrHistogram of all values, each to three digits."""
    made = HdrHistogram(1, HIGHEST_NS, DIGITS)
    found, counts = np.unique(np.clip(values, 1, HIGHEST_NS), return_counts=True)
    for value, count in zip(found.tolist(), counts.tolist(), strict=True):
        made.record_value(value, count)
    return made


def curve(name: str, values: Array) -> dict[str, Any]:
    """The percentile curve of a result: [percentile, nanoseconds] up to the largest."""
    filled = histogram(values)
    points = [[share, int(filled.get_value_at_percentile(share))] for share in CURVE]
    return {"name": name, "unit": "ns", "points": points}
