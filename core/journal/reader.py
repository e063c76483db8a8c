"""Reading a journal from its first block: commands side by side, special blocks one by one.

``Walk`` is the one way through a journal: recovery, replay, ``journal verify`` and ``dump`` all
iterate it, so they all check the same: checksums, stamps, chain, sequences, epochs, seals, spares.
A sealed segment with any fault refuses; the end of the newest one is judged by
``core.journal.tail``.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from core.clock import sleep_ns
from core.constants import SLOT_BYTES
from core.journal import header as headers
from core.journal.access import block_row
from core.journal.blocks import strip
from core.journal.content import Content, is_all_zero
from core.journal.contents import Contents
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
    SEGMENT_BYTES_MIN,
    SEGMENT_HEADER_BYTES,
)
from core.journal.place import Place, resume, scan_row
from core.journal.scan import (
    BAD_SEQUENCE,
    FAULT_TEXT,
    FULL,
    SCAN,
    SPECIAL,
    STOP,
    accept,
    place_fault,
    scan,
)
from core.journal.segments import inventory, is_activated, newest_in_use, segment_path
from core.journal.tail import CLEAN, Tail, classify
from core.memory import address_of_buffer, view

BATCH_SLOTS: Final = 16_384  # 2 MiB: stays in the cache between reading and applying.
SEGMENTS_MAX: Final = 10**12
LIVE_TURNS: Final = 200
LIVE_PAUSE_NS: Final = 5_000_000


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


class Walk:
    """Iterate a journal once.  ``state`` is the SCAN record; ``tail`` is set when it ends.

    ``start``: a place behind which the walk begins; None: the first block, GENESIS.  ``oldest``:
    begin with whatever segment is the oldest; what came before it has to be known elsewhere.
    ``is_live`` tells whether a writer is at work: then an end that looks damaged is read again.
    ``watch``: a sequence whose chain value is wanted (``state.watch_a``, ``watch_b``).
    ``buffers``: how many Commands stay valid while the walk goes on.
    Raises JournalRefused at the first fault.
    """

    def __init__(  # noqa: PLR0913  Each has its default; only one caller uses more than two.
        self,
        directory: Path,
        uuid: bytes,
        *,
        start: Place | None = None,
        oldest: bool = False,
        watch: int = 0,
        is_live: Callable[[], bool] | None = None,
        buffers: int = 1,
    ) -> None:
        self.directory = directory
        self.uuid = uuid
        self._start = start if start is not None and start.segment_no else None
        self._oldest = oldest
        self._is_live = is_live or (lambda: False)
        size = BATCH_SLOTS * SLOT_BYTES
        self._buffers = [np.zeros(size + 8, np.uint8) for _ in range(buffers)]
        self._row = np.zeros(SCAN.itemsize, np.uint8)
        self._scan = address_of_buffer(self._row)
        self.state = scan_row(self._scan)
        self.state.target_slots = BATCH_SLOTS
        self.state.block_no = 1
        self.state.next_sequence = 1
        self.state.watch_sequence = watch
        self.state.chain_a, self.state.chain_b = first_chain(uuid)
        self._contents = Contents(directory)
        self.base = 0  # Sequences up to this one lie in front of the walk.
        self.header: Header | None = None
        self.sealed = False
        self.spares: list[int] = []
        self.segments: list[int] = []
        self.tail: Tail | None = None

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

    def __iter__(self) -> Iterator[Commands | Special]:
        segment_no = self._first_segment()
        # A writer may be faster than this reader: beside one, what is new meanwhile is left out.
        until = newest_in_use(self.directory) if self._is_live() else SEGMENTS_MAX
        while segment_no <= until:
            path = segment_path(self.directory, segment_no)
            if not path.exists() or self._is_spare(path, segment_no):
                break
            yield from self._segment(path, segment_no)
            segment_no += 1
            if self.tail is not None:  # The newest; a live writer may have gone on since.
                break
        self._contents.close()
        if self.tail is None:
            self.tail = self._sealed_tail(segment_no - 1)
        if segment_no <= until:
            self._check_spares(segment_no)

    def _first_segment(self) -> int:
        numbers = inventory(self.directory)
        wanted = 1 if self._start is None else self._start.segment_no
        if self._oldest and numbers:
            wanted = numbers[0]
        if wanted not in numbers:
            path = segment_path(self.directory, wanted)
            raise JournalRefused(Fault.INVENTORY, path, 0, "this segment is missing")
        return wanted

    def _is_spare(self, path: Path, segment_no: int) -> bool:
        """Whether the segment was never activated: then no more segments may be in use."""
        size = path.stat().st_size
        if size < SEGMENT_BYTES_MIN:
            detail = f"expected at least {SEGMENT_BYTES_MIN} bytes, got {size}"
            raise JournalRefused(Fault.HEADER, path, 0, detail)
        with path.open("rb", buffering=0) as file:
            image = np.frombuffer(file.read(SEGMENT_HEADER_BYTES), np.uint8)
        if not headers.is_unused(image, segment_no):
            if self.header is not None and not self.sealed:
                self._refuse_unsealed(segment_no)
            return False
        if self.header is None:
            raise JournalRefused(Fault.HEADER, path, 0, "the first segment has no header")
        return True

    def _refuse_unsealed(self, next_segment_no: int) -> None:
        path = segment_path(self.directory, next_segment_no - 1)
        detail = f"no seal, but segment {next_segment_no} is in use: {FAULT_TEXT[self.state.fault]}"
        raise JournalRefused(Fault.CORRUPT_SEALED, path, int(self.state.offset), detail)

    def _segment(self, path: Path, segment_no: int) -> Iterator[Commands | Special]:
        """Everything in one segment; sets ``tail`` when it is the newest and not sealed."""
        content = self._contents.take(segment_no)
        header = headers.parse(content.array, path, segment_no)
        self._enter(content, header)
        turns = 0
        while True:
            yield from self._blocks(content, segment_no)
            if self.sealed:
                if not content.is_zero(self.state.offset) and not self._reread(content, turns):
                    detail = "bytes that are not zero behind the seal"
                    offset = int(self.state.offset)
                    raise JournalRefused(Fault.CORRUPT_SEALED, path, offset, detail)
                return
            if is_activated(segment_path(self.directory, segment_no + 1)):
                if self._reread(content, turns):
                    turns += 1
                    continue
                self._refuse_unsealed(segment_no + 1)
            try:
                self.tail = classify(content, self.state, segment_no)
            except JournalRefused:
                if not self._reread(content, turns):
                    raise
            if self.tail is None or (self.tail.kind != CLEAN and self._reread(content, turns)):
                turns += 1
                self.tail = None
                continue
            return

    def _reread(self, content: Content, turns: int) -> bool:
        """Beside a live writer: read the tail again after a pause; False when that is in vain."""
        if turns >= LIVE_TURNS or not self._is_live():
            return False
        sleep_ns(LIVE_PAUSE_NS)
        content.reload(self.state.offset)
        return True

    def _enter(self, content: Content, header: Header) -> None:
        """Check the header against what came before, and point the scan at the first block."""
        state = self.state
        state.base, state.size = content.address, content.size
        state.offset, state.align, state.salt = SEGMENT_HEADER_BYTES, header.align, header.salt
        state.segment_no = header.segment_no
        state.segment_blocks = 0
        if self.header is None:
            self._begin(header)
        expected = {
            "journal uuid": (self.uuid.hex(), header.uuid.hex()),
            "size": (content.size, header.segment_bytes),
            "first block": (state.block_no, header.first_block_no),
            "first sequence": (state.next_sequence, header.first_sequence),
            "chain": ((state.chain_a, state.chain_b), header.prev_chain),
            "epoch": (max(state.epoch, header.epoch), header.epoch),
        }
        for what, (wanted, found) in expected.items():
            if wanted != found:
                fault = Fault.INVENTORY if what in ("journal uuid", "size") else Fault.CHAIN
                detail = f"segment header: expected {what} {wanted}, got {found}"
                raise JournalRefused(fault, content.path, 0, detail)
        if self.header is None and self._start is not None:
            resume(self._scan, content.path, self._start, header)
        self.header = header
        self.sealed = False
        self.segments.append(header.segment_no)

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

    def _blocks(self, content: Content, segment_no: int) -> Iterator[Commands | Special]:
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
            special = self._special(content, segment_no)
            yield special
            if special.kind == SEAL:
                self.sealed = True
                return

    def _special(self, content: Content, segment_no: int) -> Special:
        state = self.state
        offset = int(state.offset)
        image = content.address + offset
        block = view(image, BLOCK, 1)[0].copy()
        size = int(block["payload_bytes"])
        payload = np.zeros(size + 8, np.uint8)
        strip(image, address_of_buffer(payload), size)
        special = Special(int(block["kind"]), payload[:size].tobytes(), block, segment_no, offset)
        fault = self._special_fault(special)
        if fault:
            state.fault = BAD_SEQUENCE
            raise JournalRefused(Fault.SEQUENCE, content.path, offset, fault)
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

    def _sealed_tail(self, segment_no: int) -> Tail:
        path = segment_path(self.directory, segment_no)
        return Tail(CLEAN, path, segment_no, int(self.state.offset), 0, 0)

    def _check_spares(self, first_no: int) -> None:
        """Segments behind the newest in use must be empty; the next may have a torn header."""
        for number in inventory(self.directory):
            if number < first_no:
                continue
            path = segment_path(self.directory, number)
            if is_all_zero(path):
                self.spares.append(number)
                continue
            content = Content(path, direct=True)
            unused = headers.is_unused(content.array, number)
            if number == first_no and unused and content.is_zero(SEGMENT_HEADER_BYTES):
                self.spares.append(number)
            elif not self._is_live():  # A live writer may have begun to use it.
                raise JournalRefused(Fault.SPARE, path, 0, "expected an empty segment")


def first_chain(uuid: bytes) -> tuple[int, int]:
    """The chain before the first block: the journal's uuid."""
    lanes = np.frombuffer(uuid, "<i8")
    return int(lanes[0]), int(lanes[1])
