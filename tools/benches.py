"""The benchmarks by name, loaded only when one is run."""

import difflib
import importlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tools import exits

NAMES: Final = ("kernel", "ring", "readers", "journal", "resume", "replay", "restart", "http")
SECONDS: Final = 2.0
KERNEL_REPEATS: Final = 5
KERNEL_BATCH: Final = 256
FOLDER: Final = "OUTCRY_FLOWS"
TAKEN: Final = {
    "kernel": ("flow", "no_risk", "ids"),
    "replay": ("flow", "commands"),
    "restart": ("flow", "commands"),
}
REPLAY_COMMANDS: Final = 2_000_000
RESTART_COMMANDS: Final = 1_000_000  # From genesis; ten times as many behind a snapshot.
SPARSE_DIVISOR: Final = 4


class Options(NamedTuple):
    """What a benchmark may be told; None and False were not given."""

    flow: Path | None
    no_risk: bool
    ids: bool
    seconds: float | None
    commands: int | None = None


def check(name: str, options: Options) -> None:
    """Exit 64 when there is no such benchmark, or it does not take an option that was given."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise exits.Stop(
            exits.USAGE, f"bench: expected one of {', '.join(NAMES)}, got {name!r}{hint}"
        )
    taken = TAKEN.get(name, ("seconds",))
    for option, value in options._asdict().items():
        if value and option not in taken:
            shown = option.replace("_", "-")
            raise exits.Stop(exits.USAGE, f"bench {name}: does not take --{shown}")
    if options.flow is not None and not options.flow.is_file():
        raise exits.Stop(exits.USAGE, f"bench {name}: --flow: no such file: {options.flow}")


def run(name: str, options: Options) -> dict[str, Any]:
    """Run one; flat fields that carry their unit.

    The kernel without a flow runs over flows made by seed and those in the folder OUTCRY_FLOWS;
    its fields then begin with the name of the flow.
    """
    if name == "kernel":
        if options.flow is not None:
            return _kernel(options.flow, options)
        with tempfile.TemporaryDirectory() as directory:
            found: dict[str, Any] = {}
            for path in _flows(Path(directory)):
                fields = _kernel(path, options).items()
                found |= {f"{path.stem}_{field}": value for field, value in fields}
            return found
    if name in ("replay", "restart"):
        with tempfile.TemporaryDirectory() as directory:
            return _journal(name, options, Path(directory))
    module: Any = importlib.import_module(f"bench.bench_{name}")
    measure: Callable[[float], dict[str, Any]] = module.run
    return measure(options.seconds or SECONDS)


def _journal(name: str, options: Options, directory: Path) -> dict[str, Any]:
    """Benchmarks that write a journal first."""
    if options.flow is None:
        from bench.flow_make import make

        path = make("mixed", directory)
    else:
        path = options.flow
    try:
        if name == "replay":
            from bench import bench_replay

            return bench_replay.run(path, options.commands or REPLAY_COMMANDS)
        from bench import bench_restart

        commands = options.commands or RESTART_COMMANDS
        return bench_restart.run(path, commands, commands // SPARSE_DIVISOR)
    except ValueError as fault:
        raise exits.Stop(exits.USAGE, f"bench {name}: --flow: {fault}") from None


def _flows(directory: Path) -> list[Path]:
    """Flows made into ``directory``, then those of the folder OUTCRY_FLOWS."""
    from bench.flow_make import MADE, make

    folder = os.environ.get(FOLDER, "")
    if folder and not Path(folder).is_dir():
        raise exits.Stop(exits.USAGE, f"{FOLDER}: expected a folder of .flow files, got {folder!r}")
    made = [make(name, directory) for name in MADE]
    return made + (sorted(Path(folder).glob("*.flow")) if folder else [])


def _kernel(path: Path, options: Options) -> dict[str, Any]:
    from bench.bench_kernel import bench

    try:
        return bench(
            path,
            risk=not options.no_risk,
            ids=options.ids,
            repeats=KERNEL_REPEATS,
            batch=KERNEL_BATCH,
        )
    except ValueError as fault:
        raise exits.Stop(exits.USAGE, f"bench kernel: --flow: {fault}") from None
