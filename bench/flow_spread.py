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
from core.layout import offset_of, record
from core.memory import load_i32, load_i64, pointer, shift_right, store_i32, wrap_mul

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

ORDER: Final = record(
    "an order of the dice",
    32,
    [
        *((name, "<i4") for name in ("symbol", "side", "price", "qty", "user")),
        ("place", "<i4"),  # In the list of its kind.
        ("next", "<i4"),  # The order behind it at the touch; 0: none.
        ("reserved", "<i4"),
    ],
)
QUEUE: Final = record("the orders at one touch", 8, [("head", "<i4"), ("tail", "<i4")])
OPEN: Final = record("a list of open orders", 16, [("ids", "<i8"), ("count", "<i8")])
DICE: Final = record(
    "the state of the dice",
    256,
    [
        ("orders", "<i8"),  # Addresses of the tables.
        ("queues", "<i8"),
        *((name, "<i8") for name in ("deep", "deep_count", "touch", "touch_count")),
        *((name, "<i8") for name in ("instruments", "users", "target")),
        ("bounds", "<i8"),  # Address of six rising shares of 1,000.
        ("seed", "<i8"),
        ("last_id", "<i8"),
        ("gone", "<i8"),  # An order that has ended.
        *((name, "<i8") for name in ("trades", "traded_qty", "notional", "rejects")),
        ("trade_hash", "<i8"),
        ("reserved", "<i8", (14,)),
    ],
)
DEEP: Final = offset_of(DICE, "deep")  # The two lists: OPEN rows in DICE.
TOUCH: Final = offset_of(DICE, "touch")

dice_at = pointer(DICE)
order_at = pointer(ORDER)
queue_at = pointer(QUEUE)
open_at = pointer(OPEN)
record_at = pointer(RECORD)


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
            raise ValueError(f"mix: expected one of {', '.join(MIXES)}, full, got {spread.mix!r}")
        if not 1 <= spread.instruments <= INSTRUMENTS_MAX:
            raise ValueError(
                f"instruments: expected 1 to {INSTRUMENTS_MAX}, got {spread.instruments}"
            )
        self.spread = spread
        self.state = np.zeros(1, DICE)
        self._orders = np.zeros(orders_max + 1, ORDER)
        self._queues = np.zeros(2 * spread.instruments, QUEUE)
        self._bounds = np.zeros(6, np.int64)
        self._open = {name: np.zeros(orders_max + 1, np.int32) for name in ("deep", "touch")}
        for name, table in (
            *self._open.items(),
            ("orders", self._orders),
            ("queues", self._queues),
            ("bounds", self._bounds),
        ):
            self.state[name] = table.ctypes.data
        self.state["seed"] = spread.seed * 0x9E37_79B9 + 88_172_645
        self.state["instruments"], self.state["users"] = spread.instruments, spread.users
        self.state["target"] = 0 if spread.mix in GROWING else spread.resting

    def prefill(self, *, deep_only: bool = False) -> Array:
        """The orders that rest before the count begins."""
        share = (1000,) if deep_only else (1000 - TOUCH_SHARE, TOUCH_SHARE)
        return self._records(self.spread.resting, share)

    def records(self, count: int) -> Array:
        """The next ``count`` records of the mix."""
        return self._records(count, MIXES[self.spread.mix])

    def _records(self, count: int, share: tuple[int, ...]) -> Array:
        records = np.zeros(count, RECORD)
        self._bounds[:] = 1000
        self._bounds[: len(share)] = np.cumsum(share)
        make(self.state.ctypes.data, records.ctypes.data, count)
        return records

    @property
    def last_id(self) -> int:
        """The newest order's."""
        return int(self.state["last_id"][0])

    def numbers(self) -> dict[str, int | str]:
        """The fields of a sidecar that the dice know."""
        row = self.state[0]
        still = [ids[: int(row[f"{name}_count"])] for name, ids in self._open.items()]
        return {
            **{name: int(row[name]) for name in ("trades", "traded_qty", "notional", "rejects")},
            "trade_hash": f"{int(row['trade_hash']) & (1 << 64) - 1:016x}",
            "resting_orders": sum(map(len, still)),
            "resting_qty": sum(int(self._orders["qty"][ids].sum(dtype=np.int64)) for ids in still),
        }


def spread_flow(spread: Spread) -> tuple[Flow, dict[str, dict[str, int | str]]]:
    """A flow, and what a sidecar of it would say by count of records.  Raises ValueError."""
    dice = Dice(spread, spread.resting + spread.commands)
    before = dice.prefill()
    expected = {str(spread.resting): dice.numbers()}
    records = np.concatenate([before, dice.records(spread.commands)])
    expected[str(len(records))] = dice.numbers()
    name = f"{spread.mix}-{spread.instruments}x{spread.resting}"
    return (
        Flow(name, spread.resting, spread.instruments, dice.last_id, spread.users - 1, records),
        expected,
    )


@kernel
def below(state: int, bound: int) -> int:
    """The next random number, 0 to ``bound`` - 1 (xorshift64*)."""
    dice = dice_at(state)
    word = dice.seed
    word ^= shift_right(word, 12)
    word ^= wrap_mul(word, 1 << 25)
    word ^= shift_right(word, 27)
    dice.seed = word
    return shift_right(wrap_mul(word, STAR), 33) % bound


@kernel
def deep_price(state: int, side: int) -> int:
    """A price behind the touch."""
    octave = 1 << below(state, DEEP_BITS)
    away = 1 + octave + below(state, octave)
    return MIDDLE + away if side == 1 else MIDDLE - away


@kernel
def order_of(state: int, number: int) -> int:
    """Address of an order's row."""
    return int(dice_at(state).orders) + 32 * number


@kernel
def make(state: int, records: int, count: int) -> None:
    """Fill ``count`` records."""
    dice = dice_at(state)
    for place in range(count):
        record = records + 40 * place
        drawn = below(state, 1000)
        action = 0
        while action < 5 and drawn >= load_i64(dice.bounds + 8 * action):
            action += 1
        action = kept_size(state, action)
        if action == 0 or dice.deep_count == 0:
            enter(state, record, DEEP)
        elif action == 1 or (action == 2 and dice.touch_count == 0):
            enter(state, record, TOUCH)
        elif action == 2:
            take(state, record)
        else:
            change(state, record, action)


@kernel
def kept_size(state: int, action: int) -> int:
    """The action, or its opposite where the book would get too large or too small by it."""
    dice = dice_at(state)
    resting = dice.deep_count + dice.touch_count
    if dice.target == 0:
        return action
    if resting * SLACK > dice.target * (SLACK + 1) and action < 2:
        return 3 if action == 0 else 2
    if resting * SLACK < dice.target * (SLACK - 1) and (action == 2 or action == 3):
        return 1 if action == 2 else 0
    return action


@kernel
def say(state: int, record: int, op: int, number: int) -> None:
    """A record about an order as it is."""
    row, order = record_at(record), order_at(order_of(state, number))
    row.op, row.order_id = op, number
    row.side, row.symbol, row.user = order.side, order.symbol, order.user
    row.price, row.qty = order.price, order.qty


@kernel
def place_new(state: int) -> int:
    """An order of nobody's side and price yet: its id."""
    dice = dice_at(state)
    dice.last_id += 1
    order = order_at(order_of(state, dice.last_id))
    order.symbol = below(state, dice.instruments)
    order.user = below(state, dice.users)
    order.qty = 1 + below(state, QTY_MAX)
    return int(dice.last_id)


@kernel
def enter(state: int, record: int, kind: int) -> None:
    """A new order that rests, DEEP or at the TOUCH."""
    number = place_new(state)
    order = order_at(order_of(state, number))
    side = below(state, 2)
    order.side = side
    order.price = MIDDLE - 1 + 2 * side if kind == TOUCH else deep_price(state, side)
    row = open_at(state + kind)
    order.place = row.count
    store_i32(row.ids + 4 * row.count, number)
    row.count += 1
    say(state, record, NEW, number)
    if kind == TOUCH:
        queue = queue_at(dice_at(state).queues + 8 * (2 * order.symbol + side))
        if queue.head == 0:
            queue.head = number
        else:
            order_at(order_of(state, queue.tail)).next = number
        queue.tail = number


@kernel
def leave(state: int, kind: int, number: int) -> None:
    """An order ends: the last of its list takes its place."""
    row = open_at(state + kind)
    row.count -= 1
    last = load_i32(row.ids + 4 * row.count)
    place = order_at(order_of(state, number)).place
    store_i32(row.ids + 4 * place, last)
    order_at(order_of(state, last)).place = place
    dice_at(state).gone = number


@kernel
def take(state: int, record: int) -> None:
    """A taker: half fill the oldest order exactly; others a part of it, or more than it."""
    dice = dice_at(state)
    number = place_new(state)
    first = order_at(order_of(state, load_i32(dice.touch + 4 * below(state, dice.touch_count))))
    queue = queue_at(dice.queues + 8 * (2 * first.symbol + first.side))
    head = order_at(order_of(state, queue.head))
    kind, qty = below(state, 4), int(head.qty)
    if kind == 2:
        qty = 1 + below(state, qty)
    elif kind == 3:
        qty += below(state, QTY_MAX)
    order = order_at(order_of(state, number))
    order.symbol, order.side = first.symbol, 1 - first.side
    order.price, order.qty = head.price, qty
    say(state, record, NEW if kind == 0 else NEW_MARKET if kind == 1 else NEW_IOC, number)
    if kind == 1:
        record_at(record).price = 0
    while qty > 0 and queue.head != 0:
        maker_id = queue.head
        maker = order_at(order_of(state, maker_id))
        traded = min(qty, maker.qty)
        qty -= traded
        maker.qty -= traded
        dice.trades += 1
        dice.traded_qty += traded
        dice.notional += traded * maker.price
        digest = mix(mix(dice.trade_hash, maker_id), number)
        dice.trade_hash = mix(mix(digest, maker.price), traded)
        if maker.qty == 0:
            queue.head = maker.next
            leave(state, TOUCH, maker_id)


@kernel
def change(state: int, record: int, action: int) -> None:
    """Cancel (3), replace (4) or reduce (5); of the cancels one in 100 comes too late."""
    dice = dice_at(state)
    number = load_i32(dice.deep + 4 * below(state, dice.deep_count))
    order = order_at(order_of(state, number))
    qty = int(order.qty)
    if action == 3:
        if dice.gone != 0 and below(state, 100) == 0:
            number = dice.gone
            dice.rejects += 1
        else:
            leave(state, DEEP, number)
        say(state, record, CANCEL, number)
        record_at(record).price = record_at(record).qty = 0
    elif action == 4:
        if below(state, 4) == 0 and qty > 1:
            order.qty = 1 + below(state, qty - 1)  # Keeps its place.
        else:
            order.price = deep_price(state, order.side)
        say(state, record, REPLACED, number)
    else:
        less = 1 + below(state, qty)
        order.qty = qty - less
        say(state, record, REDUCED, number)
        record_at(record).price, record_at(record).qty = 0, less
        if less == qty:
            leave(state, DEEP, number)
