"""How kernels become machine code: parts for kernels, wholes for Python (``core.linking``)."""

from typing import Final

import numpy as np
import pytest

from core.jit import PURE, inlined, kernel, stay_apart
from core.layout import record
from core.memory import pointer

pytestmark = pytest.mark.skipif(PURE, reason="nothing is compiled in plain Python mode")

WIDTHS: Final = record(
    "numbers of every width",
    16,
    [("eight", "<i8"), ("four", "<i4"), ("two", "<u2"), ("one", "u1"), ("reserved", "u1")],
)
widths_at = pointer(WIDTHS)


@kernel
def twice(word: int) -> int:
    stay_apart()
    return word + word


@inlined
def next_word(word: int) -> int:
    return word + 1


@kernel
def sum_of_all(address: int) -> int:
    """Calls ``twice`` with a field of every width."""
    row = widths_at(address)
    narrow = twice(row.one) + twice(row.two)
    return narrow + twice(row.four) + twice(row.eight) + next_word(row.one)


@kernel
def called_by_both(word: int) -> int:
    return twice(word) + 1


@kernel
def caller(word: int) -> int:
    return called_by_both(word) * 2


def row() -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    numbers = np.zeros(1, WIDTHS)
    numbers["one"], numbers["two"], numbers["four"], numbers["eight"] = 255, 65_535, -7, 1 << 60
    return numbers


def test_fields_of_every_width_go_to_one_kernel_and_keep_their_values() -> None:
    numbers = row()
    expected = 2 * (255 + 65_535 - 7 + (1 << 60)) + 256
    assert sum_of_all(numbers.ctypes.data) == expected
    assert len(twice.part.overloads) == 1  # type: ignore[attr-defined]
    assert len(next_word.part.overloads) == 1  # type: ignore[attr-defined]


def test_what_only_kernels_call_is_neither_whole_nor_kept() -> None:
    sum_of_all(row().ctypes.data)
    assert next_word.signatures == []  # type: ignore[attr-defined]
    assert sum(next_word.stats.cache_misses.values()) == 0  # type: ignore[attr-defined]


def test_a_kernel_may_be_called_from_python_and_by_another_one() -> None:
    assert called_by_both(20) == 41
    assert caller(20) == 82
    assert called_by_both(int(np.uint8(200))) == 401
    assert len(called_by_both.signatures) >= 1  # type: ignore[attr-defined]
