"""The project keeps the house rules, and each rule can be broken."""

import pytest

from tools import tidy

LONG = "def f():\n" + "    a = 1\n" * 70

BROKEN = [
    ("core/book/x.py", "import numba\n", "numba is banned here"),
    ("tools/x.py", "from llvmlite import ir\n", "numba is banned here"),
    ("core/libc.py", "from numba import njit\n", "njit is banned here"),
    ("core/book/x.py", "a = float(3)\n", "float is banned"),
    ("core/risk/x.py", "a = 0.5\n", "the float 0.5 is banned"),
    ("core/ring.py", "import time\n", "time is banned in core"),
    ("core/ring.py", "from datetime import UTC\n", "datetime is banned in core"),
    ("tools/x.py", LONG, "f has 71 lines"),
    ("tools/x.py", "a = 1\n" * 801, "801 lines"),
    ("tools/x.py", "a = 1  # TO" + "DO later\n", "is banned, write"),
    ("README.md", "# A\nFIG" + "URE ns\n", "a figure is missing"),
    ("core/x.py", "px = 3\n", "the name px is banned, use price"),
    ("adapters/x.py", "def f(seq_id): pass\n", "the name seq_id is banned, use sequence"),
    ("tools/x.py", "num_orders = 3\n", "the name num_orders is banned"),
    ("tools/x.py", "try:\n    f()\nexcept:\n    g()\n", "a broad except"),
    ("tools/x.py", "try:\n    f()\nexcept Exception:\n    pass\n", "a broad except"),
    ("core/x.py", "try:\n    f()\nexcept (OSError, Exception):\n    g()\n", "a broad except"),
    ("core/reasons.py", "class Reason:\n    A = 1\nT = {}\n", "Reason.A has no text"),
    (
        "core/reasons.py",
        "class Reason:\n    A = 1\n    B = 1\nT = {Reason.A: '', Reason.B: ''}\n",
        "B has the number of A",
    ),
    ("docs/x.md", "text\n", "0 titles"),
    ("docs/x.md", "# A\n```\n# code\n```\n# B\n", "2 titles"),
    ("requirements.lock", "a==1 @ https:" + "//x\n", "an address is banned"),
    ("requirements.lock", "--index-url x\n", "an address is banned"),
    ("Makefile", "PATH=/wo" + "rk/main\n", "is a place of one machine"),
]


@pytest.mark.parametrize(("path", "text", "message"), BROKEN)
def test_each_rule_can_be_broken(path: str, text: str, message: str) -> None:
    faults = tidy.check(tidy.parse(path, text))
    assert [message in fault.message for fault in faults] == [True]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/book/x.py", "from core.jit import kernel\n"),
        ("core/jit.py", "from numba import njit\n"),
        ("core/clock.py", "import time\n"),
        ("tools/x.py", "a = 0.5\n"),
        ("core/x.py", "try:\n    f()\nexcept Exception:\n    raise\n"),
        ("tools/x.py", "a = 1  # TO" + "DO(#12): later\n"),
        ("core/x.py", "px = 3  # tidy: allow, the name of a field of FIX\n"),
        ("README.md", "# A\n## B\n"),
    ],
)
def test_what_is_right_passes(path: str, text: str) -> None:
    assert tidy.check(tidy.parse(path, text)) == []


def test_every_rule_is_broken_by_an_example() -> None:
    met = {
        rule.__name__
        for path, text, _ in BROKEN
        for rule in tidy.RULES
        if list(rule(tidy.parse(path, text)))
    }
    assert met == {rule.__name__ for rule in tidy.RULES}


def test_the_project_keeps_the_rules() -> None:
    assert [str(fault) for fault in tidy.check_project()] == []
