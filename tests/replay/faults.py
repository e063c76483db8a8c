"""Each reason of refusal, made for real in a small journal of an exchange that has traded."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.crc32c import crc32c_without
from core.journal import manifest, witness
from core.journal import snapshots as snapshot_files
from core.journal.access import block_row
from core.journal.blocks import encode, strip
from core.journal.errors import JournalRefused
from core.journal.layout import (
    BLOCK_BYTES_MAX,
    CHECKPOINT,
    CHECKPOINT_PAYLOAD,
    DATA,
    EPOCH_PAYLOAD,
    EPOCH_START,
    HEADER_CRC_AT,
    SEGMENT_HEADER_BYTES,
    SYNC,
)
from core.journal.reader import Walk
from core.journal.scanner import Commands, Special
from core.journal.segments import segment_path
from core.journal.snapshots import MANIFEST_NAME, directories
from core.journal.verify import open_walk
from core.memory import address_of_buffer, region, view
from replay import snapshots
from tests.core.journal.files import directory_of, flip, patch
from tests.replay.live import JOURNAL, Live, some_commands

SYNC_JOURNAL = JOURNAL._replace(durability=SYNC, segment_bytes=256 << 10)
COUNT = 200  # More than there is room for.
SECOND_LIFE = 12
NEWEST = 3

Change = Callable[[Any, "np.ndarray[Any, np.dtype[np.uint8]]"], None]


def traded(data: Path) -> None:
    """Two lives in three segments; the second ends in a CHECKPOINT and a kill."""
    commands = iter(some_commands(COUNT))
    first = Live(data, SYNC_JOURNAL)
    while int(first.core.writer.row.segment_no) < NEWEST:
        first.send([next(commands)])
    first.close()
    second = Live(data, SYNC_JOURNAL)
    second.send(next(commands) for _ in range(SECOND_LIFE))
    second.checkpoint()
    second.crash()
    shutil.rmtree(data / "run")  # FIFOs cannot be copied.


def segment(data: Path, number: int = NEWEST) -> Path:
    return segment_path(directory_of(data), number)


def blocks(data: Path, number: int = NEWEST) -> list[tuple[int, int, int]]:
    """Offset, kind and last sequence of each block of a segment of a good journal."""
    image = np.frombuffer(segment(data, number).read_bytes(), np.uint8).copy()
    base, place, found = address_of_buffer(image), SEGMENT_HEADER_BYTES, []
    while place < image.size and image[place]:
        row = block_row(base + place)
        found.append((place, int(row.kind), int(row.last_sequence)))
        place += row.block_bytes
    return found


def offset_of(data: Path, kind: int, number: int = NEWEST) -> int:
    """Where the last block of a kind lies."""
    return [place for place, found, _ in blocks(data, number) if found == kind][-1]


def rewrite(data: Path, offset: int, change: Change) -> None:
    """Change header and payload of a block of the newest segment; all checksums stay right."""
    path = segment(data)
    image = np.frombuffer(path.read_bytes(), np.uint8).copy()
    base = address_of_buffer(image)
    chain = None
    for place, _, _ in blocks(data):
        if place < offset:
            continue
        _owner, room = region(BLOCK_BYTES_MAX)
        old = block_row(base + place)
        payload = np.zeros(int(old.payload_bytes) + 8, np.uint8)
        strip(base + place, address_of_buffer(payload), old.payload_bytes)
        size = int(old.block_bytes)
        view(room, np.dtype(np.uint8), 128)[:] = image[place : place + 128]
        row = block_row(room)
        if chain is not None:
            row.prev_chain_a, row.prev_chain_b = chain
        if place == offset:
            change(row, payload)
        assert encode(room, address_of_buffer(payload), 4096) == size
        chain = (row.chain_a, row.chain_b)
        patch(path, place, view(room, np.dtype(np.uint8), size).tobytes())


def last_sequence(data: Path) -> int:
    walk = open_walk(data)
    for _ in walk:
        pass
    return int(walk.state.last_sequence)


def chain_at(data: Path, sequence: int) -> tuple[int, int]:
    walk = Walk(directory_of(data), uuid_of(data), watch=sequence)
    for _ in walk:
        pass
    assert walk.state.watch_found
    return int(walk.state.watch_a), int(walk.state.watch_b)


def uuid_of(data: Path) -> bytes:
    return bytes.fromhex(directory_of(data).name.replace("-", ""))


def write_witness(data: Path, sequence: int, chain: tuple[int, int]) -> None:
    witness.write(directory_of(data), uuid_of(data), sequence, chain, 1)


def corrupt_sealed(data: Path) -> None:
    """A bit of a command flips."""
    offset = [place for place, kind, _ in blocks(data, 2) if kind == DATA][9]
    flip(segment(data, 2), (offset + 200) * 8)


def corrupt_tail(data: Path) -> None:
    flip(segment(data), (blocks(data)[-1][0] + 1_000) * 8)


def garbage(data: Path) -> None:
    patch(segment(data), (256 << 10) - 4_096, b"garbage")


def hole(data: Path) -> None:
    patch(segment(data), blocks(data)[-5][0], bytes(512))


def chain(data: Path) -> None:
    """A block stands twice."""
    path, place = segment(data), offset_of(data, DATA)
    end = blocks(data)[-1][0] + 4_096
    patch(path, end, path.read_bytes()[place : place + 4_096])


def sequence(data: Path) -> None:
    def skip_one(row: Any, _payload: object) -> None:
        row.first_sequence += 1
        row.last_sequence += 1

    rewrite(data, offset_of(data, DATA), skip_one)


def command(data: Path) -> None:
    def scribble(_row: Any, payload: "np.ndarray[Any, np.dtype[np.uint8]]") -> None:
        payload[100] ^= 1

    rewrite(data, offset_of(data, DATA), scribble)


def header(data: Path) -> None:
    flip(segment(data), 100 * 8)


def spare(data: Path) -> None:
    path = segment(data, NEWEST + 1)
    path.touch(0o600)
    path.write_bytes(bytes(256 << 10))
    patch(path, 8_192, b"not empty")


def lost_acked(data: Path) -> None:
    """The newest segment is gone, and a witness saw what was in it."""
    newest = last_sequence(data)
    write_witness(data, newest, chain_at(data, newest))
    segment(data).unlink()


def bad_witness(data: Path) -> None:
    newest = last_sequence(data)
    write_witness(data, newest, chain_at(data, newest))
    patch(directory_of(data) / "witness", 512, bytes(512))


def other_history(data: Path) -> None:
    write_witness(data, last_sequence(data), (1, 2))


def behind_seal(data: Path) -> None:
    """A start in the other durability seals the segment where it is."""
    Live(data, JOURNAL).close()
    shutil.rmtree(data / "run")
    patch(segment(data), (256 << 10) - 8, b"\1")


def no_such_place(data: Path) -> None:
    """The snapshot is of another history: where it ends the journal has another block."""
    found = snapshots.make(data)
    place = found.place._replace(chain=(found.place.chain[0] ^ 1, found.place.chain[1]))
    (path,) = directories(data)
    (path / MANIFEST_NAME).write_bytes(snapshot_files.encode(found._replace(place=place)))


def snapshot_ahead(data: Path) -> None:
    """The newest segment is gone, and a snapshot holds what was in it."""
    snapshots.make(data)
    segment(data).unlink()


def bad_manifest(data: Path) -> None:
    """A line of the manifest is changed."""
    manifest.append(directory_of(data), 1, 256 << 10, 1, "0" * 64)
    manifest.append(directory_of(data), 2, 256 << 10, 2, "0" * 64)
    patch(directory_of(data) / "manifest", 11, b"9")


def gap(data: Path) -> None:
    segment(data, 2).unlink()


def foreign_file(data: Path) -> None:
    (directory_of(data) / "notes.txt").write_text("mine")


def newer_format(data: Path) -> None:
    image = np.frombuffer(segment(data).read_bytes()[:4096], np.uint8).copy()
    image[8] = 9
    checksum = int(crc32c_without(image.ctypes.data, 4096, HEADER_CRC_AT))
    patch(segment(data), 0, image.tobytes())
    patch(segment(data), HEADER_CRC_AT, checksum.to_bytes(4, "little"))


def permissions(data: Path) -> None:
    segment(data).chmod(0o644)


def not_empty(data: Path) -> None:
    (data / "journal").rename(data / "elsewhere")


def missing(data: Path) -> None:
    directory_of(data).rename(data / "elsewhere")


def engine_version(data: Path) -> None:
    def newer(_row: Any, payload: "np.ndarray[Any, np.dtype[np.uint8]]") -> None:
        payload[: EPOCH_PAYLOAD.itemsize].view(EPOCH_PAYLOAD)["engine_version"] += 1

    rewrite(data, offset_of(data, EPOCH_START), newer)


def nondeterminism(data: Path) -> None:
    def one_more(_row: Any, payload: "np.ndarray[Any, np.dtype[np.uint8]]") -> None:
        payload[: CHECKPOINT_PAYLOAD.itemsize].view(CHECKPOINT_PAYLOAD)["trade_count"] += 1

    rewrite(data, offset_of(data, CHECKPOINT), one_more)


FAULTS: dict[str, Callable[[Path], None]] = {
    "CORRUPT_SEALED": corrupt_sealed,
    "CORRUPT_TAIL": corrupt_tail,
    "GARBAGE_BEYOND_INFLIGHT": garbage,
    "HOLE": hole,
    "CHAIN": chain,
    "SEQUENCE": sequence,
    "RECORD": command,
    "HEADER": header,
    "SPARE": spare,
    "LOST_ACKED": lost_acked,
    "WITNESS": bad_witness,
    "SNAPSHOT": no_such_place,
    "INVENTORY": gap,
    "FORMAT": newer_format,
    "PERMISSIONS": permissions,
    "NOT_EMPTY": not_empty,
    "MISSING": missing,
    "ENGINE_VERSION": engine_version,
    "NONDETERMINISM": nondeterminism,
}


# The replayer refuses these, while the exchange runs; a start does not look.
BESIDE_A_START: dict[str, Callable[[Path], None]] = {"MANIFEST": bad_manifest}


def start(data: Path) -> Live | JournalRefused:
    """What a start gives: a live core, or the refusal."""
    try:
        return Live(data, SYNC_JOURNAL)
    except JournalRefused as refusal:
        return refusal


def epochs(data: Path) -> list[Any]:
    """The EPOCH_START payloads."""
    return [
        np.frombuffer(item.payload, EPOCH_PAYLOAD)[0]
        for item in open_walk(data)
        if isinstance(item, Special) and item.kind == EPOCH_START
    ]


def sequences(data: Path) -> int:
    """How many commands the journal holds."""
    return sum(
        item.last_sequence - item.first_sequence + 1
        for item in open_walk(data)
        if isinstance(item, Commands)
    )


def files(data: Path) -> dict[str, bytes]:
    """Every file with its content, but for locks and what a start leaves in DATA/run."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.name != "LOCK" and "run" not in path.relative_to(data).parts
    }


def is_free_of(name: str) -> bool:
    """Whether nothing of a journal is left in /dev/shm."""
    return not [entry for entry in os.listdir("/dev/shm") if entry.startswith(f"outcry-{name[:8]}")]
