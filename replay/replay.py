"""Replay: journal to engine, the same code, no adapters, without disturbing a live exchange."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from core.constants import SLOT_BYTES
from core.journal.reader import Commands
from core.journal.verify import open_walk
from core.limits import from_genesis
from core.journal.layout import GENESIS
from core.messages import COMMAND
from core.sequencer import invariants
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State

RING_EVENTS = 1 << 14


class ReplayError(Exception):
    """The journal cannot be replayed as asked."""


def run(data: Path, *, to: int | None = None, check: bool = False) -> dict[str, Any]:
    """Apply the journal of ``data`` from genesis up to sequence ``to`` (None: all of it).

    ``check``: all invariants after each command; AssertionError names the first that broke and
    the sequence.  Raises JournalRefused, and ReplayError when ``to`` is not in the journal.
    """
    walk = open_walk(data)
    state: State | None = None
    ring: PrivateRing | None = None  # The state writes into it.
    commands = 0
    elapsed_ns = 0
    last = 0
    for item in walk:
        if not isinstance(item, Commands):
            if item.kind == GENESIS:
                state, ring = fresh(item.payload)
            continue
        if state is None:
            raise ReplayError(f"{data}: the journal does not begin with GENESIS")
        slots = item.slots if to is None else up_to(item, to)
        begun_ns = time.perf_counter_ns()
        if check:
            commands += apply_checked(state, slots)
        else:
            commands += int(apply_batch(state.address, item.address, len(slots)))
        elapsed_ns += time.perf_counter_ns() - begun_ns
        last = state["sequence"]
        if to is not None and item.last_sequence >= to:
            break
    if state is None or ring is None:
        raise ReplayError(f"{data}: the journal is empty")
    if to is not None and last != to:
        raise ReplayError(f"--to {to}: the journal has no such sequence; it was replayed to {last}")
    return {
        "sequence": last,
        "commands": commands,
        "events": state["events"],
        "trades": state["trades"],
        "open_orders": state["open_orders"],
        "state_hash": state.hash().hex(),
        "event_hash": f"{state['event_hash'] & (2**64 - 1):016x}",
        "seconds": round(elapsed_ns / 1e9, 6),
        "commands_per_s": round(commands * 1e9 / elapsed_ns) if elapsed_ns else 0,
    }


def fresh(genesis: bytes) -> tuple[State, PrivateRing]:
    """The state at genesis, with a ring that nobody reads."""
    limits, id_key = from_genesis(genesis)
    state = State(limits, id_key)
    ring = PrivateRing(RING_EVENTS)
    ring.attach(state)
    return state, ring


def up_to(item: Commands, to: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """The slots of the commands with a sequence of at most ``to``."""
    if item.last_sequence <= to:
        return item.slots
    place = 0
    while place < len(item.slots):
        command = item.slots[place].view(COMMAND)[0]
        if int(command["sequence"]) > to:
            break
        place += int(command["slots"])
    return item.slots[:place]


def apply_checked(state: State, slots: "np.ndarray[Any, np.dtype[np.uint8]]") -> int:
    """Apply one command at a time and check every invariant after each; how many."""
    place = done = 0
    while place < len(slots):
        command = slots[place].view(COMMAND)[0]
        count = int(command["slots"])
        address = slots.ctypes.data + place * SLOT_BYTES
        apply_batch(state.address, address, count)
        try:
            invariants.check(state)
        except AssertionError as broken:
            raise AssertionError(
                f"sequence {int(command['sequence'])}, kind {int(command['kind'])}: {broken}"
            ) from broken
        place += count
        done += 1
    return done
