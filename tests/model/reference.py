"""How the twin makes accounts, assets and instruments, and moves money in and out."""

from fractions import Fraction

from tests.model.book import Book
from tests.model.commands import (
    MATCHED_HERE,
    PHASE_OPEN,
    SPOT,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    Money,
)
from tests.model.events import Event, Rejected
from tests.model.state import FEES, MONEY_MAX, OUTSIDE, Asset, Instrument, Sizes
from tests.model.trading import Trading

SCALE_MAX = 12
TICK_MAX = 10**9
PPM_MAX = 100_000


class Reference:
    """Names and numbers of accounts, assets and instruments."""

    def __init__(self, sizes: Sizes, trading: Trading) -> None:
        self.sizes = sizes
        self.trading = trading
        self.accounts: dict[str, int] = {"fees": 1, "outside": 2}
        self.assets: dict[int, Asset] = {}

    def create_account(self, command: CreateAccount) -> Event:
        """A new account; the next number."""
        if command.name in self.accounts:
            raise Rejected("NAME_TAKEN", self.accounts[command.name])
        if len(self.accounts) == self.sizes.accounts_max:
            raise Rejected("CAPACITY", self.sizes.accounts_max, len(self.accounts))
        number = len(self.accounts) + 1
        self.accounts[command.name] = number
        return Event(
            kind="ACCOUNT_CREATED",
            session=command.session,
            order_id=number,
            client_order_id=command.name,
        )

    def create_asset(self, command: CreateAsset) -> Event:
        """A new asset; the next number."""
        for asset in self.assets.values():
            if asset.name == command.name:
                raise Rejected("NAME_TAKEN", asset.number)
        if command.scale > SCALE_MAX:
            raise Rejected("TERMS", SCALE_MAX, command.scale)
        if len(self.assets) == self.sizes.assets_max:
            raise Rejected("CAPACITY", self.sizes.assets_max, len(self.assets))
        number = len(self.assets) + 1
        self._need_balances({(FEES, number), (OUTSIDE, number)})
        self.assets[number] = Asset(number, command.name, command.scale)
        return Event(
            kind="ASSET_CREATED",
            session=command.session,
            order_id=number,
            price=command.scale,
            client_order_id=command.name,
        )

    def create_instrument(self, command: CreateInstrument) -> list[Event]:
        """A new instrument and its book."""
        instruments = self.trading.instruments
        for other in instruments.values():
            if other.symbol == command.name:
                raise Rejected("NAME_TAKEN", other.number)
        base = self.assets.get(command.base_asset)
        quote = self.assets.get(command.quote_asset)
        if base is None or quote is None:
            raise Rejected("UNKNOWN_ASSET")
        mult, base_per_lot = self._check_terms(command, base, quote)
        if len(instruments) == self.sizes.instruments_max:
            raise Rejected("CAPACITY", self.sizes.instruments_max, len(instruments))
        number = len(instruments) + 1
        instruments[number] = Instrument(
            number=number,
            symbol=command.name,
            base=base.number,
            quote=quote.number,
            mult=mult,
            base_per_lot=base_per_lot,
            maker_ppm=command.maker_ppm,
            taker_ppm=command.taker_ppm,
            qty_min=command.qty_min,
            qty_max=command.qty_max,
            notional_min=command.notional_min,
            notional_max=command.notional_max,
        )
        self.trading.books[number] = Book()
        return self._tell_instrument(command, instruments[number])

    def _check_terms(self, command: CreateInstrument, base: Asset, quote: Asset) -> tuple[int, int]:
        """Multiplier and base units per lot; TERMS when they are no whole numbers in range."""
        minima = (command.qty_min, command.qty_max, command.notional_min, command.notional_max)
        if (
            base is quote
            or not 1 <= command.tick <= TICK_MAX
            or not 1 <= command.lot <= TICK_MAX
            or max(command.tick_scale, command.lot_scale) > SCALE_MAX
            or max(abs(command.maker_ppm), abs(command.taker_ppm)) > PPM_MAX
            or min(minima) < 0
        ):
            raise Rejected("TERMS")
        ten = Fraction(10)
        scale = quote.scale - command.tick_scale - command.lot_scale
        mult = command.tick * command.lot * ten**scale
        base_per_lot = command.lot * ten ** (base.scale - command.lot_scale)
        for number in (mult, base_per_lot):
            if number.denominator != 1 or not 1 <= number <= MONEY_MAX:
                raise Rejected("TERMS")
        return int(mult), int(base_per_lot)

    def _tell_instrument(self, command: CreateInstrument, row: Instrument) -> list[Event]:
        common = Event(
            session=command.session,
            order_id=row.number,
            instrument=row.number,
            client_order_id=row.symbol,
        )
        created = common._replace(
            kind="INSTRUMENT_CREATED",
            price=row.mult,
            qty=row.base_per_lot,
            leaves=row.base,
            cum=row.quote,
            cum_notional=SPOT | MATCHED_HERE << 8 | PHASE_OPEN << 16,
        )
        terms = common._replace(
            kind="INSTRUMENT_TERMS",
            price=command.tick,
            qty=command.lot,
            leaves=command.tick_scale | command.lot_scale << 8,
            cum=command.maker_ppm,
            cum_notional=command.taker_ppm,
        )
        return [created, terms]

    def _need_balances(self, wanted: set[tuple[int, int]]) -> None:
        """Make balance rows; CAPACITY when there is no room for all that are missing."""
        balances = self.trading.ledger.balances
        new = wanted - balances.keys()
        if len(balances) + len(new) > self.sizes.balances_max:
            raise Rejected("CAPACITY", self.sizes.balances_max, len(balances))
        for account, asset in new:
            self.trading.ledger.balance(account, asset)

    def issued(self, asset: int) -> int:
        """What all accounts but ``outside`` have of an asset."""
        return sum(
            row.available + row.held
            for (account, of), row in self.trading.ledger.balances.items()
            if of == asset and account != OUTSIDE
        )

    def move_money(self, command: Money) -> list[Event]:
        """Deposit or withdraw."""
        if command.asset not in self.assets:
            raise Rejected("UNKNOWN_ASSET")
        ledger = self.trading.ledger
        amount = command.amount
        if isinstance(command, Deposit):
            issued = self.issued(command.asset)
            if issued + amount > MONEY_MAX:
                raise Rejected("SUPPLY", MONEY_MAX, issued)
        else:
            available = ledger.available(command.account, command.asset)
            if amount > available:
                raise Rejected("INSUFFICIENT_FUNDS", available, amount)
            amount = -amount
        self._need_balances({(command.account, command.asset)})
        own = ledger.balance(command.account, command.asset)
        outside = ledger.balance(OUTSIDE, command.asset)
        own.available += amount
        outside.available -= amount
        entry = Event(
            kind="LEDGER",
            session=command.session,
            account=command.account,
            instrument=command.asset,
            price=command.kind,
            qty=amount,
            leaves=own.available,
            cum=own.held,
            client_order_id=command.client_order_id,
        )
        other = Event(
            kind="LEDGER",
            account=OUTSIDE,
            instrument=command.asset,
            price=command.kind,
            qty=-amount,
            leaves=outside.available,
        )
        return [entry, other]
