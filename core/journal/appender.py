"""The compiled way of a block to the disk: encode, write, count.  One call per block.

The JOURNAL record is the state of the writer: words at an address that the duty cycle is given.
Python (``core.journal.writer``) fills it, rotates segments and writes the rare kinds of blocks.
"""

from typing import Final

from core.constants import BATCH_SLOTS_MAX, SLOT_BYTES
from core.jit import VERIFY, kernel
from core.journal.blocks import block_at, block_bytes, encode
from core.journal.layout import DATA, PAYLOAD_BYTES_MAX
from core.layout import record
from core.libc import clock_monotonic_ns, fdatasync, nanosleep, pwrite
from core.memory import pointer

JOURNAL: Final = record(
    "state of the journal's writer",
    256,
    [
        ("fd", "<i8"),
        ("mode", "<i8"),  # DIRECT, FDATASYNC, BACKGROUND
        ("align", "<i8"),
        ("segment_bytes", "<i8"),
        ("segment_no", "<i8"),
        ("offset", "<i8"),  # Of the next block in the segment.
        ("block_no", "<i8"),  # Of the next block.
        ("chain_a", "<i8"),
        ("chain_b", "<i8"),
        ("salt", "<i8"),
        ("epoch", "<i8"),
        ("next_sequence", "<i8"),
        ("last_sequence", "<i8"),  # Written; in ``sync`` durable too.
        ("durable_sequence", "<i8"),  # On stable storage: ``sync`` by append, else by the syncer.
        ("timestamp_ns", "<i8"),  # Of the newest block.
        ("image", "<i8"),  # Address of the buffer of BLOCK_BYTES_MAX, page-aligned.
        ("segment_blocks", "<i8"),
        ("blocks", "<i8"),  # Counters, since the start of the process.
        ("commands", "<i8"),
        ("bytes", "<i8"),
        ("write_ns", "<i8"),  # The newest write with its sync; ``sync`` only.
        ("write_max_ns", "<i8"),
        ("slow_writes", "<i8"),  # Above SLOW_NS.
        ("rotations", "<i8"),
        ("rotations_without_spare", "<i8"),
        ("synced_blocks", "<i8"),  # The syncer's: blocks known durable.
        ("syncs", "<i8"),
        ("stop", "<i8"),  # Asks the syncer to end.
        ("reserved", "<i8", (4,)),
    ],
)
journal_at: Final = pointer(JOURNAL)

# Modes.
DIRECT: Final = 1  # The file is open with O_DIRECT and O_DSYNC: one call does both.
FDATASYNC: Final = 2
BACKGROUND: Final = 3  # ``relaxed``: written here, made durable by ``sync_until``.

NO_ROOM: Final = 1  # The segment is full: rotate, then call again.  Nothing was written.
EIO: Final = 5
EINVAL: Final = 22
ETIMEDOUT: Final = 110
EINTR: Final = 4

SLOW_NS: Final = 50_000_000
DEAD_NS: Final = 5_000_000_000  # A write that takes longer is a failure.
SYNC_PAUSE_NS: Final = 3_000_000


@kernel
def append(  # noqa: PLR0913
    journal: int,
    commands: int,
    n_slots: int,
    n_records: int,
    first_sequence: int,
    last_sequence: int,
    timestamp_ns: int,
) -> int:
    """Write one block of command records that lie side by side at ``commands``.

    The records are complete: sequence, timestamp_ns and crc32c are set.  ``timestamp_ns`` is that
    of the newest.  0: the block is written (``sync``: durable) and the records may be applied.
    NO_ROOM: nothing was written, ``Writer.rotate`` and call again.  Negative: minus errno; the
    process has to end (``fail_stop``), nothing of the block may be applied.
    """
    row = journal_at(journal)
    if n_slots < 1 or n_slots > BATCH_SLOTS_MAX or n_records < 1 or n_records > n_slots:
        return -EINVAL
    if first_sequence != row.next_sequence or last_sequence != first_sequence + n_records - 1:
        return -EINVAL
    size = n_slots * SLOT_BYTES
    if not has_room(journal, size):
        return NO_ROOM
    block = block_at(row.image)
    block.kind = DATA
    block.payload_bytes = size
    block.record_count = n_records
    block.first_sequence = first_sequence
    block.last_sequence = last_sequence
    done = _write(journal, commands, timestamp_ns)
    if done != 0:
        return done
    row.next_sequence = last_sequence + 1
    row.last_sequence = last_sequence
    row.commands += n_records
    if row.mode != BACKGROUND:
        row.durable_sequence = last_sequence
    return 0


@kernel
def append_block(
    journal: int, kind: int, payload: int, payload_bytes: int, timestamp_ns: int
) -> int:
    """Write a block that takes no sequence (MARKER, CHECKPOINT, ...); results as of ``append``."""
    if payload_bytes < 0 or payload_bytes > PAYLOAD_BYTES_MAX:
        return -EINVAL
    if not has_room(journal, payload_bytes):
        return NO_ROOM
    return write_special(journal, kind, payload, payload_bytes, timestamp_ns)


@kernel
def write_special(
    journal: int, kind: int, payload: int, payload_bytes: int, timestamp_ns: int
) -> int:
    """As ``append_block``, but the last unit of the segment may be used: for SEAL."""
    row = journal_at(journal)
    block = block_at(row.image)
    block.kind = kind
    block.payload_bytes = payload_bytes
    block.record_count = 0
    block.first_sequence = row.next_sequence
    block.last_sequence = row.last_sequence
    return _write(journal, payload, timestamp_ns)


@kernel
def has_room(journal: int, payload_bytes: int) -> bool:
    """Whether a block with that payload fits and leaves room for SEAL, which is one unit."""
    row = journal_at(journal)
    return row.offset + block_bytes(payload_bytes, row.align) + row.align <= row.segment_bytes


@kernel
def _write(journal: int, payload: int, timestamp_ns: int) -> int:
    """Complete the block begun in the image and write it; 0 or minus errno."""
    row = journal_at(journal)
    block = block_at(row.image)
    block.salt = row.salt
    block.block_no = row.block_no
    block.epoch = row.epoch
    block.durable_sequence = row.durable_sequence
    block.timestamp_ns = max(timestamp_ns, row.timestamp_ns)
    block.prev_chain_a = row.chain_a
    block.prev_chain_b = row.chain_b
    length = encode(row.image, payload, row.align)
    if VERIFY:
        assert row.offset % row.align == 0
        assert row.offset + length <= row.segment_bytes
    done = _store(journal, length)
    if done != 0:
        return done
    row.offset += length
    row.block_no += 1
    row.chain_a = block.chain_a
    row.chain_b = block.chain_b
    row.timestamp_ns = block.timestamp_ns
    row.segment_blocks += 1
    row.blocks += 1
    row.bytes += length
    return 0


@kernel
def _store(journal: int, length: int) -> int:
    """One pwrite of the image, durable in ``sync``; a short write is an error."""
    row = journal_at(journal)
    if row.mode == BACKGROUND:
        done = pwrite(row.fd, row.image, length, row.offset)
        return 0 if done == length else min(done, 0) - EIO * (done >= 0)
    begun_ns = clock_monotonic_ns()
    done = pwrite(row.fd, row.image, length, row.offset)
    if done != length:
        return min(done, 0) - EIO * (done >= 0)
    if row.mode == FDATASYNC:
        done = fdatasync(row.fd)
        if done < 0:
            return done
    taken_ns = clock_monotonic_ns() - begun_ns
    row.write_ns = taken_ns
    row.write_max_ns = max(row.write_max_ns, taken_ns)
    row.slow_writes += taken_ns > SLOW_NS
    return -ETIMEDOUT if taken_ns > DEAD_NS else 0


@kernel
def sync_until(journal: int, turns: int) -> int:
    """The syncer of ``relaxed``: make durable what was written, every SYNC_PAUSE_NS; 0 or -errno.

    The only writer of ``durable_sequence`` and ``synced_blocks`` in that mode.  What it counts as
    durable was written before the sync began; an older segment was synced when it was left.
    """
    row = journal_at(journal)
    for _ in range(turns):
        if row.stop != 0:
            break
        nanosleep(SYNC_PAUSE_NS)
        blocks = row.blocks
        last_sequence = row.last_sequence
        if blocks == row.synced_blocks:
            continue
        done = fdatasync(row.fd)
        if done < 0:
            return done
        row.syncs += 1
        row.synced_blocks = blocks
        row.durable_sequence = last_sequence
    return 0
