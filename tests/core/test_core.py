"""The core process without its command line: it recovers what it acknowledged, or refuses."""

from pathlib import Path

import numpy as np
import pytest

from core import messages as m
from core.clock import monotonic_ns
from core.journal.config import JournalConfig
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import RELAXED
from core.limits import SMALL
from core.reasons import Reason
from core.ring import attach_inbound, offer
from core.sequencer.checkpoint import payload_of
from core.sequencer.core import Core, CoreConfig
from core.sequencer.runner import Runner
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


def test_a_marker_comes_after_a_pause_behind_the_commands_not_behind_each(tmp_path: Path) -> None:
    core = start(tmp_path)
    core.row["idle_from_ns"] = 1  # Nothing came for long.
    begun_ns = monotonic_ns()
    send(core, "USD")
    assert core.row["idle_from_ns"] >= begun_ns, "the pause that a marker ends begins anew"
    core.close()


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


def test_an_order_whose_row_is_gone_is_stale_not_unknown() -> None:
    limits = SMALL._replace(closed_keep=1)
    runner = Runner(limits, (1, 3, 5, 7), risk=False)
    rows = np.zeros(7, m.PLACE)
    rows["sequence"] = rows["timestamp_ns"] = np.arange(1, 8)
    rows["schema"], rows["slots"] = m.SCHEMA, 1
    names = ("USD", "BTC")
    for place, name in enumerate(names):
        rows[place]["kind"], rows[place]["client_order_id"] = m.CREATE_ASSET, m.packed(name, 36)
    rows[2]["kind"], rows[2]["client_order_id"] = m.CREATE_ACCOUNT, m.packed("alice", 36)
    runner.apply(rows[:3].view(np.uint8))
    instrument = np.zeros(1, m.NEW_INSTRUMENT)
    instrument["kind"], instrument["schema"], instrument["slots"] = m.CREATE_INSTRUMENT, 1, 2
    instrument["sequence"] = instrument["timestamp_ns"] = 4
    instrument["symbol"] = m.packed("BTC-USD", 36)
    instrument["instrument_type"] = instrument["matching"] = 1
    instrument["tick"] = instrument["lot"] = 1
    instrument["base_asset"], instrument["quote_asset"] = 2, 1
    more = np.zeros(1, m.NEW_INSTRUMENT_SLOT_2)
    more["phase"] = m.PHASE_OPEN
    runner.apply(np.concatenate([instrument.view(np.uint8), more.view(np.uint8)]))
    for row in rows[4:7]:
        row["kind"], row["account"], row["instrument"] = m.PLACE_ORDER, 3, 1
        row["side"], row["order_type"], row["time_in_force"] = m.BUY, m.LIMIT, m.IOC
        row["price"], row["qty"] = 5, 1
    runner.apply(rows[4:7].view(np.uint8))
    accepted = [e for e in runner.events() if e["kind"] == m.ORDER_ACCEPTED]
    first, last = int(accepted[0]["order_id"]), int(accepted[-1]["order_id"])

    assert told(runner, last) == Reason.NONE
    assert told(runner, first) == Reason.STALE_ID
    assert told(runner, 9 << 22 | 1) == Reason.UNKNOWN_ORDER  # No such sequence yet.
    assert told(runner, 1 << 22 | 99) == Reason.UNKNOWN_ORDER  # No such slot.


def told(runner: Runner, order_id: int) -> Reason:
    query = np.zeros(1, m.QUERY)
    query["kind"], query["account"], query["order_id"] = m.QUERY_ORDER, 3, order_id
    return Reason(int(runner.query(query.tobytes())[0]["reason"]))
