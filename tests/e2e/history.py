"""What clients of an exchange wrote down: every attempt, and what they were told of it."""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

PLACE: Final = "place"
REPLACE: Final = "replace"
CANCEL: Final = "cancel"

# What an attempt tells its client, by api.md: executed now, executed before, no (this attempt did
# nothing, and uses no id up), no for good (a journaled reject: it uses the id up), or nothing.
FRESH: Final = "fresh"
REPEATED: Final = "repeated"
NEVER: Final = "never"
REJECTED: Final = "rejected"
UNKNOWN: Final = "unknown"

JOURNALED: Final = frozenset({"order_rejected", "cannot_cancel", "command_rejected"})


class Attempt(NamedTuple):
    """One request and its answer; status 0 when the connection broke."""

    status: int
    body: dict[str, Any]
    replayed: bool
    sent_s: float = 0.0  # Before the request went out, on one clock for all clients.
    told_s: float = 0.0  # After the answer came.

    @property
    def told(self) -> str:
        """What the client may conclude."""
        if self.status in (0, 500, 504):
            return UNKNOWN
        if self.status in (200, 201):
            return REPEATED if self.replayed else FRESH
        return REJECTED if self.body.get("code") in JOURNALED else NEVER


@dataclass
class Command:
    """Something that a client wants done once, under one client order id."""

    user: str
    kind: str
    cid: str
    body: dict[str, Any]
    target: str = ""  # Order id, of a cancel or replace.
    attempts: list[Attempt] = field(default_factory=list)

    def seen(self) -> list[str]:
        """What its client was told, in order."""
        return [attempt.told for attempt in self.attempts]

    def answers(self) -> list[Attempt]:
        """The attempts that were executed, now or before."""
        return [attempt for attempt in self.attempts if attempt.told in (FRESH, REPEATED)]


@dataclass
class View:
    """What the exchange says afterwards."""

    looked_up: dict[tuple[str, str], Attempt]  # By user and client order id.
    open_orders: dict[str, list[dict[str, Any]]]  # By user.
    balances: dict[str, dict[str, dict[str, str]]]  # By user and asset.
    positions: dict[str, dict[str, str]]  # By user: that of the one instrument.
    book: dict[str, Any]
