"""The limits that an operator chooses, journaled in GENESIS: rows per table of the state."""

import secrets
from typing import Final, NamedTuple

import numpy as np

from core.constants import ORDER_SLOT_BITS, STOP_SIDES
from core.layout import record

LIMITS: Final = record(
    "limits; the payload of the GENESIS block",
    256,
    [
        ("orders_max", "<i8"),
        ("closed_keep", "<i8"),
        ("pages_max", "<i8"),
        ("ids_max", "<i8"),
        ("accounts_max", "<i8"),
        ("assets_max", "<i8"),
        ("instruments_max", "<i8"),
        ("balances_max", "<i8"),
        ("positions_max", "<i8"),
        ("sessions_max", "<i8"),
        ("workflows_max", "<i8"),  # Kept.
        ("extras_max", "<i8"),  # Orders with terms that most have not: stops, icebergs, ...
        ("id_key", "<i8", (4,)),  # Key of the hash of client order ids.
        ("base_sequence", "<i8"),  # This journal goes on from there; 0: from nothing.
        ("generation", "<i8"),  # 0: the first; an upgrade begins the next one.
        ("base_uuid", "u1", (16,)),  # Of the journal before.
        ("base_hash", "u1", (16,)),  # The state hash at ``base_sequence``.
        ("limits_max", "<i8"),  # Accounts and positions with limits of their own.
        ("reserved", "<i8", (9,)),
    ],
)


class Base(NamedTuple):
    """What a journal goes on from; all zero: nothing, it is the first generation."""

    sequence: int = 0
    generation: int = 0
    uuid: bytes = bytes(16)  # Of the journal before.
    state_hash: bytes = bytes(16)  # Of the state at ``sequence``, under the limits of this one.


class Limits(NamedTuple):
    """Rows per table; the order is the order of LIMITS."""

    orders_max: int = 1_000_000
    closed_keep: int = 256_000
    pages_max: int = 28_672
    ids_max: int = 2_000_000
    accounts_max: int = 65_536
    assets_max: int = 1_024
    instruments_max: int = 1_024
    balances_max: int = 131_072
    positions_max: int = 65_536
    sessions_max: int = 16_384
    workflows_max: int = 65_536
    extras_max: int = 65_536
    limits_max: int = 8_192


DEFAULT: Final = Limits()
SMALL: Final = Limits(2_000, 500, 512, 4_000, 256, 16, 16, 1_024, 1_024, 64, 64, 64, 64)


def faults(limits: Limits) -> list[str]:
    """Every relation between the limits that does not hold, as sentences; empty when all do."""
    found = [
        f"limits.{name}: expected at least 1, got {value}"
        for name, value in limits._asdict().items()
        if value < 1
    ]
    if limits.orders_max + limits.closed_keep >= 1 << ORDER_SLOT_BITS:
        found.append(
            f"limits.orders_max + limits.closed_keep: expected below {1 << ORDER_SLOT_BITS} "
            f"(slots are {ORDER_SLOT_BITS} bits of an order id), "
            f"got {limits.orders_max + limits.closed_keep}"
        )
    if 2 * (limits.instruments_max + 1) > STOP_SIDES:
        found.append(
            f"limits.instruments_max: expected below {STOP_SIDES // 2}, "
            f"got {limits.instruments_max}"
        )
    if limits.ids_max < limits.orders_max:
        found.append(
            f"limits.ids_max: expected at least orders_max = {limits.orders_max} "
            f"(ids of open orders never leave), got {limits.ids_max}"
        )
    return found


NOTHING: Final = Base()


def genesis(limits: Limits, id_key: tuple[int, ...] | None = None, base: Base = NOTHING) -> bytes:
    """The GENESIS payload; a fresh random id key unless one is given."""
    row = np.zeros(1, LIMITS)
    for name, value in limits._asdict().items():
        row[name] = value
    key = id_key or tuple(secrets.randbits(63) | 1 for _ in range(4))
    row["id_key"] = np.array(key, np.int64)
    row["base_sequence"], row["generation"] = base.sequence, base.generation
    row["base_uuid"] = np.frombuffer(base.uuid, np.uint8)
    row["base_hash"] = np.frombuffer(base.state_hash, np.uint8)
    return row.tobytes()


def base_of(payload: bytes) -> Base:
    """What the journal with this GENESIS payload goes on from."""
    row = np.frombuffer(payload, LIMITS, 1)[0]
    return Base(
        int(row["base_sequence"]),
        int(row["generation"]),
        row["base_uuid"].tobytes(),
        row["base_hash"].tobytes(),
    )


def from_genesis(payload: bytes) -> tuple[Limits, tuple[int, ...]]:
    """Limits and id key out of a GENESIS payload."""
    row = np.frombuffer(payload, LIMITS, 1)[0]
    limits = Limits(*(int(row[name]) for name in Limits._fields))
    return limits, tuple(int(word) for word in row["id_key"])
