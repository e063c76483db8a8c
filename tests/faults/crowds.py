"""A whole exchange under a crowd of clients, something done to it meanwhile, and the judge."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from tests.e2e.exchange import Exchange
from tests.e2e.history import FRESH
from tests.e2e.judge import judge
from tests.e2e.traders import Crowd

CLIENTS: Final = 12
USERS: Final = 5
PAUSE_S: Final = 0.004
READY_WITHIN_S: Final = 90.0
ALIVE_WITHIN_S: Final = 30.0
ALIVE_ORDERS: Final = 5


class Outcome(NamedTuple):
    """What a crowd was told, by word, and what was not true of it."""

    told: Counter[str]
    broken: list[str]


Break = Callable[[Crowd], Awaitable[None]]


async def judged(exchange: Exchange, seed: int, act: Break) -> Outcome:
    """Trade while ``act`` runs; then judge the history, and compare the journal with the state."""
    crowd = Crowd(exchange.address, clients=CLIENTS, users=USERS, seed=seed)
    async with crowd:
        async with crowd.trading(PAUSE_S):
            await asyncio.sleep(0.3)
            await act(crowd)
            await wait_ready(exchange)
            await asyncio.sleep(0.3)
        history = crowd.history()
        told = Counter(attempt.told for command in history for attempt in command.attempts)
        broken = judge(history, await crowd.view())
    try:
        state = await asyncio.to_thread(exchange.state)
        code = await asyncio.to_thread(exchange.stop)
        if code:
            broken.append(f"a clean stop gave {code}")
        replayed = await asyncio.to_thread(exchange.replay, "--check")
        if replayed["state_hash"] != state["state_hash"]:
            broken.append(f"live {state}, replayed {replayed}")
    except AssertionError as wrong:
        broken.append(f"the journal: {wrong}")
    return Outcome(told, broken)


async def wait_ready(exchange: Exchange) -> None:
    """As ``Exchange.wait_ready``, beside the clients of this process; TimeoutError."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not await asyncio.to_thread(exchange.is_ready):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ready in time: {exchange.log.read_text()[-2_000:]}")
        await asyncio.sleep(0.01)


async def wait_alive(crowd: Crowd) -> None:
    """Wait until new orders are executed; TimeoutError when they are not."""
    deadline, before = time.monotonic() + ALIVE_WITHIN_S, _executed(crowd)
    while _executed(crowd) < before + ALIVE_ORDERS:
        if time.monotonic() > deadline:
            raise TimeoutError("no order is executed any more")
        await asyncio.sleep(0.02)


def _executed(crowd: Crowd) -> int:
    return sum(
        attempt.told == FRESH
        for client in crowd.clients
        for command in client.history
        for attempt in command.attempts
    )
