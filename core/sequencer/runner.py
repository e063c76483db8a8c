"""The engine in the calling process, with an output ring of its own: replay, tests, benchmarks."""

from typing import Any

import numpy as np

from core.constants import OUTPUT_EVENTS, REPLY_BYTES, SLOT_BYTES
from core.limits import Limits
from core.messages import REPLY
from core.sequencer import invariants
from core.sequencer.engine import apply_batch
from core.sequencer.queries import REPLIES_MAX, answer
from core.sequencer.state import PrivateRing, State

Array = np.ndarray[Any, Any]


class Runner:
    """One engine: commands in, events out.  Raises LookupError when the events of one batch do
    not fit ``ring_events``."""

    def __init__(
        self,
        limits: Limits,
        id_key: tuple[int, ...],
        *,
        risk: bool = True,
        ring_events: int = OUTPUT_EVENTS,
    ) -> None:
        self.state = State(limits, id_key, risk=risk)
        self.ring = PrivateRing(ring_events)
        self.ring.attach(self.state)
        self._seen = 0

    def apply(self, slots: Array) -> int:
        """Apply stamped commands, ``slots`` of shape (n, 128); how many there were."""
        data = np.ascontiguousarray(slots, np.uint8).reshape(-1, SLOT_BYTES)
        return int(apply_batch(self.state.address, data.ctypes.data, len(data)))

    def events(self) -> Array:
        """All events since the last call."""
        end = self.ring.published()
        found = self.ring.between(self._seen, end)
        self._seen = end
        return found

    def query(self, slot: bytes) -> Array:
        """The answer to one QUERY slot, as REPLY rows."""
        raw = np.frombuffer(slot, np.uint8).copy()
        replies = np.zeros(REPLIES_MAX * REPLY_BYTES, np.uint8)
        count = answer(self.state.address, raw.ctypes.data, replies.ctypes.data)
        return replies[: int(count) * REPLY_BYTES].view(REPLY)

    def check(self) -> None:
        """Every invariant of the whole state; AssertionError with the first one broken."""
        invariants.check(self.state)

    def state_hash(self) -> bytes:
        return self.state.hash()

    def event_hash(self) -> int:
        """The rolling hash over every event so far."""
        return self.state["event_hash"]
