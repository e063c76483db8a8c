"""The venue side of random sequences: what is traded, changed, busted, told from outside."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.model.commands import (
    BINARY,
    MATCHED_OUTSIDE,
    Command,
    Create,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    changed,
)
from tests.model.events import MAKER, SELL_SIDE, Event
from tests.model.venue_commands import (
    LIMIT_NAMES,
    Admin,
    BustTrade,
    CorrectTrade,
    GatewayLost,
    KillSwitch,
    OutsideAcknowledged,
    OutsideBusted,
    OutsideCanceled,
    OutsideCommand,
    OutsideCorrected,
    OutsideFilled,
    OutsideRejected,
    OutsideSettled,
    SessionClosed,
    SessionOpened,
    SetLimits,
    SettleInstrument,
    Time,
    UpdateAccount,
    UpdateInstrument,
)

if TYPE_CHECKING:
    from tests.model.strategies import Scenario

SECOND: Final = 10**9
PHASES: Final = (3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5, 6, 6, 7)


# Reason -> what of the instrument is changed back.
OF_INSTRUMENT: Final = {
    "PHASE": 1,
    "HALTED": 1,
    "PRICE_OUT_OF_BAND": 16 | 32,
    "NOTIONAL_TOO_LARGE": 8,
    "QTY_TOO_LARGE": 4,
    "PRICE_OFF_TICK": 1024,
}
OF_ACCOUNT: Final = frozenset(
    {
        *("OPEN_ORDER_LIMIT", "ORDER_QTY_LIMIT", "ORDER_NOTIONAL_LIMIT", "POSITION_LIMIT"),
        *("EXPOSURE_LIMIT", "LEVEL_LIMIT", "PRICE_DEVIATION"),
    }
)
MENDED: Final = (
    OF_ACCOUNT
    | OF_INSTRUMENT.keys()
    | {*("KILL_SWITCH", "ACCOUNT_SUSPENDED", "INSUFFICIENT_FUNDS")}
)


class Traded(NamedTuple):
    """A trade as a bust needs it."""

    instrument: int
    price: int
    qty: int
    buyer: int
    seller: int
    buyer_order: int
    seller_order: int
    buyer_fee: int
    seller_fee: int
    name: str


class Market:
    """Draws what the venue's people and the outside send."""

    def __init__(self, scenario: "Scenario") -> None:
        self.scenario = scenario
        self.chance = scenario.chance
        money = "money" in scenario.features
        outside = "outside" in scenario.features
        self.ids = [1, 2, 3, *([4] if money else []), *([5, 6] if money and outside else [])]
        self.trades: list[Traded] = []
        self.routed: list[Event] = []
        self.told: list[OutsideCommand] = []
        self.last: dict[int, int] = {}  # Instrument -> price of its newest trade.
        self.met: list[tuple[str, int, int]] = []  # Rejects to do something about, newest last.

    def learn(self, events: list[Event]) -> None:
        """Trades to bust, orders asked for outside."""
        fills = [event for event in events if event.kind == "FILL"]
        self.last |= {event.instrument: event.price for event in fills}
        for taker, maker in pairwise(fills):
            if not maker.flags & MAKER or taker.flags & MAKER or maker.price != taker.price:
                continue
            sells = taker.flags & SELL_SIDE
            buyer, seller = (maker, taker) if sells else (taker, maker)
            self.trades.append(
                Traded(
                    taker.instrument,
                    taker.price,
                    taker.qty,
                    buyer.account,
                    seller.account,
                    buyer.order_id,
                    seller.order_id,
                    buyer.fee,
                    seller.fee,
                    f"{taker.sequence}.{taker.index}",
                )
            )
        self.routed += [event for event in events if event.kind == "ORDER_ROUTE_REQUESTED"]
        if events[0].reason in MENDED:
            self.met = [*self.met[-3:], (events[0].reason, events[0].account, events[0].instrument)]

    # Reference data.

    def setup(self) -> list[Command]:
        """Assets, instruments of every sort, traders with funds."""
        chance, ask = self.chance, self.scenario.ask
        commands: list[Command] = [
            CreateAsset(name="USD", scale=6),
            CreateAsset(name="BTC", scale=8),
            CreateAsset(name="ETH", scale=3),
            *self._instruments(),
        ]
        traders = range(3, 3 + self.scenario.accounts)
        modes = (0, 0, 0, 1, 4) if "venue" in self.scenario.features else (0,)
        for number in traders:
            name = f"trader-{number - 3}"
            commands.append(CreateAccount(name=name, self_trade=chance.choice(modes)))
        for number in traders:
            for asset in (1, 2, 3):
                if chance.random() < 0.9:
                    amount = chance.choice((10**6, 10**8, 10**10, 10**13))
                    commands.append(ask(Deposit(account=number, asset=asset, amount=amount)))
        if "money" in self.scenario.features:
            for number in traders:
                for instrument in (0, 2):
                    most = chance.choice((0, 50, 10**6))
                    limits = SetLimits(account=number, instrument=instrument, short_max=most)
                    commands.append(limits)
        return commands

    def _instruments(self) -> list[Command]:
        chance = self.chance
        money = "money" in self.scenario.features
        venue = "venue" in self.scenario.features
        btc = instrument(
            "BTC-USD", 2, chance.choice((-250, 0, 100)), chance.choice((0, 333, 2_500))
        )
        eth = instrument("ETH-USD", 3, chance.choice((-99_999, 7)), chance.choice((100_000, 1)))
        cross = CreateInstrument(
            name="BTC/ETH",
            base_asset=2,
            quote_asset=3,
            tick=chance.choice((1, 7)),
            lot=chance.choice((1, 13)),
            maker_ppm=chance.choice((-1, 10)),
            taker_ppm=50,
            qty_min=chance.choice((0, 2)),
            qty_max=chance.choice((0, 40)),
            notional_min=chance.choice((0, 300)),
            notional_max=chance.choice((0, 90_000)),
        )
        if venue and chance.random() < 0.5:
            btc = changed(btc, slots=3, start=(0, 100, 102, 0), step=(1, 2, 1, 0))
        if venue and chance.random() < 0.3:
            eth = changed(eth, max_age_ns=3 * SECOND, band_ppm=20_000, day_end_ns=SECOND)
        if money:
            eth = changed(eth, short_ppm=chance.choice((1, 200_000, 1_000_000)))
            cross = changed(cross, clearing_ns=chance.choice((SECOND, 60 * SECOND)))
        made: list[Command] = [btc, eth, cross]
        if money:
            made.append(binary("RAIN", chance.choice((0, 1_000)), chance.choice((-500, 20_000))))
        if 5 in self.ids:
            made.append(changed(btc, name="OUT-USD", slots=2, matching=MATCHED_OUTSIDE))
            made.append(changed(binary("OUT-RAIN", 0, 100), matching=MATCHED_OUTSIDE))
        return made

    def reference(self) -> Command:
        """Something new, or something that has its name already."""
        chance = self.chance
        number = chance.randrange(8)
        made: tuple[Create, ...] = (
            CreateAccount(name=f"trader-{number}"),
            CreateAccount(name=chance.choice(("fees", "outside", f"{number:036d}"))),
            CreateAsset(
                name=chance.choice(("USD", f"A{number}")), scale=chance.choice((0, 12, 13))
            ),
            changed(instrument(chance.choice(("BTC-USD", f"I{number}")), 2, 1, 1), **self._terms()),
        )
        return self.scenario.asked(chance.choice(made))

    def _terms(self) -> dict[str, Any]:
        """Sometimes terms of an instrument that do not fit together."""
        return self.chance.choice(
            (
                {},
                {"base_asset": 1},
                {"base_asset": 99},
                {"quote_asset": 0},
                {"tick": 0},
                {"tick": 10**9 + 1},
                {"lot": -1},
                {"tick_scale": 13},
                {"tick_scale": 12, "lot_scale": 12},
                {"maker_ppm": -100_001},
                {"taker_ppm": 100_001},
                {"qty_min": -1},
                {"notional_max": -5},
                {"tick": 10**9, "lot": 10**9, "tick_scale": 0},
                {"lot_scale": 9},
                {"base_asset": 3, "quote_asset": 2},
            )
        )

    # The venue.

    def venue(self) -> Command:
        """A change of an instrument, an account, its limits, a switch, a session."""
        kinds = (self._update, self._account, self._limits, self._kill, self._session)
        return self.scenario.asked(self.chance.choices(kinds, (8, 3, 6, 1, 4))[0]())

    def _update(self) -> Admin:
        chance = self.chance
        some: tuple[tuple[int, dict[str, Any]], ...] = (
            (1, {"phase": chance.choice(PHASES)}),
            (2, {"maker_ppm": chance.choice((-10, 5)), "taker_ppm": 30}),
            (4, {"qty_min": chance.choice((0, 1)), "qty_max": chance.choice((0, 100))}),
            (8, {"notional_min": chance.choice((0, 9)), "notional_max": 0}),
            (16, {"price_min": chance.choice((0, 97)), "price_max": chance.choice((0, 104))}),
            (32, {"band_ppm": chance.choice((0, 30_000)), "reference_price": 0}),
            (64, {"max_age_ns": chance.choice((0, SECOND))}),
            (128, {"day_end_ns": chance.choice((0, 5 * SECOND))}),
            (256, {"tick": chance.choice((1, 2)), "tick_scale": 2}),
            (512, {"lot": chance.choice((5, 10)), "lot_scale": 3}),
            (1024, {"slots": 3, "start": (0, 100, 0, 0), "step": (1, chance.choice((1, 2)), 0, 0)}),
            (2048, {"short_ppm": chance.choice((0, 500_000))}),
            (4096, {"clearing_ns": chance.choice((0, SECOND))}),
        )
        count = chance.choice((1, 1, 1, 2, 13))
        values: dict[str, Any] = {"changes": 0}
        weights = (9, 2, 2, 2, 3, 3, 2, 2, 1, 1, 2, 1, 1)
        for bit, more in {b: m for b, m in chance.choices(some, weights, k=count)}.items():
            values |= more
            values["changes"] |= bit
        return UpdateInstrument(instrument=self.scenario.instrument(), **values)

    def _account(self) -> Admin:
        chance = self.chance
        return UpdateAccount(
            account=self.scenario.account(),
            changes=chance.choice((1, 1, 2, 3)),
            status=chance.choice((1, 1, 1, 1, 1, 1, 2)),
            self_trade=chance.choice((0, 1, 2, 3, 4)),
            flags=chance.choice((0, 0, 1)),
        )

    def _limits(self) -> Admin:
        chance = self.chance
        values = {name: 0 for name in LIMIT_NAMES} | {"short_max": chance.choice((0, 50, 10**6))}
        tight = {
            "position_max": 30,
            "open_orders_max": 4,
            "exposure_max": 10**7,
            "orders_per_second": 40,
            "messages_per_fill": 1,
            "deviation_ppm": 20_000,
            "order_qty_max": 13,
            "order_notional_max": 10**5,
            "levels_max": 3,
        }
        for name in chance.sample(sorted(tight), chance.choice((0, 1, 1, 2))):
            values[name] = tight[name]
        where = chance.choice((0, self.scenario.instrument()))
        return SetLimits(account=self.scenario.account(), instrument=where, **values)

    def _kill(self) -> Admin:
        account = self.chance.choice((0, self.scenario.account()))
        return KillSwitch(account=account, is_on=self.chance.choice((0, 0, 0, 1)))

    def _session(self) -> Admin:
        chance = self.chance
        kind = chance.choice((SessionOpened, SessionOpened, SessionClosed, GatewayLost))
        if kind is SessionOpened:
            return SessionOpened(account=self.scenario.account(), flags=chance.choice((0, 1, 1)))
        return kind()

    def time(self) -> Command:
        """What is due."""
        return self.scenario.asked(Time())

    def mend(self) -> Command:
        """Take away what stood in the way of an order, so that a life does not end in rejects."""
        reason, account, number = self.met.pop()
        made: Command
        if reason == "KILL_SWITCH":
            made = KillSwitch(account=self.chance.choice((0, account)), is_on=0)
        elif reason == "ACCOUNT_SUSPENDED":
            made = UpdateAccount(account=account, changes=1, status=1)
        elif reason in OF_INSTRUMENT:
            made = UpdateInstrument(
                instrument=number, changes=OF_INSTRUMENT[reason], phase=PHASES[0]
            )
        elif reason == "INSUFFICIENT_FUNDS":
            made = Deposit(account=account, asset=self.chance.choice((1, 1, 2, 3)), amount=10**9)
        else:
            made = SetLimits(account=account, instrument=number, short_max=10**6)
        return self.scenario.asked(made)

    # Money.

    def settle(self) -> Command:
        """Seldom, for little comes after it."""
        chance = self.chance
        if chance.random() < 0.6:
            return self.bust()
        return self.scenario.asked(
            SettleInstrument(instrument=chance.choice(self.ids), price=chance.choice((0, 60, 200)))
        )

    def bust(self) -> Command:
        """A trade of old taken back, or corrected, once or again."""
        chance = self.chance
        if not self.trades:
            return self.time()
        trade = chance.choice(self.trades[-30:])
        values: dict[str, Any] = trade._asdict() | {"client_order_id": trade.name}
        del values["name"]
        if chance.random() < 0.5:
            return self.scenario.asked(BustTrade(**values))
        more: dict[str, Any] = {
            "new_price": trade.price + chance.choice((-1, 1)),
            "new_qty": trade.qty,
        }
        return self.scenario.asked(CorrectTrade(**values, **more))

    # Outside.

    def outside(self) -> Command:
        """What became of an order, told once or again, in time or late."""
        chance = self.chance
        if self.told and chance.random() < 0.1:
            again = chance.choice(self.told[-20:])
            return self.scenario.asked(changed(again, fee=again.fee + chance.choice((0, 0, 1))))
        if not self.routed:
            return self.time()
        asked = self.scenario.late(self.routed)
        kinds = (OutsideAcknowledged, OutsideFilled, OutsideCanceled, OutsideRejected)
        rare = (OutsideBusted, OutsideCorrected, OutsideSettled)
        kind = chance.choices((*kinds, *rare), (8, 14, 3, 2, 1, 1, 1))[0]
        values: dict[str, Any] = {
            "account": asked.account,
            "instrument": asked.instrument,
            "order_id": chance.choice((asked.order_id,) * 9 + (5,)),
            "price": max(1, (asked.price or 100) + chance.choice((0, 0, 0, -1, 1))),
            "qty": chance.choice((1, 2, 5, asked.qty, asked.qty, asked.qty + 1)),
            "fee": chance.choice((0, 7, 100, -3)),
            "reference": f"x-{self.scenario.sequence}",
            "source": chance.choice(("venue", "other")),
            "flags": chance.choice((0, 1, 2)),
        }
        if kind is OutsideCorrected:
            values |= {"new_price": 99, "new_qty": 3, "new_fee": chance.choice((0, 5))}
        if kind is OutsideSettled:
            values["price"] = chance.choice((0, 40, 200))
        command = kind(**values)
        self.told.append(command)
        return self.scenario.asked(command)


def instrument(symbol: str, base: int, maker_ppm: int, taker_ppm: int) -> CreateInstrument:
    """A SPOT instrument in USD."""
    return CreateInstrument(
        name=symbol,
        base_asset=base,
        quote_asset=1,
        tick_scale=2,
        lot_scale=3,
        tick=1,
        lot=5,
        maker_ppm=maker_ppm,
        taker_ppm=taker_ppm,
    )


def binary(symbol: str, maker_ppm: int, taker_ppm: int) -> CreateInstrument:
    """An event contract that pays 200 ticks."""
    return CreateInstrument(
        name=symbol,
        instrument_type=BINARY,
        quote_asset=1,
        tick_scale=2,
        maker_ppm=maker_ppm,
        taker_ppm=taker_ppm,
        payout=200 * 10**4,
    )
