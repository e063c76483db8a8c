"""A client of the whole adapter over the real engine, and what its users do."""

from typing import Any, Final

from adapters.http import development
from adapters.http.exchange import Exchange
from tests.adapters.http.conftest import ORDER, Client, MakeClient, Reply
from tests.adapters.http.engine_gateway import EngineGateway

BINARY: Final = development.EVENT_CONTRACT


async def demo(engine: EngineGateway, make_client: MakeClient) -> Client:
    """A client of a development exchange with its demo."""
    exchange = Exchange("http.0", dev=True)
    exchange.bind(engine)
    await development.prepare(exchange)
    exchange.prepared = True
    made: Client = await make_client(exchange)
    return made


async def place(client: Client, user: str, key: str, **changes: Any) -> Reply:
    body = ORDER | {"client_order_id": key} | changes
    body = {name: value for name, value in body.items() if value is not ...}
    return await client.post("/v1/orders", body, user=user)


async def placed(client: Client, user: str, key: str, **changes: Any) -> dict[str, Any]:
    """The order, which must have been accepted."""
    reply = await place(client, user, key, **changes)
    assert reply.status == 201, reply.body
    order: dict[str, Any] = reply.body["order"]
    return order


async def looked_up(client: Client, user: str, key: str) -> dict[str, Any]:
    reply = await client.get(f"/v1/orders/by-client-id/{key}", user=user)
    order: dict[str, Any] = reply.body["order"]
    return order


async def admin(client: Client, method: str, path: str, body: Any = None) -> Reply:
    return await client.send(method, f"/v1/admin/{path}", json=body, user="admin")


async def trade(client: Client, price: str, qty: str = "0.1") -> str:
    """A trade between bob and carol; its id."""
    key = f"t-{price}-{qty}"
    await placed(client, "bob", key, side="sell", price=price, qty=qty)
    reply = await place(client, "carol", key, price=price, qty=qty)
    trade_id: str = reply.body["fills"][0]["trade_id"]
    return trade_id
