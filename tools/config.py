"""The configuration: outcry.toml < environment OUTCRY__SECTION__KEY < flags.

Every section is a frozen struct.  All faults of all three layers are found in one pass and reported
together, each with where it came from (file and line, variable, flag) and, for an unknown name, the
nearest known one.  Sizes and durations are text with a unit ("64MiB", "250ms"), stored as bytes and
nanoseconds.
"""

import ipaddress
import re
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct, field

Size = Annotated[int, Meta(ge=0, extra={"unit": "bytes"})]
Duration = Annotated[int, Meta(ge=0, extra={"unit": "ns"})]
Secret = Annotated[str, Meta(extra={"secret": True})]
Rows = Annotated[int, Meta(ge=1)]

SIZES: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
DURATIONS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
BLOCK_BYTES: Final = 4_096


class Data(Struct, frozen=True, forbid_unknown_fields=True):
    """Where everything is kept."""

    dir: str = "data"


class Http(Struct, frozen=True, forbid_unknown_fields=True):
    """The HTTP adapter."""

    listen: str = "127.0.0.1:8080"
    workers: Annotated[int, Meta(ge=1, le=16)] = 1
    request_timeout: Duration = 5_000_000_000
    archive_scan_bytes: Annotated[int, Meta(ge=0, le=1 << 40, extra={"unit": "bytes"})] = 256 << 20


class Journal(Struct, frozen=True, forbid_unknown_fields=True):
    """Durability and files of the journal."""

    durability: Literal["sync", "relaxed"] = "sync"
    segment_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 32, extra={"unit": "bytes"})] = 64 << 20
    spares: Annotated[int, Meta(ge=1, le=64)] = 2
    allow_volatile: bool = False
    keep_bytes: Size = 0
    copy_to: str = ""
    scrub_every: Duration = 60_000_000_000


class Replayer(Struct, frozen=True, forbid_unknown_fields=True):
    """The process that replays beside the core: snapshots, witness, event archive."""

    enabled: bool = True
    on_difference: Literal["alarm", "stop"] = "alarm"
    snapshot_every: Duration = 60_000_000_000
    snapshot_bytes: Size = 256 << 20
    snapshots: Annotated[int, Meta(ge=2, le=1000)] = 3


class Events(Struct, frozen=True, forbid_unknown_fields=True):
    """The event archive."""

    keep_bytes: Size = 4 << 30


class Core(Struct, frozen=True, forbid_unknown_fields=True):
    """The core process."""

    idle: Literal["spin", "hybrid", "block"] = "hybrid"
    pin: str = "off"
    nice: Annotated[int, Meta(ge=-20, le=0)] = -10
    stages: bool = True
    extra_gateways: str = ""


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Rows per table; a key that is not set has the value of the profile."""

    profile: Literal["default", "large", "small"] = "default"
    orders_max: Rows | None = None
    closed_keep: Rows | None = None
    pages_max: Rows | None = None
    ids_max: Rows | None = None
    accounts_max: Rows | None = None
    assets_max: Rows | None = None
    instruments_max: Rows | None = None
    balances_max: Rows | None = None
    positions_max: Rows | None = None
    sessions_max: Rows | None = None
    workflows_max: Rows | None = None
    extras_max: Rows | None = None
    limits_max: Rows | None = None


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """Logs of adapters and supervisor."""

    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Dev(Struct, frozen=True, forbid_unknown_fields=True):
    """Development: demo instruments, and traders named by the header X-Dev-User."""

    enabled: bool = False


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration."""

    data: Data = field(default_factory=Data)
    http: Http = field(default_factory=Http)
    journal: Journal = field(default_factory=Journal)
    core: Core = field(default_factory=Core)
    replayer: Replayer = field(default_factory=Replayer)
    events: Events = field(default_factory=Events)
    limits: Limits = field(default_factory=Limits)
    log: Log = field(default_factory=Log)
    dev: Dev = field(default_factory=Dev)


class Fault(NamedTuple):
    """One thing that is wrong: where it was said, the key, and what was expected."""

    origin: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.key}: {self.message}"


class ConfigFaults(Exception):
    """All faults of a configuration, at least one."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def parse_quantity(text: str, unit: str) -> int:
    """Bytes of "64MiB" (unit bytes) or nanoseconds of "250ms" (unit ns).

    Raises ValueError that says which forms are expected.
    """
    units = SIZES if unit == "bytes" else DURATIONS
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2] not in units:
        names = ", ".join(name for name in units if name)
        raise ValueError(f"expected a number with one of the units {names}, got {text!r}")
    whole, _, decimals = match[1].partition(".")
    scaled = int(whole + decimals) * units[match[2]]
    if scaled % 10 ** len(decimals):
        raise ValueError(f"expected a whole number of {unit}, got {text!r}")
    return int(scaled // 10 ** len(decimals))


def format_quantity(value: int, unit: str) -> str:
    """The shortest text that ``parse_quantity`` reads back as ``value``."""
    units = SIZES if unit == "bytes" else DURATIONS
    named = [(factor, name) for name, factor in units.items() if name and value % factor == 0]
    factor, name = max(named) if value else min(named)
    return f"{value // factor}{name}"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:8080", "[::1]:8080" or "localhost:8080"; ValueError otherwise."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"expected HOST:PORT, got {text!r}")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names(text: str) -> list[str]:
    """The names in a text that separates them by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def relations(config: Config) -> list[tuple[str, str]]:
    """Faults between keys, as (key, message); the keys by themselves are in order."""
    found: list[tuple[str, str]] = []
    try:
        host, _ = parse_address(config.http.listen)
        if config.dev.enabled and not is_loopback(host):
            found.append(
                (
                    "http.listen",
                    "expected a loopback address while dev.enabled is true (anyone who reaches the "
                    f"port would be any trader), got {config.http.listen!r}",
                )
            )
    except ValueError as fault:
        found.append(("http.listen", str(fault)))
    if config.journal.segment_bytes % BLOCK_BYTES:
        found.append(
            (
                "journal.segment_bytes",
                f"expected a multiple of {BLOCK_BYTES}, got {config.journal.segment_bytes}",
            )
        )
    if not re.fullmatch(r"off|auto|[0-9]{1,4}", config.core.pin):
        found.append(("core.pin", f"expected off, auto or a CPU, got {config.core.pin!r}"))
    for name in names(config.core.extra_gateways):
        if not re.fullmatch(r"[a-z][a-z0-9]{0,15}\.[0-9]{1,3}", name) or name.startswith("http."):
            found.append(
                (
                    "core.extra_gateways",
                    f'expected names such as "flow.0", and none of HTTP\'s, got {name!r}',
                )
            )
    if not config.data.dir:
        found.append(("data.dir", "expected a directory, got an empty text"))
    return found
