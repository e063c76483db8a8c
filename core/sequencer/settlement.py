"""SETTLE_INSTRUMENT: a BINARY pays, and pays again where its price is corrected."""

from typing import Final

from core.book import cascade
from core.jit import kernel, stay_apart
from core.memory import Record, pointer
from core.messages import ADMIN, BINARY, INSTRUMENT_SETTLED, PHASE_SETTLED, SETTLEMENT
from core.reasons import Reason
from core.risk.accounts import OUTSIDE_ACCOUNT
from core.risk.limits import count_cost
from core.risk.money import summed
from core.rows import asset_row, balance_row, instrument_row, position_row
from core.sequencer.admit import because, reject_admin
from core.sequencer.finish import expire_open, is_open
from core.sequencer.instrument import about
from core.sequencer.mass import count_instrument, gather
from core.sequencer.pairs import money_event
from core.sequencer.terms import derive

admin_at = pointer(ADMIN)

INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
MALFORMED: Final = Reason.MALFORMED.value
PRICE_OUT_OF_BAND: Final = Reason.PRICE_OUT_OF_BAND.value
SETTLEMENT_REASON: Final = Reason.SETTLEMENT.value
TERMS: Final = Reason.TERMS.value
UNKNOWN_INSTRUMENT: Final = Reason.UNKNOWN_INSTRUMENT.value


@kernel
def settle_instrument(state: Record, command: int) -> None:
    stay_apart()
    settle = admin_at(command)
    row = settle.instrument
    reason = 0
    if settle.slots != 1 or settle.price < 0:
        reason = MALFORMED
    elif not 0 < row <= state.instruments_used:
        reason = UNKNOWN_INSTRUMENT
    elif instrument_row(state, row).instrument_type != BINARY:
        reason = TERMS
    if reason == 0:
        terms = instrument_row(state, row)
        last = terms.payout // terms.multiplier
        if settle.price > last:
            reason = because(state, PRICE_OUT_OF_BAND, last, settle.price)
    lacking = 0
    if reason == 0:
        lacking = find_lacking(state, row, settle.price)
        if lacking != 0:
            reason = INSUFFICIENT_FUNDS
    if reason != 0:
        event = reject_admin(state, command, reason)
        if lacking != 0:
            event.account = lacking
        return
    begin_settlement(state, command, row, settle.price)


@kernel
def find_lacking(state: Record, row: int, price: int) -> int:
    """The first account that cannot pay what a correction takes from it, or 0."""
    terms = instrument_row(state, row)
    if terms.phase != PHASE_SETTLED:
        return 0
    for number in range(1, state.positions_used + 1):
        position = position_row(state, number)
        if position.account == OUTSIDE_ACCOUNT:
            continue  # What it pays comes from outside.
        if position.instrument == row and position.settled != 0:
            pays = (terms.settled_price - price) * terms.multiplier * position.settled
            free = balance_row(state, position.quote_balance).available
            if pays > free:
                because(state, INSUFFICIENT_FUNDS, free, pays)
                return position.account  # type: ignore[no-any-return]
    return 0


@kernel
def begin_settlement(state: Record, command: int, row: int, price: int) -> None:
    """INSTRUMENT_SETTLED, then orders end, then positions are paid."""
    terms = instrument_row(state, row)
    again = terms.phase == PHASE_SETTLED
    before = terms.settled_price if again else -1
    event = about(state, command, row, INSTRUMENT_SETTLED)
    event.price = price
    event.cum = before
    if again and before == price:
        return
    event.qty = count_paid(state, row, again)
    if not again:
        event.leaves = count_instrument(state, row)
        end_orders(state, row)
    for number in range(1, state.positions_used + 1):
        position = position_row(state, number)
        if position.instrument != row:
            continue
        if again and position.settled != 0:
            cash = (price - before) * terms.multiplier * position.settled
            position.realized = summed(position.realized, cash)
            pay(state, number, price, position.settled, cash)
        elif not again and position.net != 0:
            close_position(state, number, price)
    terms.settled_price = price
    terms.phase = PHASE_SETTLED
    derive(terms)


@kernel
def count_paid(state: Record, row: int, again: bool) -> int:  # noqa: FBT001
    """How many positions are paid, or corrected."""
    count = 0
    for number in range(1, state.positions_used + 1):
        position = position_row(state, number)
        lots = position.settled if again else position.net
        if position.instrument == row and lots != 0:
            count += 1
    return count


@kernel
def end_orders(state: Record, row: int) -> None:
    """Every open order of the instrument expires, ascending by order id."""
    gather(state, row)
    while state.cascade_count > 0:
        slot = cascade.pop(state)
        if is_open(state, slot):
            expire_open(state, slot, SETTLEMENT_REASON)


@kernel
def close_position(state: Record, number: int, price: int) -> None:
    """YES lots get the price each, NO lots the rest of the payout."""
    position = position_row(state, number)
    terms = instrument_row(state, position.instrument)
    net = position.net
    value = price * terms.multiplier
    cash = net * value if net > 0 else -net * (terms.payout - value)
    cost = position.cost
    position.realized = summed(position.realized, net * value - cost)
    position.settled += net
    position.net = 0
    position.cost = 0
    if state.limits_used != 0:
        count_cost(state, position, cost)
    pay(state, number, price, net, cash)


@kernel
def pay(state: Record, number: int, price: int, lots: int, cash: int) -> None:
    """From the pot to an account (negative: back), and SETTLEMENT."""
    position = position_row(state, number)
    quote = balance_row(state, position.quote_balance)
    terms = instrument_row(state, position.instrument)
    quote.available += cash
    terms.pot -= cash
    if position.account == OUTSIDE_ACCOUNT:
        asset_row(state, terms.quote_asset).issued -= cash
    event = money_event(state, SETTLEMENT, position.account, position.instrument)
    event.price = price
    event.qty = lots
    event.leaves = quote.available
    event.cum = cash
