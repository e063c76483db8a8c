"""The manifest: SHA-256 of every sealed segment, each line bound to the one before.

``DATA/journal/<uuid>/manifest``: one JSON object a line, appended and synced by the replayer when a
segment was sealed; ``previous`` is the SHA-256 of the line before.  The chain inside the blocks
finds accidents; this finds whoever can write the files but not the copies of the manifest.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from core.journal.errors import Fault, JournalRefused
from core.journal.segments import MANIFEST_NAME, open_file, sync_directory

Line = dict[str, Any]
FIRST: Final = "0" * 64


def read(directory: Path) -> list[Line]:
    """Every line, oldest first; a last line without its end is no line.

    JournalRefused when a line is not bound to the one before.
    """
    path = directory / MANIFEST_NAME
    if not path.exists():
        return []
    raw = path.read_bytes()
    found: list[Line] = []
    previous, offset = FIRST, 0
    for text in raw.split(b"\n")[:-1]:
        try:
            line = json.loads(text)
            if line["previous"] != previous or not isinstance(line["segment"], int):
                raise ValueError("it does not follow from the line before")
        except (ValueError, KeyError, TypeError) as error:
            detail = f"line {len(found) + 1} of the manifest: {error}"
            raise JournalRefused(Fault.MANIFEST, path, offset, detail) from None
        found.append(line)
        previous = hashlib.sha256(text).hexdigest()
        offset += len(text) + 1
    return found


def append(directory: Path, segment_no: int, size: int, last_sequence: int, digest: str) -> None:
    """Add the line of a sealed segment, durable when this returns; raises OSError."""
    path = directory / MANIFEST_NAME
    known = read(directory)
    line = {
        "segment": segment_no,
        "bytes": size,
        "last_sequence": last_sequence,
        "sha256": digest,
        "previous": _digest(known[-1]) if known else FIRST,
    }
    begin = sum(len(_text(each)) + 1 for each in known)
    added = _text(line) + b"\n"
    fd = open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(fd, begin)  # What a process that died left behind the last whole line.
        if os.pwrite(fd, added, begin) != len(added):
            raise OSError(f"short write of {path}")
        os.fsync(fd)
    finally:
        os.close(fd)
    if not known:
        sync_directory(directory)


def _text(line: Line) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode()


def _digest(line: Line) -> str:
    return hashlib.sha256(_text(line)).hexdigest()
