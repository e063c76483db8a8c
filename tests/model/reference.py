"""How the twin makes accounts, assets and instruments, and moves money in, out and over."""

from tests.model.book import Book
from tests.model.commands import (
    BINARY,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    Money,
    Transfer,
)
from tests.model.events import Event, Rejected
from tests.model.money import PPM
from tests.model.state import (
    DAY_NS,
    FEES,
    MONEY_MAX,
    OUTSIDE,
    PRICE_MAX,
    Account,
    Asset,
    Instrument,
)
from tests.model.terms import (
    PPM_MAX,
    SCALE_MAX,
    check_range,
    multipliers,
    need_terms,
    tick_table,
)
from tests.model.view import View

SHORT_PPM_MAX = 10_000_000
SECOND_NS = 10**9
TAKEN_OVER = (
    *("maker_ppm", "taker_ppm", "qty_min", "qty_max", "notional_min", "notional_max"),
    *("price_min", "price_max", "max_age_ns", "phase", "band_ppm", "reference_price"),
    *("day_end_ns", "short_ppm", "clearing_ns", "tick", "lot", "tick_scale", "lot_scale"),
)


class Reference:
    """Names and numbers of accounts, assets and instruments."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.sizes = view.sizes
        self.accounts: dict[str, int] = {"fees": FEES, "outside": OUTSIDE}

    def create_account(self, command: CreateAccount) -> None:
        """A new account; the next number."""
        if command.name in self.accounts:
            raise Rejected("NAME_TAKEN", self.accounts[command.name])
        if len(self.accounts) == self.sizes.accounts_max:
            raise Rejected("CAPACITY", self.sizes.accounts_max, len(self.accounts))
        number = len(self.accounts) + 1
        self.accounts[command.name] = number
        self.view.accounts[number] = Account(number, command.name, command.self_trade)
        self.view.events.append(
            Event(
                kind="ACCOUNT_CREATED",
                session=command.session,
                order_id=number,
                client_order_id=command.name,
            )
        )

    def create_asset(self, command: CreateAsset) -> None:
        """A new asset; the next number."""
        for asset in self.view.assets.values():
            if asset.name == command.name:
                raise Rejected("NAME_TAKEN", asset.number)
        if command.scale > SCALE_MAX:
            raise Rejected("TERMS", SCALE_MAX, command.scale)
        if len(self.view.assets) == self.sizes.assets_max:
            raise Rejected("CAPACITY", self.sizes.assets_max, len(self.view.assets))
        number = len(self.view.assets) + 1
        self._need_balances({(FEES, number), (OUTSIDE, number)})
        self.view.assets[number] = Asset(number, command.name, command.scale)
        self.view.events.append(
            Event(
                kind="ASSET_CREATED",
                session=command.session,
                order_id=number,
                price=command.scale,
                client_order_id=command.name,
            )
        )

    def create_instrument(self, command: CreateInstrument) -> None:
        """A new instrument and its book."""
        instruments = self.view.instruments
        for other in instruments.values():
            if other.symbol == command.name:
                raise Rejected("NAME_TAKEN", other.number)
        is_binary = command.instrument_type == BINARY
        base = None if is_binary else self.view.assets.get(command.base_asset)
        quote = self.view.assets.get(command.quote_asset)
        if quote is None or (base is None and not is_binary):
            raise Rejected("UNKNOWN_ASSET")
        row = self._checked(command, base, quote)
        if len(instruments) == self.sizes.instruments_max:
            raise Rejected("CAPACITY", self.sizes.instruments_max, len(instruments))
        if row.is_outside:
            self._make_outside_position(row)
        instruments[row.number] = row
        self.view.books[row.number] = Book()
        common = Event(session=command.session)
        self.view.events.append(
            common._replace(
                kind="INSTRUMENT_CREATED",
                order_id=row.number,
                instrument=row.number,
                client_order_id=row.symbol,
                price=row.mult,
                qty=row.base_per_lot,
                leaves=row.base,
                cum=row.quote,
                cum_notional=row.instrument_type | row.matching << 8 | row.phase << 16,
            )
        )
        self.view.events.append(terms_of(row, command.session))

    def _checked(self, command: CreateInstrument, base: Asset | None, quote: Asset) -> Instrument:
        """The row of a new instrument; TERMS."""
        is_binary = command.instrument_type == BINARY
        need_terms(base is not quote and max(map(abs, _fees(command))) <= PPM_MAX)
        need_terms(base is not None or command.base_asset == 0)
        ticks = (command.tick, command.tick_scale)
        lots = (command.lot, command.lot_scale)
        base_scale = base.scale if base else None
        mult, base_per_lot = multipliers(ticks, lots, base_scale, quote.scale)
        check_settings(command)
        row = Instrument(
            number=len(self.view.instruments) + 1,
            symbol=command.name,
            base=base.number if base else 0,
            quote=quote.number,
            mult=mult,
            base_per_lot=base_per_lot,
            instrument_type=command.instrument_type,
            matching=command.matching,
            payout=command.payout if is_binary else 0,
            tick_table=tick_table(command.start, command.step) if command.slots > 2 else [],
            **{name: getattr(command, name) for name in TAKEN_OVER},
        )
        check_kind(row)
        return row

    def _make_outside_position(self, row: Instrument) -> None:
        positions = self.view.ledger.positions
        if len(positions) == self.sizes.positions_max:
            raise Rejected("CAPACITY", self.sizes.positions_max, len(positions))
        self.view.ledger.position(OUTSIDE, row.number)

    def _need_balances(self, wanted: set[tuple[int, int]]) -> None:
        """Make balance rows; CAPACITY when there is no room for all that are missing."""
        balances = self.view.ledger.balances
        new = wanted - balances.keys()
        if len(balances) + len(new) > self.sizes.balances_max:
            raise Rejected("CAPACITY", self.sizes.balances_max, len(balances))
        for account, asset in new:
            self.view.ledger.balance(account, asset)

    def move_money(self, command: Money) -> None:
        """Deposit, withdraw or transfer."""
        if command.asset not in self.view.assets:
            raise Rejected("UNKNOWN_ASSET")
        amount = command.amount
        if isinstance(command, Deposit):
            issued = self.view.issued(command.asset)
            if issued + amount > MONEY_MAX:
                raise Rejected("SUPPLY", MONEY_MAX, issued)
        else:
            available = self.view.ledger.available(command.account, command.asset)
            if amount > available:
                raise Rejected("INSUFFICIENT_FUNDS", available, amount)
            amount = -amount
        is_transfer = isinstance(command, Transfer)
        other = command.counter_account if is_transfer else OUTSIDE
        self._need_balances({(command.account, command.asset), (other, command.asset)})
        self._move(command, command.account, amount, command.session)
        self._move(command, other, -amount, 0)

    def _move(self, command: Money, account: int, amount: int, session: int) -> None:
        row = self.view.ledger.balance(account, command.asset)
        row.available += amount
        self.view.events.append(
            Event(
                kind="LEDGER",
                session=session,
                account=account,
                instrument=command.asset,
                price=command.kind,
                qty=amount,
                leaves=row.available,
                cum=row.held,
                client_order_id="" if account == OUTSIDE else command.client_order_id,
            )
        )


def _fees(command: CreateInstrument) -> tuple[int, int]:
    return command.maker_ppm, command.taker_ppm


def check_settings(row: CreateInstrument | Instrument) -> None:
    """TERMS of what is the same for a new instrument and for one that changes."""
    check_range(row.qty_min, row.qty_max)
    check_range(row.notional_min, row.notional_max)
    check_range(row.price_min, row.price_max)
    need_terms(0 <= row.band_ppm <= PPM and 0 <= row.reference_price <= PRICE_MAX)
    need_terms(row.max_age_ns >= 0 and 0 <= row.day_end_ns < DAY_NS)
    need_terms(0 <= row.short_ppm <= SHORT_PPM_MAX)
    need_terms(row.clearing_ns == 0 or row.clearing_ns >= SECOND_NS)


def check_kind(row: Instrument) -> None:
    """TERMS of settings that do not go with the type, the place of matching, or each other."""
    if row.is_binary:
        need_terms(row.payout % row.mult == 0)
        need_terms(2 * row.mult <= row.payout <= MONEY_MAX)
        need_terms(row.short_ppm == 0 and row.clearing_ns == 0)
    need_terms(row.short_ppm == 0 or row.clearing_ns == 0)
    if row.is_outside:
        need_terms(row.short_ppm == 0 and row.clearing_ns == 0 and row.max_age_ns == 0)


def terms_of(row: Instrument, session: int) -> Event:
    """INSTRUMENT_TERMS."""
    return Event(
        kind="INSTRUMENT_TERMS",
        session=session,
        order_id=row.number,
        instrument=row.number,
        client_order_id=row.symbol,
        price=row.tick,
        qty=row.lot,
        leaves=row.tick_scale | row.lot_scale << 8,
        cum=row.maker_ppm,
        cum_notional=row.taker_ppm,
    )
