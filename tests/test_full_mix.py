"""The benchmark's flow of every order type: the twin makes of it what the engine makes of it."""

from dataclasses import fields as fields_of
from typing import Any, Final

from bench import full_mix
from bench.full_mix import SMALL, TWINS_HASH, Draw, Fields, Full
from core import messages as m
from tests.driver import EngineDriver
from tests.model import commands as c
from tests.model.commands import Command
from tests.model.exchange import Exchange
from tests.model.state import Sizes
from tests.model.venue_commands import SetLimits, Time

KINDS: Final[dict[int, Any]] = {
    m.CREATE_ASSET: c.CreateAsset,
    m.CREATE_INSTRUMENT: c.CreateInstrument,
    m.CREATE_ACCOUNT: c.CreateAccount,
    m.DEPOSIT: c.Deposit,
    m.SET_LIMITS: SetLimits,
    m.PLACE_ORDER: c.PlaceOrder,
    m.CANCEL_ORDER: c.CancelOrder,
    m.REPLACE_ORDER: c.ReplaceOrder,
    m.REDUCE_ORDER: c.ReduceOrder,
    m.TIME: Time,
}


def command_of(drawn: Fields) -> Command:
    """What was drawn, as a command of the twin."""
    made = KINDS[drawn["kind"]]
    known = {field.name for field in fields_of(made)}
    values = {"name" if name == "symbol" else name: value for name, value in drawn.items()}
    command: Command = made(**{name: value for name, value in values.items() if name in known})
    return command


def test_the_twin_makes_the_same_of_every_command() -> None:
    sizes = Sizes(orders_max=1_000_000, closed_keep=256_000, extras_max=65_536, limits_max=8_192)
    twin, engine = Exchange(sizes), EngineDriver(Sizes(limits_max=8_192, closed_keep=1_000))
    draw = Draw(SMALL)
    for fields in draw.all():
        command = command_of(fields)
        assert twin.apply(command) == engine.apply([command]), command
    told = draw.counts
    assert draw.engine["event_hash"] == TWINS_HASH == engine.runner.event_hash()
    for name in ("FILL", "ORDER_TRIGGERED", "ORDER_REFILLED", "ORDER_REPLACED", "ORDER_REDUCED"):
        assert told[name] > 5, told
    assert told["ORDER_REJECTED"] < told["ORDER_ACCEPTED"] / 4, told


def test_a_timed_run_gives_the_events_of_the_drawing() -> None:
    full_mix.expect_the_twins()
    assert Full(SMALL).timed() > 0
