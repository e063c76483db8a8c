"""Text of 36 bytes as a key: its keyed hash, its comparison, and the table of unique names."""

from typing import Final

from core import table
from core.jit import inlined, kernel
from core.memory import Record, address_of, load_i32, load_i64, mul_fold, wrap_add
from core.records import ID_KEY_AT, SYMBOL_AT
from core.rows import account_row, asset_row, instrument_row

ACCOUNT_NAMES: Final = 1
ASSET_NAMES: Final = 2
INSTRUMENT_NAMES: Final = 3
SCOPE_SHIFT: Final = 60
HASH_MASK: Final = (1 << SCOPE_SHIFT) - 1
STEPS_MAX: Final = 1 << 16


@inlined
def is_empty(address: int) -> bool:
    """Is the text at ``address`` empty?"""
    return (load_i32(address) & 0xFF) == 0


@inlined
def same_text(left: int, right: int) -> bool:
    """Are the 36 bytes at two addresses the same?"""
    difference = load_i32(left + 32) ^ load_i32(right + 32)
    difference |= load_i64(left) ^ load_i64(right)
    difference |= load_i64(left + 8) ^ load_i64(right + 8)
    difference |= load_i64(left + 16) ^ load_i64(right + 16)
    difference |= load_i64(left + 24) ^ load_i64(right + 24)
    return difference == 0


@inlined
def text_hash(state: Record, scope: int, address: int) -> int:
    """64-bit hash of (scope, 36 bytes), keyed by the secret of this journal so that nobody can
    aim at one bucket.  Multiply-and-fold as in wyhash."""
    key = address_of(state) + ID_KEY_AT
    first = load_i64(key)
    second = load_i64(key + 8)
    third = load_i64(key + 16)
    fourth = load_i64(key + 24)
    one = mul_fold(load_i64(address) ^ first, load_i64(address + 8) ^ second)
    two = mul_fold(load_i64(address + 16) ^ second, load_i64(address + 24) ^ third)
    three = mul_fold(wrap_add(load_i32(address + 32), scope << 32) ^ third, fourth)
    return mul_fold(wrap_add(one, three) ^ fourth, two ^ first)


@kernel
def name_address(state: Record, scope: int, row: int) -> int:
    if scope == ACCOUNT_NAMES:
        return address_of(account_row(state, row))  # type: ignore[no-any-return]
    if scope == ASSET_NAMES:
        return address_of(asset_row(state, row))  # type: ignore[no-any-return]
    return address_of(instrument_row(state, row)) + SYMBOL_AT  # type: ignore[no-any-return]


@kernel
def name_key(state: Record, scope: int, address: int) -> int:
    return (scope << SCOPE_SHIFT) | (text_hash(state, scope, address) & HASH_MASK)


@kernel
def find_name(state: Record, scope: int, address: int) -> int:
    """Row of the asset, account or instrument of this name, or 0.

    Two names of one key (chance 2^-60 a pair) stand under following keys.
    """
    key = name_key(state, scope, address)
    for _ in range(STEPS_MAX):
        entry = table.find(state.name_table, state.name_mask, key)
        if entry == 0:
            return 0
        row = load_i64(entry + 8)
        if same_text(name_address(state, scope, row), address):
            return row
        key += 1
    return 0


@kernel
def add_name(state: Record, scope: int, address: int, row: int) -> None:
    """Remember a name that is not there yet."""
    key = name_key(state, scope, address)
    for _ in range(STEPS_MAX):
        if table.find(state.name_table, state.name_mask, key) == 0:
            table.insert(state.name_table, state.name_mask, key, row)
            return
        key += 1
