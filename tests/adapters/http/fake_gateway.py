"""A gateway without a core: reference data of two instruments, scripted answers, what was sent."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from adapters.gateway import Answer, GatewayError, Outcome
from adapters.stamps import Stamp
from core import messages
from core.messages import EVENT, INSTRUMENT_REPLY, NAME_REPLY, ORDER_REPLY, REPLY

Rows = np.ndarray[Any, Any]
Step = Answer | Exception | Callable[[Rows], Any]

ALICE, BOB = 3, 4
USD, BTC, ETH = 1, 2, 3
NOW_NS = 1_763_650_000_123_456_789
_tasks: set[asyncio.Task[None]] = set()
SYMBOLS = {1: "BTC-USD", 2: "ETH-USD", 3: "A/B"}


def event(kind: int, **fields: Any) -> Rows:
    """One event, with what most have."""
    row = np.zeros(1, EVENT)
    row["kind"], row["timestamp_ns"], row["instrument"] = kind, NOW_NS, 1
    for name, value in fields.items():
        row[name] = messages.packed(value, 36) if isinstance(value, str) else value
    return row


def answered(*events: Rows, truncated: bool = False) -> Answer:
    """The events as the answer of one command: numbered, the last one flagged."""
    rows = np.concatenate(events)
    rows["index"] = np.arange(len(rows))
    rows["flags"][-1] |= messages.LAST
    own = (rows["kind"] == messages.FILL) & (rows["order_id"] == rows["order_id"][0])
    fills = rows[own]
    return Answer(
        sequence=int(rows["sequence"][0]),
        events=rows,
        truncated=truncated,
        fill_count=len(fills),
        filled_qty=int(fills["qty"].sum()),
        fees=int(fills["fee"].sum()),
    )


def order_reply(**fields: Any) -> Rows:
    """The reply with one order."""
    row = np.zeros(1, ORDER_REPLY)
    row["as_of"], row["count"], row["flags"] = 900, 1, messages.LAST
    for name, value in fields.items():
        row[name] = messages.packed(value, 36) if isinstance(value, str) else value
    return row


def submit(gateway: Any, slots: bytes, timeout_s: float, done: Callable[[Outcome], None]) -> None:
    """``command`` in a task, as a gateway that never refuses at once: an error that says that
    nothing was sent comes as the outcome."""

    gateway.submitted += 1

    async def command() -> None:
        try:
            done(await gateway.command(slots, timeout_s))
        except GatewayError as error:
            done(error)

    task = asyncio.get_running_loop().create_task(command())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


class FakeGateway:
    """What ``adapters.http.exchange.Link`` asks for."""

    def __init__(self) -> None:
        self.read_events: list[Rows] = []  # Not handed on yet.
        self.submitted = 0  # Commands that came the direct way.
        self.epoch = 1
        self.durability = "sync"
        self.ready = True
        self.sequence = 1_000
        self.script: deque[Step] = deque()
        self.sent: list[bytes] = []
        self.queries: list[Rows] = []
        self.orders: dict[int, Rows] = {}
        self.by_client: dict[tuple[int, str], Rows] = {}
        self.archived: dict[int, Rows] = {}  # Events of orders that have left the core.
        self.replayer: dict[str, int] = {}  # Its counters.
        self.after: tuple[int, int] | None = None
        self.stage_rows: list[dict[str, Any]] | None = None
        self.open_orders: list[Rows] = []
        self.names: dict[str, int] = {"fees": 1, "outside": 2, "alice": ALICE, "bob": BOB}
        self.balances: dict[int, list[tuple[int, int, int]]] = {
            account: [(USD, 5_000_000, 1_000_000), (BTC, 300_000_000, 0), (ETH, 1, 0)]
            for account in (ALICE, BOB)
        }
        self.positions: list[dict[str, int]] = []
        self.depth: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] = ([], [])
        self.publish: Callable[[Rows], None] = lambda _events: None
        self.lap: Callable[[], None] = lambda: None
        self.failing_queries: Exception | None = None
        self.assets = {USD: ("USD", 6), BTC: ("BTC", 8), ETH: ("ETH", 8)}
        self.symbols = dict(SYMBOLS)

    def counters(self) -> dict[str, int]:
        core = {"journal_bytes": 4_096, "open_orders": 2, "inbound_fill": 4_096}
        return core | self.replayer

    def written(self, stamp: Stamp) -> None:
        pass

    def stages(self, commands_max: int) -> list[dict[str, Any]] | None:
        return self.stage_rows and self.stage_rows[:commands_max]

    def on_lapped(self, callback: Callable[[], None]) -> None:
        self.lap = callback

    def on_gap(self, callback: Callable[[], None]) -> None:
        pass

    async def order_events(self, order_id: int, bytes_max: int) -> Rows | None:
        return self.archived.get(order_id) if bytes_max else None

    async def command_events(self, sequence: int, count: int) -> Rows | None:
        return None

    def on_events(
        self,
        callback: Callable[[Rows], None],
        kinds: Iterable[int],
        *,
        history: bool = False,
        after: tuple[int, int] | None = None,
    ) -> None:
        assert messages.FILL in kinds
        assert history or after is not None
        self.after = after
        self.publish = callback

    async def close(self) -> None:
        pass

    async def command(self, slots: bytes, timeout_s: float) -> Answer:
        assert timeout_s > 0
        self.sent.append(slots)
        step = self.script.popleft()
        if isinstance(step, Exception):
            raise step
        if isinstance(step, Answer):
            return step
        result: Answer = await step(np.frombuffer(slots, messages.COMMAND))
        return result

    def submit(
        self, slots: bytes, timeout_s: float, done: Callable[[Outcome], None], in_ns: int = 0
    ) -> None:
        submit(self, slots, timeout_s, done)

    def deliver_events(self) -> None:
        while self.read_events:
            self.publish(self.read_events.pop(0))

    async def query(self, query: bytes, timeout_s: float) -> Rows:
        assert timeout_s > 0
        row = np.frombuffer(query, messages.QUERY)[0]
        self.queries.append(row)
        if self.failing_queries is not None:
            raise self.failing_queries
        replies = self._replies(int(row["kind"]), row)
        replies = replies.view(REPLY)
        replies["index"] = np.arange(len(replies))
        replies["kind"] = row["kind"]
        replies["flags"][-1] |= messages.LAST
        replies["as_of"] = 900
        return replies

    def _replies(self, kind: int, row: Any) -> Rows:
        handlers = {
            messages.QUERY_ASSETS: self._assets,
            messages.QUERY_INSTRUMENTS: self._instruments,
            messages.QUERY_ACCOUNT: self._account,
            messages.QUERY_ORDER: self._order,
            messages.QUERY_CLIENT_ORDER: self._client_order,
            messages.QUERY_OPEN_ORDERS: self._open_orders,
            messages.QUERY_BALANCES: self._balances,
            messages.QUERY_POSITIONS: self._positions,
            messages.QUERY_DEPTH: self._depth,
            messages.QUERY_STATE: self._state,
        }
        return handlers[kind](row)

    def _assets(self, row: Any) -> Rows:
        found = [number for number in self.assets if number > row["cursor"]]
        rows = np.zeros(max(len(found), 1), NAME_REPLY)
        for reply, number in zip(rows, found, strict=False):
            name, scale = self.assets[number]
            reply["count"], reply["id"], reply["scale"] = 1, number, scale
            reply["name"] = messages.packed(name, 36)
        return rows

    def _instruments(self, row: Any) -> Rows:
        found = [number for number in self.symbols if number > row["cursor"]]
        rows = np.zeros(max(len(found), 1), INSTRUMENT_REPLY)
        for reply, number in zip(rows, found, strict=False):
            reply["count"], reply["id"] = 1, number
            reply["symbol"] = messages.packed(self.symbols[number], 36)
            reply["base_asset"], reply["quote_asset"] = ETH if number == 2 else BTC, USD
            reply["instrument_type"] = reply["matching"] = 1
            reply["phase"] = messages.PHASE_OPEN
            reply["tick"], reply["tick_scale"] = 1, 2
            reply["lot"], reply["lot_scale"] = 1, 4
            reply["multiplier"], reply["base_per_lot"] = 1, 10_000
            reply["maker_ppm"], reply["taker_ppm"] = 200, 500
        return rows

    def _account(self, row: Any) -> Rows:
        rows = np.zeros(1, NAME_REPLY)
        number = self.names.get(messages.text(row["client_order_id"]))
        if number is None:
            rows["reason"] = 201
        else:
            rows["id"] = number
        return rows

    def _order(self, row: Any) -> Rows:
        found = self.orders.get(int(row["order_id"]))
        # Whoever asks: that it is the asker's own the adapter looks at as well.
        return order_reply(reason=601) if found is None else found.copy()

    def _client_order(self, row: Any) -> Rows:
        key = (int(row["account"]), messages.text(row["client_order_id"]))
        return self.by_client.get(key, order_reply(reason=601)).copy()

    def _open_orders(self, row: Any) -> Rows:
        fits = [
            order
            for order in self.open_orders
            if order["order_id"] > row["cursor"] and row["instrument"] in (0, order["instrument"])
        ]
        limit = min(int(row["limit"]), 64)
        if not fits:
            return np.zeros(1, ORDER_REPLY)
        page = np.concatenate(fits[:limit])
        page["flags"] = 0
        if len(fits) > limit:
            page["flags"][-1] = messages.MORE
        return page

    def _balances(self, row: Any) -> Rows:
        items = self.balances.get(int(row["account"]), [])
        values = [(asset, 0, free + held, free, held) for asset, free, held in items]
        return _packed_items(np.array(values, messages.AMOUNT_ITEM), messages.AMOUNTS_PER_REPLY)

    def _positions(self, row: Any) -> Rows:
        items = np.zeros(len(self.positions), messages.POSITION_ITEM)
        for item, position in zip(items, self.positions, strict=True):
            for name, value in position.items():
                item[name] = value
        return _packed_items(items, messages.POSITIONS_PER_REPLY)

    def _depth(self, row: Any) -> Rows:
        rows = []
        for side, levels in enumerate(self.depth):
            for first in range(0, len(levels), messages.DEPTH_PER_REPLY):
                part = np.array(
                    levels[first : first + messages.DEPTH_PER_REPLY], messages.DEPTH_ITEM
                )
                reply = np.zeros(1, REPLY)
                reply["count"], reply["flags"] = len(part), messages.ASKS if side else 0
                reply["body"][0][: part.nbytes] = part.view(np.uint8)
                rows.append(reply)
        return np.concatenate(rows) if rows else np.zeros(1, REPLY)

    def _state(self, _row: Any) -> Rows:
        rows = np.zeros(1, NAME_REPLY)
        rows["id"], rows["name"] = 900, messages.packed("0123456789abcdef" * 2, 36)
        return rows


def _packed_items(items: Rows, per_reply: int) -> Rows:
    rows = np.zeros(max(1, -(-len(items) // per_reply)), REPLY)
    for place, reply in enumerate(rows):
        page = items[place * per_reply : (place + 1) * per_reply]
        reply["count"] = len(page)
        reply["body"][: page.nbytes] = page.view(np.uint8)
    return rows
