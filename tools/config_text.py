"""The configuration as text: a commented file to begin with, what is in force, a JSON Schema."""

from typing import Any, Final

import msgspec

from tools.config import Config, format_quantity
from tools.config_layers import Loaded, extra, keys
from tools.secret import REDACTED

COMMENTS: Final = {
    "data": "Where the journal and everything else is kept.",
    "data.dir": "directory, made at the first start",
    "http": "The HTTP adapter.",
    "http.listen": "HOST:PORT",
    "http.workers": "processes that share the port",
    "http.request_timeout": "how long an answer of the core is waited for",
    "http.archive_scan_bytes": "how much of the event archive is searched for one old order",
    "journal": "The journal is the only truth.",
    "journal.durability": (
        "sync: on stable storage before it is applied; relaxed: survives a crash of any process, "
        "may lose the last milliseconds at power loss"
    ),
    "journal.segment_bytes": "size of one file",
    "journal.spares": "files prepared ahead",
    "journal.allow_volatile": "accept a file system that cannot sync (tmpfs), for tests",
    "journal.keep_bytes": "size above which segments that are in snapshots are deleted; 0: never",
    "journal.copy_to": "directory where sealed segments are copied before they are deleted",
    "journal.scrub_every": "how often one sealed segment is read again and compared",
    "replayer": "The process that replays beside the core.",
    "replayer.enabled": "without it: no snapshots, no witness, no event archive",
    "replayer.on_difference": "alarm: /healthz is red; stop: the exchange ends with exit 80",
    "replayer.snapshot_every": "time between snapshots while there is news",
    "replayer.snapshot_bytes": "journal between snapshots",
    "replayer.snapshots": "how many are kept",
    "events": "The event archive: a cache that is made again from the journal.",
    "events.keep_bytes": "size above which the oldest events are deleted",
    "core": "The core process.",
    "core.idle": "spin: lowest latency, one core busy; hybrid: spin briefly, then sleep; block",
    "core.pin": (
        "off; auto: the core alone on the best CPU, everything else on the others; or a CPU's "
        "number (see operations.md)"
    ),
    "core.nice": "of the pinned core, where it is permitted; lower is sooner, 0: as all others",
    "core.stages": "stamp every command at each stage: outcry top, GET /v1/admin/stages, /metrics",
    "core.extra_gateways": 'rings for producers that are no part of Outcry, such as "flow.0"',
    "limits": (
        "Rows per table, fixed when the data directory is made; a change later needs `outcry "
        "upgrade`."
    ),
    "limits.profile": "default, large (1 M accounts, 10 k instruments), small (tests)",
    "log": "Logs of adapters and supervisor, on standard error.",
    "log.format": "console or json",
    "log.level": "debug, info, warning, error",
    "dev": "Development only; refused on other than loopback addresses.",
    "dev.enabled": "demo instruments; X-Dev-User: NAME is that trader",
}


def _values(config: Config) -> dict[str, Any]:
    return {
        f"{section}.{name}": value
        for section, fields in msgspec.structs.asdict(config).items()
        for name, value in msgspec.structs.asdict(fields).items()
    }


def _text(value: object, annotations: dict[str, Any]) -> str:
    if annotations.get("secret") and value:
        value = REDACTED
    if "unit" in annotations and isinstance(value, int):
        value = format_quantity(value, annotations["unit"])
    return msgspec.json.encode(value).decode()


def described(config: Config) -> list[tuple[str, str]]:
    """Every key with its value as text; "…" for a key that has none by itself."""
    kinds = keys()
    return [
        (key, "…" if value is None else _text(value, extra(kinds[key])))
        for key, value in _values(config).items()
    ]


def initial() -> str:
    """A commented outcry.toml in which every key stands at its default, commented out."""
    lines = [
        "# Outcry. Later ones win: this file, environment OUTCRY__SECTION__KEY, flags.",
        '# Sizes have a unit ("64MiB"), durations too ("250ms").',
    ]
    section = ""
    kinds = keys()
    for key, value in _values(Config()).items():
        if key.partition(".")[0] != section:
            section = key.partition(".")[0]
            lines += ["", f"# {COMMENTS[section]}", f"[{section}]"]
        shown = "…" if value is None else _text(value, extra(kinds[key]))
        comment = f"  # {COMMENTS[key]}" if key in COMMENTS else ""
        lines.append(f"# {key.partition('.')[2]} = {shown}{comment}")
    return "\n".join(lines) + "\n"


def show(loaded: Loaded, *, with_origin: bool) -> str:
    """What is in force, as TOML; secrets are redacted; the origin of each value as a comment."""
    lines: list[str] = []
    section = ""
    kinds = keys()
    for key, value in _values(loaded.config).items():
        if value is None:
            continue
        if key.partition(".")[0] != section:
            section = key.partition(".")[0]
            lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        line = f"{key.partition('.')[2]} = {_text(value, extra(kinds[key]))}"
        lines.append(f"{line}  # {loaded.origins[key]}" if with_origin else line)
    return "\n".join(lines) + "\n"


def schema() -> dict[str, Any]:
    """JSON Schema of outcry.toml for editors; sizes and durations may be text with a unit."""
    document = msgspec.json.schema(Config)
    for key, kind in keys().items():
        unit = extra(kind).get("unit")
        if unit:
            section, name = key.split(".")
            fields = document["$defs"][section.capitalize()]["properties"]
            fields[name] = {"type": ["integer", "string"], "default": fields[name].get("default")}
    return document
