"""The judge of the campaigns without HTTP: silent about the truth, loud about every lie."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.journal import writer
from tests.faults import injection
from tests.faults.bare import Bare, Settings
from tests.faults.cases import Case
from tests.faults.feeder import Answer, Feeder
from tests.faults.injection import break_one, phases
from tests.faults.load import SETUP
from tests.faults.proof import prove
from tests.faults.report import Report
from tests.faults.tracer import is_possible, offset_of

ANSWERS = 80
pytestmark = pytest.mark.slow
Told = tuple[Path, Feeder, tuple[int, str]]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A short history with a kill, stopped cleanly: directory, client, live hash."""
    bare = Bare(tmp_path_factory.mktemp("proof") / "data", Settings(allow_volatile=True))
    feeder = Feeder(bare.data, 1, in_flight=8)
    try:
        bare.start()
        feeder.attach()
        assert feeder.pump(bare.has_ended, ANSWERS // 2)
        bare.kill()
        bare.start()
        feeder.attach()
        assert feeder.pump(bare.has_ended, ANSWERS)
        live = feeder.state_hash()
        feeder.detach()
        assert bare.stop() == 0
        yield bare.data, feeder, live
    finally:
        feeder.detach()
        bare.close()


@pytest.fixture
def told(lived: Told) -> Told:
    """A copy of the history, to be falsified."""
    data, feeder, live = lived
    return data, feeder.copy(data), live


def test_the_truth_is_not_complained_about(told: Told) -> None:
    data, feeder, live = told
    assert prove(data, feeder, live) == []


def _lost(feeder: Feeder) -> None:
    feeder.answers[-1] = Answer(feeder.answers[-1].sequence + 1_000, 1)


def _swapped(feeder: Feeder) -> None:
    answers = feeder.answers
    answers[50], answers[51] = answers[51], answers[50]


def _unsent(feeder: Feeder) -> None:
    feeder.ever_sent = ANSWERS - 1


def _changed(feeder: Feeder) -> None:
    number = len(SETUP) + 5
    feeder.load.row(number)[60] ^= 1


def _seen(feeder: Feeder) -> None:
    key = max(feeder.seen)
    feeder.seen[key] = bytes(128)


LIES: dict[str, tuple[Callable[[Feeder], None], str]] = {
    "an acknowledged command is gone": (_lost, "not there"),
    "two commands have changed places": (_swapped, "is command"),
    "a command that nobody sent": (_unsent, "was never sent"),
    "a command has other bytes": (_changed, "other bytes than were sent"),
    "an event was another": (_seen, "the journal gives another or none"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(told: Told, lie: str) -> None:
    data, feeder, live = told
    tell, expected = LIES[lie]
    tell(feeder)
    found = prove(data, feeder, live)
    assert any(expected in complaint for complaint in found), found


def test_another_state_is_found(told: Told) -> None:
    data, feeder, live = told
    assert prove(data, feeder, (live[0], "0" * 32))


def test_a_recovery_that_forgets_is_found(told: Told) -> None:
    data, feeder, _ = told
    bare = Bare(data, Settings(allow_volatile=True))
    feeder.newest += 5
    try:
        bare.start()
        feeder.attach()
    finally:
        feeder.detach()
        bare.close()
    assert any("was acknowledged" in complaint for complaint in feeder.broken)


@pytest.mark.skipif(not is_possible(), reason="strace: not installed, or ptrace is not permitted")
def test_a_core_that_goes_on_after_an_error_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the first write of a rotation may fail without a word."""

    def careless(fd: int, image: bytes, offset: int) -> int:
        try:
            return os.pwrite(fd, image, offset)
        except OSError:
            return len(image)

    class Careless:
        pwrite = staticmethod(careless)

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

    monkeypatch.setattr(writer, "os", Careless())
    phase = phases(tmp_path, 1, "sync")[1]
    assert phase.name == "rotation"
    life = injection.Life(phase, tmp_path / "counted", "")
    life.run()
    writes = [call for call in life.calls if call.name == "pwrite64"]
    header = next(
        number
        for number, call in enumerate(writes, 1)
        if offset_of(call) == 0 and "000002.seg>" in call.text
    )
    life.remove()
    report = Report("planted", 1)
    case = Case(phase, "pwrite64", header, "error=EIO")
    break_one(report, case, tmp_path / "case")
    assert any("the core went on" in complaint for complaint in report.broken), report
