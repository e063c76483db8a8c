"""A core that serves allocates nothing, compiles nothing and misses no page: how, and the counters
that show it.
"""

import gc
import resource
from collections.abc import Callable
from typing import Any, Final

from core import clock
from core.counters import (
    FROZEN_OBJECTS,
    LATE_KERNELS,
    MAJOR_FAULTS,
    MINOR_FAULTS,
    count,
    gauge,
    value_of,
)
from core.jit import freeze, late, load
from core.journal.appender import append_block, has_room, write_special
from core.sequencer.sequencer import push_answer, show_state, turn

# What Python calls once the core serves, with the number of arguments.
KERNELS: Final[dict[Callable[..., Any], int]] = {
    turn: 1,
    show_state: 1,
    push_answer: 2,
    append_block: 5,
    write_special: 5,
    has_room: 2,
    count: 3,
    gauge: 3,
    value_of: 2,
    clock.monotonic_ns: 0,
    clock.realtime_ns: 0,
}


class Quiet:
    """Make it before the core says that it is ready; ``begin`` after that."""

    def __init__(self, words: int) -> None:
        """``words``: address of the counters.  From here on the collector of cycles is off, and
        what lives now is not looked at when the process ends."""
        self._words = words
        for kernel, arguments in KERNELS.items():
            load(kernel, arguments)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._frozen = gc.get_freeze_count()  # It counts them one by one.
        self._faults = (0, 0)

    def begin(self) -> None:
        """The core serves: from here on everything counts."""
        freeze()
        self._faults = _faults()
        self.show()

    def show(self) -> None:
        """The counters as they are now."""
        major, minor = _faults()
        gauge(self._words, MAJOR_FAULTS, major - self._faults[0])
        gauge(self._words, MINOR_FAULTS, minor - self._faults[1])
        gauge(self._words, LATE_KERNELS, late())
        gauge(self._words, FROZEN_OBJECTS, 0 if gc.isenabled() else self._frozen)


def _faults() -> tuple[int, int]:
    """Major and minor page faults of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_majflt, usage.ru_minflt
