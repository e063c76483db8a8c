"""Words that two processes share: the only functions that may touch them.

A word is an int64 at an address divisible by 8, with one writer.  ``store_release`` makes all
that was written before it visible to whoever reads the new value with ``load_acquire``.  The
fences order what these two cannot: a store before a later load (``fence``), a store before later
stores (``fence_release``), loads before later loads (``fence_acquire``).  Right on x86-64 and
aarch64.

A plain load is not enough even on x86: the compiler reads it once and spins on the register.

In plain Python mode each has a twin over ctypes.  One aligned 8-byte access is one instruction
there too; ``fence`` goes through a lock, whose atomic exchange is a full barrier.
"""

import ctypes
import threading
from typing import Any, Final

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from core.jit import kernel

WORD_BYTES: Final = 8

if numba.config.DISABLE_JIT:
    _barrier: Final = threading.Lock()

    def load_acquire(address: int) -> int:
        """The word at ``address``; no later load or store is done before it."""
        return ctypes.c_int64.from_address(address).value

    def store_release(address: int, value: int) -> None:
        """Store a word; every earlier load and store is done before it."""
        ctypes.c_int64.from_address(address).value = value

    def fence() -> None:
        """Full barrier: earlier stores are visible before any later load."""
        with _barrier:
            pass

    fence_acquire = fence
    fence_release = fence

    def spin_hint() -> None:
        """Tell the processor that this is a loop that waits."""

else:

    @intrinsic
    def load_acquire(typing: Any, address: Any) -> Any:
        """The word at ``address``; no later load or store is done before it."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
            return builder.load_atomic(word, "acquire", WORD_BYTES)

        return types.int64(types.int64), lower

    @intrinsic
    def store_release(typing: Any, address: Any, value: Any) -> Any:
        """Store a word; every earlier load and store is done before it."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
            builder.store_atomic(args[1], word, "release", WORD_BYTES)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), lower

    def _fence(ordering: str) -> Any:
        def fence(typing: Any) -> Any:
            def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                builder.fence(ordering)
                return context.get_dummy_value()

            return types.void(), lower

        return intrinsic(fence)

    fence = _fence("seq_cst")
    fence_acquire = _fence("acquire")
    fence_release = _fence("release")

    @intrinsic
    def spin_hint(typing: Any) -> Any:
        """Tell the processor that this is a loop that waits."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            if builder.module.triple.startswith(("aarch64", "arm64")):
                kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])
                hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.hint")
                builder.call(hint, [ir.Constant(ir.IntType(32), 1)])  # YIELD
            else:
                kind = ir.FunctionType(ir.VoidType(), [])
                hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause")
                builder.call(hint, [])
            return context.get_dummy_value()

        return types.void(), lower


@kernel
def load_word(address: int) -> int:
    """``load_acquire`` for Python code, which cannot call an intrinsic."""
    return load_acquire(address)


@kernel
def store_word(address: int, value: int) -> None:
    """``store_release`` for Python code."""
    store_release(address, value)


@kernel
def full_fence() -> None:
    """``fence`` for Python code."""
    fence()
