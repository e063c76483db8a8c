"""What imports what: the command line loads nothing heavy, and the import rules can be broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"numba", "llvmlite", "numpy", "aiohttp", "uvloop", "structlog", "prometheus_client"}
PACKAGES = ("core", "adapters", "replay", "bench", "tools")


def _modules_after(arguments: str) -> set[str]:
    code = (
        "import sys\n"
        "from tools import cli\n"
        f"sys.argv = ['outcry'] + {arguments.split()!r}\n"
        "try:\n    cli.main()\n"
        "except SystemExit as end:\n    code = end.code\n"
        "print(code, *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code_text, *modules = done.stdout.splitlines()[-1].split()
    assert code_text == "0", done.stderr
    return set(modules)


@pytest.mark.parametrize(
    "arguments", ["--help", "up --help", "version", "config show", "replay --help"]
)
def test_the_command_line_loads_nothing_heavy(arguments: str) -> None:
    assert _modules_after(arguments) & HEAVY == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("core/book/levels.py", "import core.risk.money", "core: the sequencer composes"),
        ("core/messages.py", "import core.sequencer", "core: the sequencer composes"),
        ("core/undeclared.py", "", "core: the sequencer composes"),
        ("core/limits.py", "import tools.exits", "packages: tools -> bench"),
        ("adapters/units.py", "import core.risk.money", "adapters speak messages over rings"),
        ("adapters/units.py", "import adapters.http.problems", "adapters never meet"),
        ("core/risk/money.py", "import random", "the state machine has no clock"),
        ("tools/exits.py", "import numba", "numba is configured in one place"),
        ("core/limits.py", "import msgspec", "core needs numpy and numba"),
    ],
)
def test_each_import_rule_can_be_broken(
    tmp_path: Path, path: str, line: str, contract: str
) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / path).open("a") as file:
        file.write(f"\n{line}\n")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    broken = [found for found in done.stdout.splitlines() if found.endswith("BROKEN")]
    assert done.returncode == 1, done.stdout
    assert any(found.startswith(contract) for found in broken), done.stdout
