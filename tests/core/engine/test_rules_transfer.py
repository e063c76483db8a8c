"""Money between accounts (docs/engine-money.md)."""

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CASH, COINS, USD, World
from tests.model.commands import Transfer
from tests.model.venue_commands import CHANGE_STATUS, SUSPENDED, UpdateAccount


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


def test_a_suspended_account_sends_nothing_and_may_receive(free: World) -> None:
    free.tell(UpdateAccount(account=ALICE, changes=CHANGE_STATUS, status=SUSPENDED))
    transfer = Transfer(account=ALICE, counter_account=BOB, asset=BTC, amount=1)
    assert " ACCOUNT_SUSPENDED " in free.tell(transfer)[0]
    transfer = Transfer(account=BOB, counter_account=ALICE, asset=BTC, amount=1)
    assert free.tell(transfer)[1].startswith("LEDGER alice")


def test_a_transfer_moves_what_is_available(free: World) -> None:
    free.sell(ALICE, 400, 100)
    transfer = Transfer(
        account=ALICE, counter_account=BOB, asset=BTC, amount=600, client_order_id="t", session=5
    )
    assert free.tell(transfer) == [
        "LEDGER alice price=24 qty=-600 cum=400 session=5 instrument=2 id=t",
        "LEDGER bob price=24 qty=600 leaves=1600 instrument=2 id=t",
    ]
    assert free.tell(transfer) == ["COMMAND_REPEATED alice session=5 instrument=2 id=t"]
    again = Transfer(account=ALICE, counter_account=BOB, asset=BTC, amount=1)
    assert free.tell(again) == [
        "COMMAND_REJECTED alice INSUFFICIENT_FUNDS qty=1 leaves=24 notional=1 instrument=2"
    ]
    assert free.balance(BOB, BTC) == (COINS + 600, 0)
    assert free.balance(ALICE, USD) == (CASH, 0)


@pytest.mark.parametrize(
    ("account", "other", "amount", "reason"),
    [
        (ALICE, ALICE, 1, "MALFORMED"),
        (ALICE, BOB, 0, "MALFORMED"),
        (ALICE, BOB, -1, "MALFORMED"),
        (ALICE, 1, 1, "UNKNOWN_ACCOUNT"),
        (ALICE, 99, 1, "UNKNOWN_ACCOUNT"),
        (ALICE, 1 << 40, 1, "UNKNOWN_ACCOUNT"),
        (2, ALICE, 1, "UNKNOWN_ACCOUNT"),
    ],
)
def test_a_bad_transfer_is_rejected_without_using_its_id(
    free: World, account: int, other: int, amount: int, reason: str
) -> None:
    bad = Transfer(
        account=account, counter_account=other, asset=USD, amount=amount, client_order_id="t"
    )
    assert f" {reason} " in free.tell(bad)[0]
    good = Transfer(account=ALICE, counter_account=BOB, asset=USD, amount=CASH, client_order_id="t")
    assert free.tell(good)[0].startswith(f"LEDGER alice price=24 qty=-{CASH}")
