"""What stands before a flow: limits with room for it, its instruments, its funded accounts."""

from typing import Any, Final

import numpy as np

from bench import flow as flows
from core.constants import MONEY_MAX, ORDER_SLOT_BITS, PAGE_BITS, SLOT_BYTES
from core.limits import DEFAULT, Limits
from core.messages import (
    CREATE_ACCOUNT,
    CREATE_ASSET,
    CREATE_INSTRUMENT,
    DEPOSIT,
    IOC,
    LIMIT,
    MATCHED_HERE,
    MONEY,
    NEW_ACCOUNT,
    NEW_ASSET,
    NEW_INSTRUMENT,
    NEW_INSTRUMENT_SLOT_2,
    PHASE_OPEN,
    PLACE,
    PLACE_ORDER,
    SCHEMA,
    SPOT,
    packed,
)

Array = np.ndarray[Any, Any]
ORDERS_MAX: Final = 3_000_000  # Open at once; a flow may place more.
PAGES_SPARE: Final = 64
assert ORDERS_MAX + DEFAULT.closed_keep < 1 << ORDER_SLOT_BITS


def limits_for(flow: flows.Flow, users: int, floor: Limits = DEFAULT) -> Limits:
    """Room for every order, price and account of a flow, and at least ``floor``."""
    orders = min(int(flow.max_order_id) + 2, ORDERS_MAX)
    return floor._replace(
        orders_max=max(orders, floor.orders_max),
        pages_max=max(pages_of(flow) + PAGES_SPARE, floor.pages_max),
        accounts_max=max(users + 8, floor.accounts_max),
        positions_max=max(2 * users + 64, pairs_of(flow) + 64, floor.positions_max),
        balances_max=max(4 * users + 64, floor.balances_max),
        ids_max=max(orders, floor.ids_max),
        instruments_max=max(flow.symbols + 1, floor.instruments_max),
    )


def pages_of(flow: flows.Flow) -> int:
    """How many pages of prices a flow uses at the most: those that it names."""
    records = flow.records
    page = records["price"].astype(np.int64) >> PAGE_BITS
    side = records["symbol"].astype(np.int64) * 2 + records["side"]
    return len(np.unique(side << 48 | page))


def pairs_of(flow: flows.Flow) -> int:
    """In how many instruments its accounts have a position, all of them together."""
    records = flow.records
    return len(np.unique(records["user"].astype(np.int64) << 32 | records["symbol"]))


def stamp(commands: Array, first: int) -> None:
    """Give the commands their sequences from ``first`` on, and rising times."""
    commands["sequence"] = np.arange(first, first + len(commands))
    commands["timestamp_ns"] = commands["sequence"] * 1_000


def setup_commands(flow: flows.Flow, users: int) -> list[Array]:
    """Two assets, the flow's instruments, its accounts, each with its share of all there can be."""
    made: list[Array] = []

    def add(dtype: Any, kind: int, **fields: Any) -> Array:
        slots = np.zeros(fields.pop("slots", 1), dtype)
        slots[0]["kind"], slots[0]["schema"], slots[0]["slots"] = kind, SCHEMA, len(slots)
        for name, value in fields.items():
            slots[0][name] = value
        stamp(slots[:1], len(made) + 1)
        made.append(slots.view(np.uint8).reshape(-1, SLOT_BYTES))
        return slots

    for name, scale in (("CASH", 0), ("COIN", 0)):
        add(NEW_ASSET, CREATE_ASSET, name=packed(name, 36), scale=scale)
    for symbol in range(flow.symbols):
        slots = add(
            NEW_INSTRUMENT,
            CREATE_INSTRUMENT,
            slots=2,
            symbol=packed(f"S{symbol}", 36),
            instrument_type=SPOT,
            matching=MATCHED_HERE,
            tick=1,
            lot=1,
            base_asset=2,
            quote_asset=1,
            maker_ppm=100,
            taker_ppm=300,
        )
        slots[1:].view(NEW_INSTRUMENT_SLOT_2)["phase"] = PHASE_OPEN
    share = MONEY_MAX // (users + 1)
    for user in range(users):
        add(NEW_ACCOUNT, CREATE_ACCOUNT, name=packed(f"user-{user}", 36))
    for user in range(users):
        for asset in (1, 2):
            add(MONEY, DEPOSIT, account=user + flows.FIRST_TRADER, asset=asset, amount=share)
    return made


def remembered(count: int, first: int, users: int) -> Array:
    """Orders whose client order ids fill the table of ids before a flow begins: each a buy that
    finds nobody and expires at once.  Sequences from ``first`` on."""
    slots = np.zeros(count, PLACE)
    slots["kind"], slots["schema"], slots["slots"] = PLACE_ORDER, SCHEMA, 1
    slots["account"] = np.arange(count) % users + flows.FIRST_TRADER
    slots["instrument"], slots["side"] = 1, 1
    slots["order_type"], slots["time_in_force"] = LIMIT, IOC
    slots["price"] = slots["qty"] = 1
    flows.name_orders(slots, np.ones(count, bool), np.arange(count).astype(np.uint64))
    slots["client_order_id"][:, 16] = ord("r")  # No order of a flow has such an id.
    stamp(slots, first)
    return slots
