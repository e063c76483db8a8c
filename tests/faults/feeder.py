"""A client on a ring of its own that believes nothing: it keeps every event that it ever saw.

When the core comes back it compares what is published again with what it saw, notes what is gone,
and sends again whatever was not answered, under the same client order ids.
"""

import copy
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from adapters.link import Link, read_core_file
from core.constants import GATEWAY_SHIFT
from core.messages import COMMAND, EVENT, NAME_REPLY, QUERY, QUERY_STATE, SCHEMA, text
from core.output import LAPPED, oldest, read
from core.shm import SegmentError
from tests.faults.load import Load

GATEWAY: Final = "feed.0"
LIFE_SHIFT: Final = 40
NUMBER_MASK: Final = (1 << LIFE_SHIFT) - 1
CHUNK_EVENTS: Final = 2_048
PAUSE_S: Final = 0.000_1
HANGS_AFTER_S: Final = 30.0
READY_WITHIN_S: Final = 60.0
Array = np.ndarray[Any, Any]


class Answer(NamedTuple):
    """What was told first of a command: its sequence and the kind of its first event."""

    sequence: int
    kind: int


class Feeder:
    """One client over all lives of a core.  ``broken`` collects every contradiction."""

    def __init__(self, data: Path, seed: int, *, in_flight: int = 32) -> None:
        self._run = data / "run"
        self._in_flight = in_flight
        self._chance = random.Random(seed)
        self._link: Link | None = None
        self._epoch = 0
        self._rows = np.zeros(CHUNK_EVENTS, EVENT)
        self._cursor = 0
        self.load = Load(seed)
        self.answers: list[Answer] = []  # Of the first so many commands.
        self.seen: dict[tuple[int, int], bytes] = {}  # Events by sequence and index.
        self.newest = 0  # The highest sequence seen.
        self.durable = 0  # The highest durable sequence that the counters told.
        self.recovered = 0  # The sequence with which the newest life began.
        self.sent = 0  # In this life; numbers below are answered or in flight.
        self.ever_sent = 0
        self.lives = 0
        self.gone: set[int] = set()  # Sequences that were seen and lost; never given again.
        self.broken: list[str] = []

    def copy(self, data: Path) -> "Feeder":
        """The same client, on a copy of its directory; it must not be attached."""
        assert self._link is None
        other = copy.deepcopy(self)
        other._run = data / "run"
        return other

    # Life.

    def attach(
        self, has_ended: Callable[[], bool] = lambda: False, floor: int | None = None
    ) -> bool:
        """Wait for a core of another epoch than the last; False when ``has_ended`` comes before.

        ``floor``: the sequence up to which nothing may be lost; None: all that was ever seen.
        TimeoutError.
        """
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.try_attach(floor):
            if has_ended():
                return False
            if time.monotonic() > deadline:
                raise TimeoutError(f"no core served within {READY_WITHIN_S} s")
            time.sleep(0.001)
        return True

    def try_attach(self, floor: int | None = None) -> bool:
        """As ``attach``, at once; False: no other core serves."""
        try:
            core = read_core_file(self._run)
        except (
            ValueError,
            OSError,
        ):  # Renamed, but not synced, before the power went; or no power.
            return False
        if core is None or core.epoch == self._epoch:
            return False
        try:
            link = Link(core, GATEWAY, self._run, 0)
        except (SegmentError, OSError):
            return False
        self.detach()
        self._epoch = core.epoch
        self._link, self.lives = link, self.lives + 1
        self._compare(link, self.newest if floor is None else floor)
        return True

    def detach(self) -> None:
        """Take what the old core still published, and let go of it."""
        if self._link is not None:
            self.drain()
            self._link.close()
            self._link = None

    def _compare(self, link: Link, floor: int) -> None:
        self.recovered = link.counter("sequence")
        self.durable = max(self.durable, self.recovered)
        if self.recovered < floor:
            self.broken.append(
                f"life {self.lives}: recovered up to {self.recovered}, {floor} was acknowledged"
            )
        if self.newest > self.recovered:
            self._forget()
        self._cursor = oldest(link.output.end)
        take_answers = self._chance.random() < 0.5  # Else everything is sent again as a repeat.
        end = link.position
        while self._cursor < end:
            self._take(self._read(link), again=True, answers=take_answers)
        self.newest = max(self.newest, self.recovered)
        self.sent = len(self.answers)

    def _forget(self) -> None:
        """What was seen behind the recovered sequence is gone."""
        gone = {sequence for sequence, _ in self.seen if sequence > self.recovered}
        self.gone |= gone
        self.seen = {key: raw for key, raw in self.seen.items() if key[0] <= self.recovered}
        while self.answers and self.answers[-1].sequence > self.recovered:
            self.answers.pop()
        self.newest = self.recovered

    # Work.

    def pump(self, is_done: Callable[[], bool], goal: int = 1 << 40) -> bool:
        """Send and read until ``is_done``, or until ``goal`` commands are answered (True).

        TimeoutError when neither happens and the core does nothing for a while: it hangs.
        """
        moved_s = time.monotonic()
        while len(self.answers) < goal:
            if is_done():
                return False
            if self.drain() + self._send(goal):
                moved_s = time.monotonic()
            elif time.monotonic() > moved_s + HANGS_AFTER_S:
                raise TimeoutError(f"no answer for {HANGS_AFTER_S} s")
            else:
                time.sleep(PAUSE_S)
        return True

    def run_for(self, seconds: float) -> None:
        """Send and read for a while."""
        deadline = time.monotonic() + seconds
        self.pump(lambda: time.monotonic() >= deadline)

    def counter(self, label: str) -> int:
        """A counter of the core that it is attached to."""
        assert self._link is not None
        return self._link.counter(label)

    def drain(self) -> int:
        """Take all events that are there; how many."""
        link, taken = self._link, 0
        if link is None:
            return 0
        self.durable = max(self.durable, link.counter("durable_sequence"))
        while len(rows := self._read(link)):
            taken += len(rows)
            self._take(rows, again=False, answers=True)
        return taken

    def _read(self, link: Link) -> Array:
        count = read(link.output.end, self._cursor, int(self._rows.ctypes.data), CHUNK_EVENTS)
        if count == LAPPED:
            raise RuntimeError("lapped: events were lost")
        self._cursor += count
        return self._rows[:count]

    def _take(self, rows: Array, *, again: bool, answers: bool) -> None:
        raw = rows.tobytes()
        sequences, indexes = rows["sequence"].tolist(), rows["index"].tolist()
        requests, kinds = rows["fee"].tolist(), rows["kind"].tolist()
        for place, key in enumerate(zip(sequences, indexes, strict=True)):
            event = raw[place * 128 : place * 128 + 128]
            known = self.seen.setdefault(key, event)
            if known != event:
                self.broken.append(f"life {self.lives}: event {key} is another than it was")
            if known is event and again and key[0] <= self.newest and key[1] == 0:
                self.broken.append(f"life {self.lives}: event {key} was never seen before")
            if key[0] in self.gone:
                self.gone.discard(key[0])  # Said once.
                self.broken.append(f"life {self.lives}: sequence {key[0]} is given a second time")
            if answers and key[1] == 0 and key[0] > self.newest:
                self._answer(requests[place] & NUMBER_MASK, Answer(key[0], kinds[place]))
        if sequences and (answers or not again):
            self.newest = max(self.newest, sequences[-1])

    def _answer(self, number: int, answer: Answer) -> None:
        if number != len(self.answers):
            said = f"answer to command {number}, after {len(self.answers)} answers"
            self.broken.append(f"life {self.lives}: {said}")
            return
        self.answers.append(answer)

    def _send(self, goal: int) -> int:
        """Offer what fits, in order; how many commands went out."""
        link, before = self._link, self.sent
        if link is None:
            return 0
        while self.sent < min(goal, len(self.answers) + self._in_flight):
            row = self.load.row(self.sent)
            prefix = row[: COMMAND.itemsize].view(COMMAND)
            prefix["request_id"] = self.lives << LIFE_SHIFT | self.sent
            prefix["session"] = link.gateway_id << GATEWAY_SHIFT | 1
            prefix["gateway"] = link.gateway_id
            if not link.offer(int(row.ctypes.data), int(prefix["slots"][0]), canceling=False):
                break
            self.sent += 1
            self.ever_sent = max(self.ever_sent, self.sent)
        return self.sent - before

    # Asking.

    def state_hash(self, within_s: float = 30.0) -> tuple[int, str]:
        """Sequence and state hash of the live core."""
        link = self._link
        assert link is not None
        query = np.zeros(1, QUERY)
        query["kind"], query["schema"], query["slots"] = QUERY_STATE, SCHEMA, 1
        query["request_id"], query["gateway"] = self.lives, link.gateway_id
        query["session"] = link.gateway_id << GATEWAY_SHIFT | 1
        deadline = time.monotonic() + within_s
        while not link.offer(int(query.ctypes.data), 1, canceling=False):
            time.sleep(PAUSE_S)
        while True:
            replies = link.take_replies()
            if len(replies):
                row = replies.view(NAME_REPLY)[0]
                return int(row["id"]), text(row["name"])
            if time.monotonic() > deadline:
                raise TimeoutError("no answer to the question for the state hash")
            time.sleep(PAUSE_S)
