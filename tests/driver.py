"""The compiled engine behind the twin's interface: commands in, plain events and rows out."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from core import messages
from core.limits import Limits
from core.messages import (
    AMOUNT_ITEM,
    DEPTH_ITEM,
    INSTRUMENT_REPLY,
    LIMITS_REPLY,
    MORE,
    NAME_REPLY,
    ORDER_REPLY,
    POSITION_ITEM,
    QUERY,
    REPLY_BODY,
    REPLY_PREFIX,
    STATS_REPLY,
    TEST_REPLY,
    TICKS,
    TICKS_REPLY,
)
from core.reasons import Reason
from core.sequencer.runner import Runner
from tests.model.commands import Command, PlaceOrder
from tests.model.events import Event
from tests.model.exchange import PositionRow
from tests.model.state import Sizes
from tests.model.translate import batch_of, events_of, slots_of

ID_KEY: Final = (0x1234567, 0x89ABCDE, 0xF012345, 0x6789AB)
_OF_A_DAY: Final = ("open", "high", "low", "volume", "notional", "trades")
_OF_ANY_REPLY: Final = frozenset({*(field[0] for field in REPLY_PREFIX), "reserved"})
_TEXTS: Final = ("client_order_id", "tag")
SESSION: Final = 1 << 24 | 99  # Of the queries of the driver.


class OrderRow(NamedTuple):
    """One order as a query shows it."""

    order_id: int
    price: int
    order_qty: int
    leaves: int
    cum: int
    cum_notional: int
    last_price: int
    fees: int
    hold: int
    created_ns: int
    updated_ns: int
    account: int
    instrument: int
    end_reason: str  # "" while it is open, or when it was filled.
    side: int
    order_type: int
    time_in_force: int
    status: int
    client_order_id: str
    # Of an open order that has them.
    stop_price: int = 0
    display_qty: int = 0
    trail: int = 0
    protection_price: int = 0
    partner: int = 0
    tag: str = ""


class Statistics(NamedTuple):
    """An instrument's newest day with a trade, and all time."""

    day: int
    open: int
    high: int
    low: int
    volume: int
    notional: int
    trades: int
    total_volume: int
    total_notional: int
    total_trades: int


class NotFound(LookupError):
    """A query answered with a reason."""

    def __init__(self, reason: str, order_id: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.order_id = order_id  # Or the sequence from which on client ids are remembered.


def limits_of(sizes: Sizes) -> Limits:
    """The twin's sizes as the engine's limits."""
    known = {name: value for name, value in sizes._asdict().items() if name in Limits._fields}
    return Limits(**known, workflows_max=64)


class EngineDriver:
    """A runner, with queries answered in plain values."""

    def __init__(
        self, sizes: Sizes | None = None, *, risk: bool = True, runner: Runner | None = None
    ) -> None:
        """``runner``: over a state that is there already; else a new one."""
        self.sizes = sizes or Sizes()
        self.runner = runner or Runner(limits_of(self.sizes), ID_KEY, risk=risk)
        self._request_id = 0

    def apply(self, commands: Sequence[Command]) -> list[Event]:
        """The events of several commands, applied by one call."""
        self.runner.apply(batch_of(commands))
        return events_of(self.runner.events())

    def apply_slots(self, slots: "np.ndarray[Any, np.dtype[np.uint8]]") -> "np.ndarray[Any, Any]":
        """The event rows of commands that are bytes already."""
        self.runner.apply(slots)
        return self.runner.events()

    def check(self) -> None:
        """All invariants of the engine; AssertionError when one does not hold."""
        self.runner.check()

    def query(self, kind: int, **values: int | str) -> "np.ndarray[Any, Any]":
        """The replies of one query."""
        self._request_id += 1
        row = np.zeros(1, QUERY)[0]
        row["kind"] = kind
        row["schema"] = messages.SCHEMA
        row["slots"] = 1
        row["session"] = SESSION
        row["gateway"] = 1
        row["request_id"] = self._request_id
        for name, value in values.items():
            row[name] = messages.packed(value, 36) if isinstance(value, str) else value
        replies = self.runner.query(row.tobytes())
        assert (replies["request_id"] == self._request_id).all()
        assert (replies["session"] == row["session"]).all()
        assert (replies["kind"] == kind).all()
        assert replies["index"].tolist() == list(range(len(replies)))
        flags = replies["flags"].tolist()
        assert flags
        assert flags[-1] & 1
        assert not any(flag & 1 for flag in flags[:-1]), flags
        return replies

    # Rows.

    def balances(self, accounts: int) -> dict[tuple[int, int], tuple[int, int]]:
        """(account, asset) -> (available, held) of accounts 1 to ``accounts``."""
        found = {}
        for account in range(1, accounts + 1):
            kind = messages.QUERY_FEES if account == 1 else messages.QUERY_BALANCES
            for item in self._items(self.query(kind, account=account), AMOUNT_ITEM):
                assert item["total"] == item["available"] + item["held"]
                if item["available"] or item["held"]:
                    key = (account, int(item["id"]))
                    assert key not in found
                    found[key] = (int(item["available"]), int(item["held"]))
        return found

    def positions(self, accounts: int) -> dict[tuple[int, int], PositionRow]:
        """(account, instrument) -> position of accounts 3 to ``accounts``."""
        found = {}
        for account in range(3, accounts + 1):
            replies = self.query(messages.QUERY_POSITIONS, account=account)
            for item in self._items(replies, POSITION_ITEM):
                if item["bought"] or item["sold"] or item["held"]:
                    values = {name: int(item[name]) for name in PositionRow._fields}
                    found[account, int(item["id"])] = PositionRow(**values)
        return found

    def depth(self, instrument: int, levels: int = 1_000) -> list[list[tuple[int, int, int]]]:
        """Bids and asks, best first: price, quantity, count of orders."""
        replies = self.query(messages.QUERY_DEPTH, instrument=instrument, limit=levels)
        sides: list[list[tuple[int, int, int]]] = [[], []]
        for reply in replies:
            for item in self._items(np.array([reply]), DEPTH_ITEM):
                level = (int(item["price"]), int(item["qty"]), int(item["orders"]))
                sides[self._depth_side(reply)].append(level)
        return sides

    def _depth_side(self, reply: Any) -> int:
        return 1 if int(reply["flags"]) & messages.ASKS else 0

    def open_orders(self, account: int) -> list[OrderRow]:
        """Open orders of an account, page after page."""
        found: list[OrderRow] = []
        cursor = 0
        while True:
            replies = self.query(
                messages.QUERY_OPEN_ORDERS, account=account, cursor=cursor, limit=64
            )
            found.extend(_order_row(row) for row in replies.view(ORDER_REPLY) if row["count"])
            if not int(replies["flags"][-1]) & MORE:
                return found
            assert found
            assert found[-1].order_id > cursor
            cursor = found[-1].order_id

    def order(self, order_id: int, account: int) -> OrderRow:
        """One order by id; NotFound."""
        return self._one_order(self.query(messages.QUERY_ORDER, order_id=order_id, account=account))

    def order_of_client(self, account: int, client_order_id: str) -> OrderRow:
        """One order by client order id; NotFound."""
        return self._one_order(
            self.query(
                messages.QUERY_CLIENT_ORDER, account=account, client_order_id=client_order_id
            )
        )

    def session_request_id(self, session: int) -> int:
        """The newest request id of a session; 0: none."""
        replies = self.query(messages.QUERY_SESSION, session=session).view(NAME_REPLY)
        return int(replies["last_request_id"][0])

    def instruments(self) -> list[tuple[int, str, int, int]]:
        """Number, symbol, multiplier, last price of every instrument."""
        replies = self.query(messages.QUERY_INSTRUMENTS).view(INSTRUMENT_REPLY)
        return [
            (
                int(row["id"]),
                messages.text(row["symbol"]),
                int(row["multiplier"]),
                int(row["last_price"]),
            )
            for row in replies
            if row["count"] and not row["flags"] & TICKS
        ]

    def tick_tables(self) -> dict[int, list[tuple[int, int]]]:
        """Of the instruments that have one: from which price on, in steps of what."""
        replies = self.query(messages.QUERY_INSTRUMENTS).view(TICKS_REPLY)
        return {
            int(row["id"]): list(zip(row["start"].tolist(), row["step"].tolist(), strict=True))[
                : int(row["count"])
            ]
            for row in replies
            if row["flags"] & TICKS
        }

    def statistics(self, instrument: int) -> Statistics:
        """What QUERY_STATS says."""
        row = self.query(messages.QUERY_STATS, instrument=instrument).view(STATS_REPLY)[0]
        day = [int(row[f"day_{name}"]) for name in _OF_A_DAY]
        total = [int(row[name]) for name in ("volume", "notional", "trades")]
        return Statistics(int(row["day"]), *day, *total)

    def limits(self, account: int, instrument: int = 0) -> dict[str, int]:
        """What QUERY_LIMITS says that is not 0; LookupError where there are no limits."""
        replies = self.query(messages.QUERY_LIMITS, account=account, instrument=instrument)
        row = replies.view(LIMITS_REPLY)[0]
        if not row["count"]:
            raise NotFound(Reason(int(row["reason"])).name)
        names = [name for name in LIMITS_REPLY.names or () if name not in _OF_ANY_REPLY]
        return {name: int(row[name]) for name in names if row[name]}

    def test_order(self, command: PlaceOrder) -> tuple[str, dict[str, int]]:
        """What QUERY_TEST_ORDER says of an order: the reason, and the numbers that are not 0."""
        slots = bytearray(slots_of(command))
        slots[messages.KIND_AT] = messages.QUERY_TEST_ORDER
        (row,) = self.runner.query(bytes(slots)).view(TEST_REPLY)
        assert int(row["flags"]) == 1
        reason = Reason(int(row["reason"]))
        names = ("limit", "value", "price", "stop_price", "hold")
        return reason.name if reason else "", {name: int(row[name]) for name in names if row[name]}

    def _one_order(self, replies: "np.ndarray[Any, Any]") -> OrderRow:
        assert len(replies) == 1
        row = replies.view(ORDER_REPLY)[0]
        if row["reason"]:
            raise NotFound(Reason(int(row["reason"])).name, int(row["order_id"]))
        return _order_row(row)

    def _items(self, replies: "np.ndarray[Any, Any]", item: Any) -> "list[Any]":
        found: list[Any] = []
        for reply in replies:
            if reply["reason"]:
                raise NotFound(Reason(int(reply["reason"])).name)
            body = reply.tobytes()[REPLY_BODY:]
            found.extend(np.frombuffer(body, item, int(reply["count"])))
        return found


def _order_row(row: Any) -> OrderRow:
    values: dict[str, Any] = {}
    for name in OrderRow._fields:
        values[name] = messages.text(row[name]) if name in _TEXTS else int(row[name])
    reason = values["end_reason"]
    values["end_reason"] = Reason(reason).name if reason else ""
    return OrderRow(**values)
