"""The clearing of an instrument, when its deadline has come."""

from core.book import deadlines
from core.constants import DUE_MAX
from core.jit import kernel, stay_apart
from core.memory import Record
from core.messages import CLEARED, SETTLEMENT
from core.risk import clearing
from core.rows import deadline_row, instrument_row, position_row
from core.sequencer.pairs import money_event


@kernel
def is_due(position: Record, instrument: int) -> bool:
    traded = (position.due_bought | position.due_sold) != 0
    return traded and position.instrument == instrument  # type: ignore[no-any-return]


@kernel
def clear(state: Record, instrument: int) -> bool:
    """CLEARED, and a SETTLEMENT of each position with something due, at most DUE_MAX of them.
    Was that all?"""
    stay_apart()
    terms = instrument_row(state, instrument)
    count = 0
    for row in range(1, state.positions_used + 1):
        if is_due(position_row(state, row), instrument):
            count += 1
    last = count <= DUE_MAX
    left = min(count, DUE_MAX)
    event = money_event(state, CLEARED, 0, instrument)
    event.order_id = instrument
    event.price = deadline_row(state, terms.clearing).when_ns
    event.qty = left
    event.leaves = 0 if last else 1
    row = 1
    while left > 0:
        if is_due(position_row(state, row), instrument):
            settle_one(state, row)
            left -= 1
        row += 1
    if last:
        clearing.settle_fees(state, terms)
        deadlines.remove(state, terms.clearing)
    return last


@kernel
def settle_one(state: Record, row: int) -> None:
    position = position_row(state, row)
    event = money_event(state, SETTLEMENT, position.account, position.instrument)
    event.qty = position.due_base
    event.cum = position.due_quote
    event.leaves = position.due_bought
    event.cum_notional = position.due_sold
    clearing.settle_due(state, row)
