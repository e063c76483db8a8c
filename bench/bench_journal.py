"""The journal: one block in flight through the real append, beside raw write+sync of the same size.

Both write to segments prepared in the same way, turn by turn in one run, in the same mode; the raw
side is the two system calls (or the one) and nothing else.  ``ratio`` is p50 against p50.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.raw_disk import RawDisk
from core.clock import monotonic_ns, realtime_ns
from core.constants import BATCH_SLOTS_MAX, SLOT_BYTES
from core.crc32c import record_crc32c
from core.jit import kernel
from core.journal.access import block_row
from core.journal.appender import DIRECT, NO_ROOM, append
from core.journal.blocks import encode
from core.journal.config import JournalConfig
from core.journal.layout import (
    ALIGN_SYNC,
    BLOCK_BYTES_MAX,
    DATA,
    RELAXED,
    SYNC,
)
from core.journal.recovery import recover
from core.journal.scanner import Commands
from core.journal.verify import open_walk
from core.journal.writer import Writer
from core.libc import clock_monotonic_ns
from core.limits import SMALL
from core.memory import region, store_i32, store_i64
from core.messages import COMMAND, CRC_AT, PLACE_ORDER, SCHEMA

BLOCK_BYTES: Final = 4096
COMMANDS_4K: Final = 30  # Fill one block of 4,096 bytes.
SEGMENT_BYTES: Final = 64 << 20
SMOKE_SEGMENT_BYTES: Final = 4 << 20  # Below SMOKE_SECONDS making segments would take longest.
SMOKE_SECONDS: Final = 1.0
SAMPLES_MIN: Final = 48
WARM_UP: Final = 16


@kernel
def stamp(commands: int, count: int, first_sequence: int, timestamp_ns: int) -> None:
    """Give commands of one slot their sequence, time and checksum, as the sequencer does."""
    for index in range(count):
        place = commands + index * SLOT_BYTES
        store_i64(place, first_sequence + index)
        store_i64(place + 8, timestamp_ns)
        store_i32(place + CRC_AT, record_crc32c(place, 1))


@kernel
def timed_append(journal: int, commands: int, count: int, first_sequence: int, now_ns: int) -> int:
    """One append; nanoseconds, or when it failed a negative number (-1: no room)."""
    last = first_sequence + count - 1
    begun_ns = clock_monotonic_ns()
    done = append(journal, commands, count, count, first_sequence, last, now_ns)
    return clock_monotonic_ns() - begun_ns if done == 0 else min(done, -done)


@kernel
def encode_often(image: int, payload: int, turns: int) -> None:
    """Encode the same block ``turns`` times."""
    for _ in range(turns):
        encode(image, payload, ALIGN_SYNC)


class _Bench:
    """A journal of its own in ``directory``, with commands to write."""

    def __init__(self, directory: Path, durability: int, segment_bytes: int) -> None:
        config = JournalConfig(durability, limits=SMALL, segment_bytes=segment_bytes)
        self.data = directory / f"bench-{durability}"
        self.writer = Writer(recover(self.data, config))
        self.commands = np.zeros(BATCH_SLOTS_MAX, COMMAND)
        self.commands["kind"], self.commands["schema"] = PLACE_ORDER, SCHEMA
        self.commands["slots"] = 1
        self.commands["body"] = np.arange(80, dtype=np.uint8)
        self.address = int(self.commands.ctypes.data)

    def append(self, count: int) -> int:
        """Stamp and write one block; nanoseconds of the append alone."""
        first, now_ns = int(self.writer.row.next_sequence), realtime_ns()
        stamp(self.address, count, first, now_ns)
        taken_ns = timed_append(self.writer.address, self.address, count, first, now_ns)
        if taken_ns == -NO_ROOM:
            self.writer.rotate()
            taken_ns = timed_append(self.writer.address, self.address, count, first, now_ns)
        if taken_ns < 0:
            self.writer.fail(taken_ns)
        return int(taken_ns)


def run(seconds: float = 2.0, directory: Path | None = None) -> dict[str, Any]:
    """Measure for about ``seconds``; flat fields with their units.

    ``directory`` decides which disk: a new directory is made in it and removed again.
    """
    size = SEGMENT_BYTES if seconds >= SMOKE_SECONDS else SMOKE_SEGMENT_BYTES
    place = Path(tempfile.mkdtemp(prefix="outcry-bench-", dir=directory or Path.cwd()))
    try:
        return {
            **_interleaved(_Bench(place, SYNC, size), place, size, seconds * 0.5),
            **_throughput(_Bench(place, SYNC, size), "sync", seconds * 0.2),
            **_relaxed_latency(_Bench(place, RELAXED, size), seconds * 0.1),
            **_throughput(_Bench(place, RELAXED, size), "relaxed", seconds * 0.2),
            **_reading(place),
            "encode_4k_ns": _encoding_ns(),
        }
    finally:
        shutil.rmtree(place)


def _interleaved(bench: _Bench, place: Path, size: int, seconds: float) -> dict[str, Any]:
    mode, mode_name = int(bench.writer.row.mode), bench.writer.mode_name
    disk = RawDisk(place / "raw", size, direct=mode == DIRECT)
    ours: list[int] = []
    raw: list[int] = []
    end_ns = monotonic_ns() + int(seconds * 1e9)
    while monotonic_ns() < end_ns or len(ours) < SAMPLES_MIN:
        ours.append(bench.append(COMMANDS_4K))
        raw.append(disk.write(BLOCK_BYTES))
    disk.close()
    bench.writer.close()
    shutil.rmtree(bench.data)
    ours_ns, raw_ns = np.array(ours[WARM_UP:]), np.array(raw[WARM_UP:])
    found: dict[str, Any] = {"mode": mode_name, "samples": len(ours_ns)}
    for prefix, taken_ns in (("", ours_ns), ("baseline_", raw_ns)):
        for share in (50, 99):
            found[f"{prefix}p{share}_ns"] = int(np.percentile(taken_ns, share))
    found["ratio"] = round(found["p50_ns"] / found["baseline_p50_ns"], 4)
    return found


def _relaxed_latency(bench: _Bench, seconds: float) -> dict[str, Any]:
    taken_ns: list[int] = []
    end_ns = monotonic_ns() + int(seconds * 1e9)
    while monotonic_ns() < end_ns or len(taken_ns) < SAMPLES_MIN:
        taken_ns.append(bench.append(1))
    bench.writer.close()
    shutil.rmtree(bench.data)
    shares = np.percentile(np.array(taken_ns[WARM_UP:]), (50, 99))
    return {"relaxed_p50_ns": int(shares[0]), "relaxed_p99_ns": int(shares[1])}


def _throughput(bench: _Bench, name: str, seconds: float) -> dict[str, Any]:
    """Full blocks of 256 slots one after the other; stamping them is not counted."""
    blocks = taken_ns = 0
    end_ns = monotonic_ns() + int(seconds * 1e9)
    while monotonic_ns() < end_ns or blocks < 16:
        taken_ns += bench.append(BATCH_SLOTS_MAX)
        blocks += 1
    bench.writer.close()
    if name == "sync":
        shutil.rmtree(bench.data)
    return {f"{name}_commands_per_s": blocks * BATCH_SLOTS_MAX * 1_000_000_000 // taken_ns}


def _reading(place: Path) -> dict[str, Any]:
    """Read back and check the journal that the relaxed run left; the best of three."""
    best_ns = commands = 0
    for _ in range(3):
        commands, walk = 0, open_walk(place / f"bench-{RELAXED}")
        begun_ns = monotonic_ns()
        for item in walk:
            if isinstance(item, Commands):
                commands += len(item.slots)
        taken_ns = monotonic_ns() - begun_ns
        best_ns = min(best_ns or taken_ns, taken_ns)
    return {"read_commands_per_s": commands * 1_000_000_000 // best_ns, "read": commands}


def _encoding_ns() -> int:
    """What the journal adds to a raw write of 4,096 bytes: stamps, padding, checksums, chain."""
    _owner, image = region(BLOCK_BYTES_MAX)
    commands = np.zeros(COMMANDS_4K, COMMAND)
    block = block_row(image)
    block.kind, block.block_no, block.payload_bytes = DATA, 1, commands.nbytes
    turns = 1_000
    encode_often(image, int(commands.ctypes.data), 1)
    begun_ns = monotonic_ns()
    encode_often(image, int(commands.ctypes.data), turns)
    return (monotonic_ns() - begun_ns) // turns


if __name__ == "__main__":
    print(run())
