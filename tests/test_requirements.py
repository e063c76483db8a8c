"""tests/requirements.toml names, for rows of the mission, the tests that show them; all exist."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TABLE: dict[str, list[str]] = tomllib.loads((ROOT / "tests/requirements.toml").read_text())["rows"]


@cache
def _tests_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.Assign | ast.AnnAssign):  # TestX = Machine.TestCase of hypothesis.
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(name for name in found if name.startswith(("test_", "Test")))


def missing(test: str) -> str:
    """Why ``test`` ("tests/path.py::name") does not exist; empty when it does."""
    path, _, name = test.partition("::")
    if not path.startswith("tests/") or not (ROOT / path).is_file():
        return f"{test}: no such file"
    if name not in _tests_of(path):
        return f"{test}: no such test in the file"
    return ""


@pytest.mark.parametrize("row", sorted(TABLE))
def test_every_test_named_for_a_row_exists(row: str) -> None:
    assert re.fullmatch(r"S[0-4]-\d\d\d?[a-d]?", row)
    assert TABLE[row], "a row without a test is not covered"
    assert [why for why in map(missing, TABLE[row]) if why] == []


def test_a_test_that_does_not_exist_is_noticed() -> None:
    assert missing("tests/none.py::test_x") == "tests/none.py::test_x: no such file"
    assert missing("tests/test_requirements.py::test_y").endswith("no such test in the file")
    assert missing("tests/test_requirements.py::test_a_test_that_does_not_exist_is_noticed") == ""


def test_rows_and_their_tests_are_named_once() -> None:
    assert all(len(set(tests)) == len(tests) for tests in TABLE.values())
