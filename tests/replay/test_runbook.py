"""The runbook is run: each fault is made for real, and the commands of its section mend it.

Commands come out of the page, so page and test cannot diverge.  ``outcry`` runs in this process;
``outcry up`` is the core that it would start; everything else is run by bash.
"""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from core.journal import manifest
from core.journal.errors import Fault, JournalRefused
from replay.judge import judge
from replay.plan import make_plan
from tests.core.journal.files import directory_of
from tests.replay import faults
from tests.replay.faults import BESIDE_A_START, FAULTS, traded
from tests.replay.live import Live
from tools import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
EXPECTED = re.compile(r"\s+# exits (\d+)$")
VARIABLE = re.compile(r"([A-Z_]+)=(\S+) ?(.*)")


class Section(NamedTuple):
    """One section of the page."""

    sentence: str
    ways: list[list[str]]  # Each a block of commands that is complete by itself.


def sections() -> dict[str, Section]:
    found = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        sentences = [body.strip() for kind, body in fences if not kind]
        ways = [body.splitlines() for kind, body in fences if kind == "sh"]
        found[title] = Section(sentences[0] if sentences else "", ways)
    return found


SECTIONS = sections()
WAYS = [(name, way) for name in FAULTS for way in range(len(SECTIONS[name].ways))]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("good") / "data"
    traded(data)
    return data


class Shell:
    """Runs commands of the page in a directory that has ``data`` and ``backup``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._variables: dict[str, str] = {}

    def run(self, line: str) -> None:
        """Run one line; AssertionError when it does not exit as the page says."""
        expected = EXPECTED.search(line)
        command = EXPECTED.sub("", line)
        assigned = VARIABLE.fullmatch(command)
        if assigned and not assigned[3]:
            self._variables[assigned[1]] = assigned[2]
            return
        code = self._outcry(command) if "outcry " in command else self._bash(command)
        assert code == (int(expected[1]) if expected else 0), line

    def _bash(self, command: str) -> int:
        environment = {**os.environ, **self._variables}
        return subprocess.run(["bash", "-ec", command], env=environment, check=False).returncode

    def _outcry(self, command: str) -> int:
        with self._patch.context() as patch:
            assigned = VARIABLE.fullmatch(command)
            if assigned:
                patch.setenv(assigned[1], assigned[2])
                command = assigned[3]
            arguments = command.split()[1:]
            if arguments[0] == "up":
                return start(Path(arguments[arguments.index("--data") + 1]))
            patch.setattr(sys, "argv", ["outcry", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(_typed()))
            patch.setattr(cli, "_compile", lambda: None)
            with pytest.raises(SystemExit) as ended:
                cli.main()
            return int(str(ended.value.code))


def _typed() -> str:
    """What the operator types: the last sequence that stays."""
    place = make_plan(found).place if (found := judge(Path("data"))).refusals else None
    return f"{place.sequence}\n" if place else ""


def start(data: Path) -> int:
    """The core of an ``outcry up``, stopped cleanly; its exit code."""
    live = faults.start(data)
    if isinstance(live, JournalRefused):
        return live.exit_code
    live.close()
    return 0


@pytest.fixture
def shell(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in a fresh directory with a good journal in ``data`` and a copy in ``backup``."""
    shutil.copytree(good, tmp_path / "data")
    shutil.copytree(good, tmp_path / "backup")
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch)


def test_every_reason_has_a_section_with_commands_that_can_be_tried() -> None:
    assert [name for name in SECTIONS if name in list(Fault)] == [fault.value for fault in Fault]
    assert {*FAULTS, *BESIDE_A_START} == {fault.value for fault in Fault}
    assert all(SECTIONS[fault].ways for fault in Fault)
    assert {"Exit 70", "Exit 75", "Exit 78"} <= set(SECTIONS)


def pattern(sentence: str) -> str:
    """The sentence of the page as an expression: N is any number, UUID any journal."""
    text = re.escape(sentence).replace("UUID", "[0-9a-f-]{36}")
    return re.sub(r"\bN\b", r"-?\\d+", text)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.usefixtures("shell")
def test_the_sentence_on_the_page_is_the_one_that_a_start_says(name: str) -> None:
    FAULTS[name](Path("data"))
    refusal = faults.start(Path("data"))
    assert isinstance(refusal, JournalRefused)
    assert re.fullmatch(pattern(SECTIONS[name].sentence), str(refusal)), str(refusal)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), WAYS)
def test_the_commands_of_a_section_end_as_the_page_says(shell: Shell, name: str, way: int) -> None:
    FAULTS[name](Path("data"))
    for line in SECTIONS[name].ways[way]:
        shell.run(line)


@pytest.mark.usefixtures("shell")
def test_a_manifest_that_was_changed_is_refused_as_the_page_says() -> None:
    BESIDE_A_START["MANIFEST"](Path("data"))
    with pytest.raises(JournalRefused) as caught:
        manifest.read(directory_of(Path("data")))
    assert re.fullmatch(pattern(SECTIONS["MANIFEST"].sentence), str(caught.value))


@pytest.mark.slow
def test_the_commands_for_a_manifest_end_as_the_page_says(shell: Shell) -> None:
    BESIDE_A_START["MANIFEST"](Path("data"))
    for line in SECTIONS["MANIFEST"].ways[0]:
        shell.run(line)
    assert manifest.read(directory_of(Path("data"))) == []


def _killed(data: Path) -> None:
    live = faults.start(data)
    assert isinstance(live, Live)
    live.crash()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "prepare"), [("Exit 70", _killed), ("Exit 78", lambda _data: None)]
)
def test_the_commands_for_the_other_exit_codes_end_as_the_page_says(
    shell: Shell, name: str, prepare: Callable[[Path], None]
) -> None:
    prepare(Path("data"))
    for line in SECTIONS[name].ways[0]:
        shell.run(line)


def test_beside_a_running_exchange_the_tools_change_nothing(shell: Shell) -> None:
    live = faults.start(Path("data"))
    assert isinstance(live, Live)
    before = faults.files(Path("data"))
    for line in SECTIONS["Exit 75"].ways[0]:
        shell.run(line)
    assert faults.files(Path("data")) == before
    live.close()


def test_a_command_that_ends_otherwise_than_the_page_says_is_noticed(shell: Shell) -> None:
    for line in ("false", "true  # exits 1", "outcry journal verify --data data   # exits 80"):
        with pytest.raises(AssertionError, match=re.escape(line)):
            shell.run(line)
