"""The only module that configures numba.  Everything compiled is compiled through here.

Modes (environment, read once at import):
    OUTCRY_JIT=release     fast, unchecked                       (default)
    OUTCRY_JIT=checked     row bounds checked, invariants asserted
    NUMBA_DISABLE_JIT=1    plain Python, for pdb and branch coverage

numba's own cache notices neither a changed constant or callee in another file nor a changed
mode.  So the cache directory is named after all of core's source, the mode and the versions:
any change gives an empty cache, never a stale one.  It is named after path and time of each file
too, because numba takes the same source elsewhere, or written again, for another one.
Kernels of the benchmarks use one another across files, so they go by bench's source as well.
"""

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import llvmlite
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, event
from numba.extending import intrinsic

from core.linking import Kernel

MODE: Final = os.environ.get("OUTCRY_JIT", "release")
if MODE not in ("release", "checked"):
    raise ValueError(f"OUTCRY_JIT: expected 'release' or 'checked', got {MODE!r}")

VERIFY: Final = MODE == "checked" or bool(numba.config.DISABLE_JIT)
PURE: Final = bool(numba.config.DISABLE_JIT)
MODE_NAME: Final = "pure" if PURE else MODE

Function = TypeVar("Function", bound=Callable[..., Any])

_kernels: list[Any] = []


def cache_directory() -> Path:
    """The directory of this source in its place, of this mode and toolchain."""
    top = os.environ.get("OUTCRY_CACHE") or Path.home() / ".cache" / "outcry"
    return Path(top) / _digest_of("core")


def _directory_of(package: str) -> Path:
    """Where kernels of a package are cached: those of bench go by its own source as well."""
    if package != "bench":
        return cache_directory()
    return cache_directory() / f"{package}-{_digest_of(package)}"


@functools.cache
def _digest_of(package: str) -> str:
    """Of the source of a package as this process has imported it, and of mode and toolchain."""
    digest = hashlib.sha256(f"{MODE} {numba.__version__} {llvmlite.__version__}".encode())
    for source in sorted((Path(__file__).resolve().parents[1] / package).rglob("*.py")):
        digest.update(f"{source} {source.stat().st_mtime_ns}".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _declare(function: Function, *, forceinline: bool) -> Function:
    package = function.__module__.partition(".")[0]
    numba.config.CACHE_DIR = str(_directory_of(package))  # Read where a kernel is declared.
    if PURE:
        return function
    compiled: Any = Kernel(function, forceinline=forceinline)
    _kernels.append(compiled)
    return compiled  # type: ignore[no-any-return]


def kernel(function: Function) -> Function:
    """Compile ``function`` without the GIL; to a type checker it stays what it was."""
    # Without its own forceinline it would get that of the function whose compilation came upon it.
    return _declare(function, forceinline=False)


def inlined(function: Function) -> Function:
    """A kernel whose body goes into its callers' machine code.

    For the small functions of the hot path: numba's calling convention (status and result through
    memory) costs more than most of them do, and LLVM's own judgement leaves them out of line.
    """
    return _declare(function, forceinline=True)


def entry(function: Function) -> int:
    """Where a kernel of three words that gives a word begins, for ``call_entry``.

    Compiled if need be.  A kernel that calls another one by name is compiled together with it.  The
    engine takes a minute; whoever calls it through its entry does not take that minute again.
    """
    if PURE:
        if function not in _entries:
            _entries.append(function)
        return _entries.index(function)
    words = (types.int64,) * 3
    function.compile(words)  # type: ignore[attr-defined]
    compiled = function.overloads[words]  # type: ignore[attr-defined]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


_entries: list[Any] = []

if PURE:

    def stay_apart() -> None:
        """Keep the function that says this out of its callers' machine code."""

    def seldom() -> None:
        """As ``stay_apart``, of what a plain order never needs."""

    def call_entry(address: int, one: int, two: int, three: int) -> int:
        """Call the kernel that begins at ``address`` (see ``entry``); its result."""
        return int(_entries[address](one, two, three))

else:

    @intrinsic
    def stay_apart(typing: Any) -> Any:
        """Keep the function that says this out of its callers' machine code.

        For what is rare but long: inlined, it takes registers from the path that is not rare.
        """

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.function.attributes.add("noinline")
            return context.get_dummy_value()

        return types.void(), lower

    @intrinsic
    def seldom(typing: Any) -> Any:
        """As ``stay_apart``, of what a plain order never needs: registers and the order of the code
        of its callers are chosen for the other way."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.function.attributes.add("noinline")
            builder.function.attributes.add("cold")
            return context.get_dummy_value()

        return types.void(), lower

    @intrinsic
    def call_entry(typing: Any, address: Any, one: Any, two: Any, three: Any) -> Any:
        """Call the kernel that begins at ``address`` (see ``entry``); its result, or -1 when it
        raised, which only the assertions of checked mode do."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word, place = ir.IntType(64), ir.IntType(8).as_pointer()
            result = cgutils.alloca_once(builder, word)
            error = cgutils.alloca_once(builder, place)
            kind = ir.FunctionType(
                ir.IntType(32), [word.as_pointer(), place.as_pointer(), word, word, word]
            )
            kernel_at = builder.inttoptr(args[0], kind.as_pointer())
            status = builder.call(kernel_at, [result, error, *args[1:]])
            is_good = builder.icmp_signed("==", status, ir.Constant(ir.IntType(32), 0))
            return builder.select(is_good, builder.load(result), ir.Constant(word, -1))

        return types.int64(types.int64, types.int64, types.int64, types.int64), lower


def kernels() -> list[Any]:
    """Every compiled function that has been declared so far, in order of declaration."""
    return list(_kernels)


def load(function: Callable[..., Any], words: int) -> None:
    """Have a kernel that takes ``words`` words ready to be called: loaded, or compiled."""
    if not PURE:
        function.compile((types.int64,) * words)  # type: ignore[attr-defined]


class _Late(event.Listener):  # type: ignore[misc]
    """Counts what takes numba's compiler lock: a compilation, or a load from the cache."""

    count = 0
    _depth = 0  # It is taken again inside.

    def on_start(self, event: Any) -> None:
        self.count += self._depth == 0
        self._depth += 1

    def on_end(self, event: Any) -> None:
        self._depth -= 1


_late: Final = _Late()


def freeze() -> None:
    """From here on nothing should be compiled.

    A kernel in use takes no other types of arguments: they are converted, or an error, and never a
    minute's stall.  One that was not in use yet is loaded or compiled, and ``late`` counts it.
    """
    if PURE:
        return
    for compiled in _kernels:
        if compiled.signatures:
            compiled.disable_compile()
    event.register("numba:compiler_lock", _late)


def late() -> int:
    """How often something was compiled or loaded since ``freeze``."""
    return _late.count
