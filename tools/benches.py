"""The benchmarks by name, loaded only when one is run."""

import difflib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tools import exits

NAMES: Final = ("kernel", "ring", "journal")
SECONDS: Final = 2.0
KERNEL_REPEATS: Final = 5
KERNEL_BATCH: Final = 256


class Options(NamedTuple):
    """What a benchmark may be told; None and False were not given."""

    flow: Path | None
    no_risk: bool
    ids: bool
    seconds: float | None


def check(name: str, options: Options) -> None:
    """Exit 64 when there is no such benchmark, or it does not take an option that was given."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise exits.Stop(
            exits.USAGE, f"bench: expected one of {', '.join(NAMES)}, got {name!r}{hint}"
        )
    taken = ("seconds",) if name != "kernel" else ("flow", "no_risk", "ids")
    for option, value in options._asdict().items():
        if value and option not in taken:
            shown = option.replace("_", "-")
            raise exits.Stop(exits.USAGE, f"bench {name}: does not take --{shown}")
    if name == "kernel" and options.flow is None:
        raise exits.Stop(exits.USAGE, "bench kernel: expected --flow FILE, an order-flow file")
    if options.flow is not None and not options.flow.is_file():
        raise exits.Stop(exits.USAGE, f"bench kernel: --flow: no such file: {options.flow}")


def run(name: str, options: Options) -> dict[str, Any]:
    """Run one; flat fields that carry their unit."""
    module: Any = importlib.import_module(f"bench.bench_{name}")
    if name == "kernel":
        bench: Callable[..., dict[str, Any]] = module.bench
        return bench(
            options.flow,
            risk=not options.no_risk,
            ids=options.ids,
            repeats=KERNEL_REPEATS,
            batch=KERNEL_BATCH,
        )
    measure: Callable[[float], dict[str, Any]] = module.run
    return measure(options.seconds or SECONDS)
