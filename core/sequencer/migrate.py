"""A state that an older engine wrote, made into one of this engine: what is not copied by names.

Version 1 had no stops, so its instruments have no sides for them; the account of an order stood in
its hot row.
"""

from typing import Any, Final

import numpy as np

from core.book.levels import open_bookside
from core.constants import STOP_SIDES
from core.jit import kernel
from core.records import COLD
from core.rows import state_at

FIRST_SECTIONS: Final = 15  # Version 1 had these of today's sections, the first ones.
Array = np.ndarray[Any, Any]


def are_sections(found: list[str], names: list[str]) -> bool:
    """Are these the sections of a snapshot, of today or of an older engine?"""
    return found == names or is_first(found, names)


def is_first(found: list[str], names: list[str]) -> bool:
    return found == names[:FIRST_SECTIONS]


def migrate(state: Any, old_orders: "Array | None") -> None:
    """What the rows of version 1 do not say; ``old_orders``: those of orders as they were."""
    if old_orders is not None and "account" in (old_orders.dtype.names or ()):
        state.rows("cold", COLD, len(old_orders))["account"] = old_orders["account"]
    open_stop_sides(state.address)


@kernel
def open_stop_sides(state_address: int) -> None:
    """Empty sides for the stops of every instrument."""
    state = state_at(state_address)
    for instrument in range(1, state.instruments_used + 1):
        open_bookside(state, STOP_SIDES + 2 * instrument)
        open_bookside(state, STOP_SIDES + 2 * instrument + 1)
