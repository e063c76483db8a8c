"""A real order flow on a ring of the live exchange, the core killed in the middle of it.

The numbers are those of a slow and obvious matcher; they are counted from the events that the
producer saw, so a lost, doubled or reordered command changes a hash.  OUTCRY_FLOWS=DIR adds the
flow of a real trading day.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from bench import flow as binary
from core.constants import MONEY_MAX
from core.messages import CANCEL, COMMAND, COMMAND_REJECTED, PLACE_ORDER, PLACE_SLOT_2
from tests.e2e.conftest import MakeExchange
from tests.e2e.exchange import CHECKOUT, Exchange, environment
from tests.e2e.producer import COMMAND_BYTES
from tests.model import flows
from tests.model.translate import events_of
from tests.test_flows import Twin
from tests.test_flows import run as run_through

FOLDER = os.environ.get("OUTCRY_FLOWS", "")
GATEWAY: Final = "flow.0"
OWN_OPS: Final = 5_000
TWICE: Final = (0.3, 0.6)  # When the core is killed: shares of the commands answered.
ONCE: Final = (0.5,)
ID_DIGITS: Final = 16
Array = np.ndarray[Any, Any]


@dataclass
class Market:
    """One account that can pay for anything, and an instrument per symbol of the flow."""

    account: int
    instruments: list[int]


def ask(exchange: Exchange, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
    """One request of the operator, which must succeed."""
    headers = {"Idempotency_Key": key} if key else {}
    reply = exchange.request("POST", f"/v1/admin/{path}", "admin", body, **headers)
    assert reply.status in (200, 201), reply
    return dict(reply.body)


def open_market(exchange: Exchange, symbols: int) -> Market:
    """Assets without decimals, so that a tick is a unit; deposits up to the bound of an asset."""
    account = ask(exchange, "accounts", {"name": "producer"})["account"]["id"]
    assets = ["CASH", *(f"COIN{number}" for number in range(symbols))]
    for asset in assets:
        ask(exchange, "assets", {"name": asset, "scale": 0})
        body = {"asset": asset, "amount": str(MONEY_MAX)}
        ask(exchange, f"accounts/{account}/deposit", body, f"all-{asset}")
    terms = {"quote": "CASH", "tick": "1", "lot": "1", "maker_ppm": 0, "taker_ppm": 0}
    made = [
        ask(exchange, "instruments", terms | {"symbol": f"{coin}-CASH", "base": coin})
        for coin in assets[1:]
    ]
    return Market(int(account), [int(one["instrument"]["id"]) for one in made])


def commands_of(flow: binary.Flow, market: Market) -> Array:
    """Commands of two slots; all orders are named by client id, and each command has its own.

    The id of an order is the flow's in 16 hexadecimal digits; that of a later command for it goes
    on with the command's number.
    """
    slots = np.zeros((len(flow.records), COMMAND_BYTES), np.uint8)
    slots[:, :128] = binary.to_commands(flow).view(np.uint8).reshape(-1, 128)
    prefix = slots[:, :128].view(COMMAND)[:, 0]
    first, second = slots[:, :128].view(CANCEL)[:, 0], slots[:, 128:].view(PLACE_SLOT_2)[:, 0]
    prefix["account"] = market.account
    prefix["instrument"] = np.array(market.instruments)[flow.records["symbol"]]
    order = text([f"{number:016x}" for number in flow.records["order_id"].tolist()])
    later = text([f".{number:08x}" for number in range(len(slots))])
    first["client_order_id"][:, :ID_DIGITS] = order
    is_later = prefix["kind"] != PLACE_ORDER
    first["client_order_id"][is_later, ID_DIGITS : ID_DIGITS + later.shape[1]] = later[is_later]
    second["original_client_order_id"][is_later, :ID_DIGITS] = order[is_later]
    prefix["slots"][is_later] = 2
    return slots


def text(words: list[str]) -> Array:
    """Words of one length as rows of bytes."""
    return np.array(words, "S").view(np.uint8).reshape(len(words), -1)


def progress(producer: "subprocess.Popen[str]") -> Iterator[dict[str, int]]:
    """What the producer says, line by line."""
    assert producer.stdout is not None
    for line in producer.stdout:
        yield json.loads(line)


def send(
    exchange: Exchange, commands: Array, shares: tuple[float, ...], scratch: Path
) -> tuple[dict[str, int], Array]:
    """Send everything, kill the core on the way; the producer's last words, and all events."""
    np.save(scratch / "commands.npy", commands)
    files = [str(scratch / "commands.npy"), str(scratch / "events.npy")]
    kills = [int(share * len(commands)) for share in shares]
    killed_at: list[int] = []
    last: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.producer", str(exchange.data), GATEWAY, *files],
        env=environment({}),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    ) as producer:
        for last in progress(producer):
            if len(killed_at) < len(kills) and last["answered"] >= kills[len(killed_at)]:
                exchange.kill("core")
                killed_at.append(last["answered"])
    assert producer.returncode == 0
    assert max(killed_at) < len(commands), "too late to be in the middle"
    assert last["lives"] == 1 + len(kills)
    return last, np.load(files[1])


def numbers(events: Array, market: Market) -> dict[str, int | str]:
    """The fields of a sidecar, from events alone; a repeated reject counts once."""
    orders = events_of(events)
    tally = flows.Tally(len(market.instruments))
    rejected = set()
    for event, kind in zip(orders, events["kind"].tolist(), strict=True):
        label = event.client_order_id
        if kind == COMMAND_REJECTED:
            if label in rejected:
                continue
            rejected.add(label)
        number = int(label[:ID_DIGITS], 16)
        instrument = 1 + market.instruments.index(event.instrument) if event.instrument else 0
        tally.take([event._replace(client_order_id=str(number), instrument=instrument)])
    return tally.numbers()


def check(
    exchange: Exchange,
    flow: binary.Flow,
    expected: dict[str, int | str],
    shares: tuple[float, ...],
    scratch: Path,
) -> None:
    """The flow on the live exchange gives these numbers, and its journal the live state."""
    market = open_market(exchange, flow.symbols)
    last, events = send(exchange, commands_of(flow, market), shares, scratch)
    assert last["resent"] > 0, "nothing was in flight when the core was killed"
    assert numbers(events, market) == expected
    account = exchange.request("GET", "/v1/account", "producer").body
    totals = {row["asset"]: row["total"] for row in account["balances"]}
    assert {totals[asset] for asset in totals if asset.startswith("C")} == {str(MONEY_MAX)}
    state = exchange.state()
    assert exchange.stop() == 0
    assert exchange.verify()["last_sequence"] == state["sequence"]
    assert exchange.replay()["state_hash"] == state["state_hash"]


@pytest.fixture(scope="module")
def own() -> tuple[binary.Flow, dict[str, int | str]]:
    """A flow, and what the twin makes of it."""
    made = flows.made(7, OWN_OPS)
    records = np.array([tuple(op) for op in made.ops], binary.RECORD)
    top = int(records["order_id"].max())
    flow = binary.Flow("own", 0, made.symbols, top, int(records["user"].max()), records)
    return flow, run_through(Twin(risk=True), made, upto=OWN_OPS)[OWN_OPS]


@pytest.mark.parametrize(("durability", "shares"), [("sync", TWICE), ("relaxed", ONCE)])
def test_a_flow_of_our_own_survives_kills_of_the_core_to_the_last_hash(
    make_exchange: MakeExchange,
    tmp_path: Path,
    own: tuple[binary.Flow, dict[str, int | str]],
    durability: str,
    shares: tuple[float, ...],
) -> None:
    flow, expected = own
    settings = {"core.extra_gateways": GATEWAY}
    exchange = make_exchange(durability=durability, settings=settings).start()
    check(exchange, flow, expected, shares, tmp_path)


@pytest.mark.skipif(not FOLDER, reason="OUTCRY_FLOWS names no folder of order flows")
def test_a_real_trading_day_survives_kills_of_the_core_to_the_last_hash(
    make_exchange: MakeExchange, tmp_path: Path
) -> None:
    path = Path(FOLDER) / "w4.flow"
    flow, expected = binary.read_flow(path), binary.sidecar(path)
    exchange = make_exchange(settings={"core.extra_gateways": GATEWAY}).start()
    check(exchange, flow, expected[str(len(flow.records))], TWICE, tmp_path)
