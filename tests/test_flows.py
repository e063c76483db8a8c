"""Order flows: made by seed through twin and engine alike; files in OUTCRY_FLOWS against sidecars.

The numbers come from the events alone (tests/model/flows.py), so that neither side marks its own
homework.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.jit import MODE_NAME, PURE
from tests.driver import EngineDriver
from tests.model import flows
from tests.model.commands import Command
from tests.model.events import Event
from tests.model.exchange import Exchange
from tests.model.state import Sizes
from tests.model.translate import batch_of, events_of

SIZES = Sizes(orders_max=60_000, closed_keep=1_000, ids_max=250_000, pages_max=8_192)
OWN_OPS = {"release": 6_000, "checked": 3_000, "pure": 1_000}[MODE_NAME]
BATCH = 64
FOLDER = os.environ.get("OUTCRY_FLOWS", "")
shared = pytest.mark.skipif(not FOLDER, reason="OUTCRY_FLOWS names no folder of order flows")


def commands_of(flow: flows.Flow) -> tuple[list[Command], list[Command]]:
    """What sets the exchange up, and the flow's own commands, all numbered."""
    first = [
        replace(command, sequence=number, timestamp_ns=number)
        for number, command in enumerate(flows.set_up(flow.symbols), 1)
    ]
    start = len(first) + 1
    return first, [flows.command_of(op, start + place) for place, op in enumerate(flow.ops)]


class Twin:
    """The naive exchange, a batch at a time."""

    def __init__(self, *, risk: bool) -> None:
        self.exchange = Exchange(SIZES, risk=risk)

    def apply(self, commands: list[Command]) -> list[Event]:
        return [event for command in commands for event in self.exchange.apply(command)]

    def check(self) -> None:
        self.exchange.check()


class Engine:
    """The compiled engine, a batch at a time."""

    def __init__(self, *, risk: bool) -> None:
        self.driver = EngineDriver(SIZES, risk=risk)

    def apply(self, commands: list[Command]) -> list[Event]:
        return events_of(self.driver.apply_slots(np.asarray(batch_of(commands))))

    def check(self) -> None:
        self.driver.check()


def run(side: Twin | Engine, flow: flows.Flow, *, upto: int) -> dict[int, dict[str, int | str]]:
    """The numbers at each checkpoint of the sidecar up to ``upto`` ops, and at the end."""
    first, commands = commands_of(flow)
    assert not any("REJECTED" in event.kind for event in side.apply(first))
    tally = flows.Tally(flow.symbols)
    stops = sorted({at for at in flow.expected if at <= upto} | {min(upto, len(commands))})
    found = {}
    done = 0
    for stop in stops:
        for start in range(done, stop, BATCH):
            tally.take(side.apply(commands[start : min(start + BATCH, stop)]))
        done = stop
        found[stop] = tally.numbers()
    side.check()
    return found


@pytest.mark.parametrize("flow_seed", range(3))
@pytest.mark.parametrize("risk", [True, False], ids=["risk", "no risk"])
def test_the_engine_gives_the_twins_numbers_for_a_made_flow(flow_seed: int, risk: bool) -> None:
    flow = flows.made(flow_seed, OWN_OPS)
    twin = run(Twin(risk=risk), flow, upto=OWN_OPS)
    assert run(Engine(risk=risk), flow, upto=OWN_OPS) == twin
    assert int(twin[OWN_OPS]["trades"]) > OWN_OPS // 20
    assert int(twin[OWN_OPS]["rejects"]) > OWN_OPS // 100


@shared
@pytest.mark.parametrize("name", ["w1", "w2", "w4"])
@pytest.mark.parametrize("side", [Twin, Engine])
def test_a_shared_flow_gives_the_numbers_of_its_sidecar(
    name: str, side: type[Twin] | type[Engine]
) -> None:
    flow = flows.read(Path(FOLDER) / f"{name}.flow")
    upto = min(flow.expected) if PURE else len(flow.ops)
    expected = {at: numbers for at, numbers in flow.expected.items() if at <= upto}
    assert expected
    assert run(side(risk=True), flow, upto=upto) == expected


def test_the_hashes_of_a_flow_depend_on_priority_and_on_who_made_the_trade() -> None:
    older = flows.Op(flows.NEW, 0, 0, 1, 1, 100, 5)
    younger = older._replace(order_id=2)
    away = older._replace(op=flows.REPLACE, qty=6)  # To the end of its level.
    back = older._replace(op=flows.REDUCE, price=0, qty=1)
    flow = flows.Flow([older, younger], 1, {})
    first = run(Twin(risk=True), flow, upto=2)[2]
    moved = run(Twin(risk=True), flow._replace(ops=[older, younger, away, back]), upto=4)[4]
    assert first["book_hash_l2"] == moved["book_hash_l2"]
    assert first["book_hash_l3"] != moved["book_hash_l3"]
    taker = older._replace(op=flows.NEW_MARKET, side=1, order_id=3, qty=5)
    sold = run(Twin(risk=True), flow._replace(ops=[older, younger, taker]), upto=3)[3]
    other_ops = [older, younger, away, back, taker]
    other = run(Twin(risk=True), flow._replace(ops=other_ops), upto=5)[5]
    assert sold["traded_qty"] == other["traded_qty"] == 5
    assert sold["trade_hash"] != other["trade_hash"]
    assert flows.mix(0, 1) == 0x9E3779B97F4A7C15 ^ 0x9E3779B97F4A7C15 >> 29
