"""Backup and restore: what comes back is what was there, and no id is given twice."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.constants import SEQUENCE_JUMP
from core.jit import MODE_NAME
from core.journal import manifest, witness
from core.journal.errors import JournalBusy, JournalRefused
from core.journal.layout import EPOCH_PAYLOAD, EPOCH_START, SYNC
from core.journal.scanner import Special
from core.journal.segments import segment_path
from core.journal.snapshots import SnapshotBad
from core.journal.verify import locate, open_walk, verify
from replay import backup as backups
from replay import keeping, replay
from replay.backup import BackupBad, BackupRefused, backup, files_of, read
from replay.restore import restore
from tests.core.journal.files import flip
from tests.model.commands import Command
from tests.replay.live import JOURNAL, Live, some_commands

COUNT = {"release": 400, "checked": 200, "pure": 60}[MODE_NAME]
RELAXED_SMALL = JOURNAL._replace(segment_bytes=256 << 10)
SYNC_SMALL = RELAXED_SMALL._replace(durability=SYNC)


def commands(count: int) -> list[Command]:
    """The first so many of always the same."""
    return some_commands(count)[:count]


def stopped(data: Path, count: int = COUNT) -> None:
    """A journal of two segments that was stopped cleanly, and what others keep beside it."""
    live = Live(data, RELAXED_SMALL)
    live.send(commands(count // 2))
    live.core.writer.rotate()
    live.send(commands(count)[count // 2 :])
    live.checkpoint()
    live.close()
    keeping.note_sealed(locate(data)[0])
    (data / "users").mkdir(mode=0o700)
    (data / "users" / "users.sqlite").write_bytes(b"somebody")
    (data / "events").mkdir()
    (data / "events" / "archive").touch()


def names(directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in files_of(directory)]


@pytest.mark.parametrize("config", [SYNC_SMALL, RELAXED_SMALL], ids=["sync", "relaxed"])
def test_what_comes_back_has_the_state_and_goes_on_behind_a_jump(
    tmp_path: Path, config: object
) -> None:
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    live = Live(data, config)  # type: ignore[arg-type]
    live.send(commands(COUNT))
    live.close()
    now = replay.run(data)
    made = backup(data, copy)
    assert (made.sequence, made.state_hash) == (COUNT, now["state_hash"])
    found = restore(copy, back)
    jumped = COUNT + SEQUENCE_JUMP
    assert (found["sequence"], found["next_sequence"]) == (COUNT, jumped)
    assert found["state_hash"] == now["state_hash"] == replay.run(back)["state_hash"]
    again = Live(back, config)  # type: ignore[arg-type]
    assert (again.sequence, again.state_hash) == (COUNT, now["state_hash"])
    again.send(commands(COUNT + 1)[COUNT:])
    assert again.sequence == jumped
    again.close()
    epochs = [
        np.frombuffer(item.payload, EPOCH_PAYLOAD)[0]
        for item in open_walk(back)
        if isinstance(item, Special) and item.kind == EPOCH_START
    ]
    newest = epochs[-1]
    assert (int(newest["next_sequence"]), int(newest["truncated_bytes"])) == (jumped, 0)
    assert (int(newest["lost_first"]), int(newest["lost_last"])) == (COUNT + 1, jumped - 1)
    assert verify(back).last_sequence == jumped


def test_a_backup_holds_everything_but_what_is_made_again(tmp_path: Path) -> None:
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    stopped(data)
    made = backup(data, copy)
    journal = f"journal/{locate(data)[0].name}"
    assert names(copy) == sorted(
        [
            f"{journal}/000000000001.seg",
            f"{journal}/000000000002.seg",
            f"{journal}/manifest",
            f"{journal}/witness",
            f"snapshots/{COUNT:016d}/manifest",
            f"snapshots/{COUNT:016d}/state",
            "users/users.sqlite",
        ]
    )
    assert [file.path for file in made.files] == names(copy)
    assert read(copy) == made
    restore(copy, back)
    assert names(back) == sorted([*names(copy), f"{journal}/truncation"])
    assert (back / "users" / "users.sqlite").read_bytes() == b"somebody"
    modes = {path.stat().st_mode & 0o077 for path in [back, *back.rglob("*")]}
    assert modes == {0}
    assert witness.read(*locate(back)).sequence == COUNT
    assert [line["segment"] for line in manifest.read(locate(back)[0])] == [1]


def test_beside_a_live_core_it_ends_with_a_whole_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands come before, while and after the journal is copied; a segment is left meanwhile."""
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    live = Live(data, RELAXED_SMALL)
    live.send(commands(COUNT))
    hashes = {live.sequence: live.state_hash}

    def more(count: int) -> None:
        live.send(commands(live.sequence + count)[live.sequence :])
        hashes[live.sequence] = live.state_hash

    copy_file = backups.copy_file

    def slow_copy(source: Path, target: Path) -> None:
        more(3)
        copy_file(source, target)
        if source.name.endswith(".seg"):
            more(3)
            live.core.writer.rotate()
            more(3)

    monkeypatch.setattr(backups, "copy_file", slow_copy)
    made = backup(data, copy, lambda name: more(2) if name != "make a snapshot" else None)
    monkeypatch.undo()
    assert COUNT < made.sequence < live.sequence
    assert made.state_hash == hashes[made.sequence]
    assert restore(copy, back)["state_hash"] == hashes[made.sequence]
    live.close()


def test_a_block_that_was_being_written_is_not_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    live = Live(data, RELAXED_SMALL)
    live.send(commands(40))
    copy_segments = backups._copy_segments

    def torn(directory: Path, copied: Path, needed: int) -> None:
        live.send(commands(40 + 9)[40:], at_once=1)
        row = live.core.writer.row
        copy_segments(directory, copied, needed)
        with segment_path(copied, 1).open("r+b") as file:  # Read before it, and the MARKER after.
            file.seek(int(row.offset) - 1_024)
            assert file.read(4) == b"OBLK"
            file.seek(-4, os.SEEK_CUR)
            file.write(bytes(512))
            assert file.read(4) == b"OBLK"
        monkeypatch.undo()

    monkeypatch.setattr(backups, "_copy_segments", torn)
    made = backup(data, copy)
    assert made.sequence == 40 + 8
    assert verify(copy).tail == "CLEAN"
    assert restore(copy, back)["sequence"] == 40 + 8
    live.close()


def test_segments_that_retention_deletes_meanwhile_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    live = Live(data, RELAXED_SMALL)
    for part in range(3):
        live.send(commands(20 * part + 30)[live.sequence :])
        live.core.writer.rotate()
    live.send(commands(100)[live.sequence :])
    copy_file = backups.copy_file

    def late(source: Path, target: Path) -> None:
        if source.name == "000000000002.seg":
            source.unlink()
        copy_file(source, target)

    monkeypatch.setattr(backups, "copy_file", late)
    made = backup(data, copy)
    monkeypatch.undo()
    found = [Path(name).stem for name in names(copy) if name.endswith(".seg")]
    assert found == ["000000000003", "000000000004"]
    assert restore(copy, back)["state_hash"] == live.state_hash == made.state_hash
    live.close()


def test_a_damaged_journal_is_not_backed_up_as_if_it_were_whole(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    stopped(data)
    backup(data, tmp_path / "good")
    flip(segment_path(locate(data)[0], 1), 8 * 9_000)
    with pytest.raises((JournalRefused, SnapshotBad)):
        backup(data, copy)
    assert not copy.exists()


def test_no_changed_missing_or_foreign_file_is_restored(tmp_path: Path) -> None:
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    stopped(data, 40)
    backup(data, copy)
    for name in [*names(copy), "backup.json"]:
        path = copy / name
        raw = path.read_bytes()
        flip(path, 8 * (len(raw) // 2) + 3)
        with pytest.raises(BackupBad) as refused:
            restore(copy, back)
        assert refused.value.exit_code == 80
        assert str(path) in str(refused.value)
        path.unlink()
        with pytest.raises((BackupBad, BackupRefused), match=r"missing|is no backup"):
            restore(copy, back)
        path.write_bytes(raw)
    (copy / "users" / "more").touch()
    with pytest.raises(BackupBad, match="not of the backup"):
        restore(copy, back)
    assert not back.exists()
    assert not back.with_name("back.restoring").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    stopped(data, 40)
    backup(data, copy)
    with pytest.raises(BackupRefused, match="exists") as refused:
        backup(data, copy)
    assert refused.value.exit_code == 64
    with pytest.raises(BackupRefused, match="lies in"):
        backup(data, data / "copy")
    with pytest.raises(BackupRefused, match="is not empty"):
        restore(copy, data)
    live = Live(data, RELAXED_SMALL)
    with pytest.raises(JournalBusy) as busy:
        restore(copy, data)
    assert busy.value.exit_code == 75
    live.close()
    back.mkdir(mode=0o700)
    assert restore(copy, back)["sequence"] == 40
    (tmp_path / "next.restoring").mkdir()
    (tmp_path / "next.restoring" / "mine").touch()
    with pytest.raises(BackupRefused, match="no unfinished restore"):
        restore(copy, tmp_path / "next")
    with pytest.raises(BackupRefused, match="is no backup"):
        restore(data, tmp_path / "other")


class Killed(Exception):
    """The process dies here."""


def killed_at(number: int, seen: list[str]) -> backups.Step:
    """Raise at the step of this number; ``seen`` gets the names."""
    at = []

    def step(name: str) -> None:
        at.append(name)
        if len(at) == number:
            seen.append(name)
            raise Killed(name)

    return step


def test_killed_at_any_step_a_restore_leaves_no_journal(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    stopped(data, 40)
    made = backup(data, copy)
    seen: list[str] = []
    while True:
        back = tmp_path / f"back{len(seen)}"
        try:
            restore(copy, back, step=killed_at(len(seen) + 1, seen))
            break
        except Killed:
            assert not back.exists()
        assert restore(copy, back)["state_hash"] == made.state_hash
        assert sorted(path.name for path in tmp_path.glob("back*.restoring")) == []
    assert len(seen) == len(made.files) + 6, seen


def test_killed_at_any_step_a_backup_is_none(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stopped(data, 40)
    seen: list[str] = []
    while True:
        copy = tmp_path / f"copy{len(seen)}"
        try:
            backup(data, copy, killed_at(len(seen) + 1, seen))
            break
        except Killed:
            assert not copy.exists()
        left = copy.with_name(f"{copy.name}.tmp")
        assert left.exists()
        with pytest.raises(BackupRefused, match="is no backup"):
            restore(copy, tmp_path / "back")
        assert backup(data, copy).sequence == 40
        assert not left.exists()
    assert len(seen) == 7, seen


def test_who_has_seen_more_than_one_jump_can_say_so(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    stopped(data, 40)
    backup(data, copy)
    for seen, jumps in ((0, 1), (39, 1), (40 + SEQUENCE_JUMP - 1, 1), (40 + SEQUENCE_JUMP, 2)):
        back = tmp_path / f"back{seen}"
        found = restore(copy, back, newest_seen=seen)["next_sequence"]
        assert found == 40 + jumps * SEQUENCE_JUMP > seen
        live = Live(back, RELAXED_SMALL)
        assert live.core.recovery.next_sequence == found
        live.close()


def test_the_mark_of_a_foreign_draft_is_respected(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stopped(data, 40)
    draft = tmp_path / "copy.tmp"
    draft.mkdir()
    (draft / "mine").touch()
    with pytest.raises(BackupRefused, match="no unfinished backup"):
        backup(data, tmp_path / "copy")
    assert os.listdir(draft) == ["mine"]
    shutil.rmtree(draft)
    assert backup(data, tmp_path / "copy").sequence == 40
