"""How kernels become machine code: what is called from Python is compiled whole, all else in parts.

numba makes a library of each kernel: optimised with all that it calls, turned into machine code,
wrapped for Python and kept in the cache, and then linked into each of its callers and optimised
there again.  An engine of several hundred kernels, ten deep, is optimised many times over.

Here a kernel that another one calls gives a *part*: its code as lowered and tidied by itself, not
yet with what it calls, neither wrapped nor kept.  A kernel that is called from Python is made
*whole*: all parts that it reaches are linked to it, optimised together, and kept in the cache.

A whole is optimised in numba's two rounds, and a part by numba's passes over single functions.
Either one left out saves a tenth of the time and costs the engine up to a tenth of its speed; the
first round is also what drops numba's counts of references to constant tables.

A parameter that is annotated ``int`` takes words: a narrower field is widened where it is passed.
Otherwise there is one more kernel to compile for each width that comes.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from llvmlite import binding, ir
from numba import types
from numba.core import compiler, sigutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

OPTIONS: Final = {"nopython": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def _leave_slots(module: ir.Module) -> None:
    """Do not fill the two slots of each call (numba's CPUCallConv).

    A callee stores its result there, or why it failed, before it returns, so nobody reads numba's
    zeros; but they are stored at the entry of a function for each call in it, made or not, and
    before each call again: a twentieth of the time of a plain order.
    """
    for function in module.functions:
        blocks = [block.instructions for block in function.blocks]
        calls = [one for block in blocks for one in block if _is_to_kernel(one)]
        slots = {id(slot) for call in calls for slot in call.args[:2]}
        for block in blocks:
            block[:] = [one for one in block if not _is_store_to(one, slots)]


def _is_store_to(instruction: Any, slots: set[int]) -> bool:
    return isinstance(instruction, ir.StoreInstr) and id(instruction.operands[1]) in slots


def _is_to_kernel(call: Any) -> bool:
    """Has this instruction the arguments of a call by numba's convention?"""
    if not isinstance(call, ir.CallInstr) or len(call.args) < 2:
        return False
    return isinstance(call.args[1], ir.AllocaInstr) and call.args[1].name.startswith("excinfo")


class _PartLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one kernel by itself, and the names of the libraries it calls."""

    _linking_libraries: list[Any]

    def add_ir_module(self, ir_module: Any) -> None:
        """As lowered."""
        _leave_slots(ir_module)
        super().add_ir_module(ir_module)

    def finalize(self) -> None:
        """Nothing to be added any more.  Each whole may take it: see numba's linkage of callees."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == binding.Linkage.external:
                function.linkage = "linkonce_odr"
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        self._ensure_finalized()
        return self._final_module

    def reached(self, seen: dict[Any, None]) -> None:
        """Add this library and all that it calls to ``seen``."""
        if self not in seen:
            seen[self] = None
            for library in self._linking_libraries:
                if isinstance(library, _PartLibrary):
                    library.reached(seen)
                else:
                    seen[library] = None


class _WholeLibrary(JITCodeLibrary):  # type: ignore[misc]
    """A kernel with all parts that it reaches."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        seen: dict[Any, None] = {}
        for library in self._linking_libraries:
            if isinstance(library, _PartLibrary):
                library.reached(seen)
            else:
                seen[library] = None
        self._linking_libraries = list(seen)
        super().finalize()


class _PartCompiler(compiler.Compiler):  # type: ignore[misc]
    def __init__(self, typing: Any, target: Any, _library: Any, *rest: Any) -> None:
        super().__init__(typing, target, _PartLibrary(target.codegen(), "part"), *rest)


class _WholeCompiler(compiler.Compiler):  # type: ignore[misc]
    def __init__(self, typing: Any, target: Any, _library: Any, *rest: Any) -> None:
        library = _WholeLibrary(target.codegen(), "whole")
        library.enable_object_caching()
        super().__init__(typing, target, library, *rest)


class _Part(CPUDispatcher):  # type: ignore[misc]
    """A kernel as other kernels call it."""

    def __init__(self, function: Callable[..., Any], *, forceinline: bool) -> None:
        options = {**OPTIONS, "forceinline": forceinline, "no_cpython_wrapper": True}
        super().__init__(function, targetoptions=options, pipeline_class=_PartCompiler)
        self._compiler._customize_flags = _without_machine_code
        self._are_words = [*_words(function)]
        self._keys: dict[Any, object] = {}

    def compile(self, sig: Any) -> object:
        """The key of the part for arguments of these types."""
        args = tuple(
            types.int64 if is_word and isinstance(kind, types.Integer | types.Boolean) else kind
            for is_word, kind in zip(
                self._are_words, sigutils.normalize_signature(sig)[0], strict=True
            )
        )
        with global_compiler_lock, self._compiling_counter:
            if args not in self.overloads:
                result = self._compiler.compile(args, None)
                self.overloads[args] = result
                self._keys[args] = key = object()
                self.targetctx.insert_user_function(key, result.fndesc, [result.library])
        return self._keys[args]

    def get_overload(self, sig: Any) -> object:
        return self._keys[tuple(sigutils.normalize_signature(sig)[0])]


class Kernel(CPUDispatcher):  # type: ignore[misc]
    """A kernel: as Python calls it, and with its part for other kernels."""

    def __init__(self, function: Callable[..., Any], *, forceinline: bool) -> None:
        options = {**OPTIONS, "forceinline": forceinline}
        super().__init__(function, targetoptions=options, pipeline_class=_WholeCompiler)
        self.enable_caching()
        self.part = _Part(function, forceinline=forceinline)

    @property
    def is_compiling(self) -> Any:
        return self.part.is_compiling

    @property
    def nopython_signatures(self) -> Any:
        return self.part.nopython_signatures

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return self.part.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        return self.part.get_overload(sig)


def _words(function: Callable[..., Any]) -> Iterator[bool]:
    """Of each parameter, whether it is annotated ``int``."""
    code = function.__code__
    for name in code.co_varnames[: code.co_argcount]:
        yield function.__annotations__.get(name) in (int, "int")


def _without_machine_code(flags: Any) -> Any:
    flags.no_compile = True
    return flags
