"""Clients that trade, cancel, replace, repeat themselves, make mistakes, and write it all down."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from typing import Any, Final

import aiohttp

from tests.e2e.history import (
    CANCEL,
    FRESH,
    NEVER,
    PLACE,
    REPLACE,
    UNKNOWN,
    Attempt,
    Command,
    View,
)

SYMBOL: Final = "BTC-USD"
TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
LOOKUPS_AT_ONCE: Final = 16
BROKEN: Final = Attempt(0, {}, replayed=False)


class Client:
    """One connection of one user; one request at a time, so its history has an order."""

    def __init__(self, session: aiohttp.ClientSession, user: str, name: str, seed: int) -> None:
        self._session = session
        self._headers = {"X-Dev-User": user}
        self._name = name
        self._chance = random.Random(seed)
        self._mine: list[str] = []  # Order ids that may be open.
        self.user = user
        self.history: list[Command] = []

    async def trade(self, stopping: asyncio.Event, pause_s: float) -> None:
        """Send commands until told to stop."""
        while not stopping.is_set():
            command = self._next()
            self.history.append(command)
            attempt = await self.send(command)
            if attempt.told == FRESH and command.kind == PLACE:
                order = attempt.body["order"]
                if order["status"] in ("open", "partially_filled"):
                    self._mine.append(order["order_id"])
            await self._insist(command, attempt)
            await asyncio.sleep(pause_s * self._chance.uniform(0.5, 1.5))

    async def _insist(self, command: Command, attempt: Attempt) -> None:
        """Half of what was not answered is sent again at once; some of what was, too."""
        likely = 0.5 if attempt.told in (NEVER, UNKNOWN) else 0.05
        while self._chance.random() < likely:
            attempt = await self.send(command)
            likely = 0.5 if attempt.told in (NEVER, UNKNOWN) else 0.0

    async def send(self, command: Command) -> Attempt:
        """One attempt, written down with its times."""
        sent_s = time.monotonic()
        attempt = await self.ask(*self._request(command))
        attempt = attempt._replace(sent_s=sent_s, told_s=time.monotonic())
        command.attempts.append(attempt)
        return attempt

    async def ask(self, method: str, path: str, body: Any = None) -> Attempt:
        """One request; a connection that cannot be made or breaks gives status 0."""
        try:
            async with self._session.request(
                method, path, json=body, headers=self._headers
            ) as answer:
                content = await answer.json(content_type=None)
                replayed = "Idempotency-Replayed" in answer.headers
                return Attempt(answer.status, content, replayed)
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            await asyncio.sleep(0.05)
            return BROKEN

    def _request(self, command: Command) -> tuple[str, str, dict[str, Any]]:
        if command.kind == PLACE:
            return "POST", "/v1/orders", command.body
        path = f"/v1/orders/{command.target}"
        if command.kind == CANCEL:
            return "POST", f"{path}/cancel", command.body
        return "PATCH", path, command.body

    def _next(self) -> Command:
        cid = f"{self._name}-{len(self.history)}"
        kind = self._chance.choices((PLACE, CANCEL, REPLACE), (60, 20, 20))[0]
        body: dict[str, Any] = {"client_order_id": cid}
        if kind == PLACE or not self._mine:
            return Command(self.user, PLACE, cid, body | self._terms())
        target = self._chance.choice(self._mine[-8:])
        if kind == CANCEL:
            self._mine.remove(target)
        else:
            body |= {"price": self._price(), "qty": self._qty()}
        return Command(self.user, kind, cid, body, target)

    def _terms(self) -> dict[str, Any]:
        side, luck = self._chance.choice(("buy", "sell")), self._chance.random()
        terms = {"instrument": SYMBOL, "side": side, "type": "limit", "qty": self._qty()}
        if luck < 0.05:
            return terms | {"type": "market"}
        if luck < 0.08:
            return terms | {"price": "100.005"}  # No whole number of ticks: 422, id not used.
        if luck < 0.11:
            return terms | {"price": "100.00", "side": "sell", "qty": "900.0000"}  # Has 100.
        return terms | {"price": self._price(), "tif": "ioc" if luck < 0.2 else "gtc"}

    def _price(self) -> str:
        return f"{100 + self._chance.randint(-30, 30) / 100:.2f}"

    def _qty(self) -> str:
        return f"{self._chance.randint(1, 300) / 10_000:.4f}"


class Crowd:
    """Clients of several users on one exchange, trading at once."""

    def __init__(self, address: str, *, clients: int, users: int, seed: int) -> None:
        self._base = f"http://{address}"
        self._shape = clients, users, seed
        self._stopping = asyncio.Event()
        self._sessions: list[aiohttp.ClientSession] = []
        self.clients: list[Client] = []

    async def __aenter__(self) -> "Crowd":
        clients, users, seed = self._shape
        for number in range(clients):
            connector = aiohttp.TCPConnector(limit=LOOKUPS_AT_ONCE)
            session = aiohttp.ClientSession(self._base, connector=connector, timeout=TIMEOUT)
            self._sessions.append(session)
            user = f"trader-{number % users}"
            self.clients.append(Client(session, user, f"c{number}", seed * 1_000 + number))
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions:
            await session.close()

    @contextlib.asynccontextmanager
    async def trading(self, pause_s: float) -> Any:
        """Trade while the block runs; every client's last answer is there at its end."""
        self._stopping.clear()
        tasks = [
            asyncio.create_task(client.trade(self._stopping, pause_s)) for client in self.clients
        ]
        try:
            yield
        finally:
            self._stopping.set()
            await asyncio.gather(*tasks)

    def history(self) -> list[Command]:
        """Everything that anybody sent."""
        return [command for client in self.clients for command in client.history]

    async def view(self) -> View:
        """Ask for everything, once nobody trades any more."""
        by_user = {client.user: client for client in self.clients}
        looked_up: dict[tuple[str, str], Attempt] = {}
        todo = iter(self.history())

        async def look_up(commands: Iterator[Command]) -> None:
            for command in commands:
                path = f"/v1/orders/by-client-id/{command.cid}"
                answer = await by_user[command.user].ask("GET", path)
                looked_up[command.user, command.cid] = answer

        await asyncio.gather(*(look_up(todo) for _ in range(LOOKUPS_AT_ONCE)))
        view = View(looked_up, {}, {}, {}, {})
        for user, client in by_user.items():
            view.open_orders[user] = await self._open_orders(client)
            balances = await client.ask("GET", "/v1/balances")
            view.balances[user] = {row["asset"]: row for row in balances.body["items"]}
            position = await client.ask("GET", f"/v1/positions/{SYMBOL}")
            view.positions[user] = position.body.get("position", {})
        view.book = (await client.ask("GET", f"/v1/instruments/{SYMBOL}/book?levels=1000")).body
        return view

    async def _open_orders(self, client: Client) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        path = "/v1/orders?limit=1000"
        while True:
            page = await client.ask("GET", path)
            items += page.body["items"]
            if not page.body["has_more"]:
                return items
            path = f"/v1/orders?limit=1000&cursor={page.body['next_cursor']}"
