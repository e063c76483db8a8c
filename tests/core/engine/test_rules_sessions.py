"""Accounts, switches, sessions, lost gateways (docs/engine-venue.md)."""

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, USD, World
from tests.model.commands import (
    CANCEL_MAKER,
    CANCEL_TAKER,
    SELL,
    CreateAccount,
    Deposit,
    Withdraw,
)
from tests.model.state import Sizes
from tests.model.venue_commands import (
    CANCEL_ON_DISCONNECT,
    CANCEL_OPEN,
    CHANGE_SELF_TRADE,
    CHANGE_STATUS,
    SUSPENDED,
    GatewayLost,
    KillSwitch,
    SessionClosed,
    SessionOpened,
    UpdateAccount,
)

S1 = 1 << 24 | 1
S2 = 1 << 24 | 2
S3 = 2 << 24 | 1


@pytest.fixture
def free(make_world: MakeWorld) -> World:
    """Without fees."""
    return make_world(maker_ppm=0, taker_ppm=0)


# UPDATE_ACCOUNT.


def test_a_suspended_account_can_only_go_out_of_orders(free: World) -> None:
    free.buy(ALICE, 5, 100)
    suspend = UpdateAccount(account=ALICE, changes=CHANGE_STATUS, status=SUSPENDED)
    assert free.tell(suspend) == ["ACCOUNT_UPDATED alice #=3 price=1 qty=2 id=alice"]
    assert free.buy(ALICE, 1, 100, client_order_id="x") == [
        "ORDER_REJECTED alice #none ACCOUNT_SUSPENDED price=100 qty=1 leaves=1 id=x"
    ]
    assert free.replace(ALICE, 1, qty=1) == [
        "COMMAND_REJECTED alice #1 ACCOUNT_SUSPENDED qty=1 leaves=3"
    ]
    withdraw = Withdraw(account=ALICE, asset=BTC, amount=1)
    assert " ACCOUNT_SUSPENDED " in free.tell(withdraw)[0]
    assert free.tell(Deposit(account=ALICE, asset=BTC, amount=1))[0].startswith("LEDGER")
    assert free.sell(BOB, 2, 100)[1].startswith("FILL bob")  # It still trades as a maker.
    assert free.reduce(ALICE, 1, 1)[0].startswith("ORDER_REDUCED")
    assert free.cancel(ALICE, 1)[0].startswith("ORDER_CANCELED")
    free.tell(UpdateAccount(account=ALICE, changes=CHANGE_STATUS, status=1))
    assert " DUPLICATE_CLIENT_ID " in free.buy(ALICE, 2, 100, client_order_id="x")[0]
    assert free.buy(ALICE, 2, 100)[0].endswith("RESTS")


def test_an_account_is_cleared_of_its_orders(free: World) -> None:
    free.buy(ALICE, 5, 100)
    free.stop(SELL, ALICE, 5, 50)
    free.buy(BOB, 5, 100)
    command = UpdateAccount(account=ALICE, flags=CANCEL_OPEN, session=9)
    assert free.tell(command) == [
        "ACCOUNT_UPDATED alice #=3 qty=1 cum=2 session=9 id=alice",
        "ORDER_CANCELED alice #1 ADMIN_CANCEL price=100 qty=5 leaves=5",
        "ORDER_CANCELED alice #2 ADMIN_CANCEL qty=5 SELL",
    ]


def test_the_accounts_mode_is_for_orders_that_have_none(free: World) -> None:
    free.sell(ALICE, 1, 100)
    free.buy(ALICE, 1, 90)
    change = UpdateAccount(account=ALICE, changes=CHANGE_SELF_TRADE, self_trade=CANCEL_TAKER)
    assert free.tell(change) == ["ACCOUNT_UPDATED alice #=3 price=2 qty=1 leaves=1 id=alice"]
    assert free.buy(ALICE, 1, 100) == [
        f"ORDER_ACCEPTED alice #3 price=100 qty=1 leaves=1 cum=100 notional={257 | 1 << 16}",
        "ORDER_EXPIRED alice #3 STP price=100 qty=1",
    ]
    told = free.buy(ALICE, 1, 100, self_trade=CANCEL_MAKER)
    assert told[1].startswith("ORDER_EXPIRED alice #1 STP")
    free.sell(ALICE, 1, 101)
    assert free.replace(ALICE, 2, price=101)[2].startswith("FILL alice #2")  # Taken before.


def test_an_account_may_have_its_mode_from_the_beginning(free: World) -> None:
    free.tell(CreateAccount(name="dora", self_trade=CANCEL_TAKER))
    free.tell(Deposit(account=6, asset=USD, amount=100))
    free.sell(BOB, 1, 50)
    assert "notional=65793" in free.buy(6, 1, 40)[0]
    assert free.tell(CreateAccount(name="x", self_trade=5))[0].startswith(
        "COMMAND_REJECTED MALFORMED"
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (UpdateAccount(account=ALICE), "MALFORMED"),
        (UpdateAccount(account=ALICE, changes=4), "MALFORMED"),
        (UpdateAccount(account=ALICE, changes=-1), "MALFORMED"),
        (UpdateAccount(account=ALICE, changes=1, status=0), "MALFORMED"),
        (UpdateAccount(account=ALICE, changes=1, status=3), "MALFORMED"),
        (UpdateAccount(account=ALICE, changes=2, self_trade=5), "MALFORMED"),
        (UpdateAccount(account=ALICE, changes=2, flags=2), "MALFORMED"),
        (UpdateAccount(account=ALICE, changes=2, slots=2), "MALFORMED"),
        (UpdateAccount(account=1, changes=2), "UNKNOWN_ACCOUNT"),
        (UpdateAccount(account=9, changes=2), "UNKNOWN_ACCOUNT"),
    ],
)
def test_a_bad_account_update_is_rejected(free: World, command: UpdateAccount, reason: str) -> None:
    [told] = free.tell(command)
    assert told.startswith("COMMAND_REJECTED ")
    assert f" {reason} leaves=21" in told


# KILL_SWITCH.


def test_the_switch_of_one_account_cancels_and_stops_it(free: World) -> None:
    free.buy(ALICE, 1, 100)
    free.buy(BOB, 1, 100)
    assert free.tell(KillSwitch(account=ALICE, is_on=1)) == [
        "KILL_SWITCH_SET alice qty=1 leaves=1",
        "ORDER_CANCELED alice #1 KILLED price=100 qty=1 leaves=1",
    ]
    assert free.buy(ALICE, 1, 100) == [
        "ORDER_REJECTED alice #none KILL_SWITCH price=100 qty=1 leaves=1"
    ]
    assert free.buy(BOB, 1, 100)[0].endswith("RESTS")
    withdraw = Withdraw(account=ALICE, asset=BTC, amount=1)
    assert free.tell(withdraw)[0].startswith("LEDGER")
    assert free.tell(KillSwitch(account=ALICE)) == ["KILL_SWITCH_SET alice"]
    assert free.buy(ALICE, 1, 100)[0].endswith("RESTS")


def test_the_switch_of_all_goes_account_by_account(free: World) -> None:
    free.buy(CAROL, 1, 100)
    free.buy(ALICE, 1, 100)
    free.buy(ALICE, 1, 101)
    assert free.tell(KillSwitch(is_on=1)) == [
        "KILL_SWITCH_SET qty=3 leaves=1",
        "ORDER_CANCELED alice #2 KILLED price=100 qty=1 leaves=1",
        "ORDER_CANCELED alice #3 KILLED price=101 qty=1 leaves=1",
        "ORDER_CANCELED carol #1 KILLED price=100 qty=1 leaves=1",
    ]
    assert free.tell(KillSwitch(is_on=1)) == ["KILL_SWITCH_SET leaves=1"]
    free.tell(KillSwitch(account=BOB))
    assert " KILL_SWITCH " in free.buy(BOB, 1, 100)[0]
    free.tell(KillSwitch())
    assert free.buy(BOB, 1, 100)[0].endswith("RESTS")


def test_suspension_is_told_before_the_switch_and_both_before_the_deadline(free: World) -> None:
    free.tell(KillSwitch(is_on=1))
    assert " KILL_SWITCH " in free.buy(ALICE, 1, 100, expire_after_ns=1)[0]
    free.tell(UpdateAccount(account=ALICE, changes=CHANGE_STATUS, status=SUSPENDED))
    assert " ACCOUNT_SUSPENDED " in free.buy(ALICE, 1, 100)[0]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (KillSwitch(is_on=2), "COMMAND_REJECTED MALFORMED leaves=25"),
        (KillSwitch(account=2, is_on=1), "COMMAND_REJECTED outside UNKNOWN_ACCOUNT leaves=25"),
        (KillSwitch(account=99), "COMMAND_REJECTED UNKNOWN_ACCOUNT leaves=25"),
    ],
)
def test_a_bad_switch_is_rejected(free: World, command: KillSwitch, told: str) -> None:
    assert free.tell(command) == [told]


# Sessions.


def test_a_session_that_closes_takes_its_orders_along_if_asked(free: World) -> None:
    opened = SessionOpened(session=S1, account=ALICE, flags=CANCEL_ON_DISCONNECT)
    assert free.tell(opened) == [f"SESSION_EVENT alice qty=1 leaves=1 session={S1}"]
    free.buy(ALICE, 1, 100, session=S1)
    free.buy(ALICE, 1, 101, session=S2)
    free.buy(BOB, 1, 101, session=S1)
    assert free.tell(SessionClosed(session=S1)) == [
        f"SESSION_EVENT alice leaves=1 session={S1}",
        f"ORDER_CANCELED alice #1 DISCONNECTED price=100 qty=1 leaves=1 session={S1}",
    ]
    assert free.tell(SessionClosed(session=S1)) == [
        f"COMMAND_REJECTED UNKNOWN_SESSION leaves=31 session={S1}"
    ]


def test_without_the_flag_nothing_is_canceled(free: World) -> None:
    free.tell(SessionOpened(session=S1, account=ALICE))
    free.buy(ALICE, 1, 100, session=S1)
    assert free.tell(SessionClosed(session=S1)) == [f"SESSION_EVENT alice session={S1}"]


def test_an_order_keeps_its_session_when_another_replaces_it(free: World) -> None:
    free.tell(SessionOpened(session=S1, account=ALICE, flags=CANCEL_ON_DISCONNECT))
    free.buy(ALICE, 1, 100, session=S1)
    free.replace(ALICE, 1, price=99, session=S2)
    assert len(free.tell(SessionClosed(session=S1))) == 2


def test_a_session_only_heard_of_is_not_open(free: World) -> None:
    free.buy(ALICE, 1, 100, session=S1)
    assert " UNKNOWN_SESSION " in free.tell(SessionClosed(session=S1))[0]


def test_a_lost_gateway_closes_its_sessions_one_by_one(free: World) -> None:
    for session, account in ((S2, ALICE), (S3, BOB), (S1, CAROL)):
        flags = CANCEL_ON_DISCONNECT
        free.tell(SessionOpened(session=session, account=account, flags=flags))
        free.buy(account, 1, 100, session=session)
    assert free.tell(GatewayLost(gateway=1)) == [
        f"SESSION_EVENT qty=2 leaves=2 session={1 << 24}",
        f"SESSION_EVENT alice leaves=1 session={S2}",
        f"ORDER_CANCELED alice #1 DISCONNECTED price=100 qty=1 leaves=1 session={S2}",
        f"SESSION_EVENT carol leaves=1 session={S1}",
        f"ORDER_CANCELED carol #3 DISCONNECTED price=100 qty=1 leaves=1 session={S1}",
    ]
    assert free.tell(GatewayLost(gateway=1)) == [f"SESSION_EVENT qty=2 session={1 << 24}"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (SessionOpened(account=ALICE), "MALFORMED"),
        (SessionOpened(session=S1, account=ALICE, flags=2), "MALFORMED"),
        (SessionOpened(session=S1, flags=CANCEL_ON_DISCONNECT), "MALFORMED"),
        (SessionOpened(session=S1, account=9), "UNKNOWN_ACCOUNT"),
        (SessionOpened(session=S1, account=1), "UNKNOWN_ACCOUNT"),
        (SessionClosed(), "MALFORMED"),
        (GatewayLost(gateway=0), "MALFORMED"),
        (GatewayLost(gateway=256), "MALFORMED"),
    ],
)
def test_a_bad_session_command_is_rejected(
    free: World, command: SessionOpened, reason: str
) -> None:
    assert f" {reason} " in free.tell(command)[0]


def test_a_session_without_a_row_cannot_be_opened(make_world: MakeWorld) -> None:
    world = make_world(Sizes(sessions_max=1))
    world.tell(SessionOpened(session=S1, account=ALICE))
    assert world.tell(SessionOpened(session=S2, account=ALICE)) == [
        f"COMMAND_REJECTED alice CAPACITY leaves=30 cum=1 notional=1 session={S2}"
    ]
