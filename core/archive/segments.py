"""Files of the event archive: names, headers, what is there."""

import os
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.archive.layout import (
    EVENT_SEGMENT,
    FORMAT_MAJOR,
    FORMAT_MINOR,
    GAP,
    HEADER_CRC_AT,
    MAGIC,
    SEGMENT_HEADER_BYTES,
    Key,
)
from core.clock import realtime_ns
from core.constants import EVENT_BYTES
from core.crc32c import crc32c
from core.memory import address_of_buffer
from core.messages import SCHEMA

SUFFIX: Final = ".events"
_NAME: Final = re.compile(r"(\d{12})\.events")


class Header(NamedTuple):
    """What the header of a segment says."""

    segment_no: int
    first: Key
    after: Key  # It holds every event behind this one.
    newest: Key  # The last event of the segment before.
    first_block_no: int
    prev_crc32c: int
    is_gap: bool


def segment_path(directory: Path, segment_no: int) -> Path:
    """The file of a segment."""
    return directory / f"{segment_no:012d}{SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """Numbers of the segments in the directory, ascending; none when it is not there."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def salt_of(uuid: bytes) -> int:
    """The word that ties a block to its journal."""
    if len(uuid) != 16:
        raise ValueError(f"journal uuid: expected 16 bytes, got {len(uuid)}")
    return int.from_bytes(uuid[:8], "little", signed=True)


def encode(uuid: bytes, header: Header) -> bytearray:
    """The header block of a segment."""
    row = np.zeros(1, EVENT_SEGMENT)
    row["magic"] = np.frombuffer(MAGIC, np.uint8)
    row["format_major"], row["format_minor"] = FORMAT_MAJOR, FORMAT_MINOR
    row["header_bytes"] = SEGMENT_HEADER_BYTES
    row["flags"] = GAP if header.is_gap else 0
    row["journal_uuid"] = np.frombuffer(uuid, np.uint8)
    row["segment_no"] = header.segment_no
    row["first_sequence"], row["first_index"] = header.first
    row["after_sequence"], row["after_index"] = header.after
    row["newest_sequence"], row["newest_index"] = header.newest
    row["first_block_no"], row["prev_crc32c"] = header.first_block_no, header.prev_crc32c
    row["created_ns"] = realtime_ns()
    row["event_bytes"], row["event_schema"] = EVENT_BYTES, SCHEMA
    image = bytearray(row.tobytes().ljust(SEGMENT_HEADER_BYTES, b"\0"))
    checksum = int(crc32c(address_of_buffer(image), SEGMENT_HEADER_BYTES))
    image[HEADER_CRC_AT : HEADER_CRC_AT + 4] = checksum.to_bytes(4, "little")
    return image


def decode(raw: bytes, uuid: bytes, segment_no: int) -> Header | str:
    """The header out of a segment's first bytes, or what is wrong with it."""
    if len(raw) < SEGMENT_HEADER_BYTES:
        return f"expected a header of {SEGMENT_HEADER_BYTES} bytes, the file has {len(raw)}"
    row: Any = np.frombuffer(raw, EVENT_SEGMENT, 1)[0]
    image = bytearray(raw[:SEGMENT_HEADER_BYTES])
    image[HEADER_CRC_AT : HEADER_CRC_AT + 4] = bytes(4)
    if row["magic"].tobytes() != MAGIC:
        return "no segment of an event archive"
    if int(crc32c(address_of_buffer(image), SEGMENT_HEADER_BYTES)) != int(row["header_crc32c"]):
        return "the header of the segment does not match its checksum"
    if int(row["format_major"]) != FORMAT_MAJOR or int(row["event_schema"]) != SCHEMA:
        return (
            f"format {FORMAT_MAJOR} with events of schema {SCHEMA} expected, format "
            f"{row['format_major']} with schema {row['event_schema']} found"
        )
    if row["journal_uuid"].tobytes() != uuid:
        return f"belongs to journal {row['journal_uuid'].tobytes().hex()}, not {uuid.hex()}"
    if int(row["segment_no"]) != segment_no:
        return f"is segment {row['segment_no']} under the name of segment {segment_no}"
    return Header(
        segment_no=segment_no,
        first=(int(row["first_sequence"]), int(row["first_index"])),
        after=(int(row["after_sequence"]), int(row["after_index"])),
        newest=(int(row["newest_sequence"]), int(row["newest_index"])),
        first_block_no=int(row["first_block_no"]),
        prev_crc32c=int(row["prev_crc32c"]),
        is_gap=bool(int(row["flags"]) & GAP),
    )


def read_header(fd: int, uuid: bytes, segment_no: int) -> Header | str:
    """The header of an open segment, or what is wrong with it."""
    return decode(os.pread(fd, SEGMENT_HEADER_BYTES, 0), uuid, segment_no)


def open_segment(path: Path) -> int | None:
    """A descriptor for reading; None when the file is not there (any more)."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None


def is_newest(directory: Path, segment_no: int) -> bool:
    """Is no segment of a higher number there?"""
    numbers = segment_numbers(directory)
    return not numbers or numbers[-1] <= segment_no
