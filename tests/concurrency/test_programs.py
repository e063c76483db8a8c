"""The programs of the model are the code: the same accesses to shared memory in the same order.

The real functions run in plain Python mode on a real segment; their loads, stores, fences and
copies are written down and compared with what the programs do, over several laps.
"""

import ctypes
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest

from core import output, ring, wake
from core.constants import SWEEP_PUBLISH_EVENTS
from core.jit import PURE
from core.messages import COMMAND, EVENT, FILL, PLACE_ORDER, REPLY
from core.sequencer import events
from core.shm import INBOUND, REPLIES, prefix
from tests.concurrency.machine import Op, run_alone
from tests.concurrency.programs_inbound import Consumer, Offering, Producer, Ring, Taking
from tests.concurrency.programs_output import (
    EngineWriter,
    OutputReader,
    OutputWriter,
    Reading,
    Sleeper,
    Waker,
    Waking,
    accepted,
)

pytestmark = pytest.mark.skipif(not PURE, reason="compiled accesses cannot be watched")
HEADER: Final = 4_096
Access = tuple[Any, ...]


class Recorder:
    """Every access to one segment, by name.  Accesses to several words of a slot in a row count
    as one."""

    def __init__(self, patch: pytest.MonkeyPatch, address: int, size: int, slot: int) -> None:
        self.address, self.size, self.slot = address, size, slot
        self.names: dict[int, str] = {}
        self.seen: list[Access] = []
        for module in (output, ring, events, wake):
            for name, recorded in {
                "load_acquire": self._load,
                "store_release": self._store,
                "fence": lambda: self.add("fence", "full"),
                "fence_acquire": lambda: self.add("fence", "acquire"),
                "fence_release": lambda: self.add("fence", "release"),
                "copy": self._copy,
                "copy128": lambda target, source: self._copy(target, source, 128),
                "event_at": self._event_at,
            }.items():
                if hasattr(module, name):
                    patch.setattr(module, name, recorded)

    def add(self, *access: Any) -> None:
        if not (access[0].startswith("slot") and self.seen and self.seen[-1] == access):
            self.seen.append(access)

    def place(self, address: int) -> int | None:
        """The slot that an address lies in; None: it is not in a slot of this segment."""
        offset = address - self.address
        return (offset - HEADER) // self.slot if HEADER <= offset < self.size else None

    def _load(self, address: int) -> int:
        word = ctypes.c_int64.from_address(address).value
        self.add("load", self.names[address], "acquire", word)
        return word

    def _store(self, address: int, value: int) -> None:
        self.add("store", self.names[address], "release", value)
        ctypes.c_int64.from_address(address).value = value

    def _copy(self, target: int, source: int, size: int) -> None:
        for kind, address in (("slot load", source), ("slot store", target)):
            place = self.place(address)
            if place is not None:
                for number in range(size // self.slot):
                    self.add(kind, place + number)
        ctypes.memmove(target, source, size)

    def _event_at(self, address: int) -> Any:
        return Watched(self, address)


class Watched:
    """An event in the ring; what is stored into its fields is written down."""

    def __init__(self, recorder: Recorder, address: int) -> None:
        object.__setattr__(self, "place", recorder.place(address))
        object.__setattr__(self, "recorder", recorder)
        object.__setattr__(self, "row", REAL_EVENT_AT(address))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.recorder.add("slot store", self.place)
        setattr(self.row, name, value)


REAL_EVENT_AT: Final = events.event_at


def accesses(ops: list[Op]) -> list[Access]:
    """What a program did, in the recorder's words."""
    found: list[Access] = []
    for op in ops:
        if op.at.startswith("slot"):
            access: Access = (f"slot {op.kind}", int(op.at[4:].split(".")[0]))
            if found and found[-1] == access:
                continue
        elif op.kind == "fence":
            access = ("fence", op.order)
        else:
            access = (op.kind, op.at, op.order, op.value)
        found.append(access)
    return found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Make a ring and a recorder of it: (ring, recorder)."""
    rings: list[Any] = []

    def make(build: Callable[..., Any], capacity: int, slot: int) -> tuple[Any, Recorder]:
        shm = prefix(secrets.token_hex(4), 1)
        arguments = (1,) if build is output.create_output else ("test", 1, 1)
        rings.append(build(shm, *arguments, capacity))
        segment = rings[-1].segment
        return rings[-1], Recorder(monkeypatch, segment.address, segment.size, slot)

    yield make
    for one in rings:
        one.segment.unlink()
        one.close()


def watch_output(one: Any, recorder: Recorder) -> None:
    recorder.names = {one.position_at: "position", one.claimed_at: "claimed"}


def watch_ring(one: Any, recorder: Recorder) -> None:
    recorder.names = {
        int(one.row["produced_at"]): "produced",
        int(one.row["consumed_at"]): "consumed",
    }


BATCHES: Final = (1, 3, 16, 7, 16, 16, 5, 16, 2, 9, 16, 16, 16, 1, 16)


def test_claim_and_publish(made: Callable[..., Any]) -> None:
    one, recorder = made(output.create_output, 64, 128)
    watch_output(one, recorder)

    for batch in BATCHES:
        output.claim(one.end, batch)
        for ahead in range(batch):
            recorder.add("slot store", recorder.place(output.event_slot(one.end, ahead)))
        output.publish(one.end, batch)

    assert recorder.seen == accesses(run_alone(OutputWriter(64, 8, BATCHES), {}))


def test_the_engine_writes_its_events(
    made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three laps; commands in parts, one of them longer than SWEEP_PUBLISH_EVENTS."""
    one, recorder = made(output.create_output, 4_096, 128)
    watch_output(one, recorder)
    state = SimpleNamespace(
        ring=one.slots, ring_mask=4_095, ring_position=one.position_at, ring_claimed=one.claimed_at,
        cursor=0, claimed=0, hashed=0, events=0, event_hash=0, sequence=0, timestamp_ns=0,
        request_id=0, index=0,
    )  # fmt: skip
    commands = [(1,), (2, 2), (8,) * 200, (1, 8), (2,) * 700, (8,) * 900]

    for parts in commands:
        state.index = 0
        for count in parts:
            events.reserve(state)
            for _ in range(count):
                events.new_event(state, FILL, 0).qty = 7
        events.mark_last(state)
    events.publish(state)

    sizes = (events.CLAIM_EVENTS, events.RESERVED_EVENTS, SWEEP_PUBLISH_EVENTS)
    assert recorder.seen == accesses(run_alone(EngineWriter(4_096, sizes, commands), {}))
    assert state.cursor > 2 * 4_096


def fits(real: list[Access], model: list[Access], used: int) -> None:
    """The real call did what the program does; of the copies that the program issues behind the
    branch, at least the first ``used``.  A call that had nothing to do ends after its first load.
    """
    if used == 0 and real == model[:1]:
        return
    copies = sum(access[0] == "slot load" for access in real)
    assert used <= copies <= used + 1  # ``poll`` looks at the command that does not fit any more.
    surplus = [n for n, access in enumerate(model) if access[0] == "slot load"][copies:]
    assert real == [access for n, access in enumerate(model) if n not in surplus]


def loads_of(ops: Sequence[Op], recorder: Recorder) -> tuple[list[Access], tuple[int, ...]]:
    """The accesses of a block, and what its loads give: header words as they are now."""
    found: list[int] = []
    shown: list[Op] = []
    for op in ops:
        value = op.value
        if op.kind == "load" and not op.at.startswith("slot"):
            at = next(address for address, name in recorder.names.items() if name == op.at)
            value = ctypes.c_int64.from_address(at).value
        if op.kind == "load":
            found.append(value)
        shown.append(op._replace(value=value))
    return accesses(shown), tuple(found)


@pytest.mark.parametrize("most", [1, 5, 64])
def test_read(made: Callable[..., Any], most: int) -> None:
    """Readers at every distance: with nothing to read, lapped, at the end, across the wrap."""
    one, recorder = made(output.create_output, 64, 128)
    watch_output(one, recorder)
    total, out = sum(BATCHES), np.zeros(64, EVENT)
    for batch in BATCHES:
        output.claim(one.end, batch)
        output.publish(one.end, batch)
    reader = OutputReader(64, 1 << 40, most)

    for cursor in range(total + 1):
        block = reader.following(Reading(cursor), ())
        assert block is not None
        model, values = loads_of(block[1], recorder)
        count = accepted(64, cursor, values[0], values[-1], most)
        recorder.seen.clear()

        found = output.read(one.end, cursor, int(out.ctypes.data), most)

        assert found == count
        if found == output.LAPPED and len(recorder.seen) > 1:
            count = min(total - cursor, most)
        fits(recorder.seen, model, max(count, 0))
        if found == output.LAPPED:
            block = reader.following(Reading(cursor, is_lapped=True), ())
            assert block is not None
            recorder.seen.clear()
            output.oldest(one.end)
            output.position(one.end)
            assert recorder.seen == loads_of(block[1], recorder)[0]


def test_offer_and_poll(made: Callable[..., Any]) -> None:
    """Commands of 1-4 slots and cancels through 8 slots, polled when the ring is full."""
    one, recorder = made(ring.create_inbound, 8, 128)
    watch_ring(one, recorder)
    adapter = ring.Ring(one.segment, INBOUND, 1, 8)
    rng, row, out = random.Random(5), np.zeros(4, COMMAND), np.zeros(8, COMMAND)
    counts = tuple(rng.randint(1, 4) for _ in range(200))
    producer = Producer(Ring(8, counts, lane=7))
    offered = refused = 0
    while offered < len(counts):
        at = Offering(0, offered, int(adapter.row["produced"]), int(adapter.row["consumed"]))
        model = call_of_producer(producer, at, recorder)
        row["slots"], row["kind"] = counts[offered], PLACE_ORDER
        recorder.seen.clear()
        done = ring.offer(adapter.end, int(row.ctypes.data), counts[offered], offered % 2)
        assert recorder.seen == model
        offered += done
        refused += 1 - done
        if not done:
            most = rng.randint(4, 8)
            first = int(one.row["consumed"])
            filled = int(adapter.row["produced"]) - first
            recorder.seen.clear()
            taken = ring.poll(one.end, int(out.ctypes.data), most)
            assert 0 < taken <= filled
            fits(recorder.seen, call_of_consumer(first, most, taken, 8, recorder), taken)
    assert refused > 50


def call_of_producer(producer: Producer, at: Offering, recorder: Recorder) -> list[Access]:
    """What one ``offer`` does, according to the program."""
    block = producer.following(at, ())
    assert block is not None
    found, values = loads_of(block[1], recorder)
    assert isinstance(block[0], Offering)
    if block[0].phase == "refresh":
        block = producer.following(block[0], values)
        assert block is not None
        assert isinstance(block[0], Offering)
        if block[0].phase != "refresh":  # Else there is no room: refused.
            found += loads_of(block[1], recorder)[0]
    return found


def call_of_consumer(
    first: int, most: int, taken: int, capacity: int, recorder: Recorder
) -> list[Access]:
    """What one ``poll`` or ``take`` does, according to the program: look, copy, acknowledge."""
    consumer = Consumer(Ring(capacity, ()), most)
    look, acknowledge = consumer.look(Taking(first)), consumer.acknowledge(first + taken)
    return loads_of(look[1:], recorder)[0] + accesses(acknowledge)  # DONE is the test's.


def test_push_and_take(made: Callable[..., Any]) -> None:
    one, recorder = made(ring.create_replies, 8, 256)
    watch_ring(one, recorder)
    adapter = ring.Ring(one.segment, REPLIES, 1, 8)
    rng, rows, out = random.Random(6), np.zeros(8, REPLY), np.zeros(8, REPLY)
    counts = tuple(rng.randint(1, 4) for _ in range(100))
    producer = Producer(Ring(8, counts, is_reply=True))
    pushed = 0
    while pushed < len(counts):
        at = Offering(0, pushed, int(one.row["produced"]), int(one.row["consumed"]))
        model = call_of_producer(producer, at, recorder)
        recorder.seen.clear()
        done = ring.reply_push(one.end, int(rows.ctypes.data), counts[pushed])
        assert recorder.seen == model
        pushed += done
        if not done or rng.random() < 0.3:
            first, most = int(adapter.row["consumed"]), rng.randint(1, 8)
            taken = min(int(one.row["produced"]) - first, most)
            recorder.seen.clear()
            assert ring.take(adapter.end, int(out.ctypes.data), most) == taken
            fits(recorder.seen, call_of_consumer(first, most, taken, 8, recorder), taken)


def test_wake_and_idle(made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who offers reads the word behind a fence; who sleeps looks once more behind another."""
    one, recorder = made(ring.create_inbound, 8, 128)
    recorder.names = {int(one.row["produced_at"]): "ring0", one.sleeping_at: "sleeping"}
    monkeypatch.setattr(wake, "write", lambda *_: recorder.add("post", "fifo", "", 0) or 1)
    monkeypatch.setattr(wake, "poll_readable", lambda *_: recorder.add("take", "fifo", "", 0) or 1)
    monkeypatch.setattr(wake, "read", lambda *_: 1)
    waiter, ends = wake.Waiter(0, one.sleeping_at, wake.BLOCK), np.array([one.end], np.int64)
    waker, sleeper = Waker(1, "ring0"), Sleeper(1, ["ring0"])

    for is_asleep in (0, 1):
        ctypes.c_int64.from_address(one.sleeping_at).value = is_asleep
        offering, waking = (
            waker.following(Waker.start, ()),
            waker.following(Waking(1, "wake"), (is_asleep,)),
        )
        assert offering is not None
        assert waking is not None
        recorder.seen.clear()
        assert wake.wake(one.sleeping_at, 0) == is_asleep
        assert recorder.seen == loads_of([*offering[1][1:], *waking[1]], recorder)[0]

    for has_work in (0, 1):
        ctypes.c_int64.from_address(int(one.row["produced_at"])).value = has_work
        prepared = sleeper.following(Waking(0, "poll"), (0,))
        ended = sleeper.following(Waking(0, "look"), (has_work,))
        assert prepared is not None
        assert ended is not None
        recorder.seen.clear()
        slept = wake.idle(waiter.address, int(ends.ctypes.data), 1, 0, 10)
        assert slept == 1 - has_work
        assert recorder.seen == loads_of([*prepared[1], *ended[1]], recorder)[0]
