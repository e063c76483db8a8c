"""What a check found: good, slower than need be or soon a fault, a fault, or nothing to look at."""

from typing import Final, NamedTuple

OK: Final = "ok"
WARN: Final = "warn"  # It works; it is slower, or less safe, than it could be.
FAIL: Final = "fail"  # A start would be refused, or a promise would not hold.
SKIP: Final = "skip"  # There is nothing to look at here, or it cannot be seen.
VERDICTS: Final = (OK, WARN, FAIL, SKIP)


class Found(NamedTuple):
    """The outcome of one check; ``mend`` is empty when there is nothing to mend."""

    verdict: str
    found: str
    mend: str = ""
    name: str = ""  # Filled in from the name of the function.


def ok(found: str) -> Found:
    """Good."""
    return Found(OK, found)


def warn(found: str, mend: str) -> Found:
    """It works, and would be better otherwise."""
    return Found(WARN, found, mend)


def fail(found: str, mend: str) -> Found:
    """It does not work, or a promise does not hold."""
    return Found(FAIL, found, mend)


def skip(found: str) -> Found:
    """Nothing to look at, and why."""
    return Found(SKIP, found)


def size_text(size: int) -> str:
    """Bytes for people: 512 KiB, 1.5 GiB."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1_024:
            break
        value, unit = value / 1_024, larger
    return f"{value:.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"


def time_text(nanoseconds: float) -> str:
    """A duration for people: 850 ns, 12 us, 3.4 ms, 2.0 s."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            value = nanoseconds / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{nanoseconds:.0f} ns"
