"""Requests that wait for their answer: what a caller gets, and what it is told otherwise.

A request id rises per session; the first event of a command echoes it.  Ids of queries never enter
the journal and live in a space of their own.  (architecture.md, decision 18)
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.messages import LAST

Rows = np.ndarray[Any, Any]


class GatewayError(Exception):
    """The gateway could not do what it was asked."""


class RingFull(GatewayError):
    """The inbound ring has no room: the request was not sent and never will be executed."""


class CoreAway(GatewayError):
    """The core is not there: the request was never executed and never will be."""


class OutcomeUnknown(GatewayError):
    """No answer came; a command may be, or (``sequenced``) is, in the journal: do not repeat it."""

    def __init__(self, text: str, *, sequenced: bool = False) -> None:
        super().__init__(text)
        self.sequenced = sequenced


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one command.

    ``events``: the first event, then those of the command's account and of this gateway's sessions,
    in order, and always the last one.  ``truncated``: some are left out (more than
    FILLS_ANSWERED_MAX fills); the last fill of the taker is there and the totals are complete.
    """

    sequence: int
    events: Rows
    truncated: bool
    fill_count: int  # Fills of the taker.
    filled_qty: int  # Lots.
    fees: int  # Quote units, of the taker in these fills; negative: received.

    @classmethod
    def of(cls, group: Any, events: Rows) -> "Answer":
        """From a GROUP row and its events."""
        return cls(
            int(group["sequence"]),
            events,
            bool(group["truncated"]),
            int(group["fill_count"]),
            int(group["filled_qty"]),
            int(group["fees"]),
        )


@dataclass(slots=True)
class PendingQuery:
    """A query that is on its way; it has no effect, so it may be sent again to a new core."""

    slot: bytes
    future: "asyncio.Future[Rows]"
    parts: list[Rows] = field(default_factory=list)


class Correlation:
    """Commands and queries on their way, by request id."""

    def __init__(self) -> None:
        self.commands: dict[int, asyncio.Future[Answer]] = {}
        self.queries: dict[int, PendingQuery] = {}

    def answered(self, request_id: int, answer: Answer) -> None:
        """The events of a command are here; nobody waits for one that timed out or was repeated."""
        future = self.commands.pop(request_id, None)
        if future is not None and not future.done():
            future.set_result(answer)

    def replied(self, replies: Rows) -> None:
        """Hand replies to their queries; an answer is complete with the slot that has LAST."""
        ids = replies["request_id"].tolist()
        ends = (replies["flags"] & LAST).tolist()
        first = 0
        for place, request_id in enumerate(ids):
            is_last = place + 1 == len(ids)
            if not ends[place] and not is_last and ids[place + 1] == request_id:
                continue
            pending = self.queries.get(request_id)
            if pending is not None:
                pending.parts.append(replies[first : place + 1])
                if ends[place]:
                    del self.queries[request_id]
                    if not pending.future.done():
                        pending.future.set_result(np.concatenate(pending.parts))
            first = place + 1

    def fail(self, request_id: int, error: GatewayError) -> None:
        """Tell who waits for a command that there will be no answer."""
        future = self.commands.pop(request_id, None)
        if future is not None and not future.done():
            future.set_exception(error)

    def fail_query(self, request_id: int, error: GatewayError) -> None:
        """Tell who waits for a query that there will be no answer."""
        pending = self.queries.pop(request_id, None)
        if pending is not None and not pending.future.done():
            pending.future.set_exception(error)

    def fail_all(self, text: str) -> None:
        """No answer will come any more."""
        for request_id in list(self.commands):
            self.fail(request_id, OutcomeUnknown(text))
        for request_id in list(self.queries):
            self.fail_query(request_id, OutcomeUnknown(text))
