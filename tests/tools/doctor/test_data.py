"""The data directory: who has it, how it was left, what a start would say, how long it takes."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from core.journal.errors import Fault
from core.journal.layout import SYNC
from core.journal.segments import segment_path
from core.sequencer import engine
from replay import snapshots
from tests.replay.live import JOURNAL, Live
from tests.replay.market import ALICE, order, scripted, setting_up
from tests.tools.doctor.ground import expect, ground
from tools.doctor import data as checks
from tools.doctor import journal as looking
from tools.doctor.running import Running, flock_holders
from tools.doctor.where import Where

SEGMENT_ORDERS: Final = 280  # One block of 4 KiB each: more than a segment of 1 MiB.
RELAXED: Final = {"journal.durability": "relaxed"}


def seen(place: Path, **fields: Any) -> Where:
    """The data directory of ``place``, kernels compiled."""
    where = ground(place, settings=RELAXED, **fields)
    where.__dict__["is_warm"] = True
    return where


def clean(place: Path) -> Path:
    """A short journal that was stopped cleanly; the journal's directory."""
    scripted(place / "data").close()
    return journal_of(place)


def journal_of(place: Path) -> Path:
    """The directory of the one journal."""
    (found,) = (place / "data" / "journal").glob("*-*")
    return found


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of two segments and more, with a snapshot at its end."""
    place = tmp_path_factory.mktemp("long")
    live = Live(place / "data", JOURNAL._replace(durability=SYNC))
    live.send(setting_up())
    orders = (order(ALICE, f"n-{number}", 1, 1, 5_000) for number in range(SEGMENT_ORDERS))
    live.send(orders, at_once=1)
    live.close()
    snapshots.make(place / "data")
    return place


@pytest.fixture
def copy(long: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    shutil.copytree(long / "data", tmp_path / "data", ignore=shutil.ignore_patterns("run"))
    return tmp_path


def flip(path: Path, offset: int) -> None:
    """Change one bit."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_without_a_journal_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    where = seen(tmp_path)
    for check in (checks.last_stop, checks.journal, checks.snapshots, checks.fits):
        expect(check, where, "skip", "the first start makes one")
    expect(checks.in_use, where, "ok", "free")
    expect(checks.next_start, where, "ok", "about 800 ms")
    assert not where.data.exists()


def test_a_journal_that_was_stopped_cleanly_is_in_order(tmp_path: Path) -> None:
    clean(tmp_path)
    where = seen(tmp_path)
    expect(checks.last_stop, where, "ok", "cleanly, at sequence 27")
    expect(checks.journal, where, "ok", "1 segments of 1 MiB, headers whole, 27 commands")
    expect(checks.snapshots, where, "ok", "none yet")
    expect(checks.fits, where, "ok", "engine version")
    expect(checks.next_start, where, "ok", "27 commands behind the beginning")


def test_a_core_that_was_killed_did_not_stop_cleanly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(tmp_path / "data").crash()
    where = seen(tmp_path)
    expect(checks.last_stop, where, "warn", "not cleanly; the journal ends with", "recovers")
    assert "restarted" not in checks.last_stop(where).found
    monkeypatch.setattr(checks, "boot_id", lambda: bytes(16))
    expect(checks.last_stop, where, "warn", "the machine restarted since", "SIGTERM")


def test_a_torn_end_is_told_with_its_size(tmp_path: Path) -> None:
    directory = clean(tmp_path)
    look = looking.look(tmp_path / "data", is_live=False)
    assert look.newest is not None
    with segment_path(directory, 1).open("r+b") as file:
        file.seek(512 << 10)
        file.write(b"\x55" * 100)
    where = seen(tmp_path)
    expect(checks.last_stop, where, "warn", "go to quarantine (LOST)", "recovers")


@pytest.mark.parametrize(
    ("break_it", "word"),
    [
        (lambda path: flip(segment_path(path, 1), 64), Fault.HEADER),
        (lambda path: (path / "notes.txt").write_text("x"), Fault.INVENTORY),
        (lambda path: (path.parent / "other").mkdir(), Fault.INVENTORY),
        (lambda path: (path.parents[1] / "UPGRADE").write_text(""), Fault.INVENTORY),
        (shutil.rmtree, Fault.MISSING),
        (lambda path: shutil.rmtree(path.parent), Fault.NOT_EMPTY),
        (lambda path: (path / "witness").write_bytes(bytes(1_024)), Fault.WITNESS),
    ],
)
def test_a_journal_that_a_start_would_refuse_fails_with_its_runbook(
    tmp_path: Path, break_it: Callable[[Path], object], word: Fault
) -> None:
    directory = clean(tmp_path)
    break_it(directory)
    (tmp_path / "data" / "notes").mkdir()  # Nobody's: NOT_EMPTY where the journal is gone.
    where = seen(tmp_path)
    expect(checks.journal, where, "fail", f"journal refused: {word}", f"runbook.md#{word.lower()}")
    for check in (checks.last_stop, checks.snapshots, checks.fits, checks.next_start):
        expect(check, where, "skip", "the journal is refused")


def test_damage_behind_the_newest_snapshot_is_found_and_before_it_is_not_looked_for(
    copy: Path,
) -> None:
    where = seen(copy)
    expect(checks.journal, where, "ok", "3 segments" if _segments(copy) == 3 else "2 segments")
    flip(segment_path(journal_of(copy), 1), 100_000)
    expect(checks.journal, seen(copy), "ok", "outcry journal verify")
    flip(segment_path(journal_of(copy), _segments(copy)), 4_096 + 200)
    expect(checks.journal, seen(copy), "fail", "journal refused", "repair --plan")


def _segments(place: Path) -> int:
    return len(list(journal_of(place).glob("*.seg")))


def test_a_journal_too_long_to_read_is_only_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean(tmp_path)
    monkeypatch.setattr(looking, "WALK_BYTES_MAX", 1_000)
    where = seen(tmp_path)
    expect(checks.last_stop, where, "skip", "was not read")
    expect(checks.journal, where, "ok", "headers whole (all of it")
    expect(checks.next_start, where, "ok", "27 commands behind the beginning")


def test_snapshots_that_cannot_be_used_are_named(copy: Path) -> None:
    sequence = len(setting_up()) + SEGMENT_ORDERS
    expect(checks.snapshots, seen(copy), "ok", f"1, the newest at sequence {sequence:,}")
    expect(checks.next_start, seen(copy), "ok", f"0 commands behind the snapshot of {sequence:,}")
    (snapshot,) = (copy / "data" / "snapshots").iterdir()
    state = snapshot / "state"
    os.truncate(state, state.stat().st_size - 8)
    expect(checks.snapshots, seen(copy), "warn", f"{state} at 0: expected", "snapshot make")
    segment_path(journal_of(copy), 1).unlink()
    expect(checks.snapshots, seen(copy), "fail", "the journal needs one", "outcry restore")


def test_one_bad_snapshot_beside_a_good_one_is_a_warning(copy: Path) -> None:
    bad = copy / "data" / "snapshots" / f"{1:016d}"
    bad.mkdir()
    (bad / "manifest").write_text("{}\nnothing\n")
    expect(checks.snapshots, seen(copy), "warn", "SHA-256 of the manifest", "snapshot verify")


def test_limits_and_engine_version_of_the_journal_must_be_those_of_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean(tmp_path)
    other = ground(tmp_path, settings=RELAXED | {"limits.accounts_max": "99"})
    other.__dict__["is_warm"] = True
    expect(checks.fits, other, "fail", "limits.accounts_max: the journal has", "outcry upgrade")
    monkeypatch.setattr(engine, "ENGINE_VERSION", 999)
    expect(checks.fits, seen(tmp_path), "fail", "this is 999", "outcry upgrade")


def test_a_long_start_is_told_before_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean(tmp_path)
    cold = seen(tmp_path)
    cold.__dict__["is_warm"] = False
    expect(checks.next_start, cold, "warn", "compiling once", "outcry compile")
    expect(checks.journal, cold, "skip", "not compiled")
    alone = ground(tmp_path, settings=RELAXED | {"replayer.enabled": "false"})
    alone.__dict__["is_warm"] = True
    expect(checks.next_start, alone, "warn", "no snapshots", "replayer.enabled = true")
    monkeypatch.setattr(checks, "COMMAND_NS", 10**9)
    expect(checks.next_start, seen(tmp_path), "warn", "about 28 s", "outcry snapshot make")


@pytest.fixture
def held(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the lock of the supervisor, as one of a killed exchange has."""
    run = tmp_path / "data" / "run"
    run.mkdir(parents=True)
    lock = os.open(run / "supervisor.lock", os.O_RDWR | os.O_CREAT)
    program = "import fcntl,sys;fcntl.flock(int(sys.argv[1]),2);print(1,flush=True);input()"
    with subprocess.Popen(
        [sys.executable, "-SIc", program, str(lock)],
        pass_fds=(lock,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(lock)
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        yield process
        process.kill()


def test_a_directory_that_a_leftover_process_holds(
    tmp_path: Path, held: "subprocess.Popen[str]"
) -> None:
    where = seen(tmp_path, root=Path("/"))
    expect(checks.in_use, where, "warn", f"held by process {held.pid}", f"kill {held.pid}")
    path = tmp_path / "data" / "run" / "supervisor.lock"
    assert flock_holders(Path("/"), path) == {held.pid}
    with path.open("r+b") as file, pytest.raises(BlockingIOError):  # It is held as before.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    held.kill()
    held.wait()
    expect(checks.in_use, seen(tmp_path, root=Path("/")), "ok", "free")


def test_looking_for_the_lock_takes_none(tmp_path: Path) -> None:
    clean(tmp_path)
    live = Live(tmp_path / "data")
    where = seen(tmp_path, root=Path("/"))
    assert where.is_live
    expect(checks.in_use, where, "warn", "no outcry up is there", "wait for it")
    live.close()
    assert not seen(tmp_path, root=Path("/")).is_live


def test_beside_a_live_core_its_counters_tell_how_long_a_start_would_take(tmp_path: Path) -> None:
    live = scripted(tmp_path / "data")
    where = seen(tmp_path, root=Path("/"))
    assert where.is_live
    expect(checks.last_stop, where, "skip", "an exchange runs here")
    expect(checks.next_start, where, "ok", "27 commands behind the beginning")
    expect(checks.journal, where, "ok", "1 segments")
    live.close()


def test_an_exchange_that_runs_here_is_no_fault(tmp_path: Path) -> None:
    where = seen(tmp_path)
    where.__dict__["running"] = Running({"supervisor": 77}, frozenset({77}))
    expect(checks.in_use, where, "ok", "outcry up is process 77")


def test_every_check_is_run() -> None:
    names = ("in_use", "last_stop", "journal", "snapshots", "fits", "next_start")
    assert tuple(check.__name__ for check in checks.CHECKS) == names
