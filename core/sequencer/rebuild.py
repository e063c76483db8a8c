"""The hash tables and tries of a state, made again from its rows.

They are not part of a snapshot: what they find follows from the rows alone, in whatever order the
rows are put in.
"""

from typing import Final

from core import table
from core.book.levels import raise_trie
from core.constants import PAGE_INDEX_BITS
from core.jit import kernel
from core.memory import Record, address_of
from core.records import SYMBOL_AT
from core.risk.accounts import PAIR_SHIFT
from core.risk.ids import enter
from core.risk.text import ACCOUNT_NAMES, ASSET_NAMES, INSTRUMENT_NAMES, add_name, text_hash
from core.rows import (
    account_row,
    asset_row,
    balance_row,
    id_record_row,
    instrument_row,
    limit_row,
    page_row,
    position_row,
    session_row,
    state_at,
)

PAGE_INDEX_MASK: Final = (1 << PAGE_INDEX_BITS) - 1
FREE_MARK: Final = 128


@kernel
def rebuild(state_address: int) -> None:
    """Fill every table of a state whose rows were loaded and whose tables are empty."""
    state = state_at(state_address)
    rebuild_pages(state)
    rebuild_names(state)
    rebuild_pairs(state)
    rebuild_ids(state)


@kernel
def rebuild_pages(state: Record) -> None:
    """Pages by key, and above those with orders the trie."""
    for page in range(1, state.pages_used + 1):
        row = page_row(state, page)
        key = row.key
        table.insert(state.page_table, state.page_mask, key, page)
        if row.bitmap != 0:
            raise_trie(state, key >> PAGE_INDEX_BITS, key & PAGE_INDEX_MASK)


@kernel
def rebuild_names(state: Record) -> None:
    for row in range(1, state.accounts_used + 1):
        add_name(state, ACCOUNT_NAMES, address_of(account_row(state, row)), row)
    for row in range(1, state.assets_used + 1):
        add_name(state, ASSET_NAMES, address_of(asset_row(state, row)), row)
    for row in range(1, state.instruments_used + 1):
        add_name(state, INSTRUMENT_NAMES, address_of(instrument_row(state, row)) + SYMBOL_AT, row)


@kernel
def rebuild_pairs(state: Record) -> None:
    for row in range(1, state.balances_used + 1):
        balance = balance_row(state, row)
        key = (balance.account << PAIR_SHIFT) | balance.asset
        table.insert(state.balance_table, state.balance_mask, key, row)
    for row in range(1, state.positions_used + 1):
        position = position_row(state, row)
        key = (position.account << PAIR_SHIFT) | position.instrument
        table.insert(state.position_table, state.position_mask, key, row)
    for row in range(1, state.sessions_used + 1):
        session = session_row(state, row).session
        table.insert(state.session_table, state.session_mask, session, row)
    for row in range(1, state.limits_used + 1):
        limits = limit_row(state, row)
        key = (limits.account << PAIR_SHIFT) | limits.instrument
        table.insert(state.limit_table, state.limit_mask, key, row)


@kernel
def rebuild_ids(state: Record) -> None:
    """Every record that is not free.  Free ones get a mark in ``passed`` that is taken back: the
    records are state, and leave as they came."""
    row = state.ids_free
    while row != 0:
        record = id_record_row(state, row)
        record.passed = record.passed | FREE_MARK
        row = record.next
    for row in range(1, state.ids_used + 1):
        record = id_record_row(state, row)
        if record.passed & FREE_MARK != 0:
            record.passed = record.passed & ~FREE_MARK
            continue
        digest = text_hash(state, record.account, address_of(record))
        enter(state, digest, row)
