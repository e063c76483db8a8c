"""BUST_TRADE and CORRECT_TRADE of the twin: a trade's money and positions, taken back."""

from tests.model.commands import BUY, SELL
from tests.model.events import SELL_SIDE, Event, Rejected
from tests.model.money import share_down, share_up
from tests.model.placing import Placing
from tests.model.state import FEES, MONEY_MAX, WORD_MAX, Instrument
from tests.model.terms import need_terms
from tests.model.venue_commands import CorrectTrade, Trade
from tests.model.view import View


class Busts:
    """Reverses trades that are named with all their numbers."""

    def __init__(self, view: View, placing: Placing) -> None:
        self.view = view
        self.ledger = view.ledger
        self.placing = placing

    def check_accounts(self, command: Trade) -> None:
        """UNKNOWN_ACCOUNT of buyer and seller."""
        for account in (command.buyer, command.seller):
            if account not in self.view.accounts:
                raise Rejected("UNKNOWN_ACCOUNT")

    def check(self, command: Trade) -> None:
        """All that can be said before anything moves."""
        row = self.view.instruments.get(command.instrument)
        if row is None:
            raise Rejected("UNKNOWN_INSTRUMENT")
        self._check_notional(row, command.price, command.qty)
        if isinstance(command, CorrectTrade):
            self._check_notional(row, command.new_price, command.new_qty)
        need_terms(self.view.risk and not row.is_binary and not row.is_outside)
        amount = command.price * command.qty * row.mult
        need_terms(max(abs(command.buyer_fee), abs(command.seller_fee)) <= amount)
        for account in (command.buyer, command.seller):
            need_terms(not self.ledger.seen(account, row.number).is_due)
        self._need("INSUFFICIENT_FUNDS", command.seller, row.quote, amount - command.seller_fee)
        fees = command.buyer_fee + command.seller_fee
        self._need("INSUFFICIENT_FUNDS", FEES, row.quote, fees)
        if isinstance(command, CorrectTrade):
            self._check_new_cash(command, row)
        base = command.qty * row.base_per_lot
        self._need("INSUFFICIENT_POSITION", command.buyer, row.base, base)
        if isinstance(command, CorrectTrade):
            self._check_new_base(command, row)
        self._check_rows(command, row)

    def _check_notional(self, row: Instrument, price: int, qty: int) -> None:
        if qty > MONEY_MAX // (price * row.mult):
            raise Rejected("NOTIONAL_TOO_LARGE", MONEY_MAX, 0)

    def _need(self, reason: str, account: int, asset: int, amount: int) -> None:
        available = self.ledger.available(account, asset)
        if amount > available:
            raise Rejected(reason, available, amount)

    def _check_rows(self, command: Trade, row: Instrument) -> None:
        """CAPACITY when the rows of both do not fit together."""
        both = (command.buyer, command.seller)
        wanted = {(account, asset) for account in both for asset in (row.base, row.quote)}
        balances = self.ledger.balances.keys() | wanted
        positions = self.ledger.positions.keys() | {
            (command.buyer, row.number),
            (command.seller, row.number),
        }
        sizes = self.view.sizes
        if len(balances) > sizes.balances_max or len(positions) > sizes.positions_max:
            raise Rejected("CAPACITY")

    def _after(self, command: Trade, row: Instrument) -> dict[tuple[int, int], int]:
        """Available amounts of all that are touched, after the reverse."""
        amount = command.price * command.qty * row.mult
        base = command.qty * row.base_per_lot
        found: dict[tuple[int, int], int] = {}
        for account, asset, change in (
            (command.buyer, row.base, -base),
            (command.buyer, row.quote, amount + command.buyer_fee),
            (command.seller, row.base, base),
            (command.seller, row.quote, command.seller_fee - amount),
            (FEES, row.quote, -command.buyer_fee - command.seller_fee),
        ):
            before = found.get((account, asset), self.ledger.available(account, asset))
            found[account, asset] = before + change
        return found

    def _fees(self, command: CorrectTrade, row: Instrument, in_fees: int) -> tuple[int, int]:
        """Fees of buyer and seller at the new terms; what is not negative is credited first."""
        amount = command.new_price * command.new_qty * row.mult
        buyer_makes = command.buyer_order <= command.seller_order
        rates = (row.maker_ppm, row.taker_ppm) if buyer_makes else (row.taker_ppm, row.maker_ppm)
        fees = [share_up(amount, ppm) if ppm >= 0 else 0 for ppm in rates]
        left = in_fees + sum(fees)
        for side in (1, 0) if buyer_makes else (0, 1):  # The taker first.
            if rates[side] < 0:
                rebate = min(share_down(amount, -rates[side]), left)
                fees[side] = -rebate
                left -= rebate
        return fees[0], fees[1]

    def _check_new_cash(self, command: CorrectTrade, row: Instrument) -> None:
        after = self._after(command, row)
        fee, _ = self._fees(command, row, after[FEES, row.quote])
        cash = command.new_price * command.new_qty * row.mult + fee
        if cash > after[command.buyer, row.quote]:
            raise Rejected("INSUFFICIENT_FUNDS", after[command.buyer, row.quote], cash)

    def _check_new_base(self, command: CorrectTrade, row: Instrument) -> None:
        after = self._after(command, row)
        base = command.new_qty * row.base_per_lot
        if base > after[command.seller, row.base]:
            raise Rejected("INSUFFICIENT_POSITION", after[command.seller, row.base], base)

    # Moving.

    def apply(self, command: Trade) -> None:
        """Take the trade back, and book it anew if it is corrected."""
        row = self.view.instruments[command.instrument]
        for account in (command.buyer, command.seller):
            self.placing.make_rows(account, row)
        self._move(command, row, "TRADE_BUSTED", -1)
        if isinstance(command, CorrectTrade):
            self._move(command, row, "TRADE_CORRECTED", 1)

    def _move(self, command: Trade, row: Instrument, kind: str, sign: int) -> None:
        price, qty = command.price, command.qty
        fees = (command.buyer_fee, command.seller_fee)
        if isinstance(command, CorrectTrade) and sign > 0:
            price, qty = command.new_price, command.new_qty
            fees = self._fees(command, row, self.ledger.available(FEES, row.quote))
        amount = price * qty * row.mult
        base = qty * row.base_per_lot
        for account, asset, change in (
            (command.buyer, row.base, base),
            (command.buyer, row.quote, -amount - fees[0]),
            (command.seller, row.base, -base),
            (command.seller, row.quote, amount - fees[1]),
            (FEES, row.quote, sum(fees)),
        ):
            self.ledger.balance(account, asset).available += sign * change
        sides = (BUY, SELL) if sign > 0 else (SELL, BUY)
        for account, side in zip((command.buyer, command.seller), sides, strict=True):
            self.ledger.position(account, row.number).trade(side, qty, amount)
        stats = row.stats
        for name, more in (("volume", qty), ("notional", amount), ("trades", 1)):
            total = getattr(stats, f"total_{name}") + sign * more
            setattr(stats, f"total_{name}", max(0, min(total, WORD_MAX)))
        named = (
            (command.buyer, command.buyer_order, fees[0], 0),
            (command.seller, command.seller_order, fees[1], SELL_SIDE),
        )
        for account, order_id, fee, flags in named:
            self.view.events.append(
                Event(
                    kind=kind,
                    session=0 if self.view.events else command.session,
                    order_id=order_id,
                    account=account,
                    instrument=row.number,
                    client_order_id=command.client_order_id,
                    price=price,
                    qty=qty,
                    leaves=self.ledger.available(account, row.base),
                    cum=self.ledger.available(account, row.quote),
                    cum_notional=sign * fee,
                    flags=flags,
                )
            )
