"""A core that matches nothing: serves rings in a thread, journals into a list, dies on request."""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.counters import READY, SEQUENCE, create_counters, gauge
from core.memory import view
from core.messages import (
    COMMAND,
    EVENT,
    LAST,
    NAME_REPLY,
    ORDER_ACCEPTED,
    QUERY_FIRST,
    QUERY_SESSION,
    REPLY,
)
from core.output import claim, create_output, event_slot, publish
from core.ring import Ring, create_inbound, create_replies, poll, reply_push
from core.shm import Segment, prefix, unlink_stale
from core.wake import Waiter, end_sleep, open_fifo, prepare_sleep, sleep, wake

Rows = np.ndarray[Any, Any]
Decide = Callable[[int, Rows], Rows]


def accept(sequence: int, command: Rows) -> Rows:
    """One ORDER_ACCEPTED that echoes the client order id."""
    event = np.zeros(1, EVENT)
    event["kind"], event["flags"] = ORDER_ACCEPTED, LAST
    event["order_id"] = sequence << 22
    event["client_order_id"] = command["body"][:36]
    return event


class Journal:
    """What outlives a core: events of each command, in order, and the newest request ids."""

    def __init__(self) -> None:
        self.sequence = 0
        self.epoch = 0
        self.events: list[Rows] = []
        self.last_request_ids: dict[int, int] = {}


@dataclass
class Options:
    """What a test may want otherwise."""

    gateways: tuple[str, ...] = ("http.0",)
    decide: Decide = accept
    output_events: int = 1_024
    inbound_slots: int = 64
    pid: int = 0  # 0: this process.
    base_sequence: int = 0  # Events of commands up to this one are not published again.


class FakeCore:
    """Serves one life of a core on DATA for the gateways named; ``die`` is a SIGKILL."""

    def __init__(self, data: Path, uuid8: str, journal: Journal, options: Options) -> None:
        journal.epoch += 1
        self.data, self.uuid8, self.journal, self.decide = data, uuid8, journal, options.decide
        self.epoch = journal.epoch
        self.shm = prefix(uuid8, self.epoch)
        self.gateways = {name: number for number, name in enumerate(options.gateways, 1)}
        (data / "run").mkdir(parents=True, exist_ok=True)
        self.output = create_output(self.shm, self.epoch, options.output_events)
        self.counters = create_counters(self.shm, self.epoch)
        self.inbound: list[Ring] = []
        self.replies: list[Ring] = []
        for name, number in self.gateways.items():
            ring = create_inbound(self.shm, name, number, self.epoch, options.inbound_slots)
            self.inbound.append(ring)
            self.replies.append(create_replies(self.shm, name, number, self.epoch, 64))
        self.fifos = [open_fifo(data / "run", name) for name in self.gateways]
        self.waiter = Waiter(open_fifo(data / "run", "core"), self.output.sleeping_at, 1)
        self.output.base_sequence = options.base_sequence
        for segment in self._segments():
            segment.publish()
        for events in journal.events:
            if events[0]["sequence"] > options.base_sequence:
                self.publish(events)
        gauge(self.counters.words, SEQUENCE, journal.sequence)
        gauge(self.counters.words, READY, 1)
        self._write_core_json(options.pid or os.getpid())
        unlink_stale(uuid8, keep_epoch=self.epoch)
        self.reading = threading.Event()  # Cleared: alive, but reads no ring.
        self.reading.set()
        self.silent = False  # True: queries are swallowed.
        self._stop = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def publish(self, events: Rows) -> None:
        """Put the events of one command into the output ring and wake whoever sleeps."""
        done = 0
        while done < len(events):  # A large sweep is published in parts.
            part = events[done : done + self.output.capacity // 4]
            claim(self.output.end, len(part))
            for ahead in range(len(part)):
                view(event_slot(self.output.end, ahead), EVENT, 1)[0] = part[ahead]
            publish(self.output.end, len(part))
            done += len(part)
        for ring, fifo in zip(self.inbound, self.fifos, strict=True):
            wake(ring.sleeping_at, fifo)

    def apply(self, command: Rows, *, is_published: bool = True) -> int:
        """Give a sequence, decide, record, publish; the sequence."""
        self.journal.sequence += 1
        events = self.decide(self.journal.sequence, command)
        events["sequence"] = self.journal.sequence
        events["index"] = np.arange(len(events))
        events["session"][0], events["fee"][0] = command["session"], command["request_id"]
        self.journal.events.append(events)
        self.journal.last_request_ids[int(command["session"])] = int(command["request_id"])
        gauge(self.counters.words, SEQUENCE, self.journal.sequence)
        if is_published:
            self.publish(events)
        return self.journal.sequence

    def die(self) -> None:
        """Stop at once: nothing is removed, nothing more is read."""
        self._stop = True
        self.reading.set()
        os.write(int(self.waiter.row["fd"]), b"x")
        self._thread.join()
        os.close(int(self.waiter.row["fd"]))
        for fifo in self.fifos:
            os.close(fifo)
        for segment in self._segments():
            segment.close()

    def stop(self) -> None:
        """A clean stop."""
        (self.data / "run" / "core.json").unlink()
        self.die()
        unlink_stale(self.uuid8)

    def _segments(self) -> list[Segment]:
        rings = [ring.segment for ring in (*self.inbound, *self.replies)]
        return [self.output.segment, self.counters.segment, *rings]

    def _write_core_json(self, pid: int) -> None:
        content = {
            "epoch": self.epoch,
            "pid": pid,
            "shm": self.shm,
            "durability": "sync",
            "gateways": self.gateways,
            "journal_uuid": self.uuid8 + "-0000-4000-8000-000000000000",
        }
        temporary = self.data / "run" / "core.json.tmp"
        temporary.write_text(json.dumps(content))
        temporary.replace(self.data / "run" / "core.json")

    def _serve(self) -> None:
        slots = np.zeros(64, COMMAND)
        address = int(slots.ctypes.data)
        while not self._stop:
            self.reading.wait()
            if self._stop:
                return
            work = 0
            for ring, replies, fifo in zip(self.inbound, self.replies, self.fifos, strict=True):
                work += self._poll(ring, replies, fifo, slots, address)
            if work:
                continue
            prepare_sleep(self.output.sleeping_at)
            if not any(ring.fill() for ring in self.inbound):
                sleep(self.waiter.address, 20)
            end_sleep(self.output.sleeping_at)

    def _poll(self, ring: Ring, replies: Ring, fifo: int, slots: Rows, address: int) -> int:
        count = poll(ring.end, address, 64)
        place = 0
        while place < count and not self._stop:
            command = slots[place].copy()
            if command["kind"] >= QUERY_FIRST:
                self._answer(command, replies)
                wake(ring.sleeping_at, fifo)
            else:
                self.apply(command)
            place += int(command["slots"])
        return count

    def _answer(self, query: Rows, replies: Ring) -> None:
        """QUERY_SESSION truly; any other query by three replies."""
        if self.silent:
            return
        count = 1 if query["kind"] == QUERY_SESSION else 3
        rows = np.zeros(count, REPLY)
        rows["request_id"], rows["kind"] = query["request_id"], query["kind"]
        rows["as_of"], rows["index"] = self.journal.sequence, np.arange(count)
        rows["flags"][-1] = LAST
        if query["kind"] == QUERY_SESSION:
            last = self.journal.last_request_ids.get(int(query["session"]), 0)
            rows.view(NAME_REPLY)["last_request_id"] = last
        else:
            rows["body"][:, 0] = query["body"][0]
        reply_push(replies.end, int(rows.ctypes.data), count)


def wait_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait for another thread; AssertionError after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.001)
