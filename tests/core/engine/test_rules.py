"""What holds for every command: form, account, idempotency, deadline (docs/engine.md)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import MakeWorld
from tests.core.engine.world import ALICE, BOB, BTC, CAROL, CASH, COINS, USD, World, order
from tests.model.commands import (
    BUY,
    KEPT_KINDS,
    SELL,
    CancelOrder,
    Command,
    CreateAsset,
    Deposit,
    Keyed,
    MassCancel,
    OtherKind,
    ReduceOrder,
    ReplaceOrder,
    Withdraw,
)
from tests.model.state import Sizes

PLACED = order(BUY, ALICE, 10, 100, client_order_id="a1")


# Kind and schema.


@pytest.mark.parametrize("kind", [0, 6, 9, 14, 19, 27, 34, 43, 60, 69, 80, 127])
def test_a_kind_without_a_meaning_is_unknown(world: World, kind: int) -> None:
    command = OtherKind(number=kind, account=ALICE, instrument=7, session=5, client_order_id="x")
    leaves = f" leaves={kind}" if kind else ""
    assert world.tell(command) == [
        f"COMMAND_REJECTED alice UNKNOWN_KIND{leaves} session=5 instrument=7 id=x"
    ]


@pytest.mark.parametrize("kind", sorted(KEPT_KINDS))
def test_a_kept_kind_is_not_supported(world: World, kind: int) -> None:
    command = OtherKind(number=kind, account=ALICE, slots=2, schema=9)
    assert world.tell(command) == [f"COMMAND_REJECTED alice NOT_SUPPORTED leaves={kind}"]


@pytest.mark.parametrize(
    "command",
    [
        PLACED,
        CancelOrder(account=ALICE, order_id=5, client_order_id="a1"),
        Deposit(account=ALICE, asset=USD, amount=5, client_order_id="a1"),
    ],
)
def test_of_another_schema_only_the_prefix_and_the_id_are_read(
    world: World, command: Command
) -> None:
    instrument = replace(command, schema=2, instrument=6)
    assert world.tell(instrument) == [
        f"COMMAND_REJECTED alice MALFORMED leaves={command.kind} instrument=6 id=a1"
    ]


# Account.


@pytest.mark.parametrize("account", [0, 1, 2, 6, -1, 2**31 - 1])
def test_only_accounts_of_traders_may_ask(world: World, account: int) -> None:
    told = world.tell(replace(PLACED, account=account))
    assert len(told) == 1
    assert "UNKNOWN_ACCOUNT" in told[0]
    commands: list[Keyed] = [
        CancelOrder(order_id=5),
        ReduceOrder(order_id=5),
        ReplaceOrder(order_id=5),
        MassCancel(),
        Deposit(asset=USD, amount=1),
        Withdraw(asset=USD, amount=1),
    ]
    for command in commands:
        told = world.tell(replace(command, account=account, client_order_id="z"))
        assert len(told) == 1
        assert "UNKNOWN_ACCOUNT" in told[0]


def test_form_comes_before_account_and_account_before_everything_else(world: World) -> None:
    assert "MALFORMED" in world.tell(replace(PLACED, account=99, side=3))[0]
    assert "UNKNOWN_ACCOUNT" in world.tell(replace(PLACED, account=99, expire_after_ns=1))[0]
    assert "EXPIRED" in world.tell(replace(PLACED, instrument=99, expire_after_ns=1))[0]
    assert (
        "UNKNOWN_INSTRUMENT"
        in world.tell(replace(PLACED, instrument=99, price=0, qty=0, client_order_id=""))[0]
    )
    assert "PRICE_MISSING" in world.tell(replace(PLACED, price=0, qty=0, client_order_id=""))[0]


# Deadline.


def test_a_command_sequenced_after_its_deadline_is_rejected_and_its_id_used_up(
    world: World,
) -> None:
    now_ns = world.now_ns
    late = replace(PLACED, expire_after_ns=now_ns + 9)
    assert world.tell(late) == [
        f"ORDER_REJECTED alice #none EXPIRED_REQUEST price=100 qty=10 leaves=1 cum={now_ns + 9}"
        f" notional={now_ns + 10} id=a1"
    ]
    first = world.sequence << 22
    assert world.tell(PLACED) == [f"ORDER_REPEATED alice #={first} EXPIRED_REQUEST id=a1 GONE"]
    in_time = replace(PLACED, expire_after_ns=world.now_ns + 10, client_order_id="")
    assert world.tell(in_time)[0].startswith("ORDER_ACCEPTED")


# Idempotency.


def test_the_same_order_again_is_told_as_it_is_now(world: World) -> None:
    world.tell(PLACED)
    world.sell(BOB, 4, 100)
    assert world.tell(replace(PLACED, session=9, gateway=3, expire_after_ns=5)) == [
        "ORDER_REPEATED alice #1 price=100 qty=10 leaves=6 cum=4 notional=400 session=9 id=a1"
    ]
    world.cancel(ALICE, 1)
    assert world.tell(PLACED) == [
        "ORDER_REPEATED alice #1 CANCELED_BY_USER price=100 qty=10 cum=4 notional=400 id=a1"
    ]
    assert world.balance(ALICE, USD) == (CASH - 404, 0)


def test_a_repeated_sell_says_that_it_sells_and_a_filled_one_has_no_reason(world: World) -> None:
    sell = order(SELL, BOB, 4, 100, client_order_id="s")
    world.buy(ALICE, 4, 100)
    world.tell(sell)
    assert world.tell(sell) == [
        "ORDER_REPEATED bob #2 price=100 qty=4 cum=4 notional=400 id=s SELL"
    ]


@pytest.mark.parametrize(
    "change",
    [{"qty": 11}, {"price": 99}, {"side": SELL}, {"time_in_force": 2}, {"instrument": 2}],
)
def test_the_same_id_with_another_payload_is_rejected(world: World, change: dict[str, Any]) -> None:
    world.tell(PLACED)
    told = world.tell(replace(PLACED, **change))
    assert len(told) == 1
    assert told[0].startswith("ORDER_REJECTED alice #none DUPLICATE_CLIENT_ID")
    assert world.tell(PLACED)[0].startswith("ORDER_REPEATED alice #1")


def test_another_kind_with_the_same_id_is_rejected(world: World) -> None:
    world.tell(PLACED)
    assert world.cancel(ALICE, 1, client_order_id="a1") == [
        "COMMAND_REJECTED alice #1 DUPLICATE_CLIENT_ID leaves=2 id=a1"
    ]
    assert world.mass_cancel(ALICE, client_order_id="a1") == [
        "COMMAND_REJECTED alice DUPLICATE_CLIENT_ID leaves=5 id=a1"
    ]


def test_an_id_belongs_to_its_account(world: World) -> None:
    world.tell(PLACED)
    assert world.tell(replace(PLACED, account=BOB))[0].startswith("ORDER_ACCEPTED bob #2")


def test_a_rejected_order_has_used_its_id_up(world: World) -> None:
    poor = replace(PLACED, qty=100_000)
    assert world.tell(poor)[0].startswith("ORDER_REJECTED alice #none INSUFFICIENT_FUNDS")
    first = world.sequence << 22
    world.do(Deposit(account=ALICE, asset=USD, amount=100_000_000))
    assert world.tell(poor) == [f"ORDER_REPEATED alice #={first} INSUFFICIENT_FUNDS id=a1 GONE"]


def test_a_malformed_command_or_an_unknown_account_does_not_use_the_id_up(world: World) -> None:
    world.tell(replace(PLACED, side=9))
    world.tell(replace(PLACED, flags=16))
    world.tell(replace(PLACED, account=9))
    assert world.tell(PLACED)[0].startswith("ORDER_ACCEPTED alice #1")


def test_a_repeated_cancel_shows_the_order_or_its_own_reject(world: World) -> None:
    world.tell(PLACED)
    assert len(world.cancel(ALICE, 1, client_order_id="c1")) == 2
    assert world.cancel(ALICE, 1, client_order_id="c1", session=4) == [
        "ORDER_REPEATED alice #1 CANCELED_BY_USER price=100 qty=10 session=4 id=c1"
    ]
    late = "COMMAND_REJECTED alice #1 TOO_LATE leaves=2 id=c2"
    assert world.cancel(ALICE, 1, client_order_id="c2") == [late]
    assert world.cancel(ALICE, 1, client_order_id="c2") == [late]


def test_a_repeated_reduce_is_not_done_twice(world: World) -> None:
    world.tell(PLACED)
    world.reduce(ALICE, 1, 3, client_order_id="r1")
    assert world.reduce(ALICE, 1, 3, client_order_id="r1") == [
        "ORDER_REPEATED alice #1 price=100 qty=7 leaves=7 id=r1"
    ]
    poor = "COMMAND_REJECTED alice #1 INSUFFICIENT_FUNDS qty=100000 leaves=3"
    asked = {"qty": 100_000, "client_order_id": "p1"}
    limits = " cum=999286 notional=10199286 id=p1"
    assert world.replace(ALICE, 1, **asked) == [poor + limits]
    assert world.replace(ALICE, 1, **asked) == [poor + " id=p1"]


def test_repeated_money_and_mass_cancels_are_acknowledged_again(world: World) -> None:
    deposit = Deposit(account=ALICE, asset=BTC, amount=5, client_order_id="d")
    world.do(deposit)
    assert world.tell(deposit) == ["COMMAND_REPEATED alice instrument=2 id=d"]
    assert world.balance(ALICE, BTC) == (COINS + 5, 0)
    world.mass_cancel(ALICE, client_order_id="m")
    assert world.mass_cancel(ALICE, client_order_id="m") == ["COMMAND_REPEATED alice id=m"]
    too_much = Withdraw(account=ALICE, asset=USD, amount=CASH + 1, client_order_id="w")
    assert "INSUFFICIENT_FUNDS" in world.tell(too_much)[0]
    assert world.tell(too_much) == [
        f"COMMAND_REJECTED alice INSUFFICIENT_FUNDS qty={CASH + 1} leaves=23 id=w"
    ]


def test_an_order_whose_row_is_gone_is_repeated_as_gone(make_world: MakeWorld) -> None:
    world = make_world(Sizes(closed_keep=1))
    world.tell(PLACED)
    world.buy(ALICE, 1, 5)
    world.cancel(ALICE, 1)
    world.cancel(ALICE, 2)
    assert world.tell(PLACED) == ["ORDER_REPEATED alice #1 id=a1 GONE"]


# Which id leaves when the table is full.


def place(world: World, name: str, account: int = ALICE, price: int = 10) -> str:
    return world.buy(account, 1, price, client_order_id=name)[0].split()[0]


def known(world: World, name: str) -> bool:
    """Whether an id is in the table; if not, asking puts it in."""
    told = world.buy(ALICE, 7, 77, client_order_id=name)
    return "ORDER_ACCEPTED" not in told[0]


def ids_world(make_world: MakeWorld, ids_max: int, orders_max: int = 3) -> World:
    """The set-up of a World uses no ids."""
    return make_world(Sizes(orders_max=orders_max, ids_max=ids_max, closed_keep=2))


def test_the_oldest_id_leaves_but_never_that_of_an_open_order(make_world: MakeWorld) -> None:
    world = ids_world(make_world, 3)
    place(world, "open")
    world.buy(ALICE, 1, 9, time_in_force=2, client_order_id="ended-1")
    world.buy(ALICE, 1, 9, time_in_force=2, client_order_id="ended-2")
    world.buy(ALICE, 1, 9, time_in_force=2, client_order_id="ended-3")  # ended-1 leaves.
    assert known(world, "open")
    assert known(world, "ended-2")
    assert known(world, "ended-3")
    assert not known(world, "ended-1")  # And so it is put in: ended-2 leaves.
    assert not known(world, "ended-2")
    assert known(world, "open")


def test_an_id_whose_turn_has_passed_leaves_first_when_its_order_ends(
    make_world: MakeWorld,
) -> None:
    world = ids_world(make_world, 3)
    place(world, "open")
    world.buy(ALICE, 1, 9, time_in_force=2, client_order_id="x1")
    world.buy(ALICE, 1, 9, time_in_force=2, client_order_id="x2")
    world.buy(ALICE, 1, 9, time_in_force=2, client_order_id="x3")  # The turn of "open" passes.
    world.cancel(ALICE, 1)  # Now it is overdue.
    assert not known(world, "new")  # "open" leaves for it.
    assert known(world, "x2")
    assert known(world, "x3")
    assert known(world, "new")


def test_the_old_id_of_a_replaced_order_may_leave(make_world: MakeWorld) -> None:
    world = ids_world(make_world, 3)
    place(world, "a1")
    world.replace(ALICE, 1, qty=1, client_order_id="a2")
    place(world, "b1")
    place(world, "c1")  # a1 leaves: it is no longer current.
    assert world.replace(ALICE, 1, qty=1, client_order_id="b1")[0].startswith(
        "COMMAND_REJECTED alice #1 DUPLICATE_CLIENT_ID"
    )
    by_id = CancelOrder(account=ALICE, slots=2, original_client_order_id="a1")
    assert world.tell(by_id) == ["COMMAND_REJECTED alice UNKNOWN_ORDER leaves=2"]
    by_id = CancelOrder(account=ALICE, slots=2, original_client_order_id="a2")
    assert world.tell(by_id)[0].startswith("ORDER_CANCELED alice #1")


def test_when_every_id_is_of_an_open_order_a_new_one_finds_no_room(make_world: MakeWorld) -> None:
    world = ids_world(make_world, 2, orders_max=2)
    place(world, "a")
    place(world, "b")
    assert world.buy(CAROL, 1, 10, client_order_id="c") == [
        "ORDER_REJECTED carol #none CAPACITY price=10 qty=1 leaves=1 cum=2 notional=2 id=c"
    ]
    assert world.cancel(ALICE, 1, client_order_id="cancel") == [
        "COMMAND_REJECTED alice #1 CAPACITY leaves=2 cum=2 notional=2 id=cancel"
    ]
    world.cancel(ALICE, 1)
    assert place(world, "d") == "ORDER_ACCEPTED"
    assert world.tell(order(BUY, ALICE, 1, 10, client_order_id="b"))[0].startswith(
        "ORDER_REPEATED alice #2"
    )


def test_reference_data_needs_no_account_id_or_deadline(world: World) -> None:
    assert world.tell(CreateAsset(name="a1", account=99))[0].startswith("ASSET_CREATED")
    assert world.tell(PLACED)[0].startswith("ORDER_ACCEPTED")
