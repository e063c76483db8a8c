"""Records at an address for Python: attributes that read and write the bytes in place.

``core.memory.pointer`` is for compiled code; this is the same view for the code around it.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from core.journal.layout import BLOCK

_KINDS: Final = {
    "u1": ctypes.c_uint8,
    "u2": ctypes.c_uint16,
    "u4": ctypes.c_uint32,
    "i4": ctypes.c_int32,
    "i8": ctypes.c_int64,
}


def structure(dtype: "np.dtype[np.void]") -> Callable[[int], Any]:
    """A function from an address to the record of ``dtype`` there; the memory must outlive it."""
    assert dtype.fields is not None
    assert dtype.names is not None
    fields: list[tuple[str, Any]] = []
    for name in dtype.names:
        kind = dtype.fields[name][0]
        base = _KINDS[kind.base.str[1:]]
        fields.append((name, base * int(np.prod(kind.shape)) if kind.shape else base))
    row = type("Row", (ctypes.Structure,), {"_fields_": fields})
    assert ctypes.sizeof(row) == dtype.itemsize
    return row.from_address  # type: ignore[attr-defined,no-any-return]


block_row: Final = structure(BLOCK)
