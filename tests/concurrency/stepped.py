"""A writer that is stopped or killed at its every store: plain Python mode, one fork per life.

    NUMBA_DISABLE_JIT=1 python -m tests.concurrency.stepped

Reads lines ``WHAT SHM TOTAL KILL_AT`` and forks a child for each.  The child stores word by word
and stops itself before every store (KILL_AT 0: this process says ``stopped``, waits for a line,
and continues it) or kills itself before store number KILL_AT.  Then this process says ``ended``
and how.
"""
# ruff: noqa: T201

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from core import output, ring, shm
from core.memory import load_i64
from core.messages import COMMAND, FILL
from core.sequencer import events
from tests.concurrency import peers

REAL_EVENT_AT = events.event_at
PR_SET_PDEATHSIG = 1


class Steps:
    """Every store of a life, counted."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at, self.count = kill_at, 0

    def store(self, address: int, value: int) -> None:
        self.step()
        ctypes.c_int64.from_address(address).value = value

    def step(self) -> None:
        self.count += 1
        if self.kill_at == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def copy128(self, target: int, source: int) -> None:
        for offset in range(0, 128, 8):
            self.store(target + offset, load_i64(source + offset))

    def event_at(self, address: int) -> Any:
        return _Event(self, REAL_EVENT_AT(address))


class _Event:
    """A row whose every field is a step."""

    def __init__(self, steps: Steps, row: Any) -> None:
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "row", row)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.steps.step()
        setattr(self.row, name, value)


def hook(module: ModuleType, **names: Any) -> None:
    """Give a module other functions and constants under the names that it uses."""
    for name, value in names.items():
        assert hasattr(module, name)
        setattr(module, name, value)


def _as_writer(prefix: str) -> output.OutputRing:
    segment = shm.attach(f"{prefix}-out", shm.OUTPUT, 1, writable=True)
    return output.OutputRing(segment, segment.capacity)


def write_output(steps: Steps, prefix: str, total: int) -> None:
    """``claim``, patterns, ``publish``."""
    one = _as_writer(prefix)
    hook(output, store_release=steps.store)
    hook(peers, store_i64=steps.store)
    peers.write_events(one.end, total)


def write_engine(steps: Steps, prefix: str, total: int) -> None:
    """``reserve``, ``new_event``, ``mark_last``, ``publish`` of the engine, 3 events a command;
    the claim is made small, so that it fits a small ring."""
    one = _as_writer(prefix)
    hook(events, CLAIM_EVENTS=8, RESERVED_EVENTS=4)
    hook(events, store_release=steps.store, event_at=steps.event_at)
    state = SimpleNamespace(
        ring=one.slots, ring_mask=one.capacity - 1, ring_position=one.position_at,
        ring_claimed=one.claimed_at, cursor=0, claimed=0, hashed=0, events=0, event_hash=0,
        sequence=0, timestamp_ns=0, request_id=0, index=0,
    )  # fmt: skip
    while state.cursor < total:
        events.reserve(state)
        state.index = 0
        for _ in range(min(3, total - state.cursor)):
            state.sequence = state.timestamp_ns = state.cursor
            state.request_id = 7 * state.cursor
            events.new_event(state, FILL, 0).qty = state.sequence
        events.mark_last(state)
        events.publish(state)


def write_inbound(steps: Steps, prefix: str, total: int) -> None:
    """``attach_inbound`` and ``offer``."""
    hook(ring, store_release=steps.store, store_word=steps.store, copy128=steps.copy128)
    one = ring.attach_inbound(prefix, "test", 1, 1)
    buffer = np.zeros(4, COMMAND)
    peers.offer_commands(one.end, total, int(buffer.ctypes.data))


LIVES: dict[str, Callable[[Steps, str, int], None]] = {
    "output": write_output,
    "engine": write_engine,
    "inbound": write_inbound,
}


def live(what: str, prefix: str, total: int, kill_at: int) -> int:
    """One life; the status of the child that led it."""
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # Nobody is left stopped.
        try:
            LIVES[what](Steps(kill_at), prefix, total)
            os._exit(0)
        except BaseException as error:
            print(f"{what}: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        print("stopped", flush=True)
        sys.stdin.readline()
        os.kill(child, signal.SIGCONT)


def main() -> None:
    print("ready", flush=True)
    while line := sys.stdin.readline():
        what, prefix, total, kill_at = line.split()
        status = live(what, prefix, int(total), int(kill_at))
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
