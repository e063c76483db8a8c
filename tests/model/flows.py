"""Order-flow files: read them, make them by seed, turn them into commands, hash what came out.

Knows nothing of the twin or the engine: it sees commands go in and events come out.
"""

import json
import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests.model.commands import (
    BUY,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    QTY_LEAVES,
    SELL,
    CancelOrder,
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
)
from tests.model.events import MAKER, Event
from tests.model.mirror import Mirror

MAGIC: Final = b"OFLOW01\0"
HEADER: Final = struct.Struct("<8sIIQQIIQqq")
OP: Final = struct.Struct("<BBHIQqqQ")
WORD: Final = (1 << 64) - 1
NEW, CANCEL, REPLACE, NEW_IOC, NEW_MARKET, REDUCE = 1, 2, 3, 4, 5, 6
ACCOUNTS: Final = 7
FUNDS: Final = 1 << 58
assert HEADER.size == 64
assert OP.size == 40


class Op(NamedTuple):
    """One record of a flow."""

    op: int
    side: int  # 0 buy, 1 sell.
    symbol: int
    user: int
    order_id: int
    price: int
    qty: int
    aux: int = 0


class Flow(NamedTuple):
    ops: list[Op]
    symbols: int
    expected: dict[int, dict[str, int | str]]


def read(path: Path) -> Flow:
    """A flow file and its sidecar."""
    data = path.read_bytes()
    header = HEADER.unpack_from(data)
    assert header[:3] == (MAGIC, 1, HEADER.size), header
    assert len(data) == HEADER.size + header[3] * OP.size
    ops = [Op(*values) for values in OP.iter_unpack(data[HEADER.size :])]
    sidecar = json.loads(path.with_suffix(".flow.json").read_text())
    expected = {int(at): numbers for at, numbers in sidecar["expected"].items()}
    return Flow(with_owners(ops), header[5], dict(sorted(expected.items())))


def with_owners(ops: list[Op]) -> list[Op]:
    """Ops 2, 3 and 6 with the user who placed the order: flows leave it open."""
    owners = {op.order_id: op.user for op in ops if op.op in (NEW, NEW_IOC, NEW_MARKET)}
    return [op._replace(user=owners.get(op.order_id, op.user)) for op in ops]


def made(seed: int, count: int, symbols: int = 2) -> Flow:
    """A flow of our own, by seed, with every op; ids of orders long gone are asked for too."""
    chance = random.Random(seed)
    placed: list[Op] = []
    ops = []
    for _ in range(count):
        op = chance.choices((NEW, CANCEL, REPLACE, NEW_IOC, NEW_MARKET, REDUCE), _WEIGHTS)[0]
        price = 10_000 + round(chance.gauss(0, 12))
        qty = 1 + int(chance.expovariate(0.05))
        if op in (NEW, NEW_IOC, NEW_MARKET) or not placed:
            op = op if op in (NEW, NEW_IOC, NEW_MARKET) else NEW
            symbol, user = chance.randrange(symbols), chance.randrange(50)
            made_op = Op(op, chance.randrange(2), symbol, user, len(placed) + 1, price, qty)
            placed.append(made_op)
        else:
            target = placed[-1 - min(int(chance.expovariate(0.02)), len(placed) - 1)]
            price = 0 if op in (CANCEL, REDUCE) else target.price + chance.choice((0, 0, -1, 1, 5))
            qty = 0 if op == CANCEL or (op == REPLACE and chance.random() < 0.3) else qty
            made_op = target._replace(op=op, price=price, qty=qty)
        ops.append(made_op)
    return Flow(ops, symbols, {})


_WEIGHTS: Final = (45, 15, 15, 10, 5, 10)


def set_up(symbols: int) -> list[Command]:
    """Assets, instruments and funded accounts, not yet numbered."""
    commands: list[Command] = [CreateAsset(name="USD", scale=0)]
    commands += [CreateAsset(name=f"COIN{number}", scale=0) for number in range(symbols)]
    commands += [
        CreateInstrument(name=f"COIN{number}-USD", base_asset=2 + number, quote_asset=1)
        for number in range(symbols)
    ]
    for number in range(ACCOUNTS):
        commands.append(CreateAccount(name=f"user-{number}"))
    for number in range(ACCOUNTS):
        for asset in range(1, symbols + 2):
            commands.append(Deposit(account=3 + number, asset=asset, amount=FUNDS))
    return commands


def command_of(op: Op, sequence: int) -> Command:
    """The command that an op stands for; orders are named by their flow id as client id."""
    account, instrument = 3 + op.user % ACCOUNTS, op.symbol + 1
    label = str(op.order_id)
    if op.op in (NEW, NEW_IOC, NEW_MARKET):
        return PlaceOrder(
            sequence=sequence,
            timestamp_ns=sequence * 1_000,
            request_id=sequence,
            account=account,
            instrument=instrument,
            client_order_id=label,
            side=SELL if op.side else BUY,
            order_type=MARKET if op.op == NEW_MARKET else LIMIT,
            time_in_force=GTC if op.op == NEW else IOC,
            price=0 if op.op == NEW_MARKET else op.price,
            qty=op.qty,
        )
    kind = {CANCEL: CancelOrder, REPLACE: ReplaceOrder, REDUCE: ReduceOrder}[op.op]
    values: dict[str, int] = {}
    if op.op == REPLACE:
        values = {"price": op.price, "qty": op.qty, "qty_basis": QTY_LEAVES}
    elif op.op == REDUCE:
        values = {"qty": op.qty}
    return kind(
        sequence=sequence,
        timestamp_ns=sequence * 1_000,
        request_id=sequence,
        account=account,
        slots=2,
        original_client_order_id=label,
        **values,  # type: ignore[arg-type]
    )


def mix(state: int, value: int) -> int:
    """One step of the flow hashes."""
    state = (state ^ value) * 0x9E3779B97F4A7C15 & WORD
    return state ^ state >> 29


@dataclass
class Tally:
    """The numbers of a sidecar, out of events alone."""

    symbols: int
    trades: int = 0
    traded_qty: int = 0
    notional: int = 0
    rejects: int = 0
    trade_hash: int = 0
    mirror: Mirror = field(default_factory=Mirror)
    _taker: str = ""

    def take(self, events: Iterable[Event]) -> None:
        """Follow events in the order of the stream."""
        for event in events:
            self.mirror.take(event)
            if event.kind == "FILL":
                self._fill(event)
            elif event.kind in ("ORDER_REJECTED", "COMMAND_REJECTED"):
                self.rejects += 1

    def _fill(self, event: Event) -> None:
        if not event.flags & MAKER:
            self._taker = event.client_order_id
            return
        self.trades += 1
        self.traded_qty += event.qty
        self.notional += event.qty * event.price
        for value in (int(event.client_order_id), int(self._taker), event.price, event.qty):
            self.trade_hash = mix(self.trade_hash, value)

    def numbers(self) -> dict[str, int | str]:
        """The fields of a checkpoint of a sidecar."""
        orders = self.mirror.orders.values()
        return {
            "trades": self.trades,
            "traded_qty": self.traded_qty,
            "notional": self.notional,
            "rejects": self.rejects,
            "trade_hash": f"{self.trade_hash:016x}",
            "resting_orders": len(orders),
            "resting_qty": sum(shown.qty for shown in orders),
            "levels": sum(1 for _ in self._levels()),
            "book_hash_l3": f"{self._book_hash(3):016x}",
            "book_hash_l2": f"{self._book_hash(2):016x}",
        }

    def _levels(self) -> Iterator[int]:
        for symbol in range(self.symbols):
            for is_sell in (False, True):
                for price, _ in self.mirror.levels(symbol + 1, is_sell=is_sell):
                    yield price

    def _book_hash(self, detail: int) -> int:
        state = 0
        for symbol in range(self.symbols):
            state = mix(state, symbol)
            for is_sell in (False, True):
                state = mix(state, WORD)
                for price, level in self.mirror.levels(symbol + 1, is_sell=is_sell):
                    if detail == 2:
                        state = mix(mix(state, price), sum(shown.qty for shown in level))
                        continue
                    for shown in level:
                        state = mix(mix(mix(state, int(shown.label)), price), shown.qty)
        return state
