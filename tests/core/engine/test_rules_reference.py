"""Accounts, assets, instruments, deposits and withdrawals, rule by rule (docs/engine.md)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CASH, COINS, USD, World
from tests.model.commands import (
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    Withdraw,
)
from tests.model.state import MONEY_MAX, Sizes

ISSUED = 3 * CASH

# Deposit and withdraw.


def test_a_deposit_comes_from_outside(world: World) -> None:
    deposit = Deposit(account=ALICE, asset=BTC, amount=7, client_order_id="d", session=3)
    assert world.tell(deposit) == [
        f"LEDGER alice price=22 qty=7 leaves={COINS + 7} session=3 instrument=2 id=d",
        f"LEDGER outside price=22 qty=-7 leaves={-3 * COINS - 7} instrument=2",
    ]
    assert world.balance(ALICE, BTC) == (COINS + 7, 0)


def test_a_withdrawal_takes_only_what_is_available(world: World) -> None:
    world.sell(ALICE, 400, 10)
    withdraw = Withdraw(account=ALICE, asset=BTC, amount=601, slots=2, reference="wire-1")
    assert world.tell(withdraw) == [
        "COMMAND_REJECTED alice INSUFFICIENT_FUNDS qty=601 leaves=23 cum=600 notional=601"
        " instrument=2"
    ]
    assert world.tell(replace(withdraw, amount=600)) == [
        "LEDGER alice price=23 qty=-600 cum=400 instrument=2",
        f"LEDGER outside price=23 qty=600 leaves={-3 * COINS + 600} instrument=2",
    ]


def test_the_issued_supply_has_a_bound(world: World) -> None:
    room = MONEY_MAX - ISSUED
    deposit = Deposit(account=BOB, asset=USD, amount=room + 1)
    assert world.tell(deposit) == [
        f"COMMAND_REJECTED bob SUPPLY qty={room + 1} leaves=22 cum={MONEY_MAX} notional={ISSUED}"
    ]
    assert world.tell(replace(deposit, amount=room))[0].startswith("LEDGER bob")
    assert "SUPPLY" in world.tell(replace(deposit, amount=1))[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"amount": 0}, "MALFORMED leaves=22"),
        ({"amount": -4}, "MALFORMED qty=-4 leaves=22"),
        ({"slots": 3}, "MALFORMED qty=5 leaves=22"),
        ({"asset": 3}, "UNKNOWN_ASSET qty=5 leaves=22 instrument=3"),
        ({"asset": -1}, "UNKNOWN_ASSET qty=5 leaves=22 instrument=-1"),
    ],
)
def test_a_bad_deposit_is_rejected(world: World, change: dict[str, Any], told: str) -> None:
    deposit = Deposit(account=ALICE, asset=USD, amount=5)
    assert world.tell(replace(deposit, **change)) == [f"COMMAND_REJECTED alice {told}"]


def test_a_deposit_that_finds_no_row_is_rejected(make_world: MakeWorld) -> None:
    world = make_world(Sizes(balances_max=10))  # 2 assets of fees and outside, 3 traders.
    world.do(CreateAccount(name="dora"))
    deposit = Deposit(account=6, asset=USD, amount=5)
    assert world.tell(deposit) == ["COMMAND_REJECTED CAPACITY qty=5 leaves=22 cum=10 notional=10"]
    assert world.buy(ALICE, 1, 5)[0].startswith("ORDER_ACCEPTED")


def test_an_order_that_finds_no_row_for_its_position_is_rejected(make_world: MakeWorld) -> None:
    world = make_world(Sizes(positions_max=1))
    world.buy(ALICE, 1, 5)
    assert world.buy(BOB, 1, 5) == ["ORDER_REJECTED bob #none CAPACITY price=5 qty=1 leaves=1"]
    assert world.buy(ALICE, 1, 5)[0].startswith("ORDER_ACCEPTED alice #2")


# Accounts and assets.


def test_accounts_are_numbered_as_they_come_and_names_are_unique(world: World) -> None:
    dora = CreateAccount(name="dora", session=4, account=77, instrument=5)
    assert world.tell(dora) == ["ACCOUNT_CREATED #=6 session=4 id=dora"]
    assert world.tell(CreateAccount(name="alice")) == [
        f"COMMAND_REJECTED NAME_TAKEN leaves=20 cum={ALICE} id=alice"
    ]
    assert world.tell(CreateAccount(name="fees")) == [
        "COMMAND_REJECTED NAME_TAKEN leaves=20 cum=1 id=fees"
    ]
    long = "n" * 36
    assert world.tell(CreateAccount(name=long)) == [f"ACCOUNT_CREATED #=7 id={long}"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (CreateAccount(), "MALFORMED leaves=20"),
        (CreateAccount(name="x", slots=2), "MALFORMED leaves=20 id=x"),
        (CreateAccount(name="x", self_trade=5), "MALFORMED leaves=20 id=x"),
        (CreateAccount(name="x", roles=1), "NOT_SUPPORTED leaves=20 id=x"),
        (CreateAccount(name="alice", owner=3), "NOT_SUPPORTED leaves=20 id=alice"),
        (CreateAsset(), "MALFORMED leaves=10"),
        (CreateAsset(name="X", slots=2), "MALFORMED leaves=10 id=X"),
        (CreateAsset(name="USD", scale=13), "NAME_TAKEN leaves=10 cum=1 id=USD"),
        (CreateAsset(name="X", scale=13), "TERMS leaves=10 cum=12 notional=13 id=X"),
    ],
)
def test_a_bad_name_is_rejected(world: World, command: Any, told: str) -> None:
    assert world.tell(command) == [f"COMMAND_REJECTED {told}"]


def test_a_full_table_takes_no_more(make_world: MakeWorld) -> None:
    world = make_world(Sizes(accounts_max=5, assets_max=2, instruments_max=1))
    assert world.tell(CreateAccount(name="dora")) == [
        "COMMAND_REJECTED CAPACITY leaves=20 cum=5 notional=5 id=dora"
    ]
    assert world.tell(CreateAsset(name="ETH")) == [
        "COMMAND_REJECTED CAPACITY leaves=10 cum=2 notional=2 id=ETH"
    ]
    instrument = CreateInstrument(name="X", base_asset=BTC, quote_asset=USD)
    assert world.tell(instrument) == ["COMMAND_REJECTED CAPACITY leaves=11 cum=1 notional=1 id=X"]


def test_an_asset_needs_rows_for_fees_and_outside(make_world: MakeWorld) -> None:
    world = make_world(Sizes(balances_max=11))
    assert world.tell(CreateAsset(name="ETH")) == [
        "COMMAND_REJECTED CAPACITY leaves=10 cum=11 notional=10 id=ETH"
    ]


# Instruments.


GOOD = CreateInstrument(
    name="ETH/USD.x_1-",
    base_asset=4,
    quote_asset=3,
    tick=5,
    tick_scale=2,
    lot=25,
    lot_scale=4,
    maker_ppm=-100,
    taker_ppm=250,
)


@pytest.fixture
def world_with_scales(world: World) -> World:
    """Asset 3 has 6 decimals, asset 4 has 8."""
    world.do(CreateAsset(name="USDT", scale=6))
    world.do(CreateAsset(name="ETH", scale=8))
    return world


def test_an_instrument_tells_its_multiplier_and_its_terms(world_with_scales: World) -> None:
    # 5 / 10^2 x 25 / 10^4 of 10^6 = 125 quote units; 25 / 10^4 of 10^8 = 250,000 base units.
    assert world_with_scales.tell(GOOD) == [
        "INSTRUMENT_CREATED #=2 price=125 qty=250000 leaves=4 cum=3 notional=196865 instrument=2"
        " id=ETH/USD.x_1-",
        "INSTRUMENT_TERMS #=2 price=5 qty=25 leaves=1026 cum=-100 notional=250 instrument=2"
        " id=ETH/USD.x_1-",
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": ""}, "MALFORMED"),
        ({"slots": 1}, "MALFORMED"),
        ({"instrument_type": 0}, "MALFORMED"),
        ({"instrument_type": 3, "payout": 1}, "MALFORMED"),
        ({"matching": 0}, "MALFORMED"),
        ({"phase": 0}, "MALFORMED"),
        ({"phase": 10}, "MALFORMED"),
        ({"phase": 1}, "NOT_SUPPORTED"),
        ({"base_asset": 5}, "UNKNOWN_ASSET"),
        ({"quote_asset": 0}, "UNKNOWN_ASSET"),
        ({"base_asset": 9, "quote_asset": 9}, "UNKNOWN_ASSET"),
        ({"base_asset": 3}, "TERMS"),
        ({"tick": 0}, "TERMS"),
        ({"tick": 10**9 + 1}, "TERMS"),
        ({"lot": 0}, "TERMS"),
        ({"lot": 10**9 + 1}, "TERMS"),
        ({"tick_scale": 13}, "TERMS"),
        ({"lot_scale": 13}, "TERMS"),
        ({"maker_ppm": -100_001}, "TERMS"),
        ({"taker_ppm": 100_001}, "TERMS"),
        ({"maker_ppm": -(1 << 31)}, "TERMS"),
        ({"qty_min": -1}, "TERMS"),
        ({"qty_max": -1}, "TERMS"),
        ({"notional_min": -1}, "TERMS"),
        ({"notional_max": -1}, "TERMS"),
        ({"tick_scale": 5}, "TERMS"),  # 0.125 quote units a tick and lot.
        ({"lot_scale": 11, "tick": 10**9}, "TERMS"),  # No whole base units a lot.
    ],
)
def test_bad_terms_are_rejected(
    world_with_scales: World, change: dict[str, Any], reason: str
) -> None:
    command = replace(GOOD, **change)
    name = f" id={command.name}" if command.name else ""
    assert world_with_scales.tell(command) == [f"COMMAND_REJECTED {reason} leaves=11{name}"]


def test_a_multiplier_above_the_bound_is_rejected(world: World) -> None:
    world.do(CreateAsset(name="A", scale=12))
    world.do(CreateAsset(name="B", scale=12))
    command = CreateInstrument(name="A/B", base_asset=3, quote_asset=4)
    assert "TERMS" in world.tell(replace(command, tick=10**7))[0]
    assert "TERMS" in world.tell(replace(command, lot=10**7))[0]
    assert world.tell(replace(command, tick=10**6))[0].startswith("INSTRUMENT_CREATED #=2")


def test_a_symbol_is_taken_once_and_checked_before_its_assets(world: World) -> None:
    command = CreateInstrument(name="BTC-USD", base_asset=77, quote_asset=USD)
    assert world.tell(command) == ["COMMAND_REJECTED NAME_TAKEN leaves=11 cum=1 id=BTC-USD"]
