"""Balances and positions of the twin, in plain integers of any size."""

from dataclasses import dataclass
from typing import Final

from tests.model.commands import BUY

PPM: Final = 1_000_000
WORD_MAX: Final = (1 << 63) - 1
WIDE: Final = 1 << 31  # From here on shares are rounded more coarsely, as the rules say.


def share_up(amount: int, ppm: int) -> int:
    """Parts per million of an amount, rounded up."""
    return -(-amount * ppm // PPM)


def share_down(amount: int, ppm: int) -> int:
    """Parts per million of an amount, rounded down."""
    return amount * ppm // PPM


def share(amount: int, part: int, whole: int) -> int:
    """``part`` of ``whole`` of an amount; all of it for the whole."""
    return amount if part == whole else cost_share(amount, part, whole)


def cost_share(amount: int, part: int, whole: int) -> int:
    """The cost share of docs/engine.md."""
    rest = 0 if whole >= WIDE else amount % whole * part // whole
    return amount // whole * part + rest


def within_word(total: int) -> int:
    """A statistic stops at 2^63 - 1 in either sign."""
    return max(-WORD_MAX, min(WORD_MAX, total))


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
    settled: int = 0  # The net that a settlement paid.
    # BINARY: lots set aside by open orders.
    reserved_yes: int = 0
    reserved_no: int = 0
    # Short selling.
    short: int = 0
    collateral: int = 0  # Held in the quote balance.
    # Clearing: what is due at the end of the period.
    due_bought: int = 0  # Notional.
    due_sold: int = 0
    due_lots: int = 0  # Net.
    due_sold_lots: int = 0  # Their base is held.
    due_quote: int = 0  # Net, after fees.
    due_held: int = 0  # Cash held for what was bought.
    # Outside: what the account lacked and ``outside`` bore.
    debt: int = 0
    debt_base: int = 0

    @property
    def free(self) -> int:
        """BINARY: lots that no order set aside; NO lots are negative."""
        return self.net - self.reserved_yes + self.reserved_no

    @property
    def is_due(self) -> bool:
        return bool(self.due_bought or self.due_sold)

    def free_against(self, side: int) -> int:
        """BINARY: free lots that an order of ``side`` would close."""
        return max(-self.free, 0) if side == BUY else max(self.free, 0)

    def reserve(self, side: int, lots: int) -> None:
        """BINARY: set lots aside for an order of ``side``; negative: give them back."""
        if side == BUY:
            self.reserved_no += lots
        else:
            self.reserved_yes += lots

    def room(self, side: int) -> int:
        """How far an order of ``side`` may go when it may only reduce."""
        return max(-self.net, 0) if side == BUY else max(self.net, 0)

    def trade(self, side: int, lots: int, amount: int) -> None:
        """Take one fill of ``lots`` for ``amount`` quote units into account."""
        if (self.bought if side == BUY else self.sold) + lots > WORD_MAX:
            fewer = min(self.bought, self.sold)
            self.bought -= fewer
            self.sold -= fewer
        if side == BUY:
            self.bought += lots
        else:
            self.sold += lots
        self.move(side, lots, amount)

    def realize(self, amount: int) -> None:
        """Profit or loss; the sum stops where a word does."""
        self.realized = within_word(self.realized + amount)

    def move(self, side: int, lots: int, amount: int) -> None:
        """As ``trade``, without counting it as bought or sold."""
        sign = 1 if side == BUY else -1
        if self.net * sign >= 0:
            self.cost = within_word(self.cost + sign * amount)
            self.net += sign * lots
            return
        closing = min(lots, abs(self.net))
        out = share(abs(self.cost), closing, abs(self.net))
        out = out if self.cost > 0 else -out
        part = amount if closing == lots else share(amount, closing, lots)
        self.realize(-sign * part - out)
        self.cost -= out
        self.net += sign * closing
        self.net += sign * (lots - closing)
        self.cost = within_word(self.cost + sign * (amount - part))


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

    def seen(self, account: int, instrument: int) -> Position:
        """The position to look at; an empty one without a row."""
        return self.positions.get((account, instrument), Position())

    def hold(self, account: int, asset: int, amount: int) -> None:
        """Move ``amount`` from available to held; negative: back."""
        row = self.balance(account, asset)
        row.available -= amount
        row.held += amount

    def of_instrument(self, instrument: int) -> list[tuple[int, Position]]:
        """(account, position) of an instrument, in the order in which the rows were made."""
        return [(account, row) for (account, of), row in self.positions.items() if of == instrument]
