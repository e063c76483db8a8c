"""What only an administrator may do: reference data, accounts, money in and out, the state hash."""

import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from adapters.gateway import Answer, OutcomeUnknown
from adapters.http import bodies, body, records, terms
from adapters.http.auth import admin
from adapters.http.development import find_account
from adapters.http.exchange import Exchange, outcome_unknown
from adapters.http.market import asset_json, instrument_json
from adapters.http.problems import Fault, Faults, Problem
from adapters.http.records import Event
from adapters.http.replies import answer, parameters, whole
from adapters.instruments import Asset, Instruments
from adapters.units import UnitError, shown, split_decimal
from core import messages
from core.constants import FEE_PPM_MAX, REFERENCE_BYTES, SCALE_MAX, SYMBOL_CHARS_MAX
from core.messages import NAME_REPLY, text
from core.reasons import TEXT, Reason
from core.stages import CAPACITY

STEP_MAX: Final = 10**9
STATE_TIMEOUT_S: Final = 60.0
STAGES_COMMANDS: Final = 8_192
ACCOUNT_MAX: Final = (1 << 31) - 1

_SYMBOL: Final = re.compile(rf"[A-Za-z0-9./_-]{{1,{SYMBOL_CHARS_MAX}}}")
_REFERENCE: Final = re.compile(rf"[\x20-\x7e]{{1,{REFERENCE_BYTES}}}")


async def create_asset(request: web.Request) -> web.Response:
    """POST /v1/admin/assets."""
    exchange = admin(request)
    asset, faults = await body.read(request, bodies.NewAsset)
    name = _text("name", asset.name, faults)
    scale = _number("scale", asset.scale, 0, SCALE_MAX, faults)
    faults.check()
    slot = records.command(messages.CREATE_ASSET, name=name.encode("ascii"), scale=scale)
    event = await _create(exchange, slot, "/v1/assets")
    made = Asset(event.order_id, name, scale)
    exchange.reference.stale = True
    return answer(request, _made(exchange, event, {"asset": asset_json(made)}), status=201)


async def create_account(request: web.Request) -> web.Response:
    """POST /v1/admin/accounts."""
    exchange = admin(request)
    account, faults = await body.read(request, bodies.NewAccount)
    name = _text("name", account.name, faults)
    faults.check()
    slot = records.command(messages.CREATE_ACCOUNT, name=name.encode("ascii"))
    event = await _create(exchange, slot, "/v1/admin/accounts")
    made = {"account": {"id": str(event.order_id), "name": name}}
    return answer(request, _made(exchange, event, made), status=201)


async def create_instrument(request: web.Request) -> web.Response:
    """POST /v1/admin/instruments."""
    exchange = admin(request)
    wanted, faults = await body.read(request, bodies.NewInstrument)
    reference = await exchange.instruments()
    slots = _instrument_slots(wanted, faults, reference)
    event = await _create(exchange, slots, "/v1/instruments")
    reference.stale = True
    reference = await _fresh(exchange)
    made = reference.by_id.get(event.order_id)
    shown_instrument = instrument_json(made) if made else {"id": str(event.order_id)}
    return answer(request, _made(exchange, event, {"instrument": shown_instrument}), status=201)


async def deposit(request: web.Request) -> web.Response:
    """POST /v1/admin/accounts/{id}/deposit."""
    return await _move(request, messages.DEPOSIT)


async def withdraw(request: web.Request) -> web.Response:
    """POST /v1/admin/accounts/{id}/withdraw."""
    return await _move(request, messages.WITHDRAW)


async def get_state(request: web.Request) -> web.Response:
    """GET /v1/admin/state: the state hash between two commands."""
    exchange = admin(request)
    slot = records.query(messages.QUERY_STATE)
    row = (await exchange.query(slot, STATE_TIMEOUT_S)).view(NAME_REPLY)[0]
    sequence = int(row["id"])
    state_hash = text(row["name"])
    if row["reason"] or not state_hash:
        raise Problem("not_accepting", "the core did not give its state hash; try again")
    content = {"sequence": sequence, "state_hash": state_hash, "seq": sequence}
    return answer(request, {**content, "durability": exchange.durability})


async def get_stages(request: web.Request) -> web.Response:
    """GET /v1/admin/stages: how long the newest commands took from stage to stage."""
    exchange = admin(request)
    given = parameters(request, ("commands",))
    newest = whole(given, "commands", STAGES_COMMANDS, 1, CAPACITY)
    rows = exchange.linked().stages(newest)
    content = {"enabled": rows is not None, "stages": rows or [], "seq": exchange.sequence}
    return answer(request, content)


async def _move(request: web.Request, kind: int) -> web.Response:
    exchange = admin(request)
    account = await _account(exchange, request.match_info["id"])
    money, faults = await body.read(request, bodies.Money)
    key = terms.client_id(money.client_order_id, faults, request.headers)
    if not key and not faults.items:
        detail = "header Idempotency-Key is required on every request that moves money"
        fault = Fault("header:Idempotency-Key", "required", "1-36 characters 0x21-0x7E")
        raise Problem("malformed", detail, errors=[fault])
    reference = await exchange.instruments()
    asset, amount = _amount(money, faults, reference)
    payment = money.reference or ""
    if payment and not _REFERENCE.fullmatch(payment):
        detail = f"expected 1-{REFERENCE_BYTES} printable ASCII characters, got {shown(payment)}"
        faults.add("/reference", "invalid_value", detail)
    faults.check()
    assert asset is not None
    slots = records.money(
        kind,
        payment.encode("ascii"),
        account=account,
        asset=asset.id,
        amount=amount,
        client_order_id=key.encode("ascii"),
    )
    answered = await _send(exchange, slots, {"client_order_id": key}, (account, key))
    event = records.events_of(answered.events[:1])[0]
    if event.kind == messages.COMMAND_REJECTED:
        raise _rejected(event, exchange, asset)
    repeated = event.kind == messages.COMMAND_REPEATED
    content: dict[str, Any] = {
        "account": {"id": str(account)},
        "client_order_id": key,
        "asset": asset.name,
        "amount": asset.text(amount),
        "available": None if repeated else asset.text(event.leaves),
        "reserved": None if repeated else asset.text(event.cum),
        "seq": event.sequence,
        "durability": exchange.durability,
    }
    if not repeated:
        return answer(request, content, status=201)
    return answer(request, content, headers={"Idempotency-Replayed": "true"})


async def _account(exchange: Exchange, named: str) -> int:
    """The account of a path: its number, or its name."""
    if named.isascii() and named.isdigit() and 0 < int(named[:11]) <= ACCOUNT_MAX:
        return int(named[:11])
    number = await find_account(exchange, named) if terms.is_client_id(named) else None
    if number is None:
        raise Problem("not_found", f"no account {shown(named)}")
    return number


def _amount(
    money: bodies.Money, faults: Faults, reference: Instruments
) -> tuple[Asset | None, int]:
    asset = _asset("asset", money.asset, faults, reference)
    if money.amount is None:
        if not faults.at("/amount"):
            faults.add("/amount", "required", "required: decimal text such as '100.00'")
        return asset, 0
    try:
        return asset, asset.amount(money.amount) if asset else 0
    except UnitError as error:
        faults.add("/amount", error.code, error.detail)
        return asset, 0


def _instrument_slots(
    wanted: bodies.NewInstrument, faults: Faults, reference: Instruments
) -> bytes:
    symbol = _text("symbol", wanted.symbol, faults)
    if symbol and not _SYMBOL.fullmatch(symbol):
        detail = f"expected 1-{SYMBOL_CHARS_MAX} of A-Z a-z 0-9 . - / _, got {shown(symbol)}"
        faults.add("/symbol", "invalid_value", detail)
    if wanted.type == "binary":
        faults.add("/type", "not_supported", "type 'binary' is not built yet")
    else:
        terms.choice("type", wanted.type or "spot", {"spot": messages.SPOT}, faults)
    if wanted.matching == "outside":
        faults.add("/matching", "not_supported", "matching 'outside' is not built yet")
    else:
        terms.choice("matching", wanted.matching or "here", {"here": 1}, faults)
    if wanted.status not in (None, "open"):
        faults.add("/status", "not_supported", "only status 'open' is built yet")
    terms.not_built(wanted, faults, ("payout", "price_min", "price_max"))
    base = _asset("base", wanted.base, faults, reference)
    quote = _asset("quote", wanted.quote, faults, reference)
    tick, tick_scale = _step("tick", wanted.tick, faults)
    lot, lot_scale = _step("lot", wanted.lot, faults)
    maker = _number("maker_ppm", wanted.maker_ppm or 0, -FEE_PPM_MAX, FEE_PPM_MAX, faults)
    taker = _number("taker_ppm", wanted.taker_ppm or 0, -FEE_PPM_MAX, FEE_PPM_MAX, faults)
    limits: dict[str, int | bytes] = {}
    for name in ("qty_min", "qty_max"):
        limits[name] = _limit_lots(name, getattr(wanted, name), (lot, lot_scale), faults)
    for name in ("notional_min", "notional_max"):
        limits[name] = _limit_amount(name, getattr(wanted, name), quote, faults)
    faults.check()
    assert base is not None
    assert quote is not None
    first: dict[str, int | bytes] = {
        "symbol": symbol.encode("ascii"),
        "instrument_type": messages.SPOT,
        "matching": messages.MATCHED_HERE,
        "tick": tick,
        "tick_scale": tick_scale,
        "lot": lot,
        "lot_scale": lot_scale,
        "base_asset": base.id,
        "quote_asset": quote.id,
        "maker_ppm": maker,
        "taker_ppm": taker,
    }
    return records.create_instrument(first, limits)


def _step(name: str, value: str | None, faults: Faults) -> tuple[int, int]:
    """A tick or lot as it was written: its decimals are the decimals of every price or quantity."""
    if faults.at(f"/{name}"):
        return 1, 0
    try:
        step, scale = split_decimal(value or "")
        if not 1 <= step <= STEP_MAX or scale > SCALE_MAX:
            detail = f"expected above 0, at most {STEP_MAX} without its point, {SCALE_MAX} decimals"
            raise UnitError("invalid_value", f"{detail}, got {shown(value)}")
    except UnitError as error:
        missing = value is None
        faults.add(f"/{name}", "required" if missing else error.code, error.detail)
        return 1, 0
    return step, scale


def _limit_lots(name: str, value: str | None, lot: tuple[int, int], faults: Faults) -> int:
    if value is None or faults.at(f"/{name}") or faults.at("/lot"):
        return 0
    plain = Asset(0, name, lot[1])
    try:
        count, rest = divmod(plain.amount(value), lot[0])
        if rest:
            raise UnitError("qty_off_lot", f"expected a multiple of the lot, got {shown(value)}")
    except UnitError as error:
        faults.add(f"/{name}", error.code, error.detail)
        return 0
    return count


def _limit_amount(name: str, value: str | None, quote: Asset | None, faults: Faults) -> int:
    if value is None or faults.at(f"/{name}") or quote is None:
        return 0
    try:
        return quote.amount(value)
    except UnitError as error:
        faults.add(f"/{name}", error.code, error.detail)
        return 0


def _text(name: str, value: str | None, faults: Faults) -> str:
    where = f"/{name}"
    if faults.at(where):
        return ""
    if value is None:
        faults.add(where, "required", "required: 1-36 characters 0x21-0x7E")
    elif not terms.is_client_id(value):
        detail = f"expected 1-36 characters 0x21-0x7E, got {len(value)}: {shown(value)}"
        faults.add(where, "invalid_value", detail)
    else:
        return value
    return ""


def _number(name: str, value: int | None, low: int, high: int, faults: Faults) -> int:
    where = f"/{name}"
    if faults.at(where):
        return 0
    if value is None:
        faults.add(where, "required", f"required: {low} to {high}")
    elif not low <= value <= high:
        faults.add(where, "invalid_value", f"expected {low} to {high}, got {shown(value)}")
    else:
        return value
    return 0


def _asset(name: str, value: str | None, faults: Faults, reference: Instruments) -> Asset | None:
    where = f"/{name}"
    if faults.at(where):
        return None
    if value is None:
        faults.add(where, "required", "required: the name of an asset")
        return None
    found = reference.asset_by_name.get(value)
    if found is None:
        faults.add(where, "unknown_asset", f"no asset {shown(value)}")
    return found


async def _create(exchange: Exchange, slots: bytes, lookup: str) -> Event:
    answered = await _send(exchange, slots, {"lookup": lookup}, None)
    event = records.events_of(answered.events[:1])[0]
    if event.kind == messages.COMMAND_REJECTED:
        raise _rejected(event, exchange, None)
    return event


async def _send(
    exchange: Exchange, slots: bytes, unknown: Mapping[str, Any], key: tuple[int, str] | None
) -> Answer:
    try:
        return await exchange.command(slots, dict(unknown), key)
    except OutcomeUnknown:
        raise outcome_unknown(dict(unknown)) from None


def _rejected(event: Event, exchange: Exchange, asset: Asset | None) -> Problem:
    reason = Reason(event.reason)
    extra: dict[str, Any] = {
        "reject_reason": reason.word,
        "durability": exchange.durability,
    }
    detail = TEXT[reason]
    if reason == Reason.NAME_TAKEN:
        extra["id"] = str(event.cum)
        return Problem("conflict", detail, extra=extra)
    if reason == Reason.DUPLICATE_CLIENT_ID:
        return Problem("idempotency_mismatch", detail, extra=extra)
    if reason == Reason.UNKNOWN_ACCOUNT:
        return Problem("not_found", detail, extra=extra)
    if asset is not None and reason in (Reason.INSUFFICIENT_FUNDS, Reason.SUPPLY):
        extra["limit"] = asset.text(event.cum)
        extra["value"] = asset.text(event.cum_notional)
    return Problem("command_rejected", detail, extra=extra)


def _made(exchange: Exchange, event: Event, made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "seq": event.sequence, "durability": exchange.durability}


async def _fresh(exchange: Exchange) -> Instruments:
    """Reference data after a creation; what was executed is never answered with a problem."""
    try:
        return await exchange.instruments()
    except Problem:
        return exchange.reference
