"""One DRAM access: a random pointer chase, the baseline where no naive kernel can run.

Every line of the region holds the address of the next one, in one cycle through all of them in
random order: no prefetcher knows where it goes, and each load waits for the one before.  512 MiB is
beyond every cache; huge pages are advised, so that it is not the page table that is measured.
"""

import re
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.jit import kernel
from core.memory import load_i64, region, view

CHASE_BYTES: Final = 512 << 20
LINE_BYTES: Final = 64
STEPS: Final = 200_000  # About 30 ms.
SEED: Final = 1


@kernel
def chase(address: int, steps: int) -> int:
    """Follow ``steps`` pointers from ``address`` on; where that ends."""
    for _ in range(steps):
        address = load_i64(address)
    return address


class Chase:
    """A region with one random cycle through all of its lines."""

    def __init__(self, size: int = CHASE_BYTES) -> None:
        self.size = size
        self._owner, base = region(size)
        count = size // LINE_BYTES
        order = np.random.default_rng(SEED).permutation(count)
        words = view(base, np.dtype(np.int64), size // 8)
        words[order * (LINE_BYTES // 8)] = base + np.roll(order, -1) * LINE_BYTES
        self._place = base + int(order[0]) * LINE_BYTES
        self.huge_bytes = huge_page_bytes(base)
        self.timed(1)  # Compiled.

    def timed(self, steps: int = STEPS) -> float:
        """ns of one access, over ``steps`` of them; goes on where the last one ended."""
        start = time.perf_counter_ns()
        self._place = chase(self._place, steps)
        return (time.perf_counter_ns() - start) / steps

    def about(self) -> dict[str, Any]:
        """What was chased through."""
        return {"chase_bytes": self.size, "chase_huge_page_bytes": self.huge_bytes}


def huge_page_bytes(address: int) -> int:
    """How much of the mapping at ``address`` the kernel has put into huge pages."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if bounds:
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside and line.startswith("AnonHugePages:"):
            return int(line.split()[1]) << 10
    return 0
