"""Price levels of one bookside: any price may rest, the best is always known.

A price becomes a key: ``price ^ flip``, with flip 0 for bids and PRICE_MAX for asks, so the best
key is the largest on both sides and one code path serves both.  64 keys form a page: a bitmap and
64 level units.  A page is found by a hash of (bookside, key >> 6).  Above the pages lies a 64-ary
trie of bitmaps, seven tiers, its nodes in one hash table, touched only when a page becomes empty or
is no longer so; it finds the next best page at any distance in at most 14 steps.
"""

from typing import Final

from core import table
from core.constants import (
    PAGE_BITS,
    PAGE_INDEX_BITS,
    PAGE_LEVELS,
    PRICE_MAX,
    STOP_SIDES,
    TRIE_TIERS,
)
from core.jit import VERIFY, inlined, kernel, seldom, stay_apart
from core.memory import Record, bit, highest_bit, load_i32, load_i64, store_i32, store_i64
from core.records import SPECIAL_LIMITS, UNIT_SHIFT
from core.rows import account_row, bookside_row, level_at, level_row, limit_row, page_row

TIER_SHIFT: Final = 58
LEVEL_MASK: Final = PAGE_LEVELS - 1


@kernel
def open_bookside(state: Record, bookside: int) -> None:
    """Make an empty side: even numbers are bids, odd ones asks."""
    row = bookside_row(state, bookside)
    row.best_key = -1
    row.best_level = 0
    row.flip = PRICE_MAX if bookside & 1 else 0


@inlined
def page_key(bookside: int, key: int) -> int:
    return (bookside << PAGE_INDEX_BITS) | (key >> PAGE_BITS)


@inlined
def node_key(tier: int, bookside: int, index: int) -> int:
    return (tier << TIER_SHIFT) | (bookside << PAGE_INDEX_BITS) | index


@inlined
def find_page(state: Record, bookside: int, key: int) -> int:
    """Page of a key, or 0 when there is none."""
    entry = table.find(state.page_table, state.page_mask, page_key(bookside, key))
    if entry == 0:
        return 0
    return load_i64(entry + 8)


@inlined
def has_room(state: Record, bookside: int, key: int) -> bool:
    """Is there a page for this key, or can one be taken?"""
    if state.pages_used < state.pages_max:
        return True
    if find_page(state, bookside, key) != 0:
        return True
    drop_refilled(state)
    return state.queue_count > 0


@kernel
def drop_refilled(state: Record) -> None:
    """Leave an empty page at the front of the queue, or no page."""
    stay_apart()
    while state.queue_count > 0:
        page = load_i32(state.page_queue + ((state.queue_first & state.queue_mask) << 2))
        row = page_row(state, page)
        if row.bitmap == 0:
            return
        row.queued = 0
        state.queue_first += 1
        state.queue_count -= 1


@kernel
def is_full(state: Record) -> bool:
    """Are all pages taken and none of them empty?  Looks, and changes nothing."""
    for page in range(1, state.pages_used + 1):
        if page_row(state, page).bitmap == 0:
            return False
    return state.pages_used == state.pages_max  # type: ignore[no-any-return]


@kernel
def take_page(state: Record, bookside: int, key: int) -> int:
    """A page for a key that has none; the caller has asked ``has_room``."""
    stay_apart()
    if state.pages_used < state.pages_max:
        state.pages_used += 1
        page = state.pages_used
        for unit in range(page * PAGE_LEVELS, (page + 1) * PAGE_LEVELS):
            level = level_at(state.arena + (unit << UNIT_SHIFT))
            level.next = unit
            level.prev = unit
    else:
        drop_refilled(state)
        if VERIFY:
            assert state.queue_count > 0
        page = load_i32(state.page_queue + ((state.queue_first & state.queue_mask) << 2))
        state.queue_first += 1
        state.queue_count -= 1
        forget_page(state, page)
    row = page_row(state, page)
    row.bitmap = 0
    row.queued = 0
    row.key = page_key(bookside, key)
    table.insert(state.page_table, state.page_mask, row.key, page)
    return page


@kernel
def forget_page(state: Record, page: int) -> None:
    """Take an empty page out of the hash, and every trie node above it that is empty."""
    key = page_row(state, page).key
    table.delete(
        state.page_table, state.page_mask, table.find(state.page_table, state.page_mask, key)
    )
    bookside = key >> PAGE_INDEX_BITS
    index = key & ((1 << PAGE_INDEX_BITS) - 1)
    for tier in range(1, TRIE_TIERS + 1):
        index >>= PAGE_BITS
        entry = table.find(state.node_table, state.node_mask, node_key(tier, bookside, index))
        if entry != 0 and load_i64(entry + 8) == 0:
            table.delete(state.node_table, state.node_mask, entry)


@inlined
def level_for(state: Record, bookside: int, key: int) -> int:
    """Unit of the level of a key, its page taken if need be; room was checked before."""
    page = find_page(state, bookside, key)
    if page == 0:
        page = take_page(state, bookside, key)
    return (page << PAGE_BITS) | (key & LEVEL_MASK)


@inlined
def mark_filled(state: Record, bookside: int, key: int, unit: int, first: int) -> None:
    """An order came to rest at a level; ``first``: 1 if it is the only one there, else 0.

    Here and in ``mark_taken`` whether that changes the level, and the best, is not asked by a
    branch: it is a toss-up, and a wrong guess costs more than these few operations.
    """
    row = page_row(state, unit >> PAGE_BITS)
    before = row.bitmap
    row.bitmap = before | (1 << (unit & LEVEL_MASK))
    if before == 0:
        raise_trie(state, bookside, key >> PAGE_BITS)
    side = bookside_row(state, bookside)
    side.levels += first
    better = key > side.best_key
    side.best_key = key if better else side.best_key
    side.best_level = unit if better else side.best_level


@kernel
def raise_trie(state: Record, bookside: int, index: int) -> None:
    """Set the bits above a page that is no longer empty."""
    stay_apart()
    for tier in range(1, TRIE_TIERS + 1):
        own = bit(index & LEVEL_MASK)
        index >>= PAGE_BITS
        key = node_key(tier, bookside, index)
        entry = table.find(state.node_table, state.node_mask, key)
        if entry == 0:
            table.insert(state.node_table, state.node_mask, key, own)
        else:
            before = load_i64(entry + 8)
            store_i64(entry + 8, before | own)
            if before != 0:
                return


@inlined
def mark_taken(state: Record, bookside: int, key: int, unit: int, emptied: int) -> None:
    """A level lost an order; ``emptied``: 1 if it was its last one, else 0.  The best is found
    again if it was that level."""
    page = unit >> PAGE_BITS
    row = page_row(state, page)
    row.bitmap = row.bitmap & ~(emptied << (unit & LEVEL_MASK))
    after = row.bitmap  # Read again: as plain Python the top bit is no sign before it is stored.
    side = bookside_row(state, bookside)
    side.levels -= emptied
    if after == 0:
        mark_page_empty(state, bookside, key, page)
        return
    # In the page of the best level the best is the highest bit, whether it changed or not.
    is_best_page = (side.best_key ^ key) >> PAGE_BITS == 0
    slot = highest_bit(after)
    side.best_key = (key & ~LEVEL_MASK) | slot if is_best_page else side.best_key
    side.best_level = (page << PAGE_BITS) | slot if is_best_page else side.best_level


@kernel
def mark_page_empty(state: Record, bookside: int, key: int, page: int) -> None:
    """The last level of a page lost its last order."""
    stay_apart()
    row = page_row(state, page)
    if row.queued == 0:
        row.queued = 1
        place = (state.queue_first + state.queue_count) & state.queue_mask
        store_i32(state.page_queue + (place << 2), page)
        state.queue_count += 1
    best = lower_trie(state, bookside, key >> PAGE_BITS)
    if bookside_row(state, bookside).best_key == key:
        set_best(state, bookside, best)


@kernel
def lower_trie(state: Record, bookside: int, index: int) -> int:
    """Clear the bits above an emptied page; the highest page index under the first
    ancestor that still has one, or -1 when the side is empty."""
    for tier in range(1, TRIE_TIERS + 1):
        own = bit(index & LEVEL_MASK)
        index >>= PAGE_BITS
        entry = table.find(state.node_table, state.node_mask, node_key(tier, bookside, index))
        if VERIFY:
            assert entry != 0
        after = load_i64(entry + 8) & ~own
        store_i64(entry + 8, after)
        if after != 0:
            return descend(state, bookside, tier, (index << PAGE_BITS) | highest_bit(after))
    return -1


@kernel
def descend(state: Record, bookside: int, tier: int, index: int) -> int:
    """Highest page index below child ``index`` of a node of ``tier``."""
    while tier > 1:
        tier -= 1
        entry = table.find(state.node_table, state.node_mask, node_key(tier, bookside, index))
        if VERIFY:
            assert entry != 0
        index = (index << PAGE_BITS) | highest_bit(load_i64(entry + 8))
    return index


@inlined
def set_best(state: Record, bookside: int, index: int) -> None:
    """Make the highest level of page ``index`` the best; -1: the side is empty."""
    side = bookside_row(state, bookside)
    if index < 0:
        side.best_key = -1
        side.best_level = 0
        return
    page = find_page(state, bookside, index << PAGE_BITS)
    slot = highest_bit(page_row(state, page).bitmap)
    side.best_key = (index << PAGE_BITS) | slot
    side.best_level = (page << PAGE_BITS) | slot


@kernel
def next_level(state: Record, bookside: int, key: int) -> int:
    """The next worse key that has orders after ``key`` (which has some), or -1."""
    page = find_page(state, bookside, key)
    below = page_row(state, page).bitmap & ((1 << (key & LEVEL_MASK)) - 1)
    if below != 0:
        return (key & ~LEVEL_MASK) | highest_bit(below)
    index = key >> PAGE_BITS
    for tier in range(1, TRIE_TIERS + 1):
        below_bits = (1 << (index & LEVEL_MASK)) - 1
        index >>= PAGE_BITS
        entry = table.find(state.node_table, state.node_mask, node_key(tier, bookside, index))
        below = load_i64(entry + 8) & below_bits
        if below != 0:
            index = descend(state, bookside, tier, (index << PAGE_BITS) | highest_bit(below))
            page = find_page(state, bookside, index << PAGE_BITS)
            return (index << PAGE_BITS) | highest_bit(page_row(state, page).bitmap)
    return -1


@kernel
def close_level(state: Record, bookside: int, opener: int) -> None:
    """A level is empty: it counts no longer against the limits of the account that opened it."""
    stay_apart()
    if bookside >= STOP_SIDES or opener == 0:
        return
    account = account_row(state, opener)
    if account.special & SPECIAL_LIMITS != 0 and account.limits != 0:
        limit_row(state, account.limits).levels -= 1


@kernel
def is_vacant(state: Record, bookside: int, key: int) -> bool:
    """Does nobody rest at a key?"""
    page = find_page(state, bookside, key)
    return page == 0 or (page_row(state, page).bitmap >> (key & LEVEL_MASK)) & 1 == 0  # type: ignore[no-any-return]


@kernel
def count_opened(state: Record, account: int) -> int:
    """Levels of the books that an account opened and that are not empty since: a walk over all."""
    seldom()
    count = 0
    for page in range(1, state.pages_used + 1):
        row = page_row(state, page)
        if row.bitmap == 0 or row.key >> PAGE_INDEX_BITS >= STOP_SIDES:
            continue
        for place in range(PAGE_LEVELS):
            is_filled = (row.bitmap >> place) & 1 != 0
            if is_filled and level_row(state, (page << PAGE_BITS) | place).opener == account:
                count += 1
    return count


@kernel
def level_at_key(state: Record, bookside: int, key: int) -> Record:
    """The level of a key that has orders."""
    page = find_page(state, bookside, key)
    return level_row(state, (page << PAGE_BITS) | (key & LEVEL_MASK))
