"""Scrubbing sealed segments goes on whatever one of them, or the directory, does."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.journal import manifest
from core.journal.segments import segment_path
from core.journal.snapshots import sha256_of
from replay import keeping
from replay.replayer import Replayer


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """Two sealed segments with their lines."""
    for number in (1, 2):
        content = bytes([number]) * 4_096
        path = segment_path(tmp_path, number)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        manifest.append(tmp_path, number, len(content), number, digest)
    return tmp_path


def test_a_segment_that_cannot_be_read_is_told_and_the_next_one_is_read(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sha256_of

    def broken(path: Path) -> str:
        if path == segment_path(sealed, 1):
            raise OSError(5, "Input/output error")
        return honest(path)

    monkeypatch.setattr(keeping, "sha256_of", broken)
    steps = keeping.scrub(sealed)
    first, second, third = next(steps), next(steps), next(steps)
    assert "cannot be read: Input/output error" in str(first)
    assert second is None
    assert "cannot be read" in str(third)


def test_the_replayer_scrubs_again_after_an_error_of_the_directory(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    live = SimpleNamespace(count=counted.append)
    replayer = SimpleNamespace(directory=sealed, live=live, _scrubber=keeping.scrub(sealed))

    def failing(_directory: Path) -> list[int]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "inventory", failing)
        with pytest.raises(OSError, match="No space"):
            Replayer._scrub(replayer)  # type: ignore[arg-type]
    Replayer._scrub(replayer)  # type: ignore[arg-type]
    assert len(counted) == 1
