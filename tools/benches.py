"""The benchmarks by name, loaded only when one is run."""

import difflib
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tools import exits

NAMES: Final = (
    *("kernel", "managed", "peers"),
    *("ring", "readers", "journal", "resume", "replay", "restart"),
    *("pipeline", "stages", "micro", "http"),
)
SECONDS: Final = 2.0
KERNEL_MODES: Final = ("mix", "by_kind", "scaling", "whole")  # One at a time.
TAKEN: Final = {
    "pipeline": ("flow", "seconds"),
    "kernel": ("flow", "no_risk", "ids", "commands", "instruments", "resting", *KERNEL_MODES),
    "managed": ("commands",),
    "peers": ("flow", "commands", "engine"),
    "replay": ("flow", "commands"),
    "restart": ("flow", "commands"),
}
REPLAY_COMMANDS: Final = 2_000_000
RESTART_COMMANDS: Final = 1_000_000  # From genesis; ten times as many behind a snapshot.
SPARSE_DIVISOR: Final = 4
FLAGS: Final = {"whole": "all"}  # Options that are not named as their field is.


class Options(NamedTuple):
    """What a benchmark may be told; None and False were not given."""

    flow: Path | None
    no_risk: bool
    ids: bool
    seconds: float | None
    commands: int | None = None
    mix: str | None = None
    instruments: int | None = None
    resting: int | None = None
    by_kind: bool = False
    scaling: bool = False
    whole: bool = False
    engine: tuple[str, ...] = ()


class Places(NamedTuple):
    """Directories: where results are kept, and where those are that they are compared with."""

    save: Path | None
    against: Path | None


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
            shown = FLAGS.get(option, option.replace("_", "-"))
            raise exits.Stop(exits.USAGE, f"bench {name}: does not take --{shown}")
    if options.flow is not None and not options.flow.is_file():
        raise exits.Stop(exits.USAGE, f"bench {name}: --flow: no such file: {options.flow}")


def run(name: str, options: Options) -> dict[str, Any]:
    """Run one; flat fields that carry their unit."""
    if name in ("kernel", "managed", "peers"):
        from tools import kernel_benches

        return kernel_benches.RUN[name](options)
    if name in ("pipeline", "replay", "restart"):
        with tempfile.TemporaryDirectory() as directory:
            return _over_flow(name, options, Path(directory))
    module: Any = importlib.import_module(f"bench.bench_{name}")
    measure: Callable[[float], dict[str, Any]] = module.run
    return measure(options.seconds or SECONDS)


def flat(found: dict[str, Any]) -> dict[str, Any]:
    """The fields that a person is shown; single runs, noise and tables are for --json."""
    return {name: value for name, value in found.items() if not isinstance(value, list | dict)}


def keep(name: str, options: Options, found: dict[str, Any], places: Places) -> None:
    """Write the result into a directory, compare it with the one of this machine in another.

    ValueError when the benchmark gave what is no result.
    """
    if places.save is None and places.against is None:
        return
    from rich.console import Console

    from bench import stored
    from tools import report

    result = stored.stamped(name, options._asdict(), found)
    stored.as_read(result)
    console = Console(stderr=True)
    if places.save is not None:
        console.print(f"saved {stored.save(result, places.save)}", soft_wrap=True)
    if places.against is not None:
        report.against(result, places.against, console)


def _over_flow(name: str, options: Options, directory: Path) -> dict[str, Any]:
    """Benchmarks of more than the engine that run a flow, the given one or one made by seed."""
    from bench.flow_make import make

    path = options.flow or make("mixed", directory)
    try:
        if name == "pipeline":
            from bench import bench_pipeline

            return bench_pipeline.run(path, bench_pipeline.size_of(options.seconds))
        if name == "replay":
            from bench import bench_replay

            return bench_replay.run(path, options.commands or REPLAY_COMMANDS)
        from bench import bench_restart

        commands = options.commands or RESTART_COMMANDS
        return bench_restart.run(path, commands, commands // SPARSE_DIVISOR)
    except ValueError as fault:
        raise exits.Stop(exits.USAGE, f"bench {name}: --flow: {fault}") from None
