"""Public events across laps and restarts: from the archive, each once, and what is lost is said."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import history, stream
from adapters.gateway import Gateway
from core.archive.layout import NOTHING, Key
from core.archive.writer import ArchiveWriter
from core.messages import COMMAND, EVENT, FILL, LAST, ORDER_ACCEPTED, ORDER_CANCELED
from tests.adapters.test_gateway import World, command, until
from tests.core.archive.parts import append, keys

Rows = np.ndarray[Any, Any]
RING = 128


class ArchivedWorld(World):
    """With an event archive that a test lets go on when it wants."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        uuid = bytes.fromhex(self.uuid8 + "00004000" + "8000000000000000")
        self.writer = ArchiveWriter(data / "events", uuid, segment_bytes=40_000)
        self.seen: list[Key] = []
        self.lost: list[int] = []
        self.late: list[int] = []

    def every(self, kinds: set[int] | None = None) -> list[Key]:
        """Keys of everything that happened."""
        rows = np.concatenate(self.journal.events)
        return keys(rows if kinds is None else rows[np.isin(rows["kind"], list(kinds))])

    def archive(self, last: int = 1 << 40) -> None:
        """Archive what there is up to sequence ``last``."""
        for events in self.journal.events:
            if self.writer.last[0] < events[0]["sequence"] <= last:
                append(self.writer, events)

    def listen(self, gateway: Gateway, after: Key | None = NOTHING, **options: Any) -> None:
        """Collect what comes."""

        def take(batch: Rows) -> None:
            self.seen.extend(keys(batch))

        gateway.on_lapped(lambda: self.lost.append(len(self.seen)))
        gateway.on_gap(lambda: self.late.append(len(self.seen)))
        gateway.on_events(take, after=after, **options)

    def sweep(self, count: int = 400) -> None:
        """A command of another gateway with more events than the ring holds."""
        events = np.zeros(count, EVENT)
        events["kind"], events["session"] = FILL, 9 << 24
        events["kind"][::7] = ORDER_CANCELED
        events["flags"][-1] = LAST
        core = self.core
        assert core is not None
        decide, core.decide = core.decide, lambda _sequence, _row: events
        row = np.frombuffer(command("sweep"), np.uint8)
        core.apply(_foreign(row))
        core.decide = decide


def _foreign(row: Rows) -> Any:
    made = row.view(COMMAND)[0].copy()
    made["session"], made["request_id"] = 9 << 24 | 1, time.time_ns()
    return made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ArchivedWorld]:
    made = ArchivedWorld(tmp_path)
    yield made
    await made.close()
    made.writer.close()


async def test_after_a_lap_the_archive_gives_what_was_missed(world: ArchivedWorld) -> None:
    world.start(output_events=RING)
    gateway = await world.gateway()
    world.listen(gateway)
    await gateway.command(command("a"), 5)
    world.archive()
    world.sweep()  # The event loop stands still meanwhile.
    await until(lambda: gateway.lapped_count == 1)
    for name in "bc":
        await gateway.command(command(name), 5)  # Answers do not wait for the archive.
    assert world.seen == world.every()[: len(world.seen)]
    assert len(world.seen) < 400
    world.archive()
    await until(lambda: len(world.seen) >= len(world.every()))
    await gateway.command(command("d"), 5)
    gateway.deliver_events()

    assert world.seen == world.every()
    assert (world.lost, len(world.late)) == ([], 1)


async def test_only_the_kinds_asked_for_come(world: ArchivedWorld) -> None:
    world.start(output_events=RING)
    gateway = await world.gateway()
    world.listen(gateway, kinds={ORDER_ACCEPTED, ORDER_CANCELED})
    await gateway.command(command("a"), 5)
    world.archive()
    world.sweep()
    await until(lambda: gateway.lapped_count == 1)
    await gateway.command(command("b"), 5)
    world.archive()
    await until(lambda: len(world.seen) >= 2)
    await asyncio.sleep(0.05)

    assert world.seen == world.every({ORDER_ACCEPTED, ORDER_CANCELED})


async def test_a_gap_becomes_wider_when_too_much_would_be_held(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HELD_EVENTS", 3)
    world.start(output_events=RING)
    gateway = await world.gateway()
    world.listen(gateway)
    await gateway.command(command("a"), 5)
    world.archive()
    world.sweep()
    await until(lambda: gateway.lapped_count == 1)
    for number in range(10):
        await gateway.command(command(f"n{number}"), 5)
    world.sweep(300)  # Lapped once more, while the first gap is not filled yet.
    await until(lambda: gateway.lapped_count == 2)
    held = gateway._channel._streams[0]._held
    assert sum(map(len, held)) <= 3
    world.archive()
    await until(lambda: len(world.seen) >= len(world.every()))

    assert world.seen == world.every()
    assert world.lost == []


async def test_what_the_archive_has_lost_too_is_said_where_it_is_missing(
    world: ArchivedWorld,
) -> None:
    world.start(output_events=RING)
    gateway = await world.gateway()
    world.listen(gateway)
    await gateway.command(command("a"), 5)
    world.archive()
    world.sweep()
    await until(lambda: gateway.lapped_count == 1)
    world.sweep(500)
    await until(lambda: gateway.lapped_count == 2)
    world.archive()
    world.writer.trim(0)
    await gateway.command(command("b"), 5)
    await until(lambda: bool(world.seen) and world.seen[-1] == world.every()[-1])

    every = world.every()
    assert len(world.lost) == 1
    before = world.lost[0]  # The segment that was open when it was trimmed is still read.
    assert 1 <= before < 700
    assert world.seen[:before] == every[:before]
    assert before < len(world.seen) < len(every)
    assert world.seen[before:] == every[before - len(world.seen) :]


async def test_an_archive_that_makes_no_progress_is_given_up(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WAIT_S", 0.1)
    world.start(output_events=RING)
    gateway = await world.gateway()
    world.listen(gateway)
    await gateway.command(command("a"), 5)
    world.archive()
    world.sweep()
    await until(lambda: gateway.lapped_count == 1)
    await gateway.command(command("b"), 5)
    await until(lambda: len(world.lost) == 1)

    every = world.every()
    assert world.seen == [every[0], every[-1]]
    await gateway.command(command("c"), 5)
    gateway.deliver_events()
    assert world.seen[-1] == world.every()[-1]


async def test_a_core_that_begins_behind_a_snapshot_leaves_no_hole(world: ArchivedWorld) -> None:
    """Events that the old core published and this reader did not see are in the archive."""
    core = world.start()
    gateway = await world.gateway()
    world.listen(gateway)
    for name in "abc":
        await gateway.command(command(name), 5)
    for name in "de":  # Journaled and never published: the core dies.
        core.apply(_foreign(np.frombuffer(command(name), np.uint8)), is_published=False)
    world.die()
    world.archive()

    world.start(base_sequence=4)
    await until(lambda: gateway.epoch == 2 and gateway.ready)
    await gateway.command(command("f"), 5)
    await until(lambda: len(world.seen) >= 6)

    assert world.seen == world.every()
    assert world.lost == []


async def test_a_reader_that_starts_behind_a_key_gets_what_follows(world: ArchivedWorld) -> None:
    """The key is still in the ring, only in the archive, or in front of the ring's reader."""
    world.start(output_events=RING)
    gateway = await world.gateway()
    for number in range(300):
        await gateway.command(command(f"n{number}"), 5)
    world.archive(250)
    for after in ((280, 0), (100, 0), (300, 0)):
        world.seen.clear()
        gateway.on_events(lambda batch: world.seen.extend(keys(batch)), after=after)
        if after == (100, 0):
            world.archive()
        expected = [key for key in world.every() if key > after]
        await until(lambda wanted=expected: world.seen == wanted)  # type: ignore[misc]


async def test_an_order_and_trades_are_found_in_the_archive(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "READ_EVENTS", 3)
    world.start(output_events=RING)
    gateway = await world.gateway()
    assert await gateway.recent(1 << 20) is None
    assert await gateway.order_events(1 << 22, 1 << 20) is None
    assert await gateway.command_events(1, 9) is None
    await gateway.command(command("a"), 5)
    world.sweep(10)
    await gateway.command(command("b"), 5)
    world.archive()

    recent = await gateway.recent(1 << 20)
    found = await gateway.order_events(1 << 22, 1 << 20)
    commands = [await gateway.command_events(number, 4) for number in (1, 2, 9)]

    assert recent is not None
    assert keys(recent.events) == world.every({FILL})
    assert (recent.after, recent.last) == (NOTHING, (3, 0))
    assert found is not None
    assert keys(found) == [(1, 0)]
    some = [keys(rows) for rows in commands if rows is not None]
    assert some == [[(1, 0)], [(2, 0), (2, 1), (2, 2), (2, 3)], []]
