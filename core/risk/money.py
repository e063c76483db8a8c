"""Integer arithmetic of money: fees in parts per million, what cash affords, shares of a cost.

No product here exceeds a signed 64-bit word: architecture decision 10.
"""

from typing import Final

from core.constants import PPM, WORD_MOST
from core.jit import inlined

SHARE_EXACT_BELOW: Final = 1 << 31


@inlined
def ppm_up(amount: int, ppm: int) -> int:
    """amount x ppm / 10^6, rounded up; amount and ppm are not negative."""
    return (amount // PPM) * ppm + ((amount % PPM) * ppm + (PPM - 1)) // PPM


@inlined
def ppm_down(amount: int, ppm: int) -> int:
    """amount x ppm / 10^6, rounded down; amount and ppm are not negative."""
    return (amount // PPM) * ppm + (amount % PPM) * ppm // PPM


@inlined
def notional_affordable(cash: int, ppm: int) -> int:
    """Largest n with n + ppm_up(n, ppm) <= cash."""
    divisor = PPM + ppm
    return (cash // divisor) * PPM + (cash % divisor) * PPM // divisor


@inlined
def share(amount: int, part: int, whole: int) -> int:
    """amount x part / whole rounded down, 0 <= part <= whole; for a ``whole`` of 2^31 or more
    the remainder's share is left out (a statistic, never money)."""
    if part == whole:
        return amount
    result = (amount // whole) * part
    if whole < SHARE_EXACT_BELOW:
        result += (amount % whole) * part // whole
    return result


@inlined
def summed(total: int, more: int) -> int:
    """A statistic with ``more`` added: it stops at 2^63 - 1 in either sign, and never wraps."""
    if more > 0 and total > WORD_MOST - more:
        return WORD_MOST
    if more < 0 and total < -WORD_MOST - more:
        return -WORD_MOST
    return total + more
