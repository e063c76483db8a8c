"""The follower: every event once and in order, from the ring or the archive; what is lost is said.

Also the search in the ring that it joins by.
"""

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive.follow import ARCHIVE, RING, Follower, Gap
from core.archive.layout import INDEX_MAX, NOTHING, Key
from core.archive.reader import ArchiveReader, before
from core.archive.writer import ArchiveWriter
from core.jit import PURE
from core.memory import view
from core.messages import EVENT
from core.output import (
    LAPPED,
    OutputRing,
    attach_output,
    claim,
    create_output,
    event_slot,
    find_behind,
    publish,
)
from core.shm import prefix
from tests.core.archive.parts import SMALL, UUID, Rows, append, keys, read_all, stream

CAPACITY = 64  # The claim runs 8 events ahead: a reader may fall about 50 behind.


class World:
    """All events that a core ever publishes, the ring of its epoch, an archive that lags."""

    def __init__(self, directory: Path, rows: Rows) -> None:
        self.directory = directory
        self.rows = rows
        self.made = 0  # Events that were published.
        self.archived = 0
        self.epoch = 0
        self.uuid8 = secrets.token_hex(4)
        self.core: OutputRing | None = None
        self.output: OutputRing | None = None
        self.writer = ArchiveWriter(directory, UUID, segment_bytes=SMALL)

    def start(self, base: int = 0) -> None:
        """A core's new life, which publishes the events again that are behind sequence ``base``."""
        self.stop()
        self.epoch += 1
        shm = prefix(self.uuid8, self.epoch)
        self.core = create_output(shm, self.epoch, CAPACITY)
        self.core.base_sequence = base
        self.core.segment.publish()
        self.output = attach_output(shm, self.epoch)
        again = self.rows[: self.made]
        self._publish(again[again["sequence"] > base])

    def stop(self) -> None:
        if self.core is not None and self.output is not None:
            self.core.segment.unlink()
            self.core.close()
            self.output.close()
            self.core = self.output = None

    def publish(self, count: int) -> None:
        """The next events, and those after them up to the end of a command."""
        end = min(self.made + count, len(self.rows))
        while end < len(self.rows) and self.rows["index"][end] != 0:
            end += 1
        self._publish(self.rows[self.made : end])
        self.made = end

    def _publish(self, rows: Rows) -> None:
        assert self.core is not None
        for place in range(0, len(rows), 4):
            some = rows[place : place + 4]
            claim(self.core.end, len(some))
            for number, row in enumerate(some):
                view(event_slot(self.core.end, number), EVENT, 1)[0] = row
            publish(self.core.end, len(some))

    def archive(self, count: int) -> None:
        end = min(self.archived + count, self.made)
        append(self.writer, self.rows[self.archived : end])
        self.archived = end

    def reopen(self, torn: int = 0) -> None:
        """The writer is killed, inside of a block when ``torn`` bytes of one are there."""
        self.writer.close()
        newest = max(self.directory.iterdir(), default=None)
        if newest is not None and torn:
            with newest.open("ab") as file:
                file.write(secrets.token_bytes(torn))
        self.writer = ArchiveWriter(self.directory, UUID, segment_bytes=SMALL)

    def follower(self, key: Key = NOTHING, **options: Any) -> Follower:
        made = Follower(ArchiveReader(self.directory, UUID), key, **options)
        made.use(self.output)
        return made

    def close(self) -> None:
        self.stop()
        self.writer.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, stream(400, 3))
    yield made
    made.close()


def drain(follower: Follower) -> tuple[list[Key], list[Gap]]:
    """Everything that there is now."""
    found: list[Key] = []
    gaps: list[Gap] = []
    while True:
        item = follower.read(16)
        if isinstance(item, Gap):
            gaps.append(item)
        elif len(item):
            found += keys(item)
        else:
            return found, gaps


# The search in the ring.


def test_the_ring_is_searched_for_the_event_behind_a_key(world: World) -> None:
    world.start()
    world.publish(30)
    assert world.output is not None
    made = keys(world.rows[: world.made])
    end = world.output.end

    for place, (sequence, index) in enumerate(made):
        assert find_behind(end, sequence, index, 0) == place + 1
        assert find_behind(end, sequence, INDEX_MAX, 0) >= place + 1
    assert find_behind(end, 0, -1, 1) == 0
    assert find_behind(end, made[-1][0] + 5, 0, 0) == len(made)


def test_a_ring_that_has_lost_the_event_itself_is_not_joined(world: World) -> None:
    world.start()
    world.publish(150)
    assert world.output is not None
    made = keys(world.rows[: world.made])
    end = world.output.end
    places = [int(find_behind(end, *key, 0)) for key in made]

    first = next(place for place, found in enumerate(places) if found != LAPPED)
    held = CAPACITY - 8
    assert world.made - CAPACITY - 1 <= first <= world.made - held
    assert places[:first] == [LAPPED] * first
    assert places[first:] == list(range(first + 1, world.made + 1))


def test_the_first_event_of_an_epoch_follows_its_base(world: World) -> None:
    world.start()
    world.publish(40)
    cut = next(n for n in range(20, 40) if world.rows["index"][n] == 0)
    base = int(world.rows["sequence"][cut - 1])
    last = int(world.rows["index"][cut - 1])
    world.start(base)
    assert world.output is not None
    end = world.output.end

    assert world.output.base_sequence == base
    assert find_behind(end, base, last, 1) == 0
    assert find_behind(end, base, last, 0) == LAPPED  # There might be one more of that command.
    assert find_behind(end, base, INDEX_MAX, 1) == 0
    assert find_behind(end, base - 1, INDEX_MAX, 1) == LAPPED
    assert find_behind(end, int(world.rows["sequence"][cut]), -1, 0) == 0


def test_an_empty_ring_is_joined_from_its_base_on_only(world: World) -> None:
    world.start(base=7)
    assert world.output is not None
    end = world.output.end

    assert find_behind(end, 7, 3, 1) == 0
    assert find_behind(end, 9, 0, 0) == 0
    assert find_behind(end, 6, 0, 1) == LAPPED


# The follower.


def test_what_the_ring_holds_is_read_from_the_ring(world: World) -> None:
    world.start()
    follower = world.follower()
    world.publish(20)

    assert drain(follower) == (keys(world.rows[: world.made]), [])
    assert (follower.mode, follower.joins) == (RING, 1)


def test_a_lapped_reader_goes_on_from_the_archive_and_comes_back(world: World) -> None:
    world.start()
    follower = world.follower()
    world.publish(20)
    found, _ = drain(follower)
    world.publish(200)
    assert drain(follower) == ([], [])  # The archive has nothing yet: it waits.
    assert follower.mode == ARCHIVE
    world.archive(100)
    found += drain(follower)[0]
    assert found == keys(world.rows[:100])
    world.archive(400)
    found += drain(follower)[0]
    world.publish(20)
    found += drain(follower)[0]

    assert found == keys(world.rows[: world.made])
    assert (follower.mode, follower.joins, follower.gaps) == (RING, 2, 0)


def test_a_follower_that_starts_at_a_key_gets_what_is_behind_it(world: World) -> None:
    world.start()
    world.publish(200)
    world.archive(190)
    for place in (0, 5, 77, 120, 180, 199):
        key = keys(world.rows)[place]
        found, gaps = drain(world.follower(key))
        assert (found, gaps) == (keys(world.rows[place + 1 : world.made]), [])


def test_a_new_epoch_that_begins_behind_a_snapshot_leaves_nothing_out(world: World) -> None:
    world.start()
    world.publish(100)
    world.archive(400)
    follower = world.follower()
    found = keys(follower.read(5))  # type: ignore[arg-type]
    world.start(int(world.rows["sequence"][60]))
    follower.use(world.output)
    world.publish(20)
    found += drain(follower)[0]

    assert found == keys(world.rows[: world.made])
    assert follower.gaps == 0


def test_a_core_that_is_on_its_way_again_repeats_nothing(world: World) -> None:
    """The follower joins a new ring before the core has come to where the follower is."""
    world.start()
    world.publish(30)
    follower = world.follower()
    found, _ = drain(follower)
    made, world.made = world.made, 0
    world.start()
    follower.use(world.output)
    assert drain(follower) == ([], [])
    assert follower.mode == RING

    world.publish(made + 10)
    found += drain(follower)[0]

    assert found == keys(world.rows[: world.made])


def test_what_the_archive_has_lost_is_a_gap_with_its_ends(world: World) -> None:
    world.start()
    follower = world.follower()
    world.publish(10)
    found, _ = drain(follower)
    world.publish(250)
    world.archive(220)
    world.writer.trim(2 * SMALL)
    oldest = ArchiveReader(world.directory, UUID).first

    more, gaps = drain(follower)

    assert gaps == [Gap(found[-1], oldest)]
    every = keys(world.rows[: world.made])
    assert more == every[every.index(oldest) :]
    assert follower.gaps == 1


def test_a_damaged_segment_is_a_gap_up_to_the_next_one(world: World) -> None:
    world.start()
    follower = world.follower()
    world.publish(220)
    world.archive(200)
    paths = sorted(world.directory.iterdir())
    image = bytearray(paths[1].read_bytes())
    image[4_096 + 200] ^= 1
    paths[1].write_bytes(image)
    third = ArchiveReader(world.directory, UUID)._headers()[2]

    found, gaps = drain(follower)

    every = keys(world.rows[: world.made])
    assert [gap.to for gap in gaps] == [third.first]
    lost = every[every.index(gaps[0].after) + 1 : every.index(third.first)]
    assert lost
    assert found == [key for key in every if key not in lost]


def test_without_an_archive_a_lap_is_a_gap_at_once(world: World) -> None:
    world.start()
    follower = Follower(None)
    follower.use(world.output)
    world.publish(10)
    found, _ = drain(follower)
    world.publish(200)

    more, gaps = drain(follower)

    every = keys(world.rows[: world.made])
    assert [gap.after for gap in gaps] == [found[-1]]
    assert more == every[every.index(gaps[0].to) :]


def test_an_archive_that_stays_behind_is_given_up_after_a_time(world: World) -> None:
    clock = [0]
    world.start()
    follower = world.follower(wait_ns=1_000, now_ns=lambda: clock[0])
    world.publish(200)
    world.archive(50)

    found, gaps = drain(follower)
    clock[0] = 999
    assert drain(follower) == ([], [])
    clock[0] = 1_000
    more, gaps = drain(follower)

    every = keys(world.rows[: world.made])
    assert found == every[:50]
    assert gaps == [Gap(every[49], more[0])]
    assert more == every[every.index(more[0]) :]


def test_without_a_core_the_archive_alone_is_followed(world: World) -> None:
    world.start()
    world.publish(100)
    world.archive(80)
    world.stop()
    follower = world.follower()

    assert drain(follower) == (keys(world.rows[:80]), [])


EXAMPLES = int(os.environ.get("FOLLOW_EXAMPLES", "10" if PURE else "40"))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=EXAMPLES, deadline=None, print_blob=True)
def test_random_histories_give_every_event_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Publish, lap, archive, kill, restart, trim; hypothesis prints the seed of a failure."""
    history = _History(tmp_path_factory.mktemp("follow"), seed)
    try:
        for _ in range(40):
            history.step()
        history.finish()
    finally:
        history.world.close()


class _History:
    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(directory, stream(1_500, seed, most=12))
        self.world.start()
        self.follower = self.world.follower()
        self.found: list[Key] = []
        self.gaps: list[Gap] = []
        self.trims = self.random.random() < 0.3

    def step(self) -> None:
        world, pick = self.world, self.random.random()
        if pick < 0.4:
            world.publish(self.random.choice([1, 5, 20, 70]))
        elif pick < 0.6:
            world.archive(self.random.choice([1, 10, 100]))
        elif pick < 0.7:
            world.reopen(self.random.choice([0, 1, 100, 300]))
        elif pick < 0.8:
            self._restart()
        elif pick < 0.9:  # The follower's process starts again, and knows its key.
            self.follower = world.follower(self.follower.key)
        elif self.trims:
            world.writer.trim(self.random.randrange(3 * SMALL))
        for _ in range(self.random.randrange(4)):
            self._read()

    def _restart(self) -> None:
        world = self.world
        snapshot = 0
        if world.archived and self.random.random() < 0.7:
            snapshot = int(world.rows["sequence"][self.random.randrange(world.archived)])
        if self.random.random() < 0.5:  # The old ring is emptied, or it is not.
            self._read(400)
        world.start(snapshot)
        self.follower.use(world.output)

    def _read(self, events_max: int = 0) -> bool:
        item = self.follower.read(events_max or self.random.choice([1, 7, 30]))
        if isinstance(item, Gap):
            # A second one may follow at once: what the first one led to has gone as well.
            ends = [NOTHING, *self.found[-1:], *(before(gap.to) for gap in self.gaps[-1:])]
            assert item.after == max(ends)
            self.gaps.append(item)
            return True
        self.found += keys(item)
        return len(item) > 0

    def finish(self) -> None:
        """In the end there is everything, but for what was trimmed."""
        self.world.archive(1 << 30)
        while self._read(64):
            pass
        every = keys(self.world.rows[: self.world.made])
        lost = [key for gap in self.gaps for key in every if gap.after < key < gap.to]
        assert self.found == [key for key in every if key not in set(lost)]
        assert self.trims or not self.gaps
        if every:
            assert read_all(self.world.directory, after=every[-1])[0].tobytes() == b""


def test_numbers_of_the_small_world_are_what_the_tests_take_them_for() -> None:
    rows = stream(400, 3)
    assert len(set(keys(rows))) == 400
    assert np.diff(rows["sequence"]).min() >= 0
