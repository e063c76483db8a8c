"""How the journal says no.  Each error carries the exit code of the process (contract)."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final, NoReturn

EXIT_FAILED: Final = 70
EXIT_BUSY: Final = 75
EXIT_CONFIGURATION: Final = 78
EXIT_REFUSED: Final = 80

HINT_VERIFY: Final = "the journal is kept as it is"
RUNBOOK: Final = "docs/runbook.md"  # A section for each reason.


class Fault(StrEnum):
    """Why a journal is refused; permanent words."""

    NOT_EMPTY = "NOT_EMPTY"  # No journal, but a directory that holds something else.
    MISSING = "MISSING"  # The place of the journal is there, the journal is not.
    INVENTORY = "INVENTORY"  # A file that does not belong, a gap, a foreign segment.
    PERMISSIONS = "PERMISSIONS"
    FORMAT = "FORMAT"  # Another format version.
    HEADER = "HEADER"  # A segment header that is damaged.
    SPARE = "SPARE"  # A segment that should be empty and is not.
    CORRUPT_SEALED = "CORRUPT_SEALED"
    CORRUPT_TAIL = "CORRUPT_TAIL"
    GARBAGE_BEYOND_INFLIGHT = "GARBAGE_BEYOND_INFLIGHT"
    HOLE = "HOLE"  # A valid block behind an invalid one.
    CHAIN = "CHAIN"  # A valid block that does not follow from the one before.
    SEQUENCE = "SEQUENCE"  # Complete and checksummed, but sequences, times or epochs do not go on.
    RECORD = "RECORD"  # A command whose own checksum or size is wrong.
    LOST_ACKED = "LOST_ACKED"  # A witness or a durable_sequence is ahead of the journal.
    SNAPSHOT = "SNAPSHOT"  # No snapshot can be used, or it is of another history.
    WITNESS = "WITNESS"  # The witness is damaged, or saw another history.
    MANIFEST = "MANIFEST"  # A line is damaged, or a sealed segment is not what it was.
    ENGINE_VERSION = "ENGINE_VERSION"
    NONDETERMINISM = "NONDETERMINISM"  # Replay does not come to where a CHECKPOINT says.


class JournalError(Exception):
    """Base: ``exit_code`` is what the process ends with."""

    exit_code = EXIT_FAILED


class JournalBusy(JournalError):
    """Another process holds the lock of the data directory."""

    exit_code = EXIT_BUSY


class JournalConfiguration(JournalError):
    """The configuration does not fit the journal or the file system; nothing was changed."""

    exit_code = EXIT_CONFIGURATION


class JournalRefused(JournalError):
    """The journal is not what it must be.  Nothing was changed; an operator has to look."""

    exit_code = EXIT_REFUSED

    def __init__(
        self, fault: Fault, path: Path, offset: int, detail: str, hint: str = HINT_VERIFY
    ) -> None:
        self.fault = fault
        self.path = path
        self.offset = offset
        self.detail = detail
        self.hint = hint
        super().__init__(
            f"journal refused: {fault}: {path} at {offset}: {detail}; {hint}; "
            f"see {RUNBOOK}#{fault.lower()}"
        )

    @property
    def reason(self) -> str:
        """The permanent word."""
        return self.fault.value


def fail_stop(message: str) -> NoReturn:
    """A write or sync failed: one line, then the end of the process.  No retry, no clean-up."""
    sys.stderr.write(f"journal: {message}; the journal is kept, nothing more is acknowledged\n")
    sys.stderr.flush()
    os._exit(EXIT_FAILED)
