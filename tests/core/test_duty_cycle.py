"""The order of the duty cycle: nothing is applied or told before its block is where it must be."""

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import messages as m
from core.constants import BATCH_SLOTS_MAX
from core.jit import PURE
from core.journal import appender
from core.journal import writer as writers
from core.journal.appender import DIRECT, FDATASYNC
from core.journal.config import JournalConfig
from core.journal.layout import SYNC
from core.limits import SMALL
from core.ring import Ring, attach_inbound, attach_replies, offer, take
from core.sequencer import sequencer
from core.sequencer.core import Core, CoreConfig
from core.sequencer.sequencer import ROTATE, turn
from core.wake import BLOCK

GATEWAY = "test.0"
EBADF = 9
SHM = Path("/dev/shm")
Start = Callable[[], Core]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a core in this process; its segments go after the test."""
    begun: list[Core] = []

    def begin() -> Core:
        journal = JournalConfig(SYNC, SMALL, segment_bytes=1 << 20, allow_volatile=True)
        core = Core(CoreConfig(tmp_path, journal, (GATEWAY,), BLOCK, populate=False))
        core.publish()
        begun.append(core)
        return core

    yield begin
    for core in begun:
        for segment in SHM.glob(f"{core.shm}-*"):
            segment.unlink()


@pytest.fixture
def send() -> Iterator[Callable[..., Ring]]:
    """Offer slots of one command or query; the ring is let go of after the test."""
    rings: list[Ring] = []

    def offer_one(core: Core, slot: "np.ndarray[Any, Any]") -> Ring:
        if not rings:
            rings.append(attach_inbound(core.shm, GATEWAY, 1, core.epoch))
        assert offer(rings[0].end, int(slot.ctypes.data), 1, 0) == 1
        return rings[0]

    yield offer_one
    for ring in rings:
        ring.close()


def asset(name: str) -> "np.ndarray[Any, Any]":
    """A CREATE_ASSET command."""
    slot = np.zeros(1, m.NEW_ASSET)
    slot["kind"], slot["schema"], slot["slots"] = m.CREATE_ASSET, m.SCHEMA, 1
    slot["request_id"], slot["name"] = 7, m.packed(name, 36)
    return slot


def assets_query() -> "np.ndarray[Any, Any]":
    slot = np.zeros(1, m.QUERY)
    slot["kind"], slot["schema"], slot["slots"] = m.QUERY_ASSETS, m.SCHEMA, 1
    return slot


def seen(core: Core) -> dict[str, int]:
    """What anybody could see of an applied command."""
    return {
        "assets": int(core.state["assets_used"]),
        "applied": int(core.state["sequence"]),
        "events": core.output.position,
        "told": core.counters["sequence"],
    }


NOTHING = {"assets": 0, "applied": 0, "events": 0, "told": 0}
ONE = {"assets": 1, "applied": 1, "events": 1, "told": 1}


def test_a_command_is_applied_and_told_once_its_block_is_durable(start: Start, send: Any) -> None:
    core = start()
    send(core, asset("USD"))
    turn(core.loop)
    assert seen(core) == ONE
    assert core.writer.row.durable_sequence == core.counters["durable_sequence"] == 1


def test_a_command_whose_block_cannot_be_written_is_neither_applied_nor_told(
    start: Start, send: Any
) -> None:
    core = start()
    row = core.writer.row
    good, row.fd = row.fd, os.open("/dev/null", os.O_RDONLY)
    send(core, asset("USD"))
    send(core, assets_query())
    assert turn(core.loop) == -EBADF  # Python ends the process then, with exit code 70.
    assert seen(core) == NOTHING
    replies = attach_replies(core.shm, GATEWAY, 1, core.epoch)
    assert take(replies.end, int(np.zeros(1, m.REPLY).ctypes.data), 1) == 0
    replies.close()
    os.close(row.fd)
    row.fd = good


def test_a_command_that_finds_the_segment_full_waits_for_the_next(start: Start, send: Any) -> None:
    core = start()
    row = core.writer.row
    offset, row.offset = row.offset, row.segment_bytes - row.align  # Room for the SEAL only.
    send(core, asset("USD"))
    assert turn(core.loop) == ROTATE
    assert seen(core) == NOTHING
    row.offset = offset
    turn(core.loop)
    assert seen(core) == ONE


def test_what_waits_in_one_ring_fills_whole_blocks(start: Start, send: Any) -> None:
    core = start()
    blocks = core.writer.row.blocks
    for number in range(BATCH_SLOTS_MAX + 44):
        send(core, asset(f"A{number}"))
    turn(core.loop)
    assert seen(core)["applied"] == BATCH_SLOTS_MAX + 44
    assert core.writer.row.blocks - blocks == 2  # Of 256 and of 44 commands.


@pytest.mark.skipif(not PURE, reason="compiled calls cannot be watched")
def test_a_block_is_written_then_synced_then_applied(
    start: Start, send: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "faster_mode", lambda _directory: FDATASYNC)
    core = start()
    order: list[str] = []

    def watch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def called(*arguments: Any) -> Any:
            order.append(name)
            return real(*arguments)

        monkeypatch.setattr(module, name, called)

    for module, name in ((appender, "pwrite"), (appender, "fdatasync"), (sequencer, "call_entry")):
        watch(module, name)
    send(core, asset("USD"))
    turn(core.loop)
    assert order[:3] == ["pwrite", "fdatasync", "call_entry"]
    assert seen(core) == ONE


def test_the_direct_way_asks_the_kernel_to_sync_every_write(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "faster_mode", lambda _directory: DIRECT)
    core = start()
    assert fcntl.fcntl(core.writer.row.fd, fcntl.F_GETFL) & os.O_DSYNC


def test_a_query_sees_the_commands_that_came_before_it(start: Start, send: Any) -> None:
    core = start()
    send(core, asset("USD"))
    send(core, assets_query())
    replies = attach_replies(core.shm, GATEWAY, 1, core.epoch)
    turn(core.loop)
    rows = np.zeros(4, m.REPLY)
    assert take(replies.end, int(rows.ctypes.data), 4) == 1
    assert (rows[0]["as_of"], rows[0]["count"]) == (1, 1)
    replies.close()
