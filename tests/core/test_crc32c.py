"""The checksum equals the table definition of CRC32C, for every length and alignment in use."""

import random

import numpy as np
import pytest

from core import crc32c as checks
from core.crc32c import crc32c, crc32c_without, record_crc32c


def by_table(raw: bytes) -> int:
    """CRC32C by its definition, one bit at a time."""
    crc = 0xFFFF_FFFF
    for byte in raw:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F6_3B78 if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF


def words(raw: bytes) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    return np.frombuffer(raw.ljust(len(raw) // 8 * 8 + 8, b"\x5a"), np.uint8).copy()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE306_9283),
        (bytes(32), 0x8A91_36AA),
        (b"\xff" * 32, 0x62A8_AB43),
        (bytes(range(32)), 0x46DD_794E),
    ],
)
def test_known_values_of_rfc_3720(raw: bytes, expected: int) -> None:
    room = words(raw)
    assert crc32c(room.ctypes.data, len(raw)) == expected


@pytest.mark.parametrize(
    "size", [1, 7, 8, 9, 120, 128, 383, 384, 385, 768, 3839, 3840, 3841, 3968, 4096, 8_000]
)
def test_every_way_of_joining_chains_gives_the_definition(size: int) -> None:
    raw = random.Random(size).randbytes(size)
    room = words(raw)
    assert crc32c(room.ctypes.data, size) == by_table(raw)


@pytest.mark.parametrize("hole", [0, 4, 36, 248, 508])
def test_a_field_is_taken_as_zero(hole: int) -> None:
    raw = bytearray(random.Random(hole).randbytes(512))
    room = words(bytes(raw))
    raw[hole : hole + 4] = bytes(4)
    assert crc32c_without(room.ctypes.data, 512, hole) == by_table(bytes(raw))


@pytest.mark.parametrize("slots", [1, 2, 3, 4])
def test_a_record_is_checked_over_all_its_slots_but_its_own_field(slots: int) -> None:
    raw = bytearray(random.Random(slots).randbytes(slots * 128))
    room = words(bytes(raw))
    raw[36:40] = bytes(4)
    assert record_crc32c(room.ctypes.data, slots) == by_table(bytes(raw))


def test_the_checksum_is_below_two_to_the_32() -> None:
    room = words(random.Random(7).randbytes(4_096))
    found = [crc32c(room.ctypes.data, size) for size in range(512)]
    assert min(found) >= 0
    assert max(found) < 1 << 32


def test_the_tables_of_zeros_append_zeros() -> None:
    tables = checks._zeros_tables(16)
    crc = 0xDEAD_BEEF
    joined = 0
    for place in range(4):
        joined ^= int(tables[place, crc >> 8 * place & 255])
    for _ in range(16):
        crc = crc >> 8 ^ checks._BYTE[crc & 255]
    assert joined == crc
