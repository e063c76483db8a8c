"""Rejects of the core as problems: which code they have, and limit and value in decimals."""

from typing import Any, Final

from adapters.bounds import bounds
from adapters.http.problems import Fault, Problem
from adapters.http.records import Event, padded
from adapters.instruments import Asset, Instrument, Instruments
from core import messages
from core.reasons import TEXT, Reason

# Codes of rejects that are not ``order_rejected`` or ``command_rejected``.
CODES: Final[dict[Reason, str]] = {
    Reason.DUPLICATE_CLIENT_ID: "idempotency_mismatch",
    Reason.NAME_TAKEN: "conflict",
    Reason.BOOK_NOT_EMPTY: "conflict",
    Reason.TOO_LATE: "cannot_cancel",
    Reason.CANCEL_RESTRICTED: "cannot_cancel",
    Reason.UNKNOWN_ORDER: "not_found",
    Reason.UNKNOWN_ACCOUNT: "not_found",
}


def rejected(event: Event, reference: Instruments, durability: str) -> Problem:
    """Problem of a journaled ORDER_REJECTED, or of a reject that is answered again.

    Also of a COMMAND_REJECTED of a replace, whose order id is the target's.
    """
    reason = Reason(event.reason)
    extra: dict[str, Any] = {
        "order_id": str(event.order_id) if event.order_id else None,
        "client_order_id": padded(event.client_order_id) or None,
        "durability": durability,
    }
    if reason == Reason.DUPLICATE_CLIENT_ID:
        detail = "the client order id was used with another payload; the first one stands"
        pointer = Fault("/client_order_id", "duplicate_client_id", detail)
        return Problem("idempotency_mismatch", detail, errors=[pointer], extra=extra)
    extra["reject_reason"] = reason.word
    instrument = reference.by_id.get(event.instrument)
    has_bounds = event.kind != messages.ORDER_REPEATED
    detail = _with_bounds(event, extra, instrument, None) if has_bounds else TEXT[reason]
    return Problem("order_rejected", detail, extra=extra)


def command_rejected(
    event: Event, durability: str, instrument: Instrument | None, asset: Asset | None = None
) -> Problem:
    """Problem of a COMMAND_REJECTED; ``asset``: of the amounts, else the quote asset."""
    reason = Reason(event.reason)
    extra: dict[str, Any] = {"reject_reason": reason.word, "durability": durability}
    if reason == Reason.NAME_TAKEN:
        extra["id"] = str(event.cum)
        return Problem("conflict", TEXT[reason], extra=extra)
    detail = _with_bounds(event, extra, instrument, asset)
    return Problem(CODES.get(reason, "command_rejected"), detail, extra=extra)


def _with_bounds(
    event: Event, extra: dict[str, Any], instrument: Instrument | None, asset: Asset | None
) -> str:
    """The text; limit and value go into ``extra``."""
    reason = Reason(event.reason)
    found = bounds(reason, event.cum, event.cum_notional, instrument, asset)
    if found is None:
        return TEXT[reason]
    extra["limit"], extra["value"] = found
    got = "" if found[1] is None else f", got {found[1]}"
    return f"{TEXT[reason]}: limit {found[0]}{got}"
