"""When the request that is worked on was read, and which command it became: for ``core.stages``.

Whoever reads requests calls ``begin`` for each; the gateway finds it in its caller's context.
"""

import time
from contextvars import ContextVar


class Stamp:
    """One request."""

    __slots__ = ("in_ns", "sequence")

    def __init__(self, in_ns: int) -> None:
        self.in_ns = in_ns  # CLOCK_MONOTONIC.
        self.sequence = 0  # Of its newest command that was answered; 0: it sent none.


_CURRENT: ContextVar[Stamp | None] = ContextVar("stamp", default=None)


def begin(in_ns: int = 0) -> Stamp:
    """A request was read at ``in_ns`` (0: now), and this task works on it from here on."""
    stamp = Stamp(in_ns or time.monotonic_ns())
    _CURRENT.set(stamp)
    return stamp


def current() -> Stamp | None:
    """The request that this task works on; None when it is none."""
    return _CURRENT.get()
