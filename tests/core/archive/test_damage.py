"""A bad archive file is never used: what a reader gives is always right, whatever the bytes are."""

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from core.archive.errors import ArchiveDamaged, ArchiveGap
from core.archive.layout import Key
from core.archive.reader import ArchiveReader, before
from core.archive.scan import append as kernel_append
from core.archive.segments import Header, decode, segment_path
from core.archive.writer import ArchiveWriter
from core.jit import PURE
from tests.core.archive.parts import SMALL, UUID, append, keys, read_all, stream, write

ROWS: Final = stream(24, 5)
ALL: Final = [row.tobytes() for row in ROWS]
OTHER: Final = bytes(16)
HEADER_STEP: Final = (
    1 if os.environ.get("OUTCRY_FORMAT") == "full" else 64
)  # No byte of it is special.


@pytest.fixture
def archive(shm_path: Path) -> Path:
    """Three segments: the last one holds one or two blocks of up to four events."""
    write(shm_path, ROWS)
    assert len(list(shm_path.iterdir())) == 3
    return shm_path


def events_of(archive: Path, after: Key = (0, -1)) -> tuple[list[bytes], str]:
    rows, why = read_all(archive, after=after)
    return [row.tobytes() for row in rows], why


def test_no_flipped_bit_of_a_header_is_ever_believed(archive: Path) -> None:
    """Every bit of the 4,096 bytes, compiled; a sample of them in plain Python."""
    image = segment_path(archive, 2).read_bytes()[:4_096]
    assert isinstance(decode(image, UUID, 2), Header)
    seed, bits = _bits(image, 300)
    for bit in bits:
        assert isinstance(decode(_flipped(image, bit), UUID, 2), str), f"bit {bit}, seed {seed}"


def test_no_flipped_bit_of_a_block_is_ever_given(archive: Path) -> None:
    """Every bit of a file's only block, compiled; a sample of them in plain Python."""
    rows = stream(2, 7)
    shutil.rmtree(archive)
    write(archive, rows)
    path = segment_path(archive, 1)
    image = path.read_bytes()
    seed, bits = _bits(image[4_096:], 100)
    for bit in bits:
        path.write_bytes(_flipped(image, 8 * 4_096 + bit))
        found, why = events_of(archive)
        assert found == [], f"bit {bit}, seed {seed}: {why}"
    path.write_bytes(image)
    assert events_of(archive)[0] == [row.tobytes() for row in rows]


def _bits(image: bytes, sample: int) -> tuple[int, Sequence[int]]:
    seed = random.randrange(2**32)
    bits = range(8 * len(image))
    return seed, random.Random(seed).sample(bits, sample) if PURE else bits


def _flipped(image: bytes, bit: int) -> bytes:
    bad = bytearray(image)
    bad[bit // 8] ^= 1 << bit % 8
    return bytes(bad)


def test_a_flipped_bit_before_good_blocks_is_damage_with_its_place(archive: Path) -> None:
    """What follows it is read by who seeks behind it."""
    seed = random.randrange(2**32)
    random_of = random.Random(seed)
    path = segment_path(archive, 2)
    image = path.read_bytes()
    good = keys(ROWS)
    third = ArchiveReader(archive, UUID)._headers()[2].first
    for _ in range(20 if PURE else 100):
        bit = random_of.randrange(8 * len(image))
        path.write_bytes(_flipped(image, bit))
        found, why = events_of(archive)
        assert found == ALL[: len(found)], f"bit {bit}, seed {seed}"
        assert len(found) < len(ALL)
        assert f"{path}, offset " in why
        rest, _ = events_of(archive, before(third))
        assert rest == ALL[good.index(third) :]


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 3])
def test_every_truncation_gives_a_beginning_and_says_what_is_wrong(
    archive: Path, number: int
) -> None:
    """Of the newest segment the end is only what was not written yet."""
    path = segment_path(archive, number)
    image = path.read_bytes()
    for size in [*range(0, 4_096, HEADER_STEP), *range(4_096, len(image))]:
        path.write_bytes(image[:size])
        found, why = events_of(archive)
        assert found == ALL[: len(found)], size
        assert len(found) < len(ALL)
        assert bool(why) == (number == 2), (size, why)


def test_a_segment_that_is_not_there_is_a_gap(archive: Path) -> None:
    headers = ArchiveReader(archive, UUID)._headers()
    segment_path(archive, 2).unlink()
    reader = ArchiveReader(archive, UUID)
    good = keys(ROWS)
    at = good.index(headers[1].first)

    assert keys(reader.read(100)) == good[:at]
    with pytest.raises(ArchiveGap) as gap:
        reader.read(100)
    assert (gap.value.after, gap.value.oldest) == (good[at - 1], headers[2].first)
    with pytest.raises(ArchiveGap):
        reader.seek(*good[at])
    reader.seek(*before(headers[2].first))
    assert keys(reader.read(100))[0] == headers[2].first


def test_the_oldest_segment_that_is_not_there_is_a_gap(archive: Path) -> None:
    segment_path(archive, 1).unlink()
    reader = ArchiveReader(archive, UUID)

    with pytest.raises(ArchiveGap) as gap:
        reader.seek(0, -1)

    assert gap.value.oldest == reader.first
    reader.seek(*before(reader.first))
    assert keys(reader.read(1)) == [reader.first]


def test_swapped_and_copied_segments_are_not_used(archive: Path) -> None:
    one, two, three = (segment_path(archive, number) for number in (1, 2, 3))
    kept = two.read_bytes()
    two.write_bytes(one.read_bytes())
    assert "is segment 1 under the name of segment 2" in events_of(archive)[1]
    two.write_bytes(three.read_bytes())
    three.write_bytes(kept)
    found, why = events_of(archive)
    assert found == ALL[: len(found)]
    assert len(found) < 16
    assert why == "" or "under the name" in why


@pytest.mark.parametrize("change", ["swap", "double", "drop"])
def test_blocks_that_are_swapped_doubled_or_missing_are_not_used(
    archive: Path, change: str
) -> None:
    path = segment_path(archive, 1)
    image = path.read_bytes()
    blocks = _blocks(image)
    assert len(blocks) >= 2
    first, second = blocks[0], blocks[1]
    put = {"swap": second + first, "double": first + first + second, "drop": second}[change]
    path.write_bytes(image[:4_096] + put + b"".join(blocks[2:]))

    found, why = events_of(archive)

    assert found == ALL[: len(found)]
    assert len(found) <= 4
    assert f"{path}, offset " in why


def test_another_journals_archive_is_not_used(archive: Path) -> None:
    assert len(read_all(archive, uuid=OTHER)[0]) == 0

    writer = ArchiveWriter(archive, OTHER)
    assert writer.last == (0, -1)
    writer.close()
    assert list(archive.iterdir()) == []


def test_the_whole_uuid_counts(archive: Path) -> None:
    """Also where the salt of its blocks, the first half, is the same."""
    assert len(read_all(archive, uuid=UUID[:8] + bytes(8))[0]) == 0


def test_a_bad_block_with_a_good_one_behind_it_is_damage_in_the_newest_segment_too(
    shm_path: Path,
) -> None:
    write(shm_path, ROWS, 4, 1 << 20)
    path = segment_path(shm_path, 1)
    image = path.read_bytes()
    path.write_bytes(_flipped(image, 8 * (4_096 + 300)))
    assert events_of(shm_path) == (
        [],
        f"event archive: {path}, offset 4096: the events of the block do not match their checksum",
    )

    last = len(image) - 200
    path.write_bytes(_flipped(image, 8 * last))
    assert events_of(shm_path) == (ALL[:20], "")


def test_a_block_from_a_twin_of_the_archive_is_not_used(shm_path: Path) -> None:
    """The same keys, place and number, and another history."""
    twin_rows = ROWS.copy()
    twin_rows["qty"] += 1
    write(shm_path / "one", ROWS, 4, 1 << 20)
    write(shm_path / "twin", twin_rows, 4, 1 << 20)
    one, twin = segment_path(shm_path / "one", 1), segment_path(shm_path / "twin", 1)
    blocks, others = _blocks(one.read_bytes()), _blocks(twin.read_bytes())
    one.write_bytes(one.read_bytes()[:4_096] + blocks[0] + others[1] + blocks[2])

    found, why = events_of(shm_path / "one")

    assert found == ALL[:4]
    assert "does not follow from the one before" in why


def test_events_that_are_not_in_order_are_not_used(shm_path: Path) -> None:
    """Nobody writes such a block; it is made here behind the writer's back."""
    rows = ROWS[[0, 2, 1, 3]]
    writer = ArchiveWriter(shm_path, UUID)
    append(writer, ROWS[:1])
    assert kernel_append(writer._address, int(rows.ctypes.data) + 128, 3, 0) == 3
    append(writer, ROWS[4:8])
    writer.close()

    found, why = events_of(shm_path)

    assert found == ALL[:1]
    assert "not in order" in why


def test_a_block_of_another_journal_is_not_used(archive: Path) -> None:
    other = archive / "other"
    writer = ArchiveWriter(other, OTHER, segment_bytes=SMALL)
    append(writer, ROWS[:4], 1)
    writer.close()
    foreign = segment_path(other, 1).read_bytes()
    path = segment_path(archive, 1)
    path.write_bytes(path.read_bytes()[:4_096] + foreign[4_096:])

    found, _ = events_of(archive)

    assert found == []


def test_the_writer_cuts_off_what_is_behind_the_last_good_block(archive: Path) -> None:
    newest = segment_path(archive, 3)
    image = newest.read_bytes()
    blocks = _blocks(image)
    good = len(ROWS) - sum(_count(block) for block in blocks)
    newest.write_bytes(image[:4_096] + bytes(200) + blocks[0])

    writer = ArchiveWriter(archive, UUID, segment_bytes=SMALL)

    assert writer.last == keys(ROWS)[good - 1]
    append(writer, ROWS[good:])
    writer.close()
    assert events_of(archive) == (ALL, "")


def test_random_bytes_are_never_used(archive: Path) -> None:
    """Files of random bytes, and random bytes in the middle of files."""
    seed = random.randrange(2**32)
    random_of = random.Random(seed)
    images = {path: path.read_bytes() for path in archive.iterdir()}
    for _ in range(10 if PURE else 100):
        path = random_of.choice(list(images))
        bad = bytearray(images[path])
        begin = random_of.randrange(len(bad))
        end = random_of.randrange(begin, len(bad)) + 1
        bad[begin:end] = random_of.randbytes(random_of.choice([end - begin, 1, 5_000]))
        path.write_bytes(bad)
        try:
            found, _ = events_of(archive)
        except (ArchiveDamaged, ArchiveGap):
            found = []
        assert found == ALL[: len(found)], f"seed {seed}"
        path.write_bytes(images[path])


def _blocks(image: bytes) -> list[bytes]:
    found, at = [], 4_096
    while at < len(image):
        size = 128 + 128 * _count(image[at:])
        found.append(image[at : at + size])
        at += size
    return found


def _count(block: bytes) -> int:
    return int.from_bytes(block[16:24], "little")
