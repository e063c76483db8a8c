"""A data directory in memory, so that a thousand journals cost seconds and no disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jit import MODE_NAME

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``journal_seed`` runs once per seed; OUTCRY_SEEDS=N: N times as many."""
    if "journal_seed" in metafunc.fixturenames:
        count = {"release": 25, "checked": 10, "pure": 2}[MODE_NAME]
        metafunc.parametrize(
            "journal_seed", range(count * int(os.environ.get("OUTCRY_SEEDS", "1")))
        )
