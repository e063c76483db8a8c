"""A producer that is no adapter: a ring of its own, many commands in flight, every event kept.

    python -m tests.e2e.producer DATA GATEWAY COMMANDS EVENTS

COMMANDS is an array of commands of two slots each (the second may be unused), every one with a
client order id of its own.  They go out in their order.  When the core has died, those that were
not answered go out again: what the journal holds already is then answered as a repeat.  EVENTS gets
the events of all of it, each once.  A line on standard output says how many are answered.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from adapters.link import Link, read_core_file
from core.constants import GATEWAY_SHIFT
from core.messages import COMMAND, EVENT
from core.output import LAPPED
from core.shm import SegmentError

COMMAND_BYTES: Final = 256
IN_FLIGHT_MAX: Final = 512
TOLD_EVERY: Final = 20  # Lines per run.
PAUSE_S: Final = 0.000_2
LOOK_S: Final = 0.01  # How often core.json is read.
ATTEMPT_SHIFT: Final = 40  # Request ids rise, also when commands go out again.

Array = np.ndarray[Any, Any]


class Producer:
    """Sends until everything is answered."""

    def __init__(self, data: Path, gateway: str, commands: Array) -> None:
        self._run, self._gateway = data / "run", gateway
        self._commands = commands
        self._prefix = commands[:, : COMMAND.itemsize].view(COMMAND)[:, 0]
        self._link: Link | None = None
        self._look_s = 0.0
        self._seen = (0, 0)
        self._sent = 0  # In this life of the core.
        self.answered = 0  # The first so many; answers come in the order of the ring.
        self.lives = 0
        self.resent = 0
        self.events: list[Array] = []

    def run(self) -> None:
        """Until everything is answered."""
        told = 0
        while self.answered < len(self._commands):
            self._look()
            if self._link is None or not (self._drain(self._link) + self._send(self._link)):
                time.sleep(PAUSE_S)
            if self.answered * TOLD_EVERY >= (told + 1) * len(self._commands):
                told = self.answered * TOLD_EVERY // len(self._commands)
                say({"answered": self.answered})

    def _look(self) -> None:
        """Follow core.json: another epoch is another core."""
        if time.monotonic() < self._look_s:
            return
        self._look_s = time.monotonic() + LOOK_S
        core, old = read_core_file(self._run), self._link
        if core is None or (old is not None and old.core.epoch == core.epoch):
            return
        try:
            link = Link(core, self._gateway, self._run, 0)
        except SegmentError:
            return  # It is gone again, or not there yet.
        link.reader.want(range(126))
        if old is not None:
            while self._drain(old):
                pass  # All that the old core published is true.
            old.close()
        there = link.position  # What the journal holds; all of it is published again.
        while link.reader.cursor < there:
            self._drain(link)
        self._link = link
        self.resent += self._sent - self.answered if self.lives else 0
        self.lives += 1
        self._sent = self.answered

    def _drain(self, link: Link) -> int:
        """Take what is there; how many events were passed."""
        passed = int(link.reader.drain())
        if passed == LAPPED:
            raise RuntimeError("lapped: events were lost")
        events = link.reader.public()
        events = events[events["session"] >> GATEWAY_SHIFT == link.gateway_id]
        order = np.rec.fromarrays([events["sequence"], events["index"]])
        events = events[[tuple(place) > self._seen for place in order.tolist()]]
        if len(events):
            self._seen = int(events["sequence"][-1]), int(events["index"][-1])
            self.events.append(events)
            self._take_answers(events)
        return passed

    def _take_answers(self, events: Array) -> None:
        first = events[events["index"] == 0]
        for number in (first["fee"] & ((1 << ATTEMPT_SHIFT) - 1)).tolist():
            if number != self.answered + 1:
                raise RuntimeError(f"answer to command {number}, after {self.answered} answers")
            self.answered = number

    def _send(self, link: Link) -> int:
        """Offer what fits, in order; how many commands went out."""
        before = self._sent
        while self._sent < min(len(self._commands), self.answered + IN_FLIGHT_MAX):
            prefix = self._prefix[self._sent]
            prefix["request_id"] = self.lives << ATTEMPT_SHIFT | self._sent + 1
            prefix["session"] = link.gateway_id << GATEWAY_SHIFT | 1
            prefix["gateway"] = link.gateway_id
            address = int(self._commands.ctypes.data) + self._sent * COMMAND_BYTES
            if not link.offer(address, int(prefix["slots"]), canceling=False):
                break  # A later one must not overtake it in the lane for cancels.
            self._sent += 1
        return self._sent - before


def say(fields: dict[str, int]) -> None:
    """One line for the test."""
    print(json.dumps(fields), flush=True)  # noqa: T201


def main(data: str, gateway: str, commands: str, events: str) -> None:
    """Send the file, keep the events."""
    producer = Producer(Path(data), gateway, np.load(commands))
    producer.run()
    np.save(events, np.concatenate(producer.events).view(EVENT))
    say({"answered": producer.answered, "resent": producer.resent, "lives": producer.lives})


if __name__ == "__main__":
    main(*sys.argv[1:])
