"""An endless stream of commands out of one order flow: the flow, then everything canceled, again.

Cancels, replaces and reduces name orders by the engine's own ids.  Those follow from the commands
before, so a private engine runs ahead of the live one (``bind``) and notes the slot of each order;
the sender then only puts the numbers in.  What the private engine counts is what the live core has
to count: every run is judged by it.
"""

from typing import Any, Final

import numpy as np

from bench import flow as flows
from bench.bench_kernel import ID_KEY, RING_EVENTS, limits_for, setup_commands
from core.constants import EVENT_BYTES, ORDER_SLOT_BITS, ORDER_SLOT_MASK, SLOT_BYTES
from core.jit import call_entry, entry, inlined, kernel
from core.layout import record
from core.memory import load_i32, load_i64, pointer, store_i32
from core.messages import EVENT, MASS, MASS_CANCEL, PLACE, PLACE_ORDER, REPLACE, SCHEMA
from core.rows import state_at
from core.sequencer.engine import apply_batch
from core.sequencer.state import PrivateRing, State

Array = np.ndarray[Any, Any]
COUNTED: Final = ("sequence", "trades", "rejects", "open_orders", "cursor")

STREAM: Final = record(
    "a place in an endless stream of commands",
    128,
    [
        ("templates", "<i8"),  # Address of one round's commands, one slot each.
        ("targets", "<i8"),  # i8 per template: the template of the order that it names, or -1.
        ("templates_count", "<i8"),
        ("bound", "<i8"),  # i4 per command of the stream, at number & mask: slot of its order.
        ("mask", "<i8"),
        ("first_sequence", "<i8"),  # Of command 0.
        ("first_request", "<i8"),
        ("number", "<i8"),  # Of the next command.
        ("place", "<i8"),  # Of the next command in its round.
        ("round_first", "<i8"),  # Number of the first command of this round.
        ("reserved", "<i8", (6,)),
    ],
)
stream_at = pointer(STREAM)
event_at = pointer(EVENT)
_replace_at = pointer(REPLACE)


@inlined
def complete(stream: int) -> int:
    """Address of the next command, its request id and the order it names filled in."""
    row = stream_at(stream)
    address = row.templates + row.place * SLOT_BYTES
    command = _replace_at(address)
    command.request_id = row.first_request + row.number
    target = load_i64(row.targets + 8 * row.place)
    if target >= 0:
        number = row.round_first + target
        slot = load_i32(row.bound + 4 * (number & row.mask))
        command.order_id = (row.first_sequence + number) << ORDER_SLOT_BITS | slot
    return address  # type: ignore[no-any-return]


@inlined
def advance(stream: int) -> None:
    """Go on to the next command."""
    row = stream_at(stream)
    row.number += 1
    row.place += 1
    if row.place == row.templates_count:
        row.place = 0
        row.round_first = row.number


@kernel
def bind(stream: int, engine: int, state_address: int, count: int) -> None:
    """Apply the next ``count`` commands and note the slots of their orders."""
    row = stream_at(stream)
    state = state_at(state_address)
    for _ in range(count):
        address = complete(stream)
        command = _replace_at(address)
        command.sequence = row.first_sequence + row.number
        command.timestamp_ns = command.sequence * 1_000
        before = state.cursor
        call_entry(engine, state_address, address, 1)
        if command.kind == PLACE_ORDER:
            event = event_at(state.ring + ((before & state.ring_mask) * EVENT_BYTES))
            store_i32(row.bound + 4 * (row.number & row.mask), event.order_id & ORDER_SLOT_MASK)
        advance(stream)


class Stream:
    """The stream of ``flow``, of which at most ``ahead_max`` commands are bound and not yet sent.

    ``setup`` are the commands that come first, each of its own number of slots.
    """

    def __init__(self, flow: flows.Flow, session: int, ahead_max: int) -> None:
        users = int(flow.records["user"].max()) + 1
        self.limits = limits_for(flow, users)
        self.setup = setup_commands(flow, users)
        self._targets = _targets(flow, users)
        self._bound = np.zeros(1 << (ahead_max + len(self._targets) - 1).bit_length(), np.int32)
        self._state = State(self.limits, ID_KEY)
        self._ring = PrivateRing(RING_EVENTS)
        self._ring.attach(self._state)
        self._engine = entry(apply_batch)
        for slots in self.setup:
            slots.view(PLACE)["session"][0] = session
            apply_batch(self._state.address, slots.ctypes.data, len(slots))
        templates = _templates(flow, users, self._targets, session)
        self._rows: list[Array] = []
        self._copies: list[Array] = []
        self._binder = self._place(templates)
        self.sender = self._place(templates)

    def _place(self, templates: Array) -> int:
        """Address of a place at the beginning of the stream, with commands of its own."""
        row, own = np.zeros(1, STREAM), templates.copy()
        row["templates"], row["templates_count"] = own.ctypes.data, len(own)
        row["targets"], row["bound"] = self._targets.ctypes.data, self._bound.ctypes.data
        row["mask"] = len(self._bound) - 1
        row["first_sequence"] = row["first_request"] = len(self.setup) + 1
        self._rows.append(row)
        self._copies.append(own)
        return int(row.ctypes.data)

    @property
    def round(self) -> int:
        """Commands of one round."""
        return len(self._targets)

    @property
    def bound(self) -> int:
        """Commands that may be sent."""
        return int(self._rows[0]["number"][0])

    def bind(self, count: int) -> int:
        """Bind ``count`` more; how many may be sent then, counted from the beginning."""
        bind(self._binder, self._engine, self._state.address, count)
        return self.bound

    def counted(self) -> dict[str, int]:
        """What a core has to show after all that is bound."""
        return {name: int(self._state[name]) for name in COUNTED}


def _targets(flow: flows.Flow, users: int) -> Array:
    """For each command of a round the command that placed its order; -1: it names none."""
    records = flow.records
    is_new = np.isin(records["op"], (flows.NEW, flows.NEW_IOC, flows.NEW_MARKET))
    placed = np.full(int(flow.max_order_id) + 1, -1, np.int64)
    placed[records["order_id"][is_new]] = np.flatnonzero(is_new)
    found = np.where(is_new, -1, placed[records["order_id"]])
    if (found >= np.arange(len(found))).any():
        raise ValueError(f"{flow.name}: a command names an order that is placed after it")
    return np.concatenate([found, np.full(users, -1)])


def _templates(flow: flows.Flow, users: int, targets: Array, session: int) -> Array:
    """The commands of a round: the flow, then a mass cancel of every account."""
    slots = flows.to_commands(flow)
    own = targets[: len(slots)]
    slots["account"] = np.where(own >= 0, slots["account"][own], slots["account"])
    unknown = (own < 0) & (slots["kind"] != PLACE_ORDER)
    slots.view(REPLACE)["order_id"][unknown] = flows.NO_ORDER
    ends = np.zeros(users, MASS)
    ends["kind"], ends["schema"], ends["slots"] = MASS_CANCEL, SCHEMA, 1
    ends["account"] = np.arange(users) + flows.FIRST_TRADER
    made = np.concatenate([slots.view(PLACE), ends.view(PLACE)])
    made["session"] = session
    return made
