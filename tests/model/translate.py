"""Between the twin's plain values and the engine's bytes: the only part that knows both.

Everything else under tests/model shares nothing with the engine.
"""

import struct
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final, NamedTuple

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


class _Form(NamedTuple):
    """How commands of one type and length lie in their slots."""

    layout: struct.Struct
    names: tuple[str, ...]  # By place.
    sizes: tuple[int, ...]  # Bytes of a text, count of a table; 0: a number.
    absent: tuple[str, ...]  # Fields that have no place, and must hold nothing.


_LETTERS: Final = {"u1": "B", "i1": "b", "u2": "H", "u4": "I", "i4": "i", "u8": "Q", "i8": "q"}


def _layouts(kind: type[Command]) -> "list[np.dtype[np.void]]":
    return next(layouts for known, layouts in _LAYOUTS if issubclass(kind, known))


def layouts_of(command: Command) -> "list[np.dtype[np.void]]":
    """The layouts of the slots that a command occupies."""
    return _layouts(type(command))[: command.slots]


def _form(kind: type[Command], slots: int) -> _Form:
    whole = _layouts(kind)
    places: list[tuple[int, int, str, int, str]] = []
    absent = []
    names = [field.name for field in fields(kind) if field.name != "number"]
    for name in (*names, "kind"):
        stored = _RENAMED.get((kind, name), name)
        for number, layout in enumerate(whole[:slots]):
            if layout.fields is None or stored not in layout.fields:
                continue
            dtype, offset = layout.fields[stored][:2]
            base = dtype.base.str[1:]
            count = dtype.shape[0] if dtype.shape else 0
            letter = _LETTERS[base]
            if count:
                letter = f"{count}{'s' if dtype.base.itemsize == 1 else letter}"
            place = number * SLOT_BYTES + offset
            places.append((place, dtype.itemsize, name, count, letter))
            break
        else:
            absent.append(name)
    text, end = "<", 0
    for at, itemsize, _, _, letter in sorted(places):
        text += f"{at - end}x{letter}"
        end = at + itemsize
    text += f"{slots * SLOT_BYTES - end}x"
    ordered = sorted(places)
    return _Form(
        struct.Struct(text),
        tuple(place[2] for place in ordered),
        tuple(place[3] for place in ordered),
        tuple(absent) if slots >= len(whole) else (),
    )


_forms: dict[tuple[type[Command], int], _Form] = {}


def slots_of(command: Command) -> bytes:
    """The slots of a command, prefix included, crc32c left 0."""
    key = (type(command), command.slots)
    form = _forms.get(key)
    if form is None:
        form = _forms[key] = _form(*key)
    assert not any(getattr(command, name) for name in form.absent), command
    values: list[Any] = []
    for name, size in zip(form.names, form.sizes, strict=True):
        value = getattr(command, name)
        if not size:
            values.append(value)
        elif isinstance(value, str):
            assert len(value) <= size, (name, command)
            values.append(value.encode("ascii"))
        else:
            values += value
    return form.layout.pack(*values)


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
