"""The event archive as text, JSON lines or CSV, and a check of every byte of it."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from core.archive.errors import ArchiveDamaged, ArchiveGap
from core.archive.layout import NOTHING, SEGMENT_HEADER_BYTES, Key
from core.archive.reader import ArchiveReader, before
from core.archive.segments import segment_numbers, segment_path
from core.constants import SEQUENCE_MAX
from core.journal.verify import locate
from core.messages import EVENT, EVENT_NAMES, text
from tools import exits

EVENTS_NAME: Final = "events"
FORMATS: Final = ("text", "jsonl", "csv")
COLUMNS: Final = (
    *("sequence", "index", "kind"),
    *(name for name in EVENT.names or () if name not in ("sequence", "index", "kind")),
    *("missing_after", "missing_to"),
)
READ_EVENTS: Final = 4_096

Row = dict[str, Any]


def rows(data: Path, first: int, last: int | None) -> Iterator[Row]:
    """Events of sequences ``first`` to ``last``; where some are missing a row with kind GAP.

    Begins at the oldest event at hand when ``first`` is older.  Raises exits.Stop (80) where a file
    is damaged, with its name, the offset and the reason: what came before has been given by then.
    """
    end = SEQUENCE_MAX if last is None else last
    reader = _reader(data)
    try:
        for item in _walk(reader, (first, -1)):
            if isinstance(item, ArchiveGap):
                if item.oldest is None or item.oldest[0] > end:
                    return
                yield _gap(item.after, item.oldest)
                continue
            for event in item:
                if int(event["sequence"]) > end:
                    return
                yield _row(event)
    finally:
        reader.close()


def verify(data: Path) -> dict[str, Any]:
    """Read and check everything; what there is.  Raises exits.Stop (80) at the first damage."""
    reader = _reader(data)
    numbers = segment_numbers(reader.directory)
    events, gaps, size = 0, 0, 0
    try:
        last = NOTHING
        for item in _walk(reader, (0, -1)):
            if isinstance(item, ArchiveGap):
                gaps += events > 0  # What was trimmed off its beginning is no gap inside.
            else:
                events += len(item)
                last = int(item[-1]["sequence"]), int(item[-1]["index"])
        for number in numbers:
            path = segment_path(reader.directory, number)
            size += path.stat().st_size if path.exists() else SEGMENT_HEADER_BYTES
        first = reader.first
    finally:
        reader.close()
    return {
        "first": _text(first) if events else None,
        "last": _text(last) if events else None,
        "last_sequence": last[0],
        "events": events,
        "gaps": gaps,
        "segments": len(numbers),
        "bytes": size,
    }


def lines(data: Path, first: int, last: int | None, form: str) -> Iterator[str]:
    """The lines of ``rows``; ``form`` is one of FORMATS."""
    return formatted(rows(data, first, last), form)


def formatted(found: Iterable[Row], form: str) -> Iterator[str]:
    """Rows as lines of text, JSON or CSV."""
    if form == "csv":
        yield _csv(COLUMNS)
        for row in found:
            yield _csv([row.get(name, "") for name in COLUMNS])
    elif form == "jsonl":
        for row in found:
            yield json.dumps(row)
    else:
        for row in found:
            yield _line(row)


def _reader(data: Path) -> ArchiveReader:
    _, uuid = locate(data)
    directory = data / EVENTS_NAME
    if not directory.is_dir():
        raise exits.Stop(exits.USAGE, f"{directory}: there is no event archive (yet)")
    return ArchiveReader(directory, uuid)


def _walk(reader: ArchiveReader, after: Key) -> Iterator[Any]:
    """Batches of events behind ``after``, and an ArchiveGap wherever some are missing."""
    key = after
    while True:
        try:
            reader.seek(*key)
            while len(batch := reader.read(READ_EVENTS)):
                yield batch
            return
        except ArchiveGap as gap:
            yield gap
            if gap.oldest is None:
                return
            key = before(gap.oldest)
        except ArchiveDamaged as damaged:
            raise exits.Stop(exits.JOURNAL_REFUSED, str(damaged)) from None


def _row(event: Any) -> Row:
    row: Row = {name: event[name] for name in COLUMNS[:-2]}
    row = {name: int(value) for name, value in row.items() if value.ndim == 0}
    row["kind"] = EVENT_NAMES.get(row["kind"], str(row["kind"]))
    row["client_order_id"] = text(event["client_order_id"])
    return row


def _gap(after: Key, oldest: Key) -> Row:
    return {
        "sequence": oldest[0],
        "index": oldest[1],
        "kind": "GAP",
        "missing_after": _text(after),
        "missing_to": _text(oldest),
    }


def _line(row: Row) -> str:
    head = f"{row['sequence']:>12}.{row['index']:<5} {row['kind']:<17}"
    said = [
        f"{name}={value}"
        for name, value in row.items()
        if name not in ("sequence", "index", "kind") and value not in (0, "")
    ]
    return " ".join([head, *said]).rstrip()


def _text(key: Key) -> str:
    return f"{key[0]}.{key[1]}"


def _csv(values: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()
