"""Money is conserved and holds are what open orders need, asserted over the whole state."""

from typing import Any

import numpy as np

from core.constants import PPM
from core.messages import BUY
from core.records import ASSET, BALANCE, EXTRA, INSTRUMENT, POSITION
from core.risk.accounts import OUTSIDE_ACCOUNT

Array = np.ndarray[Any, Any]


def check(state: Any, orders: Array, cold: Array, open_slots: Array) -> None:
    """Balances, holds and positions against the open orders and against each other."""
    assets = state.rows("assets", ASSET, state["assets_used"] + 1)
    balances = state.rows("balances", BALANCE, state["balances_used"] + 1)
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    inside = balances["account"] != OUTSIDE_ACCOUNT
    assert (balances["available"][inside] >= 0).all(), "an available balance is negative"
    assert (balances["held"] >= 0).all(), "a held balance is negative"
    for asset in range(1, len(assets)):
        of_asset = balances["asset"] == asset
        total = sum(int(x) for x in balances["available"][of_asset])
        total += sum(int(x) for x in balances["held"][of_asset])
        assert total == 0, f"asset {asset}: {total} units were made or lost"
        rows = of_asset & inside
        issued = sum(int(x) for x in balances["available"][rows])
        issued += sum(int(x) for x in balances["held"][rows])
        assert issued == int(assets[asset]["issued"]), f"asset {asset}: issued is wrong"
    check_holds(state, orders, cold, open_slots)
    positions = state.rows("positions", POSITION, state["positions_used"] + 1)
    for instrument in range(1, len(instruments)):
        own = positions[positions["instrument"] == instrument]
        assert sum(int(x) for x in own["net"]) == 0, f"instrument {instrument}: lots were made"
        bought, sold = (sum(int(x) for x in own[side]) for side in ("bought", "sold"))
        assert bought == sold, f"instrument {instrument}: bought {bought}, sold {sold}"
    assert np.array_equal(positions["net"], positions["bought"] - positions["sold"])


def check_holds(state: Any, orders: Array, cold: Array, open_slots: Array) -> None:
    """held of every balance = what its open orders need; nothing else holds anything."""
    balances = state.rows("balances", BALANCE, state["balances_used"] + 1)
    instruments = state.rows("instruments", INSTRUMENT, state["instruments_used"] + 1)
    positions = state.rows("positions", POSITION, state["positions_used"] + 1)
    extras = state.rows("extras", EXTRA, state["extras_used"] + 1)
    need = dict.fromkeys(range(len(balances)), 0)
    lots = dict.fromkeys(range(len(positions)), 0)
    for slot in open_slots:
        order, row = orders[slot], cold[slot]
        terms = instruments[int(row["instrument"])]
        position = positions[int(row["position"])]
        assert int(position["account"]) == int(row["account"])
        leaves = int(order["leaves"])
        shared = int(extras[int(order["extra"])]["shared"])
        if int(row["side"]) == BUY:
            notional = int(order["price"]) * leaves * int(terms["multiplier"])
            fee = int(row["hold_fee"])
            most = -(-notional * int(terms["hold_ppm"]) // PPM)
            assert 0 <= fee <= most or not notional, f"fee hold of {slot}"
            need[int(position["quote_balance"])] += notional + fee - shared
        else:
            need[int(position["base_balance"])] += leaves * int(terms["base_per_lot"]) - shared
            lots[int(row["position"])] += leaves
    for balance, amount in need.items():
        held = int(balances[balance]["held"])
        assert held == amount, f"balance {balance} holds {held}, its open orders need {amount}"
    for position_row, amount in lots.items():
        assert int(positions[position_row]["held"]) == amount, f"lots held of {position_row}"
    ended = np.ones(len(orders), bool)
    ended[open_slots] = False
    assert (cold["hold_fee"][ended] == 0).all(), "an ended order holds a fee"
