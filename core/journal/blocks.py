"""One block between memory and disk: stamps, padding, checksums, chain.  Compiled, no I/O."""

from typing import Final

from core.crc32c import crc32c
from core.jit import VERIFY, kernel
from core.journal.layout import (
    BLOCK,
    BLOCK_BYTES_MAX,
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    CHAINED_END,
    CHAINED_FIRST,
    FORMAT_MAJOR,
    PADDING,
    SECTOR_BYTES,
    SECTOR_DATA,
    STAMP_SHIFT,
)
from core.memory import copy, fill, load_i64, pointer, shift_right, store_i64, wrap_add, wrap_mul

block_at: Final = pointer(BLOCK)

FIRST_DATA: Final = SECTOR_DATA - BLOCK_HEADER_BYTES  # Payload bytes in a block's first sector.

# Two lanes with multipliers and offsets of their own (odd; from the digits of pi and e).
_MULTIPLIER_A: Final = 0x243F_6A88_85A3_08D3
_MULTIPLIER_B: Final = 0x2B7E_1516_28AE_D2A7
_OFFSET_A: Final = 0x1319_8A2E_0370_7345
_OFFSET_B: Final = 0x62A7_7A8F_15A0_9C7B

# What is wrong with the bytes at a place; 0: nothing.
ZERO: Final = 1  # A first sector of nothing but zeros.
BAD_FIRST_SECTOR: Final = 2  # Magic, stamp, checksum or lengths of the header.
BAD_FORMAT: Final = 3
BAD_SALT: Final = 4
BAD_STAMP: Final = 5
BAD_PAYLOAD: Final = 6


@kernel
def block_bytes(payload_bytes: int, align: int) -> int:
    """Bytes on the disk of a block with that payload."""
    sectors = (BLOCK_HEADER_BYTES + payload_bytes + SECTOR_DATA - 1) // SECTOR_DATA
    return (sectors * SECTOR_BYTES + align - 1) // align * align


@kernel
def stamp(block_no: int, sector: int, salt: int) -> int:
    """The last eight bytes of a sector; never zero, because salts have bit 62 set."""
    return ((block_no << STAMP_SHIFT) + sector) ^ salt


@kernel
def mix_a(header: int, chain: int) -> int:
    """Lane a of the chain after the block whose header lies at ``header``."""
    for place in range(header + CHAINED_FIRST, header + CHAINED_END, 8):
        chain = wrap_mul(wrap_add(chain ^ load_i64(place), _OFFSET_A), _MULTIPLIER_A)
        chain ^= shift_right(chain, 31)
    return chain


@kernel
def mix_b(header: int, chain: int) -> int:
    """Lane b of the chain."""
    for place in range(header + CHAINED_FIRST, header + CHAINED_END, 8):
        chain = wrap_mul(wrap_add(chain ^ load_i64(place), _OFFSET_B), _MULTIPLIER_B)
        chain ^= shift_right(chain, 29)
    return chain


@kernel
def encode(image: int, payload: int, align: int) -> int:
    """Complete the block whose header fields stand at ``image``; its bytes on the disk.

    The caller has set kind, payload_bytes, record_count, salt, block_no, sequences, epoch, time and
    the chain before.  ``payload`` is 8-aligned; the image has room for BLOCK_BYTES_MAX.
    """
    block = block_at(image)
    size = block.payload_bytes
    length = block_bytes(size, align)
    if VERIFY:
        assert length <= BLOCK_BYTES_MAX
        assert block.block_no > 0
    block.magic = BLOCK_MAGIC
    block.format = FORMAT_MAJOR
    block.block_bytes = length
    block.shard = 0
    block.reserved = 0
    _spread(image, payload, size, length)
    block_no, salt = block.block_no, block.salt
    for sector in range(length // SECTOR_BYTES):
        place = image + sector * SECTOR_BYTES + SECTOR_DATA
        store_i64(place, stamp(block_no, sector, salt))
    block.payload_crc32c = crc32c(image + BLOCK_HEADER_BYTES, length - BLOCK_HEADER_BYTES)
    chain_a = mix_a(image, block.prev_chain_a)
    chain_b = mix_b(image, block.prev_chain_b)
    block.chain_a = chain_a
    block.chain_b = chain_b
    block.header_crc32c = crc32c(image + 8, BLOCK_HEADER_BYTES - 8)
    return length


@kernel
def _spread(image: int, payload: int, size: int, length: int) -> None:
    """Lay the payload into the sectors of the image, then padding."""
    part = min(size, FIRST_DATA)
    copy(image + BLOCK_HEADER_BYTES, payload, part)
    fill(image + BLOCK_HEADER_BYTES + part, PADDING, FIRST_DATA - part)
    done = part
    for place in range(image + SECTOR_BYTES, image + length, SECTOR_BYTES):
        part = min(size - done, SECTOR_DATA)
        if part > 0:
            copy(place, payload + done, part)
            done += part
        else:
            part = 0
        if part < SECTOR_DATA:
            fill(place + part, PADDING, SECTOR_DATA - part)


@kernel
def strip(image: int, target: int, size: int) -> None:
    """Copy a payload of ``size`` bytes out of the sectors of the image."""
    part = min(size, FIRST_DATA)
    copy(target, image + BLOCK_HEADER_BYTES, part)
    done = part
    place = image + SECTOR_BYTES
    while done < size:
        part = min(size - done, SECTOR_DATA)
        copy(target + done, place, part)
        done += part
        place += SECTOR_BYTES


@kernel
def is_zero(address: int, size: int) -> bool:
    """Whether ``size`` bytes (a multiple of 8) are zero."""
    for place in range(address, address + size, 8):  # noqa: SIM110
        if load_i64(place) != 0:
            return False
    return True


@kernel
def header_fault(image: int, salt: int) -> int:
    """What is wrong with the first sector of a block: 0, ZERO, BAD_FIRST_SECTOR, ...

    Checks magic, checksum, format, salt, stamp and lengths; not the place in the chain.
    """
    block = block_at(image)
    if block.magic != BLOCK_MAGIC:
        return ZERO if is_zero(image, SECTOR_BYTES) else BAD_FIRST_SECTOR
    if block.header_crc32c != crc32c(image + 8, BLOCK_HEADER_BYTES - 8):
        return BAD_FIRST_SECTOR
    if block.format != FORMAT_MAJOR:
        return BAD_FORMAT
    if block.salt != salt:
        return BAD_SALT
    length = block.block_bytes
    if length < SECTOR_BYTES or length > BLOCK_BYTES_MAX or length % SECTOR_BYTES != 0:
        return BAD_FIRST_SECTOR
    if block_bytes(block.payload_bytes, SECTOR_BYTES) > length:
        return BAD_FIRST_SECTOR
    if load_i64(image + SECTOR_DATA) != stamp(block.block_no, 0, salt):
        return BAD_FIRST_SECTOR
    return 0


@kernel
def body_fault(image: int) -> int:
    """What is wrong behind a good first sector: 0, BAD_STAMP or BAD_PAYLOAD."""
    block = block_at(image)
    length = block.block_bytes
    for sector in range(1, length // SECTOR_BYTES):
        place = image + sector * SECTOR_BYTES + SECTOR_DATA
        if load_i64(place) != stamp(block.block_no, sector, block.salt):
            return BAD_STAMP
    if block.payload_crc32c != crc32c(image + BLOCK_HEADER_BYTES, length - BLOCK_HEADER_BYTES):
        return BAD_PAYLOAD
    return 0
