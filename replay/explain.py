"""The life of one order: every command that named it or touched it, and what it was after each.

Two ways through the journal: ``Finder`` says which order is meant, ``Watch`` follows it.  Integers
of the engine; ``tools.explain`` says it in decimals and words.
"""

from pathlib import Path
from typing import Final, NamedTuple

from core.constants import CLIENT_ORDER_ID_BYTES, ORDER_SLOT_BITS, ORDER_SLOT_MASK
from core.messages import (
    CLIENT_ORDER_ID_AT,
    MASS_CANCEL,
    STATUS_CANCELED,
    STATUS_EXPIRED,
    STATUS_FILLED,
    STATUS_REJECTED,
    text,
)
from core.sequencer.state import State
from replay import views
from replay.history import History, Slots, command_at, starts
from replay.steps import Row, Step, event_row, named_in, names_of, step_of
from replay.watch import Watch

EXIT_USAGE: Final = 64
ENDED: Final = (STATUS_FILLED, STATUS_CANCELED, STATUS_EXPIRED, STATUS_REJECTED)


class Ambiguous(Exception):
    """An id that several accounts used."""

    exit_code = EXIT_USAGE


class NotFound(Exception):
    """No order and no command has this id."""

    exit_code = EXIT_USAGE


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
        ended = [step for step in self.steps if step.after.get("status", 0) in ENDED]
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
