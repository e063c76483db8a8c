"""Histories with a counterparty that answers late, twice, out of order and after a gap."""

from collections import Counter

from core.jit import MODE_NAME
from tests.driver import EngineDriver
from tests.outside.history import (
    BTC,
    CONTRACT_ID,
    PAYOUT,
    SPOT_ID,
    TRADERS,
    USD,
    History,
)

HISTORIES = {"release": 60, "checked": 25, "pure": 20}[MODE_NAME]
STEPS = 40


def test_after_the_drain_both_sides_have_the_same_books(random_seed: int) -> None:
    outcomes: Counter[int] = Counter()
    for number in range(HISTORIES):
        seed = random_seed * 1_000 + number
        history = History(seed)
        history.run(STEPS)
        history.drain()
        check(history, seed)
        check_replay(history, seed)
        outcomes.update(e.cum for e in history.events if e.kind == "EXEC_RECORDED")
    assert set(outcomes) >= {0, 1, 2, 3, 4, 5}, "not every outcome was met"


def check(history: History, seed: int) -> None:
    """No order and no hold is left; lots and money are those of the counterparty's books."""
    assert not history.held(), f"seed {seed}: something is still held"
    assert not any(history.engine.open_orders(account) for account in TRADERS), f"seed {seed}"
    net = history.net()
    theirs = history.venue.net()
    assert {k: v for k, v in net.items() if v} == {k: v for k, v in theirs.items() if v}, seed
    totals = history.totals()
    units = {SPOT_ID: 1, CONTRACT_ID: 1}
    for account in TRADERS:
        no_lots = max(-net.get((account, CONTRACT_ID), 0), 0)  # Each was opened with a payout.
        cash = history.moved[account, USD] + history.venue.cash(account, units) - no_lots * PAYOUT
        assert totals[account, USD] == cash, f"seed {seed}, account {account}"
        coins = history.moved[account, BTC] + net.get((account, SPOT_ID), 0)
        assert totals[account, BTC] == coins, f"seed {seed}, account {account}"


def check_replay(history: History, seed: int) -> None:
    """The same journal again: the same events, and nothing for the counterparty to answer."""
    engine = EngineDriver()
    events = engine.apply(history.commands)
    assert events == history.events, f"seed {seed}: the replay differs"
    assert engine.runner.state_hash() == history.engine.runner.state_hash()
    asked = history.venue.asked
    assert asked == sum(event.kind == "ORDER_ROUTE_REQUESTED" for event in events)
    history.venue.read(events)
    assert history.venue.asked == asked
    assert not history.venue.line, f"seed {seed}: a replay was answered"
