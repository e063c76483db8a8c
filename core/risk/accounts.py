"""Who owns what: rows of balances and positions, found by hash and made when first needed."""

from typing import Final

from core import table
from core.jit import inlined, kernel, stay_apart
from core.memory import Record, load_i64
from core.records import SPECIAL_LIMITS
from core.rows import (
    COLD_SHIFT,
    account_row,
    asset_row,
    balance_row,
    cold_at,
    cold_row,
    instrument_row,
    position_row,
)

FEES_ACCOUNT: Final = 1
OUTSIDE_ACCOUNT: Final = 2
SYSTEM_ACCOUNTS: Final = 2
PAIR_SHIFT: Final = 32


@inlined
def is_trader(state: Record, account: int) -> bool:
    """May this account send commands of its own?"""
    return SYSTEM_ACCOUNTS < account <= state.accounts_used  # type: ignore[no-any-return]


@inlined
def find_balance(state: Record, account: int, asset: int) -> int:
    """Row of (account, asset), or 0."""
    entry = table.find(state.balance_table, state.balance_mask, (account << PAIR_SHIFT) | asset)
    return load_i64(entry + 8) if entry != 0 else 0


@kernel
def need_balance(state: Record, account: int, asset: int) -> int:
    """Row of (account, asset), made if there is none; 0 when the table is full."""
    row = find_balance(state, account, asset)
    if row != 0:
        return row
    if state.balances_used == state.balances_max:
        return 0
    state.balances_used += 1
    row = state.balances_used
    balance = balance_row(state, row)
    balance.account = account
    balance.asset = asset
    key = (account << PAIR_SHIFT) | asset
    table.insert(state.balance_table, state.balance_mask, key, row)
    return row  # type: ignore[no-any-return]


@inlined
def available(state: Record, account: int, asset: int) -> int:
    """What the account can still use of the asset; 0 where it has no row."""
    row = find_balance(state, account, asset)
    return balance_row(state, row).available if row != 0 else 0


@inlined
def find_position(state: Record, account: int, instrument: int) -> int:
    """Row of (account, instrument), or 0."""
    key = (account << PAIR_SHIFT) | instrument
    entry = table.find(state.position_table, state.position_mask, key)
    return load_i64(entry + 8) if entry != 0 else 0


@inlined
def find_limits(state: Record, account: int, instrument: int) -> int:
    """Row of the limits of an account in an instrument (0: as a whole), or 0."""
    key = (account << PAIR_SHIFT) | instrument
    entry = table.find(state.limit_table, state.limit_mask, key)
    return load_i64(entry + 8) if entry != 0 else 0


@inlined
def room_for_position(state: Record, account: int, instrument: int) -> bool:
    """Could ``need_position`` give a row?  Looks, and makes nothing."""
    if find_position(state, account, instrument) != 0:
        return True
    if state.positions_used == state.positions_max:
        return False
    terms = instrument_row(state, instrument)
    missing = 0
    if terms.base_asset != 0 and find_balance(state, account, terms.base_asset) == 0:
        missing += 1
    if find_balance(state, account, terms.quote_asset) == 0:
        missing += 1
    return state.balances_used + missing <= state.balances_max  # type: ignore[no-any-return]


@kernel
def rows_missing(state: Record, account: int, instrument: int) -> tuple[int, int]:
    """How many positions and balances ``need_position`` would make."""
    if find_position(state, account, instrument) != 0:
        return 0, 0
    terms = instrument_row(state, instrument)
    base = int(find_balance(state, account, terms.base_asset) == 0)
    return 1, base + int(find_balance(state, account, terms.quote_asset) == 0)


@kernel
def need_position(state: Record, account: int, instrument: int) -> int:
    """Row of (account, instrument), made with both its balances if there is none; the caller
    has asked ``room_for_position``."""
    stay_apart()
    row = find_position(state, account, instrument)
    if row != 0:
        return row
    terms = instrument_row(state, instrument)
    state.positions_used += 1
    row = state.positions_used
    position = position_row(state, row)
    position.account = account
    position.instrument = instrument
    if terms.base_asset != 0:
        position.base_balance = need_balance(state, account, terms.base_asset)
    position.quote_balance = need_balance(state, account, terms.quote_asset)
    if account_row(state, account).special & SPECIAL_LIMITS != 0:
        position.limits = find_limits(state, account, instrument)
    key = (account << PAIR_SHIFT) | instrument
    table.insert(state.position_table, state.position_mask, key, row)
    return row  # type: ignore[no-any-return]


@inlined
def cold_link(state: Record, slot: int) -> Record:
    """The row of a neighbour in a list; that of slot 0, where there is none, takes what is stored
    without a test (which no predictor would guess) and is cleared after."""
    return cold_at(state.cold + (slot << COLD_SHIFT))


@inlined
def link_open(state: Record, account: int, slot: int) -> None:
    """Put an order at the end of its account's open orders; order ids only ever rise."""
    owner = account_row(state, account)
    tail = owner.open_tail
    row = cold_row(state, slot)
    row.account_prev = tail
    row.account_next = 0
    cold_link(state, tail).account_next = slot
    cold_link(state, 0).account_next = 0
    owner.open_head = slot if tail == 0 else owner.open_head
    owner.open_tail = slot
    owner.open_orders += 1


@inlined
def unlink_open(state: Record, account: int, slot: int) -> None:
    """Take an order out of its account's open orders."""
    owner = account_row(state, account)
    row = cold_row(state, slot)
    before = row.account_prev
    after = row.account_next
    cold_link(state, before).account_next = after
    cold_link(state, after).account_prev = before
    cold_link(state, 0).account_next = 0
    cold_link(state, 0).account_prev = 0
    owner.open_head = after if before == 0 else owner.open_head
    owner.open_tail = before if after == 0 else owner.open_tail
    owner.open_orders -= 1


@kernel
def fees_balance(state: Record, asset: int) -> Record:
    """The fees account's balance of an asset."""
    return balance_row(state, asset_row(state, asset).fees_balance)
