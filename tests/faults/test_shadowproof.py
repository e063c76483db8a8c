"""The judge of what the replayer leaves: silent about the truth, loud about every lie."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.journal import witness
from core.journal.verify import locate
from tests.faults.bare import Settings
from tests.faults.feeder import Feeder
from tests.faults.report import Report
from tests.faults.shadowed import Life, Phase, is_of
from tests.faults.shadowproof import judge, of_events
from tests.faults.tracer import Call, is_possible

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_possible(), reason="ptrace by strace"),
]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What core and replayer left at a clean end."""
    place = tmp_path_factory.mktemp("shadow")
    settings = Settings(allow_volatile=True)
    feeder = Feeder(place / "none", 1, in_flight=8)
    phase = Phase("first", None, feeder, settings, {}, core_ends_first=True)
    life = Life(phase, place / "life", Report("test", 1))
    try:
        assert life.run() == 0, life.beside.words()
        assert life.found == []
        yield life.bare.data
    finally:
        life.remove()


def found(data: Path, *, may_say_gap: bool = False) -> str:
    """What the judge says, as one text."""
    return "; ".join(judge(data, data, Report("test", 1), may_say_gap=may_say_gap))


def _ahead(data: Path) -> None:
    directory, uuid = locate(data)
    witness.write(directory, uuid, 1 << 30, (1, 2), 1)


def _no_slot(data: Path) -> None:
    (locate(data)[0] / "witness").write_bytes(bytes(1_024))


def _manifest(data: Path) -> None:
    path = locate(data)[0] / "manifest"
    text = path.read_bytes()
    at = text.index(b'"sha256":"') + 10
    path.write_bytes(text[:at] + (b"0" if text[at : at + 1] != b"0" else b"1") + text[at + 1 :])


def _bit_of_archive(data: Path) -> None:
    path = min((data / "events").glob("*.events"))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


LIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a witness ahead of the journal": (_ahead, "witness"),
    "a witness without a slot": (_no_slot, "witness"),
    "a line that is not true of its segment": (_manifest, "manifest"),
    "a flipped bit in the archive": (_bit_of_archive, "archive"),
}


def test_the_truth_is_not_complained_about(lived: Path) -> None:
    assert found(lived) == ""


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found(lived: Path, tmp_path: Path, name: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(lived, data, ignore=shutil.ignore_patterns("run"))
    tell, word = LIES[name]
    tell(data)
    assert word in found(data)


def test_a_snapshot_of_another_state_is_found(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tests.faults.shadowproof.verify",
        lambda _data: [{"sequence": 100, "state_hash": "0" * 64, "fault": ""}],
    )
    assert "snapshot 100" in found(lived)


@pytest.mark.parametrize(
    ("alarm", "is_right"),
    [
        ("ALARM: snapshot cannot be used: /d/snapshots/7/manifest at 0: cannot be read", True),
        ("ALARM: snapshot cannot be used: /d/snapshots/8/manifest at 0: cannot be read", False),
        ("ALARM: /d/snapshots/7/manifest; no snapshot and no event is written from here on", False),
    ],
)
def test_an_alarm_after_a_fault_is_about_the_file_that_failed(alarm: str, is_right: bool) -> None:
    text = 'AT_FDCWD</c>, "/d/snapshots/7/manifest", O_RDONLY) = -1 EIO (I/O error) (INJECTED)'
    assert is_of(alarm, Call(1, 1.0, "openat", text)) == is_right


def test_a_missing_and_a_doubled_event_are_found() -> None:
    true = {(sequence, 0): bytes([sequence]) for sequence in range(1, 6)}
    kept = sorted(true.items())
    assert of_events(kept, true, has_holes=False) == []
    assert "missing" in str(of_events(kept[:2] + kept[3:], true, has_holes=False))
    assert "twice" in str(of_events(kept[:2] + kept[1:], true, has_holes=False))
    assert "another" in str(of_events([((2, 0), b"x")], true, has_holes=False))
