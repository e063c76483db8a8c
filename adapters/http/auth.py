"""Who asks.  In development the header X-Dev-User is believed, on loopback only.

Users, passwords and keys come with a later issue; until then a process without --dev answers 401
on every private path.
"""

from typing import Final, NamedTuple

from aiohttp import web

from adapters.http.development import account_of
from adapters.http.exchange import Exchange, is_loopback
from adapters.http.problems import Fault, Problem
from adapters.http.replies import exchange_of
from adapters.http.terms import is_client_id

ADMIN: Final = "admin"
HEADER: Final = "X-Dev-User"


class Trader(NamedTuple):
    """Whose request it is."""

    account: int
    name: str


async def trader(request: web.Request) -> Trader:
    """The trader; Problem 401 without one, 403 for a name that belongs to the exchange."""
    exchange = exchange_of(request)
    name = user(request, exchange)
    return Trader(await account_of(exchange, name), name)


def admin(request: web.Request) -> Exchange:
    """The exchange, if an administrator asks; Problem 401 or 403 otherwise."""
    exchange = exchange_of(request)
    name = user(request, exchange)
    if name != ADMIN:
        raise Problem("forbidden", f"only the user 'admin' may do this, not {name!a}")
    return exchange


def user(request: web.Request, exchange: Exchange) -> str:
    """The name in X-Dev-User."""
    name = request.headers.get(HEADER)
    if not exchange.dev:
        raise Problem("unauthenticated", "this process knows no users: it runs without --dev")
    if not is_loopback(request.remote):
        raise Problem("unauthenticated", f"header {HEADER} is believed from this machine only")
    if name is None:
        raise Problem("unauthenticated", f"header {HEADER} is missing: it names the trader")
    if not is_client_id(name):
        detail = f"expected 1-36 characters 0x21-0x7E, got {len(name)}"
        fault = Fault(f"header:{HEADER}", "invalid_value", detail)
        raise Problem("validation", f"header {HEADER} is not valid", errors=[fault])
    return name
