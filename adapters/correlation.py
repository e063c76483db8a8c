"""Requests that wait for their answer: what a caller gets, and what it is told otherwise.

A request id rises per session; the first event of a command echoes it.  Ids of queries never enter
the journal and live in a space of their own.  (architecture.md, decision 18)
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from core.drain import Group
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


class Answer(NamedTuple):
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
    def of(cls, group: Group, events: Rows) -> "Answer":
        """From the head of a group and its events."""
        return cls(
            group.sequence,
            events,
            group.truncated != 0,
            group.fill_count,
            group.filled_qty,
            group.fees,
        )


Outcome = Answer | GatewayError


class PendingCommand(NamedTuple):
    """A command that is on its way; ``done`` is called once, and must not fail."""

    deadline: float  # Of the event loop's clock.
    done: Callable[[Outcome], None]


@dataclass(slots=True)
class PendingQuery:
    """A query that is on its way; it has no effect, so it may be sent again to a new core."""

    slot: bytes
    future: "asyncio.Future[Rows]"
    parts: list[Rows] = field(default_factory=list)


class Correlation:
    """Commands and queries on their way, by request id."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None  # One for all commands.
        self.commands: dict[int, PendingCommand] = {}
        self.queries: dict[int, PendingQuery] = {}

    def expect(self, request_id: int, pending: PendingCommand) -> None:
        """A command is on its way; at its deadline its outcome is unknown."""
        self.commands[request_id] = pending
        if self._timer is None or pending.deadline < self._timer.when():
            self._set_timer(pending.deadline)

    def _set_timer(self, when: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else self._loop.call_at(when, self._fail_late)

    def _fail_late(self) -> None:
        """Tell those whose deadline has passed, and look again at the next one."""
        now = self._loop.time()
        late = [number for number, pending in self.commands.items() if pending.deadline <= now]
        for request_id in late:
            self.fail(request_id, OutcomeUnknown("no answer to the command in time"))
        waiting = (pending.deadline for pending in self.commands.values())
        self._set_timer(min(waiting, default=None))

    def answered(self, request_id: int, answer: Answer) -> None:
        """The events of a command are here; nobody waits for one that timed out or was repeated."""
        pending = self.commands.pop(request_id, None)
        if pending is not None:
            pending.done(answer)

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
        pending = self.commands.pop(request_id, None)
        if pending is not None:
            pending.done(error)

    def fail_sequenced(self, suspects: list[int], last: int) -> None:
        """Tell those of ``suspects`` up to ``last`` that only their events are lost."""
        text = "the command is in the journal, its events are no longer in the ring"
        for request_id in suspects:
            if request_id <= last:
                self.fail(request_id, OutcomeUnknown(text, sequenced=True))

    def fail_query(self, request_id: int, error: GatewayError) -> None:
        """Tell who waits for a query that there will be no answer."""
        pending = self.queries.pop(request_id, None)
        if pending is not None and not pending.future.done():
            pending.future.set_exception(error)

    def fail_all(self, text: str) -> None:
        """No answer will come any more."""
        self._set_timer(None)
        for request_id in list(self.commands):
            self.fail(request_id, OutcomeUnknown(text))
        for request_id in list(self.queries):
            self.fail_query(request_id, OutcomeUnknown(text))
