"""The core process without its command line: it recovers what it acknowledged, or refuses."""

from pathlib import Path

import numpy as np
import pytest

from core import messages as m
from core.journal.config import JournalConfig
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import RELAXED
from core.limits import SMALL
from core.ring import attach_inbound, offer
from core.sequencer.checkpoint import payload_of
from core.sequencer.core import Core, CoreConfig
from core.sequencer.sequencer import turn
from core.wake import BLOCK


def start(data: Path) -> Core:
    journal = JournalConfig(RELAXED, SMALL, segment_bytes=1 << 20, allow_volatile=True)
    core = Core(CoreConfig(data, journal, ("test.0",), BLOCK, populate=False))
    core.publish()
    return core


def send(core: Core, *names: str) -> None:
    """CREATE_ASSET commands through the ring, and turns until they are applied."""
    ring = attach_inbound(core.shm, "test.0", 1, core.epoch)
    for number, name in enumerate(names, 1):
        slot = np.zeros(1, m.NEW_ASSET)
        slot["kind"], slot["schema"], slot["slots"] = m.CREATE_ASSET, m.SCHEMA, 1
        slot["request_id"], slot["session"] = number, 1
        slot["name"] = m.packed(name, 36)
        assert offer(ring.end, int(slot.ctypes.data), 1, 0) == 1
    ring.close()
    goal = core.state["assets_used"] + len(names)
    for _ in range(50):
        core.step(int(turn(core.loop)))
        if core.state["assets_used"] == goal:
            return
    pytest.fail("the commands were not applied")


def test_what_was_applied_is_there_after_a_restart(tmp_path: Path) -> None:
    core = start(tmp_path)
    send(core, "USD", "BTC", "ETH")
    live = core.state.hash()
    core.request_stop()
    core.serve()
    core.close()

    again = start(tmp_path)
    assert again.recovered == 3
    assert again.epoch == core.epoch + 1
    assert again.state.hash() == live
    again.close()


def test_a_replay_that_differs_from_a_checkpoint_is_refused(tmp_path: Path) -> None:
    core = start(tmp_path)
    send(core, "USD")
    core.state.header["event_hash"] ^= 1  # What a miscompiled engine might have come to.
    core.writer.checkpoint(payload_of(core.state))
    core.close()

    with pytest.raises(JournalRefused, match="event hash") as refused:
        start(tmp_path)
    assert refused.value.fault is Fault.NONDETERMINISM
    assert refused.value.exit_code == 80
    uuid8 = next((tmp_path / "journal").iterdir()).name[:8]
    assert list(Path("/dev/shm").glob(f"outcry-{uuid8}-*")) == []
