"""Random lives of a journal: batches, markers, restarts, crashes with random damage to the tail.

Whatever was acknowledged comes back byte for byte; what was not may be gone, never changed.
"""

import os
import random
import time
from pathlib import Path

import pytest

from core.journal import recovery as recoveries
from core.journal.layout import ALIGN_SYNC, SECTOR_BYTES
from core.journal.recovery import recover
from core.journal.verify import verify
from tests.core.journal.files import (
    CONFIG,
    RELAXED_CONFIG,
    Journal,
    read_all,
    segment,
)


def some_sizes(chance: random.Random) -> tuple[int, ...]:
    """Sizes of the commands of one block."""
    sizes = [chance.choice((1, 1, 1, 2, 3, 4)) for _ in range(chance.choice((1, 2, 10, 64)))]
    return tuple(sizes)


def tear(data: Path, offset: int, journal: Journal, chance: random.Random) -> None:
    """Take back a random part of the sectors of the newest block, as a power cut would."""
    path = segment(data, int(journal.writer.row.segment_no))
    with path.open("r+b") as file:
        for place in range(offset, int(journal.writer.row.offset), SECTOR_BYTES):
            if chance.random() < 0.5:
                file.seek(place)
                file.write(bytes(SECTOR_BYTES))


def test_acknowledged_commands_survive_any_crash_of_a_sync_journal(
    data: Path, journal_seed: int
) -> None:
    chance = random.Random(journal_seed)
    acknowledged: list[bytes] = []
    for _life in range(6):
        journal = Journal(data)
        assert read_all(data) == b"".join(acknowledged)
        journal.written = list(acknowledged)
        for _ in range(chance.randrange(1, 30)):
            journal.append(some_sizes(chance), journal_seed)
            if chance.random() < 0.1:
                journal.writer.marker()
        acknowledged = list(journal.written)
        ending = chance.choice(("clean", "killed", "torn"))
        if ending == "torn":
            before = (int(journal.writer.row.segment_no), int(journal.writer.row.offset))
            journal.append(some_sizes(chance), journal_seed)  # In flight, never acknowledged.
            rotated = before[0] != journal.writer.row.segment_no
            tear(data, ALIGN_SYNC if rotated else before[1], journal, chance)
            journal.crash()
            if len(read_all(data)) > len(b"".join(acknowledged)):
                acknowledged = list(journal.written)  # Nothing of it was missing.
        elif ending == "killed":
            journal.crash()
        else:
            journal.close()
    assert verify(data).tail in ("CLEAN", "TORN")


def test_a_relaxed_journal_keeps_a_prefix_with_all_that_was_durable(
    data: Path, journal_seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power cuts: pages that were not synced are gone, and the machine boots."""
    monkeypatch.setattr(recoveries, "boot_id", lambda: os.urandom(16))
    chance = random.Random(1_000 + journal_seed)
    kept: list[bytes] = []
    given = 1
    for _life in range(4):
        journal = Journal(data, RELAXED_CONFIG)
        assert journal.writer.row.next_sequence >= given
        journal.written = list(kept)
        for _ in range(chance.randrange(1, 15)):
            journal.append(some_sizes(chance), journal_seed)
        durable, start = _durable_place(journal)
        number = int(journal.writer.row.segment_no)
        for _ in range(chance.randrange(1, 15)):
            journal.append(some_sizes(chance), journal_seed)
        given = int(journal.writer.row.next_sequence)
        if number != journal.writer.row.segment_no:  # A segment is durable when it is left.
            start = 4096
        journal.crash()
        whole = b"".join(journal.written)
        _lose_pages(data, journal, start, chance)
        again = recover(data, RELAXED_CONFIG)
        again.lock.close()
        found = read_all(data)
        assert whole.startswith(found)
        assert again.last_sequence >= durable
        kept = [found]


def _durable_place(journal: Journal) -> tuple[int, int]:
    """Wait for the syncer and stop it; how far the journal is durable, and where that ends."""
    row = journal.writer.row
    while row.durable_sequence < row.last_sequence:
        time.sleep(0.001)
    row.stop = 1
    assert journal.writer._syncer is not None
    journal.writer._syncer.join()
    return int(row.durable_sequence), int(row.offset)


def _lose_pages(data: Path, journal: Journal, start: int, chance: random.Random) -> None:
    path = segment(data, int(journal.writer.row.segment_no))
    with path.open("r+b") as file:
        for place in range(start, int(journal.writer.row.offset), SECTOR_BYTES):
            if chance.random() < 0.3:
                file.seek(place)
                file.write(bytes(SECTOR_BYTES))


@pytest.mark.parametrize("size", [0, 1])
def test_a_copy_cut_off_behind_any_block_is_a_shorter_journal(data: Path, size: int) -> None:
    """A backup taken while the exchange ran; without a witness this is all that can be said."""
    chance = random.Random(size)
    journal = Journal(data)
    ends = [journal.append(some_sizes(chance)) for _ in range(6)]
    written = journal.written
    journal.close()
    path = segment(data)
    raw = path.read_bytes()
    for count, end in enumerate(ends, 1):
        path.write_bytes(raw[:end] + bytes(len(raw) - end))
        assert read_all(data) == b"".join(written[:count])
        recover(data, CONFIG).lock.close()
