"""Looking back at a small history: `explain`, `book` and `account`, whole outputs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from replay import snapshots
from replay.explain import Ambiguous, NotFound, explain
from replay.history import History
from replay.replay import NoSuchSequence
from replay.views import Unknown
from tests.replay.live import Live, some_commands
from tests.replay.market import ORDERS, scripted, setting_up
from tools import states
from tools.explain import tell

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the small history, stopped cleanly."""
    path = tmp_path_factory.mktemp("market") / "data"
    scripted(path).close()
    return path


def lines(data: Path, wanted: str, account: str | None = None) -> list[str]:
    """The lines of `explain` without times and without what stands before each."""
    found = tell(explain(data, wanted, account)).lines
    return [re.sub(r"\(\S+Z, ", "(", line).strip() for line in found]


def test_the_life_of_an_order_is_told_command_by_command(data: Path) -> None:
    assert lines(data, "a-1") == [
        "order 46137346 a-2 of alice: buy BTC-USD limit gtc at 101.00",
        "filled: 1.0000 at 100.75 on average, fees 0.100750 USD",
        "",
        "11  PLACE_ORDER a-1 of alice: buy 1.0000 limit gtc at 100.00 BTC-USD  (names it)",
        "11.0 accepted: 1.0000 at 100.00",
        "then open, 1.0000 open, 0.0000 filled, holds 100.200000 USD; 1 order, 0.5000 ahead in the "
        "queue at the best price",
        "12  PLACE_ORDER of bob: 1 order, 0.2500 ahead in the queue at the best price",
        "13  PLACE_ORDER b-3 of bob: sell 0.5000 limit gtc at 100.00 BTC-USD  (fills it)",
        "13.4 filled 0.2500 at 100.00 as maker, fee 0.025000 USD, against order 54525956 of bob",
        "then open, 0.7500 open, 0.2500 filled, holds 75.150000 USD; first in the queue at the "
        "best price",
        "15  REPLACE_ORDER a-2 of alice: a-1 price 101.00  (names it)",
        "15.0 replaced: 1.0000 at 101.00, 0.7500 open, priority lost",
        "15.1 was: 1.0000 at 100.00",
        "then open, 0.7500 open, 0.2500 filled, holds 75.901500 USD; first in the queue at the "
        "best price",
        "16  PLACE_ORDER b-4 of bob: sell 0.0200 limit ioc at 100.50 BTC-USD  (fills it)",
        "16.2 filled 0.0200 at 101.00 as maker, fee 0.002020 USD, against order 67108869 of bob",
        "then open, 0.7300 open, 0.2700 filled, holds 73.877460 USD; first in the queue at the "
        "best price",
        "18  PLACE_ORDER b-6 of bob: sell 0.9000 limit ioc at 101.00 BTC-USD  (fills it)",
        "18.2 filled 0.7300 at 101.00 as maker, fee 0.073730 USD, against order 75497479 of bob",
        "then filled, 0.0000 open, 1.0000 filled, holds 0.000000 USD",
        "looked up to sequence 27",
    ]
    assert lines(data, "a-2", "alice") == lines(data, "46137346") == lines(data, "a-1")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("b-1", "filled: 0.5000 at 100.00 on average, fees 0.050000 USD"),
        ("b-5", "expired: IOC, the best bid 101.00 is below the limit 102.00"),
        (
            "b-6",
            "expired: IOC, the book had only 0.7300 at or above the limit 101.00; 0.7300 was "
            "filled at 101.00 on average",
        ),
        (
            "a-3",
            "rejected: not enough available cash: 999899.149250 USD available, 1002000000.000000 "
            "USD needed",
        ),
        ("a-5", "canceled at sequence 24: canceled by a mass cancel"),
        ("b-7", "expired: market order, there are no bids left"),
        (
            "a-6",
            "resting: there is no bid; 1 order, 0.0200 ahead in the queue at the best price",
        ),
    ],
)
def test_it_says_why_an_order_is_as_it_is(data: Path, wanted: str, why: str) -> None:
    assert tell(explain(data, wanted)).fields["verdict"] == why


def test_a_command_that_came_too_late_explains_the_order_that_it_meant(data: Path) -> None:
    assert lines(data, "a-x") == [
        "order 88080393 a-4 of alice: buy BTC-USD limit gtc at 90.00",
        "canceled at sequence 24: canceled by a mass cancel",
        "",
        "21  PLACE_ORDER a-4 of alice: buy 0.0400 limit gtc at 90.00 BTC-USD  (names it)",
        "21.0 accepted: 0.0400 at 90.00",
        "then open, 0.0400 open, 0.0000 filled, holds 3.607200 USD; first in the queue at the "
        "best price",
        "23  REDUCE_ORDER of alice: a-4 by 0.0100  (names it)",
        "23.0 reduced by 0.0100 to 0.0300 open",
        "then open, 0.0300 open, 0.0000 filled, holds 2.705400 USD; first in the queue, 5.00 "
        "behind the best price (1 level)",
        "24  MASS_CANCEL of alice: buy  (cancels it)",
        "24.1 canceled 0.0300: canceled by a mass cancel",
        "then canceled, 0.0000 open, 0.0000 filled, holds 0.000000 USD",
        "25  CANCEL_ORDER a-x of alice: a-4  (names it)",
        "25.0 rejected: the order has ended, or the new total is not above what is filled",
        "then canceled, 0.0000 open, 0.0000 filled, holds 0.000000 USD",
        "looked up to sequence 27",
    ]


def test_an_id_of_several_accounts_and_an_unknown_one_are_refused_with_what_is_known(
    data: Path,
) -> None:
    with pytest.raises(Ambiguous, match="a-2: used by the accounts alice, bob; say which with"):
        explain(data, "a-2")
    assert tell(explain(data, "a-2", "bob")).fields["order"]["order_id"] >> 22 == 20
    with pytest.raises(NotFound, match=r"zz: no order .* looked up to sequence 27"):
        explain(data, "zz")
    with pytest.raises(NotFound, match="b-1: no order and no command of alice"):
        explain(data, "b-1", "alice")
    with pytest.raises(Unknown, match="account 'carol': not known at sequence 27; there are fees"):
        explain(data, "b-1", "carol")
    with pytest.raises(NotFound, match=f"{99 << 22 | 1}: no order"):
        explain(data, str(99 << 22 | 1))


def test_the_book_is_shown_as_it_was(data: Path) -> None:
    told = states.book(History(data).to(12), "BTC-USD", 10, with_orders=True)
    assert [re.sub(r"\(.*\)", "()", line) for line in told.lines] == [
        "BTC-USD after sequence 12 (), last price 100.00",
        "                price              qty  orders",
        "ask              none",
        "bid            100.00           1.2500       2",
        "                                0.2500 41943041 b-1 of bob",
        "                                1.0000 46137346 a-1 of alice",
    ]
    now = states.book(History(data).to(None), "BTC-USD", 1, with_orders=False).fields
    assert now["asks"] == [{"price": "103.00", "qty": "0.0500", "orders": 2}]
    assert now["bids"] == []
    assert now["sequence"] == 27
    with pytest.raises(NoSuchSequence, match="--at: the journal has no sequence 28; it ends"):
        History(data).to(28)
    with pytest.raises(Unknown, match=r"instrument 'ETH-USD': not known .* there are BTC-USD"):
        states.book(History(data).to(9), "ETH-USD", 1, with_orders=False)


def test_an_account_is_shown_as_it_was(data: Path) -> None:
    told = states.account(History(data).to(16), "alice")
    assert [re.sub(r"\(.*\)", "()", line) for line in told.lines] == [
        "alice after sequence 16 ()",
        "asset                           total                available                     held",
        "USD                     999972.952980            999899.075520                73.877460",
        "BTC                      100.27000000             100.27000000               0.00000000",
        "position                  net                 cost             realized             held",
        "BTC-USD                0.2700            27.020000             0.000000           0.0000",
        "46137346 a-2: buy 0.7300 BTC-USD at 101.00, 0.2700 filled, holds 73.877460 USD",
    ]


def test_what_is_shown_begins_with_a_snapshot_where_there_is_one(
    data: Path, tmp_path: Path
) -> None:
    live = Live(tmp_path / "data")
    live.send([*setting_up(), *ORDERS[:10]])
    snapshots.make(tmp_path / "data")
    live.send(ORDERS[10:])
    live.close()
    assert History(tmp_path / "data", 25).first_sequence == 19
    assert History(tmp_path / "data", 18).first_sequence == 0
    for wanted in ("a-1", "a-x", "a-6"):
        assert lines(tmp_path / "data", wanted) == lines(data, wanted)
    for at in (12, 19, 22):
        states_then = [History(path, at).to(at) for path in (data, tmp_path / "data")]
        shown = [states.account(state, "alice").fields for state in states_then]
        assert shown[0]["balances"] == shown[1]["balances"]


def test_explain_and_the_book_agree_about_every_queue(tmp_path: Path) -> None:
    """Each order of each book stands where its newest step up to then says."""
    live = Live(tmp_path / "data")
    live.send(some_commands(60, seed=11))
    live.close()
    told: dict[int, list[tuple[int, int, int]]] = {}
    compared = 0
    for sequence in range(25, live.sequence + 1, 2):
        fields = states.book(
            History(tmp_path / "data").to(sequence), "COIN0-USD", 1_000, with_orders=True
        ).fields
        for level in fields["bids"] + fields["asks"]:
            ahead = 0
            for place, order in enumerate(level["queue"]):
                number = order["order_id"]
                if number not in told:
                    told[number] = stands(tmp_path / "data", number)
                newest = [step[1:] for step in told[number] if step[0] <= sequence][-1]
                assert newest == (place, ahead), (sequence, number)
                ahead += int(order["leaves_qty"])
                compared += 1
    assert compared > 100
    assert any(place > 0 for steps in told.values() for _, place, _ in steps)


def stands(data: Path, order_id: int) -> list[tuple[int, int, int]]:
    """(sequence, orders ahead, quantity ahead) after each step in which the order rested."""
    steps = tell(explain(data, str(order_id))).fields["steps"]
    queues = [(step["sequence"], step["after"]["queue"]) for step in steps if step["after"]]
    return [(at, q["orders_ahead"], int(q["qty_ahead"])) for at, q in queues if q]


def test_the_command_line_prints_text_and_one_json_object(data: Path) -> None:
    found = json.loads(_outcry("explain", "b-5", "--data", str(data), "--json").stdout)
    assert _timeless(found) == {
        "order": {
            "order_id": 17 << 22 | 6,
            "client_order_id": "b-5",
            "account": "bob",
            "instrument": "BTC-USD",
            "side": "sell",
            "type": "limit",
            "time_in_force": "ioc",
            "status": "expired",
            "price": "102.00",
            "leaves_qty": "0.0000",
            "filled_qty": "0.0000",
            "fees": "0.000000",
            "hold": "0.00000000 BTC",
        },
        "verdict": "expired: IOC, the best bid 101.00 is below the limit 102.00",
        "sequence": 27,
        "other_orders": [],
        "now": EXPIRED,
        "steps": [
            {
                "sequence": 17,
                "relation": "names it",
                "command": {
                    "kind": "PLACE_ORDER",
                    "account": "bob",
                    "client_order_id": "b-5",
                    "text": "sell 0.0200 limit ioc at 102.00 BTC-USD",
                },
                "events": [
                    {
                        **EVENT,
                        "id": "17.0",
                        "kind": "ORDER_ACCEPTED",
                        "leaves": "0.0200",
                        "text": "accepted: 0.0200 at 102.00",
                    },
                    {
                        **EVENT,
                        "id": "17.1",
                        "kind": "ORDER_EXPIRED",
                        "leaves": "0.0000",
                        "cum": "0.0000",
                        "reason": "ioc_remainder",
                        "reason_text": REST,
                        "text": f"expired 0.0200: {REST}",
                    },
                ],
                "after": EXPIRED,
            }
        ],
    }
    refused = _outcry("explain", "a-2", "--data", str(data))
    assert refused.returncode == 64
    assert refused.stderr.startswith("outcry: a-2: used by the accounts alice, bob;")


REST = "immediate or cancel: the rest did not fill at once"
EVENT = {
    "order_id": 17 << 22 | 6,
    "account": "bob",
    "client_order_id": "b-5",
    "flags": [],
    "price": "102.00",
    "qty": "0.0200",
}
EXPIRED = {
    "status": "expired",
    "price": "102.00",
    "leaves_qty": "0.0000",
    "filled_qty": "0.0000",
    "hold": "0.00000000 BTC",
    "fees": "0.000000",
    "best_own": None,
    "best_other": "101.00",
    "queue": None,
}


def _timeless(found: dict[str, Any]) -> dict[str, Any]:
    del found["order"]["created"]
    for step in found["steps"]:
        del step["time"]
    return found


def _outcry(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
