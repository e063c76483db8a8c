"""How long each command takes by itself: one engine call a command, a clock read after each.

A call a command costs more than its share of a batch (no prefetch over the batch, a call and a
clock read each), so these percentiles lie above ``ns_per_command``; ``clock_ns`` is what the clock
alone adds to each.
"""

from typing import Any, Final

import numpy as np

from core.constants import SLOT_BYTES
from core.jit import call_entry, kernel
from core.libc import clock_monotonic_ns
from core.memory import store_i64

SHARES: Final = {"p50_ns": 50.0, "p99_ns": 99.0, "p99_9_ns": 99.9}
CURVE: Final = (0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0)
CLOCK_READS: Final = 20_000


@kernel
def stamped(engine: int, state_address: int, commands: int, end: int, stamps: int) -> None:
    """Apply the commands at ``commands`` up to ``end``, one slot each; when each was done goes to
    ``stamps``, after when the first began.  ``engine``: entry of ``apply_batch``."""
    store_i64(stamps, clock_monotonic_ns())
    while commands < end:
        call_entry(engine, state_address, commands, 1)
        stamps += 8
        store_i64(stamps, clock_monotonic_ns())
        commands += SLOT_BYTES


@kernel
def clock_reads(stamps: int, count: int) -> None:
    """As ``stamped``, without the commands."""
    for place in range(count):
        store_i64(stamps + 8 * place, clock_monotonic_ns())


def percentiles(engine: int, state_address: int, commands: int, end: int) -> dict[str, Any]:
    """Apply the commands between two addresses; percentiles of the time of one, their curve, and
    the clock's own time."""
    stamps = np.zeros((end - commands) // SLOT_BYTES + 1, np.int64)
    stamped(engine, state_address, commands, commands, stamps.ctypes.data)  # Compiled before.
    stamped(engine, state_address, commands, end, stamps.ctypes.data)
    taken_ns = np.diff(stamps)
    reads = np.zeros(CLOCK_READS, np.int64)
    clock_reads(reads.ctypes.data, 1)
    clock_reads(reads.ctypes.data, CLOCK_READS)
    found = {name: int(np.percentile(taken_ns, share)) for name, share in SHARES.items()}
    points = [[share, int(value)] for share, value in zip(CURVE, curve_of(taken_ns), strict=True)]
    return found | {
        "max_ns": int(taken_ns.max()),
        "clock_ns": int(np.median(np.diff(reads))),
        "curves": [{"name": "one command", "unit": "ns", "points": points}],
    }


def curve_of(taken_ns: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Values that were measured, at the percentiles of CURVE."""
    return np.asarray(np.percentile(taken_ns, CURVE, method="higher"))
