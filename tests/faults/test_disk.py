"""The disk that forgets does forget, and only what it may."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.journal.segments import open_file, sync_directory, write_file
from tests.faults.disk import BEST, MIXED, SECTOR_BYTES, WORST, Disk, Killed, PowerCut
from tests.faults.interpose import Calls, interposed


@pytest.fixture
def disk(data: Path) -> Iterator[Disk]:
    made = Disk(data, random.Random(1), trash=False)
    with interposed(made, lambda: bytes(16), direct=False) as calls:
        yield made
        calls.close_all()


def create(disk: Disk, content: bytes) -> tuple[Path, int]:
    """A file whose name and content are durable; still open."""
    path = disk.root / "file"
    fd = open_file(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, content, 0)
    os.fsync(fd)
    sync_directory(disk.root)
    return path, fd


def test_what_was_synced_stays_what_was_not_goes(disk: Disk) -> None:
    path, fd = create(disk, b"a" * 1_000)
    os.pwrite(fd, b"b" * 1_000, 500)
    os.pwrite(fd, b"c", 0)
    assert path.read_bytes() == b"c" + b"a" * 499 + b"b" * 1_000
    disk.mood = WORST
    disk.power_cut()
    assert path.read_bytes() == b"a" * 1_000


def test_a_lucky_power_cut_loses_nothing(disk: Disk) -> None:
    path, fd = create(disk, b"a" * 10)
    os.pwrite(fd, b"b" * 10, 5)
    (disk.root / "more").mkdir()
    write_file(disk.root / "more" / "note", b"x")
    disk.mood = BEST
    disk.power_cut()
    assert path.read_bytes() == b"a" * 5 + b"b" * 10
    assert (disk.root / "more" / "note").read_bytes() == b"x"


def test_a_torn_write_changes_whole_sectors_in_any_order(disk: Disk) -> None:
    path, fd = create(disk, bytes(8 * SECTOR_BYTES))
    disk.mood = MIXED
    seen = set()
    for _ in range(300):
        os.pwrite(fd, b"\1" * 8 * SECTOR_BYTES, 0)
        disk.power_cut()
        raw = path.read_bytes()
        sectors = [raw[place : place + SECTOR_BYTES] for place in range(0, len(raw), SECTOR_BYTES)]
        assert set(sectors) <= {bytes(SECTOR_BYTES), b"\1" * SECTOR_BYTES}
        seen.add(tuple(sector[0] for sector in sectors))
        os.pwrite(fd, bytes(8 * SECTOR_BYTES), 0)
        os.fsync(fd)
    assert {(0,) * 8, (1,) * 8} < seen
    assert len(seen) > 40


@pytest.mark.parametrize("mood", [WORST, BEST])
def test_a_shorter_file_that_was_not_synced_is_long_again(disk: Disk, mood: str) -> None:
    path, fd = create(disk, b"a" * 700)
    os.ftruncate(fd, 10)
    os.pwrite(fd, b"b", 9)
    disk.mood = mood
    disk.power_cut()
    assert path.read_bytes() == (b"a" * 700 if mood == WORST else b"a" * 9 + b"b")


def test_an_o_dsync_write_is_durable_and_the_one_before_it_is_not(disk: Disk) -> None:
    path, fd = create(disk, bytes(20))
    os.pwrite(fd, b"first", 0)
    direct = open_file(path, os.O_RDWR | os.O_DSYNC)
    os.pwrite(direct, b"second", 10)
    disk.mood = WORST
    disk.power_cut()
    assert path.read_bytes() == bytes(10) + b"second" + bytes(4)


@pytest.mark.parametrize("mood", [WORST, BEST])
def test_a_rename_that_was_not_synced_is_undone_as_a_whole(disk: Disk, mood: str) -> None:
    path, _fd = create(disk, b"old")
    draft = disk.root / "draft"
    fd = open_file(draft, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"new")
    os.fsync(fd)
    draft.rename(path)
    assert path.read_bytes() == b"new"
    disk.mood = mood
    disk.power_cut()
    assert path.read_bytes() == (b"old" if mood == WORST else b"new")
    assert not draft.exists()


def test_a_name_that_was_not_synced_goes_with_all_below_it(disk: Disk) -> None:
    (disk.root / "a" / "b").mkdir(parents=True)
    write_file(disk.root / "a" / "b" / "file", b"x")
    sync_directory(disk.root / "a")
    disk.mood = WORST
    disk.power_cut()
    assert list(disk.root.iterdir()) == []


def test_names_of_a_directory_are_undone_newest_first(disk: Disk) -> None:
    names = [str(number) for number in range(6)]
    disk.mood = MIXED
    seen = set()
    for _ in range(60):
        for name in names:
            os.close(open_file(disk.root / name, os.O_RDWR | os.O_CREAT))
        disk.power_cut()
        found = sorted(path.name for path in disk.root.iterdir())
        assert found == names[: len(found)]
        seen.add(len(found))
        for name in found:
            (disk.root / name).unlink()
        sync_directory(disk.root)
    assert seen == set(range(7))


def test_a_kill_keeps_what_was_written_and_a_later_power_cut_does_not(disk: Disk) -> None:
    path, fd = create(disk, b"old")
    os.pwrite(fd, b"new", 0)
    disk.arm(1, Killed)
    with pytest.raises(Killed):
        os.fsync(fd)
    with pytest.raises(Killed):  # Nothing is changed after the end.
        os.pwrite(fd, b"xyz", 0)
    disk.restart()
    assert path.read_bytes() == b"new"
    disk.mood = WORST
    disk.power_cut()
    assert path.read_bytes() == b"old"


def test_a_sync_during_which_the_power_goes_promises_nothing(disk: Disk) -> None:
    path, fd = create(disk, b"old")
    os.pwrite(fd, b"new", 0)
    disk.arm(1, PowerCut)
    with pytest.raises(PowerCut):
        os.fdatasync(fd)
    disk.restart()
    disk.mood = WORST
    disk.power_cut()
    assert path.read_bytes() == b"old"


def test_every_call_that_changes_a_disk_is_led_past_it() -> None:
    """The journal's code calls nothing in ``os`` that this module does not know."""
    import re

    changing = {"open", "close", "pwrite", "write", "posix_fallocate", "fsync", "fdatasync"}
    changing |= {"link", "rename", "unlink", "rmdir", "mkdir", "ftruncate"}
    reading = {"fstat", "stat", "lstat", "lseek", "pread", "preadv", "read", "listdir", "access"}
    neutral = {"posix_fadvise", "getpid", "getppid", "geteuid", "fsencode", "strerror", "umask"}
    neutral |= {"nice", "sched_setscheduler", "sched_param", "_exit", "register_at_fork"}
    for path in (Path(__file__).parents[2] / "core" / "journal").glob("*.py"):
        called = set(re.findall(r"\bos\.([a-z_]+)\(", path.read_text()))
        assert called <= changing | reading | neutral, path
    assert all(hasattr(Calls, name) for name in changing - {"fdatasync"})
