"""Segments: names, modes, the version word, epochs, what is stale."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core import shm
from core.shm import DIRECTORY, INBOUND, OUTPUT, SegmentError

SIZE = 8_192


@pytest.fixture
def uuid8() -> Iterator[str]:
    made = secrets.token_hex(4)
    yield made
    shm.unlink_stale(made)


def create(uuid8: str, epoch: int = 1, part: str = "in-a") -> shm.Segment:
    name = f"{shm.prefix(uuid8, epoch)}-{part}"
    return shm.create(name, SIZE, {"epoch": epoch, "kind": INBOUND, "capacity": 32})


def test_a_segment_is_private_to_the_user(uuid8: str) -> None:
    segment = create(uuid8)

    assert os.stat(DIRECTORY / segment.name).st_mode & 0o777 == 0o600
    assert os.stat(DIRECTORY / segment.name).st_blocks * 512 >= SIZE  # Reserved, not sparse.


def test_a_segment_is_not_seen_before_it_is_published(uuid8: str) -> None:
    segment = create(uuid8)
    with pytest.raises(SegmentError, match="not created completely yet"):
        shm.attach(segment.name, INBOUND, 1, writable=False)

    segment.publish()

    other = shm.attach(segment.name, INBOUND, 1, writable=False)
    assert (other.epoch, other.capacity, other.size) == (1, 32, SIZE)


def test_an_empty_file_is_a_segment_that_is_not_created_completely(uuid8: str) -> None:
    name = f"{shm.prefix(uuid8, 1)}-in-a"
    (DIRECTORY / name).touch()

    with pytest.raises(SegmentError, match="not created completely yet"):
        shm.attach(name, INBOUND, 1, writable=True)


def test_a_name_is_given_once(uuid8: str) -> None:
    create(uuid8)

    with pytest.raises(FileExistsError):
        create(uuid8)


@pytest.mark.parametrize(
    ("kind", "epoch", "word"),
    [(OUTPUT, 1, "kind 2 expected, 1 found"), (INBOUND, 7, "epoch 7 expected, 1 found")],
)
def test_what_is_not_as_expected_is_refused(uuid8: str, kind: int, epoch: int, word: str) -> None:
    segment = create(uuid8)
    segment.publish()

    with pytest.raises(SegmentError, match=word):
        shm.attach(segment.name, kind, epoch, writable=False)


def test_a_file_of_another_size_is_refused(uuid8: str) -> None:
    segment = create(uuid8)
    segment.publish()
    os.truncate(DIRECTORY / segment.name, 2 * SIZE)

    with pytest.raises(SegmentError, match="8192 bytes expected, the file has 16384"):
        shm.attach(segment.name, INBOUND, 1, writable=False)


def test_another_layout_is_refused(uuid8: str) -> None:
    segment = create(uuid8)
    segment.publish()
    segment.memory[0:1] = b"\xff"

    with pytest.raises(SegmentError, match="another version of Outcry"):
        shm.attach(segment.name, INBOUND, 1, writable=False)


@pytest.mark.parametrize("name", ["outcry-12345678-1-../x", "other", "outcry-1234567-1-a"])
def test_a_name_cannot_leave_the_directory(name: str) -> None:
    with pytest.raises(ValueError, match="segment name"):
        shm.create(name, SIZE, {"epoch": 1, "kind": INBOUND})


def test_stale_segments_are_those_of_other_epochs_of_the_same_journal(uuid8: str) -> None:
    other = secrets.token_hex(4)
    names = [create(uuid8, epoch).name for epoch in (1, 2, 10)]
    foreign = create(other)

    assert shm.unlink_stale(uuid8, keep_epoch=10) == sorted(names[:2])
    assert (DIRECTORY / names[2]).exists()
    assert (DIRECTORY / foreign.name).exists()
    shm.unlink_stale(other)


def test_who_has_it_mapped_keeps_it_when_it_is_unlinked(uuid8: str) -> None:
    segment = create(uuid8)
    segment.publish()
    other = shm.attach(segment.name, INBOUND, 1, writable=False)

    segment.unlink()
    segment.memory[5_000:5_003] = b"abc"

    assert other.memory[5_000:5_003] == b"abc"


def test_a_segment_outlives_a_reader_that_exits(uuid8: str) -> None:
    """multiprocessing.shared_memory would unlink it here."""
    segment = create(uuid8)
    segment.publish()
    program = (
        "from core.shm import INBOUND, attach\n"
        f"print(attach({segment.name!r}, INBOUND, 1, writable=True).capacity)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "32\n"
    assert (DIRECTORY / segment.name).exists()
