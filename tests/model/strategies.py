"""Random command sequences, realistic enough to trade and nasty enough to hurt.

``Scenario`` draws from a ``random.Random``: a seeded one, or hypothesis' own, which then shrinks.
Each command is drawn against what happened so far (ids seen in events), so a scenario needs the
events of its earlier commands from whoever applied them.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from tests.model.commands import (
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    KEPT_KINDS,
    MARKET,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    CancelOrder,
    Command,
    DeadMan,
    Deposit,
    Keyed,
    MassCancel,
    OtherKind,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    Transfer,
    Withdraw,
    changed,
)
from tests.model.edges import EDGES
from tests.model.events import Event
from tests.model.market import Market
from tests.model.state import WORD_MAX, Sizes

START_NS: Final = 1_700_000_000_000_000_000
SECOND: Final = 10**9
UNKNOWN_KINDS: Final = (0, 6, 9, 14, 19, 27, 39, 43, 60, 80, 127)
ENDS: Final = frozenset({"ORDER_CANCELED", "ORDER_EXPIRED"})
SESSIONS: Final = (0, 1 << 24 | 1, 1 << 24 | 2, 255 << 24 | 7)
ALL_FEATURES: Final = frozenset({"terms", "venue", "money", "outside"})

TINY: Final = Sizes(
    orders_max=6,
    closed_keep=3,
    ids_max=8,
    accounts_max=6,
    assets_max=4,
    instruments_max=7,
    balances_max=18,
    positions_max=12,
    sessions_max=3,
    extras_max=3,
    limits_max=3,
)
NARROW: Final = Sizes(
    orders_max=16, closed_keep=1, ids_max=12, balances_max=64, positions_max=64, extras_max=8
)
USUAL: Final = Sizes(orders_max=300, closed_keep=50, ids_max=400)

seeds = st.randoms(use_true_random=False)


class Scenario:
    """One exchange's life: reference data and funds first, then orders and everything else.

    ``features``: which parts of version 2 are drawn, so that an engine without some can be tested.
    """

    def __init__(
        self,
        chance: random.Random,
        *,
        odd: float = 0.06,
        features: frozenset[str] = ALL_FEATURES,
    ) -> None:
        self.chance = chance
        self.odd = odd  # Share of malformed, unknown, absurd.
        self.features = features
        self.sequence = 0
        self.now_ns = START_NS
        self.orders: list[tuple[int, int]] = []  # (account, order id), as they came.
        self.open: dict[int, int] = {}  # Order id -> account.
        self.client_ids: list[tuple[int, str]] = []
        self.sent: list[Keyed] = []
        self.accounts = chance.choice((2, 3, 4))
        self.market = Market(self)
        self.setup = self.market.setup()

    # What others call.

    def next(self) -> Command:
        """The next command, numbered and stamped."""
        self.sequence += 1
        self.now_ns += self.chance.choice((1, 10, 1_000))
        if not self.setup and "venue" in self.features and self.chance.random() < 0.03:
            steps = (SECOND, SECOND, 5 * SECOND, 3_600 * SECOND, 20 * 3_600 * SECOND)
            self.now_ns += self.chance.choice(steps)
        command = self.setup.pop(0) if self.setup else self._draw()
        command = changed(command, sequence=self.sequence, timestamp_ns=self.now_ns)
        if isinstance(command, Keyed):
            self.sent.append(command)
            names = isinstance(command, PlaceOrder | ReplaceOrder) or self.chance.random() < 0.1
            if command.client_order_id and names:
                self.client_ids.append((command.account, command.client_order_id))
        return command

    def learn(self, events: list[Event]) -> None:
        """Remember which orders exist, what traded, what is asked for outside."""
        for event in events:
            if event.kind == "ORDER_ACCEPTED":
                self.orders.append((event.account, event.order_id))
                self.open[event.order_id] = event.account
            elif event.kind in ENDS or (event.kind == "FILL" and event.leaves == 0):
                self.open.pop(event.order_id, None)
        self.market.learn(events)

    # Drawing.

    def _draw(self) -> Command:
        chance = self.chance
        if chance.random() < self.odd:
            return self._spoiled(self._draw_good())
        if self.sent and chance.random() < 0.05:
            return self._again()
        if self.market.met and chance.random() < 0.2:
            return self.market.mend()
        return self._draw_good()

    def _draw_good(self) -> Command:
        kinds: dict[Callable[[], Command], float] = {
            self._place: 52,
            self._cancel: 10,
            self._replace: 13,
            self._reduce: 6,
            self._mass_cancel: 1,
            self._money: 6,
            self.market.reference: 2,
        }
        if "venue" in self.features:
            kinds |= {self.market.venue: 7, self.market.time: 5, self._dead_man: 1}
        if "money" in self.features:
            kinds[self.market.bust] = 1
            kinds[self.market.settle] = 0.2
        if "outside" in self.features:
            kinds[self.market.outside] = 8
        return self.chance.choices(list(kinds), list(kinds.values()))[0]()

    def ask(self, command: Any) -> Any:
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
                values["expire_after_ns"] = self.now_ns + chance.choice((-1, 0, 1, 2_000, SECOND))
        return changed(command, **values)

    def asked(self, command: Command) -> Command:
        """``ask``, for a command of any kind."""
        asked = self.ask(command)
        assert isinstance(asked, Command)
        return asked

    def _fresh_id(self) -> str:
        number = self.sequence + 1
        names = (f"c-{number}", f"{number:036d}", f"k{number % 50}", "!")
        return self.chance.choices(names, (60, 20, 17, 3))[0]

    def account(self) -> int:
        """A trader."""
        return 3 + self.chance.randrange(self.accounts)

    def instrument(self) -> int:
        """An instrument, the first ones more often."""
        ids = self.market.ids
        return self.chance.choices(ids, [6, 4, 3, 5, 3, 2][: len(ids)])[0]

    def price(self) -> int:
        """A price near the others."""
        return self.chance.choice((96, 97, 98, 98, 99, 99, 100, 100, 100, 101, 101, 102, 103, 130))

    def qty(self) -> int:
        """Lots; mostly few."""
        return self.chance.choice((1, 2, 3, 5, 5, 8, 13, 20, 20, 200))

    # Orders.

    def _place(self) -> Command:
        chance = self.chance
        values: dict[str, Any] = {
            "account": self.account(),
            "instrument": self.instrument(),
            "side": chance.choice((1, 2)),
            "price": self.price(),
            "qty": self.qty(),
        }
        terms = "terms" in self.features
        kinds: dict[Any, int] = {self._limit: 45, self._ioc: 10, self._market: 10}
        if terms:
            kinds |= {self._stop: 14, self._iceberg: 8, self._passive: 6, self._timed: 8}
            kinds |= {self._pair: 7, self._reducing: 6}
        chance.choices(list(kinds), list(kinds.values()))[0](values)
        if terms and chance.random() < 0.2:
            values["self_trade"] = chance.choice((1, 2, 3, 4))
        if terms and chance.random() < 0.05:
            values |= {"slots": 2, "tag": chance.choice(("a", "b"))}
        return self.asked(PlaceOrder(**values))

    def _limit(self, values: dict[str, Any]) -> None:
        values["time_in_force"] = GTC

    def _ioc(self, values: dict[str, Any]) -> None:
        values["time_in_force"] = IOC
        if "terms" in self.features:
            values["time_in_force"] = self.chance.choice((IOC, FOK))
            if values["time_in_force"] == IOC and self.chance.random() < 0.5:
                values |= {"slots": 2, "min_qty": self.chance.randint(1, values["qty"])}

    def _market(self, values: dict[str, Any]) -> None:
        values |= {"order_type": MARKET, "time_in_force": IOC, "price": 0}
        if "terms" in self.features and self.chance.random() < 0.4:
            values |= {"slots": 2, "protection_price": self.chance.choice((0, self.price()))}
            if values["side"] == 1:
                values["max_cost"] = self.chance.choice((0, 1, 500_000, 10**7, 10**9))

    def _stop(self, values: dict[str, Any]) -> None:
        chance = self.chance
        kind = chance.choice((STOP, STOP_LIMIT, TRAILING_STOP))
        away = chance.choice((1, 1, 2, 3, 5, -1))
        near = self.market.last.get(values["instrument"], self.price())
        stop = near + (away if values["side"] == 1 else -away)
        tif = chance.choice((GTC, GTC, GTC, DAY, GTD))
        values |= {"slots": 2, "order_type": kind, "time_in_force": tif, "stop_price": stop}
        if tif == GTD:
            values["expire_ns"] = self.now_ns + 3 * SECOND
        if kind == TRAILING_STOP:
            flags = chance.choice((0, 8))
            values |= {"flags": flags, "trail": chance.choice((1, 2, 3, 100, 300))}
            values["stop_price"] = chance.choice((0, 0, stop))
        if kind != STOP_LIMIT:
            values |= {"price": 0, "protection_price": chance.choice((0, 0, self.price()))}
            if values["side"] == 1:
                values["max_cost"] = chance.choice((0, 0, 10**6, 10**8))

    def _iceberg(self, values: dict[str, Any]) -> None:
        values["display_qty"] = self.chance.choice((1, 2, values["qty"]))
        values["display_qty"] = min(values["display_qty"], values["qty"])

    def _passive(self, values: dict[str, Any]) -> None:
        values["flags"] = self.chance.choice((1, 1 | 4))

    def _timed(self, values: dict[str, Any]) -> None:
        values["time_in_force"] = self.chance.choice((DAY, GTD))
        if values["time_in_force"] == GTD:
            ends = (0, 1, SECOND, 3_600 * SECOND)
            values["expire_ns"] = self.now_ns + self.chance.choice(ends)

    def _pair(self, values: dict[str, Any]) -> None:
        """With the newest order of somebody, in the same instrument if it was one of ours."""
        if self.orders:
            values["account"], values["oco"] = self.late(self.orders)
            values["slots"] = 2
            placed = [c for c in self.sent[-60:] if isinstance(c, PlaceOrder)]
            for command in placed:
                if command.sequence == values["oco"] >> 22:
                    values["instrument"] = command.instrument
        if self.chance.random() < 0.4:
            self._stop(values)

    def _reducing(self, values: dict[str, Any]) -> None:
        self.chance.choice((self._limit, self._market, self._stop))(values)
        values["flags"] = values.get("flags", 0) | 2

    # Changes.

    def _target(self) -> dict[str, Any]:
        """Which order: mostly a late one of its own account, by either kind of id."""
        chance = self.chance
        if self.client_ids and chance.random() < 0.35:
            account, name = self.late(self.client_ids)
            return {"account": account, "slots": 2, "original_client_order_id": name}
        if not self.orders:
            return {"account": self.account(), "order_id": 1 << 22 | 1}
        account, order_id = self.late(self.orders)
        if self.open and chance.random() < 0.6:
            order_id, account = self.late(list(self.open.items()))
        if chance.random() < 0.04:
            account = self.account()
        if chance.random() < 0.04:
            order_id += chance.choice((1, -1, 1 << 22, -(1 << 40)))
        return {"account": account, "order_id": order_id or 1}

    def late(self, items: list[Any]) -> Any:
        """One of the newest."""
        back = self.chance.choice((1, 1, 2, 2, 3, 4, 5, 6, 8, 12, 20, 60))
        return items[-min(back, len(items))]

    def _cancel(self) -> Command:
        restriction = self.chance.choice((0, 0, 0, 1, 2)) if "terms" in self.features else 0
        return self.asked(CancelOrder(restriction=restriction, **self._target()))

    def _replace(self) -> Command:
        chance = self.chance
        values = self._target()
        if "terms" in self.features and chance.random() < 0.15:
            values |= {"slots": 2, "stop_price": self.price()}
        if "terms" in self.features and chance.random() < 0.15:
            values["display_qty"] = chance.choice((1, 2, 3, 8))
        return self.asked(
            ReplaceOrder(
                qty_basis=chance.choice((0, 1)),
                price=chance.choice((0, 0, self.price())),
                qty=chance.choice((0, self.qty(), self.qty())),
                **values,
            )
        )

    def _reduce(self) -> Command:
        qty = self.chance.choice((1, 1, 2, 3, 8, 1_000, 0))
        return self.asked(ReduceOrder(qty=qty, **self._target()))

    def _mass_cancel(self) -> Command:
        chance = self.chance
        filters: dict[str, Any] = {}
        if "terms" in self.features:
            filters = chance.choice(({}, {"slots": 2, "tag": "a"}, {"filter_session": 1 << 24 | 1}))
        return self.asked(
            MassCancel(
                account=self.account(),
                instrument=chance.choice((0, 0, 1, 2, 4, 9)),
                side=chance.choice((0, 0, 1, 2)),
                **filters,
            )
        )

    def _dead_man(self) -> Command:
        timeout = self.chance.choice((0, 10**8, SECOND, 60 * SECOND))
        return self.asked(DeadMan(account=self.account(), timeout_ns=timeout))

    def _money(self) -> Command:
        chance = self.chance
        kinds: tuple[Any, ...] = (Deposit, Deposit, Withdraw)
        kinds += (Transfer,) if "money" in self.features else ()
        kind = chance.choice(kinds)
        amount = chance.choice((1, 10**5, 10**7, 10**9, 10**11))
        slots = chance.choice((1, 1, 2))
        return self.asked(
            kind(
                account=self.account(),
                asset=chance.choice((1, 1, 2, 3, 4)),
                amount=amount,
                slots=slots,
                reference=f"pay-{amount}" if slots == 2 else "",
                counter_account=self.account() if kind is Transfer else 0,
            )
        )

    # Repeats.

    def _again(self) -> Command:
        """A command that came before: the same, or the same id with another payload."""
        chance = self.chance
        old = self.late(self.sent)
        assert isinstance(old, Keyed)
        again = changed(old, request_id=self.sequence + 1, session=chance.choice(SESSIONS))
        kind = chance.randrange(6)
        if kind == 0 and isinstance(again, PlaceOrder):
            return changed(again, qty=min(again.qty + 1, WORD_MAX))
        if kind == 1:
            return changed(again, account=self.account())
        if kind == 2:
            return changed(again, expire_after_ns=self.now_ns + chance.choice((-5, SECOND)))
        if kind == 3:
            fresh = self._place()
            assert isinstance(fresh, PlaceOrder)
            name = again.client_order_id
            return changed(fresh, client_order_id=name, account=again.account)
        return again

    # Spoiling.

    def _spoiled(self, command: Command) -> Command:
        """One field replaced by a value at or beyond an edge."""
        chance = self.chance
        if chance.random() < 0.1:
            number = chance.choice((*UNKNOWN_KINDS, *sorted(KEPT_KINDS)))
            other = OtherKind(number=number, account=3, slots=chance.choice((1, 2, 4)))
            asked = self.ask(other)
            assert isinstance(asked, OtherKind)
            return changed(asked, client_order_id=chance.choice(("", "other")))
        usable = [(name, values) for name, values in EDGES if hasattr(command, name)]
        name, values = chance.choice(usable)
        return changed(command, **{name: chance.choice(values)})
