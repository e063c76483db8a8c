"""One block between memory and disk: what is laid out comes back, and every byte is guarded."""

import random
from typing import Any

import numpy as np
import pytest

from core.journal.access import block_row
from core.journal.blocks import (
    BAD_FIRST_SECTOR,
    BAD_PAYLOAD,
    BAD_SALT,
    BAD_STAMP,
    ZERO,
    block_bytes,
    body_fault,
    encode,
    header_fault,
    mix_a,
    mix_b,
    strip,
)
from core.journal.header import SALT_BIT
from core.journal.layout import (
    ALIGN_RELAXED,
    ALIGN_SYNC,
    BLOCK_BYTES_MAX,
    DATA,
    PADDING,
    PAYLOAD_BYTES_MAX,
    SECTOR_BYTES,
    SECTOR_DATA,
    block_bytes_of,
)

SALT = SALT_BIT | 0x1234_5678_9ABC
Array = np.ndarray[Any, Any]


def encoded(payload: bytes, align: int = ALIGN_SYNC, block_no: int = 7) -> Array:
    """The bytes on the disk of a block with that payload."""
    room = np.zeros(BLOCK_BYTES_MAX, np.uint8)
    source = np.frombuffer(payload.ljust(len(payload) + 8, b"\0"), np.uint8).copy()
    block = block_row(room.ctypes.data)
    block.kind = DATA
    block.payload_bytes = len(payload)
    block.salt, block.block_no = SALT, block_no
    block.prev_chain_a, block.prev_chain_b = 11, -12
    length = encode(room.ctypes.data, source.ctypes.data, align)
    return room[:length].copy()


@pytest.mark.parametrize("align", [ALIGN_SYNC, ALIGN_RELAXED])
@pytest.mark.parametrize("size", [0, 8, 128, 376, 384, 880, 888, 3_904, 3_912, 32_768])
def test_a_payload_comes_back_out_of_its_sectors(size: int, align: int) -> None:
    payload = random.Random(size).randbytes(size)
    image = encoded(payload, align)
    out = np.zeros(size + 8, np.uint8)
    strip(image.ctypes.data, out.ctypes.data, size)
    assert out[:size].tobytes() == payload
    assert len(image) == block_bytes(size, align) == block_bytes_of(size, align)
    assert header_fault(image.ctypes.data, SALT) == 0
    assert body_fault(image.ctypes.data) == 0


def test_the_largest_payload_fills_the_largest_block() -> None:
    assert block_bytes(PAYLOAD_BYTES_MAX, ALIGN_RELAXED) == BLOCK_BYTES_MAX
    assert block_bytes(PAYLOAD_BYTES_MAX + 1, ALIGN_RELAXED) > BLOCK_BYTES_MAX


def test_every_sector_ends_in_its_own_stamp_and_the_rest_is_padding() -> None:
    image = encoded(b"\1" * 128, block_no=9)
    sectors = image.reshape(-1, SECTOR_BYTES)
    stamps = np.ascontiguousarray(sectors[:, SECTOR_DATA:]).view(np.int64).ravel()
    assert stamps.tolist() == [(9 << 16) + index ^ SALT for index in range(8)]
    assert set(sectors[1:, :SECTOR_DATA].ravel().tolist()) == {PADDING}
    assert set(image[256:SECTOR_DATA].tolist()) == {PADDING}


def test_no_sector_of_a_block_is_zero_even_if_its_payload_is() -> None:
    image = encoded(bytes(32_768))
    assert image.reshape(-1, SECTOR_BYTES).any(axis=1).all()


def test_any_flipped_bit_of_a_block_is_found() -> None:
    image = encoded(random.Random(3).randbytes(640))
    chance = random.Random(5)
    bits = [*range(128 * 8), *(chance.randrange(len(image) * 8) for _ in range(300))]
    silent = []
    for bit in bits:
        image[bit // 8] ^= 1 << bit % 8
        at = image.ctypes.data
        if header_fault(at, SALT) == 0 and body_fault(at) == 0:
            silent.append(bit)
        image[bit // 8] ^= 1 << bit % 8
    assert silent == []


def test_each_fault_has_its_name() -> None:
    image = encoded(b"\1" * 640)
    at = image.ctypes.data
    assert header_fault(np.zeros(512, np.uint8).ctypes.data, SALT) == ZERO
    assert header_fault(at, SALT + 1) == BAD_SALT
    image[20] ^= 1
    assert header_fault(at, SALT) == BAD_FIRST_SECTOR
    image[20] ^= 1
    image[SECTOR_BYTES + SECTOR_DATA] ^= 1
    assert body_fault(at) == BAD_STAMP
    image[SECTOR_BYTES + SECTOR_DATA] ^= 1
    image[200] ^= 1
    assert body_fault(at) == BAD_PAYLOAD


def test_the_chain_depends_on_every_bit_it_covers_and_on_the_chain_before() -> None:
    image = encoded(b"")
    at = image.ctypes.data
    seen = {(mix_a(at, 1), mix_b(at, 2)), (mix_a(at, 0x1357), mix_b(at, 0x2468))}
    for bit in range(8 * 8, 104 * 8):
        image[bit // 8] ^= 1 << bit % 8
        seen.add((mix_a(at, 1), mix_b(at, 2)))
        image[bit // 8] ^= 1 << bit % 8
    assert len(seen) == 2 + 96 * 8
    assert len({lane for pair in seen for lane in pair}) == 2 * len(seen)
