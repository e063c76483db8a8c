"""A gateway over the real engine in this process: no rings, no journal, the same answers."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from adapters.gateway import Answer, Outcome
from adapters.stamps import Stamp
from core import messages
from core.limits import SMALL
from core.messages import COMMAND, EVENT, NAME_REPLY, QUERY, REPLY
from core.sequencer.runner import Runner
from tests.adapters.http.fake_gateway import submit
from tests.driver import ID_KEY

Rows = np.ndarray[Any, Any]
SESSION = 1 << 24 | 1
START_NS = 1_763_650_000_000_000_000


class EngineGateway:
    """What ``adapters.http.exchange.Link`` asks for."""

    epoch = 1
    durability = "sync"
    ready = True

    def __init__(self) -> None:
        self.runner = Runner(SMALL, ID_KEY)
        self.submitted = 0
        self.archived: dict[int, Rows] = {}
        self.commands: dict[int, Rows] | None = {}  # The events of each; None: no archive.
        self.sequence = 0
        self.later_ns = 0  # How much later it is than commands alone would make it.
        self._request_id = 0
        self._publish: Callable[[Rows], None] = lambda _events: None

    def counters(self) -> dict[str, int]:
        return {}

    def written(self, stamp: Stamp) -> None:
        pass

    def stages(self, commands_max: int) -> list[dict[str, Any]] | None:
        return None

    def on_lapped(self, callback: Callable[[], None]) -> None:
        pass

    def on_gap(self, callback: Callable[[], None]) -> None:
        pass

    async def order_events(self, order_id: int, bytes_max: int) -> Rows | None:
        return self.archived.get(order_id) if bytes_max else None

    async def command_events(self, sequence: int, count: int) -> Rows | None:
        if self.commands is None:
            return None
        return self.commands.get(sequence, np.zeros(0, EVENT))[:count]

    def on_events(
        self,
        callback: Callable[[Rows], None],
        kinds: Iterable[int],
        *,
        history: bool = False,
        after: tuple[int, int] | None = None,
    ) -> None:
        self._publish = callback

    async def close(self) -> None:
        pass

    async def command(self, slots: bytes, timeout_s: float) -> Answer:
        await asyncio.sleep(0)
        self.sequence += 1
        self._request_id += 1
        rows = np.frombuffer(slots, COMMAND).copy()
        rows["sequence"][0] = self.sequence
        rows["timestamp_ns"][0] = START_NS + self.later_ns + self.sequence * 1_000
        rows["request_id"][0] = self._request_id
        rows["session"][0], rows["gateway"][0] = SESSION, 1
        assert self.runner.apply(rows.view(np.uint8)) == 1
        events = self.runner.events().copy()
        self.runner.check()
        assert events["fee"][0] == self._request_id
        assert events["flags"][-1] & messages.LAST
        self._publish(events)
        if self.commands is not None:
            self.commands[self.sequence] = events
        own = (events["kind"] == messages.FILL) & (events["order_id"] == events["order_id"][0])
        fills = events[own]
        return Answer(
            sequence=self.sequence,
            events=events,
            truncated=False,
            fill_count=len(fills),
            filled_qty=int(fills["qty"].sum()),
            fees=int(fills["fee"].sum()),
        )

    async def wait(self, later_ns: int) -> Rows:
        """Let time pass, and what is due with it, as the sequencer does; the events."""
        self.later_ns += later_ns
        slot = np.zeros(1, COMMAND)
        slot["kind"], slot["schema"], slot["slots"] = messages.TIME, messages.SCHEMA, 1
        return (await self.command(slot.tobytes(), 1)).events

    def submit(
        self, slots: bytes, timeout_s: float, done: Callable[[Outcome], None], in_ns: int = 0
    ) -> None:
        submit(self, slots, timeout_s, done)

    def deliver_events(self) -> None:
        pass

    async def query(self, query: bytes, timeout_s: float) -> Rows:
        await asyncio.sleep(0)
        row = np.frombuffer(query, QUERY).copy()
        if row["kind"][0] == messages.QUERY_STATE:
            reply = np.zeros(1, NAME_REPLY)
            reply["id"] = self.sequence
            reply["name"] = messages.packed(self.runner.state_hash().hex(), 36)
            return reply.view(REPLY)
        return self.runner.query(row.tobytes())
