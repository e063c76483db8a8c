"""The baseline of the kernel benchmarks: a plain numba matching kernel, as most would write it.

One instrument, a dense price window, numpy rows, no risk, no text ids, small events.  It is here so
that a ratio can be taken in the same run; it is no part of the product.
"""

import time
from typing import Any, Final

import numpy as np

from bench.flow import CANCEL, NEW, NEW_MARKET, RECORD, REDUCED, REPLACED, Flow
from core.jit import kernel
from core.memory import highest_bit, lowest_bit

Array = np.ndarray[Any, Any]

ORDER: Final = np.dtype(
    [
        ("price", "i4"),
        ("next", "i4"),
        ("prev", "i4"),
        ("side", "i4"),
        ("qty", "i8"),
        ("id", "i8"),
        ("user", "i4"),
        ("pad", "i4", 7),
    ]
)
EVENT: Final = np.dtype(
    [(name, "i8") for name in ("kind", "seq", "id", "other", "price", "qty", "leaves", "ts")]
)
LEVEL: Final = np.dtype([("head", "i4"), ("tail", "i4"), ("qty", "i8")])
PRICES: Final = 1 << 18
ORDERS: Final = 1 << 21
EVENTS: Final = 1 << 14
TOLD: Final = 256  # Commands whose events are looked at before they are overwritten.
ACCEPTED, TRADE, EXPIRED, CANCELED, REJECTED, REDUCED_EVENT, REPLACED_EVENT = 1, 2, 3, 4, 5, 6, 7


@kernel
def bit_set(b0: Array, b1: Array, b2: Array, s: int, p: int) -> None:
    b0[s, p >> 6] |= 1 << (p & 63)
    b1[s, p >> 12] |= 1 << ((p >> 6) & 63)
    b2[s, p >> 18] |= 1 << ((p >> 12) & 63)


@kernel
def bit_clear(b0: Array, b1: Array, b2: Array, s: int, p: int) -> None:
    w = b0[s, p >> 6] & ~(1 << (p & 63))
    b0[s, p >> 6] = w
    if w == 0:
        w = b1[s, p >> 12] & ~(1 << ((p >> 6) & 63))
        b1[s, p >> 12] = w
        if w == 0:
            b2[s, p >> 18] &= ~(1 << ((p >> 12) & 63))


@kernel
def best_of(b0: Array, b1: Array, b2: Array, s: int) -> int:
    w = b2[s, 0]
    if w == 0:
        return -1
    if s == 0:
        i = highest_bit(w)
        j = (i << 6) | highest_bit(b1[s, i])
        return (j << 6) | highest_bit(b0[s, j])
    i = lowest_bit(w)
    j = (i << 6) | lowest_bit(b1[s, i])
    return (j << 6) | lowest_bit(b0[s, j])


@kernel
def remove(  # noqa: PLR0913 - as most would write it
    orders: Array, lv: Array, b0: Array, b1: Array, b2: Array, best: Array,
    free: Array, fp: int, byid: Array, number: int, oi: int,
) -> int:  # fmt: skip
    m = orders[oi]
    s = np.int64(m["side"])
    p = np.int64(m["price"])
    level = lv[s, p]
    if m["prev"] >= 0:
        orders[m["prev"]]["next"] = m["next"]
    else:
        level["head"] = m["next"]
    if m["next"] >= 0:
        orders[m["next"]]["prev"] = m["prev"]
    else:
        level["tail"] = m["prev"]
    level["qty"] -= m["qty"]
    if level["head"] < 0:
        bit_clear(b0, b1, b2, s, p)
        if best[s] == p:
            best[s] = best_of(b0, b1, b2, s)
    byid[number] = -1
    free[fp] = oi
    return fp + 1


@kernel
def apply_all(  # noqa: C901, PLR0913, PLR0915  (tidy: allow, as most would write it)
    cmds: Array, lo: int, n: int, orders: Array, free: Array, fp: int, lv: Array,
    b0: Array, b1: Array, b2: Array, byid: Array, ev: Array, best: Array, stats: Array,
) -> int:  # fmt: skip
    em = len(ev) - 1
    en = stats[0]
    for c in range(lo, n):
        cmd = cmds[c]
        op = cmd["op"]
        number = np.int64(cmd["order_id"])
        p = cmd["price"]
        q = cmd["qty"]
        s = np.int64(cmd["side"])
        if op in (CANCEL, REDUCED, REPLACED):
            oi = byid[number]
            e = ev[en & em]
            e["seq"] = c
            e["id"] = number
            en += 1
            if oi < 0:
                e["kind"] = REJECTED
                stats[4] += 1
                continue
            m = orders[oi]
            s = np.int64(m["side"])
            if op == CANCEL or (op == REDUCED and m["qty"] <= q):
                e["kind"] = CANCELED
                e["leaves"] = m["qty"]
                fp = remove(orders, lv, b0, b1, b2, best, free, fp, byid, number, oi)
                continue
            if op == REDUCED:
                m["qty"] -= q
                lv[s, np.int64(m["price"])]["qty"] -= q
                e["kind"] = REDUCED_EVENT
                continue
            if q == 0:
                q = m["qty"]
            if p == np.int64(m["price"]) and q <= m["qty"]:
                lv[s, p]["qty"] -= m["qty"] - q
                m["qty"] = q
                e["kind"] = REDUCED_EVENT
                continue
            e["kind"] = REPLACED_EVENT
            fp = remove(orders, lv, b0, b1, b2, best, free, fp, byid, number, oi)
        o = 1 - s
        e = ev[en & em]
        e["kind"] = ACCEPTED
        e["seq"] = c
        e["id"] = number
        e["qty"] = q
        e["price"] = p
        en += 1
        while q > 0:
            bp = best[o]
            if bp < 0:
                break
            if op != NEW_MARKET and ((s == 0 and bp > p) or (s == 1 and bp < p)):
                break
            level = lv[o, bp]
            while q > 0:
                oi = level["head"]
                if oi < 0:
                    break
                m = orders[oi]
                f = min(q, m["qty"])
                q -= f
                m["qty"] -= f
                level["qty"] -= f
                e = ev[en & em]
                e["kind"] = TRADE
                e["seq"] = c
                e["id"] = number
                e["other"] = m["id"]
                e["price"] = bp
                e["qty"] = f
                e["leaves"] = m["qty"]
                en += 1
                stats[1] += 1
                stats[2] += f
                stats[3] += f * bp
                if m["qty"] == 0:
                    level["head"] = m["next"]
                    if m["next"] >= 0:
                        orders[m["next"]]["prev"] = -1
                    else:
                        level["tail"] = -1
                    byid[m["id"]] = -1
                    free[fp] = oi
                    fp += 1
            if level["head"] < 0:
                bit_clear(b0, b1, b2, o, bp)
                best[o] = best_of(b0, b1, b2, o)
        if q > 0:
            if op in (NEW, REPLACED):
                fp -= 1
                oi = free[fp]
                m = orders[oi]
                m["price"] = p
                m["side"] = s
                m["qty"] = q
                m["id"] = number
                m["next"] = -1
                level = lv[s, p]
                m["prev"] = level["tail"]
                if level["tail"] >= 0:
                    orders[level["tail"]]["next"] = oi
                else:
                    level["head"] = oi
                    bit_set(b0, b1, b2, s, p)
                    if (s == 0 and p > best[0]) or (s == 1 and (best[1] < 0 or p < best[1])):
                        best[s] = p
                level["tail"] = oi
                level["qty"] += q
                byid[number] = oi
            else:
                e = ev[en & em]
                e["kind"] = EXPIRED
                e["seq"] = c
                e["id"] = number
                e["qty"] = q
                en += 1
    stats[0] = en
    return fp


class NaiveRun:
    """Timed runs of one flow; a flow of many symbols or of wide prices is not for it."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.fits = flow.symbols == 1 and int(flow.records["price"].max()) < PRICES
        self.commands = np.zeros(len(flow.records), RECORD)
        for name in RECORD.names or ():
            self.commands[name] = flow.records[name]

    def _fresh(self) -> list[Any]:
        levels = np.zeros((2, PRICES), LEVEL)
        levels["head"] = levels["tail"] = -1
        return [
            np.zeros(ORDERS, ORDER),
            np.arange(ORDERS - 1, -1, -1).astype("i4"),
            ORDERS,
            levels,
            np.zeros((2, PRICES >> 6), "i8"),
            np.zeros((2, PRICES >> 12), "i8"),
            np.zeros((2, 1), "i8"),
            np.full(self.flow.max_order_id + 1, -1, "i4"),
            np.zeros(EVENTS, EVENT),
            np.array([-1, -1]),
            np.zeros(8, "i8"),
        ]

    def timed(self) -> float:
        """ns per command after the prefill, from a fresh state; NaN for a flow not made for it."""
        if not self.fits:
            return float("nan")
        tables = self._fresh()
        prefill, count = self.flow.prefill, len(self.commands)
        tables[2] = apply_all(self.commands, 0, prefill, *tables)
        start = time.perf_counter_ns()
        apply_all(self.commands, prefill, count, *tables)
        elapsed = time.perf_counter_ns() - start
        self.sums = tables[-1][1:5].tolist()
        return elapsed / (count - prefill)

    def trades(self) -> list[tuple[int, int, int, int]]:
        """All trades of the flow, untimed: maker, taker, price, quantity."""
        tables = self._fresh()
        events, stats = tables[-3], tables[-1]
        found: list[tuple[int, int, int, int]] = []
        for first in range(0, len(self.commands), TOLD):
            seen = int(stats[0])
            tables[2] = apply_all(
                self.commands, first, min(first + TOLD, len(self.commands)), *tables
            )
            assert stats[0] - seen <= EVENTS, "more events than the naive kernel keeps"
            told = events[np.arange(seen, int(stats[0])) & (EVENTS - 1)]
            fields = ("other", "id", "price", "qty")
            found += told[told["kind"] == TRADE][list(fields)].tolist()
        return found

    def timed_parts(self, parts: list[tuple[str, int, int]]) -> dict[str, list[float]]:
        """One run, the commands of each part (name, first, end) timed by themselves: ns per command
        by name; {} for a flow not made for it.  Parts follow each other without a gap."""
        if not self.fits:
            return {}
        tables = self._fresh()
        tables[2] = apply_all(self.commands, 0, self.flow.prefill, *tables)
        found: dict[str, list[float]] = {}
        for name, first, end in parts:
            start = time.perf_counter_ns()
            tables[2] = apply_all(self.commands, first, end, *tables)
            elapsed = time.perf_counter_ns() - start
            found.setdefault(name, []).append(elapsed / (end - first))
        return found
