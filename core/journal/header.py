"""The 4,096-byte header of a segment: build, check.

It is stamped like a block, with salt 0 and the segment number as block number: a header whose
sectors are partly zero was being written when the power went, and its segment was never used.
"""

import os
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.crc32c import crc32c_without
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import (
    ALGORITHMS,
    ALIGNS,
    FLAG_RELAXED,
    FORMAT_MAJOR,
    FORMAT_MINOR,
    HEADER_CRC_AT,
    RELAXED,
    SECTOR_BYTES,
    SECTOR_DATA,
    SEGMENT,
    SEGMENT_HEADER_BYTES,
    SEGMENT_MAGIC,
    STAMP_BYTES,
    STAMP_SHIFT,
    SYNC,
)
from core.journal.segments import open_file
from core.memory import address_of_buffer

SECTORS: Final = SEGMENT_HEADER_BYTES // SECTOR_BYTES
SALT_BIT: Final = 1 << 62  # Set in every salt, so that no stamp is zero.

Image = "np.ndarray[Any, np.dtype[np.uint8]]"


class Header(NamedTuple):
    """What a segment says about itself."""

    uuid: bytes
    segment_no: int
    first_sequence: int
    epoch: int
    salt: int
    first_block_no: int
    prev_chain: tuple[int, int]
    durability: int
    segment_bytes: int
    engine_version: int
    created_ns: int
    build: bytes
    versions: bytes

    @property
    def align(self) -> int:
        """Blocks begin at multiples of this."""
        return ALIGNS[self.durability]


def stamps(segment_no: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The stamp of each sector of the header."""
    return (segment_no << STAMP_SHIFT) + np.arange(SECTORS, dtype=np.int64)


def build(header: Header) -> bytearray:
    """The 4,096 bytes of a header."""
    row = np.zeros(1, SEGMENT)
    row["magic"] = np.frombuffer(SEGMENT_MAGIC, np.uint8)
    row["format_major"], row["format_minor"] = FORMAT_MAJOR, FORMAT_MINOR
    row["header_bytes"] = SEGMENT_HEADER_BYTES
    row["flags"] = FLAG_RELAXED if header.durability == RELAXED else 0
    row["journal_uuid"] = np.frombuffer(header.uuid, np.uint8)
    for name in ("segment_no", "first_sequence", "epoch", "salt", "first_block_no"):
        row[name] = getattr(header, name)
    for name in ("prev_chain", "segment_bytes", "engine_version", "created_ns"):
        row[name] = getattr(header, name)
    row["block_align"] = header.align
    row["algorithms"] = ALGORITHMS
    row["build"] = np.frombuffer(header.build[:20].ljust(20, b"\0"), np.uint8)
    row["versions"] = np.frombuffer(header.versions[:64].ljust(64, b"\0"), np.uint8)
    image = bytearray(SEGMENT_HEADER_BYTES)
    image[: SEGMENT.itemsize] = row.tobytes()
    words = np.frombuffer(image, np.uint8).reshape(SECTORS, SECTOR_BYTES)
    words[:, SECTOR_DATA:] = stamps(header.segment_no).view(np.uint8).reshape(SECTORS, STAMP_BYTES)
    checksum = crc32c_without(address_of_buffer(image), SEGMENT_HEADER_BYTES, HEADER_CRC_AT)
    image[HEADER_CRC_AT : HEADER_CRC_AT + 4] = int(checksum).to_bytes(4, "little")
    return image


def is_unused(image: "np.ndarray[Any, np.dtype[np.uint8]]", segment_no: int) -> bool:
    """Whether these bytes are no finished header: a zero sector, and none that is bad."""
    sectors = image[:SEGMENT_HEADER_BYTES].reshape(SECTORS, SECTOR_BYTES)
    zero = ~sectors.any(axis=1)
    found = np.ascontiguousarray(sectors[:, SECTOR_DATA:]).view(np.int64).ravel()
    written = found == stamps(segment_no)
    return bool(zero.any() and (zero | written).all())


def parse(image: "np.ndarray[Any, np.dtype[np.uint8]]", path: Path, segment_no: int) -> Header:
    """The header in these 4,096 bytes; raises JournalRefused when it is damaged or foreign."""
    row: Any = np.frombuffer(image[: SEGMENT.itemsize].tobytes(), SEGMENT)[0]

    def refuse(fault: Fault, detail: str) -> JournalRefused:
        return JournalRefused(fault, path, 0, detail)

    if row["magic"].tobytes() != SEGMENT_MAGIC:
        raise refuse(
            Fault.HEADER, f"expected magic {SEGMENT_MAGIC!r}, got {row['magic'].tobytes()!r}"
        )
    whole = bytearray(image[:SEGMENT_HEADER_BYTES].tobytes())
    checksum = crc32c_without(address_of_buffer(whole), SEGMENT_HEADER_BYTES, HEADER_CRC_AT)
    if checksum != int(row["header_crc32c"]):
        raise refuse(Fault.HEADER, "the checksum of the segment header is wrong")
    if int(row["format_major"]) != FORMAT_MAJOR:
        raise refuse(
            Fault.FORMAT, f"expected journal format {FORMAT_MAJOR}, got {row['format_major']}"
        )
    header = Header(
        uuid=row["journal_uuid"].tobytes(),
        segment_no=int(row["segment_no"]),
        first_sequence=int(row["first_sequence"]),
        epoch=int(row["epoch"]),
        salt=int(row["salt"]),
        first_block_no=int(row["first_block_no"]),
        prev_chain=(int(row["prev_chain"][0]), int(row["prev_chain"][1])),
        durability=RELAXED if int(row["flags"]) & FLAG_RELAXED else SYNC,
        segment_bytes=int(row["segment_bytes"]),
        engine_version=int(row["engine_version"]),
        created_ns=int(row["created_ns"]),
        build=row["build"].tobytes(),
        versions=row["versions"].tobytes().rstrip(b"\0"),
    )
    if header.segment_no != segment_no:
        raise refuse(
            Fault.INVENTORY, f"expected segment {segment_no}, its header says {header.segment_no}"
        )
    if int(row["block_align"]) != header.align or tuple(row["algorithms"].tolist()) != ALGORITHMS:
        raise refuse(Fault.FORMAT, "unknown block alignment or algorithms")
    return header


def read(path: Path) -> Header:
    """The header of the segment ``path``; raises JournalRefused, OSError."""
    with open(open_file(path, os.O_RDONLY), "rb", buffering=0) as file:
        raw = (file.read(SEGMENT_HEADER_BYTES) or b"").ljust(SEGMENT_HEADER_BYTES, b"\0")
    return parse(np.frombuffer(raw, np.uint8), path, int(path.stem))


def read_any(image: bytearray) -> tuple[bytes, int] | None:
    """Journal uuid and number of a segment by its own word; None when the header is not whole."""
    if len(image) < SEGMENT_HEADER_BYTES or image[: len(SEGMENT_MAGIC)] != SEGMENT_MAGIC:
        return None
    row: Any = np.frombuffer(image, SEGMENT, 1)[0]
    checksum = crc32c_without(address_of_buffer(image), SEGMENT_HEADER_BYTES, HEADER_CRC_AT)
    if checksum != int(row["header_crc32c"]):
        return None
    return row["journal_uuid"].tobytes(), int(row["segment_no"])
