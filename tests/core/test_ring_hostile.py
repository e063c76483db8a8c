"""Rings scribbled over by a broken adapter: counted, refused, and nobody else's loss.

``decode`` says in plain Python what a poll may take from any bytes.  OUTCRY_SEEDS=N does N times
as much.
"""

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import messages as m
from core.atomics import load_word, store_word
from core.jit import MODE_NAME
from core.journal.config import JournalConfig
from core.journal.layout import SYNC
from core.limits import SMALL
from core.records import ASSET
from core.ring import (
    Ring,
    attach_inbound,
    attach_replies,
    create_inbound,
    create_replies,
    offer,
    poll,
    reply_push,
    take,
)
from core.sequencer.core import Core, CoreConfig
from core.sequencer.sequencer import turn
from core.shm import DIRECTORY, HEADER_BYTES, prefix, unlink_stale
from core.wake import BLOCK
from replay import replay

GATEWAY: Final = 3
CAPACITY: Final = 16
LANE: Final = 14
WORD: Final = st.integers(-(1 << 63), (1 << 63) - 1)
NEAR: Final = st.integers(-3, CAPACITY + 3)
UUIDS: list[str] = []


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """No segment outlives its test."""
    yield
    while UUIDS:
        unlink_stale(UUIDS.pop())


def new_prefix() -> str:
    UUIDS.append(secrets.token_hex(4))
    return prefix(UUIDS[-1], 1)


def slots_of(ring: Ring) -> "np.ndarray[Any, Any]":
    """The slots of an inbound ring, as commands."""
    return np.frombuffer(ring.segment.memory, m.COMMAND, offset=HEADER_BYTES)


def decode(rows: Any, consumed: int, produced: int, slots_max: int) -> tuple[list[bytes], int]:
    """The slots that a poll gives for any content of the ring, and how many faults it counts."""
    available = produced - consumed
    if not 0 <= available <= CAPACITY:
        return [], 1
    taken: list[bytes] = []
    faults = 0
    while len(taken) < min(available, slots_max):
        first = rows[(consumed + len(taken)) % CAPACITY].copy()
        slots = int(first["slots"])
        if not 1 <= slots <= min(4, available - len(taken)):
            faults += 1
            first["kind"], first["slots"], slots = 0, 1, 1
        if len(taken) + slots > slots_max:
            break
        first["gateway"] = GATEWAY
        first["session"] = int(first["session"]) & 0xFF_FFFF | GATEWAY << 24
        others = [(consumed + len(taken) + other) % CAPACITY for other in range(1, slots)]
        taken += [first.tobytes(), *(rows[other].tobytes() for other in others)]
    return taken, faults


@given(
    seed=st.integers(0, 1 << 32),
    rounds=st.lists(st.tuples(NEAR | WORD, WORD, st.integers(4, 64)), min_size=1, max_size=6),
    plausible=st.booleans(),
)
def test_a_poll_takes_what_the_rules_allow_whatever_is_in_the_ring(
    seed: int, rounds: list[tuple[int, int, int]], plausible: bool
) -> None:
    """Every byte that an adapter may write is random; a cursor may be near or anywhere."""
    ring = create_inbound(new_prefix(), "bad.0", GATEWAY, 1, CAPACITY)
    rng, out = np.random.default_rng(seed), np.zeros(64 + 4, m.COMMAND)
    raw = np.frombuffer(ring.segment.memory, np.uint8)
    consumed = faults = 0
    for ahead, consumer, slots_max in rounds:
        raw[:] = rng.integers(0, 256, len(raw), np.uint8)
        rows = slots_of(ring)
        if plausible:
            rows["slots"] = rng.integers(0, 6, CAPACITY)
        cursor = consumed + ahead if -4 < ahead < CAPACITY + 4 else ahead
        store_word(int(ring.row["produced_at"]), cursor)
        store_word(int(ring.row["consumed_at"]), consumer)
        expected, found_faults = decode(rows, consumed, cursor, slots_max)
        before = raw[HEADER_BYTES:].tobytes()
        out[:] = 0

        taken = poll(ring.end, int(out.ctypes.data), slots_max)

        assert [row.tobytes() for row in out[:taken]] == expected
        assert not out[taken + 4 :].tobytes().strip(b"\0")
        assert raw[HEADER_BYTES:].tobytes() == before
        consumed, faults = consumed + taken, faults + found_faults
        assert (int(ring.row["consumed"]), ring.faults) == (consumed, faults)
        if taken:
            assert load_word(int(ring.row["consumed_at"])) == consumed
    del raw, rows
    ring.segment.unlink()
    ring.close()


@given(
    cursors=st.lists(WORD | st.integers(-3, 12), min_size=1, max_size=12),
    seed=st.integers(0, 1 << 32),
)
def test_replies_never_leave_their_ring_whatever_the_adapter_says_it_took(
    cursors: list[int], seed: int
) -> None:
    """A lying consumer loses replies of its own; the producer writes at most a ring ahead of what
    it believes, and believes only what can be."""
    ring = create_replies(new_prefix(), "bad.0", GATEWAY, 1, 8)
    rng, rows = random.Random(seed), np.zeros(8, m.REPLY)
    believed = produced = faults = 0
    for cursor in cursors:
        store_word(int(ring.row["consumed_at"]), cursor)
        count = rng.randint(1, 8)
        sound = believed <= cursor <= produced
        believed, faults = (cursor, faults) if sound else (believed, faults + 1)
        fits = produced + count - believed <= 8

        assert reply_push(ring.end, int(rows.ctypes.data), count) == fits

        produced += count if fits else 0
        assert load_word(int(ring.row["produced_at"])) == produced
        assert (int(ring.row["consumed"]), ring.faults) == (believed, faults)
    ring.segment.unlink()
    ring.close()


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["order", "cancel", "poll"]), st.integers(1, 4)), max_size=60
    )
)
def test_orders_never_fill_the_last_eighth_and_cancels_may(steps: list[tuple[str, int]]) -> None:
    """A command goes in exactly when it fits: orders into seven eighths, cancels into all of it."""
    shm = new_prefix()
    core = create_inbound(shm, "test.0", GATEWAY, 1, CAPACITY)
    core.segment.publish()
    adapter = attach_inbound(shm, "test.0", GATEWAY, 1)
    rows, out = np.zeros(4, m.COMMAND), np.zeros(64, m.COMMAND)
    inside: list[tuple[int, int]] = []  # Number and slots of what was offered and not polled.
    for number, (step, slots) in enumerate(steps):
        filled = sum(count for _, count in inside)
        if step == "poll":
            expected: list[int] = []
            left = 4 * slots
            while inside and inside[0][1] <= left:
                left -= inside[0][1]
                expected.append(inside.pop(0)[0])
            count = poll(core.end, int(out.ctypes.data), 4 * slots)
            firsts = [row for row in out[:count] if row["kind"]]
            assert [int(row["request_id"]) for row in firsts] == expected
            continue
        canceling = step == "cancel"
        rows[0] = np.zeros((), m.COMMAND)
        rows[0]["slots"], rows[0]["request_id"] = slots, number
        rows[0]["kind"] = m.CANCEL_ORDER if canceling else m.PLACE_ORDER
        fits = filled + slots <= (CAPACITY if canceling else LANE)

        assert offer(adapter.end, int(rows.ctypes.data), slots, int(canceling)) == fits

        if fits:
            inside.append((number, slots))
        assert core.fill() == filled + (slots if fits else 0)
    adapter.close()
    core.segment.unlink()
    core.close()


ROUNDS: Final = {"release": 60, "checked": 40, "pure": 12}[MODE_NAME] * int(
    os.environ.get("OUTCRY_SEEDS", "1")
)


def asset(name: str, request_id: int) -> "np.ndarray[Any, Any]":
    """A CREATE_ASSET command."""
    slot = np.zeros(1, m.NEW_ASSET)
    slot["kind"], slot["schema"], slot["slots"] = m.CREATE_ASSET, m.SCHEMA, 1
    slot["request_id"], slot["name"] = request_id, m.packed(name, 36)
    return slot


def query(request_id: int) -> "np.ndarray[Any, Any]":
    slot = np.zeros(1, m.QUERY)
    slot["kind"], slot["schema"], slot["slots"] = m.QUERY_ASSETS, m.SCHEMA, 1
    slot["request_id"] = request_id
    return slot


def scribble(rng: random.Random, inbound: Ring, replies: Ring, cursor: int) -> None:
    """What a broken adapter may do to everything that it can write."""
    for ring in (inbound, replies):
        memory = ring.segment.memory
        for _ in range(rng.randint(1, 6)):
            start = rng.choice([8 * rng.randrange(64), rng.randrange(len(memory) - 4_096)])
            size = rng.choice([1, 8, 128, 4_096])
            memory[start : start + size] = rng.randbytes(size)
    if rng.random() < 0.7:
        rows = slots_of(inbound)
        for ahead in range(8):
            row = rows[(cursor + ahead) % len(rows)]
            row["slots"], row["kind"] = rng.randint(0, 5), rng.randrange(256)
            row["schema"] = rng.choice([m.SCHEMA, 0, 99])
        del rows
    lie = rng.choice([0, 1, 2, 5, 8, -1, 1 << 20, -(1 << 63)])
    store_word(int(inbound.row["produced_at"]), cursor + lie if abs(lie) < 99 else lie)


def test_a_hostile_adapter_harms_nobody_else(tmp_path: Path) -> None:
    """One gateway writes at random over all it can write, another one works: each of its commands
    is executed once and in order, each query answered, and the journal gives the live state."""
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    journal = JournalConfig(SYNC, SMALL, segment_bytes=1 << 20, allow_volatile=True)
    core = Core(CoreConfig(tmp_path, journal, ("good.0", "bad.0"), BLOCK, populate=False))
    UUIDS.append(core.shm.split("-")[1])
    core.publish()
    good = attach_inbound(core.shm, "good.0", 1, core.epoch)
    good_replies = attach_replies(core.shm, "good.0", 1, core.epoch)
    bad = attach_inbound(core.shm, "bad.0", 2, core.epoch)
    bad_replies = attach_replies(core.shm, "bad.0", 2, core.epoch)
    out, made, answers = np.zeros(64, m.REPLY), 0, []
    for number in range(1, ROUNDS + 1):
        scribble(rng, bad, bad_replies, int(core.inbound[1].row["consumed"]))
        if made < SMALL.assets_max // 2:
            made += 1
            slot = asset(f"A{made}", number)
            assert offer(good.end, int(slot.ctypes.data), 1, 0) == 1, seed
        slot = query(number)
        assert offer(good.end, int(slot.ctypes.data), 1, 0) == 1, seed
        for _ in range(20):
            core.step(int(turn(core.loop)))
            taken = take(good_replies.end, int(out.ctypes.data), 64)
            answers += [int(row["request_id"]) for row in out[:taken] if row["flags"] & 1]
            if answers and answers[-1] == number:
                break
    names = [bytes(row["name"]).rstrip(b"\0").decode() for row in assets_of(core, made)]
    live, faults = core.state.hash().hex(), core.inbound[1].faults + core.replies[1].faults
    good_faults = core.inbound[0].faults + core.replies[0].faults
    for ring in (good, good_replies, bad, bad_replies):
        ring.close()
    core.close()
    assert answers == list(range(1, ROUNDS + 1)), f"seed {seed}"
    assert names == [f"A{number}" for number in range(1, made + 1)], f"seed {seed}"
    assert (good_faults, faults > ROUNDS // 4) == (0, True), f"seed {seed}"
    assert replay.run(tmp_path, check_every=1)["state_hash"] == live, f"seed {seed}"
    assert not list(DIRECTORY.glob(f"{core.shm}-*"))


def assets_of(core: Core, count: int) -> Any:
    """The first ``count`` assets of the state, row 0 left out."""
    return core.state.rows("assets", ASSET, count + 1)[1:]
