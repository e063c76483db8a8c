"""Commands of an administrator on their way to the core, and whom they are about."""

from collections.abc import Mapping
from typing import Any, Final

from adapters.gateway import Answer, OutcomeUnknown
from adapters.http import records, rejects, terms
from adapters.http.development import find_account
from adapters.http.exchange import Exchange, outcome_unknown
from adapters.http.problems import Faults, Problem
from adapters.http.records import Event
from adapters.instruments import Asset, Instrument, Instruments
from adapters.units import shown
from core import messages

ACCOUNT_MAX: Final = (1 << 31) - 1


async def send(
    exchange: Exchange,
    slots: bytes,
    unknown: Mapping[str, Any],
    key: tuple[int, str] | None = None,
) -> Answer:
    """Send a command; ``unknown``: where to look when its outcome is not known."""
    try:
        return await exchange.command(slots, dict(unknown), key)
    except OutcomeUnknown:
        raise outcome_unknown(dict(unknown)) from None


async def done(
    exchange: Exchange,
    slots: bytes,
    lookup: str,
    instrument: Instrument | None = None,
    asset: Asset | None = None,
) -> list[Event]:
    """The events of a command that was executed; Problem when it was rejected."""
    answered = await send(exchange, slots, {"lookup": lookup})
    events = records.events_of(answered.events)
    if events[0].kind == messages.COMMAND_REJECTED:
        raise rejects.command_rejected(events[0], exchange.durability, instrument, asset)
    return events


def made(exchange: Exchange, event: Event, content: dict[str, Any]) -> dict[str, Any]:
    """``content`` with the sequence and what it promises."""
    return {**content, "seq": event.sequence, "durability": exchange.durability}


async def account_named(exchange: Exchange, named: str) -> int:
    """The account of a path: its number, or its name; Problem 404 when no account is of it."""
    number = await find_named(exchange, named)
    if number is None:
        raise Problem("not_found", f"no account {shown(named)}")
    return number


async def account_in(exchange: Exchange, name: str, value: str | None, faults: Faults) -> int:
    """The account that the member ``name`` of a body says; 0 and a fault when it is none."""
    where = f"/{name}"
    if faults.at(where):
        return 0
    if value is None:
        faults.add(where, "required", "required: the name or number of an account")
        return 0
    number = await find_named(exchange, value)
    if number is None:
        faults.add(where, "unknown_account", f"no account {shown(value)}")
    return number or 0


async def find_named(exchange: Exchange, named: str) -> int | None:
    """The account of that number or name."""
    if named.isascii() and named.isdigit() and 0 < int(named[:11]) <= ACCOUNT_MAX:
        return int(named[:11])
    return await find_account(exchange, named) if terms.is_client_id(named) else None


async def fresh(exchange: Exchange) -> Instruments:
    """Reference data after a change; what was executed is never answered with a problem."""
    exchange.reference.stale = True
    try:
        return await exchange.instruments()
    except Problem:
        return exchange.reference
