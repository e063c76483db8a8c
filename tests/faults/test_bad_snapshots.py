"""Snapshots with any bit flipped, any byte missing, anything exchanged: a bad one is never used."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.jit import MODE_NAME
from core.journal.errors import JournalError
from core.journal.snapshots import (
    MANIFEST_NAME,
    STATE_NAME,
    SnapshotBad,
    directories,
    read_manifest,
)
from core.sequencer import snapshot
from replay import replay
from replay.snapshots import make
from tests.core.journal.files import flip
from tests.replay.live import Live, some_commands

FULL = os.environ.get("OUTCRY_FORMAT") == "full"
COUNT = {"release": 200, "checked": 100, "pure": 20}[MODE_NAME]
SAMPLE = {"release": 120, "checked": 30, "pure": 3}[MODE_NAME]
BAD = (SnapshotBad, OSError, ValueError, TypeError)  # What a start takes for "not this one".


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A stopped journal with two snapshots."""
    data = tmp_path / "data"
    live = Live(data)
    for _ in range(2):
        live.send(some_commands(COUNT))
        make(data)
    live.close()
    return data


def assert_never_used(directory: Path, what: object) -> None:
    try:
        snapshot.load(directory)
    except BAD:
        return
    pytest.fail(f"used: {what}")


def test_no_flipped_bit_of_a_manifest_is_used(data: Path) -> None:
    path = directories(data)[0] / MANIFEST_NAME
    bits = path.stat().st_size * 8
    for bit in range(0, bits, 1 if FULL else bits // (20 * SAMPLE) + 1):
        flip(path, bit)
        with pytest.raises(SnapshotBad):
            read_manifest(path.parent)
        flip(path, bit)
    assert read_manifest(path.parent)


def test_no_flipped_bit_of_a_state_is_used(data: Path) -> None:
    path = directories(data)[0] / STATE_NAME
    bits = path.stat().st_size * 8
    for bit in range(0, bits, bits // (100 * SAMPLE if FULL else SAMPLE) + 1):
        flip(path, bit)
        assert_never_used(path.parent, bit)
        flip(path, bit)
    assert snapshot.load(path.parent)


@pytest.mark.parametrize("name", [MANIFEST_NAME, STATE_NAME])
def test_no_snapshot_of_another_length_is_used(data: Path, name: str) -> None:
    path = directories(data)[0] / name
    raw = path.read_bytes()
    lengths = [*range(0, len(raw), len(raw) // SAMPLE + 1), len(raw) - 1]
    for changed in [raw[:length] for length in lengths] + [raw + b"\0", b""]:
        path.write_bytes(changed)
        assert_never_used(path.parent, len(changed))
    path.unlink()
    assert_never_used(path.parent, "no file")


def test_files_of_two_snapshots_exchanged_are_not_used(data: Path) -> None:
    newer, older = directories(data)
    for name in (MANIFEST_NAME, STATE_NAME):
        mixed = newer.with_name("mixed")
        shutil.copytree(newer, mixed)
        shutil.copy(older / name, mixed / name)
        kept = newer.with_name("kept")
        newer.rename(kept)
        mixed.rename(newer)
        assert_never_used(newer, name)
        shutil.rmtree(newer)
        kept.rename(newer)
    older_name = older.name
    shutil.rmtree(older)
    newer.rename(newer.with_name(older_name))
    assert_never_used(newer.with_name(older_name), "another name")


def test_a_start_takes_the_older_snapshot_and_comes_to_the_same_state(data: Path) -> None:
    whole = replay.run(data)
    newer, older = directories(data)
    flip(newer / STATE_NAME, 999)
    live = Live(data)
    assert len(live.core.bad_snapshots) == 1
    assert live.core.output.base_sequence == int(older.name)
    assert live.state_hash == whole["state_hash"]
    live.close()


def test_a_manifest_of_any_content_with_a_right_checksum_is_not_used(data: Path) -> None:
    """Or it says the truth: then what is loaded has the state hash that it names."""
    path = directories(data)[0] / MANIFEST_NAME
    good: dict[str, Any] = json.loads(path.read_bytes().partition(b"\n")[0])
    truth = snapshot.load(path.parent).state.hash()
    wrong: list[Any] = [None, -1, 1 << 70, "x", [], {}, 1.5, True, [[]], {"chain": [1, 2]}]
    chance = random.Random(3)
    changes: list[Callable[[dict[str, Any]], None]] = []
    for name in good:
        changes += [lambda f, n=name, v=value: f.__setitem__(n, v) for value in wrong]  # type: ignore[misc]
        changes.append(lambda f, n=name: f.pop(n))  # type: ignore[misc]
    for name in good["sections"][1]:
        for value in wrong:
            changes.append(lambda f, n=name, v=value: f["sections"][1].__setitem__(n, v))  # type: ignore[misc]
    changes.append(lambda fields: fields["sections"].reverse())
    for change in changes if MODE_NAME == "release" else chance.sample(changes, SAMPLE):
        fields = json.loads(json.dumps(good))
        change(fields)
        line = json.dumps(fields).encode()
        path.write_bytes(line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n")
        try:
            loaded = snapshot.load(path.parent)
        except BAD:
            continue
        assert loaded.state.hash() == truth, fields


def test_the_place_of_a_snapshot_is_that_of_its_sequence_or_refuses(data: Path) -> None:
    """A walk that went on from another place would give another book."""
    path = directories(data)[0] / MANIFEST_NAME
    good: dict[str, Any] = json.loads(path.read_bytes().partition(b"\n")[0])
    truth = replay.run(data)["state_hash"]
    for name in good["place"]:
        for value in (0, -1, 7, 1 << 62, "x", None, [], [1, 2], 1.5):
            fields = json.loads(json.dumps(good))
            fields["place"][name] = value
            line = json.dumps(fields).encode()
            path.write_bytes(line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n")
            try:
                found = replay.run(data, from_snapshot=True)
            except JournalError:
                continue
            assert found["state_hash"] == truth, (name, value)
