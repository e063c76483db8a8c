"""Balances, fees, holds and positions of the twin, in plain integers of any size."""

from dataclasses import dataclass
from typing import Final

from tests.model.commands import BUY, LIMIT
from tests.model.state import FEES, Instrument, Order

PPM: Final = 1_000_000
WIDE: Final = 1 << 31  # From here on shares are rounded more coarsely, as the rules say.


def share_up(amount: int, ppm: int) -> int:
    """Parts per million of an amount, rounded up."""
    return -(-amount * ppm // PPM)


def share_down(amount: int, ppm: int) -> int:
    """Parts per million of an amount, rounded down."""
    return amount * ppm // PPM


def principal_of(instrument: Instrument, side: int, price: int, leaves: int) -> int:
    """What an open order reserves, without its fee part: quote for a buy, base for a sell."""
    if side == BUY:
        return price * leaves * instrument.mult
    return leaves * instrument.base_per_lot


def fee_part_of(instrument: Instrument, side: int, principal: int) -> int:
    """The fee part of a fresh hold."""
    return share_up(principal, instrument.rate) if side == BUY else 0


@dataclass(slots=True)
class Balance:
    """One asset of one account."""

    available: int = 0
    held: int = 0


@dataclass(slots=True)
class Position:
    """One instrument of one account: average cost, realized profit without fees."""

    net: int = 0
    cost: int = 0
    realized: int = 0
    bought: int = 0
    sold: int = 0

    def trade(self, side: int, lots: int, amount: int) -> None:
        """Take one fill of ``lots`` for ``amount`` quote units into account."""
        sign = 1 if side == BUY else -1
        if sign > 0:
            self.bought += lots
        else:
            self.sold += lots
        if self.net * sign >= 0:
            self.cost += sign * amount
            self.net += sign * lots
            return
        closing = min(lots, abs(self.net))
        out = _share(abs(self.cost), closing, abs(self.net))
        out = out if self.cost > 0 else -out
        part = amount if closing == lots else _share(amount, closing, lots)
        self.realized += -sign * part - out
        self.cost -= out
        self.net += sign * closing
        self.net += sign * (lots - closing)
        self.cost += sign * (amount - part)


def _share(amount: int, part: int, whole: int) -> int:
    rest = 0 if whole >= WIDE else amount % whole * part // whole
    return amount // whole * part + rest


class Ledger:
    """All balances and positions; a row exists from its first use on."""

    def __init__(self) -> None:
        self.balances: dict[tuple[int, int], Balance] = {}
        self.positions: dict[tuple[int, int], Position] = {}

    def balance(self, account: int, asset: int) -> Balance:
        """The row, made if it is missing."""
        return self.balances.setdefault((account, asset), Balance())

    def position(self, account: int, instrument: int) -> Position:
        """The row, made if it is missing."""
        return self.positions.setdefault((account, instrument), Position())

    def available(self, account: int, asset: int) -> int:
        """Available amount; 0 without a row."""
        row = self.balances.get((account, asset))
        return row.available if row else 0

    def hold(self, account: int, asset: int, amount: int) -> None:
        """Move ``amount`` from available to held; negative: back."""
        row = self.balance(account, asset)
        row.available -= amount
        row.held += amount

    def release(self, order: Order, instrument: Instrument) -> None:
        """Give back all that an order still holds."""
        if order.hold + order.hold_fee:
            asset = instrument.held_asset(order.side)
            self.hold(order.account, asset, -(order.hold + order.hold_fee))
        order.hold = order.hold_fee = 0

    def settle(self, instrument: Instrument, taker: Order, maker: Order, lots: int) -> None:
        """Move the money of one fill; leaves and cum of both orders are already those after it.

        Sets ``last_fee`` of both orders.
        """
        amount = maker.price * lots * instrument.mult
        self._charge(instrument, taker, maker, amount)
        buyer, seller = (taker, maker) if taker.side == BUY else (maker, taker)
        self._pay(instrument, buyer, lots, amount)
        self.balance(buyer.account, instrument.base).available += lots * instrument.base_per_lot
        self.balance(seller.account, instrument.base).held -= lots * instrument.base_per_lot
        seller.hold -= lots * instrument.base_per_lot
        proceeds = amount - seller.last_fee
        self.balance(seller.account, instrument.quote).available += proceeds
        for order in (buyer, seller):
            order.fees += order.last_fee
            self.position(order.account, instrument.number).trade(order.side, lots, amount)

    def _charge(self, instrument: Instrument, taker: Order, maker: Order, amount: int) -> None:
        """Decide both fees and move them to or from the fees account."""
        fees = self.balance(FEES, instrument.quote)
        sides = ((taker, instrument.taker_ppm), (maker, instrument.maker_ppm))
        for order, ppm in sides:
            if ppm >= 0:
                fee = share_up(amount, ppm)
                if order.side == BUY and order.order_type == LIMIT:
                    fee = min(fee, order.hold_fee)
                order.last_fee = fee
                fees.available += fee
        for order, ppm in sides:
            if ppm < 0:
                rebate = min(share_down(amount, -ppm), fees.available)
                order.last_fee = -rebate
                fees.available -= rebate

    def _pay(self, instrument: Instrument, buyer: Order, lots: int, amount: int) -> None:
        """Take the price and the fee of one fill out of the buyer's hold."""
        row = self.balance(buyer.account, instrument.quote)
        paid = max(buyer.last_fee, 0)
        rebate = max(-buyer.last_fee, 0)
        if buyer.order_type == LIMIT:
            principal = buyer.price * lots * instrument.mult
            left = principal_of(instrument, BUY, buyer.price, buyer.leaves)
            fee_left = min(buyer.hold_fee - paid, fee_part_of(instrument, BUY, left))
            freed = principal + buyer.hold_fee - fee_left
            buyer.hold -= principal
            buyer.hold_fee = fee_left
            row.held -= freed
            row.available += freed - amount - paid + rebate
        else:
            buyer.hold -= amount + paid
            row.held -= amount + paid
            row.available += rebate
