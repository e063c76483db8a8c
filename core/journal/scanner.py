"""The scan of a journal, segment by segment: what every reader of blocks has in common.

``Walk`` (core.journal.reader) goes through a journal once, ``Follower`` (core.journal.follow) goes
on while it is written; both check the same: checksums, stamps, chain, sequences, epochs, seals.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.constants import SLOT_BYTES
from core.journal.access import block_row
from core.journal.blocks import strip
from core.journal.errors import Fault, JournalRefused
from core.journal.header import Header
from core.journal.layout import (
    BLOCK,
    BLOCK_MAGIC,
    DATA,
    EPOCH_PAYLOAD,
    EPOCH_START,
    GENESIS,
    GENESIS_PAYLOAD,
    SEAL,
    SEAL_PAYLOAD,
    SEGMENT_HEADER_BYTES,
)
from core.journal.place import NOWHERE, Place, other_place, scan_row
from core.journal.scan import BAD_SEQUENCE, FULL, SCAN, SPECIAL, STOP, accept, place_fault, scan
from core.journal.segments import inventory, segment_path
from core.memory import address_of_buffer, view

BATCH_SLOTS: Final = 16_384  # 2 MiB: stays in the cache between reading and applying.


class Commands(NamedTuple):
    """Command records side by side, whole blocks; ``slots`` is valid until the next item."""

    slots: "np.ndarray[Any, np.dtype[np.uint8]]"  # (n, 128)
    address: int
    first_sequence: int
    last_sequence: int
    timestamp_ns: int  # Of the newest block.


class Special(NamedTuple):
    """A block that takes no sequence."""

    kind: int
    payload: bytes
    block: Any  # A copy of the header, fields of layout.BLOCK.
    segment_no: int
    offset: int


class Scanner:
    """``state`` is the SCAN record.  ``start``: a place behind which to begin; None: the first
    block, GENESIS.  ``oldest``: begin with whatever segment is the oldest.  ``watch``: a sequence
    whose chain value is wanted.  ``buffers``: how many Commands stay valid."""

    def __init__(
        self,
        directory: Path,
        uuid: bytes,
        *,
        start: Place | None = None,
        oldest: bool = False,
        watch: int = 0,
        buffers: int = 1,
    ) -> None:
        self.directory = directory
        self.uuid = uuid
        self._start = start if start is not None and start.segment_no else None
        self._oldest = oldest
        size = BATCH_SLOTS * SLOT_BYTES
        # Not zeroed: only what ``scan`` has written is given on, and 2 MiB each would cost more.
        self._buffers = [np.empty(size + 8, np.uint8) for _ in range(buffers)]
        self._row = np.zeros(SCAN.itemsize, np.uint8)
        self._scan = address_of_buffer(self._row)
        self.state = scan_row(self._scan)
        self.state.target_slots = BATCH_SLOTS
        self.state.block_no = 1
        self.state.next_sequence = 1
        self.state.watch_sequence = watch
        self.state.chain_a, self.state.chain_b = first_chain(uuid)
        self.base = 0  # Sequences up to this one lie in front of the scan.
        self.header: Header | None = None
        self.sealed = False
        self.segments: list[int] = []

    @property
    def place(self) -> Place:
        """Behind the newest DATA block that was taken; segment 0 where there was none."""
        state = self.state
        if not state.data_segment_no:
            return self._start or Place(0, 0, 0, int(state.last_sequence), first_chain(self.uuid))
        return Place(
            int(state.data_segment_no),
            int(state.data_offset),
            int(state.data_block_no),
            int(state.last_sequence),
            (int(state.data_chain_a), int(state.data_chain_b)),
        )

    @property
    def start(self) -> Place | None:
        """Where the walk begins, None: at the first block."""
        return self._start

    def numbers(self) -> list[int]:
        """Numbers of the segments there are; JournalRefused for what does not belong."""
        return inventory(self.directory)

    def first_segment(self) -> int:
        numbers = self.numbers()
        wanted = 1 if self._start is None else self._start.segment_no
        if self._oldest and numbers:
            wanted = numbers[0]
        if wanted not in numbers:
            path = segment_path(self.directory, wanted)
            raise JournalRefused(Fault.INVENTORY, path, 0, "this segment is missing")
        return wanted

    def enter(self, address: int, size: int, path: Path, header: Header) -> None:
        """Check the header against what came before, and point the scan at the first block."""
        state = self.state
        state.base, state.size = address, size
        state.offset, state.align, state.salt = SEGMENT_HEADER_BYTES, header.align, header.salt
        state.segment_no = header.segment_no
        state.segment_blocks = 0
        if self.header is None:
            self._begin(header)
        expected = {
            "journal uuid": (self.uuid.hex(), header.uuid.hex()),
            "size": (size, header.segment_bytes),
            "first block": (state.block_no, header.first_block_no),
            "first sequence": (state.next_sequence, header.first_sequence),
            "chain": ((state.chain_a, state.chain_b), header.prev_chain),
            "epoch": (max(state.epoch, header.epoch), header.epoch),
        }
        for what, (wanted, found) in expected.items():
            if wanted != found:
                fault = Fault.INVENTORY if what in ("journal uuid", "size") else Fault.CHAIN
                detail = f"segment header: expected {what} {wanted}, got {found}"
                raise JournalRefused(fault, path, 0, detail)
        if self.header is None and self._start is not None:
            self._skip_to(path, self._start)
        self.header = header
        self.sealed = False
        self.segments.append(header.segment_no)

    def _skip_to(self, path: Path, place: Place) -> None:
        """Check what lies in front of the place in its segment, and that it is the place."""
        state = self.state
        state.limit = place.sequence
        state.target = address_of_buffer(self._buffers[0])
        while (why := scan(self._scan)) != STOP:
            if why == SPECIAL:
                if state.data_block_no == place.block_no:
                    break
                self._special(path)
        found = self.place if state.data_segment_no else NOWHERE
        if found != place:
            raise other_place(path, place, found, state)
        state.limit = 0
        state.blocks = state.commands = state.slots = 0

    def _begin(self, header: Header) -> None:
        """What the walk's first segment alone can say of what came before it."""
        state = self.state
        state.next_sequence = header.first_sequence
        state.last_sequence = header.first_sequence - 1
        self.base = self._start.sequence if self._start else int(state.last_sequence)
        if self._start is None and not self._oldest:
            return
        state.block_no, state.epoch = header.first_block_no, header.epoch
        state.chain_a, state.chain_b = header.prev_chain
        first = block_row(state.base + state.offset)
        if state.block_no != 1 and first.magic == BLOCK_MAGIC and first.kind != DATA:
            state.last_sequence = first.last_sequence  # Lower than the next less one after a jump.

    def blocks(self, path: Path) -> Iterator[Commands | Special]:
        """What follows, up to the seal or the first place without a whole block."""
        state = self.state
        while True:
            buffer = self._buffers[0]
            self._buffers.append(self._buffers.pop(0))
            state.target = address_of_buffer(buffer)
            why = scan(self._scan)
            if state.slots:
                slots = buffer[: state.slots * SLOT_BYTES].reshape(-1, SLOT_BYTES)
                yield Commands(
                    slots,
                    int(state.target),
                    int(state.first_sequence),
                    int(state.last_sequence),
                    int(state.block_ns),
                )
            if why == STOP:
                return
            if why == FULL:
                continue
            assert why == SPECIAL
            special = self._special(path)
            yield special
            if special.kind == SEAL:
                self.sealed = True
                return

    def _special(self, path: Path) -> Special:
        state = self.state
        offset = int(state.offset)
        image = int(state.base) + offset
        block = view(image, BLOCK, 1)[0].copy()
        size = int(block["payload_bytes"])
        payload = np.zeros(size + 8, np.uint8)
        strip(image, address_of_buffer(payload), size)
        raw, number = payload[:size].tobytes(), int(state.segment_no)
        special = Special(int(block["kind"]), raw, block, number, offset)
        fault = self._special_fault(special)
        if fault:
            state.fault = BAD_SEQUENCE
            raise JournalRefused(Fault.SEQUENCE, path, offset, fault)
        assert place_fault(self._scan) == 0
        accept(self._scan)
        return special

    def _special_fault(self, special: Special) -> str:
        """What the payload of a special block says wrongly; empty when it is right."""
        state = self.state
        if (special.kind == GENESIS) != (state.block_no == 1):
            return "expected GENESIS as the first block, and only there"
        if special.kind == GENESIS:
            if len(special.payload) != GENESIS_PAYLOAD.itemsize:
                return f"expected a GENESIS of {GENESIS_PAYLOAD.itemsize} bytes"
            base = int(np.frombuffer(special.payload, GENESIS_PAYLOAD)["base_sequence"][0])
            if base != state.last_sequence:
                return f"GENESIS goes on from sequence {base}, its segment from another"
        if special.kind == EPOCH_START:
            if len(special.payload) != EPOCH_PAYLOAD.itemsize:
                return f"expected an EPOCH_START of {EPOCH_PAYLOAD.itemsize} bytes"
            epoch: Any = np.frombuffer(special.payload, EPOCH_PAYLOAD)[0]
            if int(epoch["next_sequence"]) != int(special.block["first_sequence"]):
                return "EPOCH_START and its header differ in the next sequence"
        if special.kind == SEAL:
            if len(special.payload) != SEAL_PAYLOAD.itemsize:
                return f"expected a SEAL of {SEAL_PAYLOAD.itemsize} bytes"
            seal: Any = np.frombuffer(special.payload, SEAL_PAYLOAD)[0]
            wanted = (state.last_sequence, state.segment_blocks + 1)
            if (int(seal["last_sequence"]), int(seal["block_count"])) != wanted:
                return "the seal differs from the segment in last sequence or count of blocks"
        return ""


def first_chain(uuid: bytes) -> tuple[int, int]:
    """The chain before the first block: the journal's uuid."""
    lanes = np.frombuffer(uuid, "<i8")
    return int(lanes[0]), int(lanes[1])
