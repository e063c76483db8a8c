"""Resume of a lapped reader: through the event archive until it has joined the ring again.

An archive and an output ring in /dev/shm hold the same stream of events, the ring only its end.
A follower that was lapped at the first event reads until it has joined the ring and has come to
the ring's end; every byte that it gets from the archive is checked.  Baseline: a plain read of the
bytes of the same files, in portions of the same size, which checks nothing.  Both run in turn.
"""

import os
import secrets
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from core import shm
from core.archive.follow import RING, Follower, Gap
from core.archive.reader import ArchiveReader
from core.archive.writer import ArchiveWriter
from core.constants import EVENT_BYTES
from core.jit import kernel
from core.memory import copy128
from core.messages import EVENT, LAST
from core.output import OutputRing, attach_output, claim, create_output, event_slot, publish

EVENTS: Final = 1 << 20
BEHIND: Final = 100_000  # Events of the ring that the archive does not have yet.
RING_EVENTS: Final = 1 << 18
PORTION: Final = 8_192
BLOCK: Final = 400  # Events of an append: about those of a block of 256 commands.
PER_COMMAND: Final = 3
MEMORY: Final = Path("/dev/shm")


@kernel
def fill_ring(end: int, source: int, count: int) -> int:
    """Publish events, as the core does."""
    for number in range(count):
        claim(end, 1)
        copy128(event_slot(end, 0), source + number * EVENT_BYTES)
        publish(end, 1)
    return count


def events_of(first: int, count: int) -> "np.ndarray[Any, Any]":
    """Events ``first`` to ``first + count - 1`` of the stream."""
    places = np.arange(first, first + count)
    rows = np.zeros(count, EVENT)
    rows["sequence"], rows["index"] = 1 + places // PER_COMMAND, places % PER_COMMAND
    rows["flags"] = np.where(places % PER_COMMAND == PER_COMMAND - 1, LAST, 0)
    rows["order_id"] = places
    return rows


def run(seconds: float) -> dict[str, Any]:
    """Measure for about ``seconds``; medians over runs that take turns."""
    uuid8 = secrets.token_hex(4)
    prefix = shm.prefix(uuid8, 1)
    core = create_output(prefix, 1, RING_EVENTS)
    core.segment.publish()
    output = attach_output(prefix, 1)
    try:
        with tempfile.TemporaryDirectory(dir=MEMORY) as name:
            directory = Path(name)
            append_ns = _fill(directory, core)
            resumed, plain = [_resume(directory, output)], [_plain(directory)]
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                resumed.append(_resume(directory, output))
                plain.append(_plain(directory))
    finally:
        output.close()
        core.segment.unlink()
        core.close()
    return _result(resumed, plain, append_ns)


def _fill(directory: Path, core: OutputRing) -> int:
    """Archive and publish the stream; nanoseconds that the archive took."""
    writer = ArchiveWriter(directory, bytes(16))
    took = 0
    for first in range(0, EVENTS, PORTION):
        rows = events_of(first, PORTION)
        address = int(rows.ctypes.data)
        fill_ring(core.end, address, len(rows))
        if first >= EVENTS - BEHIND:
            continue
        began = time.perf_counter_ns()
        for place in range(0, PORTION, BLOCK):
            writer.append(address + place * EVENT_BYTES, min(BLOCK, PORTION - place), 0)
        took += time.perf_counter_ns() - began
    writer.close()
    return took


def _resume(directory: Path, output: OutputRing) -> int:
    """One lapped reader; the nanoseconds until it has every event."""
    rows = np.empty(PORTION, EVENT)
    address = int(rows.ctypes.data)
    began = time.perf_counter_ns()
    reader = ArchiveReader(directory, bytes(16))
    follower = Follower(reader)
    follower.use(output)
    total = 0
    while total < EVENTS:
        count = follower.read_into(address, PORTION)
        if isinstance(count, Gap) or count == 0:
            raise RuntimeError(f"bench resume: {total} events, then {count}")
        total += count
    took = time.perf_counter_ns() - began
    if follower.mode != RING or follower.gaps or follower.key[0] != 1 + (EVENTS - 1) // PER_COMMAND:
        raise RuntimeError(f"bench resume: ended at {follower.key} in mode {follower.mode}")
    reader.close()
    return took


def _plain(directory: Path) -> int:
    """Read the same files with nothing else; nanoseconds for as many events."""
    buffer = bytearray(PORTION * EVENT_BYTES)
    total = 0
    began = time.perf_counter_ns()
    for path in sorted(directory.iterdir()):
        with open(path, "rb", buffering=0) as file:
            while got := file.readinto(buffer):
                total += got
    return int((time.perf_counter_ns() - began) * EVENTS * EVENT_BYTES / total)


def _result(resumed: list[int], plain: list[int], append_ns: int) -> dict[str, Any]:
    resumed_ns, plain_ns = statistics.median(resumed), statistics.median(plain)
    archived = (EVENTS - BEHIND + PORTION - 1) // PORTION * PORTION
    return {
        "bench": "resume",
        "events": EVENTS,
        "events_per_s": round(EVENTS * 1e9 / resumed_ns),
        "events_per_s_min": 2_000_000,
        "ns_per_event": round(resumed_ns / EVENTS, 2),
        "baseline_events_per_s": round(EVENTS * 1e9 / plain_ns),
        "ratio": round(plain_ns / resumed_ns, 3),
        "append_gb_per_s": round(archived * EVENT_BYTES / append_ns, 3),
        "repeats": len(resumed),
        "cpus": len(os.sched_getaffinity(0)),
    }


if __name__ == "__main__":
    print(run(3.0))
