"""The hiccup meter: a loop that does nothing but read the clock, beside a plan of one moment a µs.

Whatever takes the processor away (another process, an interrupt, the hypervisor) makes the loop see
planned moments late.  A stall of a millisecond is a thousand late moments, as it would be a
thousand late orders; so these figures are the floor of any latency in open loop taken beside them.
"""

from typing import Any, Final

import numpy as np

from bench.samples import Samples, add, percentiles
from core.jit import kernel
from core.libc import clock_monotonic_ns

INTERVAL_NS: Final = 1_000
CAPACITY: Final = 1 << 20


@kernel
def watch(samples: int, moments: int) -> int:
    """How late each of the next ``moments`` planned moments is seen; when that ended."""
    now_ns = clock_monotonic_ns()
    planned_ns = now_ns + INTERVAL_NS
    for _ in range(moments):
        while now_ns < planned_ns:
            now_ns = clock_monotonic_ns()
        add(samples, now_ns - planned_ns)
        planned_ns += INTERVAL_NS
    return now_ns


class HiccupMeter:
    """Watches when it is told to, in the calling thread, on the processor it is pinned to."""

    def __init__(self) -> None:
        self._samples = Samples(CAPACITY)
        watch(self._samples.address, 0)  # Compiled before it is used.
        self._late: list[Any] = []

    def watch(self, seconds: float) -> None:
        """Watch for that long."""
        left = max(int(seconds * 1e9) // INTERVAL_NS, 1)
        while left:
            moments = min(left, CAPACITY)
            watch(self._samples.address, moments)
            self._late.append(self._samples.values)
            self._samples.clear()
            left -= moments

    def result(self) -> dict[str, int]:
        """Beyond the usual delay (the median, which is the clock's own): as a result has it."""
        late = np.concatenate(self._late)
        beyond = np.maximum(late - int(np.median(late)), 0)
        return percentiles(beyond) | {"samples": len(beyond)}


def measure(seconds: float) -> dict[str, int]:
    """Watch once for ``seconds``; nanoseconds beyond the usual delay."""
    meter = HiccupMeter()
    meter.watch(seconds)
    return meter.result()
