"""The supervisor over fake children: restarts, delays, exit codes, signals, its own death."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.child import Spec, describe_exit
from tools.supervisor import BACKOFF_MAX_S, HEALTHY_AFTER_S, Child, backoff_s

Up = Callable[..., "subprocess.Popen[str]"]
Line = tuple[str, str, float]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Start the supervisor over described children, as the leader of a group of its own."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*described: str, grace_s: float = 5.0) -> "subprocess.Popen[str]":
        script = Path(__file__).with_name("fake_up.py")
        process = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path), str(grace_s), *described],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        with contextlib.suppress(ProcessLookupError):  # Its children, too, should they be left.
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _lines(directory: Path) -> list[Line]:
    try:
        text = (directory / "log").read_text()
    except FileNotFoundError:
        return []
    parts = [line.split() for line in text.splitlines()]
    return [(name, word, float(at)) for name, word, at in parts]


def _starts(directory: Path, name: str) -> list[tuple[int, float]]:
    return [
        (int(word.partition(":")[2]), at)
        for who, word, at in _lines(directory)
        if who == name and word.startswith("started")
    ]


def _wait(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_what_dies_is_started_again_at_once(tmp_path: Path, up: Up) -> None:
    process = up("core:1:run")
    _wait(lambda: _starts(tmp_path, "core"))
    killed = time.monotonic()
    os.kill(_starts(tmp_path, "core")[0][0], signal.SIGKILL)
    _wait(lambda: len(_starts(tmp_path, "core")) == 2)
    (first, _), (second, at) = _starts(tmp_path, "core")
    assert first != second
    assert at - killed < 0.5
    assert int((tmp_path / "core.pid").read_text()) == second
    assert int((tmp_path / "supervisor.pid").read_text()) == process.pid
    assert process.poll() is None


def test_deaths_in_a_row_are_delayed_up_to_two_seconds() -> None:
    delays = [backoff_s(failures) for failures in range(1, 9)]
    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert backoff_s(10_000) == BACKOFF_MAX_S


def test_five_seconds_of_health_forgive_everything() -> None:
    child = Child(Spec("core", (), 1, frozenset()))
    assert [child.delay_after_death(0.1) for _ in range(4)] == [0.0, 0.1, 0.2, 0.4]
    child.started_s = 100.0
    assert child.delay_after_death(100.0 + HEALTHY_AFTER_S) == 0.0
    child.started_s = 110.0
    assert child.delay_after_death(110.1) == pytest.approx(0.1)


def test_a_process_that_signals_kill_again_and_again_is_never_given_up(
    tmp_path: Path, up: Up
) -> None:
    process = up("core:1:dying:0", "http:0:run")
    _wait(lambda: len(_starts(tmp_path, "core")) >= 5)
    times = [at for _, at in _starts(tmp_path, "core")]
    assert process.poll() is None
    for failures in (2, 3, 4):  # A start may take long on a busy machine, its pause is never short.
        assert times[failures] - times[failures - 1] >= backoff_s(failures)
    assert len(_starts(tmp_path, "http")) == 1


@pytest.mark.parametrize("code", [64, 70, 75, 78, 80])
def test_final_codes_of_the_core_end_everything_with_that_code(
    tmp_path: Path, up: Up, code: int
) -> None:
    process = up("http:0:run", f"core:1:exit:{code}")
    assert process.wait(10) == code
    assert len(_starts(tmp_path, "core")) == 1
    assert not any(_is_alive(pid) for pid, _ in _starts(tmp_path, "http"))


@pytest.mark.parametrize("code", [0, 1, 70])
def test_other_codes_are_a_death_like_any_other(tmp_path: Path, up: Up, code: int) -> None:
    process = up(f"http:0:exit:{code}", "core:1:run")
    _wait(lambda: len(_starts(tmp_path, "http")) >= 3)
    assert process.poll() is None
    assert len(_starts(tmp_path, "core")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_adapters_first_then_the_core(
    tmp_path: Path, up: Up, number: signal.Signals
) -> None:
    process = up("core:1:run", "http:0:slow:0.3")
    _wait(lambda: _starts(tmp_path, "core") and _starts(tmp_path, "http"))
    process.send_signal(number)
    assert process.wait(10) == 0
    ends = [(name, word) for name, word, _ in _lines(tmp_path) if not word.startswith("started")]
    assert ends == [("http", "told"), ("http", "ended"), ("core", "told"), ("core", "ended")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]


def test_sigint_to_the_whole_group_is_one_clean_stop(tmp_path: Path, up: Up) -> None:
    process = up("core:1:run", "http:0:run")
    _wait(lambda: _starts(tmp_path, "core") and _starts(tmp_path, "http"))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(10) == 0
    ends = [(name, word) for name, word, _ in _lines(tmp_path) if not word.startswith("started")]
    assert ends == [("http", "told"), ("http", "ended"), ("core", "told"), ("core", "ended")]


def test_what_does_not_end_in_time_is_killed(tmp_path: Path, up: Up) -> None:
    process = up("http:0:stubborn", "core:1:run", grace_s=0.3)
    _wait(lambda: _starts(tmp_path, "core") and _starts(tmp_path, "http"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert [word for name, word, _ in _lines(tmp_path) if name == "core"][1:] == ["told", "ended"]


def test_a_second_signal_is_harder_and_the_same_one_twice_is_not(tmp_path: Path, up: Up) -> None:
    process = up("http:0:stubborn", "core:1:stubborn", grace_s=60.0)
    _wait(lambda: _starts(tmp_path, "core") and _starts(tmp_path, "http"))
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.6)
    assert [name for name, word, _ in _lines(tmp_path) if word == "told"] == ["http"]
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert 0.5 < time.monotonic() - begun < 5


def test_children_end_within_a_second_of_the_supervisor_however_it_dies(
    tmp_path: Path, up: Up
) -> None:
    process = up("http:0:stubborn", "core:1:stubborn")
    _wait(lambda: _starts(tmp_path, "core") and _starts(tmp_path, "http"))
    pids = [pid for name in ("core", "http") for pid, _ in _starts(tmp_path, name)]
    assert all(os.getpgid(pid) == process.pid for pid in pids)
    process.kill()
    _wait(lambda: not any(_is_alive(pid) for pid in pids), seconds=1.0)


def test_the_ready_line_is_printed_once_when_the_probe_says_so(tmp_path: Path, up: Up) -> None:
    process = up("core:1:run")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    _wait(lambda: _starts(tmp_path, "core"))
    os.kill(_starts(tmp_path, "core")[0][0], signal.SIGKILL)
    _wait(lambda: len(_starts(tmp_path, "core")) == 2)
    process.send_signal(signal.SIGTERM)
    assert process.communicate()[0] == ""


def test_a_child_starts_with_no_signal_blocked_and_ignores_only_sigint(
    tmp_path: Path, up: Up
) -> None:
    up("core:1:run")
    _wait(lambda: _starts(tmp_path, "core"))
    status = Path(f"/proc/{_starts(tmp_path, 'core')[0][0]}/status").read_text()
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
    assert int(masks["SigBlk"], 16) == 0
    assert int(masks["SigIgn"], 16) & 1 << (signal.SIGINT - 1)


def test_an_end_is_described_in_words() -> None:
    assert [describe_exit(code) for code in (70, -9)] == ["exit 70", "SIGKILL"]
