"""How a kernel reaches a row of the state: accessors from a row number to a record with names.

The state is one STATE record (addresses, masks and limits of this process, then the counters that
are part of the state) and the tables it points to (``core.records``).  A kernel is given the
address of STATE.  In checked mode every row number is checked here, which is the bounds check of
the whole engine.
"""

from typing import Final

from core.constants import STOP_SIDES
from core.jit import VERIFY, inlined
from core.memory import Record, pointer
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
    LINK,
    ORDER,
    PAGE,
    POSITION,
    REACH,
    ROUTED,
    SESSION,
    SLOT_ENTRY,
    STATE,
    UNIT_BYTES,
    UNIT_SHIFT,
)

state_at = pointer(STATE, "state")
level_at = pointer(LEVEL, "arena")
order_at = pointer(ORDER, "arena")
routed_at = pointer(ROUTED, "arena")
cold_at = pointer(COLD, "cold")
page_at = pointer(PAGE, "page")
entry_at = pointer(SLOT_ENTRY)
bookside_at = pointer(BOOKSIDE, "bookside")
account_at = pointer(ACCOUNT, "account")
balance_at = pointer(BALANCE, "balance")
position_at = pointer(POSITION, "position")
asset_at = pointer(ASSET)
instrument_at = pointer(INSTRUMENT, "instrument")
session_at = pointer(SESSION)
extra_at = pointer(EXTRA, "extra")
deadline_at = pointer(DEADLINE)
draft_at = pointer(DRAFT)
reach_at = pointer(REACH)
limit_at = pointer(LIMIT_ROW, "limit")
id_record_at = pointer(ID_RECORD, "id_record")
link_at = pointer(LINK, "arena")

PAGE_SHIFT: Final = 5
ORDER_SHIFT: Final = 6
COLD_SHIFT: Final = 7
assert LEVEL.itemsize == UNIT_BYTES and ORDER.itemsize == ROUTED.itemsize == 2 * UNIT_BYTES
assert PAGE.itemsize == 1 << PAGE_SHIFT and COLD.itemsize == 1 << COLD_SHIFT
assert (STATE.itemsize - COUNTERS_AT) % 8 == 0


@inlined
def link_row(state: Record, unit: int) -> Record:
    """The link of any unit of the arena."""
    if VERIFY:
        assert 0 < unit < state.order_base + 2 * (state.orders_max + state.closed_keep + 1)
    return link_at(state.arena + (unit << UNIT_SHIFT))


@inlined
def level_row(state: Record, unit: int) -> Record:
    if VERIFY:
        assert 64 <= unit < state.order_base
    return level_at(state.arena + (unit << UNIT_SHIFT))


@inlined
def order_row(state: Record, slot: int) -> Record:
    if VERIFY:
        assert 0 < slot <= state.slots_used
    return order_at(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))


@inlined
def routed_row(state: Record, slot: int) -> Record:
    """``order_row`` of an order that is matched outside."""
    if VERIFY:
        assert 0 < slot <= state.slots_used
    return routed_at(state.arena + ((state.order_base + 2 * slot) << UNIT_SHIFT))


@inlined
def order_of_unit(state: Record, unit: int) -> Record:
    if VERIFY:
        assert state.order_base < unit <= state.order_base + 2 * state.slots_used
        assert (unit - state.order_base) & 1 == 0
    return order_at(state.arena + (unit << UNIT_SHIFT))


@inlined
def slot_of_unit(state: Record, unit: int) -> int:
    return (unit - state.order_base) >> 1


@inlined
def cold_row(state: Record, slot: int) -> Record:
    if VERIFY:
        assert 0 < slot <= state.slots_used
    return cold_at(state.cold + (slot << COLD_SHIFT))


@inlined
def page_row(state: Record, page: int) -> Record:
    if VERIFY:
        assert 0 < page <= state.pages_used
    return page_at(state.pages + (page << PAGE_SHIFT))


@inlined
def bookside_row(state: Record, bookside: int) -> Record:
    if VERIFY:
        assert 2 <= (bookside & ~STOP_SIDES) < 2 * (state.instruments_used + 1)
    return bookside_at(state.booksides + bookside * 64)


@inlined
def account_row(state: Record, account: int) -> Record:
    if VERIFY:
        assert 0 < account <= state.accounts_used
    return account_at(state.accounts + account * 128)


@inlined
def balance_row(state: Record, balance: int) -> Record:
    if VERIFY:
        assert 0 < balance <= state.balances_used
    return balance_at(state.balances + balance * 32)


@inlined
def position_row(state: Record, position: int) -> Record:
    if VERIFY:
        assert 0 < position <= state.positions_used
    return position_at(state.positions + position * 192)


@inlined
def asset_row(state: Record, asset: int) -> Record:
    if VERIFY:
        assert 0 < asset <= state.assets_used
    return asset_at(state.assets + asset * 64)


@inlined
def instrument_row(state: Record, instrument: int) -> Record:
    if VERIFY:
        assert 0 < instrument <= state.instruments_used
    return instrument_at(state.instruments + instrument * 512)


@inlined
def session_row(state: Record, session: int) -> Record:
    if VERIFY:
        assert 0 < session <= state.sessions_used
    return session_at(state.sessions + session * 64)


@inlined
def extra_row(state: Record, row: int) -> Record:
    if VERIFY:
        assert 0 < row <= state.extras_used
    return extra_at(state.extras + row * 128)


@inlined
def deadline_row(state: Record, place: int) -> Record:
    if VERIFY:
        assert 0 < place <= state.deadlines_count
    return deadline_at(state.deadlines + place * 32)


@inlined
def limit_row(state: Record, row: int) -> Record:
    if VERIFY:
        assert 0 < row <= state.limits_used
    return limit_at(state.limit_rows + row * 192)


@inlined
def draft_of(state: Record) -> Record:
    """Where the checks of an order leave what they found out."""
    return draft_at(state.draft)


@inlined
def reach_row(state: Record, instrument: int) -> Record:
    if VERIFY:
        assert 0 < instrument <= state.instruments_used
    return reach_at(state.reaches + instrument * 16)


@inlined
def id_record_row(state: Record, row: int) -> Record:
    if VERIFY:
        assert 0 < row <= state.ids_used
    return id_record_at(state.id_records + row * 64)


def table_mask(rows: int) -> int:
    """Mask of a power-of-two table that holds ``rows`` entries at a load of at most one half."""
    return (1 << (2 * max(rows, 4) - 1).bit_length()) - 1
