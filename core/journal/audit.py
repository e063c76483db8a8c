"""The audit: what operators did to a journal, one JSON object a line, never written over.

``DATA/journal/<uuid>/audit``.  ``previous`` of each record is the SHA-256 of the line before it, so
that a line which is changed or taken away shows.  It is no seal against somebody who writes all of
it again; whoever needs one keeps the newest hash elsewhere.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from core.journal.segments import AUDIT_NAME, open_file, sync_directory

NOTHING: Final = hashlib.sha256(b"").hexdigest()

Record = dict[str, Any]


def read(directory: Path) -> tuple[list[Record], str]:
    """The records, and what is wrong with the file; empty when it is whole.

    A line that is no record is one that was being written when the power went: right as long as
    the record behind it has its hash.
    """
    records: list[Record] = []
    fault = ""
    previous = NOTHING
    for number, line in enumerate(_lines(directory), 1):
        record = _parsed(line)
        if record is not None:
            if record["previous"] != previous and not fault:
                fault = f"line {number} does not follow from the one before"
            records.append(record)
        previous = hashlib.sha256(line).hexdigest()
    return records, fault


def append(directory: Path, fields: Record) -> None:
    """Add one record, durable when this returns."""
    lines = _lines(directory)
    previous = hashlib.sha256(lines[-1]).hexdigest() if lines else NOTHING
    line = json.dumps({**fields, "previous": previous}).encode("utf-8") + b"\n"
    path = directory / AUDIT_NAME
    fd = open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(fd, line) != len(line):
            raise OSError(f"short write of {path}")
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_directory(directory)


def _lines(directory: Path) -> list[bytes]:
    try:
        return (directory / AUDIT_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return []


def _parsed(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "previous" in record else None
