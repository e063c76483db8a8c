"""The writer: blocks, rotation, ways of syncing; and any failure is the end of the process."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.journal import header as headers
from core.journal import writer as writers
from core.journal.appender import (
    DIRECT,
    EINVAL,
    FDATASYNC,
    NO_ROOM,
    append,
    append_block,
    has_room,
)
from core.journal.content import Content
from core.journal.errors import EXIT_FAILED
from core.journal.layout import CHECKPOINT, PAYLOAD_BYTES_MAX
from core.journal.probe import faster_mode
from core.journal.segments import make_segment, segment_path
from core.journal.verify import verify
from tests.core.journal.files import (
    CONFIG,
    RELAXED_CONFIG,
    SEGMENT_BYTES,
    START_NS,
    Journal,
    commands,
    read_all,
    segment,
)


def test_a_block_is_durable_when_append_returns(data: Path) -> None:
    journal = Journal(data)
    for sizes in ((1,), (1, 2), (4,)):
        journal.append(sizes)
        row = journal.writer.row
        assert row.durable_sequence == row.last_sequence
    assert journal.writer.row.commands == 4
    journal.close()


@pytest.mark.parametrize("mode", [DIRECT, FDATASYNC])
def test_both_ways_of_syncing_write_the_same_journal(
    data: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "faster_mode", lambda _directory: mode)
    journal = Journal(data)
    assert journal.writer.row.mode == mode
    while journal.writer.row.segment_no < 3:
        journal.append((1, 2, 4) * 20)
    journal.close()
    assert read_all(data) == b"".join(journal.written)


def test_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    assert faster_mode(tmp_path) in (DIRECT, FDATASYNC)
    assert list(tmp_path.iterdir()) == []


def test_a_full_segment_refuses_before_anything_is_written(data: Path) -> None:
    journal = Journal(data)
    address = journal.writer.address
    while has_room(address, 256 * 128):
        journal.append((1,) * 256)
    before = segment(data).read_bytes()
    state = bytes(Content(segment(data), direct=False).array)
    rows = commands(int(journal.writer.row.next_sequence), (1,) * 256)
    first = int(journal.writer.row.next_sequence)
    given = (rows.ctypes.data, 256, 256, first, first + 255, START_NS + first + 255)
    assert append(address, *given) == NO_ROOM
    assert segment(data).read_bytes() == before == state
    journal.writer.rotate()
    assert append(address, *given) == 0
    journal.close()
    assert verify(data).last_sequence == first + 255


def test_the_last_write_of_a_segment_leaves_room_for_the_seal(data: Path) -> None:
    journal = Journal(data)
    while has_room(journal.writer.address, 128):
        journal.append((1,))
    assert journal.writer.row.offset == SEGMENT_BYTES - 4096
    journal.append((1,))
    assert journal.writer.row.segment_no == 2
    journal.close()
    assert verify(data).segments == 2


@pytest.mark.parametrize(
    ("slots", "records", "first", "last"),
    [
        (0, 0, 1, 0),
        (257, 257, 1, 257),
        (-1, 1, 1, 1),
        (1, 2, 1, 2),
        (1, 0, 1, 0),
        (1, 1, 2, 2),  # A gap.
        (1, 1, 0, 0),  # Again.
        (2, 2, 1, 1),
    ],
)
def test_a_batch_that_cannot_be_is_refused_and_writes_nothing(
    data: Path, slots: int, records: int, first: int, last: int
) -> None:
    journal = Journal(data)
    rows = commands(1, (1, 1))
    before = segment(data).read_bytes()
    done = append(journal.writer.address, rows.ctypes.data, slots, records, first, last, START_NS)
    assert done == -EINVAL
    assert segment(data).read_bytes() == before
    journal.close()


def test_the_largest_special_block_fits_and_a_larger_is_refused(data: Path) -> None:
    journal = Journal(data)
    journal.writer.checkpoint(b"\1" * PAYLOAD_BYTES_MAX)
    room = bytearray(PAYLOAD_BYTES_MAX + 8)
    from core.memory import address_of_buffer

    address = address_of_buffer(room)
    size = PAYLOAD_BYTES_MAX + 1
    assert append_block(journal.writer.address, CHECKPOINT, address, size, 1) == -EINVAL
    journal.close()
    assert verify(data).last_sequence == 0


def test_a_clock_that_goes_back_does_not_reach_the_journal(data: Path) -> None:
    journal = Journal(data)
    newest = 0
    for stamp_ns in (START_NS + 5_000_000_000_000_000_000, 5, START_NS):
        first = int(journal.writer.row.next_sequence)
        rows = commands(first, (1,))
        append(journal.writer.address, rows.ctypes.data, 1, 1, first, first, stamp_ns)
        assert journal.writer.row.timestamp_ns >= newest
        newest = int(journal.writer.row.timestamp_ns)
    journal.close()
    assert verify(data).last_sequence == 3


def test_a_spare_of_relaxed_is_made_anew_for_sync(data: Path) -> None:
    Journal(data, RELAXED_CONFIG).close()
    directory = segment(data).parent
    make_segment(directory, 2, SEGMENT_BYTES, prewritten=False)
    inode = segment_path(directory, 2).stat().st_ino
    journal = Journal(data)
    fresh = segment_path(directory, 2).stat().st_ino != inode
    assert fresh == bool(journal.writer.row.rotations_without_spare)
    journal.close()
    assert verify(data).segments == 2


def test_a_header_says_where_its_segment_begins(data: Path) -> None:
    journal = Journal(data)
    while journal.writer.row.segment_no < 2:
        journal.append((1,) * 256)
    path = segment(data, 2)
    header = headers.parse(Content(path, direct=False).array, path, 2)
    assert header.first_sequence == journal.writer.row.last_sequence - 255
    assert header.uuid == journal.recovery.uuid
    assert header.epoch == 1
    assert header.segment_bytes == SEGMENT_BYTES
    journal.close()


# Failures.  Each case breaks the journal in a child, which must end with 70 and one line.


def ends_with(
    data: Path, act: Callable[[Journal], None], config: object = CONFIG
) -> tuple[int, str]:
    """Exit code and standard error of a child that opens the journal and then acts."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 2)
        sys.stderr = os.fdopen(2, "w")
        try:
            act(Journal(data, config))  # type: ignore[arg-type]
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as text:
        said = text.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def append_or_fail(journal: Journal) -> None:
    """As the duty cycle does it."""
    first = int(journal.writer.row.next_sequence)
    rows = commands(first, (1,))
    given = (rows.ctypes.data, 1, 1, first, first, START_NS + first)
    done = append(journal.writer.address, *given)
    if done < 0:
        journal.writer.fail(done)


def test_a_closed_file_ends_the_process(data: Path) -> None:
    def act(journal: Journal) -> None:
        os.close(journal.writer.row.fd)
        append_or_fail(journal)

    code, said = ends_with(data, act)
    assert code == EXIT_FAILED
    assert "Bad file descriptor" in said
    assert said.count("\n") == 1
    assert verify(data).last_sequence == 0


def test_a_short_write_ends_the_process_and_is_a_tear_afterwards(data: Path) -> None:
    """RLIMIT_FSIZE in the middle of a block: the kernel writes a part of it."""

    def act(journal: Journal) -> None:
        offset = int(journal.writer.row.offset)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = offset + 4096
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        first = int(journal.writer.row.next_sequence)
        rows = commands(first, (1,) * 256)
        given = (rows.ctypes.data, 256, 256, first, first + 255, START_NS + 999)
        done = append(journal.writer.address, *given)
        assert journal.writer.row.last_sequence == 0
        journal.writer.fail(done)

    code, said = ends_with(data, act)
    assert code == EXIT_FAILED
    assert "error" in said or "large" in said
    assert verify(data).tail in ("TORN", "CLEAN")
    assert Journal(data).recovery.last_sequence == 0


def test_a_marker_or_rotation_that_fails_ends_the_process(data: Path) -> None:
    def marker(journal: Journal) -> None:
        os.close(journal.writer.row.fd)
        journal.writer.marker()

    def rotate(journal: Journal) -> None:
        journal.directory.joinpath("000000000002.seg").mkdir()
        journal.writer.rotate()

    assert ends_with(data, marker)[0] == EXIT_FAILED
    assert ends_with(data, rotate)[0] == EXIT_FAILED


def test_a_background_sync_that_fails_ends_the_process(data: Path) -> None:
    def act(journal: Journal) -> None:
        journal.append((1,))
        journal.writer.row.fd = os.open("/dev/null", os.O_WRONLY)  # fdatasync: EINVAL.
        journal.writer.row.blocks += 1
        signal.pause()

    code, said = ends_with(data, act, RELAXED_CONFIG)
    assert code == EXIT_FAILED
    assert "background sync" in said


def test_a_full_disk_ends_the_process(tmp_path: Path) -> None:
    """In a private mount of its own, where that is allowed: no room for the next segment."""
    script = f"""
import subprocess, sys
from pathlib import Path
place = Path({str(tmp_path)!r})
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(place)], check=True)
from tests.core.journal.files import Journal, CONFIG
journal = Journal(place / "data")
while True:
    journal.append((1,) * 256)
"""
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("no private mounts here")
    assert done.returncode == EXIT_FAILED
    assert "No space left" in done.stderr
