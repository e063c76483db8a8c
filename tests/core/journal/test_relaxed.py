"""``relaxed``: everything behind the first invalid block is lost, unless something was durable."""

import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from core.constants import SEQUENCE_JUMP
from core.journal import recovery as recoveries
from core.journal import witness
from core.journal.appender import append
from core.journal.layout import EPOCH_PAYLOAD, EPOCH_START, SECTOR_BYTES
from core.journal.recovery import Known, recover
from core.journal.scanner import Special
from core.journal.segments import inventory
from core.journal.verify import open_walk, verify
from core.journal.writer import Writer
from tests.core.journal.files import (
    CONFIG,
    RELAXED_CONFIG,
    Journal,
    commands,
    flip,
    patch,
    read_all,
    refusal,
    segment,
    used_bytes,
    walk_of,
)


def unsynced(data: Path, blocks: int = 12) -> tuple[Journal, list[int]]:
    """A killed journal whose blocks say that nothing was durable; the offset behind each block."""
    journal = Journal(data, RELAXED_CONFIG)
    journal.writer.row.stop = 1
    assert journal.writer._syncer is not None
    journal.writer._syncer.join()
    ends = [journal.append((1,) * (index % 5 + 1)) for index in range(blocks)]
    journal.crash()
    return journal, ends


def test_a_block_takes_no_more_than_its_sectors(data: Path) -> None:
    journal = Journal(data, RELAXED_CONFIG)
    before = int(journal.writer.row.offset)
    assert journal.append((1,)) == before + SECTOR_BYTES
    assert journal.append((4,)) == before + 3 * SECTOR_BYTES
    journal.close()
    assert verify(data).commands == 2


def test_what_was_written_becomes_durable_in_the_background(data: Path) -> None:
    journal = Journal(data, RELAXED_CONFIG)
    for _ in range(3):
        journal.append((1,))
        end = time.monotonic() + 5
        while journal.writer.row.durable_sequence < journal.writer.row.last_sequence:
            assert time.monotonic() < end
            time.sleep(0.001)
    assert journal.writer.row.durable_sequence == 3
    assert journal.writer.row.syncs >= 3
    syncs = int(journal.writer.row.syncs)
    time.sleep(0.05)
    assert journal.writer.row.syncs <= syncs + 1, "nothing new, nothing synced"
    journal.close()


def test_a_killed_process_loses_nothing_and_jumps_nowhere(data: Path) -> None:
    journal, _ends = unsynced(data)
    again = recover(data, RELAXED_CONFIG)
    again.lock.close()
    assert again.next_sequence == again.last_sequence + 1
    assert read_all(data) == b"".join(journal.written)


@pytest.mark.parametrize("place", range(1, 11))
def test_everything_behind_the_first_invalid_block_is_lost_and_never_numbered_again(
    data: Path, place: int
) -> None:
    journal, ends = unsynced(data)
    path = segment(data)
    patch(path, ends[place - 1], bytes(SECTOR_BYTES))
    cut = path.read_bytes()[ends[place - 1] : used_bytes(path)]
    kept = b"".join(journal.written[:place])
    last = sum(index % 5 + 1 for index in range(place))
    again = Journal(data, RELAXED_CONFIG)
    assert again.recovery.last_sequence == last
    assert again.recovery.next_sequence == last + SEQUENCE_JUMP
    assert again.recovery.lost == (last + 1, last + SEQUENCE_JUMP - 1)
    again.append((1,))
    again.close()
    assert read_all(data) == kept + again.written[0]
    (epoch,) = [
        np.frombuffer(item.payload, EPOCH_PAYLOAD)[0]
        for item in open_walk(data)
        if isinstance(item, Special) and item.kind == EPOCH_START and item.block["epoch"] == 2
    ]
    assert (int(epoch["lost_first"]), int(epoch["lost_last"])) == again.recovery.lost
    (quarantined,) = (path.parent / "quarantine").iterdir()
    assert quarantined.read_bytes().startswith(cut)


def test_any_mixture_of_lost_pages_leaves_a_journal_that_goes_on(data: Path) -> None:
    journal, ends = unsynced(data, 40)
    path = segment(data)
    raw = path.read_bytes()
    chance = random.Random(5)
    written = b"".join(journal.written)
    first = 4096 + 2 * SECTOR_BYTES
    for _ in range(20):
        lost = bytearray(raw)
        for page in chance.sample(range(first, ends[-1], SECTOR_BYTES), 3):
            lost[page : page + SECTOR_BYTES] = bytes(SECTOR_BYTES)
        path.write_bytes(lost)
        assert verify(data).tail == "LOST"
        again = Journal(data, RELAXED_CONFIG)
        assert again.recovery.next_sequence == again.recovery.last_sequence + SEQUENCE_JUMP
        again.close()
        assert written.startswith(read_all(data))
        assert refusal(data, RELAXED_CONFIG) == ""


def test_a_later_header_that_says_durable_refuses(data: Path) -> None:
    journal = Journal(data, RELAXED_CONFIG)
    journal.append((1,))
    damaged = journal.append((1,)) - SECTOR_BYTES
    while journal.writer.row.durable_sequence < 2:
        time.sleep(0.001)
    journal.append((1,))
    journal.crash()
    flip(segment(data), damaged * 8 + 2_000)
    assert refusal(data, RELAXED_CONFIG) == "LOST_ACKED"


def test_a_witness_ahead_refuses(data: Path) -> None:
    journal, ends = unsynced(data)
    walk = walk_of(data, watch=6)
    for _ in walk:
        pass
    assert walk.state.watch_found
    chain = (int(walk.state.watch_a), int(walk.state.watch_b))
    witness.write(journal.directory, journal.recovery.uuid, 6, chain, 1)
    assert refusal(data, RELAXED_CONFIG) == ""
    patch(segment(data), ends[1], bytes(SECTOR_BYTES))
    assert refusal(data, RELAXED_CONFIG) == "LOST_ACKED"


def test_a_start_that_dies_after_the_cut_still_jumps(data: Path) -> None:
    """The cut was made, EPOCH_START was not written: the tail is clean now, the ids are gone."""
    _journal, ends = unsynced(data)
    patch(segment(data), ends[3], bytes(SECTOR_BYTES))
    first = recover(data, RELAXED_CONFIG)
    first.lock.close()
    second = recover(data, RELAXED_CONFIG)
    second.lock.close()
    assert second.last_sequence == 10
    assert second.next_sequence == first.next_sequence == 10 + SEQUENCE_JUMP
    assert second.cut == first.cut
    assert second.lost == first.lost


def test_a_second_loss_jumps_again(data: Path) -> None:
    """Ids given after the first jump may have been seen; they are lost without a trace here."""
    _journal, ends = unsynced(data)
    patch(segment(data), ends[3], bytes(SECTOR_BYTES))
    again = Journal(data, RELAXED_CONFIG)
    offset = int(again.writer.row.offset)
    again.writer.row.stop = 1
    again.append((1,))
    end = again.append((1,))
    again.crash()
    patch(segment(data), offset, bytes(end - offset - SECTOR_BYTES))
    third = recover(data, RELAXED_CONFIG)
    third.lock.close()
    assert third.next_sequence == 9 + 2 * SEQUENCE_JUMP
    assert third.lost == (10 + SEQUENCE_JUMP, 8 + 2 * SEQUENCE_JUMP)


def test_after_a_boot_without_a_clean_stop_ids_are_not_given_again(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole blocks may have been lost behind the last one, and the disk does not show it."""
    unsynced(data)
    monkeypatch.setattr(recoveries, "boot_id", lambda: os.urandom(16))
    again = recover(data, RELAXED_CONFIG)
    again.lock.close()
    assert again.next_sequence == again.last_sequence + SEQUENCE_JUMP


def test_after_a_boot_with_a_clean_stop_sequences_go_on(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(data, RELAXED_CONFIG)
    journal.append((1, 1))
    journal.close()
    monkeypatch.setattr(recoveries, "boot_id", lambda: os.urandom(16))
    again = recover(data, RELAXED_CONFIG)
    again.lock.close()
    assert (again.closed, again.next_sequence) == (True, 3)


@pytest.mark.parametrize("from_snapshot", [False, True])
def test_a_start_in_sync_that_dies_before_its_fence_leaves_no_sequence_to_be_given_again(
    data: Path, monkeypatch: pytest.MonkeyPatch, from_snapshot: bool
) -> None:
    """The newest segment is of ``sync`` then, and behind a snapshot there is no EPOCH_START."""
    unsynced(data)
    walk, known = walk_of(data), Known()
    for item in walk:
        known.take(item)
    known.durability = 0  # A snapshot does not keep it.
    monkeypatch.setattr(recoveries, "boot_id", lambda: os.urandom(16))
    recovery = recover(data, CONFIG)
    with monkeypatch.context() as dying:
        dying.setattr(Writer, "_fence", lambda *_given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Writer(recovery)
    recovery.lock.close()
    opening = recoveries.begin(data, CONFIG)
    assert len(inventory(opening.directory)) == 2
    if from_snapshot:
        again = recoveries.finish(opening, start=walk.place, known=known)
    else:
        again = recoveries.finish(opening)
    again.lock.close()
    assert again.next_sequence == again.last_sequence + SEQUENCE_JUMP


def test_a_complete_block_with_wrong_sequences_refuses_and_is_not_cut(data: Path) -> None:
    journal = Journal(data, RELAXED_CONFIG)
    rows = commands(1, (1,))
    rows["sequence"] = 5
    address = rows.ctypes.data
    assert append(journal.writer.address, address, 1, 1, 1, 1, 1) == 0
    journal.crash()
    assert refusal(data, RELAXED_CONFIG) == "RECORD"


def test_rotation_leaves_nothing_behind_that_is_not_durable(data: Path) -> None:
    journal = Journal(data, RELAXED_CONFIG)
    while journal.writer.row.segment_no < 4:
        journal.append((1,) * 256)
    journal.append((1,))
    written = b"".join(journal.written)
    journal.close()
    assert read_all(data) == written
