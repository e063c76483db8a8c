"""A signal ends the replayer wherever it comes."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from replay.replayer import Stopping

ROOT: Final = Path(__file__).resolve().parents[2]
HANGS_AFTER_S: Final = 60
SIGNAL_AT_EVERY_LINE: Final = """
import itertools, os, signal, sys
from replay.replayer import Stopping

for wanted in itertools.count(1):
    stopping, lines = Stopping(), 0
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())

    def trace(frame, event, argument):
        global lines
        if event == "line" and frame.f_code.co_name != "<lambda>":
            lines += 1
            if lines == wanted:
                os.kill(os.getpid(), signal.SIGTERM)
        return trace

    sys.settrace(trace)
    stopping.wait(0.001)
    sys.settrace(None)
    if lines < wanted:
        break
    assert stopping.is_set(), wanted
print(wanted - 1)
"""


def test_a_signal_at_any_line_of_a_wait_is_seen() -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-c", SIGNAL_AT_EVERY_LINE],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.fail("the signal's handler and the wait that it interrupted wait for each other")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2


def test_it_is_set_once_and_for_all() -> None:
    stopping = Stopping()
    assert not stopping.wait(0.0)
    stopping.set()
    assert stopping.is_set()
    assert stopping.wait(0.0)
