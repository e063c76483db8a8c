"""The bodies that the paths take: every member may be absent or null; the terms decide what then.

Members whose feature is not built yet are declared, so that they answer ``not_supported``.
"""

import msgspec


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request body; unknown members are refused (C19)."""


class PlaceOrder(Body):
    """POST /v1/orders (api.md §C.2)."""

    client_order_id: str | None = None
    instrument: str | None = None
    side: str | None = None
    type: str | None = None
    price: str | None = None
    qty: str | None = None
    tif: str | None = None
    stp: str | None = None
    resp: str | None = None
    expire_after_ts: int | None = None
    recv_window_ms: int | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    expire_ts: int | None = None
    display_qty: str | None = None
    stop_price: str | None = None
    max_cost: str | None = None
    group: str | None = None
    tag: str | None = None


class ReplaceOrder(Body):
    """PATCH /v1/orders/{id}."""

    price: str | None = None
    qty: str | None = None
    qty_basis: str | None = None
    client_order_id: str | None = None
    expire_after_ts: int | None = None
    recv_window_ms: int | None = None
    display_qty: str | None = None
    stop_price: str | None = None
    expire_ts: int | None = None
    post_only: bool | None = None
    resp: str | None = None
    tag: str | None = None


class CancelOrder(Body):
    """POST /v1/orders/{id}/cancel, DELETE /v1/orders/{id}; may be left out."""

    client_order_id: str | None = None
    cancel_restriction: str | None = None
    expire_after_ts: int | None = None
    recv_window_ms: int | None = None


class CancelAll(Body):
    """POST /v1/orders/cancel-all; may be left out."""

    instrument: str | None = None
    side: str | None = None
    client_order_id: str | None = None
    expire_after_ts: int | None = None
    recv_window_ms: int | None = None
    tag: str | None = None
    session: str | None = None


class NewAsset(Body):
    """POST /v1/admin/assets."""

    name: str | None = None
    scale: int | None = None


class NewInstrument(Body):
    """POST /v1/admin/instruments; a limit that is absent or null is none."""

    symbol: str | None = None
    type: str | None = None
    base: str | None = None
    quote: str | None = None
    tick: str | None = None
    lot: str | None = None
    maker_ppm: int | None = None
    taker_ppm: int | None = None
    qty_min: str | None = None
    qty_max: str | None = None
    notional_min: str | None = None
    notional_max: str | None = None
    matching: str | None = None
    payout: str | None = None
    price_min: str | None = None
    price_max: str | None = None
    status: str | None = None


class NewAccount(Body):
    """POST /v1/admin/accounts."""

    name: str | None = None


class Money(Body):
    """POST /v1/admin/accounts/{id}/deposit and /withdraw."""

    asset: str | None = None
    amount: str | None = None
    reference: str | None = None
    client_order_id: str | None = None
