"""A writer in another process, stopped and killed at its every store.

OUTCRY_RING_STEPS=full stops and kills at every store of two laps; without it at a sample.
"""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from core import shm
from core.atomics import load_word
from core.constants import EVENT_BYTES
from core.jit import MODE_NAME, kernel
from core.memory import load_i64, store_i64
from core.messages import COMMAND
from core.output import LAPPED, attach_output, create_output, oldest, position, read
from core.ring import create_inbound, poll
from tests.concurrency import peers

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.skipif(MODE_NAME != "release", reason="the reader is the compiled one"),
]
ROOT: Final = Path(__file__).resolve().parents[2]
FULL: Final = os.environ.get("OUTCRY_RING_STEPS") == "full"
CAPACITY: Final = 64
TOTAL: Final = 160 if FULL else 80  # Events: the ring goes round once or twice.
STRIDE: Final = 1 if FULL else 41
KILLED: Final = -signal.SIGKILL


class Writer:
    """The process of ``stepped``."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.concurrency.stepped"],
            cwd=ROOT,
            env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def live(
        self, what: str, prefix: str, total: int, kill_at: int, look: Callable[[], None] = print
    ) -> int:
        """One life, ``look`` at every stop; its exit code."""
        self._say(f"{what} {prefix} {total} {kill_at}")
        try:
            while (line := self._line()) == "stopped":
                look()
                self._say("go")
        except BaseException:
            self.close()
            raise
        word, code = line.split()
        assert word == "ended"
        return int(code)

    def close(self) -> None:
        """End it, and whoever it holds."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


WRITERS: Final[list[Writer]] = []


@pytest.fixture(scope="module")
def writers() -> Iterator[None]:
    yield
    while WRITERS:
        WRITERS.pop().close()


@pytest.fixture
def writer(writers: None) -> Writer:
    """The one writer of this module, or another one when a failed test has ended it."""
    if not WRITERS or WRITERS[-1].process.poll() is not None:
        WRITERS.append(Writer())
    return WRITERS[-1]


@pytest.fixture
def prefix() -> Iterator[str]:
    uuid8 = secrets.token_hex(4)
    yield shm.prefix(uuid8, 1)
    shm.unlink_stale(uuid8)


@kernel
def is_wrong(address: int, number: int, is_engine: int) -> int:
    """1 when the event at ``address`` is not event ``number`` of its writer."""
    if is_engine == 0:
        return peers.is_torn(address, number)
    if load_i64(address) != number or load_i64(address + 8) != number:
        return 1
    if load_i64(address + 64) != 7 * number or load_i64(address + 32) != number:
        return 1
    return 0


@kernel
def read_from_everywhere(end: int, out: int, is_engine: int, found: int) -> None:
    """Read from every cursor there is; events accepted, laps and wrong events are added to the
    words at ``found``."""
    last = position(end)
    for cursor in range(max(0, oldest(end) - 20), last + 1):
        count = read(end, cursor, out, 64)
        if count == LAPPED:
            store_i64(found + 8, load_i64(found + 8) + 1)
            continue
        store_i64(found, load_i64(found) + count)
        for place in range(count):
            wrong = is_wrong(out + place * EVENT_BYTES, cursor + place, is_engine)
            store_i64(found + 16, load_i64(found + 16) + wrong)


class Look:
    """A reader that looks at everything, again and again."""

    def __init__(self, prefix: str, *, is_engine: bool) -> None:
        self.ring = attach_output(prefix, 1)
        self.is_engine = int(is_engine)
        self.out, self.found = np.zeros(64 * EVENT_BYTES, np.uint8), np.zeros(3, np.int64)
        self.looks = 0

    def __call__(self) -> None:
        self.looks += 1
        addresses = (int(self.out.ctypes.data), self.is_engine, int(self.found.ctypes.data))
        read_from_everywhere(self.ring.end, *addresses)


@pytest.mark.parametrize("what", ["output", "engine"])
def test_no_reader_is_misled_while_the_writer_stands_before_a_store(
    writer: Writer, prefix: str, what: str
) -> None:
    """Every store of a ring that goes round: 18 stops an event and more."""
    ring = create_output(prefix, 1, CAPACITY)
    ring.segment.publish()
    look = Look(prefix, is_engine=what == "engine")

    assert writer.live(what, prefix, TOTAL, 0, look) == 0
    look()

    accepted, lapped, wrong = (int(word) for word in look.found)
    sys.stdout.write(f"\n{what}: {look.looks} stops, {accepted} events read, {lapped} laps")
    assert wrong == 0
    assert look.looks > TOTAL * 7
    assert accepted > look.looks
    assert lapped > 0
    assert ring.position == TOTAL
    look.ring.close()
    ring.close()


@pytest.mark.parametrize("what", ["output", "engine"])
def test_no_reader_is_misled_by_a_writer_that_died(writer: Writer, prefix: str, what: str) -> None:
    kills = 0
    for kill_at in range(1 if FULL else 7, 100_000, STRIDE):
        ring = create_output(prefix, 1, CAPACITY)
        ring.segment.publish()
        look = Look(prefix, is_engine=what == "engine")
        code = writer.live(what, prefix, TOTAL, kill_at)
        look()
        assert look.found[2] == 0, kill_at
        look.ring.close()
        ring.segment.unlink()
        ring.close()
        if code == 0:
            break
        assert code == KILLED
        kills += 1
    sys.stdout.write(f"\n{what}: {kills} kills")
    assert kills > 10


def test_a_producer_killed_at_any_store_leaves_whole_commands_and_a_ring_that_works(
    writer: Writer, prefix: str
) -> None:
    """Each life attaches to what the last one left; the core takes what is there in between."""
    ring = create_inbound(prefix, "test", 1, 1, 16)
    ring.segment.publish()
    out = np.zeros(64, COMMAND)
    taken_before, life, total = 0, 0, 4  # Commands of 1, 2, 3, 4 slots.
    for kill_at in range(1, 1_000, 1 if FULL else 3):
        life += 1
        code = writer.live("inbound", prefix, total, kill_at)
        taken = commands_of(out, poll(ring.end, int(out.ctypes.data), 64))
        assert taken == list(range(len(taken))), kill_at
        assert taken_before <= len(taken) <= total
        assert (ring.faults, ring.fill()) == (0, 0)
        taken_before = len(taken)
        if code == 0:
            assert len(taken) == total
            break
        assert code == KILLED
    sys.stdout.write(f"\ninbound: {life - 1} kills")
    assert life > 50
    assert ring.incarnation == life - 1 if FULL else ring.incarnation <= life
    assert load_word(int(ring.row["produced_at"])) == int(ring.row["consumed"])
    ring.close()


def test_the_core_sees_nothing_of_a_command_that_is_being_offered(
    writer: Writer, prefix: str
) -> None:
    """At every stop it polls; what it has after the last one is everything, once."""
    ring = create_inbound(prefix, "test", 1, 1, 16)
    ring.segment.publish()
    out, taken = np.zeros(64, COMMAND), []
    stops = 0

    def look() -> None:
        nonlocal stops
        stops += 1
        for number in commands_of(out, poll(ring.end, int(out.ctypes.data), 64)):
            taken.append(number)

    assert writer.live("inbound", prefix, 12, 0, look) == 0
    look()

    assert taken == list(range(12))
    assert ring.faults == 0
    assert stops > 30 * 16
    ring.close()


def commands_of(out: Any, count: int) -> list[int]:
    """The numbers of ``count`` slots of commands, after a look at every word."""
    found, place = [], 0
    while place < count:
        words = out[place : place + 1].view(np.int64)
        number = next(n for n in range(64) if peers.pattern(n, 0) == int(words[0]))
        slots = int(out[place]["slots"])
        assert slots == 1 + (number * 5 & 3)
        for other in range(slots):
            row = out[place + other : place + other + 1].view(np.int64)
            for word in range(peers.WORDS):
                if other or not 3 <= word <= 5:
                    assert int(row[word]) == peers.pattern(number, word)
        found.append(number)
        place += slots
    return found
