"""Random command sequences, realistic enough to trade and nasty enough to hurt.

``Scenario`` draws from a ``random.Random``: a seeded one, or hypothesis' own, which then shrinks.
Each command is drawn against what happened so far (ids seen in events), so a scenario needs the
events of its earlier commands from whoever applied them.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from tests.model.commands import (
    GTC,
    IOC,
    KEPT_KINDS,
    LIMIT,
    MARKET,
    CancelOrder,
    Command,
    Create,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    Keyed,
    MassCancel,
    OtherKind,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    Withdraw,
)
from tests.model.events import Event
from tests.model.state import MONEY_MAX, PRICE_MAX, Sizes

WORD_MAX: Final = (1 << 63) - 1
START_NS: Final = 1_700_000_000_000_000_000
UNKNOWN_KINDS: Final = (0, 6, 9, 14, 19, 26, 39, 41, 60, 80, 127)
SESSIONS: Final = (0, 1 << 24 | 1, 1 << 24 | 2, 255 << 24 | 7)

TINY: Final = Sizes(
    orders_max=5,
    closed_keep=3,
    ids_max=8,
    accounts_max=6,
    assets_max=4,
    instruments_max=4,
    balances_max=16,
    positions_max=9,
    sessions_max=3,
)
NARROW: Final = Sizes(orders_max=12, closed_keep=1, ids_max=12, balances_max=64, positions_max=64)
USUAL: Final = Sizes(orders_max=300, closed_keep=50, ids_max=400)

seeds = st.randoms(use_true_random=False)


class Scenario:
    """One exchange's life: reference data and funds first, then orders and everything else."""

    def __init__(self, chance: random.Random, *, odd: float = 0.08) -> None:
        self.chance = chance
        self.odd = odd  # Share of malformed, unknown, absurd.
        self.sequence = 0
        self.now_ns = START_NS
        self.orders: list[tuple[int, int]] = []  # (account, order id), as they came.
        self.client_ids: list[tuple[int, str]] = []
        self.sent: list[Keyed] = []
        self.accounts = chance.choice((2, 3, 4))
        self.setup = self._setup()

    # What others call.

    def next(self) -> Command:
        """The next command, numbered and stamped."""
        self.sequence += 1
        self.now_ns += self.chance.choice((1, 10, 1_000))
        command = self.setup.pop(0) if self.setup else self._draw()
        command = replace(command, sequence=self.sequence, timestamp_ns=self.now_ns)
        if isinstance(command, Keyed):
            self.sent.append(command)
            if command.client_order_id:
                self.client_ids.append((command.account, command.client_order_id))
        return command

    def learn(self, events: list[Event]) -> None:
        """Remember which orders exist."""
        for event in events:
            if event.kind == "ORDER_ACCEPTED":
                self.orders.append((event.account, event.order_id))

    # Reference data.

    def _setup(self) -> list[Command]:
        chance = self.chance
        commands: list[Command] = [
            CreateAsset(name="USD", scale=6),
            CreateAsset(name="BTC", scale=8),
            CreateAsset(name="ETH", scale=3),
            _instrument(
                "BTC-USD", 2, chance.choice((-250, 0, 100)), chance.choice((0, 333, 2_500))
            ),
            _instrument(
                "ETH-USD", 3, chance.choice((-99_999, 7, 0)), chance.choice((100_000, 1, -60_000))
            ),
        ]
        third = CreateInstrument(
            name="BTC/ETH",
            base_asset=2,
            quote_asset=3,
            tick_scale=0,
            tick=chance.choice((1, 7)),
            lot=chance.choice((1, 13)),
            maker_ppm=chance.choice((-1, 10)),
            taker_ppm=50,
            qty_min=chance.choice((0, 2)),
            qty_max=chance.choice((0, 40)),
            notional_min=chance.choice((0, 300)),
            notional_max=chance.choice((0, 90_000)),
        )
        commands.append(third)
        for number in range(self.accounts):
            commands.append(CreateAccount(name=f"trader-{number}"))
        for number in range(self.accounts):
            for asset in (1, 2, 3):
                if chance.random() < 0.9:
                    amount = chance.choice((10**6, 10**8, 10**10, 10**13))
                    commands.append(
                        self._ask(Deposit(account=3 + number, asset=asset, amount=amount))
                    )
        return commands

    # Drawing.

    def _draw(self) -> Command:
        chance = self.chance
        if chance.random() < self.odd:
            return self._spoiled(self._draw_good())
        if self.sent and chance.random() < 0.06:
            return self._again()
        return self._draw_good()

    def _draw_good(self) -> Command:
        kinds: tuple[Callable[[], Command], ...] = (
            self._place,
            self._cancel,
            self._replace,
            self._reduce,
            self._mass_cancel,
            self._money,
            self._reference,
        )
        return self.chance.choices(kinds, (50, 14, 16, 8, 2, 7, 3))[0]()

    def _ask(self, command: Any) -> Any:
        """Add who asks: session, request id, and sometimes an id and a deadline."""
        chance = self.chance
        values: dict[str, object] = {
            "session": chance.choice(SESSIONS),
            "request_id": chance.choice((0, self.sequence + 1, 10**12)),
            "gateway": chance.choice((0, 1)),
        }
        if isinstance(command, Keyed):
            if chance.random() < 0.6:
                values["client_order_id"] = self._fresh_id()
            if chance.random() < 0.06:
                values["expire_after_ns"] = self.now_ns + chance.choice((-1, 0, 1, 2_000, 10**9))
        return replace(command, **values)

    def _fresh_id(self) -> str:
        number = self.sequence + 1
        names = (f"c-{number}", f"{number:036d}", f"k{number % 50}", "!")
        return self.chance.choices(names, (60, 20, 17, 3))[0]

    def _account(self) -> int:
        return 3 + self.chance.randrange(self.accounts)

    def _instrument(self) -> int:
        return self.chance.choices((1, 2, 3), (6, 3, 3))[0]

    def _price(self) -> int:
        return self.chance.choice((100, 101, 102, 102, 103, 103, 104, 104, 105, 106, 107, 300))

    def _qty(self) -> int:
        return self.chance.choice((1, 2, 3, 5, 5, 8, 13, 40, 200))

    def _place(self) -> Command:
        chance = self.chance
        market = chance.random() < 0.12
        return self._asked(
            PlaceOrder(
                account=self._account(),
                instrument=self._instrument(),
                side=chance.choice((1, 2)),
                order_type=MARKET if market else LIMIT,
                time_in_force=IOC if market or chance.random() < 0.15 else GTC,
                price=0 if market else self._price(),
                qty=self._qty(),
            )
        )

    def _asked(self, command: Command) -> Command:
        asked = self._ask(command)
        assert isinstance(asked, Command)
        return asked

    def _target(self) -> dict[str, object]:
        """Which order: mostly a late one of its own account, by either kind of id."""
        chance = self.chance
        if self.client_ids and chance.random() < 0.35:
            account, name = self._late(self.client_ids)
            return {"account": account, "slots": 2, "original_client_order_id": name}
        if not self.orders:
            return {"account": self._account(), "order_id": 1 << 22 | 1}
        account, order_id = self._late(self.orders)
        if chance.random() < 0.04:
            account = self._account()
        if chance.random() < 0.04:
            order_id += chance.choice((1, -1, 1 << 22, -(1 << 40)))
        return {"account": account, "order_id": order_id or 1}

    def _late(self, items: list[Any]) -> Any:
        back = self.chance.choice((1, 1, 2, 2, 3, 4, 5, 6, 8, 12, 20, 60))
        return items[-min(back, len(items))]

    def _cancel(self) -> Command:
        return self._asked(CancelOrder(**self._target()))  # type: ignore[arg-type]

    def _replace(self) -> Command:
        chance = self.chance
        command = ReplaceOrder(
            qty_basis=chance.choice((0, 1)),
            price=chance.choice((0, 0, self._price())),
            qty=chance.choice((0, self._qty(), self._qty())),
            **self._target(),  # type: ignore[arg-type]
        )
        return self._asked(command)

    def _reduce(self) -> Command:
        qty = self.chance.choice((1, 1, 2, 3, 8, 1_000, 0))
        return self._asked(ReduceOrder(qty=qty, **self._target()))  # type: ignore[arg-type]

    def _mass_cancel(self) -> Command:
        chance = self.chance
        return self._asked(
            MassCancel(
                account=self._account(),
                instrument=chance.choice((0, 0, 1, 2, 9)),
                side=chance.choice((0, 0, 1, 2)),
            )
        )

    def _money(self) -> Command:
        chance = self.chance
        kind = chance.choice((Deposit, Deposit, Withdraw))
        amount = chance.choice((1, 10**5, 10**7, 10**9, 10**11))
        slots = chance.choice((1, 1, 2))
        return self._asked(
            kind(
                account=self._account(),
                asset=chance.choice((1, 1, 2, 3, 4)),
                amount=amount,
                slots=slots,
                reference=f"pay-{amount}" if slots == 2 else "",
            )
        )

    def _reference(self) -> Command:
        chance = self.chance
        number = chance.randrange(8)
        made: tuple[Create, ...] = (
            CreateAccount(name=f"trader-{number}"),
            CreateAccount(name=chance.choice(("fees", "outside", f"{number:036d}"))),
            CreateAsset(
                name=chance.choice(("USD", f"A{number}")), scale=chance.choice((0, 12, 13))
            ),
            replace(
                _instrument(chance.choice(("BTC-USD", f"I{number}")), 2, 1, 1), **self._terms()
            ),
        )
        return self._asked(chance.choice(made))

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

    # Repeats.

    def _again(self) -> Command:
        """A command that came before: the same, or the same id with another payload."""
        chance = self.chance
        old = self._late(self.sent)
        assert isinstance(old, Keyed)
        again = replace(old, request_id=self.sequence + 1, session=chance.choice(SESSIONS))
        kind = chance.randrange(6)
        if kind == 0 and isinstance(again, PlaceOrder):
            return replace(again, qty=min(again.qty + 1, WORD_MAX))
        if kind == 1:
            return replace(again, account=self._account())
        if kind == 2:
            return replace(again, expire_after_ns=self.now_ns + chance.choice((-5, 10**9)))
        if kind == 3:
            return replace(self._place_with(again.client_order_id), account=again.account)
        return again

    def _place_with(self, client_order_id: str) -> Command:
        command = self._place()
        assert isinstance(command, PlaceOrder)
        return replace(command, client_order_id=client_order_id)

    # Spoiling.

    def _spoiled(self, command: Command) -> Command:
        """One field replaced by a value at or beyond an edge."""
        chance = self.chance
        if chance.random() < 0.1:
            number = chance.choice((*UNKNOWN_KINDS, *sorted(KEPT_KINDS)))
            asked = self._asked(OtherKind(number=number, account=3, slots=chance.choice((1, 2, 4))))
            return replace(asked, client_order_id=chance.choice(("", "other")))  # type: ignore[call-arg]
        edges: tuple[tuple[str, tuple[int, ...]], ...] = (
            ("schema", (0, 2, 255)),
            ("account", (0, 1, 2, 99, -1, (1 << 31) - 1)),
            ("instrument", (0, 4, -1, 1_000_000)),
            ("flags", (1, 2, 255)),
            ("side", (0, 3, 255)),
            ("order_type", (0, 1, 2, 3, 5, 6)),
            ("time_in_force", (0, 1, 2, 3, 5, 6)),
            ("self_trade", (1, 4, 5)),
            ("price", (-1, 0, 1, PRICE_MAX, PRICE_MAX + 1, MONEY_MAX, WORD_MAX, -WORD_MAX - 1)),
            ("qty", (-1, 0, 1, 1 << 31, 1 << 44, MONEY_MAX, MONEY_MAX + 1, WORD_MAX)),
            ("expire_ns", (1, -1)),
            ("display_qty", (1, -1)),
            ("expire_after_ns", (1, -1, WORD_MAX)),
            ("restriction", (1, 2, 3, 255)),
            ("order_id", (0, 1, -1, WORD_MAX)),
            ("qty_basis", (2, 255, 1)),
            ("filter_session", (1, -1)),
            ("asset", (0, 99, -1)),
            ("amount", (0, -1, MONEY_MAX, WORD_MAX)),
            ("slots", (1, 2, 3, 4)),
            ("instrument_type", (0, 2, 3)),
            ("matching", (0, 2, 3)),
            ("payout", (1,)),
            ("price_min", (1,)),
            ("max_age_ns", (-1,)),
            ("phase", (0, 1, 9, 200)),
            ("roles", (1,)),
            ("owner", (3, -1)),
        )
        usable = [(name, values) for name, values in edges if hasattr(command, name)]
        name, values = chance.choice(usable)
        return replace(command, **{name: chance.choice(values)})  # type: ignore[arg-type]


def _instrument(symbol: str, base: int, maker_ppm: int, taker_ppm: int) -> CreateInstrument:
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
