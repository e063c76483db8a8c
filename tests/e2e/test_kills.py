"""SIGKILL at random moments under load: no acknowledged order is lost, none is doubled.

OUTCRY_KILLS=N  how often the core is killed (default 4); each kill costs two to four seconds.
"""

import asyncio
import collections
import os
import random
import time
from collections.abc import Sequence

import pytest

from tests.e2e.conftest import MakeExchange
from tests.e2e.exchange import Exchange
from tests.e2e.history import FRESH, NEVER, REJECTED, REPEATED
from tests.e2e.judge import judge
from tests.e2e.traders import Crowd

KILLS = int(os.environ.get("OUTCRY_KILLS", "4"))
CLIENTS = 12
USERS = 5
PAUSE_S = 0.002
READY_S = 60.0


async def wait_ready(exchange: Exchange) -> None:
    """As ``Exchange.wait_ready``, beside the clients of this process."""
    deadline = time.monotonic() + READY_S
    while not await asyncio.to_thread(exchange.is_ready):
        assert time.monotonic() < deadline, exchange.log.read_text()[-4_000:]
        await asyncio.sleep(0.02)


async def run(exchange: Exchange, victims: Sequence[tuple[str, ...]], seed: int) -> None:
    """Load, kill one group of victims after the other, stop the load, judge."""
    chance = random.Random(seed)
    crowd = Crowd(exchange.address, clients=CLIENTS, users=USERS, seed=seed)
    async with crowd:
        async with crowd.trading(PAUSE_S):
            await asyncio.sleep(0.5)
            for names in victims:
                for name in names:
                    await asyncio.to_thread(exchange.kill, name)
                if chance.random() < 0.8:  # Else the next one dies while it starts.
                    await wait_ready(exchange)
                await asyncio.sleep(chance.uniform(0.0, 0.6))
            await wait_ready(exchange)
            await asyncio.sleep(0.3)
        history = crowd.history()
        told = collections.Counter(attempt.told for c in history for attempt in c.attempts)
        assert judge(history, await crowd.view()) == []
    assert told[FRESH] > 10 * len(victims), told
    assert all(told[word] for word in (NEVER, REJECTED, REPEATED)), told
    exchange.check_journal()


async def test_no_kill_of_the_core_loses_or_doubles_an_order(make_exchange: MakeExchange) -> None:
    exchange = make_exchange().start()
    await run(exchange, [("core",)] * KILLS, seed=1)
    state = exchange.state()
    assert exchange.stop() == 0
    assert exchange.replay("--check")["state_hash"] == state["state_hash"]


@pytest.mark.parametrize(
    ("durability", "victims"),
    [
        ("sync", [("http",), ("prepare",), ("core", "http")]),
        ("relaxed", [("core",), ("http", "core")]),
    ],
)
async def test_no_kill_of_any_process_loses_or_doubles_an_order(
    make_exchange: MakeExchange, durability: str, victims: list[tuple[str, ...]]
) -> None:
    exchange = make_exchange(durability=durability).start()
    await run(exchange, victims, seed=2)
