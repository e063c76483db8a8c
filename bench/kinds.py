"""A flow in which every stretch of commands is of one kind, to time each kind by itself.

A round: orders rest behind the touch; all of them are replaced to other prices, then to a smaller
quantity, then reduced; others join the touch; takers fill those one by one; the first ones are
canceled.  A round leaves the book as it found it.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from bench.flow import CANCEL, NEW, RECORD, REDUCED, REPLACED, Flow
from bench.flow_spread import DEEP_BITS, MIDDLE, Dice, Spread

Array = np.ndarray[Any, Any]
KINDS: Final = (*("rest", "replace", "replace_less", "reduce", "rest_at_touch", "cross", "cancel"),)
PART: Final = 4_096  # Commands of one kind at a stretch.
QTY: Final = 10
TOUCH_QTY: Final = 5


class ByKind(NamedTuple):
    """A flow, where its parts lie (kind, first, end), and what it must give."""

    flow: Flow
    parts: list[tuple[str, int, int]]
    expected: dict[str, int]


class _Rounds:
    """Parts one after the other."""

    def __init__(self, spread: Spread, last_id: int) -> None:
        self.spread, self.last_id = spread, last_id
        self.dice = np.random.default_rng(spread.seed)

    def deep(self, side: Array) -> Array:
        """Prices behind the touch, each octave of distance as likely."""
        octave = 1 << self.dice.integers(0, DEEP_BITS, len(side))
        away = 1 + octave + (self.dice.random(len(side)) * octave).astype(np.int64)
        return np.where(side == 1, MIDDLE + away, MIDDLE - away)

    def new(self, count: int, qty: int) -> Array:
        """Orders of any instrument, side and user, still without a price."""
        records = np.zeros(count, RECORD)
        records["op"], records["qty"] = NEW, qty
        records["order_id"] = np.arange(count) + self.last_id + 1
        records["side"] = self.dice.integers(0, 2, count)
        records["symbol"] = self.dice.integers(0, self.spread.instruments, count)
        records["user"] = self.dice.integers(0, self.spread.users, count)
        self.last_id += count
        return records

    def again(self, orders: Array, op: int) -> Array:
        """The same orders in another order, under another op."""
        records = orders[self.dice.permutation(len(orders))]
        records["op"] = op
        return records

    def parts(self, count: int) -> dict[str, Array]:
        """One round, ``count`` commands of each kind."""
        rest = self.new(count, QTY)
        rest["price"] = self.deep(rest["side"])
        replace = self.again(rest, REPLACED)
        replace["price"] = self.deep(replace["side"])
        less = self.again(replace, REPLACED)
        less["qty"] = QTY - 1
        reduce = self.again(less, REDUCED)
        reduce["price"], reduce["qty"] = 0, 1
        touch = self.new(count, TOUCH_QTY)
        touch["price"] = MIDDLE - 1 + 2 * touch["side"].astype(np.int64)
        cross = self.again(touch, NEW)
        cross["side"] = 1 - cross["side"]
        cross["order_id"] = np.arange(count) + self.last_id + 1
        self.last_id += count
        cancel = self.again(rest, CANCEL)
        cancel["price"] = cancel["qty"] = 0
        return dict(zip(KINDS, (rest, replace, less, reduce, touch, cross, cancel), strict=True))


def by_kind(spread: Spread, rounds: int, count: int = PART) -> ByKind:
    """A book of ``spread.resting`` orders behind the touch, then ``rounds`` rounds."""
    dice = Dice(spread._replace(commands=0), spread.resting)
    prefill = dice.prefill(deep_only=True)
    maker = _Rounds(spread, spread.resting)
    records, parts = [prefill], []
    place = len(prefill)
    for _ in range(rounds):
        for kind, part in maker.parts(count).items():
            records.append(part)
            parts.append((kind, place, place + count))
            place += count
    name = f"kinds-{spread.instruments}x{spread.resting}"
    whole = np.concatenate(records)
    flow = Flow(name, len(prefill), spread.instruments, maker.last_id, spread.users - 1, whole)
    filled = rounds * count
    return ByKind(
        flow,
        parts,
        {
            "trades": filled,
            "traded_qty": filled * TOUCH_QTY,
            "rejects": 0,
            "resting_orders": spread.resting,
        },
    )
