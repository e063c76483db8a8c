"""The command line: exit codes, one sentence per fault, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _outcry(
    *arguments: str, cwd: Path = ROOT, **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nope",), "No such command 'nope'"),
        (("up", "--nope"), "No such option: --nope"),
        (("up", "--fix", "127.0.0.1:9878"), "--fix: this version has no such adapter"),
        (("up", "--postgres", "embedded"), "--postgres: this version has no such adapter"),
        (("journal", "dump", "--format", "xml"), "--format: expected text, jsonl or csv"),
        (("replay", "--to", "x"), "Invalid value for '--to'"),
        (("bench", "ring", "--commands", "5"), "bench ring: does not take --commands"),
        (("bench", "kernal"), "got 'kernal'; did you mean kernel?"),
        (("bench", "kernel", "--flow", "none"), "--flow: no such file: none"),
        (("bench", "ring", "--ids"), "bench ring: does not take --ids"),
        (("bench", "kernel", "--seconds", "1"), "bench kernel: does not take --seconds"),
    ],
)
def test_usage_errors_exit_64_with_one_sentence(arguments: tuple[str, ...], complaint: str) -> None:
    done = _outcry(*arguments)
    assert done.returncode == 64
    assert done.stderr.startswith("outcry: ")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_faults_of_the_configuration_exit_78_all_at_once() -> None:
    done = _outcry("config", "check", OUTCRY__HTTP__WORKERS="0", OUTCRY__CORE__IDLE="nap")
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        "outcry: OUTCRY__CORE__IDLE: core.idle: expected one of spin, hybrid, block, got 'nap'",
        "outcry: OUTCRY__HTTP__WORKERS: http.workers: expected int >= 1, got '0'",
    ]


def test_dev_on_an_address_that_others_reach_exits_78(tmp_path: Path) -> None:
    done = _outcry("up", "--dev", "--http", "0.0.0.0:0", "--data", str(tmp_path / "data"))
    assert done.returncode == 78
    assert "expected a loopback address" in done.stderr
    assert not (tmp_path / "data").exists()


def test_limits_that_do_not_fit_together_exit_78() -> None:
    done = _outcry("config", "check", OUTCRY__LIMITS__IDS_MAX="1")
    assert done.returncode == 78
    assert "OUTCRY__LIMITS__IDS_MAX: limits.ids_max: expected at least" in done.stderr


def test_init_writes_a_file_that_checks_and_never_overwrites_one(tmp_path: Path) -> None:
    assert _outcry("init", cwd=tmp_path).returncode == 0
    assert _outcry("config", "check", cwd=tmp_path).stdout == "ok\n"
    (tmp_path / "outcry.toml").write_text("[log]\nlevel = 'error'\n")
    again = _outcry("init", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (64, "")
    shown = _outcry("config", "show", "--origin", cwd=tmp_path).stdout
    assert 'level = "error"  # outcry.toml:2' in shown
    assert 'dir = "data"  # default' in shown


def test_help_and_version_exit_0() -> None:
    assert _outcry("--help").returncode == 0
    assert _outcry("version").stdout.startswith("outcry ")


def test_the_version_is_that_of_the_project() -> None:
    assert f'version = "{_outcry("version").stdout.split()[1]}"' in (
        ROOT / "pyproject.toml"
    ).read_text(encoding="utf-8")
