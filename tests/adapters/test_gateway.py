"""The gateway: answers, refusals, and what callers are told when the core dies."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.gateway import CoreAway, Gateway, OutcomeUnknown, RingFull
from core.messages import (
    CANCEL_ORDER,
    COMMAND,
    EVENT,
    FILL,
    LAST,
    MAKER,
    ORDER_ACCEPTED,
    PLACE_ORDER,
    QUERY,
    QUERY_BALANCES,
)
from core.shm import unlink_stale
from tests.fakes.core import FakeCore, Journal, Options, accept, wait_until

SESSION = 1 << 24 | 1


def command(name: str = "a", kind: int = PLACE_ORDER, slots: int = 1) -> bytes:
    rows = np.zeros(slots, COMMAND)
    rows[0]["kind"] = kind
    rows[0]["body"][: len(name)] = np.frombuffer(name.encode(), np.uint8)
    return rows.tobytes()


def query(first_byte: int = 0) -> bytes:
    rows = np.zeros(1, QUERY)
    rows["kind"] = QUERY_BALANCES
    rows["client_order_id"][0, 0] = first_byte
    return rows.tobytes()


def name_of(event: Any) -> str:
    return bytes(event["client_order_id"]).rstrip(b"\0").decode()


async def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Let the loop run until ``condition`` is true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


class World:
    """A data directory, a journal, the core of the moment and a gateway."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.uuid8 = secrets.token_hex(4)
        self.journal = Journal()
        self.core: FakeCore | None = None
        self.opened: list[Gateway] = []

    def start(self, **options: Any) -> FakeCore:
        self.core = FakeCore(self.data, self.uuid8, self.journal, Options(**options))
        return self.core

    def die(self) -> None:
        assert self.core is not None
        self.core.die()
        self.core = None

    async def gateway(self, timeout_s: float = 5.0) -> Gateway:
        gateway = await Gateway.attach(self.data, "http.0", timeout_s)
        self.opened.append(gateway)
        return gateway

    async def close(self) -> None:
        for gateway in self.opened:
            await gateway.close()
        if self.core is not None:
            self.core.stop()
        unlink_stale(self.uuid8)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


async def test_a_command_is_answered_by_its_events(world: World) -> None:
    world.start()
    gateway = await world.gateway()

    answer = await gateway.command(command("a-1"), 5)

    assert answer.sequence == 1
    assert answer.events["kind"].tolist() == [ORDER_ACCEPTED]
    assert name_of(answer.events[0]) == "a-1"
    assert int(answer.events[0]["session"]) == SESSION
    assert not answer.truncated
    assert (gateway.gateway_id, gateway.session, gateway.epoch) == (1, SESSION, 1)
    assert gateway.durability == "sync"
    assert gateway.ready
    assert gateway.sequence == 1


async def test_each_of_many_commands_at_once_gets_its_own_answer(world: World) -> None:
    world.start()
    gateway = await world.gateway()
    names = [f"n-{number}" for number in range(40)]

    answers = await asyncio.gather(
        *(gateway.command(command(name, slots=1 + k % 2), 5) for k, name in enumerate(names[:20])),
    )
    answers += await asyncio.gather(*(gateway.command(command(name), 5) for name in names[20:]))

    assert [name_of(answer.events[0]) for answer in answers] == names
    assert [answer.sequence for answer in answers] == list(range(1, 41))


async def test_fills_and_fees_are_summed(world: World) -> None:
    def trade(sequence: int, row: Any) -> Any:
        events = np.zeros(5, EVENT)
        events["kind"] = [ORDER_ACCEPTED, FILL, FILL, FILL, FILL]
        events["flags"] = [0, 0, MAKER, 0, MAKER | LAST]
        events["session"] = [SESSION, SESSION, 9 << 24, SESSION, 9 << 24]
        events["account"] = [7, 7, 8, 7, 8]
        events["qty"], events["fee"] = [5, 2, 2, 3, 3], [0, 10, 1, 11, 1]
        return events

    world.start(decide=trade)
    gateway = await world.gateway()

    answer = await gateway.command(command(), 5)

    assert (answer.fill_count, answer.filled_qty, answer.fees) == (2, 5, 21)
    assert answer.events["index"].tolist() == [0, 1, 3, 4]


async def test_a_query_gets_all_its_replies(world: World) -> None:
    world.start()
    gateway = await world.gateway()

    found = await asyncio.gather(*(gateway.query(query(number), 5) for number in range(5)))

    for number, replies in enumerate(found):
        assert replies["index"].tolist() == [0, 1, 2]
        assert replies["body"][:, 0].tolist() == [number] * 3


async def test_a_full_ring_refuses_and_lets_cancels_through(world: World) -> None:
    core = world.start(inbound_slots=16)
    gateway = await world.gateway()
    core.reading.clear()
    await asyncio.sleep(0.05)  # Its sleep of 20 ms ends.
    tasks = [asyncio.create_task(gateway.command(command(f"n-{k}"), 5)) for k in range(14)]
    await asyncio.sleep(0)

    with pytest.raises(RingFull, match="nothing was sent"):
        await gateway.command(command("late"), 5)
    cancel = asyncio.create_task(gateway.command(command("c", CANCEL_ORDER), 5))
    await asyncio.sleep(0)
    core.reading.set()

    assert name_of((await cancel).events[0]) == "c"
    assert len(await asyncio.gather(*tasks)) == 14
    assert "late" not in [name_of(events[0]) for events in world.journal.events]


async def test_no_answer_in_time_is_an_unknown_outcome(world: World) -> None:
    core = world.start()
    gateway = await world.gateway()
    core.reading.clear()
    await asyncio.sleep(0.05)

    with pytest.raises(OutcomeUnknown) as error:
        await gateway.command(command(), 0.05)
    with pytest.raises(OutcomeUnknown):
        await gateway.query(query(), 0.05)

    assert not error.value.sequenced
    core.reading.set()
    assert (await gateway.command(command("next"), 5)).sequence == 2


async def test_bad_lengths_are_errors_of_the_caller(world: World) -> None:
    world.start()
    gateway = await world.gateway()

    for slots in (b"", bytes(100), bytes(640)):
        with pytest.raises(ValueError, match="expected 1 to 4 slots of 128 bytes"):
            await gateway.command(slots, 1)
    with pytest.raises(ValueError, match="expected 1 or 2 slots"):
        await gateway.query(bytes(384), 1)


async def test_without_a_core_nothing_is_sent(world: World) -> None:
    with pytest.raises(CoreAway, match=r"no core.json"):
        await world.gateway(0.1)


async def test_a_gateway_that_the_core_does_not_know_is_told_so(world: World) -> None:
    world.start(gateways=("fix",))

    with pytest.raises(CoreAway, match="not known to the core, which serves fix"):
        await world.gateway(0.1)


async def test_a_second_process_of_the_same_name_is_refused(world: World) -> None:
    world.start()
    await world.gateway()

    with pytest.raises(CoreAway, match="in use by another live process"):
        await world.gateway(0.1)


async def test_a_request_waits_for_the_core_to_come_back(world: World) -> None:
    world.start()
    gateway = await world.gateway()
    await gateway.command(command("first"), 5)
    assert world.core is not None
    world.core.stop()
    wait_until(lambda: not (world.data / "run" / "core.json").exists())
    await asyncio.sleep(0.3)
    assert not gateway.ready

    waiting = asyncio.create_task(gateway.command(command("second"), 5))
    await asyncio.sleep(0.05)
    world.start()

    assert (await waiting).sequence == 2
    assert gateway.epoch == 2
    with pytest.raises(ValueError, match="expected 1 or 2 slots"):
        await gateway.query(b"", 1)


async def test_a_request_that_no_core_takes_in_time_was_not_sent(world: World) -> None:
    world.start()
    gateway = await world.gateway()
    assert world.core is not None
    world.core.stop()
    world.core = None
    await asyncio.sleep(0.3)

    with pytest.raises(CoreAway, match="nothing was sent"):
        await gateway.command(command(), 0.05)


async def test_after_a_restart_each_pending_request_gets_what_is_true(world: World) -> None:
    """known: journaled, not published.  unread: left in the ring of the dead core."""
    core = world.start()
    gateway = await world.gateway()
    await gateway.command(command("answered"), 5)
    core.reading.clear()
    await asyncio.sleep(0.05)
    known = asyncio.create_task(gateway.command(command("known"), 5))
    await asyncio.sleep(0.01)
    unread = asyncio.create_task(gateway.command(command("unread"), 5))
    asked = asyncio.create_task(gateway.query(query(9), 5))
    await asyncio.sleep(0.01)
    journaled = np.frombuffer(command("known"), COMMAND)[0].copy()
    journaled["session"] = SESSION
    journaled["request_id"] = world.journal.last_request_ids[SESSION] + 1
    core.apply(journaled, is_published=False)
    world.die()

    world.start()

    assert name_of((await known).events[0]) == "known"
    with pytest.raises(CoreAway, match="never executed"):
        await unread
    assert (await asked)["body"][:, 0].tolist() == [9, 9, 9]
    assert (await gateway.command(command("next"), 5)).sequence == 3
    assert [name_of(events[0]) for events in world.journal.events] == ["answered", "known", "next"]


async def test_a_journaled_request_whose_events_are_gone_is_known_to_be_sequenced(
    world: World,
) -> None:
    core = world.start()
    gateway = await world.gateway()
    core.reading.clear()
    await asyncio.sleep(0.05)
    lost = asyncio.create_task(gateway.command(command("lost"), 5))
    await asyncio.sleep(0.01)
    world.die()
    world.journal.sequence += 1  # Journaled, and behind a snapshot: not republished.
    world.journal.last_request_ids[SESSION] = 1 << 40

    world.start()

    with pytest.raises(OutcomeUnknown) as error:
        await lost
    assert error.value.sequenced


async def test_public_events_come_once_across_a_restart(world: World) -> None:
    world.start()
    gateway = await world.gateway()
    seen: list[tuple[int, int]] = []
    lapped: list[int] = []
    gateway.on_events(lambda batch: seen.extend(batch[["sequence", "index"]].tolist()))
    gateway.on_lapped(lambda: lapped.append(1))
    for _ in range(3):
        await gateway.command(command(), 5)
    world.die()

    world.start()
    await until(lambda: gateway.epoch == 2 and gateway.ready)
    for _ in range(2):
        await gateway.command(command(), 5)

    await until(lambda: len(seen) >= 5)
    assert seen == [(number, 0) for number in range(1, 6)]
    assert lapped == []
    assert gateway.lapped_count == 0


async def test_history_gives_what_the_ring_still_holds(world: World) -> None:
    world.start()
    gateway = await world.gateway()
    for _ in range(3):
        await gateway.command(command(), 5)
    await gateway.close()
    gateway = await world.gateway()
    seen: list[int] = []
    nothing: list[int] = []

    gateway.on_events(lambda batch: seen.extend(batch["sequence"].tolist()), history=True)
    gateway.on_events(lambda batch: nothing.extend(batch["sequence"].tolist()), {FILL})
    await gateway.command(command(), 5)
    gateway.deliver_events()

    assert seen == [1, 2, 3, 4]
    assert nothing == []


async def test_an_adapter_that_comes_back_uses_new_request_ids(world: World) -> None:
    world.start()
    gateway = await world.gateway()
    first = await gateway.command(command(), 5)
    await gateway.close()

    gateway = await world.gateway()
    second = await gateway.command(command(), 5)

    assert int(second.events[0]["fee"]) >= int(first.events[0]["fee"]) + 1_000_000


async def test_a_lapped_gateway_says_so_and_resolves_what_it_waited_for(world: World) -> None:
    def sweep(sequence: int, row: Any) -> Any:
        if bytes(row["body"][:1]) != b"s":
            return accept(sequence, row)
        events = np.zeros(400, EVENT)  # The ring holds 128.
        events["kind"], events["session"] = ORDER_ACCEPTED, 9 << 24
        events["flags"][-1] = LAST
        return events

    core = world.start(decide=sweep, output_events=128)
    gateway = await world.gateway()
    lapped: list[int] = []
    gateway.on_lapped(lambda: lapped.append(1))

    task = asyncio.create_task(gateway.command(command("sweep"), 5))
    await asyncio.sleep(0)
    wait_until(lambda: core.output.position >= 400)  # The event loop stands still meanwhile.
    with pytest.raises(OutcomeUnknown) as error:
        await task

    assert error.value.sequenced
    assert gateway.lapped_count >= 1
    assert len(lapped) == gateway.lapped_count
    assert (await gateway.command(command("next"), 5)).sequence == 2


async def test_a_callback_that_fails_harms_nobody(world: World) -> None:
    world.start()
    gateway = await world.gateway()
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    def broken(batch: Any) -> None:
        raise RuntimeError("broken")

    gateway.on_events(broken)

    assert (await gateway.command(command(), 5)).sequence == 1
    await until(lambda: bool(reports))
    assert str(reports[0]["exception"]) == "broken"


async def test_a_dead_core_is_noticed_at_once(world: World) -> None:
    """By its process: here another one stands in for it."""
    stand_in = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    world.start(pid=stand_in.pid)
    gateway = await world.gateway()
    assert gateway.ready

    stand_in.kill()
    stand_in.communicate()
    await asyncio.sleep(0.05)

    assert not gateway.ready
    with pytest.raises(CoreAway, match="the core has died"):
        await gateway.command(command(), 0.05)


async def test_closing_tells_those_who_wait(world: World) -> None:
    core = world.start()
    gateway = await world.gateway()
    core.reading.clear()
    await asyncio.sleep(0.05)
    task = asyncio.create_task(gateway.command(command(), 5))
    await asyncio.sleep(0)
    before = len(os.listdir("/proc/self/fd"))

    await gateway.close()

    with pytest.raises(OutcomeUnknown, match="closed"):
        await task
    assert len(os.listdir("/proc/self/fd")) < before
    core.reading.set()
