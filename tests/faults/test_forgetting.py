"""`relaxed`, and a file system that forgets without a boot: no sequence is given a second time."""

from pathlib import Path

import pytest

from core.journal.layout import SECTOR_BYTES, SEGMENT_HEADER_BYTES
from core.journal.verify import open_walk
from tests.faults.bare import Bare, Settings
from tests.faults.feeder import Feeder
from tests.faults.proof import prove

ANSWERS = 60
pytestmark = pytest.mark.slow


def forget(data: Path, share: float) -> None:
    """Take back the end of the journal, whole blocks of it, as if it had never been written."""
    walk = open_walk(data)
    for _ in walk:
        pass
    path = next((data / "journal").glob("*/000000000001.seg"))
    end = int(walk.state.offset)
    place = SEGMENT_HEADER_BYTES + int((end - SEGMENT_HEADER_BYTES) * (1 - share))
    with path.open("r+b") as file:
        content = file.read(end)
        while content[place : place + 4] != content[SEGMENT_HEADER_BYTES:][:4]:  # Magic of a block.
            place = (place // SECTOR_BYTES + 1) * SECTOR_BYTES
        file.seek(place)
        file.write(bytes(end - place))


def test_sequences_that_clients_have_seen_are_not_given_again(tmp_path: Path) -> None:
    bare = Bare(tmp_path / "data", Settings("relaxed"))
    feeder = Feeder(bare.data, 1, in_flight=1)
    try:
        bare.start()
        assert feeder.attach(bare.has_ended)
        assert feeder.pump(bare.has_ended, ANSWERS)
        bare.kill()
        feeder.detach()
        forget(bare.data, 0.3)
        bare.start()
        assert feeder.attach(bare.has_ended, 1), bare.words()
        assert feeder.gone, "nothing was forgotten"
        assert feeder.pump(bare.has_ended, ANSWERS + 20)
        live = feeder.state_hash()
        feeder.detach()
        assert bare.stop() == 0
        assert prove(bare.data, feeder, live) == []
        assert feeder.newest > 1 << 26
    finally:
        feeder.detach()
        bare.close()
