"""Segment files, the lock, and the process that makes segments ahead."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.journal.errors import JournalBusy, JournalRefused
from core.journal.lock import acquire, is_held
from core.journal.prepare import prepare
from core.journal.segments import (
    inventory,
    is_activated,
    is_prewritten,
    make_segment,
    segment_path,
    spare_count,
    write_file,
)
from core.journal.verify import verify
from tests.core.journal.files import SEGMENT_BYTES, Journal, directory_of


def test_a_segment_is_named_by_twelve_digits(tmp_path: Path) -> None:
    assert segment_path(tmp_path, 7).name == "000000000007.seg"


def test_a_made_segment_is_zero_and_nobody_elses(tmp_path: Path) -> None:
    assert make_segment(tmp_path, 3, SEGMENT_BYTES, prewritten=True)
    path = segment_path(tmp_path, 3)
    assert path.read_bytes() == bytes(SEGMENT_BYTES)
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_prewritten(path)
    assert not is_activated(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_room_is_kept_for_a_segment_of_relaxed_without_writing_it(tmp_path: Path) -> None:
    assert make_segment(tmp_path, 1, SEGMENT_BYTES, prewritten=False)
    path = segment_path(tmp_path, 1)
    assert path.stat().st_blocks * 512 >= SEGMENT_BYTES
    assert path.read_bytes() == bytes(SEGMENT_BYTES)


def test_making_a_segment_never_replaces_one(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 1)
    path.write_bytes(b"in use")
    assert not make_segment(tmp_path, 1, SEGMENT_BYTES, prewritten=True)
    assert path.read_bytes() == b"in use"
    assert len(list(tmp_path.iterdir())) == 1


def test_pacing_sees_every_byte(tmp_path: Path) -> None:
    seen: list[int] = []
    make_segment(tmp_path, 1, SEGMENT_BYTES, prewritten=True, pace=seen.append)
    assert sum(seen) == SEGMENT_BYTES


def test_numbers_have_no_gap(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        segment_path(tmp_path, number).touch()
    assert inventory(tmp_path) == [1, 2, 3]
    segment_path(tmp_path, 2).unlink()
    with pytest.raises(JournalRefused, match=r"000000000002\.seg.*missing"):
        inventory(tmp_path)


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    write_file(tmp_path / "note", b"one")
    write_file(tmp_path / "note", b"two")
    assert (tmp_path / "note").read_bytes() == b"two"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_lock_is_for_one_and_is_given_up(data: Path) -> None:
    data.mkdir()
    assert not is_held(data)
    lock = acquire(data)
    assert is_held(data)
    with pytest.raises(JournalBusy, match="LOCK") as caught:
        acquire(data)
    assert caught.value.exit_code == 75
    lock.close()
    lock.close()
    assert not is_held(data)
    acquire(data).close()


def test_the_lock_dies_with_its_process(data: Path) -> None:
    data.mkdir()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        acquire(data)
        os.write(writer, b"x")
        signal.pause()
    os.read(reader, 1)
    assert is_held(data)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not is_held(data)
    os.close(reader)
    os.close(writer)


def test_segments_are_made_until_there_are_enough(data: Path) -> None:
    journal = Journal(data)
    directory = journal.directory
    while prepare(directory, SEGMENT_BYTES, 2, prewritten=True):
        pass
    assert spare_count(directory) == (1, 2)
    while journal.writer.row.segment_no < 3:
        journal.append((1,) * 256)
    assert spare_count(directory) == (3, 0)
    assert prepare(directory, SEGMENT_BYTES, 2, prewritten=True)
    assert spare_count(directory) == (3, 1)
    assert journal.writer.row.rotations_without_spare == 0
    journal.close()
    assert verify(data).segments == 3


def test_nothing_is_made_before_there_is_a_journal(data: Path) -> None:
    data.mkdir()
    assert not prepare(data, SEGMENT_BYTES, 2, prewritten=True)
    assert list(data.iterdir()) == []


def test_the_process_makes_segments_and_ends_with_its_parent(data: Path) -> None:
    Journal(data).close()
    command = [sys.executable, "-m", "core.journal.prepare", "--data", str(data)]
    command += ["--segment-bytes", str(SEGMENT_BYTES), "--spares", "3", "--durability", "sync"]
    script = f"import subprocess, sys; p = subprocess.Popen({command!r}); print(p.pid, flush=True)"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{script}; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    _wait(lambda: spare_count(directory_of(data)) == (1, 3))
    assert os.sched_getscheduler(pid) == os.SCHED_IDLE or os.getpriority(os.PRIO_PROCESS, pid) > 0
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    _wait(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _wait(condition: "object") -> None:
    end = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)
