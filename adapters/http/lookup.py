"""Orders by id and by client id, asked from the core, and only the asker's own."""

import re
from typing import Final

from aiohttp import web

from adapters.http import records
from adapters.http.exchange import Exchange
from adapters.http.problems import Fault, Problem
from adapters.http.records import OrderRow
from adapters.http.terms import is_client_id
from adapters.units import INT64_MAX, shown
from core import messages
from core.reasons import Reason

Target = int | str  # An order id, or a client order id.

_ORDER_ID: Final = re.compile(r"[0-9]{1,19}")


def target_of(request: web.Request) -> Target:
    """The order that the path names."""
    client_order_id = request.match_info.get("cid")
    if client_order_id is not None:
        return client_target(client_order_id, "path:client_order_id")
    text = request.match_info["id"]
    if _ORDER_ID.fullmatch(text) and 0 < int(text) <= INT64_MAX:
        return int(text)
    raise Problem("not_found", f"expected an order id, a whole number, got {shown(text)}")


def client_target(text: str, where: str) -> str:
    """A client order id that is asked for."""
    if is_client_id(text):
        return text
    detail = f"expected 1-36 characters 0x21-0x7E, got {len(text)}: {shown(text)}"
    fault = Fault(where, "client_order_id", detail)
    raise Problem("validation", "the client order id is not valid", errors=[fault])


async def row_of(exchange: Exchange, account: int, target: Target) -> OrderRow:
    """The order's row; Problem ``not_found``, ``not_seen`` or ``too_old``.

    Somebody else's order is ``not_found``: whether it exists is nobody's business.
    """
    if isinstance(target, str):
        return await _by_client_id(exchange, account, target)
    slot = records.query(messages.QUERY_ORDER, account=account, order_id=target)
    row = records.orders_of(await exchange.query(slot))[0]
    if row.reason == Reason.STALE_ID:
        detail = f"order {target} has left the core"
        raise Problem("too_old", detail, extra={"order_id": str(target), "seq": row.as_of})
    if row.reason != Reason.NONE or row.account != account:
        raise Problem("not_found", f"no order {target} of this account", extra={"seq": row.as_of})
    return row


async def _by_client_id(exchange: Exchange, account: int, client_order_id: str) -> OrderRow:
    slot = records.query(
        messages.QUERY_CLIENT_ORDER,
        account=account,
        client_order_id=client_order_id.encode("ascii"),
    )
    row = records.orders_of(await exchange.query(slot))[0]
    extra: dict[str, object] = {"client_order_id": client_order_id, "seq": row.as_of}
    if row.reason == Reason.NONE and row.order_id:
        return row
    if row.account == account:  # The id is remembered, but there is no row.
        if not row.order_id:
            raise Problem("not_found", "the id is that of a command without order", extra=extra)
        extra["order_id"] = str(row.order_id)
        raise Problem("too_old", "the order has left the core", extra=extra)
    if row.flags & messages.TOO_OLD:
        extra["remembered_from"] = row.order_id
        detail = f"not among the ids that are remembered, from sequence {row.order_id} on"
        raise Problem("too_old", detail, extra=extra)
    detail = f"not in the journal up to sequence {row.as_of}"
    raise Problem("not_seen", detail, extra=extra)
