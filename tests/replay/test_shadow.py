"""The shadow follows a journal that is being written, and the replayer keeps what it has seen."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.archive.errors import ArchiveGap
from core.archive.layout import INDEX_MAX
from core.archive.reader import ArchiveReader
from core.jit import MODE_NAME
from core.journal import manifest, witness
from core.journal.errors import JournalRefused
from core.journal.snapshots import directories
from core.memory import view
from core.messages import EVENT
from core.sequencer.sequencer import show_state
from replay import keeping
from replay.live import LiveCore
from replay.replayer import Replayer, Settings
from replay.shadow import Shadow, seen
from tests.replay.live import Live, some_commands

COUNT = {"release": 600, "checked": 300, "pure": 80}[MODE_NAME]
ALL = 1 << 40
RULES = keeping.Rules()


class Kept:
    """A sink that keeps everything in memory."""

    def __init__(self) -> None:
        self.events = np.zeros(0, EVENT)

    @property
    def last(self) -> tuple[int, int]:
        if not len(self.events):
            return 0, -1
        return int(self.events[-1]["sequence"]), int(self.events[-1]["index"])

    def append(self, address: int, count: int, event_hash: int) -> None:
        self.events = np.concatenate([self.events, view(address, EVENT, count)])

    def gap(self, sequence: int) -> None:
        raise AssertionError(f"a gap before {sequence}")


def shadow_of(live: Live, sink: Kept | None = None) -> Shadow:
    recovery = live.core.recovery
    return Shadow(recovery.directory, recovery.uuid, None, sink)


def ring_of(live: Live) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """All events of the live core, which its ring still holds."""
    out = live.core.output
    return view(out.slots, EVENT, out.position).copy()


def test_the_shadow_is_where_the_live_core_is_after_every_step(tmp_path: Path) -> None:
    live = Live(tmp_path / "data")
    sink = Kept()
    shadow = shadow_of(live, sink)
    for command in some_commands(COUNT):
        live.send([command])
        if live.sequence % 7 == 0:
            shadow.step(live.sequence, ALL)
            assert shadow.sequence == live.sequence
    shadow.step(live.sequence, ALL)
    assert shadow.replay is not None
    assert shadow.replay.state.hash().hex() == live.state_hash
    assert sink.events.tobytes() == ring_of(live).tobytes()
    shadow.close()
    live.close()


def test_nothing_above_the_durable_sequence_is_applied(tmp_path: Path) -> None:
    live = Live(tmp_path / "data")
    shadow = shadow_of(live)
    live.send(some_commands(20), at_once=1)
    assert shadow.step(0, ALL) == 0
    assert shadow.step(11, ALL) == 11
    assert shadow.sequence == 11
    assert shadow.step(live.sequence, ALL) == live.sequence - 11
    shadow.close()
    live.close()


def test_what_is_durable_and_cannot_be_read_refuses(tmp_path: Path) -> None:
    live = Live(tmp_path / "data")
    shadow = shadow_of(live)
    live.send(some_commands(20))
    with pytest.raises(JournalRefused, match="is durable, but"):
        shadow.step(live.sequence + 1, ALL)
    shadow.close()
    live.close()


def test_a_difference_is_seen_at_the_next_checkpoint(tmp_path: Path) -> None:
    live = Live(tmp_path / "data")
    shadow = shadow_of(live)
    live.send(some_commands(40))
    shadow.step(live.sequence, ALL)
    assert shadow.replay is not None
    shadow.replay.state.header["event_hash"] ^= 1
    live.send(some_commands(60)[40:])
    live.checkpoint()
    with pytest.raises(JournalRefused) as refused:
        shadow.step(live.sequence, ALL)
    assert refused.value.reason == "NONDETERMINISM"
    shadow.close()
    live.close()


@pytest.mark.parametrize("last", [(0, -1), (5, 0), (5, 1), (5, 9), (6, 0), (7, 2), (9, 9)])
def test_events_at_or_before_a_key_are_seen(last: tuple[int, int]) -> None:
    events = np.zeros(6, EVENT)
    keys = [(5, 0), (5, 1), (5, 2), (6, 0), (8, 0), (8, 1)]
    events["sequence"], events["index"] = zip(*keys, strict=True)
    assert seen(events, last) == sum(key <= last for key in keys)


class Process:
    """A replayer in this process."""

    def __init__(self, data: Path, rules: keeping.Rules = RULES) -> None:
        self.live = LiveCore(data)
        self.settings = Settings(data, rules=rules)
        self.replayer = Replayer(self.settings, self.live)
        self.replayer._housekeeping_ns = 1 << 62  # When a test says so, however slow it runs.

    def catch_up(self) -> None:
        durable = self.live.look()
        while self.replayer.turn(durable):
            pass

    def close(self) -> None:
        self.replayer.close()


def until_durable(live: Live) -> None:
    while live.core.writer.row.durable_sequence < live.sequence:
        live.core.step(0)
    show_state(live.core.loop)


def test_the_replayer_witnesses_archives_and_snapshots(tmp_path: Path) -> None:
    data = tmp_path / "data"
    live = Live(data)
    live.send(some_commands(COUNT))
    until_durable(live)
    process = Process(data)
    process.catch_up()
    process.replayer._witness_ns = 0
    process.replayer.turn(process.live.look())
    process.replayer.snapshot()
    found = witness.read(live.core.recovery.directory, live.core.recovery.uuid)
    assert found.sequence == live.sequence
    assert [int(path.name) for path in directories(data)] == [live.sequence]
    reader = ArchiveReader(data / "events", live.core.recovery.uuid)
    reader.seek(0, -1)
    assert reader.read(1 << 20).tobytes() == ring_of(live).tobytes()
    assert live.core.counters["archived_sequence"] == live.sequence
    assert live.core.counters["snapshot_sequence"] == live.sequence
    process.close()
    live.close()


@pytest.mark.parametrize("lost", [None, "events", "snapshots"])
def test_a_replayer_that_was_killed_goes_on_without_gap_or_double(
    tmp_path: Path, lost: str | None
) -> None:
    data = tmp_path / "data"
    live = Live(data)
    commands = some_commands(4 * COUNT // 2)
    for part in range(4):
        live.send(commands[part * COUNT // 2 : (part + 1) * COUNT // 2])
        until_durable(live)
        process = Process(data)
        process.catch_up()
        if part % 2:
            process.replayer.snapshot()
        process.close()  # Nothing is synced or said: as a kill leaves it.
        if lost is not None and part == 2:
            shutil.rmtree(data / lost)
    reader = ArchiveReader(data / "events", live.core.recovery.uuid)
    reader.seek(0, -1)
    assert reader.read(1 << 20).tobytes() == ring_of(live).tobytes()
    live.close()


def test_a_snapshot_is_due_every_minute_with_news(tmp_path: Path) -> None:
    data = tmp_path / "data"
    live = Live(data)
    process = Process(data)
    now = process.replayer._snapshot_ns
    minute = 60_000_000_000
    assert not process.replayer._snapshot_due(now + minute)  # No news.
    live.send(some_commands(30))
    until_durable(live)
    process.catch_up()
    assert not process.replayer._snapshot_due(now + minute - 1)
    assert process.replayer._snapshot_due(now + minute)
    process.replayer.snapshot()
    assert not process.replayer._snapshot_due(now + 10 * minute)
    process.close()
    live.close()


def test_three_snapshots_are_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    live = Live(data)
    process = Process(data)
    made = []
    for part in range(5):
        live.send(some_commands(20 * part + 30)[live.sequence :])
        until_durable(live)
        process.catch_up()
        process.replayer.snapshot()
        made.append(live.sequence)
    assert [int(path.name) for path in directories(data)] == made[:1:-1]
    process.close()
    live.close()


def live_through_four_segments(live: Live, process: Process) -> None:
    """Four sealed segments, a snapshot at the end of each; a fifth that is begun, and all seen."""
    for part in range(4):
        live.send(some_commands(20 * part + 30)[live.sequence :])
        until_durable(live)
        process.catch_up()
        process.replayer.snapshot()
        live.core.writer.rotate()
    live.send(some_commands(120)[live.sequence :])
    until_durable(live)
    process.catch_up()


def test_segments_go_below_the_second_snapshot_only_when_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    live = Live(data)
    rules = keeping.Rules(3, 1, tmp_path / "copies")
    process = Process(data, rules=rules)
    live_through_four_segments(live, process)
    directory = live.core.recovery.directory
    process.replayer._housekeep(0)
    assert [line["segment"] for line in manifest.read(directory)] == [1, 2, 3, 4]
    left = sorted(path.name for path in directory.glob("*.seg"))
    assert left[0] == "000000000003.seg"
    copies = sorted(path.name for path in (tmp_path / "copies").rglob("*.seg"))
    assert copies == ["000000000001.seg", "000000000002.seg"]
    assert live.core.counters["journal_over_bytes"] > 0
    said = capsys.readouterr().err
    assert "removed segment 1: the second snapshot begins with 3" in said
    process.close()
    live.close()
    again = Live(data)
    assert again.core.recovered < 60
    again.close()


@pytest.mark.parametrize("broken", [0, 1])
def test_a_snapshot_that_cannot_be_read_stands_for_no_segment_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: int
) -> None:
    data = tmp_path / "data"
    live = Live(data)
    process = Process(data, rules=keeping.Rules(3, 1))
    live_through_four_segments(live, process)
    place = directories(data)[broken]
    (place / "manifest").write_bytes(b"scribbled\n")
    for _ in range(3):
        process.replayer._housekeep(0)
    left = sorted(int(path.stem) for path in live.core.recovery.directory.glob("*.seg"))
    assert left[0] == 2  # That of the second newest that can be read, not that before it.
    said = capsys.readouterr().err
    assert said.count("ALARM") == said.count(f"{place}") == 1
    assert live.core.counters["snapshot_faults"] == 1
    process.close()
    live.close()


def test_drafts_of_a_dead_replayer_are_removed_and_one_that_stays_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    live = Live(data)
    drafts = [data / "snapshots" / f"{9:016d}.{n}.aaaa.tmp" for n in (1, 2)]
    for draft in drafts:
        draft.mkdir(parents=True)
        (draft / "state").write_bytes(b"half")
    honest = os.rmdir

    def broken(path: Any, **options: Any) -> None:
        if drafts[0].name in str(path):
            raise OSError(5, "Input/output error")
        honest(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", broken)
        Process(data).close()
    assert [draft.exists() for draft in drafts] == [True, False]
    said = capsys.readouterr().err
    assert f"an unfinished snapshot could not be removed: {drafts[0]}: [Errno 5]" in said
    Process(data).close()
    assert not drafts[0].exists()
    live.close()


def test_the_scrub_finds_a_flipped_bit_in_a_sealed_segment(tmp_path: Path) -> None:
    data = tmp_path / "data"
    live = Live(data)
    live.send(some_commands(40))
    live.core.writer.rotate()
    directory = live.core.recovery.directory
    assert keeping.note_sealed(directory) == [1]
    scrubber = keeping.scrub(directory)
    assert next(scrubber) is None
    path = directory / "000000000001.seg"
    raw = bytearray(path.read_bytes())
    raw[9_000] ^= 4
    path.write_bytes(raw)
    found = next(scrubber)
    assert found is not None
    assert found.reason == "MANIFEST"
    live.close()


def test_an_archive_that_cannot_be_made_again_from_the_beginning_says_so(tmp_path: Path) -> None:
    """Segments below the snapshot are gone, and so is the archive: the gap is told, not hidden."""
    data = tmp_path / "data"
    live = Live(data)
    live.send(some_commands(40))
    live.core.writer.rotate()
    live.send(some_commands(60)[live.sequence :])
    until_durable(live)
    process = Process(data)
    process.catch_up()
    process.replayer.snapshot()
    process.close()
    base = live.sequence
    live.send(some_commands(90)[base:])
    until_durable(live)
    shutil.rmtree(data / "events")
    (live.core.recovery.directory / "000000000001.seg").unlink()
    process = Process(data)
    process.catch_up()
    process.close()
    reader = ArchiveReader(data / "events", live.core.recovery.uuid)
    with pytest.raises(ArchiveGap):
        reader.seek(0, -1)
    reader.seek(base, INDEX_MAX)
    whole = ring_of(live)
    assert reader.read(1 << 20).tobytes() == whole[whole["sequence"] > base].tobytes()
    live.close()
