"""The twin by itself: whatever is sent, everything that must hold holds (no engine needed)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.audit import Audit
from tests.model.commands import Command, MassCancel
from tests.model.events import Event
from tests.model.exchange import Exchange
from tests.model.state import Sizes
from tests.model.strategies import NARROW, TINY, USUAL, Scenario, seeds
from tests.model.venue_commands import (
    OutsideCanceled,
    SettleInstrument,
    Time,
    UpdateAccount,
    UpdateInstrument,
)

COMMANDS = 250


class Life:
    """One twin, its scenario and an auditor of its events."""

    def __init__(self, chance: random.Random, sizes: Sizes, *, risk: bool = True) -> None:
        self.exchange = Exchange(sizes, risk=risk)
        self.scenario = Scenario(chance)
        self.audit = Audit()

    def run(self, count: int) -> None:
        """Draw, apply, audit; look at all of the state after every third command."""
        for number in range(count):
            self.take(self.scenario.next())
            if number % 3 == 0:
                self.check()
        self.check()

    def take(self, command: Command) -> list[Event]:
        events = self.exchange.apply(command)
        self.scenario.learn(events)
        self.audit.take(events)
        return events

    def also(self, command: Command) -> list[Event]:
        """A command that the scenario did not draw."""
        self.scenario.setup.insert(0, command)
        return self.take(self.scenario.next())

    def check(self) -> None:
        """The twin's own invariants; the book of the events is the book."""
        self.exchange.check()
        for instrument in self.exchange.view.instruments:
            for side, is_sell in zip(self.exchange.book(instrument), (False, True), strict=True):
                levels = self.audit.mirror.levels(instrument, is_sell=is_sell)
                shown = [(price, [(o.order_id, o.qty) for o in level]) for price, level in levels]
                assert shown == side
        live = {order.order_id for order in self.exchange.orders() if order.is_live}
        assert live == self.audit.open.keys()


@pytest.mark.parametrize("sizes", [TINY, NARROW, USUAL], ids=["tiny", "narrow", "usual"])
@pytest.mark.parametrize("seed", range(3))
def test_every_invariant_holds_over_random_commands(seed: int, sizes: Sizes) -> None:
    Life(random.Random(seed), sizes).run(COMMANDS)


def test_every_invariant_holds_without_risk() -> None:
    Life(random.Random(99), USUAL, risk=False).run(COMMANDS)


@given(chance=seeds, sizes=st.sampled_from([TINY, NARROW, USUAL]), count=st.integers(1, 60))
def test_every_invariant_holds_over_any_commands(
    chance: random.Random, sizes: Sizes, count: int
) -> None:
    Life(chance, sizes).run(count)


@pytest.mark.parametrize("seed", range(4))
def test_after_a_drain_nothing_is_held(seed: int) -> None:
    """Cancel all, let the outside confirm, clear, settle: every unit is available again."""
    life = Life(random.Random(500 + seed), USUAL)
    life.run(COMMANDS)
    view = life.exchange.view
    for account in list(view.accounts):
        life.also(UpdateAccount(account=account, changes=1, status=1))
        life.also(MassCancel(account=account))
    for order in life.exchange.orders():
        if order.is_live:
            life.also(
                OutsideCanceled(
                    account=order.account,
                    instrument=order.instrument,
                    order_id=order.order_id,
                    reference=f"drain-{order.order_id}",
                    source="drain",
                )
            )
    life.scenario.now_ns += 10**15
    life.also(Time())
    for number, row in view.instruments.items():
        if row.is_binary and row.settled_price < 0:
            life.also(SettleInstrument(instrument=number, price=row.last_tick // 3))
        assert row.pot == 0
    life.check()
    collateral = {
        (account, view.instruments[number].quote): 0 for account, number in view.ledger.positions
    }
    for (account, number), position in view.ledger.positions.items():
        collateral[account, view.instruments[number].quote] += position.collateral
    for key, balance in view.ledger.balances.items():
        assert balance.held == collateral.get(key, 0), key
    assert view.rows.open_count == view.rows.extras_used == 0
    assert life.exchange.next_deadline() == 0


def test_a_delisted_instrument_holds_nothing() -> None:
    life = Life(random.Random(7), USUAL)
    life.run(COMMANDS)
    life.also(UpdateInstrument(instrument=1, changes=1, phase=9))
    assert not life.exchange.view.orders_in(1)
    life.check()
