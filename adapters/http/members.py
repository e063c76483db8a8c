"""Members of a body as numbers: words, prices, quantities, money.  Every fault is collected.

Absent is 0; a fault is 0 too.  Without an instrument, which is a fault by then, nothing is checked.
"""

from collections.abc import Mapping
from typing import Final

from adapters.http.body import pointer
from adapters.http.problems import Faults
from adapters.instruments import Asset, Instrument
from adapters.units import UnitError, scaled, shown

LATER: Final[dict[str, tuple[str, ...]]] = {"resp": ("ack", "result")}


def choice(name: str, value: str | None, words: Mapping[str, int], faults: Faults) -> int:
    """The number of a word; 0 and a fault when it is none."""
    where = f"/{name}"
    if faults.at(where):
        return 0
    if value is None:
        faults.add(where, "required", f"required: one of {', '.join(words)}")
        return 0
    number = words.get(value)
    if number is not None:
        return number
    if value in LATER.get(name, ()):
        faults.add(where, "not_supported", f"{name} {value!r} is not built yet")
    else:
        detail = f"expected one of {', '.join(words)}, got {shown(value)}"
        faults.add(where, "invalid_value", detail)
    return 0


def ticks(name: str, value: str | None, instrument: Instrument | None, faults: Faults) -> int:
    """Ticks of a price, above 0."""
    if value is None or instrument is None or faults.at(pointer(name)):
        return 0
    try:
        return instrument.ticks(value)
    except UnitError as error:
        faults.add(pointer(name), error.code, error.detail)
        return 0


def lots(
    name: str,
    value: str | None,
    instrument: Instrument | None,
    faults: Faults,
    *,
    required: bool = False,
) -> int:
    """Lots of a quantity, above 0."""
    if faults.at(pointer(name)):
        return 0
    if value is None:
        if required:
            faults.add(pointer(name), "required", "required: decimal text such as '0.25'")
        return 0
    try:
        return instrument.lots(value) if instrument else 0
    except UnitError as error:
        faults.add(pointer(name), error.code, error.detail)
        return 0


def quote(name: str, value: str | None, instrument: Instrument | None, faults: Faults) -> int:
    """An amount above 0 of the instrument's quote asset."""
    if value is None or instrument is None:
        return 0
    return amount(name, value, instrument.quote, faults)


def amount(
    name: str, value: str | None, asset: Asset | None, faults: Faults, *, signed: bool = False
) -> int:
    """An amount of an asset: above 0, or with ``signed`` anything that fits."""
    if value is None or asset is None or faults.at(pointer(name)):
        return 0
    try:
        if not signed:
            return asset.amount(value)
        units = scaled(value, asset.scale)
        return asset.amount(value.lstrip("-")) * (-1 if units < 0 else 1) if units else 0
    except UnitError as error:
        faults.add(pointer(name), error.code, error.detail)
        return 0


def number(name: str, value: int | None, low: int, high: int, faults: Faults) -> int:
    """A whole number, required."""
    where = pointer(name)
    if faults.at(where):
        return 0
    if value is None:
        faults.add(where, "required", f"required: {low} to {high}")
    elif not low <= value <= high:
        faults.add(where, "invalid_value", f"expected {low} to {high}, got {shown(value)}")
    else:
        return value
    return 0
