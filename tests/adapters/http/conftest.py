"""A client of the real application over a fake gateway."""

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from adapters.http.app import make_app
from adapters.http.exchange import Exchange
from adapters.http.server import Server
from adapters.process import listening_socket
from tests.adapters.http.fake_gateway import FakeGateway

ORDER: dict[str, Any] = {
    "client_order_id": "a-1",
    "instrument": "BTC-USD",
    "side": "buy",
    "type": "limit",
    "price": "70150.50",
    "qty": "0.2500",
}


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: Any
    headers: Any


class Client:
    """Sends as alice unless told otherwise."""

    def __init__(self, http: "TestClient[Any, Any]") -> None:
        self.http = http

    async def send(
        self, method: str, path: str, *, user: str | None = "alice", **more: Any
    ) -> Reply:
        headers = {"X-Dev-User": user} if user else {}
        headers.update(more.pop("headers", {}))
        async with self.http.request(method, path, headers=headers, **more) as response:
            body: Any = await response.read()
            if response.content_type.endswith("json"):
                body = await response.json(content_type=None)
            return Reply(response.status, body, response.headers)

    async def get(self, path: str, **more: Any) -> Reply:
        return await self.send("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return await self.send("POST", path, json=body, **more)

    async def place(self, **changes: Any) -> Reply:
        """POST /v1/orders of the usual order; a change to ``...`` leaves the member out."""
        body = {name: value for name, value in (ORDER | changes).items() if value is not ...}
        return await self.post("/v1/orders", body)

    async def raw(self, data: bytes, content_type: str = "application/json") -> Reply:
        """POST /v1/orders with these bytes."""
        headers = {"Content-Type": content_type}
        return await self.send("POST", "/v1/orders", data=data, headers=headers)


class LiveServer(TestServer):
    """The application behind the server that listens in production."""

    def __init__(self, exchange: Exchange) -> None:
        app = make_app(exchange)
        super().__init__(app)
        self._server = Server(app, exchange)
        self._listener = listening_socket("127.0.0.1", 0)

    async def start_server(self, *_: Any, **__: Any) -> None:
        self.host, self.port = self._listener.getsockname()
        self._root = URL(f"http://{self.host}:{self.port}")
        await self._server.start(self._listener)

    async def close(self) -> None:
        await self._server.stop()


MakeClient = Callable[[Exchange], Any]


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def exchange(gateway: FakeGateway) -> Exchange:
    """Ready, in development."""
    exchange = Exchange("http.0", dev=True)
    exchange.bind(gateway)
    exchange.prepared = True
    return exchange


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    clients: list[TestClient[Any, Any]] = []

    async def make(exchange: Exchange) -> Client:
        http = TestClient(LiveServer(exchange), cookie_jar=aiohttp.DummyCookieJar())
        clients.append(http)
        await http.start_server()
        return Client(http)

    yield make
    for http in clients:
        await http.close()


@pytest.fixture
async def client(exchange: Exchange, make_client: MakeClient) -> Client:
    made: Client = await make_client(exchange)
    return made
