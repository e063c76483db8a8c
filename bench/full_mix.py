"""A flow of every order type, with every limit on: LIMIT, MARKET, stops, trailing stops, all times
in force, POST_ONLY, icebergs, pairs, REDUCE_ONLY, self-trade prevention, and changes of them.

Drawn by seed against the engine itself, one command a call, outside the clock: targets are orders
that are open then.  What the engine must make of the small one is known from the naive twin of the
tests (``TWINS_HASH``); an engine that makes anything else of it is not timed.
"""

import random
import struct
import time
from collections.abc import Iterator
from itertools import chain
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np

from bench.chase import CHASE_BYTES, Chase
from bench.kernel_run import ID_KEY
from core import messages as m
from core.constants import SLOT_BYTES
from core.jit import call_entry, entry, kernel
from core.limits import DEFAULT, Limits
from core.memory import load_i64
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State

Array = np.ndarray[Any, Any]
Fields = dict[str, Any]
NAME: Final = "full"
MIDDLE: Final = 10_000
FIRST_TRADER: Final = 3
RING_EVENTS: Final = 1 << 18
BATCH: Final = 256  # Commands.
START_NS: Final = 1_000_000_000
GAP_NS: Final = 1_000
LAYOUTS: Final[dict[int, tuple[Any, ...]]] = {
    m.CREATE_ASSET: (m.NEW_ASSET,),
    m.CREATE_INSTRUMENT: (m.NEW_INSTRUMENT, m.NEW_INSTRUMENT_SLOT_2),
    m.CREATE_ACCOUNT: (m.NEW_ACCOUNT,),
    m.DEPOSIT: (m.MONEY,),
    m.SET_LIMITS: (m.NEW_LIMITS, m.NEW_LIMITS_SLOT_2),
    m.PLACE_ORDER: (m.PLACE, m.PLACE_SLOT_2),
    m.CANCEL_ORDER: (m.CANCEL,),
    m.REPLACE_ORDER: (m.REPLACE,),
    m.REDUCE_ORDER: (m.REPLACE,),
    m.TIME: (m.ADMIN,),
}
ENDS: Final = (m.ORDER_CANCELED, m.ORDER_EXPIRED)
# Far above what the flow does, so that each is looked at and none stands in the way.
LIMITS: Final = {
    "open_orders_max": 100_000,
    "exposure_max": 1 << 60,
    "orders_per_second": 1_000_000,
    "messages_per_fill": 1_000_000,
    "deviation_ppm": 900_000,
    "order_notional_max": 1 << 50,
    "levels_max": 50_000,
}
OF_INSTRUMENT: Final = {
    "position_max": 1 << 40,
    "open_orders_max": 100_000,
    "order_qty_max": 1_000_000,
    "order_notional_max": 1 << 50,
}


class Size(NamedTuple):
    """How much of everything."""

    instruments: int = 8
    users: int = 400
    resting: int = 10_000
    commands: int = 300_000
    seed: int = 1


SMALL: Final = Size(2, 5, 60, 1_500)
TWINS_HASH: Final = (
    -3_511_137_266_767_993_948
)  # The hash over all events of SMALL; tests/test_full_mix.py.


class Drawn(NamedTuple):
    """A flow: every command as bytes, where each begins, where the timed part begins."""

    data: bytes
    begins: list[int]  # In slots.
    prefill: int  # Commands.
    event_hash: int
    counts: dict[str, int]


def _places(kind: int) -> dict[str, tuple[int, str]]:
    """Where fields of a kind lie: offset in its slots, letter of ``struct``."""
    letters = {"u1": "B", "u2": "H", "u4": "I", "i4": "i", "i8": "q"}
    found: dict[str, tuple[int, str]] = {}
    for number, layout in enumerate(LAYOUTS[kind]):
        for name, (dtype, offset) in ((n, layout.fields[n][:2]) for n in layout.names):
            letter = f"{dtype.itemsize}s" if dtype.shape else letters[dtype.str[1:]]
            found.setdefault(name, (number * SLOT_BYTES + offset, "<" + letter))
    return found


PLACES: Final = {kind: _places(kind) for kind in LAYOUTS}


def packed(fields: Fields) -> bytearray:
    """A command's slots."""
    data = bytearray(fields["slots"] * SLOT_BYTES)
    places = PLACES[fields["kind"]]
    for name, value in (("schema", m.SCHEMA), *fields.items()):
        offset, letter = places[name]
        given = value.encode() if isinstance(value, str) else value
        struct.pack_into(letter, data, offset, given)
    return data


def limits_for(size: Size) -> Limits:
    """The default profile, with room for the limits of every account in every instrument."""
    rows = size.users * (size.instruments + 1) + 8
    return DEFAULT._replace(limits_max=max(rows, DEFAULT.limits_max))


class Draw:
    """The dice, and an engine that says what became of each command."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.chance = random.Random(size.seed)
        self.engine = State(limits_for(size), ID_KEY)
        self.ring = PrivateRing(RING_EVENTS)
        self.ring.attach(self.engine)
        self.open: list[tuple[int, int, int]] = []  # Order id, account, instrument.
        self.at: dict[int, int] = {}
        self.sequence = 0
        self.counts: dict[str, int] = {}

    def all(self) -> Iterator[Fields]:
        """Every command, complete; one is applied before the next is drawn."""
        for fields in chain(self._reference(), self._prefill()):
            yield self._applied(fields)
        for _ in range(self.size.commands):
            yield self._applied(self._draw())

    def _applied(self, fields: Fields) -> Fields:
        self.sequence += 1
        fields |= {"sequence": self.sequence, "timestamp_ns": self.now_ns}
        slots = np.frombuffer(packed(fields), np.uint8)
        seen = self.ring.published()
        apply_batch(self.engine.address, slots.ctypes.data, fields["slots"])
        events = self.ring.between(seen, self.ring.published())
        kinds, ids = events["kind"].tolist(), events["order_id"].tolist()
        for kind, order_id, leaves in zip(kinds, ids, events["leaves"].tolist(), strict=True):
            name = m.EVENT_NAMES[kind]
            self.counts[name] = self.counts.get(name, 0) + 1
            if kind == m.ORDER_ACCEPTED:
                self.at[order_id] = len(self.open)
                self.open.append((order_id, fields["account"], fields["instrument"]))
            elif (kind in ENDS or (kind == m.FILL and leaves == 0)) and order_id in self.at:
                place = self.at.pop(order_id)
                last = self.open.pop()
                if last[0] != order_id:
                    self.open[place] = last
                    self.at[last[0]] = place
        return fields

    @property
    def now_ns(self) -> int:
        return START_NS + self.sequence * GAP_NS

    def _reference(self) -> Iterator[Fields]:
        for name in ("CASH", "COIN"):
            yield {"kind": m.CREATE_ASSET, "slots": 1, "name": name}
        for number in range(self.size.instruments):
            yield {
                "kind": m.CREATE_INSTRUMENT,
                "slots": 2,
                "symbol": f"S{number}",
                "instrument_type": m.SPOT,
                "matching": m.MATCHED_HERE,
                "phase": m.PHASE_OPEN,
                "tick": 1,
                "lot": 1,
                "base_asset": 2,
                "quote_asset": 1,
                "maker_ppm": -50,
                "taker_ppm": 300,
                "qty_min": 1,
                "qty_max": 1_000_000,
                "notional_min": 1,
                "notional_max": 1 << 50,
                "price_min": 10,
                "price_max": 40_000,
                "band_ppm": 900_000,
                "reference_price": MIDDLE,
            }
        accounts = range(FIRST_TRADER, FIRST_TRADER + self.size.users)
        for account in accounts:
            yield {"kind": m.CREATE_ACCOUNT, "slots": 1, "name": f"user-{account}"}
        for account in accounts:
            for asset in (1, 2):
                yield {
                    "kind": m.DEPOSIT,
                    "slots": 1,
                    "account": account,
                    "asset": asset,
                    "amount": 1 << 50,
                }
            yield {"kind": m.SET_LIMITS, "slots": 2, "account": account, **LIMITS}
            for number in range(1, self.size.instruments + 1):
                named = {"account": account, "instrument": number}
                yield {"kind": m.SET_LIMITS, "slots": 2, **named, **OF_INSTRUMENT}

    def _prefill(self) -> Iterator[Fields]:
        while len(self.open) < self.size.resting:
            yield self._resting()

    # One command.

    def _draw(self) -> Fields:
        grows = len(self.open) < self.size.resting
        pick = self.chance.random() * (1.0 if grows else 1.25)
        if pick < 0.62:
            return self._order()
        if pick < 0.74 or not self.open:
            return self._change()
        if pick < 0.7405:
            return {"kind": m.TIME, "slots": 1}
        order_id, account, _ = self.chance.choice(self.open)
        return {"kind": m.CANCEL_ORDER, "slots": 1, "account": account, "order_id": order_id}

    def _change(self) -> Fields:
        chance = self.chance
        if not self.open:
            return self._resting()
        order_id, account, _ = chance.choice(self.open)
        fields: Fields = {"slots": 1, "account": account, "order_id": order_id}
        if chance.random() < 0.3:
            return {"kind": m.REDUCE_ORDER, **fields, "qty": 1}
        price = chance.choice((0, 0, MIDDLE + chance.randint(-60, 60)))
        more = {"qty_basis": m.QTY_LEAVES, "price": price, "qty": chance.randint(1, 40)}
        return {"kind": m.REPLACE_ORDER, **fields, **more}

    def _place(self, **more: Any) -> Fields:
        chance = self.chance
        return {
            "kind": m.PLACE_ORDER,
            "slots": 1,
            "order_type": m.LIMIT,
            "time_in_force": m.GTC,
            "account": FIRST_TRADER + chance.randrange(self.size.users),
            "instrument": 1 + chance.randrange(self.size.instruments),
            "side": chance.choice((m.BUY, m.SELL)),
            "qty": chance.randint(1, 40),
            "self_trade": chance.choice((0, 0, 0, 1, 2, 3, 4)),
            **more,
        }

    def _resting(self, **more: Any) -> Fields:
        """Behind the touch, each octave of distance as likely."""
        fields = self._place(**more)
        away = 1 + int(2 ** (self.chance.random() * 10))
        fields["price"] = MIDDLE + (away if fields["side"] == m.SELL else -away)
        return fields

    def _taking(self, **more: Any) -> Fields:
        """At a price that a few others stand at."""
        fields = self._place(**more)
        fields["price"] = MIDDLE + (4 if fields["side"] == m.BUY else -4)
        return fields

    def _order(self) -> Fields:
        makers = (
            (40, self._resting),
            (6, self._timed),
            (8, lambda: self._resting(flags=m.POST_ONLY)),
            (8, lambda: self._resting(display_qty=1)),
            (9, lambda: self._taking(time_in_force=m.IOC)),
            (3, lambda: self._taking(time_in_force=m.IOC, slots=2, min_qty=1)),
            (3, lambda: self._taking(time_in_force=m.FOK)),
            (7, self._market),
            (10, self._stop),
            (3, lambda: self._resting(flags=m.REDUCE_ONLY)),
            (3, self._paired),
        )
        weights = [weight for weight, _ in makers]
        fields: Fields = self.chance.choices([make for _, make in makers], weights)[0]()
        return fields

    def _timed(self) -> Fields:
        if self.chance.random() < 0.5:
            return self._resting(time_in_force=m.DAY)
        return self._resting(time_in_force=m.GTD, expire_ns=self.now_ns + 5_000_000)

    def _market(self) -> Fields:
        more: Fields = {"order_type": m.MARKET, "time_in_force": m.IOC}
        if self.chance.random() < 0.5:
            more |= {"slots": 2, "side": m.BUY, "max_cost": 1 << 40}
        return self._place(**more)

    def _stop(self) -> Fields:
        kind = self.chance.choice((m.STOP, m.STOP_LIMIT, m.TRAILING_STOP))
        fields = self._place(order_type=kind, slots=2)
        away = self.chance.randint(10, 300)
        stop = MIDDLE + (away if fields["side"] == m.BUY else -away)
        fields["stop_price"] = stop
        if kind == m.STOP_LIMIT:
            fields["price"] = stop
        elif fields["side"] == m.BUY:
            fields["max_cost"] = 1 << 40
        if kind == m.TRAILING_STOP:
            fields["trail"] = away
        return fields

    def _paired(self) -> Fields:
        """With an open order of the same account and instrument."""
        if not self.open:
            return self._resting()
        order_id, account, instrument = self.chance.choice(self.open)
        return self._resting(slots=2, oco=order_id, account=account, instrument=instrument)


def drawn(size: Size) -> Drawn:
    """The flow of a size, and what the engine makes of it."""
    draw = Draw(size)
    data = bytearray()
    begins = []
    for fields in draw.all():
        begins.append(len(data) // SLOT_BYTES)
        data += packed(fields)
    prefill = len(begins) - size.commands
    return Drawn(bytes(data), begins, prefill, draw.engine["event_hash"], draw.counts)


@kernel
def run_parts(engine: int, state_address: int, ends: int, count: int) -> None:
    """Apply what lies between each address of ``ends`` and the next, one engine call each."""
    for number in range(count):
        begin = load_i64(ends + 8 * number)
        slots = (load_i64(ends + 8 * number + 8) - begin) // 128
        call_entry(engine, state_address, begin, slots)


class Full:
    """A drawn flow, ready to be timed."""

    def __init__(self, size: Size) -> None:
        self.size, self.flow = size, drawn(size)
        self._slots = np.frombuffer(self.flow.data, np.uint8).copy()
        ends = [*self.flow.begins[::BATCH], len(self._slots) // SLOT_BYTES]
        ends += [self.flow.begins[self.flow.prefill]]
        places = np.unique(np.array(ends, np.int64))
        self._ends = self._slots.ctypes.data + places * SLOT_BYTES
        self._first = int(np.searchsorted(places, self.flow.begins[self.flow.prefill]))

    def timed(self) -> float:
        """ns per command behind the prefill, from a fresh state; AssertionError for other events
        than those of the drawing."""
        state = State(limits_for(self.size), ID_KEY, populate=True)
        ring = PrivateRing(RING_EVENTS, populate=True)
        ring.attach(state)
        state.populated()
        engine, ends = entry(apply_batch), self._ends.ctypes.data
        run_parts(engine, state.address, ends, self._first)
        rest = len(self._ends) - 1 - self._first
        start = time.perf_counter_ns()
        run_parts(engine, state.address, ends + 8 * self._first, rest)
        elapsed = time.perf_counter_ns() - start
        if state["event_hash"] != self.flow.event_hash:
            raise AssertionError("a timed run gave other events than the drawing of the flow")
        return elapsed / self.size.commands


def expect_the_twins() -> None:
    """AssertionError unless the engine makes of the small flow what the twin makes of it."""
    found = drawn(SMALL).event_hash
    if found != TWINS_HASH:
        raise AssertionError(f"the small full mix: expected the twin's {TWINS_HASH}, got {found}")


def bench_full(size: Size, repeats: int = 5, chase_bytes: int = CHASE_BYTES) -> dict[str, Any]:
    """Turn by turn: one DRAM access, the engine from a fresh state."""
    expect_the_twins()
    full, chase = Full(size), Chase(chase_bytes)
    ours, access = [], []
    for _ in range(repeats):
        access.append(chase.timed())
        ours.append(full.timed())
    ns = median(ours)
    return {
        "mix": NAME,
        "instruments": size.instruments,
        "resting": size.resting,
        "commands": size.commands,
        "ns_per_command": round(ns, 2),
        "ns_per_command_min": round(min(ours), 2),
        "commands_per_s": round(1e9 / ns),
        "dram_access_ns": round(median(access), 2),
        **chase.about(),
        "events": {name: count for name, count in sorted(full.flow.counts.items())},
        "event_hash": full.flow.event_hash,
    }
