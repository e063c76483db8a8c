"""Snapshots: written, loaded, started from; a bad one is never used."""

import shutil
from pathlib import Path

import pytest

from core.jit import MODE_NAME
from core.journal.errors import JournalRefused
from core.journal.snapshots import MANIFEST_NAME, STATE_NAME, SnapshotBad, directories
from core.sequencer import invariants, snapshot
from replay import replay
from replay.snapshots import make
from tests.replay.live import Live, some_commands

COUNT = {"release": 400, "checked": 200, "pure": 60}[MODE_NAME]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A journal that was stopped cleanly, with one snapshot in the middle."""
    data = tmp_path / "data"
    commands = some_commands(2 * COUNT)
    live = Live(data)
    live.send(commands[:COUNT])
    live.checkpoint()
    make(data)
    live.send(commands[COUNT:])
    live.checkpoint()
    live.close()
    return data


def test_a_snapshot_beside_the_live_core_has_its_state_hash(tmp_path: Path) -> None:
    live = Live(tmp_path / "data")
    live.send(some_commands(COUNT))
    found = make(tmp_path / "data")
    assert found.sequence == live.sequence
    assert found.state_hash == live.state_hash
    live.close()


def test_snapshot_and_tail_give_the_state_of_the_whole_journal(data: Path) -> None:
    whole = replay.run(data)
    tail = replay.run(data, from_snapshot=True)
    assert 0 < tail["commands"] < whole["commands"]
    for field in ("sequence", "state_hash", "event_hash", "events", "trades", "open_orders"):
        assert tail[field] == whole[field]


def test_what_was_loaded_keeps_every_invariant_and_goes_on_alike(data: Path) -> None:
    (directory,) = directories(data)
    loaded = snapshot.load(directory)
    invariants.check(loaded.state)
    assert loaded.state.hash().hex() == loaded.manifest.state_hash


def test_a_clock_that_went_back_before_the_snapshot_does_not_matter(tmp_path: Path) -> None:
    """The block's time is that of an earlier block then, later than those of its commands."""
    data = tmp_path / "data"
    live = Live(data)
    live.core.writer.row.timestamp_ns += 3_600_000_000_000
    live.send(some_commands(20))
    made = make(data)
    live.send(some_commands(40)[made.sequence :])
    found, last = live.state_hash, live.sequence
    live.close()
    again = Live(data)
    assert again.core.recovered == last - made.sequence > 0
    assert again.state_hash == found
    again.close()


def test_a_start_takes_the_snapshot_and_reads_only_the_tail(data: Path) -> None:
    whole = replay.run(data)
    live = Live(data)
    assert 0 < live.core.recovered < whole["commands"]
    assert live.state_hash == whole["state_hash"]
    (directory,) = directories(data)
    assert live.core.output.base_sequence == int(directory.name)
    live.send(some_commands(2 * COUNT + 20)[2 * COUNT :])
    now = live.state_hash
    live.close()
    assert replay.run(data)["state_hash"] == now


@pytest.mark.parametrize("name", [MANIFEST_NAME, STATE_NAME])
def test_a_bad_snapshot_is_never_used_and_the_journal_starts_without(data: Path, name: str) -> None:
    whole = replay.run(data)
    (directory,) = directories(data)
    raw = bytearray((directory / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (directory / name).write_bytes(raw)
    with pytest.raises(SnapshotBad):
        snapshot.load(directory)
    live = Live(data)
    assert live.core.recovered == whole["commands"]
    assert len(live.core.bad_snapshots) == 1
    assert live.state_hash == whole["state_hash"]
    live.close()


def test_a_snapshot_ahead_of_the_journal_is_a_witness(data: Path, tmp_path: Path) -> None:
    """An older copy of the segments came back, the snapshots are newer."""
    other = tmp_path / "copy"
    live = Live(data)
    live.send(some_commands(2 * COUNT + 30)[2 * COUNT :])
    shutil.copytree(data / "journal", other)
    live.send(some_commands(2 * COUNT + 60)[2 * COUNT + 30 :])
    make(data)
    live.close()
    shutil.rmtree(data / "journal")
    shutil.copytree(other, data / "journal")
    with pytest.raises(JournalRefused) as refused:
        Live(data)
    assert refused.value.reason in ("LOST_ACKED", "SNAPSHOT")


@pytest.mark.parametrize("at", [4_096 + 200, 4_096 + 3_000])
def test_damage_in_front_of_the_snapshot_in_its_segment_refuses(data: Path, at: int) -> None:
    (directory,) = [path for path in (data / "journal").iterdir() if path.is_dir()]
    path = directory / "000000000001.seg"
    raw = bytearray(path.read_bytes())
    raw[at] ^= 16
    path.write_bytes(raw)
    with pytest.raises(JournalRefused) as refused:
        Live(data)
    assert refused.value.reason == "CORRUPT_SEALED"


def test_zeros_in_place_of_what_the_snapshot_saw_refuse(data: Path) -> None:
    (directory,) = [path for path in (data / "journal").iterdir() if path.is_dir()]
    path = directory / "000000000001.seg"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:4_096] + bytes(size - 4_096))
    with pytest.raises(JournalRefused) as refused:
        Live(data)
    assert refused.value.reason == "LOST_ACKED"


def test_a_snapshot_of_another_journal_is_not_used(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    Live(other).close()
    shutil.copytree(data / "snapshots", other / "snapshots")
    live = Live(other)
    assert "of another journal" in live.core.bad_snapshots[0]
    assert live.sequence == 0
    live.close()
