"""TIME of the twin: deadlines of orders, dead-man timers and clearing periods, in their order."""

from typing import NamedTuple

from tests.model.events import Event
from tests.model.life import Life
from tests.model.people import People
from tests.model.settlement import Settlement
from tests.model.state import Account, Instrument, Order
from tests.model.venue_commands import Time
from tests.model.view import View

AT_ONCE_MAX = 1_024


class Due(NamedTuple):
    """When, set by which command, and what: orders before timers before clearing."""

    deadline_ns: int
    sequence: int
    rank: int
    what: Order | Account | Instrument


class Clock:
    """Finds what is due by looking at everything."""

    def __init__(self, view: View, life: Life, people: People, settlement: Settlement) -> None:
        self.view = view
        self.life = life
        self.people = people
        self.settlement = settlement

    def deadlines(self) -> list[Due]:
        """All that stands, first first."""
        found = [
            Due(order.deadline_ns, order.deadline_sequence, 0, order)
            for order in self.view.rows.by_slot.values()
            if order.is_live and order.deadline_ns
        ]
        for account in self.view.accounts.values():
            if account.dead_man_ns:
                found.append(Due(account.dead_man_ns, account.dead_man_sequence, 1, account))
        for row in self.view.instruments.values():
            if row.clearing_at_ns:
                found.append(Due(row.clearing_at_ns, row.clearing_sequence, 2, row))
        return sorted(found, key=lambda due: due[:3])

    def next_deadline(self) -> int:
        """When TIME is wanted next; 0: never."""
        found = self.deadlines()
        return found[0].deadline_ns if found else 0

    def run(self, command: Time) -> None:
        """Run what is due, one by one, at most 1,024."""
        ran = 0
        is_done = True
        for due in self.deadlines():
            if ran == AT_ONCE_MAX or due.deadline_ns > self.view.now_ns or not is_done:
                break
            if self._stands(due):  # Nothing new comes up meanwhile, but what ends goes.
                is_done = self._run_one(due)
                ran += 1
        self.view.events.append(
            Event(
                kind="TIME_PASSED",
                session=command.session,
                qty=ran,
                leaves=int(self._is_due()),
                price=self.next_deadline(),
            )
        )

    def _is_due(self) -> bool:
        return 0 < self.next_deadline() <= self.view.now_ns

    def _stands(self, due: Due) -> bool:
        return not isinstance(due.what, Order) or due.what.is_live

    def _run_one(self, due: Due) -> bool:
        """Run one; whether it is done."""
        if isinstance(due.what, Order):
            self.life.expire(due.what, due.what.deadline_reason)
        elif isinstance(due.what, Account):
            self.people.run_dead_man(due.what)
        else:
            return self.settlement.clear(due.what)
        return True
