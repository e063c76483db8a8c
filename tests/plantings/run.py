"""Plant each fault into a copy of the checkout and see that a test notices.

    python -m tests.plantings.run [WORD ...]     only plantings whose name contains one of the words

Runs in plain Python mode, so that nothing is compiled again.  Exit code 0 when the tests pass
without a planting and every planting is noticed, 1 otherwise.
"""
# ruff: noqa: T201

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.plantings.planting import Planting
from tests.plantings.plantings import PLANTINGS

CHECKOUT: Final = Path(__file__).parents[2]
PARTS: Final = ("core", "adapters", "replay", "bench", "tools", "tests", "pyproject.toml")
TESTS_FAILED: Final = 1  # Exit codes of pytest; anything above is no verdict.
TIMEOUT_S: Final = 300


def copy_checkout(target: Path) -> None:
    """The code and the tests, nothing that was made from them."""
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(source, target / part, ignore=ignored)
        else:
            shutil.copy(source, target / part)


def run_tests(directory: Path, names: list[str]) -> tuple[int, str]:
    """Exit code of pytest on these tests, and the end of what it said."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider", *names],
        cwd=directory,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(directory)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr)[-2_000:]


def plant(directory: Path, planting: Planting) -> tuple[int, str]:
    """Change the file, run the tests, put the file back."""
    path = directory / planting.file
    good = path.read_text()
    if good.count(planting.old) != 1:
        return -1, f"{planting.file} holds the old text {good.count(planting.old)} times"
    path.write_text(good.replace(planting.old, planting.new))
    try:
        return run_tests(directory, list(planting.tests))
    finally:
        path.write_text(good)


def main(words: list[str]) -> int:
    """Try the chosen plantings and print a table."""
    chosen = [one for one in PLANTINGS if not words or any(word in one.name for word in words)]
    if not chosen:
        print(f"expected words from the names of plantings, got {' '.join(words)}")
        return 1
    survived = 0
    with tempfile.TemporaryDirectory(prefix="outcry-plantings-") as name:
        directory = Path(name)
        copy_checkout(directory)
        tests = sorted({test for one in chosen for test in one.tests})
        code, said = run_tests(directory, tests)
        if code:
            print(f"{said}\nwithout any planting the tests must pass")
            return 1
        for number, planting in enumerate(chosen, 1):
            begun = time.monotonic()
            code, said = plant(directory, planting)
            verdict = (
                "caught" if code == TESTS_FAILED else "SURVIVED" if code == 0 else "NO VERDICT"
            )
            seconds = time.monotonic() - begun
            print(f"{number:3}  {verdict:10} {seconds:5.1f} s  {planting.name}", flush=True)
            if code != TESTS_FAILED:
                survived += 1
                print(said if code else f"     in {planting.file}")
    print(f"{len(chosen) - survived} of {len(chosen)} caught")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
