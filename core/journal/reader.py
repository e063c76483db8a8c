"""Reading a journal from its first block: commands side by side, special blocks one by one.

``Walk`` is the one way through a journal: recovery, replay, ``journal verify`` and ``dump`` all
iterate it, so they all check the same: checksums, stamps, chain, sequences, epochs, seals, spares.
A sealed segment with any fault refuses; the end of the newest one is judged by
``core.journal.tail``.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from core.clock import sleep_ns
from core.journal import header as headers
from core.journal.content import Content, is_all_zero
from core.journal.contents import Contents
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import (
    SEGMENT_BYTES_MIN,
    SEGMENT_HEADER_BYTES,
)
from core.journal.place import Place
from core.journal.scan import (
    FAULT_TEXT,
)
from core.journal.scanner import Commands, Scanner, Special
from core.journal.segments import is_activated, newest_in_use, segment_path
from core.journal.tail import CLEAN, Tail, classify

BATCH_SLOTS: Final = 16_384  # 2 MiB: stays in the cache between reading and applying.
SEGMENTS_MAX: Final = 10**12
LIVE_TURNS: Final = 200
LIVE_PAUSE_NS: Final = 5_000_000


class Walk(Scanner):
    """Iterate a journal once.  ``tail`` is set when it ends; arguments as of ``Scanner``.

    ``is_live`` tells whether a writer is at work: then an end that looks damaged is read again.
    Raises JournalRefused at the first fault.
    """

    def __init__(  # noqa: PLR0913  As of ``Scanner``.
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
        super().__init__(directory, uuid, start=start, oldest=oldest, watch=watch, buffers=buffers)
        self._is_live = is_live or (lambda: False)
        self._contents = Contents(directory)
        self.spares: list[int] = []
        self.tail: Tail | None = None

    def __iter__(self) -> Iterator[Commands | Special]:
        segment_no = self.first_segment()
        # A writer may be faster than this reader: beside one, what is new meanwhile is left out.
        until = newest_in_use(self.directory) if self._is_live() else SEGMENTS_MAX
        try:
            while segment_no <= until:
                path = segment_path(self.directory, segment_no)
                if not path.exists() or self._is_spare(path, segment_no):
                    break
                yield from self._segment(path, segment_no)
                segment_no += 1
                if self.tail is not None:  # The newest; a live writer may have gone on since.
                    break
        finally:
            self._contents.close()
        if self.tail is None:
            self.tail = self._sealed_tail(segment_no - 1)
        if segment_no <= until:
            self._check_spares(segment_no)

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
        self.enter(content.address, content.size, path, header)
        turns = 0
        while True:
            yield from self.blocks(path)
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

    def _sealed_tail(self, segment_no: int) -> Tail:
        path = segment_path(self.directory, segment_no)
        return Tail(CLEAN, path, segment_no, int(self.state.offset), 0, 0)

    def _check_spares(self, first_no: int) -> None:
        """Segments behind the newest in use must be empty; the next may have a torn header."""
        for number in self.numbers():
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
