"""A flow of many instruments through the naive kernel, one instrument after the other: a judge.

The instruments of an exchange do not touch each other, so the counts must be those of the engine.
Prices must fit the dense window that each instrument gets.
"""

from typing import Any, Final

import numpy as np

from bench.flow import Flow
from bench.naive import EVENT, EVENTS, LEVEL, ORDER, apply_all

Array = np.ndarray[Any, Any]
WINDOW_MAX: Final = 1 << 18


def counts(flow: Flow) -> dict[str, int] | None:
    """Trades, traded quantity, notional, rejects, orders that rest; None when prices do not fit."""
    window = 4_096
    while window <= int(flow.records["price"].max()):
        window *= 4
    if window > WINDOW_MAX or window * flow.symbols > 1 << 28:
        return None
    most = int(flow.max_order_id) + 2
    orders, free = np.zeros(most, ORDER), np.arange(most - 1, -1, -1).astype("i4")
    place, stats = most, np.zeros(8, "i8")
    by_id, events = np.full(most, -1, "i4"), np.zeros(EVENTS, EVENT)
    levels = np.zeros((2, window), LEVEL)
    bits = [np.zeros((2, max(window >> shift, 1)), "i8") for shift in (6, 12, 18)]
    order = np.argsort(flow.records["symbol"], kind="stable")
    records = np.ascontiguousarray(flow.records[order])
    ends = np.searchsorted(records["symbol"], np.arange(flow.symbols + 1))
    for first, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        levels["head"] = levels["tail"] = -1
        levels["qty"] = 0
        for words in bits:
            words[:] = 0
        best = np.array([-1, -1])
        tables: Any = (orders, free, place, levels, *bits, by_id, events, best, stats)
        place = apply_all(records, first, end, *tables)
    names = ("trades", "traded_qty", "notional", "rejects")
    found = dict(zip(names, stats[1:5].tolist(), strict=True))
    return found | {"resting_orders": most - place}
