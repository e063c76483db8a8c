"""CRC32C (Castagnoli): by the CPU's own instruction on x86-64 and aarch64, else by tables.

A long range runs as three independent chains of one stride each, whose results are joined by
"append zeros" tables: the instruction has a latency of three cycles and a throughput of one.
"""

import ctypes
import platform
from typing import Any, Final

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from core.jit import kernel

POLYNOMIAL: Final = 0x82F63B78  # Reflected.
MASK: Final = 0xFFFF_FFFF
WORD_BYTES: Final = 8
STRIDE_LONG: Final = 1280  # Three of them fit into the 3,968 bytes behind a block's header.
STRIDE_SHORT: Final = 128
SLOT_BYTES: Final = 128  # As core.constants; asserted in core.journal.layout.
CRC_FIELD_AT: Final = 36  # As core.messages.CRC_AT; asserted in core.journal.layout.

Table = "np.ndarray[Any, np.dtype[np.int64]]"


def _byte_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


_BYTE: Final = _byte_table()


def _zeros_tables(count: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Tables [4, 256]: the effect of ``count`` zero bytes on each byte of a raw checksum."""
    columns = []
    for bit in range(32):
        crc = 1 << bit
        for _ in range(count):
            crc = crc >> 8 ^ _BYTE[crc & 255]
        columns.append(crc)
    tables = np.zeros((4, 256), np.int64)
    for place in range(4):
        for byte in range(256):
            for bit in range(8):
                if byte >> bit & 1:
                    tables[place, byte] ^= columns[8 * place + bit]
    return tables


def _sliced_tables() -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Tables [8, 256] of the portable form: eight bytes a step."""
    tables = np.zeros((8, 256), np.int64)
    tables[0] = _BYTE
    for row in range(1, 8):
        previous = tables[row - 1]
        tables[row] = previous >> 8 ^ tables[0][previous & 255]
    return tables


def _has_instruction() -> bool:
    """Whether compiled code may use the checksum instruction of this CPU."""
    if numba.config.DISABLE_JIT or numba.config.CPU_NAME or numba.config.CPU_FEATURES:
        return False
    features = llvmlite.binding.get_host_cpu_features()
    if platform.machine() in ("x86_64", "AMD64"):
        return bool(features.get("sse4.2") and features.get("crc32", True))
    return platform.machine() == "aarch64" and bool(features.get("crc"))


HARDWARE: Final = _has_instruction()
_LONG: Final = _zeros_tables(STRIDE_LONG)
_SHORT: Final = _zeros_tables(STRIDE_SHORT)
_SLICED: Final = _sliced_tables()

if numba.config.DISABLE_JIT:

    def _word(address: int) -> int:
        return ctypes.c_uint64.from_address(address).value

    def _byte(address: int) -> int:
        return ctypes.c_uint8.from_address(address).value

    def _extend(crc: int, address: int, count: int) -> int:
        table = _BYTE
        for byte in ctypes.string_at(address, count):
            crc = crc >> 8 ^ table[(crc ^ byte) & 255]
        return crc

    def _step(crc: int, word: int) -> int:
        for byte in (word & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(WORD_BYTES, "little"):
            crc = crc >> 8 ^ _BYTE[(crc ^ byte) & 255]
        return crc

else:
    _I8: Final = ir.IntType(8)
    _I32: Final = ir.IntType(32)
    _I64: Final = ir.IntType(64)

    @intrinsic
    def _word(typing: Any, address: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(builder.inttoptr(args[0], _I64.as_pointer()), align=8)

        return types.int64(types.int64), lower

    @intrinsic
    def _byte(typing: Any, address: Any) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            byte = builder.load(builder.inttoptr(args[0], _I8.as_pointer()), align=1)
            return builder.zext(byte, _I64)

        return types.int64(types.int64), lower

    if HARDWARE:

        @intrinsic
        def _step(typing: Any, crc: Any, word: Any) -> Any:
            """Take eight more bytes into a raw checksum."""

            def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                if platform.machine() == "aarch64":
                    kind, name = ir.FunctionType(_I32, [_I32, _I64]), "llvm.aarch64.crc32cx"
                    call = cgutils.get_or_insert_function(builder.module, kind, name)
                    low = builder.trunc(args[0], _I32)
                    return builder.zext(builder.call(call, [low, args[1]]), _I64)
                kind, name = ir.FunctionType(_I64, [_I64, _I64]), "llvm.x86.sse42.crc32.64.64"
                call = cgutils.get_or_insert_function(builder.module, kind, name)
                return builder.call(call, list(args))

            return types.int64(types.int64, types.int64), lower

    else:

        @kernel
        def _step(crc: int, word: int) -> int:
            """Take eight more bytes into a raw checksum."""
            word ^= crc
            return int(
                _SLICED[7, word & 255]
                ^ _SLICED[6, word >> 8 & 255]
                ^ _SLICED[5, word >> 16 & 255]
                ^ _SLICED[4, word >> 24 & 255]
                ^ _SLICED[3, word >> 32 & 255]
                ^ _SLICED[2, word >> 40 & 255]
                ^ _SLICED[1, word >> 48 & 255]
                ^ _SLICED[0, word >> 56 & 255]
            )

    @kernel
    def _after_long(crc: int) -> int:
        """The raw checksum after STRIDE_LONG zero bytes more."""
        return (
            _LONG[0, crc & 255]
            ^ _LONG[1, crc >> 8 & 255]
            ^ _LONG[2, crc >> 16 & 255]
            ^ _LONG[3, crc >> 24 & 255]
        )

    @kernel
    def _after_short(crc: int) -> int:
        """The raw checksum after STRIDE_SHORT zero bytes more."""
        return (
            _SHORT[0, crc & 255]
            ^ _SHORT[1, crc >> 8 & 255]
            ^ _SHORT[2, crc >> 16 & 255]
            ^ _SHORT[3, crc >> 24 & 255]
        )

    @kernel
    def _extend(crc: int, address: int, count: int) -> int:
        """Take ``count`` bytes at ``address`` (8-aligned) into a raw checksum."""
        end = address + count
        while end - address >= 3 * STRIDE_LONG:
            second, third = 0, 0
            for place in range(address, address + STRIDE_LONG, WORD_BYTES):
                crc = _step(crc, _word(place))
                second = _step(second, _word(place + STRIDE_LONG))
                third = _step(third, _word(place + 2 * STRIDE_LONG))
            crc = _after_long(_after_long(crc) ^ second) ^ third
            address += 3 * STRIDE_LONG
        while end - address >= 3 * STRIDE_SHORT:
            second, third = 0, 0
            for place in range(address, address + STRIDE_SHORT, WORD_BYTES):
                crc = _step(crc, _word(place))
                second = _step(second, _word(place + STRIDE_SHORT))
                third = _step(third, _word(place + 2 * STRIDE_SHORT))
            crc = _after_short(_after_short(crc) ^ second) ^ third
            address += 3 * STRIDE_SHORT
        while end - address >= WORD_BYTES:
            crc = _step(crc, _word(address))
            address += WORD_BYTES
        while address < end:
            low = (crc ^ _byte(address)) & 255
            crc = crc >> 8 ^ _SLICED[0, low]
            address += 1
        return crc


@kernel
def crc32c(address: int, count: int) -> int:
    """Checksum of ``count`` bytes at ``address``, which is 8-aligned; 0 to 2^32 - 1."""
    return _extend(MASK, address, count) ^ MASK


@kernel
def crc32c_without(address: int, count: int, hole: int) -> int:
    """Checksum of a range whose 4-byte field at offset ``hole`` (4-aligned) is taken as zero."""
    word_at = hole // WORD_BYTES * WORD_BYTES
    crc = _extend(MASK, address, word_at)
    word = _word(address + word_at)
    word = word >> 32 << 32 if hole == word_at else word & MASK
    crc = _step(crc, word)
    return _extend(crc, address + word_at + WORD_BYTES, count - word_at - WORD_BYTES) ^ MASK


@kernel
def record_crc32c(address: int, slots: int) -> int:
    """Checksum of the command record of ``slots`` slots there, its crc32c field as zero."""
    crc = MASK
    for place in range(address, address + CRC_FIELD_AT - 4, WORD_BYTES):
        crc = _step(crc, _word(place))
    crc = _step(crc, _word(address + CRC_FIELD_AT - 4) & MASK)
    end = address + slots * SLOT_BYTES
    for place in range(address + CRC_FIELD_AT + 4, end, WORD_BYTES):
        crc = _step(crc, _word(place))
    return crc ^ MASK
