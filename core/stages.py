"""When each command passed each stage of its way: a side ring in shared memory.

Stamps are CLOCK_MONOTONIC nanoseconds and never part of a command's record, an event or a hash.
Before it is sequenced, the ``timestamp_ns`` of a command is free: the producer leaves there when
it had read the request, and in ``crc32c`` how much later it offered the command to its ring.  The
core copies both out before it overwrites them, whatever they are, and stamps the rest by the block:
one clock read serves all commands of a block.  A stamp that makes no sense is a missing one.

Index = sequence & mask, in three arrays: a COMMAND_STAMP (in, ring), at the first sequence of a
block its BLOCK_STAMPS, and the word in which the adapter says when it had written the answer.  The
core stores ``claimed`` before it overwrites and ``newest`` when a block is complete; a reader
copies, looks at ``claimed`` again, and leaves out what may be torn.  (docs/performance.md)
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from core.atomics import fence_release, full_fence, load_word, store_release
from core.clock import monotonic_ns
from core.constants import BATCH_SLOTS_MAX, SLOT_BYTES
from core.jit import inlined, kernel
from core.layout import offset_of, record
from core.memory import pointer, view
from core.messages import COMMAND
from core.shm import HEADER_BYTES, LINE_0, LINE_BYTES, STAGES, Segment, SegmentError, check_capacity
from core.shm import attach as attach_segment
from core.shm import create as create_segment

Array = np.ndarray[Any, Any]

PART: Final = "stages"  # Of the name of the segment.
SCHEMA: Final = 1
CAPACITY: Final = 16_384  # Commands: the ring stays in the cache of the core.
CAPACITY_MIN: Final = BATCH_SLOTS_MAX
AFTER_MAX: Final = (1 << 32) - 1  # "Ring" was so much later than "in", or more: not known.
AGE_MAX_NS: Final = 3_600_000_000_000  # What says that it waited longer is no stamp.
OUT_BITS: Final = 40  # Of time in an adapter's word; above it the lap of the sequence.
OUT_MASK: Final = (1 << OUT_BITS) - 1
LAP_MASK: Final = (1 << 23) - 1
TAG_MASK: Final = (1 << 32) - 1

HEADER: Final = record(
    "stages header",
    2 * LINE_BYTES,
    [
        *LINE_0,  # The core, as all but the adapters' words.
        ("claimed", "<i8"),  # Stamps up to this sequence may be being written.
        ("newest", "<i8"),  # Stamps up to this sequence are complete.
        ("line_1_reserved", "<i8", (14,)),
    ],
)
COMMAND_STAMP: Final = record(
    "what the producer of one command said",
    16,
    [
        ("in_ns", "<i8"),
        ("after", "<u4"),  # From in to ring, nanoseconds.
        ("tag", "<u4"),  # Low half of the sequence.
    ],
)
BLOCK_STAMPS: Final = record(
    "one block, at its first sequence",
    64,
    [
        ("first_sequence", "<i8"),
        ("last_sequence", "<i8"),
        ("sequenced_ns", "<i8"),
        ("durable_ns", "<i8"),  # ``relaxed``: written.
        ("matched_ns", "<i8"),  # Applied, and its events are in the output ring.
        ("published_ns", "<i8"),  # Its gateways were woken; as ``matched_ns`` when they were awake.
        ("reserved", "<i8", (2,)),
    ],
)
STAGES_END: Final = record(
    "one process's end of the side ring; private memory",
    128,
    [
        ("commands", "<i8"),  # Addresses.
        ("blocks", "<i8"),
        ("outs", "<i8"),
        ("claimed_at", "<i8"),
        ("newest_at", "<i8"),
        ("mask", "<i8"),
        ("lap_bits", "<i8"),
        ("state", "<i8"),  # Of the core's block: IDLE, OPEN, APPLIED.
        ("first_sequence", "<i8"),
        ("last_sequence", "<i8"),
        ("sequenced_ns", "<i8"),
        ("durable_ns", "<i8"),
        ("matched_ns", "<i8"),
        ("reserved", "<i8", (3,)),
    ],
)
STAMPS: Final = np.dtype(
    [
        (name, "<i8")
        for name in (
            *("sequence", "in_ns", "ring_ns", "sequenced_ns", "durable_ns", "matched_ns"),
            *("published_ns", "out_ns"),
        )
    ]
)
# A stage is named after its end; it begins where the one before ended.
STAGE_ENDS: Final = {
    "ring": ("in_ns", "ring_ns"),
    "sequenced": ("ring_ns", "sequenced_ns"),
    "durable": ("sequenced_ns", "durable_ns"),
    "matched": ("durable_ns", "matched_ns"),
    "published": ("matched_ns", "published_ns"),
    "adapter out": ("published_ns", "out_ns"),
    "core": ("ring_ns", "published_ns"),  # Sums of the above.
    "all": ("in_ns", "out_ns"),
}
PERCENTILES: Final = {"p50_ns": 50.0, "p90_ns": 90.0, "p99_ns": 99.0, "p99_9_ns": 99.9}
IDLE: Final = 0
OPEN: Final = 1
APPLIED: Final = 2

_at_end = pointer(STAGES_END)
_at_command = pointer(COMMAND)
_at_stamp = pointer(COMMAND_STAMP)
_at_block = pointer(BLOCK_STAMPS)
_STAMP_BYTES: Final = COMMAND_STAMP.itemsize
_BLOCK_BYTES: Final = BLOCK_STAMPS.itemsize
_WORD_BYTES: Final = 8


# The producer of commands.


@kernel
def mark(slot: int, in_ns: int, ring_ns: int) -> None:
    """Leave in a command at address ``slot`` when its request was read and when it is offered."""
    command = _at_command(slot)
    command.timestamp_ns = in_ns
    command.crc32c = after(in_ns, ring_ns)


@inlined
def after(in_ns: int, ring_ns: int) -> int:
    """How much later "ring" was than "in", as it fits the field."""
    return max(0, min(ring_ns - in_ns, AFTER_MAX))


@kernel
def stamp_out(end: int, sequence: int, now_ns: int) -> None:
    """The answer to the command ``sequence`` is written.

    One store of one word that says whose it is: any process may do this at any time.
    """
    ring = _at_end(end)
    lap = (sequence >> ring.lap_bits) & LAP_MASK
    place = ring.outs + (sequence & ring.mask) * _WORD_BYTES
    store_release(place, lap << OUT_BITS | (now_ns & OUT_MASK))


# The core: take, then journaled, applied, published.


@kernel
def take(
    end: int, batch: int, slots: int, first_sequence: int, count: int, sequenced_ns: int
) -> None:
    """A block of ``count`` commands in ``slots`` slots at ``batch`` is sequenced now: keep what
    their producers said."""
    ring = _at_end(end)
    ring.sequenced_ns = sequenced_ns
    ring.first_sequence = first_sequence
    ring.last_sequence = first_sequence + count - 1
    ring.state = OPEN
    store_release(ring.claimed_at, ring.last_sequence)
    fence_release()  # Readers that see a new stamp see the claim.
    stamps = ring.commands
    mask = ring.mask
    sequence = first_sequence
    place = 0
    while place < slots:
        command = _at_command(batch + place * SLOT_BYTES)
        stamp = _at_stamp(stamps + (sequence & mask) * _STAMP_BYTES)
        stamp.in_ns = command.timestamp_ns
        stamp.after = command.crc32c
        stamp.tag = sequence & TAG_MASK
        sequence += 1
        place += command.slots


@inlined
def journaled(end: int) -> None:
    """The block is where its durability demands."""
    _at_end(end).durable_ns = monotonic_ns()


@inlined
def applied(end: int, now_ns: int) -> None:
    """The block, if there is one, is applied, and its events can be read."""
    ring = _at_end(end)
    if ring.state == OPEN:
        ring.matched_ns = now_ns
        ring.state = APPLIED


@inlined
def published(end: int, woken: int) -> None:
    """Who waits for the block, if there is one, was woken, by ``woken`` bytes."""
    ring = _at_end(end)
    if ring.state == APPLIED:
        close_block(end, monotonic_ns() if woken > 0 else ring.matched_ns)


@kernel
def close_block(end: int, published_ns: int) -> None:
    """Write the stamps of the block and make it readable."""
    ring = _at_end(end)
    block = _at_block(ring.blocks + (ring.first_sequence & ring.mask) * _BLOCK_BYTES)
    block.first_sequence = ring.first_sequence
    block.last_sequence = ring.last_sequence
    block.sequenced_ns = ring.sequenced_ns
    block.durable_ns = ring.durable_ns
    block.matched_ns = ring.matched_ns
    block.published_ns = published_ns
    ring.state = IDLE
    store_release(ring.newest_at, ring.last_sequence)


# Readers.


class Stages:
    """One end of the side ring: the mapped segment and the private record the kernels take."""

    def __init__(self, segment: Segment, capacity: int) -> None:
        check_capacity(segment.name, capacity, CAPACITY_MIN)
        expected = size_of(capacity)
        if segment.size != expected:
            raise SegmentError(
                f"stages {segment.name!r}: stamps of {capacity} commands need {expected} bytes, "
                f"the segment has {segment.size}"
            )
        self.segment = segment
        self.capacity = capacity
        commands = segment.address + HEADER_BYTES
        blocks = commands + capacity * _STAMP_BYTES
        outs = blocks + capacity * _BLOCK_BYTES
        self._record = np.zeros(1, STAGES_END)
        self.end = int(self._record.ctypes.data)
        row = self._record[0]
        row["commands"], row["blocks"], row["outs"] = commands, blocks, outs
        row["claimed_at"] = self._claimed_at = segment.address + offset_of(HEADER, "claimed")
        row["newest_at"] = self._newest_at = segment.address + offset_of(HEADER, "newest")
        row["mask"], row["lap_bits"] = capacity - 1, capacity.bit_length() - 1
        self._commands = view(commands, COMMAND_STAMP, capacity)
        self._blocks = view(blocks, BLOCK_STAMPS, capacity)
        self._outs = view(outs, np.dtype("<i8"), capacity)

    @property
    def newest(self) -> int:
        """The newest sequence whose block is published; 0: none in this epoch."""
        return load_word(self._newest_at)

    def answered(self, sequence: int) -> None:
        """The answer to this command is written now."""
        stamp_out(self.end, sequence, monotonic_ns())

    def read(self, from_sequence: int = 1, to_sequence: int | None = None) -> Array:
        """The stamps (rows of STAMPS) of the commands from one sequence to another, both included,
        as far as the ring has them: the newest ``capacity`` at the most.  A stamp that is missing
        or makes no sense is 0."""
        newest = self.newest
        high = newest if to_sequence is None else min(to_sequence, newest)
        # A block begins at most so far before the command that is asked for.
        low = max(from_sequence - BATCH_SLOTS_MAX, newest - self.capacity + 1, 1)
        sequences = np.arange(low, max(high + 1, low), dtype=np.int64)
        places = sequences & (self.capacity - 1)
        commands, blocks = self._commands[places], self._blocks[places]
        outs = self._outs[places]
        full_fence()
        floor = load_word(self._claimed_at) - self.capacity
        is_first = (blocks["first_sequence"] == sequences) & (sequences > floor)
        first = np.maximum.accumulate(np.where(is_first, np.arange(len(sequences)), -1))
        block = blocks[first]
        known = (first >= 0) & (block["last_sequence"] >= sequences) & (sequences >= from_sequence)
        found = np.zeros(np.count_nonzero(known), STAMPS)
        found["sequence"] = sequences[known]
        for name in ("sequenced_ns", "durable_ns", "matched_ns", "published_ns"):
            found[name] = block[name][known]
        _add_producers(found, commands[known])
        self._add_outs(found, outs[known])
        return found

    def _add_outs(self, found: Array, outs: Array) -> None:
        lap = (found["sequence"] >> (self.capacity.bit_length() - 1)) & LAP_MASK
        later = (outs - found["published_ns"]) & OUT_MASK
        is_own = (outs > 0) & (outs >> OUT_BITS == lap) & (later <= OUT_MASK >> 1)
        found["out_ns"] = np.where(is_own, found["published_ns"] + later, 0)

    def close(self) -> None:
        """Unmap; the end must not be used any more."""
        del self._commands, self._blocks, self._outs
        self.segment.close()


def _add_producers(found: Array, commands: Array) -> None:
    """What the producers left there, as far as it can be true."""
    in_ns, sequenced_ns = commands["in_ns"], found["sequenced_ns"]
    later = commands["after"].astype(np.int64)
    is_own = commands["tag"] == (found["sequence"] & TAG_MASK)
    # In this order nothing overflows: both are positive before they are subtracted.
    is_own &= (in_ns > 0) & (in_ns <= sequenced_ns)
    waited = sequenced_ns - np.where(is_own, in_ns, sequenced_ns)
    is_own &= waited < AGE_MAX_NS
    found["in_ns"] = np.where(is_own, in_ns, 0)
    has_ring = is_own & (later <= waited) & (later < AFTER_MAX)
    found["ring_ns"] = np.where(has_ring, found["in_ns"] + later, 0)


def table(stamps: Array) -> list[dict[str, Any]]:
    """Stage x percentile, in the order of the way; a stage that nobody stamped is left out."""
    return list(_rows(stamps))


def _rows(stamps: Array) -> Iterator[dict[str, Any]]:
    for stage, (begin, end) in STAGE_ENDS.items():
        known = (stamps[begin] > 0) & (stamps[end] >= stamps[begin])  # Somebody may set clocks.
        taken_ns = stamps[end][known] - stamps[begin][known]
        if len(taken_ns):
            shares = np.percentile(taken_ns, list(PERCENTILES.values()), method="higher")
            figures = dict(zip(PERCENTILES, shares.tolist(), strict=True))
            yield {
                "stage": stage,
                **figures,
                "max_ns": int(taken_ns.max()),
                "count": len(taken_ns),
            }


def size_of(capacity: int) -> int:
    """Bytes of the segment."""
    return HEADER_BYTES + capacity * (_STAMP_BYTES + _BLOCK_BYTES + _WORD_BYTES)


def create_stages(shm: str, epoch: int, capacity: int = CAPACITY) -> Stages:
    """The core's end of a new side ring; not visible before ``segment.publish``."""
    check_capacity(f"{shm}-{PART}", capacity, CAPACITY_MIN)
    line_0 = {
        "epoch": epoch,
        "kind": STAGES,
        "schema": SCHEMA,
        "capacity": capacity,
        "slot_bytes": _BLOCK_BYTES,
    }
    return Stages(create_segment(f"{shm}-{PART}", size_of(capacity), line_0), capacity)


def attach_stages(shm: str, epoch: int, *, writable: bool = False) -> Stages:
    """An adapter's end (``writable``: it stamps its answers) or a reader's.

    SegmentError when it is not there (the core does not stamp) or not what it says.
    """
    segment = attach_segment(f"{shm}-{PART}", STAGES, epoch, writable=writable)
    try:
        if segment.word("schema") != SCHEMA:
            raise SegmentError(
                f"stages {segment.name!r}: schema {SCHEMA} expected, {segment.word('schema')} found"
            )
        return Stages(segment, segment.capacity)
    except SegmentError:
        segment.close()
        raise
