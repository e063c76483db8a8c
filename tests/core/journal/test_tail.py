"""The end of the newest segment: a tear is cut away, everything else that is not clean refuses.

OUTCRY_FLIPS=all flips every bit of the journal, not a sample (some minutes).
"""

import itertools
import os
import random
from pathlib import Path

import pytest

from core.jit import PURE
from core.journal.appender import append
from core.journal.errors import JournalRefused
from core.journal.layout import ALIGN_SYNC, BLOCK_BYTES_MAX, SECTOR_BYTES
from core.journal.recovery import recover
from core.journal.verify import verify
from tests.core.journal.files import (
    CONFIG,
    Journal,
    commands,
    flip,
    patch,
    read_all,
    refusal,
    segment,
    small_journal,
    used_bytes,
)

SECTORS = ALIGN_SYNC // SECTOR_BYTES


def crashed(data: Path) -> tuple[Path, bytes, int]:
    """A journal whose last block (5 slots, 8 sectors) lies at the offset; its bytes."""
    journal = small_journal(data)
    path = segment(data)
    offset = (
        used_bytes(path) // ALIGN_SYNC * ALIGN_SYNC
        - (used_bytes(path) % ALIGN_SYNC == 0) * ALIGN_SYNC
    )
    journal.crash()
    return path, path.read_bytes()[offset : offset + ALIGN_SYNC], offset


def test_a_journal_left_by_a_killed_process_is_complete(data: Path) -> None:
    journal = small_journal(data)
    journal.crash()
    assert verify(data).tail == "CLEAN"
    assert verify(data).last_sequence == 45
    assert read_all(data) == b"".join(journal.written)


@pytest.mark.parametrize("missing", range(1, 1 << SECTORS, 1 if not PURE else 37))
def test_whatever_sectors_of_the_last_block_are_missing_it_is_cut_away(
    data: Path, missing: int
) -> None:
    path, block, offset = crashed(data)
    torn = bytearray(block)
    for sector in range(SECTORS):
        if missing >> sector & 1:
            torn[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = bytes(SECTOR_BYTES)
    patch(path, offset, bytes(torn))
    nothing_left = missing == (1 << SECTORS) - 1
    assert verify(data).tail == ("CLEAN" if nothing_left else "TORN")
    recovery = recover(data, CONFIG)
    recovery.lock.close()
    assert recovery.last_sequence == 43
    assert recovery.next_sequence == 44
    assert recovery.lost == (0, 0)
    assert used_bytes(path) <= offset
    kept = [file.read_bytes() for file in sorted((path.parent / "quarantine").glob("*"))]
    assert kept == ([] if nothing_left else [bytes(torn)])


def test_the_sequence_of_a_torn_block_is_given_again_and_the_cut_is_recorded(data: Path) -> None:
    path, _block, offset = crashed(data)
    patch(path, offset + 3 * SECTOR_BYTES, bytes(SECTOR_BYTES))
    journal = Journal(data)
    assert journal.recovery.cut == (1, offset, ALIGN_SYNC)
    journal.append((1,))
    journal.close()
    assert not (path.parent / "truncation").exists()
    assert verify(data).last_sequence == 44


def test_a_torn_block_of_nine_pages_is_cut_away_whole(data: Path) -> None:
    journal = small_journal(data)
    offset = int(journal.writer.row.offset)
    journal.append((1,) * 256)
    path = segment(data)
    journal.crash()
    for sector in (1, 40, 71):
        patch(path, offset + sector * SECTOR_BYTES, bytes(SECTOR_BYTES))
    assert verify(data)[4:6] == ("TORN", 9 * ALIGN_SYNC)
    assert Journal(data).recovery.last_sequence == 45


def test_zeros_from_any_sector_of_the_last_block_on_are_a_tear(data: Path) -> None:
    path, block, offset = crashed(data)
    for sector in range(1, SECTORS):
        cut = sector * SECTOR_BYTES
        patch(path, offset, block[:cut] + bytes(ALIGN_SYNC - cut))
        assert verify(data).tail == "TORN"
        assert verify(data).last_sequence == 43


def test_zeros_from_inside_a_sector_on_are_damage(data: Path) -> None:
    path, block, offset = crashed(data)
    for cut in (1, 100, 511, 513, 1_000, 4_095):
        patch(path, offset, block[:cut] + bytes(ALIGN_SYNC - cut))
        assert refusal(data) == "CORRUPT_TAIL"


def test_a_sector_of_the_last_block_that_is_neither_old_nor_new_is_damage(data: Path) -> None:
    path, _block, offset = crashed(data)
    patch(path, offset + 2 * SECTOR_BYTES, random.Random(1).randbytes(SECTOR_BYTES))
    patch(path, offset + 5 * SECTOR_BYTES, bytes(SECTOR_BYTES))
    assert refusal(data) == "CORRUPT_TAIL"


def test_garbage_behind_the_block_in_flight_refuses(data: Path) -> None:
    path, _block, offset = crashed(data)
    end = offset + ALIGN_SYNC
    for place, reason in (
        (end + BLOCK_BYTES_MAX, "GARBAGE_BEYOND_INFLIGHT"),
        (end, "CORRUPT_TAIL"),
        (end + ALIGN_SYNC, "CORRUPT_TAIL"),  # An in-flight block whose first sectors are missing?
    ):
        patch(path, place, b"\1")
        assert refusal(data) == reason
        patch(path, place, b"\0")
    assert refusal(data) == ""


def test_garbage_behind_a_torn_block_refuses(data: Path) -> None:
    path, _block, offset = crashed(data)
    patch(path, offset + SECTOR_BYTES, bytes(SECTOR_BYTES))
    patch(path, offset + 2 * ALIGN_SYNC, b"\1")
    assert refusal(data) == "GARBAGE_BEYOND_INFLIGHT"


def test_a_block_missing_in_the_middle_is_a_hole(data: Path) -> None:
    path, _block, offset = crashed(data)
    patch(path, offset - ALIGN_SYNC, bytes(ALIGN_SYNC))
    assert refusal(data) == "HOLE"


def test_blocks_swapped_or_repeated_refuse(data: Path) -> None:
    path, last, offset = crashed(data)
    raw = path.read_bytes()
    genesis, epoch = raw[4096:8192], raw[8192:12288]
    first = raw[12288:16384]
    for place, blocks in (
        (4096, epoch + genesis),
        (8192, first + epoch),
        (offset + ALIGN_SYNC, last),
        (offset + ALIGN_SYNC, first),
        (12288, epoch),
    ):
        patch(path, place, blocks)
        assert refusal(data) != ""
        path.write_bytes(raw)
    assert refusal(data) == ""


def test_the_block_of_another_history_is_a_broken_chain(data: Path, tmp_path: Path) -> None:
    """Same place, same salt, same number, but another past: two copies that went on apart."""
    small_journal(data).close()
    path = segment(data)
    before, offset = path.read_bytes(), used_bytes(path)
    offset = -(-offset // ALIGN_SYNC) * ALIGN_SYNC
    grown = []
    for seed in (1, 2):
        path.write_bytes(before)
        journal = Journal(data)
        journal.append((1,), seed)
        journal.append((2,), seed)
        journal.crash()
        grown.append(path.read_bytes())
    mixed = grown[0][: offset + 2 * ALIGN_SYNC] + grown[1][offset + 2 * ALIGN_SYNC :]
    path.write_bytes(mixed)
    assert refusal(data) == "CHAIN"


def test_a_command_with_a_wrong_checksum_of_its_own_refuses(data: Path) -> None:
    journal = Journal(data)
    rows = commands(1, (1,))
    rows["crc32c"] ^= 1
    assert append(journal.writer.address, rows.ctypes.data, 1, 1, 1, 1, 1) == 0
    journal.crash()
    assert refusal(data) == "RECORD"


def test_every_flipped_bit_of_a_clean_journal_is_found(data: Path) -> None:
    small_journal(data).close()
    path = segment(data)
    last = verify(data).last_sequence
    bits = range(used_bytes(path) * 8)
    if os.environ.get("OUTCRY_FLIPS") != "all":
        chance = random.Random(17)
        heads = [4096 * block * 8 + bit for block in range(7) for bit in range(0, 1024, 97)]
        bits = sorted({*heads, *chance.sample(bits, 20 if PURE else 300)})  # type: ignore[assignment]
        bits = bits[:: 9 if PURE else 1]
    silent = []
    for bit in bits:
        flip(path, bit)
        if _accepted(data):
            silent.append(bit)
        flip(path, bit)
    assert silent == []
    assert verify(data).last_sequence == last


def _accepted(data: Path) -> bool:
    try:
        verify(data)
    except JournalRefused:
        return False
    return True


def test_every_flipped_bit_behind_the_last_block_is_found(data: Path) -> None:
    small_journal(data).close()
    path = segment(data)
    size = path.stat().st_size
    used = used_bytes(path)
    for bit in random.Random(3).sample(range(used * 8, size * 8), 10 if PURE else 100):
        flip(path, bit)
        assert not _accepted(data)
        flip(path, bit)


def test_several_faults_at_once_never_pass(data: Path) -> None:
    path, _block, offset = crashed(data)
    raw = path.read_bytes()
    chance = random.Random(23)
    for _ in range(5 if PURE else 60):
        torn = bytearray(raw)
        for sector in chance.sample(range(offset // SECTOR_BYTES), 2):
            torn[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = bytes(SECTOR_BYTES)
        torn[offset + 512 : offset + 1024] = bytes(512)
        path.write_bytes(torn)
        assert refusal(data) != ""


def test_all_pairs_of_sector_states_of_the_tail_are_judged(data: Path) -> None:
    """Written, zero, bad: any bad one refuses; some zero is a tear; all written is complete."""
    path, block, offset = crashed(data)
    bad = b"\xee" * SECTOR_BYTES
    for states in itertools.product("wzb", repeat=3):
        torn = bytearray(block)
        for sector, state in zip((0, 3, 7), states, strict=True):
            content = {"z": bytes(SECTOR_BYTES), "b": bad}.get(state)
            if content is not None:
                torn[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = content
        patch(path, offset, bytes(torn))
        if "b" in states:
            assert refusal(data) == "CORRUPT_TAIL"
        else:
            assert verify(data).tail == ("TORN" if "z" in states else "CLEAN")
