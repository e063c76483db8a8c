"""What a newcomer does: start, place orders that trade, stop or kill, start again, replay.

One data directory goes through this file from top to bottom, as it would in front of a user.
"""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.counters import Counters, attach_counters
from core.stages import STAGE_ENDS
from tests.e2e.exchange import Exchange, Reply, is_alive, until

FIRST_ORDER = {
    "client_order_id": "a-1",
    "instrument": "BTC-USD",
    "side": "buy",
    "type": "limit",
    "price": "70150.50",
    "qty": "0.2500",
}
FAULTS_MAX = 16  # Minor ones, for 60 orders.
OTHER_SIDE = FIRST_ORDER | {
    "client_order_id": "b-1",
    "side": "sell",
    "price": "70000.00",
    "qty": "0.1000",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """The one data directory of this file."""
    with Exchange(tmp_path_factory.mktemp("first") / "data") as exchange:
        yield exchange


@pytest.fixture
def exchange(directory: Exchange) -> Exchange:
    """It, running; both orders are there whichever tests ran before."""
    if not directory.running:
        directory.start()
    place(directory, "alice", FIRST_ORDER)
    place(directory, "bob", OTHER_SIDE)
    return directory


@pytest.fixture
def counters(exchange: Exchange) -> Iterator[Counters]:
    """What the core counts."""
    core = exchange.core_file()
    found = attach_counters(core["shm"], core["epoch"])
    yield found
    found.close()


def place(exchange: Exchange, user: str, body: dict[str, str]) -> Reply:
    return exchange.request("POST", "/v1/orders", user, body)


def look_up(exchange: Exchange, user: str, client_order_id: str) -> dict[str, Any]:
    reply = exchange.request("GET", f"/v1/orders/by-client-id/{client_order_id}", user)
    assert reply.status == 200, reply
    return {**reply.body["order"], "seq": None}  # That of the answer, not of the order.


def balances(exchange: Exchange, user: str) -> dict[str, tuple[str, str]]:
    reply = exchange.request("GET", "/v1/balances", user)
    return {row["asset"]: (row["available"], row["reserved"]) for row in reply.body["items"]}


def everything(exchange: Exchange) -> list[Any]:
    """What clients can see."""
    return [
        *(look_up(exchange, *who) for who in (("alice", "a-1"), ("bob", "b-1"))),
        *(balances(exchange, user) for user in ("alice", "bob")),
        *(
            exchange.request("GET", "/v1/positions", user).body["items"]
            for user in ("alice", "bob")
        ),
        exchange.request("GET", "/v1/instruments/BTC-USD/book").body["bids"],
    ]


def test_the_first_order_rests_and_the_other_side_trades_at_its_price(directory: Exchange) -> None:
    directory.start()
    first = place(directory, "alice", FIRST_ORDER)
    assert first.status == 201
    assert first.body["durability"] == "sync"
    assert first.body["fills"] == []
    order = first.body["order"]
    assert {name: order[name] for name in FIRST_ORDER} == FIRST_ORDER
    assert (order["status"], order["tif"], order["filled_qty"]) == ("open", "gtc", "0.0000")
    # 70,150.50 x 0.25 and 500 ppm of it, rounded up.
    assert order["reserved"] == {"asset": "USD", "amount": "17546.393813"}

    second = place(directory, "bob", OTHER_SIDE)
    assert second.status == 201
    assert second.body["order"]["status"] == "filled"
    (fill,) = second.body["fills"]
    assert (fill["price"], fill["qty"], fill["liquidity"]) == ("70150.50", "0.1000", "taker")
    assert fill["fee"] == "3.507525"
    assert second.body["seq"] > first.body["seq"]

    resting = look_up(directory, "alice", "a-1")
    assert (resting["status"], resting["filled_qty"]) == ("partially_filled", "0.1000")
    # 1,000,000 - 7,015.05 - 200 ppm of it - what 0.15 still hold.
    assert balances(directory, "alice") == {
        "USD": ("982455.710702", "10527.836288"),
        "BTC": ("100.10000000", "0.00000000"),
        "ETH": ("1000.00000000", "0.00000000"),
    }
    assert balances(directory, "bob") == {
        "USD": ("1007011.542475", "0.000000"),
        "BTC": ("99.90000000", "0.00000000"),
        "ETH": ("1000.00000000", "0.00000000"),
    }


def test_a_repeat_is_answered_with_the_order_as_it_is_and_does_nothing(exchange: Exchange) -> None:
    before = everything(exchange)
    again = place(exchange, "alice", FIRST_ORDER)
    assert again.status == 200
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.body["fills"] == []
    assert again.body["order"]["status"] == "partially_filled"
    other = place(exchange, "alice", FIRST_ORDER | {"qty": "0.3000"})
    assert (other.status, other.body["code"]) == (422, "idempotency_mismatch")
    assert everything(exchange) == before


def test_an_order_is_stamped_at_every_stage_from_the_request_to_its_answer(
    exchange: Exchange,
) -> None:
    def stages() -> dict[str, Any]:
        reply = exchange.request("GET", "/v1/admin/stages", "admin")
        return {row["stage"]: row for row in reply.body["stages"]}

    before = stages()
    place(exchange, "alice", FIRST_ORDER | {"client_order_id": "stamped", "qty": "0.0001"})
    until(lambda: stages()["all"]["count"] > before["all"]["count"], "the answer is stamped")
    found = stages()
    assert list(found) == list(STAGE_ENDS)
    for row in found.values():
        assert 0 <= row["p50_ns"] <= row["p90_ns"] <= row["p99_ns"] <= row["p99_9_ns"]
        assert row["p99_9_ns"] <= row["max_ns"]
    assert found["all"]["p50_ns"] > found["core"]["p50_ns"] > 0


def test_a_core_that_serves_is_quiet(exchange: Exchange, counters: Counters) -> None:
    """Nothing compiled or loaded, no page missed, the collector off; orders and the state hash in
    between."""
    exchange.state()  # Its arrays are the first large ones.
    before = counters.values()
    for number in range(60):
        place(exchange, "alice", FIRST_ORDER | {"client_order_id": f"q-{number}", "qty": "0.0001"})
    time.sleep(0.2)  # It looks at least each 50 ms.
    after = counters.values()
    assert after["sequence"] >= before["sequence"] + 60
    assert (after["late_kernels"], after["major_faults"]) == (0, 0)
    assert after["frozen_objects"] > 10_000
    assert after["minor_faults"] - before["minor_faults"] <= FAULTS_MAX


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_leaves_no_process_and_no_memory_and_everything_is_there_again(
    exchange: Exchange, number: signal.Signals
) -> None:
    before, state = everything(exchange), exchange.state()
    pids = exchange.pids()
    assert pids.keys() == {"supervisor", "core", "http", "prepare", "replayer"}
    assert exchange.segments()
    assert exchange.stop(number, group=number == signal.SIGINT) == 0  # Ctrl-C reaches all of it.
    assert not any(is_alive(pid) for pid in pids.values())
    assert exchange.segments() == []
    assert exchange.pids() == {}
    verified = exchange.verify()
    assert (verified["last_sequence"], verified["live"]) == (state["sequence"], False)
    replayed = exchange.replay("--check")
    assert replayed["sequence"] == state["sequence"]
    assert replayed["state_hash"] == state["state_hash"]
    exchange.start()
    assert everything(exchange) == before
    assert exchange.state()["state_hash"] == state["state_hash"]


def test_a_killed_core_comes_back_with_everything_that_was_answered(exchange: Exchange) -> None:
    before, state = everything(exchange), exchange.state()
    epoch, supervisor = exchange.core_file()["epoch"], exchange.supervisor
    dead = exchange.kill("core")
    until(lambda: exchange.core_file().get("epoch", epoch) > epoch, "another life of the core")
    exchange.wait_ready()
    assert exchange.pids()["core"] != dead
    assert exchange.supervisor == supervisor
    assert exchange.state()["state_hash"] == state["state_hash"]
    assert everything(exchange) == before
    place(exchange, "alice", FIRST_ORDER | {"client_order_id": "a-2"})
    exchange.check_journal()  # Beside the live exchange.


def test_requests_wait_for_a_core_that_is_away_and_are_then_answered(exchange: Exchange) -> None:
    exchange.kill("core")
    body = FIRST_ORDER | {"client_order_id": f"a-{time.time_ns()}"}
    answer = place(exchange, "alice", body)
    assert answer.status in (201, 503), answer  # 503 when this machine is slow to come back.
    exchange.wait_ready()
    status = 200 if answer.status == 201 else 201
    assert place(exchange, "alice", body).status == status


def test_everything_dies_within_a_second_of_the_supervisor(exchange: Exchange) -> None:
    state = exchange.state()
    pids = exchange.pids()
    os.kill(exchange.supervisor, signal.SIGKILL)
    died = time.monotonic()
    until(lambda: not any(map(is_alive, pids.values())), "all are gone", 10.0)
    assert time.monotonic() - died <= 1.0
    exchange.wait()
    exchange.start()  # At once, in the same directory.
    assert exchange.state()["state_hash"] == state["state_hash"]
    epochs = {name.name.split("-")[2] for name in exchange.segments()}
    assert epochs == {str(exchange.core_file()["epoch"])}, "memory of dead epochs is given back"
