"""What one fill does to money and positions.  Every movement sums to zero per asset."""

from core.constants import WORD_MOST
from core.jit import VERIFY, inlined, kernel, seldom
from core.memory import Record
from core.messages import BUY
from core.risk.limits import count_cost
from core.risk.money import notional_affordable, ppm_down, ppm_up, share, summed
from core.rows import balance_row, cold_row, order_row, position_row


@inlined
def affordable(terms: Record, price: int, cash: int) -> int:
    """The most lots whose notional and taker fee ``cash`` pays at ``price``."""
    ppm = terms.taker_ppm if terms.taker_ppm > 0 else 0
    return notional_affordable(cash, ppm) // (price * terms.multiplier)  # type: ignore[no-any-return]


@inlined
def charge(terms: Record, order: Record, cold: Record, ppm: int, notional: int) -> int:
    """Fee of one side before rebates: 0 where ppm is negative."""
    if ppm <= 0:
        return 0
    fee = ppm_up(notional, ppm)
    if cold.side == BUY and order.price != 0:
        return min(fee, cold.hold_fee)
    return fee


@inlined
def rebate(fees: Record, ppm: int, notional: int) -> int:
    """Rebate of one side, no more than the fees account has; it is taken from there."""
    if ppm >= 0:
        return 0
    amount = min(ppm_down(notional, -ppm), fees.available)
    fees.available -= amount
    return amount  # type: ignore[no-any-return]


@inlined
def buyer_pays(state: Record, terms: Record, slot: int, fill: int, notional: int, fee: int) -> None:
    """Cash of the buyer, fee (negative: rebate) included; ``order.leaves`` is after the fill."""
    order = order_row(state, slot)
    cold = cold_row(state, slot)
    position = position_row(state, cold.position)
    quote = balance_row(state, position.quote_balance)
    paid = fee if fee > 0 else 0
    if order.price == 0:  # It has no limit: all of its hold is one budget.
        cold.hold_fee -= notional + paid
        quote.held -= notional + paid
        quote.available += paid - fee
    else:
        principal = order.price * fill * terms.multiplier
        left = cold.hold_fee - paid
        need = ppm_up(order.price * order.leaves * terms.multiplier, terms.hold_ppm)
        left = min(left, need)
        released = principal + cold.hold_fee - left
        cold.hold_fee = left
        quote.held -= released
        quote.available += released - notional - fee
    base = balance_row(state, position.base_balance)
    base.available += fill * terms.base_per_lot
    if VERIFY:
        assert quote.held >= 0 and quote.available >= 0 and cold.hold_fee >= 0
    before = position.cost
    buy_position(position, fill, notional)
    if state.limits_used != 0:
        count_cost(state, position, before)


@inlined
def seller_delivers(
    state: Record, terms: Record, slot: int, fill: int, notional: int, fee: int
) -> None:
    """Base and proceeds of the seller, fee (negative: rebate) taken from the proceeds."""
    cold = cold_row(state, slot)
    position = position_row(state, cold.position)
    base = balance_row(state, position.base_balance)
    base.held -= fill * terms.base_per_lot
    quote = balance_row(state, position.quote_balance)
    quote.available += notional - fee
    position.held -= fill
    if VERIFY:
        assert base.held >= 0 and quote.available >= 0 and position.held >= 0
    before = position.cost
    sell_position(position, fill, notional)
    if state.limits_used != 0:
        count_cost(state, position, before)


@kernel
def begin_sums(position: Record) -> None:
    """Lower bought and sold alike, so that there is room for more; their difference stays."""
    seldom()
    fewer = min(position.bought, position.sold)
    position.bought -= fewer
    position.sold -= fewer


@inlined
def buy_position(position: Record, fill: int, notional: int) -> None:
    """Average cost: a BUY opens a long, or closes a short and realizes."""
    if position.bought > WORD_MOST - fill:
        begin_sums(position)
    position.bought += fill
    opened = fill
    amount = notional
    if position.net < 0:
        closed = min(fill, -position.net)
        out = share(-position.cost, closed, -position.net)
        part = share(notional, closed, fill)
        position.realized = summed(position.realized, out - part)
        position.cost += out
        position.net += closed
        opened = fill - closed
        amount = notional - part
    if opened > 0:
        position.net += opened
        position.cost = summed(position.cost, amount)


@inlined
def sell_position(position: Record, fill: int, notional: int) -> None:
    """Average cost: a SELL opens a short, or closes a long and realizes."""
    if position.sold > WORD_MOST - fill:
        begin_sums(position)
    position.sold += fill
    opened = fill
    amount = notional
    if position.net > 0:
        closed = min(fill, position.net)
        out = share(position.cost, closed, position.net)
        part = share(notional, closed, fill)
        position.realized = summed(position.realized, part - out)
        position.cost -= out
        position.net -= closed
        opened = fill - closed
        amount = notional - part
    if opened > 0:
        position.net -= opened
        position.cost = summed(position.cost, -amount)
