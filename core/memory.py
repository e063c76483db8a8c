"""Raw memory: records at an address, loads and stores, copies, prefetch, bit scans, 128-bit mixing.

The state of the exchange is a few large mapped regions; a kernel is given addresses and reads rows
through ``pointer(DTYPE)(address)``, whose fields have names (``order.leaves``).  No reference is
counted and no bound is checked here: the row accessors of ``core.rows`` check the row number in
checked mode.  In plain Python mode each function has a twin over ctypes on the same bytes.

All words are int64, also bit masks: mixing in uint64 would turn to float in plain Python.
"""

import ctypes
import hashlib
import mmap
from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic, lower_setattr_generic
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, models, register_model

WORD_MASK: Final = (1 << 64) - 1
HALF_MASK: Final = (1 << 32) - 1
HUGE_PAGE_BYTES: Final = 2 << 20
PRODUCT_KEYS: Final = tuple(
    (place * 0x9E37_79B9_7F4A_7C15 >> 29) & HALF_MASK | 1 for place in range(1, 33)
)

Record = Any  # A record at an address: fields by attribute, in every mode.


def region(size: int, *, touch: bool = False) -> tuple[mmap.mmap, int]:
    """Map ``size`` bytes of private zeroed memory, huge pages advised; (owner, address).

    The address is aligned to 2 MiB.  The caller keeps the owner alive as long as the address.
    ``touch``: have every page now, so that none is missing when it is used for the first time.
    """
    owner = mmap.mmap(-1, size + HUGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    owner.madvise(mmap.MADV_HUGEPAGE)
    start = address_of_buffer(owner)
    address = (start + HUGE_PAGE_BYTES - 1) // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
    if touch:
        view(address, np.dtype(np.uint8), size)[:: mmap.PAGESIZE] = 0
    return owner, address


def address_of_buffer(buffer: Any) -> int:
    """Address of the first byte of a writable buffer (mmap, bytearray, numpy array)."""
    return int(np.frombuffer(buffer, np.uint8).ctypes.data)


def view(address: int, dtype: "np.dtype[Any]", count: int) -> "np.ndarray[Any, Any]":
    """The ``count`` rows at ``address`` as a numpy array; the memory must outlive it."""
    raw: Any = (ctypes.c_uint8 * (dtype.itemsize * count)).from_address(address)
    return np.frombuffer(raw, dtype, count)


def _signed(word: int) -> int:
    word &= WORD_MASK
    return word - (1 << 64) if word >> 63 else word


if numba.config.DISABLE_JIT:
    _CTYPES: Final = {
        "i1": ctypes.c_int8,
        "u1": ctypes.c_uint8,
        "i2": ctypes.c_int16,
        "u2": ctypes.c_uint16,
        "i4": ctypes.c_int32,
        "u4": ctypes.c_uint32,
        "i8": ctypes.c_int64,
        "u8": ctypes.c_uint64,
    }

    def pointer(dtype: "np.dtype[np.void]", family: str = "") -> Callable[[int], Record]:
        """A function from an address to the record of ``dtype`` that lies there."""
        assert dtype.fields is not None and dtype.names is not None
        fields: list[tuple[str, Any]] = []
        for name in dtype.names:
            kind = dtype.fields[name][0]
            base = _CTYPES[kind.base.str[1:]]
            fields.append((name, base * int(np.prod(kind.shape)) if kind.shape else base))
        structure: Any = type("Row", (ctypes.Structure,), {"_fields_": fields})
        assert ctypes.sizeof(structure) == dtype.itemsize
        return structure.from_address

    def address_of(record: Record) -> int:
        """Address of a record that ``pointer`` gave."""
        return ctypes.addressof(record)

    def load_i64(address: int) -> int:
        return ctypes.c_int64.from_address(address).value

    def store_i64(address: int, value: int) -> None:
        ctypes.c_int64.from_address(address).value = value

    def load_i32(address: int) -> int:
        return ctypes.c_int32.from_address(address).value

    def store_i32(address: int, value: int) -> None:
        ctypes.c_int32.from_address(address).value = value

    def load_u8(address: int) -> int:
        return ctypes.c_uint8.from_address(address).value

    def store_u8(address: int, value: int) -> None:
        ctypes.c_uint8.from_address(address).value = value

    def copy(target: int, source: int, size: int) -> None:
        ctypes.memmove(target, source, size)

    def fill(target: int, byte: int, size: int) -> None:
        ctypes.memset(target, byte, size)

    def copy36(target: int, source: int) -> None:
        ctypes.memmove(target, source, 36)

    def copy128(target: int, source: int) -> None:
        ctypes.memmove(target, source, 128)

    def copy64_to_event(target: int, source: int) -> None:
        ctypes.memmove(target, source, 64)

    def copy12_to_cold(target: int, source: int) -> None:
        ctypes.memmove(target, source, 12)

    def copy4_to_cold(target: int, source: int) -> None:
        ctypes.memmove(target, source, 4)

    def clear64_of_cold(target: int) -> None:
        ctypes.memset(target, 0, 64)

    def prefetch(address: int) -> None:
        """Ask for the cache line at ``address``; never faults."""

    def prefetch_write(address: int) -> None:
        """Ask to own the cache line at ``address``; never faults."""

    def highest_bit(word: int) -> int:
        return (word & WORD_MASK).bit_length() - 1

    def lowest_bit(word: int) -> int:
        word &= WORD_MASK
        return (word & -word).bit_length() - 1

    def bit(number: int) -> int:
        return _signed(1 << number)

    def mul_fold(left: int, right: int) -> int:
        product = (left & WORD_MASK) * (right & WORD_MASK)
        return _signed(product ^ (product >> 64))

    def sum_products(address: int) -> int:
        lanes = [0, 0, 0, 0]
        for place in range(16):
            word = ctypes.c_uint64.from_address(address + 8 * place).value
            low = (word + PRODUCT_KEYS[2 * place]) & HALF_MASK
            high = ((word >> 32) + PRODUCT_KEYS[2 * place + 1]) & HALF_MASK
            lanes[place & 3] = (lanes[place & 3] + low * high) & WORD_MASK
        turned = [lanes[0], *(_turn(lane, 16 * n) for n, lane in enumerate(lanes) if n)]
        return _signed(sum(turned))

    def _turn(word: int, count: int) -> int:
        return (word << count | word >> (64 - count)) & WORD_MASK

    def product_exceeds(left: int, right: int, most: int) -> bool:
        return left * right > most

    def wrap_mul(left: int, right: int) -> int:
        return _signed(left * right)

    def wrap_add(left: int, right: int) -> int:
        return _signed(left + right)

    def shift_right(word: int, count: int) -> int:
        return (word & WORD_MASK) >> count

else:
    _I8P: Final = ir.IntType(8).as_pointer()

    class RowType(types.Type):  # type: ignore[misc]
        """A row of a family: a store to a row of one family changes no row of another one.

        The compiler is told so (as the type-based aliasing of C), and keeps what it has loaded from
        the state in registers while it writes an event.  Loads and stores by address belong to no
        family and are taken to touch any.
        """

        def __init__(self, family: str, dtype: "np.dtype[np.void]") -> None:
            self.family = family
            self.fields = {
                name: (numba.from_dtype(found[0]), found[1])
                for name, found in (dtype.fields or {}).items()
                if not found[0].shape
            }
            digest = hashlib.sha256(repr(dtype.descr).encode()).hexdigest()[:8]
            super().__init__(f"Row_{family}_{digest}")

    register_model(RowType)(models.OpaqueModel)

    @infer_getattr
    class _RowAttribute(AttributeTemplate):  # type: ignore[misc]
        key = RowType

        def generic_resolve(self, row: Any, name: str) -> Any:
            field = row.fields.get(name)
            return field[0] if field else None

    def _tag(module: Any, family: str) -> Any:
        root = module.add_metadata(["outcry rows"])
        kind = module.add_metadata([family, root, ir.Constant(ir.IntType(64), 0)])
        return module.add_metadata([kind, kind, ir.Constant(ir.IntType(64), 0)])

    def _field(context: Any, builder: Any, row: Any, name: str, base: Any) -> tuple[Any, Any]:
        kind, offset = row.fields[name]
        start = builder.ptrtoint(base, ir.IntType(64))
        at = builder.add(start, ir.Constant(ir.IntType(64), offset))
        return kind, builder.inttoptr(at, context.get_value_type(kind).as_pointer())

    @lower_getattr_generic(RowType)
    def _row_getattr(context: Any, builder: Any, row: Any, base: Any, name: str) -> Any:
        kind, place = _field(context, builder, row, name, base)
        word = builder.load(place, align=kind.bitwidth // 8)
        word.set_metadata("tbaa", _tag(builder.module, row.family))
        return word

    @lower_setattr_generic(RowType)
    def _row_setattr(context: Any, builder: Any, signature: Any, args: Any, name: str) -> None:
        kind, place = _field(context, builder, signature.args[0], name, args[0])
        done = builder.store(args[1], place, align=kind.bitwidth // 8)
        done.set_metadata("tbaa", _tag(builder.module, signature.args[0].family))

    def pointer(dtype: "np.dtype[np.void]", family: str = "") -> Callable[[int], Record]:
        """A function from an address to the record of ``dtype`` that lies there.

        ``family``: see ``RowType``; memory that is seen through two declared records, both with
        stores, must have one family or none.
        """
        row = RowType(family, dtype) if family else numba.from_dtype(dtype)

        @intrinsic
        def at(typing: Any, address: Any) -> Any:
            def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                return builder.inttoptr(args[0], context.get_value_type(row))

            return row(types.int64), lower

        return at  # type: ignore[no-any-return]

    @intrinsic
    def address_of(typing: Any, record: Any) -> Any:
        """Address of a record that ``pointer`` gave."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.ptrtoint(args[0], ir.IntType(64))

        return types.int64(record), lower

    def _load(bits: int, signed: bool) -> Any:  # noqa: FBT001
        def load(typing: Any, address: Any) -> Any:
            def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                kind = ir.IntType(bits)
                word = builder.load(builder.inttoptr(args[0], kind.as_pointer()), align=bits // 8)
                if bits == 64:
                    return word
                extend = builder.sext if signed else builder.zext
                return extend(word, ir.IntType(64))

            return types.int64(types.int64), lower

        return intrinsic(load)

    def _store(bits: int) -> Any:
        def store(typing: Any, address: Any, value: Any) -> Any:
            def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                kind = ir.IntType(bits)
                word = args[1] if bits == 64 else builder.trunc(args[1], kind)
                target = builder.inttoptr(args[0], kind.as_pointer())
                builder.store(word, target, align=bits // 8)
                return context.get_dummy_value()

            return types.void(types.int64, types.int64), lower

        return intrinsic(store)

    load_i64 = _load(64, signed=True)
    load_i32 = _load(32, signed=True)
    load_u8 = _load(8, signed=False)
    store_i64 = _store(64)
    store_i32 = _store(32)
    store_u8 = _store(8)

    @intrinsic
    def copy(typing: Any, target: Any, source: Any, size: Any) -> Any:
        """Copy ``size`` bytes between regions that do not overlap."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            ends = [builder.inttoptr(end, _I8P) for end in args[:2]]
            cgutils.raw_memcpy(builder, *ends, args[2], 1)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), lower

    @intrinsic
    def fill(typing: Any, target: Any, byte: Any, size: Any) -> Any:
        """Set ``size`` bytes to ``byte``."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            byte = builder.trunc(args[1], ir.IntType(8))
            cgutils.memset(builder, builder.inttoptr(args[0], _I8P), args[2], byte)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), lower

    def _copy_fixed(parts: tuple[tuple[int, int], ...], family: str = "") -> Any:
        def copy_fixed(typing: Any, target: Any, source: Any) -> Any:
            def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                words = []
                for offset, size in parts:
                    kind = ir.VectorType(ir.IntType(32), size // 4) if size > 4 else ir.IntType(32)
                    at = builder.add(args[1], ir.Constant(ir.IntType(64), offset))
                    words.append(builder.load(builder.inttoptr(at, kind.as_pointer()), align=4))
                for (offset, _size), word in zip(parts, words, strict=True):
                    at = builder.add(args[0], ir.Constant(ir.IntType(64), offset))
                    done = builder.store(
                        word, builder.inttoptr(at, word.type.as_pointer()), align=4
                    )
                    if family:
                        done.set_metadata("tbaa", _tag(builder.module, family))
                return context.get_dummy_value()

            return types.void(types.int64, types.int64), lower

        return intrinsic(copy_fixed)

    copy36 = _copy_fixed(((0, 32), (32, 4)), "text")  # No field of a row is part of a text.
    copy128 = _copy_fixed(((0, 64), (64, 64)))
    # Rows of a family, see ``RowType``: what is stored may be read as fields of its records.
    copy64_to_event = _copy_fixed(((0, 64),), "event")
    copy12_to_cold = _copy_fixed(((0, 8), (8, 4)), "cold")
    copy4_to_cold = _copy_fixed(((0, 4),), "cold")

    @intrinsic
    def clear64_of_cold(typing: Any, target: Any) -> Any:
        """64 bytes of zero in a row of the family "cold"."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.VectorType(ir.IntType(64), 8)
            at = builder.inttoptr(args[0], kind.as_pointer())
            done = builder.store(ir.Constant(kind, [0] * 8), at, align=8)
            done.set_metadata("tbaa", _tag(builder.module, "cold"))
            return context.get_dummy_value()

        return types.void(types.int64), lower

    def _prefetch(write: int) -> Any:
        def fetch(typing: Any, address: Any) -> Any:
            def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                i32 = ir.IntType(32)
                kind = ir.FunctionType(ir.VoidType(), [_I8P, i32, i32, i32])
                call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
                hints = [ir.Constant(i32, value) for value in (write, 3, 1)]
                builder.call(call, [builder.inttoptr(args[0], _I8P), *hints])
                return context.get_dummy_value()

            return types.void(types.int64), lower

        return intrinsic(fetch)

    prefetch = _prefetch(0)
    prefetch_write = _prefetch(1)

    @intrinsic
    def highest_bit(typing: Any, word: Any) -> Any:
        """Number of the highest set bit of a word that is not zero."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            zeros = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))
            return builder.sub(ir.Constant(ir.IntType(64), 63), zeros)

        return types.int64(types.int64), lower

    @intrinsic
    def lowest_bit(typing: Any, word: Any) -> Any:
        """Number of the lowest set bit of a word that is not zero."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.int64), lower

    @intrinsic
    def bit(typing: Any, number: Any) -> Any:
        """The word in which only this bit is set; bit 63 is the sign."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.shl(ir.Constant(ir.IntType(64), 1), args[0])

        return types.int64(types.int64), lower

    @intrinsic
    def mul_fold(typing: Any, left: Any, right: Any) -> Any:
        """High and low half of the 128-bit product of two words, xored (the mixer of wyhash)."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            wide = ir.IntType(128)
            product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
            high = builder.lshr(product, ir.Constant(wide, 64))
            return builder.trunc(builder.xor(product, high), ir.IntType(64))

        return types.int64(types.int64, types.int64), lower

    @intrinsic
    def sum_products(typing: Any, address: Any) -> Any:
        """Hash of the 128 bytes at ``address``: every 8 bytes are two halves, each half has its own
        key added, and the products of the pairs are summed (NH of UMAC) in four lanes."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            halves, words = ir.VectorType(ir.IntType(32), 8), ir.VectorType(ir.IntType(64), 4)
            shift, low = ir.Constant(words, [32] * 4), ir.Constant(words, [HALF_MASK] * 4)
            lanes = ir.Constant(words, [0] * 4)
            for part in range(4):
                at = builder.add(args[0], ir.Constant(ir.IntType(64), 32 * part))
                row = builder.load(builder.inttoptr(at, halves.as_pointer()), align=8)
                keys = ir.Constant(halves, list(PRODUCT_KEYS[8 * part : 8 * part + 8]))
                row = builder.bitcast(builder.add(row, keys), words)
                product = builder.mul(builder.and_(row, low), builder.lshr(row, shift))
                lanes = builder.add(lanes, product)
            turns = ir.Constant(words, [0, 16, 32, 48])
            kind = ir.FunctionType(words, [words] * 3)
            turn = cgutils.get_or_insert_function(builder.module, kind, "llvm.fshl.v4i64")
            turned = builder.call(turn, [lanes, lanes, turns])
            kind = ir.FunctionType(ir.IntType(64), [words])
            name = "llvm.vector.reduce.add.v4i64"
            return builder.call(
                cgutils.get_or_insert_function(builder.module, kind, name), [turned]
            )

        return types.int64(types.int64), lower

    @intrinsic
    def product_exceeds(typing: Any, left: Any, right: Any, most: Any) -> Any:
        """Is the product of two words that are not negative more than ``most``?  Never wraps."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            wide = [builder.zext(word, ir.IntType(128)) for word in args]
            return builder.icmp_unsigned(">", builder.mul(wide[0], wide[1]), wide[2])

        return types.boolean(types.int64, types.int64, types.int64), lower

    @intrinsic
    def wrap_mul(typing: Any, left: Any, right: Any) -> Any:
        """Product of two words modulo 2^64, on purpose."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.mul(args[0], args[1])

        return types.int64(types.int64, types.int64), lower

    @intrinsic
    def wrap_add(typing: Any, left: Any, right: Any) -> Any:
        """Sum of two words modulo 2^64, on purpose."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.add(args[0], args[1])

        return types.int64(types.int64, types.int64), lower

    @intrinsic
    def shift_right(typing: Any, word: Any, count: Any) -> Any:
        """Logical shift: zeros come in at the top."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.lshr(args[0], args[1])

        return types.int64(types.int64, types.int64), lower
