"""The judge of the kill tests: silent about the truth, loud about every lie."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.history import CANCEL, PLACE, REPLACE, Attempt, Command, View
from tests.e2e.judge import judge

GONE = Attempt(404, {"code": "not_seen"}, replayed=False)
AWAY = Attempt(503, {"code": "not_accepting"}, replayed=False)
BROKEN = Attempt(0, {}, replayed=False)
World = tuple[dict[str, Command], View]


def order(number: str, cid: str, side: str, **changes: Any) -> dict[str, Any]:
    """An open order of one lot at 100.00, without fees."""
    asset, amount = ("USD", "100") if side == "buy" else ("BTC", "1")
    values = {
        "order_id": number,
        "client_order_id": cid,
        "instrument": "BTC-USD",
        "side": side,
        "type": "limit",
        "price": "100.00",
        "qty": "1",
        "filled_qty": "0",
        "remaining_qty": "1",
        "status": "open",
        "reserved": {"asset": asset, "amount": amount},
        "fees": {"asset": "USD", "amount": "0"},
    }
    return values | changes


def shut(number: str, cid: str, side: str, status: str, filled: str) -> dict[str, Any]:
    asset = "USD" if side == "buy" else "BTC"
    return order(
        number,
        cid,
        side,
        status=status,
        filled_qty=filled,
        remaining_qty="0",
        reserved={"asset": asset, "amount": "0"},
        fees={"asset": "USD", "amount": "3" if filled == "1" else "0"},
    )


def told(shown: dict[str, Any], status: int = 201, **more: Any) -> Attempt:
    return Attempt(status, {"order": shown, **more}, replayed=False)


def found(shown: dict[str, Any]) -> Attempt:
    return Attempt(200, {"order": shown}, replayed=False)


def body(cid: str, side: str, price: str = "100.00") -> dict[str, Any]:
    return {"client_order_id": cid, "side": side, "type": "limit", "price": price, "qty": "1"}


def row(total: str, reserved: str = "0") -> dict[str, str]:
    available = str(int(total) - int(reserved))
    return {"total": total, "available": available, "reserved": reserved}


@pytest.fixture
def world() -> World:
    """Ann bought one of Bob's, canceled one, replaced one that rests; Bob was not heard once."""
    fill = {"exec_id": "7.2", "qty": "1", "price": "100.00"}
    a1, b1 = shut("10", "a1", "buy", "filled", "1"), shut("9", "b1", "sell", "filled", "1")
    a2 = shut("11", "a2", "buy", "canceled", "0")
    a3, a4 = order("12", "a3", "buy"), order("12", "a4", "buy", price="99.00")
    a4["reserved"] = {"asset": "USD", "amount": "99"}
    commands = {
        "b1": Command("bob", PLACE, "b1", body("b1", "sell"), "", [told(order("9", "b1", "sell"))]),
        "a1": Command("ann", PLACE, "a1", body("a1", "buy"), "", [told(a1, fills=[fill])]),
        "a2": Command("ann", PLACE, "a2", body("a2", "buy"), "", [told(order("11", "a2", "buy"))]),
        "x2": Command("ann", CANCEL, "x2", {}, "11", [BROKEN, told(a2, 200)]),
        "a3": Command("ann", PLACE, "a3", body("a3", "buy"), "", [told(a3)]),
        "a4": Command("ann", REPLACE, "a4", body("a4", "buy", "99.00"), "12", [told(a4, 200)]),
        "b2": Command("bob", PLACE, "b2", body("b2", "sell"), "", [AWAY, AWAY]),
    }
    looked_up = {
        ("bob", "b1"): found(b1),
        ("ann", "a1"): found(a1),
        ("ann", "a2"): found(a2),
        ("ann", "x2"): found(a2),
        ("ann", "a3"): found(a4),
        ("ann", "a4"): found(a4),
        ("bob", "b2"): GONE,
    }
    balances = {
        "ann": {"USD": row("999897", "99"), "BTC": row("101"), "ETH": row("1000")},
        "bob": {"USD": row("1000097"), "BTC": row("99"), "ETH": row("1000")},
    }
    positions = {"ann": {"bought_qty": "1", "sold_qty": "0"}, "bob": {"sold_qty": "1"}}
    book = {"bids": [["99.00", "1"]], "asks": []}
    return commands, View(looked_up, {"ann": [a4], "bob": []}, balances, positions, book)


def change(world: World, cid: str, **values: Any) -> None:
    """An order is something else now than it was told."""
    commands, view = world
    key = commands[cid].user, cid
    view.looked_up[key] = copy.deepcopy(view.looked_up[key])
    view.looked_up[key].body["order"].update(values)


def forget(world: World, cid: str) -> None:
    world[1].looked_up[world[0][cid].user, cid] = GONE


def answer(world: World, cid: str, *attempts: Attempt) -> None:
    world[0][cid].attempts.extend(attempts)


def _again(world: World) -> None:
    answer(world, "a1", world[0]["a1"].attempts[0])


def _ghost(world: World) -> None:
    world[1].looked_up["bob", "b2"] = found(shut("13", "b2", "sell", "canceled", "0"))


def _two_for_one(world: World) -> None:
    answer(world, "b2", told(order("9", "b2", "sell")))
    world[1].looked_up["bob", "b2"] = found(shut("9", "b2", "sell", "filled", "1"))


def _out_of_order(world: World) -> None:
    commands = world[0]
    first, second = commands["b1"].attempts, commands["a1"].attempts
    first[0] = first[0]._replace(body=first[0].body | {"seq": 12}, sent_s=1.0, told_s=2.0)
    second[0] = second[0]._replace(body=second[0].body | {"seq": 11}, sent_s=3.0, told_s=4.0)


def _at_once(world: World) -> None:
    """Both were under way at the same time: any order is true."""
    _out_of_order(world)
    attempts = world[0]["a1"].attempts
    attempts[0] = attempts[0]._replace(sent_s=1.5)


def _same_execution(world: World) -> None:
    world[0]["b1"].attempts[0].body["fills"] = [{"exec_id": "7.2", "qty": "0", "price": "1"}]


LIES: dict[str, tuple[Callable[[World], None], str]] = {
    "an order is lost": (lambda w: forget(w, "a3"), "acknowledged, lookup answers 404"),
    "a cancel is lost": (lambda w: change(w, "x2", status="open"), "canceled, but it is open"),
    "a replace is lost": (lambda w: change(w, "a4", client_order_id="a3"), "last told ['a4']"),
    "a replace has another price": (lambda w: change(w, "a4", price="98.00"), "wanted {'price'"),
    "a 503 was executed": (_ghost, "never executed, yet it is there"),
    "executed twice": (_again, "executed twice"),
    "a repeat of nothing": (
        lambda w: answer(w, "b2", found(order("9", "b2", "sell"))._replace(replayed=True)),
        "answered as a repeat of nothing",
    ),
    "another order": (lambda w: change(w, "a1", order_id="14"), "answered order 10, it is 14"),
    "two ids for one order": (_two_for_one, "order 9 was placed 2 times"),
    "one execution twice": (_same_execution, "execution 7.2 was told 2 times"),
    "a sequence goes back in time": (_out_of_order, "sequence 11, sent after bob place b1 had 12"),
    "a fill is lost": (lambda w: change(w, "a1", filled_qty="0"), "filled 1, now only 0"),
    "a position is off": (lambda w: w[1].positions["bob"].update(sold_qty="2"), "sold_qty 2"),
    "a hold leaks": (
        lambda w: w[1].balances["bob"].update(BTC=row("99", "1")),
        "BTC reserved 1, orders say 0",
    ),
    "money is made": (
        lambda w: w[1].balances["bob"].update(USD=row("1000098")),
        "and fees 6 are not 2000000",
    ),
    "an open order is not listed": (
        lambda w: w[1].open_orders["ann"].clear(),
        "open orders differ",
    ),
    "the book shows what is not": (
        lambda w: w[1].book["asks"].append(["98.00", "1"]),
        "asks: shown and not so",
    ),
    "the book is crossed": (lambda w: w[1].book["asks"].append(["98.00", "1"]), "is crossed"),
}


def test_the_truth_is_not_complained_about(world: World) -> None:
    assert judge(world[0].values(), world[1]) == []


def test_commands_that_are_under_way_together_may_come_in_any_order(world: World) -> None:
    _at_once(world)
    assert judge(world[0].values(), world[1]) == []


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(world: World, lie: str) -> None:
    tell, expected = LIES[lie]
    tell(world)
    found = judge(world[0].values(), world[1])
    assert any(expected in complaint for complaint in found), found
