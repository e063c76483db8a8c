"""A state under other limits: what of its rows depends on them, and what does not fit.

Rows are numbered from 1 whatever the limits are.  Only three things follow from a limit: the unit
in the arena at which orders begin (``pages_max``), and where the rings of ended orders
(``closed_keep``) and of emptied pages (``pages_max``) wrap.  docs/journal.md, Generations.
"""

from typing import Any

import numpy as np

from core.constants import PAGE_LEVELS
from core.journal.errors import JournalConfiguration
from core.journal.snapshots import Manifest
from core.limits import Limits
from core.rows import table_mask
from core.sequencer.state import State

Array = np.ndarray[Any, Any]
TABLES = ("accounts", "assets", "instruments", "balances", "positions", "sessions", "extras")


def refuse_small(manifest: Manifest, limits: Limits) -> None:
    """JournalConfiguration names every limit below what the snapshot uses, with both figures."""
    rows = {section.name: section.rows for section in manifest.sections}
    used = {
        "orders_max": manifest.open_orders,
        "closed_keep": rows.get("closed", 0),
        "pages_max": rows.get("pages", 1) - 1,
        "ids_max": rows.get("id_records", 1) - 1,
        "limits_max": rows.get("limit_rows", 1) - 1,
        **{f"{table}_max": rows.get(table, 1) - 1 for table in TABLES},
    }
    found = [
        f"limits.{name}: {count} are used, the configuration has room for {getattr(limits, name)}"
        for name, count in used.items()
        if count > getattr(limits, name)
    ]
    slots, room = rows.get("orders", 1) - 1, limits.orders_max + limits.closed_keep
    if slots > room:
        found.append(
            f"limits.orders_max + limits.closed_keep: {slots} rows are used, the configuration has "
            f"room for {room}"
        )
    if found:
        raise JournalConfiguration("; ".join(found))


def begin_rings(state: State, old: Limits) -> None:
    """Rings that wrap elsewhere now are laid out from their first place."""
    limits = state.limits
    if limits.closed_keep != old.closed_keep:
        state.header["closed_first"] = 0
    if table_mask(limits.pages_max) != table_mask(old.pages_max):
        state.header["queue_first"] = 0


def move_links(state: State, old: Limits) -> None:
    """Links to orders, which are units of the arena, after the place where orders begin."""
    begin = (old.pages_max + 1) * PAGE_LEVELS
    shift = state["order_base"] - begin
    if not shift:
        return
    tables = dict(state.sections())
    resting = tables["orders"]["level"] != 0
    for rows, where in ((tables["levels"], True), (tables["orders"], resting)):
        for field in ("next", "prev"):
            links: Array = rows[field]
            links[where & (links >= begin)] += shift
