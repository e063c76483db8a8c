"""``outcry journal dump``: what the journal holds, as plain values for text, JSON lines or CSV."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from core import messages
from core.constants import SEQUENCE_MAX
from core.journal.layout import (
    CHECKPOINT,
    CHECKPOINT_PAYLOAD,
    EPOCH_PAYLOAD,
    EPOCH_START,
    GENESIS,
    GENESIS_PAYLOAD,
    KINDS,
    MARKER,
    MARKER_PAYLOAD,
    SEAL,
    SEAL_PAYLOAD,
)
from core.journal.scanner import Commands, Special
from core.journal.verify import open_walk

Row = dict[str, Any]
Views = tuple["np.dtype[np.void]", ...]

COMMAND_VIEWS: Final[dict[int, Views]] = {
    messages.PLACE_ORDER: (messages.PLACE, messages.PLACE_SLOT_2),
    messages.CANCEL_ORDER: (messages.CANCEL, messages.PLACE_SLOT_2),
    messages.REPLACE_ORDER: (messages.REPLACE, messages.PLACE_SLOT_2),
    messages.REDUCE_ORDER: (messages.REPLACE, messages.PLACE_SLOT_2),
    messages.MASS_CANCEL: (messages.MASS, messages.PLACE_SLOT_2),
    messages.CREATE_ASSET: (messages.NEW_ASSET,),
    messages.CREATE_INSTRUMENT: (
        messages.NEW_INSTRUMENT,
        messages.NEW_INSTRUMENT_SLOT_2,
        messages.TICK_TABLE,
    ),
    messages.UPDATE_INSTRUMENT: (
        messages.CHANGED_INSTRUMENT,
        messages.NEW_INSTRUMENT_SLOT_2,
        messages.TICK_TABLE,
    ),
    messages.SETTLE_INSTRUMENT: (messages.ADMIN,),
    messages.CREATE_ACCOUNT: (messages.NEW_ACCOUNT,),
    messages.DEPOSIT: (messages.MONEY, messages.REFERENCE),
    messages.WITHDRAW: (messages.MONEY, messages.REFERENCE),
    messages.TRANSFER: (messages.MONEY, messages.REFERENCE),
    messages.UPDATE_ACCOUNT: (messages.ADMIN,),
    messages.KILL_SWITCH: (messages.ADMIN,),
    messages.SET_LIMITS: (messages.NEW_LIMITS, messages.NEW_LIMITS_SLOT_2),
    messages.SESSION_OPENED: (messages.ADMIN,),
    messages.SESSION_CLOSED: (messages.ADMIN,),
    messages.GATEWAY_LOST: (messages.ADMIN,),
    messages.DEAD_MAN: (messages.ADMIN,),
    messages.TIME: (messages.ADMIN,),
    messages.BUST_TRADE: (messages.TRADE, messages.TRADE_SLOT_2),
    messages.CORRECT_TRADE: (messages.TRADE, messages.TRADE_SLOT_2),
    messages.OUTSIDE_ACKNOWLEDGED: (messages.OUTSIDE, messages.REFERENCE),
    messages.OUTSIDE_FILLED: (messages.OUTSIDE, messages.REFERENCE),
    messages.OUTSIDE_CANCELED: (messages.OUTSIDE, messages.REFERENCE),
    messages.OUTSIDE_REJECTED: (messages.OUTSIDE, messages.REFERENCE),
    messages.OUTSIDE_BUSTED: (messages.OUTSIDE, messages.REFERENCE),
    messages.OUTSIDE_CORRECTED: (
        messages.OUTSIDE,
        messages.REFERENCE,
        messages.OUTSIDE_CORRECTION,
    ),
    messages.OUTSIDE_SETTLED: (messages.OUTSIDE, messages.REFERENCE),
}
PAYLOAD_VIEWS: Final[dict[int, "np.dtype[np.void]"]] = {
    GENESIS: GENESIS_PAYLOAD,
    EPOCH_START: EPOCH_PAYLOAD,
    CHECKPOINT: CHECKPOINT_PAYLOAD,
    MARKER: MARKER_PAYLOAD,
    SEAL: SEAL_PAYLOAD,
}
TEXT_FIELDS: Final = frozenset(
    {
        "client_order_id",
        "original_client_order_id",
        "tag",
        "name",
        "symbol",
        "reference",
        "source",
        "versions",
        "without_witness",
    }
)
SECRET_FIELDS: Final = frozenset({"id_key"})  # Whoever has it can make ids that collide.
BLOCK_FIELDS: Final = ("block_no", "epoch", "durable_sequence", "timestamp_ns")


def _columns() -> tuple[str, ...]:
    names = ["record", "sequence", "kind", "segment", "offset", "last_sequence", *BLOCK_FIELDS]
    views = [view for group in COMMAND_VIEWS.values() for view in group]
    for view in [*views, *PAYLOAD_VIEWS.values()]:
        names += [name for name in view.names or () if not _is_hidden(name)]
    return tuple(dict.fromkeys(names))


def _is_hidden(name: str) -> bool:
    return name.startswith("reserved") or name in SECRET_FIELDS


COLUMNS: Final = _columns()  # Every key that a row may have, for CSV.


def dump(
    data: Path, first: int = 1, last: int = SEQUENCE_MAX, *, blocks: bool = True
) -> Iterator[Row]:
    """Rows in journal order: commands ``first`` to ``last``, and the special blocks among them.

    ``record`` is ``command`` or ``block``.  Raises JournalRefused where the journal is damaged:
    what came before has been given by then.  Works beside a live exchange.
    """
    for item in open_walk(data):
        if isinstance(item, Commands):
            if item.first_sequence > last:
                return
            if item.last_sequence >= first:
                yield from _commands(item, first, last)
        elif blocks and first - 1 <= int(item.block["last_sequence"]) <= last:
            yield _block(item)


def _commands(batch: Commands, first: int, last: int) -> Iterator[Row]:
    place = 0
    slots = batch.slots
    while place < len(slots):
        prefix: Any = slots[place].view(messages.COMMAND)[0]
        size = int(prefix["slots"])
        if first <= int(prefix["sequence"]) <= last:
            yield command_row(slots[place : place + size], int(prefix["kind"]))
        place += size


def command_row(slots: "np.ndarray[Any, np.dtype[np.uint8]]", kind: int) -> Row:
    """A command of ``kind`` by the names of its fields, those of all its slots in one row."""
    row: Row = {"record": "command"}
    views = COMMAND_VIEWS.get(kind, (messages.COMMAND,))
    for slot, view in zip(slots, views, strict=False):
        row.update(fields_of(slot.view(view)[0], view))
    row["kind"] = messages.COMMAND_NAMES.get(kind, str(kind))
    return row


def _block(special: Special) -> Row:
    row: Row = {
        "record": "block",
        "kind": KINDS[special.kind],
        "segment": special.segment_no,
        "offset": special.offset,
        "last_sequence": int(special.block["last_sequence"]),
    }
    row.update({name: int(special.block[name]) for name in BLOCK_FIELDS})
    view = PAYLOAD_VIEWS.get(special.kind)
    if view is not None and len(special.payload) >= view.itemsize:
        row.update(fields_of(np.frombuffer(special.payload, view, 1)[0], view))
    return row


def fields_of(record: Any, view: "np.dtype[np.void]") -> Row:
    """The fields of a record as plain values: text as text, other bytes as hex."""
    row: Row = {}
    for name in view.names or ():
        if _is_hidden(name):
            continue
        value = record[name]
        if name in TEXT_FIELDS:
            row[name] = messages.text(value)
        elif value.ndim == 0:
            row[name] = int(value)
        elif value.dtype == np.uint8:
            row[name] = value.tobytes().hex()
        else:
            row[name] = value.tolist()
    return row
