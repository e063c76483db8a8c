"""Replay gives the live state, to any sequence, beside the core; and says so when it does not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.jit import MODE_NAME
from core.journal.errors import JournalRefused
from core.journal.layout import CHECKPOINT_PAYLOAD
from core.journal.segments import journal_directory
from core.sequencer import checkpoint, invariants
from core.sequencer.engine import ENGINE_VERSION
from core.sequencer.state import State
from replay import check, replay
from tests.replay.live import Live, some_commands

ROOT = Path(__file__).resolve().parents[2]
COUNT = {"release": 400, "checked": 200, "pure": 60}[MODE_NAME]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A core in tmp_path / "data" that is closed at the end."""
    core = Live(tmp_path / "data")
    yield core
    core.close()


def _outcry(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def _segment(data: Path) -> Path:
    directory = journal_directory(data)
    assert directory is not None
    return directory / f"{1:012d}.seg"


def test_replay_beside_the_live_core_gives_its_state_to_the_hash(
    live: Live, tmp_path: Path
) -> None:
    live.send(some_commands(COUNT))
    found = replay.run(tmp_path / "data")
    assert found["sequence"] == found["commands"] == live.sequence
    assert found["state_hash"] == live.state_hash
    assert found["event_hash"] == f"{live.core.state['event_hash'] & (2**64 - 1):016x}"
    assert found["trades"] > 0
    assert found["open_orders"] > 0
    live.send(some_commands(COUNT, seed=2)[-5:])
    assert replay.run(tmp_path / "data")["state_hash"] == live.state_hash != found["state_hash"]


def test_replay_to_a_sequence_gives_the_state_that_was_live_then(
    live: Live, tmp_path: Path
) -> None:
    then = {}
    for command in some_commands(40):
        live.send([command])
        then[live.sequence] = live.state_hash
    for sequence in (1, 2, live.sequence // 2, live.sequence):
        found = replay.run(tmp_path / "data", to=sequence)
        assert (found["sequence"], found["state_hash"]) == (sequence, then[sequence])
    with pytest.raises(replay.NoSuchSequence, match=f"it ends with {live.sequence}"):
        replay.run(tmp_path / "data", to=live.sequence + 1)


def test_a_restarted_core_comes_to_the_same_state_and_goes_on(tmp_path: Path) -> None:
    commands = some_commands(COUNT)
    first = Live(tmp_path / "data")
    first.send(commands[:-20])
    before = first.state_hash
    first.close()
    second = Live(tmp_path / "data")
    assert second.state_hash == before
    second.send(commands[-20:])
    after = second.state_hash
    second.close()
    found = replay.run(tmp_path / "data")
    assert (found["state_hash"], found["commands"]) == (after, len(commands))


def test_every_checkpoint_of_the_journal_is_compared(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = some_commands(60)
    live.send(commands[:50])
    live.checkpoint()
    live.send(commands[50:])
    live.checkpoint()
    assert replay.run(tmp_path / "data")["checkpoints"] >= 2
    assert replay.run(tmp_path / "data", to=live.sequence - 1)["checkpoints"] >= 1

    def one_more(state: State, payload: bytes) -> str:
        row = np.frombuffer(payload, CHECKPOINT_PAYLOAD, 1).copy()
        row["trade_count"] += 1
        return difference(state, row.tobytes() + payload[CHECKPOINT_PAYLOAD.itemsize :])

    difference = checkpoint.difference
    monkeypatch.setattr(checkpoint, "difference", one_more)
    with pytest.raises(JournalRefused, match=r"checkpoint of sequence \d+: trades: journal"):
        replay.run(tmp_path / "data")


def test_check_looks_at_every_invariant_and_names_the_command_that_broke_one(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.send(some_commands(40))
    checked = replay.run(tmp_path / "data", check_every=1_000)
    assert checked["state_hash"] == live.state_hash
    sound = invariants.check

    def leaking(state: State) -> None:
        if state["sequence"] == 25:
            state.header["open_orders"] += 1
        sound(state)

    monkeypatch.setattr(invariants, "check", leaking)
    with pytest.raises(check.Broken, match=r"command 25 \w+ .*: open orders are miscounted"):
        replay.run(tmp_path / "data", check_every=1_000)


def test_a_journal_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    core = Live(data)
    core.send(some_commands(60))
    core.close()
    path = _segment(data)
    image = bytearray(path.read_bytes())
    image[4_096 + 3_000] ^= 4
    path.write_bytes(image)
    with pytest.raises(JournalRefused, match=path.name):
        replay.run(data)
    done = _outcry("replay", "--data", str(data), "--json")
    assert done.returncode == 80
    assert done.stderr.splitlines()[-1].startswith("outcry: journal refused: ")
    assert done.stdout == ""


def test_a_journal_of_another_engine_is_refused(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.send(some_commands(10))
    monkeypatch.setattr(replay, "ENGINE_VERSION", 99)
    with pytest.raises(
        JournalRefused, match=f"written by engine version {ENGINE_VERSION}, this is version 99"
    ):
        replay.run(tmp_path / "data")


def test_a_directory_without_a_journal_is_refused(tmp_path: Path) -> None:
    assert _outcry("replay", "--data", str(tmp_path)).returncode == 80


@pytest.mark.slow
def test_the_command_line_prints_one_object_as_the_last_line(live: Live, tmp_path: Path) -> None:
    live.send(some_commands(60))
    data = str(tmp_path / "data")
    done = _outcry("replay", "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["state_hash"] == live.state_hash
    assert {"commands", "events", "commands_per_s"} <= set(found)
    beyond = _outcry("replay", "--data", data, "--to", str(live.sequence + 1))
    assert beyond.returncode == 64
    assert beyond.stderr.splitlines()[-1].startswith("outcry: --to: the journal has no sequence")
