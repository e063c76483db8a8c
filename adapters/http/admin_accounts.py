"""Accounts, by an administrator: status, limits, the kill switch."""

from typing import Any, Final

import numpy as np
from aiohttp import web

from adapters.http import bodies, body, members, records, terms
from adapters.http.auth import admin
from adapters.http.commands import account_in, account_named, done, made
from adapters.http.money import asset_named
from adapters.http.problems import Faults, Problem
from adapters.http.replies import answer, parameters
from adapters.http.special import MODES
from adapters.instruments import Asset, Instrument
from adapters.units import INT64_MAX
from core import messages
from core.messages import LIMITS_REPLY
from core.reasons import TEXT, Reason

PPM_MAX: Final = 1_000_000
STATUSES: Final = {
    "active": messages.ACCOUNT_ACTIVE,
    "suspended": messages.ACCOUNT_SUSPENDED,
}
# What a limit is a number of; which of them are of the whole account, and which in an instrument.
LOTS: Final = ("order_qty_max", "position_max", "short_max")
AMOUNTS: Final = ("order_notional_max", "exposure_max")
PPM: Final = ("deviation_ppm", "messages_per_fill")
WHOLE: Final = (
    *("order_notional_max", "deviation_ppm", "open_orders_max", "levels_max", "exposure_max"),
    *("orders_per_second", "messages_per_fill"),
)
INSTRUMENTS: Final = (
    *("order_qty_max", "order_notional_max", "position_max", "open_orders_max", "short_max"),
)
COUNTED: Final = ("open_orders", "levels", "in_second", "messages", "fills")


async def change_account(request: web.Request) -> web.Response:
    """PATCH /v1/admin/accounts/{id}; POST …/suspend, where ``status`` is ``suspended`` unless
    something else is said."""
    exchange = admin(request)
    account = await account_named(exchange, request.match_info["id"])
    suspends = request.path.endswith("/suspend")
    wanted, faults = await body.read(request, bodies.ChangedAccount, optional=suspends)
    status = wanted.status or ("suspended" if suspends else None)
    changes, fields = 0, {}
    if status is not None:
        changes |= messages.CHANGE_STATUS
        fields["status"] = members.choice("status", status, STATUSES, faults)
    if wanted.stp is not None:
        changes |= messages.CHANGE_SELF_TRADE
        fields["self_trade"] = members.choice("stp", wanted.stp, MODES, faults)
    if wanted.cancel_open:
        fields["flags"] = messages.CANCEL_OPEN
    if not fields and not faults.items:
        faults.add("", "required", "nothing is to be changed")
    faults.check()
    slots = records.command(messages.UPDATE_ACCOUNT, account=account, changes=changes, **fields)
    event = (await done(exchange, slots, f"/v1/admin/accounts/{account}/limits"))[0]
    content = {
        "account": {
            "id": str(account),
            "name": records.padded(event.client_order_id),
            "status": _word(STATUSES, event.qty),
            "stp": _word(MODES, event.leaves),
        },
        "canceled": event.cum,
    }
    return answer(request, made(exchange, event, content))


async def set_kill_switch(request: web.Request) -> web.Response:
    """POST /v1/admin/kill-switch: on cancels what is open and refuses what would open."""
    exchange = admin(request)
    wanted, faults = await body.read(request, bodies.KillSwitch)
    if wanted.on is None and not faults.at("/on"):
        faults.add("/on", "required", "required: true or false")
    account = 0
    if wanted.account is not None:
        account = await account_in(exchange, "account", wanted.account, faults)
    faults.check()
    slots = records.command(messages.KILL_SWITCH, account=account, is_on=int(bool(wanted.on)))
    event = (await done(exchange, slots, "/v1/admin/kill-switch"))[0]
    whose = str(account) if account else None
    content = {"account": whose, "on": bool(event.leaves), "canceled": event.qty}
    return answer(request, made(exchange, event, content))


async def set_limits(request: web.Request) -> web.Response:
    """POST /v1/admin/accounts/{id}/limits: of the account, or of it in an instrument."""
    exchange = admin(request)
    account = await account_named(exchange, request.match_info["id"])
    wanted, faults = await body.read(request, bodies.Limits)
    reference = await exchange.instruments()
    instrument = None
    if wanted.instrument is not None:
        instrument = terms.known_instrument(wanted.instrument, faults, reference)
    asset = instrument.quote if instrument else None
    if wanted.instrument is None and any(getattr(wanted, name) for name in AMOUNTS):
        asset = asset_named("asset", wanted.asset, faults, reference)
    fields = _limits(wanted, instrument, asset, faults)
    faults.check()
    slots = records.command(
        messages.SET_LIMITS,
        records.LIMITS_2.pack(**fields),
        account=account,
        instrument=instrument.id if instrument else 0,
    )
    path = f"/v1/admin/accounts/{account}/limits"
    event = (await done(exchange, slots, path, instrument))[0]
    shown = _shown(fields, instrument, asset)
    content = {"account": str(account), "instrument": wanted.instrument, "limits": shown}
    return answer(request, made(exchange, event, content))


async def get_limits(request: web.Request) -> web.Response:
    """GET /v1/admin/accounts/{id}/limits[?instrument=&asset=]: limits, and what counts.

    Amounts of the whole account are over all its instruments: ``asset`` says in which they are
    shown, and need not where everything is paid in one.
    """
    exchange = admin(request)
    account = await account_named(exchange, request.match_info["id"])
    asked = parameters(request, ("instrument", "asset"))
    reference = await exchange.instruments()
    faults = Faults()
    instrument = None
    if "instrument" in asked:
        instrument = terms.known_instrument(asked["instrument"], faults, reference)
    asset = instrument.quote if instrument else None
    if "asset" in asked and instrument is None:
        asset = asset_named("asset", asked["asset"], faults, reference)
    quotes = {each.quote for each in reference.by_id.values()}
    if "asset" not in asked and instrument is None and len(quotes) == 1:
        (asset,) = quotes
    faults.check()
    number = instrument.id if instrument else 0
    slot = records.query(messages.QUERY_LIMITS, account=account, instrument=number)
    row = (await exchange.query(slot)).view(LIMITS_REPLY)[0]
    if row["reason"]:
        raise Problem(
            "not_found", TEXT[Reason(int(row["reason"]))], extra={"seq": int(row["as_of"])}
        )
    fields: dict[str, int | bytes] = {name: int(row[name]) for name in messages.LIMIT_FIELDS}
    content = {
        "account": str(account),
        "instrument": asked.get("instrument"),
        "limits": _shown(fields, instrument, asset) if row["count"] else None,
        "counts": _counts(row, instrument, asset) if row["count"] else None,
        "seq": int(row["as_of"]),
    }
    return answer(request, content)


def _limits(
    wanted: bodies.Limits, instrument: Instrument | None, asset: Asset | None, faults: Faults
) -> dict[str, int | bytes]:
    """The fields of slot 2; a limit where it has no meaning is a fault."""
    fitting = WHOLE if wanted.instrument is None else INSTRUMENTS
    found: dict[str, int | bytes] = {}
    for name in messages.LIMIT_FIELDS:
        value = getattr(wanted, name)
        if value is None or faults.at(f"/{name}"):
            continue
        if name not in fitting:
            where = "in an instrument" if wanted.instrument is None else "of the whole account"
            faults.add(f"/{name}", "invalid_value", f"is a limit {where} only")
        elif name in LOTS:
            found[name] = _zero_or(value) or members.lots(name, value, instrument, faults)
        elif name in AMOUNTS:
            found[name] = _zero_or(value) or members.amount(name, value, asset, faults)
        else:
            most = PPM_MAX if name in PPM else INT64_MAX
            found[name] = members.number(name, value, 0, most, faults)
    return {name: max(int(number), 0) for name, number in found.items()}


def _zero_or(value: str) -> int:
    """-1 for a zero, which is no limit; 0 for everything else."""
    return -1 if value.strip("0") in ("", ".") and value else 0


def _shown(
    fields: dict[str, int | bytes], instrument: Instrument | None, asset: Asset | None
) -> dict[str, Any]:
    """Limits as text; one that is null is none."""
    fitting = WHOLE if instrument is None else INSTRUMENTS
    shown: dict[str, Any] = {}
    for name in fitting:
        value = int(fields.get(name, 0))
        shown[name] = _one(name, value, instrument, asset) if value else None
    return shown


def _one(name: str, value: int, instrument: Instrument | None, asset: Asset | None) -> Any:
    if name in LOTS and instrument is not None:
        return instrument.qty_text(value)
    if name in (*AMOUNTS, "exposure"):
        return asset.text(value) if asset is not None else f"{value} units"
    return value


def _counts(row: "np.void", instrument: Instrument | None, asset: Asset | None) -> dict[str, Any]:
    """What counts against the limits now."""
    if instrument is not None:
        return {
            "open_orders": int(row["open_orders"]),
            "buying": instrument.qty_text(int(row["buying"])),
            "selling": instrument.qty_text(int(row["selling"])),
        }
    counts: dict[str, Any] = {name: int(row[name]) for name in COUNTED}
    return {"exposure": _one("exposure", int(row["exposure"]), None, asset), **counts}


def _word(words: dict[str, int], number: int) -> str | None:
    return next((word for word, value in words.items() if value == number), None)
