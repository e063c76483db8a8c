"""How a fixed-size record is declared."""

import numpy as np

Field = tuple[str, str] | tuple[str, str, tuple[int, ...]]


def record(name: str, size: int, fields: list[Field]) -> "np.dtype[np.void]":
    """Declare a little-endian record of exactly ``size`` bytes with no hidden padding.

    Raises TypeError when the fields do not lie back to back or do not fill ``size``.
    """
    dtype = np.dtype(fields, align=True)
    used = sum(np.dtype(field[1]).itemsize * _count(field) for field in fields)
    if used != dtype.itemsize:
        raise TypeError(
            f"record {name!r}: {dtype.itemsize - used} bytes of hidden padding; "
            f"order fields from wide to narrow or add an explicit 'reserved' field"
        )
    if dtype.itemsize != size:
        raise TypeError(f"record {name!r}: declared {size} bytes, fields occupy {dtype.itemsize}")
    return dtype


def _count(field: Field) -> int:
    return int(np.prod(field[2])) if len(field) == 3 else 1


def offset_of(dtype: "np.dtype[np.void]", field: str) -> int:
    """Byte offset of ``field`` inside ``dtype``."""
    if dtype.fields is None:
        raise TypeError(f"{dtype} has no fields")
    return int(dtype.fields[field][1])
