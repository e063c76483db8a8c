"""The archive writer: what goes in comes out, whatever happened to the writer in between."""

import os
from pathlib import Path

import numpy as np
import pytest

from core.archive.layout import INDEX_MAX
from core.archive.reader import ArchiveReader
from core.archive.segments import segment_path
from core.archive.writer import ArchiveWriter
from core.messages import EVENT
from tests.core.archive.parts import SMALL, UUID, append, keys, read_all, stream, write


@pytest.mark.parametrize("pieces", [1, 3, 4, 50])
def test_what_is_appended_is_read_again(tmp_path: Path, pieces: int) -> None:
    rows = stream(50)

    write(tmp_path / "events", rows, pieces)

    found, why = read_all(tmp_path / "events")
    assert why == ""
    assert found.tobytes() == rows.tobytes()


def test_directory_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    write(tmp_path / "events", stream(30))

    modes = [path.stat().st_mode & 0o777 for path in sorted((tmp_path / "events").iterdir())]
    assert (tmp_path / "events").stat().st_mode & 0o777 == 0o700
    assert modes == [0o600] * len(modes)
    assert len(modes) > 2


def test_a_writer_that_comes_back_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    rows = stream(60)
    for place in range(0, 60, 5):
        writer = ArchiveWriter(tmp_path, UUID, segment_bytes=SMALL)
        expected = keys(rows[place - 1 : place]) if place else [(0, -1)]
        assert [writer.last] == expected
        assert writer.event_hash == (place + 1_000 if place else 0)
        append(writer, rows[place : place + 5], place + 1_005)
        writer.close()

    assert read_all(tmp_path)[0].tobytes() == rows.tobytes()


def test_events_that_do_not_follow_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    rows = stream(20, most=3)
    cut = int(np.flatnonzero(rows["index"] == 1)[2])  # The second event of a command.
    writer = ArchiveWriter(tmp_path, UUID)
    append(writer, rows[:cut])

    for wrong in (rows[:cut], rows[cut - 1 :], rows[cut + 1 :], rows[cut : cut + 4][::-1]):
        with pytest.raises(ValueError, match="event archive: behind"):
            append(writer, wrong)
    append(writer, rows[cut:])

    writer.close()
    assert read_all(tmp_path)[0].tobytes() == rows.tobytes()


def test_an_archive_has_one_writer(tmp_path: Path) -> None:
    first = ArchiveWriter(tmp_path, UUID)

    with pytest.raises(BlockingIOError):
        ArchiveWriter(tmp_path, UUID)

    first.close()
    ArchiveWriter(tmp_path, UUID).close()


def test_a_gap_that_is_declared_is_told_to_the_reader(tmp_path: Path) -> None:
    rows = stream(30)
    cut = next(n for n in range(12, 30) if rows["index"][n] == 0)
    writer = ArchiveWriter(tmp_path, UUID)
    append(writer, rows[:8])
    writer.gap(int(rows["sequence"][cut]) - 1)
    assert writer.last == (int(rows["sequence"][cut]) - 1, INDEX_MAX)
    append(writer, rows[cut:])
    writer.close()

    found, why = read_all(tmp_path)
    first = keys(rows)[cut]
    assert found.tobytes() == rows[:8].tobytes()
    assert f"event {first[0]}.{first[1]} is next" in why
    assert read_all(tmp_path, after=(first[0], -1))[0].tobytes() == rows[cut:].tobytes()
    assert read_all(tmp_path, after=(first[0] - 1, INDEX_MAX))[1] == ""


def test_no_gap_is_made_where_nothing_is_missing(tmp_path: Path) -> None:
    rows = stream(8)
    writer = ArchiveWriter(tmp_path, UUID)
    append(writer, rows)

    writer.gap(int(rows["sequence"][-1]))
    writer.gap(int(rows["sequence"][-1]) - 1)

    assert writer.last == keys(rows)[-1]
    writer.close()


def test_a_command_whose_end_is_not_at_hand_is_a_gap_too(tmp_path: Path) -> None:
    rows = stream(60)
    cut = int(np.flatnonzero(rows["index"] == 1)[3])  # Its command goes on in the next block.
    writer = ArchiveWriter(tmp_path, UUID)
    append(writer, rows[:cut])
    sequence = int(rows["sequence"][cut])

    writer.gap(sequence)

    append(writer, rows[rows["sequence"] > sequence])
    writer.close()
    found, why = read_all(tmp_path)
    assert found.tobytes() == rows[:cut].tobytes()
    assert f"behind {sequence}.0 are not there" in why


def test_the_oldest_segments_go_and_the_newest_stays(tmp_path: Path) -> None:
    write(tmp_path, stream(60))
    paths = sorted(tmp_path.iterdir())
    sizes = [path.stat().st_size for path in paths]
    writer = ArchiveWriter(tmp_path, UUID, segment_bytes=SMALL)

    assert writer.trim(sum(sizes)) == []
    assert writer.trim(sum(sizes[2:])) == paths[:2]
    assert writer.trim(0) == paths[2:-1]

    writer.close()
    assert sorted(tmp_path.iterdir()) == paths[-1:]


def test_a_null_device_takes_everything_and_no_directory_is_made(tmp_path: Path) -> None:
    fd = os.open(os.devnull, os.O_WRONLY)
    writer = ArchiveWriter(tmp_path / "none", UUID, segment_bytes=SMALL, fd=fd)

    append(writer, stream(100), 7)

    assert (writer.last, writer.event_hash) == (keys(stream(100))[-1], 7)
    writer.sync()
    assert writer.trim(0) == []
    writer.close()
    os.close(fd)
    assert not (tmp_path / "none").exists()


def test_a_write_that_fails_is_an_error_and_leaves_whole_blocks_only(tmp_path: Path) -> None:
    rows = stream(40)
    writer = ArchiveWriter(tmp_path, UUID)
    append(writer, rows[:4])
    fd, bad = int(writer.row["fd"]), os.open(os.devnull, os.O_RDONLY)
    writer.row["fd"] = bad

    with pytest.raises(OSError, match="Bad file descriptor"):
        append(writer, rows[4:8])

    writer.row["fd"] = fd
    os.close(bad)
    append(writer, rows[4:])
    writer.close()
    assert read_all(tmp_path)[0].tobytes() == rows.tobytes()


def test_nothing_of_a_torn_block_stays_in_the_file(tmp_path: Path) -> None:
    write(tmp_path, stream(8), segment_bytes=1 << 20)
    path = segment_path(tmp_path, 1)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"x" * 1_000)

    ArchiveWriter(tmp_path, UUID).close()

    assert path.stat().st_size == size


@pytest.mark.slow
def test_a_writer_killed_at_any_byte_is_followed_without_loss_or_double(shm_path: Path) -> None:
    """The next writer finds the last whole block, whatever of the file was written."""
    rows = stream(13)
    whole = shm_path / "whole"
    write(whole, rows)
    newest = sorted(whole.iterdir())[-1]
    kept = len(read_all(whole)[0])
    assert kept == len(rows)
    image = newest.read_bytes()
    before = len(rows) - _count(image)
    step = 1 if os.environ.get("OUTCRY_FORMAT") == "full" else 64
    for size in [*range(0, 4_096, step), *range(4_096, len(image) + 1)]:
        newest.write_bytes(image[:size])
        writer = ArchiveWriter(whole, UUID, segment_bytes=SMALL)
        done = next(n for n, key in enumerate([(0, -1), *keys(rows)]) if key == writer.last)
        assert done >= before
        append(writer, rows[done:])
        writer.close()
        assert read_all(whole)[0].tobytes() == rows.tobytes(), size
        segment_path(whole, 3).unlink(missing_ok=True)


def _count(image: bytes) -> int:
    """Events in a file."""
    count, at = 0, 4_096
    while at < len(image):
        here = int.from_bytes(image[at + 16 : at + 24], "little")
        count += here
        at += 128 + 128 * here
    return count


def test_first_and_last_are_those_of_the_files(tmp_path: Path) -> None:
    rows = stream(60)
    reader = ArchiveReader(tmp_path / "events", UUID)
    assert (reader.first, reader.last) == ((0, -1), (0, -1))
    write(tmp_path / "events", rows[:30])
    assert (reader.first, reader.last) == (keys(rows)[0], keys(rows)[29])
    writer = ArchiveWriter(tmp_path / "events", UUID, segment_bytes=SMALL)
    append(writer, rows[30:])
    assert reader.last == keys(rows)[-1]
    writer.trim(0)
    assert reader.first > keys(rows)[30]
    reader.close()
    writer.close()
    assert EVENT.itemsize == 128
