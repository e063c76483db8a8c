"""``outcry ring dump``: the newest slots of a ring of a running exchange, or of one that crashed.

Segments are mapped read-only; nothing in them is touched.  A ring is written while it is read: what
may have been overwritten meanwhile is left out, and said.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from adapters.link import read_core_file
from core import memory
from core.atomics import load_word
from core.constants import EVENT_BYTES, REPLY_BYTES, SLOT_BYTES
from core.journal.segments import journal_directory
from core.layout import offset_of
from core.messages import EVENT, REPLY
from core.output import OUTPUT_HEADER
from core.ring import RING
from core.shm import DIRECTORY, HEADER_BYTES, INBOUND, LINE_0, OUTPUT, REPLIES, Segment, attach
from replay import slots as decode
from tools import exits
from tools.journal_dump import csv_line

Row = dict[str, Any]

# Words of the header that say how far each side is.
WORDS: Final = {
    OUTPUT: ("position", "claimed", "sleeping"),
    INBOUND: ("produced", "consumed", "sleeping", "incarnation", "events_read"),
    REPLIES: ("produced", "consumed"),
}
HEADERS: Final = {OUTPUT: OUTPUT_HEADER, INBOUND: RING, REPLIES: RING}
SLOT_SIZES: Final = {OUTPUT: EVENT_BYTES, INBOUND: SLOT_BYTES, REPLIES: REPLY_BYTES}
# Said at the beginning of a line of text, or in the header.
_LEADING: Final = frozenset({"record", "place", "kind", "schema"})
LINE_0_WORDS: Final = tuple(name for name, *_ in LINE_0 if "reserved" not in name)


class Place(NamedTuple):
    """Where the segments of a core are."""

    shm: str
    epoch: int
    is_live: bool  # core.json is there; the core itself may have crashed.


def place_of(data: Path) -> Place:
    """The running core, else what a dead one left in /dev/shm.  Stop when there is neither."""
    core = read_core_file(data / "run")
    if core is not None:
        return Place(core.shm, core.epoch, is_live=True)
    directory = journal_directory(data)
    if directory is not None:
        start = f"outcry-{directory.name[:8]}-"
        names = [path.name[len(start) :] for path in DIRECTORY.glob(f"{start}*")]
        epochs = {int(name.split("-")[0]) for name in names if name.split("-")[0].isdecimal()}
        if epochs:
            return Place(f"{start}{max(epochs)}", max(epochs), is_live=False)
    raise exits.Stop(
        exits.USAGE, f"{data}: no exchange runs here, and none left a ring in {DIRECTORY}"
    )


def names_of(place: Place) -> list[str]:
    """Names of the rings that are there."""
    start = f"{place.shm}-"
    found = [path.name[len(start) :] for path in DIRECTORY.glob(f"{start}*")]
    return sorted(name for name in found if name != "counters")


def open_ring(place: Place, name: str) -> tuple[Segment, int]:
    """A ring mapped read-only, and its kind.  Stop when there is no such ring."""
    known = names_of(place)
    if name not in known:
        raise exits.Stop(
            exits.USAGE, f"--ring: expected one of {', '.join(known) or 'none'}, got {name!r}"
        )
    kind = OUTPUT if name == "out" else INBOUND if name.startswith("in-") else REPLIES
    return attach(f"{place.shm}-{name}", kind, place.epoch, writable=False), kind


def header_of(segment: Segment, kind: int) -> Row:
    """Words of the header, by name."""
    return {
        name: load_word(segment.address + offset_of(HEADERS[kind], name))
        for name in (*LINE_0_WORDS, *WORDS[kind])
    }


def lines(data: Path, name: str, last: int, form: str) -> Iterator[str]:
    """The header, then the newest ``last`` commands, events or replies, oldest first."""
    place = place_of(data)
    segment, kind = open_ring(place, name)
    try:
        before = header_of(segment, kind)
        head, rows = _read(segment, kind, before, last)
    finally:
        segment.close()
    head = {"record": "ring", "ring": name, "segment": segment.name, **head}
    yield from formatted(head, rows, form)


def _read(segment: Segment, kind: int, before: Row, last: int) -> tuple[Row, list[Row]]:
    size, capacity = SLOT_SIZES[kind], segment.capacity
    written = before["position"] if kind == OUTPUT else before["produced"]
    oldest = max(0, written - capacity)
    first = max(oldest, written - last) if kind != INBOUND else oldest
    raw = memory.view(segment.address + HEADER_BYTES, decode.U1, capacity * size)
    image = raw.reshape(capacity, size)[decode.places(first, written, capacity - 1)].copy()
    after = header_of(segment, kind)
    # What was written while this copied: the oldest of it may be other slots by now.
    reached = after["claimed"] if kind == OUTPUT else after["produced"]
    lost = max(0, reached - capacity - first)
    image, first = image[lost:], first + lost
    if kind == INBOUND:
        rows = decode.commands(image, first, before["consumed"])
        if len(image) and not rows:  # Scribbled over, or lapped while it was copied.
            before["undecodable_slots"] = len(image)
        rows = rows[-last:]
    elif kind == OUTPUT:
        rows = [decode.event(row, first + at) for at, row in enumerate(image.view(EVENT)[:, 0])]
    else:
        rows = [decode.reply(row, first + at) for at, row in enumerate(image.view(REPLY)[:, 0])]
    return before, rows


def formatted(head: Row, rows: list[Row], form: str) -> Iterator[str]:
    """Lines of text, JSON or CSV (rows alone)."""
    if form == "csv":
        columns = list(dict.fromkeys(name for row in rows for name in row))
        yield csv_line(columns)
        for row in rows:
            yield csv_line([row.get(name, "") for name in columns])
    elif form == "jsonl":
        for row in (head, *rows):
            yield decode.json_line(row)
    else:
        yield " ".join(f"{name}={value}" for name, value in head.items() if name != "record")
        for row in rows:
            said = [
                f"{name}={value}"
                for name, value in row.items()
                if name not in _LEADING and value not in (0, "", None)
            ]
            yield " ".join([f"{row['place']:>12} {row['kind']:<17}", *said]).rstrip()
