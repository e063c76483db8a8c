"""Compiling once: together, again, and in another mode.

OUTCRY_COMPILE=1  also compile the real core from nothing, in six processes at once (two minutes)
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core import jit
from tools.compile import STAMP

HERE = Path(__file__).parent


def _start(cache: Path, here: Path = HERE, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(here / "compile_one.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(here.parents[1]),
            "OUTCRY_CACHE": str(cache),
            "NUMBA_DISABLE_JIT": "0",
            **variables,
        },
    )


def _end(process: "subprocess.Popen[str]") -> tuple[str, str]:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.slow
def test_six_processes_that_start_together_compile_once(tmp_path: Path) -> None:
    ended = [_end(process) for process in [_start(tmp_path) for _ in range(6)]]
    assert sorted(out for out, _ in ended) == ["0 0 42\n"] * 5 + ["1 1 42\n"]
    assert sum("compiled the core in" in err for _, err in ended) == 1


@pytest.mark.slow
def test_a_warm_start_compiles_nothing(tmp_path: Path) -> None:
    assert _end(_start(tmp_path))[0] == "1 1 42\n"
    assert _end(_start(tmp_path)) == ("0 0 42\n", "")


@pytest.mark.slow
def test_another_mode_compiles_for_itself(tmp_path: Path) -> None:
    assert _end(_start(tmp_path, OUTCRY_JIT="release"))[0] == "1 1 42\n"
    assert _end(_start(tmp_path, OUTCRY_JIT="checked"))[0] == "1 1 42\n"


@pytest.mark.slow
def test_the_same_source_elsewhere_or_written_again_compiles_with_its_own_report(
    tmp_path: Path,
) -> None:
    for package in ("core", "tools"):
        shutil.copytree(HERE.parents[1] / package, tmp_path / "clone" / package)
    here = tmp_path / "clone" / "tests" / "tools"
    here.mkdir(parents=True)
    shutil.copy(HERE / "compile_one.py", here)
    cache = tmp_path / "cache"
    assert _end(_start(cache))[0] == "1 1 42\n"
    assert _end(_start(cache, here))[0] == "1 1 42\n"
    assert _end(_start(cache, here))[0] == "0 0 42\n"
    (tmp_path / "clone" / "core" / "clock.py").touch()
    assert _end(_start(cache, here))[0].startswith("1 ")


def test_plain_python_mode_compiles_nothing(tmp_path: Path) -> None:
    assert _end(_start(tmp_path, NUMBA_DISABLE_JIT="1")) == ("0 0 42\n", "")


def _warm(cache: str | None = None) -> "subprocess.Popen[str]":
    """A process that loads every kernel of the real core and runs it: what it compiled itself."""
    code = (
        "import sys\n"
        "from core.sequencer.warm import warm\n"
        "from tools.compile import ensure_compiled, misses\n"
        "report = ensure_compiled()\n"
        "before = misses()\n"
        "warm()\n"
        "print(int(report.seconds > 0), misses() - before)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=HERE.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **({"OUTCRY_CACHE": cache} if cache else {})},
    )


@pytest.mark.slow
@pytest.mark.skipif(
    jit.PURE or not (jit.cache_directory() / STAMP).exists(), reason="the core is not compiled"
)
def test_a_warm_start_of_the_real_core_compiles_nothing() -> None:
    assert _end(_warm())[0] == "0 0\n"


@pytest.mark.slow
@pytest.mark.skipif(
    jit.PURE or not os.environ.get("OUTCRY_COMPILE"), reason="OUTCRY_COMPILE is not set"
)
def test_six_processes_compile_the_real_core_once(tmp_path: Path) -> None:
    started = [_warm(str(tmp_path)) for _ in range(6)]
    assert sorted(_end(process)[0] for process in started) == ["0 0\n"] * 5 + ["1 0\n"]
