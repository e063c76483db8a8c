"""Restart: from the start of the core's process until adapters can attach to it.

Cases: a tail of a million commands from genesis; ten times that behind a snapshot; a sparse tail,
one command a block, 4 KiB each, beside which a raw read of the same bytes is the baseline.
"""

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import flow as flows
from bench.journal_make import JournalMaker, Made
from core.journal.ahead import AHEAD_ITEMS, read_ahead
from core.journal.segments import journal_directory
from core.journal.verify import open_walk
from replay import snapshots

BLOCK: Final = 256
REPEATS: Final = 3
READ_BYTES: Final = 4 << 20
WAIT_S: Final = 120.0
SNAPSHOT_AFTER: Final = 100_000


def run(path: Path, commands: int, sparse: int, directory: Path | None = None) -> dict[str, Any]:
    """``commands`` behind genesis, ten times as many behind a snapshot, ``sparse`` single ones."""
    flow = flows.read_flow(path)
    found: dict[str, Any] = {"flow": path.name}
    with tempfile.TemporaryDirectory(dir=directory) as place:
        data = Path(place) / "genesis"
        made = JournalMaker(data, flow, BLOCK).write(commands)
        found |= _timed("genesis", data, made, made.commands)
    with tempfile.TemporaryDirectory(dir=directory) as place:
        data = Path(place) / "snapshot"
        first = JournalMaker(data, flow, BLOCK).write(SNAPSHOT_AFTER)
        base = snapshots.make(data).sequence
        made = JournalMaker(data, flow, BLOCK).write(10 * commands)
        found |= {"snapshot_sequence": base, "snapshot_first_commands": first.commands}
        found |= _timed("snapshot", data, made, made.commands - base)
    with tempfile.TemporaryDirectory(dir=directory) as place:
        data = Path(place) / "sparse"
        made = JournalMaker(data, flow, 1).write(sparse)
        found |= _bandwidth(data)
        found |= _timed("sparse", data, made, made.commands)
    return found


def _timed(name: str, data: Path, made: Made, tail: int) -> dict[str, Any]:
    seconds = [_start(data, made) for _ in range(REPEATS)]
    return {
        f"{name}_tail_commands": tail,
        f"{name}_ready_s": round(median(seconds), 3),
        f"{name}_ready_min_s": round(min(seconds), 3),
    }


def _start(data: Path, made: Made) -> float:
    """Seconds from the start of the process until core.json is there; the process is killed."""
    core_file = data / "run" / "core.json"
    core_file.unlink(missing_ok=True)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "core.sequencer", "--data", str(data), "--durability", "sync"),
            *("--gateways", "bench.0", "--limits", json.dumps(made.limits._asdict())),
        ],
    )
    try:
        while not core_file.exists():
            if process.poll() is not None or time.perf_counter() - begun > WAIT_S:
                raise RuntimeError(f"the core did not start: exit code {process.poll()}")
            time.sleep(0.002)
        return time.perf_counter() - begun
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        _give_back(data)


def _give_back(data: Path) -> None:
    """What a killed core has left in shared memory."""
    directory = journal_directory(data)
    assert directory is not None
    for segment in Path("/dev/shm").glob(f"outcry-{directory.name[:8]}-*"):
        segment.unlink(missing_ok=True)


def _bandwidth(data: Path) -> dict[str, Any]:
    """Bytes a second of reading and checking the tail, and of a raw read beside it; cold both."""
    raw, checked = [], []
    for _ in range(REPEATS):
        _forget(data)
        raw.append(_raw(data))
        _forget(data)
        checked.append(_checked(data))
    return {
        "sparse_bytes_per_s": round(median(checked)),
        "baseline_raw_bytes_per_s": round(median(raw)),
        "ratio": round(median(checked) / median(raw), 3),
    }


def _segments(data: Path) -> list[Path]:
    directory = journal_directory(data)
    assert directory is not None
    return sorted(directory.glob("*.seg"))


def _forget(data: Path) -> None:
    for path in _segments(data):
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def _raw(data: Path) -> float:
    room = mmap.mmap(-1, READ_BYTES)
    total = 0
    begun = time.perf_counter()
    for path in _segments(data):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        offset = 0
        while done := os.preadv(fd, [room], offset):
            offset += done
        os.close(fd)
        total += offset
    return total / (time.perf_counter() - begun)


def _checked(data: Path) -> float:
    total = sum(path.stat().st_size for path in _segments(data))
    begun = time.perf_counter()
    for _ in read_ahead(open_walk(data, buffers=AHEAD_ITEMS + 2)):
        pass
    return total / (time.perf_counter() - begun)
