"""``outcry journal verify``: read everything, change nothing; also beside a live exchange."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from core.journal import header as headers
from core.journal import witness
from core.journal.ahead import AHEAD_ITEMS, read_ahead
from core.journal.create import HINT_PLACE
from core.journal.errors import Fault, JournalRefused
from core.journal.lock import is_held
from core.journal.place import Place
from core.journal.reader import Walk
from core.journal.recovery import refuse_lost
from core.journal.segments import JOURNAL_NAME, inventory, journal_directory, segment_path
from core.journal.snapshots import SNAPSHOTS_NAME, manifests, newest_sequence


class Verified(NamedTuple):
    """What was read."""

    last_sequence: int
    blocks: int
    commands: int
    segments: int
    tail: str  # CLEAN; TORN, LOST: the next start will cut ``tail_bytes`` away.
    tail_bytes: int
    live: bool  # A writer was at work.


def open_walk(
    data: Path, *, start: Place | None = None, oldest: bool = False, buffers: int = 1
) -> Walk:
    """A walk through the journal of ``data``, beside whoever writes it; it watches for the chain of
    the witness.

    Raises JournalRefused when there is no journal.
    """
    directory, uuid = locate(data)
    watch = witness.read(directory, uuid).sequence
    live = _live(data)
    return Walk(
        directory, uuid, start=start, oldest=oldest, watch=watch, is_live=live, buffers=buffers
    )


def judge_end(data: Path, walk: Walk) -> None:
    """JournalRefused when a witness, a snapshot or a header proves that durable data is gone."""
    if walk.tail is None:  # The end was not seen, so it cannot be judged.
        return
    witnessed = witness.read(walk.directory, walk.uuid)
    if witnessed.sequence != walk.state.watch_sequence:  # Written since, beside a live exchange.
        witnessed = witness.NOTHING
    seen = newest_sequence(data, walk.uuid)
    if _live(data)():  # Made since the walk began, perhaps.
        seen = 0
    refuse_lost(walk.tail, walk.directory, witnessed, walk, seen)


def _refuse_uncovered(data: Path, directory: Path) -> None:
    """JournalRefused when segments are missing that no snapshot stands for."""
    numbers = inventory(directory)
    base = base_sequence(directory, numbers)
    if not numbers or (numbers[0] == 1 and not base):
        return
    uuid = bytes.fromhex(directory.name.replace("-", ""))
    places = [found.place.segment_no for found in manifests(data, uuid)]
    if places and numbers[0] == 1:
        return
    if numbers[0] == 1:
        detail = f"the journal goes on from sequence {base}, and there is no snapshot of it"
        raise JournalRefused(Fault.SNAPSHOT, data / SNAPSHOTS_NAME, 0, detail)
    if max(places, default=0) < numbers[0]:
        path = segment_path(directory, numbers[0] - 1)
        detail = "this segment is missing, and there is no snapshot of what it held"
        raise JournalRefused(Fault.INVENTORY, path, 0, detail)


def base_sequence(directory: Path, numbers: list[int]) -> int:
    """What a journal goes on from, as its first segment says, if that is there; 0: from nothing.

    A header that cannot be read is for the walk to judge.
    """
    if not numbers or numbers[0] != 1:
        return 0
    try:
        return headers.read(segment_path(directory, 1)).first_sequence - 1
    except JournalRefused:
        return 0


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
    directory, _uuid = locate(data)
    live = is_held(data)
    _refuse_uncovered(data, directory)
    walk = open_walk(data, oldest=True, buffers=AHEAD_ITEMS + 2)
    for _ in read_ahead(walk):
        pass
    tail = walk.tail
    assert tail is not None
    judge_end(data, walk)
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
