"""Decimal text to integers and back, exact: no float, no exponent, no rounding of what a user sent.

A scaled integer is a decimal times 10^scale; a step (tick, lot) is itself a scaled integer.
Sources: handbook api.md C1 (numbers on the wire), architecture decision 10 (integers only).
"""

import re
from functools import lru_cache
from typing import Final

INT64_MAX: Final = (1 << 63) - 1
TEXT_CHARS_MAX: Final = 64
AVERAGE_EXTRA_DECIMALS: Final = 4
SHOWN_CHARS_MAX: Final = 64

_DECIMAL: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")


class UnitError(ValueError):
    """Text that is no amount of the unit; ``code`` is the public word, the message says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def shown(value: object) -> str:
    """A user's value for a message: printable ASCII, cut when it is long."""
    text = ascii(value)
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "..."


def split_decimal(text: str) -> tuple[int, int]:
    """``(digits, scale)`` of decimal text as it was written: '-0.50' is (-50, 2)."""
    whole, point, fraction = text.partition(".")
    if len(text) <= TEXT_CHARS_MAX and text.isascii() and whole.isdigit():
        if fraction.isdigit():
            return int(whole + fraction), len(fraction)
        if not point:
            return int(whole), 0
    match = _DECIMAL.fullmatch(text) if len(text) <= TEXT_CHARS_MAX else None
    if match is None:
        raise UnitError("malformed", f"expected decimal text such as '101.25', got {shown(text)}")
    sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
    return int(f"{sign}{whole}{fraction}"), len(fraction)


def scaled(text: str, scale: int) -> int:
    """``text`` times 10^scale; UnitError ``malformed``, or ``precision`` for too many decimals."""
    digits, decimals = split_decimal(text)
    if decimals > scale:
        raise UnitError("precision", f"at most {scale} decimals, got {decimals} in {shown(text)}")
    return int(digits * 10 ** (scale - decimals))


def steps(text: str, step: int, scale: int, off_step: tuple[str, str]) -> int:
    """How many steps ``text`` is; ``off_step`` is the code and the name of the step for the error.

    The result may be zero, negative or larger than a word: the caller knows the bounds.
    """
    amount = scaled(text, scale)
    count, rest = divmod(amount, step)
    if rest:
        below, above = (unscaled(n * step, scale) for n in (count, count + 1))
        code, name = off_step
        size = unscaled(step, scale)
        raise UnitError(code, f"{name} is {size}; nearest {below}, {above}; got {shown(text)}")
    return count


@lru_cache(16_384)  # Prices and quantities of one market are few.
def unscaled(amount: int, scale: int) -> str:
    """Decimal text with exactly ``scale`` decimals."""
    if scale == 0:
        return str(amount)
    digits = str(abs(amount)).zfill(scale + 1)
    sign = "-" if amount < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"


def half_even(numerator: int, denominator: int) -> int:
    """The nearest integer to a ratio, ties to the even one; ``denominator`` above 0."""
    whole, rest = divmod(numerator, denominator)
    if rest * 2 > denominator or (rest * 2 == denominator and whole & 1):
        whole += 1
    return whole


def average(numerator: int, denominator: int, scale: int) -> str:
    """A ratio of scaled integers as text: half-even at ``scale`` + 4 decimals.

    Zeros past ``scale`` are dropped, so that an average of one price looks like that price.
    """
    wide = half_even(numerator * 10**AVERAGE_EXTRA_DECIMALS, denominator)
    text = unscaled(wide, scale + AVERAGE_EXTRA_DECIMALS)
    head, tail = text[:-AVERAGE_EXTRA_DECIMALS], text[-AVERAGE_EXTRA_DECIMALS:]
    return (head + tail.rstrip("0")).rstrip(".")
