"""What only an administrator may do: assets, accounts, the state hash, the stages."""

from typing import Final

from aiohttp import web

from adapters.http import bodies, body, members, records, special, terms
from adapters.http.auth import admin
from adapters.http.commands import done, made
from adapters.http.market import asset_json
from adapters.http.problems import Faults, Problem
from adapters.http.replies import answer, parameters, whole
from adapters.instruments import Asset
from adapters.units import shown
from core import messages
from core.constants import SCALE_MAX
from core.messages import NAME_REPLY, text
from core.stages import CAPACITY

STATE_TIMEOUT_S: Final = 60.0
STAGES_COMMANDS: Final = 8_192


async def create_asset(request: web.Request) -> web.Response:
    """POST /v1/admin/assets."""
    exchange = admin(request)
    asset, faults = await body.read(request, bodies.NewAsset)
    name = text_of("name", asset.name, faults)
    scale = members.number("scale", asset.scale, 0, SCALE_MAX, faults)
    faults.check()
    slot = records.command(messages.CREATE_ASSET, name=name.encode("ascii"), scale=scale)
    event = (await done(exchange, slot, "/v1/assets"))[0]
    asset_made = Asset(event.order_id, name, scale)
    exchange.reference.stale = True
    content = made(exchange, event, {"asset": asset_json(asset_made)})
    return answer(request, content, status=201)


async def create_account(request: web.Request) -> web.Response:
    """POST /v1/admin/accounts."""
    exchange = admin(request)
    account, faults = await body.read(request, bodies.NewAccount)
    name = text_of("name", account.name, faults)
    mode = members.choice("stp", account.stp or "none", special.MODES, faults)
    faults.check()
    slot = records.command(messages.CREATE_ACCOUNT, name=name.encode("ascii"), self_trade=mode)
    event = (await done(exchange, slot, "/v1/admin/accounts"))[0]
    content = {"account": {"id": str(event.order_id), "name": name}}
    return answer(request, made(exchange, event, content), status=201)


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


def text_of(name: str, value: str | None, faults: Faults) -> str:
    """A name of 1-36 characters 0x21-0x7E, required."""
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
