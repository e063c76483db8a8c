"""A journal is made in an absent or empty directory, or where a creation was cut off."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from core.journal.errors import JournalRefused
from core.journal.recovery import recover
from core.journal.segments import INIT_NAME
from tests.core.journal.files import CONFIG, Journal, directory_of, refusal, small_journal


def test_an_absent_and_an_empty_directory_get_a_journal(data: Path) -> None:
    recover(data, CONFIG).lock.close()
    assert not (data / INIT_NAME).exists()
    empty = data.parent / "empty"
    empty.mkdir()
    (empty / "run").mkdir()
    recover(empty, CONFIG).lock.close()
    assert [len(list(directory_of(place).glob("*.seg"))) for place in (data, empty)] == [1, 1]


def test_everything_is_for_its_owner_only(data: Path) -> None:
    old = os.umask(0)
    try:
        small_journal(data).close()
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in data.rglob("*")}
    modes[""] = data.stat().st_mode & 0o777
    assert {mode for name, mode in modes.items() if "." in name or name == "LOCK"} == {0o600}
    assert {mode for name, mode in modes.items() if "." not in name and name != "LOCK"} == {0o700}


@pytest.mark.parametrize("name", ["users.sqlite", "journals", "fix"])
def test_a_directory_with_other_files_gets_none(data: Path, name: str) -> None:
    data.mkdir()
    (data / name).touch()
    with pytest.raises(JournalRefused, match=name) as caught:
        recover(data, CONFIG)
    assert (caught.value.reason, caught.value.exit_code) == ("NOT_EMPTY", 80)
    assert [path.name for path in data.iterdir()] == [name]


def test_a_journal_that_was_deleted_is_never_begun_anew(data: Path) -> None:
    small_journal(data).close()
    directory = directory_of(data)
    for path in directory.iterdir():
        path.unlink()
    assert refusal(data) == "INVENTORY"
    directory.rmdir()
    assert refusal(data) == "MISSING"
    (data / "journal" / "LOCK").unlink()
    assert refusal(data) == "MISSING"


@pytest.mark.parametrize("step", range(1, 9))
def test_a_creation_cut_off_at_any_step_is_begun_again(data: Path, step: int) -> None:
    """The process is killed at its n-th sync; the next start makes a whole journal."""
    child = os.fork()
    if child == 0:
        calls = 0
        real = os.fsync

        def fsync(fd: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)
            real(fd)

        os.fsync = fsync
        recover(data, CONFIG)
        os._exit(0)
    os.waitpid(child, 0)
    journal = Journal(data)
    journal.append((1, 2))
    journal.close()
    assert Journal(data).recovery.last_sequence == 2
    assert not (data / INIT_NAME).exists()


def test_the_mark_of_an_unfinished_creation_never_deletes_commands(data: Path) -> None:
    small_journal(data).close()
    (data / INIT_NAME).write_text(directory_of(data).name)
    assert refusal(data) == "INVENTORY"
    (data / INIT_NAME).write_text("00000000-0000-4000-8000-000000000000")
    assert refusal(data) == "INVENTORY"
    assert len(list((data / "journal").iterdir())) == 2
    (data / INIT_NAME).unlink()
    assert refusal(data) == ""
