"""What a process has in memory, as /proc/PID/smaps_rollup says."""

from pathlib import Path
from typing import Final

RSS: Final = "Rss"
HUGE: Final = ("AnonHugePages", "ShmemPmdMapped")


def memory(pid: int) -> dict[str, int]:
    """Bytes in memory, and how many of them in huge pages; 0 where the system does not tell."""
    found: dict[str, int] = {}
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        found[name] = int(value.split()[0]) << 10
    return {
        "rss_bytes": found.get(RSS, 0),
        "huge_bytes": sum(found.get(name, 0) for name in HUGE),
    }
