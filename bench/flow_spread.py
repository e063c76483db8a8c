"""Large order flows by seed: any number of instruments and of resting orders, by compiled dice.

Prices of an instrument lie around MIDDLE.  Some orders stand at the touch, one tick from it, in the
order in which they came; the others stand deeper, at a distance with a power law, and are never
reached.  Takers take from the touch alone, so the dice know what is open without a matching
engine: which orders fill, how far, and all numbers of a sidecar but the hashes of the book.
What is canceled, replaced, reduced is drawn evenly from all that stand deeper, which is the hardest
case for a cache.  ``bench.naive_many`` runs the same flow through the naive kernel.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from bench.flow import CANCEL, NEW, NEW_IOC, NEW_MARKET, RECORD, REDUCED, REPLACED, Flow, mix
from core.jit import kernel
from core.memory import shift_right, wrap_mul

Array = np.ndarray[Any, Any]

MIDDLE: Final = 2_048
PRICES: Final = 4_096  # All prices lie below.
DEEP_BITS: Final = 10  # Distance: 2^0 to 2^10 - 1 ticks behind the touch, each octave as likely.
QTY_MAX: Final = 100
TOUCH_SHARE: Final = 50  # Of 1,000 orders before the count begins.
INSTRUMENTS_MAX: Final = 32_000
SLACK: Final = 100  # The book is kept within one part in 100 of ``resting``.
STAR: Final = 0x2545F4914F6CDD1D

# What is drawn of 1,000; place behind, place at the touch, take, cancel, replace, reduce.
MIXES: Final[dict[str, tuple[int, ...]]] = {
    "balanced": (430, 40, 40, 360, 100, 30),
    "rest": (880, 40, 10, 40, 20, 10),
    "cross": (60, 440, 420, 50, 20, 10),
    "cancel": (470, 15, 15, 490, 5, 5),
    "replace": (90, 10, 10, 70, 800, 20),
    "managed": (300, 50, 50, 250, 250, 100),
}
GROWING: Final = ("rest",)  # Its book grows; the others keep their size.

# Rows of the table of orders, a column per order id.
SYMBOL, SIDE, PRICE, QTY, USER, PLACE, NEXT = range(7)
# The two lists of open orders, and the two ends of each queue at the touch.
DEEP, TOUCH = range(2)
HEAD, TAIL = range(2)
# Words of the dice; the first two are the lengths of the lists.
DEEP_OPEN, TOUCH_OPEN, SEED, LAST_ID, TRADES, TRADED_QTY, NOTIONAL, REJECTS = range(8)
TRADE_HASH, INSTRUMENTS, USERS, TARGET, GONE = range(8, 13)


class Spread(NamedTuple):
    """How a flow is to be."""

    instruments: int = 100
    resting: int = 200_000
    commands: int = 500_000
    mix: str = "balanced"
    users: int = 10_000
    seed: int = 1


class Dice:
    """A stream of records; what is open lives from one call to the next."""

    def __init__(self, spread: Spread, orders_max: int) -> None:
        """``orders_max``: how many orders will be placed at the most.  Raises ValueError."""
        if spread.mix not in MIXES:
            raise ValueError(f"mix: expected one of {', '.join(MIXES)}, got {spread.mix!r}")
        if not 1 <= spread.instruments <= INSTRUMENTS_MAX:
            raise ValueError(
                f"instruments: expected 1 to {INSTRUMENTS_MAX}, got {spread.instruments}"
            )
        self.spread = spread
        self.orders = np.zeros((7, orders_max + 1), np.int32)
        self.lists = np.zeros((2, orders_max + 1), np.int32)
        self.queues = np.zeros((2, 2 * spread.instruments), np.int32)
        self.words = np.zeros(16, np.int64)
        self.words[SEED] = spread.seed * 0x9E37_79B9 + 88_172_645
        self.words[INSTRUMENTS], self.words[USERS] = spread.instruments, spread.users
        self.words[TARGET] = 0 if spread.mix in GROWING else spread.resting

    def prefill(self, *, deep_only: bool = False) -> Array:
        """The orders that rest before the count begins."""
        share = (1000,) if deep_only else (1000 - TOUCH_SHARE, TOUCH_SHARE)
        return self._records(self.spread.resting, share)

    def records(self, count: int) -> Array:
        """The next ``count`` records of the mix."""
        return self._records(count, MIXES[self.spread.mix])

    def _records(self, count: int, share: tuple[int, ...]) -> Array:
        records = np.zeros(count, RECORD)
        bounds = np.full(6, 1000, np.int64)
        bounds[: len(share)] = np.cumsum(share)
        make(records, bounds, self.orders, self.lists, self.queues, self.words)
        return records

    def numbers(self) -> dict[str, int | str]:
        """The fields of a sidecar that the dice know."""
        words = self.words
        still = [self.lists[kind, : words[kind]] for kind in (DEEP, TOUCH)]
        return {
            "trades": int(words[TRADES]),
            "traded_qty": int(words[TRADED_QTY]),
            "notional": int(words[NOTIONAL]),
            "rejects": int(words[REJECTS]),
            "trade_hash": f"{int(words[TRADE_HASH]) & (1 << 64) - 1:016x}",
            "resting_orders": sum(map(len, still)),
            "resting_qty": sum(int(self.orders[QTY, part].sum(dtype=np.int64)) for part in still),
        }


def spread_flow(spread: Spread) -> tuple[Flow, dict[str, dict[str, int | str]]]:
    """A flow, and what a sidecar of it would say by count of records.  Raises ValueError."""
    dice = Dice(spread, spread.resting + spread.commands)
    before = dice.prefill()
    expected = {str(spread.resting): dice.numbers()}
    records = np.concatenate([before, dice.records(spread.commands)])
    expected[str(len(records))] = dice.numbers()
    name = f"{spread.mix}-{spread.instruments}x{spread.resting}"
    last_id = int(dice.words[LAST_ID])
    return (
        Flow(name, spread.resting, spread.instruments, last_id, spread.users - 1, records),
        expected,
    )


@kernel
def below(words: Array, bound: int) -> int:
    """The next random number, 0 to ``bound`` - 1 (xorshift64*)."""
    word = int(words[SEED])
    word ^= shift_right(word, 12)
    word ^= wrap_mul(word, 1 << 25)
    word ^= shift_right(word, 27)
    words[SEED] = word
    return shift_right(wrap_mul(word, STAR), 33) % int(bound)


@kernel
def deep_price(words: Array, side: int) -> int:
    """A price behind the touch."""
    octave = 1 << below(words, DEEP_BITS)
    away = 1 + octave + below(words, octave)
    return MIDDLE + away if side == 1 else MIDDLE - away


@kernel
def make(
    records: Array, bounds: Array, orders: Array, lists: Array, queues: Array, words: Array
) -> None:
    """Fill ``records``; ``bounds``: rising shares of the six actions in 1,000."""
    for place in range(len(records)):
        record = records[place]
        drawn = below(words, 1000)
        resting = int(words[DEEP_OPEN] + words[TOUCH_OPEN])
        target = int(words[TARGET])
        if drawn < bounds[0] and target > 0 and resting * SLACK > target * (SLACK + 1):
            drawn = int(bounds[2])  # A cancel.
        elif bounds[2] <= drawn < bounds[3] and resting * SLACK < target * (SLACK - 1):
            drawn = 0
        if drawn < bounds[0] or words[DEEP_OPEN] == 0:
            enter(record, orders, lists, queues, words, DEEP)
        elif drawn < bounds[1] or (drawn < bounds[2] and words[TOUCH_OPEN] == 0):
            enter(record, orders, lists, queues, words, TOUCH)
        elif drawn < bounds[2]:
            take(record, orders, lists, queues, words)
        else:
            change(record, drawn, bounds, orders, lists, words)


@kernel
def say(record: Array, op: int, number: int, orders: Array) -> None:
    """A record about an order as it is."""
    record["op"], record["order_id"] = op, number
    record["side"], record["symbol"] = orders[SIDE, number], orders[SYMBOL, number]
    record["user"] = orders[USER, number]
    record["price"], record["qty"] = orders[PRICE, number], orders[QTY, number]


@kernel
def place_new(orders: Array, words: Array) -> int:
    """An order of nobody's side and price yet: its id."""
    words[LAST_ID] += 1
    number = int(words[LAST_ID])
    orders[SYMBOL, number] = below(words, words[INSTRUMENTS])
    orders[USER, number] = below(words, words[USERS])
    orders[QTY, number] = 1 + below(words, QTY_MAX)
    return number


@kernel
def enter(
    record: Array, orders: Array, lists: Array, queues: Array, words: Array, kind: int
) -> None:
    """A new order that rests, DEEP or at the TOUCH."""
    number = place_new(orders, words)
    side = below(words, 2)
    orders[SIDE, number] = side
    orders[PRICE, number] = MIDDLE - 1 + 2 * side if kind == TOUCH else deep_price(words, side)
    orders[PLACE, number] = words[kind]
    lists[kind, words[kind]] = number
    words[kind] += 1
    say(record, NEW, number, orders)
    if kind == TOUCH:
        queue = 2 * int(orders[SYMBOL, number]) + side
        if queues[HEAD, queue] == 0:
            queues[HEAD, queue] = number
        else:
            orders[NEXT, queues[TAIL, queue]] = number
        queues[TAIL, queue] = number


@kernel
def leave(orders: Array, lists: Array, words: Array, kind: int, number: int) -> None:
    """An order ends: the last of its list takes its place."""
    words[kind] -= 1
    last = int(lists[kind, words[kind]])
    place = orders[PLACE, number]
    lists[kind, place] = last
    orders[PLACE, last] = place
    words[GONE] = number


@kernel
def take(record: Array, orders: Array, lists: Array, queues: Array, words: Array) -> None:
    """A taker: half fill the oldest order exactly; others a part of it, or more than it."""
    number = place_new(orders, words)
    first = int(lists[TOUCH, below(words, words[TOUCH_OPEN])])
    queue = 2 * int(orders[SYMBOL, first]) + int(orders[SIDE, first])
    head = int(queues[HEAD, queue])
    kind, qty = below(words, 4), int(orders[QTY, head])
    if kind == 2:
        qty = 1 + below(words, qty)
    elif kind == 3:
        qty += below(words, QTY_MAX)
    orders[SYMBOL, number], orders[SIDE, number] = queue >> 1, 1 - (queue & 1)
    orders[PRICE, number], orders[QTY, number] = orders[PRICE, head], qty
    say(record, NEW_IOC, number, orders)
    if kind == 0:
        record["op"] = NEW
    elif kind == 1:
        record["op"], record["price"] = NEW_MARKET, 0
    while qty > 0 and queues[HEAD, queue] != 0:
        maker = int(queues[HEAD, queue])
        traded = min(qty, int(orders[QTY, maker]))
        price = int(orders[PRICE, maker])
        qty -= traded
        orders[QTY, maker] -= traded
        words[TRADES] += 1
        words[TRADED_QTY] += traded
        words[NOTIONAL] += traded * price
        digest = mix(mix(int(words[TRADE_HASH]), maker), number)
        words[TRADE_HASH] = mix(mix(digest, price), traded)
        if orders[QTY, maker] == 0:
            queues[HEAD, queue] = orders[NEXT, maker]
            leave(orders, lists, words, TOUCH, maker)


@kernel
def change(
    record: Array, drawn: int, bounds: Array, orders: Array, lists: Array, words: Array
) -> None:
    """Cancel, replace or reduce an order; of the cancels one in 100 comes too late."""
    number = int(lists[DEEP, below(words, words[DEEP_OPEN])])
    if drawn < bounds[3]:
        if words[GONE] != 0 and below(words, 100) == 0:
            number = int(words[GONE])
            words[REJECTS] += 1
        else:
            leave(orders, lists, words, DEEP, number)
        say(record, CANCEL, number, orders)
        record["price"] = record["qty"] = 0
        return
    qty = int(orders[QTY, number])
    if drawn < bounds[4]:
        if below(words, 4) == 0 and qty > 1:
            orders[QTY, number] = 1 + below(words, qty - 1)  # Keeps its place.
        else:
            orders[PRICE, number] = deep_price(words, int(orders[SIDE, number]))
        say(record, REPLACED, number, orders)
        return
    less = 1 + below(words, qty)
    orders[QTY, number] = qty - less
    say(record, REDUCED, number, orders)
    record["price"], record["qty"] = 0, less
    if less == qty:
        leave(orders, lists, words, DEEP, number)
