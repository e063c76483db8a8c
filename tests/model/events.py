"""Events of the twin: every field of an event, kinds and reasons as words, flags as a number."""

from typing import Final, NamedTuple

LAST: Final = 1
SELL_SIDE: Final = 2
MAKER: Final = 4
RESTS: Final = 8
PRIORITY_KEPT: Final = 16
GONE: Final = 64

FLAG_NAMES: Final = (
    (LAST, "LAST"),
    (SELL_SIDE, "SELL"),
    (MAKER, "MAKER"),
    (RESTS, "RESTS"),
    (PRIORITY_KEPT, "PRIORITY_KEPT"),
    (GONE, "GONE"),
)


class Event(NamedTuple):
    """One fact; ``reason`` is "" where there is none."""

    sequence: int = 0
    timestamp_ns: int = 0
    order_id: int = 0
    price: int = 0
    qty: int = 0
    leaves: int = 0
    cum: int = 0
    cum_notional: int = 0
    fee: int = 0
    index: int = 0  # type: ignore[assignment]  # Hides tuple.index, which nobody calls.
    session: int = 0
    account: int = 0
    instrument: int = 0
    reason: str = ""
    kind: str = ""
    flags: int = 0
    client_order_id: str = ""

    def words(self) -> str:
        """The kind, the flags and every field that is not zero, for people."""
        flags = "+".join(name for bit, name in FLAG_NAMES if self.flags & bit) or "-"
        shown = " ".join(
            f"{name}={value}"
            for name, value in zip(self._fields, self, strict=True)
            if value and name not in ("kind", "flags")
        )
        return f"{self.kind} [{flags}] {shown}"


class Rejected(Exception):
    """A rule says no: its reason, the limit and the value that broke it."""

    def __init__(self, reason: str, limit: int = 0, value: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.limit = limit
        self.value = value
        self.order_id = 0  # Of the target, once it was found.
