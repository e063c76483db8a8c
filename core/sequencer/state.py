"""The state of one exchange in memory: its tables are laid out here, hashed here, and nowhere else.

One private mapping holds the STATE record and every table, sized from ``Limits``; ``state_at`` of
its address is what every kernel gets.
"""

import hashlib
import mmap
from typing import Final

import numpy as np

from core import memory
from core.constants import NAME_BYTES, PAGE_LEVELS, TRIE_TIERS
from core.jit import kernel
from core.limits import Limits
from core.messages import EVENT, packed
from core.risk.accounts import FEES_ACCOUNT, OUTSIDE_ACCOUNT
from core.rows import (
    ACCOUNT,
    ASSET,
    BALANCE,
    BOOKSIDE,
    COLD,
    COUNTERS_AT,
    ID_RECORD,
    INSTRUMENT,
    LEVEL,
    ORDER,
    PAGE,
    POSITION,
    SESSION,
    SLOT_ENTRY,
    STATE,
    state_at,
    table_mask,
)
from core.sequencer.fetch import FETCH_SLOTS
from core.sequencer.reference import add_account

LINE_BYTES: Final = 64
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
        "booksides": 2 * (limits.instruments_max + 1) * BOOKSIDE.itemsize,
        "closed": limits.closed_keep * 4,
        "id_buckets": (bucket_mask(limits) + 1) * LINE_BYTES,
        "id_records": (limits.ids_max + 1) * ID_RECORD.itemsize,
        "accounts": (limits.accounts_max + 1) * ACCOUNT.itemsize,
        "balances": (limits.balances_max + 1) * BALANCE.itemsize,
        "positions": (limits.positions_max + 1) * POSITION.itemsize,
        "assets": (limits.assets_max + 1) * ASSET.itemsize,
        "instruments": (limits.instruments_max + 1) * INSTRUMENT.itemsize,
        "sessions": (limits.sessions_max + 1) * SESSION.itemsize,
        "name_table": (name_mask(limits) + 1) * entry,
        "balance_table": (table_mask(limits.balances_max) + 1) * entry,
        "position_table": (table_mask(limits.positions_max) + 1) * entry,
        "session_table": (table_mask(limits.sessions_max) + 1) * entry,
    }


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
        self, limits: Limits, id_key: tuple[int, ...], *, risk: bool = True, populate: bool = False
    ) -> None:
        self.limits = limits
        self._sizes = {
            name: (size + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES
            for name, size in tables(limits).items()
        }
        self._owner, self.address = memory.region(STATE.itemsize + sum(self._sizes.values()))
        if populate:
            self._owner.madvise(getattr(mmap, "MADV_POPULATE_WRITE", 23))
        self.header = memory.view(self.address, STATE, 1)
        address = self.address + STATE.itemsize
        for name, size in self._sizes.items():
            self.header[name] = address
            address += size
        for name, value in limits._asdict().items():
            if name in (STATE.names or ()):
                self.header[name] = value
        self.header["order_base"] = (limits.pages_max + 1) * PAGE_LEVELS
        self.header["page_mask"] = table_mask(limits.pages_max)
        self.header["queue_mask"] = table_mask(limits.pages_max)
        self.header["node_mask"] = node_mask(limits)
        self.header["bucket_mask"] = bucket_mask(limits)
        self.header["name_mask"] = name_mask(limits)
        self.header["balance_mask"] = table_mask(limits.balances_max)
        self.header["position_mask"] = table_mask(limits.positions_max)
        self.header["session_mask"] = table_mask(limits.sessions_max)
        self.header["id_key"] = np.array(id_key, np.int64)
        self.header["risk"] = int(risk)
        for account in sorted(SYSTEM_NAMES):
            text = packed(SYSTEM_NAMES[account], NAME_BYTES)
            add_system_account(self.address, text.ctypes.data)

    @property
    def size_bytes(self) -> int:
        """Bytes of the mapping."""
        return STATE.itemsize + sum(self._sizes.values())

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
        u1 = np.dtype(np.uint8)

        def used(name: str, rows: int, size: int) -> tuple[str, "np.ndarray"]:  # type: ignore[type-arg]
            return name, memory.view(self[name], u1, rows * size)

        counters = memory.view(self.address + COUNTERS_AT, u1, STATE.itemsize - COUNTERS_AT)
        slots = self["slots_used"] + 1
        orders = self["arena"] + self["order_base"] * LEVEL.itemsize
        levels = (self["pages_used"] + 1) * PAGE_LEVELS
        return [
            ("counters", counters),
            ("levels", memory.view(self["arena"], u1, levels * LEVEL.itemsize)),
            ("orders", memory.view(orders, u1, slots * ORDER.itemsize)),
            used("cold", slots, COLD.itemsize),
            used("pages", self["pages_used"] + 1, PAGE.itemsize),
            ("page_queue", self._ring("page_queue", "queue_first", "queue_count", "queue_mask")),
            used("booksides", 2 * (self["instruments_used"] + 1), BOOKSIDE.itemsize),
            ("closed", self._closed()),
            used("id_records", self["ids_used"] + 1, ID_RECORD.itemsize),
            used("accounts", self["accounts_used"] + 1, ACCOUNT.itemsize),
            used("balances", self["balances_used"] + 1, BALANCE.itemsize),
            used("positions", self["positions_used"] + 1, POSITION.itemsize),
            used("assets", self["assets_used"] + 1, ASSET.itemsize),
            used("instruments", self["instruments_used"] + 1, INSTRUMENT.itemsize),
            used("sessions", self["sessions_used"] + 1, SESSION.itemsize),
        ]

    def _ring(self, table: str, first: str, count: str, mask: str) -> "np.ndarray":  # type: ignore[type-arg]
        places = (self[first] + np.arange(self[count])) & self[mask]
        return memory.view(self[table], np.dtype("<i4"), self[mask] + 1)[places].view(np.uint8)

    def _closed(self) -> "np.ndarray":  # type: ignore[type-arg]
        keep = self["closed_keep"]
        places = (self["closed_first"] + np.arange(self["closed_count"])) % keep
        return memory.view(self["closed"], np.dtype("<i4"), keep)[places].view(np.uint8)

    def hash(self) -> bytes:
        """BLAKE2b-128 over the used rows: equal hash, equal state (architecture decision 24)."""
        digest = hashlib.blake2b(digest_size=16)
        for name, rows in self.sections():
            digest.update(f"{name}:{rows.nbytes};".encode())
            digest.update(np.ascontiguousarray(rows).data)
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
