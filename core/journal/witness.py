"""The witness: a file beside the segments that says how far the journal was once durable.

``DATA/journal/<uuid>/witness``, 1,024 bytes: two slots of 512 bytes, written in turn and synced, so
that a torn write leaves the older one.  The replayer writes it after ``durable_sequence``; recovery
reads it.  A witness ahead of the journal proves that acknowledged commands are lost; a chain value
that the journal does not have at that sequence proves another history.  reliability.md 2.3.
"""

import os
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.crc32c import crc32c
from core.journal.errors import Fault, JournalRefused
from core.journal.segments import WITNESS_NAME, open_file, write_file
from core.layout import record
from core.memory import address_of_buffer

SLOT: Final = record(
    "one slot of the witness file",
    512,
    [
        ("magic", "u1", (8,)),
        ("journal_uuid", "u1", (16,)),
        ("generation", "<i8"),  # Rises by one with each write; the higher valid slot counts.
        ("sequence", "<i8"),  # The last of a DATA block that was durable.
        ("chain", "<i8", (2,)),  # After that block.
        ("written_ns", "<i8"),
        ("reserved", "<i8", (55,)),
        ("reserved_2", "<u4"),
        ("crc32c", "<u4"),  # Of the 508 bytes before.
    ],
)
MAGIC: Final = b"OUTCRYW1"
SLOT_BYTES: Final = 512
CHECKED_BYTES: Final = SLOT_BYTES - 4


class Witness(NamedTuple):
    """What was durable; sequence 0: nothing yet."""

    sequence: int
    chain: tuple[int, int]
    generation: int


NOTHING: Final = Witness(0, (0, 0), 0)


def encode(uuid: bytes, witness: Witness, written_ns: int) -> bytes:
    """One slot."""
    row = np.zeros(1, SLOT)
    row["magic"] = np.frombuffer(MAGIC, np.uint8)
    row["journal_uuid"] = np.frombuffer(uuid, np.uint8)
    row["generation"], row["sequence"] = witness.generation, witness.sequence
    row["chain"] = witness.chain
    row["written_ns"] = written_ns
    image = bytearray(row.tobytes())
    checksum = int(crc32c(address_of_buffer(image), CHECKED_BYTES))
    image[CHECKED_BYTES:] = checksum.to_bytes(4, "little")
    return bytes(image)


def _decode(raw: bytes, uuid: bytes) -> Witness | None:
    image = bytearray(raw)
    row: Any = np.frombuffer(raw, SLOT)[0]
    if row["magic"].tobytes() != MAGIC or row["journal_uuid"].tobytes() != uuid:
        return None
    if crc32c(address_of_buffer(image), CHECKED_BYTES) != int(row["crc32c"]):
        return None
    chain = (int(row["chain"][0]), int(row["chain"][1]))
    return Witness(int(row["sequence"]), chain, int(row["generation"]))


def read(directory: Path, uuid: bytes) -> Witness:
    """The newest valid slot; NOTHING without a file.  Raises JournalRefused when none is valid."""
    path = directory / WITNESS_NAME
    try:
        with open(open_file(path, os.O_RDONLY), "rb", buffering=0) as file:
            raw = file.read(2 * SLOT_BYTES + 1)
    except FileNotFoundError:
        return NOTHING
    if len(raw) != 2 * SLOT_BYTES:
        detail = f"expected {2 * SLOT_BYTES} bytes, got {len(raw)}"
        raise JournalRefused(Fault.WITNESS, path, 0, detail)
    halves = [raw[:SLOT_BYTES], raw[SLOT_BYTES:]]
    valid = [found for half in halves if (found := _decode(half, uuid)) is not None]
    if not valid:
        raise JournalRefused(Fault.WITNESS, path, 0, "no slot of the witness is valid")
    return max(valid, key=lambda witness: witness.generation)


def write(directory: Path, uuid: bytes, sequence: int, chain: tuple[int, int], now_ns: int) -> None:
    """Say that ``sequence`` is durable; the caller has made sure of it."""
    path = directory / WITNESS_NAME
    if not path.exists():
        first = encode(uuid, Witness(sequence, chain, 1), now_ns)
        write_file(path, bytes(SLOT_BYTES) + first)
        return
    generation = read(directory, uuid).generation + 1
    image = encode(uuid, Witness(sequence, chain, generation), now_ns)
    fd = open_file(path, os.O_WRONLY)
    try:
        if os.pwrite(fd, image, generation % 2 * SLOT_BYTES) != SLOT_BYTES:
            raise OSError(f"short write of {path}")
        os.fdatasync(fd)
    finally:
        os.close(fd)
