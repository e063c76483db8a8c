"""A data directory in memory, so that a thousand journals cost seconds and no disk."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SHM = Path("/dev/shm")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; its parent is removed afterwards."""
    if not SHM.is_dir():
        yield tmp_path / "data"
        return
    place = Path(tempfile.mkdtemp(prefix="outcry-test-", dir=SHM))
    yield place / "data"
    shutil.rmtree(place)
