"""Shared memory, leftovers of dead exchanges, the disk under the journal."""

import errno
import json
import mmap
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from core.counters import HEARTBEAT_NS, WORD_BYTES
from core.shm import HEADER_BYTES
from tests.tools.doctor.ground import expect, ground
from tools.doctor import doctor, leftovers, storage
from tools.doctor.disk import Synced, measure
from tools.doctor.running import Running
from tools.doctor.where import Where

OLD_S: Final = 600.0
RELAXED: Final = {"journal.durability": "relaxed"}
MOUNTED: Final = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:9 / {} {} - {} {} rw{}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m,nr_inodes=64", "none", str(place)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def mounted(place: Path, kind: str, options: str = "rw", more: str = "") -> dict[str, str]:
    """Files of a machine where ``place`` is a mount of its own."""
    text = MOUNTED.format(place.resolve(), options, kind, "/dev/vdb", more)
    return {"proc/self/mountinfo": text}


# Shared memory.


def test_shared_memory_has_room_for_the_rings(tmp_path: Path, small_disk: Path) -> None:
    expect(storage.shared_memory, ground(tmp_path), "ok", "the rings take 35 MiB")
    full = ground(tmp_path, shm=small_disk)
    expect(storage.shared_memory, full, "fail", "free of 1 MiB", "--shm-size=70m")
    absent = ground(tmp_path, shm=tmp_path / "none")
    expect(storage.shared_memory, absent, "fail", "No such file", "mount -t tmpfs")


def test_shared_memory_for_one_life_only_is_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = os.statvfs(tmp_path)
    for factor, verdict in ((1.5, "warn"), (2.5, "ok")):
        free = int(storage.ring_bytes(1) * factor) // room.f_frsize
        found = os.statvfs_result((*room[:4], free, *room[5:10]))
        with monkeypatch.context() as patched:
            patched.setattr(os, "statvfs", lambda _, found=found: found)
            expect(storage.shared_memory, ground(tmp_path), verdict)


def segments(where: Where, uuid8: str, *, old: bool = True, beat_ns: int = 0) -> list[Path]:
    """What a life of a core leaves."""
    paths = [where.shm / f"outcry-{uuid8}-4-{part}" for part in ("counters", "in-http.0", "out")]
    for path in paths:
        path.write_bytes(bytes(2 * HEADER_BYTES))
    with paths[0].open("r+b") as file:
        file.seek(HEADER_BYTES + HEARTBEAT_NS * WORD_BYTES)
        file.write(beat_ns.to_bytes(8, "little"))
    for path in paths:
        then = time.time() - (OLD_S if old else 1.0)
        os.utime(path, (then, then))
    return paths


def test_what_a_killed_exchange_left_is_found_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ground(tmp_path)
    expect(storage.dead_runs, where, "ok", "nothing")
    paths = segments(where, "0123abcd")
    foreign = where.shm / "outcry-notes.txt"
    foreign.write_text("not a segment")
    expect(storage.dead_runs, where, "warn", "outcry-0123abcd-4-*", "outcry doctor --mend")
    monkeypatch.setattr(doctor, "examine", lambda _: {})
    assert doctor.run(where, mend=False, as_json=True) == 0
    assert all(path.exists() for path in paths)
    capsys.readouterr()
    assert doctor.run(where, mend=True, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mended"] == [f"removed {path}" for path in paths]
    assert [path.name for path in where.shm.iterdir()] == [foreign.name]
    expect(storage.dead_runs, where, "ok", "nothing")


def test_what_somebody_uses_is_no_leftover(tmp_path: Path) -> None:
    where = ground(tmp_path)
    segments(where, "00000001", old=False)
    segments(where, "00000002", beat_ns=time.monotonic_ns())
    (used, *_) = segments(where, "00000003")
    maps = where.root / "proc" / "77" / "maps"
    maps.parent.mkdir()
    maps.write_text(f"7f00-7f01 rw-s 00000000 00:18 5 {used}\n")
    expect(storage.dead_runs, where, "ok", "3 in use")
    assert doctor.mend_all(where) == []
    maps.unlink()
    expect(storage.dead_runs, where, "warn", "outcry-00000003-4-*", "--mend")


def test_what_a_process_has_mapped_is_seen_in_the_real_proc(tmp_path: Path) -> None:
    (path, *_) = segments(ground(tmp_path), "0000000a")
    assert path.name not in leftovers.mapped(Path("/"))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0):
        assert path.name in leftovers.mapped(Path("/"))


def test_what_an_unseen_adapter_has_locked_is_not_removed(tmp_path: Path) -> None:
    where = ground(tmp_path)
    paths = segments(where, "0123abcd")
    with subprocess.Popen(["flock", str(paths[1]), "cat"], stdin=subprocess.PIPE) as holder:
        while not any("FLOCK" in line for line in _locks_of(holder.pid)):
            time.sleep(0.01)
        assert doctor.mend_all(where) == []
        assert all(path.exists() for path in paths)
        holder.kill()


def _locks_of(pid: int) -> list[str]:
    return [line for line in Path("/proc/locks").read_text().splitlines() if f" {pid} " in line]


def test_the_next_start_is_left_to_look_at_its_own(tmp_path: Path) -> None:
    where = ground(tmp_path)
    (where.data / "journal" / "0123abcd-0000-4000-8000-000000000000").mkdir(parents=True)
    paths = segments(where, "0123abcd")
    expect(storage.dead_runs, where, "ok", "the next start takes it away")
    assert doctor.mend_all(where) == []
    assert all(path.exists() for path in paths)


# The disk.


def test_the_data_directory_can_be_made_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ground(tmp_path)
    expect(storage.data_directory, where, "ok", "is made at the first start")
    where.data.write_text("a file")
    expect(storage.data_directory, where, "fail", "is no directory", "--data DIR")
    where.data.unlink()
    where.data.mkdir()
    expect(storage.data_directory, where, "ok", str(where.data))
    monkeypatch.setattr(storage, "is_writable", lambda _: False)
    expect(storage.data_directory, where, "fail", "cannot be written", "chown")


@pytest.mark.parametrize(
    ("mount", "settings", "verdict", "words", "mend"),
    [
        ("ext4", {}, "ok", "ext4 on /dev/vdb", ""),
        ("tmpfs", {}, "fail", "sync is refused", "--durability relaxed"),
        ("tmpfs", {"journal.durability": "relaxed"}, "warn", "gone when", "--data DIR"),
        ("tmpfs", {"journal.allow_volatile": "true"}, "warn", "gone when", "--data DIR"),
        ("nfs4", {}, "warn", "over a network", "--data DIR"),
        ("overlay", {}, "warn", "layer of a container", "docker run -v"),
        ("xfs ro,noatime", {}, "fail", "read-only", "remount,rw"),
    ],
)
def test_the_file_system_under_the_journal(
    tmp_path: Path, mount: str, settings: dict[str, str], verdict: str, words: str, mend: str
) -> None:
    where = ground(tmp_path, mounted(tmp_path, *mount.split()), settings)
    expect(storage.file_system, where, verdict, words, mend)


def test_a_real_tmpfs_is_known_as_one(tmp_path: Path, small_disk: Path) -> None:
    where = ground(tmp_path, root=Path("/"), data=small_disk / "data")
    expect(storage.file_system, where, "fail", "tmpfs", "--data DIR")


def test_space_for_the_first_segments(tmp_path: Path, small_disk: Path) -> None:
    little = {"journal.segment_bytes": "1MiB", "journal.spares": "1"}
    expect(storage.free_space, ground(tmp_path, settings=little), "ok", "free of")
    much = {"journal.segment_bytes": "4GiB", "journal.spares": "64"}
    room = os.statvfs(tmp_path)
    assert room.f_bavail * room.f_frsize < 65 << 32, "a disk for this test to be about"
    expect(storage.free_space, ground(tmp_path, settings=much), "fail", "260 GiB", "free some")
    tiny = ground(tmp_path, settings=little, data=small_disk / "data")
    expect(storage.free_space, tiny, "fail", "free of 1 MiB", "free some")


def test_space_that_is_soon_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = os.statvfs(tmp_path)
    for free, names, words in ((600 << 20, 10**6, "exit 70"), (9 << 30, 10, "10 more files")):
        blocks = free // room.f_frsize
        found = os.statvfs_result((*room[:4], blocks, 10**6, names, names, *room[8:10]))
        with monkeypatch.context() as patched:
            patched.setattr(os, "statvfs", lambda _, found=found: found)
            expect(storage.free_space, ground(tmp_path), "warn", words)


def test_a_slow_disk_is_told_with_its_figures(tmp_path: Path) -> None:
    expect(storage.sync_time, ground(tmp_path), "ok", "p50 200 us, p99 900 us (256 writes)")
    slow = Synced("fdatasync", 4_000_000, 31_000_000, 60)
    where = ground(tmp_path, measure=lambda _: slow)
    expect(storage.sync_time, where, "warn", "p50 4.0 ms, p99 31 ms", "power-loss protection")
    unsteady = ground(tmp_path, measure=lambda _: slow._replace(p50_ns=300_000))
    expect(storage.sync_time, unsteady, "warn", "p99 31 ms", "NVMe")
    relaxed = {"journal.durability": "relaxed"}
    where = ground(tmp_path, settings=relaxed, measure=lambda _: slow)
    expect(storage.sync_time, where, "ok", "relaxed does not wait")


@pytest.mark.parametrize(
    ("number", "verdict", "words"),
    [(errno.EIO, "fail", "a write with sync fails"), (errno.EOPNOTSUPP, "skip", "not measured")],
)
def test_a_disk_that_refuses_a_sync(tmp_path: Path, number: int, verdict: str, words: str) -> None:
    def refuse(_: Path) -> Synced:
        raise OSError(number, os.strerror(number))

    expect(storage.sync_time, ground(tmp_path, measure=refuse), verdict, words)


def test_the_measurement_is_of_real_writes_and_leaves_nothing(tmp_path: Path) -> None:
    found = measure(tmp_path, writes=16)
    assert found.mode in ("fdatasync", "O_DIRECT|O_DSYNC")
    assert 0 < found.p50_ns <= found.p99_ns
    assert 0 < found.writes <= 16
    assert list(tmp_path.iterdir()) == []


def test_beside_a_live_exchange_nothing_is_measured(tmp_path: Path) -> None:
    def refuse(_: Path) -> Synced:
        raise AssertionError("its disk was written")

    where = ground(tmp_path, measure=refuse)
    where.__dict__["running"] = Running({"core": 1}, frozenset({1}))
    expect(storage.sync_time, where, "skip", "not measured")
    expect(storage.power_loss, where, "ok")


def test_what_the_power_may_take(tmp_path: Path) -> None:
    expect(storage.power_loss, ground(tmp_path), "ok", "keeps what it has said yes to")
    back = {"sys/class/block/sda1/../queue/write_cache": "write back"}
    expect(storage.power_loss, ground(tmp_path / "back", back), "ok", "told to flush")
    for option in ("nobarrier", "barrier=0", "data=writeback"):
        place = tmp_path / option
        place.mkdir()
        where = ground(place, mounted(place, "ext4", more=f",{option}"))
        expect(storage.power_loss, where, "fail", f"with {option}", "remount")
    relaxed = ground(place, mounted(place, "ext4", more=",nobarrier"), RELAXED)
    expect(storage.power_loss, relaxed, "warn", "nobarrier", "remount")
    lying = ground(tmp_path, measure=lambda _: Synced("fdatasync", 2_000, 9_000, 256))
    expect(storage.power_loss, lying, "warn", "no disk is that fast", "cache mode")


def test_every_check_is_run() -> None:
    names = ("shared_memory", "dead_runs", "data_directory", "file_system", "free_space")
    assert tuple(check.__name__ for check in storage.CHECKS) == (
        *names,
        "sync_time",
        "power_loss",
    )
