"""``outcry journal verify``: read everything, change nothing; also beside a live exchange."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from core.journal import witness
from core.journal.create import HINT_PLACE
from core.journal.errors import Fault, JournalRefused
from core.journal.lock import is_held
from core.journal.reader import Walk
from core.journal.recovery import refuse_lost
from core.journal.segments import JOURNAL_NAME, journal_directory


class Verified(NamedTuple):
    """What was read."""

    last_sequence: int
    blocks: int
    commands: int
    segments: int
    tail: str  # CLEAN; TORN, LOST: the next start will cut ``tail_bytes`` away.
    tail_bytes: int
    live: bool  # A writer was at work.


def open_walk(data: Path, *, watch: int = 0) -> Walk:
    """A walk through the journal of ``data``, beside whoever writes it.

    Raises JournalRefused when there is no journal.
    """
    directory, uuid = locate(data)
    return Walk(directory, uuid, watch=watch, is_live=_live(data))


def locate(data: Path) -> tuple[Path, bytes]:
    """Directory and uuid of the journal of ``data``; raises JournalRefused when there is none."""
    directory = journal_directory(data)
    if directory is None:
        root = data / JOURNAL_NAME
        raise JournalRefused(Fault.MISSING, root, 0, "there is no journal", HINT_PLACE)
    return directory, bytes.fromhex(directory.name.replace("-", ""))


def _live(data: Path) -> Callable[[], bool]:
    return lambda: is_held(data)


def verify(data: Path) -> Verified:
    """Read and check the whole journal; raises JournalRefused at the first fault."""
    directory, uuid = locate(data)
    live = is_held(data)
    witnessed = witness.read(directory, uuid)
    walk = Walk(directory, uuid, watch=witnessed.sequence, is_live=_live(data))
    for _ in walk:
        pass
    tail = walk.tail
    assert tail is not None
    refuse_lost(tail, directory, witnessed, walk.state)
    return Verified(
        last_sequence=int(walk.state.last_sequence),
        blocks=int(walk.state.blocks),
        commands=int(walk.state.commands),
        segments=len(walk.segments),
        tail=tail.kind,
        tail_bytes=tail.extent,
        live=live,
    )


def run(data: Path) -> dict[str, Any]:
    """As ``verify``, as flat fields for the command line."""
    return verify(data)._asdict()
