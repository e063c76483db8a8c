"""Every structural truth of the books, asserted over the whole state."""

from typing import Any

import numpy as np

from core import memory
from core.book.levels import find_page, next_level
from core.constants import PAGE_BITS, PAGE_INDEX_BITS, PAGE_LEVELS, STOP_SIDES
from core.jit import kernel
from core.messages import BUY, MATCHED_OUTSIDE, STATUS_PENDING
from core.records import BOOKSIDE, EXTRA, INSTRUMENT, LEVEL, PAGE
from core.rows import bookside_row, state_at

Array = np.ndarray[Any, Any]


def check(state: Any, orders: Array, cold: Array, open_slots: Array) -> None:
    """Levels, pages, trie and best of every bookside against the open orders themselves."""
    pages = state.rows("pages", PAGE, state["pages_used"] + 1)
    levels = memory.view(state["arena"], LEVEL, len(pages) * PAGE_LEVELS)
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    outside = instruments["matching"] == MATCHED_OUTSIDE
    rests = {int(slot) for slot in open_slots if not outside[int(cold[slot]["instrument"])]}
    seen: set[int] = set()
    for page in range(1, len(pages)):
        for place in range(PAGE_LEVELS):
            unit = page * PAGE_LEVELS + place
            level = levels[unit]
            filled = bool(int(pages[page]["bitmap"]) >> place & 1)
            assert filled == (int(level["next"]) != unit), f"bitmap of page {page}, level {place}"
            if not filled:
                assert int(level["prev"]) == unit and not level["shown"] and not level["orders"]
                continue
            seen.update(check_level(state, orders, cold, int(pages[page]["key"]), unit))
    assert seen == rests, "open orders and orders in the book differ"
    check_sides(state, pages, levels)
    check_queue(state, pages)


def check_level(state: Any, orders: Array, cold: Array, page_key: int, unit: int) -> list[int]:
    """One level: its ring of orders, their prices, its sums; the slots it holds."""
    levels = memory.view(state["arena"], LEVEL, unit + 1)
    bookside = page_key >> PAGE_INDEX_BITS
    index = page_key & ((1 << PAGE_INDEX_BITS) - 1)
    key = index << PAGE_BITS | unit & (PAGE_LEVELS - 1)
    flip = int(state.rows("booksides", BOOKSIDE, bookside + 1)[bookside]["flip"])  # Stops too.
    slots, before, at = [], unit, int(levels[unit]["next"])
    while at != unit:
        slot = (at - state["order_base"]) // 2
        order = orders[slot]
        assert int(order["prev"]) == before, f"order {slot} does not point back"
        assert int(order["level"]) == unit
        check_place(state, order, cold[slot], bookside, key ^ flip)
        slots.append(slot)
        assert len(slots) <= len(orders), "a level has a loop"
        before, at = at, int(order["next"])
    assert int(levels[unit]["prev"]) == before
    assert int(levels[unit]["orders"]) == len(slots)
    assert int(levels[unit]["shown"]) == sum(int(orders[slot]["shown"]) for slot in slots)
    hidden = sum(int(orders[slot]["leaves"]) - int(orders[slot]["shown"]) for slot in slots)
    assert int(levels[unit]["hidden"]) == (0 if bookside >= STOP_SIDES else hidden)
    return slots


def check_place(state: Any, order: Any, row: Any, bookside: int, price: int) -> None:
    """An order stands on its side at its price; a stop where it waits, showing nothing."""
    waits = bookside >= STOP_SIDES
    own = 2 * int(row["instrument"]) + ((int(row["side"]) != BUY) != waits)
    assert own + STOP_SIDES * waits == bookside, "an order stands on a foreign side"
    assert (int(row["status"]) == STATUS_PENDING) == waits
    if waits:
        extras = state.rows("extras", EXTRA, state["extras_used"] + 1)
        assert int(extras[int(order["extra"])]["stop_price"]) == price
        assert int(order["shown"]) == 0
        return
    assert int(order["price"]) == price
    assert 0 < int(order["shown"]) <= int(order["leaves"])


def check_sides(state: Any, pages: Array, levels: Array) -> None:
    """Best and number of levels of every side, by the pages and by a walk of the trie; no cross."""
    filled: dict[int, list[int]] = {}
    for page in range(1, len(pages)):
        key = int(pages[page]["key"])
        bookside, index = key >> PAGE_INDEX_BITS, key & ((1 << PAGE_INDEX_BITS) - 1)
        if int(pages[page]["bitmap"]):
            assert page_of(state.address, bookside, index << PAGE_BITS) == page
        for place in range(PAGE_LEVELS):
            if int(pages[page]["bitmap"]) >> place & 1:
                filled.setdefault(bookside, []).append(index << PAGE_BITS | place)
    sides = state.rows("booksides", BOOKSIDE, 2 * (state["instruments_used"] + 1))
    used = [*range(2, len(sides)), *range(STOP_SIDES + 2, STOP_SIDES + len(sides))]
    every = state.rows("booksides", BOOKSIDE, STOP_SIDES + len(sides))
    assert set(filled) <= set(used)
    for bookside in used:
        keys = filled.get(bookside, [])
        side = every[bookside]
        assert int(side["best_key"]) == max(keys, default=-1), f"best of bookside {bookside}"
        assert int(side["levels"]) == len(keys), f"levels of bookside {bookside}"
        assert levels_walked(state.address, bookside) == len(keys), "trie and pages differ"
        if keys:
            assert int(side["best_level"]) & (PAGE_LEVELS - 1) == max(keys) & (PAGE_LEVELS - 1)
    for bid in range(2, len(sides), 2):
        if int(sides[bid]["best_key"]) >= 0 and int(sides[bid + 1]["best_key"]) >= 0:
            ask = int(sides[bid + 1]["best_key"]) ^ int(sides[bid + 1]["flip"])
            assert int(sides[bid]["best_key"]) < ask, f"book {bid // 2} is crossed"


def check_queue(state: Any, pages: Array) -> None:
    """Every empty page waits in the queue, each once."""
    waiting = state._ring("page_queue", "queue_first", "queue_count", "queue_mask").view("<i4")
    assert len(set(waiting.tolist())) == len(waiting), "a page waits twice"
    assert set(waiting.tolist()) == set(np.flatnonzero(pages["queued"]).tolist())
    empty = set(np.flatnonzero(pages["bitmap"] == 0).tolist()) - {0}
    assert empty <= set(waiting.tolist()), "an empty page is lost"


@kernel
def page_of(state_address: int, bookside: int, key: int) -> int:
    """The page that the hash gives for a key."""
    return find_page(state_at(state_address), bookside, key)


@kernel
def levels_walked(state_address: int, bookside: int) -> int:
    """How many levels a walk from the best to the worst meets."""
    state = state_at(state_address)
    count = 0
    key = bookside_row(state, bookside).best_key
    while key >= 0:
        count += 1
        key = next_level(state, bookside, key)
    return count
