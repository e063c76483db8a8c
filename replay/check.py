"""What must hold after every command, checked over what the command touched; all of it at times.

What changed without an event shows at the next full check, which is over the whole state.
"""

from typing import Any, Final

import numpy as np

from core.jit import entry
from core.journal.dump import command_row
from core.messages import COMMAND, SELL, STATUS_OPEN
from core.records import BALANCE, POSITION
from core.sequencer import invariants
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State
from replay import views
from replay.expected import apply_checked
from replay.rules import (
    BALANCE_HELD,
    BALANCE_NEGATIVE,
    BALANCE_TOTAL,
    BEST_EMPTY,
    COUNTED,
    CROSSED,
    EVENT_INDEX,
    EVENT_LAST,
    EVENT_SEQUENCE,
    POSITION_HELD,
    POSITION_NET,
    POSITION_SUM,
    RULES,
)
from replay.seen import CHECK, SEEN_BALANCE, SEEN_ORDER, SEEN_POSITION

CHECKED_FIRST: Final = 1_000  # A full check after every one of these, then after one in ``every``.
CHECKED_EVERY: Final = 1_000
EXIT_FAILED: Final = 70

Slots = np.ndarray[Any, np.dtype[np.uint8]]


class Broken(Exception):
    """A truth about the state does not hold."""

    exit_code = EXIT_FAILED


class BrokenBefore(Broken):
    """A full check failed; which command broke it lies between two sequences."""

    def __init__(self, good: int, bad: int, what: str) -> None:
        super().__init__(f"after sequence {bad}: {what}; it still held after sequence {good}")
        self.good = good
        self.bad = bad
        self.what = what


class Checker:
    """Applies commands to ``state`` and checks each; what is expected begins as the state is."""

    def __init__(self, state: State, every: int = CHECKED_EVERY) -> None:
        self._state = state
        self._every = every
        self._done = 0
        self._good = state["sequence"]  # The last full check that held.
        events = 2 * state["orders_max"] + (1 << 14)  # One command's, at the most.
        self._ring = PrivateRing(1 << (events - 1).bit_length())
        self._ring.attach(state)
        slots = state["orders_max"] + state["closed_keep"] + 1
        self._orders = np.zeros(slots, SEEN_ORDER)
        self._balances = np.zeros(state["balances_max"] + 1, SEEN_BALANCE)
        self._positions = np.zeros(state["positions_max"] + 1, SEEN_POSITION)
        self._row = np.zeros(1, CHECK)
        self._row["state"], self._row["apply_entry"] = state.address, entry(apply_batch)
        self._row["orders"] = self._orders.ctypes.data
        self._row["balances"] = self._balances.ctypes.data
        self._row["positions"] = self._positions.ctypes.data
        for name in ("sequence", "timestamp_ns", "open_orders", "trades", "events"):
            self._row[name] = state[name]
        self._take_rows(state)

    def _take_rows(self, state: State) -> None:
        orders, cold = views.orders(state), views.cold(state)
        for slot in np.flatnonzero(np.isin(cold["status"], views.LIVES)).tolist():
            seen = self._orders[slot]
            for name in ("order_id", "leaves", "cum"):
                seen[name] = orders[slot][name]
            seen["position"], seen["is_open"] = cold[slot]["position"], 1
            seen["hold"] = views.hold(state, slot)
            seen["lots"] = orders[slot]["leaves"] if cold[slot]["side"] == SELL else 0
            is_first = 0 < orders[slot]["prev"] < state["order_base"]
            if is_first and cold[slot]["status"] == STATUS_OPEN:  # First of its level.
                self._take_queue(state, slot)
        balances = state.rows("balances", BALANCE, state["balances_used"] + 1)
        self._balances["total"][: len(balances)] = balances["available"] + balances["held"]
        self._balances["need"][: len(balances)] = balances["held"]
        positions = state.rows("positions", POSITION, state["positions_used"] + 1)
        for name in ("net", "held"):
            self._positions[name][: len(positions)] = positions[name]

    def _take_queue(self, state: State, slot: int) -> None:
        orders, base, rank = views.orders(state), state["order_base"], -len(self._orders)
        while slot > 0:
            self._orders[slot]["arrival"] = rank
            rank, slot = rank + 1, (int(orders[slot]["next"]) - base) // 2

    def apply(self, slots: Slots) -> int:
        """Apply whole commands, how many; Broken at the first one that breaks something."""
        place, before = 0, self._done
        while place < len(slots):
            first = CHECKED_FIRST - self._done
            self._row["until"] = 1 if first > 0 else self._every - self._done % self._every
            rest = slots[place:]
            try:
                done = int(apply_checked(self._row.ctypes.data, rest.ctypes.data, len(rest)))
            except AssertionError as broken:  # Plain Python: the engine's own assertions.
                raise Broken(f"{self._command(rest)}: {broken}") from broken
            if self._row[0]["rule"]:
                raise Broken(f"{self._command(rest)}: {self._said()}")
            self._done += int(self._row[0]["commands"])
            place += done
            if self._done <= CHECKED_FIRST or self._done % self._every == 0:
                self.check()
        return self._done - before

    def check(self) -> None:
        """Every invariant of the whole state; BrokenBefore when one does not hold."""
        sequence = self._state["sequence"]
        try:
            invariants.check(self._state)
        except AssertionError as broken:
            raise BrokenBefore(self._good, sequence, str(broken)) from broken
        self._good = sequence

    def _command(self, slots: Slots) -> str:
        return told(slots, int(self._row[0]["place"]))

    def _said(self) -> str:
        row = self._row[0]
        rule, number = int(row["rule"]), int(row["row"])
        what = self._named(rule, number)
        expected, found = int(row["expected"]), int(row["found"])
        is_yes_or_no = {expected, found} == {0, 1} and rule not in COUNTED
        amounts = "" if is_yes_or_no else f": expected {expected}, found {found}"
        return f"{RULES[rule]}{what}{amounts}"

    def _named(self, rule: int, number: int) -> str:
        if rule in (BALANCE_TOTAL, BALANCE_HELD, BALANCE_NEGATIVE):
            row = self._state.rows("balances", BALANCE, number + 1)[number]
            return f" (balance {number}: account {row['account']}, asset {row['asset']})"
        if rule in (POSITION_NET, POSITION_HELD, POSITION_SUM):
            row = self._state.rows("positions", POSITION, number + 1)[number]
            where = f"account {row['account']}, instrument {row['instrument']}"
            return f" (position {number}: {where})"
        if rule in (CROSSED, BEST_EMPTY):
            return f" (instrument {number})"
        if rule in (EVENT_SEQUENCE, EVENT_INDEX, EVENT_LAST):
            return f" (event {number})"
        return f" (order {number})" if number else ""


def told(slots: Slots, place: int) -> str:
    """The command at ``place``: its sequence, kind, and the fields that say something."""
    prefix = slots[place].view(COMMAND)[0]
    row = command_row(slots[place : place + int(prefix["slots"])], int(prefix["kind"]))
    hidden = {"record", "sequence", "kind", "timestamp_ns", "crc32c", "schema", "slots"}
    said = [f"{name}={value}" for name, value in row.items() if name not in hidden and value]
    return f"command {row['sequence']} {row['kind']} {' '.join(said)}"
