"""`outcry reset`: all of ours goes, nothing else does, and half of it is never taken for new."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from core.journal import create
from core.journal.errors import JournalRefused
from core.journal.lock import acquire
from core.journal.recovery import recover
from core.shm import DIRECTORY, prefix
from tests.core.journal.files import CONFIG, directory_of, small_journal
from tools import exits, reset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A stopped exchange: journal, snapshots, archive, what a run leaves."""
    place = tmp_path / "data"
    small_journal(place).close()
    for name in ("snapshots/10", "events", "run"):
        (place / name).mkdir(parents=True)
        (place / name / "file").write_text("content")
    return place


def test_without_yes_it_says_what_would_go_and_changes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(data.rglob("*"))
    with pytest.raises(exits.Stop, match="outcry reset --yes") as caught:
        reset.run(data, yes=False)
    assert caught.value.code == 64
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in said] == [
        str(data / name) for name in ("journal", "snapshots", "events", "run")
    ]
    assert sorted(data.rglob("*")) == before


def test_with_yes_everything_goes_and_a_start_begins_anew(data: Path) -> None:
    left = DIRECTORY / f"{prefix(directory_of(data).name[:8], 7)}-counters"
    left.write_bytes(b"of a core that was killed")
    old = directory_of(data).name
    (data / "lost+found").mkdir()
    assert reset.run(data, yes=True) == 0
    assert [path.name for path in data.iterdir()] == ["lost+found"]
    assert not left.exists()
    recovery = recover(data, CONFIG)
    assert recovery.created
    assert recovery.directory.name != old
    recovery.lock.close()


@pytest.mark.parametrize(
    "foreign", ["notes.txt", "journal/notes.txt", "journal/UUID/notes.txt", "users.bak"]
)
def test_a_directory_with_something_foreign_is_left_alone(data: Path, foreign: str) -> None:
    path = data / foreign.replace("UUID", directory_of(data).name)
    path.write_text("mine")
    before = sorted(data.rglob("*"))
    with pytest.raises(exits.Stop, match=path.name) as caught:
        reset.run(data, yes=True)
    assert caught.value.code == 64
    assert sorted(data.rglob("*")) == before


def test_a_link_is_never_followed(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (data / "snapshots").rename(elsewhere)
    (data / "snapshots").symlink_to(elsewhere)
    with pytest.raises(exits.Stop, match="snapshots"):
        reset.run(data, yes=True)
    assert (elsewhere / "10" / "file").exists()


def test_beside_a_running_exchange_it_exits_75(data: Path) -> None:
    lock = acquire(data)
    before = sorted(data.rglob("*"))
    with pytest.raises(Exception, match="in use") as caught:
        reset.run(data, yes=True)
    assert getattr(caught.value, "exit_code", None) == 75
    assert sorted(data.rglob("*")) == before
    lock.close()


def test_an_empty_or_absent_directory_has_nothing_to_remove(tmp_path: Path) -> None:
    assert reset.run(tmp_path / "absent", yes=True) == 0
    assert not (tmp_path / "absent").exists()
    assert reset.run(tmp_path, yes=True) == 0


CALLS = ("rename", "rmdir", "unlink", "mkdir")


def killed_before(data: Path, number: int) -> bool:
    """Run a reset and SIGKILL it before its ``number``th change; whether there were that many."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        calls: list[str] = []

        def counted(call: Callable[..., None]) -> Callable[..., None]:
            def count(*arguments: object, **options: object) -> None:
                calls.append(call.__name__)
                if len(calls) == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                call(*arguments, **options)

            return count

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            reset.run(data, yes=True)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_killed_before_any_change_a_start_never_begins_anew_in_silence(tmp_path: Path) -> None:
    number, seen = 0, set()
    while True:
        number += 1
        data = tmp_path / str(number)
        small_journal(data).close()
        (data / "snapshots").mkdir()
        old = directory_of(data).name
        if not killed_before(data, number):
            break
        seen.add(_start_says(data, old))
        assert reset.run(data, yes=True) == 0
        assert list(data.iterdir()) == []
    assert seen == {"the old journal", "refused: NOT_EMPTY"}


def _start_says(data: Path, old: str) -> str:
    try:
        if create.may_create(data):
            return "a new journal"
    except JournalRefused as refusal:
        return f"refused: {refusal.reason}"
    recovery = recover(data, CONFIG)
    assert (recovery.directory.name, recovery.last_sequence) == (old, 45)
    recovery.lock.close()
    return "the old journal"


def test_generations_and_an_unfinished_upgrade_go_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    small_journal(data).close()
    (data / "generations" / "0-old").mkdir(parents=True)
    (data / "UPGRADE").touch()
    assert reset.run(data, yes=True) == 0
    assert list(data.iterdir()) == []
