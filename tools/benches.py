"""The benchmarks by name, loaded only when one is run."""

import difflib
import importlib
from typing import Final

from tools import exits

NAMES: Final = {
    "kernel": "bench.bench_kernel",
    "ring": "bench.bench_ring",
    "journal": "bench.bench_journal",
}


def known(name: str) -> str:
    """The module of a benchmark; exit 64 when there is none of that name."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise exits.Stop(exits.USAGE, f"bench: expected one of {', '.join(NAMES)}{hint}")
    return NAMES[name]


def run(name: str, options: dict[str, object]) -> dict[str, object]:
    """Run one; flat fields that carry their unit.  Exit 64 for an option it does not take."""
    module = importlib.import_module(known(name))
    if name != "kernel" and options:
        option = next(iter(options)).replace("_", "-")
        raise exits.Stop(exits.USAGE, f"bench {name}: takes no --{option}")
    found: dict[str, object] = module.run(**options)
    return found
