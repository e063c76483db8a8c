"""Between the twin's plain values and the engine's bytes: the only part that knows both.

Everything else under tests/model shares nothing with the engine.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

import numpy as np

from core import messages
from core.constants import SLOT_BYTES
from core.reasons import Reason
from tests.model.commands import (
    CancelOrder,
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    DeadMan,
    MassCancel,
    Money,
    OtherKind,
    PlaceOrder,
    Targeted,
)
from tests.model.events import Event
from tests.model.venue_commands import (
    Admin,
    OutsideCommand,
    SetLimits,
    Trade,
    UpdateInstrument,
)

# Under which name a field lies in the layout, where it is another.
_RENAMED: Final[dict[tuple[type[Command], str], str]] = {(CreateInstrument, "name"): "symbol"}


_LAYOUTS: "Final[list[tuple[type[Command], list[np.dtype[np.void]]]]]" = [
    (PlaceOrder, [messages.PLACE, messages.PLACE_SLOT_2]),
    (CancelOrder, [messages.CANCEL, messages.PLACE_SLOT_2]),
    (Targeted, [messages.REPLACE, messages.PLACE_SLOT_2]),
    (MassCancel, [messages.MASS, messages.PLACE_SLOT_2]),
    (Money, [messages.MONEY, messages.REFERENCE]),
    (
        CreateInstrument,
        [messages.NEW_INSTRUMENT, messages.NEW_INSTRUMENT_SLOT_2, messages.TICK_TABLE],
    ),
    (CreateAsset, [messages.NEW_ASSET]),
    (CreateAccount, [messages.NEW_ACCOUNT]),
    (
        UpdateInstrument,
        [messages.CHANGED_INSTRUMENT, messages.NEW_INSTRUMENT_SLOT_2, messages.TICK_TABLE],
    ),
    (SetLimits, [messages.NEW_LIMITS, messages.NEW_LIMITS_SLOT_2]),
    (Trade, [messages.TRADE, messages.TRADE_SLOT_2]),
    (OutsideCommand, [messages.OUTSIDE, messages.REFERENCE, messages.OUTSIDE_CORRECTION]),
    (OtherKind, [messages.PLACE]),  # For its client order id, at the same place everywhere.
    (DeadMan, [messages.ADMIN]),
    (Admin, [messages.ADMIN]),
]


def _layouts(command: Command) -> "list[np.dtype[np.void]]":
    return next(layouts for kind, layouts in _LAYOUTS if isinstance(command, kind))


def _store(row: Any, name: str, value: int | str | tuple[int, ...]) -> None:
    if isinstance(value, str):
        row[name] = messages.packed(value, row.dtype[name].itemsize)
    else:
        row[name] = value


def slots_of(command: Command) -> bytes:
    """The slots of a command, prefix included, crc32c left 0."""
    layouts = _layouts(command)[: command.slots]
    rows = [np.zeros(1, layout)[0] for layout in layouts]
    rows[0]["kind"] = command.kind
    for field in fields(command):
        if field.name == "number":
            continue
        value = getattr(command, field.name)
        name = _RENAMED.get((type(command), field.name), field.name)
        for row, layout in zip(rows, layouts, strict=True):
            if layout.names is not None and name in layout.names:
                _store(row, name, value)
                break
        else:
            assert not value or command.slots < len(_layouts(command)), (field.name, command)
    data = b"".join(row.tobytes() for row in rows)
    return data.ljust(command.slots * SLOT_BYTES, b"\0")


def batch_of(commands: Iterable[Command]) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """The slots of several commands as rows of 128 bytes."""
    data = b"".join(slots_of(command) for command in commands)
    return np.frombuffer(bytearray(data), np.uint8).reshape(-1, SLOT_BYTES)


_REASONS: Final = {int(reason): reason.name for reason in Reason} | {0: ""}
_NUMBERS: Final = tuple(
    name for name in Event._fields if name not in ("kind", "reason", "client_order_id")
)


def events_of(rows: "np.ndarray[Any, Any]") -> list[Event]:
    """Rows of EVENT as plain events, every field of the layout taken over."""
    columns: dict[str, list[Any]] = {name: rows[name].tolist() for name in _NUMBERS}
    columns["kind"] = [
        messages.EVENT_NAMES.get(kind, f"KIND_{kind}") for kind in rows["kind"].tolist()
    ]
    columns["reason"] = [
        _REASONS.get(reason, f"REASON_{reason}") for reason in rows["reason"].tolist()
    ]
    columns["client_order_id"] = [messages.text(raw) for raw in rows["client_order_id"]]
    order = [columns[name] for name in Event._fields]
    return [Event(*values) for values in zip(*order, strict=True)]


assert set(Event._fields) == set(messages.EVENT.names or ())
