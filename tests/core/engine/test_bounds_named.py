"""The bounds of quantities, prices, amounts, fees and sums by name: the reason, the limit, the
the value; in twin and engine alike.
"""

from typing import Final

import pytest

from tests.core.engine.script import Later, Script
from tests.core.engine.test_bounds import (
    ALICE,
    BOB,
    FUNDS,
    SPOT_ID,
    TERMS,
    market,
    order,
)
from tests.model.commands import (
    BUY,
    SELL,
    STOP_LIMIT,
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    MassCancel,
    ReplaceOrder,
    Transfer,
    Withdraw,
)
from tests.model.state import MONEY_MAX, PRICE_MAX, WORD_MAX
from tests.model.venue_commands import SetLimits, UpdateInstrument


def told(script: Script, command: Command | Later) -> tuple[str, int, int]:
    """Reason, limit and value of the first event."""
    first = script.do(command)[0]
    return first.reason, first.cum, first.cum_notional


@pytest.fixture
def script() -> Script:
    """A market with plain terms."""
    made = Script()
    made.each(market())
    return made


HUGE: Final = (1 << 53, 1 << 62, (1 << 63) - 1)


@pytest.mark.parametrize("qty", [MONEY_MAX + 1, MONEY_MAX + 2, WORD_MAX])
def test_a_quantity_above_the_bound_is_too_large(script: Script, qty: int) -> None:
    assert told(script, order(BUY, ALICE, qty, 1)) == ("QTY_TOO_LARGE", MONEY_MAX, qty)
    assert told(script, order(SELL, ALICE, qty, 1)) == ("QTY_TOO_LARGE", MONEY_MAX, qty)


@pytest.mark.parametrize("qty", [-1, -(1 << 31), -(1 << 53), -(1 << 63)])
def test_a_negative_quantity_price_or_amount_is_malformed(script: Script, qty: int) -> None:
    assert told(script, order(BUY, ALICE, qty, 1))[0] == "MALFORMED"
    assert told(script, order(BUY, ALICE, 1, qty))[0] == "MALFORMED"
    assert told(script, Deposit(account=ALICE, asset=1, amount=qty))[0] == "MALFORMED"
    assert told(script, Withdraw(account=ALICE, asset=1, amount=qty))[0] == "MALFORMED"
    assert told(script, SetLimits(account=ALICE, order_qty_max=qty))[0] == "MALFORMED"


def test_zero_is_missing_or_too_small(script: Script) -> None:
    assert told(script, order(BUY, ALICE, 0, 1)) == ("QTY_TOO_SMALL", 1, 0)
    assert told(script, order(BUY, ALICE, 1, 0))[0] == "PRICE_MISSING"
    assert told(script, Deposit(account=ALICE, asset=1, amount=0))[0] == "MALFORMED"


@pytest.mark.parametrize("price", [PRICE_MAX + 1, *HUGE])
def test_a_price_above_the_bound_is_out_of_band(script: Script, price: int) -> None:
    said = ("PRICE_OUT_OF_BAND", PRICE_MAX, price)
    assert told(script, order(BUY, ALICE, 1, price)) == said
    assert told(script, order(SELL, ALICE, 1, price)) == said
    stop = order(BUY, ALICE, 1, 510, order_type=STOP_LIMIT, slots=2, stop_price=price)
    assert told(script, stop) == said


def test_the_highest_price_rests_and_trades(script: Script) -> None:
    script.do(order(SELL, ALICE, 1, PRICE_MAX))
    assert script.events[0].price == PRICE_MAX
    buy = order(BUY, BOB, 1, PRICE_MAX)
    need = PRICE_MAX + -(-PRICE_MAX * 700 // 10**6)
    script.do(MassCancel(account=BOB), Deposit(account=BOB, asset=1, amount=need))
    assert [event.kind for event in script.do(buy)] == ["ORDER_ACCEPTED", "FILL", "FILL"]
    assert script.events[1].cum_notional == PRICE_MAX


@pytest.mark.parametrize(("price", "qty"), [(2, 1 << 61), (1 << 31, 1 << 31), (PRICE_MAX, 1 << 31)])
def test_a_product_above_the_bound_is_too_large(script: Script, price: int, qty: int) -> None:
    said = ("NOTIONAL_TOO_LARGE", MONEY_MAX, 0)
    assert told(script, order(BUY, ALICE, qty, price)) == said
    assert told(script, order(SELL, ALICE, qty, price)) == said


def test_the_largest_order_needs_what_it_needs_with_its_fee(script: Script) -> None:
    """The value is above the bound of money and below that of a word: nothing wrapped."""
    fees = UpdateInstrument(instrument=SPOT_ID, changes=2, maker_ppm=0, taker_ppm=100_000)
    script.do(MassCancel(account=BOB), fees)
    reason, _, need = told(script, order(BUY, ALICE, MONEY_MAX, 1))
    assert (reason, need) == ("INSUFFICIENT_FUNDS", MONEY_MAX + -(-MONEY_MAX // 10))
    assert MONEY_MAX < need < WORD_MAX


def test_no_asset_has_more_than_the_bound(script: Script) -> None:
    issued = 3 * FUNDS
    said = ("SUPPLY", MONEY_MAX, issued)
    for amount in (MONEY_MAX - issued + 1, MONEY_MAX, MONEY_MAX + 1, WORD_MAX):
        assert told(script, Deposit(account=ALICE, asset=2, amount=amount)) == said
    assert told(script, Deposit(account=ALICE, asset=2, amount=MONEY_MAX - issued))[0] == ""
    assert told(script, Deposit(account=BOB, asset=2, amount=1)) == ("SUPPLY", MONEY_MAX, MONEY_MAX)


@pytest.mark.parametrize("ppm", [100_001, 1 << 30, -100_001, -(1 << 31)])
def test_a_fee_above_a_tenth_does_not_fit(script: Script, ppm: int) -> None:
    script.do(MassCancel(account=BOB))
    update = UpdateInstrument(instrument=SPOT_ID, changes=2, taker_ppm=ppm)
    assert told(script, update)[0] == "TERMS"
    assert told(script, CreateInstrument(name="X", **TERMS | {"maker_ppm": ppm}))[0] == "TERMS"


def two(mult: int = 1) -> Script:
    """Two accounts in an instrument without fees; ``mult`` units a tick and lot."""
    script = Script()
    script.do(
        CreateAsset(name="USD"),
        CreateAsset(name="BTC"),
        CreateInstrument(name="SPOT", base_asset=2, quote_asset=1, tick=mult),
        CreateAccount(name="alice"),
        CreateAccount(name="bob"),
    )
    return script


def test_sums_over_all_time_never_wrap() -> None:
    """Half of all goes forth and back: volumes stop; bought and sold are counted anew."""
    half = 1 << 61
    script = two()
    for account in (ALICE, BOB):
        for asset in (1, 2):
            script.do(Deposit(account=account, asset=asset, amount=half - 1))
    for turn in range(9):
        seller, buyer = (ALICE, BOB) if turn % 2 else (BOB, ALICE)
        script.do(order(SELL, seller, half - 1, 1), order(BUY, buyer, half - 1, 1))
        assert script.events[-1].kind == "FILL"
    script.pair.compare_state()


def test_what_was_paid_for_an_order_stops_and_never_wraps() -> None:
    """One order sells all but one of its lots, then more of them at half the price, and again; its
    buyer gets the money back by a transfer."""
    script = two(1 << 29)
    price, lots, paid, cum = 1 << 31, 3, 0, 0
    script.do(Deposit(account=BOB, asset=2, amount=1_000))
    script.do(Deposit(account=ALICE, asset=1, amount=MONEY_MAX))
    sold = script.do(order(SELL, BOB, lots, price))[0].order_id
    for _ in range(6):
        amount = price * (lots - 1 - cum) << 29
        script.do(order(BUY, ALICE, lots - 1 - cum, price))
        paid, cum = paid + amount, lots - 1
        maker = script.events[-1]
        assert (maker.kind, maker.cum, maker.leaves) == ("FILL", cum, 1)
        assert maker.cum_notional == min(paid, WORD_MAX)
        back = Transfer(account=BOB, asset=1, amount=amount, counter_account=ALICE)
        assert script.do(back)[0].reason == ""
        price, lots = price // 2, lots * 2
        more = ReplaceOrder(account=BOB, order_id=sold, price=price, qty=lots)
        assert script.do(more)[0].kind == "ORDER_REPLACED"
        script.pair.compare_state()
    assert paid > WORD_MAX


def test_the_cost_and_the_profit_of_a_position_stop_and_never_wrap() -> None:
    """Nine lots, each for half of the money that there can be; then the loss of them all."""
    most = 1 << 61
    price = most >> 29
    script = two(1 << 29)
    script.do(Deposit(account=BOB, asset=2, amount=9), Deposit(account=ALICE, asset=1, amount=most))
    for _ in range(9):
        script.do(order(SELL, BOB, 1, price), order(BUY, ALICE, 1, price))
        assert script.events[-1].kind == "FILL"
        back = Transfer(account=BOB, asset=1, amount=most, counter_account=ALICE)
        assert script.do(back)[0].reason == ""
    script.pair.compare_state()
    position = script.pair.engine.positions(BOB)[ALICE, SPOT_ID]
    assert (position.net, position.cost) == (9, WORD_MAX)
    for account in (ALICE, BOB) * 5:
        other = ALICE + BOB - account
        script.do(Deposit(account=other, asset=1, amount=9))
        script.do(order(BUY, other, 9, 1), order(SELL, account, 9, 1))
        script.pair.compare_state()


def test_exposure_is_the_sum_of_positions_whose_cost_stopped() -> None:
    """Two positions, each with a cost of 2^63 - 1, bought with the same money again and again."""
    most = 1 << 61
    price = most >> 29
    script = two(1 << 29)
    script.do(CreateInstrument(name="OTHER", base_asset=2, quote_asset=1, tick=1 << 29))
    script.do(
        Deposit(account=BOB, asset=2, amount=18), Deposit(account=ALICE, asset=1, amount=most)
    )
    script.do(SetLimits(account=ALICE, open_orders_max=9))
    for number in (SPOT_ID, SPOT_ID + 1) * 9:
        where = {"instrument": number}
        script.do(order(SELL, BOB, 1, price, **where), order(BUY, ALICE, 1, price, **where))
        assert script.events[-1].kind == "FILL"
        script.do(Transfer(account=BOB, asset=1, amount=most, counter_account=ALICE))
    script.pair.compare_state()
    script.do(SetLimits(account=ALICE, exposure_max=MONEY_MAX))
    assert told(script, order(BUY, ALICE, 1, 1)) == ("EXPOSURE_LIMIT", MONEY_MAX, WORD_MAX)
    script.do(SetLimits(account=ALICE, open_orders_max=9))
    script.do(Transfer(account=ALICE, asset=1, amount=18 << 29, counter_account=BOB))
    for number in (SPOT_ID, SPOT_ID + 1):  # All of it is sold again: the sum is back at nothing.
        where = {"instrument": number}
        script.do(order(BUY, BOB, 9, 1, **where), order(SELL, ALICE, 9, 1, **where))
        script.pair.compare_state()
    script.do(SetLimits(account=ALICE, exposure_max=1 << 30))
    assert told(script, order(BUY, ALICE, 3, 1)) == ("EXPOSURE_LIMIT", 1 << 30, 3 << 29)
    assert told(script, order(BUY, ALICE, 2, 1))[0] == ""
