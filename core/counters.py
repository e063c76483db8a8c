"""Counters in shared memory: a fixed registry of ids and labels, one writer each.

A counter is an int64 word of the segment ``<shm>-counters``; its id is the number of the word.  The
words of one writer lie together, those of different writers at least 128 bytes apart.  Writers use
``count`` and ``gauge`` with the segment's words address; everybody else reads by label.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from core.atomics import load_acquire, store_release
from core.constants import GATEWAYS_MAX
from core.jit import kernel
from core.memory import view
from core.shm import COUNTERS, HEADER_BYTES, Segment
from core.shm import attach as attach_segment
from core.shm import create as create_segment

WORD_BYTES: Final = 8
WORDS: Final = 1_024
SCHEMA: Final = 1

# Written by the core.
SEQUENCE: Final = 0  # The newest applied.
DURABLE_SEQUENCE: Final = 1
EVENTS_PUBLISHED: Final = 2
REJECTS: Final = 3
QUERIES: Final = 4
DUTY_CYCLES: Final = 5
BUSY_CYCLES: Final = 6  # That found work.
SLEEPS: Final = 7
WAKE_UPS: Final = 8  # Bytes written into FIFOs of others.
JOURNAL_BYTES: Final = 9
BLOCKS: Final = 10
BLOCK_NS: Final = 11  # Spent making blocks durable.
RING_FAULTS: Final = 12
REPLIES_DROPPED: Final = 13
HEARTBEAT_NS: Final = 14  # Monotonic clock of this machine.
READY: Final = 15  # 1 while orders can be placed.
STATE: Final = 16  # 0 recovering, 1 serving, 2 stopping.
OPEN_ORDERS: Final = 17
TRADES: Final = 18
SEGMENT_NO: Final = 19
STARTED_NS: Final = 21  # Wall clock.
RECOVERED_COMMANDS: Final = 22
SESSIONS_NOT_REMEMBERED: Final = 23
LONGEST_CYCLE_NS: Final = 24  # From the end of one turn to that of the next, sleep left out.
LONGEST_CYCLE_1S_NS: Final = 25  # The same of the last whole second.
MAJOR_FAULTS: Final = 26  # Of the core's process, since it serves, as the next ones.
MINOR_FAULTS: Final = 27
LATE_KERNELS: Final = 28  # Loaded or compiled.
FROZEN_OBJECTS: Final = 29  # That the collector passes over; 0 while it is on.
KINDS: Final = 128  # + kind: commands applied, 0-127.
RING_SLOTS: Final = 512  # + gateway: slots polled from its ring.

# Written by the replayer.
REPLAYED_SEQUENCE: Final = 800
WITNESS_SEQUENCE: Final = 801
WITNESS_LAG_NS: Final = 802
ARCHIVED_SEQUENCE: Final = 803
SNAPSHOT_SEQUENCE: Final = 804
SNAPSHOT_NS: Final = 805
REPLAY_DIFFERENCES: Final = 806  # Where the replay was not where the live run was.
SNAPSHOT_FAULTS: Final = 807
SCRUBBED_SEGMENTS: Final = 808
SCRUB_FAULTS: Final = 809
JOURNAL_OVER_BYTES: Final = 810  # Above journal.keep_bytes, and not to be deleted.
REPLAYER_NS: Final = 811  # Monotonic clock of this machine.

assert RING_SLOTS + GATEWAYS_MAX < REPLAYED_SEQUENCE
WRITERS: Final = {"core": 0, "replayer": 800}  # First word.
assert all(first % 16 == 0 for first in WRITERS.values()), "16 words are 128 bytes"


class Counter(NamedTuple):
    """One entry of the registry."""

    number: int
    label: str
    is_gauge: bool
    text: str


_GAUGES: Final = frozenset(
    {
        "sequence",
        "durable_sequence",
        "heartbeat_ns",
        "ready",
        "state",
        "open_orders",
        "segment_no",
        "started_ns",
        "longest_cycle_ns",
        "longest_cycle_1s_ns",
        "frozen_objects",
        "replayed_sequence",
        "witness_sequence",
        "witness_lag_ns",
        "archived_sequence",
        "snapshot_sequence",
        "snapshot_ns",
        "journal_over_bytes",
        "replayer_ns",
    }
)
_TEXT: Final[dict[int, tuple[str, str]]] = {
    SEQUENCE: ("sequence", "sequence of the newest applied command"),
    DURABLE_SEQUENCE: ("durable_sequence", "newest sequence on stable storage"),
    EVENTS_PUBLISHED: ("events_published", "events written to the output ring"),
    REJECTS: ("rejects", "commands rejected"),
    QUERIES: ("queries", "queries answered"),
    DUTY_CYCLES: ("duty_cycles", "turns of the core's loop"),
    BUSY_CYCLES: ("busy_cycles", "turns of the core's loop that found work"),
    SLEEPS: ("sleeps", "times the core slept"),
    WAKE_UPS: ("wake_ups", "times the core woke an adapter"),
    JOURNAL_BYTES: ("journal_bytes", "bytes written to the journal"),
    BLOCKS: ("blocks", "blocks written to the journal"),
    BLOCK_NS: ("block_ns", "nanoseconds spent writing blocks"),
    RING_FAULTS: ("ring_faults", "words of adapters that made no sense"),
    REPLIES_DROPPED: ("replies_dropped", "answers to queries for which a reply ring had no room"),
    HEARTBEAT_NS: ("heartbeat_ns", "monotonic clock at the core's last sign of life"),
    READY: ("ready", "1 while orders can be placed"),
    STATE: ("state", "0 recovering, 1 serving, 2 stopping"),
    OPEN_ORDERS: ("open_orders", "orders that are open"),
    TRADES: ("trades", "matches"),
    SEGMENT_NO: ("segment_no", "number of the journal segment in use"),
    STARTED_NS: ("started_ns", "wall clock when the core began to serve"),
    RECOVERED_COMMANDS: ("recovered_commands", "commands replayed at start"),
    SESSIONS_NOT_REMEMBERED: ("sessions_not_remembered", "commands of sessions without a row"),
    LONGEST_CYCLE_NS: ("longest_cycle_ns", "longest turn of the core's loop, sleep left out"),
    LONGEST_CYCLE_1S_NS: ("longest_cycle_1s_ns", "longest turn within the last whole second"),
    MAJOR_FAULTS: ("major_faults", "page faults of the core that waited for a disk"),
    MINOR_FAULTS: ("minor_faults", "other page faults of the core since it serves"),
    LATE_KERNELS: ("late_kernels", "kernels loaded or compiled since the core serves"),
    FROZEN_OBJECTS: ("frozen_objects", "objects the core's collector passes over; 0: it is on"),
    REPLAYED_SEQUENCE: ("replayed_sequence", "newest sequence the replayer has applied"),
    WITNESS_SEQUENCE: ("witness_sequence", "newest sequence in the witness file"),
    WITNESS_LAG_NS: ("witness_lag_ns", "age of the newest durable sequence not yet witnessed"),
    ARCHIVED_SEQUENCE: ("archived_sequence", "newest sequence in the event archive"),
    SNAPSHOT_SEQUENCE: ("snapshot_sequence", "sequence of the newest snapshot"),
    SNAPSHOT_NS: ("snapshot_ns", "wall clock of the newest snapshot"),
    REPLAY_DIFFERENCES: ("replay_differences", "checkpoints where a replay differed"),
    SNAPSHOT_FAULTS: ("snapshot_faults", "snapshots that could not be written, loaded or used"),
    SCRUBBED_SEGMENTS: ("scrubbed_segments", "sealed segments read again and found as they were"),
    SCRUB_FAULTS: ("scrub_faults", "sealed segments that are not what they were"),
    JOURNAL_OVER_BYTES: (
        "journal_over_bytes",
        "bytes of the journal above keep_bytes that nothing else holds yet",
    ),
    REPLAYER_NS: ("replayer_ns", "monotonic clock at the replayer's last sign of life"),
}
REGISTRY: Final = tuple(
    Counter(number, label, label in _GAUGES, text) for number, (label, text) in _TEXT.items()
)
_BY_LABEL: Final = {counter.label: counter.number for counter in REGISTRY}
assert len(_BY_LABEL) == len(REGISTRY)
assert set(_BY_LABEL) >= _GAUGES


@kernel
def count(words: int, number: int, amount: int) -> None:
    """Add to a counter.  Only its one writer may do this."""
    address = words + number * WORD_BYTES
    store_release(address, load_acquire(address) + amount)


@kernel
def gauge(words: int, number: int, value: int) -> None:
    """Set a counter.  Only its one writer may do this."""
    store_release(words + number * WORD_BYTES, value)


@kernel
def value_of(words: int, number: int) -> int:
    """What a counter shows now."""
    return load_acquire(words + number * WORD_BYTES)


class Counters:
    """The mapped segment; ``words`` is the address that the kernels take."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.words = segment.address + HEADER_BYTES

    def __getitem__(self, label: str) -> int:
        """The counter with this label; KeyError when there is none."""
        return value_of(self.words, _BY_LABEL[label])

    def values(self) -> dict[str, int]:
        """All counters that are no families, by label."""
        words = self._all()
        return {counter.label: int(words[counter.number]) for counter in REGISTRY}

    def commands_by_kind(self) -> dict[int, int]:
        """How many commands of each kind were applied; kinds that never came are left out."""
        return dict(self._family(KINDS, 128))

    def ring_slots(self) -> dict[int, int]:
        """Slots polled from each gateway's ring."""
        return dict(self._family(RING_SLOTS, GATEWAYS_MAX + 1))

    def close(self) -> None:
        """Unmap."""
        self.segment.close()

    def _all(self) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        return view(self.words, np.dtype(np.int64), WORDS).copy()  # type: ignore[return-value]

    def _family(self, first: int, size: int) -> Iterator[tuple[int, int]]:
        words = self._all()
        for member in range(size):
            if words[first + member]:
                yield member, int(words[first + member])


def create_counters(shm: str, epoch: int) -> Counters:
    """The core's counters, all zero; not visible before ``segment.publish``."""
    line_0 = {
        "epoch": epoch,
        "kind": COUNTERS,
        "schema": SCHEMA,
        "capacity": WORDS,
        "slot_bytes": WORD_BYTES,
    }
    size = HEADER_BYTES + WORDS * WORD_BYTES
    return Counters(create_segment(f"{shm}-counters", size, line_0))


def attach_counters(shm: str, epoch: int, *, writable: bool = False) -> Counters:
    """Map the counters, to read them or (the replayer) to write one's own."""
    return Counters(attach_segment(f"{shm}-counters", COUNTERS, epoch, writable=writable))
