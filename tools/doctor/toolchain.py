"""Checks: the interpreter, the packages, the compiled kernels, the configuration itself."""

import importlib
import importlib.metadata
import re
from pathlib import Path
from typing import Final

from tools.doctor.found import Found, fail, ok, warn
from tools.doctor.where import Where, is_writable

LEAST: Final = (3, 11)
LOCK: Final = Path(__file__).resolve().parents[2] / "requirements.lock"
SET_UP: Final = "make setup"


def configuration(where: Where) -> Found:
    """Every key of file, environment and flags has a value that can be used."""
    faults = [str(fault) for fault in where.faults]
    if where.limits is None:
        faults.append("limits do not fit together")
    if faults:
        return fail("; ".join(faults), "outcry config check; outcry config show --origin")
    set_keys = sum(1 for origin in where.loaded.origins.values() if origin != "default")
    return ok(f"{set_keys} keys are set, the others have their defaults")


def python(where: Where) -> Found:
    """Python 3.11 or newer, with the global interpreter lock."""
    version, has_gil, path = where.interpreter
    text = f"{'.'.join(map(str, version))}{'' if has_gil else ' without the GIL'} ({path})"
    if version < LEAST:
        return fail(text, "make setup PYTHON=python3.11, in a fresh .venv (make clean)")
    if not has_gil:
        return fail(
            f"{text}: numba and uvloop are not made for it",
            "make setup PYTHON=… with an ordinary build, in a fresh .venv (make clean)",
        )
    return ok(text)


def packages(where: Where, lock: Path = LOCK, names: tuple[str, ...] = ()) -> Found:
    """What is installed are the versions that the tests ran with."""
    locked = locked_versions(lock)
    missing, other = [], []
    for name in names or needed():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if locked.get(name, version) != version:
            other.append(f"{name} {version} (locked: {locked[name]})")
    if missing:
        return fail(f"not installed: {', '.join(missing)}", SET_UP)
    if other:
        return warn(f"other versions than those tested: {', '.join(other)}", SET_UP)
    main = ("numba", "numpy", "llvmlite")
    return ok(", ".join(f"{name} {importlib.metadata.version(name)}" for name in main))


def needed() -> list[str]:
    """The packages that a running exchange imports, and what compiles it."""
    return [
        *("aiohttp", "hdrhistogram", "llvmlite", "msgspec", "numba", "numpy"),
        *("prometheus-client", "rich", "sortedcontainers", "structlog", "typer", "uvloop"),
    ]


def locked_versions(lock: Path) -> dict[str, str]:
    """Versions of a requirements.lock by name; empty when there is none."""
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError:
        return {}
    found = re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {name: version for name, version in found}


def uvloop(where: Where) -> Found:
    """The event loop of the adapters can be loaded."""
    try:
        module = importlib.import_module("uvloop")
    except ImportError as error:
        return fail(f"cannot be imported: {error}; no adapter starts", SET_UP)
    return ok(module.__version__)


def kernels(where: Where) -> Found:
    """The compiled core is in the cache, and the cache can be written."""
    from core import jit

    directory = jit.cache_directory()
    if jit.PURE:
        return warn("NUMBA_DISABLE_JIT is set: plain Python, slow", "unset NUMBA_DISABLE_JIT")
    if where.is_warm:
        return ok(f"compiled, mode {jit.MODE_NAME}, {directory}")
    place = where.nearest(directory)
    if not is_writable(place):
        return fail(
            f"not compiled, and {place} cannot be written: every start would compile for a minute",
            "export OUTCRY_CACHE=DIR with a directory that this user may write",
        )
    return warn("not compiled: the next start takes a minute longer", "outcry compile")


CHECKS: Final = (
    configuration,
    python,
    packages,
    uvloop,
    kernels,
)
