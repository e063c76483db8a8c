"""Decimal text: exact, no exponent, no rounding, and the way back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import units
from adapters.units import UnitError

WRONG = ["", " 1", "1 ", "+1", ".5", "5.", "1e3", "1E3", "NaN", "nan", "Infinity", "0x10", "1_000"]
WRONG += ["1,5", "--1", "1.2.3", "\uff11", "\u0663", "1\n", "9" * 65]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_plain_decimal_is_malformed(text: str) -> None:
    with pytest.raises(UnitError) as caught:
        units.scaled(text, 8)
    assert caught.value.code == "malformed"


def test_fewer_decimals_are_taken_and_more_refused() -> None:
    assert units.scaled("70150.5", 2) == 7_015_050
    assert units.scaled("7", 0) == 7
    with pytest.raises(UnitError, match="at most 2 decimals, got 3") as caught:
        units.scaled("70150.500", 2)
    assert caught.value.code == "precision"


def test_off_the_tick_names_the_neighbours() -> None:
    with pytest.raises(UnitError) as caught:
        units.steps("70150.75", 50, 2, ("price_off_tick", "tick"))
    assert caught.value.code == "price_off_tick"
    assert caught.value.detail == "tick is 0.50; nearest 70150.50, 70151.00; got '70150.75'"


def test_a_step_is_counted_exactly_however_long_the_number_is() -> None:
    assert units.steps("0.3", 1, 1, ("x", "x")) == 3
    assert units.steps("9" * 40, 1, 0, ("x", "x")) == int("9" * 40)
    assert units.steps("-1.5", 5, 1, ("x", "x")) == -3


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 12))
def test_text_and_back_is_the_same_integer(amount: int, scale: int) -> None:
    text = units.unscaled(amount, scale)
    assert units.scaled(text, scale) == amount
    assert Decimal(text) == Decimal(amount).scaleb(-scale)
    assert "E" not in text
    assert len(text.partition(".")[2]) == scale


@given(st.integers(-(2**70), 2**70), st.integers(1, 2**70))
def test_half_even_is_what_decimal_says(numerator: int, denominator: int) -> None:
    whole, rest = divmod(numerator, denominator)
    up = rest * 2 > denominator or (rest * 2 == denominator and whole % 2 == 1)
    assert units.half_even(numerator, denominator) == whole + up


def test_an_average_has_four_more_decimals_only_where_it_needs_them() -> None:
    assert units.average(7_015_000, 1, 2) == "70150.00"
    assert units.average(200, 3, 2) == "0.666667"
    assert units.average(1, 2, 0) == "0.5"
    assert units.average(4, 2, 0) == "2"
    assert units.average(100_050, 10, 2) == "100.05"
    assert units.average(100_055, 10, 2) == "100.055"


def test_what_is_shown_is_ascii_and_short() -> None:
    assert units.shown("\ud800ü") == "'\\ud800\\xfc'"
    assert len(units.shown("x" * 1_000)) == units.SHOWN_CHARS_MAX + 3
