"""The public event feed: recent trades per instrument, and what the metrics count.

Batches are put by and worked through together, with numpy, when somebody asks or there are enough
of them: a batch of few events costs almost nothing, and nothing here runs per event in Python.
After a restart of the core the tail's events may come again: what was seen is passed over.  After a
restart of this process the last trades come from the event archive.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from adapters.instruments import REFERENCE_EVENTS, Instruments
from core import messages
from core.archive.reader import Recent
from core.constants import ORDER_SLOT_BITS

TRADES_KEPT: Final = 1_000
PLACE_BITS: Final = ORDER_SLOT_BITS
PLACE_MASK: Final = (1 << PLACE_BITS) - 1
PENDING_EVENTS: Final = 8_192
KINDS: Final = frozenset(
    {
        *REFERENCE_EVENTS,
        messages.FILL,
        messages.ORDER_ACCEPTED,
        messages.ORDER_REJECTED,
        messages.ORDER_CANCELED,
        messages.ORDER_EXPIRED,
        messages.TRADE_BUSTED,
        messages.TRADE_CORRECTED,
        messages.EXEC_RECORDED,
        messages.CLEARED,
    }
)

TRADE: Final = np.dtype(
    [
        ("sequence", "<i8"),
        ("timestamp_ns", "<i8"),
        ("price", "<i8"),
        ("qty", "<i8"),
        ("index", "<i4"),
        ("flags", "<i4"),
    ]
)

Rows = np.ndarray[Any, Any]

_IS_UNDOING: Final = np.zeros(256, np.bool_)
_IS_UNDOING[[messages.TRADE_BUSTED, messages.TRADE_CORRECTED]] = True
_IS_SELDOM: Final = _IS_UNDOING.copy()
_IS_SELDOM[messages.EXEC_RECORDED] = True
_IS_URGENT: Final = np.zeros(256, np.bool_)  # Not to be put by.
_IS_URGENT[[*REFERENCE_EVENTS, messages.CLEARED]] = True


class Undone(NamedTuple):
    """What a trade that was busted is now: corrected to this, or nothing."""

    price: int
    qty: int


class Trades:
    """The last trades of one instrument, oldest first."""

    def __init__(self) -> None:
        self._rows = np.zeros(TRADES_KEPT, TRADE)
        self._count = 0

    def add(self, fills: Rows) -> None:
        """Append the takers' FILL events."""
        fills = fills[-TRADES_KEPT:]
        places = (self._count + np.arange(len(fills))) % TRADES_KEPT
        for name in TRADE.names or ():
            self._rows[name][places] = fills[name]
        self._count += len(fills)

    def rows(self) -> Rows:
        """What is kept, in the order of (sequence, index)."""
        if self._count <= TRADES_KEPT:
            return self._rows[: self._count]
        return np.roll(self._rows, -(self._count % TRADES_KEPT))


class Feed:
    """Takes the events of the output ring, batch by batch; ``flush`` before reading the counts."""

    def __init__(self, reference: Instruments) -> None:
        self._reference = reference
        self._trades: dict[int, Trades] = {}
        self._pending: list[Rows] = []
        self._pending_events = 0
        self._newest = 0  # sequence << PLACE_BITS | index of the newest event seen.
        self._since: int | None = None
        self._executed = 0  # Sequence of the newest execution of an outside venue.
        self.undone: dict[str, Undone] = {}  # By trade id, the newest ones.
        self.kinds: Counter[int] = Counter()
        self.rejects: Counter[int] = Counter()
        self.cancels: Counter[int] = Counter()
        self.trade_count: Counter[int] = Counter()
        self.trade_lots: dict[int, float] = {}  # For metrics only: floats, as Prometheus has them.
        self.trade_notional: dict[int, float] = {}  # Ticks x lots.

    def take(self, batch: Rows) -> None:
        """One batch, in the order of the ring; it is kept, not copied."""
        if _IS_URGENT[batch["kind"]].any():
            self._urgent(batch)
        self._pending.append(batch)
        self._pending_events += len(batch)
        if self._pending_events >= PENDING_EVENTS:
            self.flush()

    def load(self, recent: Recent) -> None:
        """Trades from the event archive, before the first batch; they are not counted."""
        sequence, index = recent.after
        self._since = max(1, sequence + (index >= 0))
        self._newest = recent.last[0] << PLACE_BITS | min(max(recent.last[1], 0), PLACE_MASK)
        for number, fills in _by_instrument(recent.events):
            self._kept(number).add(fills)

    def flush(self) -> None:
        """Work through what was put by."""
        if not self._pending:
            return
        batch = np.concatenate(self._pending)
        self._pending.clear()
        self._pending_events = 0
        places = np.minimum(batch["index"].astype(np.int64), PLACE_MASK)
        keys = np.concatenate([[self._newest], batch["sequence"] << PLACE_BITS | places])
        fresh = keys[1:] > np.maximum.accumulate(keys)[:-1]
        events = batch[fresh]
        if not len(events):
            return
        self._newest = int(keys.max())
        if self._since is None:
            self._since = int(events[0]["sequence"])
        kinds = events["kind"]
        self._count(events, kinds)
        takers = events[(kinds == messages.FILL) & (events["flags"] & messages.MAKER == 0)]
        if _IS_SELDOM[kinds].any():
            takers = self._seldom(events, takers)
        if takers.size and self._executed >= takers["sequence"][0]:
            takers = takers[takers["sequence"] != self._executed]
        if len(takers):
            self._trade(takers)

    def late(self) -> None:
        """Events are late; there may be instruments that nobody has told of yet."""
        self._reference.stale = True

    def lapped(self) -> None:
        """Events were missed, perhaps of new instruments; trades begin anew to be complete."""
        self.flush()
        self._since = None
        self._reference.stale = True

    @property
    def since(self) -> int | None:
        """The sequence from which on no trade is missing here; None before the first event."""
        self.flush()
        return self._since

    def trades(self, instrument: int) -> Rows:
        """The last trades of an instrument, oldest first."""
        self.flush()
        kept = self._trades.get(instrument)
        return kept.rows() if kept else np.zeros(0, TRADE)

    def _urgent(self, batch: Rows) -> None:
        """Reference data has changed, or the trades of an instrument were cleared."""
        kinds = batch["kind"]
        if np.isin(kinds, REFERENCE_EVENTS).any():
            self._reference.stale = True
        for event in batch[(kinds == messages.CLEARED) & (batch["leaves"] == 0)]:
            self._reference.cleared_ns[int(event["instrument"])] = int(event["price"])

    def _seldom(self, events: Rows, takers: Rows) -> Rows:
        """Trades that were undone; ``takers`` without what was traded elsewhere."""
        executions = events[events["kind"] == messages.EXEC_RECORDED]["sequence"]
        if len(executions):
            self._executed = int(executions[-1])
            takers = takers[~np.isin(takers["sequence"], executions)]
        ours = ~np.isin(events["sequence"], executions)
        for event in events[_IS_UNDOING[events["kind"]] & ours]:
            trade_id = messages.text(event["client_order_id"])
            corrected = int(event["kind"]) == messages.TRADE_CORRECTED
            now = (int(event["price"]), int(event["qty"])) if corrected else (0, 0)
            self.undone.pop(trade_id, None)
            self.undone[trade_id] = Undone(*now)
            if len(self.undone) > TRADES_KEPT:
                del self.undone[next(iter(self.undone))]
        return takers

    def _count(self, events: Rows, kinds: Rows) -> None:
        _add(self.kinds, kinds)
        rejected = kinds == messages.ORDER_REJECTED
        if rejected.any():
            _add(self.rejects, events["reason"][rejected])
        ended = (kinds == messages.ORDER_CANCELED) | (kinds == messages.ORDER_EXPIRED)
        if ended.any():
            _add(self.cancels, events["reason"][ended])

    def _trade(self, takers: Rows) -> None:
        for number, fills in _by_instrument(takers):
            self._kept(number).add(fills)
            self.trade_count[number] += len(fills)
            lots = fills["qty"].astype(np.float64)
            notional = float(lots @ fills["price"].astype(np.float64))
            self.trade_lots[number] = self.trade_lots.get(number, 0.0) + float(lots.sum())
            self.trade_notional[number] = self.trade_notional.get(number, 0.0) + notional

    def _kept(self, instrument: int) -> Trades:
        kept = self._trades.get(instrument)
        if kept is None:
            kept = self._trades[instrument] = Trades()
        return kept


def _by_instrument(fills: Rows) -> Iterator[tuple[int, Rows]]:
    for number in np.unique(fills["instrument"]).tolist():
        yield number, fills[fills["instrument"] == number]


def _add(counts: "Counter[int]", values: Rows) -> None:
    numbers, times = np.unique(values, return_counts=True)
    for number, count in zip(numbers.tolist(), times.tolist(), strict=True):
        counts[number] += count
