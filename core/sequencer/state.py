"""The state of one exchange in memory: its tables are laid out here, hashed here, and nowhere else.

One private mapping holds the STATE record and every table, sized from ``Limits``; ``state_at`` of
its address is what every kernel gets.
"""

import ctypes
import hashlib
import mmap
import threading
from typing import Final

import numpy as np

from core import memory
from core.constants import NAME_BYTES, PAGE_LEVELS, STOP_SIDES, TRIE_TIERS
from core.jit import kernel
from core.layout import offset_of
from core.limits import Limits
from core.messages import EVENT, packed
from core.records import (
    ACCOUNT,
    ASSET,
    BALANCE,
    BOOKSIDE,
    COLD,
    COUNTERS_AT,
    DEADLINE,
    DRAFT,
    EXTRA,
    ID_RECORD,
    INSTRUMENT,
    LEVEL,
    LIMIT_ROW,
    ORDER,
    PAGE,
    POSITION,
    REACH,
    SESSION,
    SLOT_ENTRY,
    STATE,
)
from core.risk.accounts import FEES_ACCOUNT, OUTSIDE_ACCOUNT
from core.rows import state_at, table_mask
from core.sequencer.fetch import FETCH_SLOTS
from core.sequencer.reference import add_account

LINE_BYTES: Final = 64
POPULATE_BYTES: Final = 16 << 20
MADV_POPULATE_WRITE: Final = 23  # Linux 5.14; the mmap module does not name it.
_LIBC: Final = ctypes.CDLL(None, use_errno=True)  # Its calls are made without the GIL.
COUNTERS: Final = np.dtype(
    [(name, STATE[name]) for name in (STATE.names or ()) if offset_of(STATE, name) >= COUNTERS_AT]
)
SECTIONS: Final = {
    "counters": COUNTERS,
    "levels": LEVEL,
    "orders": ORDER,
    "cold": COLD,
    "pages": PAGE,
    "page_queue": np.dtype("<i4"),
    "booksides": BOOKSIDE,
    "closed": np.dtype("<i4"),
    "id_records": ID_RECORD,
    "accounts": ACCOUNT,
    "balances": BALANCE,
    "positions": POSITION,
    "assets": ASSET,
    "instruments": INSTRUMENT,
    "sessions": SESSION,
    "extras": EXTRA,
    "deadlines": DEADLINE,
    "limit_rows": LIMIT_ROW,
    "stop_sides": BOOKSIDE,
}
SYSTEM_NAMES: Final = {FEES_ACCOUNT: "fees", OUTSIDE_ACCOUNT: "outside"}


def tables(limits: Limits) -> dict[str, int]:
    """Bytes of each table, in the order in which they lie behind the STATE record."""
    slots = limits.orders_max + limits.closed_keep + 1
    levels = (limits.pages_max + 1) * PAGE_LEVELS
    entry = SLOT_ENTRY.itemsize
    return {
        "arena": levels * LEVEL.itemsize + slots * ORDER.itemsize,
        "cold": slots * COLD.itemsize,
        "pages": (limits.pages_max + 1) * PAGE.itemsize,
        "page_table": (table_mask(limits.pages_max) + 1) * entry,
        "node_table": (node_mask(limits) + 1) * entry,
        "scratch": FETCH_SLOTS * 8,
        "page_queue": (table_mask(limits.pages_max) + 1) * 4,
        "booksides": (STOP_SIDES + 2 * (limits.instruments_max + 1)) * BOOKSIDE.itemsize,
        "closed": limits.closed_keep * 4,
        "id_buckets": (bucket_mask(limits) + 1) * LINE_BYTES,
        "id_records": (limits.ids_max + 1) * ID_RECORD.itemsize,
        "accounts": (limits.accounts_max + 1) * ACCOUNT.itemsize,
        "balances": (limits.balances_max + 1) * BALANCE.itemsize,
        "positions": (limits.positions_max + 1) * POSITION.itemsize,
        "assets": (limits.assets_max + 1) * ASSET.itemsize,
        "instruments": (limits.instruments_max + 1) * INSTRUMENT.itemsize,
        "sessions": (limits.sessions_max + 1) * SESSION.itemsize,
        "extras": (limits.extras_max + 1) * EXTRA.itemsize,
        "deadlines": (deadlines_max(limits) + 1) * DEADLINE.itemsize,
        "limit_rows": (limits.limits_max + 1) * LIMIT_ROW.itemsize,
        "draft": DRAFT.itemsize,
        "reaches": (limits.instruments_max + 1) * REACH.itemsize,
        "cascade": (limits.orders_max + 2) * 8,
        "name_table": (name_mask(limits) + 1) * entry,
        "balance_table": (table_mask(limits.balances_max) + 1) * entry,
        "position_table": (table_mask(limits.positions_max) + 1) * entry,
        "session_table": (table_mask(limits.sessions_max) + 1) * entry,
        "limit_table": (table_mask(limits.limits_max) + 1) * entry,
    }


def deadlines_max(limits: Limits) -> int:
    """An order, an account and an instrument have at most one each."""
    return limits.extras_max + limits.accounts_max + limits.instruments_max


def node_mask(limits: Limits) -> int:
    """A page has a node of its own in the lowest tiers at the most; the upper ones are shared."""
    return table_mask(limits.pages_max * (TRIE_TIERS - 1) + 2 * TRIE_TIERS)


def bucket_mask(limits: Limits) -> int:
    """Eight entries a bucket, at most half of them used."""
    return max((table_mask(limits.ids_max) + 1) // 8, 1) - 1


def name_mask(limits: Limits) -> int:
    return table_mask(limits.accounts_max + limits.assets_max + limits.instruments_max)


class State:
    """The state of one exchange; ``address`` is that of its STATE record."""

    def __init__(
        self,
        limits: Limits,
        id_key: tuple[int, ...],
        *,
        risk: bool = True,
        populate: bool = False,
        blank: bool = False,
    ) -> None:
        """``blank``: without the accounts of genesis, for rows that are loaded."""
        self.limits = limits
        self._sizes = {
            name: (size + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES
            for name, size in tables(limits).items()
        }
        self._owner, self.address = memory.region(STATE.itemsize + sum(self._sizes.values()))
        self._populating: threading.Thread | None = None
        if populate:
            self._populating = threading.Thread(target=self._populate, daemon=True)
            self._populating.start()
        self.header = memory.view(self.address, STATE, 1)
        address = self.address + STATE.itemsize
        for name, size in self._sizes.items():
            self.header[name] = address
            address += size
        for name, value in limits._asdict().items():
            if name in (STATE.names or ()):
                self.header[name] = value
        self.header["order_base"] = (limits.pages_max + 1) * PAGE_LEVELS
        self.header["deadlines_max"] = deadlines_max(limits)
        self.header["page_mask"] = table_mask(limits.pages_max)
        self.header["queue_mask"] = table_mask(limits.pages_max)
        self.header["node_mask"] = node_mask(limits)
        self.header["bucket_mask"] = bucket_mask(limits)
        self.header["name_mask"] = name_mask(limits)
        self.header["balance_mask"] = table_mask(limits.balances_max)
        self.header["position_mask"] = table_mask(limits.positions_max)
        self.header["session_mask"] = table_mask(limits.sessions_max)
        self.header["limit_mask"] = table_mask(limits.limits_max)
        self.header["id_key"] = np.array(id_key, np.int64)
        self.header["risk"] = int(risk)
        for account in () if blank else sorted(SYSTEM_NAMES):
            text = packed(SYSTEM_NAMES[account], NAME_BYTES)
            add_system_account(self.address, text.ctypes.data)

    @property
    def size_bytes(self) -> int:
        """Bytes of the mapping."""
        return STATE.itemsize + sum(self._sizes.values())

    def _populate(self) -> None:
        """Have every page now, while other things go on: a hint, so its outcome is not asked."""
        size = STATE.itemsize + sum(self._sizes.values())
        for place in range(0, size, POPULATE_BYTES):
            part = min(POPULATE_BYTES, size - place)
            _LIBC.madvise(
                ctypes.c_void_p(self.address + place), ctypes.c_size_t(part), MADV_POPULATE_WRITE
            )

    def populated(self) -> None:
        """Wait until every page is there."""
        if self._populating is not None:
            self._populating.join()
            self._populating = None

    def use_ring(self, ring: int, mask: int, position: int, claimed: int) -> None:
        """Write events into the ring at ``ring`` from its place 0 on: a new epoch."""
        for name, value in (
            ("ring", ring),
            ("ring_mask", mask),
            ("ring_position", position),
            ("ring_claimed", claimed),
            ("cursor", 0),
            ("claimed", 0),
            ("hashed", 0),
        ):
            self.header[name] = value

    def __getitem__(self, name: str) -> int:
        return int(self.header[name][0])

    def rows(self, table: str, dtype: "np.dtype[np.void]", count: int) -> "np.ndarray":  # type: ignore[type-arg]
        """The first ``count`` rows of a table, row 0 included, as a view."""
        return memory.view(self[table], dtype, count)

    def sections(self) -> "list[tuple[str, np.ndarray]]":  # type: ignore[type-arg]
        """The used rows of every table that is state, in the fixed order of the state hash.

        Hash tables and the trie are left out: they follow from the rows.
        """

        def used(name: str, rows: int) -> tuple[str, "np.ndarray"]:  # type: ignore[type-arg]
            return name, self.rows_at(name, rows)

        return [
            ("counters", memory.view(self.address + COUNTERS_AT, COUNTERS, 1)),
            used("levels", (self["pages_used"] + 1) * PAGE_LEVELS),
            used("orders", self["slots_used"] + 1),
            used("cold", self["slots_used"] + 1),
            used("pages", self["pages_used"] + 1),
            ("page_queue", self._ring("page_queue", "queue_first", "queue_count", "queue_mask")),
            used("booksides", 2 * (self["instruments_used"] + 1)),
            ("closed", self._closed()),
            used("id_records", self["ids_used"] + 1),
            used("accounts", self["accounts_used"] + 1),
            used("balances", self["balances_used"] + 1),
            used("positions", self["positions_used"] + 1),
            used("assets", self["assets_used"] + 1),
            used("instruments", self["instruments_used"] + 1),
            used("sessions", self["sessions_used"] + 1),
            used("extras", self["extras_used"] + 1),
            used("deadlines", self["deadlines_count"] + 1),
            used("limit_rows", self["limits_used"] + 1),
            used("stop_sides", 2 * (self["instruments_used"] + 1)),
        ]

    def table_address(self, name: str) -> int:
        """Where row 0 of a section lies; levels and orders share the arena."""
        if name == "levels":
            return self["arena"]
        if name == "orders":
            return self["arena"] + self["order_base"] * LEVEL.itemsize
        if name == "stop_sides":
            return self["booksides"] + STOP_SIDES * BOOKSIDE.itemsize
        return self[name]

    def room(self, name: str) -> int:
        """Rows that a section can have at the most."""
        limits = self.limits
        slots = limits.orders_max + limits.closed_keep + 1
        rows = {
            "counters": 1,
            "levels": (limits.pages_max + 1) * PAGE_LEVELS,
            "orders": slots,
            "cold": slots,
            "page_queue": self["queue_mask"] + 1,
            "booksides": 2 * (limits.instruments_max + 1),
            "closed": limits.closed_keep,
            "id_records": limits.ids_max + 1,
            "deadlines": deadlines_max(limits) + 1,
            "limit_rows": limits.limits_max + 1,
            "stop_sides": 2 * (limits.instruments_max + 1),
        }
        return rows[name] if name in rows else int(getattr(limits, f"{name}_max")) + 1

    def rows_at(self, name: str, rows: int) -> "np.ndarray":  # type: ignore[type-arg]
        """The first rows of a section's table, as a view."""
        return memory.view(self.table_address(name), SECTIONS[name], rows)

    def _ring(self, table: str, first: str, count: str, mask: str) -> "np.ndarray":  # type: ignore[type-arg]
        places = (self[first] + np.arange(self[count])) & self[mask]
        return memory.view(self[table], np.dtype("<i4"), self[mask] + 1)[places]

    def _closed(self) -> "np.ndarray":  # type: ignore[type-arg]
        keep = self["closed_keep"]
        places = (self["closed_first"] + np.arange(self["closed_count"])) % keep
        return memory.view(self["closed"], np.dtype("<i4"), keep)[places]

    def hash(self) -> bytes:
        """BLAKE2b-128 over the used rows: equal hash, equal state (architecture decision 24)."""
        digest = hashlib.blake2b(digest_size=16)
        for name, rows in self.sections():
            digest.update(f"{name}:{rows.nbytes};".encode())
            digest.update(np.ascontiguousarray(rows).view(np.uint8).data)
        return digest.digest()


@kernel
def add_system_account(state_address: int, name: int) -> int:
    """One of the accounts that exist from genesis on."""
    return add_account(state_at(state_address), name)


class PrivateRing:
    """An output ring that nobody else reads: for replay, tests and benchmarks."""

    def __init__(self, events: int, *, populate: bool = False) -> None:
        if events & (events - 1) or events < 1:
            raise ValueError(f"ring of {events} events: expected a power of two")
        self.capacity = events
        self._owner, self.base = memory.region(events * EVENT.itemsize + 256)
        if populate:
            self._owner.madvise(getattr(mmap, "MADV_POPULATE_WRITE", 23))
        self.position = self.base + events * EVENT.itemsize
        self.claimed = self.position + 128
        self.events = memory.view(self.base, EVENT, events)
        self._words = memory.view(self.position, np.dtype("<i8"), 32)

    def attach(self, state: State) -> None:
        """Make ``state`` write its events here, from place 0 on."""
        self._words[:] = 0
        state.use_ring(self.base, self.capacity - 1, self.position, self.claimed)

    def published(self) -> int:
        """How many events were published since ``attach``."""
        return int(self._words[0])

    def between(self, start: int, end: int) -> "np.ndarray":  # type: ignore[type-arg]
        """A copy of events ``start`` to ``end``; LookupError when they were overwritten."""
        if end - start > self.capacity:
            raise LookupError(f"{end - start} events do not fit the ring of {self.capacity}")
        return self.events[np.arange(start, end) & (self.capacity - 1)]
