"""Money is conserved and holds are what open orders need, asserted over the whole state."""

from typing import Any

import numpy as np

from core.constants import PPM
from core.messages import BINARY, BUY, MATCHED_OUTSIDE, ROUTE_REPLACE
from core.records import ASSET, BALANCE, EXTRA, INSTRUMENT, POSITION
from core.risk.accounts import OUTSIDE_ACCOUNT

Array = np.ndarray[Any, Any]


def check(state: Any, orders: Array, cold: Array, open_slots: Array) -> None:
    """Balances, holds and positions against the open orders and against each other."""
    assets = state.rows("assets", ASSET, state["assets_used"] + 1)
    balances = state.rows("balances", BALANCE, state["balances_used"] + 1)
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    positions = state.rows("positions", POSITION, state["positions_used"] + 1)
    inside = balances["account"] != OUTSIDE_ACCOUNT
    assert (balances["available"][inside] >= 0).all(), "an available balance is negative"
    assert (balances["held"] >= 0).all(), "a held balance is negative"
    elsewhere = money_elsewhere(instruments, positions, len(assets))
    for asset in range(1, len(assets)):
        of_asset = balances["asset"] == asset
        total = sum(int(x) for x in balances["available"][of_asset])
        total += sum(int(x) for x in balances["held"][of_asset]) + elsewhere[asset]
        assert total == 0, f"asset {asset}: {total} units were made or lost"
        rows = of_asset & inside
        issued = sum(int(x) for x in balances["available"][rows]) + elsewhere[asset]
        issued += sum(int(x) for x in balances["held"][rows])
        assert issued == int(assets[asset]["issued"]), f"asset {asset}: issued is wrong"
    check_holds(state, orders, cold, open_slots)
    for instrument in range(1, len(instruments)):
        own = positions[positions["instrument"] == instrument]
        assert sum(int(x) for x in own["net"]) == 0, f"instrument {instrument}: lots were made"
        bought, sold = (sum(int(x) for x in own[side]) for side in ("bought", "sold"))
        assert bought == sold, f"instrument {instrument}: {bought} bought, {sold} sold"
        check_pot(instruments[instrument], own)
        check_debts(positions, instruments[instrument], instrument)
        if not int(instruments[instrument]["clearing"]):
            for name in ("due_bought", "due_sold", "due_base", "due_quote"):
                assert not own[name].any(), f"instrument {instrument}: {name} without a clearing"
    counted = positions["bought"] - positions["sold"] - positions["settled"]
    assert np.array_equal(positions["net"], counted)


def money_elsewhere(instruments: Array, positions: Array, assets: int) -> list[int]:
    """Per asset, what is in no balance: pots, and what a clearing that has begun still moves."""
    found = [0] * assets
    for terms in instruments[1:]:
        quote = int(terms["quote_asset"])
        found[quote] += int(terms["pot"]) + int(terms["due_fees"]) - int(terms["due_rebates"])
    for position in positions[1:]:
        terms = instruments[int(position["instrument"])]
        found[int(terms["quote_asset"])] += int(position["due_quote"])
        lots = int(position["due_base"])
        found[int(terms["base_asset"])] += lots * int(terms["base_per_lot"])
    return found


def check_pot(terms: Array, positions: Array) -> None:
    """Lots of a BINARY are there in pairs, and the pot has the payout of each."""
    if int(terms["instrument_type"]) != BINARY:
        assert not positions["reserved_yes"].any() and not positions["reserved_no"].any()
        return
    yes, no = 0, 0
    for position in positions:
        own_yes, own_no = int(position["reserved_yes"]), int(position["reserved_no"])
        free = int(position["net"]) - own_yes + own_no
        yes += own_yes + max(free, 0)
        no += own_no + max(-free, 0)
    assert yes == no, f"{yes} YES lots, {no} NO lots"
    assert int(terms["pot"]) == yes * int(terms["payout"]), f"{yes} pairs, pot {terms['pot']}"


def check_debts(positions: Array, terms: Array, instrument: int) -> None:
    """Only executions outside make debts, and only of traders; `outside` has its position there."""
    own = positions[positions["instrument"] == instrument]
    debts = own["debt"] | own["debt_base"]
    assert (own["debt"] >= 0).all()
    assert (own["debt_base"] >= 0).all()
    row = int(terms["outside_position"])
    if int(terms["matching"]) != MATCHED_OUTSIDE:
        assert not row
        assert not debts.any(), f"instrument {instrument}: a debt where we match"
        return
    assert int(positions[row]["account"]) == OUTSIDE_ACCOUNT
    assert int(positions[row]["instrument"]) == instrument
    assert not debts[own["account"] == OUTSIDE_ACCOUNT].any()


class Needs:
    """What orders, collateral and dues need, per row."""

    def __init__(self, instruments: Array, positions: Array, balances: Array) -> None:
        self.instruments = instruments
        self.positions = positions
        self.balances = dict.fromkeys(range(len(balances)), 0)
        rows = range(len(positions))
        self.lots, self.yes, self.no = ([0] * len(positions) for _ in range(3))
        self.shorting = [0] * len(positions)
        for row in rows[1:]:
            position = positions[row]
            kept = int(position["collateral"]) + int(position["due_held_quote"])
            self.balances[int(position["quote_balance"])] += kept
            self.balances[int(position["base_balance"])] += int(position["due_held_base"])
        for terms in instruments[1:]:
            self.balances[int(terms["fees_balance"])] += int(terms["due_rebates"])

    def add_routed(self, order: Array, row: Array, terms: Array) -> None:
        """Matched outside: by the wider of the terms that hold and those that are asked for."""
        number = int(row["position"])
        position = self.positions[number]
        is_binary = int(terms["instrument_type"]) == BINARY
        buys = int(row["side"]) == BUY
        price, leaves, lots = int(order["price"]), int(order["leaves"]), int(row["hold_lots"])
        if int(order["prev"]) == ROUTE_REPLACE:  # As ROUTED: asked; ``shown`` is its price.
            leaves = max(leaves, int(row["short_cash"]) - int(order["cum"]))
            wider = min if is_binary and not buys else max
            price = wider(price, int(order["shown"]))
        if buys:
            self.no[number] += lots
        elif is_binary:
            self.yes[number] += lots
        assert 0 <= lots <= (leaves if is_binary else 0)
        unit = price * int(terms["multiplier"])
        if not buys and not is_binary:
            self.balances[int(position["base_balance"])] += leaves * int(terms["base_per_lot"])
            self.lots[number] += int(order["leaves"])
            return
        self.lots[number] += lots
        cash = int(row["hold_fee"])
        if not buys or price:
            at_most = unit if buys else int(terms["payout"])
            assert cash == -(-at_most * leaves * int(terms["hold_ppm"]) // PPM)
            cash += (unit if buys else int(terms["payout"]) - unit) * (leaves - lots)
        self.balances[int(position["quote_balance"])] += cash

    def add_binary(self, order: Array, row: Array, terms: Array) -> None:
        number = int(row["position"])
        leaves, lots = int(order["leaves"]), int(row["hold_lots"])
        unit = int(order["price"]) * int(terms["multiplier"])
        if int(row["side"]) == BUY:
            self.no[number] += lots
        else:
            self.yes[number] += lots
            unit = int(terms["payout"]) - unit
        assert 0 <= lots <= leaves, "more lots are reserved than are open"
        self.lots[number] += lots
        cash = unit * (leaves - lots) + int(row["hold_fee"])
        self.balances[int(self.positions[number]["quote_balance"])] += cash

    def add_spot(self, order: Array, row: Array, terms: Array, shared: int) -> None:
        number = int(row["position"])
        position = self.positions[number]
        leaves = int(order["leaves"])
        if int(row["side"]) == BUY:
            notional = int(order["price"]) * leaves * int(terms["multiplier"])
            fee = int(row["hold_fee"])
            most = -(-notional * int(terms["hold_ppm"]) // PPM)
            assert 0 <= fee <= most or not notional, f"fee hold of {int(order['order_id'])}"
            self.balances[int(position["quote_balance"])] += notional + fee - shared
            return
        short = int(row["hold_lots"])
        base = (leaves - short) * int(terms["base_per_lot"]) - shared
        self.balances[int(position["base_balance"])] += base
        self.balances[int(position["quote_balance"])] += int(row["short_cash"])
        self.lots[number] += leaves
        self.shorting[number] += short


def check_holds(state: Any, orders: Array, cold: Array, open_slots: Array) -> None:
    """held of every balance = what its open orders, collateral and dues need."""
    balances = state.rows("balances", BALANCE, state["balances_used"] + 1)
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    positions = state.rows("positions", POSITION, state["positions_used"] + 1)
    extras = state.rows("extras", EXTRA, state["extras_used"] + 1)
    needs = Needs(instruments, positions, balances)
    for slot in open_slots:
        order, row = orders[slot], cold[slot]
        terms = instruments[int(row["instrument"])]
        assert int(positions[int(row["position"])]["account"]) == int(row["account"])
        if int(terms["matching"]) == MATCHED_OUTSIDE:
            needs.add_routed(order, row, terms)
        elif int(terms["instrument_type"]) == BINARY:
            needs.add_binary(order, row, terms)
        else:
            needs.add_spot(order, row, terms, int(extras[int(order["extra"])]["shared"]))
    for balance, amount in needs.balances.items():
        held = int(balances[balance]["held"])
        assert held == amount, f"balance {balance} holds {held}, {amount} is needed"
    for name, lots in (
        ("held", needs.lots),
        ("reserved_yes", needs.yes),
        ("reserved_no", needs.no),
        ("shorting", needs.shorting),
    ):
        assert positions[name].tolist() == lots, f"{name} of positions"
    ended = np.ones(len(orders), bool)
    ended[open_slots] = False
    for name in ("hold_fee", "hold_lots", "short_cash"):
        assert (cold[name][ended] == 0).all(), f"an ended order has {name}"
