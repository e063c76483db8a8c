"""Shared memory that nobody uses any more: what a killed exchange left in /dev/shm.

The next start on its data directory takes it away itself, after a look at it: the ring of a killed
``relaxed`` core may be the last that knows which sequences clients have seen.  So ``--mend`` leaves
alone what belongs to the data directory at hand, and what is younger than a minute.
"""

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path
from typing import Final, NamedTuple

from core.counters import HEARTBEAT_NS, WORD_BYTES
from core.shm import HEADER_BYTES

NAME: Final = re.compile(r"outcry-([0-9a-f]{8})-(\d{1,18})-[a-z0-9.-]{1,64}")
COUNTERS: Final = "counters"
YOUNG_S: Final = 60.0
ALIVE_NS: Final = 60_000_000_000


class Life(NamedTuple):
    """The segments of one life of a core."""

    uuid8: str
    epoch: int
    paths: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(path.stat().st_blocks * 512 for path in self.paths if path.exists())


def lives(shm: Path) -> list[Life]:
    """What lies in /dev/shm and is this user's."""
    found: dict[tuple[str, int], list[Path]] = {}
    for path in sorted(shm.glob("outcry-*")):
        match = NAME.fullmatch(path.name)
        with contextlib.suppress(FileNotFoundError):
            if match and path.lstat().st_uid == os.geteuid() and not path.is_symlink():
                found.setdefault((match[1], int(match[2])), []).append(path)
    return [Life(*key, tuple(paths)) for key, paths in found.items()]


def dead(root: Path, shm: Path, data: Path) -> tuple[list[Life], list[Life]]:
    """Dead lives: of the journal in ``data``, which its next start looks at, and of others.

    Dead: no process has a segment mapped, all are old, and the core, which may run in another
    container, shows no sign of life.
    """
    used = mapped(root)
    found = [
        life
        for life in lives(shm)
        if not any(path.name in used for path in life.paths)
        and not _is_young(life)
        and not _beats(life)
    ]
    journal = data / "journal"
    own8 = {path.name[:8] for path in journal.iterdir()} if journal.is_dir() else set()
    own = [life for life in found if life.uuid8 in own8]
    return own, [life for life in found if life.uuid8 not in own8]


def mapped(root: Path) -> set[str]:
    """Names of the segments that any process has mapped, as far as we may see."""
    found: set[str] = set()
    for maps in (root / "proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            found.update(match[0] for match in NAME.finditer(maps.read_text(errors="replace")))
    return found


def _is_young(life: Life) -> bool:
    now = time.time()
    return any(now - path.stat().st_mtime < YOUNG_S for path in life.paths if path.exists())


def _beats(life: Life) -> bool:
    """Has the core shown itself within the last minute of this machine's clock?"""
    for path in life.paths:
        if path.name.endswith(f"-{COUNTERS}"):
            with contextlib.suppress(OSError):
                with path.open("rb") as file:
                    file.seek(HEADER_BYTES + HEARTBEAT_NS * WORD_BYTES)
                    beat_ns = int.from_bytes(file.read(WORD_BYTES), "little")
                return 0 <= time.monotonic_ns() - beat_ns < ALIVE_NS and beat_ns > 0
    return False


def remove(life: Life) -> list[str]:
    """Remove the segments of a dead life; the names removed, none when somebody locks one."""
    descriptors = []
    try:
        for path in life.paths:
            descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
            fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # Locked by an adapter that we do not see, or gone meanwhile.
        return []
    else:
        for path in life.paths:
            path.unlink(missing_ok=True)
        return [path.name for path in life.paths]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
