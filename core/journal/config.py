"""What a journal is opened with, and what a process writes about itself into it."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, NamedTuple

from core.journal.errors import JournalConfiguration
from core.journal.layout import (
    ALIGN_SYNC,
    DURABILITIES,
    DURABILITY_NAMES,
    SEGMENT_BYTES,
    SEGMENT_BYTES_MIN,
    SYNC,
)
from core.limits import DEFAULT, Limits

BOOT_ID_PATH: Final = Path("/proc/sys/kernel/random/boot_id")
VERSIONS_BYTES: Final = 64


class JournalConfig(NamedTuple):
    """The part of the configuration that the journal needs."""

    durability: int = SYNC  # layout.SYNC or layout.RELAXED
    limits: Limits = DEFAULT
    engine_version: int = 2
    segment_bytes: int = SEGMENT_BYTES
    spares: int = 2
    build: bytes = b""  # 20 bytes of the commit, or empty.
    allow_volatile: bool = False  # ``sync`` on tmpfs: for tests of other things only.

    @property
    def durability_name(self) -> str:
        """``sync`` or ``relaxed``."""
        return DURABILITY_NAMES[self.durability]


def check(config: JournalConfig) -> None:
    """Raise JournalConfiguration for values that no journal can have."""
    if config.durability not in DURABILITY_NAMES:
        raise JournalConfiguration(
            f"durability: expected one of {sorted(DURABILITIES)}, got number {config.durability}"
        )
    size = config.segment_bytes
    if size < SEGMENT_BYTES_MIN or size % ALIGN_SYNC or size > 1 << 32:
        raise JournalConfiguration(
            f"journal.segment_bytes: expected a multiple of {ALIGN_SYNC} from {SEGMENT_BYTES_MIN} "
            f"to {1 << 32}, got {size}"
        )


def boot_id() -> bytes:
    """16 bytes that change when the machine boots; zeros where it is not known."""
    try:
        return bytes.fromhex(BOOT_ID_PATH.read_text("ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def versions() -> bytes:
    """Python, numba and llvmlite, for people who look into an old journal."""
    found = [f"python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"]
    for package in ("numba", "llvmlite"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return " ".join(found).encode("ascii")[:VERSIONS_BYTES]
