"""The life of one order: every command that named it or touched it, and what it was after each.

Two ways through the journal: ``find`` says which order is meant, ``Watch`` follows it.  Integers of
the engine; ``tools.explain`` says it in decimals and words.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.constants import CLIENT_ORDER_ID_BYTES, ORDER_SLOT_BITS, ORDER_SLOT_MASK, SLOT_BYTES
from core.jit import call_entry, kernel
from core.journal.dump import command_row
from core.journal.reader import Commands
from core.layout import offset_of, record
from core.memory import Record, pointer
from core.messages import (
    CANCEL,
    CANCEL_ORDER,
    CLIENT_ORDER_ID_AT,
    COMMAND,
    COMMAND_REJECTED,
    DEPOSIT,
    EVENT_NAMES,
    FILL,
    MAKER,
    MASS_CANCEL,
    ORDER_ACCEPTED,
    ORDER_REJECTED,
    ORIGINAL_ID_AT,
    PLACE_ORDER,
    PRIORITY_KEPT,
    REDUCE_ORDER,
    REPLACE_ORDER,
    RESTS,
    STATUS_OPEN,
    WITHDRAW,
    text,
)
from core.rows import cold_row, level_row, order_row, state_at
from core.sequencer.state import State
from replay import views
from replay.history import History, Slots, command_at, starts

Row = dict[str, Any]

EXIT_USAGE: Final = 64
WITH_CLIENT_ID: Final = frozenset(
    {PLACE_ORDER, CANCEL_ORDER, REPLACE_ORDER, REDUCE_ORDER, MASS_CANCEL, DEPOSIT, WITHDRAW}
)
TARGETED: Final = frozenset({CANCEL_ORDER, REPLACE_ORDER, REDUCE_ORDER})
FLAGS: Final = {MAKER: "maker", RESTS: "rests", PRIORITY_KEPT: "priority_kept"}
# Where any slot would have what can name an order; whether it does, its command's kind says.
NAMES: Final = np.dtype(
    {
        "names": ["client_order_id", "original", "order_id"],
        "formats": [f"S{CLIENT_ORDER_ID_BYTES}", f"S{CLIENT_ORDER_ID_BYTES}", "<i8"],
        "offsets": [CLIENT_ORDER_ID_AT, ORIGINAL_ID_AT, offset_of(CANCEL, "order_id")],
        "itemsize": SLOT_BYTES,
    }
)


class Ambiguous(Exception):
    """An id that several accounts used."""

    exit_code = EXIT_USAGE


class NotFound(Exception):
    """No order and no command has this id."""

    exit_code = EXIT_USAGE


class Step(NamedTuple):
    """One command, what it did to the order, and what the order was then."""

    sequence: int
    timestamp_ns: int
    relation: str  # names it, fills it, cancels it, moves the queue
    command: Row
    events: list[Row]  # Those about the order.
    after: Row  # status, price, leaves, cum, fees, hold, where it stands; {} without an order.


class Explanation(NamedTuple):
    """All there is to say; ``order`` is {} for commands that made or met none."""

    steps: list[Step]
    order: Row
    others: list[int]  # Other orders with the same id.
    sequence: int  # Up to which was looked.
    state: State

    @property
    def ended_at(self) -> int:
        """Sequence of the command that ended the order."""
        ended = [step for step in self.steps if step.after.get("status", 0) > STATUS_OPEN]
        return ended[0].sequence if ended else 0


class Hit(NamedTuple):
    """A command with the id, found on the first way."""

    step: Step
    account: int
    order_id: int  # That it made or met; 0: none.
    is_own: bool  # The id is that of the command, not of another one that it means.


def explain(data: Path, wanted: str, account: str | None = None) -> Explanation:
    """Everything about the order with this order id or client order id.

    Raises NotFound, Ambiguous, Unknown (the account) and JournalRefused.
    """
    finder = Finder(data, wanted)
    hits = finder.run()
    state = finder.history.state
    sequence = finder.history.sequence
    number = None if account is None else views.find_account(state, account)
    hits = [hit for hit in hits if number in (None, hit.account)]
    if not hits:
        whose = f" of {account}" if account is not None else ""
        first = finder.history.first_sequence
        since = f"from sequence {first + 1} " if first else ""
        raise NotFound(
            f"{wanted}: no order and no command{whose} with this order id or client order id; "
            f"looked {since}up to sequence {sequence}"
        )
    refuse_several(hits, wanted, state)
    owner = next((hit.account for hit in hits if hit.is_own), hits[0].account)
    hits = [hit for hit in hits if hit.account == owner]
    made = [hit.order_id for hit in hits if hit.order_id & ORDER_SLOT_MASK]
    if not made:
        return Explanation([hit.step for hit in hits], {}, [], sequence, state)
    watch = Watch(History(data, (made[-1] >> ORDER_SLOT_BITS) - 1), made[-1], sequence)
    if watch.history.sequence >= made[-1] >> ORDER_SLOT_BITS:
        raise NotFound(
            f"{wanted}: order {made[-1]} was placed before sequence {watch.history.sequence}, the "
            f"oldest state that can be had"
        )
    others = sorted(set(made) - {made[-1]})
    steps = watch.run()
    return Explanation(steps, watch.last, others, watch.history.sequence, watch.history.state)


def refuse_several(hits: list[Hit], wanted: str, state: State) -> None:
    """Ambiguous when several accounts used the id; naming it as somebody else's is no use."""
    names = views.account_names(state)
    owners = sorted({hit.account for hit in hits if hit.is_own} or {hit.account for hit in hits})
    if len(owners) > 1:
        known = ", ".join(names.get(owner, f"#{owner}") for owner in owners)
        raise Ambiguous(f"{wanted}: used by the accounts {known}; say which with --account NAME")


def named_in(slots: Slots, order_id: int, ids: Iterable[bytes]) -> list[int]:
    """Where commands begin that may name the order: by its id, or by a client order id."""
    rows = slots.reshape(-1).view(NAMES)
    found = rows["order_id"] == order_id if order_id else np.zeros(len(rows), bool)
    for client_id in ids:
        found |= (rows["client_order_id"] == client_id) | (rows["original"] == client_id)
    if not found.any():
        return []
    begins = starts(slots)
    at = np.searchsorted(begins, np.flatnonzero(found), "right") - 1
    return [begins[place] for place in sorted(set(at.tolist()))]


def names_of(slots: Slots, place: int) -> tuple[int, set[bytes]]:
    """The order id and the client order ids that the command at ``place`` says; 0: none."""
    command = command_at(slots, place)
    kind, size = int(command["kind"]), int(command["slots"])
    rows = slots[place : place + size].reshape(-1).view(NAMES)
    ids = {bytes(rows[0]["client_order_id"])} if kind in WITH_CLIENT_ID else set()
    if kind not in TARGETED:
        return 0, ids - {b""}
    if size > 1:
        ids.add(bytes(rows[1]["original"]))
    return int(rows[0]["order_id"]), ids - {b""}


class Finder:
    """The first way: which commands have the id, and which order they made or met."""

    def __init__(self, data: Path, wanted: str) -> None:
        self._client_id = wanted.encode("ascii", "replace")
        number = int(wanted) if wanted.isdecimal() and len(wanted) < 20 else 0
        self._order_id = number if number >> ORDER_SLOT_BITS else 0
        self.history = History(data)

    def run(self) -> list[Hit]:
        """All hits of the journal, in order; those by order id alone if there are any."""
        by_order: list[Hit] = []
        by_client: list[Hit] = []
        placed = self._order_id >> ORDER_SLOT_BITS
        for batch in self.history.batches():
            slots, done = batch.slots, 0
            places = set(named_in(slots, 0, [self._client_id]))
            if placed and batch.first_sequence <= placed <= batch.last_sequence:
                begins = starts(slots)
                found = [at for at in begins if command_at(slots, at)["sequence"] == placed]
                places.update(found)
            for place in sorted(places):
                self.history.apply(slots[done:place])
                hit = self._hit(slots, place)
                done = place + int(command_at(slots, place)["slots"])
                if self._client_id in names_of(slots, place)[1]:
                    by_client.append(hit)
                if placed and hit.order_id == self._order_id:
                    by_order.append(hit)
            self.history.apply(slots[done:])
            self.history.forget_events()
        return by_order or by_client

    def _hit(self, slots: Slots, place: int) -> Hit:
        history = self.history
        history.forget_events()
        size = int(command_at(slots, place)["slots"])
        history.apply(slots[place : place + size])
        events = history.events()
        ids = [int(event["order_id"]) for event in events if event["order_id"]]
        own = [event_row(events, at) for at in range(len(events))]
        if int(command_at(slots, place)["kind"]) == MASS_CANCEL:
            ids = []
        step = step_of(slots, place, "names it", own, {})
        command = command_at(slots, place)
        own_id = text(slots[place, CLIENT_ORDER_ID_AT:][:CLIENT_ORDER_ID_BYTES])
        is_own = own_id.encode() == self._client_id
        return Hit(step, int(command["account"]), ids[0] if ids else 0, is_own)


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
        return bool(self.last) and self.last["status"] == STATUS_OPEN

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
            relation = "fills it" if own[0]["kind"] == "FILL" else "cancels it"
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


def step_of(slots: Slots, place: int, relation: str, events: list[Row], after: Row) -> Step:
    """A step by the command at ``place``."""
    command = command_at(slots, place)
    row = command_row(slots[place : place + int(command["slots"])], int(command["kind"]))
    return Step(
        int(command["sequence"]), int(command["timestamp_ns"]), relation, row, events, after
    )


def event_row(events: "np.ndarray[Any, Any]", at: int) -> Row:
    """An event by the names that its kind gives its fields; a FILL with who is on the other side.

    ``events`` are whole commands.
    """
    event = events[at]
    kind = int(event["kind"])
    row: Row = {
        "sequence": int(event["sequence"]),
        "index": int(event["index"]),
        "kind": EVENT_NAMES.get(kind, str(kind)),
        "order_id": int(event["order_id"]),
        "account": int(event["account"]),
        "instrument": int(event["instrument"]),
        "client_order_id": text(event["client_order_id"]),
        "reason": int(event["reason"]),
        "flags": [name for bit, name in FLAGS.items() if int(event["flags"]) & bit],
    }
    row.update(_amounts(event, kind))
    if kind == FILL:
        other = events[at - 1 if int(event["flags"]) & MAKER else at + 1]
        row["other_order_id"] = int(other["order_id"])
        row["other_account"] = int(other["account"])
    return row


def _amounts(event: Any, kind: int) -> Row:
    row = {name: int(event[name]) for name in ("price", "qty")}
    if kind in (ORDER_REJECTED, COMMAND_REJECTED):
        names = {"command": "leaves", "limit": "cum", "value": "cum_notional"}
    elif kind == ORDER_ACCEPTED:
        names = {"leaves": "leaves", "hold": "cum"}
    else:
        names = {name: name for name in ("leaves", "cum", "cum_notional")}
        if kind == FILL:
            names["fee"] = "fee"
    return row | {name: int(event[field]) for name, field in names.items()}
