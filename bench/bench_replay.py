"""Replay: journal to engine, checked and compared; then with every event archived to a null device.

The baseline is reading alone: the same journal, every block checked, nothing applied.
"""

import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import flow as flows
from bench.journal_make import JournalMaker
from core.archive.writer import ArchiveWriter
from core.journal.ahead import AHEAD_ITEMS, read_ahead
from core.journal.verify import locate, open_walk
from replay import replay
from replay.shadow import Shadow

BLOCK: Final = 256
REPEATS: Final = 3


def run(path: Path, commands: int, directory: Path | None = None) -> dict[str, Any]:
    """A journal of at least ``commands`` of the flow at ``path``; flat fields.

    AssertionError when a replay has another state than the run that wrote the journal.
    """
    with tempfile.TemporaryDirectory(dir=directory) as place:
        data = Path(place) / "data"
        made = JournalMaker(data, flows.read_flow(path), BLOCK).write(commands)
        reading = [_reading(data) for _ in range(REPEATS)]
        plain, archived = [], []
        for _ in range(REPEATS):
            found = replay.run(data)
            assert found["state_hash"] == made.state_hash, "replay differs from the writer's run"
            plain.append(int(found["commands_per_s"]))
            archived.append(_archived(data, made.state_hash))
    return {
        "flow": path.name,
        "commands": made.commands,
        "commands_per_s": round(median(plain)),
        "archived_commands_per_s": round(median(archived)),
        "baseline_reading_commands_per_s": round(median(reading)),
        "ratio": round(median(plain) / median(reading), 3),
        "archived_ratio": round(median(archived) / median(reading), 3),
        "state_hash": made.state_hash,
    }


def _reading(data: Path) -> float:
    """Commands a second, read and checked."""
    begun = time.perf_counter()
    walk = open_walk(data)
    for _ in walk:
        pass
    return int(walk.state.commands) / (time.perf_counter() - begun)


def _archived(data: Path, state_hash: str) -> float:
    """Commands a second, compared with every CHECKPOINT and every event archived."""
    directory, uuid = locate(data)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        sink = ArchiveWriter(Path(os.devnull), uuid, fd=null)
        shadow = Shadow(directory, uuid, None, sink)
        walk = open_walk(data, buffers=AHEAD_ITEMS + 2)
        begun = time.perf_counter()
        for item in read_ahead(walk):
            shadow.take(item)
        elapsed = time.perf_counter() - begun
        assert shadow.replay is not None
        assert shadow.replay.state.hash().hex() == state_hash
        return shadow.replay.commands / elapsed
    finally:
        os.close(null)
