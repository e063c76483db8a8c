"""What the compiled code must not do: count references, allocate, be compiled once it is in use."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import pytest

from core import jit
from core.jit import PURE, kernel, kernels, stay_apart
from core.sequencer.warm import warm

ROOT: Final = Path(__file__).resolve().parents[2]
# Of numba's runtime: references counted, memory taken.
FORBIDDEN: Final = (b"NRT_incref", b"NRT_decref", b"NRT_Allocate", b"NRT_MemInfo_alloc")
ENTRIES: Final = {"turn", "apply_batch", "answer", "append", "sync_until", "offer", "drain", "take"}

pytestmark = pytest.mark.skipif(PURE, reason="nothing is compiled in plain Python mode")


@kernel
def counts_references(rows: "np.ndarray[Any, Any]") -> int:
    """What a kernel over arrays comes to."""
    other = rows.copy()
    return int(other[0] + rows[0])


def machine_code(compiled: Any) -> Iterator[bytes]:
    """What the cache holds of a kernel: its object code, with all that it calls by name."""
    kept = compiled._cache._cache_file
    for name in kept._load_index().values():
        (_, _, (code, _)), *_ = kept._load_data(name)
        yield code


def test_no_kernel_counts_references_or_allocates() -> None:
    warm()
    looked_at = set()
    for compiled in kernels():
        if not compiled.py_func.__module__.startswith("core."):
            continue
        for code in machine_code(compiled):
            looked_at.add(compiled.py_func.__name__)
            assert not [word for word in FORBIDDEN if word in code], compiled
    assert looked_at >= ENTRIES


def test_a_kernel_that_counts_references_is_noticed() -> None:
    counts_references(np.arange(3))
    (code,) = machine_code(counts_references)
    assert b"NRT_decref" in code
    assert b"NRT_MemInfo_alloc" in code or b"NRT_Allocate" in code


@kernel
def positive(number: int) -> int:
    stay_apart()
    if number <= 0:
        raise ValueError("not positive")
    return number


@kernel
def twice(number: int) -> int:
    stay_apart()
    return 2 * positive(number)


@kernel
def twice_or_more(number: int, is_twice: int) -> int:
    if is_twice != 0:
        return twice(number)
    return positive(number) + 1


def test_results_and_failures_come_through_the_slots_of_calls() -> None:
    assert [twice_or_more(5, 1), twice_or_more(5, 0)] == [10, 6]
    for which in (0, 1):
        with pytest.raises(ValueError, match="not positive"):
            twice_or_more(-5, which)


def test_the_slots_of_calls_are_not_filled_before() -> None:
    part: Any = twice_or_more.part  # type: ignore[attr-defined]
    part.compile((numba.int64, numba.int64))
    (compiled,) = part.overloads.values()
    code = str(compiled.library._final_module)
    assert code.count("call ") >= 2
    assert not [line for line in code.splitlines() if "store" in line and "null, " in line]


FROZEN: Final = """
import numpy as np
from core import jit
@jit.kernel
def used(word):
    return word + 1
@jit.kernel
def unused(word):
    return word + 2
jit.load(used, 1)
jit.freeze()
assert used(1) == used(np.int64(1)) == used(True) == 2
assert jit.late() == 0
try:
    used(np.zeros(2))
except TypeError as error:
    assert "No matching definition" in str(error), error
else:
    raise AssertionError("another type was compiled for")
assert len(used.signatures) == 1 and jit.late() == 0
assert unused(1) == 3
late = jit.late()
assert late > 0
unused(1)
assert jit.late() == late
"""


def test_once_frozen_a_late_kernel_is_counted_and_another_type_is_an_error(tmp_path: Path) -> None:
    script = tmp_path / "frozen.py"
    script.write_text(FROZEN)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OUTCRY_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nothing_is_late_before_it_is_frozen() -> None:
    assert jit.late() == 0
