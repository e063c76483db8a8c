"""A producer that is no adapter: its own ring of a live core, driven by compiled loops.

Answers come in the order of the commands, and the first event of each carries its request id, so
one pass over the events counts them, and checks every one.
"""

from typing import Any, Final

import numpy as np

from adapters.link import CoreFile
from bench.stream import advance, complete, stream_at
from core.atomics import fence_acquire, load_acquire
from core.constants import EVENT_BYTES, GATEWAY_SHIFT
from core.jit import inlined, kernel
from core.layout import record
from core.memory import pointer
from core.messages import EVENT
from core.output import at_output, attach_output, position
from core.ring import attach_inbound, offer
from core.wake import wake

SESSION: Final = 1
EVENTS_A_TAKE: Final = 4_096
FAULTS: Final = {
    1: "events were overwritten before they were read",
    2: "an answer is not that of the next command",
}
LAPPED: Final = 1
WRONG_ANSWER: Final = 2

PRODUCER: Final = record(
    "a producer's end of a live core; private memory",
    128,
    [
        ("inbound", "<i8"),  # Addresses of its ends.
        ("output", "<i8"),
        ("stream", "<i8"),  # Of the next command to send.
        ("sleeping_at", "<i8"),  # The core's word and FIFO.
        ("fifo", "<i8"),
        ("cursor", "<i8"),  # In the output ring.
        ("answered", "<i8"),  # Commands of the stream.
        ("refused", "<i8"),  # Offers for which there was no room.
        ("fault", "<i8"),
        ("reserved", "<i8", (7,)),
    ],
)
producer_at = pointer(PRODUCER)
_event_at = pointer(EVENT)


@inlined
def send(producer: int) -> int:
    """Offer the next command of the stream; 1, or 0: no room."""
    row = producer_at(producer)
    if offer(row.inbound, complete(row.stream), 1, 0) == 0:
        row.refused += 1
        return 0
    advance(row.stream)
    return 1


@inlined
def rouse(producer: int) -> None:
    """Wake the core if it sleeps: after a send, or several."""
    row = producer_at(producer)
    wake(row.sleeping_at, row.fifo)


@inlined
def take(producer: int) -> int:
    """Look through what was published since; how many more commands are answered.

    0 when ``fault`` is set, which it then stays.
    """
    row = producer_at(producer)
    ring = at_output(row.output)
    end = min(load_acquire(ring.position_at), row.cursor + EVENTS_A_TAKE)
    if end == row.cursor:
        return 0
    expected = stream_at(row.stream).first_request + row.answered
    answered = 0
    fault = 0
    for place in range(row.cursor, end):
        event = _event_at(ring.slots + (place & ring.mask) * EVENT_BYTES)
        if event.index == 0:
            if event.fee != expected + answered:
                fault = WRONG_ANSWER
            answered += 1
    fence_acquire()
    if load_acquire(ring.claimed_at) - row.cursor > ring.capacity:
        fault = LAPPED
    if fault != 0:
        row.fault = fault
        return 0
    row.cursor = end
    row.answered += answered
    return answered


@kernel
def give(producer: int, slots: int, count: int) -> int:
    """Offer one command of ``count`` slots that is not of the stream; 1, or 0: no room."""
    done = offer(producer_at(producer).inbound, slots, count, 0)
    rouse(producer)
    return done


@kernel
def skip(producer: int) -> int:
    """Go on behind the newest event; where that is."""
    row = producer_at(producer)
    row.cursor = position(row.output)
    return row.cursor  # type: ignore[no-any-return]


class Producer:
    """Attached to a core's gateway ``name``; ``address`` is what the kernels take."""

    def __init__(self, core: CoreFile, name: str, fifo: int, stream: int) -> None:
        gateway = core.gateways[name]
        self.session = gateway << GATEWAY_SHIFT | SESSION
        self._inbound = attach_inbound(core.shm, name, gateway, core.epoch)
        self._output = attach_output(core.shm, core.epoch)
        self._record = np.zeros(1, PRODUCER)
        self.row = self._record[0]
        self.row["inbound"], self.row["output"] = self._inbound.end, self._output.end
        self.row["stream"], self.row["fifo"] = stream, fifo
        self.row["sleeping_at"] = self._output.sleeping_at
        self.address = int(self._record.ctypes.data)

    @property
    def answered(self) -> int:
        """Commands of the stream that are answered."""
        return int(self.row["answered"])

    @property
    def refused(self) -> int:
        """Offers for which there was no room."""
        return int(self.row["refused"])

    def give(self, slots: "np.ndarray[Any, Any]") -> bool:
        """Offer one command that is not of the stream; False: no room."""
        return give(self.address, slots.ctypes.data, len(slots)) == 1

    def skip(self) -> None:
        """Go on behind the newest event."""
        skip(self.address)

    def check(self) -> None:
        """RuntimeError when answers were missed or are not those of the commands."""
        if self.row["fault"]:
            raise RuntimeError(f"producer: {FAULTS[int(self.row['fault'])]}")

    def close(self) -> None:
        """Unmap the rings."""
        self._inbound.close()
        self._output.close()
