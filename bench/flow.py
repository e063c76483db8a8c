"""Order-flow files: reading them, turning them into commands, and the hashes that judge a run."""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.book.levels import level_at_key, next_level
from core.constants import ORDER_SLOT_BITS, ORDER_SLOT_MASK
from core.jit import call_entry, kernel
from core.layout import record
from core.memory import Record, load_i64, pointer, shift_right, store_i64, wrap_mul
from core.messages import (
    BUY,
    CANCEL_ORDER,
    COMMAND_REJECTED,
    EVENT,
    FILL,
    GTC,
    IOC,
    LIMIT,
    MAKER,
    MARKET,
    ORDER_REJECTED,
    PLACE,
    PLACE_ORDER,
    QTY_LEAVES,
    REDUCE_ORDER,
    REPLACE,
    REPLACE_ORDER,
    SCHEMA,
    SELL,
)
from core.rows import bookside_row, cold_row, order_of_unit, state_at

Array = np.ndarray[Any, Any]

HEADER: Final = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("header_size", "<u4"),
        ("n_ops", "<u8"),
        ("n_prefill", "<u8"),
        ("n_symbols", "<u4"),
        ("max_user", "<u4"),
        ("max_order_id", "<u8"),
        ("min_price", "<i8"),
        ("max_price", "<i8"),
    ]
)
RECORD: Final = np.dtype(
    [
        ("op", "u1"),
        ("side", "u1"),
        ("symbol", "<u2"),
        ("user", "<u4"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("qty", "<i8"),
        ("aux", "<u8"),
    ]
)
SUMS: Final = record(
    "what a flow is judged by",
    80,
    [
        ("trades", "<i8"),
        ("traded_qty", "<i8"),
        ("notional", "<i8"),
        ("rejects", "<i8"),
        ("trade_hash", "<i8"),
        ("resting_orders", "<i8"),
        ("resting_qty", "<i8"),
        ("levels", "<i8"),
        ("book_hash_l3", "<i8"),
        ("book_hash_l2", "<i8"),
    ],
)
HASHES: Final = ("trade_hash", "book_hash_l3", "book_hash_l2")
HASH_FACTOR: Final = 0x9E3779B97F4A7C15 - (1 << 64)
NO_ORDER: Final = 1 << 22  # Slot 0: no order ever has this id.

event_at = pointer(EVENT)
replace_at = pointer(REPLACE)
sums_at = pointer(SUMS)

NEW, CANCEL, REPLACED, NEW_IOC, NEW_MARKET, REDUCED = 1, 2, 3, 4, 5, 6
FIRST_TRADER: Final = 3  # Accounts 1 and 2 are the exchange's own.


class Flow(NamedTuple):
    """One flow file: its header's numbers and its records."""

    name: str
    prefill: int
    symbols: int
    max_order_id: int
    users: int
    records: Array


def read_flow(path: Path) -> Flow:
    """Read a flow file.  Raises ValueError for anything that is not one."""
    raw = path.read_bytes()
    if len(raw) < HEADER.itemsize:
        raise ValueError(f"{path}: {len(raw)} bytes are no order flow")
    header = np.frombuffer(raw, HEADER, 1)[0]
    if raw[:8] != b"OFLOW01\0" or header["version"] != 1:
        raise ValueError(f"{path}: expected magic OFLOW01 and version 1, got {raw[:8]!r}")
    count = int(header["n_ops"])
    have = (len(raw) - int(header["header_size"])) // RECORD.itemsize
    if have < count:
        raise ValueError(f"{path}: header says {count} records, the file holds {have}")
    return Flow(
        path.name,
        int(header["n_prefill"]),
        int(header["n_symbols"]),
        int(header["max_order_id"]),
        int(header["max_user"]),
        np.frombuffer(raw, RECORD, count, int(header["header_size"])),
    )


def sidecar(path: Path) -> dict[str, Any]:
    """The numbers that a slow and obvious matcher found, by count of records; or {}."""
    beside = path.with_name(path.name + ".json")
    return dict(json.loads(beside.read_text())["expected"]) if beside.exists() else {}


def to_commands(flow: Flow, *, ids: bool = False) -> Array:
    """One command slot per record; order ids of cancels, replaces and reduces are the flow's own
    and still to be translated (``bind_order_ids``)."""
    records = flow.records
    slots = np.zeros(len(records), PLACE)
    op = records["op"]
    kinds = np.zeros(8, np.uint8)
    kinds[[NEW, NEW_IOC, NEW_MARKET]] = PLACE_ORDER
    kinds[[CANCEL, REPLACED, REDUCED]] = CANCEL_ORDER, REPLACE_ORDER, REDUCE_ORDER
    slots["kind"], slots["schema"], slots["slots"] = kinds[op], SCHEMA, 1
    slots["instrument"] = records["symbol"].astype(np.int32) + 1
    slots["account"] = records["user"].astype(np.int32) + FIRST_TRADER
    is_new = slots["kind"] == PLACE_ORDER
    slots["side"] = np.where(is_new, np.where(records["side"] == 0, BUY, SELL), 0)
    slots["order_type"] = np.where(is_new, np.where(op == NEW_MARKET, MARKET, LIMIT), 0)
    slots["time_in_force"] = np.where(is_new, np.where(op == NEW, GTC, IOC), 0)
    has_no_price = (op == NEW_MARKET) | (op == CANCEL) | (op == REDUCED)
    slots["price"] = np.where(has_no_price, 0, records["price"])
    slots["qty"] = np.where(op == CANCEL, 0, records["qty"])
    other = slots.view(REPLACE)
    other["qty_basis"][op == REPLACED] = QTY_LEAVES
    if ids:
        name_orders(slots, is_new, records["order_id"])
    return slots


def name_orders(slots: Array, chosen: Array, numbers: Array) -> None:
    """Give the chosen commands client order ids made of 16 hexadecimal digits of a number."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    for place in range(16):
        nibble = (numbers >> np.uint64(60 - 4 * place)).astype(np.int64) & 15
        slots["client_order_id"][:, place] = np.where(chosen, digits[nibble], 0)


@kernel
def mix(digest: int, value: int) -> int:
    """One step of the flow format's 64-bit hash."""
    digest = wrap_mul(digest ^ value, HASH_FACTOR)
    return digest ^ shift_right(digest, 29)


@kernel
def fold_events(events: int, count: int, flow_ids: int, base: int, sums: int) -> None:
    """Fold the FILL pairs and rejects among ``count`` events into the SUMS row at ``sums``; the
    order of sequence s has the flow id at ``flow_ids`` + 8 x (s - base)."""
    row = sums_at(sums)
    for place in range(count):
        event = event_at(events + place * 128)
        kind = event.kind
        if kind == FILL and (event.flags & MAKER) == 0:
            maker = event_at(events + (place + 1) * 128)
            digest = mix(row.trade_hash, flow_id(flow_ids, base, maker.order_id))
            digest = mix(digest, flow_id(flow_ids, base, event.order_id))
            row.trade_hash = mix(mix(digest, event.price), event.qty)
            row.trades += 1
            row.traded_qty += event.qty
            row.notional += event.qty * event.price
        elif kind in (ORDER_REJECTED, COMMAND_REJECTED):
            row.rejects += 1


@kernel
def flow_id(flow_ids: int, base: int, order_id: int) -> int:
    return load_i64(flow_ids + 8 * ((order_id >> ORDER_SLOT_BITS) - base))


@kernel
def fold_book(state_address: int, flow_ids: int, base: int, sums: int) -> None:
    """Walk every book into the SUMS row: orders, quantity, levels, both book hashes."""
    state = state_at(state_address)
    row = sums_at(sums)
    for instrument in range(1, state.instruments_used + 1):
        row.book_hash_l3 = mix(row.book_hash_l3, instrument - 1)
        row.book_hash_l2 = mix(row.book_hash_l2, instrument - 1)
        for side in range(2):
            row.book_hash_l3 = mix(row.book_hash_l3, -1)
            row.book_hash_l2 = mix(row.book_hash_l2, -1)
            bookside = 2 * instrument + side
            key = bookside_row(state, bookside).best_key
            while key >= 0:
                fold_level(state, bookside, key, flow_ids, base, row)
                key = next_level(state, bookside, key)


@kernel
def fold_level(
    state: Record, bookside: int, key: int, flow_ids: int, base: int, row: Record
) -> None:
    level = level_at_key(state, bookside, key)
    price = key ^ bookside_row(state, bookside).flip
    row.levels += 1
    row.book_hash_l2 = mix(mix(row.book_hash_l2, price), level.shown)
    unit = level.next
    for _ in range(level.orders):
        order = order_of_unit(state, unit)
        digest = mix(row.book_hash_l3, flow_id(flow_ids, base, order.order_id))
        row.book_hash_l3 = mix(mix(digest, price), order.leaves)
        row.resting_orders += 1
        row.resting_qty += order.leaves
        unit = order.next


@kernel
def bind_order_ids(
    engine: int, state_address: int, commands: int, count: int, engine_ids: int, flow_ids: int
) -> None:
    """The untimed first pass: apply the commands one by one, and put the engine's order id into
    each cancel, replace and reduce.  ``flow_ids``: flow id of each command; ``engine_ids``: by
    flow id.  An order that never was keeps an id that no order has."""
    state = state_at(state_address)
    for place in range(count):
        command = commands + place * 128
        own = load_i64(flow_ids + 8 * place)
        replace = replace_at(command)
        if replace.kind == PLACE_ORDER:
            before = state.cursor
            call_entry(engine, state_address, command, 1)
            event = event_at(state.ring + ((before & state.ring_mask) << 7))
            store_i64(engine_ids + 8 * own, event.order_id)
        else:
            target = load_i64(engine_ids + 8 * own)
            replace.order_id = target if target != 0 else NO_ORDER
            if target != 0:
                replace.account = cold_row(state, target & ORDER_SLOT_MASK).account
            call_entry(engine, state_address, command, 1)
