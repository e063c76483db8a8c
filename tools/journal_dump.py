"""Rows of the journal as text, JSON lines or CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from core.constants import SEQUENCE_MAX
from core.journal.dump import COLUMNS, dump

FORMATS: Final = ("text", "jsonl", "csv")
# Said at the beginning of a line of text, not as a field.
_LEADING: Final = frozenset({"record", "sequence", "kind", "segment", "offset"})

Row = dict[str, Any]


def lines(data: Path, first: int, last: int | None, form: str) -> Iterator[str]:
    """Lines for commands ``first`` to ``last``; ``form`` is one of FORMATS.

    CSV has commands only, so that every line has the same meaning.  Raises JournalRefused.
    """
    rows = dump(data, first, SEQUENCE_MAX if last is None else last, blocks=form != "csv")
    return formatted(rows, form)


def formatted(rows: Iterable[Row], form: str) -> Iterator[str]:
    """The lines of ``rows``."""
    if form == "csv":
        yield csv_line(COLUMNS)
        for row in rows:
            yield csv_line([row.get(name, "") for name in COLUMNS])
    elif form == "jsonl":
        for row in rows:
            yield json.dumps(row)
    else:
        for row in rows:
            yield _text(row)


def _text(row: Row) -> str:
    if row["record"] == "command":
        head = f"{row['sequence']:>12} {row['kind']:<17}"
    else:
        head = f"{'block':>12} {row['kind']:<17} segment={row['segment']} offset={row['offset']}"
    said = [
        f"{name}={value}"
        for name, value in row.items()
        if name not in _LEADING and value not in (0, "", None)
    ]
    return " ".join([head, *said]).rstrip()


def csv_line(values: Iterable[object]) -> str:
    """A line of CSV."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()
