"""What exists only with --dev: demo assets and instruments, and accounts made at first sight.

Every step can be done again: names are unique in the core, deposits have a client order id each,
so a process that dies in between is repaired by the next one.
"""

import asyncio
from typing import Any, Final

from adapters.gateway import Answer, OutcomeUnknown
from adapters.http import records
from adapters.http.exchange import Exchange
from adapters.http.problems import Problem
from adapters.instruments import Instruments
from adapters.units import split_decimal
from core import messages
from core.messages import AMOUNT_ITEM, NAME_REPLY, POSITION_ITEM, REPLY_BODY
from core.reasons import Reason

ASSETS: Final = {"USD": 6, "BTC": 8, "ETH": 8}
INSTRUMENTS: Final = (("BTC-USD", "0.01", "0.0001"), ("ETH-USD", "0.01", "0.001"))
EVENT_CONTRACT: Final = "KXETHD-26DEC31-T4000"
MAKER_PPM: Final = 200
TAKER_PPM: Final = 500
GRANTS: Final = {"USD": "1000000", "BTC": "100", "ETH": "1000"}
RESERVED_ACCOUNTS: Final = 2  # ``fees`` and ``outside``.


async def prepare(exchange: Exchange) -> None:
    """Make the demo assets and instruments that do not exist; Problem when the core is away."""
    reference = await exchange.instruments()
    for name, scale in ASSETS.items():
        if name not in reference.asset_by_name:
            slot = records.command(messages.CREATE_ASSET, name=name.encode(), scale=scale)
            _created(await _command(exchange, slot), name)
            reference.stale = True
    reference = await exchange.instruments()
    for symbol, tick_text, lot_text in INSTRUMENTS:
        if symbol in reference.by_symbol:
            continue
        base, quote = symbol.split("-")
        tick, tick_scale = split_decimal(tick_text)
        lot, lot_scale = split_decimal(lot_text)
        first: dict[str, int | bytes] = {
            "symbol": symbol.encode(),
            "instrument_type": messages.SPOT,
            "matching": messages.MATCHED_HERE,
            "tick": tick,
            "tick_scale": tick_scale,
            "lot": lot,
            "lot_scale": lot_scale,
            "base_asset": reference.asset_by_name[base].id,
            "quote_asset": reference.asset_by_name[quote].id,
            "maker_ppm": MAKER_PPM,
            "taker_ppm": TAKER_PPM,
        }
        _created(await _command(exchange, records.create_instrument(first, {})), symbol)
        reference.stale = True
    if EVENT_CONTRACT not in reference.by_symbol:
        await _make_event_contract(exchange, reference)
        reference.stale = True
    await exchange.instruments()


async def _make_event_contract(exchange: Exchange, reference: Instruments) -> None:
    """One BINARY: a lot pays 1.00 USD, or nothing."""
    quote = reference.asset_by_name["USD"]
    first: dict[str, int | bytes] = {
        "symbol": EVENT_CONTRACT.encode(),
        "instrument_type": messages.BINARY,
        "matching": messages.MATCHED_HERE,
        "tick": 1,
        "tick_scale": 2,
        "lot": 1,
        "quote_asset": quote.id,
        "payout": quote.amount("1"),
    }
    slots = records.create_instrument(first, {})
    _created(await _command(exchange, slots), EVENT_CONTRACT)


async def account_of(exchange: Exchange, name: str) -> int:
    """The account of a trader, made and funded if the name was not seen before."""
    exchange.linked()
    known = exchange.accounts.get(name)
    if known is not None:
        return known
    making = exchange.making.get(name)
    if making is None:  # Requests that come meanwhile wait for this one, and share its fate.
        making = exchange.making[name] = asyncio.create_task(_make_account(exchange, name))
        making.add_done_callback(lambda _done: exchange.making.pop(name, None))
    number = await asyncio.shield(making)
    exchange.accounts[name] = number
    return number


async def _make_account(exchange: Exchange, name: str) -> int:
    number = await find_account(exchange, name)
    if number is None:
        slot = records.command(messages.CREATE_ACCOUNT, name=name.encode())
        number = _created(await _command(exchange, slot), name)
    if number <= RESERVED_ACCOUNTS:
        raise Problem("forbidden", f"the account {name!r} belongs to the exchange")
    await _grant(exchange, number)
    return number


async def find_account(exchange: Exchange, name: str) -> int | None:
    """The number of the account of that name."""
    slot = records.query(messages.QUERY_ACCOUNT, client_order_id=name.encode("ascii"))
    row = (await exchange.query(slot)).view(NAME_REPLY)[0]
    return int(row["id"]) if row["reason"] == 0 and row["id"] > 0 else None


async def amounts(exchange: Exchange, kind: int, account: int) -> tuple[list[Any], int]:
    """All rows of QUERY_BALANCES or QUERY_POSITIONS of an account; the sequence of the answer."""
    item = POSITION_ITEM if kind == messages.QUERY_POSITIONS else AMOUNT_ITEM
    items: list[Any] = []
    cursor = 0
    while True:
        replies = await exchange.query(records.query(kind, account=account, cursor=cursor))
        for reply in replies:
            body = reply["body"][: int(reply["count"]) * item.itemsize]
            items.extend(body.view(item))
        last = replies[-1]
        if not last["flags"] & messages.MORE or not items:
            return items, int(last["as_of"])
        cursor = int(items[-1]["id"])


async def _grant(exchange: Exchange, account: int) -> None:
    reference = await exchange.instruments()
    rows, _ = await amounts(exchange, messages.QUERY_BALANCES, account)
    held = {int(row["id"]) for row in rows}
    for name, amount in GRANTS.items():
        asset = reference.asset_by_name.get(name)
        if asset is None or asset.id in held:
            continue
        slot = records.money(
            messages.DEPOSIT,
            b"",
            account=account,
            asset=asset.id,
            amount=asset.amount(amount),
            client_order_id=f"dev-{name}".encode(),
        )
        event = records.events_of((await _command(exchange, slot)).events)[0]
        if event.kind == messages.COMMAND_REJECTED:
            reason = Reason(event.reason)
            if reason == Reason.DUPLICATE_CLIENT_ID:  # Granted before, by another version.
                continue
            raise Problem("command_rejected", f"the first deposit of {name}: {reason.word}")


async def _command(exchange: Exchange, slots: bytes) -> Answer:
    """None of these is what the client asked for, so an unknown outcome is 503 for its request."""
    try:
        return await exchange.command(slots, {})
    except OutcomeUnknown:
        code = "execution_unknown"
    except Problem as problem:
        if problem.code != "execution_unknown":
            raise
        code = problem.code
    detail = f"the account could not be made ({code}); the request was not executed"
    raise Problem("not_accepting", detail)


def _created(answer: Answer, name: str) -> int:
    event = records.events_of(answer.events)[0]
    if event.kind != messages.COMMAND_REJECTED:
        return event.order_id
    if event.reason == Reason.NAME_TAKEN:
        return event.cum
    raise Problem("command_rejected", f"{name}: {Reason(event.reason).word}")


assert REPLY_BODY == 32
