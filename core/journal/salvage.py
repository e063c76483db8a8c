"""What can still be read behind a place where the journal is broken.

Blocks are looked for at every sector, whatever chain and sequence say; each is checked by its own
checksums.  This never brings a command back: it tells an operator what is about to be given up.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core import messages
from core.constants import COMMAND_SLOTS_MAX, SLOT_BYTES
from core.crc32c import record_crc32c
from core.journal.access import block_row
from core.journal.blocks import body_fault, header_fault, strip
from core.journal.content import Content
from core.journal.layout import (
    BLOCK_MAGIC,
    DATA,
    KINDS,
    SECTOR_BYTES,
)
from core.memory import address_of_buffer

LISTED_MAX: Final = 100  # Of each list; the totals are always whole.
WITH_ORDER_ID: Final = frozenset(
    {messages.CANCEL_ORDER, messages.REPLACE_ORDER, messages.REDUCE_ORDER}
)
WITH_CLIENT_ID: Final = WITH_ORDER_ID | {
    messages.PLACE_ORDER,
    messages.MASS_CANCEL,
    messages.DEPOSIT,
    messages.WITHDRAW,
}

Slots = np.ndarray[Any, np.dtype[np.uint8]]


class Found(NamedTuple):
    """A block by its own word: header and first sector are right; ``whole``: all of it is."""

    offset: int
    row: Any  # layout.BLOCK at its address.
    whole: bool


@dataclass
class Salvage:
    """What was found behind the last good place, beyond sequence ``after``."""

    after: int
    record: Callable[[int, Slots], None] | None = None  # Given kind and slots of each command.
    blocks: int = 0
    damaged_blocks: int = 0
    commands: int = 0
    first_sequence: int = 0  # Of what was found by name; 0: nothing.
    last_sequence: int = 0
    durable_sequence: int = 0  # The largest in any header.
    kinds: Counter[str] = field(default_factory=Counter)
    accounts: set[int] = field(default_factory=set)
    client_order_ids: list[str] = field(default_factory=list)
    client_order_id_count: int = 0
    order_ids: list[int] = field(default_factory=list)
    order_id_count: int = 0

    def take(self, content: Content, offset: int, salt: int | None) -> None:
        """Look through a segment from ``offset`` on; ``salt``: of its header, if that is known."""
        for found in blocks_behind(content, offset, salt):
            self.blocks += 1
            self.damaged_blocks += not found.whole
            self.durable_sequence = max(self.durable_sequence, int(found.row.durable_sequence))
            if found.row.kind != DATA:
                self.kinds[KINDS.get(found.row.kind, "unknown block")] += 1
                continue
            self._see(int(found.row.first_sequence), int(found.row.last_sequence))
            if found.offset + found.row.block_bytes <= content.size:
                for slots in commands_of(content.address + found.offset, found.row):
                    self._command(slots)

    def _see(self, first: int, last: int) -> None:
        if last <= self.after:
            return
        first = max(first, self.after + 1)
        self.first_sequence = min(self.first_sequence or first, first)
        self.last_sequence = max(self.last_sequence, last)

    def _command(self, slots: Slots) -> None:
        command: Any = slots[0].view(messages.COMMAND)[0]
        kind = int(command["kind"])
        if int(command["sequence"]) <= self.after:
            return
        self.commands += 1
        self.kinds[messages.COMMAND_NAMES.get(kind, str(kind))] += 1
        self.accounts.add(int(command["account"]))
        if kind in WITH_CLIENT_ID:
            self._order(slots, kind)
        if self.record is not None:
            self.record(kind, slots)

    def _order(self, slots: Slots, kind: int) -> None:
        row: Any = slots[0].view(messages.CANCEL)[0]  # The ids lie at one place in all of them.
        name = messages.text(row["client_order_id"])
        if name:
            self.client_order_id_count += 1
            if len(self.client_order_ids) < LISTED_MAX:
                self.client_order_ids.append(name)
        if kind in WITH_ORDER_ID and int(row["order_id"]):
            self.order_id_count += 1
            if len(self.order_ids) < LISTED_MAX:
                self.order_ids.append(int(row["order_id"]))


def blocks_behind(content: Content, offset: int, salt: int | None) -> Iterator[Found]:
    """Every block from ``offset`` on that is right by its own word, none inside another."""
    size = (content.size - offset) // SECTOR_BYTES * SECTOR_BYTES
    words = content.array[offset : offset + size].view(np.uint32)
    firsts = words.reshape(-1, SECTOR_BYTES // 4)[:, 0]
    end = offset
    for sector in np.flatnonzero(firsts == BLOCK_MAGIC):
        place = offset + int(sector) * SECTOR_BYTES
        image = content.address + place
        row = block_row(image)
        if place < end or header_fault(image, row.salt) != 0 or salt not in (None, row.salt):
            continue
        fits = place + row.block_bytes <= content.size
        whole = fits and body_fault(image) == 0
        if whole:
            end = place + row.block_bytes
        yield Found(place, row, whole)


def commands_of(image: int, block: Any) -> Iterator[Slots]:
    """The commands of a DATA block that are right by their own checksum."""
    size = int(block.payload_bytes)
    payload = np.zeros(size + 8, np.uint8)
    address = address_of_buffer(payload)
    strip(image, address, size)
    slots = payload[: size // SLOT_BYTES * SLOT_BYTES].reshape(-1, SLOT_BYTES)
    place = 0
    while place < len(slots):
        command: Any = slots[place].view(messages.COMMAND)[0]
        count = int(command["slots"])
        good = 1 <= count <= COMMAND_SLOTS_MAX and place + count <= len(slots)
        good = good and block.first_sequence <= int(command["sequence"]) <= block.last_sequence
        if good:
            checksum = record_crc32c(address + place * SLOT_BYTES, count)
            good = int(command["crc32c"]) == int(checksum)
        if good:
            yield slots[place : place + count]
        place += count if good else 1


def newest_sequence(path: Path, first_offset: int) -> int:
    """The largest sequence of any block in a segment."""
    found = Salvage(0)
    found.take(Content(path, direct=True), first_offset, None)
    return found.last_sequence
