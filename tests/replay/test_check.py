"""`replay --check` with engines that are broken on purpose: the command is named, and the row.

The journal is that of a healthy engine.  The broken ones run in plain Python, in a process each,
where any of their functions can be replaced.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.jit import MODE_NAME
from replay import check, replay, views
from replay.check import Broken, Checker
from replay.history import History, starts
from replay.rules import RULES
from replay.seen import CHECK
from tests.replay.live import Live, some_commands
from tests.replay.market import scripted

ROOT = Path(__file__).resolve().parents[2]
COUNT = {"release": 2_000, "pure": 60}.get(MODE_NAME, 0)

pytestmark = pytest.mark.skipif(
    MODE_NAME == "checked", reason="release and plain Python run it; a compilation more is too long"
)

PLANTS = {
    "nothing": "",
    "the youngest order of a level trades first": """
from core.rows import bookside_row, level_row, slot_of_unit
from core.book import orders
def youngest(state, bookside):
    return slot_of_unit(state, level_row(state, bookside_row(state, bookside).best_level).prev)
orders.best_maker = youngest
""",
    "an end does not release its hold": """
from core.risk import holds
holds.release = lambda *rows: None
""",
    "a reduction releases nothing": """
from core.risk import holds
holds.shrink = lambda *rows: None
""",
    "the seller gets one unit too much": """
from core.risk import settle
right = settle.seller_delivers
def generous(state, terms, slot, fill, notional, fee):
    right(state, terms, slot, fill, notional, fee - 1)
settle.seller_delivers = generous
""",
    "an order that crosses rests": """
from core.book import orders
orders.crosses = lambda *rows: False
""",
    "a buyer's position does not move": """
from core.risk import settle
settle.buy_position = lambda *rows: None
""",
    "a seventh order pays somebody else": """
from core.rows import balance_row
from core.sequencer import place
right = place.enter
def thief(state, command, flags):
    if state.sequence == 17:
        balance_row(state, 3).available += 5
    return right(state, command, flags)
place.enter = thief
""",
}
RUN = """
import json, os, sys
from pathlib import Path
from replay import check, replay
check.CHECKED_FIRST = 0
for name, plant in json.loads(sys.argv[2]).items():
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0, name
        continue
    exec(plant)
    try:
        said = "whole to %d" % replay.run(Path(sys.argv[1]), check_every=8)["sequence"]
    except check.Broken as broken:
        said = str(broken)
    sys.stdout.write(json.dumps([name, said]) + chr(10))
    sys.stdout.flush()
    os._exit(0)
"""


def broken(data: Path) -> dict[str, str]:
    """What ``replay --check`` says with each broken engine: number and kind of the command, why."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, str(data), json.dumps(PLANTS)],
        cwd=ROOT,
        env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = dict(json.loads(line) for line in done.stdout.splitlines())
    return {name: re.sub(r"^(command \d+ \w+) .*?: ", r"\1: ", text) for name, text in said.items()}


@pytest.mark.slow
def test_a_broken_engine_is_found_at_the_command_that_broke_something(tmp_path: Path) -> None:
    scripted(tmp_path / "data").close()
    assert broken(tmp_path / "data") == {
        "nothing": "whole to 27",
        "the youngest order of a level trades first": (
            "command 12 PLACE_ORDER: an older order at the same price was skipped (order 46137346)"
        ),
        "an end does not release its hold": (
            "command 17 PLACE_ORDER: balance: held is not what its open orders need (balance "
            "8: account 4, asset 2): expected 0, found 2000000"
        ),
        "a reduction releases nothing": (
            "command 23 REDUCE_ORDER: the fee part of a hold (order 88080393)"
        ),
        "the seller gets one unit too much": (
            "command 12 PLACE_ORDER: balance: available + held (balance 7: account 4, asset "
            "1): expected 999999925000, found 999999925001"
        ),
        "an order that crosses rests": "command 12 PLACE_ORDER: the book is crossed (instrument 1)",
        "a buyer's position does not move": (
            "command 12 PLACE_ORDER: position: net (position 1: account 4, instrument 1): "
            "expected 0, found -2500"
        ),
        "a seventh order pays somebody else": (
            "command 17 PLACE_ORDER: asset 2: 5 units were made or lost"
        ),
    }


def test_a_healthy_engine_is_found_healthy_after_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "CHECKED_FIRST", 30)
    live = Live(tmp_path / "data")
    live.send(some_commands(COUNT, seed=3))
    live.close()
    found = replay.run(tmp_path / "data", check_every=500)
    assert found["commands"] == live.sequence
    assert found["trades"] > COUNT // 10


@pytest.mark.parametrize("spoil", [False, True])
def test_the_check_can_begin_at_any_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: bool
) -> None:
    """What is expected of a state with open orders is as if they had been seen to come."""
    monkeypatch.setattr(check, "CHECKED_FIRST", 0)
    live = Live(tmp_path / "data")
    live.send(some_commands(60, seed=5))
    live.close()
    history = History(tmp_path / "data")
    slots = np.concatenate([batch.slots.copy() for batch in history.batches()])
    begins = starts(slots)
    half = begins[len(begins) - 30]
    history.apply(slots[:half])
    assert history.state["open_orders"] > 3
    checker = Checker(history.state)
    if spoil:
        views.orders(history.state)["cum"][1:] += 1
        with pytest.raises(Broken, match=r"command \d+ \w+ .*: (filled|order row: filled)"):
            checker.apply(slots[half:])
    else:
        assert checker.apply(slots[half:]) == 30


def test_every_rule_has_words_of_its_own() -> None:
    assert len(set(RULES)) == len(RULES)
    assert CHECK.itemsize == 256
