"""Order flows made by seed, with their sidecars, so that nothing has to be fetched to measure.

    python -m bench.flow_make mixed|near|stock DIRECTORY [--seed N] [--count N]

``mixed``: the mix of exchange-core's own load generator: mostly replaces, about 1,000 orders rest.
``near``: new orders and cancels, about 10,000 rest, most of them near the touch (a power law).
``stock``: as a real stock at an exchange: orders and cancels, few takers, a price that walks.
The sidecar is found by a slow and obvious matcher of dicts and lists, which shares no code with the
engine and runs beside the dice: what is canceled or replaced next depends on what is open.
"""

import argparse
import json
import random
from bisect import insort
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bench.flow import CANCEL, HEADER, NEW, NEW_IOC, NEW_MARKET, RECORD, REDUCED, REPLACED

BUY, SELL = 0, 1
WORD: Final = (1 << 64) - 1
FACTOR: Final = 0x9E3779B97F4A7C15
COUNT: Final = 60_000
PRICE_LOW, PRICE_HIGH = 1_000, 250_000


class Op(NamedTuple):
    """One record of a flow file."""

    op: int
    side: int
    user: int
    order_id: int
    price: int
    qty: int


def mix(digest: int, value: int) -> int:
    """One step of the flow format's hash."""
    digest = ((digest ^ value) * FACTOR) & WORD
    return digest ^ digest >> 29


class Resting:
    """An order in the book."""

    def __init__(self, op: Op, qty: int) -> None:
        self.order_id, self.side, self.user = op.order_id, op.side, op.user
        self.price, self.qty = op.price, qty


class Matcher:
    """One instrument: price levels in sorted lists, orders of a level in the order they came."""

    def __init__(self) -> None:
        self.open: dict[int, Resting] = {}
        self.levels: tuple[dict[int, dict[int, Resting]], ...] = ({}, {})
        self.prices: tuple[list[int], list[int]] = ([], [])
        self.trades = self.traded_qty = self.notional = self.rejects = self.trade_hash = 0

    def apply(self, op: Op) -> None:
        """Do what the record says."""
        if op.op in (NEW, NEW_IOC, NEW_MARKET):
            self._enter(op, op.qty, rests=op.op == NEW)
            return
        order = self.open.get(op.order_id)
        if order is None:
            self.rejects += 1
        elif op.op == CANCEL or (op.op == REDUCED and op.qty >= order.qty):
            self._remove(order)
        elif op.op == REDUCED:
            order.qty -= op.qty
        else:
            qty = op.qty or order.qty
            if op.price == order.price and qty <= order.qty:
                order.qty = qty
            else:
                self._remove(order)
                self._enter(op._replace(side=order.side), qty, rests=True)

    def best(self, side: int) -> int | None:
        """The best price of a side; None when it is empty."""
        prices = self.prices[side]
        return None if not prices else prices[-1] if side == BUY else prices[0]

    def _enter(self, op: Op, qty: int, *, rests: bool) -> None:
        while qty:
            price = self.best(1 - op.side)
            if price is None or (op.op != NEW_MARKET and self._is_beyond(op, price)):
                break
            maker = next(iter(self.levels[1 - op.side][price].values()))
            traded = min(qty, maker.qty)
            qty -= traded
            maker.qty -= traded
            self.trades += 1
            self.traded_qty += traded
            self.notional += traded * price
            for value in (maker.order_id, op.order_id, price, traded):
                self.trade_hash = mix(self.trade_hash, value)
            if not maker.qty:
                self._remove(maker)
        if qty and rests:
            order = Resting(op, qty)
            if op.price not in self.levels[op.side]:
                self.levels[op.side][op.price] = {}
                insort(self.prices[op.side], op.price)
            self.levels[op.side][op.price][op.order_id] = self.open[op.order_id] = order

    @staticmethod
    def _is_beyond(op: Op, price: int) -> bool:
        return price > op.price if op.side == BUY else price < op.price

    def _remove(self, order: Resting) -> None:
        level = self.levels[order.side][order.price]
        del level[order.order_id], self.open[order.order_id]
        if not level:
            del self.levels[order.side][order.price]
            self.prices[order.side].remove(order.price)

    def numbers(self) -> dict[str, int | str]:
        """The fields of a sidecar, as they are now."""
        l3 = l2 = mix(0, 0)
        for side in (BUY, SELL):
            l3, l2 = mix(l3, WORD), mix(l2, WORD)
            for price in sorted(self.levels[side], reverse=side == BUY):
                orders = self.levels[side][price].values()
                l2 = mix(mix(l2, price), sum(order.qty for order in orders))
                for order in orders:
                    l3 = mix(mix(mix(l3, order.order_id), price), order.qty)
        return {
            "trades": self.trades,
            "traded_qty": self.traded_qty,
            "notional": self.notional,
            "rejects": self.rejects,
            "trade_hash": f"{self.trade_hash:016x}",
            "resting_orders": len(self.open),
            "resting_qty": sum(order.qty for order in self.open.values()),
            "levels": sum(len(levels) for levels in self.levels),
            "book_hash_l3": f"{l3:016x}",
            "book_hash_l2": f"{l2:016x}",
        }


class Maker:
    """Dice, and the matcher that knows what is open."""

    def __init__(self, seed: int, users: int, recent: int = 1) -> None:
        self.dice = random.Random(seed)
        self.users, self.recent = users, recent  # recent: the newest of so many draws is taken.
        self.matcher = Matcher()
        self.ops: list[Op] = []
        self.last_id = 0
        self._ids: list[int] = []  # Of orders that rested; those that ended leave when drawn.

    def add(self, op: Op) -> None:
        """The next record."""
        self.ops.append(op)
        self.matcher.apply(op)
        if op.op == NEW and op.order_id in self.matcher.open:
            self._ids.append(op.order_id)

    def new(self, kind: int, price: Callable[[int], int], qty: int) -> None:
        """An order of ``kind`` on either side; ``price`` of a side."""
        side = self.dice.randrange(2)
        self.last_id += 1
        asked = 0 if kind == NEW_MARKET else min(max(price(side), PRICE_LOW), PRICE_HIGH)
        user = self.dice.randrange(self.users)
        self.add(Op(kind, side, user, self.last_id, asked, qty))

    def drawn(self) -> Resting | None:
        """An open order by chance."""
        while self._ids:
            place = max(self.dice.randrange(len(self._ids)) for _ in range(self.recent))
            order = self.matcher.open.get(self._ids[place])
            if order is not None:
                return order
            self._ids[place] = self._ids[-1]
            self._ids.pop()
        return None

    def change(self, kind: int, price: int, qty: int) -> None:
        """A cancel, replace or reduce of an open order, one in a hundred of any order at all."""
        order = self.drawn()
        if order is None:
            return
        op = Op(kind, order.side, order.user, order.order_id, price, qty)
        if self.dice.random() < 0.01:
            op = self._of_any(op)
        self.add(op)

    def _of_any(self, op: Op) -> Op:
        other = self.dice.randrange(1, self.last_id + 1)
        placed = next(old for old in reversed(self.ops) if old.order_id == other)
        return op._replace(order_id=other, side=placed.side, user=placed.user)

    def replace(self, price: Callable[[int], int], less: float) -> None:
        """An open order to another price, or (a share of ``less``) to less quantity."""
        order = self.drawn()
        if order is None:
            return
        qty = self.dice.randrange(1, order.qty + 1) if self.dice.random() < less else 0
        asked = order.price if qty else min(max(price(order.side), PRICE_LOW), PRICE_HIGH)
        self.add(Op(REPLACED, order.side, order.user, order.order_id, asked, qty))

    def touch(self, side: int, middle: int) -> int:
        """The best price of a side, or beside ``middle`` when it is empty."""
        best = self.matcher.best(side)
        return best if best is not None else middle - 1 + 2 * side


def mixed(seed: int, count: int) -> tuple[list[Op], int, dict[str, Any]]:
    """Mostly replaces to other prices; 1,000 orders rest before the count begins."""
    maker = Maker(seed, users=1_000)
    dice, resting = maker.dice, 1_000

    def price(side: int) -> int:
        away = int(dice.expovariate(1 / 250) * (6 if dice.random() < 0.2 else 1))
        return 147_930 + (away - 20 if side == SELL else 20 - away)

    def qty() -> int:
        return min(int(dice.paretovariate(0.8)), 126)

    while len(maker.matcher.open) < resting:
        maker.new(NEW, price, qty())
    prefill = len(maker.ops)
    expected = {str(prefill): maker.matcher.numbers()}
    while len(maker.ops) < prefill + count:
        kind = dice.random()
        if kind < 0.12 or len(maker.matcher.open) < resting * 0.9:
            maker.new(NEW, price, qty())
        elif kind < 0.14:
            maker.new(NEW_IOC, price, qty())
        elif kind < 0.21 or len(maker.matcher.open) > resting * 1.1:
            maker.change(CANCEL, 0, 0)
        elif kind < 0.28:
            maker.change(REDUCED, 0, qty())
        else:
            maker.replace(price, 0.0)
    return maker.ops, prefill, expected | {str(len(maker.ops)): maker.matcher.numbers()}


def near(seed: int, count: int) -> tuple[list[Op], int, dict[str, Any]]:
    """New orders and cancels near the touch; 10,000 orders rest before the count begins."""
    maker = Maker(seed, users=5_000)
    dice, resting = maker.dice, 10_000

    def behind(side: int) -> int:
        away = min(int(dice.paretovariate(0.7)), 2_000) - 1
        return maker.touch(side, 50_000) + (away if side == SELL else -away)

    def inside(side: int) -> int:
        return behind(side) if dice.random() < 0.9 else maker.touch(1 - side, 50_000)

    def qty() -> int:
        round_lots = min(100 * int(dice.paretovariate(2)), 1_200)
        return round_lots if dice.random() < 0.7 else dice.randrange(1, 100)

    while len(maker.matcher.open) < resting:
        maker.new(NEW, behind, qty())
    prefill = len(maker.ops)
    expected = {str(prefill): maker.matcher.numbers()}
    while len(maker.ops) < prefill + count:
        kind = dice.random()
        if len(maker.matcher.open) > resting and kind < 0.2:
            maker.change(CANCEL, 0, 0)
        elif kind < 0.55:
            maker.new(NEW, inside, qty())
        elif kind < 0.60:
            maker.new(NEW_IOC, lambda side: maker.touch(1 - side, 50_000), qty())
        elif kind < 0.606:
            maker.new(NEW_MARKET, inside, qty())
        elif kind < 0.635:
            maker.change(REDUCED, 0, dice.randrange(1, 200))
        elif kind < 0.67:
            maker.replace(behind, 0.1)
        else:
            maker.change(CANCEL, 0, 0)
    return maker.ops, prefill, expected | {str(len(maker.ops)): maker.matcher.numbers()}


def stock(seed: int, count: int) -> tuple[list[Op], int, dict[str, Any]]:
    """Orders and cancels of one user as a market's feed shows them; about 400 orders rest around a
    price that walks, most of what is canceled came a moment ago, one in 20 commands takes."""
    maker = Maker(seed, users=1, recent=3)
    dice, matcher = maker.dice, maker.matcher
    middle, resting = 58_500, 400

    def price(side: int) -> int:
        away = min(int(dice.paretovariate(0.9)) * 5, 1_500) - 8  # Some better than the best one.
        other = maker.touch(1 - side, middle)  # Takers are IOC: nothing that rests crosses.
        asked = maker.touch(side, middle) + (away if side == SELL else -away)
        return max(asked, other + 1) if side == SELL else min(asked, other - 1)

    def qty() -> int:
        return 100 if dice.random() < 0.6 else dice.randrange(1, 300)

    while len(matcher.open) < 100:
        maker.new(NEW, lambda side: middle + (20 + dice.randrange(400)) * (2 * side - 1), qty())
    prefill = len(maker.ops)
    expected = {str(prefill): matcher.numbers()}
    while len(maker.ops) < prefill + count:
        kind = dice.random()
        if kind < 0.045:
            taken = dice.randrange(1, 120)
            maker.new(NEW_IOC, lambda side: maker.touch(1 - side, middle), taken)
        elif kind < 0.05:
            maker.change(REDUCED, 0, dice.randrange(1, 100))
        elif kind < 0.52 or len(matcher.open) < resting // 4:
            maker.new(NEW, price, qty())
        elif kind < 0.52 + 0.46 * len(matcher.open) / resting:
            maker.change(CANCEL, 0, 0)
        else:
            maker.new(NEW, price, qty())
    return maker.ops, prefill, expected | {str(len(maker.ops)): matcher.numbers()}


MADE: Final = {"mixed": mixed, "near": near, "stock": stock}


def make(name: str, directory: Path, *, seed: int = 1, count: int = COUNT) -> Path:
    """Write NAME.flow and its sidecar into ``directory``; the path of the flow."""
    ops, prefill, expected = MADE[name](seed, count)
    records = np.zeros(len(ops), RECORD)
    for field, column in zip(Op._fields, zip(*ops, strict=True), strict=True):
        records[field] = column
    header = np.zeros(1, HEADER)
    header["magic"], header["version"], header["header_size"] = b"OFLOW01", 1, HEADER.itemsize
    header["n_ops"], header["n_prefill"], header["n_symbols"] = len(ops), prefill, 1
    header["max_user"] = records["user"].max()
    header["max_order_id"] = records["order_id"].max()
    priced = records["price"][records["price"] > 0]
    header["min_price"], header["max_price"] = priced.min(), priced.max()
    path = directory / f"{name}.flow"
    path.write_bytes(header.tobytes() + records.tobytes())
    about = {"n_ops": len(ops), "n_prefill": prefill, "seed": seed, "desc": f"made: {name}"}
    path.with_name(path.name + ".json").write_text(json.dumps(about | {"expected": expected}))
    return path


def main() -> None:
    """Write one flow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(MADE))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=COUNT)
    options = parser.parse_args()
    print(make(options.name, options.directory, seed=options.seed, count=options.count))


if __name__ == "__main__":
    main()
