"""The bodies that the paths take: every member may be absent or null; the terms decide what then.

Members whose feature is not built yet are declared, so that they answer ``not_supported``.
"""

import msgspec


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request body; unknown members are refused (C19)."""


class PlainOrder(Body):
    """POST /v1/orders with what most orders have, and nothing else."""

    client_order_id: str | None = None
    instrument: str | None = None
    side: str | None = None
    type: str | None = None
    price: str | None = None
    qty: str | None = None
    tif: str | None = None


class PlaceOrder(PlainOrder):
    """POST /v1/orders (api.md §C.2)."""

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
    slide: bool | None = None
    trail: str | None = None
    trail_bps: int | None = None
    min_qty: str | None = None
    protection_price: str | None = None
    oco: str | None = None


class CancelAfter(Body):
    """POST /v1/orders/cancel-all-after: the dead-man timer; 0 disarms it."""

    timeout_ms: int | None = None
    client_order_id: str | None = None
    expire_after_ts: int | None = None
    recv_window_ms: int | None = None


class Transfer(Body):
    """POST /v1/transfers."""

    to: str | None = None
    asset: str | None = None
    amount: str | None = None
    reference: str | None = None
    client_order_id: str | None = None
    expire_after_ts: int | None = None
    recv_window_ms: int | None = None


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


class TickStep(msgspec.Struct, forbid_unknown_fields=True, rename={"start": "from"}):
    """One step of a tick table: prices from ``start`` on are multiples of ``step``."""

    start: str
    step: str


class Terms(Body):
    """What an instrument may be made with, and what may be changed of it."""

    tick: str | None = None
    lot: str | None = None
    maker_ppm: int | None = None
    taker_ppm: int | None = None
    qty_min: str | None = None
    qty_max: str | None = None
    notional_min: str | None = None
    notional_max: str | None = None
    price_min: str | None = None
    price_max: str | None = None
    band_ppm: int | None = None
    reference_price: str | None = None
    max_age_ms: int | None = None
    day_end_ms: int | None = None
    tick_table: list[TickStep] | None = None
    short_ppm: int | None = None
    clearing_ms: int | None = None
    status: str | None = None


class NewInstrument(Terms):
    """POST /v1/admin/instruments; a limit that is absent or null is none."""

    symbol: str | None = None
    type: str | None = None
    base: str | None = None
    quote: str | None = None
    matching: str | None = None
    payout: str | None = None


class ChangedInstrument(Terms):
    """PATCH /v1/admin/instruments/{symbol}; what is absent or null stays, a limit of 0 is none."""


class Settlement(Body):
    """POST /v1/admin/instruments/{symbol}/settle: one of both."""

    price: str | None = None
    result: str | None = None


class NewAccount(Body):
    """POST /v1/admin/accounts."""

    name: str | None = None
    stp: str | None = None


class ChangedAccount(Body):
    """POST /v1/admin/accounts/{id}/suspend, PATCH /v1/admin/accounts/{id}."""

    status: str | None = None
    stp: str | None = None
    cancel_open: bool | None = None


class Limits(Body):
    """POST /v1/admin/accounts/{id}/limits: all of them; absent, null or 0 is none."""

    instrument: str | None = None
    asset: str | None = None
    order_qty_max: str | None = None
    order_notional_max: str | None = None
    deviation_ppm: int | None = None
    position_max: str | None = None
    open_orders_max: int | None = None
    levels_max: int | None = None
    exposure_max: str | None = None
    orders_per_second: int | None = None
    messages_per_fill: int | None = None
    short_max: str | None = None


class KillSwitch(Body):
    """POST /v1/admin/kill-switch; without account: all."""

    on: bool | None = None
    account: str | None = None


class Side(msgspec.Struct, forbid_unknown_fields=True):
    """One side of a trade."""

    account: str
    order_id: str
    fee: str


class Trade(Body):
    """POST /v1/admin/trades/{trade_id}/bust and /correct."""

    instrument: str | None = None
    price: str | None = None
    qty: str | None = None
    buyer: Side | None = None
    seller: Side | None = None
    new_price: str | None = None
    new_qty: str | None = None


class Execution(Body):
    """POST /v1/admin/executions: what became of an order that is matched outside."""

    kind: str | None = None
    source: str | None = None
    exec_id: str | None = None
    account: str | None = None
    instrument: str | None = None
    order_id: str | None = None
    side: str | None = None
    liquidity: str | None = None
    price: str | None = None
    qty: str | None = None
    fee: str | None = None
    filled_qty: str | None = None
    new_price: str | None = None
    new_qty: str | None = None
    new_fee: str | None = None


class Money(Body):
    """POST /v1/admin/accounts/{id}/deposit and /withdraw."""

    asset: str | None = None
    amount: str | None = None
    reference: str | None = None
    client_order_id: str | None = None
