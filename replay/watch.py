"""Following one order through the journal: each command that names it, fills it, or moves what
stands before it."""

from typing import Final

import numpy as np

from core.constants import ORDER_SLOT_BITS, ORDER_SLOT_MASK
from core.jit import call_entry, kernel
from core.journal.scanner import Commands
from core.layout import record
from core.memory import Record, pointer
from core.messages import COMMAND
from core.rows import cold_row, level_row, order_row, state_at
from replay import views
from replay.history import History, Slots, command_at, starts
from replay.steps import Row, Step, event_row, named_in, names_of, step_of

RELATIONS: Final = {
    "FILL": "fills it",
    "ORDER_TRIGGERED": "triggers it",
    "ORDER_EXPIRED": "ends it",
    "ORDER_REDUCED": "reduces it",
    "ORDER_REPLACED": "replaces it",
    "EXEC_RECORDED": "told by the outside",
    "TRADE_BUSTED": "busts a trade of it",
}
WATCH: Final = record(
    "what the second way looks for",
    128,
    [
        ("state", "<i8"),
        ("apply_entry", "<i8"),
        ("slot", "<i8"),
        ("leaves", "<i8"),
        ("cum", "<i8"),
        ("price", "<i8"),
        ("level", "<i8"),
        ("level_orders", "<i8"),
        ("level_qty", "<i8"),
        ("status", "<i8"),
        ("changed", "<i8"),  # 1: the last command that was applied changed one of these.
        ("events_before", "<i8"),  # Events in the ring before that command.
        ("last", "<i8"),  # Where that command began, in slots.
        ("reserved", "<i8", (3,)),
    ],
)
_watch_at = pointer(WATCH)
_command_at = pointer(COMMAND)


@kernel
def advance(watch_address: int, commands: int, slots: int) -> int:
    """Apply commands one by one until the watched order or its level changes; how many slots.

    -1 when an invariant of the engine broke (checked mode).
    """
    watch = _watch_at(watch_address)
    state = state_at(watch.state)
    watch.changed = 0
    place = 0
    while place < slots and watch.changed == 0:
        command = commands + place * 128
        size = max(_command_at(command).slots, 1)
        watch.events_before = state.cursor
        watch.last = place
        if call_entry(watch.apply_entry, watch.state, command, size) < 0:
            return -1
        place += size
        look(state, watch)
    return place


@kernel
def look(state: Record, watch: Record) -> None:
    """Take what is watched as it is now; ``changed`` says whether it was anything else."""
    order = order_row(state, watch.slot)
    status = cold_row(state, watch.slot).status
    changed = order.leaves != watch.leaves or order.cum != watch.cum
    changed = changed or order.price != watch.price or order.level != watch.level
    changed = changed or status != watch.status
    watch.leaves = order.leaves
    watch.cum = order.cum
    watch.price = order.price
    watch.level = order.level
    watch.status = status
    if order.level != 0:
        level = level_row(state, order.level)
        changed = changed or level.orders != watch.level_orders or level.shown != watch.level_qty
        watch.level_orders = level.orders
        watch.level_qty = level.shown
    if changed:
        watch.changed = 1


@kernel
def look_first(watch_address: int) -> None:
    """Take what is watched as it is when the watching begins."""
    watch = _watch_at(watch_address)
    look(state_at(watch.state), watch)


class Watch:
    """The second way: follow one order from the command that placed it up to ``sequence``."""

    def __init__(self, history: History, order_id: int, sequence: int) -> None:
        self.history = history
        self.last: Row = {}  # The order as it was last seen, with ``queue``.
        self._order_id = order_id
        self._to = sequence
        self._slot = order_id & ORDER_SLOT_MASK
        self._placed = order_id >> ORDER_SLOT_BITS
        self._account = 0
        self._ids: set[bytes] = set()
        self._steps: list[Step] = []
        self._watch = np.zeros(1, WATCH)
        self._watch["state"] = history.state.address
        self._watch["apply_entry"] = history.apply_entry
        self._watch["slot"] = self._slot

    def run(self) -> list[Step]:
        """Every step of the order's life."""
        for batch in self.history.batches():
            if batch.last_sequence < self._placed:
                self.history.apply(batch.slots)
                continue
            self._batch(batch)
            self.history.forget_events()
            if batch.last_sequence >= self._to:
                break
        if self._is_open:  # What it stands behind now, and not only when that last changed.
            self.last = self._seen()
        return self._steps

    @property
    def _is_open(self) -> bool:
        return bool(self.last) and self.last["status"] in views.LIVES

    def _batch(self, batch: Commands) -> None:
        slots, place = batch.slots, 0
        if not self.last:
            begins = starts(slots)
            placed = next(at for at in begins if command_at(slots, at)["sequence"] == self._placed)
            self.history.apply(slots[:placed])
            place = self._named(slots, placed)
        todo = named_in(slots[place:], self._order_id, self._ids)
        base = place
        while todo:
            at, known = base + todo.pop(0), len(self._ids)
            self._between(slots[place:at])
            place = self._named(slots, at)
            if len(self._ids) > known:
                base, todo = place, named_in(slots[place:], self._order_id, self._ids)
        self._between(slots[place:])

    def _between(self, slots: Slots) -> None:
        """Commands that do not name the order; some may touch it."""
        while len(slots) and self._is_open:
            self.history.forget_events()
            done = int(advance(self._watch.ctypes.data, slots.ctypes.data, len(slots)))
            if done < 0:
                raise AssertionError(f"an invariant broke after {self.history.sequence}")
            row = self._watch[0]
            if row["changed"]:
                self._touched(slots, int(row["last"]), int(row["events_before"]))
            slots = slots[done:]
        self.history.apply(slots)

    def _named(self, slots: Slots, place: int) -> int:
        """One command that may name the order; where the next one begins."""
        self.history.forget_events()
        end = place + int(command_at(slots, place)["slots"])
        order_id, ids = names_of(slots, place)
        mine = int(command_at(slots, place)["account"]) == self._account
        self.history.apply(slots[place:end])
        named = order_id == self._order_id or (mine and bool(ids & self._ids))
        self._touched(slots, place, 0, named=named or not self.last)
        look_first(self._watch.ctypes.data)
        return end

    def _touched(self, slots: Slots, place: int, start: int, *, named: bool = False) -> None:
        events = self.history.events(start)
        own = [
            event_row(events, at)
            for at in range(len(events))
            if int(events[at]["order_id"]) == self._order_id
        ]
        if named and not own:  # Rejected before it was looked for.
            own = [event_row(events, at) for at in range(len(events))]
        before = self.last
        if not before or self._is_open:
            self.last = self._seen()
        self._account = self.last["account"]
        self._ids.add(self.last["client_order_id"].encode())
        if named:
            relation = "names it"
        elif own:
            relation = RELATIONS.get(own[0]["kind"], "cancels it")
        elif _ahead(before) != _ahead(self.last):
            relation = "moves the queue"
        else:
            return
        self._steps.append(step_of(slots, place, relation, own, self.last))

    def _seen(self) -> Row:
        state = self.history.state
        found = views.order(state, self._slot)
        if found["order_id"] != self._order_id:
            return self.last  # Its row is somebody else's by now.
        stands = views.standing(state, self._slot)
        market = {side: stands.pop(side) for side in ("best_own", "best_other")}
        return {**found, "queue": stands, **market}


def _ahead(order: Row) -> tuple[int, int]:
    queue = order["queue"]
    return queue.get("orders_ahead", 0), queue.get("qty_ahead", 0)
