"""Which bytes of a command make it another command: byte by byte, over the engine."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from core.messages import EVENT_NAMES, PLACE
from core.reasons import Reason
from tests.core.engine.world import ALICE, BTC, USD, World, order
from tests.driver import EngineDriver
from tests.model.commands import (
    BUY,
    CancelOrder,
    Deposit,
    Keyed,
    MassCancel,
    ReduceOrder,
    ReplaceOrder,
)
from tests.model.translate import batch_of

KEY = "id-1"
COMMANDS: list[Keyed] = [
    order(BUY, ALICE, 300, 1, client_order_id=KEY),
    CancelOrder(account=ALICE, slots=2, original_client_order_id="old", client_order_id=KEY),
    ReduceOrder(account=ALICE, order_id=99 << 22, qty=2, client_order_id=KEY),
    ReplaceOrder(account=ALICE, order_id=99 << 22, qty=2, price=3, client_order_id=KEY),
    MassCancel(account=ALICE, client_order_id=KEY),
    Deposit(account=ALICE, asset=BTC, amount=5, client_order_id=KEY),
    Deposit(account=ALICE, asset=USD, amount=5, slots=2, reference="r", client_order_id=KEY),
]

# Not of the payload: request_id, session, crc32c, gateway; the deadline.
FREE = {*range(16, 28), *range(36, 42), *range(104, 112)}
# Stamped anew, or names another command, account or id, or forms none: not looked at here.
OTHER = {*range(16), *range(28, 32), *range(42, 45), *range(48, 84)} - FREE
START_NS = 1_000_000_000


Slots = np.ndarray[Any, np.dtype[np.uint8]]


def answers(driver: EngineDriver, numbers: Iterator[int], slots: Slots) -> str:
    """Kind and reason of the first event of a command, stamped as the next one."""
    slots = slots.copy()
    first = slots[:1].view(PLACE)
    first["sequence"] = sequence = next(numbers)
    first["timestamp_ns"] = START_NS + sequence
    event = driver.apply_slots(slots)[0]
    reason = int(event["reason"])
    return f"{EVENT_NAMES[int(event['kind'])]} {Reason(reason).name if reason else ''}".strip()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_every_byte_that_the_client_sets_is_payload(command: Keyed) -> None:
    driver = EngineDriver()
    world = World(driver)
    numbers = count(world.sequence + 1)
    first = batch_of([command])
    answers(driver, numbers, first)
    repeated = answers(driver, numbers, first)
    assert "DUPLICATE" not in repeated
    for at in range(first.size):
        if at in OTHER or 46 <= at < 48:
            continue
        other = first.copy().reshape(-1)
        other[at] ^= 1
        told = answers(driver, numbers, other.reshape(first.shape))
        if at in FREE:
            assert told == repeated, at
        else:
            formed = told.split()[-1] not in ("MALFORMED", "NOT_SUPPORTED")
            assert not formed or told.endswith("DUPLICATE_CLIENT_ID"), (at, told)


def test_the_bytes_looked_at_are_those_of_the_layout() -> None:
    assert PLACE.fields is not None
    for name in ("request_id", "session", "crc32c", "gateway"):
        assert PLACE.fields[name][1] in FREE, name
    assert PLACE.fields["expire_after_ns"][1] == 104
    assert {PLACE.fields[name][1] for name in ("account", "kind", "schema", "slots")} <= OTHER
