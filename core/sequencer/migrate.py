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

SECTIONS_OF: Final = {1: 15}  # How many of today's sections an older version had: the first ones.
Array = np.ndarray[Any, Any]


def sections_of(version: int, names: list[str]) -> list[str]:
    """The sections of a snapshot of an engine version, in their order."""
    return names[: SECTIONS_OF.get(version, len(names))]


def migrate(state: Any, version: int, old_orders: "Array | None") -> None:
    """What rows of ``version`` do not say; ``old_orders``: the rows of orders as they were."""
    if version != 1:
        return
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
