"""The only module that reads time.  Nanoseconds as int64, from compiled code and from Python."""

from core.jit import kernel
from core.libc import clock_monotonic_ns, clock_realtime_ns, nanosleep


@kernel
def realtime_ns() -> int:
    """Wall clock: nanoseconds since the Unix epoch, UTC.  May jump; the sequencer smooths it."""
    return clock_realtime_ns()  # type: ignore[no-any-return]


@kernel
def monotonic_ns() -> int:
    """A clock that never goes back: for durations and deadlines."""
    return clock_monotonic_ns()  # type: ignore[no-any-return]


@kernel
def sleep_ns(duration_ns: int) -> int:
    """Sleep; 0, or minus EINTR when a signal came first."""
    return nanosleep(duration_ns)  # type: ignore[no-any-return]
