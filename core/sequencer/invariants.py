"""Every truth that holds between the rows of the state (reliability.md section 6), all at once.

Written over numpy views, apart from the kernels: O(state), for tests, replay --check and the
replayer.  ``check`` raises AssertionError with the first truth that is broken.
"""

from typing import Any, Final

import numpy as np

from core import memory
from core.book import invariants as book
from core.jit import kernel
from core.messages import (
    MATCHED_OUTSIDE,
    ROUTE_CANCEL,
    ROUTE_REPLACE,
    STATUS_FREE,
    STATUS_OPEN,
    STATUS_PENDING,
    STATUS_ROUTED,
)
from core.records import (
    ACCOUNT,
    COLD,
    DEADLINE,
    DUE_CLEARING,
    DUE_DEAD_MAN,
    DUE_ORDER,
    EXTRA,
    ID_RECORD,
    INSTRUMENT,
    LEVEL,
    ORDER,
    ROUTED,
    SESSION,
)
from core.risk import counts
from core.risk import invariants as risk
from core.rows import instrument_at
from core.sequencer.state import State
from core.sequencer.terms import derive

Array = np.ndarray[Any, Any]
OPEN: Final = (STATUS_OPEN, STATUS_PENDING, STATUS_ROUTED)


def check(state: State) -> None:
    """All invariants of book, risk, ids and pool."""
    slots = state["slots_used"] + 1
    orders = memory.view(state["arena"] + state["order_base"] * LEVEL.itemsize, ORDER, slots)
    cold = state.rows("cold", COLD, slots)
    assert not orders[0].tobytes().strip(b"\0"), "order row 0 is used"
    open_slots = np.flatnonzero(np.isin(cold["status"], OPEN))
    assert len(open_slots) == state["open_orders"], "open orders are miscounted"
    check_pool(state, orders, cold)
    book.check(state, orders, cold, open_slots)
    check_account_lists(state, orders, cold, open_slots)
    check_ids(state, orders, cold)
    check_extras(state, orders, open_slots)
    check_terms(state)
    check_routed(state, orders, cold, open_slots)
    counts.check(state, orders, cold, open_slots)
    if state["risk"]:
        risk.check(state, orders, cold, open_slots)


def check_pool(state: State, orders: Array, cold: Array) -> None:
    """Used = open + kept + freed, and every ended order is kept exactly once."""
    freed = []
    slot = state["free_slot"]
    while slot:
        freed.append(slot)
        assert cold[slot]["status"] == STATUS_FREE, f"freed slot {slot} has a status"
        assert len(freed) <= len(orders), "the free list has a loop"
        slot = int(orders[slot]["next"])
    kept = state.sections()[7][1].view("<i4")
    ended = np.flatnonzero(~np.isin(cold["status"], (*OPEN, STATUS_FREE)))
    assert sorted(kept.tolist()) == ended.tolist(), "kept rows are not the ended orders"
    assert len(kept) == state["closed_count"] <= state["closed_keep"]
    used = state["open_orders"] + len(kept) + len(freed)
    assert used == state["slots_used"], f"{state['slots_used'] - used} order slots leaked"
    live = cold["status"] != STATUS_FREE
    live[0] = False
    slots = np.flatnonzero(live)
    assert np.array_equal(orders["order_id"][slots] & ((1 << 22) - 1), slots), "order id and slot"
    assert (orders["leaves"][ended] == 0).all(), "an ended order has open quantity"
    assert (orders["cum"] >= 0).all()


def check_account_lists(state: State, orders: Array, cold: Array, open_slots: Array) -> None:
    """Each account's list holds its open orders, each once, ascending by order id."""
    accounts = state.rows("accounts", ACCOUNT, state["accounts_used"] + 1)
    seen: list[int] = []
    for account in np.flatnonzero(accounts["open_orders"] | accounts["open_head"]):
        slot, before, ids = int(accounts[account]["open_head"]), 0, []
        while slot:
            assert int(cold[slot]["account_prev"]) == before, "account list is torn"
            assert int(cold[slot]["account"]) == account, "order is in a foreign list"
            ids.append(int(orders[slot]["order_id"]))
            seen.append(slot)
            before, slot = slot, int(cold[slot]["account_next"])
        assert before == int(accounts[account]["open_tail"]), "account list has a wrong end"
        assert ids == sorted(set(ids)), "account list is not ascending"
        assert len(ids) == int(accounts[account]["open_orders"])
    assert sorted(seen) == open_slots.tolist(), "account lists are not the open orders"


def check_ids(state: State, orders: Array, cold: Array) -> None:
    """Each id record is in exactly one place: line, overdue line, passed and current, or free."""
    records = state.rows("id_records", ID_RECORD, state["ids_used"] + 1)
    lines = []
    for first, last in (("ids_first", "ids_last"), ("overdue_first", "overdue_last")):
        row, end, line = state[first], 0, []
        while row:
            line.append(row)
            assert len(line) <= len(records), "a line of ids has a loop"
            end, row = row, int(records[row]["next"])
        assert end == state[last], f"{last} is not the end of its line"
        lines.append(line)
    free, row = [], state["ids_free"]
    while row:
        free.append(row)
        row = int(records[row]["next"])
    passed = np.flatnonzero(records["passed"]).tolist()
    together = sorted([*lines[0], *lines[1], *passed, *free])
    assert together == list(range(1, len(records))), "an id record is lost or in two places"
    assert len(together) - len(free) == state["ids_count"] <= state["ids_max"]
    for record in passed:
        order_id = int(records[record]["order_id"])
        slot = order_id & ((1 << 22) - 1)
        current = int(orders[slot]["order_id"]) == order_id
        current = current and int(cold[slot]["status"]) in OPEN
        assert current and int(cold[slot]["id_record"]) == record, "a passed id is not current"


def check_extras(state: State, orders: Array, open_slots: Array) -> None:
    """Each extra row is free or of one open order; deadlines are a heap that rows know places of;
    pairs name each other; nothing waits in the cascade."""
    extras = state.rows("extras", EXTRA, state["extras_used"] + 1)
    free, row = [], state["extras_free"]
    while row:
        free.append(row)
        assert len(free) <= len(extras), "the list of free extra rows has a loop"
        row = int(extras[row]["next"])
    owners = {int(orders[slot]["extra"]): int(slot) for slot in open_slots} | {}
    owners.pop(0, None)
    used = {row for row in range(1, len(extras)) if int(extras[row]["slot"])}
    assert used == set(owners), "extra rows are not those of open orders"
    assert all(int(extras[row]["slot"]) == slot for row, slot in owners.items())
    assert sorted([*used, *free]) == list(range(1, len(extras))), "an extra row is lost"
    assert state["extras_count"] == len(used)
    assert not orders["extra"][np.setdiff1d(np.arange(len(orders)), open_slots)].any()
    for row, slot in owners.items():
        partner = int(extras[row]["partner"])
        if partner:
            other = int(orders[partner & ((1 << 22) - 1)]["extra"])
            assert int(extras[other]["partner"]) == int(orders[slot]["order_id"]), "a torn pair"
    check_deadlines(state, extras)
    assert not state["cascade_count"] and not state["orphan"], "something was left to be done"
    assert not state["paired"], "cash of pairs was not told"


def check_deadlines(state: State, extras: Array) -> None:
    rows = state.rows("deadlines", DEADLINE, state["deadlines_count"] + 1)
    keys = [(int(row["when_ns"]), int(row["sequence"])) for row in rows]
    for place in range(2, len(rows)):
        assert keys[place // 2] <= keys[place], "deadlines are no heap"
    of_orders = {
        int(row["row"]): place for place, row in enumerate(rows) if int(row["kind"]) == DUE_ORDER
    }
    for row in range(1, len(extras)):
        assert int(extras[row]["deadline"]) == of_orders.get(row, 0), "a deadline is lost"
    of_accounts = {
        int(row["row"]): place for place, row in enumerate(rows) if int(row["kind"]) == DUE_DEAD_MAN
    }
    accounts = state.rows("accounts", ACCOUNT, state["accounts_used"] + 1)
    for account in range(1, len(accounts)):
        assert int(accounts[account]["dead_man"]) == of_accounts.get(account, 0)
    of_instruments = {
        int(row["row"]): place for place, row in enumerate(rows) if int(row["kind"]) == DUE_CLEARING
    }
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    for instrument in range(1, len(instruments)):
        assert int(instruments[instrument]["clearing"]) == of_instruments.get(instrument, 0)


def check_terms(state: State) -> None:
    """What every order asks of an instrument follows from its terms; its day is in order."""
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    for number in range(1, len(instruments)):
        row = instruments[number : number + 1].copy()
        derive_again(row.ctypes.data)
        assert row.tobytes() == instruments[number].tobytes(), (
            f"instrument {number}: a term was not taken over"
        )
        if row["day_trades"][0]:
            low, high = int(row["day_low"][0]), int(row["day_high"][0])
            assert low <= int(row["day_open"][0]) <= high
            assert low <= int(row["last_price"][0]) <= high
    assert not state.rows("sessions", SESSION, state["sessions_used"] + 1)["counted"].any()


def check_routed(state: State, orders: Array, cold: Array, open_slots: Array) -> None:
    """Open orders that are matched outside are counted, stand in no book, and know what is asked
    of them; no other order does."""
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    outside = instruments["matching"] == MATCHED_OUTSIDE
    count = np.zeros(len(instruments), np.int64)
    for slot in open_slots:
        order, row = orders[slot].copy().view(ROUTED), cold[slot]
        number = int(row["instrument"])
        status = int(row["status"])
        if not outside[number]:
            assert status != STATUS_ROUTED, f"order {slot} is routed, and matched here"
            continue
        count[number] += 1
        assert status in (STATUS_OPEN, STATUS_ROUTED)
        assert int(order["level"]) == 0
        assert int(order["route"]) >= 1
        assert int(order["asked"]) in (0, ROUTE_CANCEL, ROUTE_REPLACE)
        wanted = int(order["asked"]) == ROUTE_REPLACE
        assert (int(row["short_cash"]) > 0) == wanted, "terms are asked for without a replace"
        assert wanted or not int(order["asked_price"])
    assert np.array_equal(instruments["open_orders"], count), "routed orders are miscounted"


@kernel
def derive_again(address: int) -> None:
    """What follows from the terms of the instrument at ``address``."""
    derive(instrument_at(address))
