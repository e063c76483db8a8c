"""Every change of a small journal: what reliability.md 2.8 says comes out, and nothing in silence.

OUTCRY_FORMAT=full looks at every bit and every byte, otherwise every n-th; ``pytest -s`` shows the
totals.
"""
# ruff: noqa: T201

import itertools
import os
import uuid as uuids
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.constants import SEQUENCE_JUMP
from core.jit import MODE_NAME
from core.journal import truncation, witness
from core.journal.errors import JournalRefused
from core.journal.layout import ALIGN_SYNC, SECTOR_BYTES, SEGMENT_HEADER_BYTES
from core.journal.recovery import recover
from core.journal.segments import WITNESS_NAME
from core.journal.truncation import Cut
from tests.core.journal.files import CONFIG, RELAXED_CONFIG, Journal, flip, refusal, segment
from tests.faults.specimen import REFUSED, Specimen, judged, relaxed_specimen, sync_specimen

FULL = os.environ.get("OUTCRY_FORMAT") == "full"
SECTORS = ALIGN_SYNC // SECTOR_BYTES


def step(release: int) -> int:
    """Take every n-th: n by mode, 1 in a full run."""
    return (
        1
        if FULL
        else {"release": release, "checked": 8 * release, "pure": 200 * release}[MODE_NAME]
    )


@pytest.fixture
def closed(data: Path) -> Iterator[Specimen]:
    """A ``sync`` journal that was stopped cleanly."""
    made = sync_specimen(data, CONFIG)
    made.finish(clean=True)
    yield made
    made.close()


@pytest.fixture
def killed(data: Path) -> Iterator[Specimen]:
    """A ``sync`` journal whose last block holds commands 24 and 25."""
    made = sync_specimen(data, CONFIG)
    made.finish(clean=False)
    yield made
    made.close()


@pytest.fixture
def relaxed(data: Path) -> Iterator[Specimen]:
    """A ``relaxed`` journal in which commands 1 to 3 are known durable from the last two blocks."""
    made = relaxed_specimen(data, RELAXED_CONFIG)
    made.finish(clean=False)
    yield made
    made.close()


def flips(specimen: Specimen, bits: range) -> Counter[str]:
    """What is said after each bit alone is flipped."""
    verdicts: Counter[str] = Counter()
    for bit in bits:
        place = bit // 8
        specimen.write(place, bytes([specimen.raw[place] ^ 1 << bit % 8]))
        verdicts[specimen.verdict()] += 1
        specimen.restore(place, 1)
    return verdicts


def accepted(verdicts: Counter[str]) -> dict[str, int]:
    """Those that are no refusal."""
    return {what: count for what, count in verdicts.items() if not what.startswith(REFUSED)}


def test_any_flipped_bit_up_to_the_last_byte_of_a_stopped_journal_refuses(closed: Specimen) -> None:
    verdicts = flips(closed, range(0, closed.used * 8, step(211)))
    assert accepted(verdicts) == {}
    print("sync, used bits:", dict(verdicts))
    assert closed.verdict() == "CLEAN 25"


def test_any_flipped_bit_in_what_was_never_written_refuses(closed: Specimen) -> None:
    size = len(closed.raw) * 8
    verdicts = flips(closed, range(closed.used * 8, size, size // 3_000 * step(15) + 1))
    assert accepted(verdicts) == {}


@pytest.mark.parametrize("seen", [False, True], ids=["no witness", "witness"])
def test_zeros_from_any_byte_on(killed: Specimen, seen: bool) -> None:
    """Without a witness a cut is accepted where whole sectors are left, and is told as a tear."""
    if seen:
        killed.put_witness(killed.last)
    wrong = []
    verdicts: Counter[str] = Counter()
    ends = {block.end for block in killed.blocks}
    sectors = range(0, killed.used, SECTOR_BYTES)
    for place in sorted({*range(0, killed.used, step(61)), *sectors[:: step(1)]}):
        killed.write(place, bytes(killed.used - place))
        verdict = killed.verdict()
        verdicts[verdict.split()[0]] += 1
        changed = killed.raw[place : killed.used].strip(b"\0") != b""
        if verdict.startswith(REFUSED):
            pass
        elif not changed:
            wrong += [place] * (verdict != f"CLEAN {killed.last}")
        elif seen:
            wrong.append(place)
        else:
            inside = [block for block in killed.blocks if block.offset <= place < block.end]
            whole = not inside or _leaves_whole_sectors(killed, place)
            last = max((block.last for block in killed.blocks if block.end <= place), default=0)
            kind = "CLEAN" if place in ends or place <= 0 else verdict.split()[0]
            wrong += [place] * (not whole or verdict != f"{kind} {last}")
        killed.restore(place, killed.used - place)
    print("zeros from a byte on:", dict(verdicts))
    assert wrong == []


def _leaves_whole_sectors(specimen: Specimen, place: int) -> bool:
    """Whether zeros from ``place`` on leave each sector as it was, or all zero."""
    start = place // SECTOR_BYTES * SECTOR_BYTES
    kept = specimen.raw[start:place]
    return not kept.strip(b"\0") or not specimen.raw[place : start + SECTOR_BYTES].strip(b"\0")


def test_zeros_from_any_byte_of_the_segment_header_or_genesis_on_refuse(killed: Specimen) -> None:
    end = killed.blocks[0].end
    for place in range(0, end, step(31)):
        killed.write(place, bytes(killed.used - place))
        assert killed.verdict().startswith(REFUSED), place
        killed.restore(place, killed.used - place)


@pytest.mark.parametrize("seen", [False, True], ids=["never acknowledged", "acknowledged"])
def test_every_subset_of_the_last_blocks_sectors_missing(killed: Specimen, seen: bool) -> None:
    if seen:
        killed.put_witness(killed.last)
    block = killed.blocks[-1]
    assert block.end - block.offset == ALIGN_SYNC
    verdicts: Counter[str] = Counter()
    for missing in range(0, 1 << SECTORS, step(1) if MODE_NAME == "pure" else 1):
        for sector in range(SECTORS):
            if missing >> sector & 1:
                killed.write(block.offset + sector * SECTOR_BYTES, bytes(SECTOR_BYTES))
        verdicts[killed.verdict()] += 1
        killed.restore(block.offset, ALIGN_SYNC)
    if MODE_NAME == "pure":
        return
    if seen:
        assert verdicts == {"CLEAN 25": 1, "refused LOST_ACKED": 255}
    else:
        assert verdicts == {"CLEAN 25": 1, "CLEAN 23": 1, "TORN 23": 254}


def test_every_length_but_the_right_one_refuses(killed: Specimen) -> None:
    size = len(killed.raw)
    for length in {*range(0, size, step(1_009)), *range(size - 9, size), size + 1, size + 4096}:
        if length == size:
            continue
        os.ftruncate(killed.fd, length)
        assert killed.verdict().startswith(REFUSED), length
        os.ftruncate(killed.fd, size)
        killed.restore(min(length, size), size - min(length, size))
    assert killed.verdict() == "CLEAN 25"


def test_any_two_blocks_swapped_any_block_doubled_left_out_or_zeroed_refuses(
    killed: Specimen,
) -> None:
    """The last block alone may vanish: then it looks as if it was never written."""
    images = [killed.raw[block.offset : block.end] for block in killed.blocks]
    start, end = killed.blocks[0].offset, killed.blocks[-1].end
    changed = {
        ("swapped", i, j): [*images[:i], images[j], *images[i + 1 : j], images[i], *images[j + 1 :]]
        for i, j in itertools.combinations(range(len(images)), 2)
    }
    for place, image in enumerate(images):
        changed["doubled", place, 0] = [*images[: place + 1], image, *images[place + 1 :]]
        changed["left out", place, 0] = [*images[:place], *images[place + 1 :]]
        changed["zeroed", place, 0] = [*images[:place], bytes(ALIGN_SYNC), *images[place + 1 :]]
        for other in range(len(images)):
            if other != place:
                over = [*images[:place], images[other], *images[place + 1 :]]
                changed["replaced", place, other] = over
    last = len(images) - 1
    for what, blocks in changed.items():
        content = b"".join(blocks)
        killed.write(start, content.ljust(end + ALIGN_SYNC - start, b"\0"))
        wanted = "CLEAN 23" if what[:2] in {("left out", last), ("zeroed", last)} else REFUSED
        assert killed.verdict().startswith(wanted), what
        killed.restore(start, end + ALIGN_SYNC - start)


def test_a_block_of_another_run_at_the_same_place_refuses(killed: Specimen, data: Path) -> None:
    other = sync_specimen(data.parent / "other", CONFIG)
    other.finish(clean=False)
    for block in killed.blocks:
        killed.write(block.offset, other.raw[block.offset : block.end])
        assert killed.verdict().startswith(REFUSED), block
        killed.restore(block.offset, block.end - block.offset)
    killed.write(0, other.raw)
    assert killed.verdict() == "refused INVENTORY"
    other.close()


def test_an_older_copy_of_the_active_segment_is_told_by_the_witness(data: Path) -> None:
    journal = Journal(data)
    ends = [(journal.append((1,) * 4), int(journal.writer.row.last_sequence)) for _ in range(5)]
    path = segment(data)
    journal.crash()
    raw = path.read_bytes()
    specimen = Specimen.__new__(Specimen)
    specimen.directory, specimen.uuid = path.parent, journal.recovery.uuid
    specimen.put_witness(ends[-1][1])
    for end, _last in ends[:-1]:
        path.write_bytes(raw[:end] + bytes(len(raw) - end))
        assert judged(data) == "refused LOST_ACKED"
    path.write_bytes(raw)
    assert judged(data)[0] == ends[-1][1]  # type: ignore[comparison-overlap]


def test_every_sector_or_page_zeroed_before_the_last_block_refuses(killed: Specimen) -> None:
    """The padding of a block is never zero, so each sector counts."""
    for size in (SECTOR_BYTES, ALIGN_SYNC):
        for place in range(0, killed.blocks[-1].offset, size):
            killed.write(place, bytes(size))
            assert killed.verdict().startswith(REFUSED), (size, place)
            killed.restore(place, size)


def test_every_sector_of_the_last_block_trashed_refuses(killed: Specimen) -> None:
    block = killed.blocks[-1]
    for place in range(block.offset, block.end, SECTOR_BYTES):
        killed.write(place, b"\xd7" * SECTOR_BYTES)
        assert killed.verdict() == "refused CORRUPT_TAIL"
        other = block.offset + (place - block.offset + SECTOR_BYTES) % ALIGN_SYNC
        killed.write(other, bytes(SECTOR_BYTES))  # As well as one that is missing.
        assert killed.verdict() == "refused CORRUPT_TAIL"
        killed.restore(block.offset, ALIGN_SYNC)


# relaxed


@pytest.mark.parametrize("witnessed", [0, 9, 11])
def test_a_flipped_bit_of_a_relaxed_journal_refuses_or_loses_what_was_not_durable(
    relaxed: Specimen, witnessed: int
) -> None:
    if witnessed:
        relaxed.put_witness(witnessed)
    verdicts: Counter[str] = Counter()
    wrong = []
    for bit in range(0, relaxed.used * 8, step(131)):
        place = bit // 8
        relaxed.write(place, bytes([relaxed.raw[place] ^ 1 << bit % 8]))
        verdict = relaxed.verdict()
        verdicts[verdict] += 1
        if verdict not in _expected(relaxed, place, witnessed):
            wrong.append((bit, verdict))
        relaxed.restore(place, 1)
    print(f"relaxed, witness {witnessed}:", dict(verdicts))
    assert wrong == []


def _expected(specimen: Specimen, place: int, witnessed: int) -> set[str]:
    """What may be said when a byte at ``place`` is wrong."""
    if place < SEGMENT_HEADER_BYTES:
        return {"refused HEADER"}
    blocks = specimen.blocks
    hit = next(index for index, block in enumerate(blocks) if block.offset <= place < block.end)
    if hit == 0:
        return {"refused CORRUPT_TAIL"}
    kept = blocks[hit - 1].last if blocks[hit - 1].kind != 7 else 0
    behind = max((block.durable for block in blocks[hit + 1 :]), default=0)
    own = blocks[hit].durable if place >= blocks[hit].offset + 128 else 0
    if max(behind, own, witnessed) > kept:
        return {"refused LOST_ACKED"}
    return {f"LOST {kept}"}


def test_a_start_after_a_loss_records_it_and_jumps(relaxed: Specimen) -> None:
    """Each DATA block that nothing says was durable, in turn."""
    blocks = relaxed.blocks
    lost = [index for index, block in enumerate(blocks) if block.first > 3 and block.kind == 1]
    assert len(lost) == 3
    for index in reversed(lost):
        block = blocks[index]
        kept = blocks[index - 1].last
        relaxed.write(0, relaxed.raw)
        relaxed.write(block.offset + 200, bytes([relaxed.raw[block.offset + 200] ^ 16]))
        journal = Journal(relaxed.data, RELAXED_CONFIG)
        found = journal.recovery
        assert found.last_sequence == kept
        assert found.next_sequence == kept + SEQUENCE_JUMP
        assert found.lost == (kept + 1, kept + SEQUENCE_JUMP - 1)
        assert found.cut == Cut(1, block.offset, relaxed.blocks[-1].end - block.offset)
        journal.crash()
        (relaxed.directory / "truncation").unlink(missing_ok=True)


def test_a_jump_that_was_durable_is_never_taken_back(data: Path) -> None:
    """Else sequences that clients have seen after it would be given again."""
    first = relaxed_specimen(data, RELAXED_CONFIG)
    first.finish(clean=False)
    first.write(first.blocks[-1].offset + 200, b"\xff\0\xff")
    first.close()
    again = Specimen(data, RELAXED_CONFIG, [(1,), (1, 1)])
    again.finish(clean=False)
    jump = next(block for block in again.blocks if block.first > SEQUENCE_JUMP)
    for bit in range(0, (jump.end - jump.offset) * 8, step(7)):
        place = jump.offset + bit // 8
        again.write(place, bytes([again.raw[place] ^ 1 << bit % 8]))
        assert again.verdict() == "refused CORRUPT_TAIL", bit
        again.restore(place, 1)
    again.close()


# Beside the segments.


def test_no_flipped_bit_of_the_witness_is_used(killed: Specimen) -> None:
    """One slot bad: the other counts, which is older.  Both bad: refused."""
    killed.put_witness(3)
    path = killed.directory / WITNESS_NAME
    only = path.read_bytes()
    killed.put_witness(23)
    both = path.read_bytes()
    for raw, allowed in ((only, {0, 3}), (both, {3, 23})):
        seen = set()
        for bit in range(0, len(raw) * 8, step(5)):
            path.write_bytes(raw)
            flip(path, bit)
            try:
                seen.add(witness.read(killed.directory, killed.uuid).sequence)
            except JournalRefused:
                seen.add(0)
        assert seen == allowed


def test_no_flipped_bit_and_no_other_length_of_the_note_of_a_cut_is_used(killed: Specimen) -> None:
    """The note of a start that died between the cut and its EPOCH_START."""
    killed.write(killed.blocks[-1].offset, bytes(SECTOR_BYTES))
    recover(killed.data, CONFIG).lock.close()
    path = killed.directory / "truncation"
    raw = path.read_bytes()
    found = truncation.pending(killed.directory)
    assert found is not None
    assert (found.last_sequence, found.next_sequence, found.extent) == (23, 24, ALIGN_SYNC)
    for bit in range(len(raw) * 8):
        path.write_bytes(raw)
        flip(path, bit)
        with pytest.raises(JournalRefused, match="INVENTORY"):
            truncation.pending(killed.directory)
    for length in (*range(len(raw)), len(raw) + 1):
        path.write_bytes((raw + b"\0")[:length])
        with pytest.raises(JournalRefused, match="INVENTORY"):
            truncation.pending(killed.directory)
    assert refusal(killed.data) == "INVENTORY"


# Segments.


def rotated(data: Path) -> list[Path]:
    """Three sealed segments, one in use, one spare."""
    from core.journal.segments import make_segment

    journal = Journal(data)
    while journal.writer.row.segment_no < 4:
        journal.append((1,) * 256)
    journal.append((1,))
    make_segment(journal.directory, 5, CONFIG.segment_bytes, prewritten=True)
    journal.close()
    return [segment(data, number) for number in range(1, 6)]


def test_segments_missing_swapped_doubled_foreign_or_emptied_refuse(data: Path) -> None:
    paths = rotated(data)
    other = rotated(data.parent / "other")
    raw = [path.read_bytes() for path in paths]
    foreign = [path.read_bytes() for path in other]
    assert judged(data).tail == "CLEAN"  # type: ignore[union-attr]
    for i, j in itertools.permutations(range(4), 2):
        paths[i].write_bytes(raw[j])
        assert str(judged(data)).startswith(REFUSED), f"{j} in the place of {i}"
        paths[j].write_bytes(raw[i])
        assert str(judged(data)).startswith(REFUSED), f"{i} and {j} swapped"
        paths[i].write_bytes(raw[i])
        paths[j].write_bytes(raw[j])
    for i in range(4):
        for what, content in (("foreign", foreign[i]), ("empty", bytes(len(raw[i])))):
            paths[i].write_bytes(content)
            accepted = what == "empty" and i == 3  # Nothing says that it was ever used.
            assert str(judged(data)).startswith(REFUSED) != accepted, (what, i)
        paths[i].unlink()
        assert judged(data) == "refused INVENTORY"
        paths[i].write_bytes(raw[i])
    assert judged(data).tail == "CLEAN"  # type: ignore[union-attr]


def test_a_byte_anywhere_in_a_spare_refuses(data: Path) -> None:
    paths = rotated(data)
    size = paths[4].stat().st_size
    for place in {*range(0, 4096, step(41)), *range(0, size, step(4_099)), size - 1}:
        with paths[4].open("r+b") as file:
            file.seek(place)
            file.write(b"\1")
        assert str(judged(data)).startswith(REFUSED), place
        with paths[4].open("r+b") as file:
            file.seek(place)
            file.write(b"\0")
    assert judged(data).tail == "CLEAN"  # type: ignore[union-attr]


def test_every_flipped_bit_of_a_sealed_segment_refuses(data: Path) -> None:
    paths = rotated(data)
    size = paths[1].stat().st_size
    for bit in range(0, size * 8, (size * 8 // 400 + 1) * (1 if MODE_NAME == "release" else 20)):
        flip(paths[1], bit)
        assert str(judged(data)).startswith(REFUSED), bit
        flip(paths[1], bit)


def test_every_mode_that_lets_others_in_refuses(killed: Specimen) -> None:
    for place in (killed.path, killed.directory, killed.directory.parent):
        good = place.stat().st_mode & 0o777
        for mode in range(0o100, 0o1000):
            place.chmod(mode)
            try:
                recover(killed.data, CONFIG).lock.close()
                found = ""
            except JournalRefused as error:
                found = error.reason
            assert (found == "PERMISSIONS") == bool(mode & 0o077), oct(mode)
        place.chmod(good)


def test_a_journal_of_another_uuid_beside_or_in_the_place_refuses(killed: Specimen) -> None:
    other = str(uuids.UUID(int=7, version=4))
    beside = killed.directory.with_name(other)
    beside.mkdir(0o700)
    assert refusal(killed.data) == "INVENTORY"
    beside.rmdir()
    killed.directory.rename(beside)
    assert refusal(killed.data) == "INVENTORY"
    beside.rename(killed.directory)
