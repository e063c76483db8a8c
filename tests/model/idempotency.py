"""The twin's table of client order ids: who came, who must stay, who leaves first."""

from collections import deque

from tests.model.events import Rejected
from tests.model.state import SLOT_BITS, IdRecord


class Ids:
    """At most ``size`` ids; the current id of an open order never leaves."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.records: dict[tuple[int, object], IdRecord] = {}
        self.line: deque[IdRecord] = deque()
        self.overdue: deque[IdRecord] = deque()
        self.remembered_from = 0

    def find(self, account: int, client_order_id: object) -> IdRecord | None:
        """The record of an id of this account."""
        return self.records.get((account, client_order_id))

    def put(self, account: int, client_order_id: object, payload: tuple[object, ...]) -> IdRecord:
        """Remember a new id; when the table is full another one leaves, or CAPACITY."""
        if len(self.records) == self.size:
            self._make_room()
        record = IdRecord(account, client_order_id, payload)
        self.records[account, client_order_id] = record
        self.line.append(record)
        return record

    def _make_room(self) -> None:
        if self.overdue:
            self._leave(self.overdue.popleft())
            return
        while self.line:
            record = self.line.popleft()
            if not record.is_current:
                self._leave(record)
                return
            record.turn_passed = True
        raise Rejected("CAPACITY", self.size, len(self.records))

    def _leave(self, record: IdRecord) -> None:
        del self.records[record.account, record.client_order_id]
        self.remembered_from = max(self.remembered_from, 1 + (record.order_id >> SLOT_BITS))

    def make_current(self, record: IdRecord | None) -> None:
        """The id names an open order from now on."""
        if record is not None:
            record.is_current = True

    def end_current(self, record: IdRecord | None) -> None:
        """The id's order ended, or goes by another id."""
        if record is None:
            return
        assert record.is_current
        record.is_current = False
        if record.turn_passed:
            self.overdue.append(record)

    def check(self) -> None:
        """Every record stands in exactly one place, and only where it may."""
        assert len(self.records) <= self.size
        waiting = [id(record) for record in self.line]
        overdue = [id(record) for record in self.overdue]
        passed = [id(r) for r in self.records.values() if r.turn_passed and r.is_current]
        assert sorted(waiting + overdue + passed) == sorted(map(id, self.records.values()))
        assert not any(record.turn_passed for record in self.line)
        assert not any(record.is_current for record in self.overdue)
