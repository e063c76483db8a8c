"""A process that needs one compiled kernel: prints how many it compiled, and its answer."""

import sys
import time

from core.jit import kernel
from tools.compile import ensure_compiled, misses


@kernel
def add(left: int, right: int) -> int:
    """A kernel to compile."""
    return left + right


def warm() -> None:
    """Slow enough that processes which start together meet."""
    add(1, 2)
    time.sleep(0.5)


if __name__ == "__main__":
    report = ensure_compiled(warm)
    answer = add(20, 22)
    sys.stdout.write(f"{report.compiled} {misses()} {answer}\n")
