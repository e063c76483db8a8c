"""The writer of the journal: opens it after recovery, rotates segments, writes the rare blocks.

The duty cycle calls ``appender.append`` with ``Writer.address`` itself; it needs Python only for a
full segment (``rotate``), markers, checkpoints and the end.  Any failure of a write or sync ends
the process (``fail_stop``, exit 70): what the disk holds after that is for recovery to find out.
"""

import os
import secrets
import threading
from pathlib import Path
from typing import Final, NoReturn

import numpy as np

from core.clock import realtime_ns
from core.journal import header as headers
from core.journal.access import structure
from core.journal.appender import (
    BACKGROUND,
    DIRECT,
    FDATASYNC,
    JOURNAL,
    NO_ROOM,
    append_block,
    has_room,
    sync_until,
    write_special,
)
from core.journal.config import boot_id, versions
from core.journal.errors import fail_stop
from core.journal.header import SALT_BIT
from core.journal.layout import (
    BLOCK_BYTES_MAX,
    CHECKPOINT,
    EPOCH_PAYLOAD,
    EPOCH_START,
    KINDS,
    MARKER,
    MARKER_CLOSED,
    MARKER_IDLE,
    MARKER_PAYLOAD,
    PAYLOAD_BYTES_MAX,
    RELAXED,
    SEAL,
    SEAL_DURABILITY,
    SEAL_FULL,
    SEAL_PAYLOAD,
    SEGMENT_HEADER_BYTES,
    SYNC,
)
from core.journal.probe import faster_mode
from core.journal.recovery import Recovery
from core.journal.segments import (
    TRUNCATION_NAME,
    is_prewritten,
    make_segment,
    open_file,
    prewrite,
    segment_path,
    sync_directory,
)
from core.memory import region, view

SYNC_TURNS: Final = 300  # About a second between looks at what Python has to do.
PAYLOAD_AT: Final = 4096
IMAGE_AT: Final = 2 * 4096 + PAYLOAD_BYTES_MAX // 4096 * 4096 + 4096

journal_row: Final = structure(JOURNAL)


class Writer:
    """One open journal.  Not thread-safe: everything is called by the core's one thread."""

    def __init__(self, recovery: Recovery) -> None:
        """Take over a recovered journal and fence it with EPOCH_START (durable when this returns).

        Replay comes before: what is in the journal must be applied before anything is added.
        """
        self.recovery = recovery
        self.directory = recovery.directory
        self.durability = recovery.config.durability
        self._owner, base = region(IMAGE_AT + BLOCK_BYTES_MAX, touch=True)
        self.address = base
        self._payload = base + PAYLOAD_AT
        self._header = recovery.header
        self._retired: list[int] = []
        self._syncer: threading.Thread | None = None
        row = self.row = journal_row(base)
        row.image = base + IMAGE_AT
        row.block_no = recovery.block_no
        row.chain_a, row.chain_b = recovery.chain
        # Until the fence stands, everything (a seal, a header) belongs to the epoch before.
        row.epoch = recovery.epoch
        row.next_sequence = recovery.lost[0] or recovery.next_sequence
        row.last_sequence = recovery.last_sequence
        row.durable_sequence = recovery.last_sequence  # Recovery synced before it read.
        row.timestamp_ns = recovery.timestamp_ns
        try:
            self._open(recovery)
            self._fence(recovery)
        except OSError as error:
            fail_stop(f"opening {self.path}: {error}")
        if self.durability == RELAXED:
            self._syncer = threading.Thread(target=self._sync_loop, name="syncer", daemon=True)
            self._syncer.start()

    @property
    def path(self) -> str:
        """The segment that is written."""
        return str(segment_path(self.directory, self.row.segment_no))

    @property
    def mode_name(self) -> str:
        """How blocks are made durable, for the banner."""
        return {DIRECT: "O_DIRECT|O_DSYNC", FDATASYNC: "fdatasync", BACKGROUND: "background"}[
            self.row.mode
        ]

    def rotate(self, cause: int = SEAL_FULL) -> None:
        """Seal the segment and go on in the next; ``append`` said NO_ROOM."""
        try:
            self._seal(cause)
            self._activate(self.row.segment_no + 1)
        except OSError as error:
            fail_stop(f"rotating after {self.path}: {error}")
        self.row.rotations += 1

    def marker(self, cause: int = MARKER_IDLE) -> None:
        """Write an empty block that carries ``durable_sequence``: once after activity."""
        payload = np.zeros(1, MARKER_PAYLOAD)
        payload["cause"] = cause
        self._put(MARKER, payload.tobytes())

    def checkpoint(self, payload: bytes) -> None:
        """Write a CHECKPOINT: CHECKPOINT_PAYLOAD and its sums."""
        self._put(CHECKPOINT, payload)

    def close(self, *, clean: bool = True) -> None:
        """Stop and give up the lock.  ``clean``: make everything durable and say so in a MARKER."""
        self.row.stop = 1
        if self._syncer is not None:
            self._syncer.join()
        try:
            if clean and self.row.fd >= 0:
                if self.durability == RELAXED:
                    os.fdatasync(self.row.fd)
                    self.row.durable_sequence = self.row.last_sequence
                self.marker(MARKER_CLOSED)
                os.fdatasync(self.row.fd)
        except OSError as error:
            fail_stop(f"closing {self.path}: {error}")
        for fd in [*self._retired, self.row.fd]:
            if fd >= 0:
                os.close(fd)
        self._retired.clear()
        self.row.fd = -1
        self.recovery.lock.close()

    def _open(self, recovery: Recovery) -> None:
        """Open the newest segment, or the next one when it is sealed or of another durability."""
        row, header = self.row, recovery.header
        row.fd = -1
        row.segment_no = header.segment_no
        row.segment_bytes = header.segment_bytes
        row.segment_blocks = recovery.segment_blocks
        row.align, row.salt, row.offset = header.align, header.salt, recovery.offset
        path = segment_path(self.directory, header.segment_no)
        self._sync_mode = FDATASYNC
        if self.durability == SYNC:
            self._sync_mode = faster_mode(self.directory)
        if recovery.sealed:
            self._activate(header.segment_no + 1)
        elif header.durability != self.durability:
            row.mode = FDATASYNC
            row.fd = open_file(path, os.O_RDWR)
            self._seal(SEAL_DURABILITY)
            self._activate(header.segment_no + 1)
        else:
            self._use(path)

    def _use(self, path: Path) -> None:
        """Open a segment in the mode of this process and write to it from now on."""
        row = self.row
        row.mode = BACKGROUND if self.durability == RELAXED else self._sync_mode
        flags = os.O_RDWR
        if row.mode == DIRECT:
            flags |= os.O_DIRECT | os.O_DSYNC
        old, row.fd = row.fd, open_file(path, flags)
        if old >= 0 and self._syncer is not None:
            self._retired.append(old)  # The syncer may be using it.
        elif old >= 0:
            os.close(old)

    def _fence(self, recovery: Recovery) -> None:
        """EPOCH_START: nothing that an older process may still have written can follow now."""
        payload = np.zeros(1, EPOCH_PAYLOAD)
        payload["last_sequence"] = recovery.last_sequence
        payload["next_sequence"] = recovery.next_sequence
        payload["lost_first"], payload["lost_last"] = recovery.lost
        payload["truncated_bytes"] = recovery.cut.extent
        payload["truncated_segment"] = recovery.cut.segment_no
        payload["truncated_offset"] = recovery.cut.offset
        payload["prev_chain"] = (self.row.chain_a, self.row.chain_b)
        payload["wall_ns"] = realtime_ns()
        payload["engine_version"] = recovery.config.engine_version
        payload["durability"] = self.durability
        for name, value in (
            ("boot_id", boot_id()),
            ("build", recovery.config.build[:20]),
            ("versions", versions()),
        ):
            room = EPOCH_PAYLOAD[name].itemsize
            payload[name] = np.frombuffer(value.ljust(room, b"\0"), np.uint8)
        if not has_room(self.address, EPOCH_PAYLOAD.itemsize):
            self.rotate()
            payload["prev_chain"] = (self.row.chain_a, self.row.chain_b)
        self.row.epoch = recovery.epoch + 1
        self.row.next_sequence = recovery.next_sequence
        self._put(EPOCH_START, payload.tobytes())
        os.fdatasync(self.row.fd)
        note = self.directory / TRUNCATION_NAME
        if note.exists():
            note.unlink()
            sync_directory(self.directory)

    def _put(self, kind: int, payload: bytes) -> None:
        self._fill_payload(payload)
        now_ns = realtime_ns()
        done = append_block(self.address, kind, self._payload, len(payload), now_ns)
        if done == NO_ROOM:
            self.rotate()
            self._fill_payload(payload)
            done = append_block(self.address, kind, self._payload, len(payload), now_ns)
        if done != 0:
            self.fail(done, KINDS[kind])

    def _fill_payload(self, payload: bytes) -> None:
        room = view(self._payload, np.dtype(np.uint8), len(payload))
        room[:] = np.frombuffer(payload, np.uint8)

    def fail(self, result: int, what: str = "a block") -> NoReturn:
        """End the process because ``append`` gave a negative ``result``."""
        reason = os.strerror(-result) if result < 0 else f"no room ({result})"
        fail_stop(f"writing {what} to {self.path} at {self.row.offset}: {reason}")

    def _seal(self, cause: int) -> None:
        """Write SEAL and make the segment durable as a whole."""
        row = self.row
        payload = np.zeros(1, SEAL_PAYLOAD)
        payload["last_sequence"] = row.last_sequence
        payload["block_count"] = row.segment_blocks + 1
        payload["prev_chain"] = (row.chain_a, row.chain_b)
        payload["cause"] = cause
        raw = payload.tobytes()
        self._fill_payload(raw)
        done = write_special(self.address, SEAL, self._payload, len(raw), realtime_ns())
        if done != 0:
            self.fail(done, "SEAL")
        os.fdatasync(row.fd)

    def _activate(self, segment_no: int) -> None:
        """Write the header of the next segment, durable, and use it."""
        path = segment_path(self.directory, segment_no)
        row = self.row
        prewritten = self.durability == SYNC
        if path.exists() and prewritten and not is_prewritten(path):
            prewrite(path)  # A spare of ``relaxed``: each write to it would change metadata.
        if not path.exists():
            size = self.recovery.config.segment_bytes
            make_segment(self.directory, segment_no, size, prewritten=prewritten)
            row.rotations_without_spare += 1
        fd = open_file(path, os.O_RDWR)
        try:
            size = os.fstat(fd).st_size
            self._header = self._header._replace(
                segment_no=segment_no,
                first_sequence=row.next_sequence,
                epoch=row.epoch,
                salt=SALT_BIT | secrets.randbits(62),
                first_block_no=row.block_no,
                prev_chain=(row.chain_a, row.chain_b),
                durability=self.durability,
                segment_bytes=size,
                engine_version=self.recovery.config.engine_version,
                created_ns=realtime_ns(),
                build=self.recovery.config.build,
                versions=versions(),
            )
            image = headers.build(self._header)
            if os.pwrite(fd, image, 0) != len(image):
                raise OSError(f"short write of {path}")
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
        sync_directory(self.directory)
        row.segment_no = segment_no
        row.segment_bytes = size
        row.offset = SEGMENT_HEADER_BYTES
        row.salt = self._header.salt
        row.align = self._header.align
        row.segment_blocks = 0
        self._use(path)

    def _sync_loop(self) -> None:
        """The syncer's thread: compiled, without the GIL; Python only closes what was left."""
        while self.row.stop == 0:
            done = sync_until(self.address, SYNC_TURNS)
            if done < 0:
                self.fail(done, "the background sync")
            while self._retired:
                os.close(self._retired.pop())
