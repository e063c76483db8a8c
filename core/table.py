"""Open-addressing hash table of 16-byte entries (key, word); key 0 is an empty entry.

Fibonacci hashing, linear probing, deletion by backward shift, so no tombstone ever slows a probe.
The owner keeps the load at one half or below, so a probe always meets an empty entry.
"""

from typing import Final

from core.jit import VERIFY, inlined, kernel
from core.memory import highest_bit, load_i64, shift_right, store_i64, wrap_mul

GOLDEN: Final = -7046029254386353131  # 2^64 / golden ratio, as a signed word.
ENTRY_SHIFT: Final = 4


@inlined
def home(table: int, mask: int, key: int) -> int:
    """Address of the entry where a probe for ``key`` begins."""
    hashed = shift_right(wrap_mul(key, GOLDEN), 64 - 1 - highest_bit(mask)) & mask
    return table + (hashed << ENTRY_SHIFT)


@inlined
def find(table: int, mask: int, key: int) -> int:
    """Address of the entry of ``key``, or 0."""
    end = table + ((mask + 1) << ENTRY_SHIFT)
    entry = home(table, mask, key)
    while True:
        found = load_i64(entry)
        if found == key:
            return entry
        if found == 0:
            return 0
        entry += 16
        if entry == end:
            entry = table


@kernel
def insert(table: int, mask: int, key: int, word: int) -> int:
    """Put in a key that is not there; address of its entry."""
    end = table + ((mask + 1) << ENTRY_SHIFT)
    entry = home(table, mask, key)
    while load_i64(entry) != 0:
        if VERIFY:
            assert load_i64(entry) != key
        entry += 16
        if entry == end:
            entry = table
    store_i64(entry, key)
    store_i64(entry + 8, word)
    return entry


@kernel
def delete(table: int, mask: int, entry: int) -> None:
    """Take out the entry at address ``entry`` and close the gap behind it."""
    size = (mask + 1) << ENTRY_SHIFT
    gap = entry
    probe = entry
    while True:
        probe += 16
        if probe == table + size:
            probe = table
        key = load_i64(probe)
        if key == 0:
            break
        start = home(table, mask, key)
        # The entry may move into the gap unless its home lies cyclically in (gap, probe].
        if ((probe - start) & (size - 1)) >= ((probe - gap) & (size - 1)):
            store_i64(gap, key)
            store_i64(gap + 8, load_i64(probe + 8))
            gap = probe
    store_i64(gap, 0)
    store_i64(gap + 8, 0)
