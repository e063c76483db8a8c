"""The output ring: events of the core, broadcast to every reader; the writer never waits.

Event k of this epoch lies at ``k & mask``.  The writer stores ``claimed`` before it overwrites
slots and ``position`` when the new events are complete.  A reader copies, then looks at
``claimed`` again: if a slot of its copy may have been overwritten it is *lapped*, knows it, and
goes on elsewhere. Claims are made ``step`` events ahead, so that the word is stored rarely: a
reader may fall behind by capacity - step - batch events before it is lapped.  (architecture.md,
decisions 8, 12, 15)

Adapters map this ring read-only.
"""

from typing import Final

import numpy as np

from core.atomics import (
    fence_acquire,
    fence_release,
    load_acquire,
    load_word,
    store_release,
    store_word,
)
from core.constants import EVENT_BYTES, OUTPUT_EVENTS
from core.jit import VERIFY, kernel
from core.layout import offset_of, record
from core.memory import copy, pointer
from core.messages import EVENT, SCHEMA
from core.shm import (
    DIRECTORY,
    HEADER_BYTES,
    LINE_0,
    LINE_BYTES,
    OUTPUT,
    Segment,
    SegmentError,
    check_capacity,
)
from core.shm import attach as attach_segment
from core.shm import create as create_segment

OUTPUT_PART: Final = "out"  # Of the name of the segment.
OUTPUT_HEADER: Final = record(
    "output ring header; the core writes all of it",
    4 * LINE_BYTES,
    [
        *LINE_0[:-1],
        ("base_sequence", "<i8"),  # The newest sequence whose events are not in this epoch's ring.
        ("line_0_reserved", "<i8", (7,)),
        ("position", "<i8"),  # Events published in this epoch.
        ("line_1_reserved", "<i8", (15,)),
        ("claimed", "<i8"),  # Slots of events below this may be being written.
        ("line_2_reserved", "<i8", (15,)),
        ("sleeping", "<i8"),  # The core: 1 while it waits on its FIFO.
        ("line_3_reserved", "<i8", (15,)),
    ],
)
BASE_SEQUENCE_AT: Final = offset_of(OUTPUT_HEADER, "base_sequence")
POSITION_AT: Final = offset_of(OUTPUT_HEADER, "position")
CLAIMED_AT: Final = offset_of(OUTPUT_HEADER, "claimed")
SLEEPING_AT: Final = offset_of(OUTPUT_HEADER, "sleeping")

OUTPUT_END: Final = record(
    "one process's end of the output ring; private memory",
    128,
    [
        ("slots", "<i8"),  # Addresses.
        ("position_at", "<i8"),
        ("claimed_at", "<i8"),
        ("sleeping_at", "<i8"),
        ("capacity", "<i8"),
        ("mask", "<i8"),
        ("position", "<i8"),  # The writer's.
        ("claimed", "<i8"),  # The writer's.
        ("step", "<i8"),
        ("base_sequence_at", "<i8"),
        ("reserved", "<i8", (6,)),
    ],
)
CLAIM_STEP: Final = 4_096
CAPACITY_MIN: Final = 64

at_output = pointer(OUTPUT_END)
_at_event = pointer(EVENT)
LAPPED: Final = -1
assert LINE_0[-1][0] == "line_0_reserved"


@kernel
def claim(end: int, count: int) -> int:
    """Make the next ``count`` (<= capacity / 4) slots the writer's; address of the first.

    Must come before any store into them.  The slots wrap: see ``event_slot``.
    """
    ring = at_output(end)
    if VERIFY:
        assert 0 < count <= ring.capacity // 4
    if ring.position + count > ring.claimed:
        ring.claimed = ring.position + count + ring.step
        store_release(ring.claimed_at, ring.claimed)
        fence_release()  # Readers that see a new slot's bytes see the claim.
    return ring.slots + (ring.position & ring.mask) * EVENT_BYTES


@kernel
def event_slot(end: int, ahead: int) -> int:
    """Address of the slot ``ahead`` places after the last published event."""
    ring = at_output(end)
    return ring.slots + ((ring.position + ahead) & ring.mask) * EVENT_BYTES


@kernel
def publish(end: int, count: int) -> None:
    """Make the ``count`` events written at ``event_slot`` 0 to count - 1 visible."""
    ring = at_output(end)
    if VERIFY:
        assert ring.position + count <= ring.claimed
    ring.position += count
    store_release(ring.position_at, ring.position)


@kernel
def position(end: int) -> int:
    """Events published in this epoch, seen by a reader."""
    return load_acquire(at_output(end).position_at)


@kernel
def read(end: int, cursor: int, out: int, events_max: int) -> int:
    """Copy at most ``events_max`` events from ``cursor`` on to ``out``; how many, or LAPPED.

    After LAPPED nothing at ``out`` may be used.
    """
    ring = at_output(end)
    behind = load_acquire(ring.position_at) - cursor
    if behind == 0:
        return 0
    if behind < 0 or behind > ring.capacity:
        return LAPPED
    count = min(behind, events_max)
    first = cursor & ring.mask
    straight = min(count, ring.capacity - first)
    copy(out, ring.slots + first * EVENT_BYTES, straight * EVENT_BYTES)
    if count > straight:
        copy(out + straight * EVENT_BYTES, ring.slots, (count - straight) * EVENT_BYTES)
    fence_acquire()
    if load_acquire(ring.claimed_at) - cursor > ring.capacity:
        return LAPPED
    return count


@kernel
def oldest(end: int) -> int:
    """The first cursor from which a reader is not lapped at once."""
    ring = at_output(end)
    return max(0, load_acquire(ring.claimed_at) - ring.capacity)


@kernel
def find_behind(end: int, sequence: int, index: int, ended: int) -> int:
    """The cursor of the first event behind (sequence, index), when none between is missing.

    LAPPED when it cannot be known that the ring holds all of them. ``ended``: that event is known
    to be the last one of its command.  Events from the cursor on may still be at or before the
    key: the core may be on its way there.
    """
    ring = at_output(end)
    low = oldest(end)
    high = max(load_acquire(ring.position_at), low)
    has_before = 0  # The event before ``low`` was seen, and is not behind the key.
    while low < high:
        middle = (low + high) // 2
        event = _at_event(ring.slots + (middle & ring.mask) * EVENT_BYTES)
        found_sequence = event.sequence
        found_index = event.index
        fence_acquire()
        floor = load_acquire(ring.claimed_at) - ring.capacity
        if middle < floor:  # Overwritten while it was read.
            if floor > high:
                return LAPPED
            low = floor
            has_before = 0
        elif found_sequence > sequence or (found_sequence == sequence and found_index > index):
            high = middle
        else:
            low = middle + 1
            has_before = 1
    if has_before != 0:
        return low
    if low == 0:
        base = load_acquire(ring.base_sequence_at)
        if sequence > base or (sequence == base and ended != 0):
            return 0
    return low if _is_next(end, low, sequence, index) else LAPPED


@kernel
def _is_next(end: int, cursor: int, sequence: int, index: int) -> bool:
    """Is the event at ``cursor`` that of the same command with the next index?"""
    ring = at_output(end)
    if cursor >= load_acquire(ring.position_at):
        return False
    event = _at_event(ring.slots + (cursor & ring.mask) * EVENT_BYTES)
    is_next = event.sequence == sequence and event.index == index + 1
    fence_acquire()
    return is_next and cursor >= load_acquire(ring.claimed_at) - ring.capacity


class OutputRing:
    """One end of the output ring: the mapped segment and the private record the kernels take."""

    def __init__(self, segment: Segment, capacity: int) -> None:
        check_capacity(segment.name, capacity, CAPACITY_MIN)
        expected = HEADER_BYTES + capacity * EVENT_BYTES
        if segment.size != expected:
            raise SegmentError(
                f"output ring {segment.name!r}: {capacity} events need {expected} bytes, the "
                f"segment has {segment.size}"
            )
        self.segment = segment
        self._record = np.zeros(1, OUTPUT_END)
        self.end = int(self._record.ctypes.data)
        self.row = self._record[0]
        self.slots = segment.address + HEADER_BYTES
        self.position_at = segment.address + POSITION_AT
        self.claimed_at = segment.address + CLAIMED_AT
        self.sleeping_at = segment.address + SLEEPING_AT  # The core's own.
        self.base_sequence_at = segment.address + BASE_SEQUENCE_AT
        self.capacity = capacity
        self.row["slots"] = self.slots
        self.row["position_at"] = self.position_at
        self.row["claimed_at"] = self.claimed_at
        self.row["sleeping_at"] = self.sleeping_at
        self.row["base_sequence_at"] = self.base_sequence_at
        self.row["capacity"] = capacity
        self.row["mask"] = capacity - 1
        self.row["step"] = min(CLAIM_STEP, capacity // 8)

    @property
    def position(self) -> int:
        """Events published in this epoch."""
        return load_word(self.position_at)

    @property
    def base_sequence(self) -> int:
        """The newest sequence whose events are not in the ring of this epoch; 0: it began with 1.

        The core sets it before the segment is published.
        """
        return load_word(self.base_sequence_at)

    @base_sequence.setter
    def base_sequence(self, sequence: int) -> None:
        store_word(self.base_sequence_at, sequence)

    def close(self) -> None:
        """Unmap; the end must not be used any more."""
        self.segment.close()


def create_output(shm: str, epoch: int, capacity: int = OUTPUT_EVENTS) -> OutputRing:
    """The core's end of a new output ring; not visible before ``segment.publish``."""
    check_capacity(f"{shm}-{OUTPUT_PART}", capacity, CAPACITY_MIN)
    line_0 = {
        "epoch": epoch,
        "kind": OUTPUT,
        "schema": SCHEMA,
        "capacity": capacity,
        "slot_bytes": EVENT_BYTES,
    }
    size = HEADER_BYTES + capacity * EVENT_BYTES
    return OutputRing(create_segment(f"{shm}-{OUTPUT_PART}", size, line_0), capacity)


def attach_output(shm: str, epoch: int) -> OutputRing:
    """A reader's end, mapped read-only; SegmentError when it is not there or not what it says."""
    segment = attach_segment(f"{shm}-{OUTPUT_PART}", OUTPUT, epoch, writable=False)
    try:
        if segment.word("schema") != SCHEMA:
            raise SegmentError(
                f"output ring {segment.name!r}: schema {SCHEMA} expected, "
                f"{segment.word('schema')} found"
            )
        return OutputRing(segment, segment.capacity)
    except SegmentError:
        segment.close()
        raise


def newest_published(uuid8: str) -> int:
    """The newest sequence of which an earlier life of this journal's core published an event, as
    far as its ring is still in /dev/shm; 0: none is.

    Shared memory outlives a killed process and what its file system forgets, but not the machine.
    """
    newest = 0
    for path in sorted(DIRECTORY.glob(f"outcry-{uuid8}-*-{OUTPUT_PART}")):
        shm = path.name.removesuffix(f"-{OUTPUT_PART}")
        try:
            ring = attach_output(shm, int(shm.rpartition("-")[2]))
        except (SegmentError, ValueError, OSError):
            continue  # Of a start that did not come so far, or of another version.
        row = np.zeros(1, EVENT)
        if ring.position and read(ring.end, ring.position - 1, int(row.ctypes.data), 1) == 1:
            newest = max(newest, int(row["sequence"][0]))
        ring.close()
    return newest
